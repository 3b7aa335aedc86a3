// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package grid_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/paulmach/orb"
	"github.com/twpayne/go-geom"
	"github.com/twpayne/go-geom/xy"
	"github.com/twpayne/go-geom/xy/location"

	"onemap/geo"
	"onemap/geo/grid"
)

// treeOf makes a tree of a drawn county.
func treeOf(t testing.TB, outline orb.MultiPolygon, counts ...int) *grid.Tree {
	t.Helper()
	drafts, err := grid.Draw(outline, grid.DrawOptions{Seed: 5, Counts: counts})
	if err != nil {
		t.Fatal(err)
	}
	at := map[grid.Code]int{"": -1}
	var nodes []grid.Node
	for i, d := range drafts { // by level: parents stand before children
		at[d.Code] = i
		nodes = append(nodes, grid.Node{ID: int64(i + 1), Level: d.Level, Code: d.Code, Name: d.Name, Parent: at[d.Parent], No: int32(i + 1), Geom: d.Geom})
	}
	tree, err := grid.NewTree(nodes)
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

// brute asks every leaf in turn, with exact orientation.
type brute struct {
	tree  *grid.Tree
	rings [][][][]float64 // by node, part and ring: flat coordinates
}

func newBrute(tree *grid.Tree) brute {
	b := brute{tree: tree}
	for _, n := range tree.Nodes() {
		var parts [][][]float64
		for _, part := range n.Geom {
			var rings [][]float64
			for _, ring := range part {
				var flat []float64
				for _, p := range ring {
					flat = append(flat, p[0], p[1])
				}
				rings = append(rings, flat)
			}
			parts = append(parts, rings)
		}
		b.rings = append(b.rings, parts)
	}
	return b
}

func (b brute) covers(i int, p orb.Point) (in, edge bool) {
	for _, part := range b.rings[i] {
		where := xy.LocatePointInRing(geom.XY, geom.Coord{p[0], p[1]}, part[0])
		for _, hole := range part[1:] {
			switch xy.LocatePointInRing(geom.XY, geom.Coord{p[0], p[1]}, hole) {
			case location.Interior:
				where = location.Exterior
			case location.Boundary:
				where = location.Boundary
			}
		}
		switch where {
		case location.Boundary:
			return true, true
		case location.Interior:
			return true, false
		}
	}
	return false, false
}

// locate returns the lowest code among the leaves that cover p.
func (b brute) locate(p orb.Point) grid.Place {
	best := grid.Place{Index: -1}
	for i, n := range b.tree.Nodes() {
		if len(b.tree.Children(i)) > 0 || best.Index >= 0 && b.tree.Nodes()[best.Index].Code < n.Code {
			continue
		}
		if in, edge := b.covers(i, p); in {
			best = grid.Place{Index: i, OnEdge: edge}
		}
	}
	return best
}

func TestLocateAgreesWithBruteForce(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	holed := orb.MultiPolygon{{square(0, 0, 4, 4)[0][0], square(1, 1, 2, 2)[0][0]}, square(4.5, 0, 5, 1)[0]}
	for name, tree := range map[string]*grid.Tree{
		"plain": treeOf(t, square(107, 38, 108.3, 38.9), 4, 20, 90),
		"holed": treeOf(t, holed, 3, 30),
	} {
		b := newBrute(tree)
		bound := tree.Bound().Pad(0.05)
		compare := func(p orb.Point) {
			if got, want := tree.Locate(geo.WGS84(p)), b.locate(p); got != want {
				t.Fatalf("%s: %v lies in %+v, brute force says %+v", name, p, got, want)
			}
		}
		for range 4000 {
			compare(orb.Point{
				bound.Min[0] + rng.Float64()*(bound.Max[0]-bound.Min[0]),
				bound.Min[1] + rng.Float64()*(bound.Max[1]-bound.Min[1]),
			})
		}
		for i, n := range tree.Nodes() {
			for _, part := range n.Geom {
				for _, ring := range part {
					if i > 0 && rng.IntN(20) > 0 {
						continue
					}
					for _, p := range ring {
						compare(p)
					}
				}
			}
		}
	}
}

func BenchmarkLocate(b *testing.B) {
	tree := treeOf(b, square(106.8, 37.7, 108.2, 38.7), 4, 84, 401)
	rng := rand.New(rand.NewPCG(1, 2))
	places := make([]geo.WGS84, 1<<16)
	for i := range places {
		places[i] = geo.WGS84{106.8 + 1.4*rng.Float64(), 37.7 + rng.Float64()}
	}
	n := 0
	for b.Loop() {
		tree.Locate(places[n&(len(places)-1)])
		n++
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds()/1e6, "Mplaces/s")
}

func BenchmarkNewTree(b *testing.B) {
	nodes := treeOf(b, square(106.8, 37.7, 108.2, 38.7), 4, 84, 401).Nodes()
	for b.Loop() {
		if _, err := grid.NewTree(nodes); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDraw(b *testing.B) {
	for b.Loop() {
		if _, err := grid.Draw(square(106.8, 37.7, 108.2, 38.7), grid.DrawOptions{Counts: []int{4, 84, 401}}); err != nil {
			b.Fatal(err)
		}
	}
}
