// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// The few REST calls a wall makes, all to its own server.

import type { NamedLayer } from '../map/named';

export interface Session {
  role: string;
  view: string;
  scope: string;
  centre: string;
  demo: boolean;
  wall?: string;
  grid: { code: string; name: string; bbox: [number, number, number, number] | null } | null;
  server_time: string;
}

export interface Status {
  demo: boolean;
  loading: { done: number; total: number; text: string } | null;
  head: number;
  time: string;
}

export interface Count {
  name: string;
  count: number;
}

export interface Figures {
  as_of: { seq: number };
  day: string;
  reported: number;
  resolved: number;
  closed: number;
  open: number;
  outside: number;
  by_category: (Count & { code: string })[];
  by_priority: { priority: number; count: number }[];
  by_level: (Count & { level: number })[];
  by_town: (Count & { code: string; open: number })[];
  workers: { on_duty: number; shown: number; stale: number; lost: number };
}

/** An answer that is not the one hoped for; status 0 is no answer at all. */
export class RestError extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

const PATIENCE_MS = 10_000;

async function call(path: string, init: RequestInit = {}): Promise<Response> {
  let res: Response;
  try {
    res = await fetch(path, { credentials: 'same-origin', signal: AbortSignal.timeout(PATIENCE_MS), ...init });
  } catch (e) {
    throw new RestError(0, String(e));
  }
  if (!res.ok) throw new RestError(res.status, `${path} answered ${res.status}`);
  return res;
}

async function get<T>(path: string): Promise<T> {
  const res = await call(path, { headers: { accept: 'application/json' } });
  return (await res.json()) as T;
}

export const getSession = () => get<Session>('/api/v1/session');
export const getStatus = () => get<Status>('/api/v1/status');
export const getFigures = () => get<Figures>('/api/v1/figures/today');

/** Trades a one-time wall code for the session cookie. */
export async function postCode(code: string): Promise<void> {
  await call('/api/v1/session', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ code }),
  });
}

/** The names of one level of the grid tree, for fetching the font's glyphs ahead of the map. */
export async function gridNames(level: number): Promise<string> {
  const page = await get<{ items: { name: string }[] }>(`/api/v1/grids?level=${level}`);
  return page.items.map((g) => g.name).join('');
}

export interface TileJSON {
  tiles: string[];
  minzoom?: number;
  maxzoom?: number;
}
export const getTileJSON = (layer: string) => get<TileJSON>(`/tiles/${layer}.json`);

/** The layers this wall may show, the cameras among them. */
export async function getLayers(): Promise<NamedLayer[]> {
  return (await get<{ items: NamedLayer[] }>('/api/v1/layers')).items;
}
