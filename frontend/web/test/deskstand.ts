// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// A desk with a server of its own, for tests.

import { mount } from '@vue/test-utils';
import { type Component, type Ref, ref } from 'vue';
import { DeskApi } from '../src/desk/api';
import { DESK, Desk } from '../src/desk/desk';
import type { Case } from '../src/desk/types';
import { makeI18nOf } from '../src/i18n';
import { deskEn } from '../src/i18n/desk.en';
import { deskZh } from '../src/i18n/desk.zh-CN';
import { Http } from '../src/session/http';
import type { SessionStore } from '../src/session/store';
import { FakeTimers, incident } from './helpers';
import { FakeServer, json, refuse } from './people';

export const NO_REMARKS = { requests: [], instructions: [], sessions: [], call_backs: [], assistants: [] };

/** A session of somebody, by the role. */
export const asDispatcher = (http: Http, role: Ref<string> = ref('dispatcher'), me: Ref<object> = ref({}), locked = ref(false)) =>
  ({
    http,
    locked,
    me: {
      get value() {
        return { role: role.value, ...me.value };
      },
    },
  }) as unknown as SessionStore;

export const make = (id: string, more: Partial<Case> = {}) =>
  ({
    ...incident(id),
    version: 1,
    ack_due: null,
    stage_due: null,
    late: false,
    owner_level: 2,
    source: 'phone',
    ...more,
  }) as Case;
/** A desk whose server holds incidents as `cases` says, and tells what was sent of which version. */
export function standOf(...cases: Case[]) {
  const remarks = new Map<string, unknown>();
  const role = ref('dispatcher');
  const me = ref<object>({}); // beside the role
  const locked = ref(false);
  window.matchMedia ??= (() => ({ matches: false })) as never;
  const held = new Map(cases.map((c) => [c.id, c]));
  const journals = new Map(cases.map((c) => [c.id, [entry(1, 'report', 'account:1')]]));
  const sent: { what: string; match: string; key: string; body: Record<string, unknown> }[] = [];
  const server = new FakeServer().on('GET /supervisions', () => json({ items: [] }));
  const worker = (id: string, rank: number) => ({
    worker_id: id,
    badge: `W${id}`,
    rank,
    score: 1,
    reasons: [],
    fix_age_s: 1,
    relation: 'own_grid',
  });
  const guarded = (id: string, heads: () => string, then: (c: Case) => Response) => {
    const c = held.get(id) as Case;
    return heads() === `"${c.version}"` ? then(c) : refuse(409, { detail: 'moved', possible: ['escalate'] });
  };
  let match = '';
  for (const { id } of cases) {
    const at = `/incidents/${id}`;
    for (const part of ['offers', 'whistles', 'attachments']) server.on(`GET ${at}/${part}`, () => json({ items: [] }));
    server
      .on(`GET ${at}`, () => json(held.get(id)))
      .on(`GET ${at}/journal`, () => json({ items: journals.get(id) }))
      .on(`GET ${at}/duplicates`, () => json({ items: [] }))
      .on(`GET ${at}/remarks`, () => json(remarks.get(id) ?? NO_REMARKS))
      .on(`GET ${at}/candidates`, () => json({ items: [worker('12', 1), worker('13', 2)], excluded: [], left_out: [], of: 2 }))
      .on(`POST ${at}/offers`, () =>
        guarded(
          id,
          () => match,
          () => json({ items: [] }, 201),
        ),
      )
      .on(`POST ${at}/actions`, ({ body }) =>
        guarded(
          id,
          () => match,
          (c) => {
            const { action } = body as { action: string };
            const state = { accept: 'accepted', route: 'routed' }[action] ?? c.state;
            held.set(id, { ...c, state, version: c.version + 1 });
            return json({ ...held.get(id), possible: undefined });
          },
        ),
      );
  }
  const http = new Http({ unauthorised: () => {}, locked: () => {} }, (path, init) => {
    const h = new Headers(init.headers);
    match = h.get('if-match') ?? '';
    if (init.method !== 'GET')
      sent.push({
        what: path.replace('/api/v1/incidents/', ''),
        match,
        key: h.get('idempotency-key') ?? '',
        body: JSON.parse(String(init.body ?? 'null')),
      });
    return server.fetch(path, init);
  });
  const timers = new FakeTimers();
  const desk = new Desk(asDispatcher(http, role, me, locked), new DeskApi(http), timers);
  /** Somebody else moves an incident on. */
  const raise = (id: string, more: Partial<Case> = {}) => {
    const c = held.get(id) as Case;
    held.set(id, { ...c, version: c.version + 1, ...more });
    journals.get(id)?.push(entry(c.version + 1, 'correct', 'account:2'));
  };
  const show = (component: Component) =>
    mount(component, {
      global: { plugins: [makeI18nOf('zh-CN', { 'zh-CN': deskZh, en: deskEn })], provide: { [DESK as symbol]: desk } },
      attachTo: document.body,
    });
  return { server, desk, timers, sent, raise, show, held, remarks, journals, role, me, locked };
}
export const entry = (n: number, kind: string, actor: string) => ({
  n,
  kind,
  actor,
  at: '2026-11-22T08:00:00+08:00',
  device_at: null,
});
