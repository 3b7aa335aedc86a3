// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package geo

import (
	"math"

	"github.com/paulmach/orb"
)

// mercatorEnd is the latitude, in degrees, at which web Mercator's square ends.
const mercatorEnd = 85.05112878

// Mercator projects a point in WGS-84 degrees, longitude first, to the unit square of web
// Mercator (EPSG:3857), y down. Latitudes beyond its ends are taken for the ends.
func Mercator(p orb.Point) orb.Point {
	lat := max(-mercatorEnd, min(mercatorEnd, p[1])) * math.Pi / 180
	return orb.Point{p[0]/360 + 0.5, 0.5 - math.Asinh(math.Tan(lat))/(2*math.Pi)}
}
