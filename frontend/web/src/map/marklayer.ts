// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// Our own MapLibre layer: draws thousands of marks from two position buffers
// in one call. It owns its GL objects, makes them anew after a lost context and
// leaves no vertex array bound.

import type { CustomLayerInterface, CustomRenderMethodInput, Map as GLMap } from 'maplibre-gl';
import { type Mark, rgb, SHAPES } from '../look/shapes';
import { LOCAL_SCALE, type Points } from './points';
import { FRAGMENT, STYLES, VERTEX } from './shader';

export interface MarkLayerOptions {
  id: string;
  points: Points;
  /** What each style code looks like; the index is the code. */
  marks: Mark[];
  /** Pixels per u on the canvas. */
  unit(): number;
  /** How far the slide is, 0..1. */
  slide(): number;
  /** Called before drawing, to change size or opacity of a style for this frame. */
  animate?(set: (style: number, size: number, alpha: number) => void): void;
}

interface Program {
  program: WebGLProgram;
  vao: WebGLVertexArrayObject;
  buffers: { prev: WebGLBuffer; next: WebGLBuffer; style: WebGLBuffer };
  at: Record<'u_matrix' | 'u_t' | 'u_unit' | 'u_most' | 'u_color' | 'u_form', WebGLUniformLocation | null>;
  most: number;
}

export class MarkLayer implements CustomLayerInterface {
  readonly type = 'custom' as const;
  readonly renderingMode = '2d' as const;
  readonly id: string;
  /** Marks in the last frame. */
  drawn = 0;
  private gl: Program | null = null;
  private uploaded = -1;
  private room = 0;
  private readonly colors = new Float32Array(STYLES * 4);
  private readonly forms = new Float32Array(STYLES * 2);

  constructor(private readonly o: MarkLayerOptions) {
    this.id = o.id;
    for (const [k, m] of o.marks.entries()) {
      this.colors.set([...rgb(m.tone), 1], k * 4);
      this.forms.set([m.size, SHAPES[m.shape]], k * 2);
    }
  }

  onAdd(_map: GLMap, gl: WebGL2RenderingContext): void {
    this.uploaded = -1;
    this.room = 0;
    this.gl = makeProgram(gl);
  }

  onRemove(_map: GLMap, gl: WebGL2RenderingContext): void {
    if (!this.gl) return;
    gl.deleteProgram(this.gl.program);
    gl.deleteVertexArray(this.gl.vao);
    for (const b of Object.values(this.gl.buffers)) gl.deleteBuffer(b);
    this.gl = null;
  }

  render(gl: WebGL2RenderingContext, input: CustomRenderMethodInput): void {
    const p = this.gl;
    const { points } = this.o;
    this.drawn = points.count;
    if (!p || points.count === 0) return;
    this.o.animate?.((style, size, alpha) => {
      this.forms[style * 2] = size;
      this.colors[style * 4 + 3] = alpha;
    });
    gl.useProgram(p.program);
    gl.bindVertexArray(p.vao);
    this.upload(gl, p);
    gl.uniformMatrix4fv(p.at.u_matrix, false, local(input.defaultProjectionData.mainMatrix, points.origin));
    gl.uniform1f(p.at.u_t, this.o.slide());
    gl.uniform1f(p.at.u_unit, this.o.unit());
    gl.uniform1f(p.at.u_most, p.most);
    gl.uniform4fv(p.at.u_color, this.colors);
    gl.uniform2fv(p.at.u_form, this.forms);
    gl.drawArrays(gl.POINTS, 0, points.count);
    gl.bindVertexArray(null);
  }

  private upload(gl: WebGL2RenderingContext, p: Program): void {
    const { points } = this.o;
    if (this.uploaded === points.version) return;
    const all = points.next.length !== this.room;
    const put = (b: WebGLBuffer, data: Float32Array | Uint8Array, used: number) => {
      gl.bindBuffer(gl.ARRAY_BUFFER, b);
      if (all) gl.bufferData(gl.ARRAY_BUFFER, data, gl.DYNAMIC_DRAW);
      else gl.bufferSubData(gl.ARRAY_BUFFER, 0, data, 0, used);
    };
    put(p.buffers.prev, points.prev, points.count * 2);
    put(p.buffers.next, points.next, points.count * 2);
    put(p.buffers.style, points.style, points.count);
    gl.bindBuffer(gl.ARRAY_BUFFER, null);
    this.room = points.next.length;
    this.uploaded = points.version;
  }
}

/** matrix x translate(origin) x scale(1/LOCAL_SCALE), multiplied in doubles. */
function local(m: ArrayLike<number>, origin: [number, number]): Float32Array {
  const out = new Float32Array(16);
  for (let r = 0; r < 4; r++) {
    const c0 = m[r] as number;
    const c1 = m[4 + r] as number;
    out[r] = c0 / LOCAL_SCALE;
    out[4 + r] = c1 / LOCAL_SCALE;
    out[8 + r] = m[8 + r] as number;
    out[12 + r] = c0 * origin[0] + c1 * origin[1] + (m[12 + r] as number);
  }
  return out;
}

function makeProgram(gl: WebGL2RenderingContext): Program {
  const program = gl.createProgram();
  for (const [type, source] of [
    [gl.VERTEX_SHADER, VERTEX],
    [gl.FRAGMENT_SHADER, FRAGMENT],
  ] as const) {
    const s = gl.createShader(type);
    if (!s) throw new Error('no shader: the context is lost');
    gl.shaderSource(s, source);
    gl.compileShader(s);
    gl.attachShader(program, s);
    gl.deleteShader(s);
  }
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS) && !gl.isContextLost()) {
    throw new Error(`marks do not link: ${gl.getProgramInfoLog(program)}`);
  }
  const vao = gl.createVertexArray();
  gl.bindVertexArray(vao);
  const attribute = (name: string, size: number, type: number) => {
    const b = gl.createBuffer();
    const at = gl.getAttribLocation(program, name);
    gl.bindBuffer(gl.ARRAY_BUFFER, b);
    gl.enableVertexAttribArray(at);
    gl.vertexAttribPointer(at, size, type, false, 0, 0);
    return b;
  };
  const buffers = {
    prev: attribute('a_prev', 2, gl.FLOAT),
    next: attribute('a_next', 2, gl.FLOAT),
    style: attribute('a_style', 1, gl.UNSIGNED_BYTE),
  };
  gl.bindVertexArray(null);
  gl.bindBuffer(gl.ARRAY_BUFFER, null);
  const where = (name: string) => gl.getUniformLocation(program, name);
  const range = gl.getParameter(gl.ALIASED_POINT_SIZE_RANGE) as Float32Array | null;
  return {
    program,
    vao,
    buffers,
    at: {
      u_matrix: where('u_matrix'),
      u_t: where('u_t'),
      u_unit: where('u_unit'),
      u_most: where('u_most'),
      u_color: where('u_color'),
      u_form: where('u_form'),
    },
    most: range?.[1] ?? 64,
  };
}
