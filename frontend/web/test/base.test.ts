// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0
// @vitest-environment jsdom

import { afterEach, describe, expect, test, vi } from 'vitest';
import { BASE_WORDS } from '../src/i18n/base';
import { BASE, type BaseMap, getBase, noteBase, OVER_BASE, withBase } from '../src/map/base';
import { makeStyle } from '../src/map/style';

const own = () => makeStyle({ grids: { tiles: [] } }, [], 'https://hall', 16, 8);
const raster: BaseMap = {
  kind: 'xyz',
  format: 'raster',
  tiles: ['/tiles/base/{z}/{x}/{y}?v=1'],
  tile_size: 256,
  minzoom: 3,
  maxzoom: 17,
  attribution: '天地图',
  approval: 'GS(2026)0000号',
  away: false,
};
const answering = (b: unknown, ok = true) => vi.stubGlobal('fetch', async () => ({ ok, json: async () => b }));

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

describe('the base map', () => {
  test('without one the style is the same as ever', async () => {
    const style = own();
    expect(withBase(style, null, 'https://hall', true)).toBe(style);
    answering({ kind: 'none', format: 'none', tiles: [] });
    expect(await getBase()).toBeNull();
    answering({}, false);
    expect(await getBase()).toBeNull();
    vi.stubGlobal('fetch', async () => Promise.reject(new Error('offline')));
    expect(await getBase()).toBeNull();
  });

  test('lies right above the ground, asked for at this server, with our land let through', () => {
    const style = withBase(own(), raster, 'https://hall', true);
    expect(style.layers.slice(0, 2).map((l) => l.id)).toEqual(['ground', BASE]);
    expect(style.sources[BASE]).toMatchObject({
      type: 'raster',
      tiles: ['https://hall/tiles/base/{z}/{x}/{y}?v=1'],
      maxzoom: 17,
    });
    const land = style.layers.filter((l) => ['county', 'towns'].includes(l.id));
    expect(land).toHaveLength(2);
    for (const l of land) expect(l.paint).toMatchObject({ 'fill-opacity': OVER_BASE });
    expect(style.layers.length).toBe(own().layers.length + 1);
  });

  test('of a vector map draws land, water and roads, no border and no name', () => {
    const vector_layers = ['water', 'roads', 'boundaries', 'places', 'toString'].map((id) => ({ id }));
    const style = withBase(own(), { ...raster, kind: 'pmtiles', format: 'vector', vector_layers }, 'https://hall', false);
    const drawn = style.layers.filter((l) => 'source' in l && l.source === BASE);
    expect(drawn.map((l) => [l.id, l.type])).toEqual([
      ['base-water', 'fill'],
      ['base-roads', 'line'],
    ]);
  });

  test('says whose it is, that its server is away, and asks again for what did not come', async () => {
    vi.useFakeTimers();
    const container = document.createElement('div');
    const setTiles = vi.fn();
    const gl = { getContainer: () => container, getSource: () => ({ setTiles }) } as never;
    const end = noteBase(gl, raster, true);
    const note = container.querySelector('.base-note') as HTMLElement;
    expect(note.textContent).toBe('天地图 · 审图号：GS(2026)0000号');
    answering({ ...raster, away: true });
    await vi.advanceTimersByTimeAsync(30_000);
    expect(note.textContent).toContain(BASE_WORDS['zh-CN'].away);
    expect(setTiles).not.toHaveBeenCalled();
    answering(raster);
    await vi.advanceTimersByTimeAsync(30_000);
    expect(note.textContent).not.toContain(BASE_WORDS['zh-CN'].away);
    expect(setTiles).toHaveBeenCalledOnce();
    end();
    expect(container.childElementCount).toBe(0);
    expect(vi.getTimerCount()).toBe(0);
  });
});
