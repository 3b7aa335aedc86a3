// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package grid_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/paulmach/orb"

	"onemap/geo"
	"onemap/geo/grid"
)

// medley is shapes that lie over each other: the grids of three levels, stars with
// a hole, boxes that share sides, and one in two parts.
func medley(t testing.TB, rng *rand.Rand) []orb.MultiPolygon {
	t.Helper()
	var out []orb.MultiPolygon
	for _, n := range treeOf(t, square(107, 38, 108.3, 38.9), 4, 20).Nodes() {
		out = append(out, n.Geom)
	}
	for range 25 {
		x, y, r := 107+1.3*rng.Float64(), 38+0.9*rng.Float64(), 0.01+0.2*rng.Float64()
		out = append(out, orb.MultiPolygon{{star(rng, x, y, r), star(rng, x, y, r/4)}})
	}
	for k := range 10 {
		x := 107 + float64(k)/8
		out = append(out, square(x, 38.25, x+0.25, 38.5))
	}
	return append(out, append(square(107, 38.25, 107.25, 38.375), square(107.5, 38.375, 107.75, 38.5)...))
}

// star is a ring round a place, between half of r and r away from it.
func star(rng *rand.Rand, x, y, r float64) orb.Ring {
	var ring orb.Ring
	for k := range 30 {
		sin, cos := math.Sincos(2 * math.Pi * float64(k) / 30)
		d := r * (0.5 + 0.5*rng.Float64())
		ring = append(ring, orb.Point{x + d*cos, y + d*sin})
	}
	return append(ring, ring[0])
}

// probes are places all over the shapes: anywhere, corners, and along sides.
func probes(shapes []orb.MultiPolygon, rng *rand.Rand, anywhere, corners int) []orb.Point {
	bound := shapes[0].Bound()
	var vertices, middles []orb.Point
	for _, mp := range shapes {
		bound = bound.Union(mp.Bound())
		for _, part := range mp {
			for _, ring := range part {
				for i, p := range ring[:len(ring)-1] {
					q := ring[i+1]
					vertices = append(vertices, p)
					middles = append(middles, orb.Point{(p[0] + q[0]) / 2, (p[1] + q[1]) / 2}) // on the side, or next to it
				}
			}
		}
	}
	bound = bound.Pad(0.02)
	var out []orb.Point
	for range anywhere {
		out = append(out, orb.Point{bound.Min[0] + rng.Float64()*(bound.Max[0]-bound.Min[0]), bound.Min[1] + rng.Float64()*(bound.Max[1]-bound.Min[1])})
	}
	for range corners {
		out = append(out, vertices[rng.IntN(len(vertices))], middles[rng.IntN(len(middles))])
	}
	return append(out, bound.Min)
}

func TestCoverAgreesWithBruteForce(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	shapes := medley(t, rng)
	var nodes []grid.Node
	for i, g := range shapes {
		nodes = append(nodes, grid.Node{ID: int64(i + 1), Level: 1, Code: grid.Code(rune('a' + i)), Parent: -1, Geom: g})
	}
	tree, err := grid.NewTree(nodes) // newBrute wants one
	if err != nil {
		t.Fatal(err)
	}
	b, c := newBrute(tree), grid.NewCover(shapes)
	most, edges := 0, 0
	for _, p := range probes(shapes, rng, 3000, 1500) {
		var want []grid.Hit
		for i := range shapes {
			if in, edge := b.covers(i, p); in {
				want = append(want, grid.Hit{Index: i, OnEdge: edge})
				if edge {
					edges++
				}
			}
		}
		if got := c.At(nil, geo.WGS84(p)); !slices.Equal(got, want) {
			t.Fatalf("%v lies in %+v, brute force says %+v", p, got, want)
		}
		most = max(most, len(want))
	}
	for _, p := range []geo.WGS84{{math.NaN(), 38.3}, {107.5, math.NaN()}, {math.Inf(1), 38.3}, {107.5, math.Inf(-1)}} {
		if got := c.At(nil, p); got != nil { // no place at all
			t.Errorf("%v lies in %+v", p, got)
		}
	}
	if most < 4 || edges < 500 {
		t.Errorf("up to %d shapes over a place, %d on edges: too tame", most, edges)
	}
	if got := grid.NewCover(nil).At(nil, geo.WGS84{107, 38}); got != nil {
		t.Errorf("no shape covers: %v", got)
	}
}

// Memory does not grow as the areas times the squares.
func TestCoverIsBoundedWhereManyLieOverEachOther(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 3))
	var shapes []orb.MultiPolygon
	for range 3000 { // so that squares are small
		shapes = append(shapes, orb.MultiPolygon{{star(rng, 107+rng.Float64(), 38+rng.Float64(), 0.01)}})
	}
	for range 150 {
		shapes = append(shapes, square(107+0.01*rng.Float64(), 38+0.01*rng.Float64(), 108, 39))
	}
	c := grid.NewCover(shapes)
	if n := c.Listed(); n > 3<<20 {
		t.Errorf("%d squares are listed", n)
	}
	if n := len(c.At(nil, geo.WGS84{107.5, 38.5})); n < 150 {
		t.Errorf("%d areas over a place, of 150 and more", n)
	}
}

func TestCheckAreas(t *testing.T) {
	ok := square(0, 0, 1, 1)
	bow := orb.MultiPolygon{{{{0, 0}, {1, 1}, {1, 0}, {0, 1}, {0, 0}}}}
	for name, c := range map[string]struct {
		areas []grid.Area
		want  string // "" for no fault
	}{
		"beats over each other": {[]grid.Area{{Code: "1", Name: "一", Geom: ok}, {Code: "2", Name: "二", Parent: "1", Geom: ok}}, ""},
		"double code":           {[]grid.Area{{Code: "1", Name: "一", Geom: ok}, {Code: "1", Name: "二", Geom: ok}}, "duplicate_code area 1: another area has this code"},
		"orphan":                {[]grid.Area{{Code: "1", Name: "一", Parent: "9", Geom: ok}}, "orphan area 1: its parent 9"},
		"its own parent":        {[]grid.Area{{Code: "1", Name: "一", Parent: "1", Geom: ok}}, "orphan area 1: following the parents"},
		"no code":               {[]grid.Area{{Name: "一", Geom: ok}}, "invalid area : no code"},
		"no name":               {[]grid.Area{{Code: "1", Name: " ", Geom: ok}}, "invalid area 1: no name"},
		"long name":             {[]grid.Area{{Code: "1", Name: strings.Repeat("名", 201), Geom: ok}}, "more than 200"},
		"bow-tie":               {[]grid.Area{{Code: "1", Name: "一", Geom: bow}}, "crosses itself at 0.500000,0.500000"},
		"no shape":              {[]grid.Area{{Code: "1", Name: "一"}}, "no part"},
	} {
		faults := grid.CheckAreas(c.areas)
		if c.want == "" && len(faults) > 0 || c.want != "" && (len(faults) == 0 || !strings.Contains(string(faults[0].Kind)+" "+faults[0].Text, c.want)) {
			t.Errorf("%s: %+v, want %q", name, faults, c.want)
		}
	}
}

// A way up through many areas, and many round in circles: each code is looked at once.
func TestParentsRoundInCircles(t *testing.T) {
	const n = 50_000
	ok := square(0, 0, 1, 1)
	var areas []grid.Area
	add := func(code, parent string) {
		areas = append(areas, grid.Area{Code: grid.Code(code), Name: "区", Parent: grid.Code(parent), Geom: ok})
	}
	add("top", "")
	for i := range n {
		add(fmt.Sprint("r", i), fmt.Sprint("r", (i+1)%n))
	}
	add("way0", "top")
	for i := range n {
		add(fmt.Sprint("way", i+1), fmt.Sprint("way", i))
	}
	add("low", "hangs")
	add("hangs", "r7")
	faults := grid.CheckAreas(areas)
	for _, f := range faults {
		if f.Code[0] == 'w' || f.Code == "top" || !strings.Contains(f.Text, "round in a circle") {
			t.Fatalf("%+v", f)
		}
	}
	if len(faults) != n+2 {
		t.Errorf("%d faults, want %d", len(faults), n+2)
	}
}

// BenchmarkCover asks over a tree of police beats, one of specialist grids, and
// odd shapes over both.
func BenchmarkCover(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 2))
	var shapes []orb.MultiPolygon
	for _, counts := range [][]int{{60}, {150}} {
		for _, n := range treeOf(b, square(106.8, 37.7, 108.2, 38.7), counts...).Nodes()[1:] {
			shapes = append(shapes, n.Geom)
		}
	}
	for range 40 {
		shapes = append(shapes, orb.MultiPolygon{{star(rng, 106.9+1.2*rng.Float64(), 37.8+0.8*rng.Float64(), 0.1)}})
	}
	b.Run("make", func(b *testing.B) {
		for b.Loop() {
			grid.NewCover(shapes)
		}
	})
	c := grid.NewCover(shapes)
	b.Run("at", func(b *testing.B) {
		b.ReportAllocs()
		places := make([]geo.WGS84, 1<<16)
		for i := range places {
			places[i] = geo.WGS84{106.8 + 1.4*rng.Float64(), 37.7 + rng.Float64()}
		}
		var hits []grid.Hit
		n := 0
		for b.Loop() {
			hits = c.At(hits[:0], places[n&(len(places)-1)])
			n++
		}
	})
}
