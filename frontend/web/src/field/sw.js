// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// The field page's service worker: keeps the files of one version of the page, and
// nothing of the API. The build puts in SHELL, the files, and VERSION, their hash; a
// newer version waits until the page asks for it or was closed everywhere.

const VERSION = '__VERSION__';
const SHELL = ['__SHELL__'];
const PAGE = '/field';
const NAME = `onemap-field-${VERSION}`;

addEventListener('install', (e) => e.waitUntil(keep()));

async function keep() {
  const cache = await caches.open(NAME);
  await cache.addAll(SHELL.map((file) => new Request(file, { cache: file.startsWith('/assets/') ? 'default' : 'reload' })));
  // The page and its files must be of one build: while a server changes they may not be.
  const page = await (await cache.match(PAGE)).text();
  const entry = SHELL.filter((file) => /^\/assets\/field-.*\.js$/.test(file));
  if (!entry.length || !entry.every((file) => page.includes(file))) throw new Error('the page is of another version');
}

addEventListener('activate', (e) => e.waitUntil(tidy()));

async function tidy() {
  for (const name of await caches.keys()) if (name.startsWith('onemap-field-') && name !== NAME) await caches.delete(name);
  await clients.claim();
}

addEventListener('message', (e) => {
  if (e.data === 'take') skipWaiting();
});

addEventListener('fetch', (e) => {
  const { origin, pathname } = new URL(e.request.url);
  if (e.request.method !== 'GET' || origin !== location.origin) return;
  if (e.request.mode === 'navigate') {
    if (pathname === PAGE) e.respondWith(kept(PAGE, e.request));
  } else if (pathname.startsWith('/assets/') || SHELL.includes(pathname)) e.respondWith(kept(pathname, e.request));
});

async function kept(file, request) {
  const cache = await caches.open(NAME);
  const found = await cache.match(file);
  if (found) return found;
  const answer = await fetch(request);
  if (answer.ok && file.startsWith('/assets/')) await cache.put(file, answer.clone()); // loaded when wanted: the map
  return answer;
}
