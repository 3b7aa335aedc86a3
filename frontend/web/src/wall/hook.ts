// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// window.__hall: what tests and a remote diagnosis may read of the page.

import type { Fresh } from '../wire/freshness';

export interface HallHook {
  /** The map has drawn its tiles and the first snapshot is in. */
  ready: boolean;
  state: Fresh | 'door';
  frames: number;
  lastSeq: number;
  epoch: string;
  lagMs: number;
  clockOffsetMs: number;
  workersDrawn: number;
  incidentsDrawn: number;
  open: number;
  renders: number;
  reconnects: number;
  resets: number;
  gaps: number;
  duplicates: number;
  power: number;
  scene: number;
  u: number;
  /** Incident id -> how often this page has announced it as new. */
  announced: Record<string, number>;
  /** When this page announced it as new, in unix ms of its own clock; 0 when it has not. */
  arrivedAt(incident: string): number;
  has(incident: string): boolean;
  labels(): string[];
  /** MapLibre's own map, for reading pixels inside a render handler. */
  map: unknown;
}

declare global {
  interface Window {
    __hall: HallHook;
  }
}
