// @vitest-environment jsdom
// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// The page of the notices against a server that has four: listed, opened, signed, answered and withdrawn.

import { enableAutoUnmount } from '@vue/test-utils';
import axe from 'axe-core';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { cellWay, formatNotices, parseNotices } from '../src/review/notices/address';
import type { Notice } from '../src/review/notices/api';
import { standingOf } from '../src/review/notices/standing';
import { hasView, VIEWS, viewIn } from '../src/review/views';
import { dialogs, FakeServer, json, refuse, session, settle } from './people';
import { openReview } from './reviewstand';

enableAutoUnmount(afterEach);
beforeEach(() => {
  document.body.innerHTML = '';
  dialogs();
  history.replaceState(null, '', '/review?view=notices');
});

const HOUR_MS = 3_600_000;
const inHours = (h: number) => new Date(Date.now() + h * HOUR_MS).toISOString();
const notice = (id: string, more: Partial<Notice> = {}): Notice => ({
  id,
  state: 'sent',
  title: `火灾多发 ${id}`,
  text: '请排查\n并报结果',
  grid: 'A1',
  grid_name: '甲嘎查',
  unit_grid: 'A',
  unit_name: '甲镇',
  made_at: inHours(-2),
  due: inHours(2),
  read_at: null,
  reminded_at: null,
  replied_at: null,
  in_time: false,
  supervised: false,
  withdrawn_at: null,
  readers: 0,
  own: true,
  signed: false,
  withdrawable: more.own === false, // what others directed to it a unit does not take back
  ...more,
});
const read = { state: 'read', read_at: inHours(-1), readers: 1, signed: true } as const;
const replied = (reply: string) => ({ ...read, state: 'replied', reply, replied_at: inHours(0), in_time: true }) as const;

/** A server that keeps notices; the newest first. */
async function opened(role: string, notices: Notice[], set: (s: FakeServer) => void = () => {}) {
  const server = new FakeServer();
  const kept = new Map(notices.map((n) => [n.id, n]));
  const put = (id: string, more: Partial<Notice>) => {
    kept.set(id, { ...(kept.get(id) as Notice), ...more });
    return json(kept.get(id));
  };
  const grid = role === 'town_operator' ? { code: 'A', name: '甲镇', level: 2 } : { code: '1', name: '演示旗', level: 1 };
  server
    .on('GET /session', () => json(session({ role, login: 'wu', view: 'case', grid })))
    .on('GET /grids', (a) => json({ items: a.query.level === '2' ? [{ code: 'A', name: '甲镇', level: 2 }] : [] }))
    .on('GET /notices', () => json({ items: [...kept.values()], cursor: null }));
  for (const { id } of notices) {
    server
      .on(`GET /notices/${id}`, () => json(kept.get(id)))
      .on(`POST /notices/${id}/read`, () => put(id, read))
      .on(`POST /notices/${id}/reply`, (a) => put(id, replied((a.body as { text: string }).text)))
      .on(`POST /notices/${id}/withdraw`, (a) =>
        put(id, { state: 'withdrawn', withdrawn_at: inHours(0), reason: (a.body as { text: string }).text }),
      );
  }
  set(server);
  const page = await openReview(server, 'notices');
  return { server, page, put };
}
type Page = Awaited<ReturnType<typeof opened>>['page'];
const buttons = (page: Page, within = '') => page.findAll(`${within} button`).map((b) => b.text());
const press = async (page: Page, text: string, within = '') => {
  const found = page.findAll(`${within} button`).find((b) => b.text().startsWith(text));
  expect(found, text).toBeTruthy();
  await found?.trigger('click');
  await settle();
};
const acts = (page: Page) => (page.find('.sheet > .acts').exists() ? buttons(page, '.sheet > .acts') : []);
const write = async (page: Page, text: string) => {
  await page.find('dialog textarea').setValue(text);
  await page.find('dialog form').trigger('submit');
  await settle();
};
const clean = async (page: Page) => {
  const found = await axe.run(page.element as Element, { rules: { 'color-contrast': { enabled: false } } });
  expect(found.violations.map((v) => v.id)).toEqual([]);
};

describe('the notices', () => {
  test('are listed newest first, each with its area, unit, due time and how it stands', async () => {
    const { page } = await opened('dispatcher', [
      notice('9'),
      notice('8', { due: inHours(-1), supervised: true, department: '消防救援', own: false }),
      notice('7', { ...replied('已办'), in_time: false, own: false }),
      notice('6', { state: 'withdrawn', withdrawn_at: inHours(0), reason: '误发' }),
    ]);
    const items = page.findAll('.paper').map((p) => p.text());
    expect(items[0]).toContain('火灾多发 9');
    expect(items[0]).toContain('甲嘎查 → 甲镇综治中心（本单位）');
    expect(items[0]).toContain('待签收');
    expect(items[0]).not.toContain('逾期');
    expect(items[1]).toContain('甲嘎查 → 消防救援');
    expect(items[1]).not.toContain('本单位');
    expect(items[1]).toContain('已逾期');
    expect(items[2]).toContain('已回复逾期');
    expect(items[3]).toContain('已撤回');
    expect(items).toHaveLength(4);
    await clean(page);
  });

  test('come page by page, and are read again as far as they are shown', async () => {
    const many = (from: number, n: number) => Array.from({ length: n }, (_, i) => notice(String(from - i)));
    const { page, server } = await opened('dispatcher', [], (s) =>
      s.on('GET /notices', (a) => {
        if (a.query.cursor) return json({ items: many(80, 5), cursor: null });
        return json({ items: many(100, Number(a.query.limit)), cursor: a.query.limit === '20' ? '81' : null });
      }),
    );
    expect(page.findAll('.paper')).toHaveLength(20);
    expect(page.text()).toContain('还有更早的');
    await press(page, '继续显示');
    expect(server.last('GET /notices')?.query).toEqual({ limit: '20', cursor: '81' });
    expect(page.findAll('.paper')).toHaveLength(25);
    await press(page, '刷新');
    expect(server.last('GET /notices')?.query).toEqual({ limit: '25' });
    expect(page.findAll('.paper')).toHaveLength(25);
  });

  test('are narrowed by state, area and being overdue, and the address asks the same', async () => {
    const { page, server } = await opened('dispatcher', [notice('9')]);
    const [state, grid] = page.findAll('form.ask select');
    await state?.setValue('read');
    await grid?.setValue('A');
    await page.find('form.ask input[type=checkbox]').setValue(true);
    await page.find('form.ask').trigger('submit');
    await settle();
    const asked = { state: 'read', overdue: 'true', grid: 'A', limit: '20' };
    expect(server.last('GET /notices')?.query).toEqual(asked);
    await page.find('.paper').trigger('click');
    await settle();
    expect(location.search).toBe('?view=notices&state=read&overdue=true&grid=A&id=9');
    page.unmount();
    const again = await opened('dispatcher', [notice('9')]);
    expect(again.server.last('GET /notices')?.query).toEqual(asked);
    expect(again.page.findAll('form.ask select').map((s) => (s.element as HTMLSelectElement).value)).toEqual(['read', 'A']);
    expect(again.page.find('.sheet h2').text()).toBe('火灾多发 9');
  });

  test('an address keeps what it can use', () => {
    expect(parseNotices('?state=x&overdue=1&id=a')).toEqual({ asked: { state: '', overdue: false, grid: '' }, id: '' });
    const asked = { state: 'sent', overdue: true, grid: '1 &' } as const;
    expect(parseNotices(formatNotices(asked, '12', '?view=notices&lang=en&state=read'))).toEqual({ asked, id: '12' });
    expect(formatNotices({ state: '', overdue: false, grid: '' }, '', '?view=notices&id=3&lang=en')).toBe(
      '?view=notices&lang=en',
    );
    const at = cellWay(notice('1', { cell: '8831aa1111fffff' }), '?view=notices&lang=en');
    expect(at).toBe('/review?lang=en&res=8&cell=8831aa1111fffff');
  });

  test('stand by the time: overdue while open, in time or late once answered', () => {
    const now = Date.now();
    expect(standingOf(notice('1'), now)).toBe('');
    expect(standingOf(notice('1'), now + 3 * HOUR_MS)).toBe('overdue');
    expect(standingOf(notice('1', { supervised: true }), now)).toBe('overdue'); // by the server's clock
    expect(standingOf(notice('1', replied('x')), now + 3 * HOUR_MS)).toBe('in_time');
    expect(standingOf(notice('1', { ...replied('x'), in_time: false, supervised: true }), now)).toBe('late');
    expect(standingOf(notice('1', { state: 'withdrawn', supervised: true }), now)).toBe('');
  });

  test('there may be none, or none like that, or an area of others', async () => {
    const { page, server } = await opened('village_head', []);
    expect(page.text()).toContain('还没有提示单');
    await page.find('form.ask input[type=checkbox]').setValue(true);
    await press(page, '查看');
    expect(page.text()).toContain('没有符合条件的提示单');
    server.on('GET /notices', () => refuse(404, { detail: 'no such grid' }));
    await press(page, '查看');
    expect(page.find('[role=alert]').text()).toContain('这个区域不在您的辖区内');
    expect(page.text()).not.toContain('没有符合条件');
  });
});

describe('the own unit', () => {
  test('signs by a button, not by looking, and once', async () => {
    const { page, server } = await opened('town_operator', [notice('9')]);
    await press(page, '火灾多发');
    expect(server.count('POST /notices/9/read')).toBe(0);
    expect(page.find('.sheet').text()).toContain('还没有人签收');
    expect(page.find('.words').text()).toBe('请排查\n并报结果');
    expect(document.activeElement).toBe(page.find('.sheet h2').element);
    expect(acts(page)).toEqual(['签收', '回复…']);
    await press(page, '签收');
    expect(server.last('POST /notices/9/read')?.key).toBeTruthy();
    expect(page.find('.sheet').text()).toContain('共 1 人签收');
    expect(page.find('.sheet').text()).toContain('您已签收');
    expect(page.find('.paper').text()).toContain('待回复');
    expect(acts(page)).toEqual(['回复…']);
    expect(page.find('.sheet [role=status]').text()).toBe('已签收。');
    expect(document.activeElement).toBe(page.find('.sheet h2').element);
    await clean(page);
  });

  test('answers with words, once', async () => {
    const { page, server } = await opened('dept_handler', [notice('9', { department: '消防救援', unit_grid: '' })]);
    await press(page, '火灾多发');
    expect(acts(page)).toEqual(['签收', '回复…']); // no department withdraws
    await press(page, '回复');
    await write(page, '  ');
    expect(page.find('dialog .fault').text()).toBe('请填写此项');
    expect(server.count('POST /notices/9/reply')).toBe(0);
    await clean(page);
    await write(page, ' 已排查 12 户 ');
    expect(server.last('POST /notices/9/reply')?.body).toEqual({ text: '已排查 12 户' });
    expect(page.find('dialog').exists()).toBe(false);
    expect(page.find('.sheet').text()).toContain('已排查 12 户');
    expect(page.find('.sheet').text()).toContain('按时');
    expect(page.find('.sheet [role=status]').text()).toBe('回复已发出。');
    expect(acts(page)).toEqual([]);
    expect(server.count('GET /notices')).toBe(2); // and the list is read again
  });

  test('whose answer got lost sends the same again under the same name', async () => {
    const { page, server } = await opened('town_operator', [notice('9', read)]);
    const answer = (s: FakeServer) => s.last('POST /notices/9/reply');
    server.on('POST /notices/9/reply', () => Promise.reject(new TypeError('no line')));
    await press(page, '火灾多发');
    await press(page, '回复');
    await write(page, '已办');
    const lost = answer(server);
    expect(page.find('dialog').text()).toContain('连接不上服务器');
    expect(page.find('dialog').text()).not.toContain('TypeError');
    expect(page.find('dialog').text()).toContain('同样的内容只算一次');
    await press(page, '取消', 'dialog');
    await press(page, '回复');
    expect((page.find('dialog textarea').element as HTMLTextAreaElement).value).toBe('已办'); // nobody types it twice
    server.on('POST /notices/9/reply', () => json({ ...notice('9', replied('已办')), repeated: true }));
    await write(page, '已办');
    expect(answer(server)?.key).toBe(lost?.key);
    expect(page.find('.sheet [role=status]').text()).toBe('回复已发出。');
  });

  test('that comes second is told, keeps its words and sees the other answer', async () => {
    const { page, put, server } = await opened('town_operator', [notice('9', read)], (s) =>
      s.on('POST /notices/9/reply', () => refuse(409, { detail: 'this notice is answered or withdrawn' })),
    );
    await press(page, '火灾多发');
    await press(page, '回复');
    put('9', replied('同事已答'));
    await write(page, '我的回复');
    expect(page.find('dialog [role=alert]').text()).toContain('已由他人回复或撤回');
    expect((page.find('dialog textarea').element as HTMLTextAreaElement).value).toBe('我的回复');
    expect(page.find('dialog button[type=submit]').attributes('disabled')).toBeDefined();
    await write(page, '再试');
    expect(server.count('POST /notices/9/reply')).toBe(1);
    await press(page, '取消', 'dialog');
    expect(document.activeElement).toBe(page.find('.sheet h2').element);
    expect(page.find('.sheet').text()).toContain('同事已答');
    expect(page.find('.paper').text()).toContain('已回复');
    expect(acts(page)).toEqual([]);
  });

  test('is told when the notice is no longer its own, or gone', async () => {
    const { page, put, server } = await opened('town_operator', [notice('9')], (s) =>
      s.on('POST /notices/9/read', () => refuse(409, { detail: 'directed to another unit' })),
    );
    await press(page, '火灾多发');
    put('9', { own: false, withdrawable: true });
    await press(page, '签收');
    expect(page.find('.sheet [role=alert]').text()).toContain('刚刚有了变化');
    expect(acts(page)).toEqual(['撤回…']);
    put('9', { own: true, withdrawable: false });
    await press(page, '刷新');
    await press(page, '回复');
    const missing = () => refuse(404);
    server.on('POST /notices/9/reply', missing).on('GET /notices/9', missing);
    server.on('GET /notices', () => json({ items: [], cursor: null }));
    await write(page, '已办');
    expect(page.find('dialog [role=alert]').text()).toContain('不在您的辖区内');
    await press(page, '取消', 'dialog');
    expect(page.find('article').exists()).toBe(false);
    expect(page.find('p.sheet[role=alert]').text()).toContain('没有这份提示单');
    expect(location.search).toBe('?view=notices');
  });
});

describe('who sent it', () => {
  test('neither signs nor answers, sees the reply on coming back, and withdraws with a reason', async () => {
    const { page, put, server } = await opened('dispatcher', [notice('9', { own: false }), notice('8', { own: false })]);
    await press(page, '火灾多发 9');
    expect(acts(page)).toEqual(['撤回…']);
    put('9', { ...replied('已排查'), own: false });
    document.dispatchEvent(new Event('visibilitychange'));
    await settle();
    expect(page.find('.sheet').text()).toContain('已排查');
    await press(page, '火灾多发 8');
    await press(page, '撤回');
    await write(page, '');
    expect(server.count('POST /notices/8/withdraw')).toBe(0);
    await write(page, '误发');
    expect(server.last('POST /notices/8/withdraw')?.body).toEqual({ text: '误发' });
    expect(page.find('.sheet').text()).toContain('撤回理由误发');
    expect(page.find('.sheet [role=status]').text()).toBe('提示单已撤回。');
    expect(acts(page)).toEqual([]);
  });

  test('is refused in words', async () => {
    const { page } = await opened('dispatcher', [notice('9', { own: false })], (s) =>
      s.on('POST /notices/9/withdraw', () => refuse(403)),
    );
    await press(page, '火灾多发');
    await press(page, '撤回');
    await write(page, '误发');
    expect(page.find('dialog [role=alert]').text()).toContain('您的岗位不能做这件事');
    expect(page.find('dialog').exists()).toBe(true);
  });
});

describe('who has which view', () => {
  test.each([
    ['county_leader', ['cells', 'figures', 'bulletin']],
    ['dispatcher', ['cells', 'figures', 'bulletin', 'notices']],
    ['village_head', ['cells', 'figures', 'bulletin', 'notices']],
    ['dept_handler', ['cells', 'figures', 'notices']],
    ['grid_worker', []],
    ['auditor', []],
  ])('%s', (role, views) => {
    expect(VIEWS.filter((v) => hasView(v, role))).toEqual(views);
  });

  test('a leader is led to the hot spots, and shown no tab of the notices', async () => {
    const { page, server } = await opened('county_leader', [], (s) => s.on('GET /grids', () => refuse(503)));
    expect(page.find('.notices-page').exists()).toBe(false);
    expect(page.find('.tabs').text()).not.toContain('预警提示单');
    expect(server.count('GET /notices')).toBe(0);
    expect(viewIn('?view=notices')).toBe('notices');
    expect(viewIn('?view=x')).toBe('cells');
  });

  test('a department goes to the other views and back', async () => {
    const { page } = await opened('dept_handler', []);
    expect(page.findAll('.tabs a').map((a) => a.attributes('href'))).toEqual(['/review', '/review?view=figures']);
  });
});
