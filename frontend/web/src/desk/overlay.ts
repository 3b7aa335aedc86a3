// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// What the desk's hand has drawn over the map: the marked shape, and the place of a
// report that is being written, with how far off it may be.

import type { GeoJSONSource, Map as GLMap } from 'maplibre-gl';
import { INK, STATUS } from '../look/tokens';
import { edgeOf, type Place, type Shape } from './marking';

const SOURCE = 'desk-drawn';
const LAYERS = ['desk-drawn-fill', 'desk-drawn-edge', 'desk-drawn-corner', 'desk-drawn-place'];
const round = (name: string) => ['==', ['get', 'is'], name] as never;

export class Overlay {
  private features: object[] = [];

  constructor(private readonly gl: GLMap) {
    gl.on('style.load', this.put); // a new style comes without ours
    if (gl.isStyleLoaded()) this.put();
  }

  show(shape: Shape | null, place: Place | null, accuracyM = 0): void {
    this.features = [...drawn(shape), ...spot(place, accuracyM)];
    (this.gl.getSource(SOURCE) as GeoJSONSource | undefined)?.setData(this.data() as never);
  }

  remove(): void {
    this.gl.off('style.load', this.put);
  }

  private data(): object {
    return { type: 'FeatureCollection', features: this.features };
  }

  private readonly put = (): void => {
    const { gl } = this;
    if (gl.getSource(SOURCE)) return;
    gl.addSource(SOURCE, { type: 'geojson', data: this.data() as never });
    const [fill, edge, corner, place] = LAYERS as [string, string, string, string];
    gl.addLayer({
      id: fill,
      type: 'fill',
      source: SOURCE,
      filter: round('inside'),
      paint: { 'fill-color': INK.focus, 'fill-opacity': 0.12 },
    });
    gl.addLayer({
      id: edge,
      type: 'line',
      source: SOURCE,
      filter: round('inside'),
      paint: { 'line-color': INK.focus, 'line-width': 2.5 },
    });
    gl.addLayer({
      id: corner,
      type: 'circle',
      source: SOURCE,
      filter: round('corner'),
      paint: { 'circle-color': INK.focus, 'circle-radius': 5 },
    });
    gl.addLayer({
      id: place,
      type: 'circle',
      source: SOURCE,
      filter: round('place'),
      paint: { 'circle-color': STATUS.urgent, 'circle-radius': 8, 'circle-stroke-color': INK.text, 'circle-stroke-width': 3 },
    });
  };
}

const feature = (is: string, geometry: object) => ({ type: 'Feature', properties: { is }, geometry });

function drawn(s: Shape | null): object[] {
  if (!s) return [];
  const edge = edgeOf(s);
  const out = [
    feature('inside', edge.length > 3 ? { type: 'Polygon', coordinates: [edge] } : { type: 'LineString', coordinates: edge }),
  ];
  if (s.kind === 'polygon') out.push(...s.ring.map((c) => feature('corner', { type: 'Point', coordinates: c })));
  return out;
}

function spot(at: Place | null, accuracyM: number): object[] {
  if (!at) return [];
  const out = [feature('place', { type: 'Point', coordinates: at })];
  if (accuracyM > 1)
    out.push(feature('inside', { type: 'Polygon', coordinates: [edgeOf({ kind: 'circle', at, radiusM: accuracyM })] }));
  return out;
}
