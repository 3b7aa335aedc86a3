// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

import { describe, expect, test } from 'vitest';
import {
  begun,
  type Category,
  type Draft,
  draftOf,
  emptyDraft,
  frequent,
  lettersOf,
  missing,
  outOfDate,
  search,
} from '../src/field/draft';
import { type Letter, Outbox } from '../src/field/outbox';
import { pathOf } from '../src/field/upload';
import { Problem } from '../src/session/problem';
import { newRef } from '../src/wire/ref';
import { FakeTimers } from './helpers';
import { Drawer, letter } from './letters';
import { settle } from './people';

describe('what belongs to a report', () => {
  /** A report, its photo and its end, from a page with a line that comes and goes. */
  function chain() {
    const draft: Draft = {
      ...emptyDraft(),
      category: '0402',
      title: '围栏倒塌',
      place: { lon: 107.5, lat: 38.2, accuracyM: 12, at: 1000 },
      files: [{ ref: 'photo', kind: 'photo', type: 'image/jpeg', size: 3, sha256: 'ab', at: 1 }],
      done: true,
      doneHow: '已扶起',
    };
    let n = 0;
    return { draft, letters: lettersOf(draft, SPOT, 'wang', 1000, () => `ref${++n}`) };
  }
  const SPOT: Category = {
    code: '0402',
    name: '围栏',
    top: '04',
    top_name: '牧区',
    priority: 3,
    on_the_spot: true,
    evidence: true,
  };

  /** A server that gives every report an id, and says of everything else where it went. */
  function office(answers: (l: Letter) => unknown = () => undefined) {
    const went: string[] = [];
    const shelf = new Drawer();
    const box = new Outbox({
      shelf,
      timers: new FakeTimers(),
      login: () => 'wang',
      changed: () => {},
      sent: () => {},
      send: async (l) => {
        const answer = answers(l);
        if (answer instanceof Problem) throw answer;
        went.push(`${l.about.kind} ${pathOf(l)}${l.incident ? ` v${l.incident.version}` : ''}`);
        return l.about.kind === 'report' ? { id: '12', version: 3 } : answer;
      },
    });
    return { box, shelf, went };
  }

  test('goes after it, to its incident: the photo first, then that it is resolved', async () => {
    const o = office();
    await o.box.post(...chain().letters);
    await settle();
    expect(o.went).toEqual([
      'report /api/v1/incidents',
      'photo /api/v1/incidents/12/attachments v3',
      'resolve /api/v1/incidents/12/actions v3',
    ]);
    expect(o.shelf.letters.size).toBe(0);
  });

  test('a page that ends between the answer and the photo goes on with the photo', async () => {
    let up = true;
    const first = office((l) => (l.file && up ? new Problem(0, '', 'no line') : undefined));
    await first.box.post(...chain().letters);
    await settle();
    first.box.stop();
    up = false;
    const next = office();
    next.shelf.letters = first.shelf.letters;
    await next.box.open();
    await settle();
    expect(next.went).toEqual(['photo /api/v1/incidents/12/attachments v3', 'resolve /api/v1/incidents/12/actions v3']);
  });

  test('a slow file holds up no word', async () => {
    const o = office((l) => (l.file ? new Problem(0, '', 'slow') : undefined));
    await o.box.post(...chain().letters);
    await o.box.post(letter('yes'));
    await settle();
    expect(o.went).toEqual(['report /api/v1/incidents', 'accept /api/v1/offers/7/acts']);
    expect(o.box.mine().map((l) => l.about.kind)).toEqual(['photo', 'resolve']);
  });

  test('waits while its report is refused, comes back into the form whole, and goes with it', async () => {
    const o = office((l) => (l.about.kind === 'report' ? new Problem(422, '', 'no such category') : undefined));
    const { draft, letters } = chain();
    await o.box.post(...letters);
    await settle();
    expect(o.went).toEqual([]);
    expect(o.box.mine().map((l) => l.refused?.status)).toEqual([422, undefined, undefined]);
    const [report, ...rest] = o.box.mine();
    const again = draftOf(report as Letter, rest);
    expect({ ...again, place: { ...again.place, accuracyM: 12, at: 1000 } }).toEqual(draft);
    await o.box.dismiss('ref1');
    expect(o.shelf.letters.size).toBe(0);
  });

  test('without the photo that was refused the end is told all the same, and its refusal shown', async () => {
    const o = office((l) =>
      l.file ? new Problem(415, '', 'HEIC') : l.about.kind === 'resolve' ? new Problem(409, '', 'evidence') : undefined,
    );
    await o.box.post(...chain().letters);
    await settle();
    expect(o.box.mine().map((l) => [l.about.kind, l.refused?.status])).toEqual([
      ['photo', 415],
      ['resolve', undefined],
    ]);
    await o.box.dismiss('photo');
    await settle();
    expect(o.box.mine().map((l) => [l.about.kind, l.refused?.status])).toEqual([['resolve', 409]]);
  });

  const NOW = 1_000_000;

  test('what a report lacks is named', () => {
    const draft = { ...chain().draft, place: { lon: 107.5, lat: 38.2, accuracyM: 12, at: NOW } };
    expect(missing(draft, SPOT, NOW)).toEqual([]);
    expect(missing({ ...draft, files: [] }, SPOT, NOW)).toEqual(['evidence']);
    expect(missing({ ...draft, files: [] }, { ...SPOT, evidence: false }, NOW)).toEqual([]);
    expect(missing({ ...draft, doneHow: ' ' }, SPOT, NOW)).toEqual(['how']);
    expect(missing({ ...draft, place: null }, undefined, NOW)).toEqual(['category', 'place']);
    expect(missing({ ...draft, place: null, address: '村口' }, SPOT, NOW)).toEqual([]);
  });

  test('a place measured more than two minutes ago is measured again, one that was pointed at stands', () => {
    const place = { lon: 107.5, lat: 38.2, accuracyM: 12, at: 1_000_000 };
    expect(outOfDate(place, 1_120_000)).toBe(false);
    expect(outOfDate(place, 1_120_001)).toBe(true);
    expect(outOfDate({ ...place, at: undefined }, 1_000_000)).toBe(true); // of a draft by an older page
    expect(outOfDate({ ...place, accuracyM: 0 }, 9_000_000)).toBe(false);
    expect(outOfDate(place, 400_000)).toBe(true); // the clock was set back since
  });

  test('an old place is none: it is lacking, and goes with no report', () => {
    const { draft } = chain();
    const late = 1000 + 20 * 60_000;
    expect(missing(draft, SPOT, late)).toEqual(['place']);
    expect(missing({ ...draft, address: '村口' }, SPOT, late)).toEqual([]);
    const of = (d: Draft) => lettersOf(d, SPOT, 'wang', late, newRef)[0]?.body;
    expect(of({ ...draft, address: '村口' })).not.toHaveProperty('location');
    expect(of({ ...draft, place: { lon: 107.5, lat: 38.2, accuracyM: 0 } })).toHaveProperty('location');
  });

  test.each([
    ['a sentence', { title: '围栏' }],
    ['a place in words', { address: '村口' }],
    ['how it was done', { doneHow: '已扶起' }],
    ['a place that was pointed at', { place: { lon: 107.5, lat: 38.2, accuracyM: 0 } }],
  ])('%s is begun', (_, some: Partial<Draft>) => {
    expect(begun({ ...emptyDraft(), ...some })).toBe(true);
    expect(begun({ ...emptyDraft(), place: { lon: 107.5, lat: 38.2, accuracyM: 12, at: 1 } })).toBe(false); // measured by itself
  });

  test('a category that is not for the spot makes no end', () => {
    const { draft } = chain();
    const kinds = lettersOf(draft, { ...SPOT, on_the_spot: false }, 'wang', 1, newRef).map((l) => l.about.kind);
    expect(kinds).toEqual(['report', 'photo']);
  });

  test('frequent categories: the own ones first, then one of each kind that is for the spot', () => {
    const c = (code: string, spot: boolean): Category => ({
      ...SPOT,
      code,
      top: code.slice(0, 2),
      name: `类${code}`,
      on_the_spot: spot,
    });
    const all = [c('0101', false), c('0102', true), c('0103', true), c('0201', true), c('0301', false)];
    expect(frequent(all, ['0301', 'gone'], 4).map((x) => x.code)).toEqual(['0301', '0102', '0201', '0103']);
    expect(frequent(all, [], 9)).toHaveLength(5);
    expect(search(all, '类02 牧区').map((x) => x.code)).toEqual(['0201']);
  });
});
