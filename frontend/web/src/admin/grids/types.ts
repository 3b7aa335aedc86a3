// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// Boundary sets as the server tells them. Places are WGS-84, longitude first; areas m².

export type VersionState = 'draft' | 'enacted' | 'retired';

/** What somebody asked the server to enact later. */
export interface Plan {
  at: string;
  /** As in the audit log: account:3. */
  by: string;
  reason: string;
  /** Why it was not enacted when its time had come; empty while it waits. */
  failed: string;
}

/** One whole tree of one county. */
export interface GridVersion {
  version: number;
  /** Of the county. */
  code: string;
  name: string;
  state: VersionState;
  /** Drawn by a program. */
  made_up: boolean;
  note: string;
  grids: number;
  created_at: string | null;
  enacted_at: string | null;
  retired_at: string | null;
  /** The version this one takes back. */
  undoes: number | null;
  planned: Plan | null;
}

/** What was done with version n, for telling it: a key of the catalogue, and when it will be. */
export interface Act {
  key: 'enacted' | 'underway' | 'planned' | 'undone' | 'undoing' | 'dropped';
  n: number;
  at?: string;
}

export const CHANGES = ['new', 'gone', 'redrawn', 'renamed', 'moved', 'same'] as const;
export type Change = (typeof CHANGES)[number];

/** What enacting a draft does to one grid; incidents of the grids below it count too. */
export interface GridChange {
  code: string;
  /** Empty when the grid is gone. */
  name: string;
  /** Empty when the grid is new. */
  name_before: string;
  level: number;
  parent: string | null;
  parent_before: string | null;
  change: Change;
  area_m2_before: number;
  area_m2: number;
  open_before: number;
  open_after: number;
  /** Reported in the last 30 days. */
  recent_before: number;
  recent_after: number;
  /** Who serve this very grid today. */
  workers: number;
}

export interface GridFault {
  kind: string;
  code: string;
  other: string;
  text: string;
  lon: number;
  lat: number;
  area_m2: number;
  /** Of the smaller grid, 0 to 1. */
  share: number;
}

export interface Totals {
  grids_before: number;
  grids_after: number;
  new: number;
  gone: number;
  redrawn: number;
  renamed: number;
  moved: number;
  same: number;
  open_incidents: number;
  /** Open incidents that change their grid, the next two among them. */
  open_moving: number;
  /** Open incidents that will lie outside all grids. */
  open_leaving: number;
  /** Open incidents outside that will lie in a grid. */
  open_entering: number;
  /** Workers all of whose grids will be gone. */
  workers_stranded: number;
}

export interface GridPreview {
  version: number;
  /** The version in force; null when there is none. */
  before: number | null;
  totals: Totals;
  faults: GridFault[];
  /** Unchanged grids are left out, unless their counts change. */
  items: GridChange[];
}

export interface EnactWish {
  reason: string;
  /** With its zone; at once when left out. */
  at?: string;
  accept_faults: boolean;
}

type Ring = [number, number][];
export type Area = { type: 'Polygon'; coordinates: Ring[] } | { type: 'MultiPolygon'; coordinates: Ring[][] };

export interface Shapes<P> {
  type: 'FeatureCollection';
  /** There are more than were sent; these are the largest. */
  cut?: boolean;
  features: { type: 'Feature'; properties: P; geometry: Area }[];
}

/** A piece of land that changes hands; empty from: outside before, empty to: outside after. */
export interface Piece {
  from: string | null;
  to: string | null;
  area_m2: number;
}

/** A grid in force, with a point inside for its name. */
export interface GridInForce {
  code: string;
  name: string;
  level: number;
  label: [number, number];
  bbox: [number, number, number, number];
}

export type Borders = Shapes<{ code: string; name: string; level: number }>;
