// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// The wall's one controller: session, stream, figures, map and clock come
// together here, and the panels read plain summaries of them.

import { type InjectionKey, inject, ref, shallowRef } from 'vue';
import { getBase } from '../map/base';
import { HallMap } from '../map/hallmap';
import { IncidentMarks } from '../map/incidents';
import { loadFonts, loadTiles } from '../map/prepare';
import { type WorkerCounts, Workers } from '../map/workers';
import type { Timers } from '../wire/client';
import type { Freshness } from '../wire/freshness';
import { openSocket } from '../wire/socket';
import { enter, type Refusal, takeCode } from './door';
import { FiguresKeeper } from './figures';
import type { HallHook } from './hook';
import type { Incident } from './incident';
import { LayersKeeper } from './layers';
import { LiveHall } from './live';
import { reloadAtNight, reloadOnce } from './reload';
import { type Figures, getFigures, getLayers, getSession, getStatus, RestError, type Session, type Status } from './rest';
import { wallTime } from './time';

const BEAT_MS = 200;
const GATHER_MS = 50;
const RETRY_MS = 2000;
const LOADING_POLL_MS = 1500;
const IDLE_POLL_MS = 60_000;
const SESSION_CHECK_S = 10;
const REDRAW_S = 30;
/** One u in world widths before there is a map to ask: about right for a county. */
const WORLD_PER_U = 1e-4;

const timers: Timers = {
  now: () => Date.now(),
  set: (fn, ms) => window.setTimeout(fn, ms),
  clear: (id) => window.clearTimeout(id as number),
};

export class Hall {
  readonly phase = ref<'opening' | 'door' | 'wall'>('opening');
  readonly refusal = ref<Refusal>('none');
  readonly session = shallowRef<Session | null>(null);
  readonly figures = shallowRef<Figures | null>(null);
  readonly loading = shallowRef<Status['loading']>(null);
  readonly fresh = shallowRef<Freshness>({ state: 'connecting', ageMs: 0, dataAt: 0 });
  readonly now = ref(Date.now());
  readonly seq = ref(0);
  readonly latest = shallowRef<Incident[]>([]);
  readonly openCount = ref(0);
  readonly drawnCount = ref(0);
  readonly newest = shallowRef<Incident | null>(null);
  readonly workers = shallowRef<WorkerCounts>({ on: 0, task: 0, stale: 0, sos: 0 });
  readonly power = ref(0);
  readonly mapState = ref<'waiting' | 'drawn' | 'no-webgl'>('waiting');
  readonly live: LiveHall;
  readonly dots = new Workers();
  readonly marks = new IncidentMarks();
  map: HallMap | null = null;
  private mapReady = false;
  /** Which mounting of the map is in force. */
  private mounting = 0;
  private polling = false;
  private u = 16;
  private gathered = false;
  private lastHand = Date.now();
  private lastSecond = 0;
  private code: string | null = null;
  private readonly started = Date.now();
  private readonly keeper: FiguresKeeper;
  private readonly layers: LayersKeeper;
  private readonly motion = window.matchMedia('(prefers-reduced-motion: reduce)');

  constructor() {
    this.live = new LiveHall({
      open: openSocket,
      timers,
      random: Math.random,
      changed: () => this.gather(),
      arrived: (i) => {
        this.newest.value = i;
      },
      positions: (p) => this.dots.apply(p, performance.now()),
      link: (l) => {
        if (l === 'signed-out') void this.signedOut();
        this.beat();
      },
      moved: (seq, restarted) => (restarted ? this.keeper.restart(seq) : this.keeper.need(seq)),
      gridsEnacted: (seq) => void this.gridsEnacted(seq),
    });
    this.keeper = new FiguresKeeper({
      fetch: getFigures,
      show: (f) => {
        this.figures.value = f;
      },
      timers,
    });
    this.layers = new LayersKeeper({
      fetch: getLayers,
      named: (l) => this.map?.showNamed(l),
      cameras: (tag) => this.map?.reloadCameras(tag),
      timers,
    });
  }

  /** Opens the page: session, stream, figures and, once there are grids, the map. */
  async start(): Promise<void> {
    window.__hall = this.hook();
    window.setInterval(() => this.beat(), BEAT_MS);
    window.addEventListener('offline', () => this.live.client.offline());
    window.addEventListener('online', () => this.live.client.hurry());
    window.addEventListener('hashchange', () => void this.open());
    await this.open();
  }

  /** A new u was measured: everything on the map follows it. */
  resize(u: number): void {
    if (u === this.u && this.map) return void this.map.gl.resize();
    this.u = u;
    this.map?.resize(u);
  }

  /** Somebody is at the wall. */
  touched(): void {
    this.lastHand = Date.now();
  }

  /** Makes the map in its element; panels go on without it where WebGL2 is missing. */
  async mountMap(container: HTMLElement, title: string): Promise<void> {
    if (!document.createElement('canvas').getContext('webgl2')) {
      this.mapState.value = 'no-webgl';
      this.mapReady = true;
      return;
    }
    const turn = ++this.mounting;
    const bbox = await this.bbox(() => turn === this.mounting);
    if (!bbox) return;
    const [tiles, base] = await Promise.all([loadTiles(), getBase(), this.layers.start(), loadFonts(timers)]);
    if (turn !== this.mounting) return; // its element has gone meanwhile
    this.map = new HallMap({
      container,
      bbox,
      tiles,
      base,
      named: this.layers.now,
      workers: this.dots,
      incidents: this.marks,
      title,
      unit: this.u,
      reducedMotion: () => this.motion.matches,
      ready: () => {
        this.mapReady = true;
        this.mapState.value = 'drawn';
      },
      zoomed: () => this.drawIncidents(),
      power: (p) => {
        this.power.value = p;
      },
      dead: () => reloadOnce(Date.now(), sessionStorage, () => location.reload()),
    });
    window.__hall.map = this.map.gl;
    this.drawIncidents(); // those that came before the map fold by its zoom now
  }

  /** Takes the map down with its element. */
  unmountMap(): void {
    this.mounting++;
    this.layers.stop();
    this.map?.remove();
    this.map = null;
    this.mapReady = false;
    this.mapState.value = 'waiting';
    window.__hall.map = null;
  }

  private async open(): Promise<void> {
    this.code = takeCode() ?? this.code;
    const entry = await enter(this.code);
    if ('refused' in entry) {
      this.refusal.value = entry.refused;
      if (this.phase.value !== 'wall' || entry.refused !== 'unreachable') this.phase.value = 'door';
      if (entry.refused === 'unreachable') timers.set(() => void this.open(), RETRY_MS);
      else this.code = null;
      return;
    }
    this.code = null;
    this.session.value = entry.session;
    this.live.clock.sample(Date.parse(entry.session.server_time), Date.now());
    this.phase.value = 'wall';
    this.live.client.signedIn();
    this.keeper.start();
    if (!this.polling) void this.pollStatus();
    this.polling = true;
  }

  private async signedOut(): Promise<void> {
    const entry = await enter(null);
    if ('session' in entry) {
      this.session.value = entry.session;
      this.live.client.signedIn();
    } else if (entry.refused === 'unreachable') {
      timers.set(() => void this.signedOut(), RETRY_MS);
    } else {
      this.keeper.stop();
    }
  }

  private async pollStatus(): Promise<void> {
    let wait = IDLE_POLL_MS;
    try {
      const s = await getStatus();
      if (this.loading.value && !s.loading) {
        this.session.value = await getSession();
        this.keeper.restart(this.live.client.state.head);
        this.map?.reloadTiles(String(s.head));
      }
      this.loading.value = s.loading;
      if (s.loading) wait = LOADING_POLL_MS;
    } catch {
      wait = LOADING_POLL_MS * 2; // shown by the band; asked again
    }
    timers.set(() => void this.pollStatus(), wait);
  }

  /** The county's bounds; waits while the first grids are still being loaded, as long as somebody wants them. */
  private async bbox(wanted: () => boolean): Promise<[number, number, number, number] | null> {
    while (wanted()) {
      const box = this.session.value?.grid?.bbox;
      if (box && box.length === 4 && box[2] > box[0]) return box;
      await new Promise((r) => timers.set(() => r(null), RETRY_MS));
      try {
        this.session.value = await getSession();
      } catch {
        // not reachable for the moment: the band says so
      }
    }
    return null;
  }

  private async gridsEnacted(seq: number): Promise<void> {
    this.map?.reloadTiles(String(seq));
    try {
      this.session.value = await getSession();
    } catch {
      // the next status poll asks again
    }
  }

  /** Draws after a burst of events once, not once each. */
  private gather(): void {
    if (this.gathered) return;
    this.gathered = true;
    timers.set(() => {
      this.gathered = false;
      this.seq.value = this.live.client.state.head;
      this.latest.value = this.live.latest();
      this.drawIncidents();
    }, GATHER_MS);
  }

  private drawIncidents(): void {
    const open = this.live.open();
    this.openCount.value = open.length;
    this.marks.show(open, this.live.arrivedAt, Date.now(), this.live.serverNow(), this.map?.worldPerU() ?? WORLD_PER_U);
    this.drawnCount.value = this.marks.drawn;
    this.map?.showCounts(this.marks.folds);
  }

  /** Five times a second: freshness; once a second: clock, counts, ageing. */
  private beat(): void {
    const fresh = this.live.freshness();
    this.fresh.value = fresh;
    const now = this.live.serverNow();
    const second = Math.floor(now / 1000);
    if (second === this.lastSecond) return;
    this.lastSecond = second;
    this.now.value = now;
    this.seq.value = this.live.client.state.head;
    this.latest.value = this.live.latest();
    this.dots.age(now, fresh.state === 'live');
    this.workers.value = this.dots.counts();
    if (this.marks.pulsing || second % REDRAW_S === 0) this.drawIncidents();
    if (fresh.state === 'lost' && Math.floor(fresh.ageMs / 1000) % SESSION_CHECK_S === SESSION_CHECK_S / 2)
      void this.checkSession();
    this.night(now);
  }

  /** A handshake refused for want of a session looks like any lost line: ask. */
  private async checkSession(): Promise<void> {
    try {
      await getSession();
    } catch (e) {
      if (e instanceof RestError && e.status === 401) this.live.client.signOut();
    }
  }

  private night(now: number): void {
    const facts = {
      time: wallTime(now).time,
      live: this.fresh.value.state === 'live',
      urgentOpen: this.live.open().some((i) => i.priority === 1),
      idleMs: Date.now() - this.lastHand,
      runningMs: Date.now() - this.started,
    };
    if (reloadAtNight(facts)) location.reload();
  }

  private hook(): HallHook {
    const hall = this;
    const { client } = this.live;
    return {
      get ready() {
        return hall.mapReady && client.counters.resets > 0;
      },
      get state() {
        return hall.phase.value === 'door' ? 'door' : hall.live.freshness().state;
      },
      get frames() {
        return client.counters.frames;
      },
      get lastSeq() {
        return client.state.head;
      },
      get epoch() {
        return client.epoch;
      },
      get lagMs() {
        return hall.live.lagMs;
      },
      get clockOffsetMs() {
        return hall.live.clock.offset;
      },
      get workersDrawn() {
        return hall.map?.workersDrawn ?? 0;
      },
      get incidentsDrawn() {
        return hall.map?.incidentsDrawn ?? 0;
      },
      get open() {
        return hall.live.open().length;
      },
      get renders() {
        return hall.map?.renders ?? 0;
      },
      get reconnects() {
        return Math.max(0, client.counters.opened - 1);
      },
      get resets() {
        return client.counters.resets;
      },
      get gaps() {
        return client.counters.gaps;
      },
      get duplicates() {
        return client.counters.duplicates;
      },
      get power() {
        return hall.power.value;
      },
      scene: 1,
      get u() {
        return hall.u;
      },
      get announced() {
        return Object.fromEntries(hall.live.announced);
      },
      arrivedAt: (id) => hall.live.arrivedAt.get(id) ?? 0,
      has: (id) => client.state.get('incident', id) !== undefined,
      labels: () => hall.map?.labels() ?? [],
      map: null,
    };
  }
}

export const HALL: InjectionKey<Hall> = Symbol('hall');

export function useHall(): Hall {
  const hall = inject(HALL);
  if (!hall) throw new Error('no hall is provided');
  return hall;
}
