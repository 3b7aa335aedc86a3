// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

import { describe, expect, it } from 'vitest';
import { drawnAlike, type NamedLayer, namedLayers, namedSources } from '../src/map/named';
import { LayersKeeper } from '../src/wall/layers';
import { FakeTimers } from './helpers';

const layer = (over: Partial<NamedLayer>): NamedLayer => ({
  code: 'stations',
  name: '站点',
  geometry: 'point',
  style: {},
  min_zoom: 9,
  max_zoom: 18,
  ...over,
});

describe('named layers', () => {
  it('draws shapes beneath marks, each from its own source', () => {
    const named = [layer({}), layer({ code: 'lakes', geometry: 'polygon' }), layer({ code: 'canals', geometry: 'line' })];
    expect(Object.keys(namedSources(named, 'https://wall'))).toEqual(['named-stations', 'named-lakes', 'named-canals']);
    expect(namedLayers(named, 16).map((l) => l.id)).toEqual([
      'named-lakes-fill',
      'named-lakes-line',
      'named-canals-line',
      'named-stations-mark',
      'named-stations-label',
    ]);
  });

  it('asks this very server for tiles, no deeper than there are any', () => {
    const [source] = Object.values(namedSources([layer({ min_zoom: 15 })], 'https://wall'));
    expect(source).toMatchObject({ tiles: ['https://wall/tiles/stations/{z}/{x}/{y}.mvt'], minzoom: 14, maxzoom: 14 });
  });

  it('follows the style, and shows a layer up to its last zoom', () => {
    const [fill, line] = namedLayers(
      [layer({ geometry: 'polygon', max_zoom: 12, style: { colour: '#d4380d', fill_opacity: 0, width: 4 } })],
      32,
    );
    expect(fill).toMatchObject({ minzoom: 9, maxzoom: 13, paint: { 'fill-color': '#d4380d', 'fill-opacity': 0 } });
    expect(line).toMatchObject({ paint: { 'line-color': '#d4380d', 'line-width': 8 } });
  });

  it('has a mark for an icon that it does not know', () => {
    expect(namedLayers([layer({ style: { icon: 'unheard-of' } })], 16)[0]).toMatchObject({ layout: { 'text-field': '●' } });
  });
});

describe('the list of layers', () => {
  it('is asked for again after a failure, and tells of what has changed alone', async () => {
    const waits: number[] = [];
    let next: () => void = () => undefined;
    const answers = [
      null,
      [layer({ tag: '1' }), layer({ code: 'cameras', tag: 'a' })],
      [layer({ tag: '1' }), layer({ code: 'cameras', tag: 'a' })],
      [layer({ tag: '2' }), layer({ code: 'cameras', tag: 'b' })],
    ];
    const told: string[] = [];
    const keeper = new LayersKeeper({
      fetch: async () => {
        const a = answers.shift();
        if (!a) throw new Error('no answer');
        return a;
      },
      named: (l) => void told.push(`named ${l.map((x) => x.code + x.tag)}`),
      cameras: (tag) => void told.push(`cameras ${tag}`),
      timers: {
        now: () => 0,
        set: (fn, ms) => {
          waits.push(ms);
          next = fn;
          return 1;
        },
        clear: () => undefined,
      },
    });
    await keeper.start();
    for (let k = 0; k < 3; k++) {
      next();
      await new Promise((r) => setTimeout(r));
    }
    expect(waits).toEqual([5000, 60_000, 60_000, 60_000]);
    expect(told).toEqual(['named stations1', 'named stations2', 'cameras b']);
    expect(keeper.now.map((l) => l.code)).toEqual(['stations']);
  });

  it('is asked for by one chain alone, however often it stops and starts within an answer', async () => {
    const timers = new FakeTimers();
    const answers: ((l: NamedLayer[]) => void)[] = [];
    const told: string[] = [];
    const keeper = new LayersKeeper({
      fetch: () => new Promise((r) => answers.push(r)),
      named: (l) => void told.push(`${l.map((x) => x.tag)}`),
      cameras: () => undefined,
      timers,
    });
    const starts = [keeper.start()];
    keeper.stop();
    starts.push(keeper.start());
    answers[1]?.([layer({ tag: 'new' })]);
    answers[0]?.([layer({ tag: 'old' })]);
    await Promise.all(starts);
    expect(told).toEqual(['new']);
    expect(timers.waits).toEqual([60_000]);
    timers.advance(60_000);
    keeper.stop();
    answers[2]?.([layer({ tag: 'late' })]);
    await new Promise((r) => setTimeout(r));
    expect(timers.waits).toEqual([]);
    expect(told).toEqual(['new']);
  });

  it('has other tile addresses for other data, and the same style', () => {
    const [a, b] = [[layer({ tag: '1.7' })], [layer({ tag: '2.7' })]];
    expect(drawnAlike(a, b)).toBe(true);
    expect(drawnAlike(a, [layer({ tag: '1.7', max_zoom: 17 })])).toBe(false);
    expect(namedSources(b, 'https://wall')['named-stations']).toMatchObject({
      tiles: ['https://wall/tiles/stations/{z}/{x}/{y}.mvt?tag=2.7'],
    });
  });
});
