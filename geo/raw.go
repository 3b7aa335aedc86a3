// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package geo

import (
	"fmt"
	"math"
	"strconv"

	"github.com/paulmach/orb"
)

// Raw is a place as it was given: a pair of numbers and what they are. It is
// kept beside the WGS-84 place made from it. Lon is the first number and Lat the
// second: longitude and latitude but for datums that say otherwise (see Datum).
type Raw struct {
	Lon, Lat float64
	Datum    Datum
}

// Slip is the likely reason why a pair is no place of its datum.
type Slip string

const (
	SlipNone      Slip = ""          // nothing likely
	SlipExchanged Slip = "exchanged" // the two numbers stand in the other order
	SlipMetres    Slip = "metres"    // metres where degrees are wanted
	SlipDegrees   Slip = "degrees"   // degrees where metres are wanted
	SlipPrefix    Slip = "prefix"    // another zone's prefix, or one too many, or none
	SlipFar       Slip = "far"       // a place far from where the datum is used
)

// PlaceError says why a pair of numbers is no place of its datum.
type PlaceError struct {
	Slip Slip
	Text string
}

func (e *PlaceError) Error() string { return e.Text }

func slip(s Slip, format string, args ...any) error {
	return &PlaceError{s, fmt.Sprintf(format, args...)}
}

// WGS84 converts r. Refused are numbers that are no place on earth, datums
// nobody named, shifted degrees and metres far from China, where they mean
// nothing, and an easting whose prefix is not the zone's. Nothing is guessed: a
// refusal may say what the numbers look like. The error is a *PlaceError unless
// the datum is unknown.
func (r Raw) WGS84() (WGS84, error) {
	switch r.Datum {
	case DatumWGS84, DatumCGCS2000:
		if !OnEarth(orb.Point{r.Lon, r.Lat}) {
			return WGS84{}, noDegrees(r.Lon, r.Lat)
		}
		return WGS84{r.Lon, r.Lat}, nil
	case DatumGCJ02, DatumBD09:
		if !OnEarth(orb.Point{r.Lon, r.Lat}) {
			return WGS84{}, noDegrees(r.Lon, r.Lat)
		}
		if !inUse(r.Lon, r.Lat) {
			return WGS84{}, slip(SlipFar, "longitude %v, latitude %v lies where nobody uses the datum %s", r.Lon, r.Lat, r.Datum)
		}
		if r.Datum == DatumGCJ02 {
			return GCJ02{r.Lon, r.Lat}.WGS84(), nil
		}
		return BD09{r.Lon, r.Lat}.GCJ02().WGS84(), nil
	}
	s, ok := byDatum[r.Datum]
	if !ok {
		_, err := ParseDatum(string(r.Datum))
		return WGS84{}, err
	}
	east, north := r.Lon, r.Lat
	if s.northFirst {
		east, north = north, east
	}
	if s.zone.Width == 0 {
		if !OnEarth(orb.Point{east, north}) {
			return WGS84{}, noDegrees(east, north)
		}
		return CGCS2000{east, north}.WGS84(), nil
	}
	if err := r.Datum.checkMetres(s, east, north); err != nil {
		return WGS84{}, err
	}
	p := GaussKruger{east, north, s.zone}.CGCS2000()
	// A county astride two zones keeps to one of them; further than a whole zone
	// from the middle nobody measures.
	if !inUse(p[0], p[1]) || math.Abs(p[0]-s.zone.Meridian()) > float64(s.zone.Width) {
		return WGS84{}, slip(SlipFar, "easting %s, northing %s lies too far from the zone of %s", metres(east), metres(north), r.Datum)
	}
	return p.WGS84(), nil
}

// metres writes a length as people do: 36454730.0153, not 3.64547300153e+07.
func metres(v float64) string {
	if math.Abs(v) < 1e12 {
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return fmt.Sprint(v)
}

// inUse says whether Chinese datums are used in those parts.
func inUse(lon, lat float64) bool { return lon >= 65 && lon <= 145 && lat >= 0 && lat <= 60 }

// noDegrees is the refusal of a pair that is no place on earth.
func noDegrees(lon, lat float64) error {
	text := fmt.Sprintf("longitude %v, latitude %v is no place on earth", lon, lat)
	a, b := math.Abs(lon), math.Abs(lat)
	switch {
	case OnEarth(orb.Point{lat, lon}):
		return &PlaceError{SlipExchanged, text + "; longitude and latitude seem to be exchanged"}
	case min(a, b) >= 10_000 && max(a, b) < 1e8:
		return &PlaceError{SlipMetres, text + "; these look like metres: name their zone, such as EPSG:4545-en"}
	}
	return &PlaceError{SlipNone, text}
}

// maxNorthing is the northing of 60 degrees, and a little more.
const maxNorthing = 6_700_000

// easting says whether v may be an easting without its prefix.
func easting(v float64) bool { return v > 0 && v < 1e6 }

// northing says whether v may be one.
func northing(v float64) bool { return v >= 0 && v <= maxNorthing }

// checkMetres looks whether a pair can be metres of a zone at all.
func (d Datum) checkMetres(s surveyed, east, north float64) error {
	z := s.zone
	bare := func(v float64) float64 { return v - z.falseEasting() + 500_000 }
	text := fmt.Sprintf("easting %s, northing %s is no place of %s", metres(east), metres(north), d)
	switch {
	case easting(bare(east)) && northing(north) && math.Abs(north) > 360:
		return nil
	case math.Abs(east) <= 360 && math.Abs(north) <= 360:
		return slip(SlipDegrees, "%v, %v look like degrees; %s is in metres", east, north, d)
	case easting(bare(north)) && northing(east):
		return slip(SlipExchanged, "%s; the two numbers seem to be exchanged: in that order it would be %s", text, ZoneDatum(z, !s.northFirst))
	case !northing(north) || !(east > 0 && east < 1e8):
		return slip(SlipNone, "%s", text)
	}
	return d.prefixFault(s, east, text)
}

// prefixFault says what is wrong with the prefix of an easting.
func (d Datum) prefixFault(s surveyed, east float64, text string) error {
	z, prefix := s.zone, int(east/1e6)
	other := func(z Zone) string {
		if name := ZoneDatum(z, s.northFirst); name != "" {
			return fmt.Sprintf(": it would be one of %s", name)
		}
		return ""
	}
	switch {
	case z.Prefixed && prefix == 0:
		return slip(SlipPrefix, "%s: the easting has no zone prefix, %d is wanted%s", text, z.Number, other(Zone{Width: z.Width, Number: z.Number}))
	case z.Prefixed:
		return slip(SlipPrefix, "%s: the easting's prefix is %d, not %d%s", text, prefix, z.Number, other(prefixedZone(prefix)))
	}
	return slip(SlipPrefix, "%s: the easting has a zone prefix, %d%s", text, prefix, other(prefixedZone(prefix)))
}

// prefixedZone is the zone a prefix stands for: 13 to 23 are of 6 degrees, 25
// to 45 of 3.
func prefixedZone(prefix int) Zone {
	if prefix <= 23 {
		return Zone{Width: 6, Number: prefix, Prefixed: true}
	}
	return Zone{Width: 3, Number: prefix, Prefixed: true}
}

// Readings lists what else the same two numbers may be: the other order, other
// datums, other zones. Each is a place; which is meant nobody can know from the
// numbers, so this is for hints alone.
func (r Raw) Readings() []Raw {
	var out []Raw
	try := func(a, b float64, d Datum) {
		o := Raw{a, b, d}
		if _, err := o.WGS84(); err == nil && d != "" && o != r {
			out = append(out, o)
		}
	}
	z, metres := r.Datum.Zone()
	try(r.Lat, r.Lon, r.Datum)
	if !metres {
		lon, lat := r.Lon, r.Lat
		if r.Datum.NorthFirst() {
			lon, lat = lat, lon
		}
		for _, d := range []Datum{DatumGCJ02, DatumWGS84, DatumBD09} {
			if d != DatumWGS84 || r.Datum == DatumGCJ02 || r.Datum == DatumBD09 {
				try(lon, lat, d)
			}
		}
		return out
	}
	if z.Prefixed {
		return out // the prefix leaves no doubt
	}
	for n := 25; n <= 45; n++ { // the zones of 6 degrees have meridians of these
		if o := (Zone{Width: 3, Number: n}); o.Meridian() != z.Meridian() {
			try(r.Lon, r.Lat, ZoneDatum(o, r.Datum.NorthFirst()))
		}
	}
	return out
}
