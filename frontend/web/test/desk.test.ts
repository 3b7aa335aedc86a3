// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0
// @vitest-environment jsdom

import { describe, expect, test, vi } from 'vitest';
import { actsOf, asks, formOf, mayAssist, mustExplain, stepsToOffer } from '../src/desk/acts';
import { DeskApi } from '../src/desk/api';
import { deskKey, type KeyDesk } from '../src/desk/keys';
import { byUrgency, clockTo, countLanes, dueAt, laneOf, queueOf } from '../src/desk/queue';
import type { Case } from '../src/desk/types';
import { travelText } from '../src/desk/words';
import { deskEn } from '../src/i18n/desk.en';
import { deskZh } from '../src/i18n/desk.zh-CN';
import { zhCN } from '../src/i18n/zh-CN';
import { Points } from '../src/map/points';
import { Http } from '../src/session/http';
import { Problem } from '../src/session/problem';
import { incident } from './helpers';
import { FakeServer, json, refuse } from './people';

const make = (id: string, more: Partial<Case> = {}) =>
  ({ ...incident(id), version: 1, ack_due: null, stage_due: null, late: false, ...more }) as Case;
const at = (s: string) => `2026-11-22T${s}:00+08:00`;

describe('the queue', () => {
  test('knows for every open state who has to do something', () => {
    const open = Object.keys(zhCN.state).filter(
      (s) => !['refused', 'closed', 'archived', 'merged', 'void', 'transferred'].includes(s),
    );
    const of = (lane: string) => open.filter((st) => laneOf(st) === lane);
    expect(of('send')).toEqual(['reported', 'accepted', 'routed', 'returned', 'escalated', 'reopened']);
    expect(of('work')).toEqual(['dispatched', 'acknowledged', 'on_scene', 'rework', 'suspended']);
    expect(of('check')).toEqual(['resolved', 'verified']);
  });

  test('the limit that runs out first counts, and none of a suspended one', () => {
    const both = { ack_due: at('09:00'), stage_due: at('18:00') };
    expect(dueAt(make('1', both))).toBe(Date.parse(at('09:00')));
    expect(dueAt(make('1', { ...both, acknowledged_at: at('08:30') }))).toBe(Date.parse(at('18:00')));
    expect(dueAt(make('1', { ...both, state: 'suspended' }))).toBeNull();
    expect(dueAt(make('1', { ...both, state: 'refused', open: false }))).toBeNull();
    expect(dueAt(make('1'))).toBeNull();
  });

  test('urgency first, then what is late, then the limit, then age', () => {
    const list = [
      make('1', { stage_due: at('12:00') }),
      make('2', { stage_due: at('11:00') }),
      make('3'),
      make('4', { priority: 1, stage_due: at('20:00') }),
      make('5', { stage_due: at('19:00'), late: true }),
      make('6', { reported_at: at('07:00') }),
    ];
    expect(list.sort(byUrgency).map((i) => i.id)).toEqual(['4', '5', '2', '1', '6', '3']);
  });

  test('is searched by number, words and grid', () => {
    const list = [make('1', { title: '路灯不亮' }), make('2', { address: '学校门口' }), make('3', { state: 'resolved' })];
    const ids = (typed: string) => queueOf(list, 'send', typed).map((i) => i.id);
    expect(ids('')).toEqual(['1', '2']);
    expect(ids(' 路灯 ')).toEqual(['1']);
    expect(ids('sj000000002')).toEqual(['2']);
    expect(ids('网格001')).toEqual(['1', '2']);
    expect(ids('没有')).toEqual([]);
    expect(countLanes(list)).toEqual({ send: 2, work: 0, check: 1 });
  });

  test('a clock counts down and then up', () => {
    const t = 1_000_000_000;
    expect(clockTo(t + 90_061_000, t)).toEqual({ unit: 'left', d: 1, h: 1, m: 1, s: 1 });
    expect(clockTo(t - 61_000, t)).toEqual({ unit: 'over', d: 0, h: 0, m: 1, s: 1 });
  });
});

describe('what may be done', () => {
  test('before a lead is asked the incident is accepted and routed', () => {
    expect(stepsToOffer('reported')).toEqual(['accept', 'route']);
    expect(stepsToOffer('returned')).toEqual(['route']);
    expect(stepsToOffer('routed')).toEqual([]);
    for (const s of ['dispatched', 'rework']) expect(stepsToOffer(s), s).toEqual([]); // without a lead, that is
    for (const s of ['acknowledged', 'resolved', 'closed']) expect(stepsToOffer(s), s).toBeNull();
    expect(['routed', 'dispatched', 'on_scene', 'rework', 'resolved'].filter(mayAssist)).toEqual([
      'dispatched',
      'on_scene',
      'rework',
    ]);
  });

  test('every act has its word in both languages, and every need is asked for', () => {
    const acts = new Set(Object.keys(zhCN.state).flatMap((s) => actsOf(s)));
    expect(acts.size).toBeGreaterThan(12);
    for (const a of acts) {
      expect(deskZh.desk.act, a).toHaveProperty(a);
      expect(deskEn.desk.act, a).toHaveProperty(a);
    }
    expect(formOf('suspend', null).map((f) => `${f.need} ${f.must}`)).toEqual(['reason yes', 'until yes']);
    expect(asks('accept', null)).toBe(false);
    expect(mustExplain('accepted')).toBe(true);
    expect(mustExplain('seen')).toBe(false);
  });
});

describe('requests', () => {
  const stand = (server: FakeServer) => new DeskApi(new Http({ unauthorised: () => {}, locked: () => {} }, server.fetch));

  test('an offer says which version was seen and has a name of its own each time', async () => {
    const heads: Headers[] = [];
    const server = new FakeServer().on('POST /incidents/7/offers', () => json({ items: [] }, 201));
    const api = new DeskApi(
      new Http({ unauthorised: () => {}, locked: () => {} }, (path, init) => {
        heads.push(new Headers(init.headers));
        return server.fetch(path, init);
      }),
    );
    await api.offer('7', 4, ['12', '13'], true);
    await api.offer('7', 4, ['12', '13'], true);
    expect(server.asked[0]?.body).toEqual({ worker_ids: ['12', '13'], lead: true });
    expect(heads.map((h) => h.get('if-match'))).toEqual(['"4"', '"4"']);
    expect(new Set(heads.map((h) => h.get('idempotency-key'))).size).toBe(2);
  });

  test('a refusal tells who was first', async () => {
    const winner = { offer_id: '3', badge: 'W0012', number: 'SJ000000007' };
    const server = new FakeServer().on('POST /incidents/7/offers', () => refuse(409, { detail: 'taken', winner }));
    const refused = await stand(server)
      .offer('7', 4, ['12'], true)
      .catch((e) => e);
    expect(refused).toBeInstanceOf(Problem);
    expect(refused.more.winner).toEqual(winner);
  });
});

describe('keys', () => {
  const press = (key: string, on: Element = document.body, more: KeyboardEventInit = {}) => {
    const did: string[] = [];
    const desk = {
      chooseNext: () => did.push('next'),
      step: (by: number) => did.push(`step ${by}`),
      rank: (n: number) => did.push(`rank ${n}`),
      offer: () => did.push('offer'),
      search: () => did.push('search'),
      hallMap: null,
    } as unknown as KeyDesk;
    document.body.append(on === document.body ? '' : on);
    on.addEventListener('keydown', (e) => deskKey(e as KeyboardEvent, desk), { once: true });
    on.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true, ...more }));
    return did;
  };

  test('three of them lead from a new incident to its offer', () => {
    expect([press('n'), press('2'), press('Enter')]).toEqual([['next'], ['rank 2'], ['offer']]);
    expect([press('ArrowDown'), press('k'), press('/')]).toEqual([['step 1'], ['step -1'], ['search']]);
  });

  test('none counts while somebody types, with a modifier, or for Enter on a button', () => {
    const input = document.createElement('input');
    const button = document.createElement('button');
    expect(press('n', input)).toEqual([]);
    expect(press('2', input)).toEqual([]);
    expect(press('Enter', button)).toEqual([]);
    expect(press('n', document.body, { ctrlKey: true })).toEqual([]);
  });
});

test('a dot is found where it was sent', () => {
  const p = new Points();
  p.reserve(2);
  p.move(0, 107.5, 38.2, true);
  p.move(1, 107.6123, 38.3456, true);
  expect(p.at(1)[0]).toBeCloseTo(107.6123, 5);
  expect(p.at(1)[1]).toBeCloseTo(38.3456, 5);
});

test('nobody is there in no time', () => {
  const t = vi.fn((key: string, v: Record<string, unknown>) => `${key} ${JSON.stringify(v)}`);
  expect(travelText(t, 5)).toBe('desk.min {"m":1}');
  expect(travelText(t, 7300)).toBe('desk.hours {"h":2,"m":2}');
});
