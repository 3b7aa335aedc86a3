// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// Rates, and changes of rate, in figures.

import type { ChangeCell, Rated } from './api';

/** A number of any size to three digits: 0.00123, 0.42, 31.5, 4,210. */
export const figure = (v: number): string => (v >= 100 ? Math.round(v).toLocaleString('en') : String(Number(v.toPrecision(3))));

/** A rate and its 95 % interval; dashes where there is none. */
export function rateOf(c: Rated): { rate: string; interval: string } {
  if (c.rate === undefined || c.low === undefined || c.high === undefined) return { rate: '–', interval: '–' };
  return { rate: figure(c.rate), interval: `${figure(c.low)}–${figure(c.high)}` };
}

/** A factor to one to three digits: <0.001, 0.004, 0.42, 3.1, 12. What is not 0 is not told as 0. */
function times(v: number): string {
  if (v > 0 && v < 0.001) return '<0.001';
  return v > 0 && v < 0.0095 ? v.toFixed(3) : v < 0.995 ? v.toFixed(2) : v < 9.95 ? v.toFixed(1) : v.toFixed(0);
}

/**
 * The rate of the later period by the earlier one's, and its 95 % interval. Where the earlier has none the ratio
 * and its upper end are not known, and a dash and ∞ stand for them.
 */
export function ratioOf(c: ChangeCell): { ratio: string; interval: string } {
  const low = c.low === undefined ? '' : times(c.low);
  const high = c.high === undefined ? '∞' : times(c.high);
  return { ratio: c.ratio === undefined ? '–' : `×${times(c.ratio)}`, interval: low ? `${low}–${high}` : '' };
}
