// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// What a correction has changed of an incident beside what was corrected.

import { when } from '../ui/when';
import { placeOf } from '../wall/incident';
import type { Case } from './types';

export const WATCHED = ['category', 'priority', 'place', 'department', 'owner', 'ackDue', 'stageDue'] as const;
export interface Change {
  what: (typeof WATCHED)[number];
  from: string;
  to: string;
}

/** Every watched thing that is another now, in words. */
export function changesOf(before: Case, after: Case, priority: (p: number) => string, level: (n: number) => string): Change[] {
  const words = (i: Case): Record<Change['what'], string> => ({
    category: i.category_name ?? '',
    priority: priority(i.priority),
    place: placeOf(i),
    department: i.department ?? '',
    owner: level(i.owner_level),
    ackDue: when(i.ack_due),
    stageDue: when(i.stage_due),
  });
  const [a, b] = [words(before), words(after)];
  return WATCHED.filter((w) => a[w] !== b[w]).map((what) => ({ what, from: a[what], to: b[what] }));
}
