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
  review_at?: string;
  merged_into?: string;
  /** How the place was found of an address; null for one that was given. */
  found?: { name: string; confidence: number; accuracy_m: number } | null;
  /** The acts the server allows now, where it says so. */
  possible?: (string | PossibleAct)[];
  /** What the server has to say about the place of a new one. */
  notes?: string[];
  repeated?: boolean;
}

/** An act that may be taken now, and what the server wants with it. */
export interface PossibleAct {
  action: string;
  /** Fields that it must bring. */
  needs?: string[];
  /** And one of these at least. */
  one_of?: string[];
}

/** The office in which somebody acted: no person's name. */
export interface By {
  role: string;
  /** Name, at the time, of the grid that the role is about. */
  grid?: string;
  department?: string;
  /** Of a grid worker. */
  badge?: string;
}

export interface JournalEntry {
  n: number;
  kind: string;
  from?: string;
  to?: string;
  actor: string;
  /** In what office, where the actor is an account or a token that is known. */
  by?: By;
  at: string;
  device_at: string | null;
  reason?: string;
  data?: Record<string, unknown>;
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

/** Who would be first in each leaf grid, and what taking some workers away would leave. */
export interface Coverage {
  time: string;
  beyond_s: number;
  not_counted: { why: string; count: number }[];
  uncovered: string[];
  items: { code: string; name: string; above: string[]; thin: boolean; first: { badge?: string; travel_s: number | null } }[];
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

export interface Category {
  code: string;
  name: string;
  top: string;
  top_name: string;
  priority: number;
}

/** A place that a text may mean. */
export interface PlaceFound {
  id?: string;
  kind: 'place' | 'address' | 'area';
  name: string;
  address?: string;
  point: [number, number];
  accuracy_m: number;
  confidence: number;
  reasons: string[];
}

/** A point in words: its grids, and how one says it. */
export interface Described {
  grids: { level: number; code: string; name: string }[];
  note: string;
  spoken: string;
}

/** An incident that may be the same matter, and why. */
export interface Likeness {
  incident: Case;
  score: number;
  reasons: { feature: 'distance' | 'place' | 'time' | 'category' | 'text'; value: number; weight: number; says?: string }[];
}

export interface SelectedWorker {
  worker_id: string;
  badge: string;
  grid: string;
  state: string;
  point: [number, number] | null;
  fix_age_s: number | null;
}

interface SelectedPoints {
  layer: string;
  name: string;
  count: number;
  cut?: boolean;
  items: { id: string; name: string; duty_mode?: string }[];
}

/** What lies inside something marked; a kind that is not the asker's to see is missing. */
export interface Selected {
  time: string;
  workers?: { count: number | null; fresh?: number; stale?: number; items?: SelectedWorker[]; cut?: boolean };
  incidents?: { count: number; items: Case[]; cut?: boolean };
  cameras?: SelectedPoints;
  layers?: SelectedPoints[];
  places?: { count: number; items: { id: string; name: string; address?: string }[]; cut?: boolean };
}

export interface RollCall {
  id: string;
  state: 'open' | 'closed';
  closes_at: string;
  called: number;
  answered: number;
  workers?: { worker_id: string; badge: string; answered_at: string | null }[];
}

export interface Message {
  id: string;
  text: string;
  sent_at: string;
  to: number;
  delivered: number;
  seen: number;
}

export interface Whistle {
  id: string;
  state: 'running' | 'met' | 'ended';
  made_at: string;
  due: string;
  arrived: number;
  note?: string;
  reason?: string;
  calls: {
    department: string;
    lead: boolean;
    state: 'called' | 'reported' | 'said' | 'arrived';
    late: boolean;
    distance_m: number | null;
  }[];
}

export interface Attached {
  n: number;
  state: 'pending' | 'ready' | 'refused' | 'expired' | 'removed';
  kind: 'photo' | 'voice' | 'video';
  captured_at: string | null;
  begun_at: string;
  thumbnail: boolean;
  duration_s?: number;
  refusal?: string;
  reason?: string;
}

export interface Remarks {
  requests: Request[];
  instructions: Instruction[];
  sessions: JointSession[];
  call_backs: CallBack[];
  assistants: { department: string; since: string; until: string | null }[];
}

/** What one person asks for and another decides. */
export interface Request {
  n: number;
  kind: 'void' | 'extend' | 'suspend';
  state: 'open' | 'approved' | 'refused' | 'lapsed';
  reason: string;
  /** Of extend: by how much. */
  value?: number;
  unit?: string;
  /** Of suspend: when it is looked at again. */
  until?: string | null;
  asked_by: string;
  asked_at: string;
  decided_by: string | null;
  decided_at: string | null;
  answer?: string;
}

/** A request that waits, in the list of all of them. */
export interface Waiting {
  incident: string;
  number: string;
  request: Request;
}

export interface Limit {
  value: number;
  unit: string;
}

export interface Instruction {
  n: number;
  text: string;
  due: string;
  given_by: string;
  given_at: string;
  reply: string | null;
  replied_by: string | null;
  replied_at: string | null;
}

/** A joint session; a seat without a holder is open. */
export interface JointSession {
  n: number;
  at: string;
  place: string;
  follow_up: string;
  seats: { role: string; holder: string }[];
  called_by: string;
  confirmed_by: string | null;
  confirmed_at: string | null;
  /** Moves with every change: who changes or confirms it names the one that was read. */
  ver: number;
  /** Who changed it last; null as long as it is as it was called. */
  changed_by: string | null;
  changed_at: string | null;
}

export const OUTCOMES = ['satisfied', 'basically', 'unsatisfied', 'unreached'] as const;
export type Outcome = (typeof OUTCOMES)[number];

/** What a reporter is owed after the end, and what came of it; null while it is owed. */
export interface CallBack {
  n: number;
  reporter: number;
  owed_by: string;
  due: string;
  /** Calls that reached nobody. */
  tries: number;
  done_at: string | null;
  done_by: string | null;
  outcome: Outcome | null;
  text?: string;
}

/** A call-back that waits, in the list of all of them. */
export interface Owed {
  incident: string;
  number: string;
  call_back: CallBack;
}

/** Who reported, masked or in full. */
export interface Reporter {
  n?: number;
  name: string;
  phone: string;
}

export interface Supervision {
  id: string;
  level: number;
  owner_level: number;
  opened_at: string;
  reply_due: string;
  reason?: string;
  reply?: string;
  closed: boolean;
  /** Whether the reader stands on the side that is asked, and may answer it now. */
  may_reply?: boolean;
}
