// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package tiles

import (
	"math"

	"github.com/paulmach/orb"

	"onemap/auth"
	"onemap/geo/grid"
)

// tile is an address.
type tile struct{ z, x, y int }

// onEarth reports whether there is such a tile, and it is not deeper than MaxZoom.
func (t tile) onEarth() bool {
	return t.z >= 0 && t.z <= MaxZoom && t.x >= 0 && t.y >= 0 && t.x < 1<<t.z && t.y < 1<<t.z
}

// From which zoom what is shown. A banner of 110 km fills a screen at z8 to z9
// and shows its towns there.
const (
	roadsFrom   = 7
	CamerasFrom = 11 // cameras
)

// gridsFrom is the first zoom that shows grids of the level.
func gridsFrom(level int) int {
	return [...]int{1: 0, 2: 6, 3: 7, 4: 9, 5: 11, 6: 12}[level]
}

// classFrom is the first zoom that shows roads of the class.
func classFrom(class string) int {
	switch class {
	case "trunk":
		return roadsFrom
	case "primary":
		return 8
	case "secondary":
		return 10
	}
	return 12
}

// count is how many tiles the zoom has in a row.
func (t tile) count() float64 { return float64(int(1) << t.z) }

// box is the tile with its buffer in the unit square.
func (t tile) box() orb.Bound {
	n := t.count()
	pad := float64(Buffer) / Extent
	return orb.Bound{
		Min: orb.Point{(float64(t.x) - pad) / n, (float64(t.y) - pad) / n},
		Max: orb.Point{(float64(t.x) + 1 + pad) / n, (float64(t.y) + 1 + pad) / n},
	}
}

// place puts a point of the unit square into the tile's own units.
func (t tile) place(p orb.Point) orb.Point {
	n := t.count()
	return orb.Point{(p[0]*n - float64(t.x)) * Extent, (p[1]*n - float64(t.y)) * Extent}
}

// holds reports whether a point belongs to the tile. Each point belongs to
// exactly one tile of a zoom, so that no name is drawn twice.
func (t tile) holds(p orb.Point) bool {
	n := t.count()
	return int(math.Floor(p[0]*n)) == t.x && int(math.Floor(p[1]*n)) == t.y
}

var frame = orb.Bound{Min: orb.Point{-Buffer, -Buffer}, Max: orb.Point{Extent + Buffer, Extent + Buffer}}

func (g *generation) number() uint64 { return g.id }

var gridKeys = []string{"no", "code", "name", "level"}

func (g *generation) draw(sh *sheet, t tile, s auth.Scope) {
	grids, labels := sh.layer("grids", gridKeys...), sh.layer("labels", gridKeys...)
	tell := func(l *layerWriter, n *grid.Node) {
		l.whole(0, n.No)
		l.word(1, string(n.Code))
		l.word(2, n.Name)
		l.whole(3, int32(n.Level))
	}
	shapes := g.thin.at(t.z, g.shapes, g.joints.thin)
	box := t.box()
	for i := range g.tree.Nodes() {
		n := &g.tree.Nodes()[i]
		if t.z < gridsFrom(n.Level) || !sees(s, n) {
			continue
		}
		if shapes[i].bound.Intersects(box) && !grids.full() && sh.polygons(t, shapes[i].geom) {
			tell(grids, n)
			grids.put(int64(n.No), typePolygon, sh.pen.out)
		}
		if t.holds(g.labels[i]) && !labels.full() {
			tell(labels, n)
			labels.put(int64(n.No), typePoint, sh.dot(t, g.labels[i]))
		}
	}
}
