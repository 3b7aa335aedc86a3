// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// How cells are coloured: by class, or by count in steps. The hues of hot and cold are
// those of a scale that colour-blind readers tell apart; the list says all in words.

import type { Answer, Change, Class, HotCell, Method, Pattern } from './api';

export const CLASSES: readonly Class[] = ['hot99', 'hot95', 'hot90', 'plain', 'cold90', 'cold95', 'cold99', 'too_few'];

export const COLOUR: Record<Class, string> = {
  hot99: '#B2182B',
  hot95: '#D6604D',
  hot90: '#F4A582',
  plain: '#C9D3DD',
  cold90: '#92C5DE',
  cold95: '#4393C3',
  cold99: '#2166AC',
  too_few: '#E4E9EF',
};

export const CHANGES: readonly Change[] = ['more', 'less', 'plain', 'too_few'];

export const CHANGE_COLOUR: Record<Change, string> = { more: '#B35806', less: '#542788', plain: '#C9D3DD', too_few: '#E4E9EF' };

/** In the order of the answer: what calls for a look first. */
export const PATTERNS: readonly Pattern[] = ['new', 'intensifying', 'persistent', 'sporadic', 'diminishing', 'none', 'too_short'];

export const PATTERN_COLOUR: Record<Pattern, string> = {
  new: '#C51B7D',
  intensifying: '#8C1D18',
  persistent: '#E0533D',
  sporadic: '#F4B183',
  diminishing: '#5E7FB1',
  none: '#C9D3DD',
  too_short: '#E4E9EF',
};

/** From few to many, or from seldom to often. */
export const STEPS = ['#FDD49E', '#FDBB84', '#FC8D59', '#D7301F', '#7F0000'] as const;

/** What a cell is coloured by where it has no class: its rate where rates are told, else its count. */
export const amountOf = (c: HotCell): number => c.rate ?? c.count;

/**
 * The least counts, or rates, of the steps: fifths of the cells that have incidents, each step above the one before.
 * Fewer steps than five where the counts are few.
 */
export function stepsOf(counts: readonly number[]): number[] {
  const sorted = counts.filter((n) => n > 0).sort((a, b) => a - b);
  const from: number[] = [];
  for (let i = 0; i < STEPS.length && sorted.length; i++) {
    const n = sorted[Math.floor((i * sorted.length) / STEPS.length)] as number;
    if (n > (from.at(-1) ?? 0)) from.push(n);
  }
  return from;
}

/** A cell's colour by its class, or without one by its rate or count. */
export function colourOf(c: HotCell, steps: readonly number[]): string {
  if (c.class) return COLOUR[c.class];
  let at = 0;
  for (const [i, least] of steps.entries()) if (amountOf(c) >= least) at = i;
  // few steps take the darker end too, so that the most is always dark
  const spread = steps.length > 1 ? Math.round((at * (STEPS.length - 1)) / (steps.length - 1)) : STEPS.length - 1;
  return STEPS[spread] as string;
}

/** A cell as the map draws it; a faint one was not judged. */
export interface Painted {
  type: 'Feature';
  properties: { cell: string; colour: string; faint: boolean; rank: string; count: number };
  geometry: { type: 'Polygon'; coordinates: [number, number][][] };
}

/** How many cells the list begins with; they bear their ranks on the map. */
export const FIRST = 20;

/** The cells that are listed: those that were judged to be something, all where none was. */
export function listed(answer: Answer, method: Method): { cell: string }[] {
  const some = <C extends { cell: string }>(features: { properties: C }[], told: (c: C) => boolean): C[] => {
    const all = features.map((f) => f.properties);
    const few = all.filter(told);
    return few.length ? few : all;
  };
  switch (answer.kind) {
    case 'hot':
      return some(answer.shapes.features, (c) => method === 'count' || isHot(c) || isCold(c));
    case 'change':
      return some(answer.shapes.features, (c) => c.class === 'more' || c.class === 'less');
    case 'course':
      return some(answer.shapes.features, (c) => c.hot > 0);
  }
}

const countOf = (c: { count: number } | { after: number }): number => ('count' in c ? c.count : c.after);

/**
 * The middles of the cells with incidents, each with its part of the greatest count: what a heat picture is drawn of.
 * It shows counts and nothing else.
 */
export function heatOf(cells: readonly Painted[]): { type: 'FeatureCollection'; features: unknown[] } {
  const most = Math.max(1, ...cells.map((c) => c.properties.count));
  const features = cells
    .filter((c) => c.properties.count > 0)
    .map((c) => {
      const corners = (c.geometry.coordinates[0] ?? []).slice(0, -1);
      const mean = (i: 0 | 1) => corners.reduce((sum, p) => sum + p[i], 0) / corners.length;
      return {
        type: 'Feature',
        properties: { part: c.properties.count / most },
        geometry: { type: 'Point', coordinates: [mean(0), mean(1)] },
      };
    });
  return { type: 'FeatureCollection', features };
}

/** The cells of an answer in their colours, the first of the list with their ranks. */
export function paint(answer: Answer, method: Method, steps: readonly number[]): Painted[] {
  const ranks = new Map(
    listed(answer, method)
      .slice(0, FIRST)
      .map((c, i) => [c.cell, String(i + 1)]),
  );
  const as = (f: Answer['shapes']['features'][number], colour: string, faint: boolean): Painted => ({
    type: 'Feature',
    properties: {
      cell: f.properties.cell,
      colour,
      faint,
      rank: ranks.get(f.properties.cell) ?? '',
      count: countOf(f.properties),
    },
    geometry: f.geometry,
  });
  switch (answer.kind) {
    case 'hot':
      return answer.shapes.features.map((f) => as(f, colourOf(f.properties, steps), f.properties.class === 'too_few'));
    case 'change':
      return answer.shapes.features.map((f) => as(f, CHANGE_COLOUR[f.properties.class], f.properties.class === 'too_few'));
    case 'course':
      return answer.shapes.features.map((f) => as(f, PATTERN_COLOUR[f.properties.pattern], f.properties.pattern === 'too_short'));
  }
}

export const isHot = (c: HotCell) => Boolean(c.class?.startsWith('hot'));
export const isCold = (c: HotCell) => Boolean(c.class?.startsWith('cold'));

/** A probability to three digits; a dash where there is none. */
export const chance = (p: number | undefined): string => (p === undefined ? '–' : p < 0.001 ? '< 0.001' : p.toFixed(3));
