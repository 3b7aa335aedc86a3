import { chromium } from 'playwright-core';
import { enter, FLAGS, visitor, button, axe } from './person.mjs';
const [base, link, out] = process.argv.slice(2);
const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: FLAGS });
const errors = [], foreign = [];
const shot = async (p, n, sizes = [[1920,1080],[3840,2160]]) => { for (const [w, h] of sizes) { await p.setViewportSize({ width: w, height: h }); await p.waitForTimeout(w > 2000 ? 9000 : 3000); await p.screenshot({ path: `${out}/${n}-${w}.png`, timeout: 120000 }); console.log(n, w); } await p.setViewportSize({ width: 1920, height: 1080 }); };
try {
  const page = await visitor(browser, base, { foreign, errors, size: { width: 1920, height: 1080 }, still: true });
  await enter(page, link.replace('/admin#', '/review#'), 'lead8', 'a long enough password', '.review');
  await page.locator('.heat[data-state=drawn]').waitFor({ timeout: 60000 });
  await page.locator('.cells tbody tr').first().waitFor();
  await shot(page, 'review');
  await axe(page, 'review');
  await page.locator('.cells tbody tr button').first().click();
  await page.locator('.why .rows li').first().waitFor();
  await shot(page, 'why', [[1920,1080]]);
  await page.locator('.heat .map-box canvas').click({ position: { x: 500, y: 400 } });
  await page.waitForTimeout(3000);
  await page.selectOption('select >> nth=3', 'count').catch(async () => console.log(await page.locator('select').count()));
  await button(page, '查看').click();
  await page.waitForTimeout(4000);
  await shot(page, 'count', [[1920,1080],[1366,768],[400,800]]);
} catch (e) { console.log(String(e)); for (const c of browser.contexts()) for (const p of c.pages()) await p.screenshot({ path: `${out}/failed.png` }); }
console.log(JSON.stringify({ errors, foreign }));
await browser.close();
