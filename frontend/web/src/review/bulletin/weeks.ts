// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// Weeks from Monday to Sunday on the clocks of China.

import { dayOf } from '../period';

const DAY_MS = 86_400_000;
const ZONE_MS = 8 * 3_600_000;

/** The Mondays of the last so many weeks that are over, the latest first. */
export function weeksOver(now: number, many: number): string[] {
  const weekday = (new Date(now + ZONE_MS).getUTCDay() + 6) % 7; // 0 on Monday
  const monday = now - weekday * DAY_MS;
  return Array.from({ length: many }, (_, i) => dayOf(monday - (i + 1) * 7 * DAY_MS));
}

/** The Sunday of the week that begins on this Monday. */
export const sundayOf = (monday: string): string => dayOf(Date.parse(`${monday}T00:00:00+08:00`) + 6 * DAY_MS);
