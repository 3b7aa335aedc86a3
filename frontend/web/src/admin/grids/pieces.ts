// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// The land that changes hands, gathered by from which grid to which: what the
// legend lists and the map colours.

import { LIGHT_MAP } from '../../look/light';
import type { Area, Borders, Piece, Shapes } from './types';

/** West, south, east, north. */
export type Box = [number, number, number, number];

export interface Pair {
  /** What the map and the legend know it by. */
  key: string;
  /** Code of the grid before; empty when it lay in none. */
  from: string;
  /** Code of the grid after; empty when it will lie in none. */
  to: string;
  area_m2: number;
  pieces: number;
  colour: string;
  box: Box;
}

export const keyOf = (p: Pick<Piece, 'from' | 'to'>) => `${p.from ?? ''}>${p.to ?? ''}`;

/** The pairs, the largest first. Land that goes to the same grid has one colour; red is kept for what leaves all grids. */
export function pairsOf(pieces: Shapes<Piece>): Pair[] {
  const found = new Map<string, Omit<Pair, 'colour'>>();
  for (const { properties: p, geometry } of pieces.features) {
    const key = keyOf(p);
    const box = boxOf(geometry);
    const pair = found.get(key);
    if (pair) {
      pair.area_m2 += p.area_m2;
      pair.pieces++;
      pair.box = join(pair.box, box);
    } else found.set(key, { key, from: p.from ?? '', to: p.to ?? '', area_m2: p.area_m2, pieces: 1, box });
  }
  const sorted = [...found.values()].sort((a, b) => b.area_m2 - a.area_m2 || (a.key < b.key ? -1 : 1));
  const goals = [...new Set(sorted.map((p) => p.to).filter(Boolean))];
  const { hands, leaving } = LIGHT_MAP;
  return sorted.map((p) => ({ ...p, colour: p.to ? (hands[goals.indexOf(p.to) % hands.length] as string) : leaving }));
}

export function join(a: Box, b: Box): Box {
  return [Math.min(a[0], b[0]), Math.min(a[1], b[1]), Math.max(a[2], b[2]), Math.max(a[3], b[3])];
}

/** The box around an area, or around nothing. */
export function boxOf(area: Area): Box {
  const box: Box = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const rings of area.type === 'Polygon' ? [area.coordinates] : area.coordinates) {
    for (const [lon, lat] of rings[0] ?? []) {
      box[0] = Math.min(box[0], lon);
      box[1] = Math.min(box[1], lat);
      box[2] = Math.max(box[2], lon);
      box[3] = Math.max(box[3], lat);
    }
  }
  return box;
}

/** Where a grid lies before and after, as far as is known here; null when nowhere. */
export function placeOf(code: string, borders: Borders, pairs: readonly Pair[]): Box | null {
  const boxes = [
    ...borders.features.filter((f) => f.properties.code === code).map((f) => boxOf(f.geometry)),
    ...pairs.filter((p) => p.from === code || p.to === code).map((p) => p.box),
  ];
  return boxes.length ? boxes.reduce(join) : null;
}

/** The box of everything, or null of nothing. */
export function wholeOf(borders: Borders, pairs: readonly Pair[]): Box | null {
  const top = borders.features.filter((f) => f.properties.level === 1);
  const boxes = [...(top.length ? top : borders.features).map((f) => boxOf(f.geometry)), ...pairs.map((p) => p.box)];
  return boxes.length ? boxes.reduce(join) : null;
}
