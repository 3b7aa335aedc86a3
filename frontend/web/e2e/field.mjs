// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// A grid worker's phone with a bad line, in Debian's Chromium: on duty it says where it
// is; without a line a matter is reported with a photo and resolved on the spot, the page
// is closed, opened again without a line, and with the line all of it is told, once.
//
//   node e2e/field.mjs --base http://127.0.0.1:8080 --field LINK --lon 107.5 --lat 38.2 --out DIR
//
// The link is an invitation of a grid worker (--login, else worker) whose grid holds the place.
// One line of JSON on stdout for each check, the last of them "walk". DIR gets pictures.
// Whoever walks it counts afterwards what the server has by the title.

import { mkdirSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { chromium } from 'playwright-core';
import { axe, button, enter, FLAGS, field, fits, say, visitor } from './person.mjs';

const { values: args } = parseArgs({
  options: {
    base: { type: 'string' },
    field: { type: 'string' },
    login: { type: 'string', default: 'worker' },
    lon: { type: 'string' },
    lat: { type: 'string' },
    title: { type: 'string', default: '巡查发现围栏倒塌' },
    out: { type: 'string', default: '.' },
    chromium: { type: 'string', default: '/usr/bin/chromium' },
  },
});
if (!args.base || !args.field || !args.lon || !args.lat) {
  console.error('usage: node e2e/field.mjs --base URL --field LINK --lon LON --lat LAT --out DIR');
  process.exit(2);
}

const PHONE = { width: 360, height: 640 };
const PASSWORD = 'mustang-Kettle-93';
const foreign = [];
const errors = [];
let doing = 'start';

async function step(name, walk) {
  doing = name;
  const start = performance.now();
  const detail = await walk();
  say(name, true, [`${Math.round(performance.now() - start)} ms`, detail].filter(Boolean).join(', '));
}

mkdirSync(args.out, { recursive: true });
const browser = await chromium.launch({ executablePath: args.chromium, headless: true, args: FLAGS });
const refusals = ['/api/v1/session 401', '/api/v1/shifts/current 404', '/tiles/roads.json 503'];
let page = await visitor(browser, args.base, { foreign, errors, refusals, size: PHONE });
const context = page.context();
const here = { longitude: Number(args.lon), latitude: Number(args.lat), accuracy: 12 };
await context.grantPermissions(['geolocation'], { origin: new URL(args.base).origin });
await context.setGeolocation(here);
const picture = (name) => page.screenshot({ path: `${args.out}/field-${name}.png`, timeout: 60_000 });
const tab = (name) => page.locator('.tabs').getByRole('button', { name });

/** A photo as a camera app hands it over: noise, so that it takes several parts to send. */
async function photo() {
  const bytes = await page.evaluate(async () => {
    const canvas = new OffscreenCanvas(640, 480);
    const pen = canvas.getContext('2d');
    const picture = pen.createImageData(640, 480);
    for (let i = 0; i < picture.data.length; i += 65536) crypto.getRandomValues(picture.data.subarray(i, i + 65536));
    for (let i = 3; i < picture.data.length; i += 4) picture.data[i] = 255;
    pen.putImageData(picture, 0, 0);
    const blob = await canvas.convertToBlob({ type: 'image/jpeg', quality: 0.95 });
    return [...new Uint8Array(await blob.arrayBuffer())];
  });
  return { name: 'IMG_0001.jpg', mimeType: 'image/jpeg', buffer: Buffer.from(bytes) };
}

try {
  await step('the worker comes to the page', async () => {
    await enter(page, args.field.replace('/admin#', '/field#'), args.login, PASSWORD, '.tabs');
    await page.getByText('已连接').waitFor();
    await page.locator('.lamp.none').waitFor(); // off duty nothing is measured
    await page.evaluate(async () => (await navigator.serviceWorker.ready).active.state);
  });
  await step('on duty the page says where it is, and sends it', async () => {
    await tab('在岗').click();
    const sent = page.waitForResponse((r) => new URL(r.url()).pathname === '/api/v1/positions' && r.ok());
    await button(page, '开始上岗').click();
    await page.locator('.shift.on').waitFor();
    await context.setGeolocation(here); // a place from before the shift does not count
    await page.locator('.lamp.on').waitFor();
    const taken = await (await sent).json();
    if (taken.stored !== 1) throw new Error(`the place was not stored: ${JSON.stringify(taken)}`);
    await picture('duty');
    await axe(page, 'on duty');
    await fits(page, 'on duty', PHONE);
  });
  await step('without a line a matter is reported with a photo, and resolved on the spot', async () => {
    await context.setOffline(true);
    await page.getByText('无网络，已存本机').waitFor();
    await tab('上报').click();
    await page.locator('.choices button').first().click();
    await page
      .locator('input[type=file]')
      .first()
      .setInputFiles(await photo());
    await page.locator('.strip img').waitFor();
    await field(page, '一句话说明').fill(args.title);
    await page.getByText('已定位，误差约 12 米').waitFor();
    await page.getByText('当场已处理好（即报即办）').click();
    await field(page, '怎么处理的').fill('已扶起围栏并加固');
    await picture('report');
    await axe(page, 'the report');
    await fits(page, 'the report', PHONE);
    await page.locator('.report .huge').click();
    await page.getByText('已存本机，待传 3 件').waitFor();
    await picture('offline');
  });
  await step('a draft and what waits survive a closed page, which opens without a line', async () => {
    await tab('上报').click();
    await field(page, '一句话说明').fill('还没写完的一件');
    await page.waitForTimeout(500); // a draft is written down a moment after the last stroke
    await page.close();
    page = await context.newPage();
    page.setDefaultTimeout(20_000);
    await page.goto(`${args.base}/field`);
    await page.getByText('已存本机，待传 3 件').waitFor();
    await page.locator('.lamp.on').waitFor(); // the shift goes on, and its places are kept
    await tab('上报').click();
    await page.waitForFunction(() => [...document.querySelectorAll('input')].some((i) => i.value === '还没写完的一件'));
    await axe(page, 'without a line');
  });
  await step('with the line all is told, in order, once', async () => {
    await context.setOffline(false);
    await page.getByText('已即报即办，编号').waitFor();
    await page.locator('.outbox').waitFor({ state: 'detached' });
    await tab('任务').click();
    await picture('told');
  });
  await step('off duty nothing is measured any more', async () => {
    await tab('在岗').click();
    await button(page, '结束上岗').click();
    await page.locator('.lamp.none').waitFor();
    await button(page, '开始上岗').waitFor();
    await page.locator('.outbox').waitFor({ state: 'detached' });
    let told = 0;
    page.on('request', (r) => {
      told += Number(r.url().endsWith('/api/v1/positions'));
    });
    await context.setGeolocation({ ...here, latitude: here.latitude + 0.001 });
    await page.waitForTimeout(6000); // on duty who moves is told every 5 s
    if (told) throw new Error(`${told} batches of places off duty`);
  });
  await step('who signs out leaves nothing on the phone', async () => {
    await page.locator('.me button').last().click();
    await button(page, '退出登录').click();
    await field(page, '账号').waitFor();
    const left = await page.evaluate(async () => {
      const db = await new Promise((resolve) => {
        indexedDB.open('onemap-field').onsuccess = (e) => resolve(e.target.result);
      });
      const of = (store) =>
        new Promise((resolve) => {
          if (!db.objectStoreNames.contains(store)) return resolve([]); // the server had it cleared

          db.transaction(store).objectStore(store).getAllKeys().onsuccess = (e) => resolve(e.target.result);
        });
      return [...(await of('letters')), ...(await of('files')), ...(await of('fixes')), ...(await of('kept'))].map(String);
    });
    if (left.some((key) => key !== 'categories')) throw new Error(`the phone still holds ${left}`);
  });
  say('no foreign request', foreign.length === 0, foreign.slice(0, 5));
  const real = errors.filter((e) => !e.includes('ERR_INTERNET_DISCONNECTED'));
  say('no error', real.length === 0, real.slice(0, 5));
  say('walk', true);
} catch (e) {
  await picture('failed').catch(() => {});
  say(doing, false, String(e));
  say('what went wrong on the page', false, errors.slice(0, 8));
  process.exitCode = 1;
} finally {
  await browser.close();
}
