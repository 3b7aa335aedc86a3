// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// @vitest-environment jsdom

import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { Hall } from '../src/wall/hall';
import type { HallHook } from '../src/wall/hook';

const made = vi.hoisted(() => ({ maps: 0, asked: 0, tiles: [] as ((t: unknown) => void)[], sessions: 0 }));

vi.mock('../src/map/hallmap', () => ({
  HallMap: class {
    gl = {};
    constructor() {
      made.maps++;
    }
    worldPerU = () => 1;
    showCounts = () => undefined;
    remove = () => undefined;
  },
}));
vi.mock('../src/wall/rest', async (real) => ({
  ...(await real<object>()),
  getTileJSON: () => new Promise((r) => made.tiles.push(r)),
  getLayers: async () => {
    made.asked++;
    return [];
  },
  gridNames: async () => '',
  getSession: async () => {
    made.sessions++;
    return { grid: null };
  },
}));

const settled = () => vi.advanceTimersByTimeAsync(0);

beforeEach(() => {
  vi.useFakeTimers();
  Object.assign(made, { maps: 0, asked: 0, tiles: [], sessions: 0 });
  Object.assign(window, { matchMedia: () => ({ matches: false }), __hall: {} as HallHook });
  Object.assign(document, { fonts: { load: async () => [] } });
  HTMLCanvasElement.prototype.getContext = (() => ({})) as never;
});
afterEach(() => vi.useRealTimers());

it('makes no map, and asks for nothing more, once its element has gone', async () => {
  const hall = new Hall();
  hall.session.value = { grid: { bbox: [0, 0, 1, 1] } } as never;
  const first = hall.mountMap(document.createElement('div'), 'map');
  await settled();
  hall.unmountMap();
  const second = hall.mountMap(document.createElement('div'), 'map');
  await settled();
  for (const answer of made.tiles) answer({});
  await Promise.all([first, second]);
  expect(made.maps).toBe(1);
  const asked = made.asked;
  await vi.advanceTimersByTimeAsync(60_000);
  expect(made.asked).toBe(asked + 1);
  hall.unmountMap();
  await vi.advanceTimersByTimeAsync(120_000);
  expect(made.asked).toBe(asked + 1);
});

it('waits for the first grids only as long as its element is there', async () => {
  const hall = new Hall();
  const mount = hall.mountMap(document.createElement('div'), 'map');
  await vi.advanceTimersByTimeAsync(6500);
  expect(made.sessions).toBe(3);
  hall.unmountMap();
  await vi.advanceTimersByTimeAsync(60_000);
  await mount;
  expect(made.sessions).toBeLessThanOrEqual(4);
  expect(made.maps).toBe(0);
});
