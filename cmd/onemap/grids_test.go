// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"onemap/internal/pgtest"
)

// command runs one command line against the database at url.
func command(t *testing.T, url string, args ...string) (code int, out, said string) {
	t.Helper()
	t.Setenv("DATABASE_URL", url)
	var stdout, stderr bytes.Buffer
	code = run(append(args, "--data", t.TempDir()), &stdout, &stderr)
	return code, stdout.String(), stderr.String()
}

// data is the real public test data beside the repository.
func data(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join("../../../shared/data", name)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("SKIPPED, real data is missing: %v", err)
	}
	return path
}

func wantCommand(t *testing.T, wantCode int, wantOut string, code int, out, said string) {
	t.Helper()
	if code != wantCode || !strings.Contains(out+said, wantOut) {
		t.Fatalf("status %d, said %s%s\nwant status %d and %q", code, out, said, wantCode, wantOut)
	}
}

func TestDraftOfARealOutline(t *testing.T) {
	url, outline := pgtest.URL(t), data(t, "admin/county_gcj02/150623.geojson")
	code, out, said := command(t, url, "grids", "draft", "--outline", outline, "--crs", "gcj02", "--counts", "4,84,401", "--code", "150623", "--enact")
	wantCommand(t, 0, "grid version 1 is enacted", code, out, said)
	if !strings.Contains(out, "1/4/84/401 grids") || !strings.Contains(out, "faults: 0;") {
		t.Errorf("said %s", out)
	}
	code, out, said = command(t, url, "grids", "draft", "--outline", outline)
	wantCommand(t, 1, "wgs84, gcj02, bd09, cgcs2000", code, out, said)
}

func TestDraftGoesThroughAFile(t *testing.T) {
	url, outline := pgtest.URL(t), filepath.Join(t.TempDir(), "box.geojson")
	box := `{"type":"Polygon","coordinates":[[[-95.8,29.5],[-95.05,29.5],[-95.05,30.1],[-95.8,30.1],[-95.8,29.5]]]}`
	if err := os.WriteFile(outline, []byte(box), 0o600); err != nil {
		t.Fatal(err)
	}
	tree := filepath.Join(t.TempDir(), "tree.geojson")
	code, out, said := command(t, url, "grids", "draft", "--outline", outline, "--crs", "wgs84", "--counts", "2,5,20", "--out", tree)
	wantCommand(t, 0, "28 grids written", code, out, said)
	code, out, said = command(t, url, "import", "grids", tree, "--crs", "wgs84", "--enact")
	wantCommand(t, 0, "faults: 0;", code, out, said)
}

func TestImportOfThreeRealLevels(t *testing.T) {
	url := pgtest.URL(t)
	code, out, said := command(t, url, "import", "grids",
		data(t, "nested/ilocos_norte_l1_province.geojson.gz"), data(t, "nested/ilocos_norte_l2_municities.geojson.gz"),
		data(t, "nested/ilocos_norte_l3_barangays.geojson.gz"), "--crs", "wgs84", "--enact",
		"--code", "ADM2_PCODE,ADM3_PCODE,ADM4_PCODE", "--name", "ADM2_EN,ADM3_EN,ADM4_EN", "--parent=-,ADM2_PCODE,ADM3_PCODE")
	wantCommand(t, 1, "grid version 1 is not enacted", code, out, said)
	for _, want := range []string{"1/23/557 grids", "grid PH012801000: its children leave", "outside_parent grid PH012810002"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in the report", want)
		}
	}
	code, out, said = command(t, url, "grids", "enact", "1", "--accept-faults", "--reason", "as published")
	wantCommand(t, 0, "grid version 1 is enacted", code, out, said)
}

func TestImportOfBadBoundaries(t *testing.T) {
	url, dir := pgtest.URL(t), t.TempDir()
	feature := func(code, parent, level, ring string) string {
		return `{"type":"Feature","properties":{"code":"` + code + `","name":"n","level":` + level + `,"parent":"` + parent +
			`"},"geometry":{"type":"Polygon","coordinates":[` + ring + `]}}`
	}
	const square = `[[107,38],[108,38],[108,39],[107,39],[107,38]]`
	for name, c := range map[string]struct{ features, want string }{
		"orphan":  {feature("1", "", "1", square) + "," + feature("11", "9", "2", square), "its parent 9 is not in the set"},
		"bow-tie": {feature("1", "", "1", `[[107,38],[108,39],[108,38],[107,39],[107,38]]`), "crosses itself at 107.500000,38.500000"},
		"swapped": {feature("1", "", "1", `[[38,107],[39,107],[39,108],[38,107]]`), "no place on earth"},
	} {
		path := filepath.Join(dir, name+".geojson")
		text := `{"type":"FeatureCollection","features":[` + c.features + `]}`
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		code, out, said := command(t, url, "import", "grids", path, "--crs", "wgs84")
		wantCommand(t, 1, c.want, code, out, said)
	}
}
