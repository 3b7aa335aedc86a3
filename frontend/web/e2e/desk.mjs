// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// Incidents through two pages of a server, in Debian's Chromium: a worker reports one from
// a phone, the desk sends that worker by three keys, and sees how it goes to the end. Then
// the desk takes one down itself and offers it by the keyboard alone, calls the roll of who
// is inside a circle, merges what is the same, comes second to another dispatcher, blows a
// whistle and takes a department's word, supervises, decides what another asks for,
// calls a reporter back, sends a notice that a town signs and answers, and looks at the review.
//
//   node e2e/desk.mjs --base http://127.0.0.1:8080 --desk LINK --field LINK --town LINK --area CODE --token TOKEN --badge W0001 --lon 107.5 --lat 38.2 --out DIR
//
// The links are invitations of a dispatcher (login desk), of a grid worker (login worker) who is on duty near the
// place, and of the town operator (login town) of the grid CODE; the token is a hall operator's. One line of JSON on
// stdout for each check, the last of them "walk". DIR gets pictures of both pages.

import { mkdirSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { chromium } from 'playwright-core';
import { walkBulletins, walkFigures } from './figures.mjs';
import { walkNotices } from './notices.mjs';
import { axe, button, enter, FLAGS, field, fits, picture as pictureAt, say, visitor } from './person.mjs';
import { walkReview } from './review.mjs';

const { values: args } = parseArgs({
  options: {
    base: { type: 'string' },
    desk: { type: 'string' },
    field: { type: 'string' },
    town: { type: 'string' },
    area: { type: 'string' },
    token: { type: 'string' },
    badge: { type: 'string' },
    lon: { type: 'string' },
    lat: { type: 'string' },
    out: { type: 'string', default: '.' },
    chromium: { type: 'string', default: '/usr/bin/chromium' },
  },
});
if (['base', 'desk', 'field', 'town', 'area', 'token', 'badge', 'lon', 'lat'].some((name) => !args[name])) {
  console.error(
    'usage: node e2e/desk.mjs --base URL --desk LINK --field LINK --town LINK --area CODE --token TOKEN --badge BADGE --lon LON --lat LAT --out DIR',
  );
  process.exit(2);
}

const DESK = { width: 1920, height: 1080 };
const PHONE = { width: 390, height: 844 };
const SMALL_PHONE = { width: 360, height: 640 };
const PASSWORD = 'mustang-Kettle-93';
const TITLE = `巡查发现围栏倒塌 ${Date.now() % 100_000}`;
const SECOND = `来电反映邻里争水 ${Date.now() % 100_000}`;
const foreign = [];
const errors = [];
let doing = 'start';
let cut = 0; // errors before the phone was off the air
let first; // of two that are the same

async function step(name, walk) {
  doing = name;
  const start = performance.now();
  const detail = await walk();
  say(name, true, [`${Math.round(performance.now() - start)} ms`, detail].filter(Boolean).join(', '));
}

mkdirSync(args.out, { recursive: true });
const browser = await chromium.launch({ executablePath: args.chromium, headless: true, args: FLAGS });
/** Nobody in yet; no shift yet; roads that are still being read. */
const refusals = ['/api/v1/session 401', '/api/v1/shifts/current 404', '/tiles/roads.json 503'];
const desk = await visitor(browser, args.base, { foreign, errors, refusals, size: DESK, still: true });
const phone = await visitor(browser, args.base, { foreign, errors, refusals, size: PHONE, still: true });
await phone.context().grantPermissions(['geolocation'], { origin: new URL(args.base).origin });
await phone.context().setGeolocation({ longitude: Number(args.lon), latitude: Number(args.lat), accuracy: 12 });
const picture = (page, name) => pictureAt(page, `${args.out}/${name}.png`);
const at = (link, page) => link.replace('/admin#', `/${page}#`);
const offer = desk.locator('.offers > li').first();
const card = phone.locator('.task').filter({ hasText: TITLE });
/** The desk's own person asks the server, past the page. */
const ask = (method, path, body, more = {}) =>
  desk.evaluate(
    async ([method, path, body, more]) => {
      const headers = { 'content-type': 'application/json', ...more };
      const res = await fetch(`/api/v1${path}`, { method, headers, body: body && JSON.stringify(body) });
      return { status: res.status, ...(await res.json()) };
    },
    [method, path, body, more],
  );
/** Chooses the one incident of a number. */
async function choose(number) {
  await desk.keyboard.press('/');
  await desk.locator('.queue input').fill(number);
  await desk.locator('.row').nth(1).waitFor({ state: 'detached' });
  await desk.keyboard.press('Escape');
  await desk.keyboard.press('ArrowDown');
  await desk.locator('.incident-head').getByText(number).waitFor();
}
/** A key of the desk, once no form is open: until it has closed the keys are its own. */
async function press(key) {
  await desk.locator('dialog').waitFor({ state: 'detached' });
  await desk.keyboard.press(key);
}
const big = (name) => card.getByRole('button', { name, exact: true });

try {
  await step('the dispatcher comes to the desk', async () => {
    await enter(desk, at(args.desk, 'desk'), 'desk', PASSWORD);
    await desk.locator('.lamp.live').waitFor();
  });
  await step('the worker comes to the field page', async () => {
    await enter(phone, at(args.field, 'field'), 'worker', PASSWORD, '.tabs');
    await phone.getByText('已连接').waitFor();
  });
  await step('the worker reports an incident where the phone is', async () => {
    await button(phone, '上报').first().click();
    await phone.locator('.choices button').first().click();
    const below = phone.locator('.choices.below button');
    if (await below.count()) await below.first().click();
    await field(phone, '一句话说明').fill(TITLE);
    await phone.getByText('已定位，误差约 12 米').waitFor();
    await picture(phone, 'field-report');
    await axe(phone, 'the report');
    await phone.locator('.report .huge').click();
    await phone.getByText('已上报，编号').waitFor();
  });
  await step('the desk is told of it, and who should go', async () => {
    await desk.locator('.row').filter({ hasText: TITLE }).waitFor();
    await desk.keyboard.press('/');
    await desk.keyboard.type(TITLE);
    await desk.keyboard.press('Escape');
    await desk.keyboard.press('ArrowDown');
    await desk.locator('.incident-head').getByText(TITLE).waitFor();
    await desk.locator('.candidate').first().waitFor();
    return `${await desk.locator('.candidate').count()} advised`;
  });
  await step('the desk sends the worker', async () => {
    const row = desk.locator('.candidate').filter({ hasText: args.badge });
    await row.waitFor({ timeout: 10_000 }).catch(async () => {
      throw new Error(`not advised: ${await desk.locator('.excluded li').filter({ hasText: args.badge }).allTextContents()}`);
    });
    const rank = await row.locator('.rank').textContent();
    if ((await row.getAttribute('aria-pressed')) !== 'true') await desk.keyboard.press(rank);
    await desk.locator('.send button.main').getByText(args.badge).waitFor();
    await picture(desk, 'desk-candidates');
    await axe(desk, 'the desk with advice');
    await desk.keyboard.press('Enter');
    await offer.getByText(args.badge).waitFor();
    return `rank ${rank}`;
  });
  await step('the phone has it and showed it, by its own word', async () => {
    await card.waitFor();
    await offer.locator('.offer-state').getByText('已看到').waitFor();
    await picture(phone, 'field-offer');
    await axe(phone, 'the offer');
    await fits(phone, 'the offer', SMALL_PHONE);
    await fits(phone, 'the offer', PHONE);
  });
  await step('the worker accepts, and the desk sees it', async () => {
    await big('接单').click();
    await offer.locator('.offer-state').getByText('已接单').waitFor();
    await desk.locator('.state-chip').getByText('签收').waitFor();
  });
  await step('without a line the arrival is kept on the phone', async () => {
    await phone.waitForTimeout(1000); // a touch right after another is taken for the same one
    cut = errors.length;
    await phone.context().setOffline(true);
    await phone.getByText('无网络，已存本机').waitFor();
    await big('到场').click();
    await phone.getByText('已存本机，待传 1 件').waitFor();
    await big('办结').waitFor(); // the page goes on as if it had been told
    await picture(phone, 'field-offline');
  });
  await step('with the line it is told once', async () => {
    await phone.context().setOffline(false);
    await offer.locator('.offer-state').getByText('已到场').waitFor();
    await phone.locator('.outbox').waitFor({ state: 'detached' });
    errors.push(...errors.splice(cut).filter((e) => !e.includes('ERR_INTERNET_DISCONNECTED')));
    const told = desk.locator('.journal b').filter({ hasText: '到场' });
    await told.first().waitFor();
    const arrivals = await told.count();
    if (arrivals !== 1) throw new Error(`${arrivals} arrivals in the journal`);
  });
  await step('the worker finishes, and the desk sees it resolved', async () => {
    await phone.waitForTimeout(800);
    await big('办结').click();
    await card.locator('textarea').fill('已扶起围栏并加固');
    await phone.waitForTimeout(800); // sooner it is the second touch of the one that opened the form
    await card.locator('.saying .huge').click();
    await offer.locator('.offer-state').getByText('已办结').waitFor();
    await desk.locator('.state-chip').getByText('办结').waitFor();
    await card.waitFor({ state: 'detached' });
    await picture(desk, 'desk-done');
    await picture(phone, 'field-done');
  });
  await step('an incident is taken down, and offered, by the keyboard alone', async () => {
    await desk.keyboard.press('c');
    await desk.keyboard.type('邻里');
    await desk.locator('[role=option][aria-selected=true]').getByText('0101').waitFor();
    await desk.keyboard.press('Enter');
    await desk.keyboard.type(SECOND);
    await desk.keyboard.press('Tab');
    await desk.keyboard.press('Tab'); // past the address to the map's middle, where the first one was
    await desk.keyboard.press('Enter');
    await desk.locator('.pinned b').getByText('·').waitFor();
    await axe(desk, 'the form of a report');
    await picture(desk, 'desk-report');
    await desk.keyboard.press('Enter');
    await desk.locator('.incident-head').getByText(SECOND).waitFor();
    await desk.locator('.send').getByText('派给').waitFor();
    const rank = await desk.locator('.candidate').filter({ hasText: args.badge }).locator('.rank').textContent();
    if (rank !== '1') await desk.keyboard.press(rank);
    await desk.keyboard.press('Enter');
    await offer.getByText(args.badge).waitFor();
    const told = phone.locator('.task').filter({ hasText: SECOND });
    await told.getByRole('button', { name: '接单', exact: true }).click();
    await offer.locator('.offer-state').getByText('已接单').waitFor();
    return `rank ${rank}`;
  });
  await step('a circle on the map tells who is inside, and calls the roll', async () => {
    await desk.keyboard.press('s');
    await desk.getByRole('button', { name: '圆形' }).click();
    const map = await desk.locator('.map').boundingBox();
    const [x, y] = [map.x + map.width / 2, map.y + map.height / 2];
    await desk.mouse.move(x, y);
    await desk.mouse.down();
    await desk.mouse.move(x + 60, y + 20, { steps: 3 });
    await desk.mouse.up();
    const people = desk.locator('.people li').filter({ hasText: args.badge });
    await people.waitFor();
    await axe(desk, 'the selection');
    const n = await desk.locator('.people li').count();
    await desk.getByRole('button', { name: `点名（${n} 人）` }).click();
    await desk.getByText(`将点名圈内 ${n} 名在岗人员`).waitFor();
    await desk.keyboard.press('Enter');
    await desk.getByText(`点名进行中：${n} 人中 0 人已应答`).waitFor();
    await people.getByText('未应答').waitFor();
    await picture(desk, 'desk-selected');
    await desk.keyboard.press('Escape');
    return `${n} inside`;
  });
  await step('the same matter is suggested and merged by two keys', async () => {
    const [lon, lat] = [Number(args.lon), Number(args.lat)];
    const same = { category: '0301', title: `${TITLE} 消防通道被占`, location: { lon, lat, crs: 'wgs84' } };
    const early = await ask('POST', '/incidents', same);
    const late = await ask('POST', '/incidents', same);
    await desk.locator('.row').filter({ hasText: same.title }).nth(1).waitFor();
    await choose(late.number);
    await desk.locator('.alike').getByText(`并入 ${early.number}`).waitFor();
    await picture(desk, 'desk-alike');
    await desk.keyboard.press('m');
    await desk.locator('dialog').getByText('继续办的').waitFor();
    await desk.keyboard.press('Enter');
    await desk.locator('.incident-head').getByText(early.number).waitFor();
    await desk.locator('.alike').getByText(`已并入：${late.number}`).waitFor();
    first = early;
  });
  await step('who comes second is told who was first', async () => {
    refusals.push(`/api/v1/incidents/${first.id}/actions 409`);
    let sent = false;
    await desk.route('**/actions', async (route) => {
      if (!sent) {
        sent = true;
        const won = await ask('POST', `/incidents/${first.id}/actions`, { action: 'accept' }, { 'If-Match': '"1"' });
        if (won.status !== 200) throw new Error(`the other dispatcher was refused: ${won.detail}`);
      }
      await route.fallback();
    });
    await desk.locator('.scroll').getByRole('button', { name: '受理', exact: true }).click();
    await desk.locator('.refused').getByText('先办了“受理”').waitFor();
    await desk.locator('.state-chip').getByText('受理').waitFor();
    await desk.unroute('**/actions');
    await picture(desk, 'desk-second');
  });
  await step('a whistle is blown, a department’s word taken, and the whistle ended, each by its key', async () => {
    await desk.locator('.scroll').getByRole('button', { name: '吹哨…' }).waitFor();
    await press('w');
    const form = desk.locator('dialog');
    await form.locator('select').first().selectOption({ index: 1 });
    await form.locator('input[type=checkbox]').first().check();
    await picture(desk, 'desk-whistle');
    await axe(desk, 'the form of a whistle');
    await desk.keyboard.press('Control+Enter');
    await desk.locator('.beside').getByText('2 家中 0 家到场').waitFor();
    await press('p');
    await form.locator('input[name=department]').first().check();
    await field(form, '正在赶来').check();
    await picture(desk, 'desk-word');
    await axe(desk, 'the form of a word');
    await desk.keyboard.press('Control+Enter');
    await desk.locator('.called').getByText('已报到').waitFor();
    await press('w');
    await form.locator('textarea').fill('误吹');
    await desk.keyboard.press('Control+Enter');
    await desk.locator('.beside').getByText('已结束').waitFor();
  });
  await step('a supervision is opened by its key, with the limit of its answer', async () => {
    await press('d');
    const form = desk.locator('dialog');
    await form.getByText('不填按规定：1 工作日').waitFor();
    await field(form, '督办原因和要求').fill('通道仍被占，请说明进展');
    await form.locator('input').fill('30');
    await form.locator('select').selectOption('min');
    await picture(desk, 'desk-supervise');
    await axe(desk, 'the form of a supervision');
    await desk.keyboard.press('Control+Enter');
    const own = desk.locator('.beside .warn').filter({ hasText: '通道仍被占' });
    await own.waitFor();
    if (await own.getByRole('button').count()) throw new Error('who opened a supervision is asked to answer it');
  });
  await step('what another asks for waits in the queue, and is refused by its key', async () => {
    const asked = await fetch(`${args.base}/api/v1/incidents/${first.id}/requests`, {
      method: 'POST',
      headers: { authorization: `Bearer ${args.token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ kind: 'void', reason: '疑似重复登记' }),
    });
    if (asked.status !== 201) throw new Error(`not asked: ${await asked.text()}`);
    await desk.getByRole('tab', { name: '待审批 1' }).waitFor();
    await press('a');
    const form = desk.locator('dialog');
    await form.getByText('疑似重复登记').waitFor();
    await field(form, '不同意').check();
    await form.locator('textarea').fill('并非重复，继续办理');
    await picture(desk, 'desk-decide');
    await axe(desk, 'the form of a decision');
    await desk.keyboard.press('Control+Enter');
    await desk.locator('.journal').getByText('并非重复，继续办理').waitFor();
    await desk.getByRole('tab', { name: '待审批 0' }).waitFor();
  });
  await step('a reporter is called back by its key', async () => {
    const told = { category: '0504', location: { lon: Number(args.lon), lat: Number(args.lat), crs: 'wgs84' } };
    const made = await ask('POST', '/incidents', {
      ...told,
      title: `来电 ${TITLE}`,
      reporter: { name: '白云', phone: '13900000000' },
    });
    await desk
      .locator('.row')
      .filter({ hasText: `来电 ${TITLE}` })
      .waitFor();
    await choose(made.number);
    await desk.locator('.send').getByText('派给').waitFor(); // the advice has come: it is refused of what is over
    const over = { action: 'refuse', reason: '不归本中心', door: '物业' };
    const refused = await ask('POST', `/incidents/${made.id}/actions`, over, { 'If-Match': '"1"' });
    if (refused.status !== 200) throw new Error(`not refused: ${refused.detail}`);
    const own = desk.locator('.beside').filter({ hasText: '第 1 位上报人' });
    await own.getByText('前回访').waitFor();
    await press('r');
    await desk.locator('dialog .phone').getByText('139****0000').waitFor();
    await desk.getByRole('button', { name: '显示电话' }).click();
    await desk.locator('dialog .phone').getByText('13900000000').waitFor();
    await desk.locator('dialog input[value=satisfied]').check();
    await axe(desk, 'the form of a call-back');
    await picture(desk, 'desk-callback');
    await desk.keyboard.press('Control+Enter');
    await own.getByText('满意').waitFor();
    await own.getByText('调度员').waitFor();
    await picture(desk, 'desk-called');
  });
  await step('the desk is in order', async () => {
    await axe(desk, 'the desk at the end');
    await fits(desk, 'the desk', DESK);
  });
  await step('the figures open into their incidents, and print', async () => {
    await walkFigures(desk, args.base, say, args.out);
    await axe(desk, 'the figures');
    await picture(desk, 'figures');
  });
  await step('a weekly bulletin is frozen when it is made', async () => {
    await walkBulletins(desk, args.base, say);
    await axe(desk, 'a weekly bulletin');
    await picture(desk, 'bulletin');
  });
  await step('a town signs and answers a notice, and the desk sees it', async () => {
    const town = await visitor(browser, args.base, { foreign, errors, refusals, size: DESK, still: true });
    const link = at(args.town, 'desk');
    await walkNotices(desk, town, { base: args.base, link, login: 'town', password: PASSWORD, ask, area: args.area }, say);
    await fits(town, 'the notices', DESK);
    await picture(desk, 'notices');
    await town.context().close();
  });
  await step('the review counts what was reported, and says what lies in a cell', async () => {
    await desk.goto(`${args.base}/review`);
    await desk.locator('.heat[data-state=drawn]').waitFor();
    await desk.locator('.sum').getByText('个单元内').waitFor();
    await field(desk, '看什么').selectOption('count');
    await button(desk, '查看').click();
    await desk.locator('.cells thead:not(:has(th:nth-child(3)))').waitFor(); // not the list of the answer before
    await desk.locator('.cells tbody button').first().click();
    await desk.locator('.why .rows li').first().waitFor();
    await axe(desk, 'the review');
    await fits(desk, 'the review', DESK);
    await picture(desk, 'review');
    await walkReview(desk, say, args.out);
    await axe(desk, 'the review of patterns');
    say('no foreign request', foreign.length === 0, foreign.slice(0, 5));
    say('no error', errors.length === 0, errors.slice(0, 5));
  });
  say('walk', true);
} catch (e) {
  await picture(desk, 'failed-desk').catch(() => {});
  await picture(phone, 'failed-field').catch(() => {});
  say(doing, false, String(e));
  say('what went wrong on the pages', false, errors.slice(0, 8));
  process.exitCode = 1;
} finally {
  await browser.close();
}
