// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// @vitest-environment jsdom

import { Blob, File } from 'node:buffer';
import { mount } from '@vue/test-utils';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { Component } from 'vue';
import { type Category, emptyDraft } from '../src/field/draft';
import { FIELD, Field } from '../src/field/field';
import { leaveNothing } from '../src/field/leave';
import OutboxNote from '../src/field/OutboxNote.vue';
import type { Letter } from '../src/field/outbox';
import ReportForm from '../src/field/ReportForm.vue';
import type { PhoneShelf } from '../src/field/shelf';
import TaskCard from '../src/field/TaskCard.vue';
import type { Task } from '../src/field/tasks';
import type { KeptFix } from '../src/field/tracker';
import VisitCard from '../src/field/VisitCard.vue';
import { makeI18nOf } from '../src/i18n';
import { fieldEn } from '../src/i18n/field.en';
import { fieldZh } from '../src/i18n/field.zh-CN';
import MeMenu from '../src/session/MeMenu.vue';
import { SESSION, SessionStore } from '../src/session/store';
import { FakeTimers } from './helpers';
import { Drawer, letter } from './letters';
import { dialogs, refuse, settle } from './people';

const photo = (bytes: string) => new File([bytes], 'IMG.jpg', { type: 'image/jpeg' }) as unknown as globalThis.File;

describe('the page', () => {
  let steady = 0;
  beforeAll(() => {
    vi.spyOn(performance, 'now').mockImplementation(() => steady);
    dialogs();
    vi.stubGlobal('Blob', Blob); // jsdom's have no bytes that can be hashed
    vi.stubGlobal('File', File);
    vi.stubGlobal('navigator', {});
    vi.spyOn(document, 'visibilityState', 'get').mockReturnValue('visible');
  });
  afterAll(() => {
    vi.restoreAllMocks();
    vi.unstubAllGlobals();
  });

  const SPOT: Category = {
    code: '0402',
    name: '围栏',
    top: '04',
    top_name: '牧区',
    priority: 3,
    on_the_spot: false,
    evidence: false,
  };

  /** The controller on a phone whose shelf is a drawer; the server's answers are given by path, else there is no line. */
  function phone(answer: (path: string, init: RequestInit) => Promise<Response> | Response | undefined = () => undefined) {
    const kept = new Map<string, unknown>();
    const files = new Map<string, unknown>();
    const fixes: KeptFix[] = [];
    const wiped: string[] = [];
    const drawer = Object.assign(new Drawer(), {
      full: false,
      kept: async (key: string) => kept.get(key),
      keep: async (key: string, x: unknown) => void kept.set(key, x),
      forget: async (...keys: string[]) => keys.forEach((k) => void kept.delete(k)),
      file: async (ref: string) => files.get(ref),
      putFile: async (f: { ref: string }) => void files.set(f.ref, f),
      removeFile: async (ref: string) => void files.delete(ref),
      wipe: async (login: string) => {
        wiped.push(login);
        for (const l of [...drawer.letters.values()]) if (l.login === login) drawer.letters.delete(l.ref);
      },
      fixes: async () => [...fixes],
      removeFixes: async () => void fixes.splice(0),
    });
    const put = drawer.put;
    drawer.put = async (...all) => {
      if (drawer.full) throw new Error('full');
      await put(...all);
    };
    const timers = new FakeTimers();
    const fetch = async (path: string, init: RequestInit) => {
      const res = await answer(path, init);
      if (!res) throw new Error('no line');
      return res;
    };
    const session = new SessionStore(timers, fetch);
    session.login.value = 'wang';
    const field = new Field(session, drawer as unknown as PhoneShelf, timers);
    const kinds = () => [...drawer.letters.values()].map((l) => l.about.kind);
    const show = (component: Component, props: Record<string, unknown> = {}, whose = session) =>
      mount(component, {
        props,
        attachTo: document.body,
        global: {
          plugins: [makeI18nOf('zh-CN', { 'zh-CN': fieldZh, en: fieldEn })],
          provide: { [SESSION as symbol]: whose, [FIELD as symbol]: field },
        },
      });
    return { field, session, drawer, kept, files, fixes, wiped, fetch, timers, kinds, show };
  }

  test('two touches at once make one report', async () => {
    const p = phone();
    p.field.draft.value.title = '围栏倒塌';
    await Promise.all([p.field.report(SPOT), p.field.report(SPOT)]);
    expect([...p.drawer.letters.values()].map((l) => l.body.title)).toEqual(['围栏倒塌']);
    expect(p.field.draft.value).toEqual(emptyDraft());
  });

  test('a file that is still being made ready goes with its own report', async () => {
    const p = phone();
    p.field.draft.value.title = '围栏倒塌';
    const adding = p.field.addFile('photo', photo('abc'));
    expect(p.field.pending.value).toBe(1);
    await p.field.report(SPOT); // waits for the file: nothing is reported yet
    expect(p.kinds()).toEqual([]);
    await adding;
    await p.field.report(SPOT);
    expect(p.kinds()).toEqual(['report', 'photo']);
  });

  test('a photo has the place of its report, or none: never one of long ago', async () => {
    const p = phone();
    const add = () => p.field.addFile('photo', photo('abc'));
    p.field.draft.value.place = { lon: 107, lat: 38, accuracyM: 12, at: Date.now() };
    await add();
    p.field.draft.value.place = { lon: 107, lat: 38, accuracyM: 12, at: Date.now() - 3_600_000 };
    p.field.me.value = { lon: 108, lat: 39, accuracyM: 12, at: Date.now() - 3_600_000 };
    await add();
    expect(p.field.draft.value.files.map((f) => f.place)).toEqual([{ lon: 107, lat: 38 }, undefined]);
  });

  test('a file that is ready when another one has signed in is nobody else’s', async () => {
    const p = phone();
    const adding = p.field.addFile('photo', photo('abc'));
    p.field.draft.value = emptyDraft();
    await adding;
    expect(p.field.draft.value.files).toEqual([]);
    expect(p.files.size).toBe(0);
  });

  const offer = (state = 'offered') => ({ id: '7', state, live: true, incident: { title: '井盖丢失', priority: 2 } }) as Task;

  test('a double touch on accepting says nothing of arriving', async () => {
    const p = phone();
    expect(await Promise.all([p.field.act(offer(), 'accept'), p.field.act(offer('accepted'), 'arrive')])).toEqual([true, false]);
    steady += 600;
    expect(await p.field.act(offer('accepted'), 'arrive')).toBe(false);
    expect(await p.field.act(offer('accepted'), 'seen')).toBe(true); // the page's own word is no touch
    steady += 100;
    expect(await p.field.act(offer('accepted'), 'arrive')).toBe(true);
    expect(p.kinds()).toEqual(['accept', 'seen', 'arrive']);
  });

  test('touches on two tasks are two, and a clock that is set back makes none of them dead', async () => {
    const p = phone();
    expect(await p.field.act(offer(), 'accept')).toBe(true);
    expect(await p.field.act({ ...offer(), id: '8' }, 'accept')).toBe(true);
    steady += 1000;
    p.timers.time -= 3_600_000;
    expect(await p.field.act(offer('accepted'), 'arrive')).toBe(true);
  });

  test('the touch that opens the form of a reason gives none', async () => {
    const p = phone();
    const task = { ...offer(), expires_at: '2026-03-02T02:00:00Z', made_at: '2026-03-02T01:59:00Z', lead: true, waiting: false };
    Object.assign(task.incident, { grid: [], point: null, id: '5' });
    const card = p.show(TaskCard, { task });
    const touch = async (text: string) => {
      await card
        .findAll('button')
        .find((b) => b.text() === text)
        ?.trigger('click');
      await settle();
    };
    await touch('不能去');
    await touch('离得太远'); // the second touch of a double one
    expect(p.kinds()).toEqual([]);
    expect(card.find('form').exists()).toBe(true);
    steady += 800;
    await touch('离得太远');
    expect([...p.drawer.letters.values()].map((l) => [l.about.kind, l.body.reason])).toEqual([['decline', '离得太远']]);
    card.unmount();
  });

  test('a refused report comes back once, however often it is asked for, and without a file that is gone', async () => {
    const p = phone((path) => (path === '/api/v1/incidents' ? refuse(422) : undefined));
    await p.field.addFile('photo', photo('abc'));
    await p.field.addFile('photo', photo('abcd'));
    const gone = p.field.draft.value.files[0]?.ref ?? '';
    p.field.draft.value.title = '围栏倒塌';
    await p.field.report(SPOT);
    await settle();
    p.files.delete(gone);
    const report = p.field.refused.value[0] as Letter;
    await Promise.all([p.field.rewrite(report), p.field.rewrite(report)]);
    const { title, files } = p.field.draft.value;
    expect([title, files.map((f) => f.size)]).toEqual(['围栏倒塌', [4]]);
    expect(files.every((f) => p.files.has(f.ref))).toBe(true);
    expect(p.kinds()).toEqual([]);
  });

  test('what is being written is replaced by a second touch only, not by a double one', async () => {
    const p = phone((path) => (path === '/api/v1/incidents' ? refuse(422) : undefined));
    p.field.draft.value.title = '围栏倒塌';
    await p.field.report(SPOT);
    await settle();
    p.field.draft.value.address = '村口';
    const note = p.show(OutboxNote);
    const again = () =>
      note
        .findAll('button')
        .find((b) => b.text() === '修改后重报')
        ?.trigger('click');
    await again();
    await again();
    await settle();
    expect(p.field.draft.value.address).toBe('村口');
    steady += 800;
    await again();
    await settle();
    expect([p.field.draft.value.title, p.field.draft.value.address]).toEqual(['围栏倒塌', '']);
    note.unmount();
  });

  test('a place of twenty minutes ago is measured again before the report, or is none', async () => {
    const p = phone();
    let spot: { longitude: number; latitude: number; accuracy: number } | null = null;
    vi.stubGlobal('isSecureContext', true);
    Object.assign(navigator, {
      geolocation: {
        getCurrentPosition: (found: (p: unknown) => void, failed: (e: unknown) => void) =>
          spot ? found({ coords: { heading: null, speed: null, ...spot }, timestamp: 0 }) : failed({ code: 2 }),
      },
    });
    const old = { lon: 107, lat: 38, accuracyM: 12, at: Date.now() - 20 * 60_000 };
    p.field.categories.value = [SPOT];
    Object.assign(p.field.draft.value, { category: SPOT.code, title: '围栏倒塌', place: { ...old } });
    const form = p.show(ReportForm);
    await settle();
    expect(form.text()).not.toContain('已定位');
    await form.find('form').trigger('submit');
    await settle();
    expect(p.kinds()).toEqual([]);
    expect(form.text()).toContain('还缺：在哪里');
    spot = { longitude: 108, latitude: 39, accuracy: 9 };
    await form.find('form').trigger('submit');
    await settle();
    expect([...p.drawer.letters.values()].map((l) => l.body.location)).toEqual([{ lon: 108, lat: 39, crs: 'wgs84' }]);
    form.unmount();
  });

  test('a place that was measured before the clock was set back is not where the phone is', async () => {
    const p = phone();
    p.field.me.value = { lon: 107, lat: 38, accuracyM: 12, at: Date.now() + 3_600_000 };
    vi.stubGlobal('isSecureContext', true);
    const coords = { longitude: 108, latitude: 39, accuracy: 9, heading: null, speed: null };
    Object.assign(navigator, {
      geolocation: { getCurrentPosition: (found: (p: unknown) => void) => found({ coords, timestamp: Date.now() }) },
    });
    expect(await p.field.where()).toMatchObject({ lon: 108, lat: 39 });
  });

  test.each([
    [{ stored: 0, untrue: 2, off_duty: 0 }, true],
    [{ stored: 0, untrue: 0, off_duty: 2 }, false],
    [{ stored: 1, untrue: 1, off_duty: 0 }, false],
  ])('of places %j the clock is wrong: %s', async (answer, off) => {
    const p = phone((path) => (path === '/api/v1/positions' ? Response.json(answer) : undefined));
    p.fixes.push({ login: 'wang', lon: 107, lat: 38, accuracyM: 9, at: 1 });
    await p.field.endShift();
    expect(p.fixes).toEqual([]);
    expect(p.field.clockOff.value).toBe(off);
  });

  test('who signs out on any page leaves nothing here, is told of it before, and others keep theirs', async () => {
    const p = phone((path, init) =>
      path === '/api/v1/session' && init.method === 'DELETE' ? new Response(null, { status: 204 }) : undefined,
    );
    await p.drawer.put(letter('a'), letter('seen', { about: { kind: 'seen', title: '' } }), letter('b', { login: 'li' }));
    p.kept.set('draft wang', { ...emptyDraft(), title: '还没写完' });
    const desk = new SessionStore(p.timers, p.fetch);
    desk.login.value = 'wang';
    leaveNothing(desk, p.drawer as unknown as PhoneShelf);
    const menu = p.show(MeMenu, {}, desk);
    await menu.find('.me > button').trigger('click');
    const leave = () => menu.findAll('.acts button').at(-1)?.trigger('click');
    await leave();
    await settle();
    expect(menu.text()).toContain('还有 2 件没有传到中心');
    expect(p.drawer.letters.size).toBe(3);
    await leave();
    await settle();
    expect([...p.drawer.letters.keys()]).toEqual(['b']);
    expect(p.wiped).toEqual(['wang']);
    menu.unmount();
  });

  test('a visit is told once, without a line too, with the server’s time', async () => {
    const ahead = 3_600_000;
    let line = true;
    const asked: { path: string; key: string | null; body: Record<string, string> }[] = [];
    const visit = {
      id: '31',
      state: 'due',
      patrol_name: '日巡查',
      name: '三号井',
      grid_name: '网格001',
      point: null,
      windows: [{ from: new Date(Date.now()).toISOString(), to: new Date(Date.now() + 2 * ahead).toISOString() }],
      opens_at: '',
      closes_at: '',
      stay_min: 0,
      seen: null,
      said: null,
    };
    const p = phone((path, init) => {
      if (!line) return undefined;
      const headers = { date: new Date(Date.now() + ahead).toUTCString() };
      if (path.startsWith('/api/v1/visits?')) return Response.json({ items: [visit], cursor: null }, { headers });
      asked.push({ path, key: new Headers(init.headers).get('idempotency-key'), body: JSON.parse(String(init.body)) });
      return Response.json({ ...visit, state: 'done' }, { headers });
    });
    (p.field as unknown as { running: boolean }).running = true;
    await p.field.loadVisits();
    p.field.minute.value = p.field.serverNow();
    line = false;
    const card = p.show(VisitCard, { visit: p.field.ownVisits.value[0] });
    const touch = async (text: string) => {
      await card
        .findAll('button')
        .find((b) => b.text() === text)
        ?.trigger('click');
      await settle();
    };
    steady += 1000;
    await touch('已走访');
    await touch('一切正常'); // the second touch of a double one
    expect(p.kinds()).toEqual([]);
    steady += 1000;
    await touch('一切正常');
    expect(p.kinds()).toEqual(['visit']);
    expect(p.field.ownVisits.value.map((v) => [v.id, v.waiting > 0])).toEqual([['31', true]]);
    line = true;
    p.field.outbox.hurry();
    await settle();
    expect(asked.map((a) => [a.path, a.body.text])).toEqual([['/api/v1/visits/31/word', '一切正常']]);
    expect(asked[0]?.key).toMatch(/^[\w-]{22}$/);
    expect(Math.abs(Date.parse(asked[0]?.body.at ?? '') - Date.now() - ahead)).toBeLessThan(5000);
    expect(p.kinds()).toEqual([]);
    card.unmount();
  });

  test('an offer is told as seen only while the list is on screen', async () => {
    const p = phone();
    p.field.saw([offer()]);
    await settle();
    expect(p.kinds()).toEqual([]);
    p.field.listed.value = true;
    p.field.saw([offer()]);
    await settle();
    expect(p.kinds()).toEqual(['seen']);
  });

  test('an answer that comes after the sign-out is not taken', async () => {
    let come = (_: Response) => {};
    const p = phone(() => new Promise((resolve) => (come = resolve)));
    const running = p.field as unknown as { running: boolean };
    for (const signedOut of [false, true]) {
      running.running = true;
      const asked = p.field.load();
      running.running = !signedOut;
      come(Response.json({ items: [offer()] }));
      await asked;
      expect(p.field.known.value.length).toBe(signedOut ? 0 : 1);
      p.field.known.value = [];
      p.kept.delete('offers wang');
    }
    expect(p.kept.has('offers wang')).toBe(false);
  });

  test('a full phone gives the report back to the form', async () => {
    const p = phone();
    p.drawer.full = true;
    p.field.draft.value.title = '围栏倒塌';
    await expect(p.field.report(SPOT)).rejects.toThrow('full');
    expect(p.field.draft.value.title).toBe('围栏倒塌');
    p.drawer.full = false;
    await p.field.report(SPOT);
    expect(p.kinds()).toEqual(['report']);
  });
});
