// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// What is done about an incident beside moving it: call-backs, instructions and their
// answers, whistles, joint sessions (docs/INCIDENTS.md, docs/WHISTLES.md). The server
// decides; this keeps away what could do nothing.

import type { Beside } from './beside';
import type { CallBack, Case, Instruction, JointSession, Request, Supervision, Whistle } from './types';

export type Matter =
  | { kind: 'callback'; of: CallBack }
  | { kind: 'instruct' }
  | { kind: 'reply'; of: Instruction }
  | { kind: 'answer'; of: Supervision }
  | { kind: 'whistle' }
  | { kind: 'endWhistle'; of: Whistle }
  | { kind: 'session'; of: JointSession | null }
  | { kind: 'word'; of: Whistle }
  | { kind: 'supervise' }
  | { kind: 'decide'; of: Request };

/** The keys of the matters, and what each is for; those of above.ts are its own. */
export type MatterKey = 'callback' | 'instruction' | 'whistle' | 'session';

/** Reads and instructs, and moves nothing. */
export const LEADER = 'county_leader';
const UNREADY = new Set(['reported', 'resolved', 'verified', 'reopened']);

/** Whether departments may be called to it: it is accepted, and its work is not done. */
export const takesWhistles = (i: Case): boolean => i.open && !UNREADY.has(i.state);

type Stands = Pick<Beside, 'remarks' | 'supervisions' | 'whistles' | 'stand'>;

export const owedOf = (b: Stands): CallBack[] => b.remarks.value?.call_backs.filter((c) => !c.done_at) ?? [];
export const openSessions = (b: Stands): JointSession[] => b.remarks.value?.sessions.filter((s) => !s.confirmed_at) ?? [];
/** Seats that nobody takes. */
export const openSeats = (s: Pick<JointSession, 'seats'>): string[] => s.seats.filter((x) => !x.holder.trim()).map((x) => x.role);

/** What a key does for an incident as it stands; null where there is nothing to do. */
export function matterOf(key: MatterKey, i: Case, role: string, b: Stands, answers: (s: Supervision) => boolean): Matter | null {
  if (role === LEADER) return key === 'instruction' && i.open ? { kind: 'instruct' } : null;
  if (b.stand.value !== 'read') return null; // nobody knows yet what there is
  switch (key) {
    case 'callback': {
      const of = i.open ? undefined : owedOf(b)[0];
      return of ? { kind: 'callback', of } : null;
    }
    case 'instruction': {
      const of = b.remarks.value?.instructions.find((x) => x.reply === null);
      const asked = b.supervisions.value.find((x) => !x.reply && !x.closed && answers(x));
      if (of) return { kind: 'reply', of };
      return asked ? { kind: 'answer', of: asked } : null;
    }
    case 'whistle': {
      const of = b.whistles.value.find((w) => w.state === 'running');
      if (of) return { kind: 'endWhistle', of };
      return takesWhistles(i) ? { kind: 'whistle' } : null;
    }
    case 'session': {
      const of = openSessions(b)[0];
      return of || i.open ? { kind: 'session', of: of ?? null } : null;
    }
  }
}

/** As it stands by now: what is open may have been done by somebody else. */
export function again(m: Matter, b: Stands): Matter {
  const r = b.remarks.value;
  switch (m.kind) {
    case 'callback':
      return { ...m, of: r?.call_backs.find((x) => x.n === m.of.n) ?? m.of };
    case 'reply':
      return { ...m, of: r?.instructions.find((x) => x.n === m.of.n) ?? m.of };
    case 'answer':
      return { ...m, of: b.supervisions.value.find((x) => x.id === m.of.id) ?? m.of };
    case 'word':
    case 'endWhistle':
      return { ...m, of: b.whistles.value.find((x) => x.id === m.of.id) ?? m.of };
    case 'session':
      return { ...m, of: r?.sessions.find((x) => x.n === m.of?.n) ?? m.of };
    case 'decide':
      return { ...m, of: r?.requests.find((x) => x.n === m.of.n) ?? m.of };
    default:
      return m;
  }
}
