// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// @vitest-environment jsdom

import { describe, expect, test } from 'vitest';
import { watch } from 'vue';
import VisitCard from '../src/field/VisitCard.vue';
import type { Visit } from '../src/field/visits';
import { settle } from './people';
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
});
