// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package geo

import "math"

// The ellipsoid of the GCJ-02 shift: Krasovsky 1940, semi-major axis in metres
// and first eccentricity squared.
const (
	gcjAxis = 6378245.0
	gcjEcc2 = 0.00669342162296594323
)

// inverseRounds bounds the iterated inverses; four rounds reach 1e-4 m
// everywhere in China, eight are certain.
const inverseRounds = 8

// inverseDone is the correction in degrees below which an inverse stops: about
// a hundredth of a millimetre.
const inverseDone = 1e-10

// GCJ02 shifts p as Chinese web maps do. The formula is defined in and around
// China; whoever calls it elsewhere gets a shift nobody uses.
func (p WGS84) GCJ02() GCJ02 {
	dLon, dLat := gcjShift(p[0], p[1])
	return GCJ02{p[0] + dLon, p[1] + dLat}
}

// WGS84 undoes the shift, to less than a millimetre against WGS84.GCJ02.
func (p GCJ02) WGS84() WGS84 {
	w := WGS84(p)
	for range inverseRounds {
		f := w.GCJ02()
		dLon, dLat := f[0]-p[0], f[1]-p[1]
		w[0] -= dLon
		w[1] -= dLat
		if math.Abs(dLon) < inverseDone && math.Abs(dLat) < inverseDone {
			break
		}
	}
	return w
}

// BD09 shifts p once more, as Baidu's maps do.
func (p GCJ02) BD09() BD09 {
	const k = math.Pi * 3000 / 180
	r := math.Hypot(p[0], p[1]) + 2e-5*math.Sin(p[1]*k)
	theta := math.Atan2(p[1], p[0]) + 3e-6*math.Cos(p[0]*k)
	return BD09{r*math.Cos(theta) + 0.0065, r*math.Sin(theta) + 0.006}
}

// GCJ02 undoes Baidu's shift, to less than a millimetre against GCJ02.BD09.
// (Tables made with the usual one-step inverse differ by up to 0.2 m.)
func (p BD09) GCJ02() GCJ02 {
	g := GCJ02{p[0] - 0.0065, p[1] - 0.006}
	for range inverseRounds {
		f := g.BD09()
		dLon, dLat := f[0]-p[0], f[1]-p[1]
		g[0] -= dLon
		g[1] -= dLat
		if math.Abs(dLon) < inverseDone && math.Abs(dLat) < inverseDone {
			break
		}
	}
	return g
}

// gcjShift returns the GCJ-02 shift at a WGS-84 place in degrees: two sine
// series give metres, the ellipsoid's radii turn them into degrees.
func gcjShift(lon, lat float64) (dLon, dLat float64) {
	x, y := lon-105, lat-35
	east, north := gcjMetres(x, y)
	sin, cos := math.Sincos(lat * math.Pi / 180)
	w := 1 - gcjEcc2*sin*sin
	prime := gcjAxis / math.Sqrt(w)
	meridian := prime * (1 - gcjEcc2) / w
	return east / (prime * cos) * 180 / math.Pi, north / meridian * 180 / math.Pi
}

// gcjMetres is the pair of series: metres east and north, x and y in degrees
// from 105E 35N.
func gcjMetres(x, y float64) (east, north float64) {
	wave := func(amp, v float64) float64 { return amp * math.Sin(v*math.Pi) * 2 / 3 }
	common := wave(20, 6*x) + wave(20, 2*x)
	root := math.Sqrt(math.Abs(x))
	east = 300 + x + 2*y + 0.1*x*x + 0.1*x*y + 0.1*root + common +
		wave(20, x) + wave(40, x/3) + wave(150, x/12) + wave(300, x/30)
	north = -100 + 2*x + 3*y + 0.2*y*y + 0.1*x*y + 0.2*root + common +
		wave(20, y) + wave(40, y/3) + wave(160, y/12) + wave(320, y/30)
	return east, north
}
