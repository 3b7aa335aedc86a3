// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// Times of the pages with people: China's one time zone, to the minute or second.

import { wallTime } from '../wall/time';

/** 2026-11-22 08:32, or empty. */
export function when(iso: string | null | undefined, seconds = false): string {
  const ms = iso ? Date.parse(iso) : Number.NaN;
  if (Number.isNaN(ms)) return '';
  const { date, time } = wallTime(ms);
  return `${date} ${seconds ? time : time.slice(0, 5)}`;
}

/** A moment as a datetime-local field writes it. */
export function local(ms: number): string {
  return when(new Date(ms).toISOString()).replace(' ', 'T');
}

/** What a datetime-local field says, as a moment with its zone; empty stays empty. */
export function moment(local: string): string {
  if (!local) return '';
  return `${local.length === 16 ? `${local}:00` : local}+08:00`;
}
