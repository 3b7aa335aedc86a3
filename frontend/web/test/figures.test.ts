// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

import { expect, test } from 'vitest';
import { FiguresKeeper } from '../src/wall/figures';
import type { Figures } from '../src/wall/rest';
import { FakeTimers } from './helpers';

function keeper() {
  const timers = new FakeTimers();
  const asked: number[] = [];
  const shown: number[] = [];
  const server = { seq: 10, fail: false };
  const k = new FiguresKeeper({
    fetch: async () => {
      asked.push(timers.now());
      if (server.fail) throw new Error('down');
      return { as_of: { seq: server.seq } } as Figures;
    },
    show: (f) => shown.push(f.as_of.seq),
    timers,
  });
  const settle = async (ms: number) => {
    for (let left = ms; left >= 0; left -= 100) {
      timers.advance(100);
      await Promise.resolve();
      await Promise.resolve();
      await Promise.resolve();
    }
  };
  return { k, timers, asked, shown, server, settle };
}

test('a burst of events asks once, two seconds apart at the least', async () => {
  const { k, asked, server, settle } = keeper();
  k.start();
  await settle(100);
  for (let s = 11; s <= 40; s++) {
    server.seq = s;
    k.need(s);
    await settle(100);
  }
  await settle(5000);
  expect(asked.length).toBeLessThanOrEqual(6);
  for (const [i, t] of asked.entries()) if (i) expect(t - (asked[i - 1] as number)).toBeGreaterThanOrEqual(2000);
});

test('an answer older than the feed is asked for again, and one older than the shown is dropped', async () => {
  const { k, shown, server, settle } = keeper();
  k.start();
  await settle(100);
  k.need(12);
  await settle(2500);
  server.seq = 9;
  await settle(2500);
  server.seq = 12;
  await settle(2500);
  expect(shown).toEqual([10, 10, 12]);
});

test('without events it asks every half minute, also after a failure', async () => {
  const { k, asked, server, settle } = keeper();
  server.fail = true;
  k.start();
  await settle(65_000);
  expect(asked.length).toBe(3);
});

test('a new epoch may count lower', async () => {
  const { k, shown, server, settle } = keeper();
  k.start();
  await settle(100);
  server.seq = 2;
  k.restart(2);
  await settle(2500);
  expect(shown).toEqual([10, 2]);
});
