// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// The incidents' marks: those that would cover each other are folded into one,
// and a few carry a halo.

import { INCIDENT_MARKS, type IncidentMark, type Mark } from '../look/shapes';
import { calls, type Incident, markOf, newestFirst, onMap } from '../wall/incident';
import { mercatorX, mercatorY } from './mercator';
import { Points } from './points';

const NAMES = Object.keys(INCIDENT_MARKS) as IncidentMark[];
/** Two more styles behind the marks: the halo of an urgent incident, and of a new one. */
const URGENT_HALO = NAMES.length;
const NEW_HALO = NAMES.length + 1;
const HALO_SIZE = 2.6;
export const INCIDENT_STYLES: Mark[] = [
  ...Object.values(INCIDENT_MARKS),
  { shape: 'halo', tone: 'urgent', size: HALO_SIZE },
  { shape: 'halo', tone: 'task', size: HALO_SIZE },
];

/** How long a new incident pulses, how many may at once, and how fast: never above 1 Hz. */
export const ARRIVAL_MS = 10_000;
export const MOST_HALOS = 3;
export const PULSE_MS = 1000;

/** Drawn later lies on top. */
const DEPTH: Record<IncidentMark, number> = { done: 0, normal: 1, returned: 2, important: 3, urgent: 4 };

/** The incidents that carry a halo now, newest arrivals first, at most three. */
export function halos(list: Incident[], arrived: Map<string, number>, now: number): Incident[] {
  const since = (i: Incident) => arrived.get(i.id) ?? Number.NEGATIVE_INFINITY;
  return list
    .filter((i) => i.point && (now - since(i) < ARRIVAL_MS || calls(i)))
    .sort((a, b) => since(b) - since(a) || a.priority - b.priority || Date.parse(b.reported_at) - Date.parse(a.reported_at))
    .slice(0, MOST_HALOS);
}

export class IncidentMarks {
  readonly points = new Points();
  /** The marks on the map, each with those folded into it. */
  folds: Fold[] = [];
  pulsing = 0;
  drawn = 0;

  /** Draws anew from the live set; u is one u in world widths at the map's zoom. `drawn` says how many incidents the marks stand for. */
  show(list: Incident[], arrived: Map<string, number>, now: number, serverNow: number, u: number): void {
    const placed = list.filter((i) => onMap(i, serverNow));
    this.folds = fold(placed, u).reverse(); // the most pressing on top
    const calling = halos(placed, arrived, now);
    this.pulsing = calling.length;
    this.drawn = placed.length;
    const p = this.points;
    p.count = this.folds.length + calling.length;
    p.reserve(p.count);
    const put = (k: number, i: Incident, style: number) => {
      const [lon, lat] = i.point as [number, number];
      p.move(k, lon, lat, true);
      p.style[k] = style;
    };
    for (const [k, i] of calling.entries()) put(k, i, i.priority === 1 ? URGENT_HALO : NEW_HALO);
    for (const [k, f] of this.folds.entries()) put(calling.length + k, f.lead, NAMES.indexOf(markOf(f.lead)));
    p.version++;
  }

  /** The halos' size and strength at a moment of their common beat; a still ring when motion is unwanted. */
  animate(now: number, still: boolean, set: (style: number, size: number, alpha: number) => void): void {
    const beat = still ? 0.45 : (now % PULSE_MS) / PULSE_MS;
    for (const style of [URGENT_HALO, NEW_HALO]) set(style, 1 + (HALO_SIZE - 1) * beat, 0.85 * (1 - beat));
  }
}

/** A mark on the map: the most pressing incident of a place, and for how many it stands. */
export interface Fold {
  lead: Incident;
  count: number;
}

/** Marks nearer than this, in u, would cover each other. Urgent ones may touch: none of them hides behind another's. */
const NEAR_U = 0.8;
const NEAR_URGENT_U = 0.4;

/**
 * Folds incidents whose marks would cover each other into the most pressing of them, most pressing first. Places stay
 * true: a mark stands where its own incident is.
 */
export function fold(list: Incident[], u: number): Fold[] {
  const order = [...list].sort((a, b) => DEPTH[markOf(b)] - DEPTH[markOf(a)] || newestFirst(a, b));
  const cell = NEAR_U * u;
  const seats = new Map<string, { x: number; y: number; fold: Fold }[]>();
  const out: Fold[] = [];
  for (const i of order) {
    const [x, y] = [mercatorX(i.point?.[0] as number), mercatorY(i.point?.[1] as number)];
    const [cx, cy] = [Math.floor(x / cell), Math.floor(y / cell)];
    let best: Fold | undefined;
    let nearest = (markOf(i) === 'urgent' ? NEAR_URGENT_U : NEAR_U) * u;
    for (let dx = -1; dx <= 1; dx++) {
      for (let dy = -1; dy <= 1; dy++) {
        for (const s of seats.get(`${cx + dx},${cy + dy}`) ?? []) {
          const d = Math.hypot(s.x - x, s.y - y);
          if (d < nearest) [best, nearest] = [s.fold, d];
        }
      }
    }
    if (best) {
      best.count++;
      continue;
    }
    const own = { lead: i, count: 1 };
    out.push(own);
    const key = `${cx},${cy}`;
    const here = seats.get(key);
    if (here) here.push({ x, y, fold: own });
    else seats.set(key, [{ x, y, fold: own }]);
  }
  return out;
}
