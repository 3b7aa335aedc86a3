// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0
// @vitest-environment jsdom

import { describe, expect, test, vi } from 'vitest';
import { nextTick } from 'vue';
import ActDialog from '../src/desk/ActDialog.vue';
import IncidentPanel from '../src/desk/IncidentPanel.vue';
import { deskKey, type KeyDesk } from '../src/desk/keys';
import QueuePanel from '../src/desk/QueuePanel.vue';
import SelectPanel from '../src/desk/SelectPanel.vue';
import type { By, Case } from '../src/desk/types';
import { actorWord } from '../src/desk/words';
import { makeI18nOf } from '../src/i18n';
import { deskEn } from '../src/i18n/desk.en';
import { deskZh } from '../src/i18n/desk.zh-CN';
import { entry, make, NO_REMARKS, standOf } from './deskstand';
import { dialogs, json, refuse, settle } from './people';

vi.mock('../src/map/hallmap', () => ({ HallMap: class {} }));
vi.mock('../src/desk/pins', () => ({ MapPins: class {} }));

Element.prototype.scrollIntoView ??= () => {}; // jsdom lays nothing out
const AT = '2026-11-25T18:00:00+08:00';
const owed = (n: number, more = {}) => ({
  n,
  reporter: n,
  owed_by: 'account:1',
  due: AT,
  tries: 0,
  done_at: null,
  done_by: null,
  outcome: null,
  ...more,
});
const instruction = (more = {}) => ({
  n: 1,
  text: '三日内办妥',
  due: AT,
  given_by: 'account:3',
  given_at: AT,
  reply: null,
  replied_by: null,
  replied_at: null,
  ...more,
});
const whistle = (more = {}) => ({
  id: '5',
  state: 'running',
  made_at: AT,
  due: AT,
  arrived: 1,
  calls: [
    { department: '消防救援', lead: true, state: 'arrived', late: false, distance_m: 40 },
    { department: '住房建设', lead: false, state: 'reported', late: true, distance_m: null },
  ],
  ...more,
});
const SEATS = ['值班领导', '属地主持'];
const session = (more = {}) => ({
  n: 1,
  at: AT,
  place: '三楼会议室',
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

/** The panel of one incident, after it has come. */
async function panelOf(i: Case, remarks: object = {}, role = 'dispatcher') {
  dialogs();
  const s = standOf(i);
  s.role.value = role;
  s.remarks.set(i.id, { ...NO_REMARKS, ...remarks });
  s.desk.departments.value = ['消防救援', '住房建设', '民政'];
  s.desk.choose(i.id);
  await settle();
  const w = s.show(IncidentPanel);
  const key = async (k: 'callback' | 'instruction' | 'whistle' | 'session') => {
    const begun = s.desk.begin(k);
    await settle();
    return begun;
  };
  const submit = async () => {
    await w.find('dialog form').trigger('submit');
    await settle();
  };
  const refusal = () => w.find('dialog .refused').text();
  return { ...s, w, key, submit, refusal };
}
const closed = () => make('7', { state: 'closed', open: false });
const OFFICE = { role: 'dispatcher', grid: '城川镇' };

describe('a call-back', () => {
  test('is listed while it is owed, asks for what came of it, and for words where somebody is not satisfied', async () => {
    const s = await panelOf(closed(), { call_backs: [owed(1)] });
    s.server.on('GET /incidents/7/reporters', () => json({ items: [{ n: 1, name: '白**', phone: '139****0000' }] }));
    s.server.on('POST /incidents/7/callbacks/1/outcome', () => {
      s.remarks.set('7', { ...NO_REMARKS, call_backs: [owed(1, { done_at: AT, done_by: 'account:2', outcome: 'unsatisfied' })] });
      return json({ n: 1 });
    });
    expect(s.w.text()).toContain('2026-11-25 18:00 前回访');
    expect(await s.key('callback')).toBe(true);
    expect(s.w.find('dialog .phone').text()).toBe('139****0000');
    await s.submit();
    expect(s.w.find('dialog .fault').text()).toContain('回访结果');
    await s.w.find('dialog input[value=unsatisfied]').setValue();
    await s.submit();
    expect(s.sent).toEqual([]);
    await s.w.find('dialog textarea').setValue('还在漏水');
    await s.submit();
    expect(s.sent.map((x) => [x.what, x.body])).toEqual([
      ['7/callbacks/1/outcome', { outcome: 'unsatisfied', text: '还在漏水' }],
    ]);
    expect(s.w.find('dialog').exists()).toBe(false);
    expect(s.w.text()).toContain('不满意');
    expect(await s.key('callback')).toBe(false);
    s.w.unmount();
  });

  test('shows the number in full for a reason, to whom may ask for it, and forgets it with the form', async () => {
    const s = await panelOf(closed(), { call_backs: [owed(1)] });
    s.server
      .on('GET /incidents/7/reporters', () => json({ items: [{ n: 1, name: '白**', phone: '139****0000' }] }))
      .on('POST /incidents/7/reporters/1/reveal', () => json({ name: '白云', phone: '13912340000', id_number: '' }));
    await s.key('callback');
    await s.w.find('dialog .about button').trigger('click');
    await settle();
    expect(s.sent.map((x) => x.body)).toEqual([{ reason: '回访 SJ000000007 的上报人' }]);
    expect(s.w.find('dialog .phone').text()).toBe('13912340000');
    s.desk.matter.value = null;
    await nextTick();
    s.role.value = 'village_head';
    await s.key('callback');
    expect(s.w.find('dialog .phone').text()).toBe('139****0000');
    expect(s.w.find('dialog .about button').exists()).toBe(false);
    s.w.unmount();
  });

  test('that somebody else has made is refused by the words who, when and with what', async () => {
    const s = await panelOf(closed(), { call_backs: [owed(1)] });
    s.server
      .on('GET /incidents/7/reporters', () => json({ items: [] }))
      .on('POST /incidents/7/callbacks/1/outcome', () => {
        s.remarks.set('7', { ...NO_REMARKS, call_backs: [owed(1, { done_at: AT, done_by: 'account:2', outcome: 'satisfied' })] });
        s.journals.get('7')?.push({ ...entry(2, 'call_back', 'account:2'), by: OFFICE } as never);
        return refuse(409, { detail: 'this reporter was called back already' });
      });
    await s.key('callback');
    await s.w.find('dialog input[value=satisfied]').setValue();
    await s.submit();
    expect(s.refusal()).toContain('调度员 城川镇（2 号） 在 2026-11-25 18:00 已经回访过这位上报人：满意');
    s.w.unmount();
  });

  test('that waits is in a part of the queue of its own, where the arrows go along', async () => {
    const { desk, server, show, timers } = standOf(closed(), make('8', { state: 'closed', open: false }));
    let items = [{ incident: '7', number: 'SJ000000007', call_back: owed(1) }];
    server.on('GET /remarks', ({ query }) =>
      query.kind === 'call_back' ? json({ counts: { call_backs: items.length }, items }) : json({ items: [] }),
    );
    desk.start();
    await settle();
    const w = show(QueuePanel);
    await w.findAll('[role=tab]')[3]?.trigger('click');
    expect(w.findAll('.row').map((r) => r.find('b').text())).toEqual(['SJ000000007']);
    desk.step(1);
    expect(desk.chosen.value).toBe('7');
    items = [...items, { incident: '8', number: 'SJ000000008', call_back: owed(1) }];
    timers.advance(30_000);
    await settle();
    expect(w.findAll('.row')).toHaveLength(2);
    desk.step(1);
    expect(desk.chosen.value).toBe('8');
    desk.stop();
    w.unmount();
  });
});

describe('an instruction', () => {
  test('is a leader’s, with a time ahead; a leader moves nothing', async () => {
    const s = await panelOf(make('7', { state: 'routed', possible: [] }), {}, 'county_leader');
    expect(s.w.text()).not.toContain('申请作废');
    expect(s.server.count('GET /incidents/7/offers')).toBe(0);
    expect(s.server.count('GET /incidents/7/candidates')).toBe(0);
    expect(await s.key('whistle')).toBe(false);
    s.server.on('POST /incidents/7/instructions', () => json({ n: 1 }, 201));
    expect(await s.key('instruction')).toBe(true);
    await s.w.find('dialog textarea').setValue('三日内办妥');
    await s.w.find('dialog input').setValue('2020-01-01T08:00');
    await s.submit();
    expect(s.w.find('dialog .fault').text()).toBe('回复时限要晚于现在。');
    await s.w.find('dialog input').setValue('2099-01-01T08:00');
    await s.submit();
    expect(s.sent.map((x) => x.body)).toEqual([{ text: '三日内办妥', due: '2099-01-01T08:00:00+08:00' }]);
    s.w.unmount();
  });

  test('is answered by who handles the incident; sent twice it is one answer, and who was first is told', async () => {
    const s = await panelOf(make('7', { state: 'routed' }), { instructions: [instruction()] });
    let answer = () => Promise.reject(new TypeError('no line')) as Promise<Response>;
    s.server.on('POST /incidents/7/instructions/1/reply', () => answer());
    await s.key('instruction');
    await s.w.find('dialog textarea').setValue('已安排');
    await s.submit();
    answer = async () => {
      s.remarks.set('7', {
        ...NO_REMARKS,
        instructions: [instruction({ reply: '明天办', replied_by: 'token:4', replied_at: AT })],
      });
      return refuse(409, { detail: 'answered already' });
    };
    await s.submit();
    expect(s.sent).toHaveLength(2);
    expect(s.sent[0]?.key).toBe(s.sent[1]?.key);
    expect(s.refusal()).toContain('4 号令牌 在 2026-11-25 18:00 先回复了：明天办');
    await s.w.find('dialog textarea').setValue('改了');
    await s.submit();
    expect(s.sent[2]?.key).not.toBe(s.sent[1]?.key);
    s.w.unmount();
  });

  test('a supervision is answered by the same key', async () => {
    const s = await panelOf(make('7', { state: 'routed' }));
    const asked = {
      id: '9',
      level: 1,
      owner_level: 2,
      opened_at: AT,
      reply_due: AT,
      reason: '为何未到',
      closed: false,
      may_reply: true,
    };
    s.server.on('GET /supervisions', () => json({ items: [asked] })).on('POST /supervisions/9/reply', () => json({}));
    await s.desk.load();
    await settle();
    await s.key('instruction');
    expect(s.w.find('dialog').text()).toContain('为何未到');
    await s.w.find('dialog textarea').setValue('路上堵车');
    await s.submit();
    expect(s.server.last('POST /supervisions/9/reply')?.body).toEqual({ text: '路上堵车' });
    s.w.unmount();
  });
});

describe('a whistle', () => {
  test('calls a lead and others once each, and says who is there', async () => {
    const s = await panelOf(make('7', { state: 'accepted' }));
    s.server.on('POST /incidents/7/whistles', () => {
      s.server.on('GET /incidents/7/whistles', () => json({ items: [whistle()] }));
      return json(whistle(), 201);
    });
    await s.key('whistle');
    await s.submit();
    expect(s.w.find('dialog .fault').text()).toBe('请填写此项');
    for (const d of ['消防救援', '民政']) await s.w.find(`dialog input[value=${d}]`).setValue(true);
    await s.w.find('dialog select').setValue('消防救援'); // leads, and so it does not assist
    await s.submit();
    expect(s.sent.map((x) => x.body)).toEqual([{ lead: '消防救援', assisting: ['民政'], within_min: 30 }]);
    expect(s.w.text()).toContain('2 家中 1 家到场');
    expect(s.w.text()).toContain('住房建设');
    s.w.unmount();
  });

  test('that runs is ended with a reason; one that is over already says so', async () => {
    const s = await panelOf(make('7', { state: 'accepted' }));
    s.server
      .on('GET /incidents/7/whistles', () => json({ items: [whistle()] }))
      .on('POST /whistles/5/end', () => {
        s.server.on('GET /incidents/7/whistles', () => json({ items: [whistle({ state: 'met', arrived: 2 })] }));
        return refuse(409, { detail: 'this whistle is over' });
      });
    await s.desk.load();
    await settle();
    await s.key('whistle');
    await s.submit();
    expect(s.w.find('dialog .fault').text()).toBe('请填写此项');
    await s.w.find('dialog textarea').setValue('火已灭');
    await s.submit();
    expect(s.sent.at(-1)?.body).toEqual({ reason: '火已灭' });
    expect(s.refusal()).toContain('被吹的部门已经到齐');
    s.w.unmount();
  });

  test('is for what is accepted and not yet done', async () => {
    for (const [state, may] of [
      ['reported', false],
      ['accepted', true],
      ['resolved', false],
    ] as const) {
      const s = await panelOf(make('7', { state }));
      expect(await s.key('whistle'), state).toBe(may);
      expect(s.w.text().includes('受理以后、办结以前才能吹哨'), state).toBe(!may);
      s.w.unmount();
    }
  });
});

describe('a joint session', () => {
  test('is called, then its seats are filled, and it is confirmed when none is open', async () => {
    const s = await panelOf(make('7', { state: 'accepted' }));
    s.server
      .on('POST /incidents/7/sessions', () => {
        s.remarks.set('7', { ...NO_REMARKS, sessions: [session()] });
        return json({ n: 1 }, 201);
      })
      .on('PUT /incidents/7/sessions/1', () => json({ n: 1, ver: 2 }))
      .on('POST /incidents/7/sessions/1/confirm', () => json({ n: 1 }));
    await s.key('session');
    const fields = () => s.w.findAll('dialog .field input');
    await fields()[1]?.setValue('三楼会议室');
    await s.submit();
    expect(fields()).toHaveLength(2 + SEATS.length + 1); // the dialog has gone on to the seats
    await fields()[2]?.setValue('值班副主任');
    const confirm = () => s.w.find('dialog button.main').trigger('click');
    await confirm();
    expect(s.w.find('dialog [role=alert]').text()).toBe('还不能确认，缺：属地主持、跟办单位。');
    expect(s.sent).toHaveLength(1);
    await fields()[3]?.setValue('镇长');
    await fields()[4]?.setValue('信访局');
    await confirm();
    await settle();
    expect(s.sent.map((x) => x.what)).toEqual(['7/sessions', '7/sessions/1', '7/sessions/1/confirm']);
    expect(s.sent[1]?.body).toMatchObject({
      place: '三楼会议室',
      follow_up: '信访局',
      seats: [
        { role: '值班领导', holder: '值班副主任' },
        { role: '属地主持', holder: '镇长' },
      ],
    });
    expect(s.w.find('dialog').exists()).toBe(false);
    s.w.unmount();
  });

  test('that somebody else has confirmed says by whom, and stays', async () => {
    const s = await panelOf(make('7', { state: 'accepted' }), { sessions: [session()] });
    s.server.on('PUT /incidents/7/sessions/1', () => {
      s.remarks.set('7', { ...NO_REMARKS, sessions: [session({ confirmed_by: 'account:2', confirmed_at: AT })] });
      return refuse(409, { detail: 'confirmed' });
    });
    await s.key('session');
    await s.submit();
    expect(s.refusal()).toContain('2 号账号 在 2026-11-25 18:00 已经确认了这次会商');
    expect(s.w.find('dialog button[type=submit]').exists()).toBe(false);
    s.w.unmount();
  });
});

describe('an act that wants more', () => {
  const wanting = [{ action: 'route', needs: ['department'] }];

  test('a department that must be chosen is asked for beside its field', async () => {
    const s = await panelOf(make('7', { state: 'accepted', possible: wanting }));
    await s.w.findAll('section > .acts > button')[0]?.trigger('click');
    await s.submit();
    expect((s.w.find('dialog select').element as HTMLSelectElement).selectedOptions[0]?.text).toBe('请选择');
    expect(s.w.find('dialog .fault').text()).toBe('请填写此项');
    expect(s.sent).toEqual([]);
    await s.w.find('dialog select').setValue('民政');
    await s.submit();
    expect(s.sent.map((x) => x.body)).toEqual([{ action: 'route', department: '民政' }]);
    s.w.unmount();
  });

  test('before an offer opens its form instead of being refused, and nobody is asked yet', async () => {
    const s = await panelOf(make('7', { possible: [{ action: 'accept', needs: [] }] }));
    s.server.on('GET /incidents/7', () => {
      const c = s.held.get('7') as Case;
      return json(c.state === 'accepted' ? { ...c, possible: wanting } : c);
    });
    (s.w.vm as unknown as { offer: () => void }).offer();
    await settle();
    await settle();
    expect(s.sent.map((x) => `${x.what} ${x.body.action}`)).toEqual(['7/actions accept']);
    await s.w.find('dialog select').setValue('民政');
    await s.submit();
    expect(s.sent.map((x) => `${x.match} ${x.body.action}`)).toEqual(['"1" accept', '"2" route']);
    expect(s.desk.picked.value).toEqual(['12']);
    (s.w.vm as unknown as { offer: () => void }).offer();
    await settle();
    expect(s.sent.at(-1)).toMatchObject({ what: '7/offers', match: '"3"' });
    s.w.unmount();
  });

  test('is asked for where the offer was pressed on the map, too, and nobody is said to be sent', async () => {
    const s = await panelOf(make('7', { state: 'accepted', possible: wanting }));
    const inside = { count: 1, stale: 0, items: [{ worker_id: '12', badge: 'W12', state: 'on' }] };
    const marking = s.show(SelectPanel);
    s.desk.selection.result.value = { workers: inside } as never;
    s.desk.turnTo('select');
    await nextTick();
    const offer = () => marking.findAll('button').find((b) => b.text().includes('W12'));
    await offer()?.trigger('click');
    await settle();
    expect(s.sent).toEqual([]);
    expect(marking.text()).not.toContain('已派给');
    expect(s.desk.mode.value).toBe('incident');
    await s.w.find('dialog select').setValue('民政');
    await s.submit();
    expect(s.sent.map((x) => x.body.action)).toEqual(['route']);
    marking.unmount();
    s.w.unmount();
  });

  test('pressed again after its form was closed opens the form again', async () => {
    const s = await panelOf(make('7', { state: 'accepted', possible: wanting }));
    for (let i = 0; i < 2; i++) {
      (s.w.vm as unknown as { offer: () => void }).offer();
      await settle();
      expect(s.w.find('dialog').exists()).toBe(true);
      s.w.findComponent(ActDialog).vm.$emit('close');
      await nextTick();
      expect(s.w.find('dialog').exists()).toBe(false);
    }
    s.w.unmount();
  });

  test('a refusal of another cause does not say that the incident has moved', async () => {
    const s = await panelOf(make('7', { state: 'routed', possible: [{ action: 'return', needs: ['reason'] }] }));
    s.server.on('POST /incidents/7/actions', () => refuse(409, { detail: 'there is no liaison officer' }));
    await s.w.findAll('section > .acts > button')[0]?.trigger('click');
    await s.w.find('dialog textarea').setValue('x');
    await s.submit();
    expect(s.refusal()).not.toContain('刚刚变了');
    expect(s.refusal()).toContain('there is no liaison officer');
    s.w.unmount();
  });

  test('a refusal names who was first, and with what, in the form itself', async () => {
    const s = await panelOf(make('7', { state: 'routed', possible: [{ action: 'return', needs: ['reason'] }] }));
    await s.w.findAll('section > .acts > button')[0]?.trigger('click');
    await s.w.find('dialog textarea').setValue('x');
    s.raise('7');
    const last = s.journals.get('7')?.at(-1);
    if (last) Object.assign(last, { by: OFFICE });
    await s.submit();
    expect(s.refusal()).toContain('调度员 城川镇（2 号） 在 08:00:00 先办了“更正”');
    s.w.unmount();
  });
});

describe('who is asked', () => {
  const advised = (best: string[], out: object[] = []) =>
    json({
      items: best.map((id, i) => ({
        worker_id: id,
        badge: `W${id}`,
        rank: i + 1,
        score: 1,
        reasons: [],
        fix_age_s: 1,
        relation: 'own_grid',
      })),
      excluded: out,
      left_out: [],
      of: best.length,
    });
  const declined = { worker_id: '12', badge: 'W12', why: 'declined', distance_m: 1, fix_age_s: 1 };

  test('one who has said no is not asked again by a tick that nobody set', async () => {
    const s = await panelOf(make('7', { state: 'routed' }));
    expect(s.desk.picked.value).toEqual(['12']);
    s.server.on('GET /incidents/7/candidates', () => advised(['13'], [declined]));
    await s.desk.load(true);
    expect(s.desk.picked.value).toEqual(['13']);
    s.w.unmount();
  });

  test('nor by one that somebody set: it is taken away and told, and nobody is ticked instead', async () => {
    const s = await panelOf(make('7', { state: 'routed', priority: 1 }));
    s.desk.toggle('12');
    s.desk.toggle('13');
    s.desk.toggle('12');
    s.server.on('GET /incidents/7/candidates', () => advised(['13', '14'], [declined]));
    await s.desk.load(true);
    expect(s.desk.picked.value).toEqual(['13']);
    expect(s.w.find('.send .notice').text()).toContain('W12 已拒单');
    s.desk.toggle('14');
    await nextTick();
    expect(s.w.find('.send .notice').exists()).toBe(false);
    s.desk.tick(['14']);
    s.server.on('GET /incidents/7/candidates', () => advised(['13'], [{ ...declined, worker_id: '14', badge: 'W14' }]));
    await s.desk.load(true);
    expect(s.desk.picked.value).toEqual([]);
    s.w.unmount();
  });

  test('what sending them would leave open is told of who is ticked now, and what is thin already', async () => {
    const s = await panelOf(make('7', { state: 'routed' }));
    const asked: string[] = [];
    let down = false;
    const grid = (code: string, thin: boolean, travel_s: number | null) => ({
      code,
      name: `${code}组`,
      above: code < 'B' ? ['城川镇', '黑梁头嘎查'] : ['昂素镇'],
      thin,
      first: { badge: 'W9', travel_s },
    });
    s.server.on('GET /coverage', ({ query }) => {
      asked.push(query.without ?? '');
      const uncovered = query.without === '13' ? ['A1', 'A2'] : [];
      if (down) return refuse(503, { detail: 'not known' });
      return json({
        time: `2026-11-22T08:31:0${asked.length}Z`,
        beyond_s: 1800,
        not_counted: [
          { why: 'busy', count: 2 },
          { why: 'stale_fix', count: 1 },
        ],
        uncovered,
        items: [grid('A1', false, 60), grid('A2', false, 90), grid('B1', true, null), grid('B2', true, 4000)],
      });
    });
    s.timers.advance(1000);
    await settle();
    expect(s.w.find('.cover').text()).toContain('情况不变');
    expect(s.w.find('.cover').text()).toContain('截至 16:31:01；在岗另有 3 人未计入：处置中 2');
    s.desk.toggle('13');
    await nextTick();
    expect(s.w.find('.cover').text()).toBe(''); // not of who was ticked before
    s.timers.advance(1000);
    await settle();
    expect(asked).toEqual(['12', '13']);
    expect(s.w.find('.cover').text()).toContain('有 2 个网格 30 分钟内无人能到：城川镇 · A1组、城川镇 · A2组');
    expect(s.w.findAll('.cover li').map((l) => l.text())).toEqual(['昂素镇 · B1组 无人可派', '昂素镇 · B2组 1时7分 W9']);
    const told = async (ms: number) => {
      s.timers.advance(ms);
      await settle();
      return `${asked.length} ${/截至 [0-9:]+/.exec(s.w.find('.cover').text())?.[0] ?? s.w.find('.cover').text()}`;
    };
    const offer = (id: string, worker_id: string, state: string) => ({
      kind: 'offer',
      id,
      ver: 1,
      seq: 1,
      data: { worker_id, state } as never,
    });
    const { state } = s.desk.live.client;
    state.reset(1, [offer('90', '14', 'seen')]);
    s.desk.gather();
    expect(await told(5000)).toBe('2 截至 16:31:02'); // who has not said yes may still be sent
    state.reset(2, [offer('90', '14', 'accepted')]); // another desk has sent somebody
    s.desk.gather();
    s.timers.advance(300);
    await nextTick();
    expect(s.desk.working.value).toBe('14');
    expect(await told(1000)).toBe('2 截至 16:31:02'); // what is known stands meanwhile, with its time
    s.desk.working.value = '14 15';
    await nextTick();
    expect(await told(600)).toBe('2 截至 16:31:02');
    expect(await told(400)).toBe('3 截至 16:31:03');
    expect(await told(10_000)).toBe('3 截至 16:31:03'); // asked once for what came together
    expect(await told(20_000)).toBe('4 截至 16:31:04'); // people move, too
    down = true;
    expect(await told(30_000)).toContain('5 没能读到覆盖情况');
    down = false;
    expect(await told(30_000)).toBe('6 截至 16:31:06');
    const turn = (away: boolean) => {
      hidden.mockReturnValue(away);
      document.dispatchEvent(new Event('visibilitychange'));
    };
    const hidden = vi.spyOn(document, 'hidden', 'get');
    turn(true);
    turn(false);
    expect(await told(0)).toBe('6 截至 16:31:06'); // nothing was missed
    turn(true);
    expect(await told(60_000)).toBe('6 截至 16:31:06'); // nobody looks
    turn(false);
    expect(await told(0)).toBe('7 截至 16:31:07'); // somebody looks again
    turn(true);
    turn(false);
    expect(await told(29_000)).toBe('7 截至 16:31:07');
    expect(await told(1000)).toBe('8 截至 16:31:08');
    hidden.mockRestore();
    s.desk.tick([]);
    await nextTick();
    expect(s.w.find('.cover').text()).toBe('');
    expect(await told(60_000)).toBe('8 '); // of nobody nothing is asked
    s.w.unmount();
  });

  test('what changes before the first answer has come is asked for after it', async () => {
    const s = await panelOf(make('7', { state: 'routed' }));
    const answers: ((r: Response) => void)[] = [];
    s.server.on('GET /coverage', () => new Promise<Response>((done) => answers.push(done)));
    const answer = async (n: number) => {
      answers[n]?.(json({ time: `2026-11-22T08:31:0${n}Z`, beyond_s: 1800, not_counted: [], uncovered: [], items: [] }));
      await settle();
      return `${answers.length} ${/截至 [0-9:]+/.exec(s.w.find('.cover').text())?.[0]}`;
    };
    const changes = async (who: string) => {
      s.desk.working.value = who;
      await nextTick();
    };
    await changes('14'); // before it is asked: the server may not know yet when it is
    s.timers.advance(400);
    expect(answers.length).toBe(1);
    expect(await answer(0)).toBe('1 截至 16:31:00');
    s.timers.advance(2000);
    expect(answers.length).toBe(2);
    expect(await answer(1)).toBe('2 截至 16:31:01');
    s.desk.toggle('13');
    await nextTick();
    s.timers.advance(400);
    await changes('14 15'); // while the first is on its way
    expect(await answer(2)).toBe('3 截至 16:31:02');
    s.timers.advance(2000);
    expect(await answer(3)).toBe('4 截至 16:31:03');
    s.w.unmount();
  });

  test('one with an old fix, ticked by hand, stays ticked', async () => {
    const s = await panelOf(make('7', { state: 'routed' }));
    s.desk.tick(['12']);
    s.server.on('GET /incidents/7/candidates', () => advised(['13'], [{ ...declined, why: 'stale_fix' }]));
    await s.desk.load(true);
    expect(s.desk.picked.value).toEqual(['12']);
    s.w.unmount();
  });

  test('a new lead, where the old one has said no and others assist, or where it was sent back', async () => {
    for (const state of ['dispatched', 'rework']) {
      const s = await panelOf(make('7', { state }));
      expect([state, s.desk.picked.value]).toEqual([state, ['12']]);
      (s.w.vm as unknown as { offer: () => void }).offer();
      await settle();
      expect(s.sent.map((x) => [x.what, x.body.lead])).toEqual([['7/offers', true]]);
      s.w.unmount();
    }
  });

  test('taking an offer back that is refused keeps its form and what was typed', async () => {
    const s = standOf(make('7', { state: 'acknowledged' }));
    dialogs();
    const offer = {
      id: '5',
      ver: 2,
      state: 'accepted',
      live: true,
      lead: true,
      worker_id: '12',
      badge: 'W12',
      made_at: AT,
      expires_at: AT,
    };
    s.server
      .on('GET /incidents/7/offers', () => json({ items: [offer] }))
      .on('POST /offers/5/withdraw', () => refuse(429, { detail: 'slow down' }));
    s.desk.choose('7');
    await settle();
    const w = s.show(IncidentPanel);
    await w.findAll('.offers button').at(-1)?.trigger('click');
    await w.find('dialog textarea').setValue('另有安排');
    await w.find('dialog form').trigger('submit');
    await settle();
    expect((w.find('dialog textarea').element as HTMLTextAreaElement).value).toBe('另有安排');
    expect(w.find('dialog .refused').text()).toBeTruthy();
    w.unmount();
  });
});

describe('what may be alike', () => {
  test('an older answer does not end the newer look', async () => {
    const s = standOf(make('7'));
    const slow: ((r: Response) => void)[] = [];
    s.server.on('GET /incidents/7/duplicates', () => new Promise<Response>((r) => slow.push(r)));
    s.desk.choose('7');
    await settle();
    void s.desk.load(true);
    await settle();
    expect(slow).toHaveLength(2);
    const like = (id: string) => json({ items: [{ incident: make(id), score: 0.9, reasons: [] }] });
    slow[0]?.(like('8'));
    await settle();
    slow[1]?.(refuse(503)); // the newer look brings nothing
    await settle();
    await s.desk.load();
    expect(slow).toHaveLength(3); // so it is looked for again
    slow[2]?.(like('9'));
    await settle();
    expect(s.desk.beside.alike.value.map((l) => l.incident.id)).toEqual(['9']);
  });
});

test('the keys of the matters', () => {
  const did: string[] = [];
  const desk = { matter: (k: string) => did.push(k), hallMap: null } as unknown as KeyDesk;
  for (const key of ['r', 'I', 'w', 'P', 'H', 'd', 'A']) expect(deskKey(new KeyboardEvent('keydown', { key }), desk)).toBe(true);
  expect(did).toEqual(['callback', 'instruction', 'whistle', 'word', 'session', 'supervise', 'decide']);
});

test('who did something is said by the office, without one by the account', () => {
  const t = makeI18nOf('zh-CN', { 'zh-CN': deskZh, en: deskEn }).global;
  const said = (actor: string, by?: By) => actorWord(t.t, t.te, actor, by);
  expect(said('account:1', { role: 'dispatcher' })).toBe('调度员（1 号）');
  expect(said('account:2', { role: 'grid_worker', badge: 'W0001', grid: '第3网格' })).toBe('网格员 W0001（2 号）');
  expect(said('token:3', { role: 'dept_handler', department: '消防救援' })).toBe('部门经办人 消防救援（3 号）');
  expect(said('account:4')).toBe('4 号账号');
});
