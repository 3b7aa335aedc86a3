// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// The palette's promises: legible on its surfaces, and no two statuses alike in
// any common kind of colour vision.

import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { INK, MAP, STATUS, SURFACE } from '../src/look/tokens';
import { closest, contrast, SIGHT } from './colour';

const LEAST_CONTRAST = 4.7;
const LEAST_DISTANCE = 29;

describe('contrast', () => {
  const words = { ...STATUS, text: INK.text, text2: INK.text2, focus: INK.focus };
  const cases = Object.entries(words).flatMap(([n, c]) => Object.entries(SURFACE).map(([s, b]) => [n, s, c, b] as const));
  test.each(cases)('%s on %s', (_n, _s, color, surface) => {
    expect(contrast(color, surface)).toBeGreaterThanOrEqual(LEAST_CONTRAST);
  });

  test('lines can be seen', () => {
    expect(contrast(INK.line, SURFACE.panel)).toBeGreaterThanOrEqual(3);
  });

  test.each([1, 2, 3, 4, 5, 6] as const)('the names of level %d on every town', (level) => {
    for (const town of MAP.towns) expect(contrast(MAP.label[level], town)).toBeGreaterThanOrEqual(LEAST_CONTRAST);
  });

  test('every mark on every town', () => {
    for (const town of MAP.towns) for (const c of Object.values(STATUS)) expect(contrast(c, town)).toBeGreaterThanOrEqual(3.9);
  });
});

describe('no two statuses look alike', () => {
  test.each(Object.entries(SIGHT))('%s', (_, m) => {
    const { pair, distance } = closest(STATUS, m);
    expect(distance, pair).toBeGreaterThanOrEqual(LEAST_DISTANCE);
  });
});

test('tokens.css says the same as tokens.ts', () => {
  const css = readFileSync(new URL('../src/look/tokens.css', `file://${__filename}`), 'utf8');
  const found = Object.fromEntries([...css.matchAll(/--(\w+): (#[0-9a-f]{6});/g)].map((m) => [m[1], m[2]?.toUpperCase()]));
  expect(found).toEqual({ ...SURFACE, ...INK, ...STATUS });
});
