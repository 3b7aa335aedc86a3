// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// @vitest-environment jsdom

import { describe, expect, test, vi } from 'vitest';
import { emptyDraft } from '../src/field/draft';
import FieldScreen from '../src/field/FieldScreen.vue';
import { leaveNothing } from '../src/field/leave';
import OutboxNote from '../src/field/OutboxNote.vue';
import type { Letter } from '../src/field/outbox';
import ReportForm from '../src/field/ReportForm.vue';
import type { PhoneShelf } from '../src/field/shelf';
import TaskCard from '../src/field/TaskCard.vue';
import MeMenu from '../src/session/MeMenu.vue';
import { SessionStore } from '../src/session/store';
import { letter } from './letters';
import { refuse, session, settle } from './people';
import { offer, onAPhone, phone, photo, SPOT, steady, touch } from './phone';

describe('the way to the notices', () => {
  test.each([
    ['dept_handler', ['/review?view=notices']],
    ['grid_worker', []],
  ])('of %s', async (role, ways) => {
    const p = phone();
    p.session.me.value = { ...session({ role, login: 'wang' }), grid: null };
    const w = p.show(FieldScreen);
    await settle();
    expect(w.findAll('main a').map((a) => a.attributes('href'))).toEqual(ways);
    w.unmount();
  });
});

describe('the page', () => {
  onAPhone();

  test('two touches at once make one report', async () => {
    const p = phone();
    p.field.reports.draft.value.title = '围栏倒塌';
    await Promise.all([p.field.reports.report(SPOT), p.field.reports.report(SPOT)]);
    expect([...p.drawer.letters.values()].map((l) => l.body.title)).toEqual(['围栏倒塌']);
    expect(p.field.reports.draft.value).toEqual(emptyDraft());
  });

  test('a file that is still being made ready goes with its own report', async () => {
    const p = phone();
    p.field.reports.draft.value.title = '围栏倒塌';
    const adding = p.field.reports.addFile('photo', photo('abc'));
    expect(p.field.reports.pending.value).toBe(1);
    await p.field.reports.report(SPOT); // waits for the file: nothing is reported yet
    expect(p.kinds()).toEqual([]);
    await adding;
    await p.field.reports.report(SPOT);
    expect(p.kinds()).toEqual(['report', 'photo']);
  });

  test('a photo has the place of its report, or none: never one of long ago', async () => {
    const p = phone();
    const add = () => p.field.reports.addFile('photo', photo('abc'));
    p.field.reports.draft.value.place = { lon: 107, lat: 38, accuracyM: 12, at: Date.now() };
    await add();
    p.field.reports.draft.value.place = { lon: 107, lat: 38, accuracyM: 12, at: Date.now() - 3_600_000 };
    p.field.duty.me.value = { lon: 108, lat: 39, accuracyM: 12, at: Date.now() - 3_600_000 };
    await add();
    expect(p.field.reports.draft.value.files.map((f) => f.place)).toEqual([{ lon: 107, lat: 38 }, undefined]);
  });

  test('a file that is ready when another one has signed in is nobody else’s', async () => {
    const p = phone();
    const adding = p.field.reports.addFile('photo', photo('abc'));
    p.field.reports.draft.value = emptyDraft();
    await adding;
    expect(p.field.reports.draft.value.files).toEqual([]);
    expect(p.files.size).toBe(0);
  });

  test('a double touch on accepting says nothing of arriving', async () => {
    const p = phone();
    expect(await Promise.all([p.field.offers.act(offer(), 'accept'), p.field.offers.act(offer('accepted'), 'arrive')])).toEqual([
      true,
      false,
    ]);
    steady.ms += 600;
    expect(await p.field.offers.act(offer('accepted'), 'arrive')).toBe(false);
    expect(await p.field.offers.act(offer('accepted'), 'seen')).toBe(true); // the page's own word is no touch
    steady.ms += 100;
    expect(await p.field.offers.act(offer('accepted'), 'arrive')).toBe(true);
    expect(p.kinds()).toEqual(['accept', 'seen', 'arrive']);
  });

  test('touches on two tasks are two, and a clock that is set back makes none of them dead', async () => {
    const p = phone();
    expect(await p.field.offers.act(offer(), 'accept')).toBe(true);
    expect(await p.field.offers.act({ ...offer(), id: '8' }, 'accept')).toBe(true);
    steady.ms += 1000;
    p.timers.time -= 3_600_000;
    expect(await p.field.offers.act(offer('accepted'), 'arrive')).toBe(true);
  });

  test('the touch that opens the form of a reason gives none', async () => {
    const p = phone();
    const task = { ...offer(), expires_at: '2026-03-02T02:00:00Z', made_at: '2026-03-02T01:59:00Z', lead: true, waiting: false };
    Object.assign(task.incident, { grid: [], point: null, id: '5' });
    const card = p.show(TaskCard, { task });
    await touch(card, '不能去');
    await touch(card, '离得太远'); // the second touch of a double one
    expect(p.kinds()).toEqual([]);
    expect(card.find('form').exists()).toBe(true);
    steady.ms += 800;
    await touch(card, '离得太远');
    expect([...p.drawer.letters.values()].map((l) => [l.about.kind, l.body.reason])).toEqual([['decline', '离得太远']]);
    card.unmount();
  });

  test('a refused report comes back once, however often it is asked for, and without a file that is gone', async () => {
    const p = phone((path) => (path === '/api/v1/incidents' ? refuse(422) : undefined));
    await p.field.reports.addFile('photo', photo('abc'));
    await p.field.reports.addFile('photo', photo('abcd'));
    const gone = p.field.reports.draft.value.files[0]?.ref ?? '';
    p.field.reports.draft.value.title = '围栏倒塌';
    await p.field.reports.report(SPOT);
    await settle();
    p.files.delete(gone);
    const report = p.field.refused.value[0] as Letter;
    await Promise.all([p.field.reports.rewrite(report), p.field.reports.rewrite(report)]);
    const { title, files } = p.field.reports.draft.value;
    expect([title, files.map((f) => f.size)]).toEqual(['围栏倒塌', [4]]);
    expect(files.every((f) => p.files.has(f.ref))).toBe(true);
    expect(p.kinds()).toEqual([]);
  });

  test('what is being written is replaced by a second touch only, not by a double one', async () => {
    const p = phone((path) => (path === '/api/v1/incidents' ? refuse(422) : undefined));
    p.field.reports.draft.value.title = '围栏倒塌';
    await p.field.reports.report(SPOT);
    await settle();
    p.field.reports.draft.value.address = '村口';
    await p.drawer.put(letter('b', { refused: { status: 409, detail: '' } }));
    await p.field.outbox.open();
    const note = p.show(OutboxNote);
    const again = () =>
      note
        .findAll('button')
        .find((b) => b.text() === '修改后重报')
        ?.trigger('click');
    await again();
    await again();
    await settle();
    expect(p.field.reports.draft.value.address).toBe('村口');
    steady.ms += 800;
    await again();
    await settle();
    expect([p.field.reports.draft.value.title, p.field.reports.draft.value.address]).toEqual(['围栏倒塌', '']);
    await touch(note, '知道了'); // a double touch on what has come under it
    expect(p.field.refused.value.map((l) => l.ref)).toEqual(['b']);
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
    p.field.reports.categories.value = [SPOT];
    Object.assign(p.field.reports.draft.value, { category: SPOT.code, title: '围栏倒塌', place: { ...old } });
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
    p.field.duty.me.value = { lon: 107, lat: 38, accuracyM: 12, at: Date.now() + 3_600_000 };
    vi.stubGlobal('isSecureContext', true);
    const coords = { longitude: 108, latitude: 39, accuracy: 9, heading: null, speed: null };
    Object.assign(navigator, {
      geolocation: { getCurrentPosition: (found: (p: unknown) => void) => found({ coords, timestamp: Date.now() }) },
    });
    expect(await p.field.duty.where()).toMatchObject({ lon: 108, lat: 39 });
  });

  test.each([
    [{ stored: 0, untrue: 2, off_duty: 0 }, true],
    [{ stored: 0, untrue: 0, off_duty: 2 }, false],
    [{ stored: 1, untrue: 1, off_duty: 0 }, false],
  ])('of places %j the clock is wrong: %s', async (answer, off) => {
    const p = phone((path) => (path === '/api/v1/positions' ? Response.json(answer) : undefined));
    p.fixes.push({ login: 'wang', lon: 107, lat: 38, accuracyM: 9, at: 1 });
    await p.field.duty.end();
    expect(p.fixes).toEqual([]);
    expect(p.field.duty.clockOff.value).toBe(off);
  });

  test('a shift has ended once that is written down, and stays ended where the page closes then', async () => {
    Object.assign(navigator, { geolocation: { watchPosition: () => 1, clearWatch: () => {} } });
    const p = phone();
    const shift = {
      badge: '1',
      started_at: '2020-01-01T00:00:00Z',
      planned_end: '2099-01-01T00:00:00Z',
      ends_at: '2099-01-01T00:00:00Z',
    };
    p.kept.set('shift wang', shift);
    await p.field.start();
    p.drawer.full = true;
    await expect(p.field.duty.end()).rejects.toThrow('full');
    expect([p.field.duty.shift.value, p.kinds()]).toEqual([shift, []]);
    p.drawer.full = false;
    p.drawer.forget = () => new Promise(() => {}); // the page ends before the shift is forgotten
    void p.field.duty.end();
    await settle();
    expect([p.field.duty.shift.value, p.kinds()]).toEqual([null, ['endShift']]);
    p.field.stop();
    await p.field.start();
    expect(p.field.duty.shift.value).toBeNull();
    p.field.stop();
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
    steady.ms += 600;
    await leave(); // the second touch of a double one
    await settle();
    expect([p.drawer.letters.size, p.wiped]).toEqual([3, []]);
    steady.ms += 200;
    await leave();
    await settle();
    expect([...p.drawer.letters.keys()]).toEqual(['b']);
    expect(p.wiped).toEqual(['wang']);
    menu.unmount();
  });

  test.each(['signs out', 'is followed by another'])('a file that is made ready while its writer %s is nobody’s', async (how) => {
    const p = phone();
    const task = offer();
    Object.assign(task.incident, { id: '5' });
    const film = photo('abc');
    const bytes = await film.arrayBuffer();
    let hashed = () => {};
    film.arrayBuffer = () => new Promise((resolve) => (hashed = () => resolve(bytes)));
    for (const goes of [false, true]) {
      const attached = p.field.reports.attach(task, 'photo', film);
      expect(await p.session.unsentHere()).toBe(1);
      if (goes && how === 'signs out') await p.session.leaving?.('wang');
      if (goes && how !== 'signs out') p.session.login.value = 'li';
      hashed();
      await attached;
      expect([p.kinds(), p.files.size]).toEqual(goes ? [[], 0] : [['photo'], 1]);
      p.drawer.letters.clear();
      p.files.clear();
      p.field.letters.value = [];
    }
  });

  test('an offer is told as seen only while the list is on screen', async () => {
    const p = phone();
    p.field.offers.saw([offer()]);
    await settle();
    expect(p.kinds()).toEqual([]);
    p.field.offers.listed.value = true;
    p.field.offers.saw([offer()]);
    await settle();
    expect(p.kinds()).toEqual(['seen']);
  });

  test('an answer that comes after the sign-out is not taken', async () => {
    let come = (_: Response) => {};
    const p = phone(() => new Promise((resolve) => (come = resolve)));
    for (const signedOut of [false, true]) {
      p.field.running = true;
      const asked = p.field.offers.load();
      p.field.running = !signedOut;
      come(Response.json({ items: [offer()] }));
      await asked;
      expect(p.field.offers.known.value.length).toBe(signedOut ? 0 : 1);
      p.field.offers.known.value = [];
      p.kept.delete('offers wang');
    }
    expect(p.kept.has('offers wang')).toBe(false);
  });

  test('a full phone gives the report back to the form', async () => {
    const p = phone();
    p.drawer.full = true;
    p.field.reports.draft.value.title = '围栏倒塌';
    await expect(p.field.reports.report(SPOT)).rejects.toThrow('full');
    expect(p.field.reports.draft.value.title).toBe('围栏倒塌');
    p.drawer.full = false;
    await p.field.reports.report(SPOT);
    expect(p.kinds()).toEqual(['report']);
  });
});
