// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package grid_test

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/paulmach/orb"

	"onemap/geo/grid"
)

// metres is a box in metres east and north of 107, 38, by about a part in 1e4.
func metres(x0, y0, x1, y1 float64) orb.MultiPolygon {
	const kx, ky = 87_832.43, 110_996.5 // a degree of longitude and of latitude there
	return square(107+x0/kx, 38+y0/ky, 107+x1/kx, 38+y1/ky)
}

func TestNeighbours(t *testing.T) {
	hole := metres(0, 0, 3000, 3000)
	hole[0] = append(hole[0], metres(1000, 1000, 2000, 2000)[0][0])
	islands := append(metres(-500, 0, 0, 100), metres(-500, 400, 0, 1000)...)
	for _, c := range []struct {
		name string
		a, b orb.MultiPolygon
		want float64 // shared metres, ends of up to 5 m on each side included; 0 no neighbours
	}{
		{"one border", metres(0, 0, 1000, 1000), metres(1000, 0, 2000, 1000), 1010},
		{"a part of a border", metres(0, 0, 1000, 1000), metres(1000, 300, 2000, 700), 410},
		{"a sliver between", metres(0, 0, 1000, 1000), metres(1003, 0, 2000, 1000), 1004},
		{"the same ground twice, narrowly", metres(0, 0, 1000, 1000), metres(997, 0, 2000, 1000), 1016},
		{"too far apart", metres(0, 0, 1000, 1000), metres(1006, 0, 2000, 1000), 0},
		{"only a corner", metres(0, 0, 1000, 1000), metres(1000, 1000, 2000, 2000), 0},
		{"near a corner", metres(0, 0, 1000, 1000), metres(1003, 1003, 2000, 2000), 0},
		{"a border as short as a door", metres(0, 0, 1000, 1000), metres(1000, 992, 2000, 2000), 0},
		{"a short border", metres(0, 0, 1000, 1000), metres(1000, 975, 2000, 2000), 35},
		{"one inside the other's hole", hole, metres(1000, 1000, 2000, 2000), 4000},
		{"in two pieces", islands, metres(0, 0, 1000, 1000), 720},
		{"one over the other", metres(0, 0, 1000, 1000), metres(200, 200, 800, 800), 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			all := metres(-5000, -5000, 9000, 9000)
			tree, err := grid.NewTree([]grid.Node{
				{ID: 1, Level: 1, Code: "1", Parent: -1, Geom: all},
				{ID: 2, Level: 2, Code: "a", Parent: 0, Geom: c.a},
				{ID: 3, Level: 2, Code: "b", Parent: 0, Geom: c.b},
				{ID: 4, Level: 3, Code: "below", Parent: 2, Geom: c.b},
			})
			if err != nil {
				t.Fatal(err)
			}
			if n := len(tree.Neighbours(0)) + len(tree.Neighbours(3)); n > 0 {
				t.Errorf("%d neighbours of another level", n)
			}
			for from, to := range map[int]int{1: 2, 2: 1} {
				got := tree.Neighbours(from)
				if c.want == 0 {
					if len(got) > 0 {
						t.Errorf("of %d: %+v, want none", from, got)
					}
				} else if len(got) != 1 || got[0].Index != to || math.Abs(got[0].SharedM-c.want) > 0.5 {
					t.Errorf("of %d: %+v, want %d with %.0f m", from, got, to, c.want)
				}
			}
		})
	}
}

// The longest border first; both sides tell the same length.
func TestNeighboursOrderAndSymmetry(t *testing.T) {
	tree := treeOf(t, square(107, 38, 108.3, 38.9), 4, 20, 90)
	pairs := 0
	for i, n := range tree.Nodes() {
		ns := tree.Neighbours(i)
		if !slices.IsSortedFunc(ns, func(a, b grid.Neighbour) int { return int(math.Copysign(1, b.SharedM-a.SharedM)) }) {
			t.Errorf("%s: %+v", n.Code, ns)
		}
		for _, m := range ns {
			pairs++
			o := tree.Nodes()[m.Index]
			k := slices.IndexFunc(tree.Neighbours(m.Index), func(b grid.Neighbour) bool { return b.Index == i })
			if k < 0 || tree.Neighbours(m.Index)[k].SharedM != m.SharedM || o.Level != n.Level || m.Index == i {
				t.Errorf("%s has %s with %.3f m, it has back %+v", n.Code, o.Code, m.SharedM, tree.Neighbours(m.Index))
			}
		}
	}
	if pairs < 400 {
		t.Errorf("only %d neighbours", pairs)
	}
}

func BenchmarkNeighbours(b *testing.B) {
	for _, counts := range [][]int{{4, 84, 401}, {10, 300, 1706}} {
		nodes := treeOf(b, square(106.8, 37.7, 108.2, 38.7), counts...).Nodes()
		sides := 0
		for _, n := range nodes {
			for _, part := range n.Geom {
				for _, ring := range part {
					sides += len(ring) - 1
				}
			}
		}
		b.Run(fmt.Sprintf("%d grids, %d sides", len(nodes), sides), func(b *testing.B) {
			for b.Loop() {
				grid.FindNeighbours(nodes)
			}
		})
	}
}
