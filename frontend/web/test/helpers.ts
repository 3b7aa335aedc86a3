// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// Fakes of the outside world: a clock whose timers run when told, and a socket
// that the test plays the server of.

import type { SocketLike, Timers } from '../src/wire/client';

export class FakeTimers implements Timers {
  time = 1_000_000;
  private queue: { id: number; at: number; fn: () => void }[] = [];
  private nextId = 1;

  now(): number {
    return this.time;
  }
  set(fn: () => void, ms: number): unknown {
    const id = this.nextId++;
    this.queue.push({ id, at: this.time + ms, fn });
    return id;
  }
  clear(id: unknown): void {
    this.queue = this.queue.filter((t) => t.id !== id);
  }
  /** Moves the clock on and runs what falls due, in order. */
  advance(ms: number): void {
    const end = this.time + ms;
    for (;;) {
      const due = this.queue.filter((t) => t.at <= end).sort((a, b) => a.at - b.at || a.id - b.id)[0];
      if (!due) break;
      this.clear(due.id);
      this.time = due.at;
      due.fn();
    }
    this.time = end;
  }
  get waits(): number[] {
    return this.queue.map((t) => t.at - this.time).sort((a, b) => a - b);
  }
}

export class FakeSocket implements SocketLike {
  binaryType = '';
  onopen: (() => void) | null = null;
  onmessage: ((e: { data: unknown }) => void) | null = null;
  onclose: ((e: { code: number; reason: string }) => void) | null = null;
  sent: Record<string, unknown>[] = [];
  closed = false;

  send(text: string): void {
    this.sent.push(JSON.parse(text));
  }
  close(): void {
    this.closed = true;
  }
  accept(): void {
    this.onopen?.();
  }
  /** One text frame holding one message, or several as an array. */
  say(...messages: unknown[]): void {
    this.onmessage?.({ data: JSON.stringify(messages.length === 1 ? messages[0] : messages) });
  }
  raw(data: unknown): void {
    this.onmessage?.({ data });
  }
  hangUp(code: number, reason = ''): void {
    this.onclose?.({ code, reason });
  }
}

export const reset = (head: number, items: unknown[] = [], epoch = 'e1', scope = 's1') => ({
  type: 'reset',
  epoch,
  head,
  scope,
  snapshot: { items },
});
export const resume = (head: number, epoch = 'e1', scope = 's1') => ({ type: 'resume', epoch, head, scope });
export const opened = (seq: number, id: string, data: Record<string, unknown> = {}) => ({
  type: 'event',
  seq,
  at: '2026-11-22T08:00:00+08:00',
  kind: 'incident.opened',
  entity: { kind: 'incident', id },
  id,
  ver: 1,
  live: 'put',
  data: incident(id, data),
});
export const ended = (seq: number, id: string) => ({
  ...opened(seq, id, { state: 'closed', open: false }),
  kind: 'incident.closed',
  live: 'end',
});
export const tick = (head: number, time: string, feedAgeS = 0) => ({ type: 'tick', head, time, feed_age_s: feedAgeS });

export function incident(id: string, more: Record<string, unknown> = {}) {
  return {
    id,
    number: `SJ${id.padStart(9, '0')}`,
    category_name: '消防通道占堵',
    top_name: '消防与安全生产',
    priority: 3,
    state: 'reported',
    open: true,
    place: 'in_grid',
    precision: 'exact',
    point: [107.5, 38.2],
    grid: {
      version: 1,
      path: [
        { level: 1, code: '1', name: '演示旗' },
        { level: 2, code: '11', name: '东镇' },
        { level: 4, code: '1101', name: '网格001' },
      ],
    },
    reported_at: '2026-11-22T08:00:00+08:00',
    acknowledged_at: null,
    ...more,
  };
}
