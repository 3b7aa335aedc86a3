// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"
)

// TestOneIncidentGoesThroughDeskAndField goes from a worker's report to its end through
// both pages in a browser (frontend/web/e2e/desk.mjs), with the phone's line cut in
// between; and a notice from the desk to a town and back. `go test -artifacts` keeps its pictures.
func TestOneIncidentGoesThroughDeskAndField(t *testing.T) {
	s, token := demoCounty(t, "--demo") // whose people move, and may be advised
	type grids struct {
		Items []struct {
			Code  string
			Label [2]float64
		}
	}
	var cells, towns grids
	s.getJSON("/api/v1/grids?level=4", token, &cells)
	s.getJSON("/api/v1/grids?level=2", token, &towns)
	area := towns.Items[0].Code
	home := cells.Items[len(cells.Items)/2]
	lon, lat := home.Label[0], home.Label[1]
	roster := filepath.Join(t.TempDir(), "roster.csv")
	text := "badge,grids,hours,device,skills\nW9001," + home.Code + ",每天 00:00-24:00,walk-9001,mediation\n"
	if err := os.WriteFile(roster, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s.cli("import", "people", roster)
	invited := func(args ...string) string {
		link := regexp.MustCompile(`http://\S+#invite=\S+`).FindString(s.cli(append([]string{"user", "add"}, args...)...))
		if link == "" {
			t.Fatalf("no invitation for %v", args)
		}
		return link
	}
	desk := invited("--login", "desk", "--role", "dispatcher")
	field := invited("--login", "worker", "--role", "grid_worker", "--grid", home.Code, "--badge", "W9001")
	town := invited("--login", "town", "--role", "town_operator", "--grid", area)

	// The phone's position comes by the device's way all the while: advice wants a fresh one.
	send := func() {
		res, err := http.PostForm(s.Device+"/", url.Values{
			"id": {"walk-9001"}, "lat": {fmt.Sprint(lat)}, "lon": {fmt.Sprint(lon)}, "timestamp": {fmt.Sprint(time.Now().Unix())}, "accuracy": {"10"},
		})
		if err != nil {
			t.Log(err)
			return
		}
		defer func() { _ = res.Body.Close() }()
		if answer, err := io.ReadAll(res.Body); res.StatusCode != http.StatusOK {
			t.Logf("a fix: %s %s (%v)", res.Status, answer, err)
		}
	}
	onMap := func() bool {
		var now struct {
			Items []struct {
				Badge string
				Point *[2]float64
			}
		}
		s.getJSON("/api/v1/workers/live", token, &now)
		for _, w := range now.Items {
			if w.Badge == "W9001" && w.Point != nil {
				return true
			}
		}
		return false
	}
	var sent time.Time
	eventually(t, "W9001 on the map after its first fix", 20*time.Second, func() bool {
		if time.Since(sent) > time.Second { // again, until the server has heard of the device
			sent = time.Now()
			send()
		}
		return onMap()
	})
	done := make(chan struct{})
	defer close(done)
	go func() {
		for tick := time.NewTicker(10 * time.Second); ; {
			select {
			case <-done:
				tick.Stop()
				return
			case <-tick.C:
				send()
			}
		}
	}()
	walk(t, "e2e/desk.mjs", "--base", s.URL, "--desk", desk, "--field", field, "--town", town, "--area", area, "--token", token, "--badge", "W9001", "--lon", fmt.Sprint(lon), "--lat", fmt.Sprint(lat))
}
