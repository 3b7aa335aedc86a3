// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// The acts by hand on an incident and what each brings with it, as in the server's
// machine (docs/INCIDENTS.md). The server decides, and where it says what is possible
// its word is taken; this table keeps buttons away that could do nothing, and says what
// to ask for.

import type { Case, OfferState } from './types';

export type Need = 'reason' | 'door' | 'level' | 'department' | 'wrong' | 'until' | 'into' | 'term';

interface Row {
  action: string;
  from: string[];
  needs: Need[];
  /** What of it may be left empty. */
  optional?: Need[];
}

const ROWS: Row[] = [
  { action: 'accept', from: ['reported', 'reopened'], needs: [] },
  { action: 'route', from: ['accepted', 'returned', 'escalated'], needs: [] },
  { action: 'acknowledge', from: ['routed'], needs: [] },
  { action: 'arrive', from: ['acknowledged'], needs: [] },
  { action: 'resolve', from: ['acknowledged', 'on_scene', 'rework'], needs: ['reason'] },
  { action: 'verify', from: ['resolved'], needs: [] },
  { action: 'close', from: ['verified'], needs: [] },
  { action: 'archive', from: ['closed'], needs: [] },
  { action: 'resume', from: ['suspended'], needs: [] },
  { action: 'rework', from: ['resolved'], needs: ['reason'] },
  { action: 'return', from: ['routed', 'dispatched', 'acknowledged', 'on_scene'], needs: ['reason'] },
  {
    action: 'reassign',
    from: ['routed', 'dispatched', 'acknowledged', 'on_scene', 'rework'],
    needs: ['reason', 'level', 'department', 'wrong'],
    optional: ['level', 'department'],
  },
  {
    action: 'delegate',
    from: ['accepted', 'routed', 'acknowledged', 'returned', 'escalated'],
    needs: ['level', 'department', 'reason'],
    optional: ['department', 'reason'],
  },
  {
    action: 'escalate',
    from: ['accepted', 'routed', 'dispatched', 'acknowledged', 'on_scene', 'rework', 'suspended'],
    needs: ['reason'],
  },
  { action: 'suspend', from: ['routed', 'acknowledged', 'on_scene'], needs: ['reason', 'until'] },
  { action: 'correct', from: [], needs: ['reason'] },
  { action: 'merge', from: ['reported', 'accepted', 'routed', 'returned', 'escalated', 'reopened'], needs: ['into', 'reason'] },
  { action: 'refuse', from: ['reported'], needs: ['reason', 'door'] },
  {
    action: 'transfer',
    from: ['accepted', 'routed', 'dispatched', 'acknowledged'],
    needs: ['reason', 'door'],
    optional: ['door'],
  },
  {
    action: 'void',
    from: ['reported', 'accepted', 'routed', 'returned', 'escalated', 'suspended', 'reopened'],
    needs: ['reason'],
  },
  { action: 'reopen', from: ['closed'], needs: ['reason'] },
  { action: 'extend', from: [], needs: ['term', 'reason'] },
  { action: 'note', from: [], needs: ['reason'] },
];

/** What two people have to agree to: it is asked for, and somebody else decides. */
export const ASKED_FOR = new Set(['void', 'extend']);
/** What an offer's own acts bring about, and nobody by hand. */
const BY_OFFER = new Set(['dispatch', 'withdraw']);
const ENDED = new Set(['refused', 'closed', 'archived', 'merged', 'void', 'transferred']);

/** The acts of a state, those that lead on first. */
export function actsOf(state: string): string[] {
  return ROWS.filter((r) => r.from.includes(state) || (r.action === 'correct' && !ENDED.has(state))).map((r) => r.action);
}

/**
 * What may be done with an incident now: by the server's word where there is one (a
 * refusal's, told for this very version, before the incident's own), else by its state.
 * A note may always be written, and more time asked for while a limit runs.
 */
export function possibleOf(i: Case, told: { version: number; actions: string[] } | null): string[] {
  const own = i.possible?.map((p) => (typeof p === 'string' ? p : p.action));
  const said = told && told.version === i.version ? told.actions : own;
  const can = (said ?? actsOf(i.state)).filter((a) => !BY_OFFER.has(a));
  const known = ROWS.filter((r) => can.includes(r.action)).map((r) => r.action);
  const unknown = can.filter((a) => !ROWS.some((r) => r.action === a));
  const beside = ENDED.has(i.state) ? ['note'] : i.stage_due && i.state !== 'suspended' ? ['extend', 'note'] : ['note'];
  return [...known, ...unknown, ...beside.filter((a) => !known.includes(a))];
}

/** What an act brings with it; of one that this page does not know, a reason. */
export function needsOf(action: string): Need[] {
  return (ROWS.find((r) => r.action === action) ?? { needs: ['reason'] as Need[] }).needs;
}

export function mustBring(action: string, need: Need): boolean {
  return need !== 'wrong' && !ROWS.find((r) => r.action === action)?.optional?.includes(need);
}

/**
 * What has to be done to an incident before its lead can be asked; null where nobody
 * can be sent to it.
 */
export function stepsToOffer(state: string): string[] | null {
  switch (state) {
    case 'reported':
    case 'reopened':
      return ['accept', 'route'];
    case 'accepted':
    case 'returned':
    case 'escalated':
      return ['route'];
    case 'routed':
      return [];
  }
  return null;
}

const WITH_LEAD = ['dispatched', 'acknowledged', 'on_scene'];

/** Whether an incident that has a lead may get somebody to assist. */
export const mayAssist = (state: string): boolean => WITH_LEAD.includes(state);

/** Whether the desk must say why it takes an offer back. */
export const mustExplain = (s: OfferState): boolean => s === 'accepted' || s === 'arrived';
