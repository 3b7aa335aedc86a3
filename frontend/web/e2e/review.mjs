// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// The review of a signed-in person: two periods compared, how hot spots came about, the address, and
// the brief that chromium's own print makes, with a picture of the map.

import { writeFileSync } from 'node:fs';

const BRIEF_BYTES = 20_000; // of the picture's address: an empty map is a few thousand

/** Incidents as dots: of the cell that is looked at, in whose middle the map is, at zoom 10. A dot opens its incident. */
async function dots(page, say, out) {
  const cell = new URL(page.url()).searchParams.get('cell');
  await page.getByRole('button', { name: '事件点' }).click();
  await page.locator('.map-note').getByText('放大地图').waitFor();
  const tile = page.waitForResponse((r) => new URL(r.url()).pathname.startsWith('/tiles/incidents/13/'));
  for (let i = 0; i < 3; i++) await page.getByRole('button', { name: '放大' }).click();
  await tile;
  await page.locator('.map-note').getByText('可以点开').waitFor();
  const at = await page.evaluate(async (c) => {
    const get = async (path) => (await fetch(`/api/v1/${path}`)).json();
    const query = new URLSearchParams(location.search);
    const days = { from: `${query.get('from')}T00:00:00+08:00`, to: `${query.get('to')}T23:59:59+08:00` };
    const why = await get(`hotspots/${c}?${new URLSearchParams(days)}`);
    const { items } = await get(`incidents?limit=200&${why.rows}`);
    const merc = ([lon, lat]) => [lon / 360, -Math.asinh(Math.tan((lat * Math.PI) / 180)) / (2 * Math.PI)];
    const [x0, y0] = merc(why.centre);
    const off = items
      .map((i) => [i.id, ...merc(i.point)])
      .map(([id, x, y]) => [id, (x - x0) * 512 * 2 ** 13, (y - y0) * 512 * 2 ** 13]);
    return off.sort((a, b) => Math.hypot(a[1], a[2]) - Math.hypot(b[1], b[2]))[0];
  }, cell);
  await page.waitForTimeout(1500); // the map is drawn
  const box = await page.locator('.heat .map-box').boundingBox();
  await page.mouse.click(box.x + box.width / 2 + at[1], box.y + box.height / 2 + at[2]);
  await page.locator('.dot-card h2').waitFor();
  const desk = await page.locator('.dot-card a').getAttribute('href');
  if (out) await page.screenshot({ path: `${out}/review-dots.png` });
  say('a dot opens its incident, and the way to the desk', desk?.startsWith('/desk?incident='), desk);
  const number = (await page.locator('.dot-card h2').innerText()).split(' ')[0];
  const opened = page.context().waitForEvent('page');
  await page.locator('.dot-card a').click();
  const tab = await opened;
  await tab.locator('.panel').getByText(number).first().waitFor();
  await tab.close();
  await page.locator('.dot-card').getByRole('button', { name: '关闭' }).click();
  await page.getByRole('button', { name: '事件点' }).click();
  await page.getByRole('button', { name: '全图' }).click();
}

/** A link is opened where its answer is there before the map: the cells are drawn all the same. */
async function linked(page, say, link) {
  let answer = () => {};
  const answered = new Promise((done) => {
    answer = done;
  });
  await page.route('**/assets/heatmap*', async (route) => {
    await answered;
    await route.continue();
  });
  await page.goto(link);
  await page.locator('.cells tbody button').first().waitFor();
  answer();
  await page.locator('.heat[data-state=drawn]').waitFor();
  await page.locator('.cells tbody button').first().click(); // brings the cell into the middle
  await page.locator('.why .kinds, .why .rows').first().waitFor({ state: 'attached' });
  const box = await page.locator('.heat .map-box').boundingBox();
  const pointed = page.waitForFunction(() => document.querySelector('.heat canvas')?.style.cursor === 'pointer', null, {
    timeout: 15_000,
  });
  const moves = setInterval(
    () => void page.mouse.move(box.x + box.width / 2 + Math.random() * 4, box.y + box.height / 2).catch(() => {}),
    200,
  );
  const drawn = await pointed.then(
    () => true,
    () => false,
  );
  clearInterval(moves);
  await page.unrouteAll({ behavior: 'wait' });
  say('cells are drawn whose answer came before the map', drawn);
}

/** Walks the review on a page that shows it, drawn; says what was found by say. */
export async function walkReview(page, say, out) {
  const look = async (what) => {
    await page.getByLabel('看什么').selectOption(what);
    await page.getByRole('button', { name: '查看', exact: true }).click();
  };
  const back = page.getByRole('button', { name: '返回列表' });
  const heat = page.getByRole('button', { name: '热力图' });
  await heat.click();
  await page.locator('.map-note').getByText('只作示意').waitFor();
  if (out) await page.screenshot({ path: `${out}/review-heat.png` });
  await heat.click();
  say('a heat picture says that it is one', await page.locator('.map-note').isHidden());
  await dots(page, say, out);
  await look('change');
  await page.locator('.sum').getByText('增多').waitFor();
  if (await back.isVisible()) await back.click();
  await page.locator('.cells thead').getByText('每天件数之比').waitFor();
  const changes = page.url();
  await page.locator('.cells tbody button').first().click();
  await page.locator('.why .either button[aria-pressed=true]').waitFor();
  await page.locator('.why .kinds, .why .rows').first().waitFor({ state: 'attached' });
  await page.getByRole('button', { name: '制作预警提示单' }).click();
  const form = page.locator('dialog');
  await form.getByLabel('区域').waitFor();
  await form.getByRole('button', { name: '发出' }).click();
  await page.locator('.why').getByText('已发给').waitFor();
  say('a notice is made of a cell', true);
  await back.click();
  await look('course');
  await page.locator('.sum').getByText('曾为热点').waitFor();
  const defined = await page.locator('.legend li').count();
  say('every pattern is defined beside its colour', defined === 7, defined);
  const link = page.url();
  await page.goBack();
  await page.locator('.sum').getByText('增多').waitFor();
  const earlier = await page.getByLabel('看什么').inputValue();
  await page.goForward();
  await page.locator('.sum').getByText('曾为热点').waitFor();
  say(
    'the address asks: a step back asks what was asked before',
    earlier === 'change' && page.url() === link && link.includes('method=course'),
    link,
  );
  await page.evaluate(() => {
    window.print = () => {
      window.printed = true;
    };
  });
  await page.getByRole('button', { name: '打印简报' }).click();
  await page.waitForFunction(() => window.printed);
  const picture = await page.locator('.brief img').evaluate((img) => ({ wide: img.naturalWidth, long: img.src.length }));
  say('the brief has a picture of the map', picture.wide > 300 && picture.long > BRIEF_BYTES, JSON.stringify(picture));
  const pdf = await page.pdf({ preferCSSPageSize: true });
  if (out) writeFileSync(`${out}/review.pdf`, pdf);
  const text = pdf.toString('latin1');
  const images = text.match(/\/Subtype\s*\/Image/g)?.length ?? 0;
  say('the brief is a PDF with that picture', pdf.subarray(0, 5).toString() === '%PDF-' && images >= 1, `${images} pictures`);
  await linked(page, say, changes);
}
