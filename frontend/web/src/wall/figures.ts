// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// Keeps today's figures as fresh as the feed: asked for again at most every two
// seconds while events come, and every half minute anyway (workers and midnight
// change them too). An answer older than the one shown is dropped.

import type { Timers } from '../wire/client';
import type { Figures } from './rest';

const PAUSE_MS = 2000;
const ANYWAY_MS = 30_000;

export interface FiguresOptions {
  fetch(): Promise<Figures>;
  show(f: Figures): void;
  timers: Timers;
}

export class FiguresKeeper {
  private wanted = -1;
  private shown = -1;
  private busy = false;
  private timer: unknown = null;
  private askedAt = Number.NEGATIVE_INFINITY;
  private running = false;

  constructor(private readonly o: FiguresOptions) {}

  start(): void {
    this.running = true;
    this.plan(0);
  }

  stop(): void {
    this.running = false;
    this.clear();
  }

  /** The feed stands at seq: figures of an earlier seq are out of date. */
  need(seq: number): void {
    if (seq <= this.wanted) return;
    this.wanted = seq;
    this.plan(PAUSE_MS);
  }

  /** A new epoch counts from elsewhere: what is shown proves nothing any more. */
  restart(seq: number): void {
    this.shown = -1;
    this.wanted = seq;
    this.plan(PAUSE_MS);
  }

  private plan(pause: number): void {
    if (!this.running || this.busy) return;
    this.clear();
    const wait = Math.max(0, this.askedAt + pause - this.o.timers.now());
    this.timer = this.o.timers.set(() => void this.ask(), wait);
  }

  private async ask(): Promise<void> {
    this.clear();
    this.busy = true;
    this.askedAt = this.o.timers.now();
    try {
      const f = await this.o.fetch();
      if (f.as_of.seq >= this.shown) {
        this.shown = f.as_of.seq;
        this.o.show(f);
      }
    } catch {
      // The link's state is shown elsewhere; the next round asks again.
    } finally {
      this.busy = false;
      this.plan(this.shown < this.wanted ? PAUSE_MS : ANYWAY_MS);
    }
  }

  private clear(): void {
    if (this.timer !== null) this.o.timers.clear(this.timer);
    this.timer = null;
  }
}
