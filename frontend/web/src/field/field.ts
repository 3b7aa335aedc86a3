// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// The field page's one controller: own offers, live and offline, what was done with
// them, reports and the shift. Nothing a worker does is lost with the line.

import { computed, type InjectionKey, inject, ref, shallowRef, watch } from 'vue';
import { Problem } from '../session/problem';
import type { SessionStore } from '../session/store';
import { LiveClient, type Timers } from '../wire/client';
import { newRef } from '../wire/ref';
import { openSocket } from '../wire/socket';
import { type Letter, Outbox } from './outbox';
import type { PhoneShelf } from './shelf';
import { type ActKind, type Task, unanswered, withLetters } from './tasks';

const POLL_MS = 30_000;
const GATHER_MS = 150;
const BUZZ = [300, 150, 300];

export interface Category {
  code: string;
  name: string;
  top: string;
  top_name: string;
}

export interface Shift {
  badge: string;
  started_at: string;
  planned_end: string;
  ends_at: string;
}

export interface ReportDraft {
  category: string;
  title: string;
  text: string;
  address: string;
  location: { lon: number; lat: number } | null;
}

export class Field {
  readonly known = shallowRef<Task[]>([]);
  readonly letters = shallowRef<Letter[]>([]);
  readonly categories = shallowRef<Category[]>([]);
  readonly shift = shallowRef<Shift | null>(null);
  /** Whether this server keeps shifts, and who is in has one to keep; null until it is known. */
  readonly shifts = ref<boolean | null>(null);
  readonly online = ref(true);
  /** When the list last came from the server, in unix ms; 0 when it is not known. */
  readonly loadedAt = ref(0);
  readonly now = ref(Date.now());
  readonly told = ref('');

  readonly tasks = computed(() => withLetters(this.known.value, this.letters.value));
  readonly toSend = computed(() => this.letters.value.filter((l) => !l.refused && !isReceipt(l)));
  readonly refused = computed(() => this.letters.value.filter((l) => l.refused && !isReceipt(l)));

  readonly outbox: Outbox;
  private readonly client: LiveClient;
  private timer: unknown = null;
  private beatTimer: unknown = null;
  private gathered = false;
  private known_ = new Set<string>();

  constructor(
    private readonly session: SessionStore,
    private readonly shelf: PhoneShelf,
    private readonly timers: Timers,
  ) {
    this.outbox = new Outbox({
      shelf,
      send: (l) => session.http.post(l.path, l.body, l.headers),
      timers,
      login: () => this.login,
      changed: (mine) => {
        this.letters.value = mine;
      },
      sent: (l, answer) => this.sent(l, answer),
      alone: alone('onemap-field-outbox'),
    });
    const again = () => this.gather();
    this.client = new LiveClient({
      open: openSocket,
      timers,
      random: Math.random,
      handlers: {
        link: (l) => {
          this.online.value = l === 'live';
          if (l === 'live') this.outbox.hurry();
          if (l === 'signed-out') void session.check();
        },
        reset: again,
        event: (m) => {
          if (m.entity.kind === 'offer' || m.entity.kind === 'incident') again();
        },
        gone: again,
      },
    });
    watch(session.locked, (locked) => locked || this.outbox.hurry());
  }

  async start(): Promise<void> {
    addEventListener('online', this.back);
    addEventListener('offline', this.away);
    document.addEventListener('visibilitychange', this.shown);
    this.beat();
    this.known.value = (await this.shelf.kept<Task[]>(`offers ${this.login}`).catch(() => undefined)) ?? [];
    this.categories.value = (await this.shelf.kept<Category[]>('categories').catch(() => undefined)) ?? [];
    await this.outbox.open();
    this.client.signedIn();
    await Promise.all([this.load(), this.loadCategories(), this.loadShift()]);
  }

  stop(): void {
    removeEventListener('online', this.back);
    removeEventListener('offline', this.away);
    document.removeEventListener('visibilitychange', this.shown);
    this.timers.clear(this.timer);
    this.timers.clear(this.beatTimer);
    this.client.stop();
    this.outbox.stop();
  }

  /** Says something of an offer; written down first, sent when there is a line. */
  async act(task: Task, kind: ActKind, reason = ''): Promise<void> {
    const receipt = kind === 'delivered' || kind === 'seen';
    const ref = receipt ? `${kind}-${task.id}` : newRef();
    const at = Date.now();
    await this.outbox.post({
      ref,
      login: this.login,
      at,
      path: `/api/v1/offers/${task.id}/acts`,
      body: { kind, at: new Date(at).toISOString(), client_ref: ref, ...(reason && { reason }) },
      headers: {},
      about: { kind, title: task.incident.title || task.incident.category_name, offer: task.id },
    });
  }

  /** Reports an incident; its place, when there is one, is what the browser measured: WGS-84. */
  async report(d: ReportDraft): Promise<void> {
    const ref = newRef();
    const at = Date.now();
    await this.outbox.post({
      ref,
      login: this.login,
      at,
      path: '/api/v1/incidents',
      body: {
        category: d.category,
        title: d.title,
        source: 'field',
        reported_at: new Date(at).toISOString(),
        ...(d.text && { text: d.text }),
        ...(d.address && { address: d.address }),
        ...(d.location && { location: { ...d.location, crs: 'wgs84' } }),
      },
      headers: { 'Idempotency-Key': ref },
      about: { kind: 'report', title: d.title },
    });
  }

  async startShift(): Promise<void> {
    this.shift.value = await this.session.http.post<Shift>('/api/v1/shifts', {});
  }

  async endShift(): Promise<void> {
    await this.session.http.del('/api/v1/shifts/current');
    this.shift.value = null;
  }

  /** The page shows these offers: whoever made them is told. */
  saw(tasks: Task[]): void {
    if (document.visibilityState !== 'visible') return;
    for (const t of tasks) if (t.state === 'offered' || t.state === 'delivered') void this.act(t, 'seen');
  }

  async load(): Promise<void> {
    this.timers.clear(this.timer);
    this.timer = this.timers.set(() => void this.load(), POLL_MS);
    try {
      const { items } = await this.session.http.get<{ items: Task[] }>('/api/v1/offers', { limit: 200 });
      this.take(items);
      await this.shelf.keep(`offers ${this.login}`, items).catch(() => {});
    } catch (e) {
      if (e instanceof Problem && e.status === 0) this.online.value = false;
    }
  }

  private get login(): string {
    return this.session.login.value;
  }

  private take(items: Task[]): void {
    const fresh = items.filter((t) => unanswered(t) && !this.known_.has(t.id));
    for (const t of items) this.known_.add(t.id);
    this.known.value = items;
    this.loadedAt.value = Date.now();
    for (const t of items) if (t.state === 'offered') void this.act(t, 'delivered');
    if (fresh.length) navigator.vibrate?.(BUZZ);
    this.saw(items);
  }

  private sent(l: Letter, answer: unknown): void {
    if (l.about.kind === 'report') {
      const number = (answer as { number?: string } | undefined)?.number ?? '';
      this.told.value = number;
    }
    if (!isReceipt(l)) this.gather();
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
    try {
      this.shift.value = await this.session.http.get<Shift>('/api/v1/shifts/current');
      this.shifts.value = true;
    } catch (e) {
      if (e instanceof Problem && e.status === 404) this.shifts.value = !/^(nothing here|no worker)/.test(e.detail);
    }
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
    this.now.value = Date.now();
    this.beatTimer = this.timers.set(() => this.beat(), 1000);
  }

  private readonly back = () => {
    this.client.hurry();
    this.outbox.hurry();
    void this.load();
  };
  private readonly away = () => this.client.offline();
  private readonly shown = () => {
    if (document.visibilityState !== 'visible') return;
    this.client.hurry();
    this.outbox.hurry();
    void this.load();
  };
}

const isReceipt = (l: Letter) => l.about.kind === 'delivered' || l.about.kind === 'seen';

/** One tab at a time, where the browser can tell; an older one sends from each, and the names keep it to once. */
function alone(name: string) {
  return async <T>(f: () => Promise<T>): Promise<T | null> => {
    if (!navigator.locks) return f();
    return navigator.locks.request(name, { ifAvailable: true }, async (lock) => (lock ? f() : null));
  };
}

export const FIELD: InjectionKey<Field> = Symbol('field');

export function useField(): Field {
  const f = inject(FIELD);
  if (!f) throw new Error('no field page is provided');
  return f;
}
