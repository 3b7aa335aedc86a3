// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// A worker's offers as they are once everything in the outbox has arrived.

import type { Offer, OfferState } from '../desk/types';
import type { Letter } from './outbox';

/** An offer with what a worker is told of its incident. */
export interface Task extends Offer {
  incident: {
    id: string;
    number: string;
    version: number;
    category_name: string;
    priority: number;
    state: string;
    title: string;
    address: string;
    /** WGS-84, longitude first. */
    point: [number, number] | null;
    grid: { level: number; code: string; name: string }[];
  };
}

/** What a task is called on screen. */
export const titleOf = (t: Task): string => t.incident.title || t.incident.category_name;

export type ActKind = 'delivered' | 'seen' | 'accept' | 'decline' | 'arrive' | 'finish' | 'return';

const AFTER: Partial<Record<string, OfferState>> = {
  accept: 'accepted',
  decline: 'declined',
  arrive: 'arrived',
  finish: 'finished',
  return: 'declined',
};
const WAITING: OfferState[] = ['offered', 'delivered', 'seen'];

export const unanswered = (t: { state: OfferState }): boolean => WAITING.includes(t.state);

/** Shows each offer where the worker has brought it, though the server may not know yet; those that are over leave. */
export function withLetters(tasks: Task[], letters: Letter[]): (Task & { waiting: boolean })[] {
  return tasks
    .map((t) => {
      const own = letters.filter((l) => l.about.offer === t.id && !l.refused && AFTER[l.about.kind]);
      const last = own.at(-1);
      const state = (last && AFTER[last.about.kind]) || t.state;
      return { ...t, state, waiting: own.length > 0 };
    })
    .filter((t) => t.live && !['declined', 'finished', 'expired', 'withdrawn'].includes(t.state))
    .sort(
      (a, b) =>
        Number(unanswered(b)) - Number(unanswered(a)) ||
        a.incident.priority - b.incident.priority ||
        a.made_at.localeCompare(b.made_at),
    );
}

/** What a worker may do with an offer: the big button first. */
export function actsFor(state: OfferState): ActKind[] {
  if (WAITING.includes(state)) return ['accept', 'decline'];
  if (state === 'accepted') return ['arrive', 'finish', 'return'];
  if (state === 'arrived') return ['finish', 'return'];
  return [];
}

/** Whether the worker must say why, or what was done. */
export const wantsWords = (kind: ActKind): boolean => kind === 'decline' || kind === 'return' || kind === 'finish';

const EARTH_M = 6_371_008.8;

/** Metres between two places in WGS-84 along the great circle, longitude first. */
export function metresBetween(a: [number, number], b: [number, number]): number {
  const r = Math.PI / 180;
  const h =
    Math.sin(((b[1] - a[1]) * r) / 2) ** 2 + Math.cos(a[1] * r) * Math.cos(b[1] * r) * Math.sin(((b[0] - a[0]) * r) / 2) ** 2;
  return 2 * EARTH_M * Math.asin(Math.sqrt(Math.min(1, h)));
}
