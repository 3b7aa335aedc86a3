// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// How long to wait before the next try. Starts at half a second, grows by half
// each time up to eight seconds, and is shortened by up to 30 % at random so
// that the screens of a hall do not all knock at once.

const FIRST_MS = 500;
const MOST_MS = 8000;
const GROWTH = 1.5;
const SPREAD = 0.3;

export class Backoff {
  private base = FIRST_MS;

  constructor(private readonly random: () => number) {}

  /** The next wait in ms, between 500 and 8,000. */
  next(): number {
    const wait = this.base * (1 - SPREAD * this.random());
    this.base = Math.min(MOST_MS, this.base * GROWTH);
    return Math.max(FIRST_MS, wait);
  }

  /** Starts over, once a connection has proved itself. */
  reset(): void {
    this.base = FIRST_MS;
  }
}
