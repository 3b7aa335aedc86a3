// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

import { beforeEach, describe, expect, test } from 'vitest';
import { type Link, LiveClient } from '../src/wire/client';
import type { EventMessage } from '../src/wire/message';
import type { Positions } from '../src/wire/positions';
import { FakeSocket, FakeTimers, opened, reset, resume, tick } from './helpers';

let timers: FakeTimers;
let sockets: FakeSocket[];
let events: string[];
let links: Link[];
let positions: Positions[];
let client: LiveClient;

const last = () => sockets[sockets.length - 1] as FakeSocket;
const hellos = () => last().sent;

beforeEach(() => {
  timers = new FakeTimers();
  sockets = [];
  events = [];
  links = [];
  positions = [];
  client = new LiveClient({
    open: () => {
      const s = new FakeSocket();
      sockets.push(s);
      return s;
    },
    timers,
    random: () => 0,
    handlers: {
      link: (l) => links.push(l),
      event: (m: EventMessage) => events.push(`${m.seq}:${m.id}`),
      gone: (m) => events.push(`${m.seq}:-${m.id}`),
      positions: (p) => positions.push(p),
    },
  });
});

/** Opens a line and answers its hello with a snapshot at head. */
function live(head = 10): FakeSocket {
  client.start();
  last().accept();
  last().say(reset(head));
  return last();
}

describe('the first visit', () => {
  test('says hello without a place in the feed and is live at the snapshot', () => {
    live(10);
    expect(hellos()).toEqual([{ type: 'hello', topics: ['events', 'positions'], positions: 'binary' }]);
    expect(last().binaryType).toBe('arraybuffer');
    expect(client.state.head).toBe(10);
    expect(links).toEqual(['live']);
  });

  test('does not trust events that come before the snapshot', () => {
    client.start();
    last().accept();
    last().say(opened(11, 'a'));
    expect(events).toEqual([]);
  });
});

describe('events', () => {
  test('each once and in order, also from an array in one frame', () => {
    live().say(opened(11, 'a'), opened(12, 'b'), { type: 'gone', seq: 13, kind: 'incident', id: 'a' });
    expect(events).toEqual(['11:a', '12:b', '13:-a']);
    expect(client.state.items().map((i) => i.id)).toEqual(['b']);
  });

  test('a duplicate is dropped and counted', () => {
    const s = live();
    s.say(opened(11, 'a'));
    s.say(opened(11, 'a'), opened(12, 'b'));
    expect(events).toEqual(['11:a', '12:b']);
    expect(client.counters.duplicates).toBe(1);
  });

  test('events for others are stepped over', () => {
    live().say({ type: 'skip', to: 14 }, opened(15, 'a'));
    expect(events).toEqual(['15:a']);
    expect(client.counters.gaps).toBe(0);
  });

  test('a gap asks again once and takes nothing until it is answered', () => {
    const s = live();
    s.say(opened(13, 'c'));
    s.say(opened(14, 'd'));
    expect(s.sent.length).toBe(2);
    expect(s.sent[1]).toMatchObject({ epoch: 'e1', seq: 10, scope: 's1' });
    s.say(resume(14));
    s.say(opened(11, 'a'), opened(12, 'b'), opened(13, 'c'), opened(14, 'd'));
    expect(events).toEqual(['11:a', '12:b', '13:c', '14:d']);
    expect(client.counters.gaps).toBe(1);
  });

  test('a gap that a resume does not fill is answered by a snapshot', () => {
    const s = live();
    s.say(opened(13, 'c'));
    s.say(resume(13));
    s.say(opened(13, 'c'));
    expect(s.sent[2]).not.toHaveProperty('seq');
    s.say(reset(13));
    expect(client.state.head).toBe(13);
  });

  test('two ticks in a row ahead of us are a gap, one is not', () => {
    const s = live();
    s.say(tick(11, '2026-11-22T00:00:00Z'));
    expect(s.sent.length).toBe(1);
    s.say(tick(11, '2026-11-22T00:00:02Z'));
    expect(s.sent.length).toBe(2);
  });

  test('a reset in the middle replaces everything', () => {
    const s = live();
    s.say(opened(11, 'a'));
    s.say(reset(3, [{ kind: 'incident', id: 'z', ver: 1, seq: 2, data: {} }], 'e2', 's2'));
    expect(client.state.items().map((i) => i.id)).toEqual(['z']);
    s.say(opened(4, 'b'));
    expect(events).toEqual(['11:a', '4:b']);
    expect(client.epoch).toBe('e2');
  });
});

describe('positions', () => {
  const frame = () => {
    const v = new DataView(new ArrayBuffer(9 + 16));
    v.setUint8(0, 2);
    v.setBigUint64(1, 5000n, true);
    v.setUint32(9, 7, true);
    return v.buffer;
  };

  test('binary and JSON frames both arrive', () => {
    const s = live();
    s.raw(frame());
    s.say({ type: 'positions', at: '1970-01-01T00:00:05Z', items: [[8, 1, 2, 3, -1, -1, 'task']] });
    expect(positions.map((p) => p.fixes[0]?.worker)).toEqual([7, 8]);
    expect(positions[0]?.full).toBe(true);
  });

  test('none are taken before the snapshot', () => {
    client.start();
    last().accept();
    last().raw(frame());
    expect(positions).toEqual([]);
  });
});

describe('a lost line', () => {
  test('is told at once and resumed where it was', () => {
    live().say(opened(11, 'a'));
    last().hangUp(1006);
    expect(client.link).toBe('lost');
    timers.advance(499);
    expect(sockets.length).toBe(1);
    timers.advance(1);
    expect(sockets.length).toBe(2);
    last().accept();
    expect(hellos()[0]).toMatchObject({ epoch: 'e1', seq: 11, scope: 's1' });
    last().say(resume(12), opened(12, 'b'));
    expect(events).toEqual(['11:a', '12:b']);
    expect(links).toEqual(['live', 'lost', 'live']);
  });

  test('is tried again with growing pauses of at most eight seconds, and quickly again after success', () => {
    live();
    const pauses: number[] = [];
    last().hangUp(1006);
    for (let k = 0; k < 10; k++) {
      const wait = timers.waits[0] as number;
      pauses.push(wait);
      timers.advance(wait);
      last().hangUp(1006);
    }
    expect(pauses[0]).toBe(500);
    expect(pauses.every((p, k) => k === 0 || p >= (pauses[k - 1] as number))).toBe(true);
    expect(Math.max(...pauses)).toBe(8000);
    timers.advance(8000);
    last().accept();
    last().say(resume(10));
    last().hangUp(1006);
    expect(timers.waits[0]).toBe(500);
  });

  test('is given up when nothing comes for twelve seconds', () => {
    const s = live();
    timers.advance(11_000);
    expect(client.link).toBe('live');
    timers.advance(3000);
    expect(s.closed).toBe(true);
    expect(sockets.length).toBe(2);
  });

  test('of a browser that went offline is not waited for', () => {
    live();
    client.offline();
    expect(client.link).toBe('lost');
    client.hurry();
    expect(sockets.length).toBe(2);
  });

  test('a late word from an old socket changes nothing', () => {
    const old = live();
    const say = old.onmessage;
    client.offline();
    client.hurry();
    say?.({ data: JSON.stringify(opened(11, 'a')) });
    expect(events).toEqual([]);
  });
});

describe('close codes', () => {
  test('4001 stops until somebody signs in', () => {
    live().hangUp(4001);
    expect(client.link).toBe('signed-out');
    timers.advance(60_000);
    expect(sockets.length).toBe(1);
    client.signedIn();
    expect(sockets.length).toBe(2);
  });

  test('a session found to be over stops it likewise', () => {
    live().hangUp(1006);
    client.signOut();
    timers.advance(60_000);
    expect(sockets.length).toBe(1);
    client.signedIn();
    expect(sockets.length).toBe(2);
  });

  test('4003 starts over without the old place', () => {
    live().hangUp(4003);
    timers.advance(500);
    last().accept();
    expect(hellos()[0]).not.toHaveProperty('seq');
  });

  test('4008 resumes', () => {
    live().hangUp(4008);
    timers.advance(500);
    last().accept();
    expect(hellos()[0]).toMatchObject({ seq: 10 });
  });

  test('1012 keeps away as long as it is told', () => {
    live().hangUp(1012, '1500');
    timers.advance(1499);
    expect(sockets.length).toBe(1);
    timers.advance(1);
    expect(sockets.length).toBe(2);
  });
});

describe('nonsense', () => {
  test.each(['{', '42', '[{"type":"tick"},7]', 'null'])('%s makes a new start from a snapshot', (text) => {
    live().raw(text);
    expect(client.link).toBe('lost');
    expect(client.counters.faults).toBe(1);
    timers.advance(500);
    last().accept();
    expect(hellos()[0]).not.toHaveProperty('seq');
  });

  test('a resume into another epoch is not believed', () => {
    live();
    last().hangUp(1006);
    timers.advance(500);
    last().accept();
    last().say(resume(10, 'other'));
    expect(client.counters.faults).toBe(1);
  });

  test('messages of a later version are passed over', () => {
    live().say({ type: 'scene', scene: 2 }, opened(11, 'a'));
    expect(events).toEqual(['11:a']);
  });
});
