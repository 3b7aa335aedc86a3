// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// Where this phone is, as the browser says it: WGS-84, by the Geolocation standard.

export interface Fix {
  lon: number;
  lat: number;
  /** Metres, 95 % sure. */
  accuracyM: number;
  at: number;
}

export type NoFix = 'denied' | 'unavailable' | 'insecure';

const PATIENCE_MS = 15_000;
const OLDEST_MS = 10_000;

export function here(): Promise<Fix> {
  return new Promise((resolve, reject) => {
    if (!window.isSecureContext) return reject(new Error('insecure' satisfies NoFix));
    if (!navigator.geolocation) return reject(new Error('unavailable' satisfies NoFix));
    navigator.geolocation.getCurrentPosition(
      (p) => resolve({ lon: p.coords.longitude, lat: p.coords.latitude, accuracyM: p.coords.accuracy, at: p.timestamp }),
      (e) => reject(new Error((e.code === e.PERMISSION_DENIED ? 'denied' : 'unavailable') satisfies NoFix)),
      { enableHighAccuracy: true, timeout: PATIENCE_MS, maximumAge: OLDEST_MS },
    );
  });
}
