// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// What a map needs before it is made: the tiles there are, and the font.

import { getTileJSON, gridNames } from '../wall/rest';
import type { Timers } from '../wire/client';
import { ICON_TEXT } from './named';
import { ABOUT_TEXT, TILE_LAYERS, type Tiles } from './style';

const NAMES_PATIENCE_MS = 1500;

export async function loadTiles(): Promise<Tiles> {
  const out: Tiles = {};
  await Promise.all(
    TILE_LAYERS.map(async (layer) => {
      try {
        out[layer] = await getTileJSON(layer);
      } catch {
        // a layer this county does not have
      }
    }),
  );
  return out;
}

/** The first labels must be cut from the embedded font, so its subsets have to be here before the map. */
export async function loadFonts(timers: Timers): Promise<void> {
  const names = Promise.all([1, 2, 3, 4, 5, 6].map((l) => gridNames(l).catch(() => '')));
  const text = await Promise.race([names, new Promise<string[]>((r) => timers.set(() => r([]), NAMES_PATIENCE_MS))]);
  const all = [...new Set(`${text.join('')}旗镇村网格0123456789${ABOUT_TEXT}${ICON_TEXT}`)].join('');
  await Promise.race([
    Promise.all(['400', '500'].map((w) => document.fonts.load(`${w} 24px "Noto Sans SC Variable"`, all))),
    new Promise((r) => timers.set(() => r(null), NAMES_PATIENCE_MS)),
  ]).catch(() => undefined);
}
