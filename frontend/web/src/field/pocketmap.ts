// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// The small map of the field page: grids and roads in light colours, one place and this
// phone. A chunk of its own, loaded when a map is opened. WGS-84, longitude first.

import {
  type GeoJSONSource,
  Map as GLMap,
  type LayerSpecification,
  LngLatBounds,
  Marker,
  type SourceSpecification,
  type StyleSpecification,
  setWorkerUrl,
} from 'maplibre-gl';
import workerUrl from 'maplibre-gl/dist/maplibre-gl-worker.mjs?worker&url';
import { LIGHT, LIGHT_MAP, LIGHT_STATUS } from '../look/light';
import { type BaseMap, getBase, noteBase, withBase } from '../map/base';
import { FONT } from '../map/font';
import { loadTiles } from '../map/prepare';
import { type Tiles, tileURL } from '../map/style';

setWorkerUrl(workerUrl);

/** Near enough to tell one yard from the next, and the most that a single place is brought near. */
const PLACE_ZOOM = 14;
const PADDING_PX = 48;
const CIRCLE_CORNERS = 48;
const DEGREE_M = 111_195;
/** A county where nothing else is known. */
const ANYWHERE: [number, number, number, number] = [73, 18, 135, 54];

export interface PocketMapOptions {
  container: HTMLElement;
  title: string;
  home: [number, number, number, number] | null;
  /** Somebody has touched a place. */
  picked(at: [number, number]): void;
  /** Something of the map did not come. */
  lacked(): void;
}

export class PocketMap {
  private readonly marks = new Map<string, Marker>();

  static async open(o: PocketMapOptions): Promise<PocketMap> {
    const [tiles, base] = await Promise.all([loadTiles(), getBase()]);
    if (!tiles.grids) o.lacked();
    return new PocketMap(o, tiles, base);
  }

  private readonly gl: GLMap;

  private readonly endNote: () => void;

  private constructor(o: PocketMapOptions, tiles: Tiles, base: BaseMap | null) {
    this.gl = new GLMap({
      container: o.container,
      style: withBase(style(tiles, location.origin), base, location.origin, false),
      bounds: o.home ?? ANYWHERE,
      attributionControl: false,
      dragRotate: false,
      pitchWithRotate: false,
      touchPitch: false,
      maxPitch: 0,
      fadeDuration: 0,
      localIdeographFontFamily: FONT,
      locale: { 'Map.Title': o.title },
    });
    this.endNote = noteBase(this.gl, base, false);
    this.gl.touchZoomRotate.disableRotation();
    this.gl.on('click', (e) => o.picked([e.lngLat.lng, e.lngLat.lat]));
    this.gl.on('error', () => o.lacked()); // a tile that does not come: the words beside the map stand
  }

  /** Shows a place, sure to so many metres, and this phone; fit brings both into view. */
  show(place: [number, number] | null, accuracyM: number, me: [number, number] | null, fit: boolean): void {
    this.mark('place', place);
    this.mark('me', me);
    const draw = () => (this.gl.getSource('doubt') as GeoJSONSource | undefined)?.setData(circle(place, accuracyM) as never);
    if (this.gl.getSource('doubt')) draw();
    else this.gl.once('load', draw);
    if (!fit || !(place || me)) return;
    const bounds = new LngLatBounds();
    for (const at of [place, me]) if (at) bounds.extend(at);
    this.gl.fitBounds(bounds, { padding: PADDING_PX, maxZoom: PLACE_ZOOM, animate: false });
  }

  remove(): void {
    this.endNote();
    this.gl.remove();
  }

  private mark(what: 'place' | 'me', at: [number, number] | null): void {
    const old = this.marks.get(what);
    if (!at) {
      old?.remove();
      this.marks.delete(what);
    } else if (old) old.setLngLat(at);
    else {
      const element = document.createElement('div');
      element.className = `mark-${what}`;
      element.setAttribute('aria-hidden', 'true'); // the words beside the map tell the same
      const marker = new Marker({ element, anchor: what === 'place' ? 'bottom' : 'center' });
      this.marks.set(what, marker.setLngLat(at).addTo(this.gl));
    }
  }
}

function style(tiles: Tiles, origin: string): StyleSpecification {
  const sources: Record<string, SourceSpecification> = { doubt: { type: 'geojson', data: circle(null, 0) as never } };
  for (const layer of ['grids', 'roads'] as const) {
    const t = tiles[layer];
    if (t)
      sources[layer] = { type: 'vector', tiles: [tileURL(layer, origin)], minzoom: t.minzoom ?? 0, maxzoom: t.maxzoom ?? 14 };
  }
  const layers: LayerSpecification[] = [{ id: 'ground', type: 'background', paint: { 'background-color': LIGHT_MAP.ground } }];
  if (sources.grids) layers.push(...land());
  if (sources.roads) layers.push(...roads());
  if (sources.grids) layers.push(...([4, 3, 2, 1] as const).map(border));
  layers.push({
    id: 'doubt',
    type: 'fill',
    source: 'doubt',
    paint: { 'fill-color': LIGHT_STATUS.duty, 'fill-opacity': 0.15, 'fill-outline-color': LIGHT_STATUS.duty },
  });
  if (sources.grids) layers.push(...([4, 3, 2] as const).map(label));
  return { version: 8, sources, layers };
}

const GRIDS = { source: 'grids', 'source-layer': 'grids' } as const;

const land = (): LayerSpecification[] => [
  { id: 'land', type: 'fill', ...GRIDS, filter: ['==', ['get', 'level'], 1], paint: { 'fill-color': LIGHT_MAP.county } },
];

function roads(): LayerSpecification[] {
  const of = {
    type: 'line',
    source: 'roads',
    'source-layer': 'roads',
    layout: { 'line-join': 'round', 'line-cap': 'round' },
  } as const;
  const width = (more: number) =>
    [
      'match',
      ['get', 'class'],
      ['motorway', 'trunk', 'primary'],
      4 + more,
      ['secondary', 'tertiary'],
      3 + more,
      1.5 + more,
    ] as never;
  return [
    { id: 'roads-edge', ...of, paint: { 'line-color': LIGHT_MAP.border[3], 'line-width': width(1.5) } },
    { id: 'roads', ...of, paint: { 'line-color': '#FFF6D8', 'line-width': width(0) } },
  ];
}

const border = (level: 1 | 2 | 3 | 4): LayerSpecification => ({
  id: `border-${level}`,
  type: 'line',
  ...GRIDS,
  filter: ['==', ['get', 'level'], level],
  paint: {
    'line-color': LIGHT_MAP.border[level],
    'line-width': 2.6 - level * 0.4,
    'line-dasharray': level > 2 ? [3, 2] : [1, 0],
  },
});

const label = (level: 2 | 3 | 4): LayerSpecification => ({
  id: `label-${level}`,
  type: 'symbol',
  source: 'grids',
  'source-layer': 'labels',
  filter: ['==', ['get', 'level'], level],
  layout: {
    'text-field': ['get', 'name'],
    'text-font': ['Noto Sans SC Medium'],
    'text-size': 18 - level * 1.5,
    'text-max-width': 8,
  },
  paint: { 'text-color': LIGHT_MAP.label[level], 'text-halo-color': LIGHT.panel, 'text-halo-width': 1.5 },
});

/** The ring within which a place lies. */
function circle(at: [number, number] | null, m: number): unknown {
  if (!at || m <= 0) return { type: 'FeatureCollection', features: [] };
  const wide = DEGREE_M * Math.cos((at[1] * Math.PI) / 180);
  const ring = Array.from({ length: CIRCLE_CORNERS + 1 }, (_, k) => {
    const turn = (2 * Math.PI * k) / CIRCLE_CORNERS;
    return [at[0] + (m / wide) * Math.cos(turn), at[1] + (m / DEGREE_M) * Math.sin(turn)];
  });
  return { type: 'Feature', properties: {}, geometry: { type: 'Polygon', coordinates: [ring] } };
}
