// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// The page without a line: a service worker keeps its files (sw.js). A newer version is
// taken at once while the page is just opening, and offered afterwards; reloading loses
// nothing, since what is written lies on the phone.

const LOOK_AGAIN_MS = 10 * 60_000;

/** Begins to keep the page; offer is told how to change to a newer version. */
export async function keepShell(offer: (take: () => void) => void): Promise<void> {
  if (!('serviceWorker' in navigator)) return;
  const sw = navigator.serviceWorker;
  const old = sw.controller;
  let taking = false;
  sw.addEventListener('controllerchange', () => {
    if (taking) location.reload();
  });
  const take = (w: ServiceWorker) => {
    taking = true;
    w.postMessage('take');
  };
  const reg = await sw.register('/field-sw.js', { scope: '/field' });
  if (reg.waiting && old) return take(reg.waiting);
  reg.addEventListener('updatefound', () => {
    const fresh = reg.installing;
    fresh?.addEventListener('statechange', () => {
      if (fresh.state === 'installed' && sw.controller) offer(() => take(fresh));
    });
  });
  let looked = Date.now();
  document.addEventListener('visibilitychange', () => {
    if (document.visibilityState !== 'visible' || Date.now() - looked < LOOK_AGAIN_MS) return;
    looked = Date.now();
    reg.update().catch(() => {}); // no line: the next time
  });
}
