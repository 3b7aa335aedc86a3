// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// The session's own calls.

import type { Http } from './http';

export interface Session {
  role: string;
  login: string;
  centre: string;
  demo: boolean;
  grid: { code: string; name: string; level: number; bbox?: [number, number, number, number] | null } | null;
  server_time: string;
  locked: boolean;
  /** Seconds without an act after which the server locks; 0 when it never does. */
  lock_after_s: number;
  expires: string | null;
  /** Whether a PIN is set. */
  pin: boolean;
  second_factor: boolean;
}

export interface SecondFactor {
  secret: string;
  uri: string;
  /** A picture as a data: address. */
  qr: string;
}

export interface Redeemed {
  login: string;
  second_factor: SecondFactor | null;
}

export interface Redemption {
  code: string;
  login?: string;
  password: string;
  pin?: string;
}

const PATH = '/api/v1/session';

export const getSession = (http: Http) => http.look<Session>(PATH);
export const postSignIn = (http: Http, login: string, password: string, totp: string) =>
  http.ask<Session | undefined>(PATH, { login, password, ...(totp && { totp }) });
export const deleteSession = (http: Http) => http.del(PATH);
export const postLock = (http: Http) => http.post(`${PATH}/lock`, {});
export const postUnlock = (http: Http, pin: string) => http.ask(`${PATH}/unlock`, { pin });
export const postAlive = (http: Http) => http.post(`${PATH}/alive`, {});
export const putPin = (http: Http, password: string, pin: string) => http.put(`${PATH}/pin`, { password, pin });
export const putPassword = (http: Http, old: string, fresh: string) => http.put(`${PATH}/password`, { old, new: fresh });
export const postRedeem = (http: Http, r: Redemption) => http.ask<Redeemed>('/api/v1/invitations/redeem', r);
