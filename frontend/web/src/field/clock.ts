// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

import { when } from '../ui/when';

/** A moment on a small screen: of today the time alone. */
export function clock(ms: number, now: number): string {
  const [day, time] = when(new Date(ms).toISOString()).split(' ');
  return day === when(new Date(now).toISOString()).split(' ')[0] ? (time ?? '') : `${day?.slice(5)} ${time}`;
}
