// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"
)

// naughty are texts that a page must not take for a part of itself.
var naughty = []string{
	`<script>alert(1)</script>`,
	`<img src=x onerror=alert(2)>`,
	`"><svg onload=alert(3)>`,
	`{{constructor.constructor('alert(4)')()}}`,
	`</span><b data-x=1>甲</b><iframe src=javascript:alert(5)>`,
}

// TestWhatSomebodyTypedIsTextOnEveryPage names grids, notes and reasons so, and
// opens the pages that show them.
func TestWhatSomebodyTypedIsTextOnEveryPage(t *testing.T) {
	needBrowser(t)
	s := serve(t, dataFolder(t))
	s.naughtyGrids()
	op := s.cli("token", "create", "--role", "hall_operator")
	eventually(t, "grids on the server", 10*time.Second, func() bool {
		_, raw := s.call("GET", s.URL+"/api/v1/grids?level=2", op, "")
		return strings.Contains(string(raw), "onerror")
	})
	for i, text := range naughty { // one in each town
		body, _ := json.Marshal(map[string]any{"category": "0301", "title": text, "text": text, "address": text, "location": map[string]any{"lon": 107.1 + 0.2*float64(i), "lat": 38.2, "crs": "wgs84"}})
		if status, raw := s.call("POST", s.URL+"/api/v1/incidents", op, string(body)); status != 201 {
			t.Fatalf("%d %s", status, raw)
		}
	}
	cookie := s.administrator()
	as := func(method, path, body string) (int, []byte) {
		return s.call(method, s.URL+path, "", body, "Cookie: "+cookie, "Origin: "+s.URL)
	}
	for _, text := range naughty {
		note, _ := json.Marshal(map[string]any{"role": "dispatcher", "note": text})
		status, raw := as("POST", "/api/v1/tokens", string(note))
		var made struct{ ID string }
		if err := json.Unmarshal(raw, &made); status != 201 || err != nil {
			t.Fatalf("token: %d %s", status, raw)
		}
		if status, raw := as("POST", "/api/v1/tokens", string(note)); status != 201 { // this one is revoked, the first stays
			t.Fatalf("token: %d %s", status, raw)
		}
		if status, raw := as("DELETE", "/api/v1/credentials/"+made.ID+"?reason="+url.QueryEscape(text), ""); status != 204 {
			t.Fatalf("revoke: %d %s", status, raw)
		}
	}
	link := regexp.MustCompile(`http://\S+/wall#code=\S+`).FindString(s.cli("wall", "link", "--name", "hall-1", "--url", s.URL))
	args := []string{"e2e/xss.mjs", "--base", s.URL, "--link", link, "--cookie", cookie, "--chromium", chromium()}
	for _, text := range naughty {
		args = append(args, "--wall", text, "--admin", text)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", args...)
	cmd.Dir = webFolder
	out, err := cmd.Output()
	checks := 0
	for line := range strings.Lines(string(out)) {
		var a answer
		if json.Unmarshal([]byte(line), &a) != nil || !a.OK {
			t.Errorf("failed: %s", line)
		}
		checks++
	}
	if err != nil || checks < 20 {
		t.Errorf("%d checks, %v", checks, err)
	}
}

// naughtyGrids brings in a county of five towns in a row.
func (s *server) naughtyGrids() {
	s.t.Helper()
	var features []string
	add := func(code, parent, name string, level int, x0, x1 float64) {
		var ring []string
		for x := x0; x < x1-0.01; x += 0.2 { // the county has the corners of its towns
			ring = append(ring, fmt.Sprintf("[%.1f,38]", x))
		}
		ring = append(ring, fmt.Sprintf("[%.1f,38]", x1))
		for x := x1; x > x0+0.01; x -= 0.2 {
			ring = append(ring, fmt.Sprintf("[%.1f,38.5]", x))
		}
		ring = append(ring, fmt.Sprintf("[%.1f,38.5]", x0), ring[0])
		p, _ := json.Marshal(map[string]any{"code": code, "name": name, "parent": parent, "level": level})
		features = append(features, fmt.Sprintf(`{"type":"Feature","properties":%s,"geometry":{"type":"Polygon","coordinates":[[%s]]}}`, p, strings.Join(ring, ",")))
	}
	add("990001", "", naughty[0], 1, 107, 108)
	for i, name := range naughty {
		add(fmt.Sprintf("99000100%d", i+1), "990001", name, 2, 107+0.2*float64(i), 107.2+0.2*float64(i))
	}
	file := filepath.Join(s.t.TempDir(), "grids.geojson")
	if err := os.WriteFile(file, []byte(`{"type":"FeatureCollection","features":[`+strings.Join(features, ",")+`]}`), 0o600); err != nil {
		s.t.Fatal(err)
	}
	s.cli("import", "grids", "--crs", "wgs84", "--enact", file)
}

// administrator makes a security administrator and returns the cookie of its
// session.
func (s *server) administrator() string {
	s.t.Helper()
	const password = "a long enough one 7"
	said := s.cli("user", "add", "--login", "sec.one", "--role", "security_admin", "--url", s.URL)
	code := regexp.MustCompile(`#invite=(\S+)`).FindStringSubmatch(said)
	if code == nil {
		s.t.Fatalf("no invitation in %s", said)
	}
	status, raw := s.call("POST", s.URL+"/api/v1/invitations/redeem", "", `{"code":"`+code[1]+`","password":"`+password+`"}`)
	var taken struct {
		SecondFactor struct{ Secret string } `json:"second_factor"`
	}
	if err := json.Unmarshal(raw, &taken); status != 200 || err != nil {
		s.t.Fatalf("redeem: %d %s", status, raw)
	}
	now, err := totp.GenerateCode(taken.SecondFactor.Secret, time.Now())
	if err != nil {
		s.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(s.t.Context(), "POST", s.URL+"/api/v1/session", strings.NewReader(`{"login":"sec.one","password":"`+password+`","totp":"`+now+`"}`))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := s.http.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	_ = res.Body.Close()
	for _, c := range res.Cookies() {
		if c.Value != "" {
			return c.Name + "=" + c.Value
		}
	}
	s.t.Fatalf("sign-in: %d", res.StatusCode)
	return ""
}
