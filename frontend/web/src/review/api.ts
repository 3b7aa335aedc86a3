// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// The review page's requests, and the shapes of their answers.

import { type InjectionKey, inject } from 'vue';
import type { Http, Query } from '../session/http';

export type Class = 'hot99' | 'hot95' | 'hot90' | 'cold90' | 'cold95' | 'cold99' | 'plain' | 'too_few';

/** One cell with what is told of it; z, p, q and the strict q that its class goes by, where it was tested. */
export interface HotCell {
  cell: string;
  count: number;
  z?: number;
  p?: number;
  q?: number;
  strict?: number;
  class?: Class;
}

/** What is said of all cells together. */
export interface Summary {
  as_of: { seq: number };
  study: { grids: { code: string; name: string }[]; cells: number; mean: number };
  counted: number;
  elsewhere: number;
  not_located: number;
}

export interface HotShapes extends Summary {
  type: 'FeatureCollection';
  features: { type: 'Feature'; properties: HotCell; geometry: { type: 'Polygon'; coordinates: [number, number][][] } }[];
}

export interface Why extends HotCell {
  near: number;
  near_cells: number;
  expected: number;
  neighbours: HotCell[];
  categories: { code: string; name: string; count: number }[];
  rows: string;
  centre: [number, number];
}

export interface Row {
  id: string;
  number: number;
  category_name: string;
  state: string;
  reported_at: string;
  title?: string;
}

export interface Category {
  code: string;
  name: string;
  top: string;
  top_name: string;
}

/** Borders of the levels that are drawn under the cells. */
export interface Borders {
  type: 'FeatureCollection';
  features: { type: 'Feature'; properties: { code: string; name: string; level: number }; geometry: unknown }[];
}

/** What is asked; moments with their zone. */
export interface Question {
  from: string;
  to: string;
  res: string;
  category: string;
  method: 'gi' | 'count';
  k: string;
}

const root = '/api/v1';
/** A page of rows is enough to see what kind of matters they are. */
const ROWS = 20;

const queryOf = (q: Question): Query => ({ ...q, category: q.category || undefined });

export class ReviewApi {
  constructor(private readonly http: Http) {}

  categories = async () => (await this.http.get<{ items: Category[] }>(`${root}/categories`)).items;
  hotspots = (q: Question) => this.http.shapes<HotShapes>(`${root}/hotspots`, queryOf(q));
  why = (cell: string, q: Question) => {
    const { method: _, res: __, ...rest } = queryOf(q);
    return this.http.get<Why>(`${root}/hotspots/${cell}`, rest);
  };
  rows = async (query: string) => {
    const list = await this.http.get<{ items: Row[]; cursor: string | null }>(`${root}/incidents?${query}&limit=${ROWS}`);
    return { items: list.items, more: Boolean(list.cursor) };
  };
  borders = async (): Promise<Borders> => {
    const levels = await Promise.all([1, 2, 3].map((level) => this.http.shapes<Borders>(`${root}/grids`, { level })));
    return { type: 'FeatureCollection', features: levels.flatMap((l) => l.features) };
  };
}

export const REVIEW: InjectionKey<ReviewApi> = Symbol('review');
export function useReview(): ReviewApi {
  const api = inject(REVIEW);
  if (!api) throw new Error('no review api');
  return api;
}
