// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// The light palette's promises. Dark words on white leave less room between hues
// than the dark screens have, so the least distance is smaller here; every state
// has a shape and a word as well.

import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { LIGHT, LIGHT_STATUS } from '../src/look/light';
import { closest, contrast, SIGHT } from './colour';

const LEAST_CONTRAST = 4.7;
const LEAST_DISTANCE = 20;

describe('contrast', () => {
  const words = { ...LIGHT_STATUS, text: LIGHT.text, text2: LIGHT.text2 };
  const cases = Object.entries(words).flatMap(([n, c]) => [LIGHT.bg, LIGHT.panel].map((b) => [n, b, c] as const));
  test.each(cases)('%s on %s', (_n, surface, color) => {
    expect(contrast(color, surface)).toBeGreaterThanOrEqual(LEAST_CONTRAST);
  });

  test('lines can be seen, and so can the focus ring', () => {
    for (const b of [LIGHT.bg, LIGHT.panel]) {
      expect(contrast(LIGHT.line, b)).toBeGreaterThanOrEqual(3);
      expect(contrast(LIGHT.text, b)).toBeGreaterThanOrEqual(3);
    }
    expect(contrast(LIGHT.text, LIGHT.focus)).toBeGreaterThanOrEqual(3); // dark ring on a yellow one
  });

  test('white words on the main button', () => {
    expect(contrast(LIGHT.panel, LIGHT_STATUS.duty)).toBeGreaterThanOrEqual(LEAST_CONTRAST);
  });
});

describe('no two states look alike', () => {
  test.each(Object.entries(SIGHT))('%s', (_, m) => {
    const { pair, distance } = closest(LIGHT_STATUS, m);
    expect(distance, pair).toBeGreaterThanOrEqual(LEAST_DISTANCE);
  });
});

test('light.css says the same as light.ts', () => {
  const css = readFileSync(new URL('../src/look/light.css', `file://${__filename}`), 'utf8');
  const found = Object.fromEntries([...css.matchAll(/--(\w+): (#[0-9a-f]{6});/g)].map((m) => [m[1], m[2]?.toUpperCase()]));
  expect(found).toEqual({ ...LIGHT, ...LIGHT_STATUS });
});
