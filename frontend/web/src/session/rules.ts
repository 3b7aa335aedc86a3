// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// What a login, a password and a PIN have to be. The server decides; these only
// tell people early.

export const goodLogin = (login: string) => /^[a-z0-9][a-z0-9._-]{1,39}$/.test(login);
export const goodPin = (pin: string) => /^[0-9]{4,8}$/.test(pin);
export const goodCode = (code: string) => /^[0-9]{6}$/.test(code);

export type PasswordRule = 'length' | 'login' | 'same';

/** The rules a password does not meet yet. */
export function passwordFaults(password: string, again: string, login = ''): PasswordRule[] {
  const faults: PasswordRule[] = [];
  const n = [...password].length;
  if (n < 10 || n > 128) faults.push('length');
  if (password !== '' && password.toLowerCase() === login.toLowerCase()) faults.push('login');
  if (password === '' || password !== again) faults.push('same');
  return faults;
}
