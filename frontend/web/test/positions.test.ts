// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { PositionsMessage } from '../src/wire/message';
import { decodePositions, readPositions } from '../src/wire/positions';

interface Golden {
  name: string;
  frame: string;
  json: PositionsMessage;
}
const golden = JSON.parse(readFileSync(new URL('../testdata/positions.json', `file://${__filename}`), 'utf8')) as Golden[];

function bytes(hex: string): ArrayBuffer {
  const b = Uint8Array.from(hex.match(/../g) ?? [], (h) => Number.parseInt(h, 16));
  return b.buffer;
}

describe('positions', () => {
  test.each(golden)('binary and JSON say the same: $name', (g) => {
    const a = decodePositions(bytes(g.frame));
    const b = readPositions(g.json);
    expect(a.at).toBe(b.at);
    expect(a.full).toBe(b.full);
    expect(a.fixes.length).toBe(b.fixes.length);
    for (const [i, f] of a.fixes.entries()) {
      const w = b.fixes[i];
      expect(f).toMatchObject({ worker: w?.worker, fixAt: w?.fixAt, accuracyM: w?.accuracyM, state: w?.state });
      expect(f.lon).toBeCloseTo(w?.lon ?? Number.NaN, 7);
      expect(f.lat).toBeCloseTo(w?.lat ?? Number.NaN, 7);
      expect(f.courseDeg).toBeCloseTo(w?.courseDeg ?? Number.NaN, 6);
    }
  });

  test.each([
    ['empty', ''],
    ['cut short', '0100'],
    ['half a worker', `01${'00'.repeat(8)}${'00'.repeat(7)}`],
    ['another kind of frame', `09${'00'.repeat(8)}`],
  ])('refuses a frame that is %s', (_, hex) => {
    expect(() => decodePositions(bytes(hex))).toThrow();
  });

  test('a state of a later version draws no dot', () => {
    const frame = bytes((golden[1] as Golden).frame);
    new DataView(frame).setUint8(9 + 15, 5 << 5);
    expect(decodePositions(frame).fixes).toEqual([]);
  });
});
