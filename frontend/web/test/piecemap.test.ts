// @vitest-environment jsdom
// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// The map of a redraw: what is chosen while its style is being loaded. The map itself is a stand-in: there is no WebGL
// here.

import { expect, test, vi } from 'vitest';
import { PieceMap } from '../src/admin/grids/piecemap';

/** Takes nothing between a style and its load, as MapLibre does. */
const gl = vi.hoisted(() => ({
  loaded: false,
  style: { layers: [], sources: {} } as {
    layers: { id: string; filter?: unknown }[];
    sources: Record<string, { data: unknown }>;
  },
  heard: new Map<string, () => void>(),
  on: (what: string, f: () => void) => gl.heard.set(what, f),
  once: () => {},
  setStyle: (style: unknown) => {
    gl.style = structuredClone(style) as typeof gl.style;
    gl.loaded = false;
  },
  getLayer: (id: string) => (gl.loaded ? gl.style.layers.find((l) => l.id === id) : undefined),
  setFilter: (id: string, filter: unknown) => Object.assign(gl.getLayer(id) ?? {}, { filter }),
  getSource: (id: string) =>
    gl.loaded ? { setData: (data: unknown) => Object.assign(gl.style.sources[id] ?? {}, { data }) } : undefined,
  cameraForBounds: () => ({ zoom: 8 }),
  fitBounds: () => {},
}));
vi.mock('../src/map/lightmap', () => ({ lightMap: () => gl, remPx: () => 16, still: () => true }));

test('what is chosen while the style is being loaded is marked when it is', () => {
  const none = { type: 'FeatureCollection', features: [] } as never;
  const map = new PieceMap({
    container: document.body,
    title: '',
    borders: none,
    grids: [],
    pieces: none,
    pairs: [],
    home: [107, 38, 108, 39],
    over: () => {},
    clicked: () => {},
    ready: () => {},
  });
  map.choose({ key: 'a>b' });
  map.showFault([107.5, 38.5], 40);
  gl.loaded = true;
  gl.heard.get('style.load')?.();
  expect(JSON.stringify(gl.getLayer('chosen-piece')?.filter)).toContain('a>b');
  expect(JSON.stringify(gl.style.sources.fault?.data)).toContain('[107.5,38.5]');
  map.choose({ code: '990001' });
  expect(JSON.stringify(gl.getLayer('chosen-grid')?.filter)).toContain('990001');
});
