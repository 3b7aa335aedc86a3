// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package grid

import (
	"math"
	"slices"

	"github.com/paulmach/orb"
)

// raster answers for one root and everything below it. Its box is cut into
// squares. Most squares lie inside one leaf, which then answers without any
// geometry; the others list the grids that may answer, the first to cover the
// point does.
//
//	+--+--+--+--+
//	|A |A |AB|B |   A, B: one grid     AB: candidates, in the order of
//	+--+--+--+--+                          Tree.order; the last covers the
//	|A |AC|AC|CB|                          whole square or is -1
//	+--+--+--+--+
type raster struct {
	bound      orb.Bound
	cols, rows int
	sx, sy     float64 // squares a degree
	square     []int32 // >= 0 a grid, outside, or ^k of a list in lists
	lists      []int32 // candidates; each list ends with a whole one or outside
	shapes     []shape // by grid, of the whole tree; empty for other roots' grids
	rank       []int32 // by grid: its place in the order of answering
}

// outside marks squares that no grid reaches. Lists are kept as -2-offset.
const outside = -1

// whole marks the last candidate of a list: it covers its square, so that no
// test is needed.
const whole = int32(1) << 30

const maxSide = 2048

func makeRasters(t *Tree) []*raster {
	var out []*raster
	for _, root := range t.roots {
		out = append(out, newRaster(t, subtree(t, root)))
	}
	return out
}

// subtree lists root and all grids below it.
func subtree(t *Tree, root int) []int {
	members := []int{root}
	for i := 0; i < len(members); i++ {
		members = append(members, t.children[members[i]]...)
	}
	return members
}

func newRaster(t *Tree, members []int) *raster {
	r := &raster{shapes: make([]shape, len(t.nodes))}
	var vertices int
	for k, i := range members {
		b := t.nodes[i].Geom.Bound()
		if k == 0 {
			r.bound = b
		}
		r.bound = r.bound.Union(b)
		for range sidesOf(t.nodes[i].Geom) {
			vertices++
		}
	}
	r.size(len(members), vertices)
	for _, i := range members {
		r.shapes[i] = newShape(t.nodes[i].Geom, r.row)
	}
	slices.SortFunc(members, t.order)
	r.rank = make([]int32, len(t.nodes))
	for rank, i := range members {
		r.rank[i] = int32(rank)
	}
	r.paint(t, members)
	return r
}

// size chooses the number of squares: about a hundred for each side of a
// boundary, so that one square in ten or so holds a border.
func (r *raster) size(members, vertices int) {
	want := math.Sqrt(100 * float64(vertices+members))
	n := min(max(int(want), 64), maxSide)
	r.cols, r.rows = n, n
	r.sx = float64(n) / max(r.bound.Max[0]-r.bound.Min[0], 1e-9)
	r.sy = float64(n) / max(r.bound.Max[1]-r.bound.Min[1], 1e-9)
}

func (r *raster) row(y float64) int {
	return min(max(int((y-r.bound.Min[1])*r.sy), 0), r.rows-1)
}

func (r *raster) col(x float64) int {
	return min(max(int((x-r.bound.Min[0])*r.sx), 0), r.cols-1)
}

// mark is a square and a grid whose border may pass it, by the grid's place in
// the order of answering; marks sort by square, then by that order.
type mark uint64

func newMark(square int, rank int32) mark { return mark(square)<<32 | mark(rank) }
func (m mark) square() int32              { return int32(m >> 32) }
func (m mark) rank() int32                { return int32(m) }

// paint fills the squares. members are in the order in which they answer.
func (r *raster) paint(t *Tree, members []int) {
	r.square = make([]int32, r.rows*r.cols)
	for i := range r.square {
		r.square[i] = math.MaxInt32
	}
	var marks []mark
	for rank, i := range members {
		marks = r.paintShape(marks, int32(rank), t.nodes[i].Geom, &r.shapes[i])
	}
	slices.Sort(marks)
	for i, rank := range r.square {
		r.square[i] = outside
		if rank != math.MaxInt32 {
			r.square[i] = int32(members[rank]) | whole
		}
	}
	r.list(marks, members)
	for i, v := range r.square {
		if v >= 0 {
			r.square[i] = v &^ whole
		}
	}
}

// list gives every marked square its candidates, up to the first that covers
// the square whole.
func (r *raster) list(marks []mark, members []int) {
	for k := 0; k < len(marks); {
		square := marks[k].square()
		last := r.square[square] // a whole candidate or outside
		begin := len(r.lists)
		for ; k < len(marks) && marks[k].square() == square; k++ {
			i := members[marks[k].rank()]
			if last == outside || marks[k].rank() < r.rank[last&^whole] {
				r.lists = append(r.lists, int32(i))
			}
		}
		if len(r.lists) > begin {
			r.lists = append(r.lists, last)
			r.square[square] = int32(-2 - begin)
		}
	}
}

// paintShape marks the squares the border of a grid may pass and lowers the
// rank of those it covers whole.
func (r *raster) paintShape(marks []mark, rank int32, mp orb.MultiPolygon, s *shape) []mark {
	r.sweep(mp, s, func(square int) {
		marks = append(marks, newMark(square, rank))
	}, func(square int) {
		r.square[square] = min(r.square[square], rank)
	})
	return marks
}

// sweep visits the squares that the border of a shape may pass, and those that it
// covers whole.
func (r *raster) sweep(mp orb.MultiPolygon, s *shape, border, whole func(square int)) {
	rows := make([][]int32, len(s.start)-1) // columns the border passes
	for e := range sidesOf(mp) {
		r.trace(e, func(row, from, to int) {
			for c := from; c <= to; c++ {
				rows[row-s.row0] = append(rows[row-s.row0], int32(c))
			}
		})
	}
	c0, c1 := int32(r.col(s.bound.Min[0])), int32(r.col(s.bound.Max[0]))
	for k, cols := range rows {
		slices.Sort(cols)
		cols = slices.Compact(cols)
		row := s.row0 + k
		next := c0
		for _, c := range append(cols, c1+1) {
			if next < c && r.inside(s, row, int(next)) {
				for free := next; free < c; free++ {
					whole(row*r.cols + int(free))
				}
			}
			if c <= c1 {
				border(row*r.cols + int(c))
			}
			next = c + 1
		}
	}
}

// inside says whether a square that no border passes is covered.
func (r *raster) inside(s *shape, row, col int) bool {
	in, _ := s.covers(orb.Point{
		r.bound.Min[0] + (float64(col)+0.5)/r.sx,
		r.bound.Min[1] + (float64(row)+0.5)/r.sy,
	}, row)
	return in
}

// trace yields, row by row, the columns a side may pass. It errs on the wide
// side: a square too many is slower, a square too few would be wrong.
func (r *raster) trace(e side, visit func(row, from, to int)) {
	if e.ay > e.by {
		e = side{e.bx, e.by, e.ax, e.ay}
	}
	const hair = 1e-6 // of a square
	r0, r1 := r.row(e.ay), r.row(e.by)
	for row := r0; row <= r1; row++ {
		x0, x1 := e.ax, e.bx
		if r1 > r0 {
			slope := (e.bx - e.ax) / (e.by - e.ay)
			bottom := r.bound.Min[1] + (float64(row)-hair)/r.sy
			top := bottom + (1+2*hair)/r.sy
			x0 = e.ax + slope*(max(bottom, e.ay)-e.ay)
			x1 = e.ax + slope*(min(top, e.by)-e.ay)
		}
		visit(row, r.col(min(x0, x1)-hair/r.sx), r.col(max(x0, x1)+hair/r.sx))
	}
}

// locate returns the grid that answers for p, -1 for none, and whether p is on
// its border.
func (r *raster) locate(p orb.Point) (int, bool) {
	if !(r.bound.Min[0] <= p[0] && p[0] <= r.bound.Max[0] && r.bound.Min[1] <= p[1] && p[1] <= r.bound.Max[1]) {
		return outside, false // NaN too
	}
	row := r.row(p[1])
	v := r.square[row*r.cols+r.col(p[0])]
	if v >= outside {
		return int(v), false
	}
	for k := -2 - v; ; k++ {
		c := r.lists[k]
		if c == outside {
			return outside, false
		}
		if c&whole != 0 {
			return int(c &^ whole), false
		}
		if in, edge := r.shapes[c].covers(p, row); in {
			return int(c), edge
		}
	}
}
