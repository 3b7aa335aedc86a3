// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// The centre's named layers (图层): points, lines and polygons that it brought in,
// each drawn as its own style says, beneath the marks of incidents and workers.

import type { ExpressionSpecification, LayerSpecification, SourceSpecification } from 'maplibre-gl';
import { MAP } from '../look/tokens';

/** A layer as GET /api/v1/layers tells of it. */
export interface NamedLayer {
  code: string;
  name: string;
  geometry: 'point' | 'line' | 'polygon';
  style: { colour?: string; icon?: string; width?: number; fill_opacity?: number; label?: string };
  min_zoom: number;
  max_zoom: number;
  /** Another one when what the tiles show has changed. */
  tag?: string;
}

/** Deeper tiles show nothing new. */
const DATA_ZOOM = 14;
const DEFAULT_COLOUR = '#8FC4F0';
const DEFAULT_FILL = 0.15;
const DEFAULT_WIDTH_PX = 2;
const MARK_U = 0.55;
const LABEL_U = 0.6;
/** A style's pixels are meant for a desk of this u. */
const DESK_U = 16;

/** Icons are characters, so that they need no picture: the font has them. */
const GLYPHS: Record<string, string> = {
  dot: '●',
  square: '■',
  triangle: '▲',
  diamond: '◆',
  star: '★',
  cross: '✚',
  centre: '中',
  station: '站',
  department: '部',
};

export const sourceOf = (l: NamedLayer) => `named-${l.code}`;

/** The tiles of a layer; other data have another address, so that no kept tile is shown again. */
export const namedTiles = (l: NamedLayer, origin: string) =>
  `${origin}/tiles/${l.code}/{z}/{x}/{y}.mvt${l.tag ? `?tag=${encodeURIComponent(l.tag)}` : ''}`;

/** Whether two lists have the same layers drawn in the same way; their data may differ. */
export function drawnAlike(a: NamedLayer[], b: NamedLayer[]): boolean {
  const plain = (all: NamedLayer[]) => JSON.stringify(all.map((l) => ({ ...l, tag: '' })));
  return plain(a) === plain(b);
}

/** Every character that the icons need. */
export const ICON_TEXT = Object.values(GLYPHS).join('');

export function namedSources(named: NamedLayer[], origin: string): Record<string, SourceSpecification> {
  return Object.fromEntries(
    named.map((l) => [
      sourceOf(l),
      {
        type: 'vector',
        tiles: [namedTiles(l, origin)],
        minzoom: Math.min(DATA_ZOOM, l.min_zoom),
        maxzoom: Math.min(DATA_ZOOM, l.max_zoom),
      } satisfies SourceSpecification,
    ]),
  );
}

/** The layers for a wall of u pixels: what lies flat first, then marks and their names. */
export function namedLayers(named: NamedLayer[], u: number): LayerSpecification[] {
  const flat = named.filter((l) => l.geometry !== 'point').flatMap((l) => shapes(l, u));
  return [...flat, ...named.filter((l) => l.geometry === 'point').flatMap((l) => marks(l, u))];
}

const of = (l: NamedLayer) => ({
  source: sourceOf(l),
  'source-layer': l.code,
  minzoom: l.min_zoom,
  maxzoom: Math.min(24, l.max_zoom + 1), // a layer's last zoom is drawn, MapLibre's is not
});

function shapes(l: NamedLayer, u: number): LayerSpecification[] {
  const colour = l.style.colour ?? DEFAULT_COLOUR;
  const width = ((l.style.width ?? DEFAULT_WIDTH_PX) * u) / DESK_U;
  const line: LayerSpecification = {
    id: `${sourceOf(l)}-line`,
    type: 'line',
    ...of(l),
    layout: { 'line-join': 'round', 'line-cap': 'round' },
    paint: { 'line-color': colour, 'line-width': width },
  };
  if (l.geometry === 'line') return [line];
  const opacity = l.style.fill_opacity ?? DEFAULT_FILL;
  return [{ id: `${sourceOf(l)}-fill`, type: 'fill', ...of(l), paint: { 'fill-color': colour, 'fill-opacity': opacity } }, line];
}

function marks(l: NamedLayer, u: number): LayerSpecification[] {
  const colour = l.style.colour ?? DEFAULT_COLOUR;
  const text: ExpressionSpecification = ['coalesce', ['get', 'label'], ''];
  return [
    {
      id: `${sourceOf(l)}-mark`,
      type: 'symbol',
      ...of(l),
      layout: {
        'text-field': GLYPHS[l.style.icon ?? 'dot'] ?? GLYPHS.dot,
        'text-font': ['Noto Sans SC Medium'],
        'text-size': MARK_U * u,
        'text-allow-overlap': true,
        'text-ignore-placement': true,
      },
      paint: { 'text-color': colour, 'text-halo-color': MAP.ground, 'text-halo-width': 0.08 * u },
    },
    {
      id: `${sourceOf(l)}-label`,
      type: 'symbol',
      ...of(l),
      layout: {
        'text-field': text,
        'text-font': ['Noto Sans SC Regular'],
        'text-size': LABEL_U * u,
        'text-anchor': 'top',
        'text-offset': [0, 0.6],
        'text-optional': true,
        'text-max-width': 12,
      },
      paint: { 'text-color': colour, 'text-halo-color': MAP.ground, 'text-halo-width': 0.1 * u },
    },
  ];
}
