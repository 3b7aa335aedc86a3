// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// The review of a signed-in person: two periods compared, how hot spots came about, the address, and
// the brief that chromium's own print makes, with a picture of the map.

import { writeFileSync } from 'node:fs';

const BRIEF_BYTES = 20_000; // of the picture's address: an empty map is a few thousand

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
  await look('change');
  await page.locator('.sum').getByText('增多').waitFor();
  if (await back.isVisible()) await back.click();
  await page.locator('.cells thead').getByText('每天件数之比').waitFor();
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
}
