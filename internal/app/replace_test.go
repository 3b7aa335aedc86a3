// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"onemap/geo"
	"onemap/intake/file"
	"onemap/internal/job"
)

// TestAFileReplacesWhatItLacksWhenSomebodyHasCountedIt: of a layer, the cameras of a
// county and the places of a source.
func TestAFileReplacesWhatItLacksWhenSomebodyHasCountedIt(t *testing.T) {
	t.Parallel()
	st := newStand(t)
	var notes string
	note := func(s string) { notes += s + "\n" }
	for _, c := range []struct {
		what, header, action, there string
		key                         func(int) string
		bring                       func(path string, dry bool, replace *int) (job.Result, error)
	}{
		{
			"layer", "id,name,lon,lat", "layer.retire", "SELECT count(*) FROM layer_feature", func(n int) string { return fmt.Sprint("f", n) },
			func(path string, dry bool, replace *int) (job.Result, error) {
				res, _, _, err := ImportLayer(t.Context(), LayerOptions{
					DB: st.s.db, File: path, Read: file.FeatureOptions{Datum: geo.DatumWGS84}, Now: time.Now, DryRun: dry, Replace: replace, Note: note,
					Settings: LayerSettings{Code: "pts", Name: "点"},
				})
				return res, err
			},
		},
		{
			"cameras", "gb_code,name,lon,lat", "cameras.retire", "SELECT count(*) FROM camera WHERE root_code = 'C'", func(n int) string { return fmt.Sprintf("1506240100131%07d", n) },
			func(path string, dry bool, replace *int) (job.Result, error) {
				res, _, _, err := ImportCameras(t.Context(), CameraOptions{DB: st.s.db, File: path, Datum: geo.DatumWGS84, Now: time.Now, DryRun: dry, Replace: replace, Note: note})
				return res, err
			},
		},
		{
			"places", "编号,名称,经度,纬度", "places.retire", "SELECT count(*) FROM place WHERE source = 'one'", func(n int) string { return fmt.Sprint("p", n) },
			func(path string, dry bool, replace *int) (job.Result, error) {
				res, _, _, err := ImportPlaces(t.Context(), PlacesOptions{DB: st.s.db, File: path, Kind: "place", Source: "one", CRS: "wgs84", Now: time.Now, DryRun: dry, Replace: replace, Note: note})
				return res, err
			},
		},
	} {
		write := func(keys ...int) string {
			text := c.header + "\n"
			for _, n := range keys {
				text += fmt.Sprintf("%s,名%d,107.%d,38.2\n", c.key(n), n, n+1)
			}
			return writeFile(t, "a.csv", text)
		}
		there := func() int { return st.count(c.there) }
		first, newer := write(1, 2, 3), write(3, 4)
		st.exec("INSERT INTO camera (gb_code, name, root_code, geom) VALUES ('99062401001310000009', '邻县', 'D', ST_SetSRID(ST_MakePoint(109, 38), 4326)) ON CONFLICT DO NOTHING")
		st.exec("INSERT INTO place (source, external_id, kind, name, root_code, geom, raw_lon, raw_lat, raw_datum) VALUES ('other', 'x', 'place', 'x', 'C', ST_SetSRID(ST_MakePoint(107, 38), 4326), 107, 38, 'wgs84') ON CONFLICT DO NOTHING")
		if _, err := c.bring(first, false, nil); err != nil {
			t.Fatal(c.what, err)
		}
		notes = ""
		if _, err := c.bring(newer, true, nil); err != nil || there() != 3 || !strings.Contains(notes, "2 of those that are there are not in the file, and stay: "+c.key(1)+", "+c.key(2)) || !strings.Contains(notes, "--replace 2") {
			t.Errorf("%s: dry: %v, %d there, %s", c.what, err, there(), notes)
		}
		if _, err := c.bring(newer, false, new(int)); err == nil || !strings.Contains(err.Error(), "--replace 2") || there() != 3 {
			t.Errorf("%s: not as counted: %v, %d there", c.what, err, there())
		}
		two := 2
		bad := writeFile(t, "bad.csv", c.header+"\n"+c.key(3)+",名3,107.4,38.2\n"+c.key(4)+",名4,,\n")
		if _, err := c.bring(bad, false, &two); err == nil || !strings.Contains(err.Error(), "1 rows are refused") || there() != 3 {
			t.Errorf("%s: with a refused row: %v, %d there", c.what, err, there())
		}
		notes = ""
		if res, err := c.bring(newer, false, &two); err != nil || there() != 2 || res.Counts.InGrid != 1 || res.Counts.Repeated != 1 || !strings.Contains(notes, "2 that the file lacks are taken out: "+c.key(1)) {
			t.Errorf("%s: as counted: %+v %v, %d there, %s", c.what, res, err, there(), notes)
		}
		if n := st.count("SELECT count(*) FROM audit_log WHERE action = $1 AND data->>'retired' = '2' AND data->'external_ids' = to_jsonb($2::text[])", c.action, []string{c.key(1), c.key(2)}); n != 1 {
			t.Errorf("%s: %d audit rows", c.what, n)
		}
		one := 1 // back to the first file, which has come in before
		if res, err := c.bring(first, false, &one); err != nil || there() != 3 || res.Counts.InGrid != 2 || res.Counts.Repeated != 1 {
			t.Errorf("%s: back again: %+v %v, %d there", c.what, res, err, there())
		}
		if n := st.count(c.there + map[string]string{"layer": " WHERE", "cameras": " AND", "places": " AND"}[c.what] + " name = '名4'"); n != 0 {
			t.Errorf("%s: what the first file lacks is there", c.what)
		}
	}
	if n := st.count("SELECT count(*) FROM camera WHERE root_code = 'D'") + st.count("SELECT count(*) FROM place WHERE source = 'other'"); n != 2 {
		t.Error("what is of another county or source was taken out")
	}
	hall := st.token("hall_operator", "")
	st.wait("the nodes to know", func() bool { _, got := st.features(hall, "pts/features"); return got == "f3 f1 f2" })
}
