// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package grid_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/paulmach/orb"
	"github.com/paulmach/orb/geojson"
	"github.com/paulmach/orb/planar"

	"onemap/geo"
	"onemap/geo/grid"
)

// outlineOf reads a boundary from the real data beside the repository and
// converts it from GCJ-02.
func outlineOf(t testing.TB, name string) orb.MultiPolygon {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("../../../shared/data/admin/county_gcj02", name))
	if err != nil {
		t.Skipf("SKIPPED, real data is missing: %v", err)
	}
	var fc geojson.FeatureCollection
	if err := json.Unmarshal(raw, &fc); err != nil {
		t.Fatal(err)
	}
	mp, ok := fc.Features[0].Geometry.(orb.MultiPolygon)
	if !ok {
		mp = orb.MultiPolygon{fc.Features[0].Geometry.(orb.Polygon)}
	}
	for _, part := range mp {
		for _, ring := range part {
			for i, p := range ring {
				ring[i] = geo.GCJ02(p).WGS84().Orb()
			}
		}
	}
	return mp
}

// checkTiling proves that drafts are what Draw promises: the wanted counts, each
// grid valid, and every level's borders made of the edges of its children's,
// each inner edge used by exactly two neighbours in opposite directions.
func checkTiling(t *testing.T, outline orb.MultiPolygon, drafts []grid.Draft, counts []int) {
	t.Helper()
	if faults := grid.Check(drafts); len(faults) > 0 {
		t.Fatalf("%d faults, the first: %s", len(faults), faults[0].Text)
	}
	type edge [2]orb.Point
	edgesOf := func(mp orb.MultiPolygon, into map[edge]int) {
		for _, part := range mp {
			for _, ring := range part {
				for i := range len(ring) - 1 {
					into[edge{ring[i], ring[i+1]}]++
				}
			}
		}
	}
	children := map[grid.Code][]grid.Draft{}
	got := make([]int, len(counts)+1)
	for _, d := range drafts {
		children[d.Parent] = append(children[d.Parent], d)
		got[d.Level-1]++
	}
	if want := append([]int{1}, counts...); !slices.Equal(got, want) {
		t.Fatalf("levels have %v grids, want %v", got, want)
	}
	for _, d := range drafts {
		kids := children[d.Code]
		if d.Level <= len(counts) && len(kids) == 0 {
			t.Fatalf("%s has no child", d.Code)
		}
		if len(kids) == 0 {
			continue
		}
		all, own := map[edge]int{}, map[edge]int{}
		for _, k := range kids {
			edgesOf(k.Geom, all)
		}
		edgesOf(d.Geom, own)
		var area float64
		for _, k := range kids {
			area += planar.Area(k.Geom)
		}
		if whole := planar.Area(d.Geom); area < whole*(1-1e-9) || area > whole*(1+1e-9) {
			t.Errorf("%s: area %v, its children's %v", d.Code, whole, area)
		}
		for e, n := range all {
			if n != 1 || all[edge{e[1], e[0]}] > 1 {
				t.Fatalf("%s: edge %v is used %d times", d.Code, e, n)
			}
			if inner := all[edge{e[1], e[0]}] == 1; inner == (own[e] == 1) {
				t.Fatalf("%s: edge %v is inside and on the border, or neither", d.Code, e)
			}
		}
	}
	root := map[orb.Point]bool{}
	for _, part := range drafts[0].Geom {
		for _, ring := range part {
			for _, p := range ring {
				root[p] = true
			}
		}
	}
	for _, part := range outline {
		for _, ring := range part {
			for _, p := range ring {
				if !root[p] {
					t.Fatalf("the outline's point %v is lost", p)
				}
			}
		}
	}
}

func TestDraw(t *testing.T) {
	shaped := []int{4, 84, 401}
	for _, c := range []struct {
		name    string
		outline func(t testing.TB) orb.MultiPolygon
		counts  []int
	}{
		{"rectangle", func(testing.TB) orb.MultiPolygon { return square(-95.8, 29.5, -95.05, 30.1) }, shaped},
		{"150623", func(t testing.TB) orb.MultiPolygon { return outlineOf(t, "150623.geojson") }, shaped},
		{"110119", func(t testing.TB) orb.MultiPolygon { return outlineOf(t, "110119.geojson") }, shaped},
		{"420302", func(t testing.TB) orb.MultiPolygon { return outlineOf(t, "420302.geojson") }, []int{3, 20, 60}},
		{"150221", func(t testing.TB) orb.MultiPolygon { return outlineOf(t, "150221.geojson") }, []int{13, 28}},
		{"no division", func(testing.TB) orb.MultiPolygon { return square(0, 0, 1, 1) }, nil},
		{"one of each", func(testing.TB) orb.MultiPolygon { return square(0, 0, 1, 1) }, []int{1, 1, 1}},
		{"with a hole", func(testing.TB) orb.MultiPolygon {
			return orb.MultiPolygon{{square(0, 0, 4, 4)[0][0], square(1, 1, 2, 2)[0][0]}}
		}, []int{3, 9, 40}},
		{"islands", func(testing.TB) orb.MultiPolygon {
			return orb.MultiPolygon{square(0, 0, 2, 2)[0], square(3, 0, 4, 2)[0], square(2.2, 0, 2.21, 0.01)[0], square(2, 2, 2.5, 2.5)[0]}
		}, []int{2, 7, 30}},
		{"comb", func(testing.TB) orb.MultiPolygon {
			ring := orb.Ring{{0, 0}, {10, 0}}
			for x := 9.0; x >= 0; x-- {
				ring = append(ring, orb.Point{x + 1, 5}, orb.Point{x + 0.9, 5}, orb.Point{x + 0.8, 0.1})
			}
			return orb.MultiPolygon{{append(ring, orb.Point{0, 0.1}, orb.Point{0, 0})}}
		}, []int{4, 20, 80}},
	} {
		t.Run(c.name, func(t *testing.T) {
			outline := c.outline(t)
			start := time.Now()
			drafts, err := grid.Draw(outline, grid.DrawOptions{Seed: 7, Counts: c.counts})
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%d grids in %v", len(drafts), time.Since(start))
			checkTiling(t, outline, drafts, c.counts)
		})
	}
}

func TestDrawIsRepeatable(t *testing.T) {
	draw := func(seed uint64) []grid.Draft {
		drafts, err := grid.Draw(square(107, 38, 108, 39), grid.DrawOptions{Seed: seed, Counts: []int{4, 20, 100}})
		if err != nil {
			t.Fatal(err)
		}
		return drafts
	}
	if !reflect.DeepEqual(draw(1), draw(1)) {
		t.Error("the same seed gives two trees")
	}
	if reflect.DeepEqual(draw(1), draw(2)) {
		t.Error("two seeds give the same tree")
	}
}

func TestDrawLooksNatural(t *testing.T) {
	drafts, err := grid.Draw(square(107, 38, 108.3, 38.9), grid.DrawOptions{Seed: 3, Counts: []int{4, 84, 401}})
	if err != nil {
		t.Fatal(err)
	}
	var areas []float64
	var within int
	for _, d := range drafts[len(drafts)-401:] {
		n := 0
		for _, part := range d.Geom {
			for _, ring := range part {
				n += len(ring)
			}
		}
		if n >= 50 && n <= 200 {
			within++
		}
		areas = append(areas, planar.Area(d.Geom))
	}
	slices.Sort(areas)
	if within < 360 {
		t.Errorf("only %d of 401 leaves have 50 to 200 points", within)
	}
	if spread := areas[380] / areas[20]; spread < 2 || spread > 100 {
		t.Errorf("large leaves are %.1f times the small ones", spread)
	}
}

func TestDrawRefuses(t *testing.T) {
	bowTie := orb.MultiPolygon{{{{0, 0}, {2, 2}, {2, 0}, {0, 2}, {0, 0}}}}
	for name, c := range map[string]struct {
		outline orb.MultiPolygon
		counts  []int
	}{
		"bow-tie":       {bowTie, []int{4}},
		"nothing":       {nil, []int{4}},
		"fewer below":   {square(0, 0, 1, 1), []int{4, 3}},
		"none":          {square(0, 0, 1, 1), []int{0}},
		"too many":      {square(0, 0, 1, 1), []int{4, 84, 500_000}},
		"seven levels":  {square(0, 0, 1, 1), []int{1, 2, 3, 4, 5, 6}},
		"off the earth": {square(0, 80, 1, 100), []int{4}},
	} {
		if _, err := grid.Draw(c.outline, grid.DrawOptions{Counts: c.counts}); err == nil {
			t.Errorf("%s: drawn", name)
		}
	}
}
