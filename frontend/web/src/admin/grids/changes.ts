// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// The table of grids: which rows are shown and in which order; what one may do
// with a version.

import type { Change, GridChange, GridVersion } from './types';

export const COLUMNS = ['code', 'name', 'change', 'area', 'open', 'recent', 'workers'] as const;
export type Column = (typeof COLUMNS)[number];

export interface Order {
  by: Column;
  down: boolean;
}

const RANK: Record<Change, number> = { gone: 0, new: 1, redrawn: 2, moved: 3, renamed: 4, same: 5 };
const gap = (before: number, after: number) => Math.abs(after - before);

/** What a column sorts by: a change of figures by its size, so that the greatest comes first. */
const VALUE: Record<Column, (c: GridChange) => number | string> = {
  code: (c) => c.code,
  name: (c) => c.name || c.name_before,
  change: (c) => RANK[c.change] ?? 9,
  area: (c) => gap(c.area_m2_before, c.area_m2),
  open: (c) => gap(c.open_before, c.open_after),
  recent: (c) => gap(c.recent_before, c.recent_after),
  workers: (c) => c.workers,
};

const collate = new Intl.Collator('zh-CN', { numeric: true }).compare;
const compare = (a: number | string, b: number | string) =>
  typeof a === 'number' && typeof b === 'number' ? a - b : collate(String(a), String(b));

/** Rows in order; equal ones by code. */
export function sorted(items: readonly GridChange[], { by, down }: Order): GridChange[] {
  const value = VALUE[by];
  const sign = down ? -1 : 1;
  return [...items].sort((a, b) => sign * compare(value(a), value(b)) || collate(a.code, b.code));
}

/** A click on a column's head: figures begin with the greatest, words with the first. */
export function turned(order: Order, by: Column): Order {
  if (order.by === by) return { by, down: !order.down };
  return { by, down: ['area', 'open', 'recent', 'workers'].includes(by) };
}

/** The rows of a kind of change, or all that change; those with the text in code or name. */
export function sift(items: readonly GridChange[], show: Change | 'changed' | 'all', text: string): GridChange[] {
  const want = text.trim().toLowerCase();
  return items.filter((c) => {
    if (show === 'changed' ? c.change === 'same' : show !== 'all' && c.change !== show) return false;
    return !want || [c.code, c.name, c.name_before, c.parent].some((x) => x?.toLowerCase().includes(want));
  });
}

/** Whether enacting a version can be taken back: it is in force, and another one was before. */
export function mayUndo(v: GridVersion, all: readonly GridVersion[]): boolean {
  return v.state === 'enacted' && all.some((o) => o.code === v.code && o.state === 'retired');
}

/** The version that was in force before this one: the one retired last. */
export function beforeOf(v: GridVersion, all: readonly GridVersion[]): GridVersion | null {
  const retired = all.filter((o) => o.code === v.code && o.state === 'retired');
  return (
    retired.sort((a, b) => Date.parse(b.retired_at ?? '') - Date.parse(a.retired_at ?? '') || b.version - a.version)[0] ?? null
  );
}

/** Whether other boundaries came into force after a draft was imported: it cannot be enacted any more. */
export const isOutdated = (v: GridVersion, all: readonly GridVersion[]) =>
  v.state === 'draft' &&
  all.some((o) => o.code === v.code && o.state === 'enacted' && Date.parse(o.enacted_at ?? '') > Date.parse(v.created_at ?? ''));

/** What can be done with a version now: keys of the catalogue. */
export function possibleNow(v: GridVersion | null, all: readonly GridVersion[]): string[] {
  if (!v) return [];
  if (v.state === 'draft') return ['preview', ...(isOutdated(v, all) ? [] : ['enact']), ...(v.planned ? ['dropPlan'] : [])];
  return mayUndo(v, all) ? ['undo'] : [];
}

/** Whether a plan's time has come and the server is at it. */
export const isDue = (v: GridVersion, nowMs: number) =>
  Boolean(v.planned && !v.planned.failed && Date.parse(v.planned.at) <= nowMs);

/** The version an address names: #/grids/7. */
export function versionIn(hash: string): number | null {
  const found = /^#\/grids\/(\d{1,9})$/.exec(hash)?.[1];
  return found ? Number(found) : null;
}
