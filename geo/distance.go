// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package geo

import "math"

// EarthRadius is the mean radius of the earth in metres.
const EarthRadius = 6371008.8

// Distance is the great-circle distance in metres, by the haversine formula. It
// differs from the ellipsoid's by at most 0.6 %.
func Distance(a, b WGS84) float64 {
	const rad = math.Pi / 180
	dLat, dLon := (b[1]-a[1])*rad/2, (b[0]-a[0])*rad/2
	if math.Abs(dLat) < small && math.Abs(dLon) < small { // a county: as exact by a few terms of the series, in a quarter of the time
		sLat, sLon := sinSmall(dLat), sinSmall(dLon)
		cosines := math.Cos((a[1]+b[1])*rad)/2 + 0.5 - sLat*sLat // cos a cos b = (cos(a+b) + cos(a-b)) / 2
		return 2 * EarthRadius * asinSmall(math.Sqrt(sLat*sLat+max(cosines, 0)*sLon*sLon))
	}
	sLat, sLon := math.Sin(dLat), math.Sin(dLon)
	h := sLat*sLat + math.Cos(a[1]*rad)*math.Cos(b[1]*rad)*sLon*sLon
	return 2 * EarthRadius * math.Asin(math.Sqrt(min(h, 1)))
}

// small is up to where the series below are exact to the last digits: half of two degrees.
const small = math.Pi / 180

func sinSmall(x float64) float64 {
	q := x * x
	return x * (1 - q*(1./6-q*(1./120-q*(1./5040))))
}

func asinSmall(y float64) float64 {
	q := y * y
	return y * (1 + q*(1./6+q*(3./40+q*(15./336+q*(105./3456+q*(945./42240))))))
}
