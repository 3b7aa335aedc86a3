// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// Merging: which of two incidents goes into the other, and what to write as the reason.

import type { Case, Likeness } from './types';

const MERGES = new Set(['reported', 'accepted', 'routed', 'returned', 'escalated', 'reopened']);
const TAKES_NONE = new Set(['merged', 'void', 'refused', 'transferred']);

export interface Way {
  /** The one that ends. */
  from: Case;
  /** The one that goes on. */
  into: Case;
}

const may = (from: Case, into: Case) => MERGES.has(from.state) && !TAKES_NONE.has(into.state) && from.id !== into.id;

/**
 * The ways two incidents can be merged, the better first: what is worked at goes on, of
 * two that nobody works at the one reported first.
 */
export function waysOf(a: Case, b: Case): Way[] {
  const first = Date.parse(a.reported_at) <= Date.parse(b.reported_at) ? a : b;
  const other = first === a ? b : a;
  const ways = [
    { from: other, into: first },
    { from: first, into: other },
  ].filter((w) => may(w.from, w.into));
  return ways.sort((x, y) => Number(y.into.open) - Number(x.into.open));
}

/** What a feature counts in the score, the weightiest first. */
export function weighty(l: Likeness): Likeness['reasons'] {
  return l.reasons.filter((r) => r.value * r.weight >= 0.01).sort((a, b) => b.value * b.weight - a.value * a.weight);
}
