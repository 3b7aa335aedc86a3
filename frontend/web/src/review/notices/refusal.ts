// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

import type { Problem } from '../../session/problem';

const WORDS: Record<number, string> = { 403: 'notAllowed', 404: 'gone', 409: 'elsewhere' };

/** What to tell of a refused act on a notice, where it has words of its own. */
export function refusalOf(p: Problem | null, t: (key: string) => string): string | undefined {
  const word = WORDS[p?.status ?? 0];
  return word && t(`notices.${word}`);
}
