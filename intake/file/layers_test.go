// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package file

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"onemap/geo"
	"onemap/layer"
)

func put(t testing.TB, name string, text []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestFeaturesOfEveryFormat reads the same three kinds of shapes from each format.
func TestFeaturesOfEveryFormat(t *testing.T) {
	const (
		point   = `{"type":"Feature","properties":{"id":1,"name":"一","级":"甲"},"geometry":{"type":"Point","coordinates":[107.2,38.3,900]}}`
		line    = `{"type":"Feature","properties":{"id":1,"name":"一","级":"甲"},"geometry":{"type":"MultiLineString","coordinates":[[[107.2,38.3],[107.3,38.3]],[[107.2,38.4],[107.3,38.4]]]}}`
		polygon = `{"type":"Feature","properties":{"id":1,"name":"一","级":"甲"},"geometry":{"type":"Polygon","coordinates":[[[107.2,38.3],[107.3,38.3],[107.3,38.4],[107.2,38.3]]]}}`
		none    = `{"type":"Feature","properties":{"id":2,"name":"二"},"geometry":null}`
		many    = `{"type":"Feature","properties":{"id":3},"geometry":{"type":"MultiPoint","coordinates":[[107.2,38.3]]}}`
	)
	for name, c := range map[string]struct {
		text string
		want layer.Geometry
	}{
		"p.csv":     {"id,name,级,lon,lat\n1,一,甲,107.2,38.3\n2,二,乙,,\n3,三,丙,x,38.3\n", layer.Point},
		"p.geojson": {`{"type":"FeatureCollection","features":[` + point + "," + none + "," + many + "]}", layer.Point},
		"l.geojson": {`{"type":"FeatureCollection","features":[` + line + "," + point + "," + none + "]}", layer.Line},
		"a.ndjson":  {polygon + "\n" + line + "\n" + none + "\n", layer.Polygon},
	} {
		r, err := OpenFeatures(put(t, name, []byte(c.text)), Options{}, FeatureOptions{Datum: geo.DatumGCJ02})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var good, bad int
		for {
			_, f, err := r.Read()
			if errors.Is(err, io.EOF) {
				break
			}
			var re *RowError
			switch {
			case errors.As(err, &re):
				bad++
			case err != nil:
				t.Fatalf("%s: %v", name, err)
			default:
				good++
				p := f.Geom.Bound().Min
				if layer.Of(f.Geom) != c.want || f.ExternalID != "1" || f.Name != "一" || f.Kind != layer.Other || len(f.Props) != 1 || f.Props["级"] != "甲" || p[0] > 107.1999 || p[0] < 107.18 {
					t.Errorf("%s: %+v", name, f)
				}
			}
		}
		if good != 1 || bad != 2 || r.Geometry() != c.want {
			t.Errorf("%s: %d good, %d bad, %s", name, good, bad, r.Geometry())
		}
		_ = r.Close()
	}
}

func TestTheColumnsOfFeaturesMayBeNamed(t *testing.T) {
	path := put(t, "a.csv", []byte("no,title,what,turns,lon,lat\nA1,甲,站点,轮驻,107.2,38.3\n"))
	r, err := OpenFeatures(path, Options{}, FeatureOptions{Datum: geo.DatumWGS84, ID: "no", Name: "title", Kind: "what", DutyMode: "turns"})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, f, err := r.Read(); err != nil || f.ExternalID != "A1" || f.Name != "甲" || f.Kind != layer.Station || f.Duty != layer.Rotating || len(f.Props) != 0 {
		t.Errorf("%+v %v", f, err)
	}
	for want, o := range map[string]FeatureOptions{
		"--id": {Datum: geo.DatumWGS84}, "no column": {Datum: geo.DatumWGS84, ID: "nr"}, "kind": {Datum: geo.DatumWGS84, ID: "no", Kind: "shop"}, "--crs": {ID: "no"},
	} {
		if _, err := OpenFeatures(path, Options{}, o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

// FuzzFeatures: whatever a file holds, reading ends, and what is read may be stored.
func FuzzFeatures(f *testing.F) {
	f.Add([]byte("id,name,值守方式,lon,lat\n1,一,常驻,107.2,38.3\n"), "a.csv")
	f.Add([]byte(`{"type":"FeatureCollection","features":[{"type":"Feature","properties":{"id":1,"a":{"b":[1]}},"geometry":{"type":"Polygon","coordinates":[[[1,1],[2,1],[2,2],[1,1]]]}}]}`), "a.geojson")
	f.Add([]byte(`{"type":"Feature","properties":{"id":"x"},"geometry":{"type":"LineString","coordinates":[[1,1],[2,1]]}}`+"\n"), "a.ndjson")
	f.Fuzz(func(t *testing.T, text []byte, name string) {
		name = "a" + filepath.Ext(filepath.Base(name))
		if strings.ContainsAny(name, "\x00/") || len(name) > 20 {
			t.Skip()
		}
		r, err := OpenFeatures(put(t, name, text), Options{}, FeatureOptions{Datum: geo.DatumWGS84})
		if err != nil {
			return
		}
		defer r.Close()
		for {
			_, rec, err := r.Read()
			var bad *RowError
			if errors.As(err, &bad) && len(bad.Reasons) > 0 {
				continue
			}
			if err != nil {
				return
			}
			b := rec.Geom.Bound()
			if rec.ExternalID == "" || layer.Of(rec.Geom) != r.Geometry() || !geo.OnEarth(b.Min) || !geo.OnEarth(b.Max) {
				t.Fatalf("%+v", rec)
			}
			for k, v := range rec.Props {
				if k == "" || strings.ContainsRune(k+v, 0) {
					t.Fatalf("property %q: %q", k, v)
				}
			}
			if _, err := PropsJSON(rec.Props); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// FuzzCameras: whatever a table holds, a camera that is read has a code, a place and
// numbers in their ranges.
func FuzzCameras(f *testing.F) {
	f.Add([]byte("gb_code,name,heading,fov,range_m,crs,lon,lat\n15062401001320000001,一,0,60,300,gcj02,107.2,38.3\n"))
	f.Add([]byte("gb_code,name,heading,fov,range_m,crs,lon,lat\n15062401001320000001,一,359.9,-0,1e9,,NaN,38.3\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := OpenCameras(put(t, "a.csv", text), Options{}, geo.DatumWGS84)
		if err != nil {
			return
		}
		defer c.Close()
		for end := time.Now().Add(10 * time.Second); time.Now().Before(end); {
			_, k, err := c.Read()
			var bad *RowError
			if errors.As(err, &bad) {
				continue
			}
			if err != nil {
				return
			}
			if layer.CheckCameraCode(k.Code) != nil || k.Name == "" || !geo.OnEarth(k.Point.Orb()) || k.Heading < -1 || k.Heading > 359 || k.FOV == 0 || k.FOV < -1 || k.FOV > 360 || k.RangeM == 0 || k.RangeM < -1 || k.RangeM > 20000 {
				t.Fatalf("%+v", k)
			}
		}
		t.Fatal("reading does not end")
	})
}
