// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/paulmach/orb/geojson"

	"onemap/store"
)

// TestAdministratorsLetPeopleInAndOut goes the whole way in a browser
// (frontend/web/e2e/admin.mjs): from the secret of the first start to accounts,
// grants, the lock, an ended session and the audit log; then through a redraw of
// the grids. `go test -artifacts` keeps its pictures.
func TestAdministratorsLetPeopleInAndOut(t *testing.T) {
	needBrowser(t)
	s := serve(t, dataFolder(t))
	secret := s.await(`(?s)one-time secret of the security administrator.*?\n +(\S+)\n.*?/admin#first`, time.Minute)[1]
	token := s.square()

	walk(t, "e2e/admin.mjs", "--base", s.URL, "--secret", secret, "--grid", "990001")
	t.Run("and redraw the grids", func(t *testing.T) { redraw(t, s, token) })
}

// redraw goes through a new boundary set in a browser (frontend/web/e2e/grids.mjs):
// its preview, its enactment, its undoing. Two grids of a village have changed their
// codes, so that an open incident in one of them moves to the other and back;
// another set has a fault to be seen.
func redraw(t *testing.T, s *server, token string) {
	var village struct {
		Items []struct {
			Code  string
			Label [2]float64
		}
	}
	s.getJSON("/api/v1/grids?level=4", token, &village)
	if len(village.Items) != 8 {
		t.Fatalf("%d grids of level 4", len(village.Items))
	}
	one, two := village.Items[0], village.Items[1]
	body := fmt.Sprintf(`{"category":"0301","title":"消防通道被占","location":{"lon":%f,"lat":%f,"crs":"wgs84"}}`, one.Label[0], one.Label[1])
	status, raw := s.call("POST", s.URL+"/api/v1/incidents", token, body, "Idempotency-Key: moves")
	var incident struct{ ID string }
	if err := json.Unmarshal(raw, &incident); status != 201 || err != nil {
		t.Fatalf("report: %d %s", status, raw)
	}
	filed := func() string {
		var now struct{ Grid store.GridPath }
		s.getJSON("/api/v1/incidents/"+incident.ID, token, &now)
		return now.Grid.Path[len(now.Grid.Path)-1].Code
	}
	status, raw = s.call("GET", s.URL+"/api/v1/grids", token, "", "Accept: application/geo+json")
	if status != 200 {
		t.Fatalf("grids: %d %s", status, raw)
	}
	swapped := strings.NewReplacer(quoted(one.Code), quoted(two.Code), quoted(two.Code), quoted(one.Code)).Replace(string(raw))
	s.draft("swapped", swapped)
	s.draft("faulty", lacking(t, swapped, two.Code))
	link := regexp.MustCompile(`http://\S+#invite=\S+`).FindString(s.cli("user", "add", "--login", "redrawer", "--role", "system_admin"))

	args := []string{"--base", s.URL, "--link", link, "--swapped", "2", "--faulty", "3", "--from", one.Code, "--to", two.Code}
	if soak() {
		args = append(args, "--large")
	}
	walk(t, "e2e/grids.mjs", args...)
	if at := filed(); at != one.Code {
		t.Errorf("after the undoing the incident lies in %s, not in %s", at, one.Code)
	}
	_, raw = s.call("GET", s.URL+"/api/v1/incidents/"+incident.ID+"/journal", token, "")
	if n := strings.Count(string(raw), two.Code); n == 0 {
		t.Errorf("the incident's journal does not know that it lay in %s: %s", two.Code, raw)
	}
}

func quoted(code string) string { return `"` + code + `"` }

// draft imports a boundary set and leaves it a draft.
func (s *server) draft(name, features string) {
	s.t.Helper()
	file := filepath.Join(s.t.TempDir(), name+".geojson")
	if err := os.WriteFile(file, []byte(features), 0o600); err != nil {
		s.t.Fatal(err)
	}
	s.cli("import", "grids", "--crs", "wgs84", "--note", name, file)
}

// lacking is a boundary set without one of its grids: a gap.
func lacking(t *testing.T, features, code string) string {
	t.Helper()
	c, err := geojson.UnmarshalFeatureCollection([]byte(features))
	if err != nil {
		t.Fatal(err)
	}
	c.Features = slices.DeleteFunc(c.Features, func(f *geojson.Feature) bool { return f.Properties["code"] == code })
	raw, err := c.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// walk runs a script that goes through pages in a browser and prints one line of
// JSON for each check, the last of them "walk".
func walk(t *testing.T, script string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	start := time.Now()
	cmd := exec.CommandContext(ctx, "node", append([]string{script, "--out", t.ArtifactDir(), "--chromium", chromium()}, args...)...)
	cmd.Dir = webFolder
	if flag.Lookup("test.artifacts").Value.String() != "true" {
		cmd.Env = append(os.Environ(), "ONEMAP_PICTURES=0") // nobody would see them
	}
	cmd.WaitDelay = 5 * time.Second
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	last := answer{}
	for line := range strings.Lines(string(out)) {
		last = answer{}
		if json.Unmarshal([]byte(line), &last) != nil {
			last = answer{Check: "a line that is no answer", Detail: line}
		}
		if last.OK {
			t.Logf("%s: %s", last.Check, last.Detail)
		} else {
			t.Errorf("failed: %s: %s", last.Check, last.Detail)
		}
	}
	if err != nil || last.Check != "walk" {
		t.Errorf("the walk ended early, at %q: %v\n%s", last.Check, err, said.String())
	}
	t.Logf("the walk took %s", time.Since(start).Round(100*time.Millisecond))
}
