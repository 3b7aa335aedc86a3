// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// What of the patrols is a worker's to visit today (docs/PATROLS.md), as it is once
// everything in the outbox has arrived.

import { computed, shallowRef } from 'vue';
import { Problem } from '../session/problem';
import { newRef } from '../wire/ref';
import type { Duty } from './duty';
import type { Letter } from './outbox';
import type { Phone } from './phone';
import { metresBetween } from './tasks';

export interface Visit {
  id: string;
  patrol_name: string;
  state: 'due' | 'done' | 'missed' | 'late' | 'void';
  name: string;
  grid_name: string;
  /** WGS-84; null: the grid itself. */
  point: { lon: number; lat: number } | null;
  opens_at: string;
  closes_at: string;
  /** When a visit counts, in order. */
  windows: { from: string; to: string }[];
  stay_min: number;
  seen: { at: string } | null;
  said: { at: string; text: string; there: boolean | null } | null;
}

/** A visit with when its word was written that has not arrived yet, in unix ms. */
export type OwnVisit = Visit & { waiting: number };

const HOUR_MS = 3_600_000;
const PAGE = 200;
const PAGES_MOST = 10;

/** Whether it has still to be made, or made up for. */
export const open = (v: OwnVisit): boolean => !v.waiting && (v.state === 'due' || v.state === 'missed');

/** Whether nobody has told of it: the server takes one word, of a visit that fixes have noted too. */
export const tellable = (v: OwnVisit): boolean => !v.waiting && !v.said && v.state !== 'void';

/** The stretch of time that counts now, or comes next; null when the last one is over. `on` says that it is now. */
export function window(v: Visit, now: number): { on: boolean; from: number; to: number } | null {
  for (const w of v.windows) {
    const [from, to] = [Date.parse(w.from), Date.parse(w.to)];
    if (now < to) return { on: now >= from, from, to };
  }
  return null;
}

/** Whether word of it may be given now: within its windows, or after the last of them. */
export const sayable = (v: Visit, now: number): boolean => window(v, now)?.on ?? true;

/** What can be done now first, the nearest of it on top; then what comes later today; what is made last. */
export function inOrder(
  visits: readonly Visit[],
  letters: readonly Letter[],
  now: number,
  here: [number, number] | null,
): OwnVisit[] {
  const waits = new Map(letters.filter((l) => l.about.visit && !l.refused).map((l) => [l.about.visit, l.at]));
  const far = (v: Visit) => (here && v.point ? metresBetween(here, [v.point.lon, v.point.lat]) : Number.POSITIVE_INFINITY);
  const rank = (v: OwnVisit) => (!open(v) ? 3 : v.state === 'missed' ? 1 : sayable(v, now) ? 0 : 2);
  return visits
    .filter((v) => v.state !== 'void')
    .map((v) => ({ v: { ...v, waiting: waits.get(v.id) ?? 0 }, far: far(v) }))
    .map((x) => ({ ...x, rank: rank(x.v) }))
    .sort(
      (a, b) =>
        a.rank - b.rank ||
        (a.far === b.far ? 0 : a.far - b.far) ||
        a.v.closes_at.localeCompare(b.v.closes_at) ||
        Number(a.v.id) - Number(b.v.id),
    )
    .map((x) => x.v);
}

/** The visits of whoever is in: those of today, and what was missed since yesterday at this time. */
export class VisitList {
  readonly known = shallowRef<Visit[]>([]);
  /** When they last came from the server, in unix ms; 0 when they never did. */
  readonly loadedAt = shallowRef(0);
  readonly own = computed(() => {
    const me = this.duty.me.value;
    return inOrder(this.known.value, this.phone.letters.value, this.phone.minute.value, me && [me.lon, me.lat]);
  });
  private turn = 0;

  constructor(
    private readonly phone: Phone,
    private readonly duty: Pick<Duty, 'me'>,
  ) {}

  /** Reads them all again. Where the account has none to make the list is empty. */
  async load(): Promise<void> {
    if (!this.phone.running) return;
    const { session, shelf, login } = this.phone;
    const now = this.phone.serverNow();
    const turn = ++this.turn;
    const out: Visit[] = [];
    const from = new Date(now - 24 * HOUR_MS).toISOString();
    const to = new Date(endOfDay(now)).toISOString();
    try {
      for (let cursor: string | undefined, n = 0; n < PAGES_MOST; n++) {
        const page: { items: Visit[]; cursor: string | null } = await session.http.get('/api/v1/visits', {
          from,
          to,
          limit: PAGE,
          cursor,
        });
        out.push(...page.items);
        if (!page.cursor) break;
        cursor = page.cursor;
      }
    } catch (e) {
      if (!(e instanceof Problem) || (e.status !== 403 && e.status !== 404)) return; // those kept from before will do
    }
    if (turn !== this.turn) return; // an older answer, or somebody else is in
    this.known.value = out;
    this.loadedAt.value = now;
    await shelf.keep(`visits ${login}`, out).catch(() => {});
  }

  /**
   * The server has just said how a visit stands: a list that is on its way is older than
   * that. It throws a Problem where another word came first, and this one does not count.
   */
  async answered(l: Letter, v: Visit & { repeated?: boolean }): Promise<void> {
    if (this.phone.running && l.login === this.phone.login) {
      this.turn++;
      this.known.value = this.known.value.map((x) => (x.id === v.id ? v : x));
      await this.phone.shelf.keep(`visits ${l.login}`, this.known.value).catch(() => {});
    }
    const own = Date.parse(v.said?.at ?? '') === Date.parse(String(l.body.at)) || v.said?.text === l.body.text;
    if (v.repeated && !own) throw new Problem(409, 'visit-told', '');
  }

  /**
   * Says that a visit has been made, and what was seen; written down first, sent when
   * there is a line. Words about it that were refused go. False for the second touch of a
   * double one.
   */
  async say(v: Pick<Visit, 'id' | 'name'>, text: string): Promise<boolean> {
    if (!this.phone.touch(`visit ${v.id}`)) return false;
    const ref = newRef();
    const at = this.phone.serverNow();
    await this.phone.outbox.post({
      ref,
      login: this.phone.login,
      at,
      path: `/api/v1/visits/${v.id}/word`,
      body: { text, at: new Date(at).toISOString() },
      headers: { 'Idempotency-Key': ref },
      about: { kind: 'visit', title: v.name, visit: v.id },
    });
    for (const l of this.refused(v.id)) await this.phone.outbox.dismiss(l.ref).catch(() => {}); // the new word is written down: it goes from the screen
    return true;
  }

  /** The words about a visit that the server would not have. */
  refused(id: string): Letter[] {
    return this.phone.letters.value.filter((l) => l.about.visit === id && l.refused);
  }

  /** What was written in them, each text once. */
  refusedText(id: string): string {
    return [...new Set(this.refused(id).map((l) => String(l.body.text ?? '')))].join('\n');
  }

  /** Nothing of the one who goes stays. */
  clear(): void {
    this.turn++;
    this.known.value = [];
    this.loadedAt.value = 0;
  }
}

const CHINA_MS = 8 * HOUR_MS;

/** Midnight after now, by China's one time zone. */
const endOfDay = (now: number) => (Math.floor((now + CHINA_MS) / (24 * HOUR_MS)) + 1) * 24 * HOUR_MS - CHINA_MS;
