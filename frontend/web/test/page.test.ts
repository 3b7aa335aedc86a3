// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

import { describe, expect, test } from 'vitest';
import { en } from '../src/i18n/en';
import { localeOf } from '../src/i18n/index';
import { zhCN } from '../src/i18n/zh-CN';
import { measure } from '../src/look/unit';
import { Pacer, type Power } from '../src/map/pacer';
import { codeIn } from '../src/wall/door';
import { type NightFacts, reloadAtNight, reloadOnce } from '../src/wall/reload';
import { elapsed, wallTime } from '../src/wall/time';

describe('u', () => {
  test.each([
    [3840, 2160, 55, 'wall'],
    [1920, 1080, 27.5, 'wall'],
    [7680, 2160, 55, 'wide'],
    [6656, 1792, 45.75, 'wide'],
    [3200, 1800, 45.75, 'wall'],
    [360, 640, 12.75, 'narrow'],
    [1080, 1920, 38.5, 'narrow'],
    [800, 600, 12.5, 'wall'],
  ])('%d x %d', (w, h, u, form) => {
    expect(measure(w, h)).toEqual({ u, form });
  });
});

describe('time', () => {
  test('is written in the zone of the county, wherever the browser stands', () => {
    expect(wallTime(Date.parse('2026-11-21T16:00:00Z'))).toEqual({ date: '2026-11-22', time: '00:00:00', weekday: 0 });
  });

  test.each([
    [0, { unit: 'clock', text: '00:00' }],
    [740, { unit: 'clock', text: '12:20' }],
    [3599, { unit: 'clock', text: '59:59' }],
    [3600, { unit: 'hours', h: 1, m: 0 }],
    [86_399, { unit: 'hours', h: 23, m: 59 }],
    [200_000, { unit: 'days', n: 2 }],
    [-30, { unit: 'clock', text: '00:00' }],
  ])('%d s ago', (s, want) => {
    expect(elapsed(0, s * 1000)).toEqual(want);
  });
});

describe('the door', () => {
  test.each([
    ['#code=AB-12', 'AB-12'],
    ['#code=', null],
    ['', null],
    ['#x=1&code=Z', 'Z'],
    ['#codex=1', null],
  ])('%s', (hash, code) => {
    expect(codeIn(hash)).toBe(code);
  });
});

describe('starting afresh', () => {
  const night: NightFacts = { time: '04:00:10', live: true, urgentOpen: false, idleMs: 600_000, runningMs: 86_400_000 };
  test.each<[string, Partial<NightFacts>, boolean]>([
    ['at four when all is quiet', {}, true],
    ['not by day', { time: '14:00:00' }, false],
    ['not without the server', { live: false }, false],
    ['not while something urgent is open', { urgentOpen: true }, false],
    ['not under a hand', { idleMs: 1000 }, false],
    ['not twice in a night', { runningMs: 3_000_000 }, false],
  ])('%s', (_, change, want) => {
    expect(reloadAtNight({ ...night, ...change })).toBe(want);
  });

  test('a broken map reloads the page once in ten minutes', () => {
    const kept = new Map<string, string>();
    const storage = {
      getItem: (k: string) => kept.get(k) ?? null,
      setItem: (k: string, v: string) => kept.set(k, v),
    } as unknown as Storage;
    let reloads = 0;
    const go = () => {
      reloads++;
    };
    for (const minute of [100, 101, 109, 111]) reloadOnce(minute * 60_000, storage, go);
    expect(reloads).toBe(2);
  });
});

describe('the pace', () => {
  function run(frameMs: number, seconds: number, moving = true) {
    const seen: Power[] = [];
    let draws = 0;
    const p = new Pacer({
      moving: () => moving,
      draw: () => {
        draws++;
      },
      power: (x) => seen.push(x),
    });
    for (let t = 1; t < seconds * 1000; t += frameMs) p.frame(t);
    return { seen, draws };
  }

  test('is at most 30 frames a second', () => {
    expect(run(1000 / 60, 10).draws).toBeLessThanOrEqual(301);
    expect(run(1000 / 60, 10).draws).toBeGreaterThan(250);
  });

  test('is nothing at all while nothing moves', () => {
    expect(run(16, 10, false).draws).toBe(0);
  });

  test('falls to low power on a machine that stays slow, not for a moment', () => {
    expect(run(250, 8).seen).toEqual([]);
    expect(run(250, 18).seen).toEqual([1]);
    expect(run(250, 40).seen).toEqual([1, 2]);
  });
});

describe('the catalogue', () => {
  const leaves = (o: unknown, at = ''): string[] =>
    typeof o === 'object' && o !== null
      ? Object.entries(o).flatMap(([k, v]) => leaves(v, `${at}.${k}`))
      : [`${at}=${[...String(o).matchAll(/\{\w+\}/g)].sort().join('')}`];

  test('has every text in both languages, with the same places to fill', () => {
    expect(leaves(en)).toEqual(leaves(zhCN));
  });

  test('is Chinese unless asked', () => {
    expect([localeOf(''), localeOf('?lang=en'), localeOf('?lang=fr')]).toEqual(['zh-CN', 'en', 'zh-CN']);
  });
});
