// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"onemap/internal/pgtest"
)

// TestPlacesFromTheCommandLine brings in the hospitals of a city, twice, in a county
// drawn round it.
func TestPlacesFromTheCommandLine(t *testing.T) {
	url, dir, hospitals := pgtest.URL(t), t.TempDir(), data(t, "addresses/shanghai_hospital.csv.gz")
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	outline := file("box.geojson", `{"type":"Polygon","coordinates":[[[120.8,30.6],[122.1,30.6],[122.1,31.9],[120.8,31.9],[120.8,30.6]]]}`)
	columns := file("map.json", `{"crs":"wgs84","fields":{"external_id":{"template":"{name} {address} {lon}","cut":128},"name":{"column":"name"},
		"address":{"column":"address"},"class":{"column":"type"},"lon":{"column":"lon"},"lat":{"column":"lat"}}}`)
	code, out, said := command(t, url, "grids", "draft", "--outline", outline, "--crs", "wgs84", "--counts", "4,8", "--enact")
	wantCommand(t, 0, "enacted", code, out, said)

	args := []string{"import", "places", hospitals, "--map", columns, "--source", "poi", "--rejects", filepath.Join(dir, "rejects.csv")}
	code, out, said = command(t, url, append(args, "--dry-run")...)
	wantCommand(t, 0, "dry run, nothing was written: rows 7513: in a grid 7513, outside 0, would be rejected 0", code, out, said)
	code, out, said = command(t, url, args...)
	wantCommand(t, 0, "rows 7513: new or changed in a grid 7513, outside 0, already there 0, rejected 0", code, out, said)
	if !strings.Contains(said, "行/秒") {
		t.Errorf("no progress: %s", said)
	}
	code, out, said = command(t, url, args...)
	wantCommand(t, 0, "imported before", code, out, said)

	code, out, said = command(t, url, "import", "addresses", file("a.csv", "id,address,联系人,手机,lon,lat\n1,a,b,c,121,31\n"), "--crs", "wgs84", "--source", "x")
	wantCommand(t, 1, "columns about persons: 联系人, 手机", code, out, said)
	code, out, said = command(t, url, "import", "addresses", file("b.csv", "id,address,lon,lat\n1,a,121,31\n"), "--source", "x")
	wantCommand(t, 1, "--crs", code, out, said)
}
