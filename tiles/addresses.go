// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package tiles

import (
	"cmp"
	"slices"
	"sync"

	"github.com/paulmach/orb/maptile"

	"onemap/auth"
	"onemap/geo"
	"onemap/geo/gazetteer"
)

// AddressesFrom is the first zoom that shows addresses and places: further out a tile would
// be counts alone.
const AddressesFrom = 15

// addressSets keeps the set made of the newest address search.
type addressSets struct {
	mu  sync.Mutex // guards what follows
	set *addressSet
}

// now is the set of now. The same search keeps its set, and so its tiles.
func (a *addressSets) now(s *Server) *addressSet {
	x := s.o.Addresses()
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.set == nil || a.set.index != x {
		a.set = &addressSet{s.made.Add(1), x}
	}
	return a.set
}

// addressSet is the entries of an address search.
type addressSet struct {
	id    uint64
	index *gazetteer.Index
}

func (a *addressSet) number() uint64 { return a.id }

// draw shows entries one by one, or, where more than mostDots lie in the tile, those in one
// square of it as one feature with a count, as incidents are: none is left out.
func (a *addressSet) draw(sh *sheet, t tile, s auth.Scope) {
	if a.index == nil {
		return
	}
	dots, counts := sh.layer("addresses", "kind", "name", "class"), sh.layer("counts", "count")
	type entry struct {
		*gazetteer.Entry
		dot unit
	}
	var in []entry
	a.index.Within(maptile.New(uint32(t.x), uint32(t.y), maptile.Zoom(t.z)).Bound(1e-6), s.Sees, func(e *gazetteer.Entry) {
		if p := geo.Mercator(e.Point.Orb()); e.ID != 0 && t.holds(p) { // a town as a whole is no point
			q := t.place(p)
			in = append(in, entry{e, unit{int32(q[0]), int32(q[1])}})
		}
	})
	slices.SortFunc(in, func(x, y entry) int { return cmp.Or(cmp.Compare(x.ID, y.ID), cmp.Compare(x.Kind, y.Kind)) }) // the same content is the same bytes
	squares := map[unit]int{}
	square := func(u unit) unit { return unit{u.x / stackUnits, u.y / stackUnits} }
	if len(in) > mostDots {
		for _, e := range in {
			squares[square(e.dot)]++
		}
	}
	for _, e := range in {
		q := square(e.dot)
		switch n := squares[q]; {
		case n > 1:
			squares[q] = -1 // told once, where its first entry stands in order
			counts.whole(0, int32(n))
			sh.pen.out = appendDot(sh.pen.out[:0], unit{q.x*stackUnits + stackUnits/2, q.y*stackUnits + stackUnits/2})
			counts.put(0, typePoint, sh.pen.out)
		case n < 0:
		default:
			dots.word(0, string(e.Kind))
			dots.word(1, e.Name)
			dots.word(2, e.Class)
			sh.pen.out = appendDot(sh.pen.out[:0], e.dot)
			dots.put(e.ID, typePoint, sh.pen.out)
		}
	}
}
