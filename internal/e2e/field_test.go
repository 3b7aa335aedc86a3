// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// TestAReportFromAPhoneWithoutALineCountsOnce walks the field page in a browser
// (frontend/web/e2e/field.mjs): what was reported without a line, with a photo, and
// resolved on the spot, from a page that was closed before the line came back, is one
// incident with one photo, resolved. `go test -artifacts` keeps its pictures.
func TestAReportFromAPhoneWithoutALineCountsOnce(t *testing.T) {
	s, token := demoCounty(t)
	var cells struct {
		Items []struct {
			Code  string
			Label [2]float64
		}
	}
	s.getJSON("/api/v1/grids?level=4", token, &cells)
	home := cells.Items[len(cells.Items)/3]
	roster := filepath.Join(t.TempDir(), "roster.csv")
	if err := os.WriteFile(roster, []byte("badge,grids\nW9002,"+home.Code+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.cli("import", "people", roster)
	invited := s.cli("user", "add", "--login", "worker", "--role", "grid_worker", "--grid", home.Code, "--badge", "W9002")
	link := regexp.MustCompile(`http://\S+#invite=\S+`).FindString(invited)
	if link == "" {
		t.Fatalf("no invitation: %s", invited)
	}
	const title = "无网上报的一件事"
	walk(t, "e2e/field.mjs", "--base", s.URL, "--field", link, "--title", title, "--lon", fmt.Sprint(home.Label[0]), "--lat", fmt.Sprint(home.Label[1]))

	var list struct {
		Items []struct{ ID, Title, State string }
	}
	s.getJSON("/api/v1/incidents?limit=100&grid="+home.Code, token, &list)
	var of []string
	for _, i := range list.Items {
		if i.Title == title {
			of = append(of, i.ID)
			if i.State != "resolved" {
				t.Errorf("it is %s, not resolved on the spot", i.State)
			}
		}
	}
	if len(of) != 1 {
		t.Fatalf("%d incidents of one report", len(of))
	}
	var files struct {
		Items []struct{ State, Kind string }
	}
	s.getJSON("/api/v1/incidents/"+of[0]+"/attachments", token, &files)
	if len(files.Items) != 1 || files.Items[0].State != "ready" || files.Items[0].Kind != "photo" {
		t.Errorf("one photo was taken, the server has %+v", files.Items)
	}
}
