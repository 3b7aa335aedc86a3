// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// The page's question in its address: a link asks whoever opens it the same, each within the own grids. What an address
// says that is none of the choices is left at its default and named.

import { METHODS, type Method, PERS, type Per } from './api';
import { dayOf, earlierThan, lastDays } from './period';

/** Days, both included. */
export interface Days {
  first: string;
  last: string;
}

/** What the form asks for, and the cell that is looked at. */
export interface Asked extends Days {
  method: Method;
  /** The days compared with; of method change. */
  before: Days | null;
  res: string;
  category: string;
  grid: string;
  k: string;
  per: Per;
  steps: string;
  cell: string;
}

export const SIZES = ['6', '7', '8', '9'] as const;
export const RINGS = ['1', '2', '3'] as const;
export const CUTS = ['8', '12', '24'] as const;

/** Parts of an address that may be wrong; each has its word. */
export type Part = 'method' | 'days' | 'before' | 'res' | 'category' | 'grid' | 'k' | 'per' | 'steps' | 'cell';

const DEFAULT = { method: 'gi', res: '7', k: '2', per: '', steps: '12' } as const;
const DEFAULT_DAYS = 90;
const MOST_DAYS = 3660;
const DAY_MS = 86_400_000;

const at = (day: string): number => Date.parse(`${day}T00:00:00+08:00`);
/** A day that there is, of this century: 2026-02-30 is none. */
const isDay = (day: string): boolean => /^20\d\d-\d\d-\d\d$/.test(day) && !Number.isNaN(at(day)) && dayOf(at(day)) === day;
const isPeriod = ({ first, last }: Days): boolean =>
  isDay(first) && isDay(last) && at(last) >= at(first) && at(last) - at(first) < MOST_DAYS * DAY_MS;

/** What an address asks for, and which of its parts are no choices. `pers` are those that the reader has. */
export function parseAddress(search: string, now: number, pers: readonly Per[] = PERS): { asked: Asked; bad: Part[] } {
  const said = new URLSearchParams(search);
  const bad: Part[] = [];
  const of = (name: string) => said.get(name) ?? '';
  const choice = <C extends string>(part: Part, choices: readonly C[], otherwise: C): C => {
    const v = of(part);
    const found = choices.find((c) => c === v);
    if (v && found === undefined) bad.push(part);
    return found || otherwise;
  };
  const pattern = (part: Part, form: RegExp): string => {
    const v = of(part);
    if (!v || form.test(v)) return v;
    bad.push(part);
    return '';
  };
  const method = choice('method', METHODS, DEFAULT.method);
  let days: Days = { first: of('from'), last: of('to') };
  if (!isPeriod(days)) {
    if (days.first || days.last) bad.push('days');
    days = lastDays(DEFAULT_DAYS, now);
  }
  let before: Days | null = null;
  if (method === 'change') {
    before = { first: of('from2'), last: of('to2') };
    if (!isPeriod(before) || at(before.last) >= at(days.first)) {
      if (before.first || before.last) bad.push('before');
      before = earlierThan(days.first, days.last, 'just');
    }
  }
  const asked: Asked = {
    ...days,
    method,
    before,
    res: choice('res', SIZES, DEFAULT.res),
    category: pattern('category', /^[0-9A-Za-z]{1,16}$/),
    grid: pattern('grid', /^[^\s\p{C}]{1,64}$/u),
    k: choice('k', RINGS, DEFAULT.k),
    per: choice('per', pers, DEFAULT.per),
    steps: choice('steps', CUTS, DEFAULT.steps),
    cell: pattern('cell', /^8[6-9][0-9a-f]{13}$/),
  };
  if (asked.cell && asked.cell[1] !== asked.res) {
    asked.cell = '';
    bad.push('cell');
  }
  return { asked: plain(asked), bad };
}

/** What does not belong to a method is at its default. */
function plain(a: Asked): Asked {
  return {
    ...a,
    before: a.method === 'change' ? a.before : null,
    k: a.method === 'gi' || a.method === 'course' ? a.k : DEFAULT.k,
    per: a.method === 'count' ? a.per : DEFAULT.per,
    steps: a.method === 'course' ? a.steps : DEFAULT.steps,
  };
}

/** The address that asks this, behind the path; the page's language stays as `search` has it. */
export function formatAddress(asked: Asked, search = ''): string {
  const a = plain(asked);
  const said = new URLSearchParams();
  const lang = new URLSearchParams(search).get('lang');
  if (lang) said.set('lang', lang);
  said.set('method', a.method);
  said.set('from', a.first);
  said.set('to', a.last);
  if (a.before) {
    said.set('from2', a.before.first);
    said.set('to2', a.before.last);
  }
  for (const name of ['res', 'k', 'per', 'steps'] as const) if (a[name] !== DEFAULT[name]) said.set(name, a[name]);
  for (const name of ['category', 'grid', 'cell'] as const) if (a[name]) said.set(name, a[name]);
  return `?${said}`;
}

/** Whether two addresses ask the same of all cells. */
export const sameQuestion = (a: Asked, b: Asked): boolean =>
  formatAddress({ ...a, cell: '' }) === formatAddress({ ...b, cell: '' });
