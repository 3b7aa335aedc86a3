// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// Package geo gives places a datum in their type, longitude first, and converts
// between the datums in use in China. Everything inside the product is WGS-84;
// other datums exist at the doors only.
package geo

import (
	"fmt"
	"math"

	"github.com/paulmach/orb"
)

// WGS84 is a place in WGS-84 degrees, longitude first. CGCS2000 degrees are
// taken as equal (the difference is decimetres at most).
type WGS84 orb.Point

// GCJ02 is a place in the shifted degrees of Chinese web maps, longitude first.
type GCJ02 orb.Point

// BD09 is a place in Baidu's degrees, longitude first.
type BD09 orb.Point

// Lon is the longitude in degrees east.
func (p WGS84) Lon() float64 { return p[0] }

// Lat is the latitude in degrees north.
func (p WGS84) Lat() float64 { return p[1] }

// Orb returns the place as an orb.Point for geometry work.
func (p WGS84) Orb() orb.Point { return orb.Point(p) }

// Datum names the datum a pair of degrees is given in.
type Datum string

const (
	DatumWGS84    Datum = "wgs84"
	DatumGCJ02    Datum = "gcj02"
	DatumBD09     Datum = "bd09"
	DatumCGCS2000 Datum = "cgcs2000"
)

// Datums lists what ParseDatum takes.
var Datums = []Datum{DatumWGS84, DatumGCJ02, DatumBD09, DatumCGCS2000}

// ParseDatum returns the datum spelled s. There is no default: a place without
// a datum is refused.
func ParseDatum(s string) (Datum, error) {
	for _, d := range Datums {
		if Datum(s) == d {
			return d, nil
		}
	}
	return "", fmt.Errorf("unknown datum %q: say one of wgs84, gcj02, bd09, cgcs2000", s)
}

// Raw is a place as it was given: degrees and the datum they are in. It is kept
// beside the WGS-84 place made from it.
type Raw struct {
	Lon, Lat float64
	Datum    Datum
}

// WGS84 converts r. Refused are numbers that are no place on earth, datums
// nobody named, and shifted degrees far from China, where they mean nothing.
func (r Raw) WGS84() (WGS84, error) {
	if math.IsNaN(r.Lon) || math.IsNaN(r.Lat) || math.Abs(r.Lon) > 180 || math.Abs(r.Lat) > 90 {
		return WGS84{}, fmt.Errorf("longitude %v, latitude %v is no place on earth", r.Lon, r.Lat)
	}
	switch r.Datum {
	case DatumWGS84, DatumCGCS2000:
		return WGS84{r.Lon, r.Lat}, nil
	case DatumGCJ02, DatumBD09:
		if r.Lon < 65 || r.Lon > 145 || r.Lat < 0 || r.Lat > 60 {
			return WGS84{}, fmt.Errorf("longitude %v, latitude %v lies where nobody uses the datum %s", r.Lon, r.Lat, r.Datum)
		}
		if r.Datum == DatumGCJ02 {
			return GCJ02{r.Lon, r.Lat}.WGS84(), nil
		}
		return BD09{r.Lon, r.Lat}.GCJ02().WGS84(), nil
	}
	_, err := ParseDatum(string(r.Datum))
	return WGS84{}, err
}
