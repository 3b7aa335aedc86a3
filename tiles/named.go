// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package tiles

import (
	"maps"
	"strconv"
	"sync"

	"github.com/paulmach/orb"

	"onemap/auth"
	"onemap/geo"
	"onemap/layer"
)

// namedSets keeps each named layer's set made of the newest layer.Set, so that
// another one is projected and thinned anew alone.
type namedSets struct {
	mu     sync.Mutex // guards what follows
	byCode map[string]*namedEntry
}

// namedEntry is a layer.Set and the set made of it, once, by whoever asks first.
type namedEntry struct {
	of   *layer.Set
	make sync.Once
	set  *namedSet
}

// now returns the set of now of a layer. The same layer.Set keeps its set, and so
// its tiles. Whoever comes with an older one than the newest seen gets the newest's.
// Only those who ask for the same layer wait while it is made.
func (n *namedSets) now(s *Server, set *layer.Set) *namedSet {
	e := n.entry(set, s.o.Named())
	e.make.Do(func() { e.set = newNamedSet(s.made.Add(1), e.of) })
	return e.set
}

// entry is the entry of a layer. When it is another one, those of layers that the book has
// no more go.
func (n *namedSets) entry(set *layer.Set, book *layer.Book) *namedEntry {
	n.mu.Lock()
	defer n.mu.Unlock()
	was := n.byCode[set.Code]
	if was != nil && (was.of == set || was.of.ID == set.ID && was.of.Version > set.Version) {
		return was
	}
	if n.byCode == nil {
		n.byCode = map[string]*namedEntry{}
	}
	maps.DeleteFunc(n.byCode, func(code string, _ *namedEntry) bool { return book.Named(code) == nil })
	e := &namedEntry{of: set}
	n.byCode[set.Code] = e
	return e
}

func namedPlan(set *layer.Set) plan {
	f := map[string]string{"id": "String", "name": "String", "kind": "String", "duty_mode": "String", "label": "String"}
	// A layer that is drawn from a deeper zoom on is drawn from the tiles of dataZoom.
	first := min(set.MinZoom, dataZoom)
	return plan{
		auth.NamedLayer, first, set.MaxZoom,
		[]vectorLayer{{set.Code, f, first, min(dataZoom, set.MaxZoom)}},
		func(s *Server) source { return s.named.now(s, set) },
	}
}

// namedSet is the features of a named layer, projected; lines and polygons are
// thinned for each zoom. One of the two lists is empty.
type namedSet struct {
	id     uint64
	set    *layer.Set
	spots  []orb.Point
	shape  []orb.Geometry
	joints joints // where borders of polygons meet
	thin   thinned[orb.Geometry]
}

func newNamedSet(id uint64, set *layer.Set) *namedSet {
	n := &namedSet{id: id, set: set}
	for i := range set.Features {
		switch g := set.Features[i].Geom.(type) {
		case orb.Point:
			n.spots = append(n.spots, geo.Mercator(g))
		default:
			n.shape = append(n.shape, projected(g))
		}
	}
	var polygons []orb.MultiPolygon
	for _, g := range n.shape {
		if mp, ok := g.(orb.MultiPolygon); ok {
			polygons = append(polygons, mp)
		}
	}
	n.joints = findJoints(polygons)
	return n
}

// projected puts lines and polygons into the unit square, as their Multi kinds.
func projected(g orb.Geometry) orb.Geometry {
	switch g := g.(type) {
	case orb.LineString:
		return orb.MultiLineString{project(g)}
	case orb.MultiLineString:
		out := make(orb.MultiLineString, len(g))
		for i, l := range g {
			out[i] = project(l)
		}
		return out
	case orb.Polygon:
		return projected(orb.MultiPolygon{g})
	case orb.MultiPolygon:
		out := make(orb.MultiPolygon, len(g))
		for i, p := range g {
			for _, r := range p {
				out[i] = append(out[i], orb.Ring(project(r)))
			}
		}
		return out
	}
	return nil
}

// thinShape thins lines one by one, and polygons so that a border that two of them
// share stays one.
func (n *namedSet) thinShape(g orb.Geometry, tol float64) orb.Geometry {
	switch g := g.(type) {
	case orb.MultiLineString:
		out := make(orb.MultiLineString, len(g))
		for i, l := range g {
			out[i] = thinLine(l, tol)
		}
		return out
	case orb.MultiPolygon:
		return n.joints.thin(g, tol)
	}
	return g
}

func (n *namedSet) number() uint64 { return n.id }

func (n *namedSet) draw(sh *sheet, t tile, s auth.Scope) {
	out := sh.layer(n.set.Code, "id", "name", "kind", "duty_mode", "label")
	put := func(f *layer.Feature, kind byte) {
		out.word(0, strconv.FormatInt(f.ID, 10))
		out.word(1, f.Name)
		out.word(2, string(f.Kind))
		if f.Duty != "" {
			out.word(3, string(f.Duty))
		}
		if f.Label != "" {
			out.word(4, f.Label)
		}
		out.put(f.ID, kind, sh.pen.out)
	}
	if n.set.Geometry == layer.Point {
		for i, at := range n.spots {
			if f := &n.set.Features[i]; t.holds(at) && f.In(s) && !out.full() {
				sh.dot(t, at)
				put(f, typePoint)
			}
		}
		return
	}
	frame := t.box()
	for i, g := range n.thin.at(t.z, n.shape, n.thinShape) {
		f := &n.set.Features[i]
		if !g.bound.Intersects(frame) || !f.In(s) || out.full() {
			continue
		}
		switch g := g.geom.(type) {
		case orb.MultiLineString:
			if sh.lines(t, g...) {
				put(f, typeLine)
			}
		case orb.MultiPolygon:
			if sh.polygons(t, g) {
				put(f, typePolygon)
			}
		}
	}
}
