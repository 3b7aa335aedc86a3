// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package layer

import (
	"cmp"
	"container/heap"
	"math"
	"slices"

	"github.com/paulmach/orb"
	"github.com/paulmach/orb/planar"

	"onemap/geo"
)

// Near is a feature and how far it is from a place.
type Near struct {
	*Feature
	Metres  float64 // along a great circle to its nearest point; 0 inside a polygon
	Bearing float64 // from the place to that point, degrees clockwise from north
	Covers  *bool   // of a camera: see Camera.Covers; nil for the rest
}

// Nearest returns the k features that are nearest to p among those that take
// admits, the nearest first, those at one distance by ID. It is exact: the index
// only leaves out what a lower bound proves to be farther away.
func (s *Set) Nearest(p geo.WGS84, k int, take func(*Feature) bool) []Near {
	if k <= 0 || s.index == nil || len(s.index.nodes) == 0 {
		return nil
	}
	q := onSphere(orb.Point(p))
	todo := &queue{{bound: 0, node: 0}}
	best := make([]Near, 0, k+1)
	for todo.Len() > 0 {
		next := heap.Pop(todo).(step)
		if len(best) == k && next.bound > best[k-1].Metres {
			break
		}
		n := &s.index.nodes[next.node]
		if n.left == 0 {
			for _, i := range s.index.order[n.from:n.to] {
				f := &s.Features[i]
				if len(best) == k && s.index.items[i].bound(q) > best[k-1].Metres || !take(f) {
					continue
				}
				best = insert(best, k, nearTo(f, p, q))
			}
			continue
		}
		for _, c := range [2]int32{n.left, n.left + 1} {
			if b := s.index.nodes[c].bound(q); len(best) < k || b <= best[k-1].Metres {
				heap.Push(todo, step{b, c})
			}
		}
	}
	return best
}

// insert puts n into best, which stays sorted and no longer than k.
func insert(best []Near, k int, n Near) []Near {
	i, _ := slices.BinarySearchFunc(best, n, func(a, b Near) int {
		return cmp.Or(cmp.Compare(a.Metres, b.Metres), cmp.Compare(a.ID, b.ID))
	})
	best = slices.Insert(best, i, n)
	return best[:min(k, len(best))]
}

// nearTo measures one feature.
func nearTo(f *Feature, p geo.WGS84, q vec) Near {
	n := Near{Feature: f}
	at, isPoint := f.Geom.(orb.Point)
	if isPoint {
		n.Metres = geo.Distance(p, geo.WGS84(at))
	} else {
		at, n.Metres = closest(f.Geom, p, q)
	}
	n.Bearing = Bearing(p, geo.WGS84(at))
	if f.Camera != nil && isPoint {
		n.Covers = f.Camera.Covers(geo.WGS84(at), p)
	}
	return n
}

// closest is the point of g nearest to p: on one of its arcs, or p itself inside a
// polygon.
func closest(g orb.Geometry, p geo.WGS84, q vec) (at orb.Point, metres float64) {
	metres = math.Inf(1)
	arcs := func(l orb.LineString) {
		for i := range l {
			a := onSphere(l[i])
			b := onSphere(l[max(i, 1)-1])
			c := arcPoint(b, a, q)
			if d := c.metres(q); d < metres {
				at, metres = c.point(), d
			}
		}
	}
	switch g := g.(type) {
	case orb.LineString:
		arcs(g)
	case orb.MultiLineString:
		for _, l := range g {
			arcs(l)
		}
	case orb.Polygon:
		return closest(orb.MultiPolygon{g}, p, q)
	case orb.MultiPolygon:
		if planar.MultiPolygonContains(g, orb.Point(p)) {
			return orb.Point(p), 0
		}
		for _, part := range g {
			for _, r := range part {
				arcs(orb.LineString(r))
			}
		}
	}
	return at, metres
}

// vec is a point of the unit sphere, or a direction.
type vec [3]float64

func onSphere(p orb.Point) vec {
	const rad = math.Pi / 180
	sLat, cLat := math.Sincos(p[1] * rad)
	sLon, cLon := math.Sincos(p[0] * rad)
	return vec{cLat * cLon, cLat * sLon, sLat}
}

func (v vec) point() orb.Point {
	const deg = 180 / math.Pi
	return orb.Point{math.Atan2(v[1], v[0]) * deg, math.Atan2(v[2], math.Hypot(v[0], v[1])) * deg}
}

func (v vec) dot(w vec) float64 { return v[0]*w[0] + v[1]*w[1] + v[2]*w[2] }

func (v vec) cross(w vec) vec {
	return vec{v[1]*w[2] - v[2]*w[1], v[2]*w[0] - v[0]*w[2], v[0]*w[1] - v[1]*w[0]}
}

func (v vec) plus(w vec, times float64) vec {
	return vec{v[0] + w[0]*times, v[1] + w[1]*times, v[2] + w[2]*times}
}

func (v vec) length() float64 { return math.Sqrt(v.dot(v)) }

// metres is the great-circle distance of two points, by their chord.
func (v vec) metres(w vec) float64 { return arcOf(v.plus(w, -1).length()) }

// arcOf is the length of the arc over a chord of the unit sphere, in metres.
func arcOf(chord float64) float64 { return 2 * geo.EarthRadius * math.Asin(min(chord/2, 1)) }

// arcPoint is the point of the shorter arc from a to b that is nearest to q.
func arcPoint(a, b, q vec) vec {
	nearer := a
	if q.plus(b, -1).length() < q.plus(a, -1).length() {
		nearer = b
	}
	n := a.cross(b)
	if n.length() < 1e-15 {
		return nearer
	}
	// q dropped onto the plane of the arc; between a and b when it lies on the inner
	// side of both ends.
	foot := q.plus(n, -q.dot(n)/n.dot(n))
	l := foot.length()
	if l < 1e-12 || n.cross(a).dot(foot) < 0 || b.cross(n).dot(foot) < 0 {
		return nearer
	}
	return vec{}.plus(foot, 1/l)
}

// ball holds a feature: every arc between points of a cap smaller than half the
// earth stays in the cap.
type ball struct {
	centre vec
	radius float64 // a chord
}

// bound is a lower bound of the distance from q to whatever is in the ball. What
// rounding may take away is taken off: a nanometre or so.
func (b ball) bound(q vec) float64 {
	return arcOf(max(0, b.centre.plus(q, -1).length()-b.radius-1e-14)) * (1 - 1e-12)
}

func ballOf(g orb.Geometry) ball {
	if p, ok := g.(orb.Point); ok {
		return ball{centre: onSphere(p)}
	}
	var sum vec
	eachPoint(g, func(p orb.Point) { sum = sum.plus(onSphere(p), 1) })
	l := sum.length()
	if l < 1e-9 {
		return ball{centre: vec{1, 0, 0}, radius: 2} // round the earth: anywhere
	}
	b := ball{centre: vec{}.plus(sum, 1/l)}
	eachPoint(g, func(p orb.Point) { b.radius = max(b.radius, b.centre.plus(onSphere(p), -1).length()) })
	if b.radius > 1.2 { // about 74 degrees: no cap is to be trusted from there on
		b.radius = 2
	}
	return b
}

// index is a tree of boxes in space round the balls of the features, halved along
// the longest side until few are left.
type index struct {
	items []ball
	order []int32
	nodes []node
}

type node struct {
	lo, hi   vec
	from, to int32 // of order
	left     int32 // the other child comes next; 0 of a leaf
}

const leafSize = 16

func newIndex(features []Feature) *index {
	x := &index{items: make([]ball, len(features)), order: make([]int32, len(features))}
	if len(features) == 0 {
		return x
	}
	for i := range features {
		x.items[i], x.order[i] = ballOf(features[i].Geom), int32(i)
	}
	x.nodes = append(x.nodes, x.box(0, int32(len(features))))
	for i := 0; i < len(x.nodes); i++ {
		x.halve(i)
	}
	return x
}

// box is the node of order[from:to].
func (x *index) box(from, to int32) node {
	n := node{lo: vec{9, 9, 9}, hi: vec{-9, -9, -9}, from: from, to: to}
	for _, i := range x.order[from:to] {
		b := x.items[i]
		for d := range 3 {
			n.lo[d], n.hi[d] = min(n.lo[d], b.centre[d]-b.radius), max(n.hi[d], b.centre[d]+b.radius)
		}
	}
	return n
}

func (x *index) halve(i int) {
	n := x.nodes[i]
	if n.to-n.from <= leafSize {
		return
	}
	d := 0
	for e := 1; e < 3; e++ {
		if n.hi[e]-n.lo[e] > n.hi[d]-n.lo[d] {
			d = e
		}
	}
	slices.SortFunc(x.order[n.from:n.to], func(a, b int32) int { return cmp.Compare(x.items[a].centre[d], x.items[b].centre[d]) })
	mid := (n.from + n.to) / 2
	x.nodes[i].left = int32(len(x.nodes))
	x.nodes = append(x.nodes, x.box(n.from, mid), x.box(mid, n.to))
}

// bound is a lower bound of the distance from q to whatever is in the box.
func (n *node) bound(q vec) float64 {
	var sum float64
	for d := range 3 {
		off := max(n.lo[d]-q[d], 0, q[d]-n.hi[d])
		sum += off * off
	}
	return arcOf(max(0, math.Sqrt(sum)-1e-14)) * (1 - 1e-12)
}

// step is a node to be looked at.
type step struct {
	bound float64
	node  int32
}

// queue is a heap of steps, the nearest first.
type queue []step

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].bound < q[j].bound }
func (q queue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(x any)        { *q = append(*q, x.(step)) }
func (q *queue) Pop() any {
	old := *q
	x := old[len(old)-1]
	*q = old[:len(old)-1]
	return x
}
