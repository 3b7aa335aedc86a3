// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package geo

import "math"

// EarthRadius is the mean radius of the earth in metres.
const EarthRadius = 6371008.8

// Distance is the great-circle distance in metres. It differs from the
// ellipsoid's by at most 0.6 %.
func Distance(a, b WGS84) float64 {
	const rad = math.Pi / 180
	sLat := math.Sin((b[1] - a[1]) * rad / 2)
	sLon := math.Sin((b[0] - a[0]) * rad / 2)
	h := sLat*sLat + math.Cos(a[1]*rad)*math.Cos(b[1]*rad)*sLon*sLon
	return 2 * EarthRadius * math.Asin(math.Sqrt(min(h, 1)))
}
