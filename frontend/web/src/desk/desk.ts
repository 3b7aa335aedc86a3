// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// The desk's one controller: the stream fills the queue and the map, a choice loads
// one incident with its journal, offers and advice, and every act goes through here.

import { computed, type InjectionKey, inject, reactive, ref, shallowRef } from 'vue';
import { getBase } from '../map/base';
import { HallMap } from '../map/hallmap';
import { IncidentMarks } from '../map/incidents';
import { loadFonts, loadTiles } from '../map/prepare';
import { Workers } from '../map/workers';
import { Problem } from '../session/problem';
import type { SessionStore } from '../session/store';
import { LiveHall } from '../wall/live';
import { getLayers } from '../wall/rest';
import type { Timers } from '../wire/client';
import type { Freshness } from '../wire/freshness';
import { newRef } from '../wire/ref';
import { openSocket } from '../wire/socket';
import { type AnyKey, aboveOf, DECIDERS, Deciding, isAbove, type Me } from './above';
import { ASKED_FOR, asks, stepsToOffer } from './acts';
import type { Act, DeskApi } from './api';
import { Beside } from './beside';
import { type Draft, emptyDraft, reportOf } from './draft';
import { MapHand } from './hand';
import { LEADER, type Matter, matterOf } from './matters';
import { MapPins } from './pins';
import { countLanes, laneOf, queueOf, type Tab } from './queue';
import { Selection } from './selection';
import type { Advice, Case, Category, Excluded, JournalEntry, Offer, Owed, Supervision, Waiting } from './types';

const BEAT_MS = 250;
const GATHER_MS = 60;
const UNIT = 17;
const ADVISED = 10;
const RETRY_MS = 2000;
/** Advice grows old by itself: fixes age and people move. */
const ADVICE_MS = 20_000;
const PICK_PX = 22;
const OWED_MS = 30_000;
/** How many incidents of the queue have a row. */
export const SHOWN = 120;

/** What the right column is for now. */
export type Mode = 'incident' | 'report' | 'select' | 'correct';

/** An incident as it was when somebody made up their mind about it. */
export type Seen = Pick<Case, 'id' | 'version'>;

export class Desk {
  readonly open = shallowRef<Case[]>([]);
  readonly lane = ref<Tab>('send');
  readonly typed = ref('');
  readonly fresh = shallowRef<Freshness>({ state: 'connecting', ageMs: 0, dataAt: 0 });
  readonly now = ref(Date.now());
  readonly mapState = ref<'waiting' | 'drawn' | 'no-webgl'>('waiting');
  readonly chosen = ref('');
  readonly detail = shallowRef<Case | null>(null);
  readonly journal = shallowRef<JournalEntry[]>([]);
  readonly offers = shallowRef<Offer[]>([]);
  /** Who of those in scope is on accepted work, as one word. */
  readonly working = ref('');
  readonly advice = shallowRef<Advice | null>(null);
  /** Why there is no advice. */
  readonly adviceProblem = shallowRef<unknown>(null);
  readonly loading = ref(false);
  /** The chosen incident could not be read. */
  readonly unread = ref(false);
  /** Workers ticked to be asked, the lead first. */
  readonly picked = ref<string[]>([]);
  /** Whom newer advice rules out of those that were ticked, and for what. */
  readonly unpicked = ref<Excluded[]>([]);
  /** Nobody ticked anybody: the best is taken for it. */
  private byAdvice = true;
  readonly newest = shallowRef<Case | null>(null);
  readonly mode = ref<Mode>('incident');
  readonly categories = shallowRef<Category[]>([]);
  readonly departments = shallowRef<string[]>([]);
  /** The report that is being written; it stays when its form is left, and goes with the page. */
  readonly draft = reactive<Draft>(emptyDraft());
  /** What a refusal said to be possible, of which version. */
  readonly told = shallowRef<{ version: number; actions: string[] } | null>(null);
  /** What the last correction made of the incident. */
  readonly corrected = shallowRef<{ before: Case; after: Case } | null>(null);
  /** The act of somebody else that ours came after. */
  readonly rival = shallowRef<JournalEntry | null>(null);
  /** Whether the incident had moved on when our last act was refused. */
  readonly moved = ref(false);
  /** An act that has to come before an offer, and wants something to be said first. */
  readonly before = ref('');

  /** What is being done beside moving the incident, in a dialog. */
  readonly matter = shallowRef<Matter | null>(null);
  /** The matter that was to be begun, and there is nothing to do. */
  readonly idle = ref<AnyKey | ''>('');
  /** The matter that is begun as soon as what it goes by has been read. */
  readonly pending = ref<AnyKey | ''>('');
  /** Call-backs that wait, the soonest due first, and how many there are. */
  readonly owed = shallowRef<{ count: number; items: Owed[] }>({ count: 0, items: [] });

  readonly role = computed(() => this.session.me.value?.role ?? '');
  /** Whether this person takes reports, sends people and moves incidents on; a leader does not. */
  readonly acts = computed(() => this.role.value !== LEADER);
  /** Whether this person decides what others ask for. */
  readonly decides = computed(() => DECIDERS.includes(this.role.value));
  /** Whether the screen is locked: whoever is in front of it need not be who was let in. */
  readonly locked = computed(() => this.session.locked.value);
  readonly queue = computed(() => queueOf(this.open.value, this.lane.value, this.typed.value));
  /** What the list of a part shows of what waits elsewhere; undefined in the parts of the queue itself. */
  readonly waiting = computed(() => {
    const of = { call: this.owed.value.items, ask: this.deciding.items.value } as Partial<Record<Tab, (Owed | Waiting)[]>>;
    const typed = this.typed.value.trim().toLowerCase();
    return of[this.lane.value]?.filter((o) => o.number.toLowerCase().includes(typed));
  });
  /** The incidents of the rows that are shown, in their order. */
  readonly rows = computed(() => this.waiting.value?.map((o) => o.incident) ?? this.queue.value.slice(0, SHOWN).map((i) => i.id));
  readonly counts = computed(() => countLanes(this.open.value));
  readonly late = computed(() => this.open.value.filter((i) => i.late).length);
  readonly lead = computed(() => this.offers.value.find((o) => o.live && o.lead) ?? null);

  readonly live: LiveHall;
  readonly hand = new MapHand();
  readonly selection: Selection;
  readonly beside: Beside;
  /** Requests that wait for a decision of whoever sits here. */
  readonly deciding: Deciding;
  readonly dots = new Workers();
  private readonly marks = new IncidentMarks();
  private map: HallMap | null = null;
  private pins: MapPins | null = null;
  private gathered = false;
  private seen = '';
  private turn = 0;
  private stint = 0; // moves when whoever sits here leaves: what comes later is not the next person's
  private adviceAt = 0;
  /** The version that the advice on the screen is of; 0 without advice. */
  private advised = 0;
  /** Advice is asked for until it has come: an event on the way has the incident read anew. */
  private wanted = false;
  /** The note that is on its way. */
  private noted = { id: '', text: '', key: '' };
  private beatTimer: unknown;
  private owedTimer: unknown;
  private readonly motion = window.matchMedia('(prefers-reduced-motion: reduce)');

  constructor(
    private readonly session: SessionStore,
    readonly api: DeskApi,
    readonly timers: Timers,
  ) {
    this.selection = new Selection(api, timers);
    this.beside = new Beside(api);
    this.deciding = new Deciding(api, timers, () => this.role.value);
    this.hand.marked = (shape) => void this.selection.ask(shape);
    this.hand.choose = ([lon, lat]) => this.pick(lon, lat);
    this.live = new LiveHall({
      open: openSocket,
      timers,
      random: Math.random,
      changed: () => this.gather(),
      arrived: (i) => {
        this.newest.value = i as Case;
      },
      positions: (p) => this.dots.apply(p, performance.now()),
      link: (l) => {
        if (l === 'signed-out') void this.session.check();
        this.beat();
      },
      moved: () => {},
      gridsEnacted: (seq) => this.map?.reloadTiles(String(seq)),
    });
  }

  start(): void {
    this.live.client.signedIn();
    this.beat();
    addEventListener('offline', this.offline);
    addEventListener('online', this.online);
    void this.lists();
    void this.lookForOwed();
    this.deciding.start();
  }

  stop(): void {
    this.live.client.stop();
    this.timers.clear(this.beatTimer);
    this.timers.clear(this.owedTimer);
    this.deciding.stop();
    this.forget();
    removeEventListener('offline', this.offline);
    removeEventListener('online', this.online);
  }

  /** Leaves nothing of whoever sat here to the next person. */
  private forget(): void {
    this.stint++;
    this.turn++;
    this.hand.clear();
    this.turnTo('incident');
    this.selection.clear();
    this.discard();
    this.chosen.value = '';
    this.clearChoice();
    this.loading.value = false;
    this.wanted = false;
    this.noted = { id: '', text: '', key: '' };
    this.owed.value = { count: 0, items: [] };
    this.newest.value = null;
    this.live.forget();
    this.dots.clear();
    this.open.value = [];
    this.typed.value = '';
    this.lane.value = 'send';
  }

  /** Makes the map in its element; the lists go on without it where WebGL2 is missing. */
  async mountMap(container: HTMLElement, title: string): Promise<void> {
    if (!document.createElement('canvas').getContext('webgl2')) {
      this.mapState.value = 'no-webgl';
      return;
    }
    const bbox = await this.bbox();
    const [tiles, base, named] = await Promise.all([loadTiles(), getBase(), getLayers().catch(() => []), loadFonts(this.timers)]);
    if (!container.isConnected) return;
    this.map = new HallMap({
      container,
      bbox,
      tiles,
      base,
      named: named.filter((l) => l.code !== 'cameras'),
      workers: this.dots,
      incidents: this.marks,
      title,
      unit: UNIT,
      reducedMotion: () => this.motion.matches,
      ready: () => {
        this.mapState.value = 'drawn';
      },
      zoomed: () => this.drawIncidents(),
      power: () => {},
      dead: () => location.reload(),
    });
    this.pins = new MapPins(this.map.gl, (at) => this.dots.at(at));
    this.hand.attach(this.map.gl);
    this.drawIncidents();
    this.showPins();
  }

  unmountMap(): void {
    this.pins?.clear();
    this.hand.detach();
    this.map?.remove();
    this.map = null;
    this.pins = null;
    this.mapState.value = 'waiting';
  }

  get hallMap(): HallMap | null {
    return this.map;
  }

  /** Opens a form in the right column, or leaves it. */
  turnTo(mode: Mode): void {
    if (this.mode.value === 'select' && mode !== 'select') {
      this.hand.clear();
      this.selection.clear();
    }
    this.mode.value = mode;
  }

  /** Chooses an incident and loads what there is to know of it. */
  choose(id: string): void {
    if (this.mode.value === 'correct') this.turnTo('incident');
    if (id === this.chosen.value && !this.unread.value) return;
    this.chosen.value = id;
    this.clearChoice();
    this.detail.value = this.open.value.find((i) => i.id === id) ?? null;
    const waits = this.lane.value === 'ask' && this.deciding.of(id);
    if (this.detail.value && laneOf(this.detail.value.state) !== this.lane.value && !waits)
      this.lane.value = laneOf(this.detail.value.state);
    if (this.detail.value?.point) this.map?.show(this.detail.value.point);
    this.seen = this.stamp();
    this.showPins();
    void this.load(true);
  }

  private clearChoice(): void {
    this.told.value = null;
    this.rival.value = null;
    this.moved.value = false;
    this.before.value = '';
    this.matter.value = null;
    this.idle.value = '';
    this.pending.value = '';
    this.corrected.value = null;
    this.beside.clear();
    this.tick([], true);
    this.unpicked.value = [];
    this.journal.value = [];
    this.offers.value = [];
    this.advice.value = null;
    this.advised = 0;
    this.adviceProblem.value = null;
    this.detail.value = null;
    this.unread.value = false;
  }

  /** The most urgent incident that waits for somebody; the next one when it is chosen already. */
  chooseNext(): void {
    this.typed.value = '';
    this.lane.value = 'send';
    const waiting = this.queue.value.filter((i) => i.id !== this.chosen.value);
    if (waiting[0]) this.choose(waiting[0].id);
  }

  /** Moves the choice along the queue. */
  step(by: 1 | -1): void {
    const list = [...new Set(this.rows.value)];
    const at = list.indexOf(this.chosen.value);
    const to = list[at < 0 ? 0 : Math.max(0, Math.min(list.length - 1, at + by))];
    if (to) this.choose(to);
  }

  /** Ticks a worker or takes the tick away. Only the most urgent incidents are offered to several at once. */
  toggle(worker: string): void {
    const there = this.picked.value.includes(worker);
    const several = this.detail.value?.priority === 1;
    if (there) this.tick(this.picked.value.filter((w) => w !== worker));
    else this.tick(several ? [...this.picked.value, worker] : [worker]);
    this.unpicked.value = [];
    this.showPins();
  }

  /** Ticks these and nobody else; byAdvice, until there is other advice. */
  tick(workers: string[], byAdvice = false): void {
    this.picked.value = workers;
    this.byAdvice = byAdvice;
  }

  /** Loads the chosen incident anew; the advice too when asked, or when it has grown old. */
  async load(advise = false): Promise<void> {
    const id = this.chosen.value;
    if (!id) return;
    const turn = ++this.turn;
    const mine = () => turn === this.turn && id === this.chosen.value;
    if (advise) {
      this.wanted = true;
      this.beside.lookAgain();
    }
    this.loading.value = true;
    try {
      const [detail, journal, offers] = await Promise.all([
        this.api.incident(id),
        this.api.journal(id),
        this.acts.value ? this.api.offers(id) : [],
      ]);
      if (!mine()) return;
      this.detail.value = detail;
      this.unread.value = false;
      this.journal.value = journal;
      this.offers.value = offers;
      this.showPins();
      void this.loadBeside(detail);
      void this.deciding.look();
      const over = !this.acts.value || !detail.open || laneOf(detail.state) === 'check';
      const old = this.advised !== detail.version || this.timers.now() - this.adviceAt > ADVICE_MS;
      if (over || this.wanted || old) await this.advise(mine, over);
    } catch {
      // the band and the session tell of a lost line; the next change asks again, if there comes one
      if (!mine()) return;
      this.unread.value = !this.journal.value.length;
      this.pending.value = '';
    } finally {
      if (mine()) this.loading.value = false;
    }
  }

  /** Takes the written report down and chooses what became of it. */
  async report(): Promise<Case> {
    const { stint } = this;
    const made = await this.api.report(reportOf(this.draft, this.categories.value), this.draft.key);
    if (stint !== this.stint) return made;
    this.discard();
    this.turnTo('incident');
    this.typed.value = '';
    this.choose(made.id);
    if (made.version) {
      this.detail.value = made; // the stream tells of it in a moment
      this.lane.value = laneOf(made.state);
      if (made.point) this.map?.show(made.point);
      this.showPins();
    }
    return made;
  }

  /** Empties the form of a report. */
  discard(): void {
    Object.assign(this.draft, emptyDraft());
  }

  /**
   * Moves the chosen incident on, asks a second person, or writes a note. A form says which
   * version it was opened on: what came while it stood open is not what its user has seen.
   */
  async act(act: Act, on: Seen = this.chosenNow()): Promise<void> {
    const of = { id: on.id, version: on.version };
    await this.once(of, async () => {
      if (act.action === 'note') await this.note(of.id, act.reason ?? '');
      else if (ASKED_FOR.has(act.action)) await this.api.ask(of.id, of.version, act);
      else this.put(await this.api.act(of.id, of.version, act), of, act.action !== 'correct');
    });
  }

  /** Writes a note; one whose answer was lost keeps its key, so that the next press makes no second one. */
  private async note(id: string, text: string): Promise<void> {
    if (this.noted.id !== id || this.noted.text !== text) this.noted = { id, text, key: newRef() };
    await this.api.note(id, text, this.noted.key);
    this.noted = { id: '', text: '', key: '' };
  }

  /** Whether this person may answer a supervision of the chosen incident. */
  mayAnswer(s: Supervision, i: Case | null = this.detail.value): boolean {
    return this.acts.value && !!i && !s.reply && s.may_reply === true;
  }

  /** What a key would begin about an incident as it stands; null where there is nothing to do. */
  matterFor(key: AnyKey, i: Case): Matter | null {
    if (isAbove(key)) return aboveOf(key, i, this.role.value, this.me(), this.beside, this.deciding.of(i.id));
    return matterOf(key, i, this.role.value, this.beside, (s) => this.mayAnswer(s, i));
  }

  /**
   * Opens the dialog of a matter by its key; false, and `idle` says of which, where there is
   * nothing to do. What has not been read yet is waited for, and read again where it failed.
   */
  begin(key: AnyKey): boolean {
    if (key === 'decide' && this.decides.value && !this.deciding.of(this.chosen.value)) {
      if (this.deciding.stand.value !== 'read') {
        void this.lookForWaiting();
        return false;
      }
      this.toWaiting();
    }
    const i = this.detail.value;
    this.matter.value = i && this.matterFor(key, i);
    this.idle.value = '';
    const unread = !!this.chosen.value && !this.matter.value && (!i || this.beside.stand.value !== 'read');
    this.pending.value = unread ? key : '';
    if (!i && unread && !this.loading.value) void this.load(true);
    else if (i && unread && this.beside.stand.value === 'failed') void this.loadBeside(i);
    else if (i && !unread && !this.matter.value) this.idle.value = key;
    return !!this.matter.value;
  }

  /** Reads what stands beside an incident; then begins what was waiting for it, and takes back that there was nothing to do. */
  private async loadBeside(i: Case): Promise<void> {
    await this.beside.load(i);
    if (i.id !== this.chosen.value || !this.detail.value || this.beside.stand.value === 'reading') return;
    const { idle, pending } = this;
    if (pending.value && !this.ready()) pending.value = '';
    if (pending.value) {
      this.matter.value = this.matterFor(pending.value, this.detail.value);
      if (!this.matter.value) idle.value = pending.value;
      pending.value = '';
    } else if (idle.value && this.matterFor(idle.value, this.detail.value)) idle.value = '';
  }

  /** Reads what waits for a decision, which says so; then turns to it, unless its user has turned to something else. */
  private async lookForWaiting(): Promise<void> {
    const { stint } = this;
    const chosen = this.chosen.value;
    this.typed.value = '';
    this.lane.value = 'ask';
    await this.deciding.again();
    if (stint !== this.stint || this.deciding.stand.value !== 'read') return;
    if (chosen === this.chosen.value && this.lane.value === 'ask' && this.ready()) this.begin('decide');
  }

  /** Whether a dialog may open by itself: nothing else is open. */
  private ready(): boolean {
    return this.mode.value === 'incident' && !document.querySelector('dialog[open]');
  }

  /** Turns to the oldest request that waits. */
  private toWaiting(): void {
    this.typed.value = '';
    this.lane.value = 'ask';
    const [first] = this.deciding.items.value;
    if (first) this.choose(first.incident);
  }

  private me(): Me {
    return this.session.me.value ?? {};
  }

  /**
   * Writes what stands beside an incident: its version stays. Taken or refused, all of that
   * is read anew before this returns, so that a form can say how things stand.
   */
  async setDown<T>(id: string, write: () => Promise<T>): Promise<T> {
    const { stint } = this;
    try {
      return await write();
    } finally {
      const [i, journal] = await Promise.all([this.api.incident(id), this.api.journal(id)]).catch(() => []);
      if (i && journal && id === this.chosen.value) {
        this.journal.value = journal;
        if (i.version >= (this.detail.value?.version ?? 0)) this.detail.value = i;
        await this.loadBeside(i);
      }
      if (stint === this.stint) void this.lookForOwed();
      if (stint === this.stint) void this.deciding.look();
    }
  }

  /** Reads the call-backs that wait, and again after a while. */
  private async lookForOwed(): Promise<void> {
    const { stint } = this;
    this.timers.clear(this.owedTimer);
    this.owedTimer = this.timers.set(() => void this.lookForOwed(), OWED_MS);
    const found = await this.api.owed().catch(() => null);
    if (found && stint === this.stint) this.owed.value = { count: found.counts.call_backs, items: found.items };
  }

  /** Corrects the chosen incident, and keeps how it was before. */
  async correct(act: Act, before: Case): Promise<void> {
    await this.act(act, before);
    if (this.detail.value?.id === before.id) this.corrected.value = { before, after: this.detail.value };
  }

  /**
   * Shows what an act of ours made of an incident, unless another one is chosen by now. Such
   * an act makes no advice old, where advised says so.
   */
  private put(i: Case, of: Seen, advised = true): void {
    const was = of.version;
    of.version = i.version;
    if (i.id !== this.chosen.value) return;
    this.detail.value = i;
    if (advised && this.advised === was) this.advised = i.version;
  }

  /** Merges one incident into another, and chooses that. */
  async merge(from: Case, into: Case, reason: string): Promise<void> {
    const { stint } = this;
    await this.once({ ...from }, () => this.api.act(from.id, from.version, { action: 'merge', into: into.id, reason }));
    if (stint !== this.stint || into.id === this.chosen.value) return;
    this.typed.value = '';
    this.choose(into.id);
    this.detail.value ??= into;
  }

  /**
   * Runs an act on the version that was seen. Where somebody else was first that incident is
   * read anew, and rival tells who; what its refusal says to be possible is no other's.
   */
  private async once(of: Seen, run: () => Promise<unknown>, advise = false): Promise<void> {
    this.rival.value = null;
    this.moved.value = false;
    this.corrected.value = null;
    const { stint } = this;
    try {
      await run();
    } catch (e) {
      if (!(e instanceof Problem) || e.status !== 409 || stint !== this.stint) throw e;
      const id = this.chosen.value;
      const [i, journal] = await Promise.all([this.api.incident(of.id), this.api.journal(of.id)]).catch(
        () => [null, []] as const,
      );
      const news = journal.at(-1);
      if (i && stint === this.stint && id === this.chosen.value) {
        this.moved.value = i.version > of.version;
        if (news && this.moved.value) this.rival.value = news;
        if (of.id === id) {
          this.detail.value = i;
          this.journal.value = journal as JournalEntry[];
          if (Array.isArray(e.more.possible)) this.told.value = { version: i.version, actions: e.more.possible as string[] };
        }
      }
      void this.load(true);
      throw e;
    }
    void this.load(advise);
  }

  /**
   * Asks the ticked workers, after the steps that have to come first, by the version that
   * the advice on the screen is of. A step that wants something to be said is not taken:
   * `before` names it, nobody is asked yet, and it says so by false.
   */
  async offer(): Promise<boolean> {
    const i = this.chosenNow();
    const of = { id: i.id, version: this.advised || i.version };
    const workers = this.picked.value;
    const lead = !this.lead.value;
    this.before.value = '';
    let sent = false;
    await this.once(
      of,
      async () => {
        let at = i;
        for (const action of lead ? (stepsToOffer(i.state) ?? []) : []) {
          if (at.version !== of.version) at = await this.api.incident(of.id); // what our own step made possible
          if (asks(action, at)) {
            if (of.id !== this.chosen.value) return;
            this.turnTo('incident'); // where its form opens
            [this.detail.value, this.before.value] = [at, action];
            return;
          }
          this.put(await this.api.act(of.id, of.version, { action }), of);
        }
        await this.api.offer(of.id, of.version, workers, lead);
        sent = true;
        if (of.id === this.chosen.value) this.tick([], true);
      },
      true,
    );
    return sent;
  }

  async withdraw(offer: Offer, reason: string): Promise<void> {
    this.rival.value = null;
    this.moved.value = false;
    try {
      await this.api.withdraw(offer.id, reason);
    } finally {
      void this.load(true);
    }
  }

  private chosenNow(): Case {
    const i = this.detail.value;
    if (!i) throw new Error('no incident is chosen');
    return i;
  }

  /** Asks who should go; nobody, to what is over. */
  private async advise(mine: () => boolean, over: boolean): Promise<void> {
    const i = this.chosenNow();
    this.adviceAt = this.timers.now();
    if (over) {
      this.wanted = false;
      this.advice.value = null;
      this.advised = 0;
      this.tick([], true);
      this.showPins();
      return;
    }
    try {
      const advice = await this.api.advice(i.id, ADVISED);
      if (!mine()) return;
      this.advice.value = advice;
      this.advised = i.version;
      this.wanted = false;
      this.adviceProblem.value = null;
      this.repick(advice, i);
    } catch (e) {
      if (!mine()) return;
      this.advice.value = null;
      this.advised = 0;
      this.adviceProblem.value = e;
    }
    this.showPins();
  }

  /**
   * Takes away the ticks of those whom this advice rules out. A tick that nobody set goes
   * to the best of it, where a lead is wanted.
   */
  private repick(advice: Advice, i: Case): void {
    const out = advice.excluded.filter((e) => e.why !== 'stale_fix' && this.picked.value.includes(e.worker_id));
    if (!this.byAdvice && out.length) {
      this.unpicked.value = out;
      this.tick(this.picked.value.filter((w) => !out.some((e) => e.worker_id === w)));
    }
    if (!this.byAdvice && this.picked.value.length) return;
    const first = advice.items[0];
    const wanted = first && !this.unpicked.value.length && !this.lead.value && stepsToOffer(i.state);
    this.tick(wanted ? [first.worker_id] : [], true);
  }

  /** What forms choose from; asked for again until it comes. */
  private async lists(): Promise<void> {
    const { stint } = this;
    try {
      const categories = await this.api.categories();
      const departments = await this.api.departments().catch(() => []);
      if (stint === this.stint) [this.categories.value, this.departments.value] = [categories, departments];
    } catch {
      if (stint === this.stint) this.timers.set(() => stint === this.stint && void this.lists(), RETRY_MS);
    }
  }

  private readonly offline = () => this.live.client.offline();
  private readonly online = () => this.live.client.hurry();

  /** The county's bounds; waits while the first grids are still being loaded. */
  private async bbox(): Promise<[number, number, number, number]> {
    for (;;) {
      const box = this.session.me.value?.grid?.bbox;
      if (box && box[2] > box[0]) return box;
      await new Promise((r) => this.timers.set(() => r(null), RETRY_MS));
      await this.session.check();
    }
  }

  /** Draws after a burst of events once, not once each. */
  gather(): void {
    if (this.gathered) return;
    this.gathered = true;
    this.timers.set(() => {
      this.gathered = false;
      this.open.value = this.live.open() as Case[];
      this.working.value = this.atWork();
      this.drawIncidents();
      const stamp = this.stamp();
      if (this.chosen.value && stamp !== this.seen) void this.load();
      this.seen = stamp;
    }, GATHER_MS);
  }

  /** Moves with every event of the chosen incident or its offers. */
  private stamp(): string {
    const { state } = this.live.client;
    const id = this.chosen.value;
    const offers = state.of<Offer>('offer').filter((o) => o.data.incident_id === id);
    const whistles = state.of<{ incident_id: string }>('whistle').filter((w) => w.data.incident_id === id);
    return [state.get('incident', id)?.seq, ...[...offers, ...whistles].map((o) => `${o.id}:${o.seq}`)].join(' ');
  }

  private atWork(): string {
    const work = this.live.client.state.of<Offer>('offer').filter((o) => ['accepted', 'arrived'].includes(o.data.state));
    return work
      .map((o) => o.data.worker_id)
      .sort()
      .join(' ');
  }

  private drawIncidents(): void {
    const { live, map } = this;
    this.marks.show(live.open(), live.arrivedAt, Date.now(), live.serverNow(), map?.worldPerU() ?? 1e-4);
    map?.showCounts(this.marks.folds);
  }

  private showPins(): void {
    const i = this.detail.value;
    this.pins?.show(i?.point ?? null, this.advice.value?.items ?? [], this.picked.value);
  }

  /** Chooses the mark that was clicked. */
  private pick(lon: number, lat: number): void {
    const gl = this.map?.gl;
    if (!gl) return;
    const at = gl.project([lon, lat]);
    let best = '';
    let nearest = PICK_PX;
    for (const { lead } of this.marks.folds) {
      const p = gl.project(lead.point as [number, number]);
      const d = Math.hypot(p.x - at.x, p.y - at.y);
      if (d < nearest) [best, nearest] = [lead.id, d];
    }
    if (best) this.choose(best);
  }

  private beat(): void {
    this.timers.clear(this.beatTimer);
    this.beatTimer = this.timers.set(() => this.beat(), BEAT_MS);
    this.fresh.value = this.live.freshness();
    const now = this.live.serverNow();
    if (Math.floor(now / 1000) === Math.floor(this.now.value / 1000)) return;
    this.now.value = now;
    this.dots.age(now, this.fresh.value.state === 'live');
    this.pins?.follow();
    if (this.marks.pulsing) this.drawIncidents();
  }
}

export const DESK: InjectionKey<Desk> = Symbol('desk');

export function useDesk(): Desk {
  const d = inject(DESK);
  if (!d) throw new Error('no desk is provided');
  return d;
}
