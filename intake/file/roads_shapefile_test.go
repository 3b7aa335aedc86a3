// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package file_test

import (
	"compress/gzip"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"onemap/geo"
	"onemap/intake/file"
)

// TestRoadsOfAShapefile: columns as Geofabrik has them, in metres of a zone and in
// GBK, one line in two pieces, one too far.
func TestRoadsOfAShapefile(t *testing.T) {
	textIn := func(name, text string) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	lines := `{"type":"FeatureCollection","features":[
		{"type":"Feature","properties":{"OSM_ID":"7","FCLASS":"secondary","NAME":"迎宾路","ONEWAY":"F","MAXSPEED":60},"geometry":{"type":"LineString","coordinates":[[107.48,38.18],[107.49,38.18,1200]]}},
		{"type":"Feature","properties":{"OSM_ID":"8","FCLASS":"track_grade2","NAME":null,"ONEWAY":"B","MAXSPEED":0},"geometry":{"type":"MultiLineString","coordinates":[[[107.49,38.18],[107.49,38.19]],[[107.5,38.18],[107.5,38.2]]]}},
		{"type":"Feature","properties":{"OSM_ID":"9","FCLASS":"residential","NAME":"倒","ONEWAY":"T","MAXSPEED":0},"geometry":{"type":"LineString","coordinates":[[107.48,38.18],[107.48,38.19]]}},
		{"type":"Feature","properties":{"OSM_ID":"10","FCLASS":"footway","NAME":"","ONEWAY":"B","MAXSPEED":0},"geometry":{"type":"LineString","coordinates":[[107.48,38.18],[107.47,38.18]]}},
		{"type":"Feature","properties":{"OSM_ID":"11","FCLASS":"residential","NAME":"远","ONEWAY":"B","MAXSPEED":0},"geometry":{"type":"LineString","coordinates":[[107.48,38.18],[107.48,39.9]]}}]}`
	dir := t.TempDir()
	ogr(t, "-s_srs", "EPSG:4326", "-t_srs", "EPSG:4545", "-nlt", "MULTILINESTRINGZ", "-lco", "ENCODING=GBK", filepath.Join(dir, "roads.shp"), textIn("roads.geojson", lines))
	path := zipOf(t, dir, "roads")
	var rejects strings.Builder
	roads, err := file.ReadRoads(t.Context(), path, file.RoadOptions{Reject: func(r []byte) error { rejects.Write(r); return nil }})
	if err != nil {
		t.Fatal(err)
	}
	if roads.Lines != 5 || roads.Rejected != 1 || roads.LeftOut["not for cars"] != 1 || len(roads.Segments) != 4 || !strings.Contains(rejects.String(), "11,residential,远") {
		t.Fatalf("%+v\n%s", roads, rejects.String())
	}
	for i, want := range []struct {
		id, class, name string
		oneway          bool
		kmh             float64
		from            geo.WGS84
	}{
		{"7", "secondary", "迎宾路", true, 48, geo.WGS84{107.48, 38.18}},
		{"8", "track", "", false, 15, geo.WGS84{107.49, 38.18}},
		{"8.2", "track", "", false, 15, geo.WGS84{107.5, 38.18}},
		{"9", "residential", "倒", true, 25, geo.WGS84{107.48, 38.19}}, // against the line
	} {
		s := roads.Segments[i]
		if s.ExtID != want.id || string(s.Class) != want.class || s.Name != want.name || s.Oneway != want.oneway || math.Abs(float64(s.Kmh)-want.kmh) > 1e-3 ||
			geo.Distance(geo.WGS84(s.Geom[0]), want.from) > 0.01 {
			t.Errorf("segment %d: %+v, want %+v", i+1, s, want)
		}
	}
	if notes := strings.Join(roads.Notes, "; "); !strings.Contains(notes, "heights (Z)") {
		t.Errorf("notes %s", notes)
	}
	if _, err := file.ReadRoads(t.Context(), path, file.RoadOptions{Datum: geo.DatumWGS84}); err == nil || !strings.Contains(err.Error(), "EPSG:4545-en") {
		t.Errorf("--crs against the .prj: %v", err)
	}
	other := t.TempDir()
	ogr(t, filepath.Join(other, "x.shp"), textIn("x.geojson", strings.ReplaceAll(lines, "FCLASS", "DLDJ")))
	if _, err := file.ReadRoads(t.Context(), zipOf(t, other, "x"), file.RoadOptions{}); err == nil || !strings.Contains(err.Error(), "highway or fclass") {
		t.Errorf("a file without a class: %v", err)
	}
}

// TestRealRoadsOfAShapefile: the roads of a country are the same out of GeoJSON and
// out of the Shapefile that is made of it, closed roads included.
func TestRealRoadsOfAShapefile(t *testing.T) {
	lines, dir := dataFile(t, "roads/andorra_roads.geojsonl.gz"), t.TempDir()
	f, err := os.Open(lines)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "lines.geojsonl"), text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	ogr(t, "-lco", "ENCODING=UTF-8", filepath.Join(dir, "roads.shp"), filepath.Join(dir, "lines.geojsonl"))
	want, err := file.ReadRoads(t.Context(), lines, file.RoadOptions{Datum: geo.DatumWGS84})
	if err != nil {
		t.Fatal(err)
	}
	got, err := file.ReadRoads(t.Context(), zipOf(t, dir, "roads"), file.RoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got.Lines != want.Lines || got.Rejected != want.Rejected || !maps.Equal(got.LeftOut, want.LeftOut) || len(got.Segments) != len(want.Segments) {
		t.Fatalf("%d lines, left out %v, %d segments; want %d, %v, %d", got.Lines, got.LeftOut, len(got.Segments), want.Lines, want.LeftOut, len(want.Segments))
	}
	for i, w := range want.Segments {
		if g := got.Segments[i]; g.Class != w.Class || g.Name != w.Name || g.Oneway != w.Oneway || g.Kmh != w.Kmh || !g.Geom.Equal(w.Geom) {
			t.Fatalf("segment %d: %+v, want %+v", i+1, g, w)
		}
	}
}
