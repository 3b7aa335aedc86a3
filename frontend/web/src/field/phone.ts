// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// What the parts of the field page share: whose phone it is, its store and its way out.

import type { Ref, ShallowRef } from 'vue';
import type { SessionStore } from '../session/store';
import type { Timers } from '../wire/client';
import type { Letter, Outbox } from './outbox';
import type { PhoneShelf } from './shelf';

export interface Phone {
  readonly session: SessionStore;
  readonly shelf: PhoneShelf;
  readonly timers: Timers;
  readonly outbox: Outbox;
  /** The letters of whoever is in. */
  readonly letters: ShallowRef<Letter[]>;
  /** Whose it is now. */
  readonly login: string;
  /** Somebody is in, and the page works for them. */
  readonly running: boolean;
  /** The server's time at the last full minute, in unix ms. */
  readonly minute: Ref<number>;
  /** The server's time, as far as it is known, in unix ms. */
  serverNow(): number;
  /** False for the second touch of a double one about the same thing. */
  touch(about: string): boolean;
}

/** Without what makes it move the screen: the shelf takes plain things. */
export const plain = <T>(x: T): T => JSON.parse(JSON.stringify(x));

/** One tab at a time, where the browser can tell; an older one sends from each, and the names keep it to once. */
export async function alone<T>(way: string, f: () => Promise<T>): Promise<T | null> {
  if (!navigator.locks) return f();
  return navigator.locks.request(`onemap-field-${way}`, { ifAvailable: true }, async (lock) => (lock ? f() : null));
}
