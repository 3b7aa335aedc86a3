// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// The messages of `onemap.v1` as the server sends them, and how one WebSocket
// text frame becomes messages: a frame is one object or an array of objects.

/** One open entity in the live state: its newest public payload. */
export interface Item<T = unknown> {
  kind: string;
  id: string;
  ver: number;
  seq: number;
  data: T;
}

export interface EventMessage {
  type: 'event';
  seq: number;
  at: string;
  kind: string;
  entity: { kind: string; id: string };
  id: string;
  ver: number;
  live: 'put' | 'end' | 'none';
  data: unknown;
}
export interface GoneMessage {
  type: 'gone';
  seq: number;
  kind: string;
  id: string;
}
/** Events up to and including `to` concern other readers. */
export interface SkipMessage {
  type: 'skip';
  to: number;
}
export interface ResetMessage {
  type: 'reset';
  epoch: string;
  head: number;
  scope: string;
  snapshot: { items: Item[] };
}
export interface ResumeMessage {
  type: 'resume';
  epoch: string;
  head: number;
  scope: string;
}
export interface TickMessage {
  type: 'tick';
  head: number;
  time: string;
  /** Whole seconds since the server last knew it had every event; a server of an earlier release does not say. */
  feed_age_s?: number;
}
/** A worker's dot as a JSON row: id, lon, lat, age of the fix in seconds, accuracy in metres or -1, course in degrees or -1, state. */
export type PositionRow = [number, number, number, number, number, number, string];
export interface PositionsMessage {
  type: 'positions';
  at: string;
  full?: boolean;
  items: PositionRow[];
}
export type Message = EventMessage | GoneMessage | SkipMessage | ResetMessage | ResumeMessage | TickMessage | PositionsMessage;

/** What the client says first on every connection, and again on a gap. */
export interface Hello {
  type: 'hello';
  topics: string[];
  positions: 'binary';
  epoch?: string;
  seq?: number;
  scope?: string;
}

/** Splits a text frame into its messages, in order. Throws on anything that is not an object with a type. */
export function parseFrame(text: string): Message[] {
  const body: unknown = JSON.parse(text);
  const list = Array.isArray(body) ? body : [body];
  for (const m of list) {
    if (typeof m !== 'object' || m === null || typeof (m as { type?: unknown }).type !== 'string') {
      throw new Error('frame holds something that is not a message');
    }
  }
  return list as Message[];
}
