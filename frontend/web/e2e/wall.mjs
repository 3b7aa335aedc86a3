// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// The wall against a real server, in Debian's Chromium.
//
//   node e2e/wall.mjs --base http://127.0.0.1:8080 --link 'http://127.0.0.1:8080/wall#code=...' --out DIR [--size 1920x1080] [--chromium /usr/bin/chromium]
//
// First it opens the link and checks the page by itself. Then it obeys one
// command a line on stdin and answers each with one line of JSON on stdout:
//
//   {"check":"await-incident 12","ok":true,"detail":"..."}
//
// state NAME [S]        waits up to S seconds (20) until the link is live, stale, lost, signed-out or door
// await-incident ID [S] waits until the page holds or has announced the incident; detail has how often it was announced
// shown ID              how often it was announced, when (unix ms), and whether it is open here
// await-seq N [S]       waits until the page has reached seq N
// cut                   the server is about to go: errors of the network are expected until the link is live again
// offline | online      takes the browser off the network, or back
// band | no-band        ok when the red band stands, or has gone; detail is its text
// hall                  window.__hall
// figures               today's figures as shown
// checks                foreign requests and console errors so far
// axe                   accessibility of the page as it is
// lose-context          loses and restores the graphics context; ok when everything is drawn again
// key KEY               presses a key
// size W H              resizes; ok when the map has drawn itself anew with names, workers and their colour
// clipped               ok when no text of the panels runs out of its box
// stranger URL TEXT     opens URL in a browser of its own, without a session; ok when it shows the door with TEXT
// screenshot NAME W H   resizes, waits for the map, writes OUT/NAME.png
// quit

import { mkdirSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { chromium } from 'playwright-core';
import { FLAGS, say, violations } from './person.mjs';

const { values: args } = parseArgs({
  options: {
    base: { type: 'string' },
    link: { type: 'string' },
    out: { type: 'string', default: '.' },
    size: { type: 'string', default: '1920x1080' },
    chromium: { type: 'string', default: '/usr/bin/chromium' },
  },
});
if (!args.base || !args.link) {
  console.error('usage: node e2e/wall.mjs --base URL --link URL --out DIR');
  process.exit(2);
}

const OPEN_S = 90;
const WAIT_S = 20;
const WORKER_BLUE = [46, 155, 255];
const LEAST_BLUE_PIXELS = 200;

const host = new URL(args.base).host;
const foreign = [];
const errors = [];
let cutting = false;

mkdirSync(args.out, { recursive: true });
const [width, height] = args.size.split('x').map(Number);
const browser = await chromium.launch({ executablePath: args.chromium, headless: true, args: FLAGS });
const context = await browser.newContext({ viewport: { width, height }, locale: 'zh-CN', timezoneId: 'Asia/Shanghai' });
const page = await context.newPage();
page.on('request', (r) => {
  const u = new URL(r.url());
  if (!['data:', 'blob:'].includes(u.protocol) && u.host !== host) foreign.push(r.url());
});
page.on('websocket', (ws) => {
  if (new URL(ws.url()).host !== host) foreign.push(ws.url());
});
page.on('console', (m) => {
  if (m.type() === 'error' && !cutting) errors.push(m.text());
});
page.on('pageerror', (e) => errors.push(String(e)));

const hall = () =>
  page.evaluate(() => {
    const { map: _map, has: _has, arrivedAt: _arrivedAt, labels, ...plain } = window.__hall;
    return { ...plain, labels: labels() };
  });

/** Waits for a condition on the page; the milliseconds it took, or null when it never came. */
async function until(fn, arg, seconds = WAIT_S) {
  const start = performance.now();
  try {
    await page.waitForFunction(fn, arg, { timeout: seconds * 1000, polling: 50 });
    return Math.round(performance.now() - start);
  } catch {
    return null;
  }
}

const isState = (s) => window.__hall?.state === s;
const isReady = () => window.__hall?.ready && window.__hall.state === 'live';

/** Pixels of the worker colour, read inside a render handler, where alone they can be read. */
const workerPixels = () =>
  page.evaluate(
    (blue) =>
      new Promise((resolve) => {
        const { map } = window.__hall;
        map.once('render', () => {
          const c = map.getCanvas();
          const gl = c.getContext('webgl2');
          const px = new Uint8Array(c.width * c.height * 4);
          gl.readPixels(0, 0, c.width, c.height, gl.RGBA, gl.UNSIGNED_BYTE, px);
          let n = 0;
          for (let i = 0; i < px.length; i += 4) if (blue.every((v, k) => Math.abs(px[i + k] - v) <= 2)) n++;
          resolve(n);
        });
        map.triggerRepaint();
      }),
    WORKER_BLUE,
  );

// bluePixels waits for the workers: on a wall just live again they may still be shown as stale.
async function bluePixels() {
  const until = performance.now() + OPEN_S * 1000;
  for (;;) {
    const blue = await workerPixels();
    if (blue >= LEAST_BLUE_PIXELS || performance.now() > until) return blue;
    await page.waitForTimeout(100);
  }
}

const axe = async () => (await violations(page)).bad;

/** Texts that reach over the edge of the box they stand in. A list's row may shorten its words with an ellipsis. */
function clippedTexts() {
  const boxes = '.head, .foot, .panel, .kpis > div, .force > div, .levels > li, .bars > li, .bars .name';
  const texts = document.createTreeWalker(document.querySelector('.wall-screen'), NodeFilter.SHOW_TEXT);
  const range = document.createRange();
  const found = [];
  while (texts.nextNode()) {
    const text = texts.currentNode;
    const box = text.parentElement.closest(boxes);
    if (!text.data.trim() || !box || text.parentElement.matches('.latest li > span')) continue;
    range.selectNodeContents(text);
    const [t, b] = [range.getBoundingClientRect(), box.getBoundingClientRect()];
    if (t.left < b.left - 1 || t.right > b.right + 1 || t.top + t.height / 2 > b.bottom) found.push(text.data.trim());
  }
  return found;
}

function checks() {
  say('no foreign request', foreign.length === 0, foreign.slice(0, 5));
  say('no console error', errors.length === 0, errors.slice(0, 5));
}

async function open() {
  const start = performance.now();
  await page.goto(args.link);
  const ok = (await until(isReady, null, OPEN_S)) !== null;
  say('page ready', ok, `${Math.round(performance.now() - start)} ms`);
  say('code left the address', !page.url().includes('#'), page.url());
  const workers = await until(() => window.__hall.workersDrawn > 0, null, OPEN_S);
  const incidents = await until(() => window.__hall.incidentsDrawn > 0, null, WAIT_S);
  const labelled = await until(() => window.__hall.labels().some((l) => /\p{Script=Han}/u.test(l)), null, WAIT_S);
  const h = await hall();
  say('workers drawn', workers !== null, String(h.workersDrawn));
  say('incidents drawn', incidents !== null, String(h.incidentsDrawn));
  say('Chinese label placed', labelled !== null, h.labels.slice(0, 8).join(' '));
  const blue = await workerPixels();
  say('worker colour on the canvas', blue >= LEAST_BLUE_PIXELS, `${blue} pixels`);
  const bad = await axe();
  say('axe clean', bad.length === 0, bad.join('; '));
  checks();
}

const commands = {
  async state([name, seconds = WAIT_S]) {
    const ms = await until(isState, name, Number(seconds));
    if (ms !== null && name === 'live') cutting = false;
    return [ms !== null, ms === null ? `still ${(await hall()).state}` : `${ms} ms`];
  },
  async 'await-incident'([id, seconds = WAIT_S]) {
    const ms = await until((i) => window.__hall.has(i) || window.__hall.announced[i] > 0, id, Number(seconds));
    const [, detail] = await commands.shown([id]);
    return [ms !== null, { ms, ...detail }];
  },
  async shown([id]) {
    const detail = await page.evaluate((i) => {
      const { announced, arrivedAt, has } = window.__hall;
      return { announced: announced[i] ?? 0, at: arrivedAt(i), open: has(i) };
    }, id);
    return [true, detail];
  },
  async 'await-seq'([seq, seconds = WAIT_S]) {
    const ms = await until((n) => window.__hall.lastSeq >= n, Number(seq), Number(seconds));
    return [ms !== null, `${(await hall()).lastSeq}`];
  },
  async cut() {
    cutting = true;
    return [true, ''];
  },
  async offline() {
    cutting = true;
    await context.setOffline(true);
    return [true, ''];
  },
  async online() {
    await context.setOffline(false);
    return [true, ''];
  },
  async band() {
    await until(() => document.querySelector('.band'), null, 2);
    const text = await page.evaluate(() => document.querySelector('.band')?.textContent ?? '');
    return [text !== '', text];
  },
  async 'no-band'() {
    const ms = await until(() => !document.querySelector('.band'), null, 5);
    return [ms !== null, `${ms} ms`];
  },
  async hall() {
    return [true, await hall()];
  },
  async figures() {
    const shown = await page.evaluate(() =>
      Object.fromEntries(
        [...document.querySelectorAll('.kpis > div')].map((d) => [d.className, d.querySelector('dd')?.textContent]),
      ),
    );
    return [true, shown];
  },
  async checks() {
    checks();
    return [foreign.length === 0 && errors.length === 0, ''];
  },
  async axe() {
    const bad = await axe();
    return [bad.length === 0, bad.join('; ')];
  },
  async 'lose-context'() {
    const before = await hall();
    await page.evaluate(async () => {
      const ext = window.__hall.map.getCanvas().getContext('webgl2').getExtension('WEBGL_lose_context');
      ext.loseContext();
      await new Promise((r) => setTimeout(r, 300));
      ext.restoreContext();
    });
    const again = await until((n) => window.__hall.renders > n + 1 && window.__hall.labels().length > 0, before.renders, OPEN_S);
    const blue = again === null ? 0 : await workerPixels();
    return [again !== null && blue >= LEAST_BLUE_PIXELS, `${blue} pixels`];
  },
  async key([name]) {
    await page.keyboard.press(name);
    return [true, ''];
  },
  async size([w, h]) {
    const start = performance.now();
    const before = (await hall()).renders;
    await page.setViewportSize({ width: Number(w), height: Number(h) });
    const drawn = (n) => window.__hall.renders > n && window.__hall.map.loaded() && window.__hall.labels().length > 0;
    const again = await until(drawn, before, OPEN_S);
    const canvas = await page.evaluate(() => {
      const { width, height } = window.__hall.map.getCanvas();
      return `${width} x ${height}`;
    });
    const blue = again === null ? 0 : await bluePixels();
    const ms = Math.round(performance.now() - start);
    return [blue >= LEAST_BLUE_PIXELS, `${ms} ms, canvas ${canvas}, ${blue} pixels of the worker colour`];
  },
  async clipped() {
    const found = await page.evaluate(clippedTexts);
    return [found.length === 0, found.join('; ')];
  },
  async stranger([url, text]) {
    const own = await browser.newContext({ viewport: { width, height }, locale: 'zh-CN' });
    try {
      const visitor = await own.newPage();
      await visitor.goto(url);
      await visitor.waitForSelector('.door h1', { timeout: WAIT_S * 1000 });
      const door = (await visitor.textContent('.door')).trim();
      const wall = await visitor.evaluate(() => document.querySelector('.wall-screen, canvas') !== null);
      return [door.includes(text) && !wall, door.slice(0, 120)];
    } finally {
      await own.close();
    }
  },
  async screenshot([name, w, h]) {
    if (w && h) await page.setViewportSize({ width: Number(w), height: Number(h) });
    await until(() => !window.__hall.map || window.__hall.map.loaded(), null, OPEN_S);
    const path = `${args.out}/${name}.png`;
    await page.screenshot({ path, timeout: OPEN_S * 1000 });
    return [true, path];
  },
};

async function obey() {
  for await (const line of createInterface({ input: process.stdin })) {
    const [name, ...rest] = line.trim().split(/\s+/);
    if (!name) continue;
    if (name === 'quit') return;
    const run = commands[name];
    try {
      const [ok, detail] = run ? await run(rest) : [false, 'no such command'];
      say(line.trim(), ok, detail);
    } catch (e) {
      say(line.trim(), false, String(e));
    }
  }
}

try {
  await open();
  say('open', true);
  await obey();
} catch (e) {
  say('open', false, String(e));
  process.exitCode = 1;
} finally {
  await browser.close();
}
