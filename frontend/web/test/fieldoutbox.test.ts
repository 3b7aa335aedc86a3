// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

import { describe, expect, test } from 'vitest';
import { later, Outbox } from '../src/field/outbox';
import { Problem } from '../src/session/problem';
import { FakeTimers } from './helpers';
import { Drawer, letter } from './letters';
import { settle } from './people';

/** A server that keeps what it has taken by name, and a line that can be cut before or after it hears. */
function stand(shelf = new Drawer()) {
  const timers = new FakeTimers();
  const line = { state: 'up' as 'up' | 'down' | 'answer lost' | number };
  const taken = new Map<string, number>();
  const order: string[] = [];
  const told: number[] = [];
  const box = new Outbox({
    shelf,
    timers,
    login: () => who.login,
    changed: (mine) => told.push(mine.length),
    sent: () => {},
    send: async (l) => {
      if (line.state === 'down') throw new Problem(0, '', 'no line');
      if (typeof line.state === 'number') throw new Problem(line.state, '', 'no', [], line.state === 429 ? 30 : 0);
      if (!taken.has(l.ref)) order.push(l.ref);
      taken.set(l.ref, (taken.get(l.ref) ?? 0) + 1);
      if (line.state === 'answer lost') throw new Problem(0, '', 'the answer was lost');
    },
  });
  const who = { login: 'wang' };
  return { box, timers, line, taken, order, told, shelf, who };
}

describe('the outbox', () => {
  test('keeps what is written without a line, and sends it in order when there is one', async () => {
    const s = stand();
    s.line.state = 'down';
    await s.box.post(letter('a'));
    await s.box.post(letter('b'));
    await settle();
    expect([...s.shelf.letters.keys()]).toEqual(['a', 'b']);
    expect(s.order).toEqual([]);
    s.line.state = 'up';
    s.box.hurry();
    await settle();
    expect(s.order).toEqual(['a', 'b']);
    expect(s.shelf.letters.size).toBe(0);
    expect(s.told.at(-1)).toBe(0);
  });

  test('a refusal that comes while its writer signs out writes nothing back', async () => {
    const shelf = new Drawer();
    let answer = (_: Problem) => {};
    const send = () => new Promise((_, refused) => (answer = refused));
    const box = new Outbox({ shelf, send, timers: new FakeTimers(), login: () => 'wang', changed: () => {}, sent: () => {} });
    await box.post(letter('a'));
    await settle();
    await box.forget('wang');
    shelf.letters.clear(); // wiped
    answer(new Problem(409, '', 'no'));
    await settle();
    expect(shelf.letters.size).toBe(0);
  });

  test('an answer that comes after its writer has gone is told to nobody', async () => {
    for (const goes of ['out', 'away'] as const) {
      const shelf = new Drawer();
      let answer = (_: unknown) => {};
      let login = 'wang';
      const told: string[] = [];
      const send = () => new Promise((taken) => (answer = taken));
      const box = new Outbox({
        shelf,
        send,
        timers: new FakeTimers(),
        login: () => login,
        changed: () => {},
        sent: (l) => told.push(l.ref),
      });
      await box.post(letter('a'));
      await settle();
      if (goes === 'out') await box.forget('wang');
      else login = 'li';
      answer({ number: 'SJ1' });
      await settle();
      expect([goes, told, shelf.letters.size]).toEqual([goes, [], 0]);
    }
  });

  test('a letter whose answer was lost goes out again under the same name', async () => {
    const s = stand();
    s.line.state = 'answer lost';
    await s.box.post(letter('a'));
    await settle();
    s.line.state = 'up';
    s.timers.advance(2000);
    await settle();
    expect(s.taken.get('a')).toBe(2); // the server knows the name: done once
    expect(s.order).toEqual(['a']);
    expect(s.shelf.letters.size).toBe(0);
  });

  test('a page that is closed leaves its letters to the next one', async () => {
    const s = stand();
    s.line.state = 'down';
    await s.shelf.put(letter('old2', { at: 9 }), letter('old1', { at: 8 })); // by an older page, without numbers
    await s.box.open();
    await s.box.post(letter('b', { at: 2 }));
    await s.box.post(letter('a', { at: 1 })); // the clock was set back in between
    s.box.stop();
    const next = stand(s.shelf);
    await next.box.open();
    await settle();
    expect(next.order).toEqual(['old1', 'old2', 'b', 'a']);
    expect(s.shelf.letters.size).toBe(0);
  });

  test('one name is written once', async () => {
    const s = stand();
    s.line.state = 'down';
    await s.box.post(letter('seen-7'));
    await s.box.post(letter('seen-7'));
    expect(s.box.mine()).toHaveLength(1);
  });

  test('what the server will not have stays until it was read, and holds up nothing', async () => {
    const s = stand();
    s.line.state = 409;
    await s.box.post(letter('a'));
    await settle();
    s.line.state = 'up';
    await s.box.post(letter('b'));
    await settle();
    expect(s.order).toEqual(['b']);
    expect(s.box.mine().map((l) => [l.ref, l.refused?.status])).toEqual([['a', 409]]);
    expect(s.shelf.letters.get('a')?.refused?.status).toBe(409);
    await s.box.dismiss('a');
    expect(s.shelf.letters.size).toBe(0);
  });

  test('waits longer each time, and as long as it is told to', async () => {
    const s = stand();
    s.line.state = 'down';
    await s.box.post(letter('a'));
    await settle();
    expect(s.timers.waits).toEqual([2000]);
    s.timers.advance(2000);
    await settle();
    expect(s.timers.waits).toEqual([4000]);
    s.line.state = 429;
    s.timers.advance(4000);
    await settle();
    expect(s.timers.waits).toEqual([30_000]);
  });

  test('on a shared phone everybody sends their own', async () => {
    const s = stand();
    s.line.state = 'down';
    await s.box.post(letter('a'));
    s.who.login = 'li';
    s.line.state = 'up';
    await s.box.post(letter('b', { login: 'li' }));
    await settle();
    expect(s.order).toEqual(['b']);
    expect(s.told.at(-1)).toBe(0);
    s.who.login = 'wang';
    s.box.hurry();
    await settle();
    expect(s.order).toEqual(['b', 'a']);
  });

  test.each([
    [0, true],
    [401, true],
    [423, true],
    [429, true],
    [503, true],
    [400, false],
    [404, false],
    [409, false],
    [422, false],
  ])('%d is of the line or the session: %s', (status, want) => {
    expect(later(new Problem(status, '', ''))).toBe(want);
  });
});
