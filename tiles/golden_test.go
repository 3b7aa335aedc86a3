// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package tiles_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/paulmach/orb"
	"github.com/paulmach/orb/encoding/mvt"
	"github.com/paulmach/orb/maptile"

	"onemap/auth"
	"onemap/geo"
	"onemap/geo/gazetteer"
	"onemap/geo/grid"
	"onemap/tiles"
)

// goldenSheets are tiles of a made-up county, one of each layer that is drawn on a sheet.
func goldenSheets(t *testing.T) map[string][]byte {
	tree, err := grid.NewTree(square())
	if err != nil {
		t.Fatal(err)
	}
	entries := []gazetteer.Entry{
		{ID: 3, Kind: gazetteer.Place, Name: "演示小学", Class: "school", Point: geo.WGS84{107.4, 38.1}, No: 2, Area: -1},
		{ID: 8, Kind: gazetteer.Address, Name: "演示路8号", Point: geo.WGS84{107.4003, 38.1002}, No: 2, Area: -1},
	}
	for i := range 2100 { // too many to be told one by one in one tile
		entries = append(entries, gazetteer.Entry{
			ID: int64(100 + i), Kind: gazetteer.Address, Name: fmt.Sprintf("演示巷%d号", i), Point: geo.WGS84{107.595 + 0.00002*float64(i%30), 38.1 + 0.00002*float64(i/30)}, No: 3, Area: -1,
		})
	}
	s := tiles.New(tiles.Options{
		Tree: func() *grid.Tree { return tree },
		Roads: sync.OnceValue(func() []tiles.Line {
			return []tiles.Line{{ID: 9, Class: "trunk", Name: "演示路", Geom: orb.LineString{{107, 38}, {108, 38.3}}}}
		}),
		Cameras: sync.OnceValue(func() []tiles.Spot {
			return []tiles.Spot{{ID: 5, Name: "演示机位", Heading: 45, FOV: 60, P: orb.Point{107.4, 38.1}, Grid: 2}}
		}),
		Addresses: sync.OnceValue(func() *gazetteer.Index { return gazetteer.NewIndex(gazetteer.NewLibrary(nil), entries) }),
	})
	covered, err := s.Coverage(tree, []tiles.CoveredGrid{{No: 2, By: "road", TravelS: 740, Thin: true}, {No: 3, By: "none"}})
	if err != nil {
		t.Fatal(err)
	}
	hall := auth.NewActor(auth.Grant{ID: "hall", Role: auth.Dispatcher, Intervals: []auth.Interval{{Lo: 1, Hi: 3}}})
	out := map[string][]byte{}
	for name, c := range map[string]struct {
		layer string
		z     maptile.Zoom
		lon   float64
	}{
		"grids-8": {"grids", 8, 107.4}, "roads-9": {"roads", 9, 107.4}, "cameras-11": {"cameras", 11, 107.4}, "coverage-9": {"coverage", 9, 107.4},
		"addresses-16": {"addresses", 16, 107.4}, "addresses-many-15": {"addresses", 15, 107.595},
	} {
		at := maptile.At(orb.Point{c.lon, 38.1}, c.z)
		var body []byte
		var err error
		if c.layer == "coverage" {
			body, _, err = s.CoverageTile(context.Background(), covered, int(at.Z), int(at.X), int(at.Y))
		} else {
			body, _, err = s.Tile(context.Background(), c.layer, int(at.Z), int(at.X), int(at.Y), hall)
		}
		if err != nil {
			t.Fatal(name, err)
		}
		out[name] = unpack(t, body)
	}
	return out
}

func TestGoldenTiles(t *testing.T) {
	for name, raw := range goldenSheets(t) {
		golden(t, name+".mvt", raw)
		ls, err := mvt.Unmarshal(raw)
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.MarshalIndent(ls.ToFeatureCollections(), "", " ")
		if err != nil {
			t.Fatal(err)
		}
		golden(t, name+".json", append(text, '\n'))
	}
}

// GDAL reads every layer's features with the numbers, kinds of geometry and values that
// were written.
func TestGDALReadsSheets(t *testing.T) {
	for name, raw := range goldenSheets(t) {
		ls, err := mvt.Unmarshal(raw)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range ls {
			rows := gdalReads(t, raw, l.Name)
			if len(rows) != len(l.Features) || len(rows) == 0 {
				t.Fatalf("%s: GDAL reads %d features of layer %s, of %d", name, len(rows), l.Name, len(l.Features))
			}
			for i, f := range l.Features {
				if id, ok := f.ID.(float64); ok && rows[i]["mvt_id"] != fmt.Sprint(int64(id)) {
					t.Errorf("%s: GDAL reads feature %s, we wrote %v", name, rows[i]["mvt_id"], id)
				}
				if is, kind := rows[i]["WKT"], strings.ToUpper(f.Geometry.GeoJSONType()); !strings.Contains(is, kind) {
					t.Errorf("%s: GDAL reads %.60s, we wrote a %s", name, is, kind)
				}
				for key, v := range f.Properties {
					want := fmt.Sprint(v)
					if yes, is := v.(bool); is {
						want = map[bool]string{true: "1", false: "0"}[yes]
					}
					if rows[i][key] != want {
						t.Errorf("%s: GDAL reads %s %q, we wrote %v", name, key, rows[i][key], v)
					}
				}
			}
		}
	}
}

// square is a county of two halves, one with a hole in it.
func square() []grid.Node {
	box := func(w, s, e, n float64) orb.Ring { return orb.Ring{{w, s}, {e, s}, {e, n}, {w, n}, {w, s}} }
	hole := orb.Ring{{107.1, 38.1}, {107.1, 38.2}, {107.2, 38.2}, {107.2, 38.1}, {107.1, 38.1}}
	return []grid.Node{
		{ID: 1, Level: 1, Code: "T", Name: "演示旗", Parent: -1, No: 1, Last: 3, Geom: orb.MultiPolygon{{box(107, 38, 108, 38.5), hole}}, Label: orb.Point{107.6, 38.3}},
		{ID: 2, Level: 2, Code: "T1", Name: "演示镇", Parent: 0, No: 2, Last: 2, Geom: orb.MultiPolygon{{box(107, 38, 107.5, 38.5), hole}}, Label: orb.Point{107.3, 38.3}},
		{ID: 3, Level: 2, Code: "T2", Name: "演示苏木", Parent: 0, No: 3, Last: 3, Geom: orb.MultiPolygon{{box(107.5, 38, 108, 38.5)}}, Label: orb.Point{107.7, 38.3}},
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs; run with -update and look at the change\n%s", name, got)
	}
}
