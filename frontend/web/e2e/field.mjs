// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// A grid worker's phone with a bad line, in Debian's Chromium: on duty it says where it
// is; without a line a matter is reported with a photo and resolved on the spot, the page
// is closed, opened again without a line, and with the line all of it is told, once. A visit
// is told the same way; and who signs out on another page leaves only what is others'.
//
//   node e2e/field.mjs --base http://127.0.0.1:8080 --field LINK --lon 107.5 --lat 38.2 --out DIR
//
// The link is an invitation of a grid worker (--login, else worker) whose grid holds the place
// and is visited today (--visit is the name of the target).
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
    visit: { type: 'string' },
    out: { type: 'string', default: '.' },
    chromium: { type: 'string', default: '/usr/bin/chromium' },
  },
});
if (!args.base || !args.field || !args.lon || !args.lat || !args.visit) {
  console.error('usage: node e2e/field.mjs --base URL --field LINK --lon LON --lat LAT --visit NAME --out DIR');
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
/** Every page of the phone counts who watches its place. */
await context.addInitScript(() => {
  const places = navigator.geolocation;
  const { watchPosition, clearWatch } = places;
  const ids = new Set();
  globalThis.watches = ids;
  globalThis.watchApart = (found) => watchPosition.call(places, found);
  places.watchPosition = (...how) => {
    const id = watchPosition.apply(places, how);
    ids.add(id);
    return id;
  };
  places.clearWatch = (id) => {
    ids.delete(id);
    clearWatch.call(places, id);
  };
});
/** What lies in a store of the phone, by its keys. */
const lying = (...stores) =>
  page.evaluate(async (names) => {
    const db = await new Promise((resolve) => {
      indexedDB.open('onemap-field').onsuccess = (e) => resolve(e.target.result);
    });
    const keys = (name) =>
      new Promise((resolve) => {
        db.transaction(name).objectStore(name).getAllKeys().onsuccess = (e) => resolve(e.target.result);
      });
    const all = (await Promise.all(names.map(keys))).flat().map(String);
    db.close();
    return all;
  }, stores);
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
  await step('without a line a visit is told too', async () => {
    await tab('走访').click();
    const card = page.locator('.visit', { hasText: args.visit });
    await card.waitFor();
    await picture('visits');
    await axe(page, 'the visits');
    await fits(page, 'the visits', PHONE);
    await card.locator('.huge').click();
    await page.waitForTimeout(800); // sooner it is the second touch of a double one
    await button(page, '一切正常').click();
    await card.getByText('已说明，待传').waitFor();
    await page.getByText('已存本机，待传 4 件').waitFor();
    await picture('visit-told');
  });
  await step('a draft and what waits survive a closed page, which opens without a line', async () => {
    await tab('上报').click();
    await field(page, '一句话说明').fill('还没写完的一件');
    await page.waitForTimeout(500); // a draft is written down a moment after the last stroke
    await page.close();
    page = await context.newPage();
    page.setDefaultTimeout(20_000);
    await page.goto(`${args.base}/field`);
    await page.getByText('已存本机，待传 4 件').waitFor();
    await page.locator('.lamp.on').waitFor(); // the shift goes on, and its places are kept
    await tab('上报').click();
    await page.waitForFunction(() => [...document.querySelectorAll('input')].some((i) => i.value === '还没写完的一件'));
    await axe(page, 'without a line');
    await button(page, '在地图上点').click();
    await page.getByText('没有网络，地图打不开').waitFor(); // it was never loaded
    await picture('no-map');
  });
  await step('with the line all is told, in order, once', async () => {
    await context.setOffline(false);
    await page.getByText('已即报即办，编号').waitFor();
    await page.locator('.outbox').waitFor({ state: 'detached' });
    // The map has come with its styles: its pin stands in it, not above or below.
    await page.waitForFunction(() => {
      const [pin, map] = ['.map-box .mark-place', '.map-box'].map((q) => document.querySelector(q)?.getBoundingClientRect());
      return (
        pin && map && pin.top > map.top && pin.bottom < map.bottom && Math.abs(pin.left + pin.right - map.left - map.right) < 4
      );
    });
    await picture('map');
    await tab('走访').click();
    await page.locator('.visit.done', { hasText: args.visit }).getByText('已说明：一切正常').waitFor();
    await picture('visited');
    await tab('任务').click();
    await picture('told');
  });
  await step('off duty nothing is measured any more', async () => {
    await tab('在岗').click();
    await page.waitForFunction(() => globalThis.watches.size === 1);
    await button(page, '结束上岗').click();
    await page.locator('.lamp.none').waitFor();
    await button(page, '开始上岗').waitFor();
    await page.locator('.outbox').waitFor({ state: 'detached' });
    const watches = await page.evaluate(() => globalThis.watches.size);
    if (watches) throw new Error(`${watches} still watch the place off duty`);
    // What the browser tells whoever watches now, the page does not keep.
    const moved = here.latitude + 0.001;
    const seen = page.evaluate(
      (lat) => new Promise((found) => globalThis.watchApart((p) => Math.abs(p.coords.latitude - lat) < 1e-6 && found(true))),
      moved,
    );
    await context.setGeolocation({ ...here, latitude: moved });
    await seen;
    const fixes = await lying('fixes');
    if (fixes.length) throw new Error(`places kept off duty: ${fixes}`);
  });
  await step('a sign-out on another page warns, wipes what is one’s own, and leaves what is others’', async () => {
    await page.evaluate(async (mine) => {
      const db = await new Promise((resolve) => {
        indexedDB.open('onemap-field').onsuccess = (e) => resolve(e.target.result);
      });
      const letter = (ref, login) => ({
        ref,
        login,
        at: 1,
        n: 1,
        path: '',
        body: {},
        headers: {},
        about: { kind: 'report', title: ref },
      });
      const t = db.transaction(['letters'], 'readwrite');
      t.objectStore('letters').put({ ...letter('mine', mine), refused: { status: 422, detail: '' } });
      t.objectStore('letters').put(letter('of another', 'another'));
      await new Promise((resolve) => {
        t.oncomplete = resolve;
      });
      db.close();
    }, args.login);
    await page.goto(`${args.base}/admin`);
    await page.locator('.me button').last().click();
    await button(page, '退出登录').click();
    const said = await page.getByText(/还有 \d+ 件没有传到中心/).innerText(); // the letter, and the draft
    if (!said.includes(' 2 ')) throw new Error(`${said} Of ${await lying('letters', 'kept')}`);
    await picture('leaving');
    await page.waitForTimeout(800); // sooner it is the second touch of a double one
    await button(page, '仍要退出').click();
    await field(page, '账号').waitFor();
    const left = await lying('letters', 'files', 'fixes', 'kept');
    if (left.sort().join() !== 'categories,of another') throw new Error(`the machine holds ${left}`);
    await page.goto(`${args.base}/field`);
    await field(page, '账号').fill(args.login);
    await field(page, '密码').fill(PASSWORD);
    await page.keyboard.press('Enter');
    await page.locator('.tabs').waitFor();
  });
  await step('who signs out leaves nothing on the phone', async () => {
    await tab('在岗').click();
    await page.locator('.me button').last().click();
    await button(page, '退出登录').click();
    await field(page, '账号').waitFor();
    const left = await lying('letters', 'files', 'fixes', 'kept');
    if (left.some((key) => key !== 'categories' && key !== 'of another')) throw new Error(`the phone still holds ${left}`);
  });
  say('no foreign request', foreign.length === 0, foreign.slice(0, 5));
  const real = errors.filter((e) => !/ERR_(INTERNET_DISCONNECTED|FAILED)/.test(e));
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
