// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"

	"github.com/paulmach/orb"
	"github.com/paulmach/orb/planar"

	"onemap/geo"
	"onemap/geo/grid"
)

// drawGrids draws the four-level tree inside the outline and names it. The
// drafts come in code order, which is pre-order.
func drawGrids(seed uint64) ([]grid.Draft, error) {
	drafts, err := grid.Draw(outline(seed), grid.DrawOptions{
		Seed: seed, Counts: []int{Towns, Villages, Leaves}, Name: gridCode,
	})
	if err != nil {
		return nil, fmt.Errorf("demo: draw the grids: %w", err)
	}
	slices.SortFunc(drafts, func(a, b grid.Draft) int { return cmp.Compare(a.Code, b.Code) })
	nameGrids(drafts)
	return drafts, nil
}

// gridCode gives a grid its code in the manner of the statistical codes: six
// digits for the banner, then three each for town (1.. a town, 2.. a sumu) and
// village, and a sequence of three for the leaf. nameGrids gives the name.
func gridCode(level int, ordinals []int) (grid.Code, string) {
	code := RootCode
	if level >= 2 {
		town := ordinals[0]
		code += strconv.Itoa(100*((town+1)/2) + (town+1)%2) // 100, 101, 200, 201
	}
	switch level {
	case 2:
		code += "000"
	case 3, 4:
		code += strconv.Itoa(200 + ordinals[1])
	}
	if level == 4 {
		code += fmt.Sprintf("%03d", ordinals[2])
	}
	return grid.Code(code), code
}

// nameGrids names drafts that stand in pre-order: towns by the side of the
// banner they lie on, villages by a running number, leaves by their place in
// the village.
func nameGrids(drafts []grid.Draft) {
	var towns []*grid.Draft
	village, leaf := 0, 0
	for i := range drafts {
		d := &drafts[i]
		switch d.Level {
		case 1:
			d.Name = RootName
		case 2:
			towns = append(towns, d)
		case 3:
			village, leaf = village+1, 0
			d.Name = fmt.Sprintf("示%02d嘎查", village)
		case 4:
			leaf++
			d.Name = fmt.Sprintf("第%d网格", leaf)
		}
	}
	for i, side := range sides(towns) {
		kind := "镇"
		if towns[i].Code[len(RootCode)] == '2' {
			kind = "苏木"
		}
		towns[i].Name = "演" + side + kind
	}
}

// sides gives each of four towns the quarter of the compass that fits all of
// them best together.
func sides(towns []*grid.Draft) []string {
	words := []string{"东", "南", "西", "北"}
	ways := []xy{{1, 0}, {0, -1}, {-1, 0}, {0, 1}}
	at := make([]xy, len(towns))
	for i, d := range towns {
		c, _ := planar.CentroidArea(d.Geom)
		at[i] = flat(c)
	}
	best, bestSum := []string{}, 0.0
	var try func(chosen []int, sum float64)
	try = func(chosen []int, sum float64) {
		if i := len(chosen); i < len(towns) {
			for k := range ways {
				if !slices.Contains(chosen, k) {
					try(append(slices.Clone(chosen), k), sum+ways[k].x*at[i].x+ways[k].y*at[i].y)
				}
			}
			return
		}
		if len(best) == 0 || sum > bestSum {
			bestSum, best = sum, nil
			for _, k := range chosen {
				best = append(best, words[k])
			}
		}
	}
	try(nil, 0)
	return best
}

// treeOf makes a tree of the drafts with passing ids and numbers 1, 2, ...: the
// place of a grid in it is its place in drafts.
func treeOf(drafts []grid.Draft) (*grid.Tree, error) {
	at := map[grid.Code]int{}
	nodes := make([]grid.Node, len(drafts))
	for i, d := range drafts {
		at[d.Code] = i
		parent, ok := at[d.Parent]
		if !ok {
			parent = -1
		}
		nodes[i] = grid.Node{
			ID: int64(i + 1), Version: 1, Level: d.Level, Code: d.Code, Name: d.Name, Parent: parent,
			No: int32(i + 1), Last: int32(i + 1), Geom: d.Geom,
		}
		for p := parent; p >= 0; p = nodes[p].Parent {
			nodes[p].Last = int32(i + 1)
		}
	}
	t, err := grid.NewTree(nodes)
	if err != nil {
		return nil, fmt.Errorf("demo: %w", err)
	}
	return t, nil
}

// inside returns a place well inside leaf i of t: its centroid where that is
// inside, else the best of a few tries.
func inside(r *rand.Rand, t *grid.Tree, i int) orb.Point {
	g := t.Nodes()[i].Geom
	c, _ := planar.CentroidArea(g)
	if t.Locate(geo.WGS84(c)).Index == i {
		return c
	}
	best, room := g[0][0][0], -1.0
	b := g.Bound()
	for range 300 {
		p := orb.Point{b.Min[0] + r.Float64()*(b.Max[0]-b.Min[0]), b.Min[1] + r.Float64()*(b.Max[1]-b.Min[1])}
		if t.Locate(geo.WGS84(p)).Index != i {
			continue
		}
		if d := planar.DistanceFrom(g[0][0], p); d > room {
			best, room = p, d
		}
	}
	return best
}
