// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// The own offers, live and offline, and what is said of them.

import { computed, ref, shallowRef } from 'vue';
import { Problem } from '../session/problem';
import { newRef } from '../wire/ref';
import type { Phone } from './phone';
import { type ActKind, type Task, titleOf, unanswered, withLetters } from './tasks';

const POLL_MS = 30_000;
const GATHER_MS = 150;
const BUZZ = [300, 150, 300];

export class Offers {
  readonly known = shallowRef<Task[]>([]);
  /** The list of tasks is what the page shows. */
  readonly listed = ref(false);
  /** When the list last came from the server, in unix ms; 0 when it is not known. */
  readonly loadedAt = ref(0);
  readonly tasks = computed(() => withLetters(this.known.value, this.phone.letters.value));

  private met = new Set<string>();
  private timer: unknown = null;
  private gathered = false;

  /** offline is called when the server cannot be reached. */
  constructor(
    private readonly phone: Phone,
    private readonly offline: () => void,
  ) {}

  /** Nothing of the one who goes stays. */
  clear(): void {
    this.phone.timers.clear(this.timer);
    this.listed.value = false;
    this.known.value = [];
    this.met.clear();
    this.loadedAt.value = 0;
  }

  /**
   * Says something of an offer; written down first, sent when there is a line. False for
   * the second touch of a double one: by then another button lies under the finger.
   */
  async act(task: Task, kind: ActKind, reason = ''): Promise<boolean> {
    const receipt = kind === 'delivered' || kind === 'seen';
    if (!receipt && !this.phone.touch(task.id)) return false;
    const ref = receipt ? `${kind}-${task.id}` : newRef();
    const at = this.phone.serverNow();
    await this.phone.outbox.post({
      ref,
      login: this.phone.login,
      at,
      path: `/api/v1/offers/${task.id}/acts`,
      body: { kind, at: new Date(at).toISOString(), client_ref: ref, ...(reason && { reason }) },
      headers: {},
      about: { kind, title: titleOf(task), offer: task.id },
    });
    return true;
  }

  /** The page shows these offers: whoever made them is told. */
  saw(tasks: Task[]): void {
    if (document.visibilityState !== 'visible' || !this.listed.value) return;
    for (const t of tasks) if (t.state === 'offered' || t.state === 'delivered') this.act(t, 'seen').catch(() => {}); // a full phone: the next time
  }

  async load(): Promise<void> {
    const { timers, session, shelf, login } = this.phone;
    if (!this.phone.running) return;
    timers.clear(this.timer);
    this.timer = timers.set(() => void this.load(), POLL_MS);
    try {
      const { items } = await session.http.get<{ items: Task[] }>('/api/v1/offers', { limit: 200 });
      if (!this.phone.running || login !== this.phone.login) return;
      this.take(items);
      await shelf.keep(`offers ${login}`, items).catch(() => {});
    } catch (e) {
      if (e instanceof Problem && e.status === 0) this.offline();
    }
  }

  /** Reads the list again after a burst of events once, not once each. */
  gather(): void {
    if (this.gathered) return;
    this.gathered = true;
    this.phone.timers.set(() => {
      this.gathered = false;
      void this.load();
    }, GATHER_MS);
  }

  private take(items: Task[]): void {
    const fresh = items.filter((t) => unanswered(t) && !this.met.has(t.id));
    for (const t of items) this.met.add(t.id);
    this.known.value = items;
    this.loadedAt.value = Date.now();
    for (const t of items) if (t.state === 'offered') this.act(t, 'delivered').catch(() => {});
    if (fresh.length) navigator.vibrate?.(BUZZ);
    this.saw(items);
  }
}
