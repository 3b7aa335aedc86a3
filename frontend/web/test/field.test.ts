// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

import { describe, expect, test } from 'vitest';
import { type Letter, later, Outbox, type Shelf } from '../src/field/outbox';
import { actsFor, metresBetween, type Task, withLetters } from '../src/field/tasks';
import { fieldEn } from '../src/i18n/field.en';
import { fieldZh } from '../src/i18n/field.zh-CN';
import { Problem } from '../src/session/problem';
import { newRef } from '../src/wire/ref';
import { FakeTimers } from './helpers';
import { settle } from './people';

class Drawer implements Shelf {
  letters = new Map<string, Letter>();
  all = async () => [...this.letters.values()].map((l) => structuredClone(l));
  put = async (l: Letter) => void this.letters.set(l.ref, structuredClone(l));
  remove = async (ref: string) => void this.letters.delete(ref);
}

const letter = (ref: string, more: Partial<Letter> = {}): Letter => ({
  ref,
  login: 'wang',
  at: 1,
  path: '/api/v1/offers/7/acts',
  body: { client_ref: ref },
  headers: {},
  about: { kind: 'accept', title: '井盖丢失', offer: '7' },
  ...more,
});

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
    await s.box.post(letter('b', { at: 2 }));
    await s.box.post(letter('a', { at: 1 }));
    s.box.stop();
    const next = stand(s.shelf);
    await next.box.open();
    await settle();
    expect(next.order).toEqual(['a', 'b']);
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

describe('tasks', () => {
  const task = (id: string, state: Task['state'], priority = 3): Task =>
    ({ id, state, live: true, made_at: `2026-11-22T08:00:0${id}Z`, incident: { priority } }) as Task;

  test('stand where their worker has brought them, though the server does not know yet', () => {
    const said = (kind: string, offer: string, more: Partial<Letter> = {}) =>
      letter(kind + offer, { about: { kind, title: '', offer }, ...more });
    const letters = [
      said('accept', '1'),
      said('arrive', '1'),
      said('seen', '2'),
      said('accept', '3', { refused: { status: 409, detail: '' } }),
      said('decline', '4'),
    ];
    const now = withLetters([task('1', 'seen'), task('2', 'offered'), task('3', 'seen', 1), task('4', 'seen')], letters);
    expect(now.map((t) => [t.id, t.state, t.waiting])).toEqual([
      ['3', 'seen', false],
      ['2', 'offered', false],
      ['1', 'arrived', true],
    ]);
  });

  test('every state of a live offer has its one big button', () => {
    expect(actsFor('offered')[0]).toBe('accept');
    expect(actsFor('accepted')[0]).toBe('arrive');
    expect(actsFor('arrived')[0]).toBe('finish');
    expect(actsFor('withdrawn')).toEqual([]);
    for (const s of Object.keys(fieldZh.field.state) as Task['state'][])
      for (const a of actsFor(s)) {
        expect(fieldZh.field.act).toHaveProperty(a);
        expect(fieldEn.field.act).toHaveProperty(a);
      }
  });

  test('a degree of latitude is 111.2 km', () => {
    expect(metresBetween([107, 38], [107, 39])).toBeCloseTo(111_195, 0);
    expect(metresBetween([107, 38], [107, 38])).toBe(0);
  });
});

test('names that a page makes do not repeat', () => {
  const refs = new Set(Array.from({ length: 1000 }, newRef));
  expect(refs.size).toBe(1000);
  for (const r of refs) expect(r).toMatch(/^[\w-]{22}$/);
});
