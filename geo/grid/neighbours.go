// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package grid

import (
	"cmp"
	"math"
	"slices"

	"github.com/paulmach/orb"
)

// What counts as a common border, in metres. Boundary sets that were traced town
// by town leave slivers between neighbours, or run over each other.
const (
	// BorderTolerance is how far apart two borders may run and still be one.
	BorderTolerance = 5.0
	// MinShared is the shortest common border. Where grids meet in a corner only,
	// the ends of their borders are within the tolerance of each other for about
	// twice its length, and longer where they part at less than 30 degrees: such a
	// touch is no common border.
	MinShared = 4 * BorderTolerance
)

// Neighbour is a grid of the same level on the other side of a border.
type Neighbour struct {
	Index   int     // its place in the tree
	SharedM float64 // length of the common border in metres on WGS-84's ellipsoid
}

// Neighbours returns the grids of i's level that share a border with it, the
// longest border first, then by code. The caller must not change the slice. Any
// number of goroutines may ask.
//
// The rule: a piece of i's border is shared with j where it runs within
// BorderTolerance of j's border. The length is the mean of what is so measured
// along i and along j, so that both have each other with the same length. Where a
// common border ends, what turns away from it still counts until it is too far
// off: a length is too long by up to about twice the tolerance. With at least
// MinShared they are neighbours. Grids of one level that lie over each other have
// no common border by that alone.
//
//	 i    |   j          i | k
//	 _____|                |      i and m meet in a corner:
//	.- - -.   <- sliver  --+--    no neighbours
//	|  k  |              j | m
func (t *Tree) Neighbours(i int) []Neighbour { return t.neighbours[i] }

// meet finds the neighbours of all grids.
func (t *Tree) meet() {
	t.neighbours = make([][]Neighbour, len(t.nodes))
	levels := map[int][]int{}
	for i, n := range t.nodes {
		levels[n.Level] = append(levels[n.Level], i)
	}
	for _, members := range levels {
		if len(members) > 1 {
			t.meetLevel(members)
		}
	}
}

func (t *Tree) meetLevel(members []int) {
	f := newFrontier(t, members)
	along := make([]map[int32]float64, len(t.nodes)) // of each grid: metres within reach of another
	for s := range f.sides {
		f.near(int32(s), func(grid int32, metres float64) {
			own := f.grid[s]
			if along[own] == nil {
				along[own] = map[int32]float64{}
			}
			along[own][grid] += metres
		})
	}
	for _, i := range members {
		for j, metres := range along[i] {
			if shared := (metres + along[j][int32(i)]) / 2; shared >= MinShared {
				t.neighbours[i] = append(t.neighbours[i], Neighbour{int(j), shared})
			}
		}
		slices.SortFunc(t.neighbours[i], func(a, b Neighbour) int {
			return cmp.Or(cmp.Compare(b.SharedM, a.SharedM), cmp.Compare(t.nodes[a.Index].Code, t.nodes[b.Index].Code), cmp.Compare(a.Index, b.Index))
		})
	}
}

// frontier holds the sides of all grids of one level, laid into squares.
type frontier struct {
	sides      []side
	grid       []int32 // of each side
	bound      orb.Bound
	cols, rows int
	sx, sy     float64 // squares a degree
	px, py     float64 // the tolerance in degrees, on the wide side
	start      []int32 // of each square in member
	member     []int32 // sides that pass within the tolerance of a square
	seen       []int32 // by side: the last side it was compared with, and one
	found      []stretch
}

// stretch is a part of a side, from 0 to 1, that runs within reach of a grid.
type stretch struct {
	grid     int32
	from, to float64
}

func newFrontier(t *Tree, members []int) *frontier {
	f := &frontier{bound: t.nodes[members[0]].Geom.Bound()}
	for _, i := range members {
		f.bound = f.bound.Union(t.nodes[i].Geom.Bound())
		for e := range sidesOf(t.nodes[i].Geom) {
			f.sides = append(f.sides, e)
			f.grid = append(f.grid, int32(i))
		}
	}
	kx, ky := metresADegree(max(math.Abs(f.bound.Min[1]), math.Abs(f.bound.Max[1])))
	f.px, f.py = 1.01*BorderTolerance/max(kx, 1), 1.01*BorderTolerance/ky
	f.size()
	f.lay()
	return f
}

// size makes about as many squares as there are sides, and none much smaller than
// the tolerance.
func (f *frontier) size() {
	f.bound.Min[0], f.bound.Max[0] = f.bound.Min[0]-f.px, f.bound.Max[0]+f.px
	f.bound.Min[1], f.bound.Max[1] = f.bound.Min[1]-f.py, f.bound.Max[1]+f.py
	w, h := f.bound.Max[0]-f.bound.Min[0], f.bound.Max[1]-f.bound.Min[1]
	n := min(max(int(2*math.Sqrt(float64(len(f.sides)))), 1), maxSide)
	f.cols = min(n, int(w/f.px/2)+1)
	f.rows = min(n, int(h/f.py/2)+1)
	f.sx, f.sy = float64(f.cols)/w, float64(f.rows)/h
}

// lay puts every side into the squares it passes within the tolerance.
func (f *frontier) lay() {
	f.start = make([]int32, f.cols*f.rows+1)
	for i := range f.sides {
		f.trace(&f.sides[i], f.px, f.py, func(c int) { f.start[c+1]++ })
	}
	for c := range f.cols * f.rows {
		f.start[c+1] += f.start[c]
	}
	f.member = make([]int32, f.start[len(f.start)-1])
	fill := slices.Clone(f.start)
	for i := range f.sides {
		f.trace(&f.sides[i], f.px, f.py, func(c int) {
			f.member[fill[c]] = int32(i)
			fill[c]++
		})
	}
	f.seen = make([]int32, len(f.sides))
}

// trace visits the squares within px and py degrees of a side, perhaps a few more.
func (f *frontier) trace(e *side, px, py float64, visit func(square int)) {
	slot := func(v, lo, scale float64, n int) int { return min(max(int((v-lo)*scale), 0), n-1) }
	ax, ay, bx, by := e.ax, e.ay, e.bx, e.by
	if ay > by {
		ax, ay, bx, by = bx, by, ax, ay
	}
	const hair = 1e-6 // of a square
	px, py = px+hair/f.sx, py+hair/f.sy
	r0, r1 := slot(ay-py, f.bound.Min[1], f.sy, f.rows), slot(by+py, f.bound.Min[1], f.sy, f.rows)
	for r := r0; r <= r1; r++ {
		x0, x1 := ax, bx
		if r1 > r0 && by > ay {
			slope := (bx - ax) / (by - ay)
			bottom := f.bound.Min[1] + float64(r)/f.sy
			x0 = ax + slope*(min(max(bottom-py, ay), by)-ay)
			x1 = ax + slope*(max(min(bottom+1/f.sy+py, by), ay)-ay)
		}
		c0, c1 := slot(min(x0, x1)-px, f.bound.Min[0], f.sx, f.cols), slot(max(x0, x1)+px, f.bound.Min[0], f.sx, f.cols)
		for c := c0; c <= c1; c++ {
			visit(r*f.cols + c)
		}
	}
}

// near tells how many metres of side s run within the tolerance of the sides of
// each other grid.
func (f *frontier) near(s int32, tell func(grid int32, metres float64)) {
	e := &f.sides[s]
	kx, ky := metresADegree((e.ay + e.by) / 2)
	d := orb.Point{(e.bx - e.ax) * kx, (e.by - e.ay) * ky}
	f.found = f.found[:0]
	f.trace(e, 0, 0, func(square int) {
		for _, o := range f.member[f.start[square]:f.start[square+1]] {
			if f.grid[o] == f.grid[s] || f.seen[o] == s+1 {
				continue
			}
			f.seen[o] = s + 1
			u := &f.sides[o]
			c, g := orb.Point{(u.ax - e.ax) * kx, (u.ay - e.ay) * ky}, orb.Point{(u.bx - e.ax) * kx, (u.by - e.ay) * ky}
			if from, to := within(d, c, g, BorderTolerance); from < to {
				f.found = append(f.found, stretch{f.grid[o], from, to})
			}
		}
	})
	slices.SortFunc(f.found, func(a, b stretch) int { return cmp.Or(cmp.Compare(a.grid, b.grid), cmp.Compare(a.from, b.from)) })
	length := math.Hypot(d[0], d[1])
	for k := 0; k < len(f.found); {
		grid, sum, end := f.found[k].grid, 0.0, 0.0
		for ; k < len(f.found) && f.found[k].grid == grid; k++ {
			if v := f.found[k]; v.to > end {
				sum += v.to - max(v.from, end)
				end = v.to
			}
		}
		tell(grid, sum*length)
	}
}

// within returns the part of the way from the origin to d, from 0 to 1, that lies
// no farther than r from the line between c and g; from >= to when there is none.
// What lies so near a line is a stadium, which is convex: the part is one, and
// reaches from the first to the last of what is in its round ends and its middle.
//
//	  ____________
//	 /            \
//	|   c ----- g  |   r round the line
//	 \____________/
func within(d, c, g orb.Point, r float64) (from, to float64) {
	from, to = 1, 0
	take := func(lo, hi float64) {
		if lo, hi = max(lo, 0), min(hi, 1); lo <= hi {
			from, to = min(from, lo), max(to, hi)
		}
	}
	dd := d[0]*d[0] + d[1]*d[1]
	for _, p := range [2]orb.Point{c, g} { // the round ends
		along := (d[0]*p[0] + d[1]*p[1]) / dd
		off := (d[0]*p[1] - d[1]*p[0]) / dd
		if h := r*r/dd - off*off; h >= 0 {
			h = math.Sqrt(h)
			take(along-h, along+h)
		}
	}
	v := orb.Point{g[0] - c[0], g[1] - c[1]}
	if length := math.Hypot(v[0], v[1]); length > 0 { // the middle
		v[0], v[1] = v[0]/length, v[1]/length
		lo, hi := span(v[0]*d[0]+v[1]*d[1], v[0]*c[0]+v[1]*c[1], 0, length)
		lo2, hi2 := span(v[0]*d[1]-v[1]*d[0], v[0]*c[1]-v[1]*c[0], -r, r)
		take(max(lo, lo2), min(hi, hi2))
	}
	return from, to
}

// span is where lo <= a*u - b <= hi.
func span(a, b, lo, hi float64) (from, to float64) {
	if a == 0 {
		if lo <= -b && -b <= hi {
			return 0, 1
		}
		return 1, 0
	}
	from, to = (lo+b)/a, (hi+b)/a
	return min(from, to), max(from, to)
}

// metresADegree is the length of a degree of longitude and of latitude at a
// latitude, on WGS-84's ellipsoid: the radii of curvature of the prime vertical
// and of the meridian.
func metresADegree(lat float64) (x, y float64) {
	const axis, flattening, rad = 6378137.0, 1 / 298.257223563, math.Pi / 180
	const ecc2 = flattening * (2 - flattening)
	sin := math.Sin(lat * rad)
	w := 1 - ecc2*sin*sin
	n := axis / math.Sqrt(w)
	return n * math.Cos(lat*rad) * rad, n * (1 - ecc2) / w * rad
}
