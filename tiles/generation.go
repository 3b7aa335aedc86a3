// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package tiles

import (
	"math"
	"sync"

	"github.com/paulmach/orb"

	"onemap/auth"
	"onemap/geo"
	"onemap/geo/grid"
)

// generation is one tree of grids, projected to the unit square of web Mercator
// (y down), with what was thinned for each zoom.
type generation struct {
	id     uint64
	tree   *grid.Tree
	shapes []orb.MultiPolygon
	labels []orb.Point
	joints joints
	thin   thinned[orb.MultiPolygon]
}

// thinned is geometry thinned for each zoom, when first asked for.
type thinned[T orb.Geometry] [dataZoom + 1]struct {
	once   sync.Once
	shapes []shape[T]
}

// shape is geometry and its box.
type shape[T orb.Geometry] struct {
	bound orb.Bound
	geom  T
}

// at returns all of the geometry, thinned for zoom z by the given method.
func (t *thinned[T]) at(z int, all []T, thin func(T, float64) T) []shape[T] {
	z = min(z, dataZoom)
	now := &t[z]
	now.once.Do(func() {
		tol := tolerance / (Extent * math.Exp2(float64(z)))
		for _, g := range all {
			less := thin(g, tol)
			now.shapes = append(now.shapes, shape[T]{less.Bound(), less})
		}
	})
	return now.shapes
}

func newGeneration(id uint64, tree *grid.Tree) *generation {
	g := &generation{id: id, tree: tree}
	for _, n := range tree.Nodes() {
		mp := make(orb.MultiPolygon, 0, len(n.Geom))
		for _, p := range n.Geom {
			q := make(orb.Polygon, 0, len(p))
			for _, r := range p {
				q = append(q, orb.Ring(project(r)))
			}
			mp = append(mp, q)
		}
		g.shapes = append(g.shapes, mp)
		g.labels = append(g.labels, geo.Mercator(n.Label))
	}
	g.joints = findJoints(g.shapes)
	return g
}

func project[T ~[]orb.Point](ps T) orb.LineString {
	out := make(orb.LineString, len(ps))
	for i, p := range ps {
		out[i] = geo.Mercator(p)
	}
	return out
}

// tolerance is how far thinning may move a line, in units of the tile: three
// eighths of a pixel on a tile drawn 512 pixels wide.
const tolerance = 3

// sees reports whether the actor is shown the grid: one in scope, or one above a
// grid in scope.
func sees(s auth.Scope, n *grid.Node) bool {
	if s.All() || s.Sees(n.No) {
		return true
	}
	for _, iv := range s.Intervals() {
		if iv.Lo <= n.Last && n.No <= iv.Hi {
			return true
		}
	}
	return false
}

// whole reports whether the scope holds a whole county of the tree: its readers
// are shown what lies in no known grid.
func (g *generation) whole(s auth.Scope) bool {
	if s.All() {
		return true
	}
	for _, r := range g.tree.Roots() {
		if s.Sees(g.tree.Nodes()[r].No) {
			return true
		}
	}
	return false
}

// bounds is the box in degrees around the grids in scope.
func (g *generation) bounds(s auth.Scope) (b orb.Bound, ok bool) {
	for _, n := range g.tree.Nodes() {
		if !s.Sees(n.No) {
			continue
		}
		if !ok {
			b, ok = n.Geom.Bound(), true
		} else {
			b = b.Union(n.Geom.Bound())
		}
	}
	return b, ok
}
