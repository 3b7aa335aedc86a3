// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"onemap/internal/pgtest"
)

func TestARedrawByCommands(t *testing.T) {
	url, outline := pgtest.URL(t), filepath.Join(t.TempDir(), "box.geojson")
	box := `{"type":"Polygon","coordinates":[[[107,38],[108,38],[108,38.5],[107,38.5],[107,38]]]}`
	if err := os.WriteFile(outline, []byte(box), 0o600); err != nil {
		t.Fatal(err)
	}
	say := func(code int, want string, args ...string) string {
		t.Helper()
		got, out, said := command(t, url, args...)
		wantCommand(t, code, want, got, out, said)
		return out
	}
	draft := []string{"grids", "draft", "--outline", outline, "--crs", "wgs84", "--code", "990001", "--name", "试验旗"}
	say(0, "grid version 1 is enacted", append(draft, "--counts", "2,4,8", "--enact")...)
	say(0, "grid version 2 stored as a draft", append(draft, "--counts", "2,4,9", "--seed", "2")...)
	pieces := filepath.Join(t.TempDir(), "pieces.geojson")
	if out := say(0, "grids: 15 -> 16; new", "grids", "preview", "2", "--map", pieces); !strings.Contains(out, "open incidents: 0") || !strings.Contains(out, "faults: 0") {
		t.Errorf("said %s", out)
	}
	if raw, err := os.ReadFile(pieces); err != nil || !strings.Contains(string(raw), `"area_m2"`) {
		t.Errorf("%.200s, %v", raw, err)
	}
	say(1, "lies in the past", "grids", "enact", "2", "--at", "2020-01-01T00:00:00Z")
	say(0, "will be enacted at", "grids", "enact", "2", "--at", time.Now().Add(time.Hour).Format(time.RFC3339))
	say(0, "to be enacted at", "grids", "versions")
	say(0, "is cancelled", "grids", "cancel", "2")
	say(1, "no enactment", "grids", "cancel", "2")
	say(0, "grid version 2 is enacted", "grids", "enact", "2", "--reason", "redrawn")
	say(1, "only the version in force", "grids", "undo", "1")
	say(0, "grid version 3 is enacted", "grids", "undo", "2", "--reason", "a mistake")
	if out := say(0, "undoes 2", "grids", "versions"); strings.Count(out, "enacted") != 1 || strings.Count(out, "retired") != 2 {
		t.Errorf("said %s", out)
	}
}
