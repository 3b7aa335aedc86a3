// @vitest-environment jsdom
// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// The figures page against a server that tells 20 of this period, 10 of the weeks before
// and none of a year before.

import { enableAutoUnmount } from '@vue/test-utils';
import axe from 'axe-core';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { change, levelsOf } from '../src/review/figures/told';
import { dialogs, FakeServer, json, refuse, session, settle } from './people';
import { openReview } from './reviewstand';

enableAutoUnmount(afterEach);
beforeEach(() => {
  document.body.innerHTML = '';
  dialogs();
  history.replaceState(null, '', '/review');
});

const share = (n: number | null, of: number | null, rows?: string) => ({
  n,
  of,
  rate: n === null || !of ? null : n / of,
  ...(rows ? { rows: `rows=${rows}`, of_rows: `rows=${rows}_of` } : {}),
});
const line = (n: number, few = false) => ({
  reported: { n, rows: 'rows=reported' },
  not_located: few ? share(null, null) : share(3, n, 'none'),
  outside: share(1, n, 'outside'),
  closed: { n, rows: 'rows=closed' },
  solved: [{ level: 2, name: '苏木镇', ...share(n, n, 'solved') }],
  on_the_spot: share(0, n, 'spot'),
  reopened: share(0, n, 'again'),
  no_limit: share(0, n, 'endless'),
  working_days: { mean: n ? 2.5 + n / 100 : null, n, rows: 'rows=closed' },
  on_time: {
    ...share(n / 2, n, 'ontime'),
    unchecked: { n: 0 },
    late: { n: n / 2, rows: 'rows=late' },
    provisional: { n: 0 },
    extended: { n: 0 },
    standing: { n: 0 },
    elsewhere: { n: 0 },
  },
  satisfied: { ...share(4, 5), fully: { n: 4 }, basically: { n: 0 }, unsatisfied: { n: 1 }, unreached: { n: 0 }, owed: { n: 0 } },
  chosen: { n: 0 },
  overridden: share(0, 0),
});
const back = (moment: string | undefined, days: number) => new Date(Date.parse(moment ?? '') - days * 86_400_000).toISOString();
const then = (query: Record<string, string>, which: string, days: number, n: number) => ({
  which,
  from: back(query.from, days),
  to: back(query.to, days),
  total: line(n),
  groups: [{ code: '2', name: '苏木镇', ...line(n, true) }],
});
const figures = (query: Record<string, string>, n: number) => ({
  as_of: { seq: 4711, time: '2026-11-22T08:00:00+08:00' },
  from: query.from,
  to: query.to,
  by: query.by,
  total: { ...line(n), open: { n: 9, rows: 'rows=open' }, overdue: share(2, 9, 'overdue') },
  groups: [{ code: '2', name: '苏木镇', ...line(n, true) }],
  before: [then(query, 'weeks', 28, n / 2), then(query, 'year', 364, 0)],
});
const row = (id: number) => ({
  id: String(id),
  number: `SJ${id}`,
  category_name: '火情',
  state: 'closed',
  reported_at: '2026-11-01T08:00:00+08:00',
});

async function opened(role: string, set: (s: FakeServer) => void = () => {}) {
  const server = new FakeServer();
  server
    .on('GET /session', () =>
      json(session({ role, login: 'wu', view: 'case', grid: { code: '990000', name: '演示旗', level: 1 } })),
    )
    .on('GET /categories', () =>
      json({
        items: [
          { code: '03', name: '消防', top: '', top_name: '' },
          { code: '0301', name: '火情', top: '03', top_name: '消防' },
        ],
      }),
    )
    .on('GET /figures', (a) => json(figures(a.query, 20)))
    .on('GET /grids', (a) =>
      json({
        items:
          a.query.level === '1' ? [{ code: '990000', name: '演示旗', level: 1 }] : [{ code: '990001', name: '演东镇', level: 2 }],
      }),
    )
    .on('GET /departments', () => json({ items: [{ name: '民政' }] }))
    .on('GET /incidents', (a) =>
      json(
        a.query.cursor
          ? { items: [row(21)], cursor: null }
          : { items: Array.from({ length: 19 }, (_, i) => row(i)), cursor: 'next+page' },
      ),
    );
  const spread = { n: 7, p50_s: 45, p90_s: 600, p95_s: 7200, p99_s: 259_200 };
  const none = { n: 0, p50_s: null, p90_s: null, p95_s: null, p99_s: null };
  server
    .on('GET /figures/response', () =>
      json({
        report_to_dispatch: spread,
        report_to_signed: none,
        report_to_arrival: none,
        dispatch_to_arrival: none,
        report_to_resolved: none,
      }),
    )
    .on('GET /notices/figures', () =>
      json({
        total: { due: 8, read: 7, in_time: 6, late: 1, rate: 0.75 },
        units: [{ department: '民政', due: 8, read: 7, in_time: 6, late: 1, rate: 0.75 }],
      }),
    );
  set(server);
  const page = await openReview(server, 'figures');
  return { server, page };
}

describe('the figures', () => {
  test('the same weekdays before and a year before are asked, and compared', async () => {
    const { server, page } = await opened('county_leader');
    expect(server.count('GET /figures')).toBe(1); // all of one moment
    const asked = server.last('GET /figures')?.query;
    expect(asked?.before).toBe('weeks,year');
    expect((Date.parse(asked?.to ?? '') - Date.parse(asked?.from ?? '')) / 86_400_000).toBe(28);
    expect(page.findAll('[data-figure=overdue] td').map((c) => c.text())).toEqual(['22.2%2 / 9', '–', '–', '–', '–']);
    expect(page.find('[data-figure=reported]').text()).toContain('+100.0%');
    expect(page.find('[data-figure=on_time]').text()).toContain('50.0%');
    expect(page.find('[data-figure=on_time]').text()).toContain('0.0 个百分点');
    expect(page.find('[data-figure=working_days]').text()).toContain('2.7 个工作日');
    const changes = page.findAll('[data-figure=reported] .change').map((c) => c.text());
    expect(changes).toEqual(['+100.0%', '–']); // of none before there is no share
  });

  test('a grid and a department narrow the figures, and stay in the address', async () => {
    const { server, page } = await opened('dispatcher');
    const choose = async (label: string, value: string) => {
      const field = page.findAll('.field').find((f) => f.find('label').text() === label);
      await field?.find('select').setValue(value);
    };
    await choose('网格', '990001');
    await choose('部门', '民政');
    await choose('分组', 'grid');
    await page.find('form').trigger('submit');
    await settle();
    const asked = server.last('GET /figures')?.query;
    expect(asked).toMatchObject({ grid: '990001', department: '民政', by: 'grid' });
    expect(page.find('.filter').text()).toContain('范围：演东镇');
    expect(page.find('.filter').text()).toContain('民政');
    expect(page.find('.response').exists() || page.find('.answered').exists()).toBe(false); // they are of all
    expect(server.count('GET /notices/figures')).toBe(1);
    expect(Object.fromEntries(new URLSearchParams(location.search))).toEqual({
      days: '28',
      by: 'grid',
      grid: '990001',
      department: '民政',
    });
    await page
      .findAll('button')
      .find((b) => b.text() === '导出')
      ?.trigger('click');
    expect(page.findAll('dialog .acts button').map((b) => b.text())).toEqual(['XLSX', 'CSV', 'GeoJSON']);
    page.unmount();
    const again = await opened('dispatcher');
    expect(again.server.last('GET /figures')?.query).toEqual(asked);
    again.page.unmount();
    history.replaceState(null, '', '/review?first=2026-03-02&last=2026-03-08&category=03&by=nothing');
    const own = await opened('dispatcher');
    expect(own.server.last('GET /figures')?.query).toMatchObject({
      from: '2026-03-02T00:00:00+08:00',
      to: '2026-03-09T00:00:00+08:00',
      category: '03',
      by: 'level',
    });
    own.page.unmount();
    history.replaceState(null, '', '/review?category=0301');
    const { page: below } = await opened('dispatcher');
    const field = below.findAll('.field').find((f) => f.find('label').text() === '类别');
    const select = field?.find('select');
    expect((select?.element as HTMLSelectElement | undefined)?.value).toBe('0301');
    await select?.setValue('');
    expect(below.find('.filter').text()).toContain('火情'); // as it was asked
  });

  test('a period that is not over says so by the moment, in whatever zone the server tells it', async () => {
    const { page } = await opened('county_leader', (s) =>
      s.on('GET /figures', (a) =>
        json({ ...figures(a.query, 9), to: '2026-11-23T00:00:00+08:00', as_of: { seq: 1, time: '2026-11-22T17:00:00+08:00' } }),
      ),
    );
    expect(page.text()).toContain('所选时间还没有结束');
    const over = await opened('county_leader', (s) =>
      s.on('GET /figures', (a) =>
        json({ ...figures(a.query, 9), to: '2026-11-23T00:00:00+08:00', as_of: { seq: 1, time: '2026-11-22T16:00:01Z' } }),
      ),
    );
    expect(over.page.text()).not.toContain('所选时间还没有结束');
  });

  test('what a level solved stands beside what the same level solved before, wherever it is in the list', () => {
    const total = (...levels: [number, number][]) => ({
      total: { ...line(9), solved: levels.map(([level, n]) => ({ level, name: `第${level}级`, ...share(n, 9) })) },
    });
    const rows = levelsOf([total([1, 1], [4, 4], [0, 7]), total([1, 2], [4, 5], [5, 6]), total([4, 3], [0, 8])] as never);
    expect(rows.map((r) => [r.level, r.name, ...r.at.map((f) => f && 'n' in f && f.n)])).toEqual([
      [1, '第1级', 1, 2, undefined],
      [4, '第4级', 4, 5, 3],
      [5, '第5级', undefined, 6, undefined],
      [0, '第0级', 7, undefined, 8],
    ]);
  });

  test('how long it took and how notices were answered stand beside them, where one may read it', async () => {
    const { server, page } = await opened('county_leader');
    const asked = server.last('GET /figures/response')?.query;
    const first = server.asked.find((a) => a.path === '/figures')?.query;
    expect([asked?.from, asked?.to]).toEqual([first?.from, first?.to]);
    const row = page.find('[data-way=report_to_dispatch]').text();
    for (const part of ['7', '45 秒', '10 分钟', '2.0 小时', '3.0 天']) expect(row).toContain(part);
    expect(page.find('[data-way=report_to_signed]').text()).toContain('–');
    expect(page.find('.answered').text()).toContain('民政');
    expect(page.findAll('.answered tbody td').map((c) => c.text())).toEqual([
      '8',
      '7',
      '6',
      '1',
      '75.0%',
      '8',
      '7',
      '6',
      '1',
      '75.0%',
    ]);
    const found = await axe.run(page.element as Element, { rules: { 'color-contrast': { enabled: false } } });
    expect(found.violations.map((v) => v.id)).toEqual([]);
    page.unmount();
    const less = await opened('town_operator', (s) =>
      s
        .on('GET /figures/response', () => refuse(403, { detail: 'no' }))
        .on('GET /notices/figures', () => refuse(403, { detail: 'no' })),
    );
    expect(less.page.find('.response').exists() || less.page.find('.answered').exists()).toBe(false);
    expect(less.page.find('table.groups').exists()).toBe(true);
  });

  test('it always says how many have no place, as of when, and what is too few', async () => {
    const { page } = await opened('county_leader');
    const text = page.text();
    for (const part of ['3 件未定位', '2026-11-22 08:00:00', '序号 4,711', '演示旗']) expect(text).toContain(part);
    expect(page.find('table.groups').text()).toContain('数量过少，不显示');
    expect(page.findAll('button').some((b) => b.text() === '导出')).toBe(false); // a leader may not have the rows as a file
  });

  test('a number opens its incidents page by page, and says when they are not as many', async () => {
    const { server, page } = await opened('dispatcher');
    await page.find('[data-figure=reported] button.link').trigger('click');
    await settle();
    expect(server.last('GET /incidents')?.query).toMatchObject({ rows: 'reported', limit: '20' });
    expect(page.find('dialog').text()).toContain('共 20 件，已列出 19 件');
    expect(page.find('dialog .notice').exists()).toBe(false);
    await page
      .findAll('dialog button')
      .find((b) => b.text() === '再列出')
      ?.trigger('click');
    await settle();
    expect(server.last('GET /incidents')?.query).toMatchObject({ rows: 'reported', cursor: 'next+page' });
    expect(page.find('dialog').text()).toContain('共 20 件，已列出 20 件');
    expect(page.find('dialog .notice').exists()).toBe(false);
    await page.find('dialog header button').trigger('click');
    await page.findAll('[data-figure=not_located] button.link')[0]?.trigger('click');
    await settle();
    await page
      .findAll('dialog button')
      .find((b) => b.text() === '再列出')
      ?.trigger('click');
    await settle();
    expect(page.find('dialog .notice').text()).toContain('明细与指标不一致');
  });

  test('a refusal is told, and the figures that were shown stay', async () => {
    const { server, page } = await opened('county_leader');
    server.on('GET /figures', () => refuse(422, { detail: 'ask for a shorter period' }));
    await page.find('form').trigger('submit');
    await settle();
    expect(page.find('[role=alert]').text()).toContain('ask for a shorter period');
    expect(page.find('[data-figure=reported]').text()).toContain('+100.0%');
  });

  test('a file is asked for with a reason, of what is shown', async () => {
    URL.createObjectURL = vi.fn(() => 'blob:x');
    URL.revokeObjectURL = vi.fn();
    const saved: string[] = [];
    vi.spyOn(HTMLAnchorElement.prototype, 'click').mockImplementation(function (this: HTMLAnchorElement) {
      saved.push(this.download);
    });
    const { server, page } = await opened('dispatcher', (s) =>
      s.on(
        'GET /exports/period-figures.xlsx',
        () => new Response('x', { headers: { 'content-disposition': 'attachment; filename="period-figures-1-2.xlsx"' } }),
      ),
    );
    await page
      .findAll('button')
      .find((b) => b.text() === '导出')
      ?.trigger('click');
    await page.find('dialog form').trigger('submit');
    await settle();
    expect(page.find('dialog').text()).toContain('请写明理由');
    expect(server.count('GET /exports/period-figures.xlsx')).toBe(0);
    await page.find('dialog textarea').setValue('季度研判用');
    await page.find('dialog form').trigger('submit');
    await settle();
    const asked = server.last('GET /exports/period-figures.xlsx')?.query;
    expect(asked).toMatchObject({
      reason: '季度研判用',
      by: 'level',
      from: server.asked.find((a) => a.path === '/figures')?.query.from,
    });
    expect(saved).toEqual(['period-figures-1-2.xlsx']);
    expect(page.find('dialog').exists()).toBe(false);
  });

  test('axe finds nothing', async () => {
    await opened('dispatcher');
    const found = await axe.run(document.body, { rules: { 'color-contrast': { enabled: false }, region: { enabled: false } } });
    expect(found.violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.html).join(' ')}`)).toEqual([]);
  });
});

test('figures are compared by what they are', () => {
  expect(change({ n: 3 }, { n: 4 })).toEqual({ by: -25, as: 'share' });
  expect(change({ n: 1, of: 2, rate: 0.5 }, { n: 1, of: 4, rate: 0.25 })).toEqual({ by: 25, as: 'points' });
  expect(change({ n: null }, { n: 4 })).toBeNull();
});
