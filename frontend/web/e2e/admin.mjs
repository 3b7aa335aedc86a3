// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// The administration page against a new server, in Debian's Chromium: from the
// first start's secret to an auditor who reads what everybody did.
//
//   node e2e/admin.mjs --base http://127.0.0.1:8080 --secret SECRET --grid CODE --out DIR [--chromium /usr/bin/chromium]
//
// CODE is a county that the server knows. Each person has a browser of their own.
// One line of JSON on stdout for each check, the last of them "walk":
//
//   {"check":"chief signs in","ok":true,"detail":"612 ms"}
//
// DIR gets a picture of the lock and of the audit log, or of every page when the
// walk fails.

import { mkdirSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { chromium } from 'playwright-core';
import { axe, button, FLAT_FLAGS, field, fits as fitsIn, picture, say, totp, visitor as visitorOf } from './person.mjs';

const { values: args } = parseArgs({
  options: {
    base: { type: 'string' },
    secret: { type: 'string' },
    grid: { type: 'string' },
    out: { type: 'string', default: '.' },
    chromium: { type: 'string', default: '/usr/bin/chromium' },
  },
});
if (!args.base || !args.secret || !args.grid) {
  console.error('usage: node e2e/admin.mjs --base URL --secret SECRET --grid CODE --out DIR');
  process.exit(2);
}

const DESK = { width: 1920, height: 1080 };
const WALL = { width: 3840, height: 2160 };
const POLL_MS = 31_000; // a page at rest asks every 30 s who is signed in
/** Refusals that belong to the walk: nobody in yet, a second factor wanted, a wrong PIN. */
const REFUSALS = ['/api/v1/session 401', '/api/v1/session/unlock 403'];

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

mkdirSync(args.out, { recursive: true });
const browser = await chromium.launch({ executablePath: args.chromium, headless: true, args: FLAT_FLAGS });

const visitor = () => visitorOf(browser, args.base, { foreign, errors, refusals: REFUSALS, size: DESK });
const fits = (page, what, size = DESK) => fitsIn(page, what, size);
const alert = async (page) => (await page.locator('[role=alert]').first().textContent()).trim();
const dialogGone = (page) => page.locator('dialog').waitFor({ state: 'detached' });

/** Opens an address with something behind its #, which has to leave the address bar at once. */
async function openLink(page, link, label) {
  await page.goto(link);
  await field(page, label).waitFor();
  say('nothing secret is left in the address', page.url() === `${args.base}/admin`, page.url().replace(/=.*/, '=…'));
}

/** Fills in what an invitation asks for; the second factor's secret. */
async function takeUp(page, password, pin) {
  await field(page, '设置密码').fill(password);
  await field(page, '再输一次').fill(password);
  if (pin) await page.getByLabel('PIN').fill(pin);
  await page.keyboard.press('Enter');
  await page.locator('img.qr').waitFor();
  const secret = await page.locator('.once textarea').inputValue();
  await button(page, '已绑定，去登录').click();
  await field(page, '密码').waitFor();
  return secret;
}

async function givePassword(page, login, password) {
  await field(page, '账号').fill(login);
  await field(page, '密码').fill(password);
  await page.keyboard.press('Enter');
}

async function signIn(page, login, password, secret) {
  await givePassword(page, login, password);
  await field(page, '动态验证码').fill(totp(secret));
  await page.keyboard.press('Enter');
  await page.locator('header.top').getByText(login).waitFor();
  const [cookie, ...more] = await page.context().cookies();
  const kept = await page.evaluate(() => document.cookie + Object.keys(localStorage) + Object.keys(sessionStorage));
  const hidden = cookie?.httpOnly && cookie.sameSite === 'Strict' && cookie.path === '/' && more.length === 0;
  say(`${login}'s session is out of reach of scripts`, hidden && kept === '', { name: cookie?.name, kept });
}

/** Makes an account by the page; its invitation. */
async function make(page, opener, login, reason) {
  await button(page, opener).click();
  const box = page.getByRole('dialog');
  await field(box, '账号').fill(login);
  if (reason) await field(box, '理由').fill(reason);
  await button(box, '新建').click();
  const link = await box.locator('.once textarea').inputValue();
  await page.keyboard.press('Escape');
  await dialogGone(page);
  return link;
}

const openAccount = (page, login) => button(page, `查看 ${login}`).click();
/** What the dialog says of the account, once that tells of `news`. */
async function facts(page, news) {
  const list = page.locator('dialog .facts', { hasText: news });
  return (await list.innerText()).replace(/\s+/g, ' ');
}

async function grant(page, login, role, grid) {
  await openAccount(page, login);
  await button(page, '授权').click();
  await field(page, '角色').selectOption(role);
  if (grid) {
    await page.locator(`dialog datalist option[value="${grid}"]`).waitFor({ state: 'attached' });
    await page.getByLabel('网格编码').fill(grid);
  }
  await field(page, '理由').fill('到岗');
  await page.locator('dialog button[type=submit]').click();
  await page.locator('dialog').getByText('已完成').waitFor();
}

async function reason(page, text) {
  await field(page, '理由').fill(text);
  await page.locator('dialog button[type=submit]').click();
}

/** Whether the lock lies over the whole page: whatever is pointed at is the lock, and nothing shines through. */
function covered() {
  const lock = document.querySelector('dialog.lock');
  const parts = [0.02, 0.5, 0.98];
  const over = (x, y) => lock?.contains(document.elementFromPoint(x * innerWidth, y * innerHeight));
  return (
    parts.every((x) => parts.every((y) => over(x, y))) && /^rgb\(/.test(getComputedStyle(lock, '::backdrop').backgroundColor)
  );
}

async function walk() {
  const admin = `${args.base}/admin`;
  const [chief, system, desk, auditor] = [await visitor(), await visitor(), await visitor(), await visitor()];
  const keys = {};
  const links = {};

  await step('the sign-in stands', async () => {
    const answer = await chief.goto(admin);
    await field(chief, '账号').waitFor();
    say('the page has a content policy', answer.headers()['content-security-policy']?.includes("script-src 'self'"));
    await axe(chief, 'sign-in');
    await fits(chief, 'sign-in');
  });
  await step('the secret of the first start makes a security administrator', async () => {
    await openLink(chief, `${admin}#first`, '首次密钥');
    await field(chief, '首次密钥').fill(args.secret);
    await field(chief, '账号').fill('chief');
    keys.chief = await takeUp(chief, 'the first long password', '8351');
  });
  await step('chief signs in', async () => {
    await givePassword(chief, 'chief', 'another long password');
    say('a wrong password is refused', (await alert(chief)).includes('不正确'), await alert(chief));
    await signIn(chief, 'chief', 'the first long password', keys.chief);
  });
  await step('chief makes the first system administrator', async () => {
    links.system = await make(chief, '新建系统管理员账号', 'system', '首位系统管理员');
    await button(chief, '查看 system').waitFor();
    const again = await button(chief, '新建系统管理员账号').count();
    say('and may make no second one', again === 0);
  });
  await step('system takes up the invitation and signs in', async () => {
    await openLink(system, links.system, '设置密码');
    keys.system = await takeUp(system, 'the second long password', '8351');
    await signIn(system, 'system', 'the second long password', keys.system);
    const nav = await system.getByRole('navigation').innerText();
    say(
      'a system administrator has no credentials to see',
      nav.includes('账号') && !nav.includes('令牌'),
      nav.replace(/\s+/g, ' '),
    );
  });
  await step('system makes two accounts', async () => {
    links.desk = await make(system, '新建账号', 'desk');
    links.auditor = await make(system, '新建账号', 'auditor');
    await openAccount(system, 'desk');
    await button(system, '重新邀请').waitFor();
    say('but grants nothing', (await button(system, '授权').count()) === 0);
    await system.keyboard.press('Escape');
    await axe(system, 'accounts');
    await fits(system, 'accounts');
  });
  await step('chief grants one of them dispatcher', async () => {
    await chief.reload();
    await grant(chief, 'desk', 'dispatcher', args.grid);
    const told = await facts(chief, '调度员');
    say('it holds at once', told.includes(`生效的授权 调度员 ${args.grid}`) && !told.includes('待同意'), told);
    await chief.keyboard.press('Escape');
  });
  await step('the dispatcher signs in', async () => {
    await desk.clock.install(); // goes on as ever, until it is put forward
    await openLink(desk, links.desk, '设置密码');
    keys.desk = await takeUp(desk, 'the third long password', '8351');
    await signIn(desk, 'desk', 'the third long password', keys.desk);
    const told = await desk.getByRole('main').innerText();
    say(
      'and finds no administration',
      told.includes('调度员') && (await desk.getByRole('navigation').count()) === 0,
      told.slice(0, told.indexOf('\n')),
    );
  });
  await step('the dispatcher locks', async () => {
    await button(desk, '锁定').click();
    await desk.getByRole('dialog').getByText('已锁定').waitFor();
    say('the lock lies over the page', await desk.evaluate(covered));
    await axe(desk, 'lock');
    await fits(desk, 'lock');
    await picture(desk, `${args.out}/lock.png`);
    await desk.keyboard.press('Escape');
    say('Escape does not open it', await desk.evaluate(covered));
    await desk.reload();
    await field(desk, 'PIN').waitFor();
    say('nor does loading the page anew', await desk.evaluate(covered));
    await field(desk, 'PIN').fill('8350');
    await desk.keyboard.press('Enter');
    say('nor a wrong PIN', (await alert(desk)).includes('PIN 不正确') && (await desk.evaluate(covered)), await alert(desk));
    await field(desk, 'PIN').fill('8351');
    await desk.keyboard.press('Enter');
    await dialogGone(desk);
    await button(desk, '锁定').click({ trial: true });
  });
  await step("chief ends the dispatcher's session", async () => {
    await chief.goto(`${admin}#/credentials`);
    await button(chief, '作废 登录 desk').click();
    await reason(chief, '交接班');
    await dialogGone(chief);
    await button(chief, '作废 登录 desk').waitFor({ state: 'detached' });
  });
  await step('its page leads to the sign-in by itself', async () => {
    await desk.clock.fastForward(POLL_MS);
    await desk.getByText('登录已失效').waitFor();
    await field(desk, '密码').waitFor();
    return desk.url();
  });
  await step('an auditor needs both administrators', async () => {
    await chief.goto(`${admin}#/accounts`);
    await grant(chief, 'auditor', 'auditor');
    const told = await facts(chief, '还需同意');
    say('one is not enough', told.includes('生效的授权 没有授权') && told.includes('还需同意：系统管理员'), told);
    say('nor twice the same one', (await button(chief, '同意授权').count()) === 0);
    await openLink(auditor, links.auditor, '设置密码');
    keys.auditor = await takeUp(auditor, 'the fourth long password');
    await givePassword(auditor, 'auditor', 'the fourth long password');
    say('who waits for a grant is not let in', (await alert(auditor)).includes('不正确'), await alert(auditor));
    await system.reload();
    await openAccount(system, 'auditor');
    await button(system, '同意授权').click();
    await reason(system, '年度审计');
    await system.locator('dialog').getByText('已完成').waitFor();
    await system.locator('dialog .facts', { hasText: '还需同意' }).waitFor({ state: 'detached' });
    const agreed = await facts(system, '审计员');
    say('two are', agreed.includes('生效的授权 审计员'), agreed);
    await signIn(auditor, 'auditor', 'the fourth long password', keys.auditor);
  });
  await step('the auditor reads what was done', async () => {
    const seal = await auditor.getByRole('group', { name: '封存' }).innerText();
    const [sealed, waiting] = [/已封存 ([\d,]+) 条/, /待封存 ([\d,]+) 条/].map((re) =>
      Number(re.exec(seal)?.[1].replace(',', '')),
    );
    say('the seal is shown', sealed > 0 && waiting >= 0 && /最新封印 [0-9a-f]{16}/.test(seal), seal.replace(/\s+/g, ' '));
    await auditor.locator('table.audit code', { hasText: 'grant.propose' }).first().waitFor();
    await field(auditor, '操作').fill('grant.approve');
    await button(auditor, '查询').click();
    await auditor.locator('table.audit code', { hasText: 'grant.propose' }).first().waitFor({ state: 'detached' });
    const row = auditor.locator('table.audit > tbody').filter({ hasText: 'grant.approve' });
    const head = (await row.innerText()).replace(/\s+/g, ' ');
    say(
      'with who, why and the seal',
      ['system', '年度审计', '封存'].every((w) => head.includes(w)),
      head,
    );
    await row.getByRole('button', { name: /^展开/ }).click();
    const state = auditor.locator('table.change tr', { has: auditor.getByRole('rowheader', { name: 'state', exact: true }) });
    const change = await state.locator('td').allInnerTexts();
    say('with before and after', change.join() === 'proposed,active', change);
    await axe(auditor, 'audit');
    await button(auditor, '清除条件').click();
    await auditor.locator('table.audit code', { hasText: 'session.' }).first().waitFor();
    await auditor.getByRole('button', { name: /^展开/ }).first().click();
    await fits(auditor, 'audit');
    await picture(auditor, `${args.out}/audit.png`);
    await fits(auditor, 'audit', WALL);
    await auditor.setViewportSize(DESK); // drawing all that takes its time
    await auditor.getByRole('link', { name: '账号与授权' }).click();
    await button(auditor, '查看 desk').waitFor();
    say('and can make no account', (await button(auditor, '新建账号').count()) === 0);
  });
  await step('signing out leaves nothing', async () => {
    await button(auditor, 'auditor 审计员').click();
    await button(auditor, '退出登录').click();
    await field(auditor, '密码').waitFor();
    const cookies = await auditor.context().cookies();
    const left = await auditor.evaluate(
      () => document.body.innerText.includes('desk') || document.querySelector('table') !== null,
    );
    say(
      'no cookie, nothing of what was read',
      cookies.length === 0 && !left,
      cookies.map((c) => c.name),
    );
    await auditor.reload();
    await field(auditor, '密码').waitFor();
  });
}

try {
  await walk();
  say('no foreign request', foreign.length === 0, foreign.slice(0, 5));
  say('no console error', errors.length === 0, errors.slice(0, 5));
  say('walk', true);
} catch (e) {
  say(doing, false, String(e));
  if (errors.length) say('errors until then', false, errors.slice(0, 5));
  const pages = browser.contexts().flatMap((c) => c.pages());
  for (const [i, page] of pages.entries()) await page.screenshot({ path: `${args.out}/failed-${i}.png` }).catch(() => {});
  process.exitCode = 1;
} finally {
  await browser.close();
}
