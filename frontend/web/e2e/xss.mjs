// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// Pages that show what somebody typed, in Debian's Chromium: every text has to
// stand there as it was typed, and nothing of it may have become markup or run.
//
//   node e2e/xss.mjs --base URL --link WALL-LINK --cookie NAME=VALUE --wall TEXT --admin TEXT [--chromium /usr/bin/chromium]
//
// --wall and --admin may stand several times. One line of JSON for each check:
// {"check":"...","ok":true,"detail":"..."}

import { parseArgs } from 'node:util';
import { chromium } from 'playwright-core';

const { values: args } = parseArgs({
  options: {
    base: { type: 'string' },
    link: { type: 'string' },
    cookie: { type: 'string' },
    wall: { type: 'string', multiple: true },
    admin: { type: 'string', multiple: true },
    chromium: { type: 'string', default: '/usr/bin/chromium' },
  },
});
const WAIT_MS = 60_000;
const FLAGS = ['--no-sandbox', '--disable-background-networking', '--use-angle=swiftshader', '--enable-unsafe-swiftshader'];

const say = (check, ok, detail = '') => {
  console.log(JSON.stringify({ check, ok: Boolean(ok), detail: typeof detail === 'string' ? detail : JSON.stringify(detail) }));
};

const browser = await chromium.launch({ executablePath: args.chromium, headless: true, args: FLAGS });
const host = new URL(args.base).host;

/** A page of its own browser, and what went wrong in it. */
async function visitor(cookies) {
  const context = await browser.newContext({ viewport: { width: 1920, height: 1080 }, locale: 'zh-CN', reducedMotion: 'reduce' });
  if (cookies) await context.addCookies(cookies);
  const page = await context.newPage();
  const wrong = [];
  page.on('dialog', (d) => {
    wrong.push(`a dialog: ${d.message()}`);
    void d.dismiss();
  });
  page.on('console', (m) => {
    if (m.type() === 'error') wrong.push(m.text());
  });
  page.on('pageerror', (e) => wrong.push(String(e)));
  page.on('request', (r) => {
    const u = new URL(r.url());
    if (!['data:', 'blob:'].includes(u.protocol) && u.host !== host) wrong.push(`a request to ${r.url()}`);
  });
  return { page, wrong };
}

/** What is only there when a text was taken for markup. */
const markup = () =>
  [
    ...document.querySelectorAll(
      '[onerror],[onload],[onclick],[onfocus],[onmouseover],script:not([src]),iframe,object,embed,base,marquee,img[src="x"],b[data-x],[href^="javascript:"]',
    ),
  ].map((e) => e.outerHTML.slice(0, 120));

async function look(name, { page, wrong }, texts) {
  for (const text of texts) {
    const there = await page
      .waitForFunction((t) => document.body.textContent.includes(t), text, { timeout: WAIT_MS, polling: 100 })
      .then(() => true)
      .catch(() => false);
    say(`${name} shows it as it was typed`, there, text);
  }
  const made = await page.evaluate(markup);
  say(`${name}: nothing became markup`, made.length === 0, made);
  say(`${name}: nothing ran and nothing went wrong`, wrong.length === 0, wrong);
}

try {
  const wall = await visitor();
  await wall.page.goto(args.link);
  await look('the wall', wall, args.wall);
  const [cookie, value] = args.cookie.split('=');
  const admin = await visitor([{ name: cookie, value, url: args.base, httpOnly: true, sameSite: 'Strict' }]);
  await admin.page.goto(`${args.base}/admin#/credentials`);
  await look('the administration page', admin, args.admin);
  await admin.page.goto(`${args.base}/admin#/audit`);
  await look('the audit log', admin, args.admin);
  say('done', true);
} catch (e) {
  say('done', false, String(e));
  process.exitCode = 1;
} finally {
  await browser.close();
}
