// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package tiles

import (
	"math"
	"slices"

	"github.com/paulmach/orb"
	"github.com/paulmach/orb/clip"
)

// sheet is a tile being drawn: its source layers, and room to cut and write geometry
// in. It is used again for the next tile.
type sheet struct {
	layers []*layerWriter
	used   int // of layers
	pen    pen
	near   []orb.Point // what of a ring may matter to the tile
	cut    []orb.Point
	units  []unit
}

var sheets = make(chan *sheet, 4)

func takeSheet() *sheet {
	select {
	case s := <-sheets:
		s.used = 0
		return s
	default:
		return &sheet{}
	}
}

func (s *sheet) layAway() {
	select {
	case sheets <- s:
	default:
	}
}

// layer begins another source layer.
func (s *sheet) layer(name string, keys ...string) *layerWriter {
	if s.used == len(s.layers) {
		s.layers = append(s.layers, &layerWriter{})
	}
	l := s.layers[s.used]
	s.used++
	l.reset()
	l.name, l.keys = name, keys
	return l
}

// full reports whether a layer has as many features as one may have.
func (l *layerWriter) full() bool { return l.count >= maxFeatures }

// encode makes a ready tile of a sheet; a tile without a feature has no body.
func (s *sheet) encode() (ready, error) {
	var raw []byte
	for _, l := range s.layers[:s.used] {
		raw = l.appendTo(raw, l.name, l.keys...)
	}
	if len(raw) == 0 {
		return ready{}, nil
	}
	return small.pack(raw)
}

// dot writes a point that the tile holds, rounded down so that it stays inside.
func (s *sheet) dot(t tile, p orb.Point) []byte {
	q := t.place(p)
	s.pen.out = appendDot(s.pen.out[:0], unit{int32(math.Floor(q[0])), int32(math.Floor(q[1]))})
	return s.pen.out
}

// lines writes what of lines lies in the tile and its buffer, and reports whether
// anything does.
func (s *sheet) lines(t tile, ls ...orb.LineString) bool {
	s.pen.reset()
	for _, l := range ls {
		s.near = s.near[:0]
		for _, p := range l {
			s.near = append(s.near, t.place(p))
		}
		for _, c := range clip.LineString(frame, orb.LineString(s.near)) {
			if s.rounded(c); len(s.units) > 1 {
				s.pen.line(s.units)
			}
		}
	}
	return len(s.pen.out) > 0
}

// polygons writes what of mp lies in the tile and its buffer, in whole units, outer
// rings turned the way the format wants, and reports whether anything does.
func (s *sheet) polygons(t tile, mp orb.MultiPolygon) bool {
	s.pen.reset()
	for _, p := range mp {
		for i, r := range p {
			twice := s.ring(t, r)
			if twice == 0 && i == 0 {
				break // nothing of the shell is left: nor of its holes
			}
			if twice == 0 {
				continue
			}
			if (twice > 0) != (i == 0) {
				slices.Reverse(s.units[1:])
			}
			s.pen.ring(s.units)
		}
	}
	return len(s.pen.out) > 0
}

// speck writes the square of one unit that a point lies in, and reports true.
func (s *sheet) speck(t tile, p orb.Point) bool {
	q := t.place(p)
	u := unit{int32(math.Floor(q[0])), int32(math.Floor(q[1]))}
	s.pen.reset()
	s.pen.ring([]unit{u, {u.x + 1, u.y}, {u.x + 1, u.y + 1}, {u.x, u.y + 1}})
	return true
}

// ring leaves in units what of r lies in the frame, without the first place at the
// end again, and returns twice its area, positive when it turns clockwise on a screen,
// where y points down; 0 when nothing is left.
//
// Vertices that lie beyond one side of the tile together with the vertex kept before
// them and the one after are passed over: what would be cut off there lies beyond that
// side too. Of a long border little is left to be cut.
func (s *sheet) ring(t tile, r orb.Ring) int64 {
	box := t.box()
	near := s.near[:0]
	var kept, now, some byte
	every := ^byte(0)
	for i, p := range r {
		next := byte(0)
		if i == 0 {
			now = beyond(box, p)
		}
		if i+1 < len(r) {
			next = beyond(box, r[i+1])
		}
		if i == 0 || i == len(r)-1 || kept&now&next == 0 {
			near = append(near, t.place(p))
			kept, some, every = now, some|now, every&now
		}
		now = next
	}
	s.near = near
	if len(near) < 4 || every != 0 {
		return 0
	}
	for side := byte(1); side < 16; side <<= 1 {
		if some&side != 0 && len(near) > 0 {
			s.cut = cutSide(s.cut[:0], near, side)
			near, s.near, s.cut = s.cut, s.cut, near
		}
	}
	s.rounded(near)
	if n := len(s.units); n > 1 && s.units[0] == s.units[n-1] {
		s.units = s.units[:n-1]
	}
	if len(s.units) < 3 {
		return 0
	}
	return area(s.units)
}

// Sides of the frame, as beyond names them.
const (
	left = 1 << iota
	right
	top
	bottom
)

// beyond has a bit for each side of the box that p lies beyond.
func beyond(b orb.Bound, p orb.Point) (sides byte) {
	if p[0] < b.Min[0] {
		sides = left
	} else if p[0] > b.Max[0] {
		sides = right
	}
	if p[1] < b.Min[1] {
		sides |= top
	} else if p[1] > b.Max[1] {
		sides |= bottom
	}
	return sides
}

// cutSide puts what of a ring does not lie beyond one side of the frame behind dst, by the
// method of Sutherland and Hodgman (Communications of the ACM 17, 1974).
func cutSide(dst, ring []orb.Point, side byte) []orb.Point {
	axis, edge, sign := 0, frame.Min[0], 1.0 // sign turns "not beyond" into "at least"
	switch side {
	case right:
		edge, sign = frame.Max[0], -1
	case top:
		axis, edge = 1, frame.Min[1]
	case bottom:
		axis, edge, sign = 1, frame.Max[1], -1
	}
	last := ring[len(ring)-1]
	lastIn := sign*last[axis] >= sign*edge
	for _, p := range ring {
		in := sign*p[axis] >= sign*edge
		if in != lastIn {
			var q orb.Point
			q[axis] = edge
			q[1-axis] = last[1-axis] + (p[1-axis]-last[1-axis])*(edge-last[axis])/(p[axis]-last[axis])
			dst = append(dst, q)
		}
		if in {
			dst = append(dst, p)
		}
		last, lastIn = p, in
	}
	return dst
}

// rounded leaves places in units, whole, without those that fall together with the one
// before.
func (s *sheet) rounded(ps []orb.Point) {
	s.units = s.units[:0]
	for _, p := range ps {
		u := unit{int32(math.Round(p[0])), int32(math.Round(p[1]))}
		if n := len(s.units); n == 0 || s.units[n-1] != u {
			s.units = append(s.units, u)
		}
	}
}

// area is twice the area of a ring without its first place at the end again, positive
// when it turns clockwise on a screen.
func area(r []unit) int64 {
	sum, last := int64(0), r[len(r)-1]
	for _, p := range r {
		sum += int64(last.x)*int64(p.y) - int64(p.x)*int64(last.y)
		last = p
	}
	return sum
}
