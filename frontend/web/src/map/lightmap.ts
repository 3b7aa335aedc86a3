// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// A map of the light pages: north up, flat, in the page's letters, drawn by MapLibre's
// worker from our own server. It is part of a chunk that is loaded when a map opens.

import { Map as GLMap, setWorkerUrl } from 'maplibre-gl';
import workerUrl from 'maplibre-gl/dist/maplibre-gl-worker.mjs?worker&url';
import 'maplibre-gl/dist/maplibre-gl.css';
import { FONT } from './font';

setWorkerUrl(workerUrl);

const LARGEST_CANVAS: [number, number] = [8192, 8192];

/** West, south, east, north. */
export type Box = [number, number, number, number];

/** An empty map of a box, with a margin of one letter's height. */
export function lightMap(container: HTMLElement, title: string, home: Box): GLMap {
  const gl = new GLMap({
    container,
    style: { version: 8, sources: {}, layers: [] },
    bounds: home,
    fitBoundsOptions: { padding: remPx() },
    attributionControl: false,
    dragRotate: false,
    pitchWithRotate: false,
    touchPitch: false,
    maxPitch: 0,
    fadeDuration: 0,
    maxCanvasSize: LARGEST_CANVAS,
    localIdeographFontFamily: FONT,
    locale: { 'Map.Title': title },
  });
  gl.touchZoomRotate.disableRotation();
  gl.keyboard.disableRotation();
  return gl;
}

/** The height of a letter, by which everything is sized. */
export const remPx = () => Number.parseFloat(getComputedStyle(document.documentElement).fontSize) || 16;

/** Whoever looks asks for less motion. */
export const still = () => matchMedia('(prefers-reduced-motion: reduce)').matches;
