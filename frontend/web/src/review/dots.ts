// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// The incidents themselves, as dots over the cells: from the zoom on at which tiles have them one by one. Further out
// the cells say how many there are, and no second count is drawn over them.

import type { FilterSpecification, LayerSpecification, SourceSpecification } from 'maplibre-gl';
import { LIGHT, LIGHT_MAP } from '../look/light';
import type { Question } from './api';

/** The first zoom whose tiles have incidents one by one, and the last that shows more than the one before. */
export const DOTS_ZOOM = 12;
const DATA_ZOOM = 16;
/** From here on dots are large, and one that stands for several says for how many. */
const NEAR_ZOOM = 15;

/** States in which an incident is no longer open. */
export const ENDED: readonly string[] = ['refused', 'closed', 'archived', 'merged', 'void', 'transferred'];

/** Of which incidents: those that the cells count, no older than the answer; within an outline, where one was asked for. */
export interface DotsAsked {
  question: Pick<Question, 'from' | 'to' | 'category'>;
  seq: number;
  within: unknown;
}

/** The tiles of the incidents that are asked for. */
export function dotTiles({ question: q, seq }: DotsAsked, origin: string): string {
  const query = new URLSearchParams({ state: 'all', shown: 'true', from: q.from, to: q.to, min_seq: String(seq) });
  if (q.category) query.set('category', q.category);
  return `${origin}/tiles/incidents/{z}/{x}/{y}.mvt?${query}`;
}

export const dotSource = (asked: DotsAsked, origin: string): SourceSpecification => ({
  type: 'vector',
  tiles: [dotTiles(asked, origin)],
  minzoom: DOTS_ZOOM,
  maxzoom: DATA_ZOOM,
});

/** Layers that a click is for. */
export const DOT_LAYERS = ['dots', 'stacks'];

/** Open ones are filled, ended ones hollow; many in one place are one dot with their number. */
export function dotLayers(asked: DotsAsked, rem: number): LayerSpecification[] {
  const of = (layer: string) => {
    const inside = asked.within ? { filter: ['within', asked.within] as unknown as FilterSpecification } : {};
    return { source: 'incidents', 'source-layer': layer, minzoom: DOTS_ZOOM, ...inside };
  };
  /** Small where many lie close together, as large as can be pressed from nearer by. */
  const size = (far: number, near: number) =>
    ['interpolate', ['linear'], ['zoom'], DOTS_ZOOM, far * rem, NEAR_ZOOM, near * rem] as never;
  const ended = ['in', ['get', 'state'], ['literal', ENDED]];
  return [
    {
      id: 'dots',
      type: 'circle',
      ...of('incidents'),
      paint: {
        'circle-radius': size(0.18, 0.35),
        'circle-color': ['case', ended, LIGHT.panel, LIGHT_MAP.chosen] as never,
        'circle-stroke-color': ['case', ended, LIGHT_MAP.chosen, LIGHT.panel] as never,
        'circle-stroke-width': size(0.05, 0.1),
      },
    },
    {
      id: 'stacks',
      type: 'circle',
      ...of('counts'),
      paint: {
        'circle-radius': size(0.24, 0.6),
        'circle-color': LIGHT.panel,
        'circle-stroke-color': LIGHT_MAP.chosen,
        'circle-stroke-width': size(0.05, 0.1),
      },
    },
    {
      id: 'stack-counts',
      type: 'symbol',
      ...of('counts'),
      minzoom: NEAR_ZOOM,
      layout: {
        'text-field': ['to-string', ['get', 'count']],
        'text-font': ['Noto Sans SC Medium'],
        'text-size': 0.65 * rem,
        'text-allow-overlap': true,
        'text-ignore-placement': true,
      },
      paint: { 'text-color': LIGHT_MAP.chosen },
    },
  ];
}
