// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package geo_test

import (
	"errors"
	"fmt"
	"math"
	"math/cmplx"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"onemap/geo"
)

// integrated projects a place by another way than the product's: it walks from
// the equator up the meridian and then across in the complex plane, adding up
// the radius of the parallel (classic Runge-Kutta; no series).
//
//	d(north + i east) = r(lat) dq,  d(lat) = r(lat) / m(lat) dq,  q: Mercator's ordinate
func integrated(lon, lat, meridian float64) (east, north float64) {
	const a, f, steps = 6378137.0, 1 / 298.257222101, 600
	e2 := f * (2 - f)
	radii := func(phi complex128) (parallel, m complex128) {
		s := cmplx.Sin(phi)
		w := cmplx.Sqrt(1 - complex(e2, 0)*s*s)
		return a * cmplx.Cos(phi) / w, complex(a*(1-e2), 0) / (w * w * w)
	}
	phi, z := complex(0, 0), complex(0, 0)
	walk := func(whole complex128) {
		h := whole / steps
		for range steps {
			var dz, dphi [4]complex128
			at := phi
			for k, back := range [4]complex128{0, 0.5, 0.5, 1} {
				if k > 0 {
					at = phi + back*h*dphi[k-1]
				}
				r, m := radii(at)
				dz[k], dphi[k] = r, r/m
			}
			z += h / 6 * (dz[0] + 2*dz[1] + 2*dz[2] + dz[3])
			phi += h / 6 * (dphi[0] + 2*dphi[1] + 2*dphi[2] + dphi[3])
		}
	}
	e, sin := math.Sqrt(e2), math.Sin(lat*math.Pi/180)
	walk(complex(math.Atanh(sin)-e*math.Atanh(e*sin), 0))
	walk(complex(0, (lon-meridian)*math.Pi/180))
	return imag(z) + 500_000, real(z)
}

func TestGaussKruegerGivesThePublishedPairs(t *testing.T) {
	p := geo.CGCS2000{107.4833, 38.1833}
	for _, c := range []struct {
		datum       string
		east, north float64
	}{
		{"EPSG:4545-en", 454730.0153, 4227970.1791},
		{"EPSG:4524-en", 36454730.0153, 4227970.1791},
		{"EPSG:4523-en", 35717586.5479, 4230759.9161},
	} {
		d, err := geo.ParseDatum(c.datum)
		if err != nil {
			t.Fatal(err)
		}
		z, _ := d.Zone()
		g := p.GaussKruger(z)
		if math.Abs(g.East-c.east) > 1e-4 || math.Abs(g.North-c.north) > 1e-4 {
			t.Errorf("%s: east %.4f north %.4f, want %.4f %.4f", c.datum, g.East, g.North, c.east, c.north)
		}
		for _, raw := range []geo.Raw{{Lon: c.east, Lat: c.north, Datum: d}, {Lon: c.north, Lat: c.east, Datum: geo.ZoneDatum(z, true)}} {
			w, err := raw.WGS84()
			if err != nil || geo.Distance(w, p.WGS84()) > 1e-3 {
				t.Errorf("%+v: %v, %v", raw, w, err)
			}
		}
	}
}

// TestEveryZoneAgreesWithAnIntegration: each zone, from the equator side of the
// country to its north, out to its edges and a whole zone beyond.
func TestEveryZoneAgreesWithAnIntegration(t *testing.T) {
	for _, width := range []int{3, 6} {
		first, last := 25, 45
		if width == 6 {
			first, last = 13, 23
		}
		for number := first; number <= last; number++ {
			z := geo.Zone{Width: width, Number: number, Prefixed: true}
			for _, off := range []float64{0, 0.25, 0.5, -0.5, 1} { // of the width
				for _, lat := range []float64{3, 18, 38.1833, 54} {
					if number%4 != 0 && lat != 18 {
						continue // a zone is like its neighbours but for the meridian
					}
					checkPlace(t, geo.CGCS2000{z.Meridian() + off*float64(width), lat}, z)
				}
			}
		}
	}
}

func checkPlace(t interface{ Errorf(string, ...any) }, p geo.CGCS2000, z geo.Zone) {
	east, north := integrated(p[0], p[1], z.Meridian())
	if z.Prefixed {
		east += float64(z.Number) * 1e6
	}
	g := p.GaussKruger(z)
	if d := math.Hypot(g.East-east, g.North-north); !(d < 1e-4) {
		t.Errorf("%v in %+v: east %.5f north %.5f, by integration %.5f %.5f", p, z, g.East, g.North, east, north)
	}
	if d := geo.Distance(g.CGCS2000().WGS84(), p.WGS84()); !(d < 1e-4) {
		t.Errorf("%v in %+v: back it is %.6f m away", p, z, d)
	}
}

func TestGaussKruegerAndBackToAMillimetre(t *testing.T) {
	n := 0
	rapid.Check(t, func(t *rapid.T) {
		z := geo.Zone{Width: 3, Number: rapid.IntRange(25, 45).Draw(t, "zone"), Prefixed: rapid.Bool().Draw(t, "prefixed")}
		if rapid.Bool().Draw(t, "six") {
			z.Width, z.Number = 6, 13+(z.Number-25)/2
		}
		off := float64(z.Width) / 2 * rapid.Float64Range(-1, 1).Draw(t, "off")
		p := geo.CGCS2000{z.Meridian() + off, rapid.Float64Range(3, 54).Draw(t, "lat")}
		g := p.GaussKruger(z)
		northFirst := rapid.Bool().Draw(t, "north first")
		raw := geo.Raw{Lon: g.East, Lat: g.North, Datum: geo.ZoneDatum(z, northFirst)}
		if northFirst {
			raw.Lon, raw.Lat = raw.Lat, raw.Lon
		}
		w, err := raw.WGS84()
		if err != nil || !(geo.Distance(w, p.WGS84()) < 1e-3) {
			t.Fatalf("%v as %+v comes back as %v, %v", p, raw, w, err)
		}
		if n++; n%20 == 0 {
			checkPlace(t, p, z)
		}
	})
}

func TestMetresAreRefusedWithWhatTheyLookLike(t *testing.T) {
	for _, c := range []struct {
		name string
		a, b float64
		d    geo.Datum
		slip geo.Slip
		says string
	}{
		{"another zone's prefix", 35717586.5479, 4230759.9161, "EPSG:4524-en", geo.SlipPrefix, "prefix is 35, not 36: it would be one of EPSG:4523-en"},
		{"a prefix of the other width", 19454730, 4227970, "EPSG:4524-en", geo.SlipPrefix, "EPSG:4497-en"},
		{"a prefix too many", 36454730.0153, 4227970, "EPSG:4545-en", geo.SlipPrefix, "has a zone prefix, 36: it would be one of EPSG:4524-en"},
		{"no prefix", 454730, 4227970, "EPSG:4524-en", geo.SlipPrefix, "no zone prefix, 36 is wanted: it would be one of EPSG:4545-en"},
		{"a prefix nobody has", 77454730, 4227970, "EPSG:4545-en", geo.SlipPrefix, "prefix, 77"},
		{"exchanged", 4227970, 454730, "EPSG:4545-en", geo.SlipExchanged, "EPSG:4545-ne"},
		{"exchanged with prefix", 4227970, 36454730, "EPSG:4524-en", geo.SlipExchanged, "EPSG:4524-ne"},
		{"exchanged the other way", 36454730, 4227970, "EPSG:4524-ne", geo.SlipExchanged, "EPSG:4524-en"},
		{"degrees as metres", 107.4833, 38.1833, "EPSG:4545-en", geo.SlipDegrees, "look like degrees"},
		{"metres as degrees", 454730, 4227970, geo.DatumCGCS2000, geo.SlipMetres, "look like metres"},
		{"metres as shifted degrees", 36454730, 4227970, geo.DatumGCJ02, geo.SlipMetres, "look like metres"},
		{"degrees exchanged", 38.1833, 107.4833, geo.DatumWGS84, geo.SlipExchanged, "exchanged"},
		{"degrees exchanged by name", 107.4833, 38.1833, "EPSG:4490-ne", geo.SlipExchanged, "exchanged"},
		{"not a number", math.NaN(), 4227970, "EPSG:4545-en", geo.SlipNone, "no place of"},
		{"infinite", 454730, math.Inf(1), "EPSG:4545-en", geo.SlipNone, "no place of"},
		{"beyond the pole", 454730, 12e6, "EPSG:4545-en", geo.SlipNone, "no place of"},
		{"huge", 1e300, 4227970, "EPSG:4545-en", geo.SlipNone, "1e+300"},
		{"south", 454730, -4227970, "EPSG:4545-en", geo.SlipNone, "no place of"},
		{"two zones off", 990000, 5900000, "EPSG:4545-en", geo.SlipFar, "too far from the zone"},
	} {
		_, err := geo.Raw{Lon: c.a, Lat: c.b, Datum: c.d}.WGS84()
		var pe *geo.PlaceError
		if !errors.As(err, &pe) || pe.Slip != c.slip || !strings.Contains(pe.Text, c.says) {
			t.Errorf("%s: %+v, want %s and %q", c.name, err, c.slip, c.says)
		}
	}
	p, err := geo.Raw{Lon: 38.1833, Lat: 107.4833, Datum: "EPSG:4490-ne"}.WGS84()
	if err != nil || p != (geo.WGS84{107.4833, 38.1833}) {
		t.Errorf("latitude first: %v, %v", p, err)
	}
}

func TestEveryDatumHasItsName(t *testing.T) {
	pattern := regexp.MustCompile(geo.DatumPattern)
	for code := 4400; code < 4700; code++ {
		name := fmt.Sprintf("EPSG:%d", code)
		ours := code >= 4490 && code <= 4554
		_, err := geo.ParseDatum(name)
		if err == nil || strings.Contains(err.Error(), "which number comes first") != ours {
			t.Errorf("%s alone: %v", name, err)
		}
		for _, order := range []string{"-en", "-ne"} {
			d, err := geo.ParseDatum(name + order)
			if (err == nil) != ours || pattern.MatchString(name+order) != ours {
				t.Errorf("%s: %v; the pattern says %v", name+order, err, pattern.MatchString(name+order))
			}
			if ours && d.NorthFirst() != (order == "-ne") {
				t.Errorf("%s: north first %v", d, d.NorthFirst())
			}
		}
	}
	for d, want := range map[geo.Datum]geo.Zone{ // ends of the ranges in the EPSG register
		"EPSG:4491-en": {Width: 6, Number: 13, Prefixed: true}, "EPSG:4501-en": {Width: 6, Number: 23, Prefixed: true},
		"EPSG:4502-en": {Width: 6, Number: 13}, "EPSG:4512-en": {Width: 6, Number: 23},
		"EPSG:4513-en": {Width: 3, Number: 25, Prefixed: true}, "EPSG:4533-en": {Width: 3, Number: 45, Prefixed: true},
		"EPSG:4534-en": {Width: 3, Number: 25}, "EPSG:4554-en": {Width: 3, Number: 45},
	} {
		if z, ok := d.Zone(); !ok || z != want {
			t.Errorf("%s is %+v, want %+v", d, z, want)
		}
	}
	for _, d := range geo.Datums {
		if !pattern.MatchString(string(d)) {
			t.Errorf("the pattern refuses %s", d)
		}
	}
	if m := (geo.Zone{Width: 6, Number: 13}).Meridian(); m != 75 {
		t.Errorf("the first zone of 6 degrees lies at %v", m)
	}
}

func TestReadingsNameWhatElseAPairMayBe(t *testing.T) {
	home := geo.WGS84{107.4833, 38.1833}
	for _, c := range []struct {
		raw  geo.Raw
		want geo.Datum // among the readings, this one lies at home
	}{
		{geo.Raw{Lon: 107.4833, Lat: 38.1833, Datum: geo.DatumGCJ02}, geo.DatumWGS84},
		{geo.Raw{Lon: 107.4884925, Lat: 38.1838368, Datum: geo.DatumWGS84}, geo.DatumGCJ02},
		{geo.Raw{Lon: 454730.0153, Lat: 4227970.1791, Datum: "EPSG:4544-en"}, "EPSG:4545-en"},
		{geo.Raw{Lon: 4227970.1791, Lat: 454730.0153, Datum: "EPSG:4502-ne"}, "EPSG:4545-ne"},
	} {
		found := 0
		for _, o := range c.raw.Readings() {
			p, err := o.WGS84()
			if err != nil || o == c.raw {
				t.Errorf("%+v may be %+v: %v", c.raw, o, err)
			}
			if geo.Distance(p, home) < 1 {
				found++
				if o.Datum != c.want {
					t.Errorf("%+v may be %+v, want %s", c.raw, o, c.want)
				}
			}
		}
		if found != 1 {
			t.Errorf("%+v: %d readings lie at home", c.raw, found)
		}
	}
}

func BenchmarkRaw(b *testing.B) {
	for _, raw := range []geo.Raw{
		{Lon: 107.4833, Lat: 38.1833, Datum: geo.DatumWGS84},
		{Lon: 107.4884925, Lat: 38.1838368, Datum: geo.DatumGCJ02},
		{Lon: 454730.0153, Lat: 4227970.1791, Datum: "EPSG:4545-en"},
	} {
		b.Run(string(raw.Datum), func(b *testing.B) {
			for b.Loop() {
				if _, err := raw.WGS84(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
