// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// The queue of open incidents: which part of the work each is in, when its limit
// runs out, and who comes first.

import type { Case } from './types';

export const LANES = ['send', 'work', 'check'] as const;
/** send: somebody has to be sent; work: somebody is at it; check: done, to be looked at. */
export type Lane = (typeof LANES)[number];
/** A tab of the queue: a lane of open incidents, the call-backs that wait, or the requests that wait for a decision. */
export type Tab = Lane | 'call' | 'ask';

const SEND = new Set(['reported', 'accepted', 'routed', 'returned', 'escalated', 'reopened']);
const CHECK = new Set(['resolved', 'verified']);

export function laneOf(state: string): Lane {
  if (SEND.has(state)) return 'send';
  return CHECK.has(state) ? 'check' : 'work';
}

/** The limit that runs out first, in unix ms; null where none runs. */
export function dueAt(i: Case): number | null {
  if (i.state === 'suspended' || !i.open) return null;
  const running = [i.acknowledged_at ? null : i.ack_due, i.stage_due].map((d) => Date.parse(d ?? '')).filter((d) => d > 0);
  return running.length ? Math.min(...running) : null;
}

/** The more urgent first; then what is late; then whose limit runs out sooner; then the older. */
export function byUrgency(a: Case, b: Case): number {
  const soon = (i: Case) => dueAt(i) ?? Number.POSITIVE_INFINITY;
  const [x, y] = [soon(a), soon(b)];
  return (
    a.priority - b.priority ||
    Number(b.late) - Number(a.late) ||
    (x === y ? 0 : x - y) ||
    Date.parse(a.reported_at) - Date.parse(b.reported_at) ||
    (BigInt(a.id) < BigInt(b.id) ? -1 : 1)
  );
}

export function countLanes(open: Case[]): Record<Lane, number> {
  const n = { send: 0, work: 0, check: 0 };
  for (const i of open) n[laneOf(i.state)]++;
  return n;
}

/** The lane's incidents in their order, of those whose words hold what was typed. */
export function queueOf(open: Case[], lane: Tab, typed: string): Case[] {
  const want = typed.trim().toLowerCase();
  const words = (i: Case) =>
    [i.number, i.title, i.address, i.category_name, ...(i.grid?.path ?? []).map((s) => s.name)].join(' ').toLowerCase();
  return open.filter((i) => laneOf(i.state) === lane && (!want || words(i).includes(want))).sort(byUrgency);
}

export type Clock = { unit: 'left' | 'over'; d: number; h: number; m: number; s: number };

/** How long until a moment, or how long it is over. */
export function clockTo(due: number, now: number): Clock {
  const s = Math.floor(Math.abs(due - now) / 1000);
  return {
    unit: due < now ? 'over' : 'left',
    d: Math.floor(s / 86_400),
    h: Math.floor(s / 3600) % 24,
    m: Math.floor(s / 60) % 60,
    s: s % 60,
  };
}
