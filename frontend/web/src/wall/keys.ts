// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// The wall's few keys.

import type { HallMap } from '../map/hallmap';

const MAP_KEYS: Record<string, (m: HallMap) => void> = {
  '0': (m) => m.goHome(),
  '+': (m) => m.zoomBy(0.5),
  '=': (m) => m.zoomBy(0.5),
  '-': (m) => m.zoomBy(-0.5),
  ArrowLeft: (m) => m.pan(-1, 0),
  ArrowRight: (m) => m.pan(1, 0),
  ArrowUp: (m) => m.pan(0, -1),
  ArrowDown: (m) => m.pan(0, 1),
};

/** Does what a key stands for; false when it stands for nothing here. */
export function keyAction(e: KeyboardEvent, hall: { map: HallMap | null }): boolean {
  if (e.ctrlKey || e.altKey || e.metaKey) return false;
  if (e.key === 'f' || e.key === 'F') {
    void (document.fullscreenElement ? document.exitFullscreen() : document.documentElement.requestFullscreen()).catch(
      () => undefined,
    );
    return true;
  }
  const act = MAP_KEYS[e.key];
  if (!act || !hall.map) return false;
  act(hall.map);
  return true;
}
