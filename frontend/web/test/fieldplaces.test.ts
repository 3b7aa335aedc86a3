// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

import { describe, expect, test } from 'vitest';
import type { Fix } from '../src/field/place';
import { type KeptFix, Tracker } from '../src/field/tracker';
import { Problem } from '../src/session/problem';
import { FakeTimers } from './helpers';
import { settle } from './people';

describe('places on duty', () => {
  function walk() {
    const timers = new FakeTimers();
    const kept = new Map<number, KeptFix>();
    const sent: number[][] = [];
    const s = {
      line: true,
      deaf: false,
      refuse: 0,
      watching: 0,
      found: (_: Fix) => {},
      states: [] as string[],
      clockOff: false,
      stored: [] as number[],
      ahead: 0,
    };
    const tracker = new Tracker({
      timers,
      login: () => 'wang',
      shelf: {
        putFix: async (f) => void kept.set(f.at, f),
        fixes: async (_, most) => [...kept.values()].slice(0, most),
        removeFixes: async (gone) => {
          for (const f of gone) kept.delete(f.at);
        },
      },
      watch: (found) => {
        s.watching++;
        s.found = found;
        return () => s.watching--;
      },
      measure: async () => {
        if (s.deaf) throw new Error('unavailable');
        return at(timers.now() / 1000);
      },
      send: async (fixes) => {
        if (!s.line) throw new Problem(0, '', 'no line');
        if (s.refuse) throw new Problem(s.refuse, '', 'no');
        sent.push(fixes.map((f) => f.at / 1000));
        return s.clockOff ? { stored: 0, untrue: fixes.length } : { stored: fixes.length, untrue: 0 };
      },
      ahead: () => s.ahead,
      changed: (state) => s.states.push(state),
      sent: (stored) => s.stored.push(stored),
    });
    return { tracker, timers, kept, sent, s };
  }
  const at = (second: number, north = 0): Fix => ({ lon: 107.5, lat: 38.2 + north / 111_195, accuracyM: 8, at: second * 1000 });

  test('are sent from within the shift, and none is measured after it', async () => {
    const w = walk();
    w.tracker.start();
    w.s.found(at(1000));
    await settle();
    expect(w.sent).toEqual([[1000]]);
    w.tracker.stop();
    expect(w.s.watching).toBe(0);
    w.s.found(at(1100)); // one that was on its way
    await settle();
    expect(w.kept.size).toBe(0);
    expect(w.s.states).toEqual(['seeking', 'located', 'off']);
    expect(w.timers.waits).toEqual([]);
  });

  test('from before the shift do not count', async () => {
    const w = walk();
    w.tracker.start(1_000_000);
    w.s.found(at(999));
    await settle();
    expect([w.kept.size, w.sent.length, w.s.states.at(-1)]).toEqual([0, 0, 'seeking']);
    w.s.found(at(1000));
    await settle();
    expect(w.sent).toEqual([[1000]]);
  });

  test('go on when the clock is set back', async () => {
    const w = walk();
    w.s.line = false;
    w.tracker.start();
    for (const f of [at(5000), at(1400), at(1410), at(1420)]) {
      w.s.found(f);
      await settle();
    }
    expect([...w.kept.values()].map((f) => f.at / 1000)).toEqual([5000, 1400, 1420]);
  });

  test('of a phone whose clock is slow have the server’s time, and count from the beginning of the shift on', async () => {
    const w = walk(); // the phone says 1000 s
    w.s.ahead = 3_600_000;
    w.tracker.start(4_590_000); // by the server
    w.s.found(at(980)); // from before the shift
    await settle();
    expect(w.kept.size).toBe(0);
    w.s.found(at(999));
    await settle();
    w.timers.advance(21_000);
    w.s.found(at(4620)); // timed by the satellites
    await settle();
    await w.tracker.flush();
    expect(w.sent.flat()).toEqual([4599, 4620]);
  });

  test('lie so far apart in time, or in metres', async () => {
    const w = walk();
    w.s.line = false;
    w.tracker.start();
    for (const f of [at(1000), at(1010), at(1019, 10), at(1020), at(1023, 200), at(1026, 200), at(1026.5, 250)]) {
      w.s.found(f);
      await settle();
    }
    expect([...w.kept.values()].map((f) => f.at / 1000)).toEqual([1000, 1020, 1026]);
  });

  test('wait without a line and go later with their own time; a phone that lies still is asked', async () => {
    const w = walk();
    w.s.line = false;
    w.tracker.start();
    w.s.found(at(1000));
    for (let i = 0; i < 3; i++) {
      w.timers.advance(20_000);
      await settle();
    }
    expect(w.sent).toEqual([]);
    w.s.line = true;
    await w.tracker.flush();
    expect(w.sent).toEqual([[1000, 1020, 1040, 1060]]);
    expect(w.kept.size).toBe(0);
  });

  test('a phone that is silent is not located any more after a minute and a half', async () => {
    const w = walk();
    w.tracker.start();
    w.s.found(at(w.timers.now() / 1000));
    w.s.deaf = true;
    const seen: string[] = [];
    for (let s = 0; s < 120; s += 20) {
      w.timers.advance(20_000);
      await settle();
      seen.push(w.s.states.at(-1) ?? '');
    }
    expect(seen).toEqual(['located', 'located', 'located', 'located', 'unavailable', 'unavailable']);
  });

  test('what the server will never take holds up nothing, and was not sent', async () => {
    const w = walk();
    w.s.refuse = 422;
    w.tracker.start();
    w.s.found(at(1000));
    await settle();
    expect([w.kept.size, w.s.stored]).toEqual([0, []]);
  });

  test('what a wrong clock made of no use is told as such', async () => {
    const w = walk();
    w.s.clockOff = true;
    w.tracker.start();
    w.s.found(at(1000));
    await settle();
    w.s.clockOff = false;
    w.s.found(at(1020));
    await w.tracker.flush();
    await settle();
    expect(w.s.stored[0]).toBe(0);
    await w.tracker.flush();
    expect([w.s.stored, w.kept.size]).toEqual([[0, 1], 0]);
  });
});
