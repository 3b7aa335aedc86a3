// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// The one unit of size, u: every letter, gap, line and map label of a wall is a
// multiple of it. 55 px on a wall 3840 x 2160; odd shapes take what their
// tighter side allows, so nothing is stretched and nothing runs out of height.

const REFERENCE = { width: 3840, height: 2160, u: 55 };
const LEAST_PX = 12.5;

export type Form = 'wall' | 'wide' | 'narrow';

export interface Measure {
  /** Pixels per u. */
  u: number;
  form: Form;
}

/** How a window of so many pixels is laid out. */
export function measure(width: number, height: number): Measure {
  const ratio = width / height;
  const form: Form = ratio < 1.2 || width < 700 ? 'narrow' : ratio > 2.6 ? 'wide' : 'wall';
  const byWidth = (width / REFERENCE.width) * REFERENCE.u;
  const byHeight = (height / REFERENCE.height) * REFERENCE.u;
  const u = form === 'narrow' ? width / 28 : Math.min(byWidth, byHeight);
  return { u: Math.max(LEAST_PX, Math.round(u * 4) / 4), form };
}
