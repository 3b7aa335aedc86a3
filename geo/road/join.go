// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package road

import (
	"cmp"
	"math"
	"slices"

	"github.com/paulmach/orb"

	"onemap/geo"
)

// Join mends lines, in WGS-84, whose ends miss each other by a little, as drawn
// ones do: an end that shares no vertex with another line is moved to a vertex of
// another line, the one that most lines share, or where none is near to the nearest
// point of another line, which gets a vertex there. Nothing is moved by more than the metres given,
// and only ends are: lines that cross stay apart. It returns how many ends it
// moved.
//
//	----a   b----      a is moved to b
//
//	----a  |           a is moved onto the line beside it, and a vertex is put
//	       |           there
func Join(lines []orb.LineString, metres float64) (moved int) {
	j := joiner{lines: lines, metres: metres, users: map[vertex]int{}, put: map[int][]put{}}
	for i, l := range lines {
		seen := map[vertex]bool{}
		for k, p := range l {
			v := vertexOf(p)
			if !seen[v] {
				seen[v] = true
				j.users[v]++
			}
			if k > 0 && v != vertexOf(l[k-1]) {
				j.pieces = append(j.pieces, piece{a: vertexOf(l[k-1]), b: v, stretch: int32(i), at: float32(k - 1)})
			}
		}
	}
	j.squares = newSquares(j.pieces)
	for i, l := range lines {
		if len(l) < 2 || l[0] == l[len(l)-1] {
			continue
		}
		for _, k := range []int{0, len(l) - 1} {
			if j.users[vertexOf(l[k])] == 1 && j.move(i, k) {
				moved++
			}
		}
	}
	for i, list := range j.put {
		slices.SortFunc(list, func(a, b put) int { return cmp.Or(cmp.Compare(b.after, a.after), cmp.Compare(b.t, a.t)) })
		for _, p := range list { // from the last to the first, so that indices hold
			lines[i] = slices.Insert(lines[i], p.after+1, p.at)
		}
	}
	return moved
}

// joiner is the state of Join.
type joiner struct {
	lines   []orb.LineString
	metres  float64
	users   map[vertex]int // how many lines have it
	pieces  []piece        // stretch is the line, at the index of the piece in it
	squares squares
	put     map[int][]put // by line
}

// put is a vertex that a line gets behind one of its own.
type put struct {
	after int
	t     float64 // where between that one and the next
	at    orb.Point
}

// move brings the end k of line i to another line, if one is near.
func (j *joiner) move(i, k int) bool {
	p := geo.WGS84(j.lines[i][k])
	other := j.lines[i][len(j.lines[i])-1-k] // moved there, the line would have no length or be a loop
	target, ok := j.meeting(p, i, other)
	if !ok {
		c, t := j.beside(p, i)
		if c == nil {
			return false
		}
		a, b := c.a.place(), c.b.place()
		target = vertexOf(orb.Point{a[0] + t*(b[0]-a[0]), a[1] + t*(b[1]-a[1])}).place().Orb()
		if target == other {
			return false
		}
		j.put[int(c.stretch)] = append(j.put[int(c.stretch)], put{int(c.at), t, target})
		j.users[vertexOf(target)]++
	}
	j.users[vertexOf(j.lines[i][k])]--
	j.users[vertexOf(target)]++
	j.lines[i][k] = target
	return true
}

// meeting is the vertex of another line near a place that most lines share, of
// equal ones the nearest: so all ends about a crossing come to one vertex.
func (j *joiner) meeting(p geo.WGS84, own int, not orb.Point) (best orb.Point, ok bool) {
	most, least := 0, 0.0
	j.near(p, own, func(c *piece, _, _ float64) {
		for _, at := range []int{int(c.at), int(c.at) + 1} {
			q := j.lines[c.stretch][at]
			d, n := geo.Distance(p, geo.WGS84(q)), j.users[vertexOf(q)]
			if d <= j.metres && q != not && (!ok || n > most || n == most && d < least) {
				best, most, least, ok = q, n, d, true
			}
		}
	})
	return best, ok
}

// beside is the piece of another line nearest to a place, and where on it; nil when
// none is near.
func (j *joiner) beside(p geo.WGS84, own int) (best *piece, at float64) {
	least := j.metres
	j.near(p, own, func(c *piece, t, off float64) {
		if off <= least && t > 0 && t < 1 { // its ends were looked at as vertices
			best, at, least = c, t, off
		}
	})
	return best, at
}

// near visits the pieces of other lines that are near a place.
func (j *joiner) near(p geo.WGS84, own int, visit func(c *piece, t, off float64)) {
	if math.Abs(p[1]) >= polar {
		return
	}
	x, y, kx, ky := plane(p)
	j.squares.nearby(x, y, func(i int32) {
		c := &j.pieces[i]
		if int(c.stretch) == own {
			return
		}
		if t, off := c.foot(x, y, kx, ky); off <= 2*j.metres { // an end of it may have been moved nearer
			visit(c, t, off)
		}
	}, func(seen float64) bool { return seen*min(kx, ky) <= 2*j.metres })
}
