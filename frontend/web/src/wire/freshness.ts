// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// How old is what the screen shows? Judged by the server's clock, which is
// learned from ticks, by the moment the last frame came in, and by what the
// ticks say of the feed: frames may come in while no event can.

import type { Link } from './client';

export type Fresh = 'connecting' | 'live' | 'stale' | 'lost' | 'signed-out';

/** Without any frame for so long, data is not live even if the line looks open. */
export const STALE_MS = 5000;
/** A feed that is behind by more is not live, whatever else comes in. */
export const BEHIND_S = 5;
const SAMPLES = 30;
const JUMP_MS = 2000;

/** The server's clock as seen from here: a sample that travelled longer looks older, so the largest offset is the truest. */
export class ServerClock {
  private samples: number[] = [];

  /** Takes in that the server's clock read serverMs when ours read localMs. */
  sample(serverMs: number, localMs: number): void {
    const offset = serverMs - localMs;
    if (!Number.isFinite(offset)) return;
    if (this.samples.length && Math.abs(offset - this.offset) > JUMP_MS) this.samples = []; // one of the two clocks was set
    this.samples.push(offset);
    if (this.samples.length > SAMPLES) this.samples.shift();
  }

  get offset(): number {
    return this.samples.length ? Math.max(...this.samples) : 0;
  }

  now(localMs: number): number {
    return localMs + this.offset;
  }
}

export interface Freshness {
  state: Fresh;
  /** Milliseconds since the data was whole: since the last frame, or longer when the feed is behind; 0 before the first frame. */
  ageMs: number;
  /** The server's time at that moment in unix ms; 0 before the first frame. */
  dataAt: number;
}

/** When, by our clock, the server last had every event, from a tick that came at localMs; null while the feed keeps up. */
export function behindSince(feedAgeS: number | undefined, localMs: number): number | null {
  return feedAgeS !== undefined && feedAgeS > BEHIND_S ? localMs - feedAgeS * 1000 : null;
}

/** The one judgement used by the footer, the band and the greying alike. */
export function judge(
  link: Link,
  lastFrameAt: number,
  localNow: number,
  clock: ServerClock,
  behind: number | null = null,
): Freshness {
  const wholeAt = behind === null ? lastFrameAt : Math.min(behind, lastFrameAt);
  const ageMs = lastFrameAt ? Math.max(0, localNow - wholeAt) : 0;
  const dataAt = lastFrameAt ? clock.now(wholeAt) : 0;
  if (link === 'live' && (behind !== null || ageMs >= STALE_MS)) return { state: 'stale', ageMs, dataAt };
  return { state: link, ageMs, dataAt };
}
