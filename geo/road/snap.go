// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package road

import (
	"math"

	"onemap/geo"
)

// piece is the straight bit of a stretch from one vertex to the next.
type piece struct {
	a, b    vertex
	stretch int32
	at      float32 // metres from the beginning of the stretch to a
	metres  float32
}

// snap is a place brought to a stretch.
type snap struct {
	stretch int32
	at      float64 // metres from the stretch's beginning
	off     float64 // metres from the place
}

const (
	// same is how many metres an end of a stretch reaches: who is there stands at
	// the crossing and may leave by any of its roads.
	same = 0.01
	// tied are distances in metres that differ by no more than rounding; the piece
	// that came first wins.
	tied = 1e-6
	// polar is the latitude from which on there is no road: a degree of longitude
	// is next to nothing there, and a search would go round the whole earth.
	polar = 89
)

// snaps brings a place to the nearest stretch, and where that one is not of the
// main net to the nearest one that is as well: a place on an island may be a few
// steps from a real road. Nothing is further off than the rules allow.
func (g *Graph) snaps(p geo.WGS84) (found [2]snap, n int) {
	s, ok := g.nearest(p, false)
	if !ok {
		return found, 0
	}
	found[0] = s
	if g.main[s.stretch] {
		return found, 1
	}
	if s, ok = g.nearest(p, true); ok {
		found[1] = s
		return found, 2
	}
	return found, 1
}

// nearest finds the nearest stretch, of the main net alone if wanted. Distances
// are those in the plane that touches the earth at p.
func (g *Graph) nearest(p geo.WGS84, mainOnly bool) (snap, bool) {
	if !geo.OnEarth(p.Orb()) || math.Abs(p[1]) >= polar || len(g.pieces) == 0 {
		return snap{}, false
	}
	x, y, kx, ky := plane(p)
	best, bestT, bestOff := int32(-1), 0.0, math.Inf(1)
	g.squares.nearby(x, y, func(i int32) {
		c := &g.pieces[i]
		if mainOnly && !g.main[c.stretch] {
			return
		}
		t, off := c.foot(x, y, kx, ky)
		if off < bestOff-tied || off < bestOff+tied && i < best {
			best, bestT, bestOff = i, t, off
		}
	}, func(seen float64) bool {
		reach := seen * min(kx, ky)
		return bestOff+tied > reach && reach <= g.rules.MaxOff
	})
	if best < 0 || bestOff > g.rules.MaxOff {
		return snap{}, false
	}
	c := g.pieces[best]
	s := snap{c.stretch, float64(c.at) + bestT*float64(c.metres), bestOff}
	switch end := g.stretches[c.stretch].metres; {
	case s.at < same:
		s.at = 0
	case s.at > end-same:
		s.at = end
	}
	return s, true
}

// plane gives a place in units, and how many metres a unit is east and north there.
func plane(p geo.WGS84) (x, y, kx, ky float64) {
	const perDegree = geo.EarthRadius * math.Pi / 180
	return p[0] / unit, p[1] / unit, perDegree * math.Cos(p[1]*math.Pi/180) * unit, perDegree * unit
}

// foot is the point of a piece nearest to a place: where between a and b, and how
// many metres off.
func (c *piece) foot(x, y, kx, ky float64) (t, off float64) {
	ax, ay := (float64(c.a[0])-x)*kx, (float64(c.a[1])-y)*ky
	dx, dy := (float64(c.b[0])-float64(c.a[0]))*kx, (float64(c.b[1])-float64(c.a[1]))*ky
	t = min(max(-(ax*dx+ay*dy)/(dx*dx+dy*dy), 0), 1)
	ax, ay = ax+t*dx, ay+t*dy
	return t, math.Sqrt(ax*ax + ay*ay)
}
