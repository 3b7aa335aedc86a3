// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0
// @vitest-environment jsdom

// The desk among others: the next person in the same tab, two who fill one joint session,
// answers that are lost or slow, and the lock.

import { mount } from '@vue/test-utils';
import { describe, expect, test, vi } from 'vitest';
import { defineComponent, h, onMounted, ref } from 'vue';
import DeskPage from '../src/desk/DeskPage.vue';
import IncidentPanel from '../src/desk/IncidentPanel.vue';
import QueuePanel from '../src/desk/QueuePanel.vue';
import type { Case } from '../src/desk/types';
import { makeI18nOf } from '../src/i18n';
import { deskEn } from '../src/i18n/desk.en';
import { deskZh } from '../src/i18n/desk.zh-CN';
import { SESSION } from '../src/session/store';
import { make, NO_REMARKS, standOf } from './deskstand';
import { FakeSocket, opened, reset } from './helpers';
import { dialogs, json, refuse, settle, session as signedIn } from './people';

vi.mock('../src/map/hallmap', () => ({ HallMap: class {} }));
vi.mock('../src/desk/pins', () => ({ MapPins: class {} }));
const socket = new FakeSocket();
vi.mock('../src/wire/socket', () => ({ openSocket: () => socket }));
const mounted: string[] = [];
vi.mock('../src/desk/DeskScreen.vue', () => ({
  default: defineComponent({
    setup() {
      onMounted(() => mounted.push('screen'));
      return () => h('i');
    },
  }),
}));

Element.prototype.scrollIntoView ??= () => {};
const AT = '2026-11-25T18:00:00+08:00';
const SEATS = ['值班领导', '属地主持'];
const sitting = (more = {}) => ({
  n: 1,
  at: AT,
  place: '三楼',
  follow_up: '',
  seats: SEATS.map((role) => ({ role, holder: '' })),
  called_by: 'account:1',
  confirmed_by: null,
  confirmed_at: null,
  ver: 1,
  changed_by: null,
  changed_at: null,
  ...more,
});
const owed = (n = 1) => ({
  n,
  reporter: n,
  owed_by: 'account:1',
  due: AT,
  tries: 0,
  done_at: null,
  done_by: null,
  outcome: null,
});
const closed = (id = '7') => make(id, { state: 'closed', open: false });

/** The panel beside an incident that is chosen. */
async function panelOf(i: Case, remarks: object = {}, before = (_: ReturnType<typeof standOf>) => {}) {
  dialogs();
  const s = standOf(i);
  s.remarks.set(i.id, { ...NO_REMARKS, ...remarks });
  before(s);
  s.desk.choose(i.id);
  await settle();
  const w = s.show(IncidentPanel);
  const submit = async () => {
    await w.find('dialog form').trigger('submit');
    await settle();
  };
  const fields = () => w.findAll('dialog .field input');
  const typedIn = (k: number) => (fields()[k]?.element as HTMLInputElement | undefined)?.value;
  return { ...s, w, submit, fields, typedIn };
}
const lost = () => Promise.reject(new TypeError('no line')) as Promise<Response>;

describe('who leaves', () => {
  test('leaves nothing of theirs to the next person in the same tab', async () => {
    const s = standOf(make('7', { state: 'accepted' }));
    s.remarks.set('7', { ...NO_REMARKS, sessions: [sitting()] });
    s.server.on('GET /remarks', () =>
      json({ counts: { call_backs: 1 }, items: [{ incident: '8', number: 'SJ8', call_back: owed() }] }),
    );
    s.desk.start();
    socket.accept();
    socket.say(reset(0), opened(1, '7'));
    s.timers.advance(60);
    s.desk.choose('7');
    await settle();
    s.desk.begin('session');
    s.desk.typed.value = '路灯';
    s.desk.dots.apply({ full: false, fixes: [{ worker: 12, lon: 107.5, lat: 38.2, fixAt: 0, state: 'on' }] } as never, 0);
    expect(s.desk.dots.counts().on).toBe(1);
    expect(s.desk.live.announced.size).toBe(1);
    const of = () => {
      const { chosen, detail, journal, advice, picked, matter, owed, open, typed, newest } = s.desk;
      return [chosen, detail, journal, advice, picked, matter, owed, open, typed, newest].map((x) => x.value);
    };
    expect(s.desk.matter.value).not.toBeNull();
    expect(s.desk.picked.value).toEqual(['12']);
    expect(s.desk.owed.value.count).toBe(1);
    expect(s.desk.open.value).toHaveLength(1);
    expect(s.desk.beside.remarks.value).not.toBeNull();
    s.desk.stop();
    expect(of()).toEqual(['', null, [], null, [], null, { count: 0, items: [] }, [], '', null]);
    expect(s.desk.dots.counts()).toEqual({ on: 0, task: 0, stale: 0, sos: 0 });
    expect(s.desk.beside.remarks.value).toBeNull();
    expect([s.desk.live.announced.size, s.desk.live.arrivedAt.size, s.desk.live.latest()]).toEqual([0, 0, []]);
    s.desk.start();
    socket.accept();
    expect(socket.sent.at(-1)).not.toHaveProperty('seq'); // begins with a snapshot of one's own
    s.desk.stop();
  });

  test('is not followed by answers that come later, nor by timers', async () => {
    const s = standOf(make('7', { state: 'accepted' }));
    const slow: ((r: Response) => void)[] = [];
    const later = () => new Promise<Response>((r) => slow.push(r));
    s.server.on('GET /remarks', () => json({ counts: { call_backs: 0 }, items: [] })).on('POST /incidents', later);
    s.server.on('POST /incidents/7/instructions', later).on('GET /categories', later);
    s.server.on('POST /messages', later).on('POST /select', () => json({ time: AT }));
    s.desk.start();
    s.desk.choose('7');
    await s.desk.selection.ask({ kind: 'circle', at: [107.2, 38.3], radiusM: 500 });
    await settle();
    const sent = s.desk.selection.send('集合', 'k');
    const written = s.desk.setDown('7', () => s.desk.api.instruct('7', { text: 'x', due: AT }, 'k'));
    const reported = s.desk.report();
    s.desk.stop();
    const asked = s.server.count('GET /remarks');
    const waits = s.timers.waits.length;
    for (const answer of slow) answer(json({ id: '7', items: [] }, 201));
    await Promise.all([written, reported, sent]);
    expect(s.desk.selection.message.value).toBeNull();
    await settle();
    expect(s.desk.chosen.value).toBe('');
    expect(s.timers.waits).toHaveLength(waits);
    s.timers.advance(120_000);
    await settle();
    expect(s.server.count('GET /remarks')).toBe(asked);
  });

  test('gives the desk to another account as a screen of its own', async () => {
    const store = {
      phase: ref('in'),
      locked: ref(false),
      login: ref('bai'),
      me: ref(signedIn({ role: 'dispatcher' })),
      acted: () => {},
      check: async () => {},
    };
    mounted.length = 0;
    const w = mount(DeskPage, {
      global: {
        plugins: [makeI18nOf('zh-CN', { 'zh-CN': deskZh, en: deskEn })],
        provide: { [SESSION as symbol]: store },
      },
    });
    await settle();
    expect(mounted).toHaveLength(1);
    store.login.value = 'hei';
    await settle();
    expect(mounted).toHaveLength(2);
    w.unmount();
  });
});

describe('two who fill one joint session', () => {
  test('do not overwrite each other: who is second keeps the own words, sees theirs, and decides', async () => {
    const s = await panelOf(make('7', { state: 'accepted' }), { sessions: [sitting()] });
    const theirs = sitting({
      ver: 2,
      seats: [
        { role: '值班领导', holder: '王主任岗' },
        { role: '属地主持', holder: '' },
      ],
      changed_by: 'account:2',
      changed_at: AT,
    });
    s.server.on('PUT /incidents/7/sessions/1', ({ body }) => {
      if ((body as { ver: number }).ver === 2) return json({ n: 1, ver: 3 });
      s.remarks.set('7', { ...NO_REMARKS, sessions: [theirs] });
      return refuse(409, { detail: 'changed' });
    });
    s.desk.begin('session');
    await settle();
    await s.fields()[2]?.setValue('值班副主任');
    await s.submit();
    expect(s.sent.at(-1)?.body).toMatchObject({ ver: 1 });
    expect(s.w.find('dialog .refused').text()).toContain('2 号账号 在 2026-11-25 18:00 先改了这次会商');
    expect(s.typedIn(2)).toBe('值班副主任');
    expect(s.w.find('dialog').text()).toContain('对方写的：王主任岗');
    await s.submit();
    expect(s.sent.at(-1)?.body).toMatchObject({ ver: 2, seats: [{ holder: '值班副主任' }, { holder: '' }] });
    expect(s.sent.at(-1)?.key).not.toBe(s.sent.at(-2)?.key);
    expect(s.w.find('dialog').exists()).toBe(false);
    s.w.unmount();
  });

  test('who is second keeps the seats of the first that were not touched here', async () => {
    const s = await panelOf(make('7', { state: 'accepted' }), { sessions: [sitting()] });
    const [leader, host] = sitting().seats.map((x) => x.role) as [string, string];
    const theirs = sitting({
      ver: 2,
      place: '二楼会商室',
      seats: [
        { role: leader, holder: '值班领导岗' },
        { role: host, holder: '' },
      ],
      changed_by: 'account:2',
      changed_at: AT,
    });
    s.server.on('PUT /incidents/7/sessions/1', ({ body }) => {
      if ((body as { ver: number }).ver === 2) return json({ n: 1, ver: 3 });
      s.remarks.set('7', { ...NO_REMARKS, sessions: [theirs] });
      return refuse(409, { detail: 'changed' });
    });
    s.desk.begin('session');
    await settle();
    await s.fields()[3]?.setValue('演东镇');
    await s.submit();
    expect([s.typedIn(2), s.typedIn(3)]).toEqual(['值班领导岗', '演东镇']);
    await s.submit();
    expect(s.sent.at(-1)?.body).toMatchObject({
      ver: 2,
      place: '二楼会商室',
      seats: [{ holder: '值班领导岗' }, { holder: '演东镇' }],
    });
    s.w.unmount();
  });

  test('a change whose answer was lost is sent again as it was, and confirmed from the version it made', async () => {
    const full = sitting({ follow_up: '信访局', seats: SEATS.map((role) => ({ role, holder: '某岗' })) });
    const s = await panelOf(make('7', { state: 'accepted' }), { sessions: [full] });
    let answer = lost;
    s.server
      .on('PUT /incidents/7/sessions/1', () => {
        s.remarks.set('7', { ...NO_REMARKS, sessions: [{ ...full, ver: 2, changed_by: 'account:1', changed_at: AT }] });
        return answer();
      })
      .on('POST /incidents/7/sessions/1/confirm', () => json({ n: 1 }));
    s.desk.begin('session');
    await settle();
    const confirm = async () => {
      await s.w.find('dialog button.main').trigger('click');
      await settle();
    };
    await confirm();
    answer = async () => json({ n: 1, ver: 2, repeated: true });
    await confirm();
    expect(s.sent.map((x) => [x.what, x.body.ver])).toEqual([
      ['7/sessions/1', 1],
      ['7/sessions/1', 1],
      ['7/sessions/1/confirm', 2],
    ]);
    expect(s.sent[0]?.key).toBe(s.sent[1]?.key);
    s.w.unmount();
  });

  test('writes the same seats once, though the answer to the confirmation was lost', async () => {
    const full = sitting({ follow_up: '信访局', seats: SEATS.map((role) => ({ role, holder: '某岗' })) });
    const s = await panelOf(make('7', { state: 'accepted' }), { sessions: [full] });
    let answer = lost;
    s.server
      .on('PUT /incidents/7/sessions/1', () => json({ n: 1, ver: 2 }))
      .on('POST /incidents/7/sessions/1/confirm', () => answer());
    s.desk.begin('session');
    await settle();
    const confirm = async () => {
      await s.w.find('dialog button.main').trigger('click');
      await settle();
    };
    await confirm();
    answer = async () => json({ n: 1, repeated: true });
    await confirm();
    expect(s.sent.map((x) => x.what)).toEqual(['7/sessions/1', '7/sessions/1/confirm', '7/sessions/1/confirm']);
    expect(s.sent[1]?.key).toBe(s.sent[2]?.key);
    s.w.unmount();
  });
});

describe('a joint session whose answer was lost', () => {
  test('is found though the line was down when it was looked for, and its words were changed', async () => {
    const s = await panelOf(make('7', { state: 'accepted' }));
    let down = true;
    s.server.on('POST /incidents/7/sessions', () => {
      s.remarks.set('7', { ...NO_REMARKS, sessions: [sitting()] });
      return down ? lost() : refuse(422, { detail: 'this idempotency key was used with another request' });
    });
    const read = () => json(s.remarks.get('7'));
    s.server.on('GET /incidents/7/remarks', () => (down ? lost() : read()));
    s.desk.begin('session');
    await settle();
    await s.fields()[1]?.setValue('三楼');
    await s.submit();
    down = false;
    await s.desk.load(); // the line is back, and what was called is read by itself
    await settle();
    await s.fields()[1]?.setValue('四楼');
    await s.submit();
    expect(s.fields()).toHaveLength(2 + SEATS.length + 1);
    s.w.unmount();
  });

  test('is found by reading, and the dialog goes on to its seats', async () => {
    const s = await panelOf(make('7', { state: 'accepted' }));
    s.server.on('POST /incidents/7/sessions', () => {
      s.remarks.set('7', { ...NO_REMARKS, sessions: [sitting()] });
      return lost();
    });
    s.desk.begin('session');
    await settle();
    await s.fields()[1]?.setValue('三楼');
    await s.submit();
    expect(s.fields()).toHaveLength(2 + SEATS.length + 1);
    expect(s.w.find('dialog .refused').exists()).toBe(false);
    s.w.unmount();
  });

  test('is not called twice, though its words are changed before it is sent again', async () => {
    const s = await panelOf(make('7', { state: 'accepted' }));
    let answer = lost;
    s.server.on('POST /incidents/7/sessions', () => answer());
    s.desk.begin('session');
    await settle();
    await s.fields()[1]?.setValue('三楼');
    await s.submit();
    answer = async () => {
      s.remarks.set('7', { ...NO_REMARKS, sessions: [sitting()] });
      return refuse(422, { detail: 'this idempotency key was used with another request' });
    };
    await s.fields()[1]?.setValue('四楼');
    await s.submit();
    expect(s.sent.map((x) => x.key)).toEqual([s.sent[0]?.key, s.sent[0]?.key]);
    expect(s.fields()).toHaveLength(2 + SEATS.length + 1);
    expect(s.typedIn(1)).toBe('三楼'); // as it was called; it may be changed here
    s.w.unmount();
  });
});

describe('a key that is pressed before what it goes by has been read', () => {
  test('waits for it, and does not call a second session', async () => {
    let come: (r: Response) => void = () => {};
    const s = await panelOf(make('7', { state: 'accepted' }), {}, ({ server }) =>
      server.on(
        'GET /incidents/7/remarks',
        () =>
          new Promise<Response>((r) => {
            come = r;
          }),
      ),
    );
    expect(s.desk.begin('session')).toBe(false);
    await settle();
    expect(s.w.find('dialog').exists()).toBe(false);
    expect(s.w.find('footer').text()).toContain('正在读取');
    come(json({ ...NO_REMARKS, sessions: [sitting()] }));
    await settle();
    expect(s.desk.matter.value).toMatchObject({ kind: 'session', of: { n: 1 } });
    expect(s.w.find('footer').text()).not.toContain('正在读取');
    s.w.unmount();
  });

  test('waits for the incident itself, from the list of call-backs too', async () => {
    const s = standOf(closed());
    dialogs();
    s.remarks.set('7', { ...NO_REMARKS, call_backs: [owed()] });
    s.server.on('GET /incidents/7/reporters', () => json({ items: [] }));
    s.desk.choose('7');
    const w = s.show(IncidentPanel);
    expect(s.desk.begin('callback')).toBe(false);
    await w.vm.$nextTick();
    expect(w.text()).toContain('正在读取，读到就打开');
    await settle();
    expect(s.desk.matter.value?.kind).toBe('callback');
    w.unmount();
  });

  test('reads the incident again where that failed, and lets go of the key when it fails again', async () => {
    const s = standOf(closed());
    dialogs();
    s.remarks.set('7', { ...NO_REMARKS, call_backs: [owed()] });
    s.server.on('GET /incidents/7/reporters', () => json({ items: [] }));
    const answer = s.server.fetch;
    let down = true;
    s.server.fetch = (path, init) => (down ? lost() : answer(path, init));
    s.desk.choose('7');
    await settle();
    s.desk.begin('callback');
    await settle();
    expect([s.desk.pending.value, s.desk.unread.value]).toEqual(['', true]);
    down = false;
    s.desk.begin('callback');
    await settle();
    expect(s.desk.matter.value?.kind).toBe('callback');
  });

  test('says that it could not be read, and reads again when it is pressed again', async () => {
    const s = await panelOf(closed(), {}, ({ server }) => server.on('GET /incidents/7/remarks', () => refuse(503)));
    s.desk.begin('callback');
    await settle();
    expect(s.w.find('footer').text()).toContain('没能读到协同情况');
    s.server.on('GET /incidents/7/remarks', () => json({ ...NO_REMARKS, call_backs: [owed()] }));
    s.server.on('GET /incidents/7/reporters', () => json({ items: [] }));
    s.desk.begin('callback');
    await settle();
    expect(s.desk.matter.value?.kind).toBe('callback');
    s.w.unmount();
  });

  test('takes back that there is nothing to do, once there is', async () => {
    const s = await panelOf(make('7', { state: 'reported' }));
    s.desk.begin('whistle');
    await settle();
    expect(s.w.find('footer').text()).toContain('受理以后');
    s.raise('7', { state: 'accepted' });
    await s.desk.load();
    await settle();
    expect(s.w.find('footer').text()).not.toContain('受理以后');
    s.w.unmount();
  });
});

describe('who reported', () => {
  const reporters = () => json({ items: [{ n: 1, name: '白**', phone: '139****0000' }] });

  test('is masked again by the lock, behind which the form can be read', async () => {
    const s = await panelOf(closed(), { call_backs: [owed()] });
    s.server
      .on('GET /incidents/7/reporters', reporters)
      .on('POST /incidents/7/reporters/1/reveal', () => json({ name: '白云', phone: '13912340000' }));
    s.desk.begin('callback');
    await settle();
    const reveal = async () => {
      await s.w.find('dialog .about button').trigger('click');
      await settle();
    };
    await reveal();
    expect(s.w.find('dialog .phone').text()).toBe('13912340000');
    s.locked.value = true;
    await settle();
    expect(s.w.find('dialog').text()).not.toContain('13912340000');
    expect(s.w.find('dialog').text()).not.toContain('白云');
    await reveal(); // an answer that comes behind the lock
    expect(s.w.find('dialog').text()).not.toContain('13912340000');
    s.locked.value = false;
    await settle();
    expect(s.w.find('dialog .phone').text()).toBe('139****0000');
    await reveal();
    expect(s.w.find('dialog .phone').text()).toBe('13912340000');
    s.w.unmount();
  });

  test('that could not be read is said, and read again', async () => {
    const s = await panelOf(closed(), { call_backs: [owed()] });
    s.server.on('GET /incidents/7/reporters', () => refuse(500));
    s.desk.begin('callback');
    await settle();
    expect(s.w.find('dialog [role=alert]').text()).toBe('没能读到上报人。');
    s.server.on('GET /incidents/7/reporters', reporters);
    await s.w.find('dialog form > button.small').trigger('click');
    await settle();
    expect(s.w.find('dialog .phone').text()).toBe('139****0000');
    expect(s.w.find('dialog [role=alert]').exists()).toBe(false);
    s.w.unmount();
  });
});

test('a closed incident that could not be read says so, and can be chosen again', async () => {
  const s = await panelOf(closed(), {}, ({ server }) => server.on('GET /incidents/7/journal', () => refuse(503)));
  expect(s.w.text()).toContain('没能读到这件事');
  s.server.on('GET /incidents/7/journal', () => json({ items: s.journals.get('7') }));
  s.desk.choose('7');
  await settle();
  expect(s.w.find('h2').exists()).toBe(true);
  expect(s.w.text()).not.toContain('没能读到这件事');
  s.w.unmount();
});

test('the arrows go along the rows that are shown', async () => {
  const s = standOf(closed('7'), closed('8'), closed('9'));
  const w = s.show(QueuePanel);
  s.desk.lane.value = 'call';
  s.desk.owed.value = {
    count: 3,
    items: ['7', '8', '9'].map((id) => ({ incident: id, number: `SJ00000000${id}`, call_back: owed() })),
  };
  s.desk.typed.value = '9';
  await settle();
  expect(w.findAll('.row')).toHaveLength(1);
  s.desk.step(1);
  expect(s.desk.chosen.value).toBe('9');
  s.desk.typed.value = '';
  s.desk.lane.value = 'send';
  s.desk.open.value = Array.from({ length: 130 }, (_, k) => make(String(100 + k)));
  await settle();
  const shown = w.findAll('.row').length;
  expect(shown).toBe(120);
  expect(s.desk.rows.value).toHaveLength(shown);
  w.unmount();
});
