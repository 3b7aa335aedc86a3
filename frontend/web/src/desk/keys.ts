// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// The desk's keys. None of them counts while somebody types, in a dialog, or with a
// modifier held down. Enter on a button stays the button's.

import type { HallMap } from '../map/hallmap';

export interface KeyDesk {
  chooseNext(): void;
  step(by: 1 | -1): void;
  /** Ticks the candidate of a rank. */
  rank(n: number): void;
  offer(): void;
  search(): void;
  hallMap: HallMap | null;
}

const TYPING = 'input, textarea, select, dialog';

/** Does what a key stands for; false when it stands for nothing here. */
export function deskKey(e: KeyboardEvent, desk: KeyDesk): boolean {
  if (e.ctrlKey || e.altKey || e.metaKey || e.isComposing) return false;
  const on = e.target instanceof Element ? e.target : null;
  if (on?.closest(TYPING)) return false;
  if (/^[1-9]$/.test(e.key)) {
    desk.rank(Number(e.key));
    return true;
  }
  switch (e.key) {
    case 'n':
    case 'N':
      desk.chooseNext();
      return true;
    case 'j':
    case 'ArrowDown':
      desk.step(1);
      return true;
    case 'k':
    case 'ArrowUp':
      desk.step(-1);
      return true;
    case '/':
      desk.search();
      return true;
    case 'Enter':
      if (on?.closest('button, a, summary')) return false;
      desk.offer();
      return true;
    case '0':
      desk.hallMap?.goHome();
      return true;
    case '+':
    case '=':
      desk.hallMap?.zoomBy(0.5);
      return true;
    case '-':
      desk.hallMap?.zoomBy(-0.5);
      return true;
  }
  return false;
}
