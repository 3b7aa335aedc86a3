// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package file_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/paulmach/orb"

	"onemap/geo"
	"onemap/geo/grid"
	"onemap/intake/file"
)

const boundaryData = "../../../shared/data"

func boundaries(t *testing.T, name string, o file.BoundaryOptions) []grid.Draft {
	t.Helper()
	r, err := file.OpenBoundaries(filepath.Join(boundaryData, name))
	if err != nil {
		t.Skipf("SKIPPED, real data is missing: %v", err)
	}
	defer r.Close()
	ds, err := file.ReadBoundaries(r, o)
	if err != nil {
		t.Fatal(err)
	}
	return ds
}

func TestReadBoundariesOfThreeLevels(t *testing.T) {
	var all []grid.Draft
	for i, f := range []struct {
		name, code, parent string
		n                  int
	}{
		{"ilocos_norte_l1_province", "ADM2_PCODE", "", 1},
		{"ilocos_norte_l2_municities", "ADM3_PCODE", "ADM2_PCODE", 23},
		{"ilocos_norte_l3_barangays", "ADM4_PCODE", "ADM3_PCODE", 557},
	} {
		ds := boundaries(t, "nested/"+f.name+".geojson.gz", file.BoundaryOptions{
			Datum: geo.DatumWGS84, Level: i + 1, Code: f.code, Name: strings.Replace(f.code, "PCODE", "EN", 1), Parent: f.parent,
		})
		if len(ds) != f.n {
			t.Errorf("%s: %d grids, want %d", f.name, len(ds), f.n)
		}
		all = append(all, ds...)
	}
	for _, fault := range grid.Check(all) {
		t.Error(fault.Text)
	}
}

func TestReadOutlineConverts(t *testing.T) {
	r, err := file.OpenBoundaries(filepath.Join(boundaryData, "admin/county_gcj02/150623.geojson"))
	if err != nil {
		t.Skipf("SKIPPED, real data is missing: %v", err)
	}
	defer r.Close()
	mp, err := file.ReadOutline(r, geo.DatumGCJ02)
	if err != nil {
		t.Fatal(err)
	}
	first := geo.GCJ02{108.313837, 37.634595} // as the file has it
	if got := geo.WGS84(mp[0][0][0]); geo.Distance(got, first.WGS84()) > 0.001 || geo.Distance(got, geo.WGS84(first)) < 100 {
		t.Errorf("the outline begins at %v", got)
	}
	if err := geo.CheckPolygon(mp, geo.DefaultLimits); err != nil {
		t.Error(err)
	}
}

func TestBoundariesReadBackAsWritten(t *testing.T) {
	ds := []grid.Draft{
		{Code: "1", Level: 1, Name: "旗", Geom: orb.MultiPolygon{{{{107.1, 38.2}, {1.0 / 3, 5e-17}, {2, 3.0000000000000004}, {107.1, 38.2}}}}},
		{Code: "0001", Level: 2, Parent: "1", Name: `"镇"`, Geom: orb.MultiPolygon{{{{0, 0}, {1, 0}, {1, 1}, {0, 0}}}, {{{2, 2}, {3, 2}, {3, 3}, {2, 2}}}}},
	}
	var b bytes.Buffer
	if err := file.WriteBoundaries(&b, ds); err != nil {
		t.Fatal(err)
	}
	got, err := file.ReadBoundaries(&b, file.BoundaryOptions{Datum: geo.DatumWGS84})
	if err != nil || !reflect.DeepEqual(got, ds) {
		t.Errorf("%+v, %v", got, err)
	}
}

// with wraps a geometry into a collection of one feature.
func with(geometry string) string {
	return `{"type":"FeatureCollection","features":[{"type":"Feature","properties":{"code":"1","name":"旗","level":1},"geometry":` + geometry + `}]}`
}

const goodRing = `[[107,38],[108,38],[108,39],[107,38]]`

func TestReadBoundariesRefuses(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"nothing":         {"", "not GeoJSON"},
		"cut off":         {with(`{"type":"Polygon"`)[:90], "not GeoJSON"},
		"two documents":   {with(`{"type":"Polygon","coordinates":[`+goodRing+`]}`) + "{}", "more text"},
		"an array":        {"[1]", "not GeoJSON"},
		"no collection":   {`{"type":"Point","coordinates":[1,2]}`, `not "Point"`},
		"empty":           {`{"type":"FeatureCollection","features":[]}`, "no feature"},
		"no geometry":     {with("null"), "no geometry"},
		"a line":          {with(`{"type":"LineString","coordinates":[[1,2],[3,4]]}`), `not "LineString"`},
		"null coordinate": {with(`{"type":"Polygon","coordinates":[[[107,null],[108,38],[108,39],[107,38]]]}`), "a position is"},
		"one number":      {with(`{"type":"Polygon","coordinates":[[[107],[108,38],[108,39],[107,38]]]}`), "a position is"},
		"text":            {with(`{"type":"Polygon","coordinates":[[["107","38"]]]}`), "coordinates"},
		"swapped":         {with(`{"type":"Polygon","coordinates":[[[38,107],[38,108],[39,108],[38,107]]]}`), "no place on earth"},
		"huge":            {with(`{"type":"Polygon","coordinates":[[[1e300,38],[108,38],[108,39],[1e300,38]]]}`), "no place on earth"},
		"GBK":             {strings.Replace(with(`{"type":"Polygon","coordinates":[`+goodRing+`]}`), "旗", "\xc6\xec", 1), "not UTF-8 (perhaps GBK)"},
		"no ring":         {with(`{"type":"Polygon","coordinates":[]}`), "part 1 has no ring"},
		"no part":         {with(`{"type":"MultiPolygon","coordinates":[]}`), "has no part"},
		"NaN":             {with(`{"type":"Polygon","coordinates":[[[107,NaN],[108,38],[108,39],[107,38]]]}`), "not GeoJSON"},
		"antimeridian":    {with(`{"type":"Polygon","coordinates":[[[179,10],[-179,10],[-179,11],[179,11],[179,10]]]}`), "part 1, outline, point 2: the edge from 179.000000,10.000000 to -179.000000,10.000000"},
		"a bad hole":      {with(`{"type":"Polygon","coordinates":[` + goodRing + `,[[107.5,38.1],[107.6,95]]]}`), "part 1, hole 1, point 2: longitude 107.6, latitude 95"},
		"deep":            {strings.Repeat("[", 20000), "not GeoJSON"},
		"other system": {
			`{"type":"FeatureCollection","crs":{"type":"name","properties":{"name":"urn:ogc:def:crs:EPSG::32651"}},"features":[{"type":"Feature"}]}`,
			"EPSG::32651",
		},
		"no code": {
			`{"type":"FeatureCollection","features":[{"type":"Feature","properties":{"adcode":150623,"name":"旗"},"geometry":null}]}`,
			`no property "code" for the code; there are adcode, name`,
		},
		"no level": {strings.Replace(with(`{"type":"Polygon","coordinates":[`+goodRing+`]}`), `"level":1`, `"level":"x"`, 1), "level"},
	} {
		ds, err := file.ReadBoundaries(strings.NewReader(c.text), file.BoundaryOptions{Datum: geo.DatumWGS84})
		if err == nil {
			if faults := grid.Check(ds); len(faults) > 0 {
				err = errors.New(faults[0].Text)
			}
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	good := with(`{"type":"Polygon","coordinates":[` + goodRing + `]}`)
	if _, err := file.ReadBoundaries(strings.NewReader(good), file.BoundaryOptions{}); err == nil || !strings.Contains(err.Error(), "wgs84, gcj02, bd09, cgcs2000") {
		t.Errorf("without a datum: %v", err)
	}
	if ds, err := file.ReadBoundaries(strings.NewReader("\ufeff"+good), file.BoundaryOptions{Datum: geo.DatumCGCS2000}); err != nil || len(ds) != 1 {
		t.Errorf("good file: %v", err)
	}
}

func TestDottedAndNumericProperties(t *testing.T) {
	text := `{"type":"FeatureCollection","features":[{"type":"Feature","properties":{"adcode":150623001000,"name":"镇","parent":{"adcode":150623}},
		"geometry":{"type":"Polygon","coordinates":[` + goodRing + `]}}]}`
	ds, err := file.ReadBoundaries(strings.NewReader(text), file.BoundaryOptions{Datum: geo.DatumWGS84, Level: 2, Code: "adcode", Parent: "parent.adcode"})
	if err != nil || ds[0].Code != "150623001000" || ds[0].Parent != "150623" {
		t.Errorf("%+v, %v", ds, err)
	}
}

func TestCutOffGzipIsNamed(t *testing.T) {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := io.WriteString(z, with(`{"type":"Polygon","coordinates":[`+goodRing+`]}`)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "cut.geojson.gz")
	if err := os.WriteFile(path, b.Bytes()[:b.Len()-20], 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := file.OpenBoundaries(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := file.ReadBoundaries(r, file.BoundaryOptions{Datum: geo.DatumWGS84}); err == nil || !strings.Contains(err.Error(), "cut off") {
		t.Errorf("%v", err)
	}
}

// TestReadBoundariesOfTheLintSuite feeds the files of a GeoJSON linter: none may
// crash, and what is read must be on earth.
func TestReadBoundariesOfTheLintSuite(t *testing.T) {
	names, _ := filepath.Glob(filepath.Join(boundaryData, "geojsonhint/*/*.geojson"))
	if len(names) == 0 {
		t.Skip("SKIPPED, real data is missing: geojsonhint")
	}
	read := 0
	for _, name := range names {
		raw, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		mp, err := file.ReadOutline(bytes.NewReader(raw), geo.DatumWGS84)
		if err != nil {
			continue
		}
		read++
		for _, part := range mp {
			for _, ring := range part {
				for _, p := range ring {
					if !geo.OnEarth(p) {
						t.Errorf("%s: read the place %v", name, p)
					}
				}
			}
		}
	}
	if read == 0 {
		t.Errorf("none of %d files was read", len(names))
	}
}

func FuzzReadBoundaries(f *testing.F) {
	f.Add([]byte(with(`{"type":"Polygon","coordinates":[` + goodRing + `]}`)))
	f.Add([]byte(with(`{"type":"MultiPolygon","coordinates":[[` + goodRing + `]]}`)))
	f.Add([]byte(`{"type":"Feature","geometry":{"type":"Polygon","coordinates":[[null]]}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		ds, err := file.ReadBoundaries(bytes.NewReader(raw), file.BoundaryOptions{Datum: geo.DatumGCJ02})
		if err != nil {
			return
		}
		for _, d := range ds {
			for _, part := range d.Geom {
				for _, ring := range part {
					for _, p := range ring {
						if !geo.OnEarth(p) {
							t.Errorf("read the place %v", p)
						}
					}
				}
			}
		}
		grid.Check(ds) // must return
	})
}

// TestBoundariesInMetresOfAZone: the same square given in metres, easting first
// and northing first, is the square in degrees.
func TestBoundariesInMetresOfAZone(t *testing.T) {
	corners := []geo.CGCS2000{{107.4, 38.1}, {107.6, 38.1}, {107.6, 38.3}, {107.4, 38.3}, {107.4, 38.1}}
	for _, d := range []geo.Datum{"EPSG:4545-en", "EPSG:4545-ne", "EPSG:4524-en", "EPSG:4508-en", "EPSG:4497-ne"} {
		z, _ := d.Zone()
		var ring []string
		for _, p := range corners {
			g := p.GaussKruger(z)
			a, b := g.East, g.North
			if d.NorthFirst() {
				a, b = b, a
			}
			ring = append(ring, fmt.Sprintf("[%.4f,%.4f]", a, b))
		}
		text := `{"type":"FeatureCollection","features":[{"type":"Feature","properties":{"code":"C","name":"旗","level":1},"geometry":{"type":"Polygon","coordinates":[[` +
			strings.Join(ring, ",") + `]]}}]}`
		ds, err := file.ReadBoundaries(strings.NewReader(text), file.BoundaryOptions{Datum: d})
		if err != nil || len(ds) != 1 {
			t.Errorf("%s: %v", d, err)
			continue
		}
		for i, p := range ds[0].Geom[0][0] {
			if geo.Distance(geo.WGS84(p), corners[i].WGS84()) > 1e-3 {
				t.Errorf("%s: corner %d is %v, want %v", d, i, p, corners[i])
			}
		}
		for _, wrong := range []geo.Datum{geo.DatumCGCS2000, "EPSG:4523-en", geo.ZoneDatum(z, !d.NorthFirst())} {
			if _, err := file.ReadBoundaries(strings.NewReader(text), file.BoundaryOptions{Datum: wrong}); err == nil {
				t.Errorf("%s was taken for %s", d, wrong)
			}
		}
	}
}

func TestAFileOfCountlessFeaturesIsRefused(t *testing.T) {
	text := `{"type":"FeatureCollection","features":[` + strings.Repeat("{},", 300_000) + `{}]}`
	if _, err := opened(t, "many.geojson", text); err == nil || !strings.Contains(err.Error(), "more than 300000 features") {
		t.Errorf("%v", err)
	}
}
