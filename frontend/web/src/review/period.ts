// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// Periods of whole days on the clocks of China.

import { when } from '../ui/when';

const DAY_MS = 86_400_000;

/** The day of a moment in China, as 2026-11-22. */
export const dayOf = (ms: number): string => when(new Date(ms).toISOString()).slice(0, 10);

/** The last `days` days, today included. */
export function lastDays(days: number, now: number): { first: string; last: string } {
  return { first: dayOf(now - (days - 1) * DAY_MS), last: dayOf(now) };
}

/** From the first day to the last, both included, as moments; null when a day is missing or the last comes before the first. */
export function momentsOf(first: string, last: string): { from: string; to: string } | null {
  const begin = Date.parse(`${first}T00:00:00+08:00`);
  const end = Date.parse(`${last}T00:00:00+08:00`);
  if (Number.isNaN(begin) || Number.isNaN(end) || end < begin) return null;
  return { from: `${first}T00:00:00+08:00`, to: `${dayOf(end + DAY_MS)}T00:00:00+08:00` };
}

/** The first and the last day of a period, that has both. */
export function daysOf(p: { from: string; to: string }): { first: string; last: string } {
  return { first: dayOf(Date.parse(p.from)), last: dayOf(Date.parse(p.to) - 1) };
}

/** The period of as many days just before these days, or of the same days a year before; null when they are no period. */
export function earlierThan(first: string, last: string, by: 'just' | 'year'): { first: string; last: string } | null {
  const begin = Date.parse(`${first}T00:00:00+08:00`);
  const end = Date.parse(`${last}T00:00:00+08:00`);
  if (Number.isNaN(begin) || Number.isNaN(end) || end < begin) return null;
  if (by === 'just') return { first: dayOf(begin - (end - begin) - DAY_MS), last: dayOf(begin - DAY_MS) };
  const back = (day: string) => {
    const [y, m, d] = day.split('-').map(Number) as [number, number, number];
    return new Date(Date.UTC(y - 1, m - 1, Math.min(d, new Date(Date.UTC(y - 1, m, 0)).getUTCDate()))).toISOString().slice(0, 10);
  };
  return { first: back(first), last: back(last) };
}
