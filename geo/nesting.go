// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package geo

import (
	"fmt"
	"math"

	"github.com/paulmach/orb"
)

// checkNesting says whether holes lie in their part and outside each other, and
// parts outside each other. No two edges cross any more, so one point of a ring
// speaks for all of it unless the rings touch.
func (m *mesh) checkNesting() error {
	for i, own := range m.parts {
		shell := own[0]
		for k, hole := range own[1:] {
			if at, bad := m.anyPoint(hole, shell, func(side int) bool { return side < 0 }); bad {
				return m.holeError(hole, at, "lies outside its part")
			}
			for _, other := range own[1 : k+1] {
				if at, bad := m.oneInOther(hole, other); bad {
					return m.holeError(hole, at, "lies inside another hole or round it")
				}
			}
		}
		for j := range i {
			if at, bad := m.partsOverlap(i, j); bad {
				text := fmt.Sprintf("part %d and part %d overlap at %s", j+1, i+1, placeName(at))
				return &PolygonError{Fault: FaultOverlap, Part: i, At: at, Text: text}
			}
		}
	}
	return nil
}

func (m *mesh) holeError(hole int, at orb.Point, what string) error {
	r := m.rings[hole]
	text := fmt.Sprintf("%s: %s at %s", ringName(r.part, r.n), what, placeName(at))
	return &PolygonError{Fault: FaultHole, Part: r.part, Ring: r.n, At: at, Text: text}
}

// anyPoint looks for a point of ring r whose side of ring s (1 inside, 0 on it,
// -1 outside) is bad.
func (m *mesh) anyPoint(r, s int, bad func(side int) bool) (orb.Point, bool) {
	return m.anyWitness(r, m.touched[[2]int32{int32(min(r, s)), int32(max(r, s))}], func(p orb.Point) bool {
		return bad(m.side(s, p))
	})
}

// anyWitness looks through one point of ring r, or through all corners and
// middles of edges when all is asked.
func (m *mesh) anyWitness(r int, all bool, bad func(orb.Point) bool) (orb.Point, bool) {
	points := m.rings[r].points
	if !all {
		return points[0], bad(points[0])
	}
	for i, p := range points {
		q := points[(i+1)%len(points)]
		mid := orb.Point{p[0] + (q[0]-p[0])/2, p[1] + (q[1]-p[1])/2}
		if bad(p) {
			return p, true
		}
		if mid != p && mid != q && bad(mid) {
			return mid, true
		}
	}
	return orb.Point{}, false
}

func (m *mesh) oneInOther(a, b int) (orb.Point, bool) {
	if !m.rings[a].bound.Intersects(m.rings[b].bound) {
		return orb.Point{}, false
	}
	inside := func(side int) bool { return side > 0 }
	if at, bad := m.anyPoint(a, b, inside); bad {
		return at, true
	}
	return m.anyPoint(b, a, inside)
}

// partsOverlap says whether two parts share area: an outline's point lies in
// the other's body.
func (m *mesh) partsOverlap(i, j int) (orb.Point, bool) {
	a, b := m.parts[i], m.parts[j]
	if !m.rings[a[0]].bound.Intersects(m.rings[b[0]].bound) {
		return orb.Point{}, false
	}
	if at, bad := m.shellInPart(a[0], b); bad {
		return at, true
	}
	return m.shellInPart(b[0], a)
}

func (m *mesh) shellInPart(shell int, part []int) (orb.Point, bool) {
	all := false
	for _, r := range part {
		all = all || m.touched[[2]int32{int32(min(r, shell)), int32(max(r, shell))}]
	}
	return m.anyWitness(shell, all, func(p orb.Point) bool {
		if m.side(part[0], p) <= 0 {
			return false
		}
		for _, hole := range part[1:] {
			if m.side(hole, p) >= 0 {
				return false
			}
		}
		return true
	})
}

func (m *mesh) side(ring int, p orb.Point) int {
	r := &m.rings[ring]
	if !r.bound.Contains(p) {
		return -1
	}
	if r.loc == nil {
		r.loc = newRingIndex(r.points)
	}
	return r.loc.side(p)
}

// checkConnected finds parts that touching rings cut in two: rings and the
// points they touch at form a graph, and a cycle in it encloses something.
func (m *mesh) checkConnected() error {
	type node struct {
		ring int32 // or -1 and a point of a part
		part int
		at   orb.Point
	}
	up := map[node]node{}
	root := func(n node) node {
		for p, ok := up[n]; ok; p, ok = up[n] {
			n = p
		}
		return n
	}
	linked := map[[2]node]bool{}
	for _, t := range m.touchList {
		part := m.rings[t.a].part
		if part != m.rings[t.b].part {
			continue
		}
		for _, ring := range []int32{t.a, t.b} {
			link := [2]node{{ring: ring, part: part}, {ring: -1, part: part, at: t.at}}
			if linked[link] {
				continue
			}
			linked[link] = true
			x, y := root(link[0]), root(link[1])
			if x == y {
				text := fmt.Sprintf("part %d is cut in two by its holes near %s", part+1, placeName(t.at))
				return &PolygonError{Fault: FaultDisconnected, Part: part, At: t.at, Text: text}
			}
			up[x] = y
		}
	}
	return nil
}

// ringIndex finds the side of a ring a point is on, by bands of latitude.
type ringIndex struct {
	points []orb.Point
	lo     float64
	scale  float64
	bands  [][]int32
}

func newRingIndex(points []orb.Point) *ringIndex {
	lo, hi := points[0][1], points[0][1]
	for _, p := range points {
		lo, hi = min(lo, p[1]), max(hi, p[1])
	}
	n := max(int(math.Sqrt(float64(len(points)))), 1)
	x := &ringIndex{points: points, lo: lo, scale: float64(n) / max(hi-lo, 1e-300), bands: make([][]int32, n)}
	for i, p := range points {
		q := points[(i+1)%len(points)]
		for b := x.band(min(p[1], q[1])); b <= x.band(max(p[1], q[1])); b++ {
			x.bands[b] = append(x.bands[b], int32(i))
		}
	}
	return x
}

func (x *ringIndex) band(y float64) int {
	return min(max(int((y-x.lo)*x.scale), 0), len(x.bands)-1)
}

// side returns 1 inside, 0 on the ring, -1 outside, exactly.
func (x *ringIndex) side(p orb.Point) int {
	in := -1
	for _, i := range x.bands[x.band(p[1])] {
		a, b := x.points[i], x.points[(int(i)+1)%len(x.points)]
		if apart(a[1], b[1], p[1], p[1]) {
			continue
		}
		o := Orient(a, b, p)
		if o == 0 && !apart(a[0], b[0], p[0], p[0]) {
			return 0
		}
		if a[1] <= p[1] && p[1] < b[1] && o > 0 || b[1] <= p[1] && p[1] < a[1] && o < 0 {
			in = -in
		}
	}
	return in
}
