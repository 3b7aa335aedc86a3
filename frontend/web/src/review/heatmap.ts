// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// The map of cells over the borders. A chunk of its own, loaded when the page opens.

import type { GeoJSONSource, Map as GLMap, LayerSpecification, MapMouseEvent, StyleSpecification } from 'maplibre-gl';
import { LIGHT, LIGHT_MAP } from '../look/light';
import { type BaseMap, getBase, noteBase, withBase } from '../map/base';
import { type Box, lightMap, remPx, still } from '../map/lightmap';
import type { Borders } from './api';
import { heatOf, type Painted, STEPS } from './classes';
import { DOT_LAYERS, DOTS_ZOOM, type DotsAsked, dotLayers, dotSource } from './dots';

const NONE = { type: 'FeatureCollection', features: [] } as const;

export interface HeatMapOptions {
  container: HTMLElement;
  title: string;
  borders: Borders;
  clicked(cell: string): void;
  /** An incident's dot was clicked. */
  dotted(id: string): void;
  /** Whether the map is close enough for dots. */
  close(close: boolean): void;
  ready(): void;
}

export class HeatMap {
  private readonly gl: GLMap;
  private readonly home: Box;
  private cells: unknown = NONE;
  private heat: unknown = NONE;
  private smooth = false;
  private dots: DotsAsked | null = null;
  private chosen = '';
  private atHome = true;
  private rem = remPx();
  private base: BaseMap | null = null;
  private endNote = () => {};
  private gone = false;

  constructor(private readonly o: HeatMapOptions) {
    this.home = boxOf(o.borders);
    this.gl = lightMap(o.container, o.title, this.home);
    this.gl.on('style.load', () => {
      this.fill();
      this.asHeat(this.smooth);
      this.choose(this.chosen);
    });
    this.dress();
    void getBase().then((base) => {
      if (!base || this.gone) return;
      this.base = base;
      this.endNote = noteBase(this.gl, base, false);
      this.dress();
    });
    this.gl.on('resize', () => {
      if (this.rem !== remPx()) {
        this.rem = remPx();
        this.dress();
      }
      if (this.atHome) this.gl.fitBounds(this.home, { padding: this.rem, animate: false });
    });
    this.gl.on('movestart', (e) => {
      if ((e as { originalEvent?: unknown }).originalEvent) this.atHome = false;
    });
    this.gl.on('mousemove', (e) => {
      this.gl.getCanvas().style.cursor = this.dotAt(e) || this.at(e) ? 'pointer' : '';
    });
    this.gl.on('click', (e) => {
      const dot = this.dotAt(e);
      if (!dot) o.clicked(this.at(e));
      else if (dot.layer.id === 'dots') o.dotted(String(dot.id));
      else this.gl.easeTo({ center: e.lngLat, zoom: this.gl.getZoom() + 2, animate: !still() });
    });
    this.gl.on('zoom', () => o.close(this.gl.getZoom() >= DOTS_ZOOM));
    this.gl.once('idle', () => {
      o.close(this.gl.getZoom() >= DOTS_ZOOM);
      o.ready();
    });
  }

  /** Draws these cells. A style takes nothing while it is being loaded: what comes meanwhile is drawn when it is. */
  draw(features: readonly Painted[]): void {
    this.cells = { type: 'FeatureCollection', features };
    this.heat = heatOf(features);
    this.fill();
  }

  private fill(): void {
    (this.gl.getSource('heat') as GeoJSONSource | undefined)?.setData(this.heat as never);
    (this.gl.getSource('cells') as GeoJSONSource | undefined)?.setData(this.cells as never);
  }

  /** Draws a heat picture of the cells' counts instead of the cells, or the cells again. */
  asHeat(on: boolean): void {
    this.smooth = on;
    if (!this.gl.getLayer('heat')) return;
    this.gl.setLayoutProperty('heat', 'visibility', on ? 'visible' : 'none');
    for (const layer of ['cells', 'ranks']) this.gl.setLayoutProperty(layer, 'visibility', on ? 'none' : 'visible');
  }

  /** Draws these incidents over the cells, or none. */
  asDots(dots: DotsAsked | null): void {
    this.dots = dots;
    this.dress();
  }

  /** Outlines a cell; none when empty. */
  choose(cell: string): void {
    this.chosen = cell;
    if (this.gl.getLayer('chosen')) this.gl.setFilter('chosen', ['==', ['get', 'cell'], cell]);
  }

  /** Moves to a place without coming nearer than one sees what lies around. */
  show(lon: number, lat: number): void {
    this.atHome = false;
    this.gl.easeTo({ center: [lon, lat], zoom: Math.max(this.gl.getZoom(), 10), animate: !still() });
  }

  zoomBy(steps: number): void {
    this.atHome = false;
    this.gl.zoomTo(this.gl.getZoom() + steps, { animate: !still() });
  }

  goHome(): void {
    this.atHome = true;
    this.gl.fitBounds(this.home, { padding: this.rem, animate: !still() });
  }

  /** What is drawn now, as the address of a picture. The map is drawn anew for it: its buffer is empty after each frame. */
  picture(): string {
    this.gl.redraw();
    return this.gl.getCanvas().toDataURL('image/png');
  }

  get settled(): boolean {
    return this.gl.loaded() && !this.gl.isMoving();
  }

  remove(): void {
    this.gone = true;
    this.endNote();
    this.gl.remove();
  }

  private at(e: MapMouseEvent): string {
    if (!this.gl.getLayer('cells')) return '';
    return String(this.gl.queryRenderedFeatures(e.point, { layers: ['cells'] })[0]?.properties.cell ?? '');
  }

  private dotAt(e: MapMouseEvent) {
    if (!this.gl.getLayer('dots')) return undefined;
    return this.gl.queryRenderedFeatures(e.point, { layers: DOT_LAYERS })[0];
  }

  private dress(): void {
    this.gl.setStyle(withBase(this.style(), this.base, location.origin, false), { diff: false });
  }

  private style(): StyleSpecification {
    const { rem } = this;
    const layers: LayerSpecification[] = [
      { id: 'ground', type: 'background', paint: { 'background-color': LIGHT_MAP.ground } },
      {
        id: 'county',
        type: 'fill',
        source: 'borders',
        filter: ['==', ['get', 'level'], 1],
        paint: { 'fill-color': LIGHT_MAP.county },
      },
      {
        id: 'cells',
        type: 'fill',
        source: 'cells',
        layout: { visibility: this.smooth ? 'none' : 'visible' },
        paint: { 'fill-color': ['get', 'colour'], 'fill-opacity': ['case', ['get', 'faint'], 0.5, 0.75], 'fill-antialias': true },
      },
      {
        id: 'heat',
        type: 'heatmap',
        source: 'heat',
        layout: { visibility: this.smooth ? 'visible' : 'none' },
        paint: {
          'heatmap-weight': ['get', 'part'],
          'heatmap-intensity': ['interpolate', ['linear'], ['zoom'], 6, 1, 12, 2],
          'heatmap-radius': ['interpolate', ['exponential', 2], ['zoom'], 6, rem, 12, 8 * rem],
          'heatmap-opacity': 0.75,
          'heatmap-color': [
            'interpolate',
            ['linear'],
            ['heatmap-density'],
            0,
            'rgba(254, 217, 118, 0)',
            ...STEPS.flatMap((colour, i) => [(i + 1) / STEPS.length, colour]),
          ] as never,
        },
      },
      ...([3, 2, 1] as const).map(
        (level): LayerSpecification => ({
          id: `border-${level}`,
          type: 'line',
          source: 'borders',
          filter: ['==', ['get', 'level'], level],
          ...(level === 3 ? { minzoom: 9 } : {}),
          layout: { 'line-join': 'round' },
          paint: { 'line-color': LIGHT_MAP.border[level], 'line-width': { 1: 0.14, 2: 0.1, 3: 0.06 }[level] * rem },
        }),
      ),
      {
        id: 'chosen',
        type: 'line',
        source: 'cells',
        filter: ['==', ['get', 'cell'], this.chosen],
        layout: { 'line-join': 'round' },
        paint: { 'line-color': LIGHT_MAP.chosen, 'line-width': 0.22 * rem },
      },
      ...(this.dots ? dotLayers(this.dots, rem) : []),
      {
        id: 'ranks',
        type: 'symbol',
        source: 'cells',
        filter: ['!=', ['get', 'rank'], ''],
        layout: {
          visibility: this.smooth ? 'none' : 'visible',
          'text-field': ['get', 'rank'],
          'text-font': ['Noto Sans SC Medium'],
          'text-size': 0.75 * rem,
          'text-padding': 0,
        },
        paint: { 'text-color': LIGHT_MAP.label[2], 'text-halo-color': LIGHT.panel, 'text-halo-width': 0.1 * rem },
      },
      {
        id: 'names',
        type: 'symbol',
        source: 'names',
        layout: {
          'text-field': ['get', 'name'],
          'text-font': ['Noto Sans SC Medium'],
          'text-size': 0.95 * rem,
          'text-padding': 0.2 * rem,
        },
        paint: { 'text-color': LIGHT_MAP.label[2], 'text-halo-color': LIGHT.panel, 'text-halo-width': 0.12 * rem },
      },
    ];
    return {
      version: 8,
      sources: {
        borders: { type: 'geojson', data: this.o.borders as never },
        cells: { type: 'geojson', data: NONE as never },
        heat: { type: 'geojson', data: NONE as never },
        names: { type: 'geojson', data: namesOf(this.o.borders) as never },
        ...(this.dots ? { incidents: dotSource(this.dots, location.origin) } : {}),
      },
      layers,
    };
  }
}

/** Every pair of numbers in a geometry's coordinates. */
function* points(c: unknown): Generator<[number, number]> {
  if (!Array.isArray(c)) return;
  if (typeof c[0] === 'number') yield c as unknown as [number, number];
  else for (const part of c) yield* points(part);
}

/** The box of what is drawn; the whole world where there is nothing. */
function boxOf(borders: Borders): Box {
  const box: Box = [180, 90, -180, -90];
  for (const f of borders.features)
    for (const [x, y] of points((f.geometry as { coordinates: unknown }).coordinates)) {
      box[0] = Math.min(box[0], x);
      box[1] = Math.min(box[1], y);
      box[2] = Math.max(box[2], x);
      box[3] = Math.max(box[3], y);
    }
  return box[0] <= box[2] ? box : [-180, -80, 180, 80];
}

/** The names of towns, each in the middle of its box: near enough to read the map by. */
function namesOf(borders: Borders) {
  const towns = borders.features.filter((f) => f.properties.level === 2);
  return {
    type: 'FeatureCollection',
    features: (towns.length ? towns : borders.features.slice(0, 1)).map((f) => {
      const [w, s, e, n] = boxOf({ type: 'FeatureCollection', features: [f] });
      return {
        type: 'Feature',
        properties: { name: f.properties.name },
        geometry: { type: 'Point', coordinates: [(w + e) / 2, (s + n) / 2] },
      };
    }),
  };
}
