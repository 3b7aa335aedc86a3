// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// Categories as one chooses them.

import type { Category } from './api';

/** Whether there is such a category. */
export const isOf = (code: string, all: readonly Category[]): boolean => all.some((c) => c.code === code || c.top === code);

/** A category's name; its code while the names are not there. */
export const nameOf = (code: string, all: readonly Category[]): string =>
  all.find((c) => c.code === code)?.name ?? all.find((c) => c.top === code)?.top_name ?? code;

/** The top categories with their names, and the one that is chosen, which may be below a top: an address may ask for it. */
export function choicesOf(all: readonly Category[], chosen: string): [code: string, name: string][] {
  const choices = new Map(all.map((c) => [c.top || c.code, c.top_name || c.name]));
  if (chosen) choices.set(chosen, nameOf(chosen, all));
  return [...choices];
}
