// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package grid

import (
	"math"

	"github.com/paulmach/orb"

	"onemap/geo"
)

// Region is what somebody marked on the map: polygons, or a circle on the ground.
// Whether it covers a place is decided here alone, for whatever lies there, so that
// every kind of thing is judged by the same border. It never changes.
type Region struct {
	bound   orb.Bound
	cover   *Cover    // of the polygons; nil for a circle
	centre  geo.WGS84 // of the circle
	radiusM float64
}

// NewRegion makes a Region of polygons in WGS-84, valid as geo.CheckPolygon has it. It
// covers what PostGIS's ST_Covers says it does: its border too, the border of a hole
// too. They must not be changed afterwards.
func NewRegion(mp orb.MultiPolygon) *Region {
	return &Region{bound: mp.Bound(), cover: NewCover([]orb.MultiPolygon{mp})}
}

// NewCircle makes a Region of all places at most radiusM metres from centre, along the
// great circle (geo.Distance).
func NewCircle(centre geo.WGS84, radiusM float64) *Region {
	const degree = 180 / math.Pi
	angle := radiusM / geo.EarthRadius * (1 + 1e-12) // a box must not be narrower than what it holds
	b := orb.Bound{Min: orb.Point{-180, centre[1] - angle*degree}, Max: orb.Point{180, centre[1] + angle*degree}}
	// The meridian that touches a circle does so north or south of its middle:
	// sin(dlon) = sin(angle) / cos(lat). Where a pole or the date line is inside, all
	// longitudes are.
	if s := math.Sin(angle) / math.Cos(centre[1]/degree); angle < math.Pi/2 && s < 1 {
		if d := math.Asin(s)*degree + 1e-9; centre[0]-d >= -180 && centre[0]+d <= 180 {
			b.Min[0], b.Max[0] = centre[0]-d, centre[0]+d
		}
	}
	return &Region{bound: b, centre: centre, radiusM: radiusM}
}

// Bound is a box that holds the region.
func (r *Region) Bound() orb.Bound { return r.bound }

// Covers says whether the region covers p.
func (r *Region) Covers(p geo.WGS84) bool {
	if r.cover == nil {
		return geo.Distance(r.centre, p) <= r.radiusM
	}
	var hits [1]Hit
	return len(r.cover.At(hits[:0], p)) > 0
}
