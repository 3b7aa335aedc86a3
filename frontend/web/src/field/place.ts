// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// Where this phone is, as the browser says it: WGS-84, by the Geolocation standard.

export interface Fix {
  lon: number;
  lat: number;
  /** Metres, 95 % sure. */
  accuracyM: number;
  /** When it was measured, by the phone's clock, in unix ms. */
  at: number;
  /** Degrees clockwise from north; missing while the phone lies still. */
  courseDeg?: number;
  speedMS?: number;
}

export type NoFix = 'denied' | 'unavailable' | 'insecure';

const PATIENCE_MS = 15_000;
const OLDEST_MS = 10_000;
const OPTIONS: PositionOptions = { enableHighAccuracy: true, timeout: PATIENCE_MS, maximumAge: OLDEST_MS };

/** A fix worse than this is told as such: it may be another village. */
export const POOR_M = 100;

/** Clocks of one phone may differ so much. */
const SLACK_MS = 5000;

/** How long ago something was, in ms. What lies ahead of the clock is of before it was set back: long ago. */
export function ageOf(at: number, now: number): number {
  return at - now > SLACK_MS ? Number.POSITIVE_INFINITY : Math.max(0, now - at);
}

/**
 * A fix by the phone's clock. Browsers time some fixes by the satellites; ahead is how far
 * the true time is ahead of the phone's, in ms.
 */
export function byPhone(f: Fix, now: number, ahead: number): Fix {
  const bySky = Math.abs(f.at - ahead - now) < Math.abs(f.at - now);
  return ahead && bySky ? { ...f, at: f.at - ahead } : f;
}

/** Measures once; what it throws is a NoFix. */
export function here(): Promise<Fix> {
  return new Promise((resolve, reject) => {
    const no = cannot();
    if (no) return reject(new Error(no));
    navigator.geolocation.getCurrentPosition(
      (p) => resolve(fixOf(p)),
      (e) => reject(new Error(why(e))),
      OPTIONS,
    );
  });
}

/** Measures again and again, until the function it returns is called. */
export function watchHere(found: (f: Fix) => void, failed: (why: NoFix) => void): () => void {
  const no = cannot();
  if (no) {
    failed(no);
    return () => {};
  }
  const id = navigator.geolocation.watchPosition(
    (p) => found(fixOf(p)),
    (e) => failed(why(e)),
    { ...OPTIONS, maximumAge: 0 }, // none from before the shift
  );
  return () => navigator.geolocation.clearWatch(id);
}

function cannot(): NoFix | null {
  if (!window.isSecureContext) return 'insecure';
  return navigator.geolocation ? null : 'unavailable';
}

const why = (e: GeolocationPositionError): NoFix => (e.code === e.PERMISSION_DENIED ? 'denied' : 'unavailable');

function fixOf(p: GeolocationPosition): Fix {
  const { longitude, latitude, accuracy, heading, speed } = p.coords;
  return {
    lon: longitude,
    lat: latitude,
    accuracyM: accuracy,
    at: p.timestamp,
    ...(heading !== null && Number.isFinite(heading) && { courseDeg: heading }),
    ...(speed !== null && speed >= 0 && { speedMS: speed }),
  };
}
