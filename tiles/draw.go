// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package tiles

import (
	"math"
	"slices"

	"github.com/paulmach/orb"
	"github.com/paulmach/orb/clip"
	"github.com/paulmach/orb/encoding/mvt"
	"github.com/paulmach/orb/geojson"

	"onemap/auth"
)

// tile is an address; x and y are within the zoom's range.
type tile struct{ z, x, y int }

// part is a source layer of a tile.
type part struct {
	name     string
	features []*geojson.Feature
}

func (p *part) add(id int64, g orb.Geometry, props geojson.Properties) {
	if g != nil && len(p.features) < maxFeatures {
		p.features = append(p.features, &geojson.Feature{ID: id, Type: "Feature", Geometry: g, Properties: props})
	}
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

func (g *generation) draw(t tile, s auth.Scope) []part {
	grids, labels := part{name: "grids"}, part{name: "labels"}
	shapes := g.thin.at(t.z, g.shapes, g.joints.thin)
	box := t.box()
	for i := range g.tree.Nodes() {
		n := &g.tree.Nodes()[i]
		if t.z < gridsFrom(n.Level) || !sees(s, n) {
			continue
		}
		inside, named := shapes[i].bound.Intersects(box), t.holds(g.labels[i])
		if !inside && !named {
			continue
		}
		props := geojson.Properties{"no": n.No, "code": string(n.Code), "name": n.Name, "level": n.Level}
		if inside {
			if mp := t.polygons(shapes[i].geom); len(mp) > 0 {
				grids.add(int64(n.No), mp, props)
			}
		}
		if named {
			labels.add(int64(n.No), t.dot(g.labels[i]), props)
		}
	}
	return []part{grids, labels}
}

// dot is a point the tile holds, rounded down so that it stays inside.
func (t tile) dot(p orb.Point) orb.Point {
	q := t.place(p)
	return orb.Point{math.Floor(q[0]), math.Floor(q[1])}
}

// polygons clips to the tile and its buffer, in whole units, outer rings turned
// the way the format wants.
func (t tile) polygons(mp orb.MultiPolygon) orb.MultiPolygon {
	var out orb.MultiPolygon
	for _, p := range mp {
		var q orb.Polygon
		for i, r := range p {
			c := t.ring(r)
			if c == nil && i == 0 {
				break // nothing of the shell is left: nor of its holes
			}
			if c == nil {
				continue
			}
			if (area(c) > 0) != (i == 0) {
				slices.Reverse(c)
			}
			q = append(q, c)
		}
		if len(q) > 0 {
			out = append(out, q)
		}
	}
	return out
}

// ring returns what of r lies in the frame; nil when that has no area.
func (t tile) ring(r orb.Ring) orb.Ring {
	near := t.near(r)
	for i, p := range near {
		near[i] = t.place(p)
	}
	if len(near) < 4 || !near.Bound().Intersects(frame) {
		return nil
	}
	whole := rounded(clip.Ring(frame, near))
	if len(whole) > 1 && whole[0] != whole[len(whole)-1] {
		whole = append(whole, whole[0])
	}
	if len(whole) < 4 || area(orb.Ring(whole)) == 0 {
		return nil
	}
	return orb.Ring(whole)
}

// near drops the vertices that lie beyond one side of the tile together with the
// vertex kept before them and the one after: what is then cut off lies beyond
// that side too. Of a long border little is left to be clipped.
func (t tile) near(r orb.Ring) orb.Ring {
	box := t.box()
	out := make(orb.Ring, 0, 64)
	var kept, now byte
	for i, p := range r {
		next := byte(0)
		if i == 0 {
			now = beyond(box, p)
		}
		if i+1 < len(r) {
			next = beyond(box, r[i+1])
		}
		if i == 0 || i == len(r)-1 || kept&now&next == 0 {
			out = append(out, p)
			kept = now
		}
		now = next
	}
	return out
}

// beyond has a bit for each side of the box that p lies beyond.
func beyond(b orb.Bound, p orb.Point) (sides byte) {
	if p[0] < b.Min[0] {
		sides = 1
	} else if p[0] > b.Max[0] {
		sides = 2
	}
	if p[1] < b.Min[1] {
		sides |= 4
	} else if p[1] > b.Max[1] {
		sides |= 8
	}
	return sides
}

// rounded puts points on whole units and drops those that fall together.
func rounded[T ~[]orb.Point](ps T) []orb.Point {
	out := make([]orb.Point, 0, len(ps)+1)
	for _, p := range ps {
		q := orb.Point{math.Round(p[0]), math.Round(p[1])}
		if len(out) == 0 || out[len(out)-1] != q {
			out = append(out, q)
		}
	}
	return out
}

// area is twice the area of a closed ring, positive when it turns clockwise on a
// screen, where y points down.
func area(r orb.Ring) float64 {
	sum := 0.0
	for i := 1; i < len(r); i++ {
		sum += r[i-1][0]*r[i][1] - r[i][0]*r[i-1][1]
	}
	return sum
}

func (t tile) lines(l orb.LineString) orb.MultiLineString {
	placed := make(orb.LineString, len(l))
	for i, p := range l {
		placed[i] = t.place(p)
	}
	var out orb.MultiLineString
	for _, c := range clip.LineString(frame, placed) {
		if ls := rounded(c); len(ls) > 1 {
			out = append(out, orb.LineString(ls))
		}
	}
	return out
}

// encode makes a ready tile of its parts; a tile without a feature has no body.
func encode(parts []part) (ready, error) {
	var ls mvt.Layers
	for _, p := range parts {
		if len(p.features) > 0 {
			ls = append(ls, &mvt.Layer{Name: p.name, Version: 2, Extent: Extent, Features: p.features})
		}
	}
	if len(ls) == 0 {
		return ready{}, nil
	}
	raw, err := mvt.Marshal(ls)
	if err != nil {
		return ready{}, err
	}
	return small.pack(raw)
}
