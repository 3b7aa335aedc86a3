// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/paulmach/orb"

	"onemap/geo/grid"
	"onemap/intake/file"
	"onemap/internal/pgtest"
)

// beatBox is a square of half a degree as GeoJSON.
const beatBox = `"geometry":{"type":"Polygon","coordinates":[[[107.1,38.1],[107.6,38.1],[107.6,38.6],[107.1,38.6],[107.1,38.1]]]}`

func beatFeature(properties string) string {
	return `{"type":"Feature","properties":{` + properties + `},` + beatBox + `}`
}

// TestOverlayFromTheCommandLine from the preview to a second import that changes,
// leaves out and refuses areas.
func TestOverlayFromTheCommandLine(t *testing.T) {
	url, dir := pgtest.URL(t), t.TempDir()
	file := func(name string, features ...string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(`{"type":"FeatureCollection","features":[`+strings.Join(features, ",")+`]}`), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	outline := filepath.Join(dir, "box.geojson")
	if err := os.WriteFile(outline, []byte(`{"type":"Polygon","coordinates":[[[107,38],[108,38],[108,39],[107,39],[107,38]]]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	beats := file("beats.geojson", beatFeature(`"no":1,"title":"一警区"`), beatFeature(`"no":2,"title":"二警区","up":1`))
	args := func(path string, more ...string) []string {
		return append([]string{"import", "overlay", path, "--overlay", "BEATS", "--name", "警格", "--kind", "police", "--crs", "wgs84", "--code", "no", "--area-name", "title"}, more...)
	}
	want := func(wantCode int, wantOut string, args ...string) {
		t.Helper()
		code, out, said := command(t, url, args...)
		wantCommand(t, wantCode, wantOut, code, out, said)
	}
	want(1, "no grids yet", args(beats)...)
	want(0, "enacted", "grids", "draft", "--outline", outline, "--crs", "wgs84", "--counts", "2", "--code", "C", "--enact")

	want(0, "feature 2: 2 二警区, 1 parts, WGS-84 box 107.100000,38.100000,107.600000,38.600000\nnothing was written", args(beats, "--preview")...)
	want(0, "2 areas could be stored, 0 would be refused", args(beats, "--dry-run")...)
	want(0, "overlay BEATS 警格 stored: 2 areas, of which new 2, changed 0, as before 0; gone 0", args(beats, "--parent", "up", "--valid-from", "2026-01-01")...)
	want(0, "overlay BEATS 警格 replaced: 2 areas, of which new 0, changed 0, as before 2; gone 0", args(beats, "--parent", "up")...)
	want(0, "new 1, changed 1, as before 0; gone 1\ngone      1\n", args(file("b2.geojson", beatFeature(`"no":2,"title":"二警区"`), beatFeature(`"no":3,"title":"三警区"`)))...)

	bow := strings.Replace(beatFeature(`"no":9,"title":"结"`), "[107.6,38.1],[107.6,38.6]", "[107.6,38.6],[107.6,38.1]", 1)
	bad := file("bad.geojson", beatFeature(`"no":2,"title":"二警区"`), bow, beatFeature(`"no":2,"title":"又"`), beatFeature(`"title":"无号"`), beatFeature(`"no":4,"title":"四","up":"9"`))
	want(0, "1 areas could be stored, 4 would be refused", args(bad, "--dry-run", "--parent", "up")...)
	want(1, "4 areas are refused; nothing was stored", args(bad, "--parent", "up")...)
	rejects, err := os.ReadFile(filepath.Join(dir, "bad.rejects.csv"))
	if err != nil {
		t.Fatal(err)
	}
	for _, why := range []string{"crosses itself at 107.350000,38.350000", "feature 1 has this code", `no property ""no"" for the code`, "its parent 9 is not in the overlay"} {
		if !strings.Contains(string(rejects), why) {
			t.Errorf("no %q in %s", why, rejects)
		}
	}
	want(0, "replaced: 1 areas, of which new 0, changed 0, as before 1; gone 1\ngone      3\n", args(bad, "--parent", "up", "--skip-bad")...)

	for flags, says := range map[string]string{
		"--valid-from 1.1.2026": "no day", "--valid-to 2026-01-01 --valid-from 2026-01-02": "is before", "--department nobody": `department "nobody"`,
		"--county D": "say with --county", "--code nr": `no feature has the property "nr"`, "--kind fire": "--kind",
	} {
		wantCode := 1
		if strings.HasPrefix(flags, "--kind") {
			wantCode = 2
		}
		want(wantCode, says, args(beats, strings.Fields(flags)...)...)
	}
	want(1, "--crs", "import", "overlay", beats, "--overlay", "X", "--name", "x", "--code", "no", "--area-name", "title")
}

// What hangs below a refused area is refused, however deep.
func TestTheBelowOfARefusedAreaIsRefused(t *testing.T) {
	ok := orb.MultiPolygon{{{{107, 38}, {108, 38}, {108, 39}, {107, 38}}}}
	const n = 20_000
	rows := make([]file.AreaRow, n, n+3)
	for i := range rows {
		rows[i].Area = grid.Area{Code: grid.Code(strconv.Itoa(i)), Name: "区", Parent: grid.Code(strconv.Itoa(i + 1)), Geom: ok}
	}
	rows[n-1].Area.Parent, rows[n-1].Area.Name = "", "" // no name: refused
	rows = append(rows, file.AreaRow{Err: errors.New("read badly")},
		file.AreaRow{Area: grid.Area{Code: "top", Name: "上", Geom: ok}}, file.AreaRow{Area: grid.Area{Code: "low", Name: "下", Parent: "top", Geom: ok}})
	areas := refuse(rows)
	if len(areas) != 2 || areas[0].Code != "top" || areas[1].Code != "low" || rows[n].Err.Error() != "read badly" {
		t.Errorf("%d areas are left: %.200v", len(areas), areas)
	}
	for i, want := range map[int]string{n - 1: "no name", n - 2: "its parent 19999 is refused", 0: "area 0: its parent 1 is refused"} {
		if err := rows[i].Err; err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("row %d: %v, want %s", i, err, want)
		}
	}
}

// TestOverlayOfARealDistrict as a zipped Shapefile equals its GeoJSON twin.
func TestOverlayOfARealDistrict(t *testing.T) {
	url := pgtest.URL(t)
	outline, towns := data(t, "admin/towns_wgs84/110108_haidian_outline.geojson"), data(t, "admin/towns_wgs84/110108_haidian_towns.geojson")
	code, out, said := command(t, url, "grids", "draft", "--outline", outline, "--crs", "wgs84", "--counts", "3", "--enact")
	wantCommand(t, 0, "enacted", code, out, said)
	flags := []string{"--overlay", "T", "--name", "街道", "--code", "code", "--area-name", "Name"}
	code, out, said = command(t, url, append([]string{"import", "overlay", shapefile(t, towns, "-lco", "ENCODING=GBK")}, flags...)...)
	wantCommand(t, 0, "29 areas, of which new 29", code, out, said)
	code, out, said = command(t, url, append([]string{"import", "overlay", towns, "--crs", "wgs84"}, flags...)...)
	wantCommand(t, 0, "29 areas, of which new 0", code, out, said)
}
