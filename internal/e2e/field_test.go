// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"
)

// TestAReportFromAPhoneWithoutALineCountsOnce walks the field page in a browser
// (frontend/web/e2e/field.mjs): what was reported without a line, with a photo, and
// resolved on the spot, from a page that was closed before the line came back, is one
// incident with one photo, resolved; and a visit that was told without a line is made. `go test -artifacts` keeps its pictures.
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
	const title, target = "无网上报的一件事", "三号水源井"
	visit := func() (v visited) { // 70 m from where the phone is: its fixes prove nothing
		var list struct{ Items []visited }
		s.getJSON("/api/v1/visits?grid="+home.Code, token, &list)
		if len(list.Items) == 1 {
			v = list.Items[0]
		}
		return v
	}
	patrol := fmt.Sprintf(`{"name":"日巡查","grid":%q,"targets":"points","rhythm":"daily","radius_m":20,"points":[{"name":%q,"lon":%v,"lat":%v,"crs":"wgs84"}]}`,
		home.Code, target, home.Label[0]+0.0008, home.Label[1])
	if status, raw := s.call("POST", s.URL+"/api/v1/patrols", token, patrol); status != 201 {
		t.Fatalf("a patrol: %d %s", status, raw)
	}
	eventually(t, "the visit of today", time.Minute, func() bool { return visit().State == "due" })
	walk(t, "e2e/field.mjs", "--base", s.URL, "--field", link, "--title", title, "--visit", target, "--lon", fmt.Sprint(home.Label[0]), "--lat", fmt.Sprint(home.Label[1]))
	if v := visit(); v.State != "done" || v.Seen != nil || v.Said.Text != "一切正常" || v.Said.Badge != "W9002" || !v.Said.At.Before(v.Said.GotAt) {
		t.Errorf("what was told without a line: %+v", v)
	}

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

// visited is what is asked here of a visit.
type visited struct {
	State string
	Seen  any
	Said  struct {
		Text, Badge string
		At          time.Time
		GotAt       time.Time `json:"got_at"`
	}
}
