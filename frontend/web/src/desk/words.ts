// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// Distances and times as a dispatcher reads them at a glance.

import type { By } from './types';

type Say = (key: string, values: Record<string, unknown>) => string;

export function distanceText(t: Say, metres: number): string {
  return metres < 1000 ? t('desk.m', { n: Math.round(metres / 10) * 10 }) : t('desk.km', { n: (metres / 1000).toFixed(1) });
}

/** Never less than a minute: nobody is there at once. */
export function travelText(t: Say, seconds: number): string {
  const m = Math.max(1, Math.round(seconds / 60));
  return m < 60 ? t('desk.min', { m }) : t('desk.hours', { h: Math.floor(m / 60), m: m % 60 });
}

/** An entry of the journal in a word: what was done, else the state it led to. */
export function actWord(t: (key: string) => string, te: (key: string) => boolean, e: { kind: string; to?: string }): string {
  const key = e.kind.replace(/^incident\./, '');
  const known = [`desk.step.${key}`, `desk.act.${key}`, `state.${e.to}`].find((k) => te(k));
  return known ? t(known) : e.kind;
}

/**
 * Who did something: by role and office where the journal tells, else as it names them:
 * account:7, token:4, or a clock of the server's.
 */
export function actorWord(t: Say, te: (key: string) => boolean, actor: string, by?: By): string {
  const [kind = '', n = ''] = actor.split(':');
  if (by) {
    const office = [t(`role.${by.role}`, {}), by.badge ?? by.department ?? by.grid].filter(Boolean).join(' ');
    return t('desk.actor.by', { office, n });
  }
  return te(`desk.actor.${kind}`) ? t(`desk.actor.${kind}`, { n }) : actor;
}
