// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// An incident as the wall may see it (the shared view), and what the wall says of it.

import type { IncidentMark } from '../look/shapes';

export interface PathStep {
  level: number;
  code: string;
  name: string;
}

export interface Incident {
  id: string;
  number: string;
  category?: string;
  category_name?: string;
  top?: string;
  top_name?: string;
  priority: number;
  state: string;
  open: boolean;
  place: 'in_grid' | 'outside' | 'none';
  precision: 'exact' | 'grid' | 'none';
  point: [number, number] | null;
  /** How far off the place may be, in metres, of one that was found by its address alone. */
  accuracy_m?: number | null;
  grid: { version: number; path: PathStep[] } | null;
  reported_at: string;
  acknowledged_at: string | null;
  resolved_at?: string | null;
  history?: boolean;
}

const BACK = new Set(['returned', 'rework', 'refused']);
const DONE = new Set(['resolved', 'verified', 'closed', 'archived']);
const UNSIGNED = new Set(['reported', 'accepted', 'routed', 'dispatched', 'escalated', 'reopened']);

/** Which mark an incident wears: how far it is comes before how urgent it is. */
export function markOf(i: Pick<Incident, 'state' | 'priority'>): IncidentMark {
  if (DONE.has(i.state)) return 'done';
  if (BACK.has(i.state)) return 'returned';
  if (i.priority === 1) return 'urgent';
  return i.priority === 2 ? 'important' : 'normal';
}

/** What is done leaves the map a while after, though it is not closed yet: the map shows what still needs somebody. */
const DONE_ON_MAP_MS = 900_000;

export function onMap(i: Incident, serverNow: number): boolean {
  if (!i.point) return false;
  return markOf(i) !== 'done' || serverNow - Date.parse(i.resolved_at ?? '') < DONE_ON_MAP_MS;
}

/** Whether the place is that of an address, and may lie elsewhere. */
export function roughly(i: Pick<Incident, 'accuracy_m'>): boolean {
  return typeof i.accuracy_m === 'number';
}

/** An urgent incident that nobody has signed for yet keeps its halo. */
export function calls(i: Incident): boolean {
  return i.open && i.priority === 1 && !i.acknowledged_at && UNSIGNED.has(i.state);
}

/** The two names that place it for a reader far away: the town, and the smallest grid known. */
export function placeOf(i: Incident): string {
  const below = (i.grid?.path ?? []).filter((s) => s.level >= 2);
  const first = below[0];
  const last = below[below.length - 1];
  if (!first || !last) return i.grid?.path[0]?.name ?? '';
  return first === last ? first.name : `${first.name} · ${last.name}`;
}

export function titleOf(i: Incident): string {
  return i.category_name || i.top_name || i.number;
}

/** The newest first; of two reported in the same instant, the later number. */
export function newestFirst(a: Incident, b: Incident): number {
  const d = Date.parse(b.reported_at) - Date.parse(a.reported_at);
  return d || (BigInt(b.id) > BigInt(a.id) ? 1 : -1);
}
