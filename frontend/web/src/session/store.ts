// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// Who is signed in, and whether the screen is locked. One for the page: sections
// ask through its http, and any answer that tells of a lock or an end is obeyed.

import { type InjectionKey, inject, ref, shallowRef } from 'vue';
import type { Timers } from '../wire/client';
import type { Errand } from './fragment';
import { type Fetch, Http } from './http';
import { Problem } from './problem';
import {
  deleteSession,
  getSession,
  postAlive,
  postLock,
  postSignIn,
  postUnlock,
  putPassword,
  putPin,
  type Session,
} from './rest';

export type Phase = 'opening' | 'unreachable' | 'door' | 'in';
export type Door = 'sign-in' | 'invite' | 'first';

const POLL_MS = 30_000;
const RETRY_MS = 3000;
const REPORT_MS = 60_000;
const SLACK_MS = 1000; // the server decides first
const RECALL_MS = 2500;

export class SessionStore {
  readonly phase = ref<Phase>('opening');
  readonly door = ref<Door>('sign-in');
  readonly me = shallowRef<Session | null>(null);
  readonly locked = ref(false);
  /** The session was ended by the server while the page stood open. */
  readonly ended = ref(false);
  /** The account that was in last, or was just taken up. */
  readonly login = ref('');
  readonly http: Http;
  /** The invitation's code, until it has been used. */
  code = '';
  /** Who was in when there last was a line: a page that works without one goes on as theirs. */
  recall: (() => Promise<Session | undefined>) | null = null;
  /** Runs after somebody has signed out by hand, before anybody else is let in. */
  leaving: ((login: string) => Promise<void>) | null = null;
  /** How much of a person this machine keeps that has not reached the server: a sign-out loses it. */
  unsent: ((login: string) => Promise<number>) | null = null;

  private going = false; // signing out by hand
  private turn = 0; // moves with every change of state of our own: older answers no longer count
  private asking: Promise<void> | null = null;
  private timer: unknown = null;
  private actAt = Number.NEGATIVE_INFINITY; // the last act the server was told of
  private since = 0; // when this page found its person in

  constructor(
    private readonly timers: Timers,
    fetcher?: Fetch,
  ) {
    this.http = new Http({ unauthorised: () => this.doubt(), locked: () => this.doubt(true) }, fetcher);
  }

  /** Opens the page: an errand first, else whoever is signed in. */
  async start(errand: Errand): Promise<void> {
    if (errand) return this.run(errand);
    if (this.recall) this.timers.set(() => void this.remember(), RECALL_MS); // a line that is there and carries nothing
    await this.check();
  }

  run(errand: NonNullable<Errand>): void {
    this.move();
    this.code = errand.door === 'invite' ? errand.code : '';
    this.door.value = errand.door;
    this.ended.value = false;
    this.phase.value = 'door';
  }

  /** Leaves an errand for the sign-in, or for the session there is. */
  async toSignIn(login = ''): Promise<void> {
    this.code = '';
    this.login.value = login || this.login.value;
    if (login) this.leave(false);
    else {
      this.phase.value = 'opening';
      this.door.value = 'sign-in';
      await this.check();
    }
  }

  /** Asks the server who is in; asks once, however many want to know. */
  check(): Promise<void> {
    if (this.going) return Promise.resolve();
    if (!this.asking) {
      const asking = this.ask().finally(() => {
        if (this.asking === asking) this.asking = null;
      });
      this.asking = asking;
    }
    return this.asking;
  }

  async signIn(login: string, password: string, totp: string): Promise<void> {
    const session = await postSignIn(this.http, login, password, totp);
    this.move();
    this.actAt = this.timers.now();
    if (session) this.enter(session);
    else await this.check();
  }

  /** How much of whoever is in a sign-out here would lose; none where nobody can tell. */
  async unsentHere(): Promise<number> {
    return (await this.unsent?.(this.login.value).catch(() => 0)) ?? 0;
  }

  /** Signs out. When the server can't be reached the person stays in, and is told. */
  async signOut(): Promise<void> {
    this.going = true; // the end of the live stream is no news now
    try {
      await deleteSession(this.http).catch((e) => {
        if (!(e instanceof Problem) || e.status !== 401) throw e;
      });
      this.move();
      await this.leaving?.(this.login.value);
    } finally {
      this.going = false;
    }
    this.leave(false);
  }

  async lock(): Promise<void> {
    await postLock(this.http);
    this.move();
    this.locked.value = true;
    this.plan();
  }

  /** Opens the lock; the fifth wrong PIN ends the session. */
  async unlock(pin: string): Promise<void> {
    try {
      await postUnlock(this.http, pin);
    } catch (e) {
      if (e instanceof Problem && e.status === 401) this.leave(true);
      throw e;
    }
    this.move();
    this.actAt = this.timers.now();
    this.locked.value = false;
    this.plan();
  }

  async setPin(password: string, pin: string): Promise<void> {
    await putPin(this.http, password, pin);
    if (this.me.value) this.me.value = { ...this.me.value, pin: true };
  }

  setPassword(old: string, fresh: string): Promise<void> {
    return putPassword(this.http, old, fresh);
  }

  /** The person did something. The server hears of it at most once a minute. */
  acted(): void {
    const now = this.timers.now();
    if (this.phase.value !== 'in' || this.locked.value || this.me.value?.role === 'wall') return;
    if (now - this.actAt < REPORT_MS) return;
    this.actAt = now;
    this.plan();
    postAlive(this.http).catch(() => {}); // a lock or an end has been told by the hooks
  }

  stop(): void {
    this.move();
  }

  private async ask(): Promise<void> {
    const turn = this.turn;
    try {
      const session = await getSession(this.http);
      if (turn === this.turn) this.enter(session);
    } catch (e) {
      if (turn !== this.turn) return;
      if (e instanceof Problem && e.status === 401) {
        this.leave(this.phase.value === 'in');
        return;
      }
      await this.remember();
      if (this.phase.value === 'opening') this.phase.value = 'unreachable';
      if (this.overdue()) this.locked.value = true; // nobody can say that it is not
      this.plan();
    }
  }

  /** Without an answer yet, goes on as whoever was in; the server's answer, when it comes, decides. */
  private async remember(): Promise<void> {
    const turn = this.turn;
    const waits = () => this.phase.value === 'opening' || this.phase.value === 'unreachable';
    const last = waits() ? await this.recall?.().catch(() => undefined) : undefined;
    if (last && waits() && turn === this.turn) this.enter(last);
  }

  /** Something was refused: is the session locked, or over? */
  private doubt(locked = false): void {
    if (this.phase.value !== 'in') return;
    if (locked) this.locked.value = true;
    void this.check();
  }

  private enter(session: Session): void {
    this.me.value = session;
    this.login.value = session.login ?? '';
    this.locked.value = session.locked === true;
    if (this.phase.value !== 'in') this.since = this.timers.now();
    this.ended.value = false;
    this.phase.value = 'in';
    this.plan();
  }

  private leave(ended: boolean): void {
    this.move();
    this.me.value = null;
    this.locked.value = false;
    this.ended.value = ended;
    this.door.value = 'sign-in';
    this.phase.value = 'door';
    this.actAt = Number.NEGATIVE_INFINITY;
  }

  private move(): void {
    this.turn++;
    this.asking = null;
    this.timers.clear(this.timer);
  }

  private overdue(): boolean {
    const after = this.me.value?.lock_after_s ?? 0;
    return after > 0 && this.timers.now() - Math.max(this.actAt, this.since) >= after * 1000;
  }

  /** The next look at the session: soon after it may have been locked or ended, else in half a minute. */
  private plan(): void {
    this.timers.clear(this.timer);
    const now = this.timers.now();
    const me = this.me.value;
    const moments = [this.phase.value === 'unreachable' ? RETRY_MS : POLL_MS];
    if (me?.lock_after_s && !this.locked.value)
      moments.push(Math.max(this.actAt, this.since) + me.lock_after_s * 1000 + SLACK_MS - now);
    if (me?.expires) moments.push(Date.parse(me.expires) - Date.parse(me.server_time) + SLACK_MS);
    const next = Math.min(...moments.filter((ms) => ms > 0));
    this.timer = this.timers.set(() => void this.check(), next);
  }
}

export const SESSION: InjectionKey<SessionStore> = Symbol('session');

export function useSession(): SessionStore {
  const s = inject(SESSION);
  if (!s) throw new Error('no session provided');
  return s;
}
