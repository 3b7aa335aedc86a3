// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// What a refusal says because somebody else was first.

import type { Problem } from '../session/problem';
import { when } from '../ui/when';
import type { Desk } from './desk';
import { actorWord, actWord } from './words';

type Say = (key: string, values?: Record<string, unknown>) => string;

/**
 * Who was first, where the answer or the incident's journal tells; else that the incident
 * has moved, where it has. undefined where the refusal has another cause.
 */
export function firstSaid(desk: Desk, p: Problem | null, t: Say, te: (key: string) => boolean): string | undefined {
  if (p?.status !== 409) return undefined;
  const w = p.more.winner as { badge?: string; number?: string } | undefined;
  if (w) return t('desk.taken', { badge: w.badge ?? '', number: w.number ?? '' });
  const r = desk.rival.value;
  if (r)
    return t('desk.rival', { actor: actorWord(t, te, r.actor, r.by), time: when(r.at, true).slice(11), act: actWord(t, te, r) });
  return desk.moved.value ? t('desk.moved') : undefined;
}
