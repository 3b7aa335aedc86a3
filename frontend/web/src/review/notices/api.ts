// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// The requests of the notices, and the shapes of their answers.

import { type InjectionKey, inject } from 'vue';
import type { Http } from '../../session/http';
import { newRef } from '../../wire/ref';
import type { Asked } from './address';

export const STATES = ['sent', 'read', 'replied', 'withdrawn'] as const;
export type State = (typeof STATES)[number];
export type Act = 'read' | 'reply' | 'withdraw';

export interface Notice {
  id: string;
  state: State;
  title: string;
  text?: string;
  grid: string;
  grid_name: string;
  /** The unit: a department, or else the desk of a grid. */
  department?: string;
  unit_grid?: string;
  unit_name?: string;
  cell?: string;
  made_at: string;
  due: string;
  read_at: string | null;
  reminded_at: string | null;
  replied_at: string | null;
  reply?: string;
  in_time: boolean;
  /** It was due without a reply. */
  supervised: boolean;
  withdrawn_at: string | null;
  /** Why it was withdrawn. */
  reason?: string;
  /** How many of the unit have read it. */
  readers: number;
  /** Whether it is directed to this reader's own unit, which alone signs and answers it. */
  own: boolean;
  /** Whether this reader has signed it. */
  signed: boolean;
  /** Whether this reader may withdraw it: who directs notices there, but for those to the own unit that others made. */
  withdrawable: boolean;
}

/** Whether a reply is still wanted. */
export const isOpen = (n: Notice): boolean => n.state === 'sent' || n.state === 'read';

const root = '/api/v1/notices';
export const PAGE = 20;
const MOST = 200; // of one page

export class NoticesApi {
  private readonly names = new Map<string, string>();

  constructor(private readonly http: Http) {}

  list = (q: Asked, many = PAGE, cursor?: string) =>
    this.http.get<{ items: Notice[]; cursor: string | null }>(root, {
      state: q.state,
      overdue: q.overdue ? 'true' : undefined,
      grid: q.grid,
      limit: Math.min(Math.max(many, PAGE), MOST),
      cursor,
    });
  one = (id: string) => this.http.get<Notice>(`${root}/${encodeURIComponent(id)}`);
  /** Signs, answers or withdraws. The same act with the same words keeps its name until it is answered, so that it counts once. */
  act = async (id: string, act: Act, text = ''): Promise<Notice> => {
    const what = JSON.stringify([id, act, text]);
    const name = this.names.get(what) ?? newRef();
    this.names.set(what, name);
    const told = await this.http.post<Notice>(`${root}/${encodeURIComponent(id)}/${act}`, text ? { text } : {}, {
      'Idempotency-Key': name,
    });
    this.names.delete(what);
    return told;
  };
}

export const NOTICES: InjectionKey<NoticesApi> = Symbol('notices');
export function useNotices(): NoticesApi {
  const api = inject(NOTICES);
  if (!api) throw new Error('no notices api');
  return api;
}
