// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// The acts by hand that a state allows, as in the server's machine (docs/INCIDENTS.md).
// The server decides; this only keeps buttons away that could do nothing. Merging and
// correcting want pages of their own and are not here.

import type { OfferState } from './types';

export type Need = 'reason' | 'door' | 'level' | 'until';

interface Row {
  action: string;
  from: string[];
  needs: Need[];
}

const ROWS: Row[] = [
  { action: 'accept', from: ['reported', 'reopened'], needs: [] },
  { action: 'route', from: ['accepted', 'returned', 'escalated'], needs: [] },
  { action: 'acknowledge', from: ['routed'], needs: [] },
  { action: 'arrive', from: ['acknowledged'], needs: [] },
  { action: 'resolve', from: ['acknowledged', 'on_scene', 'rework'], needs: ['reason'] },
  { action: 'verify', from: ['resolved'], needs: [] },
  { action: 'close', from: ['verified'], needs: [] },
  { action: 'resume', from: ['suspended'], needs: [] },
  { action: 'rework', from: ['resolved'], needs: ['reason'] },
  { action: 'return', from: ['routed', 'dispatched', 'acknowledged', 'on_scene'], needs: ['reason'] },
  { action: 'reassign', from: ['routed', 'dispatched', 'acknowledged', 'on_scene', 'rework'], needs: ['reason', 'level'] },
  {
    action: 'escalate',
    from: ['accepted', 'routed', 'dispatched', 'acknowledged', 'on_scene', 'rework', 'suspended'],
    needs: ['reason'],
  },
  { action: 'suspend', from: ['routed', 'acknowledged', 'on_scene'], needs: ['reason', 'until'] },
  { action: 'refuse', from: ['reported'], needs: ['reason', 'door'] },
  { action: 'transfer', from: ['accepted', 'routed', 'dispatched', 'acknowledged'], needs: ['reason', 'door'] },
];

/** The acts of a state, those that lead on first. */
export function actsOf(state: string): string[] {
  return ROWS.filter((r) => r.from.includes(state)).map((r) => r.action);
}

export function needsOf(action: string): Need[] {
  return ROWS.find((r) => r.action === action)?.needs ?? [];
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
