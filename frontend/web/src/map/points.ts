// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// The buffers behind a layer of marks. Two positions a mark, where it was and
// where it is, both relative to a local origin: a 32-bit world coordinate would
// be 2.4 m coarse and make marks tremble. The shader mixes the two by time, so
// a stream of one position a second slides.

import { latOf, lonOf, mercatorX, mercatorY } from './mercator';

/** Local units per world width. */
export const LOCAL_SCALE = 4096;
/** A move longer than this (about 4 km) is a jump, not a walk, and is not slid over. */
const JUMP = 4096 / 10_000;

export class Points {
  count = 0;
  prev = new Float32Array(0);
  next = new Float32Array(0);
  style = new Uint8Array(0);
  /** Grows with every change, so that a layer knows when to upload. */
  version = 0;
  /** The first mark's place: all of a county lies near enough to any of its points. */
  origin: [number, number] = [0, 0];
  private placed = false;

  /** Makes room for n marks and keeps what is there. */
  reserve(n: number): void {
    if (n * 2 <= this.next.length) return;
    const room = Math.max(256, 2 ** Math.ceil(Math.log2(n)));
    this.prev = grown(this.prev, room * 2);
    this.next = grown(this.next, room * 2);
    const style = new Uint8Array(room);
    style.set(this.style);
    this.style = style;
  }

  /** Freezes every mark where the slide has brought it (t in 0..1); the next moves start there. */
  settle(t: number): void {
    const end = this.count * 2;
    for (let k = 0; k < end; k++) {
      const p = this.prev[k] as number;
      this.prev[k] = p + ((this.next[k] as number) - p) * t;
    }
    this.version++;
  }

  /** Sends mark i to a place; a new mark or a jump appears there at once. */
  move(i: number, lon: number, lat: number, fresh: boolean): void {
    if (!this.placed) {
      this.origin = [mercatorX(lon), mercatorY(lat)];
      this.placed = true;
    }
    const x = (mercatorX(lon) - this.origin[0]) * LOCAL_SCALE;
    const y = (mercatorY(lat) - this.origin[1]) * LOCAL_SCALE;
    const far = Math.abs(x - (this.prev[2 * i] as number)) > JUMP || Math.abs(y - (this.prev[2 * i + 1] as number)) > JUMP;
    if (fresh || far) {
      this.prev[2 * i] = x;
      this.prev[2 * i + 1] = y;
    }
    this.next[2 * i] = x;
    this.next[2 * i + 1] = y;
  }

  /** Where mark i was last sent, longitude first. */
  at(i: number): [number, number] {
    const [x, y] = [this.next[2 * i] as number, this.next[2 * i + 1] as number];
    return [lonOf(this.origin[0] + x / LOCAL_SCALE), latOf(this.origin[1] + y / LOCAL_SCALE)];
  }

  /** Fills slot i by the last mark and shortens by one; the slot's old owner is gone. */
  remove(i: number): void {
    const last = --this.count;
    if (i === last) return;
    this.prev.copyWithin(2 * i, 2 * last, 2 * last + 2);
    this.next.copyWithin(2 * i, 2 * last, 2 * last + 2);
    this.style[i] = this.style[last] as number;
  }
}

function grown(a: Float32Array, length: number): Float32Array<ArrayBuffer> {
  const b = new Float32Array(length);
  b.set(a);
  return b;
}
