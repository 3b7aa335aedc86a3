// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// A finger that touches twice means it once; the second touch may fall on what the first
// one has brought under it. Told by a clock that nobody sets.

/** Two touches so soon after each other are one. */
export const TOUCH_MS = 700;

export class Touches {
  private last = new Map<string, number>();

  /** False for the second touch of a double one about the same thing. */
  first(about: string): boolean {
    const now = performance.now();
    if (now - (this.last.get(about) ?? Number.NEGATIVE_INFINITY) < TOUCH_MS) return false;
    this.last.set(about, now);
    return true;
  }
}
