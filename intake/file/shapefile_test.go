// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package file_test

import (
	"archive/zip"
	"bytes"
	"cmp"
	"io"
	"maps"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/paulmach/orb"

	"onemap/geo"
	"onemap/geo/grid"
	"onemap/intake/file"
)

// ogr runs ogr2ogr of GDAL, which knows nothing of our reader.
func ogr(t *testing.T, args ...string) {
	t.Helper()
	program, err := exec.LookPath("ogr2ogr")
	if err != nil {
		if os.Getenv("CI") == "true" || os.Getenv("ONEMAP_REQUIRE_DB") == "1" {
			t.Fatal("ogr2ogr is missing: install gdal-bin")
		}
		t.Skip("SKIPPED, ogr2ogr is missing: install gdal-bin")
	}
	if out, err := exec.Command(program, args...).CombinedOutput(); err != nil {
		t.Fatalf("ogr2ogr %q: %v: %s", args, err, out)
	}
}

// zipOf packs the files of dir whose names begin with stem, but those that end in
// one of without.
func zipOf(t testing.TB, dir, stem string, without ...string) string {
	t.Helper()
	files := map[string][]byte{}
	names, _ := filepath.Glob(filepath.Join(dir, stem+".*"))
	for _, name := range names {
		if slices.Contains(without, filepath.Ext(name)) || filepath.Ext(name) == ".zip" {
			continue
		}
		raw, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		files[filepath.Base(name)] = raw
	}
	return zipFile(t, files)
}

// zipFile writes a zip of these files and returns its path.
func zipFile(t testing.TB, files map[string][]byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x.zip")
	if err := os.WriteFile(path, zipBytes(t, files), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func zipBytes(t testing.TB, files map[string][]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		w, err := z.Create(name)
		if err == nil {
			_, err = w.Write(files[name])
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func open(t testing.TB, path string, o file.Options) *file.Shapes {
	t.Helper()
	s, err := file.OpenShapes(path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// canonical turns every ring to begin at its least point and run counter-clockwise
// and puts rings and parts in order: formats differ in these and mean the same.
func canonical(mp orb.MultiPolygon) orb.MultiPolygon {
	var out orb.MultiPolygon
	round := func(v float64) float64 { return math.Round(v * 1e8) } // numbers that went through metres
	less := func(a, b orb.Point) int {
		return cmp.Or(cmp.Compare(round(a[0]), round(b[0])), cmp.Compare(round(a[1]), round(b[1])))
	}
	for _, part := range mp {
		var p orb.Polygon
		for _, ring := range part {
			r := slices.Clone(ring[:len(ring)-1])
			if ring.Orientation() == orb.CW {
				slices.Reverse(r)
			}
			least := 0
			for i := range r {
				if less(r[i], r[least]) < 0 {
					least = i
				}
			}
			r = append(r[least:len(r):len(r)], r[:least]...)
			p = append(p, append(r, r[0]))
		}
		slices.SortFunc(p[1:], func(a, b orb.Ring) int { return less(a[0], b[0]) })
		out = append(out, p)
	}
	slices.SortFunc(out, func(a, b orb.Polygon) int { return less(a[0][0], b[0][0]) })
	return out
}

// sameGrids compares two sets grid by grid; off is how far a point may lie away,
// in metres.
func sameGrids(t *testing.T, got, want []grid.Draft, off float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d grids, want %d", len(got), len(want))
	}
	for i, w := range want {
		g := got[i]
		if g.Code != w.Code || g.Name != w.Name || g.Level != w.Level || g.Parent != w.Parent {
			t.Errorf("grid %d is %s %s of %s, want %s %s of %s", i+1, g.Code, g.Name, g.Parent, w.Code, w.Name, w.Parent)
		}
		a, b := canonical(g.Geom), canonical(w.Geom)
		if off == 0 {
			if !a.Equal(b) {
				t.Errorf("grid %s has another shape than its twin", w.Code)
			}
			continue
		}
		for p := range b {
			if len(a) != len(b) || len(a[p]) != len(b[p]) {
				t.Fatalf("grid %s has %d parts, its twin %d", w.Code, len(a), len(b))
			}
			for r := range b[p] {
				if len(a[p][r]) != len(b[p][r]) {
					t.Fatalf("grid %s: a ring of %d points, want %d", w.Code, len(a[p][r]), len(b[p][r]))
				}
				for k := range b[p][r] {
					if d := geo.Distance(geo.WGS84(a[p][r][k]), geo.WGS84(b[p][r][k])); d > off {
						t.Fatalf("grid %s: a point lies %g m off", w.Code, d)
					}
				}
			}
		}
	}
}

func dataFile(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join(boundaryData, name)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("SKIPPED, real data is missing: %v", err)
	}
	return path
}

var towns = file.BoundaryOptions{Datum: geo.DatumWGS84, Level: 2, Code: "code", Name: "Name", Parent: "parentCode"}

// TestShapefileEqualsItsGeoJSONTwin: real towns, some of several parts and with
// holes, written by GDAL in both Chinese encodings and in metres.
func TestShapefileEqualsItsGeoJSONTwin(t *testing.T) {
	for _, district := range []string{"110119_yanqing", "110108_haidian"} {
		source := dataFile(t, "admin/towns_wgs84/"+district+"_towns.geojson")
		want := boundaries(t, "admin/towns_wgs84/"+district+"_towns.geojson", towns)
		for _, c := range []struct {
			name, encoding, srs string
			without             []string
			given               file.Options
			datum               geo.Datum
			off                 float64
		}{
			{name: "GBK", encoding: "GBK", datum: "wgs84"},
			{name: "UTF-8", encoding: "UTF-8", datum: "wgs84"},
			{name: "GB18030 named by the user", encoding: "GB18030", without: []string{".cpg", ".shx"}, given: file.Options{Encoding: "gb18030"}, datum: "wgs84"},
			{name: "CGCS2000", encoding: "GBK", srs: "EPSG:4490", datum: "cgcs2000"},
			{name: "metres", encoding: "GBK", srs: "EPSG:4548", datum: "EPSG:4548-en", off: 1e-5},
			{name: "metres with prefix", encoding: "GBK", srs: "EPSG:4527", datum: "EPSG:4527-en", off: 1e-5},
			{name: "metres of 6 degrees", encoding: "GBK", srs: "EPSG:4509", datum: "EPSG:4509-en", off: 1e-5},
			{name: "metres of 6 degrees with prefix", encoding: "GBK", srs: "EPSG:4498", datum: "EPSG:4498-en", off: 1e-5},
		} {
			if district == "110108_haidian" && (c.srs == "EPSG:4490" || c.srs == "EPSG:4509" || c.srs == "EPSG:4548") {
				continue // one district tells enough of these
			}
			t.Run(district+" "+c.name, func(t *testing.T) {
				dir := t.TempDir()
				args := []string{"-lco", "ENCODING=" + c.encoding, filepath.Join(dir, "towns.shp"), source}
				if c.srs != "" {
					args = append([]string{"-t_srs", c.srs}, args...)
				}
				ogr(t, args...)
				s := open(t, zipOf(t, dir, "towns", c.without...), c.given)
				if s.Datum() != c.datum || s.Format() != file.Shapefile {
					t.Errorf("%s in %s", s.Format(), s.Datum())
				}
				if c.datum == geo.DatumWGS84 || c.datum == geo.DatumCGCS2000 { // the other degrees contradict the file
					for given, ok := range map[geo.Datum]bool{geo.DatumWGS84: c.datum == geo.DatumWGS84, geo.DatumCGCS2000: c.datum == geo.DatumCGCS2000, "EPSG:4490-en": c.datum == geo.DatumCGCS2000, geo.DatumGCJ02: true} {
						if _, err := file.DatumOf(s, given); (err == nil) != ok {
							t.Errorf("--crs %s beside a .prj of %s: %v", given, c.datum, err)
						}
					}
				}
				o := towns
				o.Datum = ""
				got, err := file.ReadBoundaries(s, o)
				if err != nil {
					t.Fatal(err)
				}
				sameGrids(t, got, want, c.off)
				for _, f := range grid.Check(append([]grid.Draft{{Code: "110119000000", Level: 1, Name: "x", Geom: got[0].Geom}, {Code: "110108000000", Level: 1, Name: "x", Geom: got[0].Geom}}, got...)) {
					if !strings.Contains(f.Text, "grids of level 1") {
						t.Error(f.Text)
					}
				}
			})
		}
	}
}

// TestHeightsWrittenByGDAL: polygons with Z and with Z and M are read as if they had
// none.
func TestHeightsWrittenByGDAL(t *testing.T) {
	source := filepath.Join(t.TempDir(), "x.geojson")
	text := `{"type":"FeatureCollection","features":[{"type":"Feature","properties":{"code":"1","name":"旗","level":1},"geometry":{"type":"MultiPolygon","coordinates":[
		[[[107,38,7],[108,38,7],[108,39,7],[107,39,7],[107,38,7]],[[107.1,38.1,7],[107.1,38.2,7],[107.2,38.2,7],[107.1,38.1,7]]],
		[[[109,38,1],[110,38,2],[110,39,3],[109,38,1]]]]}}]}`
	if err := os.WriteFile(source, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	want, err := file.ReadBoundaries(strings.NewReader(text), file.BoundaryOptions{Datum: geo.DatumWGS84})
	if err != nil {
		t.Fatal(err)
	}
	for kind, notes := range map[string]string{
		"POLYGON": "", "POLYGONZ": "heights (Z) of 1 shapes are left out", "POLYGONM": "measures (M) of 1 shapes are left out", "POLYGONZM": "heights (Z) of 1 shapes are left out",
	} {
		dir := t.TempDir()
		ogr(t, "-lco", "SHPT="+kind, "-lco", "ENCODING=GBK", filepath.Join(dir, "x.shp"), source)
		s := open(t, zipOf(t, dir, "x"), file.Options{})
		got, err := file.ReadBoundaries(s, file.BoundaryOptions{})
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		sameGrids(t, got, want, 0)
		if strings.Join(s.Notes(), "\n") != notes {
			t.Errorf("%s: notes %q, want %q", kind, s.Notes(), notes)
		}
	}
}

// TestWorkbookWrittenByGDAL: a workbook of another writer than the library that
// reads it.
func TestWorkbookWrittenByGDAL(t *testing.T) {
	dir := t.TempDir()
	text := "编号,标题,n,x,day\nGD-1,井盖缺失,7,107.48125,2024-03-01\nGD-2,\"路灯,不亮\",-8,0.5,\nGD-3,,,,2024-12-31\n"
	if err := os.WriteFile(filepath.Join(dir, "x.csv"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "x.csvt"), []byte("String,String,Integer,Real,Date\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ogr(t, "-f", "XLSX", filepath.Join(dir, "x.xlsx"), filepath.Join(dir, "x.csv"))
	r, err := file.Open(filepath.Join(dir, "x.xlsx"))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for _, want := range []string{"GD-1|井盖缺失|7|107.48125|2024-03-01", "GD-2|路灯,不亮|-8|0.5|", "GD-3||||2024-12-31"} {
		row, err := r.Next()
		if err != nil || strings.Join(row.Cells, "|") != want {
			t.Errorf("%q, %v, want %q", row.Cells, err, want)
		}
	}
	if _, err := r.Next(); err != io.EOF {
		t.Errorf("after the last row: %v", err)
	}
}
