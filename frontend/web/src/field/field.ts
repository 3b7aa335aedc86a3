// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// The field page's one controller: own offers, live and offline, what was done with
// them, reports with their files, the shift and the places measured in it. Nothing a
// worker does is lost with the line.

import { computed, type InjectionKey, inject, ref, shallowRef, watch } from 'vue';
import { Problem } from '../session/problem';
import type { Session } from '../session/rest';
import type { SessionStore } from '../session/store';
import { LiveClient, type Timers } from '../wire/client';
import { newRef } from '../wire/ref';
import { openSocket } from '../wire/socket';
import {
  type Category,
  type Draft,
  type DraftPlace,
  draftFile,
  draftOf,
  emptyDraft,
  fileLetter,
  lettersOf,
  outOfDate,
} from './draft';
import { type FileKind, MOST, type NoFile, readyFile } from './files';
import { leaveNothing } from './leave';
import { isReceipt, type Letter, Outbox } from './outbox';
import { ageOf, type Fix, here, watchHere } from './place';
import type { PhoneShelf } from './shelf';
import { type ActKind, type Task, unanswered, withLetters } from './tasks';
import { Touches } from './touch';
import { type KeptFix, type Locating, Tracker } from './tracker';
import { pathOf, sendFile } from './upload';
import { inOrder, type Visit, VisitList } from './visits';

const POLL_MS = 30_000;
const GATHER_MS = 150;
const BUZZ = [300, 150, 300];
const RECENT_MOST = 12;
const MINUTE_MS = 60_000;
const DRAFT_MS = 300;
/** A place measured so lately is where the phone is; one so old is of no use. */
const FRESH_MS = 20_000;
const STALE_MS = 3 * MINUTE_MS;
/** A phone's clock that is off by so much is told. */
const OFF_MS = 2 * MINUTE_MS;
/** So often visits are read again: there are no events of them. */
const VISITS_MS = 5 * MINUTE_MS;

export interface Shift {
  badge: string;
  started_at: string;
  planned_end: string;
  ends_at: string;
}

export class Field {
  readonly known = shallowRef<Task[]>([]);
  readonly letters = shallowRef<Letter[]>([]);
  /** The list of tasks is what the page shows. */
  readonly listed = ref(false);
  readonly categories = shallowRef<Category[]>([]);
  readonly recent = shallowRef<string[]>([]);
  readonly shift = shallowRef<Shift | null>(null);
  /** Whether this server keeps shifts, and who is in has one to keep; null until it is known. */
  readonly shifts = ref<boolean | null>(null);
  readonly online = ref(true);
  /** When the list last came from the server, in unix ms; 0 when it is not known. */
  readonly loadedAt = ref(0);
  readonly now = ref(Date.now());
  readonly told = shallowRef<{ number: string; done: boolean } | null>(null);
  readonly draft = ref<Draft>(emptyDraft());
  /** A report is just being written down. */
  readonly reporting = ref(false);
  /** A refused report is just being taken back into the form. */
  readonly rewriting = ref(false);
  /** How many files of the draft are just being made ready: it waits for them. */
  readonly pending = ref(0);
  /** Bytes of each file that the server has. */
  readonly progress = shallowRef<ReadonlyMap<string, number>>(new Map());

  readonly locating = ref<Locating>('off');
  /** Where the phone is: on duty, or when the worker asked. */
  readonly me = shallowRef<Fix | null>(null);
  /** When the server last had all places, in unix ms. */
  readonly placedAt = ref(0);
  /** The server kept none of the places sent last, some of them because of their time. */
  readonly clockOff = ref(false);
  /** By how many minutes the phone's clock is slow, below 0 fast; 0 when it is about right or nobody knows. */
  readonly slowMin = ref(0);
  readonly awake = ref(false);
  /** A newer version of the page is there; to be called to change to it. */
  readonly fresher = shallowRef<(() => void) | null>(null);

  readonly tasks = computed(() => withLetters(this.known.value, this.letters.value));
  readonly visits: VisitList;
  readonly ownVisits = computed(() => {
    const me = this.me.value;
    return inOrder(this.visits.known.value, this.letters.value, this.minute.value, me && [me.lon, me.lat]);
  });
  /** The server's time at the last full minute, in unix ms. */
  readonly minute = ref(fullMinute(Date.now()));
  readonly toSend = computed(() => this.letters.value.filter((l) => !l.refused && !isReceipt(l)));
  readonly refused = computed(() => this.letters.value.filter((l) => l.refused && !isReceipt(l)));

  readonly outbox: Outbox;
  private readonly tracker: Tracker;
  private readonly client: LiveClient;
  private timer: unknown = null;
  private beatTimer: unknown = null;
  private gathered = false;
  private shiftTurn = 0;
  private readonly touches = new Touches();
  private known_ = new Set<string>();
  private lock: WakeLockSentinel | null = null;
  private running = false;
  private draftTimer: unknown = null;

  constructor(
    private readonly session: SessionStore,
    readonly shelf: PhoneShelf,
    private readonly timers: Timers,
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
    this.tracker = new Tracker({
      shelf,
      timers,
      login: () => this.login,
      watch: watchHere,
      measure: here,
      ahead: () => session.http.ahead,
      send: (fixes) => session.http.post('/api/v1/positions', placesOf(fixes)),
      changed: (state, last) => {
        this.locating.value = state;
        this.me.value = last;
      },
      sent: (stored, untrue) => {
        if (stored) this.placedAt.value = Date.now();
        if (stored || untrue) this.clockOff.value = !stored; // those off duty say nothing of the clock
      },
      alone,
    });
    this.visits = new VisitList(
      (path, query) => session.http.get(path, query),
      (visits) => shelf.keep(`visits ${this.login}`, visits),
    );
    const again = () => this.gather();
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
      return me && Date.parse(me.expires ?? '') > Date.now() ? me : undefined;
    };
    leaveNothing(session, shelf, (login) => this.left(login));
    watch([session.phase, session.me, session.locked], ([phase, me, locked]) => {
      if (phase === 'in' && me && me.role !== 'wall') void shelf.keep('me', { ...me, locked }).catch(() => {});
      else if (phase === 'door') void this.forget(session.login.value);
    });
    watch(session.locked, (locked) => locked || this.outbox.hurry());
    watch(this.shift, () => this.track());
    watch(this.draft, () => this.draftSoon(), { deep: true });
  }

  async start(): Promise<void> {
    addEventListener('online', this.back);
    addEventListener('offline', this.away);
    document.addEventListener('visibilitychange', this.shown);
    this.beat();
    const kept = async <T>(key: string, otherwise: T) => (await this.shelf.kept<T>(key).catch(() => undefined)) ?? otherwise;
    this.known.value = await kept<Task[]>(`offers ${this.login}`, []);
    this.visits.known.value = await kept<Visit[]>(`visits ${this.login}`, []);
    this.categories.value = await kept<Category[]>('categories', []);
    this.recent.value = await kept<string[]>(`recent ${this.login}`, []);
    this.draft.value = await kept<Draft>(`draft ${this.login}`, emptyDraft());
    this.running = true;
    const shift = await kept<Shift | null>(`shift ${this.login}`, null);
    if (shift && Date.parse(shift.ends_at) > this.serverNow()) {
      this.shift.value = shift;
      this.shifts.value = true;
    }
    await this.outbox.open();
    const wanted = [...this.letters.value, ...this.draft.value.files].map((x) => x.ref);
    await this.shelf.tidyFiles(this.login, new Set(wanted)).catch(() => {});
    this.client.signedIn();
    await Promise.all([this.load(), this.loadVisits(), this.loadCategories(), this.loadShift(), this.tracker.flush()]);
  }

  /** Nothing of the one who goes stays in the page's memory. */
  stop(): void {
    this.running = false;
    removeEventListener('online', this.back);
    removeEventListener('offline', this.away);
    document.removeEventListener('visibilitychange', this.shown);
    this.listed.value = false;
    this.timers.clear(this.timer);
    this.timers.clear(this.beatTimer);
    this.client.stop();
    this.outbox.stop();
    this.tracker.stop();
    this.draft.value = emptyDraft();
    this.letters.value = [];
    this.known.value = [];
    this.known_.clear();
    this.visits.clear();
    this.recent.value = [];
    this.shift.value = null;
    this.shifts.value = null;
    this.told.value = null;
    this.progress.value = new Map();
    this.loadedAt.value = this.placedAt.value = 0;
  }

  /**
   * Says something of an offer; written down first, sent when there is a line. False for
   * the second touch of a double one: by then another button lies under the finger.
   */
  async act(task: Task, kind: ActKind, reason = ''): Promise<boolean> {
    const receipt = kind === 'delivered' || kind === 'seen';
    if (!receipt && !this.touch(task.id)) return false;
    const ref = receipt ? `${kind}-${task.id}` : newRef();
    const at = Date.now();
    await this.outbox.post({
      ref,
      login: this.login,
      at,
      path: `/api/v1/offers/${task.id}/acts`,
      body: { kind, at: new Date(at).toISOString(), client_ref: ref, ...(reason && { reason }) },
      headers: {},
      about: { kind, title: titleOf(task), offer: task.id },
    });
    return true;
  }

  /** False for the second touch of a double one about the same thing. */
  touch(about: string): boolean {
    return this.touches.first(about);
  }

  /** Says that a visit has been made, and what was seen; as act. */
  async say(v: Visit, text: string): Promise<boolean> {
    if (!this.touch(`visit ${v.id}`)) return false;
    const ref = newRef();
    const at = this.serverNow();
    await this.outbox.post({
      ref,
      login: this.login,
      at: Date.now(),
      path: `/api/v1/visits/${v.id}/word`,
      body: { text, at: new Date(at).toISOString() },
      headers: { 'Idempotency-Key': ref },
      about: { kind: 'visit', title: v.name, visit: v.id },
    });
    return true;
  }

  /** The server's time, as far as it is known, in unix ms. */
  serverNow(): number {
    return Date.now() + this.session.http.ahead;
  }

  /** Reports the draft, and begins a new one. What is asked for while one is being written down is the same touch again. */
  async report(c: Category): Promise<void> {
    if (this.reporting.value || this.pending.value) return;
    this.reporting.value = true;
    const written = this.draft.value;
    this.draft.value = emptyDraft();
    try {
      await this.outbox.post(...lettersOf(plain(written), c, this.login, Date.now(), newRef));
    } catch (e) {
      this.draft.value = written;
      throw e;
    } finally {
      this.reporting.value = false;
    }
    this.recent.value = [c.code, ...this.recent.value.filter((x) => x !== c.code)].slice(0, RECENT_MOST);
    await this.shelf.keep(`recent ${this.login}`, this.recent.value).catch(() => {});
  }

  /** Keeps a file for the draft; what it throws is a NoFile. */
  async addFile(kind: FileKind, given: File): Promise<void> {
    if (this.draft.value.files.filter((f) => f.kind === kind).length >= MOST[kind]) throw new Error('many' satisfies NoFile);
    const draft = this.draft.value;
    this.pending.value++;
    try {
      const f = await this.keepFile(kind, given, draft.place);
      if (draft !== this.draft.value) return await this.shelf.removeFile(f.ref); // somebody else's by now
      draft.files.push(f);
      await this.shelf.keep(`draft ${this.login}`, plain(draft));
    } finally {
      this.pending.value--;
    }
  }

  async removeFile(ref: string): Promise<void> {
    this.draft.value.files = this.draft.value.files.filter((f) => f.ref !== ref);
    await this.shelf.removeFile(ref).catch(() => {});
  }

  /** Attaches a file to the incident of a task. */
  async attach(task: Task, kind: FileKind, given: File): Promise<void> {
    const f = await this.keepFile(kind, given);
    await this.outbox.post(fileLetter(f, this.login, titleOf(task), task.incident.id));
  }

  /**
   * Takes a refused report back into the form; what was being written there goes, once its
   * writer has agreed. A file that the browser has cleared away does not come along.
   */
  async rewrite(report: Letter): Promise<void> {
    if (this.rewriting.value) return;
    this.rewriting.value = true;
    try {
      const draft = draftOf(
        report,
        this.letters.value.filter((l) => l.report === report.ref),
      );
      const files: typeof draft.files = [];
      for (const f of draft.files) {
        const kept = await this.shelf.file(f.ref);
        if (!kept) continue;
        f.ref = newRef(); // under a new name: the letters take theirs along
        await this.shelf.putFile({ ...kept, ref: f.ref });
        files.push(f);
      }
      draft.files = files;
      await this.shelf.keep(`draft ${this.login}`, draft);
      await this.outbox.dismiss(report.ref);
      this.draft.value = draft;
    } finally {
      this.rewriting.value = false;
    }
  }

  async startShift(): Promise<void> {
    const ending = this.letters.value.find((l) => l.about.kind === 'endShift');
    if (ending) await this.outbox.dismiss(ending.ref); // it would end the one that begins
    await this.setShift(await this.session.http.post<Shift>('/api/v1/shifts', {}));
    this.clockOff.value = false;
  }

  /** Ends the shift: nothing is measured from now on, even where the server hears of it later. */
  async endShift(): Promise<void> {
    await this.setShift(null);
    await this.outbox.post({
      ref: newRef(),
      login: this.login,
      at: Date.now(),
      method: 'DELETE',
      path: '/api/v1/shifts/current',
      body: {},
      headers: {},
      about: { kind: 'endShift', title: '' },
    });
    await this.tracker.flush();
  }

  /** Measures where the phone is, once, for the worker alone. */
  async locate(): Promise<void> {
    const f = await this.where();
    if (!this.tracker.on) this.me.value = f;
  }

  /** Where the phone is: on duty it has just been measured, and where it cannot be measured anew that may still do. */
  async where(): Promise<Fix> {
    const last = this.me.value;
    const age = last ? ageOf(last.at, Date.now()) : Number.POSITIVE_INFINITY;
    if (last && age < FRESH_MS) return last;
    return here().then(
      (f) => ({ ...f, at: Date.now() }), // the browser's word: no older than ten seconds, whosever clock it was timed by
      (e) => {
        if (last && age < STALE_MS) return last;
        throw e;
      },
    );
  }

  /** Measures the place of the draft; what it throws is a NoFix. */
  async placeDraft(): Promise<void> {
    const draft = this.draft.value;
    const f = await this.where();
    draft.place = { lon: f.lon, lat: f.lat, accuracyM: Math.max(1, f.accuracyM), at: f.at };
  }

  /** The page shows these offers: whoever made them is told. */
  saw(tasks: Task[]): void {
    if (document.visibilityState !== 'visible' || !this.listed.value) return;
    for (const t of tasks) if (t.state === 'offered' || t.state === 'delivered') this.act(t, 'seen').catch(() => {}); // a full phone: the next time
  }

  async load(): Promise<void> {
    if (!this.running) return;
    this.timers.clear(this.timer);
    this.timer = this.timers.set(() => void this.load(), POLL_MS);
    const { login } = this;
    try {
      const { items } = await this.session.http.get<{ items: Task[] }>('/api/v1/offers', { limit: 200 });
      if (!this.running || login !== this.login) return;
      this.take(items);
      await this.shelf.keep(`offers ${login}`, items).catch(() => {});
    } catch (e) {
      if (e instanceof Problem && e.status === 0) this.online.value = false;
    }
  }

  private get login(): string {
    return this.session.login.value;
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
    return http.post(pathOf(l), l.body, headers);
  }

  private async sendFile(l: Letter): Promise<void> {
    const kept = await this.shelf.file(l.ref);
    if (!kept) throw new Problem(410, 'about:blank', ''); // the browser has cleared it away
    const say = (sent: number) => {
      this.progress.value = new Map(this.progress.value).set(l.ref, sent);
    };
    await sendFile(l, kept.blob, (method, path, headers, body) => this.session.http.bytes(method, path, headers, body), say);
  }

  /** Keeps a file with where the phone is; a place of long ago is none. */
  private async keepFile(kind: FileKind, given: File, place: DraftPlace | null = null) {
    const now = Date.now();
    const me = this.me.value && ageOf(this.me.value.at, now) < STALE_MS ? this.me.value : null;
    const measured = place?.accuracyM && !outOfDate(place, now) ? place : null;
    const ready = await readyFile(kind, given);
    const f = draftFile(newRef(), ready, now, me ?? measured);
    try {
      await this.shelf.putFile({ ref: f.ref, login: this.login, blob: ready.blob });
    } catch {
      throw new Error('full' satisfies NoFile);
    }
    void navigator.storage?.persist?.().catch(() => {}); // the browser may not clear it away then
    return f;
  }

  private take(items: Task[]): void {
    const fresh = items.filter((t) => unanswered(t) && !this.known_.has(t.id));
    for (const t of items) this.known_.add(t.id);
    this.known.value = items;
    this.loadedAt.value = Date.now();
    for (const t of items) if (t.state === 'offered') this.act(t, 'delivered').catch(() => {});
    if (fresh.length) navigator.vibrate?.(BUZZ);
    this.saw(items);
  }

  private sent(l: Letter, answer: unknown): void {
    const { number = '' } = (answer ?? {}) as { number?: string };
    if (l.about.kind === 'report') this.told.value = { number, done: false };
    if (l.about.kind === 'resolve') this.told.value = { number, done: true };
    if (l.about.visit) void this.loadVisits();
    else if (!isReceipt(l)) this.gather();
  }

  /** Reads the visits again. */
  async loadVisits(): Promise<void> {
    if (this.running) await this.visits.load(this.serverNow());
  }

  private async loadCategories(): Promise<void> {
    try {
      const { items } = await this.session.http.get<{ items: Category[] }>('/api/v1/categories');
      this.categories.value = items;
      await this.shelf.keep('categories', items).catch(() => {});
    } catch {
      // those kept from before will do
    }
  }

  private async loadShift(): Promise<void> {
    const { login } = this; // an answer that was on its way while somebody went, or the shift began or ended, is old
    const ending = () => this.letters.value.some((l) => l.about.kind === 'endShift');
    const turn = this.shiftTurn;
    const over = () => !this.running || login !== this.login || turn !== this.shiftTurn || ending();
    if (this.shifts.value === false || over()) return;
    try {
      const shift = await this.session.http.get<Shift>('/api/v1/shifts/current');
      if (!over()) await this.setShift(shift);
    } catch (e) {
      if (over() || !(e instanceof Problem) || (e.status !== 404 && e.status !== 403)) return;
      await this.setShift(null);
      this.shifts.value = e.status === 404 && !/^(nothing here|no worker)/.test(e.detail);
    }
  }

  private async setShift(s: Shift | null): Promise<void> {
    this.shiftTurn++;
    this.shift.value = s;
    this.shifts.value = true;
    if (s) await this.shelf.keep(`shift ${this.login}`, s).catch(() => {});
    else await this.shelf.forget(`shift ${this.login}`).catch(() => {});
  }

  /** Measures while the shift runs and the page is in front, and not a moment longer. */
  private track(): void {
    const s = this.shift.value;
    const on = !!s && Date.parse(s.ends_at) > this.serverNow() && document.visibilityState === 'visible';
    if (on && !this.tracker.on) this.tracker.start(Date.parse(s.started_at));
    if (!on && this.tracker.on) this.tracker.stop();
    if (on) void this.stayAwake();
    else {
      void this.lock?.release().catch(() => {});
      this.lock = null;
    }
  }

  private async stayAwake(): Promise<void> {
    if (!navigator.wakeLock || (this.lock && !this.lock.released)) return;
    try {
      this.lock = await navigator.wakeLock.request('screen');
      this.awake.value = true;
      this.lock.addEventListener('release', () => {
        this.awake.value = false;
      });
    } catch {
      this.awake.value = false; // a low battery, say
    }
  }

  /** Somebody signs out by hand, after a warning where something was unsent: nothing of theirs is written down any more. */
  private async left(login: string): Promise<void> {
    this.running = false;
    this.timers.clear(this.draftTimer);
    await this.outbox.forget(login);
  }

  /** The session is over: what the server told goes, what was not sent yet waits for its writer. */
  private async forget(login: string): Promise<void> {
    const me = await this.shelf.kept<Session>('me').catch(() => undefined);
    if (me && me.login !== login)
      await this.shelf.forget(`offers ${me.login}`, `visits ${me.login}`, `shift ${me.login}`).catch(() => {});
    await this.shelf.forget('me', `offers ${login}`, `visits ${login}`, `shift ${login}`).catch(() => {});
  }

  /** Writes the draft down a moment after the last stroke, as whoever's it is now. */
  private draftSoon(): void {
    if (!this.running) return;
    const key = `draft ${this.login}`;
    const d = plain(this.draft.value);
    this.timers.clear(this.draftTimer);
    this.draftTimer = this.timers.set(() => void this.shelf.keep(key, d).catch(() => {}), DRAFT_MS);
  }

  /** Reads the list again after a burst of events once, not once each. */
  private gather(): void {
    if (this.gathered) return;
    this.gathered = true;
    this.timers.set(() => {
      this.gathered = false;
      void this.load();
    }, GATHER_MS);
  }

  private beat(): void {
    const before = this.now.value;
    this.now.value = Date.now();
    this.minute.value = fullMinute(this.serverNow());
    const { ahead } = this.session.http;
    this.slowMin.value = Math.abs(ahead) < OFF_MS ? 0 : Math.round(ahead / MINUTE_MS);
    if (this.shift.value && Date.parse(this.shift.value.ends_at) <= this.serverNow()) void this.setShift(null);
    if (fullMinute(before) !== fullMinute(this.now.value)) {
      void this.loadShift(); // ended by the desk, say
      if (ageOf(this.visits.loadedAt.value, this.serverNow()) >= VISITS_MS) void this.loadVisits();
    }
    this.beatTimer = this.timers.set(() => this.beat(), 1000);
  }

  private hurry(): void {
    this.outbox.hurry();
    void this.tracker.flush();
  }

  private readonly back = () => {
    this.client.hurry();
    this.hurry();
    void this.load();
    void this.loadVisits();
  };
  private readonly away = () => this.client.offline();
  private readonly shown = () => {
    this.track();
    if (document.visibilityState === 'visible') this.back();
  };
}

/** Without what makes it move the screen: the shelf takes plain things. */
const plain = <T>(x: T): T => JSON.parse(JSON.stringify(x));
const fullMinute = (ms: number) => Math.floor(ms / MINUTE_MS) * MINUTE_MS;
const titleOf = (t: Task) => t.incident.title || t.incident.category_name;

const placesOf = (fixes: KeptFix[]) => ({
  crs: 'wgs84',
  items: fixes.map((f) => ({
    at: new Date(f.at).toISOString(),
    lon: f.lon,
    lat: f.lat,
    accuracy_m: f.accuracyM,
    ...(f.courseDeg !== undefined && { course_deg: f.courseDeg }),
    ...(f.speedMS !== undefined && { speed_ms: f.speedMS }),
  })),
});

/** One tab at a time, where the browser can tell; an older one sends from each, and the names keep it to once. */
async function alone<T>(way: string, f: () => Promise<T>): Promise<T | null> {
  if (!navigator.locks) return f();
  return navigator.locks.request(`onemap-field-${way}`, { ifAvailable: true }, async (lock) => (lock ? f() : null));
}

export const FIELD: InjectionKey<Field> = Symbol('field');

export function useField(): Field {
  const f = inject(FIELD);
  if (!f) throw new Error('no field page is provided');
  return f;
}
