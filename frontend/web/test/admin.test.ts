// @vitest-environment jsdom
// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

import { readdirSync, readFileSync } from 'node:fs';
import { enableAutoUnmount } from '@vue/test-utils';
import axe from 'axe-core';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import AdminPage from '../src/admin/AdminPage.vue';
import type { Account, Grant } from '../src/admin/api';
import { rowsOf } from '../src/admin/record';
import { isMine, mayAgree, mayMakeFirstSystem, pageOf, rightsOf, sectionIn, sift } from '../src/admin/rights';
import { adminEn } from '../src/i18n/admin.en';
import { adminZh } from '../src/i18n/admin.zh-CN';
import { moment, when } from '../src/ui/when';
import { dialogs, json, none, refuse, session, settle, stage } from './people';

const grant = (more: Partial<Grant> = {}): Grant => ({
  id: 7,
  role: 'dispatcher',
  grid: '150623',
  department: null,
  sensitive: false,
  state: 'active',
  proposed_by: 'chief',
  needs: [],
  reason: 'shift',
  ...more,
});
const account = (more: Partial<Account> = {}): Account => ({
  id: 3,
  login: 'bao',
  state: 'active',
  second_factor: true,
  signed_in_at: '2026-11-22T07:30:00+08:00',
  grant: null,
  proposed: null,
  ...more,
});
const waitingAuditor = grant({ id: 9, role: 'auditor', grid: null, state: 'proposed', needs: ['system_admin'] });

const credentials = [
  {
    id: 1,
    kind: 'session',
    role: 'dispatcher',
    grid: '150623',
    login: 'bao',
    created_at: '2026-11-22T07:30:00+08:00',
    expires_at: null,
    seen_at: null,
  },
  {
    id: 2,
    kind: 'session',
    role: 'wall',
    grid: '150623',
    wall: '主屏',
    created_at: '2026-11-22T07:30:00+08:00',
    expires_at: null,
    seen_at: null,
  },
];
const record = (id: number, more: Record<string, unknown> = {}) => ({
  id,
  at: '2026-11-22T08:00:00+08:00',
  actor: 'account:3',
  request_id: `r${id}`,
  action: 'grant.propose',
  object: 'account/3',
  reason: 'shift',
  data: { before: { role: 'dispatcher' }, after: { role: 'auditor' } },
  sealed: id < 2,
  ...more,
});

beforeEach(() => {
  dialogs();
  document.body.innerHTML = '';
  history.replaceState(null, '', '/admin');
});
enableAutoUnmount(afterEach);

async function open(role: string, hash = '', accounts: Account[] = [account()]) {
  history.replaceState(null, '', `/admin${hash}`);
  const s = stage();
  s.server
    .on('GET /session', () => json(session({ role, login: 'me' })))
    .on('POST /session/alive', none)
    .on('GET /accounts', () => json({ items: accounts, cursor: '' }))
    .on('GET /credentials', () => json({ items: credentials, cursor: '' }))
    .on('GET /audit', () => json({ items: [record(2), record(1)], cursor: '' }))
    .on('GET /audit/seal', () => json({ sealed: 12, waiting: 1, hash: 'ab'.repeat(32), at: '2026-11-22T08:00:00+08:00' }))
    .on('GET /status', () => json({ demo: true, loading: null, head: 42, time: '2026-11-22T08:00:00+08:00', version: 'v1' }));
  await s.store.start(null);
  const w = s.show(AdminPage);
  await settle();
  const button = (text: string) => {
    const b = w.findAll('button').filter((x) => x.text() === text || x.attributes('aria-label') === text);
    if (!b.length) throw new Error(`no button ${text}`);
    return b.at(-1) as (typeof b)[number];
  };
  const field = (label: string) => {
    const l = w
      .findAll('label')
      .filter((x) => x.text().startsWith(label))
      .at(-1);
    if (!l) throw new Error(`no field ${label}`);
    return w.get(`[id="${l.attributes('for')}"]`);
  };
  return {
    ...s,
    w,
    button,
    field,
    buttons: () => w.findAll('button').map((b) => b.text()),
    press: async (text: string) => {
      await button(text).trigger('click');
      await settle();
    },
    send: async () => {
      await w.findAll('form').at(-1)?.trigger('submit');
      await settle();
    },
  };
}

describe('who sees what', () => {
  test.each([
    ['system_admin', ['accounts', 'grids', 'audit', 'status']],
    ['security_admin', ['accounts', 'credentials', 'audit', 'status']],
    ['auditor', ['audit', 'accounts', 'credentials', 'status']],
  ])('%s', async (role, sections) => {
    const { w } = await open(role);
    expect(w.findAll('nav a').map((a) => a.attributes('href'))).toEqual(sections.map((s) => `#/${s}`));
    expect(w.get('nav a[aria-current=page]').attributes('href')).toBe(`#/${sections[0]}`);
  });

  test.each([
    ['dispatcher', '/desk'],
    ['hall_operator', '/desk'],
    ['town_operator', '/desk'],
    ['village_head', '/desk'],
    ['county_leader', '/review'],
    ['dept_handler', '/field'],
    ['grid_worker', '/field'],
  ])('%s is told of %s, and nothing is asked for them', async (role, page) => {
    const { w, server } = await open(role, '#/accounts');
    expect(w.find('nav').exists()).toBe(false);
    expect(w.get('main').text()).toContain(page);
    const opens = w.findAll('main a').map((a) => a.attributes('href'));
    expect(opens).toEqual([page]);
    expect(w.get('main').text()).not.toContain('还没有开放');
    expect(server.asked.map((a) => a.path)).toEqual(['/session']);
  });

  test('a wall is sent to its page and cannot be signed out from here', async () => {
    const { w, buttons } = await open('wall');
    expect(w.get('main a').attributes('href')).toBe('/wall');
    expect(buttons().join()).not.toContain('me');
    expect(pageOf('wall')).toBe('wall');
  });

  test('an address of a section that is not theirs opens their first', () => {
    const system = rightsOf('system_admin');
    if (!system) throw new Error('no rights');
    expect(['#/audit', '#/credentials', '#/nonsense', '', '#/constructor'].map((h) => sectionIn(h, system))).toEqual([
      'audit',
      'accounts',
      'accounts',
      'accounts',
      'accounts',
    ]);
    expect([rightsOf('wall'), rightsOf('constructor')]).toEqual([null, null]);
  });

  test('a grid is chosen by name, and may be typed when the list does not come', async () => {
    const s = await open('security_admin', '#/credentials');
    s.server.on('GET /grids', (a) =>
      json({ items: [{ code: `15${a.query.level}`, name: `东镇${a.query.level}`, level: Number(a.query.level) }] }),
    );
    await s.press('新建令牌');
    expect(s.w.findAll('datalist option').map((o) => o.text())).toEqual(['东镇1', '东镇2', '东镇3']);
    expect(s.field('网格编码').attributes('list')).toBe(s.w.get('datalist').attributes('id'));
    s.server.on('GET /grids', () => refuse(503));
    await s.press('取消');
    await s.press('新建大屏链接');
    expect(s.w.find('dialog [role=alert]').exists()).toBe(false);
  });

  test('the auditor can change nothing in any section', async () => {
    for (const hash of ['#/accounts', '#/credentials', '#/audit', '#/status']) {
      const { w, buttons } = await open('auditor', hash, [account({ grant: grant(), proposed: waitingAuditor })]);
      expect(w.get('h1').text()).toBeTruthy();
      for (const act of ['新建账号', '新建系统管理员账号', '新建令牌', '新建大屏链接', '作废'])
        expect(buttons()).not.toContain(act);
      w.unmount();
    }
    const { buttons, press } = await open('auditor', '#/accounts', [account({ grant: grant(), proposed: waitingAuditor })]);
    await press('查看 bao');
    for (const act of ['授权', '同意授权', '撤销授权', '停用', '重新邀请', '撤回这项授权']) expect(buttons()).not.toContain(act);
  });
});

describe('agreement', () => {
  const me = { role: 'system_admin', login: 'me' };
  test.each([
    ['waits for this role', waitingAuditor, me, true],
    ['waits for the other role', waitingAuditor, { ...me, role: 'security_admin' }, false],
    ['was proposed by this person', { ...waitingAuditor, proposed_by: 'me' }, me, false],
    ['an auditor never agrees', { ...waitingAuditor, needs: ['auditor'] }, { ...me, role: 'auditor' }, false],
    ['needs nobody', { ...waitingAuditor, needs: null }, me, false],
    ['is not there', null, me, false],
  ])('%s', (_, g, who, may) => {
    expect(mayAgree(g, who)).toBe(may);
  });

  test('proposed_by is compared whole', () => {
    expect([isMine(grant({ proposed_by: 'me2' }), 'me'), isMine(grant({ proposed_by: 'me' }), 'me')]).toEqual([false, true]);
  });

  test('shows who still has to, and sends the reason', async () => {
    const { w, server, press, field, send } = await open('system_admin', '', [account({ proposed: waitingAuditor })]);
    expect(w.get('tbody').text()).toContain('还需同意：系统管理员');
    server.on('POST /grants/9/approval', () => json(grant({ id: 9, role: 'auditor' })));
    await press('查看 bao');
    await press('同意授权');
    await send();
    expect(server.count('POST /grants/9/approval')).toBe(0); // a reason is needed
    await field('理由').setValue(' annual audit ');
    await send();
    expect(server.last('POST /grants/9/approval')?.body).toEqual({ reason: 'annual audit' });
    expect(server.count('GET /accounts')).toBe(2);
  });
});

describe('accounts', () => {
  test('are searched by login, badge, role and grid, and sifted', () => {
    const all = [
      account({ id: 1, login: 'bao', grant: grant() }),
      account({ id: 2, login: 'chen', badge: 'W0017', proposed: waitingAuditor }),
      account({ id: 3, login: 'dai', state: 'disabled' }),
    ];
    const name = (r: string) => (r === 'dispatcher' ? '调度员' : r);
    const ids = (show: Parameters<typeof sift>[1], text: string) => sift(all, show, text, name).map((a) => a.id);
    expect([ids('all', ''), ids('all', 'w0017'), ids('all', '调度'), ids('all', '150623'), ids('all', 'nobody')]).toEqual([
      [1, 2, 3],
      [2],
      [1],
      [1],
      [],
    ]);
    expect([ids('waiting', ''), ids('bare', ''), ids('disabled', ''), ids('disabled', 'bao')]).toEqual([[2], [2], [3], []]);
  });

  test('every page of the list is read', async () => {
    const s = await open('auditor', '#/status');
    s.server.on('GET /accounts', (a) =>
      a.query.cursor ? json({ items: [account({ id: 2, login: 'second' })] }) : json({ items: [account()], cursor: 'c1' }),
    );
    history.replaceState(null, '', '/admin#/accounts');
    dispatchEvent(new Event('hashchange'));
    await settle();
    expect(s.w.findAll('tbody tr').length).toBe(2);
    expect(s.server.last('GET /accounts')?.query).toEqual({ limit: '200', cursor: 'c1' });
  });

  test('a new one shows its invitation once', async () => {
    const { w, server, press, field, send } = await open('system_admin');
    server.on('POST /accounts', () =>
      json(
        {
          account: account({ login: 'new' }),
          invite: { link: 'http://hall/admin#invite=XYZ', expires: '2026-11-25T08:00:00+08:00' },
        },
        201,
      ),
    );
    await press('新建账号');
    await field('账号').setValue('NEW');
    await send();
    expect(server.count('POST /accounts')).toBe(0);
    await field('账号').setValue('new');
    await send();
    expect(server.last('POST /accounts')?.body).toEqual({ login: 'new' });
    expect((w.get('.once textarea').element as HTMLTextAreaElement).value).toBe('http://hall/admin#invite=XYZ');
    expect(w.get('dialog').text()).toContain('2026-11-25 08:00');
    await press('关闭');
    expect(w.html()).not.toContain('XYZ');
  });

  test('a refusal is shown in the form, with the fault the server names', async () => {
    const { w, server, press, field, send } = await open('system_admin');
    server.on('POST /accounts', () => refuse(409, { detail: 'this login is taken' }));
    await press('新建账号');
    await field('账号').setValue('bao');
    await send();
    expect(w.get('dialog [role=alert]').text()).toContain('this login is taken');
  });

  test('a security administrator may make the first system administrator and no other', async () => {
    expect([
      mayMakeFirstSystem('security_admin', [account()]),
      mayMakeFirstSystem('security_admin', [account({ grant: grant({ role: 'system_admin' }) })]),
      mayMakeFirstSystem('security_admin', [account({ proposed: grant({ role: 'system_admin' }) })]),
      mayMakeFirstSystem('security_admin', [account({ state: 'disabled', grant: grant({ role: 'system_admin' }) })]),
      mayMakeFirstSystem('auditor', []),
    ]).toEqual([true, false, false, true, false]);
    const { server, press, field, send } = await open('security_admin');
    server.on('POST /accounts', () =>
      json({ account: account(), invite: { link: 'http://hall/admin#invite=A', expires: '' } }, 201),
    );
    await press('新建系统管理员账号');
    await field('账号').setValue('sys');
    await field('理由').setValue('first one');
    await send();
    expect(server.last('POST /accounts')?.body).toEqual({
      login: 'sys',
      grant: { role: 'system_admin', sensitive: false, reason: 'first one' },
    });
  });

  test('a grant is sent with what its role needs and nothing else', async () => {
    const { server, press, field, send, w } = await open('security_admin');
    server.on('POST /accounts/3/grants', () => json(grant(), 201));
    await press('查看 bao');
    await press('授权');
    await field('角色').setValue('dispatcher');
    await w.findAll('input[type=checkbox]').at(-1)?.setValue(true);
    await field('角色').setValue('dept_handler');
    await field('理由').setValue('new post');
    await send();
    expect(server.count('POST /accounts/3/grants')).toBe(0); // the department is missing
    await field('部门').setValue('消防');
    await field('网格编码').setValue(' 150623 ');
    await send();
    expect(server.last('POST /accounts/3/grants')?.body).toEqual({
      role: 'dept_handler',
      grid: '150623',
      department: '消防',
      sensitive: false,
      reason: 'new post',
    });
  });

  test.each([
    ['security_admin', '撤销授权', '撤销授权', 'DELETE /grants/7'],
    ['system_admin', '停用', '停用', 'POST /accounts/3/disable'],
    ['security_admin', '停用', '停用', 'POST /accounts/3/disable'],
  ])('%s: %s asks for a reason first', async (role, act, confirm, route) => {
    const { server, press, field, send, button } = await open(role, '', [account({ grant: grant() })]);
    server.on(route, () => (route.startsWith('DELETE') ? none() : json(account({ state: 'disabled' }))));
    await press('查看 bao');
    await press(act);
    expect(button(confirm).attributes('type')).toBe('submit');
    await send();
    expect(server.count(route)).toBe(0);
    await field('理由').setValue('left the county');
    await send();
    const asked = server.last(route);
    expect(asked?.query.reason ?? (asked?.body as { reason: string } | undefined)?.reason).toBe('left the county');
  });

  test('nobody acts on their own account', async () => {
    for (const role of ['system_admin', 'security_admin']) {
      const { w, press, buttons } = await open(role, '', [account({ login: 'me', grant: grant({ role }) })]);
      await press('查看 me');
      for (const act of ['授权', '停用', '撤销授权', '重新邀请']) expect(buttons()).not.toContain(act);
      w.unmount();
    }
  });

  test('a new invitation is shown once', async () => {
    const { w, server, press } = await open('system_admin');
    server.on('POST /accounts/3/invite', () =>
      json({ link: 'http://hall/admin#invite=AGAIN', expires: '2026-11-25T08:00:00+08:00' }, 201),
    );
    await press('查看 bao');
    await press('重新邀请');
    expect(server.count('POST /accounts/3/invite')).toBe(0); // asked back first
    await press('重新邀请');
    expect((w.get('.once textarea').element as HTMLTextAreaElement).value).toContain('AGAIN');
  });
});

describe('credentials', () => {
  test('a wall is told from a sign-in, and revoked with a reason', async () => {
    const { w, server, press, field, send } = await open('security_admin', '#/credentials');
    expect(w.findAll('tbody tr').map((r) => r.findAll('td')[0]?.text())).toEqual(['登录', '大屏']);
    server.on('DELETE /credentials/2', none);
    await press('作废 大屏 主屏');
    await field('理由').setValue('stolen');
    await send();
    expect(server.last('DELETE /credentials/2')?.query).toEqual({ reason: 'stolen' });
    expect(w.find('dialog').exists()).toBe(false);
  });

  test('a token is shown once', async () => {
    const { w, server, press, field, send } = await open('security_admin', '#/credentials');
    server.on('POST /tokens', () => json({ id: 5, token: 'tok-secret', expires: '2027-02-20T08:00:00+08:00' }, 201));
    await press('新建令牌');
    await field('用途说明').setValue('hotline');
    await field('有效期').setValue('30');
    await send();
    expect(server.last('POST /tokens')?.body).toEqual({ role: 'hall_operator', expires_s: 2_592_000, note: 'hotline' });
    expect((w.get('.once textarea').element as HTMLTextAreaElement).value).toBe('tok-secret');
    await press('关闭');
    expect(w.html()).not.toContain('tok-secret');
  });

  test('no machine is an administrator', async () => {
    const { w, press } = await open('security_admin', '#/credentials');
    await press('新建令牌');
    const roles = w.findAll('dialog option').map((o) => o.attributes('value'));
    expect(roles.filter((r) => /admin|leader|auditor/.test(r ?? ''))).toEqual([]);
    expect(roles).toContain('grid_worker');
  });

  test("a wall's link takes layers and addresses", async () => {
    const { server, press, field, send, w } = await open('security_admin', '#/credentials');
    server.on('POST /walls', () => json({ link: 'http://hall/wall#code=C', expires: '2026-11-22T08:10:00+08:00' }, 201));
    await press('新建大屏链接');
    await field('大屏名称').setValue('主屏');
    await send();
    expect(server.count('POST /walls')).toBe(0); // letters and digits only
    await field('大屏名称').setValue('hall-1');
    await w.get('input[value=cameras]').setValue(false);
    await field('允许的地址').setValue('10.1.2.0/24\n10.1.3.4， 10.1.3.5');
    await send();
    expect(server.last('POST /walls')?.body).toEqual({
      name: 'hall-1',
      layers: ['grids', 'roads'],
      addresses: ['10.1.2.0/24', '10.1.3.4', '10.1.3.5'],
    });
  });
});

describe('audit', () => {
  test('shows the seal, filters in the zone of the county, and goes on where it stopped', async () => {
    const { w, server, field, send, press } = await open('auditor');
    expect(w.get('.seal').text()).toContain('已封存 12 条');
    server.on('GET /audit', (a) => json({ items: [record(a.query.cursor ? 4 : 5)], cursor: a.query.cursor ? '' : 'c5' }));
    await field('从').setValue('2026-11-22T08:00');
    await field('操作者').setValue('bao'); // the login of account 3
    await send();
    expect(server.last('GET /audit')?.query).toEqual({ from: '2026-11-22T08:00:00+08:00', actor: 'account:3', limit: '50' });
    expect(w.get('tbody').text()).toContain('bao account:3');
    expect(w.get('tbody').text()).toContain('提出授权 grant.propose');
    expect(server.count('GET /audit/seal')).toBe(2); // as new as the records
    await field('操作者').setValue('changed, not asked yet');
    await press('继续加载');
    expect(server.last('GET /audit')?.query).toEqual({
      from: '2026-11-22T08:00:00+08:00',
      actor: 'account:3',
      limit: '50',
      cursor: 'c5',
    });
    expect(w.findAll('button.fold').length).toBe(2);
    expect(w.findAll('button').some((b) => b.text() === '继续加载')).toBe(false);
  });

  test('acts are told in words: those over a limit too, and one that has none by its code', async () => {
    const { w, server, send } = await open('auditor');
    server.on('GET /audit', () =>
      json({ items: ['export.rows.refused', 'thing.change', 'incident'].map((action, id) => record(id, { action })) }),
    );
    await send();
    expect(w.findAll('tbody td:nth-child(4)').map((x) => x.text())).toEqual([
      '导出明细（超出限额） export.rows.refused',
      'thing.change',
      'incident',
    ]);
  });

  test('a record unfolds to before and after', async () => {
    const { w, press } = await open('auditor');
    expect(w.find('.change').exists()).toBe(false);
    await press('展开第 2 条');
    expect(w.get('.change tbody').text()).toBe('roledispatcherauditor');
    expect(w.get('button.fold').attributes('aria-expanded')).toBe('true');
    await press('收起第 2 条');
    expect(w.find('.change').exists()).toBe(false);
  });

  test('others than the auditor read their own acts, and no seal is asked for', async () => {
    const s = stage();
    s.server.on('GET /session', () => json(session({ role: 'system_admin' }))).on('GET /audit', () => json({ items: [] }));
    history.replaceState(null, '', '/admin#/audit');
    await s.store.start(null);
    const w = s.show(AdminPage);
    await settle();
    expect(w.find('.seal').exists()).toBe(false);
    expect(s.server.count('GET /audit/seal')).toBe(0);
    expect(w.find('[role=alert]').exists()).toBe(false);
    expect(w.text()).toContain('只有您自己的');
    expect(w.findAll('label').some((l) => l.text() === '操作者')).toBe(false);
  });

  test.each<[string, unknown, [string, string, string][]]>([
    [
      'a change',
      { before: { a: 1, b: 'x' }, after: { a: 2, b: 'x' } },
      [
        ['a', '1', '2'],
        ['b', 'x', 'x'],
      ],
    ],
    ['something made', { after: { a: [1] } }, [['a', '', '[1]']]],
    ['something ended', { before: { a: true }, after: null }, [['a', 'true', '']]],
    ['something else', { grid: '15', place: '', note: null }, [['grid', '', '15']]],
    [
      'a change with more',
      { before: 'x', after: 'y', note: 'n' },
      [
        ['', 'x', 'y'],
        ['note', '', 'n'],
      ],
    ],
    ['nothing', null, []],
    ['a word', 'word', [['', '', 'word']]],
  ])('rows of %s', (_, data, rows) => {
    expect(rowsOf(data).rows.map((r) => [r.field, r.before, r.after])).toEqual(rows);
  });
});

describe('hostile and odd answers', () => {
  const nasty = '<img src=x onerror=alert(1)>{{1+1}}';

  test('are shown as text', async () => {
    const { w } = await open('auditor', '#/accounts', [account({ login: nasty, badge: nasty, grant: grant({ grid: nasty }) })]);
    expect(w.find('main img').exists()).toBe(false);
    expect(w.get('tbody').text()).toContain(nasty);
  });

  test('a missing list is an empty one', async () => {
    const s = stage();
    s.server.on('GET /session', () => json(session({ role: 'auditor' }))).on('GET /accounts', () => json({ items: null }));
    history.replaceState(null, '', '/admin#/accounts');
    await s.store.start(null);
    const w = s.show(AdminPage);
    await settle();
    expect(w.text()).toContain('没有符合条件的账号');
  });
});

describe('times', () => {
  test('are written and read in the zone of the county', () => {
    expect([when('2026-11-21T16:00:30Z'), when('2026-11-21T16:00:30Z', true), when(null), when('nonsense')]).toEqual([
      '2026-11-22 00:00',
      '2026-11-22 00:00:30',
      '',
      '',
    ]);
    expect([moment('2026-11-22T08:00'), moment('2026-11-22T08:00:05'), moment('')]).toEqual([
      '2026-11-22T08:00:00+08:00',
      '2026-11-22T08:00:05+08:00',
      '',
    ]);
  });
});

describe('accessibility', () => {
  const faults = async () => {
    HTMLCanvasElement.prototype.getContext = () => null; // jsdom has none, and says so each time
    const found = await axe.run(document.body, {
      runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'],
      rules: { 'color-contrast': { enabled: false } }, // jsdom paints nothing; light.test.ts holds contrast
    });
    return found.violations.map((v) => `${v.id}: ${v.nodes[0]?.html}`);
  };

  test.each(['#/accounts', '#/credentials', '#/audit', '#/status'])('%s has no fault', async (hash) => {
    await open('security_admin', hash);
    expect(await faults()).toEqual([]);
  });

  test.each([
    ['#/accounts', '新建系统管理员账号'],
    ['#/accounts', '查看 bao'],
    ['#/credentials', '新建令牌'],
    ['#/credentials', '新建大屏链接'],
  ])('%s: the dialog %s has no fault', async (hash, act) => {
    const { press } = await open('security_admin', hash);
    await press(act);
    expect(await faults()).toEqual([]);
  });
});

describe('the catalogue', () => {
  const leaves = (o: unknown, at = ''): string[] =>
    typeof o === 'object' && o !== null
      ? Object.entries(o).flatMap(([k, v]) => leaves(v, at ? `${at}.${k}` : k))
      : [`${at}=${[...String(o).matchAll(/\{\w+\}/g)].sort().join('')}`];
  const keys = leaves(adminZh).map((x) => x.split('=')[0] as string);
  const folder = (name: string) => `${__dirname}/../src/${name}`;
  const files = ['admin', 'session', 'ui'].flatMap((d) =>
    readdirSync(folder(d))
      .filter((f) => /\.(vue|ts)$/.test(f))
      .map((f) => [`${d}/${f}`, readFileSync(`${folder(d)}/${f}`, 'utf8')] as const),
  );

  test('has every text in both languages, with the same places to fill', () => {
    expect(leaves(adminEn)).toEqual(leaves(adminZh));
  });

  test.each(files)('%s asks only for texts that are there', (_, text) => {
    for (const m of text.matchAll(/\bt\(\s*(['`])([^'`]+)\1/g)) {
      const key = (m[2] as string).split('${')[0] as string;
      expect(m[2] === key ? keys.includes(key) : keys.some((k) => k.startsWith(key)), key).toBe(true);
    }
  });

  test.each(files)('%s holds no text of its own, no raw HTML and no inline style', (name, text) => {
    const code = text.replace(/<!--.*?-->|\/\/.*|\/\*[\s\S]*?\*\//g, '').replace('[\\s,，;；]', '');
    expect(/[\u3000-\u9fff\uff00-\uffef]/.test(code), name).toBe(false);
    expect(/v-html|innerHTML|\sstyle="/.test(code), name).toBe(false);
  });
});
