// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package tiles

import (
	"context"
	"math"

	"onemap/auth"
	"onemap/geo/grid"
)

// CoverageFrom is the first zoom that shows coverage: a county fills a screen there.
const CoverageFrom = 8

// CoveredGrid is what a tile tells of how soon somebody would be in a leaf grid.
type CoveredGrid struct {
	No      int32
	By      string // road, line or none
	TravelS int    // seconds; not told of none
	Thin    bool
}

// Coverage is one answer about coverage, over the tree that it was worked out for. It is
// never changed.
type Coverage struct {
	id    uint64
	grids *generation
	rows  []CoveredGrid
	nodes []int // of the rows
}

// Coverage makes an answer ready to be cut into tiles: leaf grids of a tree, as the asker
// may see them. Error: ErrProjecting, when the grids drawn are not those of that tree yet.
func (s *Server) Coverage(tree *grid.Tree, rows []CoveredGrid) (*Coverage, error) {
	c := &Coverage{id: s.made.Add(1), grids: s.generation()}
	if c.grids.tree != tree {
		return nil, ErrProjecting
	}
	at := make(map[int32]int, len(tree.Nodes()))
	for i, n := range tree.Nodes() {
		at[n.No] = i
	}
	for _, r := range rows {
		if i, known := at[r.No]; known {
			c.rows, c.nodes = append(c.rows, r), append(c.nodes, i)
		}
	}
	return c, nil
}

func (c *Coverage) number() uint64 { return c.id }

// draw leaves out no grid: one that is narrower than a unit of the tile is a square of one.
func (c *Coverage) draw(sh *sheet, t tile, _ auth.Scope) {
	if t.z < CoverageFrom {
		return
	}
	l, g, box := sh.layer("coverage", "code", "name", "by", "travel_s", "thin"), c.grids, t.box()
	shapes := g.thin.at(t.z, g.shapes, g.joints.thin)
	for k, r := range c.rows {
		i := c.nodes[k]
		if !shapes[i].bound.Intersects(box) || !sh.polygons(t, shapes[i].geom) && !(t.holds(g.labels[i]) && sh.speck(t, g.labels[i])) {
			continue
		}
		n := &g.tree.Nodes()[i]
		l.word(0, string(n.Code))
		l.word(1, n.Name)
		l.word(2, r.By)
		if r.By != "none" {
			l.whole(3, int32(min(r.TravelS, math.MaxInt32)))
		}
		l.truth(4, r.Thin)
		l.put(int64(n.No), typePolygon, sh.pen.out)
	}
}

// CoverageTile is a tile of an answer, as Tile is one of another layer. The answer is what
// one reader may see: no scope cuts it any more. Errors: ErrOutOfRange, ErrEmpty, and the
// context's.
func (s *Server) CoverageTile(ctx context.Context, c *Coverage, z, x, y int) (body []byte, etag string, err error) {
	return s.drawn(ctx, "coverage", c, tile{z, x, y}, auth.Scope{})
}
