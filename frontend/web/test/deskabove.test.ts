// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0
// @vitest-environment jsdom

import { describe, expect, test, vi } from 'vitest';
import { type AboveKey, supervises } from '../src/desk/above';
import IncidentPanel from '../src/desk/IncidentPanel.vue';
import QueuePanel from '../src/desk/QueuePanel.vue';
import type { Case } from '../src/desk/types';
import { entry, make, NO_REMARKS, standOf } from './deskstand';
import { dialogs, json, refuse, settle } from './people';

vi.mock('../src/map/hallmap', () => ({ HallMap: class {} }));
vi.mock('../src/desk/pins', () => ({ MapPins: class {} }));

Element.prototype.scrollIntoView ??= () => {}; // jsdom lays nothing out
const AT = '2026-11-25T18:00:00+08:00';
const PATH = ['旗', '城川镇', '黑梁头嘎查'].map((name, k) => ({ level: k + 1, code: `G${k + 1}`, name }));
const placed = (more: Partial<Case> = {}) => make('7', { state: 'routed', grid: { path: PATH }, ...more } as Partial<Case>);
const at = (level: number) => ({ grid: { code: `G${level}`, name: '', level } });
const lost = () => Promise.reject(new TypeError('no line')) as Promise<Response>;

/** The panel of one incident that somebody of a level looks at, after it has come. */
async function panelOf(i: Case, { role = 'dispatcher', level = 1, remarks = {}, whistles = [] as object[] } = {}) {
  dialogs();
  const s = standOf(i);
  s.role.value = role;
  s.me.value = at(level);
  s.remarks.set(i.id, { ...NO_REMARKS, ...remarks });
  s.server.on('GET /incidents/7/whistles', () => json({ items: whistles }));
  s.desk.choose(i.id);
  await settle();
  const w = s.show(IncidentPanel);
  const key = async (k: AboveKey) => {
    const begun = s.desk.begin(k);
    await settle();
    return begun;
  };
  const submit = async () => {
    await w.find('dialog form').trigger('submit');
    await settle();
  };
  const refusal = () => w.find('dialog .refused').text();
  const offered = () => w.findAll('section > .acts > button').map((b) => b.text());
  return { ...s, w, key, submit, refusal, offered };
}

describe('a department’s word by telephone', () => {
  const call = (department: string, state: string, more = {}) => ({
    department,
    lead: department === '消防救援',
    state,
    late: false,
    distance_m: null,
    ...more,
  });
  const whistle = (calls: object[], more = {}) => ({
    id: '5',
    state: 'running',
    made_at: AT,
    due: AT,
    arrived: 0,
    calls,
    ...more,
  });

  test('is taken of one that has not said that it is there, once, though its answer was lost', async () => {
    const calls = [
      call('消防救援', 'called', { late: true }),
      call('住房建设', 'reported'),
      call('民政', 'said'),
      call('公安', 'arrived'),
    ];
    const s = await panelOf(placed(), { whistles: [whistle(calls)] });
    let answer: () => Promise<Response> = lost;
    s.server.on('POST /whistles/5/reports', () => answer());
    expect(await s.key('word')).toBe(true);
    expect(s.w.findAll('dialog input[name=department]').map((x) => x.attributes('disabled') !== undefined)).toEqual([
      false,
      false,
      true,
      true,
    ]);
    await s.submit();
    expect(s.w.findAll('dialog .fault').map((x) => x.text())).toEqual(['请选来话的部门。', '请选它说了什么。']);
    await s.w.find('dialog input[value=消防救援]').setValue();
    await s.w.find('dialog input[value=report]').setValue();
    await s.submit();
    expect(s.refusal()).not.toBe('');
    expect((s.w.find('dialog input[value=消防救援]').element as HTMLInputElement).checked).toBe(true);
    answer = async () => json(whistle(calls));
    await s.submit();
    expect(s.sent.map((x) => x.body)).toEqual(Array(2).fill({ kind: 'report', department: '消防救援' }));
    expect(s.sent[0]?.key).toBe(s.sent[1]?.key);
    expect(s.w.find('dialog').exists()).toBe(false);
    s.w.unmount();
  });

  test('that it comes is not asked for twice', async () => {
    const s = await panelOf(placed(), { whistles: [whistle([call('住房建设', 'reported'), call('民政', 'arrived')])] });
    await s.key('word');
    expect((s.w.find('dialog input[value=住房建设]').element as HTMLInputElement).checked).toBe(true); // the only one left
    expect(s.w.find('dialog input[value=report]').attributes('disabled')).toBeDefined();
    await s.submit();
    expect(s.sent).toEqual([]);
    s.w.unmount();
  });

  test('is not wanted where nobody is on the way, nor taken by a leader, and a whistle that is over says so', async () => {
    const s = await panelOf(placed(), { whistles: [whistle([call('民政', 'said')])] });
    expect(await s.key('word')).toBe(false);
    expect(s.w.text()).toContain('没有正在吹哨、还没到场的部门');
    expect(s.offered().join()).not.toContain('电话报到');
    s.w.unmount();
    const leader = await panelOf(placed(), { role: 'county_leader', whistles: [whistle([call('民政', 'called')])] });
    expect(await leader.key('word')).toBe(false);
    leader.w.unmount();
    const late = await panelOf(placed(), { whistles: [whistle([call('民政', 'called')])] });
    late.server.on('POST /whistles/5/reports', () => {
      late.server.on('GET /incidents/7/whistles', () => json({ items: [whistle([call('民政', 'called')], { state: 'ended' })] }));
      return refuse(409, { detail: 'this whistle is over' });
    });
    await late.key('word');
    await late.w.find('dialog input[value=arrive]').setValue();
    await late.submit();
    expect(late.refusal()).toContain('这次吹哨已经结束了');
    late.w.unmount();
  });
});

describe('a supervision', () => {
  test('is opened from above the level that owes the incident, at the county from the county itself', () => {
    const can = (owner: number, mine: number, open = true) => supervises(placed({ owner_level: owner, open }), at(mine) as never);
    expect([can(3, 1), can(3, 2), can(2, 1), can(1, 1)]).toEqual([true, true, true, true]);
    expect([can(2, 2), can(2, 3), can(1, 2), can(3, 1, false)]).toEqual([false, false, false, false]);
    expect(supervises({ ...placed({ owner_level: 1 }), grid: undefined } as unknown as Case, at(1) as never)).toBe(false);
  });

  test('is answered by whom the server lets answer, and offered to nobody else', async () => {
    for (const may of [true, false]) {
      const s = await panelOf(placed());
      const asked = { id: '9', level: 1, owner_level: 2, opened_at: AT, reply_due: AT, reason: '为何未到', closed: false };
      s.server.on('GET /supervisions', () => json({ items: [{ ...asked, may_reply: may }] }));
      await s.desk.load();
      await settle();
      expect(s.w.find('.beside .warn button').exists(), String(may)).toBe(may);
      expect(s.offered().join().includes('回复督办'), String(may)).toBe(may);
      expect(await s.key('instruction' as never), String(may)).toBe(may);
      s.w.unmount();
    }
  });

  test('says why and within what limit; without one by the rules, which are told', async () => {
    const s = await panelOf(placed({ priority: 1 }));
    s.server
      .on('GET /calendar', () => json({ ladder: [{ priority: 1, reply: { value: 15, unit: 'min' } }] }))
      .on('POST /incidents/7/supervisions', () => json({ id: '9' }, 201));
    expect(await s.key('supervise')).toBe(true);
    expect(s.w.find('dialog').text()).toContain('不填按规定：15 分钟');
    expect(s.w.find('dialog').text()).toContain('城川镇');
    await s.submit();
    expect(s.w.find('dialog .fault').text()).toBe('请填写此项');
    await s.w.find('dialog textarea').setValue('已超时，说明情况');
    for (const bad of ['0', '1.5', '-3', '1001', '两']) {
      await s.w.find('dialog input').setValue(bad);
      await s.submit();
    }
    expect(s.sent).toEqual([]);
    await s.w.find('dialog input').setValue('2');
    await s.submit();
    await s.key('supervise');
    await s.w.find('dialog textarea').setValue('再催');
    await s.submit();
    expect(s.sent.map((x) => [x.what, x.body])).toEqual([
      ['7/supervisions', { reason: '已超时，说明情况', reply: { value: 2, unit: 'nh' } }],
      ['7/supervisions', { reason: '再催' }],
    ]);
    s.w.unmount();
  });

  test('is not offered below, and not to a leader', async () => {
    for (const [role, level] of [
      ['town_operator', 2],
      ['village_head', 3],
      ['county_leader', 1],
    ] as const) {
      const s = await panelOf(placed(), { role, level });
      expect(await s.key('supervise'), role).toBe(false);
      expect(s.offered().join(), role).not.toContain('督办');
      s.w.unmount();
    }
  });

  test('says who has to answer, and how long there is, while its clock runs', async () => {
    for (const [state, clock] of [
      ['routed', true],
      ['suspended', false],
    ] as const) {
      const s = await panelOf(placed({ state, department: '公安' }));
      const asked = { id: '9', level: 1, owner_level: 2, opened_by: 'system:sweep', officers: [], opened_at: AT, closed: false };
      s.server.on('GET /supervisions', () =>
        json({ items: [{ ...asked, reply_due: '2099-01-01T08:00:00+08:00', reason: '为何未到' }] }),
      );
      await s.desk.load();
      await settle();
      const row = s.w.find('.beside .warn').text();
      expect(row).toContain('城川镇 · 公安 2099-01-01 08:00 前回复');
      expect(row).toContain('为何未到');
      expect(/剩 \d+天/.test(row), state).toBe(clock);
      s.w.unmount();
    }
  });

  test('of an incident that has ended meanwhile says so, and keeps what was written', async () => {
    const s = await panelOf(placed());
    s.server
      .on('GET /calendar', () => json({ ladder: [] }))
      .on('POST /incidents/7/supervisions', () => {
        s.raise('7', { state: 'void', open: false });
        return refuse(409, { detail: 'the incident is closed' });
      });
    await s.key('supervise');
    await s.w.find('dialog textarea').setValue('为何未到');
    await s.submit();
    expect(s.refusal()).toContain('这件事已经结束，不用再督办');
    expect((s.w.find('dialog textarea').element as HTMLTextAreaElement).value).toBe('为何未到');
    s.w.unmount();
  });
});

describe('a decision', () => {
  const request = (more = {}) => ({
    n: 1,
    kind: 'extend',
    state: 'open',
    reason: '待料',
    value: 3,
    unit: 'wd',
    asked_by: 'account:2',
    asked_at: AT,
    decided_by: null,
    decided_at: null,
    ...more,
  });
  const waiting = (incident: string, r = request()) => ({ incident, number: `SJ00000000${incident}`, request: r });
  const listing = (items: object[], cursor: string | null = null) => ({ items, cursor, counts: {} });

  test('shows what is asked for, wants a reason of a refusal, and is sent once', async () => {
    const s = await panelOf(placed({ stage_due: AT }), { remarks: { requests: [request()] } });
    s.server.on('GET /remarks', ({ query }) =>
      json(query.kind === 'request' && query.mine === 'true' ? listing([waiting('7')]) : listing([])),
    );
    await s.desk.deciding.look();
    expect(await s.key('decide')).toBe(true);
    expect(s.w.find('dialog').text()).toContain('顺延 3 工作日');
    expect(s.w.find('dialog').text()).toContain('待料');
    await s.submit();
    expect(s.w.find('dialog .fault').text()).toBe('请选同意或不同意。');
    await s.w.find('dialog input[value=refuse]').setValue();
    await s.submit();
    expect(s.w.find('dialog .fault').text()).toBe('不同意要写明理由。');
    expect(s.sent).toEqual([]);
    let answer: () => Promise<Response> = lost;
    s.server.on('POST /incidents/7/requests/1/decision', () => answer());
    await s.w.find('dialog textarea').setValue('材料已到');
    await s.submit();
    answer = async () => {
      s.server.on('GET /remarks', () => json(listing([])));
      return json({ n: 1 });
    };
    await s.submit();
    expect(s.sent.map((x) => x.body)).toEqual(Array(2).fill({ decision: 'refuse', reason: '材料已到' }));
    expect(s.sent[0]?.key).toBe(s.sent[1]?.key);
    expect(s.w.find('dialog').exists()).toBe(false);
    expect(await s.key('decide')).toBe(false);
    s.w.unmount();
  });

  test('that somebody else has made says by whom and how; a lapsed request says that', async () => {
    const s = await panelOf(placed(), { remarks: { requests: [request()] } });
    s.server.on('GET /remarks', () => json(listing([waiting('7')])));
    await s.desk.deciding.look();
    const decided = (more: object) =>
      s.server.on('POST /incidents/7/requests/1/decision', () => {
        s.remarks.set('7', { ...NO_REMARKS, requests: [request(more)] });
        s.journals.get('7')?.push({ ...entry(2, 'decision', 'account:5'), by: { role: 'hall_operator' } } as never);
        return refuse(409, { detail: 'already' });
      });
    decided({ state: 'refused', decided_by: 'account:5', decided_at: AT, answer: '不必' });
    await s.key('decide');
    await s.w.find('dialog input[value=approve]').setValue();
    await s.submit();
    expect(s.refusal()).toContain('大厅值班员（5 号） 在 2026-11-25 18:00 没有同意这项申请：不必');
    expect(s.w.find('dialog button[type=submit]').exists()).toBe(false);
    s.desk.matter.value = null;
    s.remarks.set('7', { ...NO_REMARKS, requests: [request()] });
    await s.desk.load();
    await settle();
    decided({ state: 'lapsed', decided_at: AT });
    await s.key('decide');
    await s.w.find('dialog input[value=approve]').setValue();
    await s.submit();
    expect(s.refusal()).toContain('这项申请已失效');
    s.w.unmount();
  });

  test('made by somebody else while the form is open is said in it, and what was written can still be read', async () => {
    const s = await panelOf(placed(), { remarks: { requests: [request()] } });
    s.server.on('GET /remarks', () => json(listing([waiting('7')])));
    await s.desk.deciding.look();
    await s.key('decide');
    await s.w.find('dialog textarea').setValue('先核实');
    s.remarks.set('7', { ...NO_REMARKS, requests: [request({ state: 'approved', decided_by: 'account:5', decided_at: AT })] });
    await s.desk.load();
    await settle();
    expect(s.w.find('dialog .notice').text()).toContain('在 2026-11-25 18:00 已经同意了这项申请');
    expect(s.w.find<HTMLTextAreaElement>('dialog textarea').element.value).toBe('先核实');
    expect(s.w.find('dialog button[type=submit]').exists()).toBe(false);
    s.w.unmount();
  });

  test('is offered of what waits for this person alone', async () => {
    const s = await panelOf(placed(), { remarks: { requests: [request(), request({ n: 2, kind: 'void' })] } });
    s.server.on('GET /remarks', () => json(listing([waiting('7', request({ n: 2, kind: 'void' }))])));
    await s.desk.deciding.look();
    await settle();
    const rows = s.w.findAll('.beside li').filter((li) => li.text().includes('申请'));
    expect(rows.map((r) => r.find('button').exists())).toEqual([false, true]);
    await rows[1]?.find('button').trigger('click');
    await settle();
    expect(s.w.find('dialog').text()).toContain('申请作废');
    s.w.unmount();
  });

  test('waits in a part of the queue of its own, which the key turns to', async () => {
    const s = standOf(placed(), make('8', { state: 'accepted' }));
    dialogs();
    let items = [waiting('8')];
    s.server.on('GET /remarks', ({ query }) =>
      json(query.kind === 'request' ? listing(items, 'more') : { counts: { call_backs: 0 }, items: [] }),
    );
    s.desk.start();
    s.desk.open.value = [...s.held.values()];
    await settle();
    const w = s.show(QueuePanel);
    const tab = () => w.findAll('[role=tab]')[4];
    expect(tab()?.text()).toBe('待审批 1+');
    expect(s.desk.begin('decide')).toBe(true);
    await settle();
    expect(s.desk.lane.value).toBe('ask');
    expect(s.desk.chosen.value).toBe('8');
    expect(w.findAll('.row')).toHaveLength(1);
    items = [waiting('7'), waiting('8')];
    s.timers.advance(30_000);
    await settle();
    s.desk.step(-1);
    expect(s.desk.chosen.value).toBe('7');
    expect(s.desk.lane.value).toBe('ask');
    s.desk.stop();
    w.unmount();
  });

  test('is not said to be missing while the list is read, or could not be; the key waits and reads it again', async () => {
    const s = standOf(placed(), make('8', { state: 'accepted' }));
    dialogs();
    let answer: () => Promise<Response> | Response = lost;
    s.server.on('GET /remarks', ({ query }) =>
      query.kind === 'request' ? answer() : json({ counts: { call_backs: 0 }, items: [] }),
    );
    s.desk.start();
    s.desk.open.value = [...s.held.values()];
    s.desk.lane.value = 'ask';
    const w = s.show(QueuePanel);
    expect(w.text()).toContain('正在读取待审批');
    await settle();
    expect(w.text()).toContain('没能读到待审批的申请');
    expect(w.text()).not.toContain('没有等您审批');
    let late = (_: Response) => {};
    answer = () =>
      new Promise<Response>((r) => {
        late = r;
      });
    expect(s.desk.begin('decide')).toBe(false);
    await settle();
    expect(w.text()).toContain('正在读取待审批'); // and no more that it failed: it is being read
    expect(w.text()).not.toContain('没能读到');
    late(json(listing([waiting('8')])));
    await settle();
    expect(s.desk.chosen.value).toBe('8');
    expect(s.desk.matter.value?.kind).toBe('decide');
    s.desk.stop();
    w.unmount();
  });

  test('a list that could not be read is looked for again soon, and is not blinked at meanwhile', async () => {
    const s = standOf(placed());
    let answer: () => Promise<Response> | Response = lost;
    s.server.on('GET /remarks', ({ query }) =>
      query.kind === 'request' ? answer() : json({ counts: { call_backs: 0 }, items: [] }),
    );
    s.desk.start();
    s.desk.open.value = [...s.held.values()];
    s.desk.lane.value = 'ask';
    const w = s.show(QueuePanel);
    await settle();
    expect(w.text()).toContain('没能读到待审批的申请');
    answer = () => json(listing([waiting('7')]));
    s.timers.advance(5000);
    expect(w.text()).toContain('没能读到待审批的申请');
    await settle();
    expect(w.text()).not.toContain('没能读到');
    expect(w.findAll('.row')).toHaveLength(1);
    s.desk.stop();
    w.unmount();
  });

  test('the key waits for the newest look where another overtakes its own', async () => {
    const s = standOf(placed(), make('8', { state: 'accepted' }));
    dialogs();
    const slow: ((r: Response) => void)[] = [];
    s.server.on('GET /remarks', ({ query }) =>
      query.kind === 'request' ? new Promise<Response>((r) => slow.push(r)) : json({ counts: { call_backs: 0 }, items: [] }),
    );
    s.desk.start();
    s.desk.open.value = [...s.held.values()];
    expect(s.desk.begin('decide')).toBe(false);
    void s.desk.deciding.look(); // as an event of the chosen incident does
    expect(slow).toHaveLength(3);
    slow[1]?.(json(listing([])));
    await settle();
    slow[2]?.(json(listing([waiting('8')])));
    await settle();
    expect(s.desk.chosen.value).toBe('8');
    expect(s.desk.matter.value?.kind).toBe('decide');
    s.desk.stop();
  });

  test('is nothing for a town: it has no such part, and asks for none', async () => {
    const s = await panelOf(placed(), { role: 'town_operator', level: 2 });
    await s.desk.deciding.look();
    expect(s.server.count('GET /remarks')).toBe(0);
    const w = s.show(QueuePanel);
    expect(w.findAll('[role=tab]')).toHaveLength(4);
    expect(await s.key('decide')).toBe(false);
    w.unmount();
    s.w.unmount();
  });
});
