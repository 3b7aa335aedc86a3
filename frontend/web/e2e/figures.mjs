// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// The figures as a signed-in person sees them: a number opens into as many incidents as
// it says, and Chromium's own print makes a brief of it; a weekly bulletin stays as it was told.

import { writeFileSync } from 'node:fs';

/** Walks the figures on a page that is signed in; says what was found by say. */
export async function walkFigures(page, base, say, out) {
  await page.goto(`${base}/review?view=figures`);
  await page.locator('table.groups').waitFor();
  await page.locator('.missing').getByText('未定位').waitFor();
  const day = new Date(Date.now() + 8 * 3_600_000).toISOString().slice(0, 10); // today in China
  await page.getByLabel('截止日').fill(day);
  await page.getByRole('button', { name: '查看', exact: true }).click();
  await page.getByText('所选时间还没有结束').waitFor();
  const number = page.locator('[data-figure=reported] button.link').first();
  const count = await number.innerText();
  await number.click();
  await page.getByText(`共 ${count} 件`, { exact: false }).waitFor();
  await page.locator('dialog .rows li').first().waitFor();
  const listed = await page.locator('dialog .rows li').count();
  say('a figure opens into its incidents', listed === Math.min(20, Number(count.replaceAll(',', ''))), `${listed} of ${count}`);
  await page.keyboard.press('Escape');
  await page.emulateMedia({ media: 'print' });
  const hidden = (await page.locator('form.ask').isHidden()) && (await page.locator('header.top').isHidden());
  const said = await page.locator('.filter').isVisible();
  say('the brief leaves the form out and says what it is of', hidden && said);
  await page.emulateMedia({ media: null });
  const pdf = await page.pdf({ preferCSSPageSize: true });
  if (out) writeFileSync(`${out}/figures.pdf`, pdf);
  const pages = pdf.toString('latin1').match(/\/Type\s*\/Page\b/g)?.length ?? 0;
  say('the brief is a PDF of two pages or more', pdf.subarray(0, 5).toString() === '%PDF-' && pages >= 2, `${pages} pages`);
}

/** Makes a weekly bulletin and another that corrects it: the first one's text stays. */
export async function walkBulletins(page, base, say) {
  await page.goto(`${base}/review?view=bulletin`);
  const make = page.locator('form.ask button');
  await make.click();
  await page.getByText('周报已生成').waitFor();
  const first = page.url();
  const table = page.locator('article table.all');
  const told = await table.innerText();
  await make.click();
  await page.getByText(/周报已生成，更正第/).waitFor();
  await page.waitForFunction((url) => location.href !== url, first);
  await page.goto(first);
  await page.locator('article').getByText('已由第').waitFor();
  const then = await table.innerText();
  say(
    'a bulletin is told as it was, and by which one it was corrected',
    then === told && told.includes('上报'),
    `${told.length} characters`,
  );
}
