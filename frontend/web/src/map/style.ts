// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// The base map: the county's own grid of three to six levels, its roads and cameras, drawn
// quietly so that the incidents stand out. No source outside this server.

import type { GeoJSONSourceSpecification, LayerSpecification, SourceSpecification, StyleSpecification } from 'maplibre-gl';
import { INK, MAP } from '../look/tokens';
import { markOf, roughly } from '../wall/incident';
import type { TileJSON } from '../wall/rest';
import type { Fold } from './incidents';
import { type NamedLayer, namedLayers, namedSources } from './named';

export const TILE_LAYERS = ['grids', 'roads', 'cameras'] as const;
export type TileLayer = (typeof TILE_LAYERS)[number];
export type Tiles = Partial<Record<TileLayer, TileJSON>>;

export const LABEL_LAYERS = ['label-2', 'label-1', 'label-3', 'label-4', 'label-5', 'label-6'];
/** The source and layer of the numbers beside marks that stand for several incidents. */
export const COUNTS = 'counts';
/** The marks lie beneath the lowest of these layers that is there. */
export const ABOVE_MARKS = ['label-6', COUNTS];
const LEAST_COUNT = 3;

/** Above the zoom at which the whole county fits: from where each level's names and finest lines show. */
const LABELS_FROM = { 1: -3, 2: -0.7, 3: 1, 4: 2.6, 5: 3.6, 6: 4.6 } as const;
const LINES_FROM = { 1: -4, 2: -4, 3: -1, 4: 0.35, 5: 1.6, 6: 2.8 } as const;
const ROADS_FROM = -0.5;
const TRACKS_FROM = 1;
const GREAT_ROADS = ['motorway', 'trunk'];
const MAIN_ROADS = ['primary', 'secondary'];
const CAMERAS_FROM = 2;

type Level = 1 | 2 | 3 | 4 | 5 | 6;
const LINE_U: Record<Level, number> = { 1: 0.06, 2: 0.04, 3: 0.024, 4: 0.014, 5: 0.012, 6: 0.01 };
const LABEL_U: Record<Level, number> = { 1: 1.2, 2: 1, 3: 0.8, 4: 0.8, 5: 0.7, 6: 0.7 };

/** The address of a layer's tiles on this very server, whatever host it is reached by. */
export function tileURL(layer: TileLayer, origin: string, stamp = ''): string {
  return `${origin}/tiles/${layer}/{z}/{x}/{y}.mvt${stamp}`;
}

/** The style for a wall of u pixels whose county fits at the zoom `home`. */
export function makeStyle(tiles: Tiles, named: NamedLayer[], origin: string, u: number, home: number): StyleSpecification {
  const sources: Record<string, SourceSpecification> = namedSources(named, origin);
  for (const layer of TILE_LAYERS) {
    const t = tiles[layer];
    if (t)
      sources[layer] = { type: 'vector', tiles: [tileURL(layer, origin)], minzoom: t.minzoom ?? 0, maxzoom: t.maxzoom ?? 14 };
  }
  sources[COUNTS] = { type: 'geojson', data: countsOf([]) };
  const layers: LayerSpecification[] = [{ id: 'ground', type: 'background', paint: { 'background-color': MAP.ground } }];
  if (sources.grids) layers.push(...fills());
  if (sources.roads) layers.push(roads(u, home));
  if (sources.grids) layers.push(...([6, 5, 4, 3, 2, 1] as const).map((l) => border(l, u, home)));
  if (sources.cameras) layers.push(cameras(u, home));
  layers.push(...namedLayers(named, u));
  // Whatever lies higher has the first choice of room: urgent marks, towns, numbers, then the smaller names.
  const labels = (...levels: Level[]) => (sources.grids ? levels.map((l) => label(l, u, home)) : []);
  layers.push(...labels(6, 5, 4, 3), counts(u), about(u), ...labels(1, 2), guard(u));
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
    filter: [
      'any',
      ['match', ['get', 'class'], [...GREAT_ROADS, ...MAIN_ROADS], true, false],
      ['>=', ['zoom'], home + TRACKS_FROM],
    ],
    layout: { 'line-join': 'round', 'line-cap': 'round' },
    paint: {
      'line-color': MAP.road,
      'line-width': ['match', ['get', 'class'], GREAT_ROADS, 0.07 * u, MAIN_ROADS, 0.045 * u, 0.025 * u],
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
    ...(level === 1 ? { maxzoom: zoom(home + LABELS_FROM[2]) } : {}),
    filter: ['==', ['get', 'level'], level],
    layout: {
      'text-field': ['get', 'name'],
      'text-font': [level <= 2 ? 'Noto Sans SC Medium' : 'Noto Sans SC Regular'],
      'text-size': LABEL_U[level] * u,
      'text-variable-anchor': level === 1 ? ['center'] : ['top', 'bottom', 'left', 'right'], // the point itself may carry a mark
      'text-radial-offset': level === 1 ? 0 : 0.45,
      'text-letter-spacing': level === 1 ? 0.4 : level === 2 ? 0.08 : 0,
      'text-padding': 0.2 * u,
      'text-max-width': 12,
    },
    paint: {
      'text-color': MAP.label[level],
      'text-halo-color': MAP.ground,
      'text-halo-width': 0.1 * u,
    },
  };
}

/** The marks that say for how many they stand, those whose place is approximate, and those that no name may cover. */
export function countsOf(folds: Fold[]): GeoJSONSourceSpecification['data'] {
  const urgent = (f: Fold) => markOf(f.lead) === 'urgent';
  const told = folds.filter((f) => f.count >= LEAST_COUNT || urgent(f) || roughly(f.lead));
  return {
    type: 'FeatureCollection',
    features: told.map((f) => ({
      type: 'Feature',
      properties: { n: f.count, urgent: urgent(f), about: roughly(f.lead) },
      geometry: { type: 'Point', coordinates: f.lead.point as [number, number] },
    })),
  };
}

/** Where there is no room for all numbers, the greatest are written. */
function counts(u: number): LayerSpecification {
  return {
    id: COUNTS,
    type: 'symbol',
    source: COUNTS,
    filter: ['>=', ['get', 'n'], LEAST_COUNT],
    layout: {
      'text-field': ['to-string', ['get', 'n']],
      'text-font': ['Noto Sans SC Medium'],
      'text-size': 0.8 * u,
      'text-anchor': 'left',
      'text-offset': [0.62, 0],
      'text-padding': 0.12 * u,
      'symbol-sort-key': ['-', 0, ['get', 'n']],
    },
    paint: { 'text-color': INK.text, 'text-halo-color': MAP.ground, 'text-halo-width': 0.08 * u },
  };
}

/** What is written before a mark whose place is approximate. */
export const ABOUT_TEXT = '约';

function about(u: number): LayerSpecification {
  return {
    id: 'about',
    type: 'symbol',
    source: COUNTS,
    filter: ['get', 'about'],
    layout: {
      'text-field': ABOUT_TEXT,
      'text-font': ['Noto Sans SC Medium'],
      'text-size': 0.7 * u,
      'text-anchor': 'right',
      'text-offset': [-0.7, 0],
      'text-padding': 0,
      'text-allow-overlap': true, // a place that is not sure never looks as if it were
    },
    paint: { 'text-color': INK.text, 'text-halo-color': MAP.ground, 'text-halo-width': 0.08 * u },
  };
}

/** Draws nothing: it keeps names and numbers away from urgent marks. */
function guard(u: number): LayerSpecification {
  return {
    id: 'guard',
    type: 'symbol',
    source: COUNTS,
    filter: ['get', 'urgent'],
    layout: {
      'text-field': '■',
      'text-font': ['Noto Sans SC Regular'],
      'text-size': 0.6 * u,
      'text-padding': 0,
      'text-allow-overlap': true,
    },
    paint: { 'text-opacity': 0 },
  };
}
