// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// A change of rate in figures.

import type { ChangeCell } from './api';

/** A factor to two or three digits: 0.42, 3.1, 12. */
const times = (v: number): string => (v < 1 ? v.toFixed(2) : v < 10 ? v.toFixed(1) : v.toFixed(0));

/**
 * The rate of the later period by the earlier one's, and its 95 % interval. Where the earlier has none the ratio
 * and its upper end are not known, and a dash and ∞ stand for them.
 */
export function ratioOf(c: ChangeCell): { ratio: string; interval: string } {
  const low = c.low === undefined ? '' : times(c.low);
  const high = c.high === undefined ? '∞' : times(c.high);
  return { ratio: c.ratio === undefined ? '–' : `×${times(c.ratio)}`, interval: low ? `${low}–${high}` : '' };
}
