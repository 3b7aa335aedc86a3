// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// The one connection manager of a page. It keeps a WebSocket of `onemap.v1`
// alive, resumes by epoch, seq and scope, and hands on every event exactly
// once and in order:
//
//   open -> hello -> reset | resume -> event, gone, skip, positions, tick ...
//             ^                           |
//             +------ gap: hello again ---+      close -> wait -> open
//
// It knows nothing of the page: sockets, timers and chance are given to it.

import { Backoff } from './backoff';
import {
  type EventMessage,
  type GoneMessage,
  type Hello,
  type Message,
  parseFrame,
  type ResetMessage,
  type TickMessage,
} from './message';
import { decodePositions, type Positions, readPositions } from './positions';
import { LiveState } from './state';

export const SUBPROTOCOL = 'onemap.v1';
export const CLOSE_SIGN_IN = 4001;
export const CLOSE_SCOPE = 4003;
export const CLOSE_SLOW = 4008;
export const CLOSE_RESTART = 1012;

/** No frame for so long (ticks come every 2 s) means a dead line: give it up and open another. */
const SILENCE_MS = 12_000;
const WATCH_MS = 1000;
const LONGEST_ORDERED_WAIT_MS = 30_000;

/** The part of WebSocket the client uses. */
export interface SocketLike {
  binaryType: string;
  onopen: (() => void) | null;
  onmessage: ((e: { data: unknown }) => void) | null;
  onclose: ((e: { code: number; reason: string }) => void) | null;
  send(text: string): void;
  close(code?: number, reason?: string): void;
}

export interface Timers {
  now(): number;
  set(fn: () => void, ms: number): unknown;
  clear(id: unknown): void;
}

export type Link = 'connecting' | 'live' | 'lost' | 'signed-out';

/** What the page is told. Each call is made after the state has changed. */
export interface Handlers {
  link?(link: Link): void;
  frame?(): void;
  reset?(m: ResetMessage, first: boolean): void;
  event?(m: EventMessage, before: unknown): void;
  gone?(m: GoneMessage): void;
  positions?(p: Positions): void;
  tick?(m: TickMessage): void;
}

export interface Options {
  open(): SocketLike;
  timers: Timers;
  random(): number;
  handlers: Handlers;
}

/** What went over the wire, for tests and the diagnostic line. */
export interface Counters {
  frames: number;
  opened: number;
  resets: number;
  resumes: number;
  gaps: number;
  duplicates: number;
  faults: number;
}

export class LiveClient {
  readonly state = new LiveState();
  readonly counters: Counters = { frames: 0, opened: 0, resets: 0, resumes: 0, gaps: 0, duplicates: 0, faults: 0 };
  link: Link = 'connecting';
  epoch = '';
  scope = '';

  private socket: SocketLike | null = null;
  private retry: unknown = null;
  private watch: unknown = null;
  private lastFrame = 0;
  private answered = false; // the hello of this connection has had its reset or resume
  private asked = -1; // head at which the last gap was reported
  private tickGap = -1; // head at which a tick first ran ahead of us
  private readonly backoff: Backoff;

  constructor(private readonly o: Options) {
    this.backoff = new Backoff(o.random);
  }

  /** Opens the line. Harmless when it is open or being opened. */
  start(): void {
    if (this.socket || this.link === 'signed-out') return;
    this.stopTimers();
    this.answered = false;
    this.asked = this.tickGap = -1;
    const s = this.o.open();
    this.socket = s;
    this.lastFrame = this.o.timers.now();
    s.binaryType = 'arraybuffer';
    s.onopen = () => this.hello();
    s.onmessage = (e) => this.receive(s, e.data);
    s.onclose = (e) => this.closed(s, e.code, e.reason);
    this.watch = this.o.timers.set(() => this.listen(), WATCH_MS);
  }

  /** Ends the line for good, or until start. */
  stop(): void {
    this.stopTimers();
    this.drop();
  }

  /** The browser says the network is gone: do not wait for the socket to notice. */
  offline(): void {
    if (!this.socket) return;
    this.drop();
    this.lose(this.backoff.next());
  }

  /** Tries at once instead of waiting out the pause. */
  hurry(): void {
    if (this.socket || this.link === 'signed-out') return;
    this.backoff.reset();
    this.start();
  }

  /** The server no longer knows this session (a refused handshake only looks like a lost line): stop trying. */
  signOut(): void {
    this.stop();
    this.setLink('signed-out');
  }

  /** Leaves nothing of what came over the line, which is ended: the next one begins with a snapshot. */
  forget(): void {
    this.epoch = '';
    this.state.reset(0, []);
  }

  /** A new session stands: forget that the old one ended. */
  signedIn(): void {
    if (this.link === 'signed-out') this.setLink('lost');
    this.hurry();
  }

  private hello(): void {
    const h: Hello = { type: 'hello', topics: ['events', 'positions'], positions: 'binary' };
    if (this.epoch) {
      h.epoch = this.epoch;
      h.seq = this.state.head;
      h.scope = this.scope;
    }
    this.answered = false;
    this.socket?.send(JSON.stringify(h));
  }

  private receive(s: SocketLike, data: unknown): void {
    if (s !== this.socket) return;
    this.lastFrame = this.o.timers.now();
    this.counters.frames++;
    this.o.handlers.frame?.();
    try {
      if (typeof data === 'string') {
        for (const m of parseFrame(data)) this.take(m);
      } else if (data instanceof ArrayBuffer && this.answered) {
        this.o.handlers.positions?.(decodePositions(data));
      }
    } catch {
      // What we hold may have a hole now; start over from a snapshot.
      this.counters.faults++;
      this.epoch = '';
      this.drop();
      this.lose(this.backoff.next());
    }
  }

  private take(m: Message): void {
    switch (m.type) {
      case 'reset':
        this.onReset(m);
        return;
      case 'resume':
        this.onResume(m.epoch);
        return;
      case 'event':
      case 'gone':
        this.onEvent(m);
        return;
      case 'skip':
        if (this.answered) this.state.skip(m.to);
        return;
      case 'positions':
        if (this.answered) this.o.handlers.positions?.(readPositions(m));
        return;
      case 'tick':
        this.onTick(m);
        return;
    }
  }

  private onReset(m: ResetMessage): void {
    const first = this.counters.resets === 0;
    this.counters.resets++;
    this.epoch = m.epoch;
    this.scope = m.scope;
    this.state.reset(m.head, m.snapshot.items);
    this.proved();
    this.o.handlers.reset?.(m, first);
  }

  private onResume(epoch: string): void {
    if (epoch !== this.epoch) throw new Error('resumed into another epoch');
    this.counters.resumes++;
    this.proved();
  }

  private proved(): void {
    this.answered = true;
    this.tickGap = -1;
    if (this.link !== 'live') this.counters.opened++;
    this.backoff.reset();
    this.setLink('live');
  }

  private onEvent(m: EventMessage | GoneMessage): void {
    if (!this.answered) return; // asked again: what is missing is on its way, in order
    if (m.seq <= this.state.head) {
      this.counters.duplicates++;
      return;
    }
    if (m.seq > this.state.head + 1) {
      this.gap();
      return;
    }
    const before = m.type === 'event' ? this.state.get(m.entity.kind, m.entity.id)?.data : undefined;
    this.state.apply(m);
    if (m.type === 'event') this.o.handlers.event?.(m, before);
    else this.o.handlers.gone?.(m);
  }

  private onTick(m: TickMessage): void {
    this.o.handlers.tick?.(m);
    if (!this.answered || m.head <= this.state.head) {
      this.tickGap = -1;
    } else if (this.tickGap === this.state.head) {
      this.gap(); // two ticks in a row ran ahead and nothing came between them
    } else {
      this.tickGap = this.state.head;
    }
  }

  private gap(): void {
    if (this.asked === this.state.head) this.epoch = ''; // asked already and still not whole: take a snapshot
    this.counters.gaps++;
    this.asked = this.state.head;
    this.hello();
  }

  private closed(s: SocketLike, code: number, reason: string): void {
    if (s !== this.socket) return;
    this.socket = null;
    if (code === CLOSE_SIGN_IN) {
      this.stopTimers();
      this.setLink('signed-out');
      return;
    }
    if (code === CLOSE_SCOPE) this.epoch = ''; // what we hold belongs to another scope
    this.lose(code === CLOSE_RESTART ? orderedWait(reason, this.backoff) : this.backoff.next());
  }

  private lose(wait: number): void {
    this.stopTimers();
    this.setLink('lost');
    this.retry = this.o.timers.set(() => this.start(), wait);
  }

  /** Gives up a line on which nothing has come for too long. */
  private listen(): void {
    if (this.o.timers.now() - this.lastFrame > SILENCE_MS) {
      this.drop();
      this.lose(this.backoff.next());
      return;
    }
    this.watch = this.o.timers.set(() => this.listen(), WATCH_MS);
  }

  private drop(): void {
    const s = this.socket;
    this.socket = null;
    if (!s) return;
    s.onopen = s.onmessage = s.onclose = null;
    s.close();
  }

  private setLink(l: Link): void {
    if (this.link === l) return;
    this.link = l;
    this.o.handlers.link?.(l);
  }

  private stopTimers(): void {
    if (this.retry !== null) this.o.timers.clear(this.retry);
    if (this.watch !== null) this.o.timers.clear(this.watch);
    this.retry = this.watch = null;
  }
}

/** A restarting server may say in its reason how many ms to stay away. */
function orderedWait(reason: string, backoff: Backoff): number {
  const said = /\d+/.exec(reason);
  return said ? Math.min(Number(said[0]), LONGEST_ORDERED_WAIT_MS) : backoff.next();
}
