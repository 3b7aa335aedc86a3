// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// What the administration page asks of the server.

import { type InjectionKey, inject } from 'vue';
import type { Http, Query } from '../session/http';
import { Problem } from '../session/problem';
import type { Borders, EnactWish, GridInForce, GridPreview, GridVersion, Piece, Shapes } from './grids/types';

type Id = string | number;

export interface Grant {
  id: Id;
  role: string;
  grid: string | null;
  department: Id | null;
  sensitive: boolean;
  state: 'proposed' | 'active' | 'revoked';
  proposed_by: string;
  /** The roles that still have to agree. */
  needs: string[] | null;
  reason: string;
}

export interface Account {
  id: Id;
  login: string;
  state: 'invited' | 'active' | 'disabled';
  badge?: string;
  second_factor: boolean;
  signed_in_at: string | null;
  grant: Grant | null;
  proposed: Grant | null;
}

export interface GrantWish {
  role: string;
  grid?: string;
  department?: string;
  sensitive: boolean;
  reason: string;
}

export interface Invite {
  link: string;
  expires: string;
}

export interface Credential {
  id: Id;
  kind: string;
  role: string;
  grid: string | null;
  wall?: string;
  login?: string;
  note?: string;
  created_at: string;
  expires_at: string | null;
  seen_at: string | null;
  address?: string;
}

export interface TokenWish {
  role: string;
  grid?: string;
  department?: string;
  badge?: string;
  expires_s: number;
  note: string;
}

export interface WallWish {
  name: string;
  grid?: string;
  layers: string[];
  addresses: string[];
}

export interface AuditRecord {
  id: Id;
  at: string;
  actor: string;
  request_id: string;
  action: string;
  object: string;
  reason: string;
  data: unknown;
  sealed: boolean;
}

export interface AuditFilter {
  from: string;
  to: string;
  actor: string;
  action: string;
  object: string;
}

export interface Seal {
  sealed: number;
  waiting: number;
  hash: string;
  at: string | null;
}

export interface ServerStatus {
  demo: boolean;
  loading: { done: number; total: number; text: string } | null;
  head: number;
  time: string;
  version: string;
}

export interface GridName {
  code: string;
  name: string;
  level: number;
}

export interface Listed<T> {
  items: T[];
  /** Where the next page begins; empty at the end. */
  cursor?: string | null;
}

const PAGE = 200;
const AUDIT_PAGE = 50;
const MOST_PAGES = 25;
/** How long the server may take to compare two boundary sets; until it has, it says to come again. */
const COMPARE_MS = 200_000;
const root = '/api/v1';
const one = (id: Id) => encodeURIComponent(String(id));
const versionPath = (version: number) => `${root}/grid-versions/${one(version)}`;

export class AdminApi {
  constructor(private readonly http: Http) {}

  accounts = () => this.all<Account>(`${root}/accounts`);
  makeAccount = (wish: { login: string; badge?: string; grant?: GrantWish }) =>
    this.http.post<{ account: Account; invite: Invite }>(`${root}/accounts`, wish);
  async invite(id: Id): Promise<Invite> {
    const a = await this.http.post<Invite | { invite: Invite }>(`${root}/accounts/${one(id)}/invite`, {});
    return 'invite' in a ? a.invite : a;
  }
  disable = (id: Id, reason: string) => this.http.post<Account>(`${root}/accounts/${one(id)}/disable`, { reason });
  enable = (id: Id, reason: string) => this.http.post<Account>(`${root}/accounts/${one(id)}/enable`, { reason });
  propose = (id: Id, wish: GrantWish) => this.http.post<Grant>(`${root}/accounts/${one(id)}/grants`, wish);
  agree = (grant: Id, reason: string) => this.http.post(`${root}/grants/${one(grant)}/approval`, { reason });
  revokeGrant = (grant: Id, reason: string) => this.http.del(`${root}/grants/${one(grant)}`, { reason });

  credentials = () => this.all<Credential>(`${root}/credentials`);
  revoke = (id: Id, reason: string) => this.http.del(`${root}/credentials/${one(id)}`, { reason });
  makeToken = (wish: TokenWish) => this.http.post<{ id: Id; token: string; expires: string }>(`${root}/tokens`, wish);
  makeWall = (wish: WallWish) => this.http.post<Invite>(`${root}/walls`, wish);

  audit = (filter: AuditFilter, cursor = '') =>
    this.http.get<Listed<AuditRecord>>(`${root}/audit`, { ...filter, limit: AUDIT_PAGE, cursor });
  seal = () => this.http.get<Seal>(`${root}/audit/seal`);
  /** The county, its towns and villages. */
  async grids(): Promise<GridName[]> {
    const levels = [1, 2, 3].map((level) => this.http.get<Listed<GridName>>(`${root}/grids`, { level }));
    return (await Promise.all(levels)).flatMap((l) => l.items ?? []);
  }
  status = () => this.http.get<ServerStatus>(`${root}/status`);

  gridVersions = () => this.all<GridVersion>(`${root}/grid-versions`);
  gridPreview = (version: number) => this.again(() => this.http.get<GridPreview>(`${versionPath(version)}/preview`));
  /** The land that changes hands. */
  gridPieces = (version: number) => this.again(() => this.http.shapes<Shapes<Piece>>(`${versionPath(version)}/preview`));
  /** The version as it is then: still a draft when it is planned, or when enacting it goes on. */
  enactGrids = (version: number, wish: EnactWish) => this.http.post<GridVersion>(`${versionPath(version)}/enact`, wish);
  /** The version that brings the boundaries before back. */
  undoGrids = (version: number, reason: string) => this.http.post<GridVersion>(`${versionPath(version)}/undo`, { reason });
  dropPlan = (version: number) => this.http.del(`${versionPath(version)}/plan`);
  /** The boundaries in force, with their names. */
  async borders(): Promise<{ borders: Borders; grids: GridInForce[] }> {
    const borders: Borders = { type: 'FeatureCollection', features: [] };
    const grids: GridInForce[] = [];
    let cursor = '';
    for (let page = 0; page < MOST_PAGES; page++) {
      const query: Query = cursor ? { cursor } : {};
      const [names, shapes] = await Promise.all([
        this.http.get<Listed<GridInForce>>(`${root}/grids`, query),
        this.http.shapes<Borders>(`${root}/grids`, query),
      ]);
      grids.push(...(names.items ?? []));
      borders.features.push(...shapes.features);
      if (!names.cursor || names.cursor === cursor) break;
      cursor = names.cursor;
    }
    return { borders, grids };
  }

  /** Asks until the server has its answer ready: meanwhile that is a 503 with a time to wait. */
  private async again<T>(ask: () => Promise<T>): Promise<T> {
    for (const end = Date.now() + COMPARE_MS; ; ) {
      try {
        return await ask();
      } catch (e) {
        if (!(e instanceof Problem) || e.status !== 503 || !e.waitS || Date.now() > end) throw e;
        await new Promise((go) => setTimeout(go, e.waitS * 1000));
      }
    }
  }

  /** Every page of a list, so that it can be searched here; `partial` when it is longer than anybody would read. */
  private async all<T>(path: string): Promise<{ items: T[]; partial: boolean }> {
    const items: T[] = [];
    let cursor = '';
    for (let page = 0; page < MOST_PAGES; page++) {
      const query: Query = cursor ? { limit: PAGE, cursor } : {};
      const got = await this.http.get<Listed<T>>(path, query);
      items.push(...(got.items ?? []));
      if (!got.cursor || got.cursor === cursor) return { items, partial: false };
      cursor = got.cursor;
    }
    return { items, partial: true };
  }
}

export const ADMIN: InjectionKey<AdminApi> = Symbol('admin');

export function useAdmin(): AdminApi {
  const a = inject(ADMIN);
  if (!a) throw new Error('no admin api provided');
  return a;
}
