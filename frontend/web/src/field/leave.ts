// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// Whoever signs out, on whichever page, leaves nothing of theirs in the field page's
// store on this machine, and is told before what would be lost. What others have not
// sent stays theirs.

import type { SessionStore } from '../session/store';
import { begun, type Draft } from './draft';
import { isReceipt, type Letter } from './outbox';

/** What of the phone's store is wanted here. */
export interface LeftShelf {
  all(): Promise<Letter[]>;
  kept<T>(key: string): Promise<T | undefined>;
  wipe(login: string): Promise<void>;
}

/** Makes a sign-out wipe the store; first runs before it. What readying counts is on its way there. */
export function leaveNothing(
  session: SessionStore,
  shelf: LeftShelf,
  first: (login: string) => Promise<void> = async () => {},
  readying: () => number = () => 0,
): void {
  session.unsent = async (login) => {
    const letters = (await shelf.all()).filter((l) => l.login === login && !isReceipt(l));
    const draft = await shelf.kept<Draft>(`draft ${login}`);
    return letters.length + (draft && begun(draft) ? 1 : 0) + readying();
  };
  session.leaving = async (login) => {
    await first(login);
    await shelf.wipe(login).catch(() => {}); // a browser that keeps nothing has nothing to wipe
  };
}
