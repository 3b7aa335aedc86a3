// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// How cells are coloured: by class, or by count in steps. The hues of hot and cold are
// those of a scale that colour-blind readers tell apart; the list says all in words.

import type { Class, HotCell } from './api';

export const CLASSES: readonly Class[] = ['hot99', 'hot95', 'hot90', 'plain', 'cold90', 'cold95', 'cold99', 'too_few'];

export const COLOUR: Record<Class, string> = {
  hot99: '#B2182B',
  hot95: '#D6604D',
  hot90: '#F4A582',
  plain: '#C9D3DD',
  cold90: '#92C5DE',
  cold95: '#4393C3',
  cold99: '#2166AC',
  too_few: '#E4E9EF',
};

/** From few to many. */
export const STEPS = ['#FDD49E', '#FDBB84', '#FC8D59', '#D7301F', '#7F0000'] as const;

/**
 * The least counts of the steps: fifths of the cells that have incidents, each step above the one before.
 * Fewer steps than five where the counts are few.
 */
export function stepsOf(counts: readonly number[]): number[] {
  const sorted = counts.filter((n) => n > 0).sort((a, b) => a - b);
  const from: number[] = [];
  for (let i = 0; i < STEPS.length && sorted.length; i++) {
    const n = sorted[Math.floor((i * sorted.length) / STEPS.length)] as number;
    if (n > (from.at(-1) ?? 0)) from.push(n);
  }
  return from;
}

/** A cell's colour by its class, or without one by its count. */
export function colourOf(c: HotCell, steps: readonly number[]): string {
  if (c.class) return COLOUR[c.class];
  let at = 0;
  for (const [i, least] of steps.entries()) if (c.count >= least) at = i;
  // few steps take the darker end too, so that the most is always dark
  const spread = steps.length > 1 ? Math.round((at * (STEPS.length - 1)) / (steps.length - 1)) : STEPS.length - 1;
  return STEPS[spread] as string;
}

export const isHot = (c: HotCell) => Boolean(c.class?.startsWith('hot'));
export const isCold = (c: HotCell) => Boolean(c.class?.startsWith('cold'));

/** A probability to three digits; a dash where there is none. */
export const chance = (p: number | undefined): string => (p === undefined ? '–' : p < 0.001 ? '< 0.001' : p.toFixed(3));
