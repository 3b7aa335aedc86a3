// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package layer

import (
	"cmp"
	"slices"

	"github.com/paulmach/orb"

	"onemap/auth"
	"onemap/geo"
	"onemap/geo/grid"
)

// Set is a layer with all its features, ready to be looked through. It is never
// changed.
type Set struct {
	Layer
	Features []Feature // in order of ID
	Tag      string    // tells one state of the layer and its grids from another
	county   []auth.Interval
	index    *index
	bounds   []orb.Bound // of the features
}

// NewSet makes a Set. county are the grid numbers of the layer's county: who sees
// none of them is not told that there is such a layer. nil is every county.
func NewSet(l Layer, features []Feature, county []auth.Interval) *Set {
	slices.SortFunc(features, func(a, b Feature) int { return cmp.Compare(a.ID, b.ID) })
	bounds := make([]orb.Bound, len(features))
	for i := range features {
		bounds[i] = features[i].Geom.Bound()
	}
	return &Set{Layer: l, Features: features, county: county, index: newIndex(features), bounds: bounds}
}

// Of reports whether the layer is of a county in which s sees a grid.
func (s *Set) Of(sc auth.Scope) bool {
	if s.county == nil || sc.All() {
		return true
	}
	for _, c := range s.county {
		if slices.ContainsFunc(sc.Intervals(), func(iv auth.Interval) bool { return iv.Lo <= c.Hi && c.Lo <= iv.Hi }) {
			return true
		}
	}
	return false
}

// Decide answers whether the actor may see the layer, and which of its features.
// Errors: those of auth.Decide. Whoever is refused should be told that there is no
// such layer.
func (s *Set) Decide(a auth.Actor) (auth.Decision, error) {
	if s.Code == Cameras {
		return auth.Decide(a, auth.Read, auth.LayerCameras)
	}
	d, err := auth.DecideLayer(a, s.Code, s.Access)
	if err == nil && !s.Of(d.Scope) {
		err = auth.ErrForbidden
	}
	return d, err
}

// Book is every layer of a centre. It is never changed.
type Book struct {
	sets []*Set // by code
}

// NewBook makes a Book.
func NewBook(sets []*Set) *Book {
	sets = slices.Clone(sets)
	slices.SortFunc(sets, func(a, b *Set) int { return cmp.Compare(a.Code, b.Code) })
	return &Book{sets}
}

// All lists the layers by their codes.
func (b *Book) All() []*Set {
	if b == nil {
		return nil
	}
	return b.sets
}

// Named is the layer with this code, or nil.
func (b *Book) Named(code string) *Set {
	for _, s := range b.All() {
		if s.Code == code {
			return s
		}
	}
	return nil
}

// GridsOf are the numbers of the grids in which one of the points of g lies: a
// town sees a line or a polygon that has a corner in it, the whole of it. Only
// numbers in county count, those of the county g came with; nil is every county. A
// shape outside every such grid belongs to root, the county's own number, if not 0.
func GridsOf(t *grid.Tree, g orb.Geometry, county []auth.Interval, root int32) []int32 {
	own := func(no int32) bool {
		return county == nil || slices.ContainsFunc(county, func(iv auth.Interval) bool { return iv.Lo <= no && no <= iv.Hi })
	}
	var nos []int32
	last := orb.Point{1000, 1000}
	add := func(p orb.Point) {
		if p == last {
			return
		}
		last = p
		if f := t.Locate(geo.WGS84(p)); f.Index >= 0 {
			if no := t.Nodes()[f.Index].No; own(no) && !slices.Contains(nos, no) {
				nos = append(nos, no)
			}
		}
	}
	eachPoint(g, add)
	if len(nos) == 0 && root != 0 {
		nos = []int32{root}
	}
	return nos
}

// eachPoint calls f with every point of g.
func eachPoint(g orb.Geometry, f func(orb.Point)) {
	switch g := g.(type) {
	case orb.Point:
		f(g)
	case orb.LineString:
		for _, p := range g {
			f(p)
		}
	case orb.MultiLineString:
		for _, l := range g {
			eachPoint(l, f)
		}
	case orb.Polygon:
		for _, r := range g {
			eachPoint(orb.LineString(r), f)
		}
	case orb.MultiPolygon:
		for _, p := range g {
			eachPoint(p, f)
		}
	}
}

// Page is the features in scope whose bounds meet within, if that is not nil, from
// the first whose id is greater than after: at most limit of them, and no more than
// have so many points together, but one at least. more says that others follow.
func (s *Set) Page(sc auth.Scope, within *orb.Bound, after int64, limit, points int) (page []*Feature, more bool) {
	from, ok := slices.BinarySearchFunc(s.Features, after, func(f Feature, id int64) int { return cmp.Compare(f.ID, id) })
	if ok {
		from++
	}
	for i := from; i < len(s.Features); i++ {
		f := &s.Features[i]
		if !f.In(sc) || within != nil && !s.bounds[i].Intersects(*within) {
			continue
		}
		n := 0
		eachPoint(f.Geom, func(orb.Point) { n++ })
		if len(page) == limit || len(page) > 0 && n > points {
			return page, true
		}
		page, points = append(page, f), points-n
	}
	return page, false
}

// Feature is the feature with this id, or nil.
func (s *Set) Feature(id int64) *Feature {
	i, ok := slices.BinarySearchFunc(s.Features, id, func(f Feature, id int64) int { return cmp.Compare(f.ID, id) })
	if !ok {
		return nil
	}
	return &s.Features[i]
}
