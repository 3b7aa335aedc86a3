// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// The requests of the figures, and the shapes of their answers.

import { type InjectionKey, inject } from 'vue';
import type { Http, Query } from '../../session/http';
import { Problem } from '../../session/problem';
import type { Row } from '../api';

/** n of something; null when it is too small to be told, or was not counted. */
export interface Figure {
  n: number | null;
  of?: number | null;
  rate?: number | null;
  mean?: number | null;
  rows?: string;
  of_rows?: string;
}

/** The figures of all incidents, or of one group of them: docs/FIGURES.md says what each is. */
export interface Line {
  reported: Figure;
  not_located: Figure;
  outside: Figure;
  closed: Figure;
  solved: (Figure & { level: number; name: string })[];
  on_the_spot: Figure;
  reopened: Figure;
  no_limit: Figure;
  working_days: Figure;
  on_time: Figure & { unchecked: Figure; late: Figure; standing: Figure; elsewhere: Figure };
  satisfied: Figure & { unreached: Figure; owed: Figure };
  chosen: Figure;
  overridden: Figure;
  open?: Figure;
  overdue?: Figure;
}

export interface Group extends Line {
  code: string;
  name: string;
}

export interface Figures {
  as_of: { seq: number; time: string };
  from: string;
  to: string;
  total: Line;
  groups: Group[];
}
/** An earlier period, of the same snapshot. */
export type Then = Omit<Figures, 'as_of'> & { which: 'weeks' | 'year' };

export const BY = ['level', 'grid', 'department', 'category'] as const;
export type By = (typeof BY)[number];

/** What is asked; moments with their zone. */
export interface Asked {
  from: string;
  to: string;
  by: By;
  grid: string;
  category: string;
  department: string;
}

/** How long one way took, in seconds; null where nobody went it. */
export interface Spread {
  n: number;
  p50_s: number | null;
  p90_s: number | null;
  p95_s: number | null;
  p99_s: number | null;
}
export type Responses = Record<
  'report_to_dispatch' | 'report_to_signed' | 'report_to_arrival' | 'dispatch_to_arrival' | 'report_to_resolved',
  Spread
>;

/** How one unit answered the notices that were due. */
export interface UnitAnswered {
  department?: string;
  grid?: string;
  name?: string;
  due: number;
  read: number;
  in_time: number;
  late: number;
  rate: number | null;
}
export interface Answered {
  total: UnitAnswered;
  units: UnitAnswered[];
}

/** One page of the incidents behind a figure. */
export interface RowPage {
  items: Row[];
  cursor: string | null;
}

const root = '/api/v1';
export const PAGE = 20;

export class FiguresApi {
  constructor(private readonly http: Http) {}

  /** The figures of a period, and of those before it as of the same moment. */
  figures = (q: Asked) => this.http.counted<Figures & { before: Then[] }>(`${root}/figures`, { ...q, before: 'weeks,year' });
  /** Null where this person may not read it. */
  responses = (q: Asked) =>
    this.allowed(
      this.http.get<Responses>(`${root}/figures/response`, { from: q.from, to: q.to, category: q.category || undefined }),
    );
  notices = (q: Asked) => this.allowed(this.http.get<Answered>(`${root}/notices/figures`, { from: q.from, to: q.to }));
  private allowed = <T>(answer: Promise<T>): Promise<T | null> =>
    answer.catch((e) => {
      if (e instanceof Problem && e.status === 403) return null;
      throw e;
    });
  rows = (query: string, cursor?: string) =>
    this.http.get<RowPage>(`${root}/incidents?${query}&limit=${PAGE}${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ''}`);
  /** The figures as a file, and the name it is given. */
  file = (ending: 'csv' | 'xlsx' | 'geojson', q: Asked, reason: string) => {
    const query: Query = { ...q, reason };
    return this.http.file(`${root}/exports/period-figures.${ending}`, query);
  };
}

export const FIGURES: InjectionKey<FiguresApi> = Symbol('figures');
export function useFigures(): FiguresApi {
  const api = inject(FIGURES);
  if (!api) throw new Error('no figures api');
  return api;
}
