// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// The preview's map: the boundaries in force, the land that changes hands, and
// what is chosen beside it. A chunk of its own, loaded when the map opens.

import type {
  ExpressionSpecification,
  FilterSpecification,
  GeoJSONSource,
  GeoJSONSourceSpecification,
  Map as GLMap,
  LayerSpecification,
  MapMouseEvent,
  SourceSpecification,
  StyleSpecification,
} from 'maplibre-gl';
import { LIGHT, LIGHT_MAP } from '../../look/light';
import { lightMap, remPx, still } from '../../map/lightmap';
import { type Box, keyOf, type Pair } from './pieces';
import type { Borders, GridInForce, Piece, Shapes } from './types';

const NOBODY = ' '; // no code and no key is a blank
const CLOSEST_ZOOM = 15;
/** How far around a small fault the map shows, and how long a degree is, in metres. */
const LEAST_REACH_M = 400;
const DEGREE_M = 111_320;

export interface PieceMapOptions {
  container: HTMLElement;
  title: string;
  borders: Borders;
  grids: readonly GridInForce[];
  pieces: Shapes<Piece>;
  pairs: readonly Pair[];
  home: Box;
  /** The key of the pair under the pointer, the code of the grid in force there. */
  over(key: string, code: string): void;
  clicked(key: string, code: string): void;
  ready(): void;
}

/** What stands out: a pair of the legend, or whatever touches a grid. */
export interface Chosen {
  key?: string;
  code?: string;
}

export class PieceMap {
  private readonly gl: GLMap;
  private rem = remPx();
  private atHome = true;
  private chosen: Chosen = {};
  private fault: [number, number] | null = null;

  constructor(private readonly o: PieceMapOptions) {
    this.gl = lightMap(o.container, o.title, o.home);
    this.gl.on('style.load', () => this.mark());
    this.dress();
    this.gl.on('resize', () => {
      if (this.rem !== remPx()) {
        this.rem = remPx();
        this.dress();
      }
      if (this.atHome) this.gl.fitBounds(o.home, { padding: this.rem, animate: false });
    });
    this.gl.on('movestart', (e) => {
      if ((e as { originalEvent?: unknown }).originalEvent) this.atHome = false;
    });
    const told = { key: '', code: '' };
    const tell = (to: (key: string, code: string) => void) => (e: MapMouseEvent) => {
      const at = this.at(e);
      if (to === o.over && at.key === told.key && at.code === told.code) return;
      Object.assign(told, at);
      this.gl.getCanvas().style.cursor = at.key ? 'pointer' : '';
      to(at.key, at.code);
    };
    this.gl.on('mousemove', tell(o.over));
    this.gl.on('mouseout', () => {
      Object.assign(told, { key: '', code: '' });
      o.over('', '');
    });
    this.gl.on('click', tell(o.clicked));
    this.gl.once('idle', () => o.ready());
  }

  zoomBy(steps: number): void {
    this.atHome = false;
    this.gl.zoomTo(this.gl.getZoom() + steps, { animate: !still() });
  }

  show(box: Box | null = null): void {
    this.atHome = !box;
    this.gl.fitBounds(box ?? this.o.home, {
      padding: this.rem * (box ? 4 : 1),
      maxZoom: CLOSEST_ZOOM,
      animate: !still(),
    });
  }

  /** Outlines a pair or a grid; nothing when both are empty. */
  choose(chosen: Chosen): void {
    this.chosen = chosen;
    this.mark();
  }

  /** Marks what is chosen and the fault. A style takes nothing while it is being loaded: what comes meanwhile is marked when it is. */
  private mark(): void {
    if (!this.gl.getLayer('chosen-piece')) return;
    this.gl.setFilter('chosen-piece', chosenPiece(this.chosen));
    this.gl.setFilter('chosen-grid', chosenGrid(this.chosen));
    (this.gl.getSource('fault') as GeoJSONSource | undefined)?.setData(point(this.fault));
  }

  /** Centres a fault, rings it, and shows what lies around it. */
  showFault(at: [number, number], area_m2: number): void {
    this.fault = at;
    this.mark();
    const reach = Math.max(LEAST_REACH_M, Math.sqrt(area_m2) * 2) / DEGREE_M;
    const wide = reach / Math.cos((at[1] * Math.PI) / 180);
    this.show([at[0] - wide, at[1] - reach, at[0] + wide, at[1] + reach]);
  }

  /** Whether everything there is has been drawn. */
  get settled(): boolean {
    return this.gl.loaded() && !this.gl.isMoving();
  }

  remove(): void {
    this.gl.remove();
  }

  private at(e: MapMouseEvent): { key: string; code: string } {
    const layers = ['pieces', 'leaves'].filter((l) => this.gl.getLayer(l));
    const found = this.gl.queryRenderedFeatures(e.point, { layers });
    const piece = found.find((f) => f.layer.id === 'pieces');
    const grid = found
      .filter((f) => f.layer.id === 'leaves')
      .sort((a, b) => Number(b.properties.level) - Number(a.properties.level))[0];
    return { key: piece ? String(piece.properties.key) : '', code: grid ? String(grid.properties.code) : '' };
  }

  private dress(): void {
    this.gl.setStyle(this.style(), { diff: false });
  }

  private style(): StyleSpecification {
    const { o, rem } = this;
    const sources: Record<string, SourceSpecification> = {
      borders: { type: 'geojson', data: o.borders as never },
      pieces: { type: 'geojson', data: coloured(o.pieces, o.pairs) as never },
      names: { type: 'geojson', data: names(o.grids) as never },
      fault: { type: 'geojson', data: point(this.fault) as never },
    };
    const home = this.gl.cameraForBounds(o.home, { padding: rem })?.zoom ?? 8;
    const layers: LayerSpecification[] = [
      { id: 'ground', type: 'background', paint: { 'background-color': LIGHT_MAP.ground } },
      { id: 'leaves', type: 'fill', source: 'borders', paint: { 'fill-color': LIGHT_MAP.county, 'fill-antialias': false } },
      {
        id: 'pieces',
        type: 'fill',
        source: 'pieces',
        paint: { 'fill-color': ['get', 'colour'], 'fill-opacity': 0.45, 'fill-antialias': false },
      },
      ...([4, 3, 2, 1] as const).map((level) => border(level, rem, home)),
      {
        id: 'piece-edges',
        type: 'line',
        source: 'pieces',
        layout: { 'line-join': 'round' },
        paint: { 'line-color': ['get', 'colour'], 'line-width': 0.1 * rem },
      },
      {
        id: 'chosen-grid',
        type: 'line',
        source: 'borders',
        filter: chosenGrid(this.chosen),
        layout: { 'line-join': 'round' },
        paint: { 'line-color': LIGHT_MAP.chosen, 'line-width': 0.18 * rem, 'line-dasharray': [2, 1] },
      },
      {
        id: 'chosen-piece',
        type: 'line',
        source: 'pieces',
        filter: chosenPiece(this.chosen),
        layout: { 'line-join': 'round' },
        paint: { 'line-color': LIGHT_MAP.chosen, 'line-width': 0.22 * rem },
      },
      {
        id: 'fault',
        type: 'circle',
        source: 'fault',
        paint: {
          'circle-radius': 0.9 * rem,
          'circle-color': 'rgba(0, 0, 0, 0)',
          'circle-stroke-color': LIGHT_MAP.fault,
          'circle-stroke-width': 0.2 * rem,
        },
      },
      ...([4, 3, 2, 1] as const).map((level) => label(level, rem, home)),
    ];
    return { version: 8, sources, layers };
  }
}

/** Above the zoom at which everything fits: from where lines and names of a level show. */
const LINES_FROM = { 1: -9, 2: -9, 3: -1, 4: 0 } as const;
const NAMES_FROM = { 1: -9, 2: -0.5, 3: 1.2, 4: 2.6 } as const;
const LINE_REM = { 1: 0.14, 2: 0.1, 3: 0.07, 4: 0.05 } as const;
type Level = 1 | 2 | 3 | 4;
const deep = (level: Level): FilterSpecification => (level === 4 ? ['>=', ['get', 'level'], 4] : ['==', ['get', 'level'], level]);
const zoom = (z: number) => Math.max(0, Math.min(22, z));

function border(level: Level, rem: number, home: number): LayerSpecification {
  return {
    id: `border-${level}`,
    type: 'line',
    source: 'borders',
    minzoom: zoom(home + LINES_FROM[level]),
    filter: deep(level),
    layout: { 'line-join': 'round' },
    paint: { 'line-color': LIGHT_MAP.border[level], 'line-width': Math.max(0.6, LINE_REM[level] * rem) },
  };
}

function label(level: Level, rem: number, home: number): LayerSpecification {
  return {
    id: `name-${level}`,
    type: 'symbol',
    source: 'names',
    minzoom: zoom(home + NAMES_FROM[level]),
    ...(level === 1 ? { maxzoom: zoom(home + NAMES_FROM[2]) } : {}),
    filter: deep(level),
    layout: {
      'text-field': ['get', 'name'],
      'text-font': [level <= 2 ? 'Noto Sans SC Medium' : 'Noto Sans SC Regular'],
      'text-size': (level <= 2 ? 0.95 : 0.8) * rem,
      'text-padding': 0.2 * rem,
      'text-max-width': 12,
    },
    paint: { 'text-color': LIGHT_MAP.label[level], 'text-halo-color': LIGHT.panel, 'text-halo-width': 0.12 * rem },
  };
}

const chosenPiece = ({ key, code }: Chosen): FilterSpecification => {
  const is = (name: string, value: string | undefined): ExpressionSpecification => ['==', ['get', name], value || NOBODY];
  return ['any', is('key', key), is('from', code), is('to', code)];
};
const chosenGrid = ({ code }: Chosen): FilterSpecification => ['==', ['get', 'code'], code || NOBODY];

/** The pieces with the key and colour of their pair. */
function coloured(pieces: Shapes<Piece>, pairs: readonly Pair[]): Shapes<Piece & { key: string; colour: string }> {
  const colour = new Map(pairs.map((p) => [p.key, p.colour]));
  return {
    type: 'FeatureCollection',
    features: pieces.features.map((f) => {
      const key = keyOf(f.properties);
      return { ...f, properties: { ...f.properties, key, colour: colour.get(key) ?? LIGHT_MAP.leaving } };
    }),
  };
}

function names(grids: readonly GridInForce[]) {
  return {
    type: 'FeatureCollection',
    features: grids.map((g) => ({
      type: 'Feature',
      properties: { name: g.name, level: g.level },
      geometry: { type: 'Point', coordinates: g.label },
    })),
  };
}

const point = (at: [number, number] | null): Exclude<GeoJSONSourceSpecification['data'], string> => ({
  type: 'FeatureCollection',
  features: at ? [{ type: 'Feature', properties: {}, geometry: { type: 'Point', coordinates: at } }] : [],
});
