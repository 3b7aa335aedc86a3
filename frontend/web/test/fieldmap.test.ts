// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// @vitest-environment jsdom

import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import type { PocketMapOptions } from '../src/field/pocketmap';
import SmallMap from '../src/field/SmallMap.vue';
import { settle } from './people';
import { onAPhone, phone } from './phone';

/** The maps that were opened, and whether one can be. */
const maps = vi.hoisted(() => ({ come: true, lack: false, opened: [] as { removed: boolean }[] }));
vi.mock('../src/field/pocketmap', () => ({
  PocketMap: {
    async open(o: PocketMapOptions) {
      if (!maps.come) throw new Error('no line');
      if (maps.lack) o.lacked();
      const map = {
        removed: false,
        show() {},
        remove() {
          this.removed = true;
        },
      };
      maps.opened.push(map);
      return map;
    },
  },
}));

describe('the small map', () => {
  onAPhone();
  beforeAll(() => {
    vi.spyOn(HTMLCanvasElement.prototype, 'getContext').mockReturnValue({} as never);
  });
  afterAll(() => vi.restoreAllMocks());
  beforeEach(() => Object.assign(maps, { come: true, lack: false, opened: [] }));

  async function shown(online: boolean) {
    const p = phone();
    p.field.online.value = online;
    const w = p.show(SmallMap, { target: [107.5, 38.2], pick: true });
    await settle();
    const line = async (on: boolean) => {
      p.field.online.value = on;
      await settle();
    };
    return { w, line };
  }

  test('that was never loaded says that there is no line, and opens when there is one', async () => {
    maps.come = false;
    const { w, line } = await shown(false);
    expect(w.text()).toContain('没有网络，地图打不开');
    expect(w.text()).not.toContain('画不了地图');
    maps.come = true;
    await line(true);
    expect(w.text()).toBe('点一下地图，位置就移到那里。');
    w.unmount();
    expect(maps.opened.map((m) => m.removed)).toEqual([true]);
  });

  test('without its tiles says what it lacks, and is opened once more with the line', async () => {
    maps.lack = true;
    const { w, line } = await shown(false);
    expect(w.text()).toContain('图上缺路、网格和底图');
    expect(w.text()).toContain('点一下地图'); // a place can be pointed at all the same
    maps.lack = false;
    await line(true);
    expect(w.text()).not.toContain('图上缺');
    expect(maps.opened.map((m) => m.removed)).toEqual([true, false]);
    w.unmount();
  });

  test('that is whole stays as it is while the line comes and goes; with a line nothing is said of one', async () => {
    const { w, line } = await shown(true);
    await line(false);
    await line(true);
    expect(maps.opened).toHaveLength(1);
    w.unmount();
    maps.come = false;
    const other = await shown(true);
    expect(other.w.text()).toContain('画不了地图');
    other.w.unmount();
  });
});
