// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package analysis_test

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/paulmach/orb"
	orbgeo "github.com/paulmach/orb/geo"

	"onemap/analysis"
	"onemap/geo"
	"onemap/geo/cell"
	"onemap/geo/grid"
)

// round is a tree of one grid: a circle of that radius in kilometres, away from which
// the map is somebody else's.
func round(t testing.TB, km float64) *grid.Tree {
	t.Helper()
	const lon, lat = 107.5, 38.2
	var ring orb.Ring
	for i := range 120 {
		a := 2 * math.Pi * float64(i) / 120
		ring = append(ring, orb.Point{lon + km/111.32*math.Cos(a)/math.Cos(lat*math.Pi/180), lat + km/111.32*math.Sin(a)})
	}
	tree, err := grid.NewTree([]grid.Node{{ID: 1, Version: 1, Level: 1, Code: "1", Name: "圆", Parent: -1, No: 1, Last: 1, Geom: orb.MultiPolygon{{append(ring, ring[0])}}, Label: orb.Point{lon, lat}}})
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

// TestNoiseInRealBordersIsNoHotSpot strews incidents evenly over round grids of some 70
// and some 600 cells' area, in whose edge cells fewer can fall than in those within. Of 100
// runs at most 10 may have any hot or cold cell at 90 %: 20 would come once in 500 tries
// if the promise were just kept. Taken for whole, the edge cells make it hot within.
func TestNoiseInRealBordersIsNoHotSpot(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ cells, incidents, k int }{{60, 300, 2}, {60, 1000, 2}, {60, 300, 1}, {500, 3000, 2}} {
		km := math.Sqrt(float64(c.cells) * 0.737328 / math.Pi)
		tree := round(t, km)
		study, err := analysis.NewStudy(t.Context(), tree, []int{0}, 8, c.k)
		if err != nil {
			t.Fatal(err)
		}
		ring, err := study.At(study.Len() / 2).Boundary()
		if err != nil {
			t.Fatal(err)
		}
		whole := orbgeo.Area(tree.Nodes()[0].Geom) / orbgeo.Area(orb.Polygon{ring})
		if math.Abs(study.Whole/whole-1) > 0.02 || float64(study.Len()) < 1.05*whole {
			t.Fatalf("%d cells with %.1f whole ones, %.1f by area", study.Len(), study.Whole, whole)
		}
		runs, runsWhole, tested := 0, 0, 0
		for seed := range 100 {
			rnd := rand.New(rand.NewPCG(uint64(seed), 8))
			counts := make([]float64, study.Len())
			for n := 0; n < c.incidents; {
				b := tree.Bound()
				p := geo.WGS84{b.Min[0] + rnd.Float64()*(b.Max[0]-b.Min[0]), b.Min[1] + rnd.Float64()*(b.Max[1]-b.Min[1])}
				if tree.Locate(p).Index < 0 {
					continue
				}
				at, err := cell.At(p, 8)
				if err != nil {
					t.Fatal(err)
				}
				i, in := study.Index(at)
				if !in {
					t.Fatalf("%v is in the grid and in no cell", p)
				}
				counts[i]++
				n++
			}
			found := func(shares []float64) int {
				for _, s := range analysis.HotSpots(counts, shares, study.Around) {
					if s.Tested {
						tested++
					}
					if s.Class != analysis.Plain && s.Class != analysis.TooFew {
						return 1
					}
				}
				return 0
			}
			runs += found(study.Shares)
			runsWhole += found(nil)
		}
		t.Logf("%d cells' area, %d incidents, %d rings: hot or cold in %d of 100 runs; %d if edge cells are taken for whole", c.cells, c.incidents, c.k, runs, runsWhole)
		if runs >= 20 || tested == 0 {
			t.Errorf("%d cells' area, %d incidents, %d rings: hot or cold in %d of 100 runs of noise, %d tested", c.cells, c.incidents, c.k, runs, tested)
		}
		if c.k == 2 && c.cells == 60 && runsWhole < 20 {
			t.Errorf("taken for whole, edge cells make no difference: %d runs", runsWhole)
		}
	}
}

// TestStudiesAskedForAtOnceAreMadeOnce asks for areas at once and one after the other.
func TestStudiesAskedForAtOnceAreMadeOnce(t *testing.T) {
	t.Parallel()
	small, large := round(t, 10), round(t, 900)
	s := analysis.NewStudies()
	if _, err := s.Of(t.Context(), large, []int{0}, 9, 1); !errors.Is(err, analysis.ErrTooFine) {
		t.Errorf("of a continent: %v", err)
	}
	if _, err := s.Of(t.Context(), small, []int{0}, 5, 1); err == nil {
		t.Error("resolution 5 is taken")
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Of(gone, small, []int{0}, 7, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("nobody waits: %v", err)
	}
	var all sync.WaitGroup
	got := make([]*analysis.Study, 16)
	for i := range got {
		all.Go(func() {
			var err error
			if got[i], err = s.Of(t.Context(), small, []int{0}, 6+i%4, 2); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for i, g := range got {
		if g == nil || g != got[i%4] || g.Res() != 6+i%4 {
			t.Errorf("number %d is not the one kept", i)
		}
	}
	if again, _ := s.Of(t.Context(), small, []int{0}, 8, 2); again != got[2] {
		t.Error("made anew")
	}
	other := round(t, 10)
	if _, err := s.Of(t.Context(), other, []int{0}, 8, 2); err != nil {
		t.Fatal(err)
	}
	if again, _ := s.Of(t.Context(), small, []int{0}, 8, 2); again == got[2] {
		t.Error("areas of a tree that is no longer in force are kept")
	}
}

// TestSpreadPassesOverGaps: a county of which the western half is one leaf grid, a corner
// another, too small for any place, and the rest is in none.
func TestSpreadPassesOverGaps(t *testing.T) {
	t.Parallel()
	box := func(w, s, e, n float64) orb.MultiPolygon {
		return orb.MultiPolygon{{orb.Bound{Min: orb.Point{w, s}, Max: orb.Point{e, n}}.ToRing()}}
	}
	tree, err := grid.NewTree([]grid.Node{
		{ID: 1, Version: 1, Level: 1, Code: "1", Name: "县", Parent: -1, No: 1, Last: 3, Geom: box(107, 38, 107.4, 38.3), Label: orb.Point{107.3, 38.1}},
		{ID: 2, Version: 1, Level: 2, Code: "11", Name: "西", Parent: 0, No: 2, Last: 2, Geom: box(107, 38, 107.2, 38.3), Label: orb.Point{107.1, 38.1}},
		{ID: 3, Version: 1, Level: 2, Code: "12", Name: "角", Parent: 0, No: 3, Last: 3, Geom: box(107.39999, 38.29999, 107.4, 38.3), Label: orb.Point{107.399995, 38.299995}},
	})
	if err != nil {
		t.Fatal(err)
	}
	study, err := analysis.NewStudy(t.Context(), tree, []int{0}, 7, 1)
	if err != nil {
		t.Fatal(err)
	}
	numbers := map[int]float64{1: 900, 2: 50}
	spread, err := study.Spread(tree, func(leaf int) (float64, bool) { n, known := numbers[leaf]; return n, known })
	if err != nil {
		t.Fatal(err)
	}
	sum, most := 0.0, 0.0
	for i, n := range spread {
		if math.IsNaN(n) {
			t.Fatalf("cell %v is not known", study.At(i))
		}
		sum += n
		if c, _ := study.At(i).Centre(); c.Lon() > 107.23 {
			most += n
		}
	}
	if math.Abs(sum-950) > 1e-6 || most != 50 {
		t.Errorf("%v in all, %v of them in the east", sum, most)
	}
	delete(numbers, 1)
	spread, err = study.Spread(tree, func(leaf int) (float64, bool) { n, known := numbers[leaf]; return n, known })
	if err != nil {
		t.Fatal(err)
	}
	unknown := 0
	for i, n := range spread {
		c, _ := study.At(i).Centre()
		if math.IsNaN(n) {
			unknown++
		} else if c.Lon() < 107.17 && study.Shares[i] > 0 {
			t.Errorf("cell %v lies in a grid without a number and has %v", study.At(i), n)
		}
	}
	if unknown == 0 || unknown == len(spread) {
		t.Errorf("%d of %d cells are not known", unknown, len(spread))
	}
}
