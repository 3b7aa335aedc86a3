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
  private running = false;

  constructor(private readonly o: LayersOptions) {}

  /** Asks until stopped; done when the first list has come or failed. */
  async start(): Promise<void> {
    this.stop();
    this.running = true;
    await this.ask();
  }

  stop(): void {
    this.running = false;
    if (this.timer !== null) this.o.timers.clear(this.timer);
    this.timer = null;
  }

  private async ask(): Promise<void> {
    let wait = EVERY_MS;
    try {
      this.take(await this.o.fetch());
    } catch {
      wait = RETRY_MS; // the link's state is shown elsewhere
    }
    if (this.running) this.timer = this.o.timers.set(() => void this.ask(), wait);
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
