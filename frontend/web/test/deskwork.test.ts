// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0
// @vitest-environment jsdom

import { mount } from '@vue/test-utils';
import { describe, expect, test, vi } from 'vitest';
import { nextTick } from 'vue';
import { formOf, possibleOf } from '../src/desk/acts';
import { waysOf, weighty } from '../src/desk/alike';
import { DeskApi } from '../src/desk/api';
import CorrectForm from '../src/desk/CorrectForm.vue';
import { changesOf } from '../src/desk/changes';
import { Desk } from '../src/desk/desk';
import { emptyDraft, faultsOf, fieldOf, findCategories, isRough, missing, reportOf } from '../src/desk/draft';
import IncidentPanel from '../src/desk/IncidentPanel.vue';
import { deskKey, KEYS, type KeyDesk } from '../src/desk/keys';
import { complete, distanceM, edgeOf, Marking, markedOf, type Place } from '../src/desk/marking';
import { bestInside, byAdvice, Selection } from '../src/desk/selection';
import type { Candidate, Case, Category, Likeness, Selected } from '../src/desk/types';
import { makeI18nOf } from '../src/i18n';
import { deskEn } from '../src/i18n/desk.en';
import { deskZh } from '../src/i18n/desk.zh-CN';
import { Http } from '../src/session/http';
import { Problem } from '../src/session/problem';
import ComboField from '../src/ui/ComboField.vue';
import { asDispatcher, make, NO_REMARKS, standOf } from './deskstand';
import { FakeSocket, FakeTimers, opened, reset } from './helpers';
import { dialogs, FakeServer, json, refuse, settle } from './people';

vi.mock('../src/map/hallmap', () => ({ HallMap: class {} }));
vi.mock('../src/desk/pins', () => ({ MapPins: class {} }));
const socket = new FakeSocket();
vi.mock('../src/wire/socket', () => ({ openSocket: () => socket }));

const category = (code: string, name: string, top_name: string): Category => ({
  code,
  name,
  top: code.slice(0, 2),
  top_name,
  priority: 3,
});
const CATEGORIES = [
  category('0301', '消防通道占堵', '消防与安全生产'),
  category('0403', '暴雪冰冻封路', '自然灾害与应急'),
  category('0504', '供水供暖排水故障', '公共设施'),
  category('0505', '供电故障', '公共设施'),
];

describe('a report that is written down', () => {
  test('its category is found by number, part of the name, its top, or characters in their order', () => {
    const found = (typed: string) => findCategories(CATEGORIES, typed).map((c) => c.code);
    expect(found('05')).toEqual(['0504', '0505']);
    expect(found('0505')).toEqual(['0505']);
    expect(found('供')).toEqual(['0504', '0505']);
    expect(found('公共')).toEqual(['0504', '0505']);
    expect(found('水障')).toEqual(['0504']);
    expect(found('障水')).toEqual([]);
    expect(found('')).toHaveLength(4);
  });

  test('needs a category and a place, and becomes the request that the server knows', () => {
    const d = { ...emptyDraft(), category: '0504' };
    expect(missing({ ...d, category: '' })).toEqual(['category', 'place']);
    expect(missing({ ...d, address: ' ' })).toEqual(['place']);
    expect(missing({ ...d, address: '一路' })).toEqual([]);
    expect(reportOf({ ...d, address: '一路', phone: ' 139 ' }, CATEGORIES)).toEqual({
      category: '0504',
      title: '供水供暖排水故障',
      source: 'phone',
      address: '一路',
      unsure: 'ask',
      reporter: { phone: '139' },
    });
    const placed = reportOf({ ...d, title: '漏水', point: [107.5, 38.2], priority: '1' }, CATEGORIES);
    expect(placed).toMatchObject({ title: '漏水', priority: 1, location: { lon: 107.5, lat: 38.2, crs: 'wgs84' } });
    expect(placed.unsure).toBeUndefined();
    expect(placed.reporter).toBeUndefined();
  });

  test('an area is never sent as a point: the server keeps how far off it may be', () => {
    const area = { kind: 'area', name: '一镇', point: [107, 38], accuracy_m: 9000, confidence: 0.8, reasons: [] } as const;
    expect(isRough({ ...area, point: [107, 38], reasons: [] })).toBe(true);
    expect(isRough({ ...area, kind: 'address', accuracy_m: 20, point: [107, 38], reasons: [] })).toBe(false);
    const body = reportOf({ ...emptyDraft(), category: '0504', address: '一镇', point: [107, 38], rough: true }, CATEGORIES);
    expect(body.location).toBeUndefined();
    expect(body.unsure).toBe('approximate');
  });

  test('each fault of a refusal stands beside its field', () => {
    expect(['body.title', 'body.location.crs', 'body.address', 'body.reporter.phone', 'body.limit.unit'].map(fieldOf)).toEqual([
      'title',
      'place',
      'place',
      'phone',
      '',
    ]);
    const p = new Problem(422, 'about:blank', 'no', [
      { location: 'body.address', message: 'unknown' },
      { location: 'body', message: 'odd' },
    ]);
    expect(faultsOf(p)).toEqual({ place: ['unknown'], '': ['body odd'] });
  });
});

describe('marking on the map', () => {
  const a: Place = [107, 38];
  const b: Place = [107.01, 38];

  test('a circle goes from its middle to where the hand lets go', () => {
    const m = new Marking('circle');
    m.press(a);
    m.move([107.005, 38]);
    expect(m.release(b)).toBe(true);
    const shape = m.shape as Extract<typeof m.shape, { kind: 'circle' }>;
    expect(shape.radiusM).toBeCloseTo(876.2, 0); // 0.01 degrees of the parallel of 38
    const edge = edgeOf(shape);
    expect(edge[0]).toEqual(edge.at(-1));
    for (const p of edge) expect(distanceM(a, p)).toBeCloseTo(shape.radiusM, 3);
    expect(markedOf(shape)).toEqual({ crs: 'wgs84', circle: { lon: 107, lat: 38, radius_m: shape.radiusM } });
  });

  test('a click without a way marks nothing', () => {
    const m = new Marking('circle');
    m.press(a);
    expect(m.release(a)).toBe(false);
    expect(m.shape).toBeNull();
  });

  test('a box has its lesser corner first, however it was drawn', () => {
    const m = new Marking('box');
    m.press([107.2, 38.1]);
    expect(m.release([107.1, 38.3])).toBe(true);
    expect(markedOf(m.shape as NonNullable<typeof m.shape>)).toEqual({ crs: 'wgs84', box: [107.1, 38.1, 107.2, 38.3] });
  });

  test('a polygon ends with three corners at least; a double click is one corner', () => {
    const m = new Marking('polygon');
    m.corner(a);
    m.corner(b);
    expect(m.finish()).toBe(false);
    m.corner([107, 38.1]);
    m.corner([107, 38.1]);
    m.corner([106.9, 38.1]);
    m.back();
    expect(m.finish()).toBe(true);
    expect(complete(m.shape)).toBe(true);
    const ring = [a, b, [107, 38.1], a];
    expect(markedOf(m.shape as NonNullable<typeof m.shape>)).toMatchObject({ polygon: { coordinates: [ring] } });
  });
});

describe('what is selected', () => {
  const worker = (id: string, state = 'on') => ({ worker_id: id, badge: `W${id}`, grid: '1', state, point: null, fix_age_s: 1 });
  const inside = { time: '', workers: { count: 3, items: [worker('1', 'stale'), worker('2'), worker('3')] } } as Selected;
  const advised = [
    { worker_id: '9', rank: 1 },
    { worker_id: '3', rank: 2 },
  ] as Candidate[];

  test('the advice says who of them goes first, old fixes last', () => {
    expect(bestInside(inside, advised)).toBe('3');
    expect(bestInside(inside, advised.slice(0, 1))).toBe('');
    expect(byAdvice(inside, advised)).toEqual(['3', '2', '1']);
  });

  test('a roll call is made once under its key, and looked after until it closes', async () => {
    const server = new FakeServer()
      .on('POST /select', () => json(inside))
      .on('POST /rollcalls', () => json({ id: '5', state: 'open', called: 3, answered: 0 }, 201))
      .on('GET /rollcalls/5', () => json({ id: '5', state: 'closed', called: 3, answered: 2 }));
    const timers = new FakeTimers();
    const s = new Selection(new DeskApi(new Http({ unauthorised: () => {}, locked: () => {} }, server.fetch)), timers);
    await s.ask({ kind: 'circle', at: [107, 38], radiusM: 500 });
    await s.callRoll(10, '', 'key');
    timers.advance(3000);
    await settle();
    expect(s.roll.value).toMatchObject({ state: 'closed', answered: 2 });
    timers.advance(60_000);
    await settle();
    expect(server.count('GET /rollcalls/5')).toBe(1);
    expect(server.last('POST /rollcalls')?.body).toEqual({
      crs: 'wgs84',
      circle: { lon: 107, lat: 38, radius_m: 500 },
      minutes: 10,
    });
  });
});

describe('a call to another shape', () => {
  test('goes only to the shape whose people were counted', async () => {
    const circle = (radiusM: number) => ({ kind: 'circle', at: [107, 38] as Place, radiusM }) as const;
    const found = (count: number) => json({ time: '', workers: { count, items: [] } });
    const answers: ((r: Response) => void)[] = [];
    const server = new FakeServer()
      .on('POST /select', () => new Promise<Response>((r) => answers.push(r)))
      .on('POST /messages', () => json({ id: '5', to: 3, delivered: 0, seen: 0 }, 201));
    const s = new Selection(new DeskApi(new Http({ unauthorised: () => {}, locked: () => {} }, server.fetch)), new FakeTimers());
    void s.ask(circle(500));
    answers[0]?.(found(3));
    await settle();
    expect(s.result.value?.workers?.count).toBe(3);
    void s.ask(circle(50_000));
    expect(s.result.value).toBeNull();
    await expect(s.send('x', 'key')).rejects.toThrow('nothing is marked');
    answers[1]?.(refuse(422, { detail: 'too wide' }));
    await settle();
    await expect(s.callRoll(10, '', 'key')).rejects.toThrow('nothing is marked');
    void s.ask(circle(700));
    answers[2]?.(found(4));
    await settle();
    await s.send('x', 'key');
    expect(server.last('POST /messages')?.body).toMatchObject({ circle: { radius_m: 700 } });
    expect([server.count('POST /messages'), server.count('POST /rollcalls')]).toEqual([1, 0]);
  });
});

describe('merging', () => {
  const early = make('1', { reported_at: '2026-11-22T08:00:00+08:00' });
  const late = make('2', { reported_at: '2026-11-22T09:00:00+08:00' });
  const told = (a: Case, b: Case) => waysOf(a, b).map((w) => `${w.from.id}>${w.into.id}`);

  test('the later goes into the earlier, and what somebody is sent to goes on', () => {
    expect(told(early, late)).toEqual(['2>1', '1>2']);
    expect(told(late, early)).toEqual(['2>1', '1>2']);
    expect(told(early, { ...late, state: 'dispatched' })).toEqual(['1>2']);
    expect(told({ ...early, state: 'closed', open: false }, late)).toEqual(['2>1']);
    expect(told({ ...early, state: 'merged', open: false }, late)).toEqual([]);
  });

  test('what counts most is said first, and what counts nothing not at all', () => {
    const l = {
      incident: late,
      score: 0.8,
      reasons: [
        { feature: 'time', value: 1, weight: 0.1 },
        { feature: 'text', value: 0, weight: 0.25 },
        { feature: 'distance', value: 0.9, weight: 0.3 },
      ],
    } as Likeness;
    expect(weighty(l).map((r) => r.feature)).toEqual(['distance', 'time']);
  });
});

describe('what is possible', () => {
  test('is what the server says: of the incident, or of the refusal that was told for this version', () => {
    const i = make('1', { state: 'accepted' });
    expect(possibleOf(i, null)).toContain('route');
    expect(possibleOf({ ...i, possible: ['route', 'dispatch'] }, null)).toEqual(['route', 'void', 'note']);
    expect(possibleOf({ ...i, possible: [{ action: 'correct' }] }, null)).toEqual(['correct', 'void', 'note']);
    expect(possibleOf({ ...i, possible: ['route'] }, { version: 1, actions: ['escalate'] })).toEqual(['route', 'void', 'note']);
    expect(possibleOf(i, { version: 1, actions: ['escalate', 'brandnew'] })).toEqual(['escalate', 'brandnew', 'void', 'note']);
    expect(possibleOf(i, { version: 9, actions: [] })).toContain('route');
  });

  test('a form asks for what the server wants, else for what this page knows', () => {
    const told = (i: Case | null, action: string) => formOf(action, i).map((f) => `${f.need} ${f.must}`);
    expect(told(null, 'refuse')).toEqual(['reason yes', 'door yes']);
    const possible = [
      { action: 'refuse', needs: ['reason'], one_of: ['door', 'door_department'] },
      { action: 'correct', needs: ['reason'], one_of: ['priority', 'category'] },
      { action: 'route', needs: [] },
    ];
    const i = make('1', { possible });
    expect(told(i, 'refuse')).toEqual(['reason yes', 'door one', 'door_department one']);
    expect(told(i, 'route')).toEqual([]);
    expect(told(i, 'brandnew')).toEqual(['reason yes']);
  });

  test('more time is asked for while a limit runs', () => {
    expect(possibleOf(make('1', { stage_due: '2026-11-22T18:00:00+08:00' }), null)).toContain('extend');
    expect(possibleOf(make('1', { state: 'closed', open: false }), null)).toEqual(['archive', 'reopen', 'note']);
  });

  test('a correction tells what it has changed besides', () => {
    const before = make('1', { department: '住建', stage_due: '2026-11-22T18:00:00+08:00' });
    const after = { ...before, priority: 1, department: '消防', owner_level: 3 };
    const said = changesOf(before, after, String, (n) => `L${n}`);
    expect(said.map((c) => `${c.what} ${c.from} ${c.to}`)).toEqual(['priority 3 1', 'department 住建 消防', 'owner L2 L3']);
  });
});

describe('two dispatchers', () => {
  test('who comes second is told who was first and with what, and sees how it stands', async () => {
    window.matchMedia ??= (() => ({ matches: false })) as never;
    let first = true;
    const entry = (n: number, kind: string, actor: string) => ({
      n,
      kind,
      actor,
      at: '2026-11-22T08:00:00+08:00',
      device_at: null,
    });
    const mine = [entry(1, 'report', 'account:1')];
    const server = new FakeServer();
    for (const part of ['offers', 'whistles', 'attachments']) server.on(`GET /incidents/7/${part}`, () => json({ items: [] }));
    server
      .on('GET /incidents/7/duplicates', () => json({ items: [] }))
      .on('GET /incidents/7/remarks', () => json(NO_REMARKS))
      .on('GET /supervisions', () => json({ items: [] }))
      .on('GET /incidents/7/candidates', () => json({ items: [], excluded: [], left_out: [], of: 0 }))
      .on('GET /incidents/7', () => json(first ? make('7') : make('7', { version: 2, state: 'accepted' })))
      .on('GET /incidents/7/journal', () => json({ items: first ? mine : [...mine, entry(2, 'accept', 'account:2')] }))
      .on('POST /incidents/7/actions', () => {
        first = false;
        return refuse(409, { detail: 'at version 2', possible: ['route', 'correct'] });
      });
    const http = new Http({ unauthorised: () => {}, locked: () => {} }, server.fetch);
    const desk = new Desk(asDispatcher(http), new DeskApi(http), new FakeTimers());
    desk.choose('7');
    await settle();
    await expect(desk.act({ action: 'accept' })).rejects.toBeInstanceOf(Problem);
    expect(desk.rival.value).toMatchObject({ kind: 'accept', actor: 'account:2' });
    expect(desk.detail.value).toMatchObject({ version: 2, state: 'accepted' });
    expect(possibleOf(desk.detail.value as Case, desk.told.value)).toEqual(['route', 'correct', 'void', 'note']);
  });
});

describe('the stream', () => {
  test('an event of a new incident loses neither its advice nor what is alike', async () => {
    const { desk, server, timers, held } = standOf(make('7'));
    const slow: ((r: Response) => void)[] = [];
    server.on('GET /incidents/7', () => new Promise<Response>((r) => slow.push(r)));
    desk.choose('7');
    await settle();
    desk.start();
    socket.accept();
    socket.say(reset(1), opened(2, '7'));
    timers.advance(60);
    await settle();
    expect(slow).toHaveLength(2); // read anew before the first answer came
    for (const answer of slow) answer(json(held.get('7')));
    await settle();
    expect(desk.advice.value?.items).toHaveLength(2);
    expect(desk.picked.value).toEqual(['12']);
    expect(server.count('GET /incidents/7/duplicates')).toBe(1);
    server.on('GET /incidents/7', () => json(held.get('7')));
    await desk.load(); // what has come is not asked for again
    const asked = () => [server.count('GET /incidents/7/candidates'), server.count('GET /incidents/7/duplicates')];
    expect(asked()).toEqual([1, 1]);
    void desk.load(true);
    await desk.load(); // overtakes the one that was to bring both
    await settle();
    expect(asked()).toEqual([2, 2]);
    desk.stop();
  });

  test('that puts others before the chosen incident changes neither it nor whom Enter sends to it', async () => {
    const { desk, timers, sent } = standOf(make('7', { state: 'routed' }), make('8'));
    desk.start();
    socket.accept();
    socket.say(reset(1), opened(2, '7', { version: 1, state: 'routed' }));
    timers.advance(60);
    desk.chooseNext();
    await settle();
    desk.toggle('13');
    socket.say(opened(3, '8', { version: 1, priority: 1 }));
    timers.advance(60);
    await settle();
    expect(desk.queue.value.map((i) => i.id)).toEqual(['8', '7']);
    expect([desk.chosen.value, desk.detail.value?.id]).toEqual(['7', '7']);
    deskKey(new KeyboardEvent('keydown', { key: 'Enter' }), { offer: () => void desk.offer() } as KeyDesk);
    await settle();
    expect(sent.map((s) => `${s.what} ${s.match} ${s.body.worker_ids}`)).toEqual(['7/offers "1" 13']);
    desk.stop();
  });

  test('advice that an event overtakes is asked for again', async () => {
    const { desk, server } = standOf(make('7'));
    let answer = (_: Response) => {};
    const quick = json({ items: [{ worker_id: '13', rank: 1 }], excluded: [], left_out: [], of: 1 });
    server.on('GET /incidents/7/candidates', () => new Promise<Response>((r) => (answer = r)));
    desk.choose('7');
    await settle();
    const late = answer;
    server.on('GET /incidents/7/candidates', () => quick);
    await desk.load();
    late(json({ items: [], excluded: [], left_out: [], of: 0 }));
    await settle();
    expect(desk.picked.value).toEqual(['13']);
    expect(desk.advice.value?.of).toBe(1);
  });
});

describe('a note', () => {
  test('whose answer was lost is the same note when it is sent again, and another text is another', async () => {
    const { desk, server, sent } = standOf(make('7'));
    desk.choose('7');
    await settle();
    const write = (reason: string) => desk.act({ action: 'note', reason });
    await expect(write('x')).rejects.toBeInstanceOf(Problem); // nothing answers yet
    server.on('POST /incidents/7/notes', () => json({ incident: make('7') }, 201));
    for (const text of ['x', 'x', 'y']) await write(text);
    const keys = sent.map((s) => s.key);
    expect(keys[0]).toBe(keys[1]);
    expect(new Set(keys).size).toBe(3); // the same words once more, after an answer, are a second note
  });
});

describe('a merge that comes second', () => {
  test('closes with the word who was first, and leaves the chosen incident its own acts', async () => {
    dialogs();
    const other = make('8', { reported_at: '2026-11-22T09:00:00+08:00' });
    const { desk, server, sent, raise, show } = standOf(make('7'), other);
    const like = { incident: other, score: 0.9, reasons: [] };
    server.on('GET /incidents/7/duplicates', () => json({ items: [like] }));
    desk.choose('7');
    await settle();
    const w = show(IncidentPanel);
    const acts = possibleOf(desk.detail.value as Case, null);
    await w.find('.alike .acts button').trigger('click');
    await w.find('dialog textarea, dialog input').setValue('x');
    raise('8', { state: 'accepted' });
    await w.find('dialog form').trigger('submit');
    await settle();
    expect(sent.map((s) => `${s.what} ${s.match} ${s.body.into}`)).toEqual(['8/actions "1" 7']);
    expect(w.find('dialog').exists()).toBe(false);
    expect(desk.rival.value).toMatchObject({ n: 2, actor: 'account:2' });
    expect(w.find('.send [role=alert]').text()).toContain('2 号账号');
    expect(desk.told.value).toBeNull();
    expect(desk.detail.value).toMatchObject({ id: '7', version: 1 });
    expect(possibleOf(desk.detail.value as Case, desk.told.value)).toEqual(acts);
    w.unmount();
  });
});

describe('what was seen is what is sent', () => {
  test('a form sends the version that it was opened on, and after its refusal the one that was told of', async () => {
    dialogs();
    const { desk, sent, raise, show } = standOf(
      make('7', { state: 'routed', possible: [{ action: 'return', needs: ['reason'] }] }),
    );
    desk.choose('7');
    await settle();
    const w = show(IncidentPanel);
    await w.findAll('section > .acts > button')[0]?.trigger('click');
    raise('7');
    await desk.load(); // as the stream has it read
    expect(desk.detail.value?.version).toBe(2);
    await w.find('dialog textarea').setValue('x');
    await w.find('dialog form').trigger('submit');
    await settle();
    expect(sent.map((s) => `${s.match} ${s.body.action}`)).toEqual(['"1" return']);
    expect(desk.rival.value?.actor).toBe('account:2');
    await w.find('dialog form').trigger('submit');
    await settle();
    expect(sent.at(-1)?.match).toBe('"2"');
    expect(w.find('dialog').exists()).toBe(false);
    w.unmount();
  });

  test('a correction too', async () => {
    const { desk, sent, raise, show } = standOf(make('7', { category: '0504' }));
    desk.choose('7');
    await settle();
    const w = show(CorrectForm);
    raise('7', { priority: 2 });
    await desk.load();
    await w.find('select').setValue('1');
    await w.findAll('input').at(-1)?.setValue('x');
    await w.find('form').trigger('submit');
    await settle();
    await w.find('form').trigger('submit');
    await settle();
    expect(sent.map((s) => s.match)).toEqual(['"1"', '"2"']);
    expect(desk.corrected.value).toMatchObject({ before: { priority: 2, version: 2 }, after: { version: 3 } });
    w.unmount();
  });

  test('an offer is made by the version that its advice is of, and our own steps are not another’s', async () => {
    const { desk, server, sent, raise } = standOf(make('7'));
    desk.choose('7');
    await settle();
    expect(desk.picked.value).toEqual(['12']);
    raise('7');
    const answer = new Promise<Response>(() => {}); // advice on the new version is long in coming
    server.on('GET /incidents/7/candidates', () => answer);
    void desk.load();
    await settle();
    expect(desk.detail.value?.version).toBe(2);
    await expect(desk.offer()).rejects.toBeInstanceOf(Problem);
    expect(sent.map((s) => s.match)).toEqual(['"1"']);
    server.on('GET /incidents/7/candidates', () => json({ items: [], excluded: [], left_out: [], of: 0 }));
    await desk.load();
    await desk.offer();
    expect(sent.slice(1).map((s) => `${s.match} ${s.what}`)).toEqual(['"2" 7/actions', '"3" 7/actions', '"4" 7/offers']);
  });
});

describe('keys', () => {
  test('every key of the help has its words in both languages, and lower case does as upper', () => {
    for (const k of KEYS)
      for (const c of [deskZh, deskEn]) {
        expect(c.desk.key, k).toHaveProperty(k);
        expect(c.desk.keyHelp, k).toHaveProperty(k);
      }
    const did: string[] = [];
    const desk = new Proxy({ hallMap: null } as KeyDesk, {
      get: (o, name) => (name in o ? o[name as keyof KeyDesk] : () => did.push(String(name))),
    });
    for (const key of ['c', 'S', 'e', 'm', 'b', '?', '？']) deskKey(new KeyboardEvent('keydown', { key }), desk);
    expect(did).toEqual(['compose', 'select', 'correct', 'merge', 'note', 'help', 'help']);
  });

  test('none counts while a dialog stands open, wherever the focus is; Escape closes the dialog alone', () => {
    const did: string[] = [];
    const desk = new Proxy({ hallMap: null } as KeyDesk, {
      get: (o, name) => (name in o ? o[name as keyof KeyDesk] : () => !!did.push(String(name))),
    });
    const form = document.createElement('section');
    form.className = 'desk-form';
    form.innerHTML = '<dialog open><button></button></dialog>';
    document.body.append(form);
    const press = (on: Element, key: string) => {
      on.addEventListener('keydown', (e) => did.push(String(deskKey(e as KeyboardEvent, desk))), { once: true });
      on.dispatchEvent(new KeyboardEvent('keydown', { key }));
    };
    for (const key of ['Enter', 'n', '2', 'Escape']) press(document.body, key);
    press(form.querySelector('button') as Element, 'Escape');
    expect(did).toEqual(['false', 'false', 'false', 'false', 'false']);
    form.querySelector('dialog')?.remove();
    press(form, 'Escape');
    expect(did.slice(5)).toEqual(['leave', 'true']);
    form.remove();
  });

  test('Enter that is held down sends nobody', () => {
    const did: string[] = [];
    const desk = { offer: () => did.push('offer'), hallMap: null } as unknown as KeyDesk;
    expect(deskKey(new KeyboardEvent('keydown', { key: 'Enter', repeat: true }), desk)).toBe(false);
    expect(did).toEqual([]);
  });
});

describe('a field with a list', () => {
  Element.prototype.scrollIntoView ??= () => {}; // jsdom lays nothing out
  const stand = (eager: boolean) =>
    mount(ComboField, {
      props: { label: 'x', modelValue: '', offered: [], eager },
      global: { plugins: [makeI18nOf('zh-CN', { 'zh-CN': deskZh, en: deskEn })] },
      attachTo: document.body,
    });
  const offered = [
    { id: 'a', text: '甲' },
    { id: 'b', text: '乙' },
  ];

  test('Enter takes the first at once where that is meant, and else only what the arrows marked', async () => {
    for (const [eager, keys, want] of [
      [true, ['Enter'], 'a'],
      [false, ['Enter'], undefined],
      [false, ['ArrowDown', 'ArrowDown', 'Enter'], 'b'],
      [false, ['ArrowUp', 'Enter'], undefined],
    ] as const) {
      const w = stand(eager);
      await w.setProps({ offered });
      await w.find('input').trigger('input');
      for (const key of keys) await w.find('input').trigger('keydown', { key });
      await nextTick();
      const chosen = w.emitted('choose')?.[0]?.[0];
      if (keys[0] === 'ArrowUp') expect(offered.map((o) => o.id)).toContain(chosen);
      else expect(chosen, keys.join(' ')).toBe(want);
      w.unmount();
    }
  });

  test('Escape closes the list and is nobody else’s', async () => {
    const w = stand(true);
    await w.setProps({ offered });
    await w.find('input').trigger('input');
    expect(w.find('input').attributes('aria-expanded')).toBe('true');
    let heard = 0;
    const listen = () => heard++;
    document.addEventListener('keydown', listen);
    await w.find('input').trigger('keydown', { key: 'Escape' });
    expect(w.find('input').attributes('aria-expanded')).toBe('false');
    await w.find('input').trigger('keydown', { key: 'Escape' });
    document.removeEventListener('keydown', listen);
    expect(heard).toBe(1);
    w.unmount();
  });
});
