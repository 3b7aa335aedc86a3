// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// Pins over the map: a ring about the chosen incident, and the ranks of those who
// are advised, which follow their dots.

import { type Map as GLMap, Marker } from 'maplibre-gl';
import type { Candidate } from './types';

export class MapPins {
  private ring: Marker | null = null;
  private readonly ranks = new Map<string, Marker>();

  constructor(
    private readonly gl: GLMap,
    /** Where a worker's dot is. */
    private readonly at: (worker: number) => [number, number] | null,
  ) {}

  show(point: [number, number] | null, advised: Candidate[], picked: string[]): void {
    this.clear();
    for (const c of [...advised].reverse()) {
      const place = this.at(Number(c.worker_id));
      if (place)
        this.ranks.set(c.worker_id, this.pin(place, `pin-rank${picked.includes(c.worker_id) ? ' picked' : ''}`, String(c.rank)));
    }
    if (point) this.ring = this.pin(point, 'pin-chosen', '');
  }

  /** Puts the ranks where their dots are by now. */
  follow(): void {
    for (const [worker, pin] of this.ranks) {
      const place = this.at(Number(worker));
      if (place) pin.setLngLat(place);
    }
  }

  clear(): void {
    this.ring?.remove();
    this.ring = null;
    for (const pin of this.ranks.values()) pin.remove();
    this.ranks.clear();
  }

  private pin(place: [number, number], look: string, text: string): Marker {
    const element = document.createElement('div');
    element.className = look;
    element.textContent = text;
    element.setAttribute('aria-hidden', 'true'); // the lists tell the same
    return new Marker({ element }).setLngLat(place).addTo(this.gl);
  }
}
