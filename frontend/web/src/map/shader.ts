// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// The program that draws marks: one GL point a mark, its form cut out by a
// signed distance, so that it is crisp at any wall size without an image.

export const STYLES = 16;

export const VERTEX = `#version 300 es
in vec2 a_prev;
in vec2 a_next;
in float a_style;
uniform mat4 u_matrix;
uniform float u_t;
uniform float u_unit;
uniform float u_most;
uniform vec4 u_color[${STYLES}];
uniform vec2 u_form[${STYLES}];
out vec4 v_color;
flat out int v_shape;
out float v_pixel;
void main() {
  int k = int(a_style + 0.5);
  float size = min(u_form[k].x * u_unit, u_most);
  gl_Position = u_matrix * vec4(mix(a_prev, a_next, u_t), 0.0, 1.0);
  gl_PointSize = size;
  v_color = u_color[k];
  v_shape = int(u_form[k].y + 0.5);
  v_pixel = 2.0 / size;
}`;

export const FRAGMENT = `#version 300 es
precision highp float;
in vec4 v_color;
flat in int v_shape;
in float v_pixel;
out vec4 o_color;
const vec3 GROUND = vec3(0.043, 0.086, 0.133);

float box(vec2 p, float r) {
  vec2 q = abs(p) - r;
  return length(max(q, 0.0)) + min(max(q.x, q.y), 0.0);
}
float segment(vec2 p, vec2 a, vec2 b) {
  vec2 d = b - a;
  return length(p - a - d * clamp(dot(p - a, d) / dot(d, d), 0.0, 1.0));
}
// Inside is negative. p runs from -1 to 1, y down.
float body(vec2 p) {
  if (v_shape == 3) {                     // triangle, point up
    float r = 0.62;
    vec2 q = vec2(abs(p.x), -p.y + 0.12);
    return max(q.x * 0.866 + q.y * 0.5 - r * 0.62, -q.y - r * 0.62);
  }
  if (v_shape == 4 || v_shape == 5) return box(p, 0.6) - 0.06;
  if (v_shape == 6) return (abs(p.x) + abs(p.y)) * 0.7071 - 0.52;
  if (v_shape == 7) return min(segment(p, vec2(-0.52, 0.06), vec2(-0.14, 0.44)), segment(p, vec2(-0.14, 0.44), vec2(0.54, -0.4))) - 0.17;
  if (v_shape == 1) { float r = length(p); return min(r - 0.42, abs(r - 0.74) - 0.09); }
  return length(p) - 0.74;
}
void main() {
  vec2 p = gl_PointCoord * 2.0 - 1.0;
  if (v_shape == 8) {                     // halo: a soft ring
    float r = length(p);
    float a = v_color.a * (1.0 - smoothstep(0.0, 0.1, abs(r - 0.86))) + v_color.a * 0.35 * smoothstep(0.3, 0.86, r) * step(r, 0.86);
    o_color = vec4(v_color.rgb, 1.0) * a;
    return;
  }
  float d = body(p);
  float edge = v_shape == 1 ? length(p) - 0.86 : d;
  float inside = 1.0 - smoothstep(-v_pixel, v_pixel, d);
  if (v_shape == 2) inside *= smoothstep(-v_pixel, v_pixel, d + 0.3);
  if (v_shape == 5) inside *= smoothstep(-v_pixel, v_pixel, d + 0.24);
  float cover = 1.0 - smoothstep(-v_pixel, v_pixel, edge - 0.14);
  if (cover <= 0.0) discard;
  o_color = vec4(mix(GROUND, v_color.rgb, inside), 1.0) * (cover * v_color.a);
}`;
