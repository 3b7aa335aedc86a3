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
import { durationS } from '../src/field/files';
import { type Letter, later, Outbox } from '../src/field/outbox';
import type { Fix } from '../src/field/place';
import { actsFor, metresBetween, type Task, withLetters } from '../src/field/tasks';
import { type KeptFix, Tracker } from '../src/field/tracker';
import { metadata, pathOf, type SendBytes, sendFile } from '../src/field/upload';
import { inOrder, sayable, window as stretch, type Visit, VisitList } from '../src/field/visits';
import { bearing, far, windOf } from '../src/field/way';
import { fieldEn } from '../src/i18n/field.en';
import { fieldZh } from '../src/i18n/field.zh-CN';
import { Problem } from '../src/session/problem';
import { newRef } from '../src/wire/ref';
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

describe('a file on its way', () => {
  const BYTES = new Uint8Array(600_000).map((_, i) => i % 251);
  const photo = letter('photo', {
    path: '/api/v1/incidents/12/attachments',
    file: { type: 'image/jpeg', size: BYTES.length, sha256: 'ab' },
  });

  /** A tus server that keeps what came, also of a part whose answer is lost. */
  function tus() {
    const s = { have: new Uint8Array(0), begun: 0, cutAfter: Number.POSITIVE_INFINITY, begins: (): Problem | null => null };
    const send: SendBytes = async (method, path, headers, body) => {
      if (method === 'POST') {
        s.begun++;
        const no = s.begins();
        if (no) throw no;
        expect(headers['Upload-Length']).toBe(String(BYTES.length));
        return new Headers({ Location: '/up/1', 'Upload-Offset': String(s.have.length) });
      }
      expect(path).toBe('/up/1');
      if (Number(headers['Upload-Offset']) !== s.have.length) throw new Problem(409, '', 'offset');
      const part = new Uint8Array(await new Response(body as Blob).arrayBuffer());
      const fits = part.slice(0, s.cutAfter - s.have.length);
      s.have = new Uint8Array(Buffer.concat([s.have, fits]));
      if (fits.length < part.length) throw new Problem(0, '', 'cut');
      return new Headers({ 'Upload-Offset': String(s.have.length) });
    };
    return { s, send };
  }

  test('comes whole, and says how far it is', async () => {
    const { s, send } = tus();
    const told: number[] = [];
    await sendFile(photo, new Blob([BYTES]), send, (n) => told.push(n));
    expect(Buffer.compare(s.have, BYTES)).toBe(0);
    expect(told).toEqual([0, 262_144, 524_288, 600_000]);
  });

  test('goes on after a cut where the server says', async () => {
    const { s, send } = tus();
    s.cutAfter = 300_001;
    await expect(sendFile(photo, new Blob([BYTES]), send, () => {})).rejects.toMatchObject({ status: 0 });
    expect(s.have.length).toBe(300_001);
    s.cutAfter = Number.POSITIVE_INFINITY;
    const told: number[] = [];
    await sendFile(photo, new Blob([BYTES]), send, (n) => told.push(n));
    expect(told[0]).toBe(300_001);
    expect(Buffer.compare(s.have, BYTES)).toBe(0);
  });

  test('an upload that has expired is begun anew, and not for ever', async () => {
    const { s, send } = tus();
    s.begins = () => (s.begun < 2 ? new Problem(410, '', 'expired') : null);
    await sendFile(photo, new Blob([BYTES]), send, () => {});
    expect(Buffer.compare(s.have, BYTES)).toBe(0);
    s.begins = () => new Problem(410, '', 'expired');
    await expect(sendFile(photo, new Blob([BYTES]), send, () => {})).rejects.toMatchObject({ status: 0 });
    s.begins = () => new Problem(415, '', 'HEIC');
    await expect(sendFile(photo, new Blob([BYTES]), send, () => {})).rejects.toMatchObject({ status: 415 });
  });

  test('a part that was cut and is still held goes on as soon as the server says, and is never refused', async () => {
    const { send } = tus();
    const parts: Problem[] = [new Problem(409, '', 'busy', [], 2)];
    let begun = 0;
    const busy: SendBytes = async (method, ...rest) => {
      if (method === 'POST') begun++;
      const no = method === 'PATCH' ? parts[0] : undefined;
      if (no) throw no;
      return send(method, ...rest);
    };
    const sending = () => sendFile(photo, new Blob([BYTES]), busy, () => {}).catch((e: Problem) => e);
    const said = (await sending()) as Problem;
    expect([later(said), said.waitS, begun]).toEqual([true, 2, 1]); // not at once again
    parts[0] = new Problem(409, '', 'offset');
    expect(later((await sending()) as Problem)).toBe(true);
    parts.pop();
    expect(await sending()).toBeUndefined();
    const { s, send: closed } = tus();
    s.begins = () => new Problem(409, '', 'archived');
    await expect(sendFile(photo, new Blob([BYTES]), closed, () => {})).rejects.toMatchObject({ status: 409 });
  });

  test('is told by kind, hash, name, time and place', () => {
    const said = metadata({
      ...photo,
      at: 0,
      file: { type: 'image/jpeg', size: 3, sha256: 'ab', place: { lon: 107.5, lat: 38.2 } },
    });
    const pairs = said.split(',').map((p) => p.split(' ') as [string, string]);
    expect(Object.fromEntries(pairs.map(([k, v]) => [k, atob(v)]))).toEqual({
      filetype: 'image/jpeg',
      sha256: 'ab',
      client_ref: 'photo',
      captured_at: '1970-01-01T00:00:00.000Z',
      lon: '107.5',
      lat: '38.2',
      crs: 'wgs84',
    });
  });

  test('a film says in its head how long it lasts', () => {
    const film = (version: number) => {
      const v = new DataView(new ArrayBuffer(64));
      for (const [k, b] of [0x6d, 0x76, 0x68, 0x64].entries()) v.setUint8(9 + k, b);
      v.setUint8(13, version);
      v.setUint32(9 + (version ? 24 : 16), 600);
      if (version) v.setBigUint64(9 + 28, 37_200n);
      else v.setUint32(9 + 20, 37_200);
      return v;
    };
    expect(durationS(film(0))).toBe(62);
    expect(durationS(film(1))).toBe(62);
    expect(durationS(new DataView(new ArrayBuffer(64)))).toBe(0);
  });
});

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

  test('are read page by page, of today and since yesterday; those kept stay when there is no line', async () => {
    const asked: Record<string, string | number | undefined>[] = [];
    const kept: Visit[][] = [];
    let status = 200;
    const get = async (_: string, query: Record<string, string | number | undefined>) => {
      asked.push(query);
      if (status !== 200) throw new Problem(status, '', '');
      return (query.cursor ? { items: [visit('1')], cursor: null } : { items: [visit('2')], cursor: '2' }) as never;
    };
    const list = new VisitList(get, async (v) => void kept.push(v));
    await list.load(T);
    expect(list.known.value.map((v) => v.id)).toEqual(['2', '1']);
    expect(asked.map((q) => [q.from, q.to, q.cursor])).toEqual([
      ['2026-03-01T02:00:00.000Z', '2026-03-02T16:00:00.000Z', undefined],
      ['2026-03-01T02:00:00.000Z', '2026-03-02T16:00:00.000Z', '2'],
    ]);
    status = 0;
    await list.load(T);
    expect(list.known.value).toHaveLength(2);
    status = 404; // no worker belongs to the account
    await list.load(T);
    expect([list.known.value.length, kept.at(-1)]).toEqual([0, []]);
    status = 200;
    const going = list.load(T);
    list.clear(); // somebody else is in
    await going;
    expect(list.known.value).toEqual([]);
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
