// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// A server for the pages with people, by the contract of its routes: a test says
// what each route answers, and reads what was asked.

import { mount } from '@vue/test-utils';
import type { Component } from 'vue';
import { ADMIN, AdminApi } from '../src/admin/api';
import { makeI18nOf } from '../src/i18n';
import { adminEn } from '../src/i18n/admin.en';
import { adminZh } from '../src/i18n/admin.zh-CN';
import { SESSION, SessionStore } from '../src/session/store';
import { FakeTimers } from './helpers';

export interface Asked {
  method: string;
  path: string;
  query: Record<string, string>;
  body: unknown;
  accept: string;
  /** The name of an act, by which it counts once. */
  key: string;
}
type Answer = Response | Promise<Response>;
type Handler = (asked: Asked) => Answer;

export const json = (body: unknown, status = 200) =>
  new Response(JSON.stringify(body), { status, headers: { 'content-type': 'application/json' } });
export const none = () => new Response(null, { status: 204 });
export const refuse = (status: number, more: Record<string, unknown> = {}, headers: Record<string, string> = {}) =>
  new Response(JSON.stringify({ type: 'about:blank', title: 'no', status, ...more }), {
    status,
    headers: { 'content-type': 'application/problem+json', ...headers },
  });

export class FakeServer {
  asked: Asked[] = [];
  private routes = new Map<string, Handler>();

  /** What `METHOD /path` answers; the path begins after /api/v1. */
  on(route: string, answer: Handler): this {
    this.routes.set(route, answer);
    return this;
  }
  fetch = async (path: string, init: RequestInit): Promise<Response> => {
    const url = new URL(path, 'http://hall');
    const asked: Asked = {
      method: init.method ?? 'GET',
      path: url.pathname.replace('/api/v1', ''),
      query: Object.fromEntries(url.searchParams),
      body: init.body ? JSON.parse(String(init.body)) : undefined,
      accept: new Headers(init.headers).get('accept') ?? '',
      key: new Headers(init.headers).get('idempotency-key') ?? '',
    };
    this.asked.push(asked);
    const answer = this.routes.get(`${asked.method} ${asked.path}`);
    if (!answer) throw new TypeError(`nothing answers ${asked.method} ${asked.path}`);
    return answer(asked);
  };
  /** How often a route was asked. */
  count(route: string): number {
    return this.asked.filter((a) => `${a.method} ${a.path}` === route).length;
  }
  last(route: string): Asked | undefined {
    return this.asked.filter((a) => `${a.method} ${a.path}` === route).at(-1);
  }
}

export const session = (more: Record<string, unknown> = {}) => ({
  role: 'security_admin',
  view: '',
  scope: 's',
  login: 'bai',
  centre: '演示旗综治中心',
  levels: [],
  demo: true,
  grid: null,
  server_time: '2026-11-22T08:00:00+08:00',
  expires: '2026-11-22T20:00:00+08:00',
  locked: false,
  lock_after_s: 0,
  pin: true,
  second_factor: true,
  ...more,
});

/** A page with a server and a clock of its own. */
export function stage() {
  const server = new FakeServer();
  const timers = new FakeTimers();
  const store = new SessionStore(timers, server.fetch);
  const show = (component: Component, props: Record<string, unknown> = {}) =>
    mount(component, {
      props,
      attachTo: document.body,
      global: {
        plugins: [makeI18nOf('zh-CN', { 'zh-CN': adminZh, en: adminEn })],
        provide: { [SESSION as symbol]: store, [ADMIN as symbol]: new AdminApi(store.http) },
      },
    });
  return { server, timers, store, show };
}

/** Lets everything that waits for an answer go on. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 20; i++) await Promise.resolve();
  await new Promise((r) => setTimeout(r, 0));
}

/** jsdom knows dialogs but cannot show them. */
export function dialogs(): void {
  HTMLDialogElement.prototype.showModal = function () {
    this.open = true;
  };
  HTMLDialogElement.prototype.close = function () {
    if (!this.open) return;
    this.open = false;
    this.dispatchEvent(new Event('close'));
  };
}
