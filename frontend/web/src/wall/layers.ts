// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// Keeps the list of named layers as fresh as a minute: it is small, and its tags
// tell which layers have other data. A list that does not come is asked for again.

import type { NamedLayer } from '../map/named';
import type { Timers } from '../wire/client';

const EVERY_MS = 60_000;
const RETRY_MS = 5000;
/** The cameras are drawn by the base map. */
const CAMERAS = 'cameras';

export interface LayersOptions {
  fetch(): Promise<NamedLayer[]>;
  /** The named layers, when they or their data are not those of the last list. */
  named(l: NamedLayer[]): void;
  /** The cameras are not those of the last list. */
  cameras(tag: string): void;
  timers: Timers;
}

export class LayersKeeper {
  /** Those of the last list that came. */
  now: NamedLayer[] = [];
  private tag: string | undefined;
  private timer: unknown = null;
  /** Which start is in force: what an earlier one asked for is not heeded. */
  private turn = 0;

  constructor(private readonly o: LayersOptions) {}

  /** Asks until stopped; done when the first list has come or failed. */
  async start(): Promise<void> {
    this.stop();
    await this.ask(this.turn);
  }

  stop(): void {
    this.turn++;
    if (this.timer !== null) this.o.timers.clear(this.timer);
    this.timer = null;
  }

  private async ask(turn: number): Promise<void> {
    let wait = EVERY_MS;
    try {
      const all = await this.o.fetch();
      if (turn === this.turn) this.take(all);
    } catch {
      wait = RETRY_MS; // the link's state is shown elsewhere
    }
    if (turn === this.turn) this.timer = this.o.timers.set(() => void this.ask(turn), wait);
  }

  private take(all: NamedLayer[]): void {
    const named = all.filter((l) => l.code !== CAMERAS);
    const tag = all.find((l) => l.code === CAMERAS)?.tag;
    if (JSON.stringify(named) !== JSON.stringify(this.now)) {
      this.now = named;
      this.o.named(named);
    }
    if (tag !== undefined && tag !== this.tag) {
      if (this.tag !== undefined) this.o.cameras(tag);
      this.tag = tag;
    }
  }
}
