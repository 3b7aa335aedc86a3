// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// What the desk reads of incidents, offers and advice; the shapes are those of the API.

import type { Incident } from '../wall/incident';

/** An incident as a dispatcher sees it: the public part and the case. */
export interface Case extends Incident {
  version: number;
  owner_level: number;
  source: string;
  ack_due: string | null;
  stage_due: string | null;
  on_scene_at: string | null;
  closed_at: string | null;
  late: boolean;
  title?: string;
  text?: string;
  address?: string;
  department?: string;
  due_rule?: string;
}

export interface JournalEntry {
  n: number;
  kind: string;
  from?: string;
  to?: string;
  actor: string;
  at: string;
  device_at: string | null;
  reason?: string;
}

export type OfferState =
  | 'offered'
  | 'delivered'
  | 'seen'
  | 'accepted'
  | 'declined'
  | 'expired'
  | 'withdrawn'
  | 'arrived'
  | 'finished';

export interface Offer {
  id: string;
  incident_id: string;
  number: string;
  worker_id: string;
  badge: string;
  lead: boolean;
  state: OfferState;
  live: boolean;
  ver: number;
  made_at: string;
  expires_at: string;
  delivered_at: string | null;
  seen_at: string | null;
  answered_at: string | null;
  arrived_at: string | null;
  arrived_m: number | null;
  arrived_fix_at: string | null;
  finished_at: string | null;
  not_reached: boolean;
  reason?: string;
}

export interface Candidate {
  worker_id: string;
  badge: string;
  grid: string;
  rank: number;
  score: number;
  travel_s: number;
  distance_m: number;
  by: 'road' | 'line';
  fix_age_s: number;
  load: number;
  relation: string;
  covered: boolean;
  reasons: string[];
}

export interface Excluded {
  worker_id: string;
  badge: string;
  why: string;
  distance_m: number | null;
  fix_age_s: number | null;
}

export interface Advice {
  items: Candidate[];
  excluded: Excluded[];
  left_out: { why: string; count: number }[];
  of: number;
}
