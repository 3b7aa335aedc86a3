// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package grid

import "github.com/paulmach/orb"

// side is a side of a polygon ring, in the direction in which it is stored.
type side struct{ ax, ay, bx, by float64 }

// shape is a grid's boundary cut into the rows of a raster, so that a point is
// compared with the few sides of its own row only.
type shape struct {
	row0  int     // the first row it reaches
	start []int32 // of each row in sides, one more than rows
	sides []side
	bound orb.Bound
}

// newShape lays the sides of mp into rows. A side that reaches several rows
// stands in each: a row's sides lie together in memory.
func newShape(mp orb.MultiPolygon, row func(y float64) int) shape {
	s := shape{bound: mp.Bound()}
	s.row0 = row(s.bound.Min[1])
	s.start = make([]int32, row(s.bound.Max[1])-s.row0+2)
	each := func(visit func(r int, e side)) {
		for e := range sidesOf(mp) {
			for r := row(min(e.ay, e.by)); r <= row(max(e.ay, e.by)); r++ {
				visit(r-s.row0, e)
			}
		}
	}
	each(func(r int, _ side) { s.start[r+1]++ })
	for r := 1; r < len(s.start); r++ {
		s.start[r] += s.start[r-1]
	}
	s.sides = make([]side, s.start[len(s.start)-1])
	fill := append([]int32(nil), s.start...)
	each(func(r int, e side) {
		s.sides[fill[r]] = e
		fill[r]++
	})
	return s
}

// sidesOf yields every side of mp that has a length.
func sidesOf(mp orb.MultiPolygon) func(yield func(side) bool) {
	return func(yield func(side) bool) {
		for _, part := range mp {
			for _, ring := range part {
				for i := range len(ring) - 1 {
					a, b := ring[i], ring[i+1]
					if a != b && !yield(side{a[0], a[1], b[0], b[1]}) {
						return
					}
				}
			}
		}
	}
}

// covers says whether the shape covers p, which is in the given row, and
// whether p is on its border. The border test and the crossing test use one
// determinant in plain float64, written so that it rounds as PostGIS's does:
// the database is the referee, and must never see another answer.
func (s *shape) covers(p orb.Point, row int) (in, edge bool) {
	row -= s.row0
	if row < 0 || row >= len(s.start)-1 {
		return false, false
	}
	x, y := p[0], p[1]
	sides := s.sides[s.start[row]:s.start[row+1]]
	for i := range sides {
		e := &sides[i]
		up, down := e.ay <= y && y < e.by, e.by <= y && y < e.ay
		if !up && !down && e.ay != y && e.by != y {
			continue
		}
		// the conversions keep a compiler from fusing multiply and subtract
		det := float64((e.bx-e.ax)*(y-e.ay)) - float64((x-e.ax)*(e.by-e.ay))
		if det == 0 && min(e.ax, e.bx) <= x && x <= max(e.ax, e.bx) {
			return true, true
		}
		if up && det > 0 || down && det < 0 {
			in = !in
		}
	}
	return in, false
}
