// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package geo_test

import (
	"encoding/csv"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"pgregory.net/rapid"

	"onemap/geo"
)

// data is the folder of real public test data beside the repository.
const data = "../../shared/data"

func rows(t *testing.T, name string) [][]string {
	t.Helper()
	f, err := os.Open(filepath.Join(data, name))
	if err != nil {
		t.Skipf("SKIPPED, real data is missing: %v", err)
	}
	defer f.Close()
	all, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return all[1:]
}

func number(t *testing.T, s string) float64 {
	t.Helper()
	v, err := strconv.ParseFloat(s, 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func near(a, b [2]float64, tolerance float64) bool {
	return math.Abs(a[0]-b[0]) <= tolerance && math.Abs(a[1]-b[1]) <= tolerance
}

func TestConversionsGiveThePublishedPairs(t *testing.T) {
	for _, c := range []struct {
		name      string
		wgs       geo.WGS84
		gcj       geo.GCJ02
		bd        geo.BD09
		tolerance float64
	}{
		{"Shanghai", geo.WGS84{121.5272106, 31.1774276}, geo.GCJ02{121.531541859215, 31.17530398364597}, geo.BD09{}, 1e-9},
		{"Shenzhen", geo.WGS84{113.912316, 22.543847}, geo.GCJ02{113.9171764808363, 22.540796131694766}, geo.BD09{}, 1e-9},
		{"Beijing", geo.WGS84{116.377817, 39.911954}, geo.GCJ02{116.38404722455657, 39.91334545536069}, geo.BD09{}, 1e-9},
		{"Baotou", geo.WGS84{109.8346293, 40.6562212}, geo.GCJ02{109.8403529, 40.6573834}, geo.BD09{109.8468985, 40.6632069}, 1e-5},
		{"Yulin", geo.WGS84{109.7290105, 38.2848747}, geo.GCJ02{109.7345945, 38.2853933}, geo.BD09{}, 1e-5},
		{"Shiyan", geo.WGS84{110.7929391, 32.6315791}, geo.GCJ02{110.798269, 32.6294024}, geo.BD09{}, 1e-5},
		{"Otog Front", geo.WGS84{107.4833, 38.1833}, geo.GCJ02{107.4884925, 38.1838368}, geo.BD09{107.4950195, 38.1898177}, 1e-6},
	} {
		if got := c.wgs.GCJ02(); !near(got, c.gcj, c.tolerance) {
			t.Errorf("%s: GCJ-02 %v, want %v", c.name, got, c.gcj)
		}
		if got := c.wgs.GCJ02().BD09(); c.bd != (geo.BD09{}) && !near(got, c.bd, c.tolerance) {
			t.Errorf("%s: BD-09 %v, want %v", c.name, got, c.bd)
		}
	}
}

func TestConversionsGiveThePublishedCities(t *testing.T) {
	for _, r := range rows(t, "coords/gcoord_cn_cities.csv") {
		wgs := geo.WGS84{number(t, r[4]), number(t, r[5])}
		gcj := geo.GCJ02{number(t, r[6]), number(t, r[7])}
		bd := geo.BD09{number(t, r[8]), number(t, r[9])}
		if d := geo.Distance(geo.WGS84(wgs.GCJ02()), geo.WGS84(gcj)); d > 1 {
			t.Errorf("%s: WGS-84 to GCJ-02 is %.2f m off", r[3], d)
		}
		if d := geo.Distance(geo.WGS84(gcj.BD09()), geo.WGS84(bd)); d > 0.05 {
			t.Errorf("%s: GCJ-02 to BD-09 is %.3f m off", r[3], d)
		}
		if d := geo.Distance(geo.WGS84(bd.GCJ02()), geo.WGS84(gcj)); d > 0.3 {
			t.Errorf("%s: BD-09 to GCJ-02 is %.3f m off", r[3], d)
		}
		if d := geo.Distance(bd.GCJ02().WGS84(), wgs); d > 1 {
			t.Errorf("%s: BD-09 to WGS-84 is %.2f m off", r[3], d)
		}
	}
	for _, r := range rows(t, "coords/eviltransform_vectors.csv") {
		wgs := geo.WGS84{number(t, r[2]), number(t, r[1])}
		gcj := geo.GCJ02{number(t, r[4]), number(t, r[3])}
		if !near(wgs.GCJ02(), gcj, 1e-9) {
			t.Errorf("%s: GCJ-02 %v, want %v", r[0], wgs.GCJ02(), gcj)
		}
	}
}

func TestInversesReturnToAMillimetre(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := geo.WGS84{rapid.Float64Range(74, 134).Draw(t, "lon"), rapid.Float64Range(18, 53).Draw(t, "lat")}
		if d := geo.Distance(p.GCJ02().WGS84(), p); d >= 1e-3 {
			t.Fatalf("GCJ-02 and back moves %v by %.6f m", p, d)
		}
		g := geo.GCJ02(p)
		if d := geo.Distance(geo.WGS84(g.BD09().GCJ02()), p); d >= 1e-3 {
			t.Fatalf("BD-09 and back moves %v by %.6f m", p, d)
		}
		if d := geo.Distance(geo.WGS84(p.GCJ02()), p); d < 1 || d > 1000 {
			t.Fatalf("the shift at %v is %.1f m", p, d)
		}
	})
}

func TestRawRefusesWhatIsNoPlace(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	for _, c := range []struct {
		raw geo.Raw
		ok  bool
	}{
		{geo.Raw{Lon: 107.4833, Lat: 38.1833, Datum: geo.DatumWGS84}, true},
		{geo.Raw{Lon: 107.4833, Lat: 38.1833, Datum: geo.DatumCGCS2000}, true},
		{geo.Raw{Lon: 107.4833, Lat: 38.1833, Datum: geo.DatumGCJ02}, true},
		{geo.Raw{Lon: 107.4833, Lat: 38.1833, Datum: geo.DatumBD09}, true},
		{geo.Raw{Lon: 107.4833, Lat: 38.1833}, false},
		{geo.Raw{Lon: 107.4833, Lat: 38.1833, Datum: "WGS84"}, false},
		{geo.Raw{Lon: 38.1833, Lat: 107.4833, Datum: geo.DatumWGS84}, false},
		{geo.Raw{Lon: nan, Lat: 38, Datum: geo.DatumWGS84}, false},
		{geo.Raw{Lon: 107, Lat: nan, Datum: geo.DatumWGS84}, false},
		{geo.Raw{Lon: inf, Lat: 38, Datum: geo.DatumWGS84}, false},
		{geo.Raw{Lon: 1e300, Lat: 38, Datum: geo.DatumWGS84}, false},
		{geo.Raw{Lon: -95, Lat: 29, Datum: geo.DatumGCJ02}, false},
		{geo.Raw{Lon: 107, Lat: 90, Datum: geo.DatumBD09}, false},
	} {
		p, err := c.raw.WGS84()
		if (err == nil) != c.ok {
			t.Errorf("%+v: %v, %v", c.raw, p, err)
		}
	}
}

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b geo.WGS84
		want float64
	}{
		{geo.WGS84{0, 0}, geo.WGS84{0, 0}, 0},
		{geo.WGS84{0, 0}, geo.WGS84{180, 0}, math.Pi * geo.EarthRadius},
		{geo.WGS84{179.5, 0}, geo.WGS84{-179.5, 0}, math.Pi / 180 * geo.EarthRadius},
		{geo.WGS84{107, 0}, geo.WGS84{107, 90}, math.Pi / 2 * geo.EarthRadius},
	} {
		if got := geo.Distance(c.a, c.b); math.Abs(got-c.want) > 1e-6 {
			t.Errorf("%v to %v: %v m, want %v", c.a, c.b, got, c.want)
		}
	}
}

func FuzzRaw(f *testing.F) {
	f.Add(107.4833, 38.1833, "gcj02")
	f.Add(math.Inf(-1), math.NaN(), "wgs84")
	f.Add(65.0, 0.0, "bd09")
	f.Add(36454730.0153, 4227970.1791, "EPSG:4524-en")
	f.Add(4227970.0, 999_999.0, "EPSG:4545-ne")
	f.Add(-90.0, 180.0, "EPSG:4490-ne")
	f.Fuzz(func(t *testing.T, lon, lat float64, datum string) {
		p, err := geo.Raw{Lon: lon, Lat: lat, Datum: geo.Datum(datum)}.WGS84()
		if err == nil && !geo.OnEarth(p.Orb()) {
			t.Errorf("accepted as %v", p)
		}
	})
}
