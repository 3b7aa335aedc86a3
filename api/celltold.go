// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package api

import (
	"cmp"
	"context"
	"slices"

	"onemap/auth"
	"onemap/geo/cell"
	"onemap/geo/grid"
)

// CellGrid is a grid that a cell lies in, by a part at least.
type CellGrid struct {
	Code  string   `json:"code"`
	Name  string   `json:"name"`
	Level int      `json:"level"`
	Above []string `json:"above" doc:"Names of the grids it lies in, the town first"`
	Count int      `json:"count" doc:"How many of the cell's incidents lie in it, each by the boundaries it was filed under"`
}

// CellTold is what may be told of a cell's incidents to who may not read them one by
// one: no number from 1 to 4 can be worked out of it.
type CellTold struct {
	Least      int             `json:"least" doc:"The least number above 0 that is told"`
	Count      *int            `json:"count" doc:"Null when there are fewer than that, but some"`
	Categories []CategoryCount `json:"categories" doc:"Those that are told, the most first"`
	Rest       int             `json:"rest" doc:"How many are of the other categories together; 0 or at least that many"`
}

// gridsOf are the grids in scope that a cell lies in, by a part at least: the widest
// first, of one level those with most of its incidents. byNo are its incidents by the
// number of their grid.
func (s *Server) gridsOf(ctx context.Context, t *grid.Tree, scope auth.Scope, c cell.Cell, byNo map[int32]int) ([]CellGrid, error) {
	out := []CellGrid{}
	for _, root := range t.Roots() {
		var found []int
		codes := []string{}
		look := []int{root}
		for len(look) > 0 {
			i := look[0]
			look = look[1:]
			n := &t.Nodes()[i]
			meets, err := c.Meets(n.Geom)
			if err != nil {
				return nil, err
			}
			if !meets {
				continue
			}
			look = append(look, t.Children(i)...)
			if scope.Sees(n.No) {
				found, codes = append(found, i), append(codes, string(n.Code))
			}
		}
		if len(found) == 0 {
			continue
		}
		numbers, err := s.o.Reads.NumbersOfEach(ctx, string(t.Nodes()[root].Code), codes)
		if err != nil {
			return nil, err
		}
		for _, i := range found {
			n := &t.Nodes()[i]
			g := CellGrid{Code: string(n.Code), Name: n.Name, Level: n.Level, Above: namesAbove(t, n)}
			for no, count := range byNo {
				if slices.ContainsFunc(numbers[g.Code], func(iv auth.Interval) bool { return iv.Lo <= no && no <= iv.Hi }) {
					g.Count += count
				}
			}
			out = append(out, g)
		}
	}
	slices.SortStableFunc(out, func(x, y CellGrid) int {
		return cmp.Or(cmp.Compare(x.Level, y.Level), cmp.Compare(y.Count, x.Count), cmp.Compare(x.Code, y.Code))
	})
	return out, nil
}

// cellTold says what may be told of a cell with these incidents by category.
func cellTold(kinds []CategoryCount) (CellTold, error) {
	out := CellTold{Least: auth.K, Categories: []CategoryCount{}}
	counts := []auth.Count{{Parent: -1}}
	byCode := slices.SortedFunc(slices.Values(kinds), func(x, y CategoryCount) int { return cmp.Compare(x.Code, y.Code) })
	for _, k := range byCode {
		counts = append(counts, auth.Count{Key: k.Code, N: k.Count})
	}
	told, err := auth.MergeSmall(counts)
	if err != nil || told[0].Telling != auth.Exact {
		return out, err
	}
	out.Count, out.Rest = &told[0].N, told[0].Rest
	for i, t := range told[1:] {
		if t.Telling == auth.Exact {
			out.Categories = append(out.Categories, byCode[i])
		}
	}
	slices.SortStableFunc(out.Categories, func(x, y CategoryCount) int { return cmp.Compare(y.Count, x.Count) })
	return out, nil
}
