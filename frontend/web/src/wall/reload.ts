// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// A wall runs for weeks. Once a night it starts afresh, at four o'clock, when
// nobody is at it, nothing urgent is open and the server is there to load from.

const HOUR = '04';
const IDLE_MS = 300_000;
const RUNNING_MS = 2 * 3_600_000;
const GAP_MS = 600_000;
const KEY = 'onemap.reloaded';

export interface NightFacts {
  /** Wall time as hh:mm:ss. */
  time: string;
  live: boolean;
  urgentOpen: boolean;
  idleMs: number;
  runningMs: number;
}

export function reloadAtNight(f: NightFacts): boolean {
  return f.time.startsWith(`${HOUR}:`) && f.live && !f.urgentOpen && f.idleMs >= IDLE_MS && f.runningMs >= RUNNING_MS;
}

/** Reloads for a broken map, but not again and again: at most once in ten minutes. */
export function reloadOnce(now: number, storage: Storage, reload: () => void): boolean {
  const last = Number(storage.getItem(KEY) ?? 0);
  if (now - last < GAP_MS) return false;
  storage.setItem(KEY, String(now));
  reload();
  return true;
}
