// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// The way to a place as a person is told it: how far, and which way by the compass.

export const WINDS = ['n', 'ne', 'e', 'se', 's', 'sw', 'w', 'nw'] as const;
export type Wind = (typeof WINDS)[number];

/** Degrees clockwise from north at which b is first seen from a; WGS-84, longitude first. */
export function bearing(a: [number, number], b: [number, number]): number {
  const r = Math.PI / 180;
  const east = (b[0] - a[0]) * r;
  const y = Math.sin(east) * Math.cos(b[1] * r);
  const x = Math.cos(a[1] * r) * Math.sin(b[1] * r) - Math.sin(a[1] * r) * Math.cos(b[1] * r) * Math.cos(east);
  return (Math.atan2(y, x) / r + 360) % 360;
}

export const windOf = (degrees: number): Wind => WINDS[Math.round(degrees / 45) % 8] ?? 'n';

/** Metres as people say them: tens below a kilometre, then one decimal below ten. */
export function far(m: number): { n: string; unit: 'm' | 'km' } {
  if (m < 995) return { n: String(Math.round(m / 10) * 10), unit: 'm' };
  return { n: m < 9950 ? (m / 1000).toFixed(1) : String(Math.round(m / 1000)), unit: 'km' };
}
