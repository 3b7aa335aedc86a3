// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// How figures are told and compared.

import type { Figure, Line } from './api';

/** The figures of a line that have a row of their own, in order. */
export const SHOWN = [
  'reported',
  'not_located',
  'outside',
  'closed',
  'on_time',
  'late',
  'open',
  'overdue',
  'working_days',
  'on_the_spot',
  'reopened',
  'satisfied',
  'overridden',
] as const;
export type Shown = (typeof SHOWN)[number];

/** What is open now is not told of an earlier period. */
export const figureOf = (line: Line, name: Shown): Figure | undefined => (name === 'late' ? line.on_time.late : line[name]);

/** What each level solved, in each of some periods: a period has a level only where something was solved there, or the grids have it. */
export function levelsOf(periods: { total: Line }[]): { level: number; name: string; at: (Figure | undefined)[] }[] {
  const names = new Map(periods.flatMap((p) => p.total.solved.map((s) => [s.level, s.name] as const)));
  const order = [...names.keys()].sort((a, b) => (a || Number.POSITIVE_INFINITY) - (b || Number.POSITIVE_INFINITY)); // the unknown one last
  return order.map((level) => ({
    level,
    name: names.get(level) ?? '',
    at: periods.map((p) => p.total.solved.find((s) => s.level === level)),
  }));
}

/** A time in the unit one says it in, to two or three digits. */
export function timeTaken(seconds: number): { unit: 's' | 'm' | 'h' | 'd'; by: string } {
  const [unit, v] = (
    seconds < 90
      ? ['s', seconds]
      : seconds < 5400
        ? ['m', seconds / 60]
        : seconds < 172_800
          ? ['h', seconds / 3600]
          : ['d', seconds / 86_400]
  ) as ['s' | 'm' | 'h' | 'd', number];
  return { unit, by: v < 10 ? v.toFixed(1) : v.toFixed(0) };
}

/** What two periods are compared by: the mean, the rate, or the number; null where one of them has none. */
const comparedBy = (f: Figure): number | null => ('mean' in f ? f.mean : 'rate' in f ? f.rate : f.n) ?? null;

/** The change since an earlier period: of numbers as a share of the earlier one, of rates in points, of means as it is. */
export function change(now: Figure, then: Figure): { by: number; as: 'share' | 'points' | 'plain' } | null {
  const [a, b] = [comparedBy(now), comparedBy(then)];
  if (a === null || b === null) return null;
  if ('mean' in now) return { by: a - b, as: 'plain' };
  if ('rate' in now) return { by: (a - b) * 100, as: 'points' };
  return b === 0 ? null : { by: ((a - b) / b) * 100, as: 'share' };
}
