// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// When to draw. A still map is not drawn at all; while something slides or
// pulses, at most 30 frames a second, which is plenty for a 1 Hz stream. A
// machine that cannot keep up falls to one frame a second, then to half the
// pixels; after some minutes it may try again.

export type Power = 0 | 1 | 2;

const FRAME_MS = 1000 / 30;
const SLOW_FRAME_MS = 100;
const SLOW_FOR_MS = 10_000;
const LOW_FRAME_MS = 1000;
const RETRY_MS = 300_000;
/** A gap this long is a hidden or suspended page, not a slow one. */
const PAUSE_MS = 5000;

export interface PacerOptions {
  moving(): boolean;
  draw(): void;
  power(p: Power): void;
}

export class Pacer {
  power: Power = 0;
  private lastFrame = 0;
  private lastDraw = 0;
  private slowSince = 0;
  private average = 0;
  private loweredAt = 0;

  constructor(private readonly o: PacerOptions) {}

  /** Called once an animation frame with its time in ms. */
  frame(now: number): void {
    const gap = now - this.lastFrame;
    this.lastFrame = now;
    if (!this.o.moving()) {
      this.slowSince = 0;
      return;
    }
    this.judge(gap, now);
    if (now - this.lastDraw >= (this.power ? LOW_FRAME_MS : FRAME_MS) - 2) {
      this.lastDraw = now;
      this.o.draw();
    }
  }

  private judge(gap: number, now: number): void {
    if (gap > PAUSE_MS) {
      this.slowSince = 0;
      return;
    }
    this.average += (gap - this.average) * 0.1;
    if (this.average < SLOW_FRAME_MS) this.slowSince = 0;
    else if (!this.slowSince) this.slowSince = now;
    else if (now - this.slowSince > SLOW_FOR_MS && this.power < 2) this.set((this.power + 1) as Power, now);
    if (this.power && now - this.loweredAt > RETRY_MS) this.set(0, now);
  }

  private set(p: Power, now: number): void {
    this.power = p;
    this.slowSince = 0;
    this.average = 0;
    this.loweredAt = now;
    this.o.power(p);
  }
}
