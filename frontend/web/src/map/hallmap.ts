// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// The wall's map: the base style and our two layers of marks, one home view,
// keys, and recovery when the graphics context is lost.

import { type GeoJSONSource, Map as GLMap, type LngLatBoundsLike, setWorkerUrl, type VectorTileSource } from 'maplibre-gl';
import workerUrl from 'maplibre-gl/dist/maplibre-gl-worker.mjs?worker&url';
import 'maplibre-gl/dist/maplibre-gl.css';
import { markOf, roughly } from '../wall/incident';
import { type BaseMap, noteBase, withBase } from './base';
import { FONT } from './font';
import { type Fold, INCIDENT_STYLES, type IncidentMarks } from './incidents';
import { MarkLayer } from './marklayer';
import { drawnAlike, type NamedLayer, namedTiles, sourceOf } from './named';
import { Pacer, type Power } from './pacer';
import { ABOVE_MARKS, COUNTS, countsOf, LABEL_LAYERS, makeStyle, TILE_LAYERS, type Tiles, tileURL } from './style';
import { WORKER_STYLES, type Workers } from './workers';

setWorkerUrl(workerUrl);

/** How long to wait for a lost context to come back before the page is given up. */
const LOST_CONTEXT_MS = 8000;
const LARGEST_CANVAS: [number, number] = [8192, 8192];
const PAN_SHARE = 0.2;
/** How much nearer than the whole county a place is shown, and how fast. */
const SHOW_STEPS = 2.2;
const SHOW_MS = 500;
/** The world's width at zoom 0. */
const TILE_PX = 512;

export interface HallMapOptions {
  container: HTMLElement;
  bbox: [number, number, number, number];
  tiles: Tiles;
  named: NamedLayer[];
  base: BaseMap | null;
  workers: Workers;
  incidents: IncidentMarks;
  title: string;
  unit: number;
  reducedMotion(): boolean;
  ready(): void;
  /** The zoom has come to rest elsewhere: marks fold anew. */
  zoomed(): void;
  power(p: Power): void;
  /** The graphics context is gone for good. */
  dead(): void;
}

export class HallMap {
  readonly gl: GLMap;
  renders = 0;
  private readonly workerLayer: MarkLayer;
  private readonly incidentLayer: MarkLayer;
  private readonly pacer: Pacer;
  private unit: number;
  private home = 8;
  private atHome = true;
  private aim = 0;
  private raf = 0;
  private giveUp: ReturnType<typeof setTimeout> | undefined;
  private drawnVersion = -1;
  private announced = false;
  private folds: Fold[] = [];
  private named: NamedLayer[];
  private readonly endNote: () => void;

  constructor(private readonly o: HallMapOptions) {
    this.unit = o.unit;
    this.named = o.named;
    this.gl = new GLMap({
      container: o.container,
      style: { version: 8, sources: {}, layers: [] },
      bounds: o.bbox as LngLatBoundsLike,
      fitBoundsOptions: { padding: this.padding() },
      attributionControl: false,
      dragRotate: false,
      pitchWithRotate: false,
      touchPitch: false,
      keyboard: false,
      maxPitch: 0,
      fadeDuration: 0,
      maxCanvasSize: LARGEST_CANVAS,
      localIdeographFontFamily: FONT,
      locale: { 'Map.Title': o.title },
    });
    this.gl.touchZoomRotate.disableRotation();
    this.home = this.gl.getZoom();
    const unit = () => this.unit * this.gl.getPixelRatio();
    this.workerLayer = new MarkLayer({
      id: 'workers',
      points: this.o.workers.points,
      marks: WORKER_STYLES,
      unit,
      slide: () => this.slide(),
    });
    this.incidentLayer = new MarkLayer({
      id: 'incidents',
      points: this.o.incidents.points,
      marks: INCIDENT_STYLES,
      unit,
      slide: () => 1,
      animate: (set) => this.o.incidents.animate(performance.now(), o.reducedMotion() || this.pacer.power > 0, set),
    });
    this.pacer = new Pacer({
      moving: () => this.moving(),
      draw: () => this.draw(),
      power: (p) => this.lower(p),
    });
    this.endNote = noteBase(this.gl, o.base, true);
    this.listen();
    this.restyle();
    this.raf = requestAnimationFrame(this.tick);
  }

  get workersDrawn(): number {
    return this.workerLayer.drawn;
  }
  get incidentsDrawn(): number {
    return this.incidentLayer.drawn - this.o.incidents.pulsing;
  }

  /** Sizes everything for a new u; returns home if the view was there. */
  resize(unit: number): void {
    this.unit = unit;
    this.gl.resize();
    const camera = this.gl.cameraForBounds(this.o.bbox as LngLatBoundsLike, { padding: this.padding() });
    if (camera?.zoom !== undefined) this.home = camera.zoom;
    this.restyle();
    if (this.atHome) this.goHome(false);
  }

  /** One u in world widths. */
  worldPerU(): number {
    return this.unit / (TILE_PX * 2 ** this.gl.getZoom());
  }

  /** Writes beside the marks for how many each stands. */
  showCounts(folds: Fold[]): void {
    const before = this.folds;
    this.folds = folds;
    if (sameCounts(before, folds)) return;
    (this.gl.getSource(COUNTS) as GeoJSONSource | undefined)?.setData(countsOf(folds));
  }

  goHome(animate = true): void {
    this.atHome = true;
    this.gl.fitBounds(this.o.bbox as LngLatBoundsLike, { padding: this.padding(), animate: animate && !this.o.reducedMotion() });
  }

  /** Brings a place into the middle, near enough to tell its surroundings. */
  show(place: [number, number]): void {
    this.atHome = false;
    const zoom = Math.max(this.gl.getZoom(), this.home + SHOW_STEPS);
    this.gl.easeTo({ center: place, zoom, animate: !this.o.reducedMotion(), duration: SHOW_MS });
  }

  zoomBy(steps: number): void {
    this.atHome = false;
    this.aim = (this.gl.isMoving() ? this.aim : this.gl.getZoom()) + steps; // quick presses add up
    this.gl.zoomTo(this.aim, { animate: !this.o.reducedMotion() });
  }

  /** Pans by a fifth of the view; x east, y south. */
  pan(x: number, y: number): void {
    this.atHome = false;
    const c = this.gl.getContainer();
    this.gl.panBy([x * c.clientWidth * PAN_SHARE, y * c.clientHeight * PAN_SHARE], { animate: !this.o.reducedMotion() });
  }

  /** The grids have changed: fetch the tiles anew. */
  reloadTiles(stamp: string): void {
    for (const layer of TILE_LAYERS) {
      const source = this.gl.getSource(layer) as VectorTileSource | undefined;
      source?.setTiles([tileURL(layer, location.origin, `?at=${encodeURIComponent(stamp)}`)]);
    }
  }

  /** Draws the named layers of now: other data are fetched, other settings are a new style. */
  showNamed(named: NamedLayer[]): void {
    const before = this.named;
    this.named = named;
    if (!drawnAlike(before, named)) {
      this.restyle();
      return;
    }
    for (const [k, l] of named.entries()) {
      if (l.tag === before[k]?.tag) continue;
      (this.gl.getSource(sourceOf(l)) as VectorTileSource | undefined)?.setTiles([namedTiles(l, location.origin)]);
    }
  }

  /** The cameras have changed: fetch their tiles anew. */
  reloadCameras(tag: string): void {
    const source = this.gl.getSource('cameras') as VectorTileSource | undefined;
    source?.setTiles([tileURL('cameras', location.origin, `?tag=${encodeURIComponent(tag)}`)]);
  }

  /** Names on the map right now. */
  labels(): string[] {
    const layers = LABEL_LAYERS.filter((l) => this.gl.getLayer(l));
    if (!layers.length) return [];
    return this.gl.queryRenderedFeatures({ layers }).map((f) => String(f.properties.name));
  }

  remove(): void {
    cancelAnimationFrame(this.raf);
    clearTimeout(this.giveUp);
    this.endNote();
    this.gl.remove();
  }

  private restyle(): void {
    const own = makeStyle(this.o.tiles, this.named, location.origin, this.unit, this.home);
    this.gl.setStyle(withBase(own, this.o.base, location.origin, true), { diff: false });
  }

  private listen(): void {
    const { gl } = this;
    // The style comes anew after a resize and after a lost context, and always without our layers.
    gl.on('style.load', () => {
      for (const l of [this.workerLayer, this.incidentLayer]) if (gl.getLayer(l.id)) gl.removeLayer(l.id);
      const above = ABOVE_MARKS.find((id) => gl.getLayer(id));
      gl.addLayer(this.workerLayer, above);
      gl.addLayer(this.incidentLayer, above);
      (gl.getSource(COUNTS) as GeoJSONSource | undefined)?.setData(countsOf(this.folds));
    });
    gl.on('render', () => {
      this.renders++;
      if (this.announced || !gl.getLayer('ground') || !gl.loaded()) return;
      this.announced = true;
      this.o.ready();
    });
    gl.on('zoomend', () => this.o.zoomed());
    gl.on('movestart', (e) => {
      if ((e as { originalEvent?: unknown }).originalEvent) this.atHome = false;
    });
    gl.on('webglcontextlost', () => {
      clearTimeout(this.giveUp);
      this.giveUp = setTimeout(() => this.o.dead(), LOST_CONTEXT_MS);
    });
    gl.on('webglcontextrestored', () => {
      clearTimeout(this.giveUp);
      this.drawnVersion = -1;
    });
    gl.on('error', () => {
      // A tile that does not come (the server restarts) is asked for again; the link's state is shown elsewhere.
    });
  }

  private readonly tick = (now: number): void => {
    this.raf = requestAnimationFrame(this.tick);
    this.pacer.frame(now);
  };

  private slide(): number {
    if (this.o.reducedMotion() || this.pacer.power) return 1;
    return this.o.workers.slide(performance.now());
  }

  private version(): number {
    return this.o.workers.points.version + this.o.incidents.points.version;
  }

  private moving(): boolean {
    if (this.version() !== this.drawnVersion) return true;
    if (this.o.reducedMotion()) return false;
    return this.o.incidents.pulsing > 0 || this.o.workers.slide(performance.now()) < 1;
  }

  private draw(): void {
    if (this.o.reducedMotion() || this.o.workers.slide(performance.now()) >= 1) this.drawnVersion = this.version();
    this.gl.triggerRepaint();
  }

  private lower(p: Power): void {
    this.gl.setPixelRatio(p === 2 ? window.devicePixelRatio / 2 : window.devicePixelRatio);
    this.o.power(p);
  }

  private padding(): number {
    return Math.round(this.unit * 0.9);
  }
}

function sameCounts(a: Fold[], b: Fold[]): boolean {
  const told = (f?: Fold) => f && `${f.lead.id} ${f.count} ${markOf(f.lead)} ${roughly(f.lead)}`;
  return a.length === b.length && a.every((f, k) => told(f) === told(b[k]));
}
