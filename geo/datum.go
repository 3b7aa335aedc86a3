// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package geo

import (
	"fmt"
	"strings"
)

// Datum names what the two numbers of a place are: degrees of which datum, or
// metres of which zone, and which of them comes first.
//
// Beside the four plain names, longitude first, stand the codes of the EPSG
// register for CGCS2000, each with the order of its axes: "-en" is easting (or
// longitude) first, as GIS files hold it, "-ne" is northing (or latitude) first,
// as the register and surveyors' tables have it, whose X is north.
//
//	EPSG:4490            degrees
//	EPSG:4491 .. 4501    Gauss-Kruger, 6 degrees, zones 13 to 23, prefixed
//	EPSG:4502 .. 4512    the same by meridian, 75E to 135E, without prefix
//	EPSG:4513 .. 4533    Gauss-Kruger, 3 degrees, zones 25 to 45, prefixed
//	EPSG:4534 .. 4554    the same by meridian, 75E to 135E, without prefix
//
// A code alone leaves the order open and is refused.
type Datum string

const (
	DatumWGS84    Datum = "wgs84"
	DatumGCJ02    Datum = "gcj02"
	DatumBD09     Datum = "bd09"
	DatumCGCS2000 Datum = "cgcs2000"
)

// Datums lists the plain names.
var Datums = []Datum{DatumWGS84, DatumGCJ02, DatumBD09, DatumCGCS2000}

// DatumNames says in words what ParseDatum takes, for messages.
const DatumNames = "wgs84, gcj02, bd09, cgcs2000, or a code of CGCS2000 with its order: EPSG:4545-en (easting first), EPSG:4545-ne (northing first)"

// DatumPattern is a regular expression that every name of a datum matches.
const DatumPattern = `^(wgs84|gcj02|bd09|cgcs2000|EPSG:4(490|49[1-9]|5[0-4][0-9]|55[0-4])-(en|ne))$`

// surveyed is what a code of CGCS2000 and an order mean.
type surveyed struct {
	zone       Zone // of Width 0: degrees
	northFirst bool
}

// codes are the EPSG codes of the kinds of zones, and the first one's number.
var codes = []struct {
	first, count int
	zone         Zone
}{
	{4490, 1, Zone{}},
	{4491, 11, Zone{Width: 6, Number: 13, Prefixed: true}},
	{4502, 11, Zone{Width: 6, Number: 13}},
	{4513, 21, Zone{Width: 3, Number: 25, Prefixed: true}},
	{4534, 21, Zone{Width: 3, Number: 25}},
}

// bySurveyed and byDatum hold every code in both orders.
var bySurveyed, byDatum = func() (map[surveyed]Datum, map[Datum]surveyed) {
	names, meanings := map[surveyed]Datum{}, map[Datum]surveyed{}
	for _, c := range codes {
		for i := range c.count {
			for order, northFirst := range map[string]bool{"en": false, "ne": true} {
				s := surveyed{c.zone, northFirst}
				s.zone.Number += i
				d := Datum(fmt.Sprintf("EPSG:%d-%s", c.first+i, order))
				names[s], meanings[d] = d, s
			}
		}
	}
	return names, meanings
}()

// ParseDatum returns the datum spelled s. There is no default: a place without
// a datum is refused.
func ParseDatum(s string) (Datum, error) {
	for _, d := range Datums {
		if Datum(s) == d {
			return d, nil
		}
	}
	if _, ok := byDatum[Datum(s)]; ok {
		return Datum(s), nil
	}
	if _, ok := byDatum[Datum(s+"-en")]; ok {
		return "", fmt.Errorf("%s does not say which number comes first: say %s-en (east, north) or %s-ne (north, east)", s, s, s)
	}
	if len(s) > 40 {
		s = strings.ToValidUTF8(s[:40], "") + "..."
	}
	return "", fmt.Errorf("unknown datum %q: say one of %s", s, DatumNames)
}

// Zone is the zone a datum's metres are in; ok is false for degrees.
func (d Datum) Zone() (z Zone, ok bool) {
	s := byDatum[d]
	return s.zone, s.zone.Width > 0
}

// NorthFirst says that the first number is the northing or the latitude.
func (d Datum) NorthFirst() bool { return byDatum[d].northFirst }

// ZoneDatum names a zone and the order of its axes; "" when there is no such
// zone.
func ZoneDatum(z Zone, northFirst bool) Datum { return bySurveyed[surveyed{z, northFirst}] }
