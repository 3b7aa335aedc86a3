// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// Something marked on the map by hand: circle, box or polygon, from the first press
// to the finished shape. Places are WGS-84, longitude first.

export type Place = [number, number];
export type Tool = 'circle' | 'box' | 'polygon';
export type Shape =
  | { kind: 'circle'; at: Place; radiusM: number }
  | { kind: 'box'; from: Place; to: Place }
  | { kind: 'polygon'; ring: Place[] };

export const LEAST_RADIUS_M = 1;
export const MOST_RADIUS_M = 200_000;
const EARTH_M = 6_371_008.8;
const CIRCLE_SIDES = 72;
const rad = Math.PI / 180;

/** Along the great circle, in metres. */
export function distanceM(a: Place, b: Place): number {
  const dLat = (b[1] - a[1]) * rad;
  const dLon = (b[0] - a[0]) * rad;
  const h = Math.sin(dLat / 2) ** 2 + Math.cos(a[1] * rad) * Math.cos(b[1] * rad) * Math.sin(dLon / 2) ** 2;
  return 2 * EARTH_M * Math.asin(Math.min(1, Math.sqrt(h)));
}

/** Whether a shape has an inside that may be asked about. */
export function complete(s: Shape | null): boolean {
  if (!s) return false;
  if (s.kind === 'circle') return s.radiusM >= LEAST_RADIUS_M && s.radiusM <= MOST_RADIUS_M;
  if (s.kind === 'box') return s.from[0] !== s.to[0] && s.from[1] !== s.to[1];
  return s.ring.length >= 3;
}

/** The shape as a request carries it. */
export function markedOf(s: Shape): Record<string, unknown> {
  if (s.kind === 'circle') return { crs: 'wgs84', circle: { lon: s.at[0], lat: s.at[1], radius_m: s.radiusM } };
  if (s.kind === 'box') {
    const [lon, lat] = [0, 1].map((k) => [s.from[k] as number, s.to[k] as number].sort((a, b) => a - b)) as [Place, Place];
    return { crs: 'wgs84', box: [lon[0], lat[0], lon[1], lat[1]] };
  }
  return { crs: 'wgs84', polygon: { type: 'Polygon', coordinates: [[...s.ring, s.ring[0]]] } };
}

/** The shape's edge, closed, for drawing. */
export function edgeOf(s: Shape): Place[] {
  if (s.kind === 'polygon') return s.ring.length ? [...s.ring, s.ring[0] as Place] : [];
  if (s.kind === 'box') {
    const [a, b] = [s.from, s.to];
    return [a, [b[0], a[1]], b, [a[0], b[1]], a];
  }
  return Array.from({ length: CIRCLE_SIDES + 1 }, (_, k) =>
    along(s.at, s.radiusM, ((k % CIRCLE_SIDES) / CIRCLE_SIDES) * 2 * Math.PI),
  );
}

/** The place at a distance and bearing from another. */
function along([lon, lat]: Place, metres: number, bearing: number): Place {
  const d = metres / EARTH_M;
  const up = Math.asin(Math.sin(lat * rad) * Math.cos(d) + Math.cos(lat * rad) * Math.sin(d) * Math.cos(bearing));
  const side = Math.atan2(
    Math.sin(bearing) * Math.sin(d) * Math.cos(lat * rad),
    Math.cos(d) - Math.sin(lat * rad) * Math.sin(up),
  );
  return [lon + side / rad, up / rad];
}

/**
 * The hand at work. Circle and box go from where the button is pressed to where it is
 * let go; a polygon takes a corner a click and ends by finish.
 */
export class Marking {
  shape: Shape | null = null;
  /** A press is held, or a polygon waits for its next corner. */
  busy = false;

  constructor(public tool: Tool) {}

  press(at: Place): void {
    if (this.tool === 'polygon') return;
    this.busy = true;
    this.shape = this.tool === 'circle' ? { kind: 'circle', at, radiusM: 0 } : { kind: 'box', from: at, to: at };
  }

  move(at: Place): void {
    if (!this.busy || !this.shape) return;
    if (this.shape.kind === 'circle')
      this.shape = { ...this.shape, radiusM: Math.min(MOST_RADIUS_M, distanceM(this.shape.at, at)) };
    else if (this.shape.kind === 'box') this.shape = { ...this.shape, to: at };
  }

  /** True when the shape is whole by it. */
  release(at: Place): boolean {
    if (this.tool === 'polygon' || !this.busy) return false;
    this.move(at);
    this.busy = false;
    if (complete(this.shape)) return true;
    this.shape = null; // a click without a way is no mark
    return false;
  }

  corner(at: Place): void {
    if (this.tool !== 'polygon') return;
    const ring = this.busy && this.shape?.kind === 'polygon' ? this.shape.ring : [];
    const last = ring.at(-1);
    this.busy = true;
    if (!last || last[0] !== at[0] || last[1] !== at[1]) this.shape = { kind: 'polygon', ring: [...ring, at] };
  }

  /** Takes the last corner back. */
  back(): void {
    if (this.shape?.kind !== 'polygon') return;
    this.shape = this.shape.ring.length > 1 ? { kind: 'polygon', ring: this.shape.ring.slice(0, -1) } : null;
    this.busy = !!this.shape;
  }

  /** Ends a polygon; true when it has three corners or more. */
  finish(): boolean {
    if (this.tool !== 'polygon' || !this.busy || !complete(this.shape)) return false;
    this.busy = false;
    return true;
  }
}
