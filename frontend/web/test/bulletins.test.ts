// @vitest-environment jsdom
// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// The page of the weekly bulletins against a server that has two of one week.

import { enableAutoUnmount } from '@vue/test-utils';
import axe from 'axe-core';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { sundayOf, weeksOver } from '../src/review/bulletin/weeks';
import { dialogs, FakeServer, json, refuse, session, settle } from './people';
import { openReview } from './reviewstand';

enableAutoUnmount(afterEach);
beforeEach(() => {
  document.body.innerHTML = '';
  dialogs();
  history.replaceState(null, '', '/review?view=bulletin');
});

const share = (n: number | null, of: number | null) => ({ n, of, rate: n === null || !of ? null : n / of });
const line = (n: number, open?: number) => ({
  reported: { n },
  not_located: share(3, n),
  outside: share(1, n),
  closed: { n },
  solved: [{ level: 2, name: '苏木镇', ...share(n, n) }],
  on_the_spot: share(0, n),
  reopened: share(0, n),
  no_limit: share(0, n),
  working_days: { mean: 2.5, n },
  on_time: { ...share(n / 2, n), unchecked: { n: 0 }, late: { n: n / 2 }, standing: { n: 0 }, elsewhere: { n: 0 } },
  satisfied: { ...share(4, 5), unreached: { n: 0 }, owed: { n: 0 } },
  chosen: { n: 0 },
  overridden: share(0, 0),
  ...(open === undefined ? {} : { open: { n: open }, overdue: share(2, open) }),
});
const FIRST = '2026-11-09';
const days = [
  ['2026-11-09', '2026-11-16'],
  ['2026-11-02', '2026-11-09'],
  ['2025-11-10', '2025-11-17'],
] as const;
const weeks = (table: (n: number, i: number) => object) =>
  days.map(([from, to], i) => ({
    from: `${from}T00:00:00+08:00`,
    to: `${to}T00:00:00+08:00`,
    ...table([20, 10, 30][i] ?? 0, i),
  }));
const head = {
  centre: '演示旗综治中心',
  grid: '990000',
  grid_name: '演示旗',
  week: FIRST,
  as_of: { seq: 4711, time: '2026-11-16T09:00:00+08:00' },
};
const told = {
  ...head,
  notices: { made: 3, read: 2, replied: 1 },
  weeks: weeks((n, i) => ({
    total: line(n, i ? undefined : 9),
    towns: [{ code: 'A', name: '甲镇', ...line(n) }],
    departments: [{ code: '民政', name: '民政', ...line(n) }],
    categories: [{ code: '03', name: '消防', ...line(n) }],
  })),
  hot: { res: 8, hot: 1, too_few: 4, cells: [{ cell: '8831aa', class: 'hot99', count: 7, town: '乙镇' }] },
};
const count = (name: string, n: number | null, merged?: boolean) => ({ code: name, name, n, ...(merged ? { merged } : {}) });
const outside = {
  ...head,
  notices: null,
  weeks: weeks((n) => ({
    total: { ...line(n), reopened: share(null, null) },
    towns: [count('甲镇', n), count('丙镇', null, true), { code: '', name: '其余', n: 8 }],
    departments: [count('民政', n)],
    categories: [count('消防', null)],
  })).slice(0, 1),
};
const item = (id: string, more: object = {}) => ({
  id,
  county: '990000',
  grid: '990000',
  grid_name: '演示旗',
  week: FIRST,
  made_by: 'account:1',
  made_at: '2026-11-16T09:00:00+08:00',
  seq: 4711,
  corrects: null,
  corrected_by: null,
  ...more,
});

async function opened(role: string, set: (s: FakeServer) => void = () => {}) {
  const server = new FakeServer();
  server
    .on('GET /session', () =>
      json(session({ role, login: 'wu', view: 'case', grid: { code: '990000', name: '演示旗', level: 1 } })),
    )
    .on('GET /grids', (a) =>
      json({
        items: a.query.level === '1' ? [{ code: '990000', name: '演示旗', level: 1 }] : [{ code: 'A', name: '甲镇', level: 2 }],
      }),
    )
    .on('GET /bulletins', () => json({ items: [item('8', { corrects: '7' }), item('7', { corrected_by: '8' })], cursor: null }))
    .on('GET /bulletins/7', () => json({ ...item('7', { corrected_by: '8' }), sha256: 'x', told, outside }))
    .on('GET /bulletins/8', () => json({ ...item('8', { corrects: '7' }), sha256: 'y', told, outside: null }));
  set(server);
  const page = await openReview(server, 'bulletin');
  return { server, page };
}
type Page = Awaited<ReturnType<typeof opened>>['page'];
const press = async (page: Page, text: string) => {
  await page
    .findAll('button')
    .find((b) => b.text().startsWith(text))
    ?.trigger('click');
  await settle();
};

describe('the weekly bulletins', () => {
  test('weeks end before today, on the clocks of China', () => {
    const sunday = Date.parse('2026-11-22T23:59:00+08:00');
    expect(weeksOver(sunday, 2)).toEqual(['2026-11-09', '2026-11-02']);
    expect(weeksOver(sunday + 60_000, 1)).toEqual(['2026-11-16']);
    expect(sundayOf('2026-11-16')).toBe('2026-11-22');
  });

  test('one is opened as it was told, and its number stays in the address', async () => {
    const { page } = await opened('county_leader');
    await press(page, '第 7 号');
    const text = page.find('article').text();
    for (const part of [
      '演示旗 周报',
      '2026-11-09 至 2026-11-15',
      '序号 4,711',
      '2026-11-16 09:00:00',
      '已由第 8 号更正',
      '乙镇',
      '热点 99%',
      '发出预警提示单 3 份',
    ]) {
      expect(text).toContain(part);
    }
    expect(page.find('[data-figure=reported]').text()).toContain('+100.0%');
    const overdue = page.findAll('[data-figure=overdue] td').map((c) => c.text());
    expect(overdue[0]).toContain('22.2%');
    expect(overdue.slice(1)).toEqual(['–', '–', '–', '–']); // what is open is of the making alone
    expect(page.findAll('article table.groups')).toHaveLength(3);
    expect(page.findAll('article button.link')).toHaveLength(0);
    expect(location.search).toContain('id=7');
    const found = await axe.run(page.element as Element, { rules: { 'color-contrast': { enabled: false } } });
    expect(found.violations.map((v) => v.id)).toEqual([]);
    page.unmount();
    const again = await opened('county_leader'); // by its address
    expect(again.page.find('article').text()).toContain('第 7 号');
  });

  test('what is told outside has no small number, and a correction has none of it', async () => {
    const { page } = await opened('dispatcher');
    await press(page, '第 7 号');
    await page.find('input[type=checkbox]').setValue(true);
    expect(page.find('[data-table=towns]').text()).toContain('并入其余');
    expect(page.find('[data-table=categories]').text()).toContain('少于 5');
    expect(page.find('[data-figure=reopened]').text()).toContain('数量过少，不显示');
    expect(page.find('article').text()).toContain('不对外');
    expect(page.find('table.hot').exists() || page.find('table.groups').exists()).toBe(false);
    const print = vi.spyOn(window, 'print').mockImplementation(() => {});
    await press(page, '打印');
    expect(print).toHaveBeenCalledOnce();
    await press(page, '第 8 号');
    expect(page.find('input[type=checkbox]').exists()).toBe(false);
    expect(page.find('table.groups').exists()).toBe(true);
  });

  test('one is made once, however often it is sent until it is answered; then another is a correction', async () => {
    const { server, page } = await opened('dispatcher', (s) =>
      s.on('POST /bulletins', () => refuse(422, { detail: 'not over' })),
    );
    await page.find('form').trigger('submit');
    await settle();
    const first = server.last('POST /bulletins');
    expect(first?.body).toEqual({ grid: '990000', week: weeksOver(Date.now(), 1)[0] });
    expect(page.find('[role=alert]').exists()).toBe(true);
    server.on('POST /bulletins', () => json({ ...item('9', { corrects: '8' }), sha256: 'z', told, outside: null }, 201));
    await page.find('form').trigger('submit');
    await settle();
    const second = server.last('POST /bulletins');
    expect(second?.key).toBe(first?.key);
    expect(page.find('[role=status]').text()).toContain('第 9 号周报已生成，更正第 8 号');
    expect(server.count('GET /bulletins')).toBe(2);
    await page.find('form').trigger('submit');
    await settle();
    expect(server.last('POST /bulletins')?.key).not.toBe(second?.key);
  });

  test('a village head reads and makes none; a department is not shown them', async () => {
    const { page } = await opened('village_head');
    expect(page.find('form').exists()).toBe(false);
    expect(page.findAll('.paper')).toHaveLength(2);
  });
});
