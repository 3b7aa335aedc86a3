// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

import { describe, expect, test } from 'vitest';
import type { Letter } from '../src/field/outbox';
import { actsFor, metresBetween, type Task, withLetters } from '../src/field/tasks';
import { bearing, far, windOf } from '../src/field/way';
import { fieldEn } from '../src/i18n/field.en';
import { fieldZh } from '../src/i18n/field.zh-CN';
import { newRef } from '../src/wire/ref';
import { letter } from './letters';

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

describe('the way', () => {
  const here: [number, number] = [107.5, 38.2];
  test.each([
    [[107.5, 38.3], 'n'],
    [[107.6, 38.28], 'ne'],
    [[107.6, 38.2], 'e'],
    [[107.5, 38.1], 's'],
    [[107.4, 38.2], 'w'],
    [[107.4999, 38.3], 'n'],
    [[107.4, 38.28], 'nw'],
  ] as [[number, number], string][])('to %j is %s', (to, wind) => {
    expect(windOf(bearing(here, to))).toBe(wind);
  });
  test.each([
    [4, '0 m'],
    [44, '40 m'],
    [994, '990 m'],
    [996, '1.0 km'],
    [1449, '1.4 km'],
    [9949, '9.9 km'],
    [9951, '10 km'],
    [23_400, '23 km'],
  ])('%d metres are %s', (m, text) => {
    const { n, unit } = far(m);
    expect(`${n} ${unit}`).toBe(text);
  });
});

test('names that a page makes do not repeat', () => {
  const refs = new Set(Array.from({ length: 1000 }, newRef));
  expect(refs.size).toBe(1000);
  for (const r of refs) expect(r).toMatch(/^[\w-]{22}$/);
});
