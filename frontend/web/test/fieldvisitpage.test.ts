// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// @vitest-environment jsdom

import { describe, expect, test } from 'vitest';
import VisitCard from '../src/field/VisitCard.vue';
import { settle } from './people';
import { onAPhone, phone, steady, touch } from './phone';

describe('the page of visits', () => {
  onAPhone();

  test('a visit is told once, without a line too, with the server’s time', async () => {
    const ahead = 3_600_000;
    let line = true;
    const asked: { path: string; key: string | null; body: Record<string, string> }[] = [];
    const visit = {
      id: '31',
      state: 'due',
      patrol_name: '日巡查',
      name: '三号井',
      grid_name: '网格001',
      point: null,
      windows: [{ from: new Date(Date.now()).toISOString(), to: new Date(Date.now() + 2 * ahead).toISOString() }],
      opens_at: '',
      closes_at: '',
      stay_min: 0,
      seen: null,
      said: null,
    };
    const p = phone((path, init) => {
      if (!line) return undefined;
      const headers = { date: new Date(Date.now() + ahead).toUTCString() };
      if (path.startsWith('/api/v1/visits?')) return Response.json({ items: [visit], cursor: null }, { headers });
      asked.push({ path, key: new Headers(init.headers).get('idempotency-key'), body: JSON.parse(String(init.body)) });
      return Response.json({ ...visit, state: 'done' }, { headers });
    });
    p.field.running = true;
    await p.field.visits.load();
    p.field.minute.value = p.field.serverNow();
    line = false;
    const card = p.show(VisitCard, { visit: p.field.visits.own.value[0] });
    steady.ms += 1000;
    await touch(card, '已走访');
    await touch(card, '一切正常'); // the second touch of a double one
    expect(p.kinds()).toEqual([]);
    steady.ms += 1000;
    await touch(card, '一切正常');
    expect(p.kinds()).toEqual(['visit']);
    expect(p.field.visits.own.value.map((v) => [v.id, v.waiting > 0])).toEqual([['31', true]]);
    line = true;
    p.field.outbox.hurry();
    await settle();
    expect(asked.map((a) => [a.path, a.body.text])).toEqual([['/api/v1/visits/31/word', '一切正常']]);
    expect(asked[0]?.key).toMatch(/^[\w-]{22}$/);
    expect(Math.abs(Date.parse(asked[0]?.body.at ?? '') - Date.now() - ahead)).toBeLessThan(5000);
    expect(p.kinds()).toEqual([]);
    card.unmount();
  });
});
