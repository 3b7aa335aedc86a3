// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// The colours of the dark screens. Every status has a shape beside its colour:
// round marks are people, angular marks are incidents. test/tokens.test.ts
// holds contrast and colour-blind distance, and that tokens.css says the same.

export const SURFACE = { bg: '#0B1622', panel: '#12263A' } as const;

export const INK = {
  text: '#E8F1FA',
  text2: '#A9BCD0',
  line: '#4F7CA6',
  focus: '#FFD54A',
} as const;

export const STATUS = {
  duty: '#2E9BFF',
  task: '#FFB000',
  stale: '#8794A3',
  urgent: '#FF4D4D',
  done: '#B8F2D0',
  returned: '#FFF59D',
} as const;

/** Lines and fills of the map's grids, from the county (1) down to the cell (4) and what is drawn below it, and of what lies beneath the news. */
export const MAP = {
  ground: '#0B1622',
  towns: ['#11263A', '#142B42', '#102335', '#16304A'],
  border: { 1: '#8FC4F0', 2: '#5C8DB8', 3: '#33597C', 4: '#22405C', 5: '#1E3850', 6: '#1B3146' },
  label: { 1: '#E8F1FA', 2: '#D3E2F0', 3: '#A9BCD0', 4: '#8FA6BD', 5: '#8FA6BD', 6: '#8FA6BD' },
  road: '#6E7F8F',
  camera: '#4F7CA6',
} as const;

export type StatusName = keyof typeof STATUS;
