// @vitest-environment jsdom
// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// The review's question in its address: there and back, and what a link asks of a colleague's page.

import { enableAutoUnmount } from '@vue/test-utils';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Asked, CUTS, formatAddress, parseAddress, RINGS, SIZES } from '../src/review/address';
import { METHODS, PERS } from '../src/review/api';
import { dayOf } from '../src/review/period';
import { FakeServer, json, session, settle } from './people';
import { openReview } from './reviewstand';

enableAutoUnmount(afterEach);
beforeEach(() => {
  document.body.innerHTML = '';
});

const NOW = Date.parse('2026-11-22T08:31:02Z');

/** Numbers that look drawn, the same each time. */
function dice(seed: number) {
  let a = seed;
  return (n: number) => {
    a = (a * 1_664_525 + 1_013_904_223) >>> 0;
    return Math.floor((a / 2 ** 32) * n);
  };
}

describe('an address there and back', () => {
  const drawn = (die: (n: number) => number): Asked => {
    const of = <T>(all: readonly T[]): T => all[die(all.length)] as T;
    const day = (n: number) => dayOf(Date.parse('2021-01-01T00:00:00+08:00') + n * 86_400_000);
    const begin = 400 + die(1500);
    const method = of(METHODS);
    const res = of(SIZES);
    const earlier = die(300);
    return {
      method,
      first: day(begin),
      last: day(begin + die(700)),
      before: method === 'change' ? { first: day(earlier), last: day(earlier + die(100)) } : null,
      res,
      category: of(['', '03', '0301', 'Ab9']),
      grid: of(['', '990000', '演-1', 'a&b=c+d%/#', 'G?']),
      k: method === 'gi' || method === 'course' ? of(RINGS) : '2',
      per: method === 'count' ? of(PERS) : '',
      steps: method === 'course' ? of(CUTS) : '12',
      cell: of(['', `8${res}24c395dffffff`]),
    };
  };

  test('what is asked comes back, whatever it is', () => {
    const die = dice(7);
    for (let i = 0; i < 2000; i++) {
      const asked = drawn(die);
      const address = formatAddress(asked, '?lang=en&method=count');
      expect(parseAddress(address, NOW), address).toEqual({ asked, bad: [] });
      expect(new URLSearchParams(address).get('lang')).toBe('en');
    }
  });

  test('whatever an address says, something is asked that comes back; what was wrong is named', () => {
    const die = dice(11);
    const junk = [
      '',
      '0',
      '-1',
      '%',
      '%E4%',
      '2026-02-30',
      '9'.repeat(400),
      '<b>',
      'gi',
      '7',
      '\u0000',
      '2026-11-22',
      'null',
      '1999-12-31',
      '２０２６-01-01',
    ];
    const names = ['method', 'from', 'to', 'from2', 'to2', 'res', 'category', 'grid', 'k', 'per', 'steps', 'cell', 'lang', 'x'];
    for (let i = 0; i < 3000; i++) {
      const good = formatAddress(drawn(die)).slice(1).split('&');
      const parts = good.map((p) => (die(4) ? p : `${p.split('=')[0]}=${junk[die(junk.length)]}`));
      for (let n = die(3); n > 0; n--) parts.push(`${names[die(names.length)]}=${junk[die(junk.length)]}`);
      const { asked } = parseAddress(`?${parts.join('&')}`, NOW);
      expect(parseAddress(formatAddress(asked), NOW), parts.join('&')).toEqual({ asked, bad: [] });
    }
  });

  test('each bad value is named and left at its default', () => {
    const bad = (search: string) => parseAddress(search, NOW).bad;
    expect(parseAddress('', NOW)).toEqual({
      asked: {
        method: 'gi',
        first: '2026-08-25',
        last: '2026-11-22',
        before: null,
        res: '7',
        category: '',
        grid: '',
        k: '2',
        per: '',
        steps: '12',
        cell: '',
      },
      bad: [],
    });
    expect(bad('?method=heat&res=5&k=9&steps=7&category=%3B&per=people')).toEqual([
      'method',
      'res',
      'category',
      'k',
      'per',
      'steps',
    ]);
    for (const days of [
      'from=2026-02-30&to=2026-03-30',
      'from=2026-03-02&to=2026-03-01',
      'from=2026-03-02',
      'from=2010-01-01&to=2026-01-01',
      'from=0000-01-01&to=0000-01-02',
    ])
      expect(bad(`?${days}`), days).toEqual(['days']);
    const overlap = parseAddress('?method=change&from=2026-04-01&to=2026-04-30&from2=2026-03-15&to2=2026-04-01', NOW);
    expect(overlap.bad).toEqual(['before']);
    expect(overlap.asked.before).toEqual({ first: '2026-03-02', last: '2026-03-31' });
    expect(bad('?cell=8824c395dffffff&res=7')).toEqual(['cell']);
    expect(parseAddress('?method=count&per=patrol_hours', NOW, ['', 'area'])).toMatchObject({ asked: { per: '' }, bad: ['per'] });
  });
});

const ring = [
  [
    [107, 38],
    [107.1, 38],
    [107.1, 38.1],
    [107, 38],
  ],
];
const shape = (properties: Record<string, unknown>) => ({
  type: 'Feature',
  properties,
  geometry: { type: 'Polygon', coordinates: ring },
});
const CELL = '8724c395dffffff';

async function opened(search: string, role = 'county_leader') {
  history.replaceState(null, '', `/review${search}`);
  const counted = {
    as_of: { seq: 1, time: '2026-11-22T08:31:02Z' },
    study: { grids: [], cells: 9 },
    counted: 1,
    elsewhere: 0,
    not_located: 0,
  };
  const server = new FakeServer();
  server
    .on('GET /session', () => json(session({ role, login: 'wu', view: 'case', grid: { code: '990000', name: '演示旗' } })))
    .on('GET /categories', () =>
      json({
        items: [
          { code: '03', name: '消防', top: '', top_name: '' },
          { code: '0301', name: '火情', top: '03', top_name: '消防' },
        ],
      }),
    )
    .on('GET /grids', ({ query }) =>
      json({
        type: 'FeatureCollection',
        features:
          query.level === '1'
            ? [shape({ code: '990000', name: '演示旗', level: 1, parent: null })]
            : query.level === '2'
              ? [
                  shape({ code: '990002', name: '演南苏木', level: 2, parent: '990000' }),
                  shape({ code: '990001', name: '演北镇', level: 2, parent: '990000' }),
                ]
              : [shape({ code: '99000101', name: '一村', level: 3, parent: '990001' })],
      }),
    )
    .on('GET /hotspots', () =>
      json({ type: 'FeatureCollection', features: [shape({ cell: CELL, count: 3, class: 'plain' })], ...counted }),
    )
    .on(`GET /hotspots/${CELL}`, () =>
      json({
        cell: CELL,
        count: 3,
        near: 3,
        near_cells: 7,
        expected: 1,
        neighbours: [],
        categories: [],
        rows: `cell=${CELL}`,
        centre: [107, 38],
      }),
    )
    .on('GET /incidents', () => json({ items: [] }));
  const page = await openReview(server);
  const choices = () => page.findAll('.ask select').map((c) => (c.element as HTMLSelectElement).value);
  return { server, page, choices };
}

/** A step back or forward, and what the page does then. */
async function step(by: number) {
  const stepped = new Promise((r) => window.addEventListener('popstate', r, { once: true }));
  history.go(by);
  await stepped;
  await settle();
}

describe('a page with an address', () => {
  test('a link asks what it says, and opens its cell', async () => {
    const { server, page, choices } = await opened(
      `?method=count&from=2026-03-01&to=2026-03-31&res=7&per=area&category=0301&grid=990001&cell=${CELL}`,
    );
    expect(server.count('GET /hotspots')).toBe(1);
    expect(server.last('GET /hotspots')?.query).toEqual({
      from: '2026-03-01T00:00:00+08:00',
      to: '2026-04-01T00:00:00+08:00',
      method: 'count',
      res: '7',
      k: '2',
      per: 'area',
      category: '0301',
      grid: '990001',
    });
    expect(choices()).toEqual(['count', '', '0301', '990001', '7', 'area']);
    expect(server.last(`GET /hotspots/${CELL}`)?.query).toMatchObject({ grid: '990001', category: '0301' });
    expect(page.find('.why').text()).toContain('本单元 3 件');
    expect(page.find('.ask .notice').exists()).toBe(false);
    await page.findAll('.ask select')[2]?.setValue('');
    expect(page.find('.brief').text()).toContain('火情'); // as it was asked
    const named = page.findAll('select').find((s) => s.text().includes('演北镇'));
    expect(named?.findAll('option').map((o) => o.element.textContent)).toEqual([
      '全部辖区',
      '演示旗',
      '　演北镇',
      '　　一村',
      '　演南苏木',
    ]);
  });

  test('what is asked and looked at is in the address; back and forward show it again', async () => {
    const { server, page, choices } = await opened('');
    const first = location.search;
    expect(first).toMatch(/^\?method=gi&from=\d{4}-\d\d-\d\d&to=\d{4}-\d\d-\d\d$/);
    await page.findAll('.ask select')[0]?.setValue('count');
    expect(location.search).toBe(first); // not asked yet
    await page.find('form').trigger('submit');
    await settle();
    expect(location.search).toContain('method=count');
    await page.find('.cells tbody button').trigger('click');
    await settle();
    expect(location.search).toContain(`cell=${CELL}`);
    const asked = server.count('GET /hotspots');
    await step(-1);
    expect(page.find('.why').exists()).toBe(false);
    expect(server.count('GET /hotspots')).toBe(asked); // the same question
    await step(-1);
    expect([location.search, choices()[0]]).toEqual([first, 'gi']);
    expect(server.last('GET /hotspots')?.query).toMatchObject({ method: 'gi' });
    await step(2);
    expect(choices()[0]).toBe('count');
    expect(server.last('GET /hotspots')?.query).toMatchObject({ method: 'count' });
    expect(page.find('.why').text()).toContain('本单元 3 件');
    await page.find('.why h2 button').trigger('click');
    expect(location.search).not.toContain('cell=');
  });

  test('a step back while an answer is on its way is followed when it has come', async () => {
    const { server, page, choices } = await opened('');
    await page.findAll('.ask select')[0]?.setValue('count');
    await page.find('form').trigger('submit');
    await settle();
    let come: (r: Response) => void = () => {};
    server.on(
      'GET /hotspots',
      () =>
        new Promise<Response>((r) => {
          come = r;
        }),
    );
    await page.findAll('.ask select')[2]?.setValue('03');
    await page.find('form').trigger('submit');
    await step(-1);
    const late = come;
    late(
      json({
        type: 'FeatureCollection',
        features: [],
        as_of: { seq: 1, time: '' },
        study: { grids: [], cells: 1 },
        counted: 0,
        elsewhere: 0,
        not_located: 0,
      }),
    );
    await settle();
    expect(server.last('GET /hotspots')?.query).toMatchObject({ method: 'gi' });
    expect([choices()[0], choices()[2]]).toEqual(['gi', '']);
    expect(location.search).toContain('method=gi');
  });

  test('bad values answer with a word and the default', async () => {
    const { server, page } = await opened(
      '?method=heat&res=12&from=2026-02-30&to=x&category=9999&grid=880000&cell=8724c3958ffffff',
    );
    const { query } = server.last('GET /hotspots') ?? {};
    expect(query).toMatchObject({ method: 'gi', res: '7' });
    expect([query?.category, query?.grid]).toEqual([undefined, undefined]); // no such category, another county's grid
    for (const part of ['看什么', '时间', '单元大小', '类别', '范围', '单元', '已改为默认值'])
      expect(page.find('.ask .notice').text()).toContain(part);
    expect(page.find('.why').exists()).toBe(false);
    expect(location.search).not.toContain('heat');
    await page.find('form').trigger('submit');
    await settle();
    expect(page.find('.ask .notice').exists()).toBe(false);
  });

  test('who sees no worker is told no hours of patrol by a link', async () => {
    const { server, page } = await opened('?method=count&per=patrol_hours&from=2026-11-01&to=2026-11-20', 'dept_handler');
    expect(server.last('GET /hotspots')?.query.per).toBeUndefined();
    expect(page.find('.ask .notice').text()).toContain('折算');
  });
});
