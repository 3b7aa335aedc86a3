// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// The field page on a phone in jsdom: its shelf is a drawer, and the server's answers are given by path.

import { Blob, File } from 'node:buffer';
import { mount, type VueWrapper } from '@vue/test-utils';
import { afterAll, beforeAll, vi } from 'vitest';
import type { Component } from 'vue';
import type { Category } from '../src/field/draft';
import { FIELD, Field } from '../src/field/field';
import type { PhoneShelf } from '../src/field/shelf';
import type { Task } from '../src/field/tasks';
import type { KeptFix } from '../src/field/tracker';
import { makeI18nOf } from '../src/i18n';
import { fieldEn } from '../src/i18n/field.en';
import { fieldZh } from '../src/i18n/field.zh-CN';
import { SESSION, SessionStore } from '../src/session/store';
import { FakeTimers } from './helpers';
import { Drawer } from './letters';
import { dialogs, settle } from './people';

/** The clock that nobody sets, in ms: touches are told apart by it. */
export const steady = { ms: 0 };

/** What a phone's browser has that jsdom has not, for the tests of one describe. */
export function onAPhone(): void {
  beforeAll(() => {
    vi.spyOn(performance, 'now').mockImplementation(() => steady.ms);
    dialogs();
    vi.stubGlobal('Blob', Blob); // jsdom's have no bytes that can be hashed
    vi.stubGlobal('File', File);
    vi.stubGlobal('navigator', {});
    vi.stubGlobal(
      'WebSocket',
      class {
        close() {}
      },
    ); // one that never opens
    vi.spyOn(document, 'visibilityState', 'get').mockReturnValue('visible');
  });
  afterAll(() => {
    vi.restoreAllMocks();
    vi.unstubAllGlobals();
  });
}

export const photo = (bytes: string) => new File([bytes], 'IMG.jpg', { type: 'image/jpeg' }) as unknown as globalThis.File;

export const SPOT: Category = {
  code: '0402',
  name: '围栏',
  top: '04',
  top_name: '牧区',
  priority: 3,
  on_the_spot: false,
  evidence: false,
};

export const offer = (state = 'offered') =>
  ({ id: '7', state, live: true, incident: { title: '井盖丢失', priority: 2 } }) as Task;

/** The controller on a phone whose shelf is a drawer; the server's answers are given by path, else there is no line. */
export function phone(answer: (path: string, init: RequestInit) => Promise<Response> | Response | undefined = () => undefined) {
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
    tidyFiles: async () => {},
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

/** Touches the button of a name. */
export async function touch(on: VueWrapper, text: string): Promise<void> {
  await on
    .findAll('button')
    .find((b) => b.text() === text)
    ?.trigger('click');
  await settle();
}
