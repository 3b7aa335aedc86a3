// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// A report as the desk takes it down: what is typed, what of it is wrong, and the
// request it becomes. It lives in the page's memory only.

import type { Problem } from '../session/problem';
import { newRef } from '../wire/ref';
import type { Category, PlaceFound } from './types';

export interface Draft {
  /** Names the request, so that one that is sent twice counts once. */
  key: string;
  category: string;
  title: string;
  text: string;
  priority: string;
  source: string;
  name: string;
  phone: string;
  address: string;
  /** WGS-84, longitude first; null while only an address is known. */
  point: [number, number] | null;
  /** The point stands for an area: the server finds it by the address, and keeps how far off it may be. */
  rough: boolean;
}

/** From how many metres on a place is said to be rough. */
const ROUGH_M = 500;
export const isRough = (p: PlaceFound): boolean => p.kind === 'area' || p.accuracy_m > ROUGH_M;

export const emptyDraft = (): Draft => ({
  key: newRef(),
  category: '',
  title: '',
  text: '',
  priority: '',
  source: 'phone',
  name: '',
  phone: '',
  address: '',
  point: null,
  rough: false,
});

export const SOURCES = ['phone', 'hotline', 'petition', 'app', 'field', 'device'] as const;

/** Whether anything was typed or marked. */
export const started = (d: Draft): boolean => !!(d.category || d.title || d.text || d.name || d.phone || d.address || d.point);

/** The fields a report can't go without. */
export function missing(d: Draft): ('category' | 'place')[] {
  const out: ('category' | 'place')[] = [];
  if (!d.category) out.push('category');
  if (!d.point && !d.address.trim()) out.push('place');
  return out;
}

/** The body of the request; a report without a title has its category's name. */
export function reportOf(d: Draft, categories: Category[]): Record<string, unknown> {
  const said = (s: string) => s.trim() || undefined;
  const reporter = said(d.name) || said(d.phone) ? { name: said(d.name), phone: said(d.phone) } : undefined;
  return {
    category: d.category,
    title: said(d.title) ?? categories.find((c) => c.code === d.category)?.name ?? d.category,
    text: said(d.text),
    priority: Number(d.priority) || undefined,
    source: d.source,
    address: said(d.address),
    location: d.point && !d.rough ? { lon: d.point[0], lat: d.point[1], crs: 'wgs84' } : undefined,
    unsure: d.point ? (d.rough ? 'approximate' : undefined) : 'ask',
    reporter,
  };
}

export const FIELDS = ['category', 'title', 'text', 'priority', 'source', 'name', 'phone', 'place'] as const;
export type Field = (typeof FIELDS)[number];

/** The field of the form that a location in a refusal is about; "" for none of them. */
export function fieldOf(location: string): Field | '' {
  const at = location.replace(/^body\.?/, '');
  if (/^(location|address)\b/.test(at)) return 'place';
  if (/^reporter\.(name|phone)\b/.test(at)) return at.slice('reporter.'.length) as Field;
  return FIELDS.find((f) => f === at) ?? '';
}

/** A refusal's faults by field; those of no field are under "". */
export function faultsOf(p: Problem | null): Partial<Record<Field | '', string[]>> {
  const out: Partial<Record<Field | '', string[]>> = {};
  for (const f of p?.faults ?? []) {
    const of = fieldOf(f.location);
    out[of] = [...(out[of] ?? []), of ? f.message : `${f.location} ${f.message}`];
  }
  return out;
}

/** The places a refused report's address may mean. */
export const candidatesOf = (p: Problem | null): PlaceFound[] =>
  Array.isArray(p?.more.candidates) ? (p.more.candidates as PlaceFound[]) : [];

const MOST = 12;

/** Categories whose number begins with what was typed, or whose names hold it; the surest first. */
export function findCategories(all: Category[], typed: string): Category[] {
  const want = typed.trim().toLowerCase();
  if (!want) return all;
  const rank = (c: Category) => {
    if (c.code === want) return 0;
    if (c.code.startsWith(want)) return 1;
    const name = c.name.toLowerCase();
    if (name.startsWith(want)) return 2;
    if (name.includes(want)) return 3;
    if (c.top_name.toLowerCase().includes(want)) return 4;
    return inOrder(want, name) ? 5 : 9;
  };
  return all
    .map((c) => ({ c, at: rank(c) }))
    .filter((x) => x.at < 9)
    .sort((a, b) => a.at - b.at || (a.c.code < b.c.code ? -1 : 1))
    .slice(0, MOST)
    .map((x) => x.c);
}

/** Whether text holds the characters of want in their order: 供水障 finds 供水供暖排水故障. */
function inOrder(want: string, text: string): boolean {
  let from = 0;
  for (const ch of want) {
    from = text.indexOf(ch, from) + 1;
    if (!from) return false;
  }
  return true;
}
