// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// The workers' dots: newest position of each, in slots of a Points buffer.
// The map and the counts beside it read the same store and so never disagree.

import { WORKER_MARKS, type WorkerMark } from '../look/shapes';
import type { Positions, WorkerState } from '../wire/positions';
import { Points } from './points';

const CODES = Object.keys(WORKER_MARKS) as WorkerMark[];
export const WORKER_STYLES = Object.values(WORKER_MARKS);
const CODE: Record<WorkerMark, number> = { on: 0, task: 1, stale: 2, sos: 3 };

/** The stream's period: how long a slide takes. */
export const SLIDE_MS = 1000;
/** While the link is down nobody tells us that a fix has aged: then this rule does. */
const FRESH_MS = 120_000;
const OFF_MS = 3_600_000;

export type WorkerCounts = Record<WorkerMark, number>;

export class Workers {
  readonly points = new Points();
  private slots = new Map<number, number>();
  private ids: number[] = [];
  private said: WorkerMark[] = [];
  private fixAt: number[] = [];
  private movedAt = Number.NEGATIVE_INFINITY;

  /** Takes in a frame of positions; now is the page's own clock in ms. */
  apply(p: Positions, now: number): void {
    this.points.settle(this.slide(now));
    if (p.full) this.forgetAllBut(new Set(p.fixes.map((f) => f.worker)));
    for (const f of p.fixes) this.set(f.worker, f.lon, f.lat, f.fixAt, f.state);
    this.movedAt = now;
    this.points.version++;
  }

  /** Takes every dot off the map. */
  clear(): void {
    this.forgetAllBut(new Set());
    this.points.version++;
  }

  /** How far the slide from the last positions to the newest has come. */
  slide(now: number): number {
    return Math.max(0, Math.min(1, (now - this.movedAt) / SLIDE_MS));
  }

  /** Without a live link, dots age by the server's clock; with one, they wear what the server said. */
  age(serverNow: number, live: boolean): void {
    let changed = false;
    for (let i = this.ids.length - 1; i >= 0; i--) {
      const old = serverNow - (this.fixAt[i] as number);
      if (!live && old > OFF_MS) {
        this.remove(this.ids[i] as number);
        changed = true;
        continue;
      }
      const said = this.said[i] as WorkerMark;
      const code = CODE[!live && said !== 'sos' && old > FRESH_MS ? 'stale' : said];
      if (this.points.style[i] !== code) {
        this.points.style[i] = code;
        changed = true;
      }
    }
    if (changed) this.points.version++;
  }

  /** How many dots of each mark are on the map right now. */
  counts(): WorkerCounts {
    const c: WorkerCounts = { on: 0, task: 0, stale: 0, sos: 0 };
    for (let i = 0; i < this.points.count; i++) c[CODES[this.points.style[i] as number] as WorkerMark]++;
    return c;
  }

  /** Where a worker's dot is, longitude first; null when it is not on the map. */
  at(worker: number): [number, number] | null {
    const i = this.slots.get(worker);
    return i === undefined ? null : this.points.at(i);
  }

  private set(worker: number, lon: number, lat: number, fixAt: number, state: WorkerState): void {
    if (state === 'off') {
      this.remove(worker);
      return;
    }
    let i = this.slots.get(worker);
    const fresh = i === undefined;
    if (i === undefined) {
      i = this.points.count;
      this.points.reserve(i + 1);
      this.points.count++;
      this.slots.set(worker, i);
      this.ids[i] = worker;
    }
    this.points.move(i, lon, lat, fresh);
    this.points.style[i] = CODE[state];
    this.said[i] = state;
    this.fixAt[i] = fixAt;
  }

  private remove(worker: number): void {
    const i = this.slots.get(worker);
    if (i === undefined) return;
    this.slots.delete(worker);
    this.points.remove(i);
    const last = this.ids.length - 1;
    if (i !== last) {
      this.ids[i] = this.ids[last] as number;
      this.said[i] = this.said[last] as WorkerMark;
      this.fixAt[i] = this.fixAt[last] as number;
      this.slots.set(this.ids[i] as number, i);
    }
    this.ids.pop();
    this.said.pop();
    this.fixAt.pop();
  }

  private forgetAllBut(keep: Set<number>): void {
    for (const id of [...this.slots.keys()]) if (!keep.has(id)) this.remove(id);
  }
}
