// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// Names that a page makes for its own acts, so that one that is sent twice counts once.

/** 22 characters, 128 bits of chance. `crypto.randomUUID` is missing off HTTPS. */
export function newRef(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return btoa(String.fromCharCode(...bytes))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replaceAll('=', '');
}

/** Names what a form sends: the same text again keeps its name, another one gets another. */
export function namer(): (what: unknown) => string {
  let [last, ref] = ['', ''];
  return (what) => {
    const now = JSON.stringify(what);
    if (now !== last) [last, ref] = [now, newRef()];
    return ref;
  };
}
