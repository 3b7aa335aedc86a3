// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// How the page gets in: a one-time code in the fragment is taken out of the
// address at once, posted once, and traded for a cookie; after that the cookie
// alone opens the page, for weeks.

import { getSession, postCode, RestError, type Session } from './rest';

export type Refusal = 'none' | 'used' | 'ended' | 'unreachable';
export type Entry = { session: Session } | { refused: Refusal };

/** The code in a fragment like `#code=XXXX`, or null. */
export function codeIn(hash: string): string | null {
  return new URLSearchParams(hash.replace(/^#/, '')).get('code') || null;
}

/** Takes the code out of the address bar and the history. */
export function takeCode(): string | null {
  const code = codeIn(location.hash);
  if (code) history.replaceState(null, '', location.pathname + location.search);
  return code;
}

/** Tries to get in. A code that was refused is told apart from a session that is not there. */
export async function enter(code: string | null): Promise<Entry> {
  let used = false;
  if (code) {
    try {
      await postCode(code);
    } catch (e) {
      if (statusOf(e) === 0 || statusOf(e) >= 500) return { refused: 'unreachable' };
      used = true; // a cookie from before may still open the page
    }
  }
  try {
    return { session: await getSession() };
  } catch (e) {
    const status = statusOf(e);
    if (status === 401 || status === 403) return { refused: used ? 'used' : 'none' };
    return { refused: 'unreachable' };
  }
}

function statusOf(e: unknown): number {
  return e instanceof RestError ? e.status : 0;
}
