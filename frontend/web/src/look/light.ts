// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// The colours of the light pages. The hues are those of the dark screens, darkened
// so that even a word in them is legible. A state is told by shape and word as
// well as by colour. test/light.test.ts holds contrast and colour-blind distance.

export const LIGHT = {
  bg: '#F4F7FA',
  panel: '#FFFFFF',
  text: '#12263A',
  text2: '#46586B',
  line: '#6B7F93',
  focus: '#FFD54A',
} as const;

/** info, waiting, off, bad, good: the hues of duty, task, stale, urgent, done. */
export const LIGHT_STATUS = {
  duty: '#0840CC',
  task: '#AB5501',
  stale: '#4C5660',
  urgent: '#AF162F',
  done: '#217C50',
} as const;
