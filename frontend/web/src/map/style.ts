// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// The base map: the county's own four-level grid, its roads and cameras, drawn
// quietly so that the incidents stand out. No source outside this server.

import type { LayerSpecification, SourceSpecification, StyleSpecification } from 'maplibre-gl';
import { MAP } from '../look/tokens';
import type { TileJSON } from '../wall/rest';

export const TILE_LAYERS = ['grids', 'roads', 'cameras'] as const;
export type TileLayer = (typeof TILE_LAYERS)[number];
export type Tiles = Partial<Record<TileLayer, TileJSON>>;

export const FONT = '"Noto Sans SC Variable", "Noto Sans CJK SC", "Noto Sans SC", sans-serif';
export const LABEL_LAYERS = ['label-2', 'label-1', 'label-3', 'label-4'];

/** Above the zoom at which the whole county fits: from where each level's names and finest lines show. */
const LABELS_FROM = { 1: -2, 2: -1, 3: 1, 4: 2.6 } as const;
const LINES_FROM = { 1: -4, 2: -4, 3: -1, 4: 0.35 } as const;
const ROADS_FROM = -0.5;
const CAMERAS_FROM = 2;

type Level = 1 | 2 | 3 | 4;
const LINE_U: Record<Level, number> = { 1: 0.06, 2: 0.04, 3: 0.024, 4: 0.014 };
const LABEL_U: Record<Level, number> = { 1: 1.2, 2: 1, 3: 0.8, 4: 0.8 };

/** The address of a layer's tiles on this very server, whatever host it is reached by. */
export function tileURL(layer: TileLayer, origin: string, stamp = ''): string {
  return `${origin}/tiles/${layer}/{z}/{x}/{y}.mvt${stamp}`;
}

/** The style for a wall of u pixels whose county fits at the zoom `home`. */
export function makeStyle(tiles: Tiles, origin: string, u: number, home: number): StyleSpecification {
  const sources: Record<string, SourceSpecification> = {};
  for (const layer of TILE_LAYERS) {
    const t = tiles[layer];
    if (t)
      sources[layer] = { type: 'vector', tiles: [tileURL(layer, origin)], minzoom: t.minzoom ?? 0, maxzoom: t.maxzoom ?? 14 };
  }
  const layers: LayerSpecification[] = [{ id: 'ground', type: 'background', paint: { 'background-color': MAP.ground } }];
  if (sources.grids) layers.push(...fills());
  if (sources.roads) layers.push(roads(u, home));
  if (sources.grids) layers.push(...([4, 3, 2, 1] as const).map((l) => border(l, u, home)));
  if (sources.cameras) layers.push(cameras(u, home));
  if (sources.grids) layers.push(...([4, 3, 1, 2] as const).map((l) => label(l, u, home)));
  return { version: 8, sources, layers };
}

const zoom = (z: number) => Math.max(0, Math.min(22, z));

function fills(): LayerSpecification[] {
  const grids = { type: 'fill', source: 'grids', 'source-layer': 'grids' } as const;
  const [a, b, c, d] = MAP.towns;
  return [
    { id: 'county', ...grids, filter: ['==', ['get', 'level'], 1], paint: { 'fill-color': a } },
    {
      id: 'towns',
      ...grids,
      filter: ['==', ['get', 'level'], 2],
      paint: { 'fill-color': ['match', ['%', ['to-number', ['get', 'no']], 4], 0, a, 1, b, 2, c, d], 'fill-antialias': false },
    },
  ];
}

function border(level: Level, u: number, home: number): LayerSpecification {
  return {
    id: `border-${level}`,
    type: 'line',
    source: 'grids',
    'source-layer': 'grids',
    minzoom: zoom(home + LINES_FROM[level]),
    filter: ['==', ['get', 'level'], level],
    layout: { 'line-join': 'round' },
    paint: { 'line-color': MAP.border[level], 'line-width': Math.max(0.6, LINE_U[level] * u) },
  };
}

function roads(u: number, home: number): LayerSpecification {
  return {
    id: 'roads',
    type: 'line',
    source: 'roads',
    'source-layer': 'roads',
    minzoom: zoom(home + ROADS_FROM),
    layout: { 'line-join': 'round', 'line-cap': 'round' },
    paint: {
      'line-color': MAP.road,
      'line-width': ['match', ['get', 'class'], ['motorway', 'trunk', 'primary', 'main'], 0.05 * u, 0.022 * u],
      'line-opacity': 0.8,
    },
  };
}

function cameras(u: number, home: number): LayerSpecification {
  return {
    id: 'cameras',
    type: 'circle',
    source: 'cameras',
    'source-layer': 'cameras',
    minzoom: zoom(home + CAMERAS_FROM),
    paint: { 'circle-color': MAP.camera, 'circle-radius': 0.07 * u, 'circle-opacity': 0.7 },
  };
}

function label(level: Level, u: number, home: number): LayerSpecification {
  return {
    id: `label-${level}`,
    type: 'symbol',
    source: 'grids',
    'source-layer': 'labels',
    minzoom: zoom(home + LABELS_FROM[level]),
    ...(level === 1 ? { maxzoom: zoom(home + 1) } : {}),
    filter: ['==', ['get', 'level'], level],
    layout: {
      'text-field': ['get', 'name'],
      'text-font': [level <= 2 ? 'Noto Sans SC Medium' : 'Noto Sans SC Regular'],
      'text-size': LABEL_U[level] * u,
      'text-letter-spacing': level === 1 ? 0.4 : level === 2 ? 0.08 : 0,
      'text-padding': 0.2 * u,
      'text-max-width': 12,
    },
    paint: {
      'text-color': MAP.label[level],
      'text-halo-color': MAP.ground,
      'text-halo-width': 0.06 * u,
      'text-opacity': level === 1 ? 0.6 : 1,
    },
  };
}
