// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// The marks of the wall: one table for the map's shader, the lists and the
// legend, so that a mark means the same wherever it stands.

import { STATUS, type StatusName } from './tokens';

/** What the shader draws; the numbers are its `shape` codes. */
export const SHAPES = {
  dot: 0,
  dotRing: 1,
  ring: 2,
  triangle: 3,
  square: 4,
  frame: 5,
  diamond: 6,
  tick: 7,
  halo: 8,
} as const;
export type Shape = keyof typeof SHAPES;

export interface Mark {
  shape: Shape;
  tone: StatusName;
  /** Diameter in u. */
  size: number;
}

export const WORKER_MARKS = {
  on: { shape: 'dot', tone: 'duty', size: 0.4 },
  task: { shape: 'dotRing', tone: 'task', size: 0.56 },
  stale: { shape: 'ring', tone: 'stale', size: 0.42 },
  sos: { shape: 'dotRing', tone: 'urgent', size: 0.9 },
} as const satisfies Record<string, Mark>;

export const INCIDENT_MARKS = {
  urgent: { shape: 'triangle', tone: 'urgent', size: 0.92 },
  important: { shape: 'square', tone: 'task', size: 0.6 },
  normal: { shape: 'frame', tone: 'task', size: 0.56 },
  returned: { shape: 'diamond', tone: 'returned', size: 0.68 },
  done: { shape: 'tick', tone: 'done', size: 0.66 },
} as const satisfies Record<string, Mark>;

export type WorkerMark = keyof typeof WORKER_MARKS;
export type IncidentMark = keyof typeof INCIDENT_MARKS;

/** Red, green, blue in 0..1 of a status colour. */
export function rgb(tone: StatusName): [number, number, number] {
  const n = Number.parseInt(STATUS[tone].slice(1), 16);
  return [(n >> 16) / 255, ((n >> 8) & 255) / 255, (n & 255) / 255];
}
