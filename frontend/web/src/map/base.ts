// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// The base map that a centre has configured, beneath all layers of ours. It comes from
// this server as everything else does; without one a map is as it was.

import type { Map as GLMap, LayerSpecification, SourceSpecification, StyleSpecification } from 'maplibre-gl';
import { localeOf } from '../i18n';
import { BASE_WORDS } from '../i18n/base';
import './base.css';

export interface BaseMap {
  kind: string;
  format: 'none' | 'raster' | 'vector';
  tiles: string[];
  tile_size?: number;
  minzoom: number;
  maxzoom: number;
  bounds?: [number, number, number, number];
  vector_layers?: { id: string }[];
  attribution?: string;
  approval?: string;
  away: boolean;
}

export const BASE = 'base';
/** How much of our own ground lies over it. */
export const OVER_BASE = 0.12;
const ASK_MS = 30_000;
const GROUND = 'ground';

/** The base map; null when there is none, or nobody may say. */
export async function getBase(): Promise<BaseMap | null> {
  try {
    const r = await fetch('/api/v1/basemap', { headers: { Accept: 'application/json' } });
    const b = r.ok ? ((await r.json()) as BaseMap) : null;
    return b && b.format !== 'none' && b.tiles.length > 0 ? b : null;
  } catch {
    return null;
  }
}

/** A style with the base map right above its ground, and our own land let through. */
export function withBase(style: StyleSpecification, base: BaseMap | null, origin: string, dark: boolean): StyleSpecification {
  if (!base) return style;
  const land = ['county', 'towns', 'land'];
  const own = style.layers.map((l) =>
    l.type === 'fill' && land.includes(l.id) ? { ...l, paint: { ...l.paint, 'fill-opacity': OVER_BASE } } : l,
  );
  const at = own.findIndex((l) => l.id === GROUND) + 1;
  const layers = base.format === 'raster' ? [picture(dark)] : drawn(base, dark);
  return {
    ...style,
    sources: { ...style.sources, [BASE]: source(base, origin) },
    layers: [...own.slice(0, at), ...layers, ...own.slice(at)],
  };
}

function source(base: BaseMap, origin: string): SourceSpecification {
  const of = {
    tiles: base.tiles.map((t) => origin + t),
    minzoom: base.minzoom,
    maxzoom: base.maxzoom,
    ...(base.bounds ? { bounds: base.bounds } : {}),
  };
  return base.format === 'raster' ? { type: 'raster', tileSize: base.tile_size ?? 256, ...of } : { type: 'vector', ...of };
}

/** A light picture is subdued under the wall's colours, that the marks stand out. */
const picture = (dark: boolean): LayerSpecification => ({
  id: BASE,
  type: 'raster',
  source: BASE,
  paint: dark
    ? { 'raster-brightness-max': 0.24, 'raster-saturation': -0.5, 'raster-contrast': 0.1, 'raster-fade-duration': 0 }
    : { 'raster-saturation': -0.25, 'raster-opacity': 0.85, 'raster-fade-duration': 0 },
});

type Shape = 'water' | 'green' | 'built' | 'building' | 'stream' | 'road';
/** What the layers of the common vector maps show. Borders are in none: those drawn are the centre's own. */
const SHAPES: Record<string, Shape> = {
  water: 'water',
  ocean: 'water',
  waterway: 'stream',
  physical_line: 'stream',
  rivers: 'stream',
  landcover: 'green',
  landuse: 'built',
  natural: 'green',
  park: 'green',
  building: 'building',
  buildings: 'building',
  roads: 'road',
  transportation: 'road',
  streets: 'road',
};
const COLOURS: Record<'dark' | 'light', Record<Shape, string>> = {
  dark: { water: '#12314A', green: '#10291F', built: '#15212D', building: '#1C2A38', stream: '#173B58', road: '#34495C' },
  light: { water: '#BFDDF0', green: '#DCEBD8', built: '#EBE8E2', building: '#D9D5CE', stream: '#9CC7E4', road: '#C9CED4' },
};

function drawn(base: BaseMap, dark: boolean): LayerSpecification[] {
  const colours = COLOURS[dark ? 'dark' : 'light'];
  const order: Shape[] = ['green', 'built', 'water', 'stream', 'building', 'road'];
  const known = (base.vector_layers ?? []).filter((l) => Object.hasOwn(SHAPES, l.id));
  return order.flatMap((shape) =>
    known
      .filter((l) => SHAPES[l.id] === shape)
      .map((l): LayerSpecification => {
        const of = { id: `${BASE}-${l.id}`, source: BASE, 'source-layer': l.id };
        const colour = colours[shape];
        if (shape === 'road' || shape === 'stream')
          return {
            ...of,
            type: 'line',
            filter: ['==', ['geometry-type'], 'LineString'],
            paint: { 'line-color': colour, 'line-width': ['interpolate', ['linear'], ['zoom'], 7, 0.6, 14, 2, 18, 8] },
          };
        return { ...of, type: 'fill', filter: ['==', ['geometry-type'], 'Polygon'], paint: { 'fill-color': colour } };
      }),
  );
}

/** Writes on a map whose base map it is, and says while its server doesn't answer. Returns what ends that. */
export function noteBase(gl: GLMap, base: BaseMap | null, dark: boolean): () => void {
  if (!base) return () => {};
  const words = BASE_WORDS[localeOf(location.search)];
  const note = document.createElement('p');
  const whose = document.createElement('span');
  const away = document.createElement('strong');
  whose.textContent = [base.attribution, base.approval && words.approval + base.approval].filter(Boolean).join(' · ');
  away.setAttribute('role', 'status');
  note.className = dark ? 'base-note dark' : 'base-note';
  note.append(away, whose);
  gl.getContainer().append(note);
  let was = base.away;
  const tell = (now: boolean) => {
    away.textContent = now ? words.away : '';
    note.hidden = !now && !whose.textContent;
    if (was && !now) {
      const s = gl.getSource(BASE) as { setTiles?(t: string[]): void } | undefined;
      s?.setTiles?.(base.tiles.map((t) => `${location.origin}${t}&at=${Date.now()}`)); // what did not come is asked for again
    }
    was = now;
  };
  tell(was);
  if (base.kind !== 'xyz' && base.kind !== 'tianditu') return () => note.remove();
  const asking = setInterval(async () => {
    const b = await getBase();
    if (b) tell(b.away);
  }, ASK_MS);
  return () => {
    clearInterval(asking);
    note.remove();
  };
}
