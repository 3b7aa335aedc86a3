// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// Every request of a page with a person: JSON both ways, to its own server only.

import { Problem, problemOf } from './problem';

const PATIENCE_MS = 15_000;
/** An answer so slow says nothing of the time; a difference so small is none. */
const PROMPT_MS = 5000;
const TRUE_MS = 10_000;
/** For a part of a file on a slow line. */
const BYTES_PATIENCE_MS = 90_000;
/** For what is counted first. */
const COUNTED_PATIENCE_MS = 30_000;

export type Fetch = (path: string, init: RequestInit) => Promise<Response>;
export type Query = Record<string, string | number | undefined>;

/** What the session has to be told of, whoever asked. */
export interface Hooks {
  /** 401: the session may be over. */
  unauthorised(): void;
  /** 423: the session is locked. */
  locked(): void;
}

export class Http {
  /** How far the server's clock is ahead of this machine's, in ms, by the last prompt answer; 0 when they agree or nobody knows. */
  ahead = 0;
  /** When an answer last told the time, by this machine's clock in unix ms; 0 when none has, or this clock was set since. */
  heardAt = 0;

  constructor(
    private readonly hooks: Hooks,
    private readonly fetcher: Fetch = (path, init) => fetch(path, init),
  ) {}

  get<T>(path: string, query: Query = {}): Promise<T> {
    return this.call('GET', withQuery(path, query));
  }
  /** As get, of what is counted first and may take long. */
  counted<T>(path: string, query: Query = {}): Promise<T> {
    return this.call('GET', withQuery(path, query), undefined, false, 'application/json', {}, COUNTED_PATIENCE_MS);
  }
  /** As get, where a list can be had as GeoJSON too. */
  shapes<T>(path: string, query: Query = {}): Promise<T> {
    return this.call('GET', withQuery(path, query), undefined, false, 'application/geo+json');
  }
  post<T = void>(path: string, body?: unknown, headers: Record<string, string> = {}): Promise<T> {
    return this.call('POST', path, body, false, 'application/json', headers);
  }
  put<T = void>(path: string, body: unknown, headers: Record<string, string> = {}): Promise<T> {
    return this.call('PUT', path, body, false, 'application/json', headers);
  }
  del(path: string, query: Query = {}): Promise<void> {
    return this.call('DELETE', withQuery(path, query));
  }
  /** As post, but a refusal is told to the caller alone: for signing in and unlocking. */
  ask<T = void>(path: string, body: unknown): Promise<T> {
    return this.call('POST', path, body, true);
  }
  /** As get, told to the caller alone. */
  look<T>(path: string): Promise<T> {
    return this.call('GET', path, undefined, true);
  }

  /** Sends bytes, or none; returns the answer's headers. */
  async bytes(method: string, path: string, headers: Record<string, string>, body?: Blob): Promise<Headers> {
    const res = await this.fetch(path, { method, body, headers, signal: AbortSignal.timeout(BYTES_PATIENCE_MS) }, false);
    return res.headers;
  }

  /** A file, and the name that the server gives it. */
  async file(path: string, query: Query): Promise<{ name: string; blob: Blob }> {
    const res = await this.fetch(
      withQuery(path, query),
      { method: 'GET', signal: AbortSignal.timeout(COUNTED_PATIENCE_MS) },
      false,
    );
    const name = /filename="([^"]+)"/.exec(res.headers.get('content-disposition') ?? '')?.[1] ?? '';
    return { name, blob: await res.blob() };
  }

  private async call<T>(
    method: string,
    path: string,
    body?: unknown,
    quiet = false,
    accept = 'application/json',
    headers: Record<string, string> = {},
    patience = PATIENCE_MS,
  ): Promise<T> {
    const init: RequestInit = {
      method,
      signal: AbortSignal.timeout(patience),
      headers: { accept, ...headers },
    };
    if (body !== undefined) {
      init.headers = { ...init.headers, 'content-type': 'application/json' };
      init.body = JSON.stringify(body);
    }
    const res = await this.fetch(path, init, quiet);
    if (res.status === 204) return undefined as T;
    try {
      return (await res.json()) as T;
    } catch (e) {
      throw new Problem(0, 'about:blank', String(e));
    }
  }

  private async fetch(path: string, init: RequestInit, quiet: boolean): Promise<Response> {
    let res: Response;
    const asked = Date.now();
    try {
      res = await this.fetcher(path, { credentials: 'same-origin', cache: 'no-store', ...init });
    } catch (e) {
      throw new Problem(0, 'about:blank', String(e));
    }
    this.hear(res.headers.get('date'), asked, Date.now());
    if (res.ok) return res;
    const problem = await problemOf(res, Date.now());
    if (!quiet && problem.status === 401) this.hooks.unauthorised();
    if (!quiet && problem.status === 423) this.hooks.locked();
    throw problem;
  }

  /** Compares the clocks: the header Date, to the second, was written between asking and the answer. */
  private hear(date: string | null, asked: number, answered: number): void {
    const said = Date.parse(date ?? '');
    if (Number.isNaN(said) || answered < asked || answered - asked > PROMPT_MS) return;
    const ahead = said + 500 - (asked + answered) / 2;
    this.heardAt = answered;
    this.ahead = Math.abs(ahead) < TRUE_MS ? 0 : ahead;
  }
}

/** Appends what is set of a query; empty values are left out. */
export function withQuery(path: string, query: Query): string {
  const q = new URLSearchParams();
  for (const [k, v] of Object.entries(query)) if (v !== undefined && v !== '') q.set(k, String(v));
  return q.size ? `${path}?${q}` : path;
}
