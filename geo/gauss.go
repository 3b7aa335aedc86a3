// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package geo

import (
	"math"

	"github.com/paulmach/orb"
)

// CGCS2000 is a place in degrees of the China Geodetic Coordinate System 2000,
// longitude first.
type CGCS2000 orb.Point

// The ellipsoid of CGCS2000 (EPSG:1024, GRS 1980's axis and flattening) and its
// third flattening n.
const (
	cgcsAxis       = 6378137.0
	cgcsFlattening = 1 / 298.257222101
	cgcsEcc2       = cgcsFlattening * (2 - cgcsFlattening)
	cgcsN          = cgcsFlattening / (2 - cgcsFlattening)
)

// WGS84 takes the degrees as they are. CGCS2000 is ITRF97 as of the year 2000
// (EPSG datum 1043), WGS-84 follows the ITRF of the day: the two were the same
// to centimetres in 2000 and drift apart with the plate, some 3 cm a year, so
// decimetres today. PROJ and PostGIS do nothing between them either. The two
// ellipsoids differ by 0.1 mm.
func (p CGCS2000) WGS84() WGS84 { return WGS84(p) }

// CGCS2000 takes the degrees as they are; see CGCS2000.WGS84.
func (p WGS84) CGCS2000() CGCS2000 { return CGCS2000(p) }

// Zone is one zone of the Gauss-Kruger projection of CGCS2000.
type Zone struct {
	Width    int  // in degrees of longitude: 3 or 6
	Number   int  // 25 to 45 of 3 degrees, 13 to 23 of 6
	Prefixed bool // an easting begins with Number: 36,454,730 m and not 454,730 m
}

// Meridian is the longitude of the zone's middle, in degrees.
func (z Zone) Meridian() float64 {
	if z.Width == 3 {
		return float64(3 * z.Number)
	}
	return float64(6*z.Number - 3)
}

// falseEasting is the easting of the zone's middle in metres.
func (z Zone) falseEasting() float64 {
	if z.Prefixed {
		return float64(z.Number)*1e6 + 500_000
	}
	return 500_000
}

// GaussKruger is a place in metres of a zone.
type GaussKruger struct {
	East, North float64
	Zone        Zone
}

// The series of L. Krueger, "Konforme Abbildung des Erdellipsoids in der Ebene"
// (1912), in the form of C. Karney, "Transverse Mercator with an accuracy of a
// few nanometers", J. Geodesy 85 (2011), equations 14, 35 and 36, to the fourth
// power of n. What is left out is below a tenth of a micrometre in a zone.
const (
	n1 = cgcsN
	n2 = n1 * n1
	n3 = n2 * n1
	n4 = n3 * n1

	// rectifying is the radius of the sphere whose meridians are as long.
	rectifying = cgcsAxis / (1 + n1) * (1 + n2/4 + n4/64)
)

var (
	toPlane = [4]float64{
		n1/2 - n2*2/3 + n3*5/16 + n4*41/180,
		n2*13/48 - n3*3/5 + n4*557/1440,
		n3*61/240 - n4*103/140,
		n4 * 49561 / 161280,
	}
	fromPlane = [4]float64{
		n1/2 - n2*2/3 + n3*37/96 - n4/360,
		n2/48 + n3/15 - n4*437/1440,
		n3*17/480 - n4*37/840,
		n4 * 4397 / 161280,
	}
	cgcsEcc = math.Sqrt(cgcsEcc2)
)

// GaussKruger projects p into a zone, to less than a micrometre within ten
// degrees of the zone's middle.
func (p CGCS2000) GaussKruger(z Zone) GaussKruger {
	const rad = math.Pi / 180
	sinLon, cosLon := math.Sincos((p[0] - z.Meridian()) * rad)
	t := conformal(math.Tan(p[1] * rad))
	xi, eta := math.Atan2(t, cosLon), math.Asinh(sinLon/math.Hypot(t, cosLon))
	dXi, dEta := series(&toPlane, xi, eta)
	return GaussKruger{East: rectifying*(eta+dEta) + z.falseEasting(), North: rectifying * (xi + dXi), Zone: z}
}

// CGCS2000 undoes the projection. It checks nothing: see Raw.WGS84.
func (g GaussKruger) CGCS2000() CGCS2000 {
	xi, eta := g.North/rectifying, (g.East-g.Zone.falseEasting())/rectifying
	dXi, dEta := series(&fromPlane, xi, eta)
	sinXi, cosXi := math.Sincos(xi - dXi)
	sinhEta := math.Sinh(eta - dEta)
	lat := math.Atan(unconformal(sinXi / math.Hypot(sinhEta, cosXi)))
	lon := math.Atan2(sinhEta, cosXi)
	return CGCS2000{g.Zone.Meridian() + lon*180/math.Pi, lat * 180 / math.Pi}
}

// series sums c[j] sin 2(j+1)(xi + i eta), j from 0, by Clenshaw's recurrence: the
// real and the imaginary part.
func series(c *[4]float64, xi, eta float64) (re, im float64) {
	sin, cos := math.Sincos(2 * xi)
	sinh, cosh := math.Sinh(2*eta), math.Cosh(2*eta)
	twice := 2 * complex(cos*cosh, -sin*sinh)
	var b, next complex128
	for j := len(c) - 1; j >= 0; j-- {
		b, next = complex(c[j], 0)+twice*b-next, b
	}
	sum := b * complex(sin*cosh, cos*sinh)
	return real(sum), imag(sum)
}

// conformal turns the tangent of a latitude into that of its conformal latitude.
func conformal(tan float64) float64 {
	sec := math.Hypot(1, tan)
	s := math.Sinh(cgcsEcc * math.Atanh(cgcsEcc*tan/sec))
	return tan*math.Hypot(1, s) - s*sec
}

// unconformal undoes conformal by Newton's method (Karney, equations 19 to 21);
// three rounds reach the last bit.
func unconformal(want float64) float64 {
	tan := want
	for range 5 {
		got := conformal(tan)
		step := (want - got) / math.Hypot(1, got) * (1 + (1-cgcsEcc2)*tan*tan) / ((1 - cgcsEcc2) * math.Hypot(1, tan))
		tan += step
		if math.Abs(step) < 1e-15*max(1, math.Abs(tan)) {
			break
		}
	}
	return tan
}
