// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"math"

	"github.com/paulmach/orb"
	orbgeo "github.com/paulmach/orb/geo"
)

// bannerArea is the banner's size in square metres, give or take 0.1 %.
const bannerArea = 12_000e6

// outline draws the banner's border: a leaning ellipse, pushed in and out by
// waves of all lengths. It is a star around the middle, so it never crosses
// itself. Counter-clockwise, closed.
func outline(seed uint64) orb.MultiPolygon {
	const n = 720
	r := stream(seed, "outline", 0)
	type wave struct{ k, amp, phase float64 }
	var waves []wave
	for k := 2; k <= 150; k++ {
		amp := 0.17 / math.Pow(float64(k), 1.15) * (0.5 + r.Float64())
		waves = append(waves, wave{float64(k), amp, 2 * math.Pi * r.Float64()})
	}
	lean := 0.3 + 0.3*r.Float64()
	shape := make([]xy, n)
	for i := range shape {
		a := 2 * math.Pi * float64(i) / n
		push := 0.0
		for _, w := range waves {
			push += w.amp * math.Sin(w.k*a+w.phase)
		}
		sin, cos := math.Sincos(a - lean)
		radius := 1 / math.Hypot(cos/1.2, sin/0.85) * (1 + max(-0.45, min(0.45, push)))
		sin, cos = math.Sincos(a)
		shape[i] = xy{radius * cos, radius * sin}
	}
	scale := 50.0
	var ring orb.Ring
	for range 4 {
		ring = ring[:0]
		for _, q := range shape {
			ring = append(ring, xy{q.x * scale, q.y * scale}.place())
		}
		ring = append(ring, ring[0])
		scale *= math.Sqrt(bannerArea / orbgeo.Area(orb.Polygon{ring}))
	}
	return orb.MultiPolygon{{ring}}
}
