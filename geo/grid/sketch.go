// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package grid

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/paulmach/orb"
)

// Points of the net for each leaf: enough for borders of fifty corners or more
// once their edges are bent.
const pointsPerLeaf = 34

// sketch is the outline filled with points: dense near the made-up towns, where
// grids are to be small, wide apart between them.
type sketch struct {
	outline orb.MultiPolygon
	body    shape
	row     func(float64) int
	kx      float64
	towns   []orb.Point
	reach   float64 // of a town, degrees of latitude
	spacing float64 // of points where the density is 1
	leaves  int
	rng     *rand.Rand
}

func newSketch(outline orb.MultiPolygon, towns, leaves int, rng *rand.Rand) *sketch {
	b := outline.Bound()
	rows := min(max(len(outline[0][0])/4, 16), 4096)
	scale := float64(rows) / (b.Max[1] - b.Min[1])
	s := &sketch{
		outline: outline, leaves: max(leaves, 4), rng: rng,
		kx:  math.Cos(b.Center()[1] * math.Pi / 180),
		row: func(y float64) int { return min(max(int((y-b.Min[1])*scale), 0), rows-1) },
	}
	s.body = newShape(outline, s.row)
	area := s.area()
	s.reach = 0.11 * math.Sqrt(area)
	for range towns {
		s.towns = append(s.towns, s.apart())
	}
	s.spacing = math.Sqrt(s.mass(area) / (float64(s.leaves) * pointsPerLeaf * 0.866))
	return s
}

// area of the outline in square degrees of latitude.
func (s *sketch) area() float64 {
	var sum float64
	for _, part := range s.outline {
		for k, ring := range part {
			var a float64
			for i := range len(ring) - 1 {
				a += (ring[i][0]-ring[0][0])*(ring[i+1][1]-ring[0][1]) - (ring[i+1][0]-ring[0][0])*(ring[i][1]-ring[0][1])
			}
			if k == 0 {
				sum += math.Abs(a) / 2
			} else {
				sum -= math.Abs(a) / 2
			}
		}
	}
	return sum * s.kx
}

// mass is the integral of the density over the outline, by sampling.
func (s *sketch) mass(area float64) float64 {
	const samples = 4000
	var sum float64
	for range samples {
		sum += s.density(s.dart())
	}
	return sum / samples * area
}

// dart is a random place inside the outline.
func (s *sketch) dart() orb.Point {
	b := s.body.bound
	for range 100_000 {
		p := orb.Point{
			b.Min[0] + s.rng.Float64()*(b.Max[0]-b.Min[0]),
			b.Min[1] + s.rng.Float64()*(b.Max[1]-b.Min[1]),
		}
		if in, _ := s.body.covers(p, s.row(p[1])); in {
			return p
		}
	}
	return s.outline[0][0][0] // a sliver no dart can hit
}

// apart is the dart of several that lies farthest from the towns so far.
func (s *sketch) apart() orb.Point {
	var best orb.Point
	far := -1.0
	for range 6 {
		p := s.dart()
		nearest := math.Inf(1)
		for _, t := range s.towns {
			nearest = min(nearest, math.Hypot((p[0]-t[0])*s.kx, p[1]-t[1]))
		}
		if nearest > far {
			best, far = p, nearest
		}
	}
	return best
}

// density says how much more finely a place is cut than open land.
func (s *sketch) density(p orb.Point) float64 {
	d := 1.0
	for i, t := range s.towns {
		reach := s.reach * (0.6 + 0.8*float64(i%3)/2)
		dx, dy := (p[0]-t[0])*s.kx/reach, (p[1]-t[1])/reach
		d += 5 * math.Exp(-(dx*dx+dy*dy)/2)
	}
	return d
}

func (s *sketch) near(p orb.Point) float64 { return s.spacing / math.Sqrt(s.density(p)) }

// net triangulates the outline with points inside it. Long sides of the outline
// are divided, so that borders can end on them; its own points all stay.
func (s *sketch) net() (*net, error) {
	n := newNet(s.body.bound, s.kx)
	var sides [][2]int32
	taken := newScatter(s)
	for _, part := range s.outline {
		for _, ring := range part {
			chain, err := s.fence(n, ring, taken)
			if err != nil {
				return nil, err
			}
			for i, v := range chain {
				sides = append(sides, [2]int32{v, chain[(i+1)%len(chain)]})
			}
		}
	}
	for _, p := range s.scatter(taken) {
		if _, err := n.insert(p); err != nil {
			return nil, fmt.Errorf("place a point of the net: %w", err)
		}
	}
	for _, e := range sides {
		if err := n.constrain(e[0], e[1]); err != nil {
			return nil, fmt.Errorf("fix a side of the outline: %w", err)
		}
	}
	n.relax()
	return n, nil
}

// fence inserts a ring of the outline with its long sides divided.
func (s *sketch) fence(n *net, ring orb.Ring, taken *scatterGrid) ([]int32, error) {
	var chain []int32
	add := func(p orb.Point) error {
		v, err := n.insert(p)
		if err == nil && (len(chain) == 0 || chain[len(chain)-1] != v) {
			chain = append(chain, v)
			taken.add(p)
		}
		return err
	}
	for i := range len(ring) - 1 {
		a, b := ring[i], ring[i+1]
		if err := add(a); err != nil {
			return nil, fmt.Errorf("place a point of the outline: %w", err)
		}
		mid := orb.Point{(a[0] + b[0]) / 2, (a[1] + b[1]) / 2}
		pieces := int(math.Hypot((b[0]-a[0])*s.kx, b[1]-a[1])/s.near(mid) + 0.5)
		for k := 1; k < pieces; k++ {
			f := float64(k) / float64(pieces)
			p := orb.Point{a[0] + f*(b[0]-a[0]), a[1] + f*(b[1]-a[1])}
			if err := add(p); err != nil {
				return nil, fmt.Errorf("divide a side of the outline: %w", err)
			}
		}
	}
	for len(chain) > 1 && chain[0] == chain[len(chain)-1] {
		chain = chain[:len(chain)-1]
	}
	return chain, nil
}

// scatterGrid finds points near a place.
type scatterGrid struct {
	s     *sketch
	cell  float64
	cells map[[2]int][]orb.Point
}

func newScatter(s *sketch) *scatterGrid {
	return &scatterGrid{s: s, cell: s.spacing, cells: map[[2]int][]orb.Point{}}
}

func (g *scatterGrid) key(p orb.Point) [2]int {
	return [2]int{int(math.Floor(p[0] * g.s.kx / g.cell)), int(math.Floor(p[1] / g.cell))}
}

func (g *scatterGrid) add(p orb.Point) {
	k := g.key(p)
	g.cells[k] = append(g.cells[k], p)
}

// free says whether no point lies within r of p; r is at most a cell.
func (g *scatterGrid) free(p orb.Point, r float64) bool {
	k := g.key(p)
	for x := k[0] - 1; x <= k[0]+1; x++ {
		for y := k[1] - 1; y <= k[1]+1; y++ {
			for _, q := range g.cells[[2]int{x, y}] {
				if math.Hypot((p[0]-q[0])*g.s.kx, p[1]-q[1]) < r {
					return false
				}
			}
		}
	}
	return true
}

// scatter throws darts that keep their distance from each other and from the
// outline's points, and returns them in rows, so that each is found near the
// one before.
func (s *sketch) scatter(taken *scatterGrid) []orb.Point {
	var out []orb.Point
	for range 15 * s.leaves * pointsPerLeaf {
		p := s.dart()
		if taken.free(p, 0.78*s.near(p)) {
			taken.add(p)
			out = append(out, p)
		}
	}
	band := 2 * s.spacing
	slices.SortFunc(out, func(a, b orb.Point) int {
		ra, rb := int(a[1]/band), int(b[1]/band)
		if c := cmp.Or(cmp.Compare(ra, rb), cmp.Compare(a[0], b[0])); ra != rb || ra%2 == 0 {
			return c
		}
		return cmp.Compare(b[0], a[0])
	})
	return out
}
