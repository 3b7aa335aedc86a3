// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package tiles

import (
	"slices"

	"github.com/paulmach/orb"
)

// joints are the places where borders of grids meet or part: a vertex that has
// more than two different neighbours over all rings of all grids. Thinning keeps
// them and treats each stretch between two of them alone and always from the
// same end, so that every grid along the stretch gets the same line.
//
//	 A |  B          the stretches J-K, K-A/B ... are thinned one by one;
//	---J-----K---    J and K stay
//	    C    |  D
type joints map[orb.Point]struct{}

// findJoints looks at all rings of all grids, of every level.
func findJoints(shapes []orb.MultiPolygon) joints {
	near := map[orb.Point][2]orb.Point{}
	count := map[orb.Point]uint8{}
	js := joints{}
	note := func(at, next orb.Point) {
		n, c := near[at], count[at]
		switch {
		case c > 0 && n[0] == next, c > 1 && n[1] == next:
		case c == 2:
			js[at] = struct{}{}
		default:
			n[c] = next
			near[at], count[at] = n, c+1
		}
	}
	for _, mp := range shapes {
		for _, p := range mp {
			for _, r := range p {
				for i := 1; i < len(r); i++ {
					if r[i-1] != r[i] {
						note(r[i-1], r[i])
						note(r[i], r[i-1])
					}
				}
			}
		}
	}
	return js
}

// thin returns mp with every ring thinned to the tolerance. A ring that would
// collapse stays as it is.
func (js joints) thin(mp orb.MultiPolygon, tol float64) orb.MultiPolygon {
	out := make(orb.MultiPolygon, 0, len(mp))
	for _, p := range mp {
		q := make(orb.Polygon, 0, len(p))
		for _, r := range p {
			if t := js.ring(r, tol); len(t) >= 4 {
				q = append(q, t)
			} else {
				q = append(q, r)
			}
		}
		out = append(out, q)
	}
	return out
}

func (js joints) ring(r orb.Ring, tol float64) orb.Ring {
	open := r[:len(r)-1]
	if len(open) < 3 {
		return r
	}
	start := js.start(open)
	turned := make([]orb.Point, 0, len(r))
	turned = append(turned, open[start:]...)
	turned = append(turned, open[:start]...)
	turned = append(turned, open[start])
	out := orb.Ring{turned[0]}
	for from := 0; from < len(turned)-1; {
		to := from + 1
		for to < len(turned)-1 && !js.has(turned[to]) {
			to++
		}
		out = append(out, stretch(turned[from:to+1], tol)[1:]...)
		from = to
	}
	return out
}

func (js joints) has(p orb.Point) bool { _, ok := js[p]; return ok }

// start is where a ring is cut open: at a joint, else at its least vertex.
func (js joints) start(open orb.Ring) int {
	least := 0
	for i, p := range open {
		if js.has(p) {
			return i
		}
		if less(p, open[least]) {
			least = i
		}
	}
	return least
}

func less(a, b orb.Point) bool { return a[0] < b[0] || a[0] == b[0] && a[1] < b[1] }

// stretch thins a line from the end that comes first in the order of less,
// whichever way it was given.
func stretch(ps []orb.Point, tol float64) []orb.Point {
	last := len(ps) - 1
	back := less(ps[last], ps[0]) || ps[0] == ps[last] && less(ps[last-1], ps[1])
	if !back {
		return thinLine(ps, tol)
	}
	turned := slices.Clone(ps)
	slices.Reverse(turned)
	out := thinLine(turned, tol)
	slices.Reverse(out)
	return out
}

// thinLine is Douglas and Peucker's method: the ends stay, and every vertex
// farther than tol from the line drawn without it.
func thinLine(ps []orb.Point, tol float64) orb.LineString {
	if len(ps) < 3 {
		return slices.Clone(ps)
	}
	keep := make([]bool, len(ps))
	keep[0], keep[len(ps)-1] = true, true
	todo := [][2]int{{0, len(ps) - 1}}
	for len(todo) > 0 {
		span := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		far, at := tol*tol, -1
		for i := span[0] + 1; i < span[1]; i++ {
			if d := offset(ps[i], ps[span[0]], ps[span[1]]); d > far {
				far, at = d, i
			}
		}
		if at >= 0 {
			keep[at] = true
			todo = append(todo, [2]int{span[0], at}, [2]int{at, span[1]})
		}
	}
	out := make(orb.LineString, 0, len(ps))
	for i, k := range keep {
		if k {
			out = append(out, ps[i])
		}
	}
	return out
}

// offset is the squared distance of p from the segment a-b.
func offset(p, a, b orb.Point) float64 {
	dx, dy := b[0]-a[0], b[1]-a[1]
	t := 0.0
	if d := dx*dx + dy*dy; d > 0 {
		t = max(0, min(1, ((p[0]-a[0])*dx+(p[1]-a[1])*dy)/d))
	}
	x, y := p[0]-a[0]-t*dx, p[1]-a[1]-t*dy
	return x*x + y*y
}
