// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"onemap/internal/localpg"
)

// What is seeded, and must come out nowhere but where it is revealed.
const (
	birdName     = "金丝雀"
	birdPassword = "Canary-password-7391"
	birdPIN      = "73916482"
	birdSecret   = "abcdefghijklmnopqrstuvwxyz234567" // as long as every secret the product makes
)

// telling says what a run of letters and digits is, when it is something that no
// answer may hold: a mobile number or the number of an identity card.
func telling(word []byte) string {
	digits := len(word)
	for i, c := range word {
		if c < '0' || c > '9' {
			digits = i
			break
		}
	}
	switch {
	case len(word) == 11 && digits == 11 && word[0] == '1' && word[1] >= '3':
		return "a mobile number"
	case len(word) == 18 && digits >= 17 && (string(word[6:8]) == "19" || string(word[6:8]) == "20") && string(word[10:12]) <= "12" && string(word[12:14]) <= "31":
		return "a number of an identity card"
	}
	return ""
}

func isWord(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// words calls f with every run of letters and digits that is no fraction.
func words(b []byte, f func([]byte)) {
	for i := 0; i < len(b); {
		if !isWord(b[i]) {
			i++
			continue
		}
		j := i
		for j < len(b) && isWord(b[j]) {
			j++
		}
		if i == 0 || b[i-1] != '.' {
			f(b[i:j])
		}
		i = j
	}
}

// scanner looks through everything the server sends for what nobody may be sent.
type scanner struct {
	mu      sync.Mutex
	secrets map[string]bool
	hits    map[string]string // by what was asked: the first hit
	n       int
}

func newScanner() *scanner { return &scanner{secrets: map[string]bool{}, hits: map[string]string{}} }

// forbid adds a secret that no answer may repeat.
func (s *scanner) forbid(secret string) {
	s.mu.Lock()
	s.secrets[secret] = true
	s.mu.Unlock()
}

func (s *scanner) answers() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.n
}

// answer scans body and headers. revealed lets personal fields pass, handsOut a
// secret just made.
func (s *scanner) answer(what string, a answer, revealed, handsOut bool) {
	var head bytes.Buffer
	_ = a.header.Write(&head)
	s.bytes(what+" headers", head.Bytes(), false)
	if !bytes.HasPrefix(a.body, []byte{0x1f, 0x8b}) {
		s.text(what, a.body, revealed, handsOut)
	}
}

func (s *scanner) bytes(what string, b []byte, revealed bool) { s.text(what, b, revealed, false) }

func (s *scanner) text(what string, b []byte, revealed, handsOut bool) {
	hit := ""
	if !revealed && bytes.Contains(b, []byte(birdName)) {
		hit = birdName
	}
	if bytes.Contains(b, []byte(birdPassword)) || bytes.Contains(b, []byte(birdPIN)) {
		hit = "a password or PIN"
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.n++
	words(b, func(w []byte) {
		if len(w) == len(birdSecret) && !handsOut && s.secrets[string(w)] {
			hit = "a secret"
		}
		if t := telling(w); t != "" && !revealed {
			hit = t + " " + string(w)
		}
	})
	if hit != "" && s.hits[what] == "" {
		s.hits[what] = fmt.Sprintf("%s in %.300s", hit, b)
	}
}

// checkCanaries looks for every canary in the answers so far, in the log, in the metrics and in a dump.
func (w *world) checkCanaries(t *testing.T) {
	needles := map[string]string{birdName: "a name", birdPassword: "the password", birdPIN: "the PIN"}
	for _, m := range w.incidents {
		needles[m.reporter[1]], needles[m.reporter[2]] = "a reporter's phone", "a reporter's id number"
	}
	for _, h := range w.workers {
		needles[h.phone] = "a worker's phone"
	}
	for _, c := range w.tenants {
		needles[c.phone] = "a contact's phone"
	}
	for s := range w.scan.secrets {
		needles[s] = "a token"
	}
	for what, s := range w.secrets {
		needles[s] = what
	}
	look := func(where string, b []byte) {
		found := 0
		for n, what := range needles {
			if i := bytes.Index(b, []byte(n)); i >= 0 {
				if found++; found <= 5 {
					t.Errorf("%s holds %s: ...%s...", where, what, b[max(0, i-100):min(len(b), i+100)])
				}
			}
		}
	}
	log := []byte(w.log.String())
	if len(log) < 100 {
		t.Error("no log was caught")
	}
	look("the log", log)
	rec := httptest.NewRecorder()
	w.s.adminHandler().ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "http://127.0.0.1:9090/metrics", nil))
	if rec.Code != 200 || rec.Body.Len() < 100 {
		t.Errorf("metrics: %d", rec.Code)
	}
	look("the metrics", rec.Body.Bytes())
	dump := w.dump(t)
	if !bytes.Contains(dump, []byte(w.incidents[0].title)) || !bytes.Contains(dump, []byte("reporter")) {
		t.Errorf("the dump of %d bytes is none", len(dump))
	}
	look("the dump", dump)
	w.scan.mu.Lock()
	defer w.scan.mu.Unlock()
	n := 0
	for what, hit := range w.scan.hits {
		if n++; n <= 20 {
			t.Errorf("%s: %s", what, hit)
		}
	}
	if n > 20 {
		t.Errorf("... and %d more answers", n-20)
	}
	t.Logf("%d answers, tiles and frames, %d bytes of log, %d of dump: %d needles", w.scan.n, len(log), len(dump), len(needles))
}

// dump is the whole database as text.
func (w *world) dump(t *testing.T) []byte {
	t.Helper()
	tool, err := localpg.Tool("pg_dump", 15)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	super, err := localpg.AsSuperuser(w.url)
	if err != nil {
		t.Fatal(err)
	}
	var first error
	for _, url := range []string{w.url, super} {
		cmd := exec.CommandContext(ctx, tool, "--dbname", url)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err == nil {
			return out
		}
		first = fmt.Errorf("%w: %w: %s", first, err, stderr.String())
	}
	t.Fatal(first)
	return nil
}

// signSomebodyIn makes an account, takes its invitation up, signs in with a second
// factor, sets a PIN, locks and opens the desk, and signs out. What was
// secret in it is looked for later.
func (w *world) signSomebodyIn(t *testing.T) {
	sys, sec := w.named("system admin").token, w.named("security admin").token
	do := func(want int, method, path, token, body string, headers ...string) answer {
		a := w.call(method, path, token, body, headers...)
		if a.status != want {
			t.Errorf("%s %s: %d, want %d: %.300s", method, path, a.status, want, a.body)
		}
		return a
	}
	var made struct {
		Account struct{ ID json.RawMessage }
		Invite  struct{ Link string }
	}
	a := do(201, "POST", "/api/v1/accounts", sys, `{"login":"canary.person"}`)
	if err := json.Unmarshal(a.body, &made); err != nil {
		t.Errorf("%v in %s", err, a.body)
		return
	}
	id := strings.Trim(string(made.Account.ID), `"`)
	do(201, "POST", "/api/v1/accounts/"+id+"/grants", sec, `{"role":"dispatcher","grid":"P","reason":"`+goodReason+`"}`)
	_, code, _ := strings.Cut(made.Invite.Link, "#invite=")
	origin := "Origin: " + w.stand.url
	var taken struct {
		SecondFactor struct{ Secret string } `json:"second_factor"`
	}
	a = do(200, "POST", "/api/v1/invitations/redeem", "", `{"code":"`+code+`","password":"`+birdPassword+`"}`, origin)
	if err := json.Unmarshal(a.body, &taken); err != nil {
		t.Errorf("%v in %s", err, a.body)
		return
	}
	now, err := totp.GenerateCode(taken.SecondFactor.Secret, time.Now())
	if err != nil {
		t.Errorf("second factor: %v", err)
	}
	w.scan.answer("a wrong password", do(401, "POST", "/api/v1/session", "", `{"login":"canary.person","password":"`+birdPassword+`!"}`, origin), false, false)
	a = do(200, "POST", "/api/v1/session", "", `{"login":"canary.person","password":"`+birdPassword+`","totp":"`+now+`"}`, origin)
	cookie, _, _ := strings.Cut(a.header.Get("Set-Cookie"), ";")
	_, session, _ := strings.Cut(cookie, "=")
	w.scan.text("signing in", a.body, false, false)
	own := "Cookie: " + cookie
	for _, c := range []struct {
		want         int
		method, path string
		body         string
	}{
		{200, "GET", "/api/v1/session", ""},
		{204, "PUT", "/api/v1/session/pin", `{"password":"` + birdPassword + `","pin":"` + birdPIN + `"}`},
		{204, "POST", "/api/v1/session/lock", ""},
		{200, "GET", "/api/v1/incidents", ""},
		{423, "POST", "/api/v1/incidents", `{"category":"0501","title":"x","location":{"lon":107.05,"lat":38.1,"crs":"wgs84"}}`},
		{403, "POST", "/api/v1/session/unlock", `{"pin":"0000"}`},
		{204, "POST", "/api/v1/session/unlock", `{"pin":"` + birdPIN + `"}`},
		{204, "DELETE", "/api/v1/session", ""},
		{401, "GET", "/api/v1/session", ""},
	} {
		a := do(c.want, c.method, c.path, "", c.body, own, origin)
		w.scan.answer("own session "+c.method+" "+c.path, a, false, false)
	}
	for _, path := range []string{"/api/v1/accounts", "/api/v1/credentials", "/api/v1/audit"} {
		w.scan.answer(path, do(200, "GET", path, w.named("auditor").token, ""), false, false)
	}
	secrets := map[string]string{"the invitation's code": code, "the second factor's key": taken.SecondFactor.Secret, "the session's cookie": session}
	for what, s := range secrets {
		if len(s) < 16 {
			t.Errorf("%s is %q", what, s)
			delete(secrets, what)
		}
	}
	w.secrets = secrets
}
