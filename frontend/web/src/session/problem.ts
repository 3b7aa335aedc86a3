// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// A refusal, as the server says it: an RFC 9457 problem document.

export interface Fault {
  location: string;
  message: string;
}

/** An answer that is not the one hoped for; status 0 is no answer at all. */
export class Problem extends Error {
  constructor(
    readonly status: number,
    /** `about:blank`, or a word for programs such as `second-factor`. */
    readonly type: string,
    readonly detail: string,
    readonly faults: readonly Fault[] = [],
    /** Seconds to wait before another try makes sense; 0 when the server names none. */
    readonly waitS = 0,
    /** The document's other members, such as `possible` and `winner`. */
    readonly more: Readonly<Record<string, unknown>> = {},
  ) {
    super(detail || `status ${status}`);
  }
}

const LONGEST_WAIT_S = 24 * 3600;

/** Reads a Retry-After header, seconds or a date. */
export function retryAfter(header: string | null, nowMs: number): number {
  if (!header) return 0;
  const s = /^\d+$/.test(header.trim()) ? Number(header) : (Date.parse(header) - nowMs) / 1000;
  return Number.isFinite(s) ? Math.min(LONGEST_WAIT_S, Math.max(0, Math.ceil(s))) : 0;
}

const text = (x: unknown): string => (typeof x === 'string' ? x : '');

/** The problem an answer tells, whatever its body is. */
export async function problemOf(res: Response, nowMs: number): Promise<Problem> {
  const wait = retryAfter(res.headers.get('retry-after'), nowMs);
  let body: Record<string, unknown> = {};
  if (/json/.test(res.headers.get('content-type') ?? '')) {
    const parsed: unknown = await res.json().catch(() => null);
    if (typeof parsed === 'object' && parsed !== null) body = parsed as Record<string, unknown>;
  }
  const faults = Array.isArray(body.errors)
    ? body.errors.map((e) => ({ location: text(e?.location), message: text(e?.message) }))
    : [];
  return new Problem(res.status, text(body.type) || 'about:blank', text(body.detail), faults, wait, body);
}
