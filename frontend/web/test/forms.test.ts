// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// @vitest-environment jsdom

import { enableAutoUnmount } from '@vue/test-utils';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { takeErrand } from '../src/session/fragment';
import LockScreen from '../src/session/LockScreen.vue';
import MeMenu from '../src/session/MeMenu.vue';
import RedeemPage from '../src/session/RedeemPage.vue';
import SessionGate from '../src/session/SessionGate.vue';
import SignIn from '../src/session/SignIn.vue';
import OnceBox from '../src/ui/OnceBox.vue';
import { dialogs, json, none, refuse, session, settle, stage } from './people';

beforeEach(() => {
  dialogs();
  document.body.innerHTML = '';
  history.replaceState(null, '', '/admin');
});
enableAutoUnmount(afterEach);
afterEach(() => vi.useRealTimers());

type Shown = ReturnType<ReturnType<typeof stage>['show']>;
const field = (w: Shown, label: string) => {
  const l = w.findAll('label').find((x) => x.text().startsWith(label));
  if (!l) throw new Error(`no field ${label} in ${w.text()}`);
  return w.get(`[id="${l.attributes('for')}"]`);
};
const button = (w: Shown, text: string) => {
  const b = w.findAll('button').find((x) => x.text() === text);
  if (!b) throw new Error(`no button ${text} in ${w.text()}`);
  return b;
};
const send = async (w: Shown) => {
  await w.get('form').trigger('submit');
  await settle();
};

describe('the sign-in', () => {
  const shown = () => {
    const s = stage();
    s.store.phase.value = 'door';
    return { ...s, w: s.show(SignIn, { lead: 'x' }) };
  };

  test('asks for the code only when the server does, and keeps login and password for it', async () => {
    const { server, store, w } = shown();
    server.on('POST /session', (a) =>
      (a.body as { totp?: string }).totp ? json(session()) : refuse(401, { type: 'second-factor' }),
    );
    await field(w, '账号').setValue(' Bai ');
    await field(w, '密码').setValue('password ten');
    await send(w);
    expect(w.text()).toContain('请输入动态验证码');
    expect(w.text()).not.toContain('不正确');
    await field(w, '动态验证码').setValue('123 456');
    await send(w);
    expect(server.last('POST /session')?.body).toEqual({ login: 'bai', password: 'password ten', totp: '123456' });
    expect(store.phase.value).toBe('in');
  });

  test('a wrong code is told and may be tried again', async () => {
    const { server, w } = shown();
    server.on('POST /session', () => refuse(401, { type: 'second-factor' }));
    await field(w, '账号').setValue('bai');
    await field(w, '密码').setValue('password ten');
    await send(w);
    await field(w, '动态验证码').setValue('000000');
    await send(w);
    expect(w.get('[role=alert]').text()).toContain('验证码不正确');
    expect((field(w, '动态验证码').element as HTMLInputElement).value).toBe('');
  });

  test.each([
    ['unknown account', { detail: 'no such account' }],
    ['wrong password', { detail: 'wrong password' }],
  ])('says one thing for whatever is wrong: %s', async (_, more) => {
    const { server, w } = shown();
    server.on('POST /session', () => refuse(401, more));
    await field(w, '账号').setValue('bai');
    await field(w, '密码').setValue('password ten');
    await send(w);
    expect(w.get('[role=alert]').text()).toBe('账号、密码或验证码不正确。');
    expect((field(w, '密码').element as HTMLInputElement).value).toBe('');
    expect((field(w, '账号').element as HTMLInputElement).value).toBe('bai');
  });

  test('counts down when the server says wait, and sends nothing meanwhile', async () => {
    const { server, w } = shown();
    server.on('POST /session', () => refuse(429, {}, { 'retry-after': '3' }));
    await field(w, '账号').setValue('bai');
    await field(w, '密码').setValue('password ten');
    vi.useFakeTimers();
    await w.get('form').trigger('submit');
    await vi.advanceTimersByTimeAsync(0);
    expect(button(w, '请等待 3 秒').attributes('disabled')).toBeDefined();
    expect(w.get('[role=alert]').text()).toContain('3 秒');
    await w.get('form').trigger('submit');
    await vi.advanceTimersByTimeAsync(1000);
    expect(button(w, '请等待 2 秒')).toBeTruthy();
    expect(server.count('POST /session')).toBe(1);
    await vi.advanceTimersByTimeAsync(2000);
    expect(button(w, '继续').attributes('disabled')).toBeUndefined();
    expect(w.find('[role=alert]').exists()).toBe(false);
  });

  test('tells a server that is away from a wrong password', async () => {
    const { w } = shown();
    await field(w, '账号').setValue('bai');
    await field(w, '密码').setValue('password ten');
    await send(w);
    expect(w.get('[role=alert]').text()).toContain('连接不上服务器');
    expect((field(w, '密码').element as HTMLInputElement).value).toBe('password ten');
  });
});

describe('taking up an invitation', () => {
  const factor = { secret: 'ABCDEFGHIJKL', uri: 'otpauth://x', qr: 'data:image/png;base64,AAAA' };

  test('the code leaves the address bar at once', () => {
    history.replaceState(null, '', '/admin?lang=en#invite=SECRET');
    const length = history.length;
    expect(takeErrand()).toEqual({ door: 'invite', code: 'SECRET' });
    expect(location.href).not.toContain('SECRET');
    expect([location.pathname + location.search, history.length]).toEqual(['/admin?lang=en', length]);
    expect(takeErrand()).toBeNull();
  });

  test('sends nothing until password and PIN are good', async () => {
    const { server, store, show } = stage();
    store.run({ door: 'invite', code: 'CODE' });
    const w = show(RedeemPage);
    await send(w);
    await field(w, '设置密码').setValue('long enough');
    await field(w, '再输一次').setValue('long enough');
    await field(w, 'PIN').setValue('12');
    await send(w);
    expect(server.asked).toEqual([]);
    expect(w.text()).toContain('PIN 须为 4 到 8 位数字');
  });

  test('posts the code, shows the second factor once, forgets the secrets, goes to the sign-in', async () => {
    const { server, store, show } = stage();
    store.run({ door: 'invite', code: 'CODE' });
    server.on('POST /invitations/redeem', () => json({ login: 'bai', second_factor: factor }));
    const w = show(RedeemPage);
    await field(w, '设置密码').setValue('long enough');
    await field(w, '再输一次').setValue('long enough');
    await field(w, 'PIN').setValue('2580');
    await send(w);
    expect(server.last('POST /invitations/redeem')?.body).toEqual({ code: 'CODE', password: 'long enough', pin: '2580' });
    expect(w.get('img').attributes('src')).toBe(factor.qr);
    expect(w.get('img').attributes('alt')).toBeTruthy();
    expect((w.get('.once textarea').element as HTMLTextAreaElement).value).toBe('ABCD EFGH IJKL');
    expect(store.code).toBe('');
    await button(w, '已绑定，去登录').trigger('click');
    expect([store.phase.value, store.door.value, store.login.value]).toEqual(['door', 'sign-in', 'bai']);
  });

  test('shows no picture from elsewhere', async () => {
    const { server, store, show } = stage();
    store.run({ door: 'invite', code: 'CODE' });
    server.on('POST /invitations/redeem', () =>
      json({ login: 'bai', second_factor: { ...factor, qr: 'https://elsewhere/x.png' } }),
    );
    const w = show(RedeemPage);
    await field(w, '设置密码').setValue('long enough');
    await field(w, '再输一次').setValue('long enough');
    await send(w);
    expect(w.find('img').exists()).toBe(false);
  });

  test('a used link is told as such; a refused password keeps the link', async () => {
    const { server, store, show } = stage();
    store.run({ door: 'invite', code: 'CODE' });
    server.on('POST /invitations/redeem', () => refuse(422, { detail: 'this password is too common' }));
    const w = show(RedeemPage);
    await field(w, '设置密码').setValue('1234567890');
    await field(w, '再输一次').setValue('1234567890');
    await send(w);
    expect(w.get('[role=alert]').text()).toContain('too common');
    expect(store.code).toBe('CODE');
    server.on('POST /invitations/redeem', () => refuse(401));
    await send(w);
    expect(w.get('[role=alert]').text()).toContain('已经用过');
  });

  test('the first start sends secret and login too', async () => {
    const { server, store, show } = stage();
    store.run({ door: 'first' });
    server.on('POST /invitations/redeem', () => json({ login: 'chief', second_factor: factor }));
    const w = show(RedeemPage, { first: true });
    await field(w, '首次密钥').setValue(' S-1 ');
    await field(w, '账号').setValue('Chief');
    await field(w, '设置密码').setValue('long enough');
    await field(w, '再输一次').setValue('long enough');
    await send(w);
    expect(server.asked).toEqual([]);
    await field(w, '账号').setValue('chief');
    await send(w);
    expect(server.last('POST /invitations/redeem')?.body).toEqual({ code: 'S-1', login: 'chief', password: 'long enough' });
  });
});

describe('the lock', () => {
  const locked = async () => {
    const s = stage();
    s.server.on('GET /session', () => json(session({ locked: true })));
    await s.store.start(null);
    return { ...s, w: s.show(LockScreen, { opaque: true }) };
  };

  test('Escape and closing do not open it', async () => {
    const { w } = await locked();
    const box = w.get('dialog').element as HTMLDialogElement;
    expect(box.open).toBe(true);
    const key = new Event('cancel', { cancelable: true });
    box.dispatchEvent(key);
    expect(key.defaultPrevented).toBe(true);
    box.close();
    expect(box.open).toBe(true);
  });

  test('a wrong PIN is told and cleared', async () => {
    const { server, w } = await locked();
    server.on('POST /session/unlock', () => refuse(403));
    await field(w, 'PIN').setValue('9999');
    await send(w);
    expect(w.get('[role=alert]').text()).toContain('PIN 不正确');
    expect((field(w, 'PIN').element as HTMLInputElement).value).toBe('');
  });

  test('stands over a page that goes on running, and goes with the right PIN', async () => {
    const s = stage();
    s.server.on('GET /session', () => json(session())).on('POST /session/unlock', none);
    await s.store.start(null);
    const w = s.show({
      components: { SessionGate },
      template: '<SessionGate lead="x"><p id="under">running</p></SessionGate>',
    } as never);
    expect(w.find('#under').exists()).toBe(true);
    const under = w.get('#under').element;
    s.store.locked.value = true;
    await settle();
    expect(w.find('dialog.lock').exists()).toBe(true);
    expect(w.get('#under').element).toBe(under);
    await field(w, 'PIN').setValue('2580');
    await send(w);
    expect(w.find('dialog.lock').exists()).toBe(false);
    expect(w.get('#under').element).toBe(under);
  });
});

describe('the gate', () => {
  const gated = async () => {
    const s = stage();
    s.server.on('GET /session', () => json(session())).on('POST /session/alive', none);
    await s.store.start(null);
    const w = s.show({
      components: { SessionGate },
      template: '<SessionGate lead="x"><p id="under">data</p></SessionGate>',
    } as never);
    return { ...s, w };
  };

  test('hears keys and clicks, not the pointer passing by', async () => {
    const { server, w } = await gated();
    w.element.ownerDocument.dispatchEvent(new Event('pointermove', { bubbles: true }));
    expect(server.count('POST /session/alive')).toBe(0);
    document.body.dispatchEvent(new Event('keydown', { bubbles: true }));
    document.body.dispatchEvent(new Event('pointerdown', { bubbles: true }));
    await settle();
    expect(server.count('POST /session/alive')).toBe(1);
  });

  test('an ended session takes the data off the screen and keeps the address', async () => {
    const { server, store, w } = await gated();
    history.replaceState(null, '', '/admin#/audit');
    server.on('GET /session', () => refuse(401));
    await store.check();
    await settle();
    expect(w.find('#under').exists()).toBe(false);
    expect(w.text()).toContain('登录已失效');
    expect(location.hash).toBe('#/audit');
  });

  test('a link opened in the same tab is taken up', async () => {
    const { w } = await gated();
    history.replaceState(null, '', '/admin#invite=LATER');
    dispatchEvent(new Event('hashchange'));
    await settle();
    expect(w.text()).toContain('启用账号');
    expect(location.hash).toBe('');
  });
});

describe('my account', () => {
  const opened = async () => {
    const s = stage();
    s.server.on('GET /session', () => json(session({ pin: false })));
    await s.store.start(null);
    const w = s.show(MeMenu);
    await w.findAll('button').at(-1)?.trigger('click');
    return { ...s, w };
  };

  test('without a PIN there is no lock button; setting one brings it', async () => {
    const { server, w } = await opened();
    expect(w.findAll('button').some((b) => b.text() === '锁定')).toBe(false);
    server.on('PUT /session/pin', none);
    await button(w, '设置 PIN').trigger('click');
    await field(w, '当前密码').setValue('password ten');
    await field(w, '新 PIN').setValue('2580');
    await send(w);
    expect(server.last('PUT /session/pin')?.body).toEqual({ password: 'password ten', pin: '2580' });
    expect(w.text()).toContain('PIN 已设置');
    expect(button(w, '锁定')).toBeTruthy();
  });

  test('a wrong password is told as such, and the person stays in', async () => {
    const { server, store, w } = await opened();
    server.on('PUT /session/pin', () => refuse(403, { detail: 'wrong password' }));
    await button(w, '设置 PIN').trigger('click');
    await field(w, '当前密码').setValue('not this one');
    await field(w, '新 PIN').setValue('2580');
    await send(w);
    expect(w.get('[role=alert]').text()).toBe('当前密码不正确。');
    expect(store.phase.value).toBe('in');
  });

  test('a new password is sent with the old one', async () => {
    const { server, w } = await opened();
    server.on('PUT /session/password', none);
    await button(w, '修改密码').trigger('click');
    await field(w, '当前密码').setValue('password ten');
    await field(w, '新密码').setValue('another password');
    await send(w);
    expect(server.count('PUT /session/password')).toBe(0);
    await field(w, '再输一次').setValue('another password');
    await send(w);
    expect(server.last('PUT /session/password')?.body).toEqual({ old: 'password ten', new: 'another password' });
  });
});

describe('what is shown once', () => {
  test('is copied, or selected where there is no clipboard', async () => {
    const { show } = stage();
    const w = show(OnceBox, { label: '链接', text: 'http://hall/admin#invite=X' });
    const copied: string[] = [];
    vi.stubGlobal('navigator', { clipboard: { writeText: async (x: string) => copied.push(x) } });
    await button(w, '复制').trigger('click');
    await settle();
    expect([copied, w.get('[role=status]').text()]).toEqual([['http://hall/admin#invite=X'], '已复制']);
    vi.stubGlobal('navigator', {});
    await button(w, '复制').trigger('click');
    await settle();
    expect(w.get('[role=status]').text()).toContain('Ctrl+C');
    const box = w.get('textarea').element as HTMLTextAreaElement;
    expect([box.selectionStart, box.selectionEnd]).toEqual([0, box.value.length]);
    vi.unstubAllGlobals();
  });
});
