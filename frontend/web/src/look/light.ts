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

/** The light map: borders from the county (1) to the grid (4), and land that changes hands. */
export const LIGHT_MAP = {
  ground: '#EEF2F6',
  county: '#FFFFFF',
  border: { 1: '#12263A', 2: '#46586B', 3: '#8496A8', 4: '#BAC6D2' },
  label: { 1: '#12263A', 2: '#12263A', 3: '#2E4256', 4: '#46586B' },
  /** Where it goes, neighbours told apart. */
  hands: ['#0840CC', '#D06A00', '#168A8A', '#A02C8C', '#6B8E00'],
  /** To no grid. */
  leaving: '#AF162F',
  chosen: '#12263A',
  fault: '#AF162F',
} as const;
