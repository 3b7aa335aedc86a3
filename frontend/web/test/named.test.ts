// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

import { describe, expect, it } from 'vitest';
import { type NamedLayer, namedLayers, namedSources } from '../src/map/named';

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
