// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// How a notice stands: its state, and whether its reply is overdue, came in time or late.

import type { Tone } from '../../ui/StateChip.vue';
import { isOpen, type Notice, type State } from './api';

export const TONE: Record<State, Tone> = { sent: 'waiting', read: 'info', replied: 'good', withdrawn: 'off' };

export type Standing = 'overdue' | 'in_time' | 'late' | '';
export const STANDING_TONE: Record<Exclude<Standing, ''>, Tone> = { overdue: 'bad', in_time: 'good', late: 'waiting' };

/** Whether the reply is overdue, or came in time or late; empty while there is time, and for what was withdrawn. */
export function standingOf(n: Notice, now: number): Standing {
  if (n.state === 'replied') return n.in_time ? 'in_time' : 'late';
  return isOpen(n) && (n.supervised || now > Date.parse(n.due)) ? 'overdue' : '';
}
