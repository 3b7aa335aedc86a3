// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// A notice between two people: its unit signs and answers it, and who sent it sees both.

import { axe, button, enter, field } from './person.mjs';

const TITLE = `冬季用火排查 ${Date.now() % 100_000}`;
const ANSWER = '已排查 12 户，整改 2 处';

/** Walks a notice through two pages: `desk` is signed in and sends it to the desk of `area`; `link` invites one of that town to its own. */
export async function walkNotices(desk, town, { base, link, login, password, ask, area }, say) {
  const made = await ask('POST', '/notices', {
    grid: area,
    title: TITLE,
    text: '请逐户排查。',
    due: new Date(Date.now() + 86_400_000).toISOString(),
  });
  const sheet = (page) => page.locator('article.sheet');
  await desk.goto(`${base}/review?view=notices&id=${made.id}`);
  await sheet(desk).getByText('还没有人签收').waitFor();
  say('who sent it neither signs nor answers', (await sheet(desk).getByRole('button').allInnerTexts()).join() === '撤回…');

  await enter(town, link, login, password);
  const way = await town.getByRole('link', { name: '预警提示单' }).getAttribute('href');
  await town.goto(base + way);
  await town.locator('.paper').filter({ hasText: TITLE }).click();
  await sheet(town).getByText('还没有人签收').waitFor();
  await button(sheet(town), '签收').click();
  await sheet(town).getByText('共 1 人签收').waitFor();
  await button(sheet(town), '回复…').click();
  await field(town, '回复内容').fill(ANSWER);
  await axe(town, 'the form of a reply');
  await button(town, '发出').click();
  await town.locator('dialog').waitFor({ state: 'detached' });
  await sheet(town).getByText('回复已发出').waitFor();
  await axe(town, 'an answered notice');

  await button(desk, '刷新').click();
  await sheet(desk).getByText(ANSWER).waitFor();
  const told = await sheet(desk).innerText();
  say('who sent it sees the receipt and the answer', told.includes('共 1 人签收') && told.includes('按时'), told.slice(0, 80));
}
