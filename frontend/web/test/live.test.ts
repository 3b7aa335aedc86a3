// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

import { beforeEach, describe, expect, test } from 'vitest';
import type { Incident } from '../src/wall/incident';
import { LATEST, LiveHall } from '../src/wall/live';
import { ended, FakeSocket, FakeTimers, incident, opened, reset, resume, tick } from './helpers';

const EIGHT = Date.parse('2026-11-22T08:00:00+08:00');

let timers: FakeTimers;
let socket: FakeSocket;
let hall: LiveHall;
let arrivals: string[];
let moved: [number, boolean][];

const item = (i: ReturnType<typeof incident>) => ({ kind: 'incident', id: i.id, ver: 1, seq: 1, data: i });
const minutesAgo = (n: number) => new Date(EIGHT - n * 60_000).toISOString();

beforeEach(() => {
  timers = new FakeTimers();
  timers.time = EIGHT;
  arrivals = [];
  moved = [];
  hall = new LiveHall({
    open: () => {
      socket = new FakeSocket();
      return socket;
    },
    timers,
    random: () => 0,
    changed: () => undefined,
    arrived: (i: Incident) => arrivals.push(i.id),
    positions: () => undefined,
    link: () => undefined,
    moved: (seq, restarted) => moved.push([seq, restarted]),
    gridsEnacted: () => undefined,
  });
  hall.client.start();
  socket.accept();
});

function reconnect(): void {
  socket.hangUp(1006);
  timers.advance(500);
  socket.accept();
}

describe('what is news', () => {
  test('the first snapshot is not; each incident after it is, once', () => {
    socket.say(reset(10, [item(incident('1'))]));
    socket.say(opened(11, '2'), opened(12, '2', { state: 'accepted' }), opened(12, '2'));
    expect(arrivals).toEqual(['2']);
    expect(Object.fromEntries(hall.announced)).toEqual({ 2: 1 });
  });

  test('what happened while the line was down is told once when it is back', () => {
    socket.say(reset(10));
    socket.say(opened(11, '2'));
    reconnect();
    socket.say(resume(13), opened(12, '3'), opened(13, '4'));
    expect(arrivals).toEqual(['2', '3', '4']);
  });

  test('a snapshot in place of a resume tells only what is unknown and young', () => {
    socket.say(reset(10, [item(incident('1'))]));
    socket.say(tick(10, new Date(EIGHT).toISOString()), opened(11, '2'));
    reconnect();
    const items = [incident('1'), incident('2'), incident('3'), incident('4', { reported_at: minutesAgo(60) })].map(item);
    socket.say(reset(5, items, 'e2'));
    expect(arrivals).toEqual(['2', '3']);
    expect(hall.announced.get('2')).toBe(1);
  });

  test('imported history is shown without a word', () => {
    socket.say(reset(10), opened(11, '7', { history: true }));
    expect(arrivals).toEqual([]);
    expect(hall.open().map((i) => i.id)).toEqual(['7']);
  });
});

describe('the list', () => {
  test('holds the newest few, newest first', () => {
    const items = [3, 9, 1, 7, 5, 2].map((n) => item(incident(String(n), { reported_at: minutesAgo(n) })));
    socket.say(reset(10, items));
    expect(hall.latest().map((i) => i.id)).toEqual(['1', '2', '3', '5', '7']);
    expect(hall.latest().length).toBe(LATEST);
  });

  test('keeps a closed incident for a minute, the map does not', () => {
    socket.say(reset(10, [item(incident('1'))]), ended(11, '1'));
    expect(hall.open()).toEqual([]);
    expect(hall.latest().map((i) => i.state)).toEqual(['closed']);
    timers.advance(61_000);
    expect(hall.latest()).toEqual([]);
  });

  test('of two reported in one instant the later number leads', () => {
    socket.say(reset(10, [item(incident('9')), item(incident('10'))]));
    expect(hall.latest().map((i) => i.id)).toEqual(['10', '9']);
  });
});

test('the feed is reported as it moves, and as restarted after a snapshot', () => {
  socket.say(reset(10));
  socket.say(opened(11, '2'));
  expect(moved).toEqual([
    [10, true],
    [11, false],
  ]);
});

test('lag is measured on the server clock', () => {
  socket.say(reset(10), tick(10, new Date(EIGHT + 5000).toISOString()));
  socket.say(opened(11, '2'));
  expect(hall.lagMs).toBe(5000);
});

test('a feed that stands still is stale though frames arrive, until a tick says that it is whole', () => {
  const say = (ageS: number) => socket.say(tick(10, new Date(timers.time + 3000).toISOString(), ageS));
  socket.say(reset(10));
  say(0);
  expect(hall.freshness()).toEqual({ state: 'live', ageMs: 0, dataAt: EIGHT + 3000 });
  timers.advance(2000);
  say(5);
  expect(hall.freshness().state).toBe('live');
  timers.advance(2000);
  say(7);
  timers.advance(1000);
  socket.say(opened(11, '2')); // a frame alone proves nothing
  expect(hall.freshness()).toEqual({ state: 'stale', ageMs: 8000, dataAt: EIGHT });
  timers.advance(1000);
  say(9);
  expect(hall.freshness()).toEqual({ state: 'stale', ageMs: 9000, dataAt: EIGHT });
  reconnect();
  socket.say(resume(11)); // the line is back, the feed not known to be
  expect(hall.freshness().state).toBe('stale');
  say(0);
  expect(hall.freshness()).toMatchObject({ state: 'live', ageMs: 0 });
});
