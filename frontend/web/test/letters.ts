// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// Letters of the field page's outbox, and a drawer in place of the phone's store.

import type { Letter, Shelf } from '../src/field/outbox';

export class Drawer implements Shelf {
  letters = new Map<string, Letter>();
  all = async () => [...this.letters.values()].map((l) => structuredClone(l));
  put = async (...all: Letter[]) => {
    for (const l of all) this.letters.set(l.ref, structuredClone(l));
  };
  remove = async (ref: string) => void this.letters.delete(ref);
}

export const letter = (ref: string, more: Partial<Letter> = {}): Letter => ({
  ref,
  login: 'wang',
  at: 1,
  path: '/api/v1/offers/7/acts',
  body: { client_ref: ref },
  headers: {},
  about: { kind: 'accept', title: '井盖丢失', offer: '7' },
  ...more,
});
