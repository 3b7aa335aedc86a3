// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// The desk's requests. Who reported stands in bodies only, never in an address.

import type { Http } from '../session/http';
import { newRef } from '../wire/ref';
import type {
  Advice,
  Attached,
  Case,
  Category,
  Coverage,
  Described,
  JointSession,
  JournalEntry,
  Likeness,
  Limit,
  Message,
  Offer,
  Outcome,
  Owed,
  PlaceFound,
  Remarks,
  Reporter,
  RollCall,
  Selected,
  Supervision,
  Waiting,
  Whistle,
} from './types';

/** What an act brings with it. */
export interface Act {
  action: string;
  reason?: string;
  door?: string;
  door_department?: string;
  level?: number;
  department?: string;
  wrong?: boolean;
  until?: string;
  into?: string;
  priority?: number;
  category?: string;
  location?: { lon: number; lat: number; crs: string };
  /** Of extend: by how much. */
  value?: number;
  unit?: string;
}

/** Whom a whistle calls, and within how many minutes. */
export interface Calling {
  lead: string;
  assisting: string[];
  within_min: number;
  note?: string;
}

/** What a department says of itself: that it comes, or that it is there. */
export interface Word {
  kind: 'report' | 'arrive';
  department: string;
}

/** What is decided about a request; a refusal has a reason. */
export interface Verdict {
  decision: 'approve' | 'refuse';
  reason?: string;
}

/** Why somebody is supervised, and within what limit they answer: the rules' when left out. */
export interface Demand {
  reason: string;
  reply?: Limit;
}

/** A joint session as it is called. */
export interface Sitting {
  at: string;
  place: string;
  follow_up: string;
  seats: { role: string; holder: string }[];
}

/** Which joint session, and the version of it that was read. */
export type Seated = Pick<JointSession, 'n' | 'ver'>;

type Items<T> = { items: T[] };

export class DeskApi {
  constructor(private readonly http: Http) {}

  incident = (id: string) => this.http.get<Case>(`/api/v1/incidents/${id}`);
  journal = (id: string) => this.items<JournalEntry>(`/api/v1/incidents/${id}/journal`);
  offers = (id: string) => this.items<Offer>(`/api/v1/incidents/${id}/offers`);
  whistles = (id: string) => this.items<Whistle>(`/api/v1/incidents/${id}/whistles`);
  attachments = (id: string) => this.items<Attached>(`/api/v1/incidents/${id}/attachments`);
  remarks = (id: string) => this.http.get<Remarks>(`/api/v1/incidents/${id}/remarks`);
  supervisions = async (id: string) =>
    (await this.http.get<Items<Supervision>>('/api/v1/supervisions', { incident: id, open: 'true' })).items;
  duplicates = (id: string) => this.http.get<Items<Likeness> & { merged?: Case[] }>(`/api/v1/incidents/${id}/duplicates`);
  advice = (id: string, k: number) => this.http.get<Advice>(`/api/v1/incidents/${id}/candidates`, { k });
  categories = () => this.items<Category>('/api/v1/categories');
  departments = async () => (await this.items<{ name: string }>('/api/v1/departments')).map((d) => d.name);

  /** Which leaf grids somebody reaches in time now, and which without these workers. */
  coverage(without: string[]): Promise<Coverage> {
    return this.http.get('/api/v1/coverage', { without: without.join(',') });
  }

  /** Takes a report down; the same key makes one incident, however often it is sent. */
  report(body: Record<string, unknown>, key: string): Promise<Case> {
    return this.http.post('/api/v1/incidents', body, { 'Idempotency-Key': key });
  }
  places(q: string, near: [number, number] | null): Promise<PlaceFound[]> {
    const by = near && { near: near.map((x) => x.toFixed(5)).join(','), crs: 'wgs84' };
    return this.items('/api/v1/places/search', { q, limit: 8, ...by });
  }
  /** Where a point lies: its grids, and how one says it. */
  async describe([lon, lat]: [number, number]): Promise<Described> {
    const at = { lon, lat, crs: 'wgs84' };
    const [grids, words] = await Promise.all([
      this.http.get<{ path: Described['grids']; note?: string }>('/api/v1/grids/locate', at),
      this.http.get<{ spoken: string }>('/api/v1/places/reverse', at).catch(() => ({ spoken: '' })),
    ]);
    return { grids: grids.path, note: grids.note ?? '', spoken: words.spoken };
  }

  /** Moves an incident on from the version that was seen. */
  act(id: string, version: number, act: Act): Promise<Case> {
    return this.http.post(`/api/v1/incidents/${id}/actions`, act, once(version));
  }
  /** Asks for what a second person has to agree to. */
  async ask(id: string, version: number, { action, reason, value, unit }: Act): Promise<Case> {
    const body = { kind: action, reason, ...(value && { value, unit }) };
    return (await this.http.post<{ incident: Case }>(`/api/v1/incidents/${id}/requests`, body, once(version))).incident;
  }
  /** Writes a note; the same key makes one note, however often it is sent. */
  async note(id: string, text: string, key: string): Promise<Case> {
    return (await this.http.post<{ incident: Case }>(`/api/v1/incidents/${id}/notes`, { text }, named(key))).incident;
  }
  /** Asks workers; with lead the first of them is to lead. */
  offer(id: string, version: number, workers: string[], lead: boolean): Promise<{ items: Offer[] }> {
    return this.http.post(`/api/v1/incidents/${id}/offers`, { worker_ids: workers, lead }, once(version));
  }
  withdraw(offer: string, reason: string): Promise<Offer> {
    return this.http.post(`/api/v1/offers/${offer}/acts`, {
      kind: 'withdraw',
      client_ref: newRef(),
      ...(reason && { reason }),
    });
  }

  /** Call-backs that wait, the soonest due first. */
  owed = () =>
    this.http.get<{ counts: { call_backs: number }; items: Owed[] }>('/api/v1/remarks', { kind: 'call_back', limit: 200 });
  callBack = (id: string, n: number, body: { outcome: Outcome; text?: string }, key: string) =>
    this.http.post(`/api/v1/incidents/${id}/callbacks/${n}/outcome`, body, named(key));
  /** Who reported, masked. */
  reporters = (id: string) => this.items<Reporter>(`/api/v1/incidents/${id}/reporters`);
  /** One of them in full; the server keeps who asked, and why. */
  reveal = (id: string, n: number, reason: string) =>
    this.http.post<Reporter>(`/api/v1/incidents/${id}/reporters/${n}/reveal`, { reason });
  /** Requests that wait for who asks, the oldest first; `more` says that there are others. */
  waiting = async () => {
    const query = { kind: 'request', mine: 'true', limit: 200 };
    const { items, cursor } = await this.http.get<Items<Waiting> & { cursor: string | null }>('/api/v1/remarks', query);
    return { items, more: !!cursor };
  };
  decide = (id: string, n: number, body: Verdict, key: string) =>
    this.http.post(`/api/v1/incidents/${id}/requests/${n}/decision`, body, named(key));
  supervise = (id: string, body: Demand, key: string) => this.http.post(`/api/v1/incidents/${id}/supervisions`, body, named(key));
  /** How long a supervision's answer may take where nothing else is said, by priority. */
  replyLimits = async () => (await this.http.get<{ ladder: { priority: number; reply: Limit }[] }>('/api/v1/calendar')).ladder;
  instruct = (id: string, body: { text: string; due: string }, key: string) =>
    this.http.post(`/api/v1/incidents/${id}/instructions`, body, named(key));
  reply = (id: string, n: number, text: string, key: string) =>
    this.http.post(`/api/v1/incidents/${id}/instructions/${n}/reply`, { text }, named(key));
  answer = (supervision: string, text: string, key: string) =>
    this.http.post(`/api/v1/supervisions/${supervision}/reply`, { text }, named(key));
  whistle = (id: string, body: Calling, key: string) => this.http.post(`/api/v1/incidents/${id}/whistles`, body, named(key));
  /** The desk gives a department's word: that it comes, or is there. */
  word = (whistle: string, body: Word, key: string) => this.http.post(`/api/v1/whistles/${whistle}/reports`, body, named(key));
  endWhistle = (whistle: string, reason: string, key: string) =>
    this.http.post(`/api/v1/whistles/${whistle}/end`, { reason }, named(key));
  /** Calls a joint session. */
  call = (id: string, body: Sitting, key: string) =>
    this.http.post<{ n: number }>(`/api/v1/incidents/${id}/sessions`, body, named(key));
  /** Changes a joint session from the version that was read; gives the new one. */
  sit = (id: string, { n, ver }: Seated, body: Sitting, key: string) =>
    this.http.put<{ ver: number }>(`/api/v1/incidents/${id}/sessions/${n}`, { ...body, ver }, named(key));
  confirm = (id: string, { n, ver }: Seated, key: string) =>
    this.http.post(`/api/v1/incidents/${id}/sessions/${n}/confirm`, { ver }, named(key));

  /** What lies inside something marked. */
  select = (marked: Record<string, unknown>) => this.http.post<Selected>('/api/v1/select', { ...marked, limit: 200 });
  callRoll = (marked: Record<string, unknown>, minutes: number, note: string, key: string) =>
    this.http.post<RollCall>('/api/v1/rollcalls', { ...marked, minutes, ...(note && { note }) }, { 'Idempotency-Key': key });
  roll = (id: string) => this.http.get<RollCall>(`/api/v1/rollcalls/${id}`);
  send = (marked: Record<string, unknown>, text: string, key: string) =>
    this.http.post<Message>('/api/v1/messages', { ...marked, text }, { 'Idempotency-Key': key });
  message = (id: string) => this.http.get<Message>(`/api/v1/messages/${id}`);

  private async items<T>(path: string, query = {}): Promise<T[]> {
    return (await this.http.get<Items<T>>(path, query)).items;
  }
}

const named = (key: string) => ({ 'Idempotency-Key': key });
const once = (version: number) => ({ 'If-Match': `"${version}"`, 'Idempotency-Key': newRef() });
