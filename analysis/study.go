// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package analysis

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/paulmach/orb"
	orbgeo "github.com/paulmach/orb/geo"

	"onemap/geo/cell"
	"onemap/geo/grid"
)

// MostCells is how many cells a study area may have.
const MostCells = 250_000

// ErrTooFine says that a study area would have more than MostCells at that resolution.
var ErrTooFine = errors.New("analysis: too many cells: take a coarser resolution")

// Study is a study area, and who neighbours whom in it.
type Study struct {
	cell.Area
	Around cell.Neighbours
}

// cellArea is the mean area in square metres of the cells of resolutions 6 to 9.
// (H3, Table of cell statistics across resolutions.)
var cellArea = map[int]float64{6: 36_129_062, 7: 5_161_293, 8: 737_328, 9: 105_333}

// NewStudy is the study area of all cells of resolution res, 6 to 9, that share a point
// with one of the grids, with neighbours within k steps.
func NewStudy(tree *grid.Tree, grids []int, res, k int) (*Study, error) {
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
	covered, err := cell.Covering(res, shapes...)
	if err != nil {
		return nil, fmt.Errorf("analysis: study area: %w", err)
	}
	around, err := covered.Rings(k)
	if err != nil {
		return nil, fmt.Errorf("analysis: study area: %w", err)
	}
	return &Study{covered, around}, nil
}

// Studies keeps the study areas that were asked for last. Its method may be called
// from any goroutine; one area is made at a time. The zero Studies is ready.
type Studies struct {
	mu   sync.Mutex
	kept []keptStudy // the one asked for last is the last
}

type keptStudy struct {
	tree   *grid.Tree
	grids  []int
	res, k int
	study  *Study
}

// studiesKept bounds what is kept: one of a county at resolution 9 takes some 10 MB.
const studiesKept = 16

// Of is NewStudy, or what it said before. The grids are in order.
func (s *Studies) Of(tree *grid.Tree, grids []int, res, k int) (*Study, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, o := range s.kept {
		if o.tree == tree && o.res == res && o.k == k && slices.Equal(o.grids, grids) {
			s.kept = append(slices.Delete(s.kept, i, i+1), o)
			return o.study, nil
		}
	}
	made, err := NewStudy(tree, grids, res, k)
	if err != nil {
		return nil, err
	}
	s.kept = slices.DeleteFunc(s.kept, func(o keptStudy) bool { return o.tree != tree })
	s.kept = append(s.kept, keptStudy{tree, slices.Clone(grids), res, k, made})
	if len(s.kept) > studiesKept {
		s.kept = slices.Delete(s.kept, 0, 1)
	}
	return made, nil
}
