// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

import { describe, expect, test } from 'vitest';
import { shallowRef } from 'vue';
import type { Phone } from '../src/field/phone';
import { inOrder, sayable, window as stretch, type Visit, VisitList } from '../src/field/visits';
import { Problem } from '../src/session/problem';
import { letter } from './letters';

describe('visits', () => {
  const T = Date.parse('2026-03-02T10:00:00+08:00');
  const H = 3_600_000;
  const iso = (ms: number) => new Date(ms).toISOString();
  const visit = (id: string, more: Partial<Visit> = {}): Visit => ({
    id,
    patrol_name: '日巡查',
    state: 'due',
    name: `点${id}`,
    grid_name: '网格001',
    point: null,
    opens_at: iso(T - H),
    closes_at: iso(T + H),
    windows: [{ from: iso(T - H), to: iso(T + H) }],
    stay_min: 0,
    seen: null,
    said: null,
    ...more,
  });

  test('stand in the order of what can be done now: near before far, what is told last', () => {
    const later = { windows: [{ from: iso(T + H), to: iso(T + 2 * H) }] };
    const all = [
      visit('1', { state: 'done', seen: { at: iso(T) } }),
      visit('2', { state: 'missed', windows: [{ from: iso(T - 2 * H), to: iso(T - H) }] }),
      visit('3', later),
      visit('4', { point: { lon: 107.6, lat: 38.2 } }),
      visit('5', { point: { lon: 107.51, lat: 38.2 } }),
      visit('6'),
      visit('7'),
      visit('8', { state: 'void' }),
    ];
    const told = letter('w', { at: 77, about: { kind: 'visit', title: '', visit: '6' } });
    const refused = letter('x', { about: { kind: 'visit', title: '', visit: '7' }, refused: { status: 409, detail: '' } });
    const now = inOrder(all, [told, refused], T, [107.5, 38.2]);
    expect(now.map((v) => v.id)).toEqual(['5', '4', '7', '2', '3', '1', '6']);
    expect(now.at(-1)?.waiting).toBe(77);
  });

  test('can be told within their windows, and after the last one', () => {
    const v = visit('1', {
      windows: [
        { from: iso(T), to: iso(T + H) },
        { from: iso(T + 24 * H), to: iso(T + 25 * H) },
      ],
    });
    const at = [T - 1, T, T + H, T + 24 * H, T + 25 * H];
    expect(at.map((ms) => sayable(v, ms))).toEqual([false, true, false, true, true]);
    expect(stretch(v, T + H)).toEqual({ on: false, from: T + 24 * H, to: T + 25 * H });
  });

  type Get = (path: string, query: Record<string, string | number | undefined>) => Promise<never>;
  const phone = (get: Get, keep: (key: string, v: Visit[]) => Promise<void>) =>
    ({ running: true, login: 'wang', session: { http: { get } }, shelf: { keep }, serverNow: () => T }) as unknown as Phone;

  test('are read page by page, of today and since yesterday; those kept stay when there is no line', async () => {
    const asked: Record<string, string | number | undefined>[] = [];
    const kept: Visit[][] = [];
    let status = 200;
    const get: Get = async (_, query) => {
      asked.push(query);
      if (status !== 200) throw new Problem(status, '', '');
      return (query.cursor ? { items: [visit('1')], cursor: null } : { items: [visit('2')], cursor: '2' }) as never;
    };
    const list = new VisitList(
      phone(get, async (_, v) => void kept.push(v)),
      { me: shallowRef(null) },
    );
    await list.load();
    expect(list.known.value.map((v) => v.id)).toEqual(['2', '1']);
    expect(asked.map((q) => [q.from, q.to, q.cursor])).toEqual([
      ['2026-03-01T02:00:00.000Z', '2026-03-02T16:00:00.000Z', undefined],
      ['2026-03-01T02:00:00.000Z', '2026-03-02T16:00:00.000Z', '2'],
    ]);
    status = 0;
    await list.load();
    expect(list.known.value).toHaveLength(2);
    status = 404; // no worker belongs to the account
    await list.load();
    expect([list.known.value.length, kept.at(-1)]).toEqual([0, []]);
    status = 200;
    const going = list.load();
    list.clear(); // somebody else is in
    await going;
    expect(list.known.value).toEqual([]);
  });
});
