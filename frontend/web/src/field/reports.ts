// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// The report that is being written, with its files; and files for the incident of a task.

import { ref, shallowRef, watch } from 'vue';
import { newRef } from '../wire/ref';
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
import type { Duty } from './duty';
import { type FileKind, MOST, type NoFile, readyFile } from './files';
import type { Letter } from './outbox';
import { type Phone, plain } from './phone';
import { type Task, titleOf } from './tasks';

const RECENT_MOST = 12;
const DRAFT_MS = 300;

export class Reports {
  readonly categories = shallowRef<Category[]>([]);
  /** The categories reported by of late. */
  readonly recent = shallowRef<string[]>([]);
  readonly draft = ref<Draft>(emptyDraft());
  /** A report is just being written down. */
  readonly reporting = ref(false);
  /** A refused report is just being taken back into the form. */
  readonly rewriting = ref(false);
  /** How many files of the draft are just being made ready: it waits for them. */
  readonly pending = ref(0);

  /** How many files are just being made ready: they would be lost with a sign-out. */
  readying = 0;

  private timer: unknown = null;
  private turn = 0;

  constructor(
    private readonly phone: Phone,
    private readonly duty: Duty,
  ) {
    watch(this.draft, () => this.keepSoon(), { deep: true });
  }

  /** Nothing of the one who goes stays. */
  clear(): void {
    this.turn++;
    this.draft.value = emptyDraft();
    this.recent.value = [];
  }

  /** Writes nothing down any more. */
  stop(): void {
    this.turn++;
    this.phone.timers.clear(this.timer);
  }

  async loadCategories(): Promise<void> {
    const { session, shelf } = this.phone;
    try {
      const { items } = await session.http.get<{ items: Category[] }>('/api/v1/categories');
      this.categories.value = items;
      await shelf.keep('categories', items).catch(() => {});
    } catch {
      // those kept from before will do
    }
  }

  /** Reports the draft, and begins a new one. What is asked for while one is being written down is the same touch again. */
  async report(c: Category): Promise<void> {
    if (this.reporting.value || this.pending.value) return;
    const { outbox, shelf, login, session } = this.phone;
    this.reporting.value = true;
    const written = this.draft.value;
    this.draft.value = emptyDraft();
    try {
      await outbox.post(...lettersOf(plain(written), c, login, Date.now(), newRef, session.http.ahead));
    } catch (e) {
      this.draft.value = written;
      throw e;
    } finally {
      this.reporting.value = false;
    }
    this.recent.value = [c.code, ...this.recent.value.filter((x) => x !== c.code)].slice(0, RECENT_MOST);
    await shelf.keep(`recent ${login}`, this.recent.value).catch(() => {});
  }

  /** Measures the place of the draft; what it throws is a NoFix. */
  async place(): Promise<void> {
    const draft = this.draft.value;
    const f = await this.duty.where();
    draft.place = { lon: f.lon, lat: f.lat, accuracyM: Math.max(1, f.accuracyM), at: f.at };
  }

  /** Keeps a file for the draft; what it throws is a NoFile. */
  async addFile(kind: FileKind, given: File): Promise<void> {
    if (this.draft.value.files.filter((f) => f.kind === kind).length >= MOST[kind]) throw new Error('many' satisfies NoFile);
    const { shelf, login } = this.phone;
    const draft = this.draft.value;
    this.pending.value++;
    try {
      const f = await this.keepFile(kind, given, draft.place);
      if (!f) return;
      if (draft !== this.draft.value) return await shelf.removeFile(f.ref); // it has been reported, or given up
      draft.files.push(f);
      await shelf.keep(`draft ${login}`, plain(draft));
    } finally {
      this.pending.value--;
    }
  }

  async removeFile(ref: string): Promise<void> {
    this.draft.value.files = this.draft.value.files.filter((f) => f.ref !== ref);
    await this.phone.shelf.removeFile(ref).catch(() => {});
  }

  /** Attaches a file to the incident of a task. */
  async attach(task: Task, kind: FileKind, given: File): Promise<void> {
    const { login } = this.phone;
    const f = await this.keepFile(kind, given);
    if (f) await this.phone.outbox.post(fileLetter(f, login, titleOf(task), task.incident.id));
  }

  /**
   * Takes a refused report back into the form; what was being written there goes, once its
   * writer has agreed. A file that the browser has cleared away does not come along.
   */
  async rewrite(report: Letter): Promise<void> {
    if (this.rewriting.value) return;
    const { shelf, outbox, login } = this.phone;
    this.rewriting.value = true;
    try {
      const draft = draftOf(
        report,
        this.phone.letters.value.filter((l) => l.report === report.ref),
      );
      const files: typeof draft.files = [];
      for (const f of draft.files) {
        const kept = await shelf.file(f.ref);
        if (!kept) continue;
        f.ref = newRef(); // under a new name: the letters take theirs along
        await shelf.putFile({ ...kept, ref: f.ref });
        files.push(f);
      }
      draft.files = files;
      await shelf.keep(`draft ${login}`, draft);
      await outbox.dismiss(report.ref);
      this.draft.value = draft;
    } finally {
      this.rewriting.value = false;
    }
  }

  /** Keeps a file with where the phone is; a place of long ago is none. Null when its writer has gone meanwhile. */
  private async keepFile(kind: FileKind, given: File, place: DraftPlace | null = null) {
    const { shelf, login } = this.phone;
    const { turn } = this;
    const gone = () => turn !== this.turn || login !== this.phone.login;
    const now = Date.now();
    const me = this.duty.lately();
    const measured = place?.accuracyM && !outOfDate(place, now) ? place : null;
    this.readying++;
    try {
      const ready = await readyFile(kind, given);
      if (gone()) return null;
      const f = draftFile(newRef(), ready, this.phone.serverNow(), me ?? measured);
      await shelf.putFile({ ref: f.ref, login, blob: ready.blob }).catch(() => {
        throw new Error('full' satisfies NoFile);
      });
      if (gone()) {
        await shelf.removeFile(f.ref);
        return null;
      }
      void navigator.storage?.persist?.().catch(() => {}); // the browser may not clear it away then
      return f;
    } finally {
      this.readying--;
    }
  }

  /** Writes the draft down a moment after the last stroke, as whoever's it is now. */
  private keepSoon(): void {
    if (!this.phone.running) return;
    const { timers, shelf } = this.phone;
    const key = `draft ${this.phone.login}`;
    const d = plain(this.draft.value);
    timers.clear(this.timer);
    this.timer = timers.set(() => void shelf.keep(key, d).catch(() => {}), DRAFT_MS);
  }
}
