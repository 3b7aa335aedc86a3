// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// What a worker did and the server does not know yet. Each letter is written down
// before it is sent, has a name of its own (Idempotency-Key or client_ref), and is
// taken out only when the server has answered: so it counts exactly once, however
// often the line drops. Letters go out one at a time, in the order they were written.

import { Problem } from '../session/problem';
import type { Timers } from '../wire/client';

export interface Letter {
  ref: string;
  /** Whose it is: a shared phone may hold letters of several people. */
  login: string;
  /** When it was written, by this device's clock, in unix ms. */
  at: number;
  path: string;
  body: Record<string, unknown>;
  headers: Record<string, string>;
  /** What it is called on screen, and what else the page wants to know of it. */
  about: { kind: string; title: string; offer?: string };
  /** Why the server will not have it; it stays until the worker has read it. */
  refused?: { status: number; detail: string };
}

/** Where letters are kept; IndexedDB on a phone. */
export interface Shelf {
  all(): Promise<Letter[]>;
  put(l: Letter): Promise<void>;
  remove(ref: string): Promise<void>;
}

export interface OutboxOptions {
  shelf: Shelf;
  send(l: Letter): Promise<unknown>;
  timers: Timers;
  /** Who is in: only own letters are sent. */
  login(): string;
  /** The letters of whoever is in have changed. */
  changed(mine: Letter[]): void;
  /** One has been taken by the server. */
  sent(l: Letter, answer: unknown): void;
  /** Runs f while no other tab of this page does; null where one does. */
  alone?<T>(f: () => Promise<T>): Promise<T | null>;
}

const FIRST_WAIT_MS = 2000;
const LONGEST_WAIT_MS = 60_000;

/** Refusals that are about the line or the session, not about the letter. */
export function later(p: Problem): boolean {
  return p.status <= 0 || [401, 408, 423, 429].includes(p.status) || p.status >= 500;
}

export class Outbox {
  private letters: Letter[] = [];
  private busy = false;
  private again = false;
  private wait = FIRST_WAIT_MS;
  private timer: unknown = null;

  constructor(private readonly o: OutboxOptions) {}

  /** Takes up what an earlier page has left. */
  async open(): Promise<void> {
    this.letters = (await this.o.shelf.all()).sort((a, b) => a.at - b.at);
    this.tell();
    this.hurry();
  }

  mine(): Letter[] {
    return this.letters.filter((l) => l.login === this.o.login());
  }

  /** Writes a letter down, then sends it as soon as it can be. Refs are unique: a second one of a name is dropped. */
  async post(l: Letter): Promise<void> {
    if (this.letters.some((x) => x.ref === l.ref)) return;
    this.letters.push(l);
    await this.o.shelf.put(l);
    this.tell();
    this.hurry();
  }

  /** The worker has read why one was refused. */
  async dismiss(ref: string): Promise<void> {
    await this.drop(ref);
    this.tell();
  }

  /** Tries at once instead of waiting out the pause. */
  hurry(): void {
    this.o.timers.clear(this.timer);
    this.wait = FIRST_WAIT_MS;
    void this.run();
  }

  stop(): void {
    this.o.timers.clear(this.timer);
    this.again = false;
  }

  private async run(): Promise<void> {
    if (this.busy) {
      this.again = true;
      return;
    }
    this.busy = true;
    try {
      const alone = this.o.alone ?? (<T>(f: () => Promise<T>) => f());
      const empty = await alone(() => this.empty());
      if (!empty) this.plan();
    } finally {
      this.busy = false;
    }
    if (this.again) {
      this.again = false;
      void this.run();
    }
  }

  /** Sends what there is; false when something has to wait. */
  private async empty(): Promise<boolean> {
    for (;;) {
      const next = this.mine().find((l) => !l.refused);
      if (!next) return true;
      try {
        const answer = await this.o.send(next);
        await this.drop(next.ref);
        this.wait = FIRST_WAIT_MS;
        this.o.sent(next, answer);
      } catch (e) {
        const p = e instanceof Problem ? e : new Problem(0, 'about:blank', String(e));
        if (later(p)) {
          if (p.waitS > 0) this.wait = Math.max(this.wait, p.waitS * 1000);
          return false;
        }
        next.refused = { status: p.status, detail: p.detail };
        await this.o.shelf.put(next);
      }
      this.tell();
    }
  }

  private plan(): void {
    this.o.timers.clear(this.timer);
    this.timer = this.o.timers.set(() => void this.run(), this.wait);
    this.wait = Math.min(LONGEST_WAIT_MS, this.wait * 2);
  }

  private async drop(ref: string): Promise<void> {
    this.letters = this.letters.filter((l) => l.ref !== ref);
    await this.o.shelf.remove(ref);
  }

  private tell(): void {
    this.o.changed(this.mine());
  }
}
