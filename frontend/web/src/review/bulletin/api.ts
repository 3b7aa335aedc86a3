// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// The requests of the weekly bulletins, and the shapes of their answers.

import { type InjectionKey, inject } from 'vue';
import type { Http } from '../../session/http';
import type { Group, Line } from '../figures/api';

/** A bulletin without what it tells. */
export interface Bulletin {
  id: string;
  grid: string;
  grid_name: string;
  week: string;
  made_by: string;
  made_at: string;
  seq: number;
  corrects: string | null;
  corrected_by: string | null;
}

interface Head {
  centre: string;
  grid_name: string;
  week: string;
  as_of: { seq: number; time: string };
}
interface Notices {
  made: number;
  read: number;
  replied: number;
}
export interface Week {
  from: string;
  to: string;
  total: Line;
  towns: Group[];
  departments: Group[];
  categories: Group[];
}
export interface Told extends Head {
  notices: Notices;
  weeks: [now: Week, before: Week, year: Week];
  hot: { res: number; hot: number; too_few: number; cells: { cell: string; class: string; count: number; town: string }[] };
}
/** How many were reported by one group, as everybody may be told. */
export interface OutsideCount {
  code: string;
  name: string;
  n: number | null;
  merged?: boolean;
}
export interface OutsideWeek {
  from: string;
  to: string;
  total: Line;
  towns: OutsideCount[];
  departments: OutsideCount[];
  categories: OutsideCount[];
}
export interface Outside extends Head {
  notices: Notices | null; // null where a number would be small
  weeks: [now: OutsideWeek, ...before: OutsideWeek[]]; // bulletins of before told three, later ones the week alone
}
export interface BulletinTold extends Bulletin {
  told: Told;
  outside: Outside | null;
}

const root = '/api/v1';
const PAGE = 20;

export class BulletinApi {
  constructor(private readonly http: Http) {}

  list = (cursor?: string) =>
    this.http.get<{ items: Bulletin[]; cursor: string | null }>(`${root}/bulletins`, { limit: PAGE, cursor });
  one = (id: string) => this.http.get<BulletinTold>(`${root}/bulletins/${encodeURIComponent(id)}`);
  /** Makes a bulletin; the same key makes one, however often it is sent. */
  make = (body: { grid: string; week: string }, key: string) =>
    this.http.post<BulletinTold>(`${root}/bulletins`, body, { 'Idempotency-Key': key });
}

export const BULLETINS: InjectionKey<BulletinApi> = Symbol('bulletins');
export function useBulletins(): BulletinApi {
  const api = inject(BULLETINS);
  if (!api) throw new Error('no bulletins api');
  return api;
}
