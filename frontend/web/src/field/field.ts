// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// The field page's one controller: who is in, the line, what waits to be sent, and the
// page's parts: own offers, visits, reports with their files, the shift with its places.
// Nothing a worker does is lost with the line.

import { computed, type InjectionKey, inject, ref, shallowRef, watch } from 'vue';
import { Problem } from '../session/problem';
import type { Session } from '../session/rest';
import type { SessionStore } from '../session/store';
import { Touches } from '../ui/touch';
import { LiveClient, type Timers } from '../wire/client';
import { openSocket } from '../wire/socket';
import { type Category, type Draft, emptyDraft } from './draft';
import { Duty, type Shift } from './duty';
import { leaveNothing } from './leave';
import { Offers } from './offers';
import { isReceipt, type Letter, later, Outbox } from './outbox';
import { alone, type Phone } from './phone';
import { ageOf } from './place';
import { Reports } from './reports';
import type { PhoneShelf } from './shelf';
import type { Task } from './tasks';
import { pathOf, sendFile } from './upload';
import { type Visit, VisitList } from './visits';

const MINUTE_MS = 60_000;
/** A phone's clock that is off by so much is told. */
const OFF_MS = 2 * MINUTE_MS;
/** A clock that goes so far in a beat against the one that nobody sets was set, or the phone slept. */
const SET_MS = 10_000;
/** How long what was known of the clock is believed without a line, and so often it is written down anew. */
const KEPT_MS = 24 * 60 * MINUTE_MS;
const KEEP_MS = 60 * MINUTE_MS;
/** So often visits are read again: there are no events of them. */
const VISITS_MS = 5 * MINUTE_MS;

/** How far the server's clock was ahead, and when that was heard, by the phone's. */
interface KeptClock {
  ahead: number;
  at: number;
}

export class Field implements Phone {
  readonly letters = shallowRef<Letter[]>([]);
  readonly online = ref(true);
  readonly now = ref(Date.now());
  readonly minute = ref(fullMinute(Date.now()));
  readonly told = shallowRef<{ number: string; done: boolean } | null>(null);
  /** Bytes of each file that the server has. */
  readonly progress = shallowRef<ReadonlyMap<string, number>>(new Map());
  /** By how many minutes the phone's clock is slow, below 0 fast; 0 when it is about right or nobody knows. */
  readonly slowMin = ref(0);
  /** A newer version of the page is there; to be called to change to it. */
  readonly fresher = shallowRef<(() => void) | null>(null);
  readonly toSend = computed(() => this.letters.value.filter((l) => !l.refused && !isReceipt(l)));
  readonly refused = computed(() => this.letters.value.filter((l) => l.refused && !isReceipt(l)));

  readonly outbox: Outbox;
  readonly duty: Duty;
  readonly offers: Offers;
  readonly visits: VisitList;
  readonly reports: Reports;
  running = false;

  private readonly client: LiveClient;
  private readonly touches = new Touches();
  private beatTimer: unknown = null;
  private keptClock: KeptClock = { ahead: 0, at: 0 };
  /** Both of the phone's clocks at the last beat. */
  private clocks = { date: Date.now(), steady: performance.now() };
  /** Each start and stop ends the start before it. */
  private turn = 0;

  constructor(
    readonly session: SessionStore,
    readonly shelf: PhoneShelf,
    readonly timers: Timers,
  ) {
    this.outbox = new Outbox({
      shelf,
      send: (l) => this.send(l),
      timers,
      login: () => this.login,
      changed: (mine) => {
        this.letters.value = mine;
      },
      sent: (l, answer) => this.sent(l, answer),
      alone,
    });
    this.duty = new Duty(this);
    this.offers = new Offers(this, () => {
      this.online.value = false;
    });
    this.visits = new VisitList(this, this.duty);
    this.reports = new Reports(this, this.duty);
    const again = () => this.offers.gather();
    this.client = new LiveClient({
      open: openSocket,
      timers,
      random: Math.random,
      handlers: {
        link: (l) => {
          this.online.value = l === 'live';
          if (l === 'live') this.hurry();
          if (l === 'signed-out') void session.check();
        },
        reset: again,
        event: (m) => {
          if (m.entity.kind === 'offer' || m.entity.kind === 'incident') again();
        },
        gone: again,
      },
    });
    session.recall = async () => {
      const me = await shelf.kept<Session>('me');
      await this.recallClock();
      return me && Date.parse(me.expires ?? '') > this.serverNow() ? me : undefined;
    };
    leaveNothing(
      session,
      shelf,
      (login) => this.left(login),
      () => this.reports.readying,
    );
    watch([session.phase, session.me, session.locked], ([phase, me, locked]) => {
      if (phase === 'in' && me && me.role !== 'wall') void shelf.keep('me', { ...me, locked }).catch(() => {});
      else if (phase === 'door') void this.forget(session.login.value);
    });
    watch(session.locked, (locked) => locked || this.outbox.hurry());
  }

  async start(): Promise<void> {
    addEventListener('online', this.back);
    addEventListener('offline', this.away);
    document.addEventListener('visibilitychange', this.shown);
    const turn = ++this.turn;
    const { login } = this;
    const kept = async <T>(key: string, otherwise: T) => (await this.shelf.kept<T>(key).catch(() => undefined)) ?? otherwise;
    await this.recallClock();
    if (turn !== this.turn) return;
    this.beat();
    const [offers, visits, categories, recent, draft, shift] = await Promise.all([
      kept<Task[]>(`offers ${login}`, []),
      kept<Visit[]>(`visits ${login}`, []),
      kept<Category[]>('categories', []),
      kept<string[]>(`recent ${login}`, []),
      kept<Draft>(`draft ${login}`, emptyDraft()),
      kept<Shift | null>(`shift ${login}`, null),
    ]);
    if (turn !== this.turn) return;
    this.offers.known.value = offers;
    this.visits.known.value = visits;
    this.reports.categories.value = categories;
    this.reports.recent.value = recent;
    this.reports.draft.value = draft;
    this.running = true;
    await this.outbox.open();
    if (turn !== this.turn) return;
    this.duty.resume(shift);
    const wanted = [...this.letters.value, ...this.reports.draft.value.files].map((x) => x.ref);
    await this.shelf.tidyFiles(login, new Set(wanted)).catch(() => {});
    if (turn !== this.turn) return;
    this.client.signedIn();
    await Promise.all([
      this.offers.load(),
      this.visits.load(),
      this.reports.loadCategories(),
      this.duty.load(),
      this.duty.flush(),
    ]);
  }

  /** Nothing of the one who goes stays in the page's memory. */
  stop(): void {
    this.turn++;
    this.running = false;
    removeEventListener('online', this.back);
    removeEventListener('offline', this.away);
    document.removeEventListener('visibilitychange', this.shown);
    this.timers.clear(this.beatTimer);
    this.client.stop();
    this.outbox.stop();
    this.letters.value = [];
    this.offers.clear();
    this.visits.clear();
    this.reports.clear();
    this.duty.clear();
    this.told.value = null;
    this.progress.value = new Map();
  }

  get login(): string {
    return this.session.login.value;
  }

  touch(about: string): boolean {
    return this.touches.first(about);
  }

  serverNow(): number {
    return Date.now() + this.session.http.ahead;
  }

  private async send(l: Letter): Promise<unknown> {
    const { http } = this.session;
    if (l.file) return this.sendFile(l);
    if (l.method === 'DELETE') {
      await http.del(pathOf(l)).catch((e) => {
        if (!(e instanceof Problem) || e.status !== 404) throw e; // it is gone already
      });
      return undefined;
    }
    const headers = l.incident ? { ...l.headers, 'If-Match': `"${l.incident.version}"` } : l.headers;
    try {
      const answer = await http.post<unknown>(pathOf(l), l.body, headers);
      if (l.about.visit) await this.visits.answered(l, answer as Visit & { repeated?: boolean });
      return answer;
    } catch (e) {
      if (l.about.visit && e instanceof Problem && !later(e)) void this.visits.load(); // it stands otherwise than the list says
      throw e;
    }
  }

  private async sendFile(l: Letter): Promise<void> {
    const kept = await this.shelf.file(l.ref);
    if (!kept) throw new Problem(410, 'about:blank', ''); // the browser has cleared it away
    const say = (sent: number) => {
      this.progress.value = new Map(this.progress.value).set(l.ref, sent);
    };
    await sendFile(l, kept.blob, (method, path, headers, body) => this.session.http.bytes(method, path, headers, body), say);
  }

  private sent(l: Letter, answer: unknown): void {
    const { number = '' } = (answer ?? {}) as { number?: string };
    if (l.about.kind === 'report') this.told.value = { number, done: false };
    if (l.about.kind === 'resolve') this.told.value = { number, done: true };
    if (l.about.visit) void this.visits.load();
    else if (!isReceipt(l)) this.offers.gather();
  }

  /** Somebody signs out by hand, after a warning where something was unsent: nothing of theirs is written down any more. */
  private async left(login: string): Promise<void> {
    this.running = false;
    this.reports.stop();
    await this.outbox.forget(login);
  }

  /** The session is over: what the server told goes, what was not sent yet waits for its writer. */
  private async forget(login: string): Promise<void> {
    const me = await this.shelf.kept<Session>('me').catch(() => undefined);
    if (me && me.login !== login)
      await this.shelf.forget(`offers ${me.login}`, `visits ${me.login}`, `shift ${me.login}`).catch(() => {});
    await this.shelf.forget('me', `offers ${login}`, `visits ${login}`, `shift ${login}`).catch(() => {});
  }

  /** Before any answer has told the time the clock is as wrong as it was last, if that is not long ago. */
  private async recallClock(): Promise<void> {
    const { http } = this.session;
    const kept = await this.shelf.kept<KeptClock>('ahead').catch(() => undefined);
    const age = Date.now() - (kept?.at ?? Number.NaN);
    if (kept && age >= 0 && age < KEPT_MS) this.keptClock = kept;
    if (!http.heardAt) http.ahead = this.keptClock.ahead;
  }

  private keepClock(): void {
    const { ahead, heardAt } = this.session.http;
    const old = this.keptClock;
    const same = Math.abs(ahead - old.ahead) < 1000; // the header Date is to the second
    if (!heardAt || (same && (!ahead || heardAt - old.at < KEEP_MS))) return;
    this.keptClock = { ahead, at: heardAt };
    void (ahead ? this.shelf.keep('ahead', this.keptClock) : this.shelf.forget('ahead')).catch(() => {});
  }

  /**
   * What is known of the clock is of no use once it was set: it went back, or on by just
   * what it was slow. One that went on otherwise may have stood still by the other, in a
   * phone that slept: it is believed, but not as heard.
   */
  private watchClock(): void {
    const { http } = this.session;
    const [date, steady] = [Date.now(), performance.now()];
    const jump = date - this.clocks.date - (steady - this.clocks.steady);
    this.clocks = { date, steady };
    if (Math.abs(jump) < SET_MS) return;
    http.heardAt = 0;
    if (jump > 0 && Math.abs(jump - http.ahead) >= SET_MS) return;
    http.ahead = 0;
    this.keptClock = { ahead: 0, at: 0 };
    void this.shelf.forget('ahead').catch(() => {});
  }

  private beat(): void {
    this.watchClock();
    this.keepClock();
    const before = this.now.value;
    this.now.value = Date.now();
    this.minute.value = fullMinute(this.serverNow());
    const { ahead } = this.session.http;
    this.slowMin.value = Math.abs(ahead) < OFF_MS ? 0 : Math.round(ahead / MINUTE_MS);
    this.duty.expire();
    if (fullMinute(before) !== fullMinute(this.now.value)) {
      void this.duty.load(); // ended by the desk, say
      if (ageOf(this.visits.loadedAt.value, this.serverNow()) >= VISITS_MS) void this.visits.load();
    }
    this.beatTimer = this.timers.set(() => this.beat(), 1000);
  }

  private hurry(): void {
    this.outbox.hurry();
    void this.duty.flush();
  }

  private readonly back = () => {
    this.client.hurry();
    this.hurry();
    void this.offers.load();
    void this.visits.load();
  };
  private readonly away = () => this.client.offline();
  private readonly shown = () => {
    this.duty.track();
    if (document.visibilityState === 'visible') this.back();
  };
}

const fullMinute = (ms: number) => Math.floor(ms / MINUTE_MS) * MINUTE_MS;

export const FIELD: InjectionKey<Field> = Symbol('field');

export function useField(): Field {
  const f = inject(FIELD);
  if (!f) throw new Error('no field page is provided');
  return f;
}
