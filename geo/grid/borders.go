// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package grid

import (
	"cmp"
	"errors"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/paulmach/orb"
	"github.com/paulmach/orb/planar"

	"onemap/geo"
)

// borders are the edges of the net that divide leaves or bound the outline.
// Each is bent once; all grids on both sides use the same points.
type borders struct {
	net   *net
	land  *land
	kx    float64
	leaf  []int32 // of each triangle of the net, -1 outside
	lines map[[2]int32][]orb.Point
	tmp   []int32 // region of each triangle while polygons are made
	mark  int32
}

func newBorders(d *drawing, kx float64) *borders {
	b := &borders{net: d.net, land: d.land, kx: kx, leaf: make([]int32, len(d.net.tri)), tmp: make([]int32, len(d.net.tri))}
	for i := range b.leaf {
		b.leaf[i] = -1
	}
	for k, r := range d.levels[len(d.levels)-1] {
		for _, i := range r.tris {
			b.leaf[d.land.tris[i]] = int32(k)
		}
	}
	return b
}

// smooth draws every border point between leaves towards the middle of its
// neighbours on borders. A move that would turn a triangle over is not made, so
// the net stays a net and no border can cross another.
func (b *borders) smooth() {
	links := b.links()
	for range 4 {
		for v, around := range links {
			if len(around) < 2 {
				continue
			}
			var to orb.Point
			for _, u := range around {
				to[0] += b.net.pts[u][0] / float64(len(around))
				to[1] += b.net.pts[u][1] / float64(len(around))
			}
			p := b.net.pts[v]
			b.move(int32(v), orb.Point{p[0] + (to[0]-p[0])*0.5, p[1] + (to[1]-p[1])*0.5})
		}
	}
}

// links lists for every movable border point its neighbours along borders.
// Points of the outline cannot move.
func (b *borders) links() [][]int32 {
	links := make([][]int32, len(b.net.pts))
	stuck := make([]bool, len(b.net.pts))
	for e := range b.net.fixed {
		stuck[e[0]], stuck[e[1]] = true, true
	}
	for t := range b.net.tri {
		for i, u := range b.net.nbr[t] {
			x, y := b.net.tri[t][(i+1)%3], b.net.tri[t][(i+2)%3]
			if u >= 0 && b.leaf[t] != b.leaf[u] && !stuck[x] {
				links[x] = append(links[x], y)
			}
		}
	}
	return links
}

func (b *borders) move(v int32, to orb.Point) {
	old := b.net.pts[v]
	b.net.pts[v] = to
	ok := true
	b.net.round(v, func(t int32, _ int) bool {
		c := b.net.tri[t]
		ok = geo.Orient(b.net.pts[c[0]], b.net.pts[c[1]], b.net.pts[c[2]]) > 0 && b.roomy(t)
		return ok
	})
	if !ok {
		b.net.pts[v] = old
	}
}

// roomy says whether a triangle is not so thin that rounding could matter.
func (b *borders) roomy(t int32) bool {
	var p [3]orb.Point
	for i, v := range b.net.tri[t] {
		p[i] = orb.Point{b.net.pts[v][0] * b.kx, b.net.pts[v][1]}
	}
	area := (p[1][0]-p[0][0])*(p[2][1]-p[0][1]) - (p[2][0]-p[0][0])*(p[1][1]-p[0][1])
	long := max(planar.DistanceSquared(p[0], p[1]), planar.DistanceSquared(p[1], p[2]), planar.DistanceSquared(p[2], p[0]))
	return area > 0.05*long
}

// bend replaces every straight border between leaves by a line that strays to
// both sides by at most amount of the way to the middles of the two triangles
// it divides: those spaces belong to this border alone.
//
//	    .m.
//	  .     .        m, n: middles of the inscribed circles
//	a -._/\__- b
//	  ' .   . '
//	      n
func (b *borders) bend(amount float64, seed uint64) {
	b.lines = map[[2]int32][]orb.Point{}
	rng := rand.New(rand.NewPCG(seed, 0x6c696e65))
	for t := range b.net.tri {
		for i, u := range b.net.nbr[t] {
			x, y := b.net.tri[t][(i+1)%3], b.net.tri[t][(i+2)%3]
			if x > y || u < 0 || b.leaf[t] < 0 || b.leaf[u] < 0 || b.leaf[t] == b.leaf[u] || b.net.fixed[edgeKey(x, y)] {
				continue
			}
			b.lines[edgeKey(x, y)] = b.stray(x, y, b.tent(int32(t), x, y), b.tent(u, x, y), amount, rng)
		}
	}
}

// tent is the place and height of the inscribed circle's middle over the edge
// x-y of t, in the edge's own measure: 0..1 along it, height in its length.
type tent struct{ at, height float64 }

func (b *borders) tent(t, x, y int32) tent {
	var far orb.Point
	for _, v := range b.net.tri[t] {
		if v != x && v != y {
			far = b.net.pts[v]
		}
	}
	p, q := b.net.pts[x], b.net.pts[y]
	length := func(u, v orb.Point) float64 { return math.Hypot((u[0]-v[0])*b.kx, u[1]-v[1]) }
	c, fx, fy := length(p, q), length(far, p), length(far, q)
	area := math.Abs((q[0]-p[0])*(far[1]-p[1])-(far[0]-p[0])*(q[1]-p[1])) / 2 * b.kx
	return tent{at: (c + fx - fy) / 2 / c, height: 2 * area / (c + fx + fy) / c}
}

func (e tent) room(f float64) float64 {
	return e.height * min(f/e.at, (1-f)/(1-e.at))
}

// stray makes the inner points of a border from x to y.
func (b *borders) stray(x, y int32, left, right tent, amount float64, rng *rand.Rand) []orb.Point {
	const pieces = 4
	p, q := b.net.pts[x], b.net.pts[y]
	dx, dy := (q[0]-p[0])*b.kx, q[1]-p[1]
	middle := rng.Float64()*2 - 1
	wave := [pieces + 1]float64{0, middle*0.6 + 0.6*(rng.Float64()-0.5), middle, middle*0.6 + 0.6*(rng.Float64()-0.5), 0}
	var out []orb.Point
	for k := 1; k < pieces; k++ {
		f := (float64(k) + 0.3*(rng.Float64()-0.5)) / pieces
		off := amount * wave[k] * min(left.room(f), right.room(f))
		out = append(out, orb.Point{p[0] + (f*dx-off*dy)/b.kx, p[1] + f*dy + off*dx})
	}
	return out
}

var errOpenBorder = errors.New("a border does not close")

// polygon draws the border of a set of triangles of the land.
func (b *borders) polygon(tris []int32) (orb.MultiPolygon, error) {
	b.mark++
	for _, i := range tris {
		b.tmp[b.land.tris[i]] = b.mark
	}
	var shells, holes []orb.Ring
	done := map[[2]int32]bool{}
	for _, i := range tris {
		t := b.land.tris[i]
		for k := range 3 {
			from := b.net.tri[t][(k+1)%3]
			if !b.rim(t, k) || done[[2]int32{from, b.net.tri[t][(k+2)%3]}] {
				continue
			}
			loops, err := b.follow(t, k, done)
			if err != nil {
				return nil, err
			}
			for _, loop := range loops {
				ring := b.ring(loop)
				if ring.Orientation() == orb.CCW {
					shells = append(shells, ring)
				} else {
					holes = append(holes, ring)
				}
			}
		}
	}
	return nest(shells, holes)
}

// rim says whether the edge opposite corner k of t bounds the marked triangles.
func (b *borders) rim(t int32, k int) bool {
	u := b.net.nbr[t][k]
	return u < 0 || b.tmp[u] != b.mark
}

// follow walks along the rim with the triangles on its left, and returns the
// loops walked; where the rim meets itself in a point it is cut into several.
func (b *borders) follow(t int32, k int, done map[[2]int32]bool) ([][]int32, error) {
	var loops [][]int32
	var walked []int32
	place := map[int32]int{}
	for range 3 * len(b.net.tri) {
		x, y := b.net.tri[t][(k+1)%3], b.net.tri[t][(k+2)%3]
		if done[[2]int32{x, y}] {
			break
		}
		done[[2]int32{x, y}] = true
		if at, again := place[x]; again {
			loops = append(loops, slices.Clone(walked[at:]))
			for _, v := range walked[at:] {
				delete(place, v)
			}
			walked = walked[:at]
		}
		place[x] = len(walked)
		walked = append(walked, x)
		// turn about y through the marked triangles to the next rim edge
		k = (k + 1) % 3 // the edge y-z lies opposite x
		for turns := 0; !b.rim(t, k); turns++ {
			if turns > len(b.net.tri) {
				return nil, errOpenBorder
			}
			t = b.net.nbr[t][k]
			k = (b.net.corner(t, y) + 2) % 3
		}
	}
	if len(walked) < 3 {
		return nil, errOpenBorder
	}
	return append(loops, walked), nil
}

// ring puts the bent lines between the corners of a loop.
func (b *borders) ring(loop []int32) orb.Ring {
	var out orb.Ring
	for i, x := range loop {
		y := loop[(i+1)%len(loop)]
		out = append(out, b.net.pts[x])
		line := b.lines[edgeKey(x, y)]
		for k := range line {
			if x > y {
				k = len(line) - 1 - k
			}
			out = append(out, line[k])
		}
	}
	return append(out, out[0])
}

// nest puts each hole into the smallest shell round it.
func nest(shells, holes []orb.Ring) (orb.MultiPolygon, error) {
	if len(shells) == 0 {
		return nil, errOpenBorder
	}
	slices.SortStableFunc(shells, func(a, b orb.Ring) int {
		return cmp.Compare(planar.Area(b), planar.Area(a))
	})
	out := make(orb.MultiPolygon, len(shells))
	for i, s := range shells {
		out[i] = orb.Polygon{s}
	}
	for _, h := range holes {
		probe := orb.Point{(h[0][0] + h[1][0]) / 2, (h[0][1] + h[1][1]) / 2}
		home := -1
		for i, s := range shells {
			if planar.RingContains(s, probe) {
				home = i // the last is the smallest
			}
		}
		if home < 0 {
			return nil, errOpenBorder
		}
		out[home] = append(out[home], h)
	}
	return out, nil
}
