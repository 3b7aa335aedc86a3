// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// Where the phone is while its worker is on duty: measured while the page is in front,
// kept on the phone until the server has it, sent with the time it was measured at. Off
// duty nothing is measured.

import { Problem } from '../session/problem';
import type { Timers } from '../wire/client';
import { later } from './outbox';
import { ageOf, byPhone, type Fix, type NoFix } from './place';
import { metresBetween } from './tasks';

/** A fix that goes to the server: its time is the server's, as far as the phone knows it. */
export interface KeptFix extends Fix {
  login: string;
}

export interface FixShelf {
  putFix(f: KeptFix): Promise<void>;
  fixes(login: string, most: number): Promise<KeptFix[]>;
  removeFixes(gone: KeptFix[]): Promise<void>;
}

/** off: off duty, or the page is not in front. */
export type Locating = 'off' | 'seeking' | 'located' | NoFix;

export interface TrackerOptions {
  shelf: FixShelf;
  timers: Timers;
  login(): string;
  /** Measures again and again until the function it returns is called. */
  watch(found: (f: Fix) => void, failed: (why: NoFix) => void): () => void;
  /** Measures once. */
  measure(): Promise<Fix>;
  /** The answer says how many were stored, and how many were not because of their place or time; those off duty are neither. */
  send(fixes: KeptFix[]): Promise<{ stored: number; untrue: number }>;
  /** How far the server's clock is ahead of the phone's, in ms. */
  ahead(): number;
  changed(state: Locating, last: Fix | null): void;
  /** The server has had everything up to now, and has kept some of it or nothing; the rest was off duty or untrue. */
  sent(stored: number, untrue: number): void;
  /** Runs f while no other tab of this page does; null where one does. */
  alone?<T>(way: string, f: () => Promise<T>): Promise<T | null>;
}

/** Two places kept are so far apart in time, unless the phone has moved so far. */
const APART_MS = 20_000;
const MOVED_APART_MS = 5000;
const MOVED_M = 30;
/** Sent so often; a phone that lies still is asked where it is. */
const BEAT_MS = 20_000;
const SILENT_MS = 90_000;
const BATCH = 200;

export class Tracker {
  private unwatch: (() => void) | null = null;
  private state: Locating = 'off';
  private last: Fix | null = null;
  private kept: Fix | null = null;
  private timer: unknown = null;
  private sending = false;
  private since = 0;

  constructor(private readonly o: TrackerOptions) {}

  get on(): boolean {
    return this.unwatch !== null;
  }

  /** Measures from now on. A place from before since (unix ms, the server's), which a phone may have kept, does not count: it is off duty. */
  start(since = 0): void {
    if (this.unwatch) return;
    this.since = since;
    this.say('seeking');
    this.unwatch = this.o.watch(
      (f) => void this.found(f),
      (why) => this.failed(why),
    );
    this.plan();
  }

  /** Measures no more. What is kept is still sent by flush. */
  stop(): void {
    this.unwatch?.();
    this.unwatch = null;
    this.o.timers.clear(this.timer);
    this.last = this.kept = null;
    this.say('off');
  }

  /** Sends what is kept, in order of time; the rest waits for the next time. */
  async flush(): Promise<void> {
    if (this.sending) return;
    this.sending = true;
    try {
      const alone = this.o.alone ?? (<T>(_: string, f: () => Promise<T>) => f());
      await alone('places', () => this.sendAll());
    } finally {
      this.sending = false;
    }
  }

  private async sendAll(): Promise<void> {
    const login = this.o.login();
    for (;;) {
      const some = await this.o.shelf.fixes(login, BATCH);
      if (!some.length || login !== this.o.login()) return;
      let answer: { stored: number; untrue: number } | null = null;
      try {
        answer = await this.o.send(some);
      } catch (e) {
        if (!(e instanceof Problem) || later(e)) return;
        // what the server will never take holds up nothing
      }
      await this.o.shelf.removeFixes(some);
      if (answer) this.o.sent(answer.stored, answer.untrue);
    }
  }

  private async found(measured: Fix): Promise<void> {
    const ahead = this.o.ahead();
    const f = byPhone(measured, this.o.timers.now(), ahead);
    if (!this.on || f.at + ahead < this.since) return;
    this.last = f;
    this.say('located');
    const apart = this.kept ? ageOf(this.kept.at, f.at) : Number.POSITIVE_INFINITY;
    const moved = this.kept ? metresBetween([this.kept.lon, this.kept.lat], [f.lon, f.lat]) : 0;
    if (apart < MOVED_APART_MS || (apart < APART_MS && moved < Math.max(MOVED_M, f.accuracyM))) return;
    const first = !this.kept;
    this.kept = f;
    await this.o.shelf.putFix({ ...f, at: f.at + ahead, login: this.o.login() }).catch(() => {}); // a full phone: the next may go
    if (first) void this.flush();
  }

  /** A phone that lies still may be silent for a while: its last place is told as its place so long. */
  private failed(why: NoFix): void {
    if (!this.on || (why !== 'denied' && this.last && ageOf(this.last.at, this.o.timers.now()) < SILENT_MS)) return;
    this.say(why);
  }

  private plan(): void {
    this.timer = this.o.timers.set(() => {
      this.plan();
      void this.beat();
    }, BEAT_MS);
  }

  private async beat(): Promise<void> {
    if (!this.last || ageOf(this.last.at, this.o.timers.now()) >= BEAT_MS) {
      await this.o.measure().then(
        (f) => this.found(f),
        (e: Error) => this.failed(e.message as NoFix),
      );
    }
    await this.flush();
  }

  private say(state: Locating): void {
    this.state = state;
    this.o.changed(this.state, this.last);
  }
}
