// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// Package grid holds the tree of grids of a centre: banner, towns, villages,
// cells, or whatever its levels are called. It says in which grid a place lies,
// checks boundary sets before they are stored and draws a draft tree for a
// centre that has only its outline.
package grid

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/paulmach/orb"

	"onemap/geo"
)

// Code is the code people know a grid by. Unique in a version.
type Code string

// MaxLevel is the deepest level a tree may have.
const MaxLevel = 6

// Node is a grid in a tree. Geom is WGS-84.
type Node struct {
	ID       int64
	Version  int32
	Level    int // 1 is a root
	Code     Code
	Name     string
	Parent   int   // its place in the tree, -1 for a root
	No, Last int32 // its number and the greatest number below it
	Geom     orb.MultiPolygon
	Label    orb.Point // a place inside, for its name
}

// Tree is an unchanging set of grids in pre-order. Any number of goroutines may
// read it.
type Tree struct {
	nodes    []Node
	children [][]int
	roots    []int
	byCode   map[Code]int
	byNo     map[int32]int
	byID     map[int64]int
	bound    orb.Bound
	rasters  []*raster // one a root

	neighbours [][]Neighbour
}

// NewTree makes a tree of nodes in pre-order: every parent stands before its
// children. Several roots are allowed, and none at all. The slice and its
// geometry must not be changed afterwards.
func NewTree(nodes []Node) (*Tree, error) {
	t := &Tree{
		nodes: nodes, children: make([][]int, len(nodes)),
		byCode: make(map[Code]int, len(nodes)), byNo: make(map[int32]int, len(nodes)), byID: make(map[int64]int, len(nodes)),
	}
	for i, n := range nodes {
		switch {
		case n.Parent >= i || n.Parent < -1:
			return nil, fmt.Errorf("grid %s stands before its parent", n.Code)
		case n.Parent == -1 && n.Level != 1, n.Parent >= 0 && nodes[n.Parent].Level != n.Level-1:
			return nil, fmt.Errorf("grid %s of level %d does not hang one level below its parent", n.Code, n.Level)
		case len(n.Geom) == 0:
			return nil, fmt.Errorf("grid %s has no boundary", n.Code)
		}
		if n.Parent == -1 {
			t.roots = append(t.roots, i)
		} else {
			t.children[n.Parent] = append(t.children[n.Parent], i)
		}
		if err := t.index(i, n); err != nil {
			return nil, err
		}
	}
	t.rasters = makeRasters(t)
	t.meet()
	return t, nil
}

func (t *Tree) index(i int, n Node) error {
	if other, ok := t.byCode[n.Code]; ok && t.nodes[other].Version == n.Version {
		return fmt.Errorf("two grids of one version have the code %s", n.Code)
	} else if !ok {
		t.byCode[n.Code] = i
	}
	if _, ok := t.byNo[n.No]; ok && n.No != 0 {
		return fmt.Errorf("two grids have the number %d", n.No)
	}
	t.byNo[n.No] = i
	t.byID[n.ID] = i
	if i == 0 {
		t.bound = n.Geom.Bound()
	} else {
		t.bound = t.bound.Union(n.Geom.Bound())
	}
	return nil
}

// Nodes returns all grids in pre-order. The caller must not change them.
func (t *Tree) Nodes() []Node { return t.nodes }

// Roots returns the places of the roots.
func (t *Tree) Roots() []int { return t.roots }

// Children returns the places of the grids directly below i.
func (t *Tree) Children(i int) []int { return t.children[i] }

// Bound is the box round all grids; the zero box when there is none.
func (t *Tree) Bound() orb.Bound { return t.bound }

// ByCode finds a grid by its code; of two counties that share a code, the
// first.
func (t *Tree) ByCode(c Code) (int, bool) { i, ok := t.byCode[c]; return i, ok }

// ByNo finds a grid by its number.
func (t *Tree) ByNo(no int32) (int, bool) { i, ok := t.byNo[no]; return i, ok && no != 0 }

// ByID finds a grid by its database id.
func (t *Tree) ByID(id int64) (int, bool) { i, ok := t.byID[id]; return i, ok }

// Path returns the way from the root to i, both included.
func (t *Tree) Path(i int) []int {
	var path []int
	for ; i >= 0; i = t.nodes[i].Parent {
		path = append(path, i)
	}
	slices.Reverse(path)
	return path
}

// Place is the answer of Locate.
type Place struct {
	Index  int  // the deepest grid that covers the place, -1 outside all
	OnEdge bool // the place is on that grid's border
}

// Locate says in which grid p lies. A border belongs to the grids on both
// sides, and of several covering leaves the one with the lowest code (by bytes)
// answers. Where leaves leave a gap, the deepest grid that covers p answers.
//
// "Covers" is decided edge by edge with the arithmetic of PostGIS's ST_Covers,
// so that both always give the same answer, on borders too.
func (t *Tree) Locate(p geo.WGS84) Place {
	best := Place{Index: -1}
	for _, r := range t.rasters {
		i, edge := r.locate(orb.Point(p))
		if i >= 0 && (best.Index < 0 || t.before(i, best.Index)) {
			best = Place{i, edge}
		}
	}
	return best
}

// before says whether grid i answers for a place that j covers as well: leaves
// come first, then deeper levels, then lower codes.
func (t *Tree) before(i, j int) bool { return t.order(i, j) < 0 }

func (t *Tree) order(i, j int) int {
	leaf := func(k int) int { return min(len(t.children[k]), 1) }
	a, b := &t.nodes[i], &t.nodes[j]
	if c := cmp.Compare(leaf(i), leaf(j)); c != 0 {
		return c
	}
	if c := cmp.Compare(b.Level, a.Level); c != 0 && leaf(i) == 1 {
		return c
	}
	return cmp.Or(cmp.Compare(a.Code, b.Code), cmp.Compare(i, j))
}
