// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

import { describe, expect, test } from 'vitest';
import { fold, halos, IncidentMarks, MOST_HALOS } from '../src/map/incidents';
import { mercatorX, mercatorY } from '../src/map/mercator';
import { ABOUT_TEXT, ABOVE_MARKS, countsOf, LABEL_LAYERS, makeStyle } from '../src/map/style';
import { Workers } from '../src/map/workers';
import { type Incident, markOf, onMap, placeOf } from '../src/wall/incident';
import type { Fix, WorkerState } from '../src/wire/positions';
import { incident } from './helpers';

const make = (id: string, more: Record<string, unknown> = {}) => incident(id, more) as unknown as Incident;
const fix = (worker: number, state: WorkerState, more: Partial<Fix> = {}): Fix => ({
  worker,
  lon: 107.5 + worker / 1000,
  lat: 38.2,
  fixAt: 0,
  accuracyM: 5,
  courseDeg: -1,
  state,
  ...more,
});
const frame = (fixes: Fix[], full = false) => ({ at: 0, full, fixes });

describe('workers', () => {
  test('newest wins, off removes, a full set replaces', () => {
    const w = new Workers();
    w.apply(frame([fix(1, 'on'), fix(2, 'task'), fix(3, 'stale')], true), 0);
    w.apply(frame([fix(1, 'task'), fix(3, 'off')]), 1000);
    expect(w.counts()).toEqual({ on: 0, task: 2, stale: 0, sos: 0 });
    w.apply(frame([fix(9, 'sos')], true), 2000);
    expect(w.counts()).toEqual({ on: 0, task: 0, stale: 0, sos: 1 });
    expect(w.points.count).toBe(1);
  });

  test('slots stay true to their worker through any order of comings and goings', () => {
    const seed = 20_261_122;
    let s = seed;
    const random = () => {
      s = (Math.imul(s, 1_103_515_245) + 12_345) >>> 0;
      return s / 2 ** 32;
    };
    const w = new Workers();
    const truth = new Map<number, number>();
    for (let step = 0; step < 2000; step++) {
      const id = Math.floor(random() * 300);
      const off = random() < 0.4;
      const lon = 107 + random() * 0.01;
      w.apply(frame([fix(id, off ? 'off' : 'on', { lon })]), step * 5000);
      if (off) truth.delete(id);
      else truth.set(id, lon);
    }
    w.points.settle(1);
    const got = [...w.points.next.subarray(0, w.points.count * 2)]
      .filter((_, k) => k % 2 === 0)
      .map((x) => x / 4096 + w.points.origin[0]);
    const want = [...truth.values()].map((lon) => lon / 360 + 0.5);
    const sorted = (a: number[]) => [...a].sort((p, q) => p - q);
    expect(w.points.count, `seed ${seed}`).toBe(truth.size);
    for (const [k, x] of sorted(got).entries()) expect(x).toBeCloseTo(sorted(want)[k] as number, 8);
  });

  test('a move slides from where the mark is seen to where it is, a jump does not', () => {
    const w = new Workers();
    w.apply(frame([fix(1, 'on', { lon: 107.5 })]), 0);
    w.apply(frame([fix(1, 'on', { lon: 107.501 })]), 5000);
    const end = w.points.next[0] as number;
    expect(w.points.prev[0]).toBeCloseTo(0, 6);
    expect(w.slide(5500)).toBe(0.5);
    w.apply(frame([fix(1, 'on', { lon: 107.501 })]), 5500);
    expect(w.points.prev[0]).toBeCloseTo(end / 2, 6);
    w.apply(frame([fix(1, 'on', { lon: 109 })]), 9000);
    expect(w.points.prev[0]).toBe(w.points.next[0]);
  });

  test('with the link down a dot ages by the server clock and leaves the map after an hour', () => {
    const w = new Workers();
    w.apply(frame([fix(1, 'on'), fix(2, 'sos')]), 0);
    w.age(119_000, false);
    expect(w.counts()).toMatchObject({ on: 1, sos: 1 });
    w.age(121_000, false);
    expect(w.counts()).toMatchObject({ on: 0, stale: 1, sos: 1 });
    w.age(121_000, true);
    expect(w.counts()).toMatchObject({ on: 1, stale: 0 });
    w.age(3_601_000, false);
    expect(w.points.count).toBe(0);
  });
});

describe('incidents', () => {
  test.each([
    ['reported', 1, 'urgent'],
    ['reported', 2, 'important'],
    ['on_scene', 3, 'normal'],
    ['acknowledged', 4, 'normal'],
    ['returned', 1, 'returned'],
    ['rework', 2, 'returned'],
    ['resolved', 1, 'done'],
    ['closed', 3, 'done'],
  ])('%s of priority %d wears the mark %s', (state, priority, mark) => {
    expect(markOf({ state, priority })).toBe(mark);
  });

  test('at most three halos: arrivals first, then urgent ones that nobody has signed for', () => {
    const now = 100_000;
    const arrived = new Map([
      ['1', now - 9000],
      ['2', now - 1000],
      ['3', now - 11_000],
    ]);
    const list = [
      make('1'),
      make('2'),
      make('3'),
      make('4', { priority: 1 }),
      make('5', { priority: 1 }),
      make('6', { priority: 1, acknowledged_at: '2026-11-22T08:01:00+08:00' }),
      make('7', { priority: 1, point: null }),
    ];
    const got = halos(list, arrived, now).map((i) => i.id);
    expect(got.slice(0, 2)).toEqual(['2', '1']);
    expect(got.length).toBe(MOST_HALOS);
    expect(['4', '5']).toContain(got[2]);
  });

  /** A mark's width at the zoom of these tests, in degrees of longitude. */
  const U = 1 / 36_000;
  const at = (us: number): [number, number] => [107.5 + us * U * 360, 38];

  test('marks that would cover each other fold into the most pressing, at its own place', () => {
    const near = [make('1', { point: at(0) }), make('2', { point: at(0.3), priority: 2 }), make('3', { point: at(0.6) })];
    const far = make('4', { point: at(5) });
    expect(fold([...near, far], U).map((f) => [f.lead.id, f.count])).toEqual([
      ['2', 3],
      ['4', 1],
    ]);
    expect(fold(near, U / 10).length).toBe(3);
  });

  test('an urgent incident hides behind nothing but an urgent one on the same spot', () => {
    const urgent = [0, 0.1, 0.6].map((x, k) => make(String(k + 1), { point: at(x), priority: 1 }));
    const plain = make('9', { point: at(0.3), priority: 3 });
    expect(fold([plain, ...urgent], U).map((f) => f.count)).toEqual([1, 3]);
  });

  test('every incident is counted once, and no two marks stand closer than they may', () => {
    const seed = 20_261_122;
    let s = seed;
    const random = () => {
      s = (Math.imul(s, 1_103_515_245) + 12_345) >>> 0;
      return s / 2 ** 32;
    };
    const list = Array.from({ length: 800 }, (_, k) =>
      make(String(k), { point: [107.5 + random() / 10, 38 + random() / 10], priority: 1 + Math.floor(random() * 4) }),
    );
    const folds = fold(list, U);
    expect(
      folds.reduce((n, f) => n + f.count, 0),
      `seed ${seed}`,
    ).toBe(list.length);
    const seats = folds.map((f) => ({
      urgent: f.lead.priority === 1,
      x: mercatorX(f.lead.point?.[0] as number) / U,
      y: mercatorY(f.lead.point?.[1] as number) / U,
    }));
    for (const [k, a] of seats.entries()) {
      for (const b of seats.slice(k + 1))
        expect(Math.hypot(a.x - b.x, a.y - b.y), `seed ${seed}`).toBeGreaterThan(a.urgent && b.urgent ? 0.399 : 0.799);
    }
  });

  test('a mark that stands for several says for how many, an urgent one keeps names off, and a rough place says so', () => {
    const data = countsOf([
      { lead: make('1'), count: 1 },
      { lead: make('2'), count: 12 },
      { lead: make('3', { priority: 1 }), count: 1 },
      { lead: make('4', { accuracy_m: 2500 }), count: 1 },
      { lead: make('5', { accuracy_m: null }), count: 1 },
    ]) as { features: { properties: unknown }[] };
    expect(data.features.map((f) => f.properties)).toEqual([
      { n: 12, urgent: false, about: false },
      { n: 1, urgent: true, about: false },
      { n: 1, urgent: false, about: true },
    ]);
  });

  test('the style draws every level a tree may have, names above the marks, and the word for a rough place', () => {
    const { layers } = makeStyle({ grids: { tiles: [] } }, [], 'https://wall', 16, 8);
    const ids = layers.map((l) => l.id);
    for (let level = 1; level <= 6; level++) {
      const grids = layers.filter((l) => [`border-${level}`, `label-${level}`].includes(l.id));
      expect(grids.map((l) => 'filter' in l && l.filter)).toEqual([
        ['==', ['get', 'level'], level],
        ['==', ['get', 'level'], level],
      ]);
    }
    expect(LABEL_LAYERS.every((l) => ids.indexOf(l) >= ids.indexOf(ABOVE_MARKS[0] as string))).toBe(true);
    expect(layers.find((l) => l.id === 'about')).toMatchObject({
      filter: ['get', 'about'],
      layout: { 'text-field': ABOUT_TEXT },
    });
  });

  test('what is done leaves the map after a quarter of an hour', () => {
    const at = Date.parse('2026-11-22T08:00:00+08:00');
    const done = make('1', { state: 'resolved', resolved_at: '2026-11-22T08:00:00+08:00' });
    expect(onMap(done, at + 60_000)).toBe(true);
    expect(onMap(done, at + 901_000)).toBe(false);
    expect(onMap(make('2', { state: 'resolved', resolved_at: null }), at)).toBe(false);
    expect(onMap(make('3', { state: 'on_scene' }), at + 901_000_000)).toBe(true);
  });

  test('one without a place is not drawn', () => {
    const m = new IncidentMarks();
    m.show([make('1'), make('2', { point: null, place: 'none' })], new Map(), 0, 0, U);
    expect(m.points.count - m.pulsing).toBe(1);
  });

  test('the beat is one a second, and stands still where motion is unwanted', () => {
    const m = new IncidentMarks();
    const sizes = (now: number, still: boolean) => {
      const out: number[] = [];
      m.animate(now, still, (_, size) => out.push(size));
      return out;
    };
    expect(sizes(250, false)).toEqual(sizes(1250, false));
    expect(sizes(250, false)).not.toEqual(sizes(750, false));
    expect(sizes(250, true)).toEqual(sizes(750, true));
  });

  test('a place is the town and the smallest grid known', () => {
    expect(placeOf(make('1'))).toBe('东镇 · 网格001');
    expect(placeOf(make('1', { grid: { version: 1, path: [{ level: 1, code: '1', name: '演示旗' }] } }))).toBe('演示旗');
    expect(placeOf(make('1', { grid: null }))).toBe('');
  });
});
