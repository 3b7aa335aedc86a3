// @vitest-environment jsdom
// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// The section on boundary sets against a server of four grids: a west one gives
// land to an east one, a third lies outside afterwards, a fourth is new.

import { enableAutoUnmount } from '@vue/test-utils';
import axe from 'axe-core';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import AdminPage from '../src/admin/AdminPage.vue';
import { beforeOf, isOutdated, mayUndo, possibleNow, sift, sorted, turned, versionIn } from '../src/admin/grids/changes';
import { pairsOf, placeOf, wholeOf } from '../src/admin/grids/pieces';
import type { Area, Borders, GridChange, GridPreview, GridVersion, Piece, Shapes } from '../src/admin/grids/types';
import { gridsEn } from '../src/i18n/grids.en';
import { gridsZh } from '../src/i18n/grids.zh-CN';
import { LIGHT_MAP } from '../src/look/light';
import { contrast } from './colour';
import { dialogs, json, none, refuse, session, settle, stage } from './people';

const square = (x: number, y: number, size = 1): Area => ({
  type: 'Polygon',
  coordinates: [
    [
      [x, y],
      [x + size, y],
      [x + size, y + size],
      [x, y + size],
      [x, y],
    ],
  ],
});
const version = (n: number, more: Partial<GridVersion> = {}): GridVersion => ({
  version: n,
  code: '1',
  name: '东旗',
  state: 'draft',
  made_up: false,
  note: 'imported from set.geojson',
  grids: 4,
  created_at: '2026-11-21T09:00:00+08:00',
  enacted_at: null,
  retired_at: null,
  undoes: null,
  planned: null,
  ...more,
});
const inForce = version(2, { state: 'enacted', enacted_at: '2026-11-21T08:00:00+08:00' });
const plan = { at: '2126-11-30T00:00:00+08:00', by: 'account:3', reason: 'new year', failed: '' };
const row = (code: string, more: Partial<GridChange> = {}): GridChange => ({
  code,
  name: `网格${code}`,
  name_before: `网格${code}`,
  level: 4,
  parent: '1',
  parent_before: '1',
  change: 'redrawn',
  area_m2_before: 2e6,
  area_m2: 1e6,
  open_before: 5,
  open_after: 2,
  recent_before: 9,
  recent_after: 4,
  workers: 1,
  ...more,
});
const rows = [
  row('11'),
  row('12', { open_before: 2, open_after: 4, area_m2: 3e6 }),
  row('13', { change: 'gone', name: '', open_after: 0, workers: 3 }),
  row('14', { change: 'new', name_before: '', open_before: 0, open_after: 1, workers: 0 }),
];
const fault = {
  kind: 'overlap',
  code: '11',
  other: '12',
  text: 'grids 11 and 12 overlap',
  lon: 1.5,
  lat: 0.5,
  area_m2: 20_000,
  share: 0.02,
};
const preview = (more: Partial<GridPreview> = {}): GridPreview => ({
  version: 3,
  before: 2,
  totals: {
    grids_before: 3,
    grids_after: 3,
    new: 1,
    gone: 1,
    redrawn: 2,
    renamed: 0,
    moved: 0,
    same: 0,
    open_incidents: 40,
    open_moving: 12,
    open_leaving: 2,
    open_entering: 0,
    workers_stranded: 3,
  },
  faults: [],
  items: rows,
  ...more,
});
const piece = (from: string | null, to: string | null, area_m2: number, geometry: Area) => ({
  type: 'Feature' as const,
  properties: { from, to, area_m2 },
  geometry,
});
const pieces: Shapes<Piece> = {
  type: 'FeatureCollection',
  features: [piece('11', '12', 10, square(1, 0)), piece('13', null, 25, square(5, 5)), piece('11', '12', 20, square(2, 0))],
};
const borders: Borders = {
  type: 'FeatureCollection',
  features: [
    { type: 'Feature', properties: { code: '1', name: '东旗', level: 1 }, geometry: square(0, 0, 4) },
    { type: 'Feature', properties: { code: '11', name: '网格11', level: 4 }, geometry: square(0, 0, 2) },
  ],
};

describe('land that changes hands', () => {
  const pairs = pairsOf(pieces);

  test('is gathered by from and to, the most first', () => {
    expect(pairs.map((p) => [p.from, p.to, p.area_m2, p.pieces, p.box])).toEqual([
      ['11', '12', 30, 2, [1, 0, 3, 1]],
      ['13', '', 25, 1, [5, 5, 6, 6]],
    ]);
  });

  test('has a colour for each goal, and one kept for what leaves all grids', () => {
    expect(pairs.map((p) => p.colour)).toEqual([LIGHT_MAP.hands[0], LIGHT_MAP.leaving]);
    expect(LIGHT_MAP.hands).not.toContain(LIGHT_MAP.leaving);
    for (const c of [...LIGHT_MAP.hands, LIGHT_MAP.leaving]) expect(contrast(c, LIGHT_MAP.county)).toBeGreaterThanOrEqual(3);
  });

  test('says where a grid lies, and the whole', () => {
    expect([placeOf('11', borders, pairs), placeOf('13', borders, pairs), placeOf('99', borders, pairs)]).toEqual([
      [0, 0, 3, 2],
      [5, 5, 6, 6],
      null,
    ]);
    expect(wholeOf(borders, pairs)).toEqual([0, 0, 6, 6]);
    expect(wholeOf({ ...borders, features: [] }, [])).toBeNull();
  });
});

describe('the table', () => {
  const codes = (by: Parameters<typeof sorted>[1]['by'], down: boolean) => sorted(rows, { by, down }).map((c) => c.code);

  test('sorts figures by how much they change, equal ones by code', () => {
    expect([codes('open', true), codes('workers', true), codes('code', true), codes('change', false)]).toEqual([
      ['13', '11', '12', '14'],
      ['13', '11', '12', '14'],
      ['14', '13', '12', '11'],
      ['13', '14', '11', '12'],
    ]);
  });

  test('a head turns the order, and begins where one looks first', () => {
    expect(turned({ by: 'code', down: false }, 'open')).toEqual({ by: 'open', down: true });
    expect(turned({ by: 'open', down: true }, 'open')).toEqual({ by: 'open', down: false });
    expect(turned({ by: 'open', down: true }, 'name')).toEqual({ by: 'name', down: false });
  });

  test('is sifted by change and by text', () => {
    const same = row('15', { change: 'same' });
    const of = (show: Parameters<typeof sift>[1], text = '') => sift([...rows, same], show, text).map((c) => c.code);
    expect([of('changed'), of('all', '网格1'), of('gone'), of('same'), of('all', 'nothing')]).toEqual([
      ['11', '12', '13', '14'],
      ['11', '12', '13', '14', '15'],
      ['13'],
      ['15'],
      [],
    ]);
  });
});

describe('what one may do', () => {
  const old = version(1, { state: 'retired', retired_at: '2026-11-21T08:00:00+08:00' });
  const older = version(4, { state: 'retired', retired_at: '2026-11-19T08:00:00+08:00' });
  const all = [old, older, inForce];

  test('is to undo what is in force, when there was something before', () => {
    expect([mayUndo(inForce, all), mayUndo(inForce, [inForce]), mayUndo(old, all), mayUndo(version(3), all)]).toEqual([
      true,
      false,
      false,
      false,
    ]);
    expect(beforeOf(inForce, all)?.version).toBe(1);
    expect([possibleNow(inForce, all), possibleNow(version(3), all), possibleNow(version(3, { planned: plan }), all)]).toEqual([
      ['undo'],
      ['preview', 'enact'],
      ['preview', 'enact', 'dropPlan'],
    ]);
  });

  test('is not to enact a draft that came in before what is in force', () => {
    const late = version(3, { created_at: '2026-11-22T08:00:00+08:00' });
    const early = version(3, { created_at: '2026-11-20T08:00:00+08:00' });
    expect([isOutdated(late, [inForce, late]), isOutdated(early, [inForce, early])]).toEqual([false, true]);
    expect(isOutdated(early, [{ ...inForce, code: '2' }, early])).toBe(false);
    expect(possibleNow(early, [inForce, early])).toEqual(['preview']);
  });

  test('an address names a version', () => {
    expect(['#/grids/7', '#/grids', '#/grids/x', '#/audit/7'].map(versionIn)).toEqual([7, null, null, null]);
  });
});

test('every text is there in both languages, with the same places to fill', () => {
  const leaves = (o: unknown, at = ''): string[] =>
    typeof o === 'object' && o !== null
      ? Object.entries(o).flatMap(([k, v]) => leaves(v, `${at}.${k}`))
      : [`${at}=${[...String(o).matchAll(/\{\w+\}/g)].sort().join('')}`];
  expect(leaves(gridsEn)).toEqual(leaves(gridsZh));
});

beforeEach(() => {
  dialogs();
  document.body.innerHTML = '';
  HTMLCanvasElement.prototype.getContext = () => null; // jsdom draws no map: the legend has to serve
});
enableAutoUnmount(afterEach);

async function open(hash: string, versions: GridVersion[], shown: () => Response = () => json(preview())) {
  history.replaceState(null, '', `/admin${hash}`);
  const s = stage();
  const list = { versions };
  s.server
    .on('GET /session', () => json(session({ role: 'system_admin', login: 'me' })))
    .on('POST /session/alive', none)
    .on('GET /accounts', () => json({ items: [{ id: 3, login: 'bao', state: 'active', grant: null, proposed: null }] }))
    .on('GET /grid-versions', () => json({ items: list.versions }))
    .on('GET /grids', (a) =>
      a.accept === 'application/geo+json'
        ? json(borders)
        : json({ items: [{ code: '1', name: '东旗', level: 1, label: [2, 2], bbox: [0, 0, 4, 4] }], cursor: null }),
    )
    .on('GET /grid-versions/3/preview', (a) => (a.accept === 'application/geo+json' ? json(pieces) : shown()));
  await s.store.start(null);
  const w = s.show(AdminPage);
  await settle();
  const button = (text: string) => {
    const b = w.findAll('button').filter((x) => x.text() === text || x.attributes('aria-label') === text);
    if (!b.length) throw new Error(`no button ${text}`);
    return b.at(-1) as (typeof b)[number];
  };
  return {
    ...s,
    w,
    list,
    buttons: () => w.findAll('button').map((b) => b.text()),
    button,
    press: async (text: string) => {
      await button(text).trigger('click');
      await settle();
    },
    send: async () => {
      await w.findAll('form').at(-1)?.trigger('submit');
      await settle();
    },
    reason: (text: string) => w.findAll('textarea').at(-1)?.setValue(text),
  };
}

describe('the list', () => {
  test('shows each version with its state and its plan, by whom and why', async () => {
    const failed = version(4, { planned: { ...plan, failed: 'the boundaries in force are others' } });
    const { w } = await open('#/grids', [inForce, version(3, { planned: plan }), failed]);
    const told = w.findAll('tbody tr').map((r) => r.text());
    expect(told.map((x) => /第 \d 版/.exec(x)?.[0])).toEqual(['第 4 版', '第 3 版', '第 2 版']);
    expect(told[1]).toContain('定于 2126-11-30 00:00 启用（北京时间）');
    expect(told[1]).toContain('bao 安排，理由：new year');
    expect(told[0]).toContain('未能按时启用：the boundaries in force are others');
    expect(w.findAll('a.button').map((a) => a.attributes('href'))).toEqual(['#/grids/4', '#/grids/3']);
    expect((await axe.run(document.body, { rules: { 'color-contrast': { enabled: false } } })).violations).toEqual([]);
  });

  test('without a draft says how to import one', async () => {
    const { w } = await open('#/grids', [inForce]);
    expect(w.text()).toContain('没有待启用的草案');
    expect(w.get('pre').text()).toContain('onemap import grids');
  });

  test('a plan is cancelled, and a refusal says what is possible now', async () => {
    const s = await open('#/grids', [inForce, version(3, { planned: plan })]);
    s.server.on('DELETE /grid-versions/3/plan', () => refuse(409, { detail: 'no enactment of this version is planned' }));
    await s.press('取消定时：第 3 版');
    s.list.versions = [inForce, version(3)];
    await s.w.get('dialog button.bad').trigger('click');
    await settle();
    const told = s.w.get('dialog [role=alert]').text();
    expect(told).toContain('no enactment of this version is planned');
    expect(told).toContain('第 3 版现在可以：预览、启用或定时启用');
  });

  test('undoing says what it does, wants a reason, and tells when it goes on', async () => {
    const old = version(1, { state: 'retired', retired_at: '2026-11-21T08:00:00+08:00' });
    const s = await open('#/grids', [old, inForce]);
    s.server.on('POST /grid-versions/2/undo', () => json(version(5)));
    await s.press('撤销启用：第 2 版');
    expect(s.w.get('dialog').text()).toContain('按上一版（第 1 版）的边界生成一个新版本');
    await s.send();
    expect(s.server.count('POST /grid-versions/2/undo')).toBe(0);
    await s.reason(' wrong town ');
    await s.send();
    expect(s.server.last('POST /grid-versions/2/undo')?.body).toEqual({ reason: 'wrong town' });
    expect(s.w.find('dialog').exists()).toBe(false);
    expect(s.w.get('p.notice').text()).toContain('正在撤销第 2 版');
    s.list.versions = [version(5, { state: 'enacted', undoes: 2 })];
    await s.press('刷新');
    expect(s.w.get('p.notice').text()).toContain('第 2 版的启用已撤销');
  });
});

describe('the preview', () => {
  test('says in words, as a table and as a legend what changes', async () => {
    const { w } = await open('#/grids/3', [inForce, version(3)]);
    const sums = w.findAll('.totals li').map((l) => l.text());
    expect(sums).toContain('12 个未办结事件将换网格（共 40 个未办结）');
    expect(sums).toContain('其中 2 个将落在所有网格之外');
    expect(sums).toContain('3 名网格员的网格将不存在，需要重新安排');
    expect(w.findAll('.changes tbody th').map((h) => h.text())).toEqual(['13', '11', '12', '14']);
    expect(w.findAll('.changes tbody tr')[0]?.text()).toContain('5 → –');
    expect(w.findAll('.legend li').map((l) => l.text())).toEqual([
      '网格11 11 → 网格12 1230 平方米',
      '网格13 13 → 网格外25 平方米',
    ]);
    expect(w.get('.piece-map').attributes('data-state')).toBe('no-webgl');
    expect((await axe.run(document.body, { rules: { 'color-contrast': { enabled: false } } })).violations).toEqual([]);
  });

  test('is asked for again while the server compares', async () => {
    let asked = 0;
    const { w } = await open('#/grids/3', [inForce, version(3)], () =>
      asked++ ? json(preview()) : refuse(503, { detail: 'still being compared' }, { 'retry-after': '1' }),
    );
    expect(w.get('.wait-bar [role=status]').text()).toContain('正在与启用中的边界比较');
    await new Promise((r) => setTimeout(r, 1100));
    await settle();
    expect(w.find('.wait-bar').exists()).toBe(false);
    expect(w.findAll('.totals li').length).toBeGreaterThan(3);
  });

  test('of what is no draft or not there says so and asks nothing', async () => {
    const { w, server } = await open('#/grids/2', [inForce]);
    expect(w.text()).toContain('第 2 版不是草案');
    expect(server.count('GET /grid-versions/2/preview')).toBe(0);
  });

  test('a refusal is told in full', async () => {
    const { w } = await open('#/grids/3', [version(3)], () => refuse(500, { detail: 'internal error; request r7' }));
    expect(w.get('[role=alert]').text()).toContain('request r7');
  });
});

describe('enacting', () => {
  test('needs a reason, and the box when there are faults', async () => {
    const s = await open('#/grids/3', [inForce, version(3)], () => json(preview({ faults: [fault] })));
    s.server.on('POST /grid-versions/3/enact', () => json(version(3, { state: 'enacted' })));
    expect(s.w.get('.faults li').text()).toContain('重叠');
    await s.press('启用这一版');
    await s.reason('redrawn');
    await s.send();
    expect(s.server.count('POST /grid-versions/3/enact')).toBe(0);
    await s.w.get('dialog input[type=checkbox]').setValue(true);
    await s.send();
    expect(s.server.last('POST /grid-versions/3/enact')?.body).toEqual({ reason: 'redrawn', accept_faults: true });
    expect(s.w.get('p.notice').text()).toContain('第 3 版已启用');
    expect(location.hash).toBe('#/grids');
  });

  test('at a time is in the time of the county, and never in the past', async () => {
    const s = await open('#/grids/3', [inForce, version(3)]);
    s.server.on('POST /grid-versions/3/enact', () => json(version(3, { planned: plan })));
    await s.press('启用这一版');
    await s.w.findAll('dialog input[type=radio]')[1]?.setValue(true);
    await s.reason('new year');
    await s.w.get('dialog input[type=datetime-local]').setValue('2020-01-01T00:00');
    await s.send();
    expect(s.server.count('POST /grid-versions/3/enact')).toBe(0);
    await s.w.get('dialog input[type=datetime-local]').setValue('2126-11-30T00:00');
    await s.send();
    expect(s.server.last('POST /grid-versions/3/enact')?.body).toEqual({
      reason: 'new year',
      accept_faults: false,
      at: '2126-11-30T00:00:00+08:00',
    });
    expect(s.w.get('p.notice').text()).toContain('2126-11-30 00:00（北京时间）');
  });

  test('a conflict says why, reads the list again and what is possible', async () => {
    const s = await open('#/grids/3', [inForce, version(3)]);
    s.server.on('POST /grid-versions/3/enact', () => refuse(409, { detail: 'the boundaries in force are no longer those' }));
    await s.press('启用这一版');
    await s.reason('redrawn');
    await s.send();
    const told = s.w.get('dialog [role=alert]').text();
    expect(told).toContain('no longer those');
    expect(told).toContain('第 3 版现在可以：');
    expect(s.server.count('GET /grid-versions')).toBe(2);
  });
});
