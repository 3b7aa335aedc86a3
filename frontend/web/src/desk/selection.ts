// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// What lies inside the marked shape, and the roll call and message that went out from it.

import { ref, shallowRef } from 'vue';
import { Problem } from '../session/problem';
import type { Timers } from '../wire/client';
import type { DeskApi } from './api';
import { markedOf, type Shape } from './marking';
import type { Candidate, Message, RollCall, Selected } from './types';

const WATCH_MS = 3000;

export class Selection {
  readonly result = shallowRef<Selected | null>(null);
  readonly problem = shallowRef<Problem | null>(null);
  readonly asking = ref(false);
  readonly roll = shallowRef<RollCall | null>(null);
  readonly message = shallowRef<Message | null>(null);
  private shape: Shape | null = null; // the one that the result is of
  private turn = 0;
  private gone = 0; // moves when all of it is forgotten: what is answered later is nobody's
  private timer: unknown;

  constructor(
    private readonly api: DeskApi,
    private readonly timers: Timers,
  ) {}

  /** Asks what lies inside; of several shapes the last counts. Until its answer comes nobody can be called. */
  async ask(shape: Shape): Promise<void> {
    const turn = ++this.turn;
    this.shape = null;
    this.result.value = null;
    this.asking.value = true;
    this.problem.value = null;
    try {
      const found = await this.api.select(markedOf(shape));
      if (turn !== this.turn) return;
      this.shape = shape;
      this.result.value = found;
    } catch (e) {
      if (turn !== this.turn) return;
      this.problem.value = e instanceof Problem ? e : new Problem(-1, 'about:blank', String(e));
    } finally {
      if (turn === this.turn) this.asking.value = false;
    }
  }

  async callRoll(minutes: number, note: string, key: string): Promise<void> {
    const { gone } = this;
    const roll = await this.api.callRoll(this.marked(), minutes, note, key);
    if (gone !== this.gone) return;
    this.roll.value = roll;
    this.watch();
  }

  async send(text: string, key: string): Promise<void> {
    const { gone } = this;
    const message = await this.api.send(this.marked(), text, key);
    if (gone !== this.gone) return;
    this.message.value = message;
    this.watch();
  }

  /** Forgets the shape and what went out from it. */
  clear(): void {
    this.turn++;
    this.gone++;
    this.timers.clear(this.timer);
    this.shape = null;
    this.result.value = null;
    this.problem.value = null;
    this.asking.value = false;
    this.roll.value = null;
    this.message.value = null;
  }

  private marked(): Record<string, unknown> {
    if (!this.shape) throw new Error('nothing is marked');
    return markedOf(this.shape);
  }

  /** Looks after the answers and receipts, as long as they can change. */
  private watch(): void {
    this.timers.clear(this.timer);
    this.timer = this.timers.set(() => void this.look(), WATCH_MS);
  }

  private async look(): Promise<void> {
    const turn = this.turn;
    const [roll, message] = [this.roll.value, this.message.value];
    const [r, m] = await Promise.all([
      roll?.state === 'open' ? this.api.roll(roll.id).catch(() => roll) : roll,
      message && message.seen < message.to ? this.api.message(message.id).catch(() => message) : message,
    ]);
    if (turn !== this.turn) return;
    if (this.roll.value?.id === r?.id) this.roll.value = r;
    if (this.message.value?.id === m?.id) this.message.value = m;
    if (this.roll.value?.state === 'open' || (this.message.value && this.message.value.seen < this.message.value.to))
      this.watch();
  }
}

/** Who of the selected goes first by the advice; "" when it names none of them. */
export function bestInside(inside: Selected | null, advised: Candidate[]): string {
  const there = new Set(inside?.workers?.items?.map((w) => w.worker_id));
  return advised.find((c) => there.has(c.worker_id))?.worker_id ?? '';
}

/** Those inside in the order of the advice, then who is not in it; old fixes last. */
export function byAdvice(inside: Selected | null, advised: Candidate[]): string[] {
  const rank = new Map(advised.map((c) => [c.worker_id, c.rank]));
  const last = advised.length + 1;
  const of = (w: { worker_id: string; state: string }) => (rank.get(w.worker_id) ?? last) + (w.state === 'stale' ? 1000 : 0);
  return [...(inside?.workers?.items ?? [])].sort((a, b) => of(a) - of(b)).map((w) => w.worker_id);
}
