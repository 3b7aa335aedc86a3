// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// What the live stream means for the wall: which incidents are open, which five
// are the newest, which have just arrived, and how fresh all of it is.

import { type Handlers, type Link, LiveClient, type Options, type Timers } from '../wire/client';
import { behindSince, type Freshness, judge, ServerClock } from '../wire/freshness';
import type { EventMessage, ResetMessage } from '../wire/message';
import type { Positions } from '../wire/positions';
import { type Incident, newestFirst } from './incident';

/** How many incidents the list holds, and how long a closed one stays in it. */
export const LATEST = 5;
const LINGER_MS = 60_000;
/** A snapshot may tell us of incidents made while we were away; only young ones are news. */
const NEWS_MS = 600_000;
const REMEMBERED = 20_000;

export interface LiveHallOptions {
  open: Options['open'];
  timers: Timers;
  random(): number;
  changed(): void;
  arrived(i: Incident): void;
  positions(p: Positions): void;
  link(l: Link): void;
  /** The feed has moved on to seq; restarted when it counts from elsewhere now. */
  moved(seq: number, restarted: boolean): void;
  gridsEnacted(seq: number): void;
}

export class LiveHall {
  readonly client: LiveClient;
  readonly clock = new ServerClock();
  /** Incidents announced on this page, by id, and how often: never more than once each. */
  readonly announced = new Map<string, number>();
  /** When each arrived, on the page's own clock. */
  readonly arrivedAt = new Map<string, number>();
  lastFrameAt = 0;
  /** When the server last had every event, on the page's own clock; null while the feed keeps up. */
  private behind: number | null = null;
  lagMs = 0;
  private readonly known = new Set<string>();
  private readonly ended = new Map<string, { incident: Incident; at: number }>();

  constructor(private readonly o: LiveHallOptions) {
    const handlers: Handlers = {
      frame: () => {
        this.lastFrameAt = o.timers.now();
      },
      link: (l) => o.link(l),
      reset: (m, first) => this.onReset(m, first),
      event: (m) => this.onEvent(m),
      gone: (m) => {
        this.ended.delete(m.id);
        this.onMoved();
      },
      positions: (p) => {
        this.lagMs = Math.max(0, this.clock.now(o.timers.now()) - p.at);
        o.positions(p);
      },
      tick: (m) => {
        this.clock.sample(Date.parse(m.time), o.timers.now());
        this.behind = behindSince(m.feed_age_s, o.timers.now());
      },
    };
    this.client = new LiveClient({ open: o.open, timers: o.timers, random: o.random, handlers });
  }

  /** Every open incident the wall may see. */
  open(): Incident[] {
    return this.client.state.of<Incident>('incident').map((it) => it.data);
  }

  /** The newest few, with those that ended a moment ago still among them. */
  latest(): Incident[] {
    const now = this.o.timers.now();
    for (const [id, e] of this.ended) if (now - e.at > LINGER_MS) this.ended.delete(id);
    const lingering = [...this.ended.values()].map((e) => e.incident);
    return [...this.open(), ...lingering].sort(newestFirst).slice(0, LATEST);
  }

  /** Leaves nothing of what came over the line, which is ended: what the next person sees is theirs. */
  forget(): void {
    this.client.forget();
    this.ended.clear();
    this.known.clear();
    this.announced.clear();
    this.arrivedAt.clear();
  }

  freshness(): Freshness {
    return judge(this.client.link, this.lastFrameAt, this.o.timers.now(), this.clock, this.behind);
  }

  serverNow(): number {
    return this.clock.now(this.o.timers.now());
  }

  private onReset(m: ResetMessage, first: boolean): void {
    this.ended.clear();
    for (const i of this.open()) {
      const news = !first && !this.known.has(i.id) && this.serverNow() - Date.parse(i.reported_at) < NEWS_MS;
      this.remember(i.id);
      if (news) this.announce(i);
    }
    this.o.moved(m.head, true);
    this.o.changed();
  }

  private onEvent(m: EventMessage): void {
    this.lagMs = Math.max(0, this.serverNow() - Date.parse(m.at));
    if (m.entity.kind === 'incident' && m.live !== 'none') {
      const i = m.data as Incident;
      if (m.live === 'end') {
        this.ended.set(i.id, { incident: i, at: this.o.timers.now() });
      } else {
        this.ended.delete(i.id);
        if (!this.known.has(i.id)) {
          this.remember(i.id);
          if (!i.history) this.announce(i);
        }
      }
    }
    if (m.kind === 'grids.enacted') this.o.gridsEnacted(m.seq);
    this.onMoved();
  }

  private onMoved(): void {
    this.o.moved(this.client.state.head, false);
    this.o.changed();
  }

  private announce(i: Incident): void {
    this.announced.set(i.id, (this.announced.get(i.id) ?? 0) + 1);
    this.arrivedAt.set(i.id, this.o.timers.now());
    this.o.arrived(i);
  }

  /** Bounded: the oldest names go, unless they are still open. */
  private remember(id: string): void {
    this.known.add(id);
    if (this.known.size <= REMEMBERED) return;
    for (const old of this.known) {
      if (this.known.size <= REMEMBERED / 2) break;
      if (this.client.state.get('incident', old)) continue;
      this.known.delete(old);
      this.announced.delete(old);
      this.arrivedAt.delete(old);
    }
  }
}
