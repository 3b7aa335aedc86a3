// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// @vitest-environment jsdom

import { describe, expect, test, vi } from 'vitest';
import TaskCard from '../src/field/TaskCard.vue';
import { metadata } from '../src/field/upload';
import { settle } from './people';
import { offer, onAPhone, phone, photo, SPOT, steady } from './phone';

const MIN = 60_000;

describe('a phone whose clock is wrong', () => {
  onAPhone();

  /** A phone whose server's time is so far ahead of its own; nothing but lists is answered. */
  const wrong = (ahead: number, known = true) =>
    phone((path) => {
      const headers: HeadersInit = known ? { date: new Date(Date.now() + ahead).toUTCString() } : {};
      if (path.startsWith('/api/v1/offers?')) return Response.json({ items: [] }, { headers });
    });
  /** Everything a worker tells the time of. */
  async function tellAll(p: ReturnType<typeof phone>): Promise<Record<string, number>> {
    p.field.running = true;
    await p.field.offers.load();
    p.field.reports.draft.value = {
      ...p.field.reports.draft.value,
      title: '围栏倒塌',
      place: { lon: 107, lat: 38, accuracyM: 9, at: Date.now() },
      done: true,
      doneHow: '已扶起',
    };
    await p.field.reports.addFile('photo', photo('abc'));
    await p.field.reports.report({ ...SPOT, on_the_spot: true });
    for (const kind of ['accept', 'arrive', 'finish'] as const) {
      steady.ms += 1000;
      await p.field.offers.act(offer(), kind);
    }
    steady.ms += 1000;
    await p.field.visits.say({ id: '31', name: '三号井' }, '水位正常');
    const told: Record<string, number> = {};
    for (const l of p.drawer.letters.values()) {
      const taken = metadata(l)
        .split(',')
        .find((x) => x.startsWith('captured_at '))
        ?.split(' ')[1];
      const at = l.file ? atob(taken ?? '') : (l.body.at ?? l.body.reported_at);
      told[l.about.kind] = Math.round((Date.parse(String(at)) - Date.now()) / MIN) + 0; // never -0
    }
    return told;
  }
  const all = (m: number) => ({ report: m, photo: m, resolve: m, accept: m, arrive: m, finish: m, visit: m });

  test.each([10, -10])('by %d minutes tells the server’s time in all that it says', async (m) => {
    const p = wrong(m * MIN);
    expect(await tellAll(p)).toEqual(all(m));
    const report = [...p.drawer.letters.values()].find((l) => l.about.kind === 'report');
    expect(report?.body.location).toEqual({ lon: 107, lat: 38, crs: 'wgs84' }); // it was measured just now
  });

  test('tells its own time while nobody has told it another', async () => {
    expect(await tellAll(wrong(10 * MIN, false))).toEqual(all(0));
  });

  test('is as wrong as it was last when the page is opened without a line', async () => {
    const p = phone();
    p.kept.set('ahead', { ahead: 10 * MIN, at: Date.now() - 60 * MIN });
    await p.field.start();
    const at = () => Math.round((p.field.serverNow() - Date.now()) / MIN);
    expect([at(), p.field.slowMin.value]).toEqual([10, 10]);
    p.field.stop();
  });

  test('is kept for the next time, and forgotten once it is right', async () => {
    let ahead = 10 * MIN;
    const p = phone((path) =>
      path.startsWith('/api/v1/offers?')
        ? Response.json({ items: [] }, { headers: { date: new Date(Date.now() + ahead).toUTCString() } })
        : undefined,
    );
    await p.field.start();
    p.timers.advance(1000);
    await settle();
    const kept = p.kept.get('ahead') as { ahead: number; at: number };
    expect(Math.round(kept.ahead / MIN)).toBe(10);
    expect(Math.abs(kept.at - Date.now())).toBeLessThan(5000);
    ahead = 0;
    await p.field.offers.load();
    p.timers.advance(1000);
    await settle();
    expect(p.kept.has('ahead')).toBe(false);
    p.field.stop();
  });

  test.each([
    ['of yesterday', { ahead: 10 * MIN, at: Date.now() - 25 * 60 * MIN }],
    ['of a time that has not come', { ahead: 10 * MIN, at: Date.now() + MIN }],
    ['without a time, by an older page', 10 * MIN],
  ])('is not what was known of it %s', async (_, kept) => {
    const p = phone();
    p.kept.set('ahead', kept);
    await p.field.start();
    expect([p.session.http.ahead, p.field.slowMin.value]).toEqual([0, 0]);
    p.field.stop();
  });

  test('is not what it was last once an answer has told the time', async () => {
    let line = true;
    const p = phone((path) =>
      line && path.startsWith('/api/v1/offers?')
        ? Response.json({ items: [] }, { headers: { date: new Date(Date.now() - 10 * MIN).toUTCString() } })
        : undefined,
    );
    p.kept.set('ahead', { ahead: 10 * MIN, at: Date.now() });
    p.field.running = true;
    await p.field.offers.load();
    line = false;
    await p.field.start();
    expect(Math.round(p.session.http.ahead / MIN)).toBe(-10);
    p.field.stop();
  });

  const shift = (leftMs: number) => ({
    badge: '1001',
    started_at: new Date(Date.now() - 60 * MIN).toISOString(),
    planned_end: new Date(Date.now() + leftMs).toISOString(),
    ends_at: new Date(Date.now() + leftMs).toISOString(),
  });

  test('ends no shift by what was heard of it before the page was opened', async () => {
    const p = phone();
    p.kept.set('ahead', { ahead: 10 * MIN, at: Date.now() - 60 * MIN }); // it was set right since
    p.kept.set('shift wang', shift(5 * MIN));
    await p.field.start();
    p.timers.advance(1000);
    await settle();
    expect(p.session.http.ahead).toBe(10 * MIN);
    expect(p.field.duty.shift.value).not.toBeNull();
    p.session.http.heardAt = Date.now(); // a server that says so does
    p.timers.advance(1000);
    await settle();
    expect(p.field.duty.shift.value).toBeNull();
    p.field.stop();
  });

  test.each([
    ['on by what it was slow', 10, 10, 0, 0],
    ['back', -10, -10, 0, 0],
    ['on by what a phone slept', 10, 30, 10, 0],
    ['on as the other does', 10, 0, 10, 1],
  ])('that goes %s', async (_, ahead, jump, left, heard) => {
    const p = phone();
    await p.field.start();
    Object.assign(p.session.http, { ahead: ahead * MIN, heardAt: Date.now() });
    p.timers.advance(1000);
    expect(p.kept.has('ahead')).toBe(true);
    const now = vi.spyOn(Date, 'now').mockReturnValue(Date.now() + jump * MIN);
    p.timers.advance(1000);
    expect([p.session.http.ahead, Math.sign(p.session.http.heardAt)]).toEqual([left * MIN, heard]);
    expect(p.kept.has('ahead')).toBe(left > 0);
    now.mockRestore();
    p.field.stop();
  });

  test.each([
    [10, -5, true], // slow: its session is over
    [-10, 5, false], // fast: it still runs
  ])('of a phone %d minutes slow judges what it remembers by the server’s time', async (ahead, ended, over) => {
    const p = phone();
    p.kept.set('ahead', { ahead: ahead * MIN, at: Date.now() });
    p.kept.set('me', { login: 'wang', expires: new Date(Date.now() - ended * MIN).toISOString() });
    expect((await p.session.recall?.()) === undefined).toBe(over);
  });

  test('beats no more when the page stops while it starts', async () => {
    const p = phone();
    const starting = p.field.start();
    p.field.stop();
    await starting;
    const beats = vi.spyOn(p.field.duty, 'expire');
    p.timers.advance(5000);
    expect([beats.mock.calls.length, p.field.running]).toEqual([0, false]);
  });

  test('counts down to the server’s end of an offer', async () => {
    const p = wrong(-10 * MIN); // ten minutes fast
    p.field.running = true;
    await p.field.offers.load();
    p.field.now.value = Date.now();
    const task = {
      ...offer(),
      expires_at: new Date(Date.now() - 9 * MIN).toISOString(),
      made_at: new Date(Date.now() - 11 * MIN).toISOString(),
      lead: true,
      waiting: false,
    };
    Object.assign(task.incident, { grid: [], point: null, id: '5' });
    const card = p.show(TaskCard, { task });
    const left = Number(/请在 (\d+) 秒内答复/.exec(card.text())?.[1]);
    expect(Math.abs(left - 60)).toBeLessThan(5);
    card.unmount();
  });
});
