// @vitest-environment jsdom
// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// Incidents as dots on the review's map: which tiles are asked for, and what a dot opens. The map itself is a stand-in:
// there is no WebGL here.

import { enableAutoUnmount } from '@vue/test-utils';
import axe from 'axe-core';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { reviewZh } from '../src/i18n/review.zh-CN';
import { DOTS_ZOOM, type DotsAsked, dotLayers, dotSource, dotTiles, ENDED } from '../src/review/dots';
import type { HeatMapOptions } from '../src/review/heatmap';
import { FakeServer, json, session, settle } from './people';
import { openReview } from './reviewstand';

const stage = vi.hoisted(() => ({ o: null as unknown, dots: [] as unknown[] }));
vi.mock('../src/review/heatmap', () => ({
  HeatMap: class {
    constructor(o: { ready(): void }) {
      stage.o = o;
      o.ready();
    }
    draw() {}
    choose() {}
    remove() {}
    asDots(dots: unknown) {
      stage.dots.push(dots);
    }
  },
}));

enableAutoUnmount(afterEach);
beforeEach(() => {
  document.body.innerHTML = '';
  stage.dots = [];
  vi.spyOn(HTMLCanvasElement.prototype, 'getContext').mockReturnValue({} as never);
  Object.defineProperty(document, 'fonts', { configurable: true, value: { load: async () => [] } });
});

const outline = {
  type: 'Polygon',
  coordinates: [
    [
      [107, 38],
      [107.1, 38],
      [107.1, 38.1],
      [107, 38],
    ],
  ],
};
const shape = (properties: Record<string, unknown>) => ({ type: 'Feature', properties, geometry: outline });

async function opened(role: string, search = '') {
  history.replaceState(null, '', `/review${search}`);
  const server = new FakeServer();
  server
    .on('GET /session', () => json(session({ role, login: 'wu', view: 'case', grid: { code: '990000', name: '演示旗' } })))
    .on('GET /categories', () => json({ items: [{ code: '03', name: '消防', top: '', top_name: '' }] }))
    .on('GET /grids', ({ query }) =>
      json({
        type: 'FeatureCollection',
        features:
          query.level === '1'
            ? [shape({ code: '990000', level: 1 })]
            : query.level === '2'
              ? [shape({ code: '990001', level: 2, parent: '990000' })]
              : [],
      }),
    )
    .on('GET /hotspots', () =>
      json({
        type: 'FeatureCollection',
        features: [shape({ cell: '8724c395dffffff', count: 3, class: 'plain' })],
        as_of: { seq: 4711, time: '2026-11-22T08:31:02Z' },
        study: { grids: [], cells: 9 },
        counted: 3,
        elsewhere: 0,
        not_located: 0,
      }),
    )
    .on('GET /incidents/88', () =>
      json({
        id: '88',
        number: 'SJ88',
        title: '草场冒烟',
        category_name: '火情',
        state: 'closed',
        reported_at: '2026-11-20T02:00:00Z',
        address: '东门',
        grid: { path: [{ name: '演示旗' }, { name: '演北镇' }, { name: '一村' }] },
      }),
    );
  const page = await openReview(server);
  await vi.waitFor(() => expect(page.find('.heat').attributes('data-state')).toBe('drawn'), 30_000);
  const button = () => page.findAll('.map-buttons button').find((b) => b.text() === '事件点');
  return { page, button, map: () => stage.o as HeatMapOptions };
}

describe('which incidents are drawn', () => {
  const asked: DotsAsked = {
    question: { from: '2026-03-01T00:00:00+08:00', to: '2026-04-01T00:00:00+08:00', category: '03' },
    seq: 4711,
    within: null,
  };
  test('those of the period and the category, ended ones too, as the cells count them, no older than the answer', () => {
    const [path, query] = dotTiles(asked, 'http://hall').split('?');
    expect(path).toBe('http://hall/tiles/incidents/{z}/{x}/{y}.mvt');
    expect(Object.fromEntries(new URLSearchParams(query))).toEqual({
      state: 'all',
      shown: 'true',
      from: '2026-03-01T00:00:00+08:00',
      to: '2026-04-01T00:00:00+08:00',
      min_seq: '4711',
      category: '03',
    });
    expect(dotTiles({ ...asked, question: { ...asked.question, category: '' } }, '')).not.toContain('category');
  });
  test('never further out than tiles have them one by one', () => {
    expect(dotSource(asked, '')).toMatchObject({ minzoom: 12 });
    expect(dotLayers(asked, 16).map((l) => [l.id, l.minzoom])).toEqual([
      ['dots', DOTS_ZOOM],
      ['stacks', DOTS_ZOOM],
      ['stack-counts', 15], // a number has room from there on
    ]);
    expect(dotLayers(asked, 16).some((l) => 'filter' in l)).toBe(false);
    for (const l of dotLayers({ ...asked, within: outline }, 16)) expect(l).toMatchObject({ filter: ['within', outline] });
    expect(ENDED.every((s) => s in reviewZh.state)).toBe(true);
  });
});

describe('dots on the page', () => {
  test('they are off until asked for, and say from where on they are seen', async () => {
    const { page, button, map } = await opened(
      'town_operator',
      '?method=count&from=2026-03-01&to=2026-03-31&grid=990001&category=03',
    );
    expect(stage.dots).toEqual([]);
    expect(page.find('.legend').text()).not.toContain('未办结');
    await button()?.trigger('click');
    expect(stage.dots).toHaveLength(1);
    expect(stage.dots[0]).toMatchObject({
      question: { from: '2026-03-01T00:00:00+08:00', to: '2026-04-01T00:00:00+08:00', category: '03' },
      seq: 4711,
      within: outline,
    });
    expect(page.find('.map-note').text()).toContain('放大地图后');
    map().close(true);
    await settle();
    expect(page.find('.map-note').text()).toContain('可以点开');
    expect(page.find('.legend').text()).toContain('未办结');
    await page.find('form').trigger('submit'); // another answer, other dots
    await settle();
    expect(stage.dots).toHaveLength(2);
    await button()?.trigger('click');
    expect(stage.dots.at(-1)).toBeNull();
    expect(page.find('.map-note').exists()).toBe(false);
  });

  test('a dot opens what its reader may see, and the way to the desk; departments have no dots', async () => {
    const { page, button, map } = await opened('dispatcher');
    await button()?.trigger('click');
    map().dotted('88');
    await settle();
    const card = page.find('.dot-card');
    for (const part of ['SJ88 草场冒烟', '火情 · 2026-11-20 10:00 · 结案', '演北镇 · 一村 · 东门'])
      expect(card.text()).toContain(part);
    expect(card.find('a').attributes('href')).toBe('/desk?incident=88');
    const found = await axe.run(page.element as Element, { rules: { 'color-contrast': { enabled: false } } });
    expect(found.violations.map((v) => v.id)).toEqual([]);
    map().clicked('');
    await settle();
    expect(page.find('.dot-card').exists()).toBe(false);
    page.unmount();
    const department = await opened('dept_handler');
    expect(department.button()).toBeUndefined();
  });
});
