// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// Contrast, and what colours look like in the common kinds of colour vision.

export type RGB = [number, number, number];

function linear(hex: string): RGB {
  return [1, 3, 5].map((i) => {
    const c = Number.parseInt(hex.slice(i, i + 2), 16) / 255;
    return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  }) as RGB;
}

/** WCAG 2 contrast ratio. */
export function contrast(a: string, b: string): number {
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
export const SIGHT: Record<string, [RGB, RGB, RGB]> = {
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

export function seen(hex: string, m: [RGB, RGB, RGB]): RGB {
  const c = linear(hex);
  return lab(m.map((r) => Math.max(0, Math.min(1, r[0] * c[0] + r[1] * c[1] + r[2] * c[2]))) as RGB);
}

/** The two least different of some colours in a kind of sight. */
export function closest(colours: Record<string, string>, m: [RGB, RGB, RGB]): { pair: string; distance: number } {
  const all = Object.entries(colours).map(([n, c]) => [n, seen(c, m)] as const);
  let best = { pair: '', distance: Number.POSITIVE_INFINITY };
  for (const [i, [a, p]] of all.entries()) {
    for (const [b, q] of all.slice(i + 1)) {
      const distance = Math.hypot(p[0] - q[0], p[1] - q[1], p[2] - q[2]);
      if (distance < best.distance) best = { pair: `${a} and ${b}`, distance };
    }
  }
  return best;
}
