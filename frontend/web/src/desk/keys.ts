// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// The desk's keys. None of them counts while somebody types, in a dialog, or with a
// modifier held down. Enter on a button stays the button's.

import type { HallMap } from '../map/hallmap';
import type { AnyKey } from './above';

/** The keys in the order in which help tells of them; the catalogue has their words. */
export const KEYS = [
  'compose',
  'next',
  'move',
  'pick',
  'offer',
  'select',
  'correct',
  'merge',
  'note',
  'callback',
  'instruction',
  'whistle',
  'word',
  'session',
  'supervise',
  'decide',
  'find',
  'map',
  'pan',
  'leave',
  'help',
] as const;

export interface KeyDesk {
  /** Opens the form of a report. */
  compose(): void;
  /** Opens the selection on the map. */
  select(): void;
  correct(): void;
  /** Merges what is most alike. */
  merge(): void;
  note(): void;
  /** Begins what is done beside moving the incident. */
  matter(key: AnyKey): void;
  help(): void;
  /** Leaves what is open; false when nothing is. */
  leave(): boolean;
  chooseNext(): void;
  step(by: 1 | -1): void;
  /** Ticks the candidate of a rank. */
  rank(n: number): void;
  offer(): void;
  search(): void;
  hallMap: HallMap | null;
}

const PAN = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] } as const;
const TYPING = 'input, textarea, select';

/** Does what a key stands for; false when it stands for nothing here. */
export function deskKey(e: KeyboardEvent, desk: KeyDesk): boolean {
  if (document.querySelector('dialog[open]')) return false; // wherever the focus is: the keys are the dialog's
  if (e.ctrlKey || e.altKey || e.metaKey || e.isComposing) return false;
  const on = e.target instanceof Element ? e.target : null;
  if (e.key === 'Escape' && on?.closest('.desk-form')) return desk.leave();
  if (on?.closest(TYPING)) return false;
  if (e.shiftKey && e.key in PAN) {
    const [x, y] = PAN[e.key as keyof typeof PAN];
    desk.hallMap?.pan(x, y);
    return true;
  }
  if (/^[1-9]$/.test(e.key)) {
    desk.rank(Number(e.key));
    return true;
  }
  switch (e.key) {
    case 'c':
    case 'C':
      desk.compose();
      return true;
    case 's':
    case 'S':
      desk.select();
      return true;
    case 'e':
    case 'E':
      desk.correct();
      return true;
    case 'm':
    case 'M':
      desk.merge();
      return true;
    case 'b':
    case 'B':
      desk.note();
      return true;
    case 'r':
    case 'R':
      desk.matter('callback');
      return true;
    case 'i':
    case 'I':
      desk.matter('instruction');
      return true;
    case 'w':
    case 'W':
      desk.matter('whistle');
      return true;
    case 'p':
    case 'P':
      desk.matter('word');
      return true;
    case 'h':
    case 'H':
      desk.matter('session');
      return true;
    case 'd':
    case 'D':
      desk.matter('supervise');
      return true;
    case 'a':
    case 'A':
      desk.matter('decide');
      return true;
    case '?':
    case '？': // of a Chinese keyboard
      desk.help();
      return true;
    case 'Escape':
      return desk.leave();
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
      if (e.repeat || on?.closest('button, a, summary')) return false; // a key held down sends nobody
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
