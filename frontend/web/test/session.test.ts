// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

import { describe, expect, test } from 'vitest';
import { errandIn } from '../src/session/fragment';
import { Http, withQuery } from '../src/session/http';
import { Problem, problemOf, retryAfter } from '../src/session/problem';
import { goodLogin, goodPin, passwordFaults } from '../src/session/rules';
import { SessionStore } from '../src/session/store';
import { FakeTimers } from './helpers';
import { FakeServer, json, none, refuse, session, settle } from './people';

function page(me: Record<string, unknown> = {}) {
  const server = new FakeServer();
  const timers = new FakeTimers();
  const now = { ...session(me) };
  server.on('GET /session', () => json(now)).on('POST /session/alive', none);
  return { server, timers, now, store: new SessionStore(timers, server.fetch) };
}

async function inside(me: Record<string, unknown> = {}) {
  const p = page(me);
  await p.store.start(null);
  return p;
}

const later = async (timers: FakeTimers, ms: number) => {
  timers.advance(ms);
  await settle();
};

describe('problems', () => {
  test.each([
    ['30', 30],
    ['0', 0],
    [null, 0],
    ['soon', 0],
    ['-5', 0],
    ['999999999', 86_400],
    ['Sun, 22 Nov 2026 00:00:10 GMT', 10],
    ['Sun, 22 Nov 2026 00:00:00 GMT', 0],
  ])('Retry-After %s', (header, s) => {
    expect(retryAfter(header, Date.parse('2026-11-22T00:00:00Z'))).toBe(s);
  });

  test('a problem document is read whole', async () => {
    const res = refuse(
      422,
      { type: 'odd', detail: 'no', errors: [{ location: 'body.login', message: 'taken' }] },
      { 'retry-after': '7' },
    );
    const p = await problemOf(res, 0);
    expect([p.status, p.type, p.detail, p.waitS, p.faults]).toEqual([
      422,
      'odd',
      'no',
      7,
      [{ location: 'body.login', message: 'taken' }],
    ]);
  });

  test.each([
    ['text', new Response('bad gateway', { status: 502 })],
    ['broken JSON', new Response('{', { status: 502, headers: { 'content-type': 'application/json' } })],
    ['another kind of JSON', new Response('[1]', { status: 502, headers: { 'content-type': 'application/json' } })],
    ['null', new Response('null', { status: 502, headers: { 'content-type': 'application/json' } })],
  ])('an answer that is %s is a problem all the same', async (_, res) => {
    expect((await problemOf(res, 0)).status).toBe(502);
  });
});

describe('http', () => {
  test('tells of 401 and 423, unless the caller alone is to know', async () => {
    const server = new FakeServer()
      .on('GET /x', () => refuse(401))
      .on('POST /x', () => refuse(423))
      .on('POST /y', () => refuse(401));
    const told: string[] = [];
    const http = new Http({ unauthorised: () => told.push('401'), locked: () => told.push('423') }, server.fetch);
    await expect(http.get('/api/v1/x')).rejects.toBeInstanceOf(Problem);
    await expect(http.post('/api/v1/x', {})).rejects.toMatchObject({ status: 423 });
    await expect(http.ask('/api/v1/y', {})).rejects.toMatchObject({ status: 401 });
    expect(told).toEqual(['401', '423']);
  });

  test('no answer at all has status 0', async () => {
    const http = new Http({ unauthorised: () => {}, locked: () => {} }, () => Promise.reject(new TypeError('failed')));
    await expect(http.get('/api/v1/x')).rejects.toMatchObject({ status: 0 });
  });

  test('empty filters are left out and the rest is escaped', () => {
    expect(withQuery('/a', { from: '', to: undefined, object: 'account/1&x=2', limit: 5 })).toBe(
      '/a?object=account%2F1%26x%3D2&limit=5',
    );
  });
});

describe('rules', () => {
  test.each([
    ['bai.yin', true],
    ['b', false],
    ['Bai', false],
    ['-bai', false],
    [`b${'a'.repeat(40)}`, false],
    ['白音', false],
  ])('login %s', (login, good) => {
    expect(goodLogin(login)).toBe(good);
  });

  test.each([
    ['123', false],
    ['1234', false],
    ['8765', false],
    ['7890', false],
    ['1098', false],
    ['0000', false],
    ['2580', true],
    ['1235', true],
    ['2468', true],
    ['12345679', true],
    ['135792468', false],
    ['12a4', false],
    ['１２３４', false],
  ])('PIN %s', (pin, good) => {
    expect(goodPin(pin)).toBe(good);
  });

  test.each([
    ['short', 'short', 'bai', ['length']],
    ['', '', 'bai', ['length', 'same']],
    ['long enough', 'long enougH', 'bai', ['same']],
    ['my name is Bai', 'my name is Bai', 'bai', ['login']],
    ['my name is Bai', 'my name is Bai', '', []],
    ['草原上的雪花落在网格里', '草原上的雪花落在网格里', 'bai', []],
    ['x'.repeat(129), 'x'.repeat(129), 'bai', ['length']],
  ])('password %s', (a, b, login, faults) => {
    expect(passwordFaults(a, b, login)).toEqual(faults);
  });
});

describe('what a link brings', () => {
  test.each([
    ['#invite=AB-12', { door: 'invite', code: 'AB-12' }],
    ['#first', { door: 'first' }],
    ['#invite=', null],
    ['#/audit', null],
    ['', null],
  ])('%s', (hash, errand) => {
    expect(errandIn(hash)).toEqual(errand);
  });
});

describe('opening the page', () => {
  test('with a session goes in', async () => {
    const { store } = await inside();
    expect([store.phase.value, store.me.value?.login, store.locked.value]).toEqual(['in', 'bai', false]);
  });

  test('without one goes to the sign-in, and says nothing of an end', async () => {
    const { server, store } = page();
    server.on('GET /session', () => refuse(401));
    await store.start(null);
    expect([store.phase.value, store.door.value, store.ended.value]).toEqual(['door', 'sign-in', false]);
  });

  test('goes on trying while the server is away', async () => {
    const { server, store, timers, now } = page();
    server.on('GET /session', () => Promise.reject(new TypeError('away')));
    await store.start(null);
    expect(store.phase.value).toBe('unreachable');
    server.on('GET /session', () => json(now));
    await later(timers, 3000);
    expect(store.phase.value).toBe('in');
  });

  test('a page that works without a line goes on as whoever was in, until the server says otherwise', async () => {
    const { server, store, timers, now } = page();
    server.on('GET /session', () => Promise.reject(new TypeError('away')));
    store.recall = async () => now as never;
    await store.start(null);
    await settle();
    expect([store.phase.value, store.login.value]).toEqual(['in', 'bai']);
    server.on('GET /session', () => refuse(401));
    await later(timers, 30_000);
    expect([store.phase.value, store.me.value, store.ended.value]).toEqual(['door', null, true]);
  });

  test('a line that is there and carries nothing holds it up for a moment only', async () => {
    const { server, store, timers, now } = page();
    server.on('GET /session', () => new Promise(() => {}));
    store.recall = async () => now as never;
    void store.start(null);
    await later(timers, 2499);
    expect(store.phase.value).toBe('opening');
    await later(timers, 1);
    expect(store.phase.value).toBe('in');
  });

  test('who signs out by hand is told of before the door opens, and who was ended is not', async () => {
    const { server, store, timers } = await inside();
    const left: string[] = [];
    server.on('DELETE /session', none).on('GET /session', () => refuse(401));
    store.leaving = async (login) => {
      await store.check(); // the live stream has ended too, say
      left.push(`${login} ${store.phase.value}`);
    };
    await store.signOut();
    expect([left, store.phase.value]).toEqual([['bai in'], 'door']);
    const other = await inside();
    other.store.leaving = async () => void left.push('ended');
    other.server.on('GET /session', () => refuse(401));
    await later(other.timers, 30_000);
    expect([other.store.phase.value, left.length, timers.waits.length]).toEqual(['door', 1, 0]);
  });

  test('with an invitation does not ask who is in', async () => {
    const { server, store } = page();
    await store.start({ door: 'invite', code: 'AB' });
    expect([store.phase.value, store.door.value, store.code, server.asked.length]).toEqual(['door', 'invite', 'AB', 0]);
  });

  test('an invitation laid aside leads back to the session there is, and its code is forgotten', async () => {
    const { store } = page();
    await store.start({ door: 'invite', code: 'AB' });
    await store.toSignIn();
    expect([store.phase.value, store.code]).toEqual(['in', '']);
  });

  test('an invitation taken up leads to the sign-in of that account, whoever is in', async () => {
    const { store } = await inside();
    store.run({ door: 'invite', code: 'AB' });
    await store.toSignIn('new');
    expect([store.phase.value, store.door.value, store.login.value]).toEqual(['door', 'sign-in', 'new']);
  });
});

describe('the end of a session', () => {
  test('any 401 is looked into once, however many come, and leads to the sign-in', async () => {
    const { server, store } = await inside();
    server.on('GET /session', () => refuse(401)).on('GET /accounts', () => refuse(401));
    await Promise.allSettled([store.http.get('/api/v1/accounts'), store.http.get('/api/v1/accounts')]);
    await settle();
    expect([store.phase.value, store.ended.value, store.me.value, server.count('GET /session')]).toEqual(['door', true, null, 2]);
  });

  test('a 401 of a wrong password while the session goes on ends nothing', async () => {
    const { server, store } = await inside();
    server.on('PUT /session/password', () => refuse(401));
    await expect(store.setPassword('wrong', 'right right')).rejects.toMatchObject({ status: 401 });
    await settle();
    expect(store.phase.value).toBe('in');
  });

  test('is noticed at its expiry without any act', async () => {
    const { server, store, timers } = await inside({ expires: '2026-11-22T08:00:10+08:00' });
    server.on('GET /session', () => refuse(401));
    await later(timers, 11_000);
    expect([store.phase.value, store.ended.value]).toEqual(['door', true]);
  });

  test('signing out says nothing of an end, and stops asking', async () => {
    const { server, store, timers } = await inside();
    server.on('DELETE /session', none);
    await store.signOut();
    const asked = server.asked.length;
    for (let i = 0; i < 10; i++) await later(timers, 30_000);
    expect([store.phase.value, store.ended.value, server.asked.length]).toEqual(['door', false, asked]);
  });

  test('a sign-out that did not reach the server is not shown as one', async () => {
    const { server, store } = await inside();
    server.on('DELETE /session', () => Promise.reject(new TypeError('away')));
    await expect(store.signOut()).rejects.toMatchObject({ status: 0 });
    expect(store.phase.value).toBe('in');
  });

  test('an answer that was under way when somebody signed out does not bring them back', async () => {
    const { server, store, now } = await inside();
    let answer = (_: Response) => {};
    server
      .on(
        'GET /session',
        () =>
          new Promise<Response>((r) => {
            answer = r;
          }),
      )
      .on('DELETE /session', none);
    const asking = store.check();
    await store.signOut();
    answer(json(now));
    await asking;
    expect(store.phase.value).toBe('door');
  });
});

describe('the lock', () => {
  test('stands when the server says so', async () => {
    const { store } = await inside({ locked: true });
    expect([store.phase.value, store.locked.value]).toEqual(['in', true]);
  });

  test('comes with any 423', async () => {
    const { server, store, now } = await inside();
    now.locked = true;
    server.on('POST /accounts', () => refuse(423));
    await expect(store.http.post('/api/v1/accounts', {})).rejects.toMatchObject({ status: 423 });
    expect(store.locked.value).toBe(true);
    await settle();
    expect(store.locked.value).toBe(true);
  });

  test('a 423 from before the unlocking does not stay', async () => {
    const { server, store } = await inside();
    server.on('POST /accounts', () => refuse(423));
    await expect(store.http.post('/api/v1/accounts', {})).rejects.toMatchObject({ status: 423 });
    await settle();
    expect(store.locked.value).toBe(false);
  });

  test('comes by itself right after the idle time', async () => {
    const { store, timers, now } = await inside({ lock_after_s: 10 });
    await later(timers, 10_500);
    expect(store.locked.value).toBe(false);
    now.locked = true;
    await later(timers, 600);
    expect(store.locked.value).toBe(true);
  });

  test('is found within half a minute when another page of the session was locked', async () => {
    const { store, timers, now } = await inside({ lock_after_s: 600 });
    now.locked = true;
    await later(timers, 30_000);
    expect(store.locked.value).toBe(true);
  });

  test('stands after the idle time even when the server is away', async () => {
    const { server, store, timers } = await inside({ lock_after_s: 60 });
    server.on('GET /session', () => Promise.reject(new TypeError('away')));
    await later(timers, 31_000);
    expect(store.locked.value).toBe(false);
    await later(timers, 31_000);
    expect(store.locked.value).toBe(true);
  });

  test('is opened by the PIN', async () => {
    const { server, store, now } = await inside({ locked: true });
    server.on('POST /session/unlock', (a) => {
      now.locked = false;
      return (a.body as { pin: string }).pin === '1234' ? none() : refuse(403);
    });
    await expect(store.unlock('9999')).rejects.toMatchObject({ status: 403 });
    expect(store.locked.value).toBe(true);
    await store.unlock('1234');
    expect(store.locked.value).toBe(false);
  });

  test('an older answer does not close it again', async () => {
    const { server, store, now } = await inside({ locked: true });
    let answer = (_: Response) => {};
    server
      .on(
        'GET /session',
        () =>
          new Promise<Response>((r) => {
            answer = r;
          }),
      )
      .on('POST /session/unlock', none);
    const asking = store.check();
    await store.unlock('1234');
    answer(json({ ...now, locked: true }));
    await asking;
    expect(store.locked.value).toBe(false);
  });

  test('the fifth wrong PIN leads to the sign-in', async () => {
    const { server, store } = await inside({ locked: true });
    server.on('POST /session/unlock', () => refuse(401));
    await expect(store.unlock('9999')).rejects.toMatchObject({ status: 401 });
    expect([store.phase.value, store.ended.value, store.locked.value]).toEqual(['door', true, false]);
  });

  test('is closed by hand only when the server has closed it', async () => {
    const { server, store } = await inside();
    server.on('POST /session/lock', () => refuse(503));
    await expect(store.lock()).rejects.toMatchObject({ status: 503 });
    expect(store.locked.value).toBe(false);
    server.on('POST /session/lock', none);
    await store.lock();
    expect(store.locked.value).toBe(true);
  });
});

describe('acts of the person', () => {
  test('are told at most once a minute, and at once after a pause', async () => {
    const { server, store, timers } = await inside();
    for (let s = 0; s <= 180; s++) {
      store.acted();
      await later(timers, 1000);
    }
    expect(server.count('POST /session/alive')).toBe(4); // at 0, 60, 120 and 180 s
  });

  test('put the lock off', async () => {
    const { server, store, timers } = await inside({ lock_after_s: 100 });
    await later(timers, 90_000);
    store.acted();
    const before = server.count('GET /session');
    await later(timers, 5000);
    server.on('GET /session', () => Promise.reject(new TypeError('away')));
    await later(timers, 60_000);
    expect([store.locked.value, server.count('GET /session') > before]).toEqual([false, true]);
  });

  test('are not told while locked, signed out, or by a wall', async () => {
    const locked = await inside({ locked: true });
    locked.store.acted();
    const wall = await inside({ role: 'wall' });
    wall.store.acted();
    const out = page();
    out.store.acted();
    for (const p of [locked, wall, out]) expect(p.server.count('POST /session/alive')).toBe(0);
  });

  test('asking in the background is no act', async () => {
    const { server, timers } = await inside();
    for (let i = 0; i < 10; i++) await later(timers, 30_000);
    expect(server.count('POST /session/alive')).toBe(0);
    expect(server.count('GET /session')).toBe(11);
  });

  test('told to a locked session, bring the lock', async () => {
    const { server, store, now } = await inside();
    now.locked = true;
    server.on('POST /session/alive', () => refuse(423));
    store.acted();
    await settle();
    expect(store.locked.value).toBe(true);
  });
});

describe('signing in', () => {
  test('goes in with what the server says', async () => {
    const { server, store } = page();
    server.on('POST /session', () => json(session({ login: 'new' })));
    await store.signIn('new', 'password', '123456');
    expect([store.phase.value, store.me.value?.login, server.last('POST /session')?.body]).toEqual([
      'in',
      'new',
      { login: 'new', password: 'password', totp: '123456' },
    ]);
  });

  test('sends no empty code', async () => {
    const { server, store } = page();
    server.on('POST /session', () => refuse(401, { type: 'second-factor' }));
    await expect(store.signIn('new', 'password', '')).rejects.toMatchObject({ status: 401, type: 'second-factor' });
    expect(server.last('POST /session')?.body).toEqual({ login: 'new', password: 'password' });
    expect(store.phase.value).toBe('opening'); // a refused sign-in moves nothing
  });
});
