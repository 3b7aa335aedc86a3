// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// Worker positions, from the binary frame or the JSON row to one shape.
//
//   byte 0      0x01 changes, 0x02 the full set
//   u64         the server's time, unix ms
//   per worker  u32 id, i32 lon e7, i32 lat e7, u16 age s, u8 accuracy/4 m, u8 state<<5 | course
//
// All little-endian.

import type { PositionsMessage } from './message';

export type WorkerState = 'on' | 'task' | 'stale' | 'sos' | 'off';

/** One dot: WGS-84 degrees, times in server milliseconds, -1 where the device did not say. */
export interface Fix {
  worker: number;
  lon: number;
  lat: number;
  fixAt: number;
  accuracyM: number;
  courseDeg: number;
  state: WorkerState;
}

export interface Positions {
  at: number;
  full: boolean;
  fixes: Fix[];
}

const CHANGES = 0x01;
const FULL = 0x02;
const HEADER = 9;
const ITEM = 16;
const STATES: Record<number, WorkerState> = { 0: 'on', 1: 'task', 2: 'stale', 3: 'sos', 7: 'off' };
const NAMES = new Set<string>(Object.values(STATES));
const UNKNOWN_ACCURACY = 255;
const UNKNOWN_COURSE = 31;

/** Reads a binary frame. Throws when it is not a positions frame or its length does not fit. */
export function decodePositions(buf: ArrayBuffer): Positions {
  const v = new DataView(buf);
  if (v.byteLength < HEADER || (v.byteLength - HEADER) % ITEM !== 0) {
    throw new Error(`positions frame of ${v.byteLength} bytes`);
  }
  const tag = v.getUint8(0);
  if (tag !== CHANGES && tag !== FULL) throw new Error(`unknown binary frame 0x${tag.toString(16)}`);
  const at = Number(v.getBigUint64(1, true));
  const fixes: Fix[] = [];
  for (let o = HEADER; o < v.byteLength; o += ITEM) {
    const accuracy = v.getUint8(o + 14);
    const bits = v.getUint8(o + 15);
    const state = STATES[bits >> 5];
    if (!state) continue; // a state of a later version: better no dot than a wrong one
    const course = bits & 31;
    fixes.push({
      worker: v.getUint32(o, true),
      lon: v.getInt32(o + 4, true) / 1e7,
      lat: v.getInt32(o + 8, true) / 1e7,
      fixAt: at - v.getUint16(o + 12, true) * 1000,
      accuracyM: accuracy === UNKNOWN_ACCURACY ? -1 : accuracy * 4,
      courseDeg: course === UNKNOWN_COURSE ? -1 : (course * 360) / 31,
      state,
    });
  }
  return { at, full: tag === FULL, fixes };
}

/** The same from a JSON message. */
export function readPositions(m: PositionsMessage): Positions {
  const at = Date.parse(m.at);
  const fixes = m.items
    .filter((r) => NAMES.has(r[6]))
    .map((r) => ({
      worker: r[0],
      lon: r[1],
      lat: r[2],
      fixAt: at - r[3] * 1000,
      accuracyM: r[4],
      courseDeg: r[5],
      state: r[6] as WorkerState,
    }));
  return { at, full: m.full === true, fixes };
}
