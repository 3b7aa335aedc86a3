// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// The acts by hand on an incident and what each brings with it, as in the server's
// machine (docs/INCIDENTS.md). The server decides, and where it says what is possible
// its word is taken; this table keeps buttons away that could do nothing, and says what
// to ask for.

import type { Case, OfferState, PossibleAct } from './types';

const FIELDS = ['reason', 'door', 'door_department', 'level', 'department', 'wrong', 'until', 'into', 'term'] as const;
export type Need = (typeof FIELDS)[number];

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

const own = (i: Case): PossibleAct[] | undefined => i.possible?.map((p) => (typeof p === 'string' ? { action: p } : p));

/**
 * What may be done with an incident now: by the server's word where there is one (the
 * incident's own, or else a refusal's that was told for this very version), else by its state.
 * Beside that a note may always be written, and what a second person decides be asked for.
 */
export function possibleOf(i: Case, told: { version: number; actions: string[] } | null): string[] {
  const said = own(i)?.map((p) => p.action) ?? (told?.version === i.version ? told.actions : undefined);
  const can = (said ?? actsOf(i.state)).filter((a) => !BY_OFFER.has(a));
  const known = ROWS.filter((r) => can.includes(r.action)).map((r) => r.action);
  const unknown = can.filter((a) => !ROWS.some((r) => r.action === a));
  const beside = [
    ...(ROWS.some((r) => r.action === 'void' && r.from.includes(i.state)) ? ['void'] : []),
    ...(i.stage_due && i.state !== 'suspended' && !ENDED.has(i.state) ? ['extend'] : []),
    'note',
  ];
  return [...known, ...unknown, ...beside.filter((a) => !known.includes(a))];
}

/** A form's field, and whether it must be filled: by itself, or as one of several. */
export interface Wanted {
  need: Need;
  must: 'yes' | 'no' | 'one';
}

/**
 * The fields of an act's form. What the server says of its needs goes before this page's
 * own table; of an act that neither knows, a reason is asked for.
 */
export function formOf(action: string, i: Case | null): Wanted[] {
  const row = ROWS.find((r) => r.action === action);
  const says = ASKED_FOR.has(action) ? undefined : i && own(i)?.find((p) => p.action === action && p.needs);
  const more = [...(says?.needs ?? []), ...(says?.one_of ?? [])] as Need[];
  const needs = [...new Set([...(row?.needs ?? (says ? [] : (['reason'] as Need[]))), ...more])].filter((n) =>
    FIELDS.includes(n),
  );
  return needs.map((need) => {
    if (need === 'wrong') return { need, must: says?.one_of?.includes(need) ? 'one' : 'no' };
    if (!says) return { need, must: row?.optional?.includes(need) ? 'no' : 'yes' };
    return { need, must: says.needs?.includes(need) ? 'yes' : says.one_of?.includes(need) ? 'one' : 'no' };
  });
}

/** Whether an act asks for anything at all before it is done. */
export const asks = (action: string, i: Case | null): boolean => formOf(action, i).length > 0;

/**
 * What has to be done to an incident without a lead before one can be asked; null where
 * nobody can be sent to it. It stays dispatched when its lead says no and others assist,
 * and who had resolved what is sent back holds it no more.
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
    case 'dispatched':
    case 'rework':
      return [];
  }
  return null;
}

const WITH_LEAD = ['dispatched', 'acknowledged', 'on_scene', 'rework'];

/** Whether an incident that has a lead may get somebody to assist. */
export const mayAssist = (state: string): boolean => WITH_LEAD.includes(state);

/** Whether the desk must say why it takes an offer back. */
export const mustExplain = (s: OfferState): boolean => s === 'accepted' || s === 'arrived';
