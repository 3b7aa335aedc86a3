// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// The palette's promises: legible on its surfaces, and no two statuses alike in
// any common kind of colour vision.

import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { INK, MAP, STATUS, SURFACE } from '../src/look/tokens';

type RGB = [number, number, number];

const LEAST_CONTRAST = 4.7;
const LEAST_DISTANCE = 29;

function linear(hex: string): RGB {
  return [1, 3, 5].map((i) => {
    const c = Number.parseInt(hex.slice(i, i + 2), 16) / 255;
    return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  }) as RGB;
}

/** WCAG 2 contrast ratio. */
function contrast(a: string, b: string): number {
  const [x, y] = [a, b].map((h) => {
    const [r, g, bl] = linear(h);
    return 0.2126 * r + 0.7152 * g + 0.0722 * bl + 0.05;
  }) as [number, number];
  return Math.max(x, y) / Math.min(x, y);
}

/** CIE Lab 1976 of linear sRGB under D65. */
function lab([r, g, b]: RGB): RGB {
  const f = (t: number) => (t > 0.008856 ? Math.cbrt(t) : 7.787 * t + 16 / 116);
  const x = f((0.4124 * r + 0.3576 * g + 0.1805 * b) / 0.95047);
  const y = f(0.2126 * r + 0.7152 * g + 0.0722 * b);
  const z = f((0.0193 * r + 0.1192 * g + 0.9505 * b) / 1.08883);
  return [116 * y - 16, 500 * (x - y), 200 * (y - z)];
}

/** What the complete forms of colour blindness make of linear sRGB (Machado, Oliveira, Fernandes 2009, severity 1). */
const SIGHT: Record<string, [RGB, RGB, RGB]> = {
  normal: [
    [1, 0, 0],
    [0, 1, 0],
    [0, 0, 1],
  ],
  deuteranope: [
    [0.367322, 0.860646, -0.227968],
    [0.280085, 0.672501, 0.047413],
    [-0.01182, 0.04294, 0.968881],
  ],
  protanope: [
    [0.152286, 1.052583, -0.204868],
    [0.114503, 0.786281, 0.099216],
    [-0.003882, -0.048116, 1.051998],
  ],
  tritanope: [
    [1.255528, -0.076749, -0.178779],
    [-0.078411, 0.930809, 0.147602],
    [0.004733, 0.691367, 0.3039],
  ],
};

function seen(hex: string, m: [RGB, RGB, RGB]): RGB {
  const c = linear(hex);
  return lab(m.map((r) => Math.max(0, Math.min(1, r[0] * c[0] + r[1] * c[1] + r[2] * c[2]))) as RGB);
}

describe('contrast', () => {
  const words = { ...STATUS, text: INK.text, text2: INK.text2, focus: INK.focus };
  const cases = Object.entries(words).flatMap(([n, c]) => Object.entries(SURFACE).map(([s, b]) => [n, s, c, b] as const));
  test.each(cases)('%s on %s', (_n, _s, color, surface) => {
    expect(contrast(color, surface)).toBeGreaterThanOrEqual(LEAST_CONTRAST);
  });

  test('lines can be seen', () => {
    expect(contrast(INK.line, SURFACE.panel)).toBeGreaterThanOrEqual(3);
  });

  test.each([1, 2, 3, 4] as const)('the names of level %d on every town', (level) => {
    for (const town of MAP.towns) expect(contrast(MAP.label[level], town)).toBeGreaterThanOrEqual(LEAST_CONTRAST);
  });

  test('every mark on every town', () => {
    for (const town of MAP.towns) for (const c of Object.values(STATUS)) expect(contrast(c, town)).toBeGreaterThanOrEqual(3.9);
  });
});

describe('no two statuses look alike', () => {
  test.each(Object.entries(SIGHT))('%s', (_, m) => {
    const all = Object.entries(STATUS).map(([n, c]) => [n, seen(c, m)] as const);
    for (const [i, [a, p]] of all.entries()) {
      for (const [b, q] of all.slice(i + 1)) {
        expect(Math.hypot(p[0] - q[0], p[1] - q[1], p[2] - q[2]), `${a} and ${b}`).toBeGreaterThanOrEqual(LEAST_DISTANCE);
      }
    }
  });
});

test('tokens.css says the same as tokens.ts', () => {
  const css = readFileSync(new URL('../src/look/tokens.css', `file://${__filename}`), 'utf8');
  const found = Object.fromEntries([...css.matchAll(/--(\w+): (#[0-9a-f]{6});/g)].map((m) => [m[1], m[2]?.toUpperCase()]));
  expect(found).toEqual({ ...SURFACE, ...INK, ...STATUS });
});
