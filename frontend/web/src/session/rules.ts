// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// What a login, a password and a PIN have to be. The server decides; these only
// tell people early.

export const goodLogin = (login: string) => /^[a-z0-9][a-z0-9._-]{1,39}$/.test(login);
export const goodCode = (code: string) => /^[0-9]{6}$/.test(code);

/** 4 to 8 digits, not all the same and not counting up or down. */
export function goodPin(pin: string): boolean {
  if (!/^[0-9]{4,8}$/.test(pin)) return false;
  // How far it is from digit to digit, 9 going on to 0.
  const steps = new Set([...pin].slice(1).map((d, i) => (Number(d) - Number(pin[i]) + 10) % 10));
  return steps.size > 1 || ![0, 1, 9].includes([...steps][0] as number);
}

export type PasswordRule = 'length' | 'login' | 'same';

/** The rules a password does not meet yet. */
export function passwordFaults(password: string, again: string, login = ''): PasswordRule[] {
  const faults: PasswordRule[] = [];
  const n = [...password].length;
  if (n < 10 || n > 128) faults.push('length');
  if (login !== '' && password.toLowerCase().includes(login.toLowerCase())) faults.push('login');
  if (password === '' || password !== again) faults.push('same');
  return faults;
}
