// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// Signing out by hand, from whichever button: asked once more when something would be
// lost, which the second touch of a double one does not answer.

import { ref } from 'vue';
import { useAct } from '../ui/act';
import { TOUCH_MS } from '../ui/touch';
import { useSession } from './store';

export function useLeaving() {
  const session = useSession();
  const { busy, problem, wait, run } = useAct();
  /** How many things would be lost: the person has been told, and may still stay. */
  const loses = ref(0);
  let askedAt = 0;

  async function leave(): Promise<void> {
    if (loses.value && performance.now() - askedAt < TOUCH_MS) return;
    await run(async () => {
      const n = loses.value ? 0 : await session.unsentHere();
      if (n) {
        loses.value = n;
        askedAt = performance.now();
      } else await session.signOut();
    });
  }

  return { busy, problem, wait, loses, leave };
}
