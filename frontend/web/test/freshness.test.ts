// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

import { describe, expect, test } from 'vitest';
import { behindSince, judge, ServerClock } from '../src/wire/freshness';

describe('the server clock', () => {
  test('believes the sample that travelled least', () => {
    const c = new ServerClock();
    c.sample(10_000, 9_000); // 1,000 ahead
    c.sample(12_000 - 300, 11_000); // the same clock, 300 ms late
    expect(c.offset).toBe(1000);
    expect(c.now(20_000)).toBe(21_000);
  });

  test('follows a clock that was set', () => {
    const c = new ServerClock();
    c.sample(10_000, 10_000);
    c.sample(1000, 12_000);
    expect(c.offset).toBe(-11_000);
  });

  test('ignores a time it cannot read', () => {
    const c = new ServerClock();
    c.sample(Number.NaN, 5);
    expect(c.offset).toBe(0);
  });
});

describe('freshness', () => {
  const clock = new ServerClock();
  clock.sample(2000, 1000);

  test.each([
    ['live', 10_000, 10_400, 'live', 400],
    ['live', 10_000, 14_999, 'live', 4999],
    ['live', 10_000, 15_000, 'stale', 5000],
    ['lost', 10_000, 10_100, 'lost', 100],
    ['lost', 10_000, 99_000, 'lost', 89_000],
    ['signed-out', 10_000, 11_000, 'signed-out', 1000],
    ['connecting', 0, 5000, 'connecting', 0],
  ] as const)('link %s, last frame at %d, now %d is %s', (link, at, now, state, ageMs) => {
    const f = judge(link, at, now, clock);
    expect(f).toMatchObject({ state, ageMs });
    expect(f.dataAt).toBe(at ? at + 1000 : 0);
  });

  test.each([
    [undefined, null],
    [0, null],
    [5, null],
    [6, 94_000],
    [90, 10_000],
  ] as const)('a tick that says the feed is %s s old', (ageS, since) => {
    expect(behindSince(ageS, 100_000)).toBe(since);
  });

  test.each([
    ['live', 20_000, 20_100, 12_000, 'stale', 8100, 13_000], // frames arrive, events cannot
    ['live', 20_000, 26_000, 14_000, 'stale', 12_000, 15_000], // and then nothing at all
    ['lost', 20_000, 20_500, 12_000, 'lost', 8500, 13_000],
    ['live', 20_000, 20_100, null, 'live', 100, 21_000],
    ['connecting', 0, 5000, 1000, 'connecting', 0, 0],
  ] as const)('link %s, last frame at %d, now %d, feed whole at %s is %s', (link, at, now, behind, state, ageMs, dataAt) => {
    expect(judge(link, at, now, clock, behind)).toEqual({ state, ageMs, dataAt });
  });

  test('never goes back in age when the local clock is set back', () => {
    expect(judge('live', 10_000, 4000, clock).ageMs).toBe(0);
  });
});
