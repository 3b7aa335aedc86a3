// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// What the walks of people through the pages share: a browser that may reach this
// server only, signing in from an invitation, and whether a page is in order.

import { createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

/** Flags for Debian's Chromium. */
const SHARED_FLAGS = [
  '--no-sandbox',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--hide-scrollbars',
  '--force-color-profile=srgb',
];
/** For pages with a map, which is drawn by software. */
export const FLAGS = [...SHARED_FLAGS, '--use-angle=swiftshader', '--enable-unsafe-swiftshader'];
/** For pages on which nothing is drawn in three dimensions: without it four of them draw in half the time. */
export const FLAT_FLAGS = [...SHARED_FLAGS, '--disable-gpu'];

/** One line of JSON on stdout for a check. */
export const say = (check, ok, detail = '') => {
  console.log(JSON.stringify({ check, ok: Boolean(ok), detail: typeof detail === 'string' ? detail : JSON.stringify(detail) }));
};

/**
 * A page whose foreign requests and errors are gathered; answers of `refusals` ("/path 401") belong to the walk.
 * Who wants it `still` asks for less motion: a map on which people move is drawn once a second, not thirty times.
 */
export async function visitor(browser, base, { foreign, errors, refusals = [], size, still = false }) {
  const reducedMotion = still ? 'reduce' : 'no-preference';
  const context = await browser.newContext({ viewport: size, locale: 'zh-CN', timezoneId: 'Asia/Shanghai', reducedMotion });
  const page = await context.newPage();
  const host = new URL(base).host;
  page.setDefaultTimeout(20_000);
  page.on('request', (r) => {
    const u = new URL(r.url());
    if (!['data:', 'blob:'].includes(u.protocol) && u.host !== host) foreign.push(r.url());
  });
  page.on('websocket', (ws) => {
    if (new URL(ws.url()).host !== host) foreign.push(ws.url());
  });
  page.on('response', (r) => {
    const path = new URL(r.url()).pathname;
    if (r.status() >= 400 && !refusals.includes(`${path} ${r.status()}`))
      errors.push(`${r.request().method()} ${path} ${r.status()}`);
  });
  page.on('console', (m) => {
    if (m.type() === 'error' && !/^Failed to load resource: the server responded/.test(m.text())) errors.push(m.text());
  });
  page.on('pageerror', (e) => errors.push(String(e)));
  return page;
}

/** A picture of a page; none with ONEMAP_PICTURES=0, for where nobody keeps them: a page drawn by software takes seconds. */
export async function picture(page, path) {
  if (process.env.ONEMAP_PICTURES !== '0') await page.screenshot({ path, timeout: 60_000 });
}

/** The second factor's code of now, from its secret in base32. */
export function totp(secret) {
  const bits = [...secret.replace(/\s/g, '')]
    .map((c) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(c).toString(2).padStart(5, '0'))
    .join('');
  const key = Buffer.from(bits.match(/.{8}/g).map((b) => Number.parseInt(b, 2)));
  const moment = Buffer.alloc(8);
  moment.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000)));
  const mac = createHmac('sha1', key).update(moment).digest();
  return String((mac.readUInt32BE(mac[19] & 15) & 0x7fffffff) % 1e6).padStart(6, '0');
}

export const field = (page, label) => page.getByLabel(label, { exact: true });
export const button = (page, name) => page.getByRole('button', { name, exact: true });

/** Takes an invitation up and signs in by it; `inside` is on the page of whoever is in. */
export async function enter(page, link, login, password, inside = 'header.top') {
  await page.goto(link);
  await field(page, '设置密码').fill(password);
  await field(page, '再输一次').fill(password);
  await page.keyboard.press('Enter');
  const bound = button(page, '已绑定，去登录');
  const plain = button(page, '去登录'); // of whoever needs no second factor
  await bound.or(plain).waitFor();
  const secret = (await bound.count()) ? await page.locator('.once textarea').inputValue() : '';
  await (secret ? bound : plain).click();
  await field(page, '账号').fill(login);
  await field(page, '密码').fill(password);
  await page.keyboard.press('Enter');
  const code = field(page, '动态验证码');
  const there = inside === 'header.top' ? page.locator(inside).getByText(login) : page.locator(inside);
  await code.or(there).first().waitFor(); // some roles need no second factor
  if (await code.count()) {
    await code.fill(totp(secret));
    await page.keyboard.press('Enter');
  }
  await there.waitFor();
  return secret;
}

const axeSource = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
/** What axe finds against a page as it is, and how many of its rules passed. */
export async function violations(page) {
  if (!(await page.evaluate(() => 'axe' in window))) await page.evaluate(axeSource);
  const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'];
  const found = await page.evaluate((runOnly) => window.axe.run(document, { runOnly }), tags);
  const bad = found.violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.target.join(' ')).join(', ')}`);
  return { bad, passed: found.passes.length };
}
export async function axe(page, what) {
  const { bad, passed } = await violations(page);
  say(`axe clean: ${what}`, bad.length === 0 && passed > 5, bad.join('; '));
}

/** Texts that reach over an edge of their box or of the window, and boxes that would have to be scrolled sideways. */
function overflowing() {
  const root = document.body;
  const found = [];
  const boxes = '.content, .table, .modal, .modal-body, .card, .door-card, .seal';
  for (const e of [document.documentElement, ...root.querySelectorAll(boxes)]) {
    if (e.scrollWidth > e.clientWidth + 1)
      found.push(`${e.className || e.tagName} is ${e.scrollWidth - e.clientWidth} px too narrow`);
  }
  const texts = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  const range = document.createRange();
  while (texts.nextNode()) {
    const text = texts.currentNode;
    if (!text.data.trim() || text.parentElement.closest('.unseen, .skip, option, .map')) continue;
    range.selectNodeContents(text);
    const t = range.getBoundingClientRect();
    const box = text.parentElement.closest('td, th, button, li, .field, .seal, .top, .side, .door-card, .modal, body');
    const b = box.getBoundingClientRect();
    if (t.left < b.left - 1 || t.right > Math.min(b.right, innerWidth) + 1) found.push(text.data.trim());
  }
  return found;
}
export async function fits(page, what, size) {
  await page.setViewportSize(size);
  const found = await page.evaluate(overflowing);
  const letter = await page.evaluate(() => getComputedStyle(document.documentElement).fontSize);
  say(`${what} fits ${size.width} x ${size.height}`, found.length === 0, [`letters of ${letter}`, ...found].join('; '));
}
