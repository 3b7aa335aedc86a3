// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"onemap/internal/pgtest"
)

func TestImportOfRealRoads(t *testing.T) {
	url, extract, lines := pgtest.URL(t), data(t, "roads/andorra.osm.pbf"), data(t, "roads/andorra_roads.geojsonl.gz")
	code, out, said := command(t, url, "import", "roads", extract, "--crs", "wgs84", "--source", "osm", "--dry-run")
	wantCommand(t, 0, "nothing was stored", code, out, said)
	code, out, said = command(t, url, "import", "roads", extract, "--crs", "wgs84", "--source", "osm")
	wantCommand(t, 0, "road set osm stored: 1320 segments in place of 0", code, out, said)
	if !strings.Contains(out, "517.8 km, of which 494.0 km in the main net") || !strings.Contains(out, "left out, not for cars: 284") {
		t.Errorf("said %s", out)
	}
	code, out, said = command(t, url, "import", "roads", lines, "--crs", "wgs84", "--source", "osm")
	wantCommand(t, 0, "road set osm stored: 1320 segments in place of 1320", code, out, said)

	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	var km float64
	var audited string
	err = conn.QueryRow(t.Context(), `SELECT sum(ST_Length(geom, false)) / 1000, (SELECT string_agg(actor || ' ' || object || ' ' || (data ->> 'file'), ', ' ORDER BY id) FROM audit_log
		WHERE action = 'roads.import') FROM road_segment`).Scan(&km, &audited)
	if err != nil || km < 517.7 || km > 517.9 || audited != "system:command roads/osm andorra.osm.pbf, system:command roads/osm andorra_roads.geojsonl.gz" {
		t.Errorf("%.3f km by PostGIS, audited %s, %v", km, audited, err)
	}
}

func TestRoadsAsPlainText(t *testing.T) {
	if got := plain([]byte("\xef\xbb\xbfrow\r\n1,\x1b[2J\u009b路\n")); got != "row\n1, [2J 路\n" {
		t.Errorf("%q", got)
	}
}

func TestImportOfBadRoads(t *testing.T) {
	url, path := pgtest.URL(t), filepath.Join(t.TempDir(), "roads.geojson")
	const good = `{"type":"Feature","id":"a","properties":{"highway":"track"},"geometry":{"type":"LineString","coordinates":[[107,38],[107.1,38]]}}` + "\n"
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(good + strings.Replace(good, "[107.1,38]", "[38,107.1]", 1))
	code, out, said := command(t, url, "import", "roads", path, "--source", "survey")
	wantCommand(t, 1, "wgs84, gcj02, bd09, cgcs2000", code, out, said)
	code, out, said = command(t, url, "import", "roads", path, "--crs", "wgs84", "--source", "no name")
	wantCommand(t, 1, "--source", code, out, said)
	rejects := filepath.Join(filepath.Dir(path), "roads.rejects.csv")
	code, out, said = command(t, url, "import", "roads", path, "--crs", "wgs84", "--source", "survey", "--dry-run")
	wantCommand(t, 0, "rejected lines, the first 1:", code, out, said)
	if _, err := os.Stat(rejects); err == nil || !strings.Contains(out, "exchanged") {
		t.Errorf("a dry run wrote the reject file (%v), or showed no reason: %q", err, out)
	}
	for range 2 { // the reject file of an earlier run is ours to replace
		code, out, said = command(t, url, "import", "roads", path, "--crs", "wgs84", "--source", "survey")
		wantCommand(t, 0, "rejected 1; segments 1, 8.8 km", code, out, said)
	}
	if text, err := os.ReadFile(rejects); err != nil || !strings.Contains(string(text), "exchanged") {
		t.Errorf("%s %v", text, err)
	}
	if err := os.WriteFile(rejects, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, said = command(t, url, "import", "roads", path, "--crs", "wgs84", "--source", "survey")
	wantCommand(t, 1, "is another file", code, out, said)
	const next = `{"type":"Feature","id":"b","properties":{"highway":"track"},"geometry":{"type":"LineString","coordinates":[[107.100005,38],[107.2,38]]}}` + "\n"
	for metres, want := range map[string]string{"0": "of which 8.8 km in the main net", "1": "ends moved onto another line: 1, by up to 1 m\nlines 2: left out 0, rejected 0; segments 2, 17.5 km, of which 17.5 km"} {
		write(good + next)
		code, out, said = command(t, url, "import", "roads", path, "--crs", "wgs84", "--source", "survey", "--dry-run", "--join", metres)
		wantCommand(t, 0, want, code, out, said)
	}
	code, out, said = command(t, url, "import", "roads", path, "--crs", "wgs84", "--source", "survey", "--join", "100")
	wantCommand(t, 1, "not from 0 to 20", code, out, said)
	write(strings.Replace(good, "track", "footway", 1))
	code, out, said = command(t, url, "import", "roads", path, "--crs", "wgs84", "--source", "survey")
	wantCommand(t, 1, "no road to drive on; the set survey stays as it is", code, out, said)
}
