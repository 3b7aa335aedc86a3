// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// The shift, and where the phone is: measured within the shift, or once when the worker asks.

import { ref, shallowRef, watch } from 'vue';
import { Problem } from '../session/problem';
import { newRef } from '../wire/ref';
import { alone, type Phone } from './phone';
import { ageOf, type Fix, here, watchHere } from './place';
import { type KeptFix, type Locating, Tracker } from './tracker';

/** A place measured so lately is where the phone is; one so old is of no use. */
const FRESH_MS = 20_000;
const STALE_MS = 3 * 60_000;

export interface Shift {
  badge: string;
  started_at: string;
  planned_end: string;
  ends_at: string;
}

export class Duty {
  readonly shift = shallowRef<Shift | null>(null);
  /** Whether this server keeps shifts, and who is in has one to keep; null until it is known. */
  readonly shifts = ref<boolean | null>(null);
  readonly locating = ref<Locating>('off');
  /** Where the phone is: on duty, or when the worker asked. */
  readonly me = shallowRef<Fix | null>(null);
  /** When the server last had all places, in unix ms. */
  readonly placedAt = ref(0);
  /** The server kept none of the places sent last, some of them because of their time. */
  readonly clockOff = ref(false);
  readonly awake = ref(false);

  private readonly tracker: Tracker;
  private turn = 0;
  private lock: WakeLockSentinel | null = null;

  constructor(private readonly phone: Phone) {
    const { http } = phone.session;
    this.tracker = new Tracker({
      shelf: phone.shelf,
      timers: phone.timers,
      login: () => phone.login,
      watch: watchHere,
      measure: here,
      ahead: () => http.ahead,
      send: (fixes) => http.post('/api/v1/positions', placesOf(fixes)),
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
    watch(this.shift, () => this.track());
  }

  /** Takes up the shift that was kept, while it still runs and nobody has ended it. */
  resume(kept: Shift | null): void {
    if (!kept || this.over(kept) || this.ending()) return;
    this.shift.value = kept;
    this.shifts.value = true;
  }

  /** Nothing of the one who goes stays. */
  clear(): void {
    this.tracker.stop();
    this.shift.value = null;
    this.shifts.value = null;
    this.placedAt.value = 0;
  }

  async start(): Promise<void> {
    const { outbox, session } = this.phone;
    const ending = this.ending();
    if (ending) await outbox.dismiss(ending.ref); // it would end the one that begins
    await this.set(await session.http.post<Shift>('/api/v1/shifts', {}));
    this.clockOff.value = false;
  }

  /** Ends the shift: once that is written down nothing is measured, even where the server hears of it later. */
  async end(): Promise<void> {
    await this.phone.outbox.post({
      ref: newRef(),
      login: this.phone.login,
      at: this.phone.serverNow(),
      method: 'DELETE',
      path: '/api/v1/shifts/current',
      body: {},
      headers: {},
      about: { kind: 'endShift', title: '' },
    });
    await this.set(null);
    await this.tracker.flush();
  }

  /** Ends the shift on the phone when its time is over. */
  expire(): void {
    if (this.shift.value && this.over(this.shift.value)) void this.set(null);
  }

  /** Asks the server for the shift: the desk may have ended it, say. */
  async load(): Promise<void> {
    const { login } = this.phone; // an answer that was on its way while somebody went, or the shift began or ended, is old
    const turn = this.turn;
    const over = () => !this.phone.running || login !== this.phone.login || turn !== this.turn || !!this.ending();
    if (this.shifts.value === false || over()) return;
    try {
      const shift = await this.phone.session.http.get<Shift>('/api/v1/shifts/current');
      if (!over()) await this.set(shift);
    } catch (e) {
      if (over() || !(e instanceof Problem) || (e.status !== 404 && e.status !== 403)) return;
      await this.set(null);
      this.shifts.value = e.status === 404 && !/^(nothing here|no worker)/.test(e.detail);
    }
  }

  /** Sends the places that are kept. */
  flush(): Promise<void> {
    return this.tracker.flush();
  }

  /** Measures while the shift runs and the page is in front, and not a moment longer. */
  track(): void {
    const s = this.shift.value;
    const on = !!s && !this.over(s) && document.visibilityState === 'visible';
    if (on && !this.tracker.on) this.tracker.start(Date.parse(s.started_at));
    if (!on && this.tracker.on) this.tracker.stop();
    if (on) void this.stayAwake();
    else {
      void this.lock?.release().catch(() => {});
      this.lock = null;
    }
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

  /** The place that is known without measuring; one of long ago is none. */
  lately(): Fix | null {
    const me = this.me.value;
    return me && ageOf(me.at, Date.now()) < STALE_MS ? me : null;
  }

  /** Whether the time of a shift is over. What was heard of the clock on another day ends none alone. */
  private over(s: Shift): boolean {
    const now = this.phone.serverNow();
    return Date.parse(s.ends_at) <= (this.phone.session.http.heardAt ? now : Math.min(now, Date.now()));
  }

  /** The letter that ends the shift, while the server does not have it. */
  private ending() {
    return this.phone.letters.value.find((l) => l.about.kind === 'endShift');
  }

  private async set(s: Shift | null): Promise<void> {
    const { shelf, login } = this.phone;
    this.turn++;
    this.shift.value = s;
    this.shifts.value = true;
    if (s) await shelf.keep(`shift ${login}`, s).catch(() => {});
    else await shelf.forget(`shift ${login}`).catch(() => {});
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
}

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
