// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package analysis

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"sync"

	"github.com/paulmach/orb"
	orbgeo "github.com/paulmach/orb/geo"

	"onemap/geo"
	"onemap/geo/cell"
	"onemap/geo/grid"
)

// MostCells is how many cells a study area may have.
const MostCells = 250_000

// ErrTooFine says that a study area would have more than MostCells at that resolution.
var ErrTooFine = errors.New("analysis: too many cells: take a coarser resolution")

// Study is a study area, who neighbours whom in it, and how much of each cell lies in
// its grids, 0 to 1: whole are the parts together.
type Study struct {
	cell.Area
	Around cell.Neighbours
	Shares []float64
	Whole  float64
	inside func(p geo.WGS84) bool
}

// Inside says whether a place lies in one of the study's grids.
func (s *Study) Inside(p geo.WGS84) bool { return s.inside(p) }

// LandKm2 is how much of each cell lies in the study's grids: its area times its share.
func (s *Study) LandKm2() ([]float64, error) {
	land := make([]float64, s.Len())
	for i, share := range s.Shares {
		km2, err := s.At(i).AreaKm2()
		if err != nil {
			return nil, fmt.Errorf("analysis: %w", err)
		}
		land[i] = km2 * share
	}
	return land, nil
}

// Spread is what of the numbers of the tree's leaf grids lies in each cell, each number
// spread evenly over its grid: by how many of the grid's places lie in the cell, or, of a
// grid too small to have one, in the cell of its label. Only places in the study's grids
// count, and nothing lies in gaps between leaves. of is the number of the grid at that index
// of the tree, and whether it is known; a cell with a place in one whose number is not known
// is NaN.
func (s *Study) Spread(tree *grid.Tree, of func(leaf int) (n float64, known bool)) ([]float64, error) {
	type part struct{ leaf, cell int }
	places, parts := map[int]float64{}, map[part]float64{}
	err := s.Places(func(i int, p geo.WGS84) {
		if !s.inside(p) {
			return
		}
		leaf := tree.Locate(p).Index
		if len(tree.Children(leaf)) > 0 {
			return // a gap between the leaves
		}
		places[leaf]++
		parts[part{leaf, i}]++
	})
	if err != nil {
		return nil, fmt.Errorf("analysis: %w", err)
	}
	for leaf := range tree.Nodes() {
		label := geo.WGS84(tree.Nodes()[leaf].Label)
		if len(tree.Children(leaf)) > 0 || places[leaf] > 0 || !s.inside(label) {
			continue
		}
		at, err := cell.At(label, s.Res())
		if err != nil {
			return nil, fmt.Errorf("analysis: %w", err)
		}
		if i, in := s.Index(at); in {
			places[leaf], parts[part{leaf, i}] = 1, 1
		}
	}
	out := make([]float64, s.Len())
	for _, k := range slices.SortedFunc(maps.Keys(parts), func(a, b part) int { return cmp.Or(cmp.Compare(a.leaf, b.leaf), cmp.Compare(a.cell, b.cell)) }) { // sums in one order
		n, known := of(k.leaf)
		if !known {
			n = math.NaN()
		}
		out[k.cell] += n * parts[k] / places[k.leaf]
	}
	return out, nil
}

// cellArea is the mean area in square metres of the cells of resolutions 6 to 9.
// (H3, Table of cell statistics across resolutions.)
var cellArea = map[int]float64{6: 36_129_062, 7: 5_161_293, 8: 737_328, 9: 105_333}

// NewStudy is the study area of all cells of resolution res, 6 to 9, that share a point
// with one of the grids, with neighbours within k steps. It takes seconds for many cells,
// and ends early with the context.
func NewStudy(ctx context.Context, tree *grid.Tree, grids []int, res, k int) (*Study, error) {
	one, known := cellArea[res]
	if !known {
		return nil, fmt.Errorf("analysis: cell resolution %d is not within 6 to 9", res)
	}
	var shapes []orb.MultiPolygon
	area := 0.0
	for _, i := range grids {
		shapes = append(shapes, tree.Nodes()[i].Geom)
		area += orbgeo.Area(tree.Nodes()[i].Geom)
	}
	if area/one > MostCells {
		return nil, ErrTooFine
	}
	s := &Study{inside: inside(tree, grids)}
	for _, step := range []func() error{
		func() (err error) { s.Area, err = cell.Covering(res, shapes...); return err },
		func() (err error) { s.Shares, err = s.Area.Shares(s.inside); return err },
		func() (err error) { s.Around, err = s.Rings(k); return err },
	} {
		if err := step(); err != nil {
			return nil, fmt.Errorf("analysis: study area: %w", err)
		}
		if s.Len() > MostCells {
			return nil, ErrTooFine
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
	for _, part := range s.Shares {
		s.Whole += part
	}
	return s, nil
}

// inside says whether a place lies in one of the grids.
func inside(tree *grid.Tree, grids []int) func(p geo.WGS84) bool {
	nodes := tree.Nodes()
	return func(p geo.WGS84) bool {
		at := tree.Locate(p).Index
		return at >= 0 && slices.ContainsFunc(grids, func(i int) bool { return nodes[i].No <= nodes[at].No && nodes[at].No <= nodes[i].Last })
	}
}

// Studies keeps the study areas that were asked for last. Its method may be called
// from any goroutine.
type Studies struct {
	making chan struct{} // held by who makes an area: one at a time
	mu     sync.Mutex    // guards what follows
	kept   []keptStudy   // the one asked for last is the last
}

type keptStudy struct {
	tree   *grid.Tree
	grids  []int
	res, k int
	study  *Study
}

// linksKept bounds what is kept: so many neighbours take 48 MB.
const linksKept = 12_000_000

// NewStudies keeps nothing yet.
func NewStudies() *Studies { return &Studies{making: make(chan struct{}, 1)} }

// Of is NewStudy, or what it said before. The grids are in order. Who waits for another
// area to be made stops waiting with the context.
func (s *Studies) Of(ctx context.Context, tree *grid.Tree, grids []int, res, k int) (*Study, error) {
	if found := s.find(tree, grids, res, k); found != nil {
		return found, nil
	}
	select {
	case s.making <- struct{}{}:
		defer func() { <-s.making }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if found := s.find(tree, grids, res, k); found != nil { // made meanwhile
		return found, nil
	}
	made, err := NewStudy(ctx, tree, grids, res, k)
	if err != nil {
		return nil, err
	}
	s.keep(keptStudy{tree, slices.Clone(grids), res, k, made})
	return made, nil
}

func (s *Studies) find(tree *grid.Tree, grids []int, res, k int) *Study {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, o := range s.kept {
		if o.tree == tree && o.res == res && o.k == k && slices.Equal(o.grids, grids) {
			s.kept = append(slices.Delete(s.kept, i, i+1), o)
			return o.study
		}
	}
	return nil
}

// keep keeps o instead of those of other trees, and of those asked for longest ago.
func (s *Studies) keep(o keptStudy) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kept = append(slices.DeleteFunc(s.kept, func(k keptStudy) bool { return k.tree != o.tree }), o)
	links := 0
	for i := len(s.kept) - 1; i >= 0; i-- {
		if links += s.kept[i].study.Around.Links(); links > linksKept && i < len(s.kept)-1 {
			s.kept = slices.Delete(s.kept, 0, i+1)
			return
		}
	}
}
