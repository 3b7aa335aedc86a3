// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// What of the notices is listed and which one is open, in the page's address.

import { wayTo } from '../views';
import { type Notice, STATES, type State } from './api';

/** What is listed. */
export interface Asked {
  state: State | '';
  overdue: boolean;
  /** Code of a grid, with all below it; empty for all the reader's own. */
  grid: string;
}

/** What an address asks for; what of it is no choice is left out. */
export function parseNotices(search: string): { asked: Asked; id: string } {
  const said = new URLSearchParams(search);
  const id = said.get('id') ?? '';
  return {
    asked: {
      state: STATES.find((s) => s === said.get('state')) ?? '',
      overdue: said.get('overdue') === 'true',
      grid: said.get('grid') ?? '',
    },
    id: /^[1-9]\d{0,17}$/.test(id) ? id : '',
  };
}

/** The address that asks this and has this notice open, behind the path; what else `search` says stays. */
export function formatNotices(asked: Asked, id: string, search: string): string {
  const said = new URLSearchParams(search);
  const parts = { state: asked.state, overdue: asked.overdue ? 'true' : '', grid: asked.grid, id };
  for (const [name, value] of Object.entries(parts)) {
    if (value) said.set(name, value);
    else said.delete(name);
  }
  return `?${said}`;
}

/** Where the hot spots look at the cell that gave rise to a notice, in the days that they ask for at first. */
export const cellWay = (n: Notice, search: string): string =>
  wayTo('cells', search, { res: n.cell?.[1] ?? '', cell: n.cell ?? '' });
