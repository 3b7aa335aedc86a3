// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package tiles

import (
	"strconv"
	"sync"

	"github.com/paulmach/orb"

	"onemap/auth"
	"onemap/geo"
)

// latest keeps the set S made of the newest slice the source returned.
type latest[T, S any] struct {
	load func() []T
	make func(number uint64, rows []T, grids *generation) *S

	mu    sync.Mutex // guards what follows
	rows  []T
	grids *generation
	set   *S
}

// now returns the set of now. The same slice and grids keep their set, and so
// their tiles.
func (l *latest[T, S]) now(s *Server) *S {
	rows, grids := l.load(), s.generation()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.set == nil || l.grids != grids || !sameSlice(rows, l.rows) {
		l.rows, l.grids, l.set = rows, grids, l.make(s.made.Add(1), rows, grids)
	}
	return l.set
}

func sameSlice[T any](a, b []T) bool { return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0]) }

// lineSet is all roads, projected and thinned.
type lineSet struct {
	id    uint64
	rows  []Line
	lines []orb.LineString
	thin  thinned[orb.LineString]
}

func newLineSet(id uint64, rows []Line, _ *generation) *lineSet {
	l := &lineSet{id: id, rows: rows}
	for _, r := range rows {
		l.lines = append(l.lines, project(r.Geom))
	}
	return l
}

func (l *lineSet) number() uint64 { return l.id }

func (l *lineSet) draw(sh *sheet, t tile, s auth.Scope) {
	roads := sh.layer("roads", "class", "name")
	lines := l.thin.at(t.z, l.lines, func(g orb.LineString, tol float64) orb.LineString { return thinLine(g, tol) })
	box := t.box()
	for i := range l.rows {
		r := &l.rows[i]
		if t.z < classFrom(r.Class) || !lines[i].bound.Intersects(box) || r.Grid != 0 && !s.Sees(r.Grid) || roads.full() {
			continue
		}
		if sh.lines(t, lines[i].geom) {
			roads.word(0, r.Class)
			roads.word(1, r.Name)
			roads.put(r.ID, typeLine, sh.pen.out)
		}
	}
}

// spotSet is all cameras, projected.
type spotSet struct {
	id    uint64
	rows  []Spot
	spots []orb.Point
	grids *generation
}

func newSpotSet(id uint64, rows []Spot, g *generation) *spotSet {
	c := &spotSet{id: id, rows: rows, grids: g}
	for _, r := range rows {
		c.spots = append(c.spots, geo.Mercator(r.P))
	}
	return c
}

func (c *spotSet) number() uint64 { return c.id }

// draw shows a camera in no known grid only to those who see a whole county.
func (c *spotSet) draw(sh *sheet, t tile, s auth.Scope) {
	cameras := sh.layer("cameras", "id", "name", "heading", "fov")
	whole := c.grids.whole(s)
	for i := range c.rows {
		r := &c.rows[i]
		if !t.holds(c.spots[i]) || !s.Sees(r.Grid) && (r.Grid != 0 || !whole) || cameras.full() {
			continue
		}
		cameras.word(0, strconv.FormatInt(r.ID, 10))
		cameras.word(1, r.Name)
		cameras.whole(2, int32(r.Heading))
		cameras.whole(3, int32(r.FOV))
		cameras.put(r.ID, typePoint, sh.dot(t, c.spots[i]))
	}
}
