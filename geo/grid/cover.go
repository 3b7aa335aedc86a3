// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package grid

import (
	"math"
	"slices"

	"github.com/paulmach/orb"

	"onemap/geo"
)

// Cover answers which of many shapes cover a point. Unlike the grids of a tree
// they may lie over each other, and all that cover it answer: the areas of
// overlays. It never changes; any number of goroutines may ask.
//
// As in a tree's raster, most squares need no geometry:
//
//	+--+--+--+
//	|A |A |AB|   A covers its squares whole; AB: A whole, B's border passes
//	+--+--+--+
type Cover struct {
	raster
	start []int32 // of each square in lists; twice a shape's number, and one where it covers the square whole
}

// Hit is a shape that covers a point.
type Hit struct {
	Index  int
	OnEdge bool // the point is on its border
}

// What bounds the squares of a Cover: on a side, and listed in all. A square is
// listed once for each shape over it, and any number may lie over each other.
const (
	maxCoverSide   = 512
	maxCoverListed = 2 << 20
)

// NewCover makes a Cover of shapes in WGS-84, valid as geo.CheckPolygon has it.
// They must not be changed afterwards.
func NewCover(shapes []orb.MultiPolygon) *Cover {
	c := &Cover{}
	if len(shapes) == 0 {
		return c
	}
	sides := 0
	c.bound = shapes[0].Bound()
	bounds := make([]orb.Bound, len(shapes))
	for i, mp := range shapes {
		bounds[i] = mp.Bound()
		c.bound = c.bound.Union(bounds[i])
		for range sidesOf(mp) {
			sides++
		}
	}
	n := min(max(int(math.Sqrt(20*float64(sides))), 32), maxCoverSide)
	for n > 1 && c.listed(bounds, n) > maxCoverListed {
		n = n * 7 / 8
	}
	c.cols, c.rows = n, n
	c.sx = float64(n) / max(c.bound.Max[0]-c.bound.Min[0], 1e-9)
	c.sy = float64(n) / max(c.bound.Max[1]-c.bound.Min[1], 1e-9)
	var marks []mark
	for i, mp := range shapes {
		c.shapes = append(c.shapes, newShape(mp, c.row))
		c.sweep(mp, &c.shapes[i], func(square int) {
			marks = append(marks, newMark(square, int32(2*i)))
		}, func(square int) {
			marks = append(marks, newMark(square, int32(2*i+1)))
		})
	}
	c.file(marks)
	return c
}

// listed is about how many squares would be listed with n on a side: those that the
// boxes of the shapes reach.
func (c *Cover) listed(bounds []orb.Bound, n int) (sum float64) {
	w, h := max(c.bound.Max[0]-c.bound.Min[0], 1e-9), max(c.bound.Max[1]-c.bound.Min[1], 1e-9)
	for _, b := range bounds {
		sum += ((b.Max[0]-b.Min[0])/w*float64(n) + 1) * ((b.Max[1]-b.Min[1])/h*float64(n) + 1)
	}
	return sum
}

// file puts the marks into the lists of their squares.
func (c *Cover) file(marks []mark) {
	slices.Sort(marks) // by square, then by shape
	c.start, c.lists = make([]int32, c.rows*c.cols+1), make([]int32, len(marks))
	for k, m := range marks {
		c.lists[k] = m.rank()
		c.start[m.square()+1]++
	}
	for i := range c.rows * c.cols {
		c.start[i+1] += c.start[i]
	}
}

// At appends the shapes that cover p to hits, in their order. "Covers" is decided
// with the arithmetic of Tree.Locate, which is that of PostGIS's ST_Covers: a
// border belongs to every shape that touches it, the border of a hole too.
func (c *Cover) At(hits []Hit, p geo.WGS84) []Hit {
	b := &c.bound
	if c.start == nil || !(b.Min[0] <= p[0] && p[0] <= b.Max[0] && b.Min[1] <= p[1] && p[1] <= b.Max[1]) {
		return hits // NaN too
	}
	row := c.row(p[1])
	square := row*c.cols + c.col(p[0])
	for _, v := range c.lists[c.start[square]:c.start[square+1]] {
		if v&1 == 1 {
			hits = append(hits, Hit{Index: int(v / 2)})
		} else if in, edge := c.shapes[v/2].covers(orb.Point(p), row); in {
			hits = append(hits, Hit{int(v / 2), edge})
		}
	}
	return hits
}
