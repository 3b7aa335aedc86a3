// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// A system administrator looks at a new boundary set, enacts it and takes it back,
// in Debian's Chromium.
//
//   node e2e/grids.mjs --base URL --link INVITATION --swapped 2 --faulty 3 --from CODE --to CODE --out DIR [--large]
//
// In the draft --swapped the grids --from and --to have changed their codes, with one
// open incident in --from; the draft --faulty lacks a grid. One line of JSON on stdout
// for each check, the last of them "walk". --large looks at a wall's size too, which software
// draws slowly. DIR gets a picture of the preview, or of the
// page where the walk fails.

import { mkdirSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { chromium } from 'playwright-core';
import { axe, button, enter, FLAGS, fits, picture, say, visitor } from './person.mjs';

const text = { type: 'string' };
const { values: args } = parseArgs({
  options: {
    base: text,
    link: text,
    swapped: text,
    faulty: text,
    from: text,
    to: text,
    large: { type: 'boolean', default: false },
    out: { type: 'string', default: '.' },
    chromium: { type: 'string', default: '/usr/bin/chromium' },
  },
});
const SIZES = [
  { width: 1366, height: 768 },
  ...(args.large ? [{ width: 3840, height: 2160 }] : []),
  { width: 1920, height: 1080 },
];
const foreign = [];
const errors = [];
let doing = 'start';

/** A part of the walk; when it fails there is no way on. */
async function step(name, walk) {
  doing = name;
  const start = performance.now();
  const detail = await walk();
  say(name, true, [`${Math.round(performance.now() - start)} ms`, detail].filter(Boolean).join(', '));
}

const dialog = (page) => page.getByRole('dialog');
const enact = (page) => button(page, '启用这一版');
const drawn = (page) => page.locator('.piece-map[data-state=drawn]').waitFor();

async function walk(page) {
  await step('a system administrator finds the drafts', async () => {
    await enter(page, args.link, 'redrawer', 'a long enough password');
    const scripts = await page.evaluate(() => performance.getEntriesByType('resource').map((r) => r.name));
    say(
      'no map is loaded before it is wanted',
      scripts.length > 2 && !scripts.some((s) => /piecemap|maplibre/.test(s)),
      scripts.length,
    );
    await page.getByRole('link', { name: '网格', exact: true }).click();
    await page.locator('tbody th', { hasText: `第 ${args.faulty} 版` }).waitFor();
    const rows = await page.locator('tbody tr').allInnerTexts();
    say('two drafts and what is in force', rows.length === 3 && rows.filter((r) => r.includes('草案')).length === 2, rows);
    await axe(page, 'versions');
    await fits(page, 'versions', SIZES[0]);
    await page.setViewportSize(SIZES.at(-1));
  });
  await step('the preview tells what changes', async () => {
    await page.getByRole('link', { name: `预览与启用：第 ${args.swapped} 版`, exact: true }).click();
    const totals = await page.locator('.totals').innerText();
    say('in words', totals.includes('1 个未办结事件将换网格') && totals.includes('边界改动 2 个'), totals.replace(/\s+/g, ' '));
    const row = await page.locator('.changes tr', { has: button(page, `在地图上看 ${args.from}`) }).innerText();
    say('as a table', row.includes('1 → 0'), row.replace(/\s+/g, ' '));
    await drawn(page);
    const legend = await page.locator('.legend li').allInnerTexts();
    say('as a legend', legend.length === 2 && legend.some((l) => new RegExp(`${args.from} → .*${args.to}`).test(l)), legend);
  });
  await step('the map says from and to under the pointer', async () => {
    const said = page.locator('.map-said');
    const box = await page.locator('.map-box canvas').boundingBox();
    await page.locator('.legend button').first().click(); // and goes there
    await said.getByText('→').waitFor();
    const chosen = await said.innerText();
    await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
    await page.waitForTimeout(1200); // the flight to the piece
    await page.mouse.move(box.x + box.width / 2 + 2, box.y + box.height / 2 + 2);
    const under = await said.innerText();
    say(
      'the same as the legend',
      under === chosen && under.includes(args.from) && under.includes(args.to),
      `${chosen} / ${under}`,
    );
    await button(page, '全图').click();
    await axe(page, 'preview');
    for (const size of SIZES) await fits(page, 'preview', size);
    await picture(page, `${args.out}/preview.png`);
  });
  await step('planned for later, and cancelled', async () => {
    await enact(page).click();
    await dialog(page).getByLabel('定时启用', { exact: true }).check();
    const tomorrow = new Date(Date.now() + 32 * 3600e3).toISOString().slice(0, 10); // a day ahead in UTC+8
    await dialog(page).getByLabel('启用时间（北京时间 UTC+8）').fill(`${tomorrow}T00:00`);
    await dialog(page).getByLabel('理由').fill('新年起');
    await button(dialog(page), '定时启用').click();
    await page.getByText(`定于 ${tomorrow} 00:00 启用（北京时间）`).waitFor();
    const by = await page.locator('.plan').innerText();
    say('it says who wants it and why', by.includes('redrawer 安排，理由：新年起'), by);
    await button(page, `取消定时：第 ${args.swapped} 版`).click();
    await button(dialog(page), '取消定时').click();
    await page.getByText(`第 ${args.swapped} 版的定时启用已取消`).waitFor();
  });
  const other = await page.context().newPage();
  await step('a fault is shown where it lies, and has to be accepted', async () => {
    await other.goto(`${args.base}/admin#/grids/${args.faulty}`);
    const fault = other.locator('.faults button');
    await fault.first().click();
    say('it is chosen', (await fault.first().getAttribute('aria-pressed')) === 'true', await fault.first().innerText());
    await enact(other).click();
    await dialog(other).getByLabel('理由').fill('试一试');
    await button(dialog(other), '立即启用').click();
    await dialog(other).getByText('须先勾选').waitFor();
    await picture(other, `${args.out}/faults.png`);
    await other.keyboard.press('Escape');
  });
  await step('enacted with a reason', async () => {
    await page.getByRole('link', { name: `预览与启用：第 ${args.swapped} 版`, exact: true }).click();
    await enact(page).click();
    await axe(page, 'enacting');
    await picture(page, `${args.out}/enact.png`);
    await button(dialog(page), '立即启用').click();
    await dialog(page).getByText('请填写此项').waitFor();
    await dialog(page).getByLabel('理由').fill('两格对调');
    await button(dialog(page), '立即启用').click();
    const row = page.locator('tbody tr', { hasText: `第 ${args.swapped} 版` });
    await row.getByText('启用中').waitFor();
    await page.setViewportSize(SIZES.at(-1));
  });
  await step('whoever looked at a draft meanwhile is refused, with what is possible', async () => {
    await enact(other).click();
    await dialog(other).getByLabel('理由').fill('再试');
    await dialog(other).getByRole('checkbox').check();
    await button(dialog(other), '立即启用').click();
    const told = dialog(other).getByRole('alert');
    await told.getByText('现在可以：预览', { exact: false }).waitFor();
    say('in full', /服务器说明：.*import the set again/.test(await told.innerText()), await told.innerText());
    await other.keyboard.press('Escape');
    await other.getByText('请重新导入，再看影响').waitFor();
    say('and the draft cannot be enacted any more', (await enact(other).count()) === 0);
  });
  await step('undone with a reason', async () => {
    await button(page, `撤销启用：第 ${args.swapped} 版`).click();
    const lead = await dialog(page).innerText();
    say('it says what it does', lead.includes('生成一个新版本') && lead.includes('已办结的事件保留办结时的网格'), lead);
    await dialog(page).getByLabel('理由').fill('对调有误');
    await button(dialog(page), '撤销启用').click();
    const row = page.locator('tbody tr', { hasText: `撤销第 ${args.swapped} 版` });
    await row.getByText('启用中').waitFor();
    return (await row.innerText()).replace(/\s+/g, ' ');
  });
}

mkdirSync(args.out, { recursive: true });
const browser = await chromium.launch({ executablePath: args.chromium, headless: true, args: FLAGS });
const refusals = [
  '/api/v1/session 401', // nobody in yet, a second factor wanted
  ...[args.swapped, args.faulty].map((v) => `/api/v1/grid-versions/${v}/preview 503`), // still being compared
  `/api/v1/grid-versions/${args.faulty}/enact 409`,
];
const page = await visitor(browser, args.base, { foreign, errors, refusals, size: SIZES.at(-1) });
try {
  await walk(page);
  say('no foreign request', foreign.length === 0, foreign.slice(0, 5));
  say('no console error', errors.length === 0, errors.slice(0, 5));
  say('walk', true);
} catch (e) {
  say(doing, false, String(e));
  if (errors.length) say('errors until then', false, errors.slice(0, 5));
  await page.screenshot({ path: `${args.out}/failed.png` }).catch(() => {});
  process.exitCode = 1;
} finally {
  await browser.close();
}
