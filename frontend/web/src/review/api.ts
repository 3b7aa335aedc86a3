// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// The review page's requests, and the shapes of their answers.

import { type InjectionKey, inject } from 'vue';
import type { Http, Query } from '../session/http';

export type Class = 'hot99' | 'hot95' | 'hot90' | 'cold90' | 'cold95' | 'cold99' | 'plain' | 'too_few';

/** What incidents are counted by, if by anything. */
export const PERS = ['', 'area', 'households', 'patrol_hours'] as const;
export type Per = (typeof PERS)[number];

/** Incidents by exposure with the exact 95 % interval; left out where the exposure is not known or too small. */
export interface Rated {
  exposure?: number;
  rate?: number;
  low?: number;
  high?: number;
}

/** One cell with what is told of it; z, p, q and the strict q that its class goes by, where it was tested. */
export interface HotCell extends Rated {
  cell: string;
  count: number;
  z?: number;
  p?: number;
  q?: number;
  strict?: number;
  class?: Class;
}

export type Change = 'more' | 'less' | 'plain' | 'too_few';

/** How the rate of one cell changed. The ratio and its end are left out where the first period has none. */
export interface ChangeCell {
  cell: string;
  before: number;
  after: number;
  ratio?: number;
  low?: number;
  high?: number;
  p?: number;
  q?: number;
  class: Change;
}

export type Pattern = 'new' | 'intensifying' | 'persistent' | 'sporadic' | 'diminishing' | 'none' | 'too_short';

/** One cell in one step. */
export interface Step {
  count: number;
  z?: number;
  class: Class;
}

/** How one cell came about; its steps where it was hot in one at least. */
export interface CourseCell {
  cell: string;
  count: number;
  tested: number;
  hot: number;
  tau?: number;
  z?: number;
  p?: number;
  pattern: Pattern;
  steps?: Step[];
}

/** What one period has. */
export interface Counted {
  from: string;
  to: string;
  counted: number;
  elsewhere: number;
  not_located: number;
}

/** Cells as polygons, as of one number. */
export interface Shapes<Cell> {
  type: 'FeatureCollection';
  features: { type: 'Feature'; properties: Cell; geometry: { type: 'Polygon'; coordinates: [number, number][][] } }[];
  as_of: { seq: number; time: string };
  study: { grids: { code: string; name: string }[]; cells: number } & Rated;
}

/** What rates are by: so many units of exposure, of which a cell has to have the least. */
export interface RatedBy {
  by: Exclude<Per, ''>;
  unit: number;
  least: number;
  /** Leaf grids without a number of households: cells that lie in one have no rate. */
  lacking?: number;
  /** When the oldest number of households was stored. */
  stored_at?: string;
}

export type HotShapes = Shapes<HotCell> & Counted & { per?: RatedBy };
export type ChangeShapes = Shapes<ChangeCell> & { before: Counted; after: Counted };
export type CourseShapes = Shapes<CourseCell> & { steps: Counted[] };

/** An answer, by what was asked for. */
export type Answer =
  | { kind: 'hot'; shapes: HotShapes }
  | { kind: 'change'; shapes: ChangeShapes }
  | { kind: 'course'; shapes: CourseShapes };

export interface Why extends HotCell {
  near: number;
  near_cells: number;
  expected: number;
  neighbours: HotCell[];
  categories: { code: string; name: string; count: number }[];
  told: CellTold;
  grids: CellGrid[];
  rows: string;
  centre: [number, number];
}

/** What may be told of a cell's incidents to who may not read them one by one; count is null when there are few. */
export interface CellTold {
  /** The least number above 0 that is told. */
  least: number;
  count: number | null;
  categories: { code: string; name: string; count: number }[];
  rest: number;
}

export interface Row {
  id: string;
  number: number;
  category_name: string;
  state: string;
  reported_at: string;
  title?: string;
}

/** An incident by itself, as far as its reader may see it. */
export interface Seen extends Row {
  address?: string;
  grid: { path: Area[] };
}

export interface Category {
  code: string;
  name: string;
  top: string;
  top_name: string;
  /** Where its incidents are is never shown: no cell has them. */
  hidden: boolean;
}

/** Borders of the levels that are drawn under the cells. */
export interface Borders {
  type: 'FeatureCollection';
  features: {
    type: 'Feature';
    properties: { code: string; name: string; level: number; parent?: string | null };
    geometry: unknown;
  }[];
}

/** A period; moments with their zone. */
export interface Period {
  from: string;
  to: string;
}

export const METHODS = ['gi', 'count', 'change', 'course'] as const;
export type Method = (typeof METHODS)[number];

/** What is asked. */
export interface Question extends Period {
  res: string;
  category: string;
  /** Code of a grid, with all below it; empty for all the reader's own. */
  grid: string;
  method: Method;
  k: string;
  /** What counts are put in relation to; of method count. */
  per: Per;
  /** The period that it is compared with. */
  before?: Period;
  /** Into how many steps the period is cut. */
  steps: string;
}

/** A grid that a place lies in. */
export interface Area {
  code: string;
  name: string;
  level: number;
}

/** A grid of the reader's own that a cell lies in, by a part at least, and how many of its incidents lie in it. */
export interface CellGrid extends Area {
  above: string[];
  count: number;
}

/** What was made of a cell. */
export interface Notice {
  id: string;
  department?: string;
  unit_name?: string;
}

const root = '/api/v1';
/** A page of rows is enough to see what kind of matters they are. */
const ROWS = 20;

const whichOf = (q: Question): Query => ({
  from: q.from,
  to: q.to,
  category: q.category || undefined,
  grid: q.grid || undefined,
});

export class ReviewApi {
  private drawn: Promise<Borders> | undefined;

  constructor(private readonly http: Http) {}

  categories = async () => (await this.http.get<{ items: Category[] }>(`${root}/categories`)).items;
  look = async (q: Question): Promise<Answer> => {
    const { res, k, before } = q;
    if (q.method === 'change' && before) {
      const both = { ...whichOf({ ...q, ...before }), from2: q.from, to2: q.to, res };
      return { kind: 'change', shapes: await this.http.shapes<ChangeShapes>(`${root}/hotspots/compare`, both) };
    }
    if (q.method === 'course') {
      const cut = { ...whichOf(q), res, k, steps: q.steps };
      return { kind: 'course', shapes: await this.http.shapes<CourseShapes>(`${root}/hotspots/emerging`, cut) };
    }
    const one = { ...whichOf(q), res, k, method: q.method, per: (q.method === 'count' && q.per) || undefined };
    return { kind: 'hot', shapes: await this.http.shapes<HotShapes>(`${root}/hotspots`, one) };
  };
  /** What a cell has in the period asked about, or in another. */
  why = (cell: string, q: Question, of: Period = q) =>
    this.http.counted<Why>(`${root}/hotspots/${cell}`, { ...whichOf({ ...q, ...of }), k: q.k });
  rows = async (query: string) => {
    const list = await this.http.get<{ items: Row[]; cursor: string | null }>(`${root}/incidents?${query}&limit=${ROWS}`);
    return { items: list.items, more: Boolean(list.cursor) };
  };
  incident = (id: string) => this.http.get<Seen>(`${root}/incidents/${id}`);
  /** The county and its towns, as far as the reader sees them, and the reader's own grid. */
  grids = async (own: GridName | null | undefined): Promise<GridName[]> => {
    const levels = await Promise.all([1, 2].map((level) => this.http.get<{ items: GridName[] }>(`${root}/grids`, { level })));
    const found = levels.flatMap((l) => l.items).filter((g) => !own || g.level >= own.level);
    return own && !found.some((g) => g.code === own.code) ? [own, ...found] : found;
  };
  departments = async () => (await this.http.get<{ items: { name: string }[] }>(`${root}/departments`)).items.map((d) => d.name);
  /** Directs a notice to a unit; the same key makes one, however often it is sent. */
  notify = (body: Record<string, unknown>, key: string) =>
    this.http.post<Notice>(`${root}/notices`, body, { 'Idempotency-Key': key });
  /** Read once, for the map and the choice of a grid; again after a refusal. */
  borders = (): Promise<Borders> => {
    const read = async (): Promise<Borders> => {
      const levels = await Promise.all([1, 2, 3].map((level) => this.http.shapes<Borders>(`${root}/grids`, { level })));
      return { type: 'FeatureCollection', features: levels.flatMap((l) => l.features) };
    };
    this.drawn ??= read().catch((e) => {
      this.drawn = undefined;
      throw e;
    });
    return this.drawn;
  };
}

/** A grid as one chooses it. */
export interface GridName {
  code: string;
  name: string;
  level: number;
}

export const REVIEW: InjectionKey<ReviewApi> = Symbol('review');
export function useReview(): ReviewApi {
  const api = inject(REVIEW);
  if (!api) throw new Error('no review api');
  return api;
}
