// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package grid_test

import (
	"testing"

	"github.com/paulmach/orb"

	"onemap/geo"
	"onemap/geo/grid"
)

func square(x0, y0, x1, y1 float64) orb.MultiPolygon {
	return orb.MultiPolygon{{{{x0, y0}, {x1, y0}, {x1, y1}, {x0, y1}, {x0, y0}}}}
}

// quarters is a county of 4 by 4 degrees with towns A and B; A's villages leave
// a gap, B has none, and town B comes first by code.
//
//	4 +-------+-------+
//	  | 120   |       |
//	2 +-------+  110  |
//	  |121|gap|       |
//	0 +---+---+-------+
//	  0   1   2       4
func quarters(t *testing.T) *grid.Tree {
	t.Helper()
	tree, err := grid.NewTree([]grid.Node{
		{ID: 10, Level: 1, Code: "1", Parent: -1, No: 1, Last: 5, Geom: square(0, 0, 4, 4)},
		{ID: 11, Level: 2, Code: "110", Parent: 0, No: 2, Last: 2, Geom: square(2, 0, 4, 4)},
		{ID: 12, Level: 2, Code: "12", Parent: 0, No: 3, Last: 5, Geom: square(0, 0, 2, 4)},
		{ID: 13, Level: 3, Code: "120", Parent: 2, No: 4, Last: 4, Geom: square(0, 2, 2, 4)},
		{ID: 14, Level: 3, Code: "121", Parent: 2, No: 5, Last: 5, Geom: square(0, 0, 1, 2)},
	})
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

func TestLocate(t *testing.T) {
	tree := quarters(t)
	for _, c := range []struct {
		name string
		at   geo.WGS84
		code grid.Code // "" outside
		edge bool
	}{
		{"inside a leaf", geo.WGS84{0.5, 1}, "121", false},
		{"inside a leaf of a higher level", geo.WGS84{3, 1}, "110", false},
		{"in the gap the town answers", geo.WGS84{1.5, 1}, "12", false},
		{"border of two leaves: lowest code", geo.WGS84{0.5, 2}, "120", true},
		{"border of leaves of two levels: lowest code", geo.WGS84{2, 3}, "110", true},
		{"border of a leaf and the gap", geo.WGS84{1, 1}, "121", true},
		{"border of the leaf above the gap", geo.WGS84{1.5, 2}, "120", true},
		{"border of the gap and the county", geo.WGS84{1.5, 0}, "12", true},
		{"where three meet", geo.WGS84{2, 2}, "110", true},
		{"corner of the county", geo.WGS84{0, 0}, "121", true},
		{"upper corner", geo.WGS84{4, 4}, "110", true},
		{"a hair outside", geo.WGS84{-1e-12, 1}, "", false},
		{"outside", geo.WGS84{107, 38}, "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := tree.Locate(c.at)
			var code grid.Code
			if got.Index >= 0 {
				code = tree.Nodes()[got.Index].Code
			}
			if code != c.code || got.OnEdge != c.edge {
				t.Errorf("%v: grid %q, on edge %v; want %q, %v", c.at, code, got.OnEdge, c.code, c.edge)
			}
		})
	}
}

func TestLookups(t *testing.T) {
	tree := quarters(t)
	if i, ok := tree.ByCode("121"); !ok || i != 4 {
		t.Errorf("by code: %d, %v", i, ok)
	}
	if i, ok := tree.ByNo(3); !ok || i != 2 {
		t.Errorf("by number: %d, %v", i, ok)
	}
	if i, ok := tree.ByID(14); !ok || i != 4 {
		t.Errorf("by id: %d, %v", i, ok)
	}
	if _, ok := tree.ByNo(0); ok {
		t.Error("number 0 is no grid")
	}
	if p := tree.Path(4); len(p) != 3 || p[0] != 0 || p[1] != 2 || p[2] != 4 {
		t.Errorf("path %v", p)
	}
	if b := tree.Bound(); b != (orb.Bound{Max: orb.Point{4, 4}}) {
		t.Errorf("bound %v", b)
	}
	if len(tree.Children(2)) != 2 || len(tree.Roots()) != 1 {
		t.Error("children or roots are wrong")
	}
}

func TestEmptyTreeAnswersOutside(t *testing.T) {
	tree, err := grid.NewTree(nil)
	if err != nil {
		t.Fatal(err)
	}
	if p := tree.Locate(geo.WGS84{107, 38}); p.Index != -1 || p.OnEdge {
		t.Errorf("%+v", p)
	}
}

func TestTwoCounties(t *testing.T) {
	tree, err := grid.NewTree([]grid.Node{
		{ID: 1, Version: 1, Level: 1, Code: "2", Parent: -1, Geom: square(0, 0, 1, 1)},
		{ID: 2, Version: 1, Level: 2, Code: "20", Parent: 0, Geom: square(0, 0, 1, 1)},
		{ID: 3, Version: 2, Level: 1, Code: "1", Parent: -1, Geom: square(1, 0, 2, 1)},
	})
	if err != nil {
		t.Fatal(err)
	}
	for at, want := range map[geo.WGS84]grid.Place{
		{0.5, 0.5}: {Index: 1},
		{1.5, 0.5}: {Index: 2},
		{1, 0.5}:   {Index: 2, OnEdge: true},
		{5, 5}:     {Index: -1},
	} {
		if got := tree.Locate(at); got != want {
			t.Errorf("%v: %+v, want %+v", at, got, want)
		}
	}
}

func TestNewTreeRefuses(t *testing.T) {
	g := square(0, 0, 1, 1)
	for name, nodes := range map[string][]grid.Node{
		"child before parent": {{Level: 2, Code: "11", Parent: 1, Geom: g}, {Level: 1, Code: "1", Parent: -1, Geom: g}},
		"skipped level":       {{Level: 1, Code: "1", Parent: -1, Geom: g}, {Level: 3, Code: "11", Parent: 0, Geom: g}},
		"root below level 1":  {{Level: 2, Code: "1", Parent: -1, Geom: g}},
		"same code":           {{Level: 1, Code: "1", Parent: -1, Geom: g}, {Level: 2, Code: "1", Parent: 0, Geom: g}},
		"same number":         {{Level: 1, Code: "1", Parent: -1, No: 7, Geom: g}, {Level: 2, Code: "2", Parent: 0, No: 7, Geom: g}},
		"no boundary":         {{Level: 1, Code: "1", Parent: -1}},
	} {
		if _, err := grid.NewTree(nodes); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
