// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// The hand on the desk's map: it chooses a mark, gives a place to a form that waits for
// one, or marks a circle, box or polygon.

import type { Map as GLMap, MapMouseEvent } from 'maplibre-gl';
import { ref, shallowRef } from 'vue';
import { complete, Marking, type Place, type Shape, type Tool } from './marking';
import { Overlay } from './overlay';

export class MapHand {
  /** What a press on the map does now. */
  readonly tool = ref<'choose' | 'place' | Tool>('choose');
  readonly shape = shallowRef<Shape | null>(null);
  /** Called with each whole shape. */
  marked: (s: Shape) => void = () => {};
  /** Called where a mark is to be chosen. */
  choose: (at: Place) => void = () => {};

  private gl: GLMap | null = null;
  private overlay: Overlay | null = null;
  private marking: Marking | null = null;
  private taker: ((at: Place) => void) | null = null;
  private place: { at: Place; accuracyM: number } | null = null;

  attach(gl: GLMap): void {
    this.gl = gl;
    this.overlay = new Overlay(gl);
    gl.on('mousedown', (e) => this.press(e));
    gl.on('mousemove', (e) => this.move(e));
    gl.on('mouseup', (e) => this.release(e));
    gl.on('click', (e) => this.click(at(e)));
    gl.on('dblclick', (e) => {
      if (this.tool.value !== 'polygon') return;
      e.preventDefault();
      this.finish();
    });
    this.use(this.tool.value);
    this.draw();
  }

  detach(): void {
    this.overlay?.remove();
    this.overlay = null;
    this.gl = null;
  }

  /** Gives the places that are pressed to a form, until it leaves. */
  take(taker: (at: Place) => void): void {
    this.taker = taker;
    this.use('place');
  }
  leave(): void {
    this.taker = null;
    this.showPlace(null);
    this.use('choose');
  }
  /** The middle of the map, for those who work without a mouse; null without a map. */
  middle(): Place | null {
    const c = this.gl?.getCenter();
    return c ? [c.lng, c.lat] : null;
  }
  showPlace(place: Place | null, accuracyM = 0): void {
    this.place = place && { at: place, accuracyM };
    this.draw();
  }

  /** Begins a mark; the one there was goes. */
  mark(tool: Tool): void {
    this.marking = new Marking(tool);
    this.shape.value = null;
    this.use(tool);
  }
  /** Takes a shape that was not drawn. */
  put(shape: Shape): void {
    this.marking = null;
    this.use('choose');
    this.whole(shape);
  }
  /** Ends a polygon by hand. */
  finish(): void {
    if (this.marking?.finish() && this.marking.shape) this.put(this.marking.shape);
  }
  back(): void {
    this.marking?.back();
    this.redraw();
  }
  clear(): void {
    this.marking = null;
    this.shape.value = null;
    if (this.tool.value !== 'place') this.use('choose');
    this.draw();
  }

  private use(tool: typeof this.tool.value): void {
    this.tool.value = tool;
    const { gl } = this;
    if (!gl) return;
    gl.getCanvas().classList.toggle('aiming', tool !== 'choose');
    if (tool === 'circle' || tool === 'box') gl.dragPan.disable();
    else gl.dragPan.enable();
    if (tool === 'polygon') gl.doubleClickZoom.disable();
    else gl.doubleClickZoom.enable();
  }

  private press(e: MapMouseEvent): void {
    if (e.originalEvent.button === 0) this.marking?.press(at(e));
  }
  private move(e: MapMouseEvent): void {
    if (!this.marking?.busy) return;
    this.marking.move(at(e));
    this.redraw();
  }
  private release(e: MapMouseEvent): void {
    if (this.marking?.release(at(e)) && this.marking.shape) this.put(this.marking.shape);
  }
  private click(place: Place): void {
    if (this.marking) {
      this.marking.corner(place);
      this.redraw();
    } else if (this.taker) this.taker(place);
    else this.choose(place);
  }

  private redraw(): void {
    this.shape.value = this.marking?.shape ?? null;
    this.draw();
  }
  private whole(shape: Shape): void {
    this.shape.value = shape;
    this.draw();
    if (complete(shape)) this.marked(shape);
  }
  private draw(): void {
    this.overlay?.show(this.shape.value, this.place?.at ?? null, this.place?.accuracyM ?? 0);
  }
}

const at = (e: MapMouseEvent): Place => [e.lngLat.lng, e.lngLat.lat];
