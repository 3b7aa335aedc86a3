// @vitest-environment jsdom
// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// The review page against a server of three cells: one hot, one plain, one not tested.

import { enableAutoUnmount } from '@vue/test-utils';
import axe from 'axe-core';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { COLOUR, chance, colourOf, heatOf, STEPS, stepsOf } from '../src/review/classes';
import { daysOf, earlierThan, lastDays, momentsOf } from '../src/review/period';
import { figure, rateOf, ratioOf } from '../src/review/ratio';
import { dialogs, FakeServer, json, refuse, session, settle } from './people';
import { openReview } from './reviewstand';

enableAutoUnmount(afterEach);
beforeEach(() => {
  document.body.innerHTML = '';
  dialogs();
});

const ring = [
  [
    [107, 38],
    [107.1, 38],
    [107.1, 38.1],
    [107, 38],
  ],
];
const feature = (properties: Record<string, unknown>) => ({
  type: 'Feature',
  properties,
  geometry: { type: 'Polygon', coordinates: ring },
});
const answer = (features: unknown[], more: Record<string, unknown> = {}) => ({
  type: 'FeatureCollection',
  features,
  as_of: { seq: 4711, time: '2026-11-22T08:31:02Z' },
  study: { grids: [{ code: '990000', name: '演示旗' }], cells: 2898, mean: 0.1 },
  counted: 21,
  elsewhere: 2,
  not_located: 3,
  ...more,
});
const three = [
  feature({ cell: '8724c395dffffff', count: 12, z: 6.5, p: 1e-9, q: 1e-7, strict: 0.0123, class: 'hot95' }),
  feature({ cell: '8724c3959ffffff', count: 8, z: 0.3, p: 0.76, q: 0.9, strict: 0.95, class: 'plain' }),
  feature({ cell: '8724c3958ffffff', count: 1, class: 'too_few' }),
];

async function opened(role: string, set: (s: FakeServer) => void = () => {}, query = '') {
  history.replaceState(null, '', `/review${query}`);
  const server = new FakeServer();
  server
    .on('GET /session', () => json(session({ role, login: 'wu', view: 'case', grid: { code: '990000', name: '演示旗' } })))
    .on('GET /categories', () =>
      json({
        items: [
          { code: '0301', name: '火情', top: '03', top_name: '消防', hidden: false },
          { code: '0102', name: '婚姻家庭纠纷', top: '01', top_name: '矛盾纠纷', hidden: true },
          { code: '03', name: '消防', top: '', top_name: '' },
        ],
      }),
    )
    .on('GET /grids', () => json({ type: 'FeatureCollection', features: [] }))
    .on('GET /hotspots', () => json(answer(three)));
  set(server);
  const page = await openReview(server);
  return { server, page };
}

describe('rates in figures', () => {
  test('three digits of any size, and dashes where there is none', () => {
    expect([0, 0.00123456, 0.125, 9.999, 31.46, 421.5, 4210.2].map(figure)).toEqual([
      '0',
      '0.00123',
      '0.125',
      '10',
      '31.5',
      '422',
      '4,210',
    ]);
    expect(rateOf({ exposure: 3 })).toEqual({ rate: '–', interval: '–' });
  });
});

describe('what the page asks and says', () => {
  test('it looks at ninety days at once, and says what is missing from the map', async () => {
    const { server, page } = await opened('county_leader');
    const asked = server.last('GET /hotspots');
    expect(asked?.accept).toBe('application/geo+json');
    expect(asked?.query).toMatchObject({ res: '7', method: 'gi', k: '2' });
    expect(Date.parse(asked?.query.to ?? '') - Date.parse(asked?.query.from ?? '')).toBe(90 * 86_400_000);
    const text = page.text();
    for (const part of [
      '热点 1 个，冷点 0 个',
      '共 21 件',
      '3 件未定位',
      '2 件在研究范围之外',
      '序号 4,711（2026-11-22 16:31:02）',
      '演示旗',
    ])
      expect(text).toContain(part);
    expect(page.findAll('.cells tbody tr')).toHaveLength(1); // hot and cold alone
    expect(page.find('.cells tbody tr').text()).toContain('0.012');
  });

  test('the form decides what is asked; a period that ends before it begins is not', async () => {
    const { server, page } = await opened('dispatcher');
    const selects = page.findAll('select');
    await selects[2]?.setValue('03');
    await selects[0]?.setValue('count');
    await page.find('form').trigger('submit');
    await settle();
    expect(server.last('GET /hotspots')?.query).toMatchObject({ category: '03', method: 'count' });
    const [first, last] = page.findAll('input[type=date]');
    await first?.setValue('2026-03-02');
    await last?.setValue('2026-03-01');
    expect(page.text()).toContain('截止日不能早于起始日');
    expect(page.find('button[type=submit]').attributes('disabled')).toBeDefined();
    const before = server.count('GET /hotspots');
    await page.find('form').trigger('submit');
    await settle();
    expect(server.count('GET /hotspots')).toBe(before);
  });

  test('counts are told by area or hours of patrol: a rate, its interval, and where there is none', async () => {
    const rated = { type: 'FeatureCollection', per: { by: 'patrol_hours', unit: 100, least: 10 } };
    const cells = [
      feature({ cell: '8724c395dffffff', count: 12, exposure: 40, rate: 30, low: 15.5, high: 52.4 }),
      feature({ cell: '8724c3959ffffff', count: 1, exposure: 800, rate: 0.125, low: 0.00316, high: 0.696 }),
      feature({ cell: '8724c3958ffffff', count: 8, class: 'too_few' }),
    ];
    const study = {
      grids: [{ code: '990000', name: '演示旗' }],
      cells: 9,
      mean: 1,
      exposure: 900,
      rate: 2.333,
      low: 1.44,
      high: 3.57,
    };
    const { server, page } = await opened('dispatcher', (s) =>
      s
        .on('GET /hotspots/8724c395dffffff', () =>
          json({
            ...cells[0]?.properties,
            near: 20,
            near_cells: 7,
            expected: 9,
            neighbours: [],
            categories: [],
            rows: '',
            centre: [107, 38],
          }),
        )
        .on('GET /incidents', () => json({ items: [] })),
    );
    await page.findAll('select')[0]?.setValue('count');
    const per = page.findAll('select').find((s) => s.text().includes('每平方公里'));
    expect(per?.text()).toContain('每百小时巡查');
    await per?.setValue('patrol_hours');
    server.on('GET /hotspots', () => json(answer(cells, { ...rated, study })));
    await page.find('form').trigger('submit');
    await settle();
    expect(server.last('GET /hotspots')?.query).toMatchObject({ method: 'count', per: 'patrol_hours' });
    expect(page.findAll('.cells tbody tr').map((r) => r.findAll('td').map((c) => c.text()))).toEqual([
      ['12', '30', '15.5–52.4', '40'],
      ['1', '0.125', '0.00316–0.696', '800'],
      ['8', '–', '–', '–'],
    ]);
    for (const part of ['全区每百小时巡查 2.33 件（95% 区间 1.44–3.57），巡查 900 小时', '率只作描述', '率低不等于平安'])
      expect(page.find('.sum').text()).toContain(part);
    const legend = page.findAll('.legend li').map((l) => l.text());
    expect(legend).toEqual(['每百小时巡查 0.125 件起，不到 30 件', '每百小时巡查 30 件及以上', '巡查不足 10 小时，不算率']);
    await page.find('.cells tbody button').trigger('click');
    await settle();
    expect(server.last('GET /hotspots/8724c395dffffff')?.query.per).toBeUndefined(); // the list has it already
    expect(page.find('.why .rate').text()).toContain('30 件（95% 区间 15.5–52.4），本单元巡查 40 小时');
    expect(page.find('.why .rate').text()).toContain('全区为 2.33 件');
    await page.findAll('select')[0]?.setValue('gi');
    await page.find('form').trigger('submit');
    await settle();
    expect(server.last('GET /hotspots')?.query.per).toBeUndefined();
    page.unmount();
    const leader = await opened('county_leader');
    await leader.page.findAll('select')[0]?.setValue('count');
    expect(leader.page.text()).toContain('每平方公里');
    expect(leader.page.text()).not.toContain('每百小时巡查'); // who sees no worker's place sees no hours
  });

  test('a cell says why, with its incidents; the same period is asked', async () => {
    const { server, page } = await opened('town_operator', (s) =>
      s
        .on('GET /hotspots/8724c395dffffff', () =>
          json({
            ...three[0]?.properties,
            as_of: { seq: 1 },
            near: 40,
            near_cells: 19,
            expected: 2.04,
            neighbours: [],
            categories: [{ code: '0301', name: '火情', count: 12 }],
            rows: 'cell=8724c395dffffff&from=a',
            centre: [107.05, 38.05],
          }),
        )
        .on('GET /incidents', () =>
          json({
            items: [
              {
                id: '1',
                number: 'SJ1',
                category_name: '火情',
                state: 'closed',
                reported_at: '2026-11-20T10:00:00+08:00',
                title: '草场冒烟',
              },
            ],
            cursor: 'next',
          }),
        ),
    );
    await page.find('.cells tbody button').trigger('click');
    await settle();
    const list = server.last('GET /hotspots')?.query;
    const why = server.last('GET /hotspots/8724c395dffffff')?.query;
    expect(why).toEqual({ from: list?.from, to: list?.to, k: '2' });
    expect(server.last('GET /incidents')?.query).toMatchObject({ cell: '8724c395dffffff', from: 'a' });
    for (const part of ['19 个单元有 40 件', '应有 2 件', '火情', '草场冒烟', '共 12 件'])
      expect(page.find('.why').text()).toContain(part);
    await page.find('.why h2 button').trigger('click');
    expect(page.find('.cells').exists()).toBe(true);
  });

  test('a cell that is pressed while another answer is on its way stays, where the answer has it, and is asked again', async () => {
    const why = (cell: string) =>
      json({
        cell,
        count: 12,
        near: 40,
        near_cells: 19,
        expected: 2,
        neighbours: [],
        categories: [],
        rows: `cell=${cell}`,
        centre: [107, 38],
      });
    const { server, page } = await opened('dispatcher', (s) =>
      s.on('GET /hotspots/8724c395dffffff', () => why('8724c395dffffff')).on('GET /incidents', () => json({ items: [] })),
    );
    let come: (r: Response) => void = () => {};
    const slow = () =>
      new Promise<Response>((r) => {
        come = r;
      });
    server.on('GET /hotspots', slow);
    await page.findAll('select')[0]?.setValue('count');
    await page.find('form').trigger('submit');
    await page.find('.cells tbody button').trigger('click');
    await settle();
    come(json(answer(three)));
    await settle();
    expect(page.find('.why').text()).toContain('19 个单元有 40 件');
    expect(server.count('GET /hotspots/8724c395dffffff')).toBe(2);
    await page.find('form').trigger('submit');
    come(json(answer([three[1]])));
    await settle();
    expect(page.find('.why').exists()).toBe(false); // the answer has no such cell
  });

  test('the same question asked again tells anew why, as of the new answer', async () => {
    const { server, page } = await opened('dispatcher', (s) =>
      s
        .on('GET /hotspots/8724c395dffffff', () => {
          const count = 11 + s.count('GET /hotspots/8724c395dffffff');
          return json({
            count,
            near: 40,
            near_cells: 19,
            expected: 2,
            neighbours: [],
            categories: [],
            rows: '',
            centre: [107, 38],
          });
        })
        .on('GET /incidents', () => json({ items: [] })),
    );
    await page.find('.cells tbody button').trigger('click');
    await settle();
    expect(page.find('.why').text()).toContain('本单元 12 件');
    server.on('GET /hotspots', () => json(answer(three, { as_of: { seq: 4712, time: '2026-11-22T08:41:02Z' } })));
    await page.find('form').trigger('submit');
    await settle();
    expect(page.find('.why').text()).toContain('本单元 13 件');
  });

  test('categories that no map shows are named, and are not told as none', async () => {
    const { page } = await opened('dispatcher');
    expect(page.find('.sum').text()).toContain('不计入的类别：婚姻家庭纠纷。');
    page.unmount();
    const none = await opened(
      'dispatcher',
      (s) => s.on('GET /hotspots', () => json(answer([], { counted: 0 }))),
      '?category=0102',
    );
    expect(none.page.find('.sum .notice').text()).toContain('婚姻家庭纠纷：不公开位置');
    expect(none.page.text()).not.toContain('这段时间没有事件');
    none.page.unmount();
    const fire = await opened('dispatcher', () => {}, '?category=03');
    expect(fire.page.find('.sum').text()).not.toContain('婚姻家庭纠纷');
  });

  test('a server that is not reached is not told to have said something', async () => {
    const { page } = await opened('dispatcher', (s) =>
      s.on('GET /hotspots', () => {
        throw new TypeError('Failed to fetch');
      }),
    );
    const said = page
      .findAll('.refused')
      .map((r) => r.text())
      .join();
    expect(said).toContain('连接不上服务器');
    expect(said).not.toMatch(/服务器说明|TypeError/);
  });

  test('a notice is made of a cell by who may: its words are there, and it is sent once though the answer was lost', async () => {
    const why = {
      ...three[0]?.properties,
      near: 40,
      near_cells: 19,
      expected: 2,
      neighbours: [],
      categories: [
        { code: '0301', name: '火情', count: 8 },
        { code: '0302', name: '充电', count: 3 },
        { code: '0303', name: '燃气', count: 1 },
      ],
      told: { least: 5, count: 12, categories: [{ code: '0301', name: '火情', count: 7 }], rest: 5 },
      grids: [
        { code: '990000', name: '演示旗', level: 1, above: [], count: 12 },
        { code: '990002', name: '昂素镇', level: 2, above: [], count: 9 }, // most of them, though the middle lies beside it
        { code: '990001', name: '城川镇', level: 2, above: [], count: 3 },
        { code: '9900020101', name: '一组', level: 4, above: ['昂素镇', '一村'], count: 9 },
      ],
      rows: 'cell=x',
      centre: [107.05, 38.05],
    };
    const answers = (s: FakeServer) =>
      s
        .on('GET /hotspots/8724c395dffffff', () => json(why))
        .on('GET /incidents', () => json({ items: [] }))
        .on('GET /departments', () => json({ items: [{ name: '消防救援' }] }));
    const { server, page } = await opened('dispatcher', answers);
    await page.find('.cells tbody button').trigger('click');
    await settle();
    const button = () => page.findAll('.why button').find((b) => b.text().includes('制作预警提示单'));
    await button()?.trigger('click');
    await settle();
    const [area, unit] = page.findAll('dialog select');
    expect((area?.element as HTMLSelectElement | undefined)?.value).toBe('990002');
    expect(area?.findAll('option').map((o) => o.text())).toEqual([
      '演示旗（单元内 12 件）',
      '昂素镇（单元内 9 件）',
      '城川镇（单元内 3 件）',
      '昂素镇 / 一村 / 一组（单元内 9 件）',
    ]);
    const text = (page.find('dialog textarea').element as HTMLTextAreaElement).value;
    for (const part of ['上报 12 件', '热点 95%', '107.05000, 38.05000', '火情 7']) expect(text).toContain(part);
    expect(text).toContain('至 2026-11-22，'); // of the days asked for, none that lay ahead of the answer
    expect(text).toContain('（统计范围：演示旗）');
    expect(text).not.toMatch(/充电|燃气/);
    expect(page.find('dialog').text()).toContain('小于 5 的件数');
    const sent: { key: string; body: Record<string, unknown> }[] = [];
    let lost = true;
    server.on('POST /notices', ({ body, key }) => {
      sent.push({ key, body: body as Record<string, unknown> });
      if (lost) throw new TypeError('the line is cut');
      return json({ id: '7', department: '消防救援' }, 201);
    });
    await unit?.setValue('消防救援');
    await page.find('dialog input[type=datetime-local]').setValue('2020-01-01T00:00');
    await page.find('dialog form').trigger('submit');
    await settle();
    expect(sent).toEqual([]);
    expect(page.find('dialog').text()).toContain('要晚于现在');
    await page.find('dialog input[type=datetime-local]').setValue('2030-01-01T18:00');
    for (let i = 0; i < 2; i++) {
      await page.find('dialog form').trigger('submit');
      await page.find('dialog form').trigger('submit'); // a second touch
      await settle();
      if (!lost) break;
      lost = false;
      await page.findAll('dialog .acts button')[1]?.trigger('click'); // and opened again, with the same words
      await button()?.trigger('click');
      await settle();
      await page.findAll('dialog select')[1]?.setValue('消防救援');
      await page.find('dialog input[type=datetime-local]').setValue('2030-01-01T18:00');
    }
    expect(sent).toHaveLength(2);
    expect(sent[0]?.key).toBe(sent[1]?.key);
    expect(sent[1]?.body).toMatchObject({
      grid: '990002',
      department: '消防救援',
      title: '预警提示：热点 95%',
      due: '2030-01-01T18:00:00+08:00',
      cell: '8724c395dffffff',
    });
    expect(page.find('dialog').exists()).toBe(false);
    expect(page.find('.why').text()).toContain('提示单 7 已发给消防救援');
    page.unmount();
    const fire = await opened('dispatcher', answers, '?category=03');
    await fire.page.find('.cells tbody button').trigger('click');
    await settle();
    const make = fire.page.findAll('.why button').find((b) => b.text().includes('制作预警提示单'));
    await make?.trigger('click');
    await settle();
    expect((fire.page.find('dialog textarea').element as HTMLTextAreaElement).value).toContain('上报“消防” 12 件'); // not of all
    fire.page.unmount();
    const leader = await opened('county_leader', answers);
    await leader.page.find('.cells tbody button').trigger('click');
    await settle();
    expect(leader.page.find('.why').text()).not.toContain('制作预警提示单');
  });

  test('two periods are compared: as many days before, a year before, or own days, that must not overlap', async () => {
    const { server, page } = await opened('dispatcher', (s) =>
      s
        .on('GET /hotspots/compare', () =>
          json({
            type: 'FeatureCollection',
            features: [
              feature({
                cell: '8724c395dffffff',
                before: 10,
                after: 31,
                ratio: 3.1,
                low: 1.48,
                high: 7.1,
                p: 0.001,
                q: 0.01,
                class: 'more',
              }),
              feature({ cell: '8724c3959ffffff', before: 0, after: 6, low: 1.2, p: 0.03, q: 0.2, class: 'plain' }),
              feature({ cell: '8724c3958ffffff', before: 1, after: 1, ratio: 1, low: 0.01, high: 80, class: 'too_few' }),
            ],
            as_of: { seq: 5000, time: '2026-11-22T08:31:02Z' },
            study: { grids: [{ code: '990000', name: '演示旗' }], cells: 2898 },
            before: {
              from: '2026-03-01T00:00:00+08:00',
              to: '2026-04-01T00:00:00+08:00',
              counted: 11,
              elsewhere: 0,
              not_located: 4,
            },
            after: {
              from: '2026-04-01T00:00:00+08:00',
              to: '2026-04-20T08:31:02+08:00', // what lay ahead was cut off
              counted: 38,
              elsewhere: 1,
              not_located: 0,
            },
          }),
        )
        .on('GET /hotspots/8724c395dffffff', () =>
          json({
            cell: '8724c395dffffff',
            count: 31,
            near: 0,
            near_cells: 0,
            expected: 0,
            neighbours: [],
            categories: [],
            told: { least: 5, count: 31, categories: [], rest: 31 },
            grids: [{ code: '990000', name: '演示旗', level: 1, above: [], count: 31 }],
            rows: 'cell=8724c395dffffff',
            centre: [107, 38],
          }),
        )
        .on('GET /departments', () => json({ items: [] }))
        .on('GET /incidents', () => json({ items: [] })),
    );
    await page.findAll('select')[0]?.setValue('change');
    const days = () => page.findAll('input[type=date]').map((i) => (i.element as HTMLInputElement).value);
    await page.findAll('input[type=date]')[0]?.setValue('2026-04-01');
    await page.findAll('input[type=date]')[1]?.setValue('2026-04-30');
    expect(days()).toEqual(['2026-04-01', '2026-04-30', '2026-03-02', '2026-03-31']);
    await page.findAll('select')[2]?.setValue('year');
    expect(days()).toEqual(['2026-04-01', '2026-04-30', '2025-04-01', '2025-04-30']);
    await page.findAll('input[type=date]')[3]?.setValue('2026-04-01');
    expect(days()).toEqual(['2026-04-01', '2026-04-30', '2025-04-01', '2026-04-01']); // own days from here on
    expect(page.text()).toContain('必须在所选时间开始之前结束');
    expect(page.find('button[type=submit]').attributes('disabled')).toBeDefined();
    await page.findAll('input[type=date]')[3]?.setValue('2026-03-31');
    await page.find('form').trigger('submit');
    await settle();
    expect(server.last('GET /hotspots/compare')?.query).toEqual({
      from: '2025-04-01T00:00:00+08:00',
      to: '2026-04-01T00:00:00+08:00',
      from2: '2026-04-01T00:00:00+08:00',
      to2: '2026-05-01T00:00:00+08:00',
      res: '7',
    });
    for (const part of ['增多 1 个单元，减少 0 个', '2026-03-01 至 2026-03-31', '4 件未定位', '共 38 件', '序号 5,000'])
      expect(page.text()).toContain(part);
    expect(page.findAll('.cells tbody tr')).toHaveLength(1);
    for (const part of ['10', '31', '×3.1', '1.5–7.1', '增多']) expect(page.find('.cells tbody tr').text()).toContain(part);
    await page.find('.cells tbody button').trigger('click');
    await settle();
    expect(server.last('GET /hotspots/8724c395dffffff')?.query).toMatchObject({
      from: '2026-04-01T00:00:00+08:00',
      to: '2026-05-01T00:00:00+08:00',
    });
    expect(page.find('.why').text()).toContain('由 10 件变为 31 件');
    await page.findAll('.either button')[0]?.trigger('click');
    await settle();
    expect(server.last('GET /hotspots/8724c395dffffff')?.query).toMatchObject({
      from: '2025-04-01T00:00:00+08:00',
      to: '2026-04-01T00:00:00+08:00',
    });
    expect(page.findAll('.either button').map((b) => b.attributes('aria-pressed'))).toEqual(['true', 'false']);
    await page
      .findAll('.why button')
      .find((b) => b.text().includes('制作预警提示单'))
      ?.trigger('click');
    await settle();
    const words = (page.find('dialog textarea').element as HTMLTextAreaElement).value;
    for (const part of [
      '2026-03-01 至 2026-03-31 上报 10 件',
      '2026-04-01 至 2026-04-20 上报 31 件',
      '（统计范围：演示旗），每天件数之比 ×3.1（95% 区间 1.5–7.1），判断为：增多',
    ])
      expect(words).toContain(part);
    await page.findAll('dialog .acts button')[1]?.trigger('click');
    const found = await axe.run(page.element as Element, { rules: { 'color-contrast': { enabled: false } } });
    expect(found.violations.map((v) => v.id)).toEqual([]);
  });

  test.each([
    ['before', 3, 31, '上报 少于 5 件', '上报 31 件'],
    ['after', 20, 1, '上报 20 件', '上报 少于 5 件'],
    ['neither', 0, 40, '上报 0 件', '上报 40 件'],
  ])('small numbers of two periods stay at the desk: %s', async (_, before, after, was, is) => {
    const period = (from: string, to: string) => ({
      from: `${from}T00:00:00+08:00`,
      to: `${to}T00:00:00+08:00`,
      counted: 40,
      elsewhere: 0,
      not_located: 0,
    });
    const ratio = before ? { ratio: after / before, high: 50 } : {};
    const { page } = await opened('dispatcher', (s) =>
      s
        .on('GET /hotspots/compare', () =>
          json(
            answer([feature({ cell: '8724c395dffffff', before, after, ...ratio, low: 0.04, p: 0.001, q: 0.01, class: 'more' })], {
              before: period('2026-03-01', '2026-04-01'),
              after: period('2026-04-01', '2026-05-01'),
            }),
          ),
        )
        .on('GET /hotspots/8724c395dffffff', () =>
          json({
            ...three[0]?.properties,
            neighbours: [],
            categories: [],
            told: { least: 5, count: null, categories: [], rest: 0 },
            grids: [],
            rows: 'cell=x',
            centre: [107, 38],
          }),
        )
        .on('GET /departments', () => json({ items: [] }))
        .on('GET /incidents', () => json({ items: [] })),
    );
    await page.findAll('select')[0]?.setValue('change');
    await page.find('form').trigger('submit');
    await settle();
    await page.find('.cells tbody button').trigger('click');
    await settle();
    await page
      .findAll('.why button')
      .find((b) => b.text().includes('制作预警提示单'))
      ?.trigger('click');
    await settle();
    const words = (page.find('dialog textarea').element as HTMLTextAreaElement).value;
    expect(words).toContain(`2026-03-01 至 2026-03-31 ${was}`);
    expect(words).toContain(`2026-04-01 至 2026-04-30 ${is}`);
    expect(words.includes('之比')).toBe(before === 0);
    expect(page.find('dialog').text()).toContain('不在您的辖区内'); // without a grid there is nobody to tell
  });

  test('how hot spots came about: twelve whole weeks at first, each pattern said in words, a cell step by step', async () => {
    const step = (count: number, hot: boolean) => ({ count, z: hot ? 4.2 : 0.1, class: hot ? 'hot99' : 'plain' });
    const { server, page } = await opened('dispatcher', (s) =>
      s
        .on('GET /hotspots/emerging', () =>
          json({
            type: 'FeatureCollection',
            features: [
              feature({
                cell: '8724c395dffffff',
                count: 20,
                tested: 8,
                hot: 1,
                tau: 0.5,
                z: 1.9,
                p: 0.04,
                pattern: 'new',
                steps: [1, 1, 1, 1, 1, 1, 1, 13].map((c) => step(c, c > 1)),
              }),
              feature({ cell: '8724c3959ffffff', count: 9, tested: 8, hot: 0, tau: 0, z: 0, p: 1, pattern: 'none' }),
            ],
            as_of: { seq: 5001, time: '2026-11-22T08:31:02Z' },
            study: { grids: [{ code: '990000', name: '演示旗' }], cells: 2898 },
            steps: [0, 1, 2, 3, 4, 5, 6, 7].map((i) => ({
              from: `2026-03-0${i + 1}T00:00:00+08:00`,
              to: `2026-03-0${i + 2}T00:00:00+08:00`,
              counted: 3,
              elsewhere: 0,
              not_located: 1,
            })),
          }),
        )
        .on('GET /hotspots/8724c395dffffff', () =>
          json({
            cell: '8724c395dffffff',
            count: 20,
            near: 0,
            near_cells: 0,
            expected: 0,
            neighbours: [],
            categories: [],
            rows: 'cell=8724c395dffffff',
            centre: [107, 38],
          }),
        )
        .on('GET /incidents', () => json({ items: [] })),
    );
    await page.findAll('select')[0]?.setValue('course');
    await page.find('form').trigger('submit');
    await settle();
    const asked = server.last('GET /hotspots/emerging')?.query;
    expect(asked).toMatchObject({ res: '7', k: '2', steps: '12' });
    expect(Date.parse(asked?.to ?? '') - Date.parse(asked?.from ?? '')).toBe(84 * 86_400_000);
    for (const part of ['曾为热点的单元 1 个', '共 24 件', '8 件未定位', '只在最后一期是热点', '从未热点'])
      expect(page.text()).toContain(part);
    expect(page.find('.cells tbody tr').text()).toContain('1/8');
    await page.find('.cells tbody button').trigger('click');
    await settle();
    const steps = page.findAll('.steps tbody tr').map((r) => r.text());
    expect(steps).toHaveLength(8);
    for (const part of ['2026-03-08', '13', '4.2', '热点 99%']) expect(steps[7]).toContain(part);
    expect(page.find('.why').text()).toContain('τ：0.50');
    await page.findAll('select')[0]?.setValue('gi');
    expect(page.findAll('select').map((c) => (c.element as HTMLSelectElement).value)).toContain('90');
  });

  test('a refusal is told in its own words, and what was there stays', async () => {
    const { server, page } = await opened('hall_operator');
    server.on('GET /hotspots', () => refuse(422, { detail: 'cells of resolution 9 are too many' }));
    await page.find('form').trigger('submit');
    await settle();
    expect(page.find('[role=alert]').text()).toContain('too many');
    expect(page.text()).toContain('热点 1 个');
  });

  test('where nothing can be judged it says what to do', async () => {
    const { page } = await opened('village_head', (s) => s.on('GET /hotspots', () => json(answer([three[2]]))));
    expect(page.text()).toContain('事件太少');
    expect(page.findAll('.cells tbody tr')).toHaveLength(1);
  });

  test('it is no page of walls, administrators and workers', async () => {
    for (const role of ['auditor', 'system_admin', 'grid_worker']) {
      const { server, page } = await opened(role);
      expect(page.text()).toContain('只供办理和查看事件的岗位使用');
      expect(server.count('GET /hotspots')).toBe(0);
      page.unmount();
    }
  });

  test('axe finds nothing', async () => {
    const { page } = await opened('county_leader');
    const found = await axe.run(page.element as Element, { rules: { 'color-contrast': { enabled: false } } });
    expect(found.violations.map((v) => v.id)).toEqual([]);
  });
});

describe('colours, steps and days', () => {
  test('a class has its colour; a count that of its step', () => {
    expect(colourOf({ cell: '', count: 3, class: 'cold99' }, [])).toBe(COLOUR.cold99);
    const steps = stepsOf([1, 1, 2, 3, 5, 8, 13, 21, 34, 55, 0, 0]);
    expect(steps).toEqual([1, 2, 5, 13, 34]);
    expect([1, 4, 5, 33, 34, 99].map((count) => STEPS.indexOf(colourOf({ cell: '', count }, steps) as never))).toEqual([
      0, 1, 2, 3, 4, 4,
    ]);
    expect(stepsOf([])).toEqual([]);
    expect(colourOf({ cell: '', count: 1 }, stepsOf([1, 1, 1]))).toBe(STEPS.at(-1));
  });
  test('both days are included, on the clocks of China', () => {
    expect(momentsOf('2026-02-28', '2026-02-28')).toEqual({ from: '2026-02-28T00:00:00+08:00', to: '2026-03-01T00:00:00+08:00' });
    expect(momentsOf('2026-03-02', '2026-03-01')).toBeNull();
    expect(momentsOf('', '2026-03-01')).toBeNull();
    expect(lastDays(7, Date.parse('2026-11-22T23:30:00+08:00'))).toEqual({ first: '2026-11-16', last: '2026-11-22' });
    expect(lastDays(1, Date.parse('2026-11-22T16:30:00Z'))).toEqual({ first: '2026-11-23', last: '2026-11-23' });
  });
  test('the days before, and those of a year before', () => {
    expect(earlierThan('2026-03-01', '2026-03-31', 'just')).toEqual({ first: '2026-01-29', last: '2026-02-28' });
    expect(earlierThan('2024-02-29', '2024-02-29', 'year')).toEqual({ first: '2023-02-28', last: '2023-02-28' });
    expect(earlierThan('2026-03-02', '2026-03-01', 'just')).toBeNull();
    expect(daysOf({ from: '2026-03-01T00:00:00+08:00', to: '2026-04-01T00:00:00+08:00' })).toEqual({
      first: '2026-03-01',
      last: '2026-03-31',
    });
  });
  test('a heat picture is of the middles of the cells with incidents, by their part of the most', () => {
    const cells = [4, 1, 0].map((count) => ({
      type: 'Feature' as const,
      properties: { cell: String(count), colour: '', faint: false, rank: '', count },
      geometry: {
        type: 'Polygon' as const,
        coordinates: [
          [
            [0, 0],
            [count, 0],
            [count, 2],
            [0, 2],
            [0, 0],
          ] as [number, number][],
        ],
      },
    }));
    expect(heatOf(cells).features).toEqual([
      { type: 'Feature', properties: { part: 1 }, geometry: { type: 'Point', coordinates: [2, 1] } },
      { type: 'Feature', properties: { part: 0.25 }, geometry: { type: 'Point', coordinates: [0.5, 1] } },
    ]);
    expect(heatOf([]).features).toEqual([]);
  });
  test('a ratio without a first period has no end', () => {
    const cell = { cell: '', before: 0, after: 0, class: 'plain' as const };
    expect(ratioOf({ ...cell, low: 1.234 })).toEqual({ ratio: '–', interval: '1.2–∞' });
    expect(ratioOf({ ...cell, ratio: 0.333, low: 0.1, high: 12.6 })).toEqual({ ratio: '×0.33', interval: '0.10–13' });
    expect(ratioOf(cell)).toEqual({ ratio: '–', interval: '' });
    expect(ratioOf({ ...cell, ratio: 0.0042, low: 0.00002, high: 0.0097 })).toEqual({ ratio: '×0.004', interval: '<0.001–0.01' });
    expect(ratioOf({ ...cell, ratio: 0, low: 0, high: 0.996 })).toEqual({ ratio: '×0.00', interval: '0.00–1.0' });
  });
  test('chances', () => {
    expect([undefined, 0, 0.00099, 0.0123, 1].map(chance)).toEqual(['–', '< 0.001', '< 0.001', '0.012', '1.000']);
  });
});
