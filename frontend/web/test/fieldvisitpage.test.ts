// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// @vitest-environment jsdom

import { describe, expect, test } from 'vitest';
import { watch } from 'vue';
import OutboxNote from '../src/field/OutboxNote.vue';
import VisitCard from '../src/field/VisitCard.vue';
import type { Visit } from '../src/field/visits';
import { letter } from './letters';
import { refuse, settle } from './people';
import { onAPhone, phone, steady, touch } from './phone';

/** A visit that counts from one time to another, in unix ms. */
const due = (from: number, to: number): Visit => ({
  id: '31',
  state: 'due',
  patrol_name: '日巡查',
  name: '三号井',
  grid_name: '网格001',
  point: null,
  windows: [{ from: iso(from), to: iso(to) }],
  opens_at: iso(from),
  closes_at: iso(to),
  stay_min: 0,
  seen: null,
  said: null,
});
const iso = (ms: number) => new Date(ms).toISOString();
const H = 3_600_000;

describe('the page of visits', () => {
  onAPhone();

  test('a visit is told once, without a line too, with the server’s time', async () => {
    const ahead = 3_600_000;
    let line = true;
    const asked: { path: string; key: string | null; body: Record<string, string> }[] = [];
    const visit = due(Date.now(), Date.now() + 2 * ahead);
    const p = phone((path, init) => {
      if (!line) return undefined;
      const headers = { date: new Date(Date.now() + ahead).toUTCString() };
      if (path.startsWith('/api/v1/visits?')) return Response.json({ items: [visit], cursor: null }, { headers });
      asked.push({ path, key: new Headers(init.headers).get('idempotency-key'), body: JSON.parse(String(init.body)) });
      return Response.json({ ...visit, state: 'done' }, { headers });
    });
    p.field.running = true;
    await p.field.visits.load();
    p.field.minute.value = p.field.serverNow();
    line = false;
    const card = p.show(VisitCard, { visit: p.field.visits.own.value[0] });
    steady.ms += 1000;
    await touch(card, '已走访');
    await touch(card, '一切正常'); // the second touch of a double one
    expect(p.kinds()).toEqual([]);
    steady.ms += 1000;
    await touch(card, '一切正常');
    expect(p.kinds()).toEqual(['visit']);
    expect(p.field.visits.own.value.map((v) => [v.id, v.waiting > 0])).toEqual([['31', true]]);
    line = true;
    p.field.outbox.hurry();
    await settle();
    expect(asked.map((a) => [a.path, a.body.text])).toEqual([['/api/v1/visits/31/word', '一切正常']]);
    expect(asked[0]?.key).toMatch(/^[\w-]{22}$/);
    expect(Math.abs(Date.parse(asked[0]?.body.at ?? '') - Date.now() - ahead)).toBeLessThan(5000);
    expect(p.kinds()).toEqual([]);
    card.unmount();
  });

  test('stands as the server answered at once, whatever list is still on its way', async () => {
    const visit = due(Date.now() - H, Date.now() + H);
    const lists: ((r: Response) => void)[] = [];
    let said: Visit['said'] = null;
    const p = phone((path, init) => {
      if (path.startsWith('/api/v1/visits?')) return new Promise((come) => lists.push(come));
      said = { at: iso(Date.now()), text: JSON.parse(String(init.body)).text, there: null };
      return Response.json({ ...visit, state: 'done', said });
    });
    p.field.running = true;
    p.field.visits.known.value = [visit];
    const older = p.field.visits.load(); // asked before the word, answered after it
    const states: string[] = [];
    const stop = watch(p.field.visits.own, ([v]) => states.push(v?.waiting ? 'waits' : (v?.state ?? '')), { flush: 'sync' });
    await p.field.visits.say(visit, '水位正常');
    await settle();
    lists[0]?.(Response.json({ items: [visit], cursor: null }));
    await older;
    expect(p.field.visits.own.value.map((v) => [v.state, v.said?.text])).toEqual([['done', '水位正常']]);
    expect(states).not.toContain('due');
    expect(p.kept.get('visits wang')).toEqual([{ ...visit, state: 'done', said }]);
    stop();
  });

  /** A phone on which a word about a visit has been refused. */
  async function refusedWord(type: string, visit = due(Date.now() - H, Date.now() + H), status = 409) {
    const words: { text: string; at: string }[] = [];
    let taken = false;
    const p = phone((path, init) => {
      if (path.startsWith('/api/v1/visits?')) return Response.json({ items: [visit], cursor: null });
      words.push(JSON.parse(String(init.body)));
      const { text, at } = words.at(-1) as (typeof words)[number];
      return taken ? Response.json({ ...visit, state: 'done', said: { text, at, there: null } }) : refuse(status, { type });
    });
    p.field.running = true;
    p.field.visits.known.value = [visit];
    p.field.minute.value = Date.now();
    steady.ms += 1000;
    await p.field.visits.say(visit, '井盖松动');
    await settle();
    steady.ms += 1000;
    return { ...p, visit, words, take: () => (taken = true) };
  }

  test.each([
    ['visit-old', '24 小时'],
    ['visit-ahead', '手机时间快了'],
    ['visit-early', '不在走访的时段里'],
    ['visit-outside', '不在走访的时段里'],
  ])('a word refused for %s stays with its reason, and is said again as of now', async (type, reason) => {
    const p = await refusedWord(type);
    const note = p.show(OutboxNote);
    expect(note.text()).toContain('井盖松动');
    expect(note.text()).toContain(reason);
    expect([...p.drawer.letters.values()].map((l) => l.body.text)).toEqual(['井盖松动']); // on the disk too
    p.take();
    await touch(note, '再说一次');
    expect(note.find('textarea').element.value).toBe('井盖松动');
    await note.find('form').trigger('submit'); // the second touch of a double one
    await settle();
    expect(p.words).toHaveLength(1);
    steady.ms += 1000;
    await note.find('form').trigger('submit');
    await settle();
    expect(p.words.map((w) => w.text)).toEqual(['井盖松动', '井盖松动']);
    expect(Math.abs(Date.parse(p.words[1]?.at ?? '') - Date.now())).toBeLessThan(5000);
    expect([p.kinds(), p.field.refused.value]).toEqual([[], []]);
    note.unmount();
  });

  test.each([
    ['visit-void', 409, '已不用去'],
    ['about:blank', 404, '已不归您'],
  ])('a word refused for %s %d stays until it is dropped', async (type, status, reason) => {
    const p = await refusedWord(type, undefined, status);
    const note = p.show(OutboxNote);
    expect(note.text()).toContain(reason);
    expect(note.text()).toContain('井盖松动');
    expect(note.text()).not.toContain('再说一次');
    await touch(note, '不要了');
    expect(p.kinds()).toEqual([]);
    note.unmount();
  });

  test('a word that came before its hours is said again within them', async () => {
    const p = await refusedWord('visit-early', due(Date.now() + H, Date.now() + 2 * H));
    const note = p.show(OutboxNote);
    const names = () => note.findAll('button').map((b) => b.text());
    expect(names()).toEqual(['不要了']);
    expect(note.text()).toContain('起可以走访');
    p.field.minute.value = Date.now() + H + 60_000;
    await settle();
    expect(names()).toEqual(['再说一次', '不要了']);
    note.unmount();
  });

  test('the card of the visit takes the refused word up', async () => {
    const p = await refusedWord('visit-ahead');
    const card = p.show(VisitCard, { visit: p.field.visits.own.value[0] });
    await touch(card, '已走访');
    expect(card.find('textarea').element.value).toBe('井盖松动');
    p.take();
    steady.ms += 1000;
    await card.find('textarea').setValue('井盖松动，已围上');
    await card.find('form').trigger('submit');
    await settle();
    expect([p.words.at(-1)?.text, p.kinds()]).toEqual(['井盖松动，已围上', []]);
    card.unmount();
  });

  test.each([
    ['another’s word that came first', 5 * 60_000, ['visit']],
    ['one’s own, whose answer was lost', 0, []],
  ])('of two words the first counts: %s', async (_, before, left) => {
    const visit = due(Date.now() - H, Date.now() + H);
    const p = phone((path, init) => {
      if (path.startsWith('/api/v1/visits?')) return undefined;
      const at = Date.parse(JSON.parse(String(init.body)).at) - before;
      return Response.json({ ...visit, state: 'done', repeated: true, said: { at: iso(at), text: '先说的', there: null } });
    });
    p.field.running = true;
    p.field.visits.known.value = [visit];
    steady.ms += 1000;
    await p.field.visits.say(visit, '井盖松动');
    await settle();
    expect(p.kinds()).toEqual(left);
    expect(p.field.visits.own.value.map((v) => [v.state, v.said?.text])).toEqual([['done', '先说的']]);
    const note = p.show(OutboxNote);
    expect(note.text().includes('以先说的为准')).toBe(before > 0);
    expect(note.text().includes('井盖松动')).toBe(before > 0);
    expect(note.text()).not.toContain('再说一次');
    note.unmount();
  });

  test('a refused word is said again although fixes have noted the visit since', async () => {
    const p = await refusedWord('visit-ahead');
    const seen: Visit = { ...p.visit, state: 'done', seen: { at: iso(Date.now()) } };
    p.field.visits.known.value = [seen];
    const note = p.show(OutboxNote);
    const card = p.show(VisitCard, { visit: p.field.visits.own.value[0] });
    expect(card.text()).toContain('已走访');
    expect(card.findAll('button').map((b) => b.text())).toEqual(['已走访']);
    await touch(note, '再说一次');
    p.take();
    steady.ms += 1000;
    await note.find('form').trigger('submit');
    await settle();
    expect([p.words.map((w) => w.text), p.kinds()]).toEqual([['井盖松动', '井盖松动'], []]);
    await card.setProps({ visit: { ...seen, waiting: 0, said: { at: iso(Date.now()), text: '井盖松动', there: null } } });
    expect(card.findAll('button')).toEqual([]);
    card.unmount();
    note.unmount();
  });

  test('a word is not offered again once one has been told', async () => {
    const p = await refusedWord('visit-ahead');
    const said = { at: iso(Date.now()), text: '别人说的', there: null };
    p.field.visits.known.value = [{ ...p.visit, state: 'done', said }];
    const note = p.show(OutboxNote);
    expect(note.text()).toContain('后来已经记上了');
    expect(note.findAll('button').map((b) => b.text())).toEqual(['不要了']);
    note.unmount();
  });

  test('no quick text stands for words that were refused: all of them go along', async () => {
    const p = await refusedWord('visit-ahead');
    await p.drawer.put(letter('b', { body: { text: '栏杆断了' }, about: { kind: 'visit', title: '', visit: '31' }, n: 9 }));
    await p.field.outbox.open();
    await settle();
    expect(p.field.refused.value).toHaveLength(2);
    const card = p.show(VisitCard, { visit: p.field.visits.own.value[0] });
    steady.ms += 1000;
    await touch(card, '已走访');
    expect(card.text()).not.toContain('一切正常');
    expect(card.find('textarea').element.value).toBe('井盖松动\n栏杆断了');
    steady.ms += 1000;
    p.drawer.full = true; // nothing goes before the new one is written down
    await card.find('form').trigger('submit');
    await settle();
    expect(p.field.refused.value).toHaveLength(2);
    p.drawer.full = false;
    p.take();
    steady.ms += 1000;
    await card.find('form').trigger('submit');
    await settle();
    expect([p.words.at(-1)?.text, p.kinds()]).toEqual(['井盖松动\n栏杆断了', []]);
    card.unmount();
  });

  test('the second touch on saying it again drops nothing that has come under it', async () => {
    const p = await refusedWord('visit-ahead');
    await p.drawer.put(letter('b', { refused: { status: 409, detail: '' }, about: { kind: 'accept', title: '' } }));
    await p.field.outbox.open();
    const note = p.show(OutboxNote);
    await touch(note, '再说一次');
    p.take();
    steady.ms += 1000;
    await note.find('form').trigger('submit');
    await settle();
    await touch(note, '知道了');
    expect(p.kinds()).toEqual(['accept']);
    steady.ms += 1000;
    await touch(note, '知道了');
    expect(p.kinds()).toEqual([]);
    note.unmount();
  });

  test('a word that is written down is told once, even where the old one stays', async () => {
    const p = await refusedWord('visit-ahead');
    p.take();
    p.drawer.remove = async () => {
      throw new Error('the disk');
    };
    expect(await p.field.visits.say(p.visit, '已围上')).toBe(true);
  });

  test('the same text, told by another tab or phone of one’s own, is no one else’s', async () => {
    const visit = due(Date.now() - H, Date.now() + H);
    const lists: string[] = [];
    let type = '';
    const p = phone((path, init) => {
      if (path.startsWith('/api/v1/visits?')) {
        lists.push(path);
        return Response.json({ items: [visit], cursor: null });
      }
      if (type) return refuse(409, { type });
      const { text } = JSON.parse(String(init.body));
      return Response.json({ ...visit, state: 'done', repeated: true, said: { at: iso(Date.now() - H / 2), text, there: null } });
    });
    p.field.running = true;
    p.field.visits.known.value = [visit];
    steady.ms += 1000;
    await p.field.visits.say(visit, '一切正常');
    await settle();
    expect(p.kinds()).toEqual([]);
    type = 'visit-void'; // and after a refusal the list is read anew
    lists.length = 0;
    steady.ms += 1000;
    await p.field.visits.say(visit, '一切正常');
    await settle();
    expect([p.kinds(), lists.length]).toEqual([['visit'], 1]);
  });

  test.each(['visit-early', 'visit-outside'])('a word refused for %s whose period is over is made up for', async (type) => {
    const p = await refusedWord(type, { ...due(Date.now() - 2 * H, Date.now() - H), state: 'missed' });
    const note = p.show(OutboxNote);
    expect(note.text()).toContain('记为补巡');
    expect(note.text()).not.toContain('在时段里再说一次');
    await touch(note, '补报走访');
    expect(note.findAll('button').map((b) => b.text())).toEqual(['补报走访', '不要了']);
    note.unmount();
  });

  test('the form of a refused word is no alert, is written in at once, and says that it needs words', async () => {
    const p = await refusedWord('visit-ahead');
    const note = p.show(OutboxNote);
    expect(note.find('[role=alert]').text()).toContain('三号井');
    await touch(note, '再说一次');
    expect(document.activeElement).toBe(note.find('textarea').element);
    expect(note.find('[role=alert] textarea').exists()).toBe(false);
    expect(note.text()).not.toContain('请填写此项');
    await note.find('textarea').setValue(' ');
    await note.find('form').trigger('submit');
    await settle();
    expect(note.text()).toContain('请填写此项');
    expect(note.find('textarea').attributes('aria-invalid')).toBe('true');
    expect(p.words).toHaveLength(1);
    note.unmount();
  });
});
