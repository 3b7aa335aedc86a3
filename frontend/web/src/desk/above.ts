// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// What the desk does for others and above them: a called department's word by telephone,
// a supervision of a level below, a decision on what somebody else asked for
// (docs/WHISTLES.md, docs/CLOCKS.md, docs/INCIDENTS.md). The server decides; this keeps
// away what it would refuse.

import { shallowRef } from 'vue';
import type { Session } from '../session/rest';
import type { Timers } from '../wire/client';
import type { DeskApi } from './api';
import type { Beside } from './beside';
import { LEADER, type Matter, type MatterKey } from './matters';
import type { Case, Waiting, Whistle } from './types';

export const ABOVE = ['word', 'supervise', 'decide'] as const;
export type AboveKey = (typeof ABOVE)[number];
export type AnyKey = MatterKey | AboveKey;
export const isAbove = (key: AnyKey): key is AboveKey => (ABOVE as readonly string[]).includes(key);

/** States in which the clock of a stage, and that of a supervision's answer, stands still. */
export const STANDING = new Set(['suspended', 'resolved', 'verified']);

/** Who decides requests: the county's desk, and its leader. */
export const DECIDERS = ['hall_operator', 'dispatcher', LEADER];

/** Whoever sits at the desk, as far as it matters here. */
export type Me = Partial<Pick<Session, 'grid'>>;

/** The level of this person's grid among those an incident lies in; 0 where it is none of them. */
export const levelIn = (i: Case, me: Me): number => i.grid?.path.find((g) => g.code === me.grid?.code)?.level ?? 0;

/** Whether this person may supervise an incident: from a level above the one that owes it, at the county from the county. */
export function supervises(i: Case, me: Me): boolean {
  const level = levelIn(i, me);
  return i.open && level > 0 && (level < i.owner_level || (level === 1 && i.owner_level === 1));
}

/** Called departments that the desk may still say something of. */
export const silent = (w: Whistle) => w.calls.filter((c) => c.state === 'called' || c.state === 'reported');

/** What a key of these does for an incident as it stands; null where there is nothing to do. */
export function aboveOf(
  key: AboveKey,
  i: Case,
  role: string,
  me: Me,
  b: Pick<Beside, 'whistles'>,
  waits: Waiting | undefined,
): Matter | null {
  if (key === 'decide') return waits ? { kind: 'decide', of: waits.request } : null;
  if (role === LEADER) return null;
  if (key === 'supervise') return supervises(i, me) ? { kind: 'supervise' } : null;
  const of = b.whistles.value.find((w) => w.state === 'running' && silent(w).length > 0);
  return of ? { kind: 'word', of } : null;
}

const LOOK_MS = 30_000;
const AGAIN_MS = 5_000; // after a look that failed

/** The requests that wait for whoever sits here, looked for again after a while. */
export class Deciding {
  readonly items = shallowRef<Waiting[]>([]);
  /** There are more than the list holds. */
  readonly more = shallowRef(false);
  /** Whether the list is as the server had it when it was last looked for. */
  readonly stand = shallowRef<'reading' | 'read' | 'failed'>('reading');
  private timer: unknown;
  private turn = 0;
  private newest = Promise.resolve();
  private running = false;

  constructor(
    private readonly api: DeskApi,
    private readonly timers: Timers,
    private readonly role: () => string,
  ) {}

  /** The oldest that waits about an incident. */
  of(incident: string): Waiting | undefined {
    return this.items.value.find((w) => w.incident === incident);
  }

  start(): void {
    this.running = true;
    void this.look();
  }

  /** Reads again what could not be read, and says so until the answer. */
  again(): Promise<void> {
    if (this.stand.value === 'failed') this.stand.value = 'reading';
    return this.look();
  }

  /** Reads what waits; an answer that a newer look has overtaken is that one's. */
  look(): Promise<void> {
    this.newest = this.read();
    return this.newest;
  }

  private async read(): Promise<void> {
    const turn = ++this.turn;
    this.timers.clear(this.timer);
    if (this.running) this.timer = this.timers.set(() => void this.look(), LOOK_MS);
    const found = DECIDERS.includes(this.role()) ? await this.api.waiting().catch(() => null) : { items: [], more: false };
    if (turn !== this.turn) return this.newest;
    this.stand.value = found ? 'read' : 'failed';
    if (!found) {
      this.timers.clear(this.timer);
      if (this.running) this.timer = this.timers.set(() => void this.look(), AGAIN_MS);
      return;
    }
    this.items.value = found.items;
    this.more.value = found.more;
  }

  stop(): void {
    this.running = false;
    this.turn++;
    this.newest = Promise.resolve();
    this.timers.clear(this.timer);
    this.items.value = [];
    this.more.value = false;
    this.stand.value = 'reading';
  }
}
