// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package geo

import (
	"fmt"
	"math"

	"github.com/paulmach/orb"
)

// edge is one side of a ring; seq counts within the ring.
type edge struct {
	a, b orb.Point
	ring int32
	seq  int32
}

// meshRing is a ring of the polygon being checked, repeats removed.
type meshRing struct {
	part, n int
	points  []orb.Point
	bound   orb.Bound
	loc     *ringIndex // made when first needed
}

// touch is a point at which two different rings meet without crossing.
type touch struct {
	a, b int32 // ring numbers, a < b
	at   orb.Point
}

// mesh holds all edges of a polygon in square buckets, so that only
// neighbours are compared.
type mesh struct {
	rings []meshRing
	parts [][]int // ring numbers of each part, outline first
	edges []edge

	touches   map[touch]bool
	touchList []touch
	touched   map[[2]int32]bool // pairs of rings, the lower number first
}

func newMesh(mp orb.MultiPolygon) *mesh {
	m := &mesh{touches: map[touch]bool{}, touched: map[[2]int32]bool{}}
	for i, part := range mp {
		var own []int
		for j, ring := range part {
			own = append(own, len(m.rings))
			m.addRing(meshRing{part: i, n: j, points: distinct(ring), bound: ring.Bound()})
		}
		m.parts = append(m.parts, own)
	}
	return m
}

func (m *mesh) addRing(r meshRing) {
	id := int32(len(m.rings))
	for i, a := range r.points {
		b := r.points[(i+1)%len(r.points)]
		m.edges = append(m.edges, edge{a, b, id, int32(i)})
	}
	m.rings = append(m.rings, r)
}

// checkEdges compares every two edges that share a bucket; it reports the
// first crossing and remembers where different rings touch.
func (m *mesh) checkEdges() error {
	b := newBuckets(m.edges)
	for c := range b.cells() {
		members := b.cell(c)
		for i, s := range members {
			for _, t := range members[i+1:] {
				if err := m.comparePair(&m.edges[s], &m.edges[t]); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (m *mesh) comparePair(s, t *edge) error {
	if apart(s.a[0], s.b[0], t.a[0], t.b[0]) || apart(s.a[1], s.b[1], t.a[1], t.b[1]) {
		return nil
	}
	s1, s2 := Orient(s.a, s.b, t.a), Orient(s.a, s.b, t.b)
	t1, t2 := Orient(t.a, t.b, s.a), Orient(t.a, t.b, s.b)
	if s1*s2 > 0 || t1*t2 > 0 {
		return nil
	}
	if s1*s2 < 0 && t1*t2 < 0 {
		return m.crossing(s, t, crossingPlace(s, t), "crosses")
	}
	if s1 == 0 && s2 == 0 { // on one line
		if at, ok := overlapPlace(s, t); ok {
			return m.crossing(s, t, at, "runs over")
		}
	}
	var at orb.Point
	switch {
	case s1 == 0 && within(s, t.a):
		at = t.a
	case s2 == 0 && within(s, t.b):
		at = t.b
	case t1 == 0 && within(t, s.a):
		at = s.a
	case t2 == 0 && within(t, s.b):
		at = s.b
	default:
		return nil
	}
	return m.meet(s, t, at)
}

// meet takes note that s and t have the point at in common.
func (m *mesh) meet(s, t *edge, at orb.Point) error {
	if s.ring != t.ring {
		a, b := min(s.ring, t.ring), max(s.ring, t.ring)
		if at := (touch{a, b, at}); !m.touches[at] {
			m.touches[at] = true
			m.touchList = append(m.touchList, at)
		}
		m.touched[[2]int32{a, b}] = true
		return nil
	}
	n := int32(len(m.rings[s.ring].points))
	if (s.seq+1)%n == t.seq || (t.seq+1)%n == s.seq {
		return nil // neighbours share their corner
	}
	r := m.rings[s.ring]
	return &PolygonError{
		Fault: FaultTouching, Part: r.part, Ring: r.n, At: at,
		Text: fmt.Sprintf("%s: touches itself at %s", ringName(r.part, r.n), placeName(at)),
	}
}

func (m *mesh) crossing(s, t *edge, at orb.Point, verb string) error {
	r, o := m.rings[s.ring], m.rings[t.ring]
	what := "itself"
	if s.ring != t.ring {
		what = ringName(o.part, o.n)
	}
	return &PolygonError{
		Fault: FaultCrossing, Part: r.part, Ring: r.n, At: at,
		Text: fmt.Sprintf("%s: %s %s at %s", ringName(r.part, r.n), verb, what, placeName(at)),
	}
}

// apart says whether the ranges a-b and c-d have no number in common.
func apart(a, b, c, d float64) bool {
	return max(a, b) < min(c, d) || max(c, d) < min(a, b)
}

// within says whether p, known to be on the line of e, is on e itself.
func within(e *edge, p orb.Point) bool {
	return !apart(e.a[0], e.b[0], p[0], p[0]) && !apart(e.a[1], e.b[1], p[1], p[1])
}

// crossingPlace is where two edges that cross do so, rounded.
func crossingPlace(s, t *edge) orb.Point {
	dx, dy := s.b[0]-s.a[0], s.b[1]-s.a[1]
	ex, ey := t.b[0]-t.a[0], t.b[1]-t.a[1]
	k := ((t.a[0]-s.a[0])*ey - (t.a[1]-s.a[1])*ex) / (dx*ey - dy*ex)
	if math.IsNaN(k) || math.IsInf(k, 0) {
		return t.a
	}
	return orb.Point{s.a[0] + k*dx, s.a[1] + k*dy}
}

// overlapPlace returns a point of the stretch that two edges on one line have
// in common, and whether they have more than a point in common.
func overlapPlace(s, t *edge) (orb.Point, bool) {
	axis := 0
	if math.Abs(s.b[1]-s.a[1]) > math.Abs(s.b[0]-s.a[0]) {
		axis = 1
	}
	lo := max(min(s.a[axis], s.b[axis]), min(t.a[axis], t.b[axis]))
	hi := min(max(s.a[axis], s.b[axis]), max(t.a[axis], t.b[axis]))
	for _, p := range []orb.Point{s.a, s.b, t.a, t.b} {
		if p[axis] == lo && lo < hi {
			return p, true
		}
	}
	return orb.Point{}, false
}
