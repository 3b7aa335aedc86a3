// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// Times as the wall writes them: China's one time zone, twenty-four hours.

const ZONE = 'Asia/Shanghai';

const parts = new Intl.DateTimeFormat('en-GB', {
  timeZone: ZONE,
  hourCycle: 'h23',
  year: 'numeric',
  month: '2-digit',
  day: '2-digit',
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
});

export interface WallTime {
  date: string; // 2026-11-22
  time: string; // 08:32:15
  weekday: number; // 0 = Sunday
}

export function wallTime(ms: number): WallTime {
  const p = Object.fromEntries(parts.formatToParts(ms).map((x) => [x.type, x.value]));
  const date = `${p.year}-${p.month}-${p.day}`;
  return { date, time: `${p.hour}:${p.minute}:${p.second}`, weekday: new Date(`${date}T00:00:00Z`).getUTCDay() };
}

export type Elapsed = { unit: 'clock'; text: string } | { unit: 'hours'; h: number; m: number } | { unit: 'days'; n: number };

/** How long ago, as short as a wall's row allows: 12:20 (minutes, seconds), then hours, then days. */
export function elapsed(fromMs: number, nowMs: number): Elapsed {
  const s = Math.max(0, Math.floor((nowMs - fromMs) / 1000));
  const two = (n: number) => String(n).padStart(2, '0');
  if (s < 3600) return { unit: 'clock', text: `${two(Math.floor(s / 60))}:${two(s % 60)}` };
  if (s < 86_400) return { unit: 'hours', h: Math.floor(s / 3600), m: Math.floor((s % 3600) / 60) };
  return { unit: 'days', n: Math.floor(s / 86_400) };
}
