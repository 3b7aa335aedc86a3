// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// The incidents' marks, and which few of them carry a halo.

import { INCIDENT_MARKS, type IncidentMark, type Mark } from '../look/shapes';
import { calls, type Incident, markOf, newestFirst, onMap } from '../wall/incident';
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
const GOLDEN_ANGLE = Math.PI * (3 - Math.sqrt(5));

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
  pulsing = 0;
  drawn = 0;

  /**
   * Draws anew from the live set. Marks on one and the same point open like a flower, so each can be seen; of more than
   * a flower holds, the most pressing are drawn. `drawn` says how many.
   */
  show(list: Incident[], arrived: Map<string, number>, now: number, serverNow = now): void {
    const shifts = spread(list.filter((i) => onMap(i, serverNow)));
    const placed = list
      .filter((i) => shifts.has(i.id))
      .sort((a, b) => DEPTH[markOf(a)] - DEPTH[markOf(b)] || a.priority - b.priority);
    const calling = halos(placed, arrived, now);
    this.pulsing = calling.length;
    this.drawn = placed.length;
    const p = this.points;
    p.reserve(placed.length + calling.length);
    p.count = placed.length + calling.length;
    const put = (k: number, i: Incident, style: number) => {
      const [lon, lat] = i.point as [number, number];
      p.move(k, lon, lat, true);
      p.shift.set(shifts.get(i.id) as [number, number], 2 * k);
      p.style[k] = style;
    };
    for (const [k, i] of calling.entries()) put(k, i, i.priority === 1 ? URGENT_HALO : NEW_HALO);
    for (const [k, i] of placed.entries()) put(calling.length + k, i, NAMES.indexOf(markOf(i)));
    p.version++;
  }

  /** The halos' size and strength at a moment of their common beat; a still ring when motion is unwanted. */
  animate(now: number, still: boolean, set: (style: number, size: number, alpha: number) => void): void {
    const beat = still ? 0.45 : (now % PULSE_MS) / PULSE_MS;
    for (const style of [URGENT_HALO, NEW_HALO]) set(style, 1 + (HALO_SIZE - 1) * beat, 0.85 * (1 - beat));
  }
}

/** Most marks on one point. */
const PETALS = 7;

/**
 * Where each incident stands beside its point, in u. Several share one point where the exact place is not for the wall
 * and the grid's centre stands for it. Those beyond a full flower are left out, the least pressing first.
 */
export function spread(list: Incident[]): Map<string, [number, number]> {
  const at = new Map<string, Incident[]>();
  for (const i of list) {
    const key = `${i.point?.[0].toFixed(5)},${i.point?.[1].toFixed(5)}`;
    const here = at.get(key);
    if (here) here.push(i);
    else at.set(key, [i]);
  }
  const out = new Map<string, [number, number]>();
  for (const here of at.values()) {
    here.sort((a, b) => DEPTH[markOf(b)] - DEPTH[markOf(a)] || newestFirst(a, b));
    for (const [k, i] of here.slice(0, PETALS).entries()) {
      const r = 0.52 * Math.sqrt(k);
      out.set(i.id, [r * Math.cos(k * GOLDEN_ANGLE), r * Math.sin(k * GOLDEN_ANGLE)]);
    }
  }
  return out;
}
