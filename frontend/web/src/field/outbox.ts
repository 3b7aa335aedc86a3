// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// What a worker did and the server does not know yet. Each letter is written down
// before it is sent, has a name of its own (Idempotency-Key or client_ref), and is
// taken out only when the server has answered: so it counts exactly once, however
// often the line drops. Letters go out one at a time, in the order they were written;
// files go on a way of their own, so that no film holds up a word:
//
//	report ---> the incident's id ---> its files ---> resolved on the spot
//	accept, arrive, finish ...

import { Problem } from '../session/problem';
import type { Timers } from '../wire/client';

export interface Letter {
  ref: string;
  /** Whose it is: a shared phone may hold letters of several people. */
  login: string;
  /** When it was written, in unix ms: by the server's clock, as far as the phone knew it. */
  at: number;
  /** Its place in the order of writing, whatever the clock says; the outbox gives it. Missing of letters by an older page. */
  n?: number;
  method?: 'POST' | 'DELETE';
  /** `{incident}` in it is filled in with what the report's answer said. */
  path: string;
  body: Record<string, unknown>;
  headers: Record<string, string>;
  /** What it is called on screen, and what else the page wants to know of it. */
  about: { kind: string; title: string; offer?: string; incident?: string; visit?: string };
  /** The report whose incident it belongs to: it waits for its answer and goes with it. */
  report?: string;
  /** Letters that have to be gone before. */
  after?: string[];
  /** What the report's answer said, once it is there. */
  incident?: { id: string; version: number };
  /** Of a file, whose bytes lie on the shelf by the letter's name. */
  file?: { type: string; size: number; sha256: string; place?: { lon: number; lat: number } };
  /** Why the server will not have it; it stays until the worker has read it. */
  refused?: { status: number; detail: string; type?: string };
}

/** Where letters are kept; IndexedDB on a phone. */
export interface Shelf {
  all(): Promise<Letter[]>;
  put(...letters: Letter[]): Promise<void>;
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
  alone?<T>(way: string, f: () => Promise<T>): Promise<T | null>;
}

const FIRST_WAIT_MS = 2000;
const LONGEST_WAIT_MS = 60_000;

/** A word of the page's own: nobody would miss it. */
export const isReceipt = (l: Letter): boolean => l.about.kind === 'delivered' || l.about.kind === 'seen';

/** Refusals that are about the line or the session, not about the letter. 460: a part of a file came wrong. */
export function later(p: Problem): boolean {
  return p.status <= 0 || [401, 408, 423, 429, 460].includes(p.status) || p.status >= 500;
}

/** One of the two ways out. */
interface Way {
  name: 'words' | 'files';
  busy: boolean;
  again: boolean;
  wait: number;
  timer: unknown;
}
const way = (name: Way['name']): Way => ({ name, busy: false, again: false, wait: FIRST_WAIT_MS, timer: null });

export class Outbox {
  private letters: Letter[] = [];
  private readonly ways = [way('words'), way('files')];

  constructor(private readonly o: OutboxOptions) {}

  /** Takes up what an earlier page has left. */
  async open(): Promise<void> {
    this.letters = (await this.o.shelf.all()).sort(
      (a, b) => (a.n ?? 0) - (b.n ?? 0) || a.at - b.at, // those without a number are the oldest
    );
    this.tell();
    this.hurry();
  }

  mine(): Letter[] {
    return this.letters.filter((l) => l.login === this.o.login());
  }

  /** Writes letters down, all or none, then sends them as soon as it can be. Refs are unique: a second one of a name is dropped. */
  async post(...letters: Letter[]): Promise<void> {
    const fresh = letters.filter((l) => !this.letters.some((x) => x.ref === l.ref));
    if (!fresh.length) return;
    let n = Math.max(0, ...this.letters.map((l) => l.n ?? 0));
    for (const l of fresh) l.n = ++n;
    this.letters.push(...fresh);
    try {
      await this.o.shelf.put(...fresh);
    } catch (e) {
      this.letters = this.letters.filter((l) => !fresh.includes(l));
      throw e;
    }
    this.tell();
    this.hurry();
  }

  /** The worker gives one up, with whatever belongs to it. */
  async dismiss(ref: string): Promise<void> {
    for (const l of this.letters.filter((x) => x.report === ref)) await this.drop(l.ref);
    await this.drop(ref);
    this.tell();
    this.hurry();
  }

  /** Tries one that was refused once more, after something about it was mended. */
  async retry(ref: string): Promise<void> {
    const l = this.letters.find((x) => x.ref === ref);
    if (!l) return;
    delete l.refused;
    await this.o.shelf.put(l);
    this.tell();
    this.hurry();
  }

  /** Everything of one person has been taken off the shelf. */
  async forget(login: string): Promise<void> {
    this.letters = this.letters.filter((l) => l.login !== login);
    this.tell();
  }

  /** Tries at once instead of waiting out the pause. */
  hurry(): void {
    for (const w of this.ways) {
      this.o.timers.clear(w.timer);
      w.wait = FIRST_WAIT_MS;
      void this.run(w);
    }
  }

  stop(): void {
    for (const w of this.ways) {
      this.o.timers.clear(w.timer);
      w.again = false;
    }
  }

  private async run(w: Way): Promise<void> {
    if (w.busy) {
      w.again = true;
      return;
    }
    w.busy = true;
    try {
      const alone = this.o.alone ?? (<T>(_: string, f: () => Promise<T>) => f());
      const empty = await alone(w.name, () => this.empty(w));
      if (!empty) this.plan(w);
    } finally {
      w.busy = false;
    }
    if (w.again) {
      w.again = false;
      void this.run(w);
    }
  }

  /** Sends what there is; false when something has to wait for the line. */
  private async empty(w: Way): Promise<boolean> {
    for (;;) {
      const next = this.mine().find((l) => !l.refused && !!l.file === (w.name === 'files') && this.ready(l));
      if (!next) return true;
      try {
        const answer = await this.o.send(next);
        const held = this.letters.includes(next);
        await this.taken(next, answer);
        w.wait = FIRST_WAIT_MS;
        if (held && next.login === this.o.login()) this.o.sent(next, answer); // else its writer has gone
        for (const other of this.ways) if (other !== w) void this.run(other);
      } catch (e) {
        const p = e instanceof Problem ? e : new Problem(0, 'about:blank', String(e));
        if (later(p)) {
          if (p.waitS > 0) w.wait = Math.max(w.wait, p.waitS * 1000);
          return false;
        }
        if (!this.letters.includes(next)) continue; // its writer has gone, or has given it up
        next.refused = { status: p.status, detail: p.detail, ...(p.type !== 'about:blank' && { type: p.type }) };
        await this.o.shelf.put(next);
      }
      this.tell();
    }
  }

  private ready(l: Letter): boolean {
    if (l.report && !l.incident) return false;
    return !l.after?.some((ref) => this.letters.some((x) => x.ref === ref));
  }

  /** What belongs to a report is told its incident before the report is forgotten: a page that ends in between asks again. */
  private async taken(l: Letter, answer: unknown): Promise<void> {
    const own = this.letters.filter((x) => x.report === l.ref);
    if (own.length) {
      const { id, version } = answer as { id: string; version: number };
      for (const x of own) x.incident = { id, version };
      await this.o.shelf.put(...own);
    }
    await this.drop(l.ref);
  }

  private plan(w: Way): void {
    this.o.timers.clear(w.timer);
    w.timer = this.o.timers.set(() => void this.run(w), w.wait);
    w.wait = Math.min(LONGEST_WAIT_MS, w.wait * 2);
  }

  private async drop(ref: string): Promise<void> {
    this.letters = this.letters.filter((l) => l.ref !== ref);
    await this.o.shelf.remove(ref);
  }

  private tell(): void {
    this.o.changed(this.mine());
  }
}
