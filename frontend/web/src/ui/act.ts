// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// One act of a form: busy while it runs, its refusal kept for showing, and a wait
// counted down when the server asks for one.

import { onScopeDispose, ref, shallowRef } from 'vue';
import { Problem } from '../session/problem';

export function useAct() {
  const busy = ref(false);
  const problem = shallowRef<Problem | null>(null);
  const wait = ref(0);
  let timer = 0;

  function countDown(seconds: number) {
    clearInterval(timer);
    wait.value = seconds;
    if (seconds <= 0) return;
    timer = window.setInterval(() => {
      wait.value--;
      if (wait.value <= 0) clearInterval(timer);
    }, 1000);
  }

  /** Runs the act; false when it was refused or another one is running. */
  async function run(act: () => Promise<void>): Promise<boolean> {
    if (busy.value || wait.value > 0) return false;
    busy.value = true;
    problem.value = null;
    try {
      await act();
      return true;
    } catch (e) {
      problem.value = e instanceof Problem ? e : new Problem(-1, 'about:blank', String(e));
      countDown(problem.value.waitS);
      return false;
    } finally {
      busy.value = false;
    }
  }

  onScopeDispose(() => clearInterval(timer));
  return { busy, problem, wait, run };
}

export type Act = ReturnType<typeof useAct>;
