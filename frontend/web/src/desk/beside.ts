// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// What stands beside an incident: whistles, attachments, remarks, supervisions, and the
// incidents that may be the same matter. Each comes by itself; what does not come, or is
// not this person's to read, leaves its part empty.

import { ref, shallowRef } from 'vue';
import { Problem } from '../session/problem';
import type { DeskApi } from './api';
import type { Attached, Case, Likeness, Remarks, Supervision, Whistle } from './types';

export class Beside {
  readonly whistles = shallowRef<Whistle[]>([]);
  readonly attached = shallowRef<Attached[]>([]);
  readonly remarks = shallowRef<Remarks | null>(null);
  readonly supervisions = shallowRef<Supervision[]>([]);
  readonly alike = shallowRef<Likeness[]>([]);
  /** Incidents that were merged into this one. */
  readonly merged = shallowRef<Case[]>([]);
  /** Whether what a matter goes by, which is whistles, remarks and supervisions, has been read. */
  readonly stand = ref<'reading' | 'read' | 'failed'>('reading');
  private turn = 0; // moves with every other incident
  private look = 1; // moves when what may be alike is to be looked for anew
  private looked = 0; // the look whose answer has come

  constructor(private readonly api: DeskApi) {}

  clear(): void {
    this.turn++;
    this.look++;
    this.stand.value = 'reading';
    this.whistles.value = [];
    this.attached.value = [];
    this.remarks.value = null;
    this.supervisions.value = [];
    this.alike.value = [];
    this.merged.value = [];
  }

  /** Has the next load look anew for what may be alike. */
  lookAgain(): void {
    this.look++;
  }

  /** Loads all of it; what may be alike only until it has come, since it takes long to look for. */
  async load(i: Case): Promise<void> {
    const { turn, look } = this;
    if (this.stand.value === 'failed') this.stand.value = 'reading';
    const put = async <T>(asked: Promise<T>, take: (v: T) => void) => {
      try {
        const v = await asked;
        if (turn === this.turn) take(v);
        return true;
      } catch (e) {
        return e instanceof Problem && e.status === 403; // there is nothing of it for this person
      }
    };
    const rest = Promise.all([
      put(this.api.attachments(i.id), (v) => {
        this.attached.value = v.filter((a) => a.state !== 'expired');
      }),
      this.looked !== look &&
        put(this.api.duplicates(i.id), (v) => {
          if (look !== this.look) return; // a newer look is under way, or yet to come
          this.looked = look;
          this.alike.value = v.items;
          this.merged.value = v.merged ?? [];
        }),
    ]);
    const read = await Promise.all([
      put(this.api.whistles(i.id), (v) => {
        this.whistles.value = v;
      }),
      put(this.api.remarks(i.id), (v) => {
        this.remarks.value = v;
      }),
      put(this.api.supervisions(i.id), (v) => {
        this.supervisions.value = v;
      }),
    ]);
    if (turn === this.turn && this.stand.value !== 'read') this.stand.value = read.every(Boolean) ? 'read' : 'failed';
    void rest; // looks for what is alike take long, and nothing waits for them
  }
}
