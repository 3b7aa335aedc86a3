// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"math"
	"math/rand/v2"

	"github.com/paulmach/orb"

	"onemap/geo"
)

// The banner's middle in WGS-84 degrees, and the length of a degree there.
const (
	midLon   = 107.5
	midLat   = 38.2
	kmPerLon = 87.48
	kmPerLat = 111.0
)

// xy is a place on a flat map in kilometres east and north of the middle. It is
// for making places up only; over the banner's 130 km it is true to about 1 %.
type xy struct{ x, y float64 }

func flat(p orb.Point) xy { return xy{(p[0] - midLon) * kmPerLon, (p[1] - midLat) * kmPerLat} }

// place turns q into degrees, rounded to 1e-7 (a centimetre).
func (q xy) place() orb.Point {
	return orb.Point{round7(midLon + q.x/kmPerLon), round7(midLat + q.y/kmPerLat)}
}

func (q xy) wgs84() geo.WGS84 { return geo.WGS84(q.place()) }

func round7(x float64) float64 { return math.Round(x*1e7) / 1e7 }

func (q xy) dist(o xy) float64 { return math.Hypot(q.x-o.x, q.y-o.y) }

// toward is the place at share t of the way from q to o.
func (q xy) toward(o xy, t float64) xy { return xy{q.x + (o.x-q.x)*t, q.y + (o.y-q.y)*t} }

// scatter moves q by a normal step of the given deviation, kilometres.
func (q xy) scatter(r *rand.Rand, km float64) xy {
	return xy{q.x + r.NormFloat64()*km, q.y + r.NormFloat64()*km}
}

// wander is a natural-looking line from a to b, both included: its middle is
// moved aside by up to bend of its length, and so on in both halves until the
// pieces are shorter than step kilometres.
func wander(r *rand.Rand, a, b xy, bend, step float64) []xy {
	out := []xy{a}
	var split func(p, q xy)
	split = func(p, q xy) {
		d := p.dist(q)
		if d <= step {
			out = append(out, q)
			return
		}
		m := p.toward(q, 0.45+0.1*r.Float64())
		k := (2*r.Float64() - 1) * bend
		m.x, m.y = m.x-(q.y-p.y)*k, m.y+(q.x-p.x)*k
		split(p, m)
		split(m, q)
	}
	split(a, b)
	return out
}
