// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// What a link may bring along behind its #: an invitation's code, or the wish to
// make the first administrator. The code leaves the address bar and the history at
// once, and is kept nowhere but in memory.

export type Errand = { door: 'invite'; code: string } | { door: 'first' } | null;

export function errandIn(hash: string): Errand {
  if (hash === '#first') return { door: 'first' };
  const code = new URLSearchParams(hash.replace(/^#/, '')).get('invite');
  return code ? { door: 'invite', code } : null;
}

export function takeErrand(where: Location = location, past: History = history): Errand {
  const errand = errandIn(where.hash);
  if (errand) past.replaceState(null, '', where.pathname + where.search);
  return errand;
}
