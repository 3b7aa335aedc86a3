// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/pquerna/otp/totp"

	"onemap/api"
	"onemap/auth"
	"onemap/store"
)

const goodPassword = "correct horse battery"

// patient limits let a test sign in as often as it likes.
var patient = api.Limits{LoginsPerMinute: 1000, AddressLoginsPerMinute: 1000}

// testClock is a server's time, moved by hand.
type testClock struct {
	mu sync.Mutex
	at time.Time
}

func (c *testClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *testClock) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// standWith is a stand with options of its own, on a database that prepare has
// changed before it starts.
func standWith(t *testing.T, o Options, prepare ...string) *stand {
	t.Helper()
	first := newStand(t)
	for _, sql := range append(prepare, "DELETE FROM setting WHERE key = 'seal_key'") { // it starts with a key of its own
		first.change(sql)
	}
	o.DatabaseURL = first.s.o.DatabaseURL
	if err := first.s.Stop(context.Background()); err != nil {
		t.Fatal(err)
	}
	return startStand(t, o)
}

// change changes the database behind the server's back.
func (st *stand) change(sql string, args ...any) {
	st.t.Helper()
	if _, err := st.s.db.Pool.Exec(st.t.Context(), sql, args...); err != nil {
		st.t.Fatalf("%s: %v", sql, err)
	}
}

// desk is a browser at an address, with the cookie it was given.
type desk struct {
	st     *stand
	from   string
	cookie string
}

func (st *stand) deskAt(from string) *desk { return &desk{st: st, from: from} }

// at is the same cookie at another address.
func (d *desk) at(from string) *desk { return &desk{d.st, from, d.cookie} }

func (d *desk) call(method, path, body string, headers ...string) answer {
	d.st.t.Helper()
	dial := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(d.from)}, Timeout: 10 * time.Second}
	tr := &http.Transport{DialContext: dial.DialContext, DisableKeepAlives: true}
	req, err := http.NewRequestWithContext(d.st.t.Context(), method, d.st.url+path, strings.NewReader(body))
	if err != nil {
		d.st.t.Fatal(err)
	}
	req.Header.Set("Origin", d.st.url)
	if d.cookie != "" {
		req.Header.Set("Cookie", d.cookie)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for _, h := range headers {
		k, v, _ := strings.Cut(h, ": ")
		req.Header.Set(k, v)
	}
	res, err := (&http.Client{Transport: tr, Timeout: 20 * time.Second}).Do(req)
	if err != nil {
		d.st.t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		d.st.t.Fatal(err)
	}
	a := answer{res.StatusCode, res.Header, raw}
	if c := a.header.Get("Set-Cookie"); c != "" && a.status < 300 {
		d.cookie, _, _ = strings.Cut(c, ";")
	}
	return a
}

// want calls and demands a status.
func (d *desk) want(status int, method, path, body string) answer {
	d.st.t.Helper()
	a := d.call(method, path, body)
	if a.status != status {
		d.st.t.Fatalf("%s %s %s: %d, want %d: %s", method, path, body, a.status, status, a.body)
	}
	return a
}

// live opens the stream with the desk's cookie.
func (d *desk) live() *live {
	d.st.t.Helper()
	dial := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(d.from)}}
	ws := websocket.Dialer{Subprotocols: []string{"onemap.v1"}, HandshakeTimeout: 10 * time.Second, NetDialContext: dial.DialContext}
	c, res, err := ws.DialContext(d.st.t.Context(), "ws"+strings.TrimPrefix(d.st.url, "http")+"/api/v1/live", http.Header{"Cookie": {d.cookie}, "Origin": {d.st.url}})
	if err != nil {
		d.st.t.Fatalf("%v (%v)", err, res)
	}
	d.st.t.Cleanup(func() { _ = c.Close() })
	if err := c.WriteMessage(websocket.TextMessage, []byte(`{"type":"hello","topics":["events"]}`)); err != nil {
		d.st.t.Fatal(err)
	}
	return &live{t: d.st.t, c: c}
}

// closed waits for the socket's end, at most 5 s, and returns the close code.
func (l *live) closed() int {
	l.t.Helper()
	_ = l.c.SetReadDeadline(time.Now().Add(5 * time.Second))
	for {
		_, _, err := l.c.ReadMessage()
		var ce *websocket.CloseError
		if errors.As(err, &ce) {
			return ce.Code
		}
		if err != nil {
			l.t.Fatalf("the socket is still open after 5 s: %v", err)
		}
	}
}

// someone is an account whose password and second factor the test knows.
type someone struct {
	id     int64
	login  string
	secret string // of the second factor
}

// clerk makes an account with an active grant straight in the database.
func (st *stand) clerk(login string, role auth.Role, gridCode string, worker uint32) *someone {
	st.t.Helper()
	ctx, s := st.t.Context(), st.s
	hash, err := auth.HashPassword(goodPassword, rndReader{})
	if err != nil {
		st.t.Fatal(err)
	}
	who := &someone{login: login, secret: "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"}
	tx, err := s.db.Pool.Begin(ctx)
	if err != nil {
		st.t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(ctx) }()
	if who.id, err = store.CreateAccount(ctx, tx, login, worker, "test"); err != nil {
		st.t.Fatal(err)
	}
	sealed, err := s.seal.Seal(store.TOTPField(who.id), who.secret)
	if err == nil {
		err = store.TakeUp(ctx, tx, who.id, store.Secrets{Password: hash, TOTP: sealed})
	}
	g := store.Grant{Role: role, GridCode: gridCode, ProposedBy: "test:1", SecurityBy: "test:1"}
	if store.TwoAgree(role) {
		g.SystemBy = "test:2"
	}
	if err == nil && role != "" {
		if err = store.CheckGrant(ctx, tx, &g, "", worker); err == nil {
			g.Account = who.id
			_, err = store.SaveGrant(ctx, tx, g, s.o.Now())
		}
	}
	if err == nil {
		err = tx.Commit(ctx)
	}
	if err != nil {
		st.t.Fatal(err)
	}
	return who
}

// rndReader is salt for a test.
type rndReader struct{}

func (rndReader) Read(b []byte) (int, error) { return copy(b, "0123456789abcdef0123456789abcdef"), nil }

func (w *someone) code(t testing.TB, now time.Time) string {
	t.Helper()
	code, err := totp.GenerateCode(w.secret, now)
	if err != nil {
		t.Fatal(err)
	}
	return code
}

// signIn signs somebody in at a new desk, with the second factor.
func (st *stand) signIn(w *someone, from string) *desk {
	st.t.Helper()
	d := st.deskAt(from)
	a := d.call("POST", "/api/v1/session", fmt.Sprintf(`{"login":%q,"password":%q,"totp":%q}`, w.login, goodPassword, w.code(st.t, st.s.o.Now())))
	if a.status != 200 || d.cookie == "" {
		st.t.Fatalf("%s can't sign in: %d %s", w.login, a.status, a.body)
	}
	return d
}

func (w *someone) path(rest string) string { return fmt.Sprintf("/api/v1/accounts/%d%s", w.id, rest) }

// account reads one account as an administrator sees it; nil when it is not shown.
func (d *desk) account(login string) map[string]any {
	d.st.t.Helper()
	for _, x := range d.want(200, "GET", "/api/v1/accounts", "").json2(d.st.t)["items"].([]any) {
		if m := x.(map[string]any); m["login"] == login {
			return m
		}
	}
	return nil
}

func (a answer) json2(t testing.TB) map[string]any {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal(a.body, &v); err != nil {
		t.Fatalf("%v in %s", err, a.body)
	}
	return v
}

// shared is a writer that may be read while it is written.
type shared struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *shared) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *shared) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func codeOf(t testing.TB, link string) string {
	t.Helper()
	_, code, ok := strings.Cut(link, "/admin#invite=")
	if !ok {
		t.Fatalf("no invitation: %s", link)
	}
	return code
}

func TestFromTheFirstStartToADispatcher(t *testing.T) {
	var out shared
	clock := &testClock{at: time.Now()}
	st := standWith(t, Options{Limits: patient, Out: &out, Now: clock.now}, "DELETE FROM credential")
	_, rest, _ := strings.Cut(out.String(), "shown only now:\n")
	secret, _, _ := strings.Cut(strings.TrimSpace(rest), "\n")
	if !strings.Contains(out.String(), st.url+"/admin#first") || len(secret) < 20 {
		t.Fatalf("the first start says %s", out.String())
	}
	nobody := st.deskAt("127.0.0.1")
	for body, status := range map[string]int{
		`{"code":"nonsense","login":"boss","password":"` + goodPassword + `"}`:                    401,
		`{"code":"` + secret + `","password":"` + goodPassword + `"}`:                             422,
		`{"code":"` + secret + `","login":"Boss","password":"` + goodPassword + `"}`:              422,
		`{"code":"` + secret + `","login":"boss","password":"short"}`:                             422,
		`{"code":"` + secret + `","login":"boss-of-all","password":"boss-of-all-2026"}`:           422,
		`{"code":"` + secret + `","login":"boss","password":"` + goodPassword + `","pin":"1111"}`: 422,
	} {
		nobody.want(status, "POST", "/api/v1/invitations/redeem", body)
	}
	// Eight tries at once: one of them makes the administrator.
	answers := make([]answer, 8)
	var wg sync.WaitGroup
	for i := range answers {
		wg.Go(func() {
			answers[i] = st.deskAt("127.0.0.1").call("POST", "/api/v1/invitations/redeem", fmt.Sprintf(`{"code":%q,"login":"boss%d","password":%q}`, secret, i, goodPassword))
		})
	}
	wg.Wait()
	boss := &someone{}
	for _, a := range answers {
		switch a.status {
		case 200:
			v := a.json(t)
			factor := v["second_factor"].(map[string]any)
			if boss.login != "" || !strings.HasPrefix(factor["qr"].(string), "data:image/png;base64,") || !strings.HasPrefix(factor["uri"].(string), "otpauth://totp/") {
				t.Fatalf("%s", a.body)
			}
			boss.login, boss.secret = v["login"].(string), factor["secret"].(string)
		case 401, 503:
		default:
			t.Fatalf("%d %s", a.status, a.body)
		}
	}
	if n := st.count("SELECT count(*) FROM account"); boss.login == "" || n != 1 {
		t.Fatalf("%d accounts were made", n)
	}

	// Another first secret, left over in a log, is worth nothing any more.
	left := store.NewSecret()
	if _, err := st.s.db.SaveCredential(t.Context(), st.s.db.Pool, left, store.Credential{Kind: store.FirstSecret, Role: auth.SecurityAdmin}); err != nil {
		t.Fatal(err)
	}
	nobody.want(401, "POST", "/api/v1/invitations/redeem", fmt.Sprintf(`{"code":%q,"login":"second","password":%q}`, left, goodPassword))

	// The password alone does not do, nor a wrong code, nor the same code twice.
	signIn := func(d *desk, w *someone, code string) answer {
		return d.call("POST", "/api/v1/session", fmt.Sprintf(`{"login":%q,"password":%q,"totp":%q}`, w.login, goodPassword, code))
	}
	for _, code := range []string{"", "000000"} {
		if a := signIn(nobody, boss, code); a.status != 401 || a.json(t)["type"] != "second-factor" {
			t.Fatalf("code %q: %d %s", code, a.status, a.body)
		}
	}
	at := st.deskAt("127.0.0.1")
	a := signIn(at, boss, boss.code(t, clock.now()))
	if v := a.json(t); a.status != 200 || v["role"] != "security_admin" || v["login"] != boss.login || v["second_factor"] != true || v["pin"] != false || v["locked"] != false || v["expires"] == nil {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if c := a.header.Get("Set-Cookie"); !strings.HasPrefix(c, "onemap_session=") || !strings.Contains(c, "HttpOnly") || !strings.Contains(c, "SameSite=Strict") || !strings.Contains(c, "Path=/") {
		t.Errorf("cookie %s", c)
	}
	if again := signIn(st.deskAt("127.0.0.1"), boss, boss.code(t, clock.now())); again.status != 401 || again.json(t)["type"] != "second-factor" {
		t.Errorf("the same code twice: %d %s", again.status, again.body)
	}

	// A security administrator makes one system administrator, and no other account.
	at.want(403, "POST", "/api/v1/accounts", `{"login":"li"}`)
	at.want(403, "POST", "/api/v1/accounts", `{"login":"li","grant":{"role":"dispatcher"}}`)
	made := at.want(201, "POST", "/api/v1/accounts", `{"login":"root2","grant":{"role":"system_admin","reason":"runs the machine"}}`).json(t)
	at.want(403, "POST", "/api/v1/accounts", `{"login":"root3","grant":{"role":"system_admin"}}`)
	takeUp := func(link string) *someone {
		t.Helper()
		body := fmt.Sprintf(`{"code":%q,"password":%q,"pin":"2580"}`, codeOf(t, link), goodPassword)
		v := nobody.want(200, "POST", "/api/v1/invitations/redeem", body).json(t)
		nobody.want(401, "POST", "/api/v1/invitations/redeem", body)
		return &someone{login: v["login"].(string), secret: v["second_factor"].(map[string]any)["secret"].(string)}
	}
	root := takeUp(made["invite"].(map[string]any)["link"].(string))
	rootDesk := st.signIn(root, "127.0.0.1")

	// Who makes accounts gives no rights, and without a right nobody gets in.
	rootDesk.want(403, "POST", "/api/v1/accounts", `{"login":"zhang","grant":{"role":"dispatcher"}}`)
	made = rootDesk.want(201, "POST", "/api/v1/accounts", `{"login":"zhang"}`).json(t)
	rootDesk.want(409, "POST", "/api/v1/accounts", `{"login":"zhang"}`)
	rootDesk.want(422, "POST", "/api/v1/accounts", `{"login":"Zhang"}`)
	zhang := takeUp(made["invite"].(map[string]any)["link"].(string))
	if a := signIn(nobody, zhang, zhang.code(t, clock.now())); a.status != 401 || a.json(t)["type"] != "about:blank" {
		t.Fatalf("without a right: %d %s", a.status, a.body)
	}
	id := made["account"].(map[string]any)["id"].(string)
	rootDesk.want(403, "POST", "/api/v1/accounts/"+id+"/grants", `{"role":"dispatcher"}`)
	grant := at.want(201, "POST", "/api/v1/accounts/"+id+"/grants", `{"role":"dispatcher","grid":"C","sensitive":true,"reason":"night desk"}`).json(t)
	if grant["state"] != "active" || len(grant["needs"].([]any)) != 0 || grant["proposed_by"] != boss.login {
		t.Fatalf("%v", grant)
	}
	at.want(422, "POST", "/api/v1/accounts/"+id+"/grants", `{"role":"dispatcher","grid":"nowhere"}`)
	at.want(422, "POST", "/api/v1/accounts/"+id+"/grants", `{"role":"dept_handler"}`)
	at.want(422, "POST", "/api/v1/accounts/"+id+"/grants", `{"role":"dept_handler","department":"nowhere"}`)
	at.want(422, "POST", "/api/v1/accounts/"+id+"/grants", `{"role":"grid_worker","grid":"A1"}`)
	at.want(400, "POST", "/api/v1/accounts/"+id+"/grants", `{"role":"wall"}`)
	at.want(404, "POST", "/api/v1/accounts/9999/grants", `{"role":"dispatcher"}`)
	zhangDesk := st.signIn(zhang, "127.0.0.1")
	zhangDesk.want(200, "GET", "/api/v1/incidents", "")
	if v := zhangDesk.want(200, "GET", "/api/v1/session", "").json(t); v["role"] != "dispatcher" || v["lock_after_s"] != 600.0 || v["pin"] != true || v["grid"].(map[string]any)["code"] != "C" {
		t.Errorf("%v", v)
	}

	// Everything is in the audit log, and no secret and no name is.
	for _, action := range []string{"session.open", "session.failed", "account.create", "account.invite", "account.redeem", "grant.propose"} {
		if st.count("SELECT count(*) FROM audit_log WHERE action = $1", action) == 0 {
			t.Errorf("no %s in the audit log", action)
		}
	}
	for _, word := range []string{goodPassword, secret, boss.secret, zhang.secret, boss.login, "zhang", "2580", strings.TrimPrefix(zhangDesk.cookie, "onemap_session="), "argon2"} {
		if n := st.count("SELECT count(*) FROM audit_log l WHERE l::text LIKE '%' || $1 || '%'", word); n > 0 {
			t.Errorf("%d rows of the audit log hold %q", n, word)
		}
	}
}

func TestARefusedSignInTellsNothing(t *testing.T) {
	st := standWith(t, Options{Limits: patient})
	st.clerk("active", auth.HallOperator, "", 0)
	disabled, bare := st.clerk("disabled", auth.HallOperator, "", 0), st.clerk("bare", "", "", 0)
	st.clerk("dispatch", auth.Dispatcher, "", 0)
	st.change("UPDATE account SET state = 'disabled' WHERE id = $1", disabled.id)
	st.change("INSERT INTO account (login, created_by) VALUES ('invited', 'test')")
	var first answer
	for i, c := range []struct{ login, password string }{
		{"nobody-at-all", goodPassword},
		{"active", "wrong password"},
		{"dispatch", "wrong password"},
		{disabled.login, goodPassword},
		{bare.login, goodPassword},
		{"invited", goodPassword},
		{"'; DROP TABLE account; --", goodPassword},
		{"active", strings.Repeat("x", 500)},
	} {
		a := st.deskAt("127.0.0.1").call("POST", "/api/v1/session", fmt.Sprintf(`{"login":%q,"password":%q}`, c.login, c.password))
		if i == 0 {
			first = a
		}
		if a.status != 401 || !bytes.Equal(a.body, first.body) || len(a.header.Values("Set-Cookie")) > 0 {
			t.Errorf("%s: %d %s, the first %s", c.login, a.status, a.body, first.body)
		}
	}
	// The log tells of known and unknown logins alike, by no name, once a minute.
	if n := st.count("SELECT count(*) FROM audit_log WHERE action = 'session.failed'"); n != 7 {
		t.Errorf("%d failed tries in the audit log, want one for each of 7 logins", n)
	}
	for _, body := range []string{`{}`, `{"login":"active"}`, `{"code":"x","login":"active","password":"y"}`, `{"secret":"x"}`} {
		if a := st.deskAt("127.0.0.1").call("POST", "/api/v1/session", body); a.status != 400 {
			t.Errorf("%s: %d %s", body, a.status, a.body)
		}
	}
}

func TestGuessersAreSlowedDown(t *testing.T) {
	clock := &testClock{at: time.Now()}
	st := standWith(t, Options{Limits: api.Limits{AddressLoginsPerMinute: 12}, Now: clock.now})
	st.clerk("wang", auth.HallOperator, "", 0)
	try := func(from, login, password string) answer {
		return st.deskAt(from).call("POST", "/api/v1/session", fmt.Sprintf(`{"login":%q,"password":%q}`, login, password))
	}
	// Five a minute for a login, there or not, wherever they come from.
	for _, login := range []string{"wang", "nobody"} {
		for range 5 {
			if a := try("127.0.0.5", login, "wrong"); a.status != 401 {
				t.Fatalf("%s: %d %s", login, a.status, a.body)
			}
		}
		if a := try("127.0.0.6", login, goodPassword); a.status != 429 || a.header.Get("Retry-After") == "" {
			t.Errorf("%s: the sixth in a minute: %d %s", login, a.status, a.body)
		}
	}
	// Twelve a minute from an address, whatever the login.
	for i := range 2 {
		if a := try("127.0.0.5", fmt.Sprint("other", i), "wrong"); a.status != 401 {
			t.Fatalf("%d %s", a.status, a.body)
		}
	}
	if a := try("127.0.0.5", "another", "wrong"); a.status != 429 {
		t.Errorf("the thirteenth from an address: %d", a.status)
	}
	// After ten wrong ones in a row the login is shut at that address, and no other.
	clock.move(time.Minute)
	for range 5 {
		try("127.0.0.5", "wang", "wrong")
	}
	clock.move(2 * time.Minute)
	if a := try("127.0.0.5", "wang", goodPassword); a.status != 429 || a.header.Get("Retry-After") != "780" {
		t.Errorf("after ten wrong tries: %d, Retry-After %s", a.status, a.header.Get("Retry-After"))
	}
	if a := try("127.0.0.6", "wang", goodPassword); a.status != 200 {
		t.Errorf("at another address: %d %s", a.status, a.body)
	}
	clock.move(14 * time.Minute)
	if a := try("127.0.0.5", "wang", goodPassword); a.status != 200 {
		t.Errorf("after a quarter of an hour: %d %s", a.status, a.body)
	}
}

// TestABurstOfSignInsIsHeldBack: many at once wait or are told to come again; no
// more than two passwords are looked at together.
func TestABurstOfSignInsIsHeldBack(t *testing.T) {
	st := standWith(t, Options{Limits: patient})
	st.clerk("wang", auth.HallOperator, "", 0)
	var wg sync.WaitGroup
	var mu sync.Mutex
	seen := map[int]int{}
	for range 40 {
		wg.Go(func() {
			a := st.deskAt("127.0.0.1").call("POST", "/api/v1/session", fmt.Sprintf(`{"login":"wang","password":%q}`, goodPassword))
			mu.Lock()
			defer mu.Unlock()
			seen[a.status]++
			if a.status == 503 && a.header.Get("Retry-After") == "" {
				t.Error("503 does not say when to come again")
			}
		})
	}
	wg.Wait()
	if seen[200] < 8 || seen[200]+seen[503] != 40 {
		t.Errorf("answers %v", seen)
	}
}

func TestAStolenCookieIsWorthNothingElsewhere(t *testing.T) {
	st := standWith(t, Options{Limits: patient}, "INSERT INTO worker (badge) VALUES ('W1')",
		"INSERT INTO worker_grid (worker_id, grid_code) SELECT id, 'A1' FROM worker")
	d := st.signIn(st.clerk("wang", auth.HallOperator, "", 0), "127.0.0.1")
	d.want(200, "GET", "/api/v1/figures/today", "")
	thief := d.at("127.0.0.2")
	thief.want(401, "GET", "/api/v1/figures/today", "")
	thief.want(401, "GET", "/tiles/grids.json", "")
	thief.want(401, "POST", "/api/v1/session/alive", "")
	d.want(200, "GET", "/api/v1/figures/today", "")
	// A phone in the field changes its address all day.
	field := st.signIn(st.clerk("field", auth.GridWorker, "A1", 1), "127.0.0.1")
	field.at("127.0.0.2").want(200, "GET", "/api/v1/incidents", "")
	// What another site's page sends with the cookie changes nothing.
	if a := d.call("POST", "/api/v1/session/lock", "", "Origin: http://evil.example"); a.status != 403 {
		t.Errorf("another site locked the desk: %d", a.status)
	}
}

func TestRightsThatEndCloseSocketsAndSessions(t *testing.T) {
	clock := &testClock{at: time.Now()}
	st := standWith(t, Options{Limits: patient, Now: clock.now})
	admin := st.signIn(st.clerk("admin", auth.SecurityAdmin, "", 0), "127.0.0.1")
	wang := st.clerk("wang", auth.HallOperator, "", 0)
	grantOf := func() string {
		return admin.account("wang")["grant"].(map[string]any)["id"].(string)
	}

	d := st.signIn(wang, "127.0.0.1")
	socket := d.live()
	socket.next()
	admin.want(204, "DELETE", "/api/v1/grants/"+grantOf()+"?reason=left", "")
	if code := socket.closed(); code != 4001 {
		t.Errorf("a revoked grant closes with %d", code)
	}
	d.want(401, "GET", "/api/v1/figures/today", "")
	admin.want(404, "DELETE", "/api/v1/grants/9999", "")

	// Another role in the middle of a stream: the old session is over.
	admin.want(201, "POST", wang.path("/grants"), `{"role":"town_operator","grid":"A"}`)
	clock.move(time.Minute) // the code is another
	d = st.signIn(wang, "127.0.0.1")
	socket = d.live()
	socket.next()
	admin.want(201, "POST", wang.path("/grants"), `{"role":"town_operator","grid":"B"}`)
	socket.closed()
	d.want(401, "GET", "/api/v1/figures/today", "")
	clock.move(time.Minute)
	d = st.signIn(wang, "127.0.0.1")
	if v := d.want(200, "GET", "/api/v1/session", "").json(t); v["grid"].(map[string]any)["code"] != "B" {
		t.Errorf("after the change: %v", v)
	}
	if n := st.count("SELECT count(*) FROM account_grant WHERE account_id = $1 AND state = 'active'", wang.id); n != 1 {
		t.Errorf("%d active grants", n)
	}

	// A disabled account.
	socket = d.live()
	socket.next()
	admin.want(200, "POST", wang.path("/disable"), `{"reason":"left"}`)
	socket.closed()
	d.want(401, "GET", "/api/v1/session", "")
	admin.want(200, "POST", wang.path("/enable"), `{"reason":"back"}`)
	d.want(401, "GET", "/api/v1/session", "")

	// One session of two is ended by its number; the other goes on.
	clock.move(time.Minute)
	one := st.signIn(wang, "127.0.0.1")
	clock.move(time.Minute)
	two := st.signIn(wang, "127.0.0.2")
	socket = two.live()
	socket.next()
	var ended string
	for _, x := range admin.want(200, "GET", "/api/v1/credentials", "").json(t)["items"].([]any) {
		if c := x.(map[string]any); c["login"] == "wang" && c["kind"] == "session" && c["address"] == "127.0.0.2" {
			ended = c["id"].(string)
		}
	}
	admin.want(204, "DELETE", "/api/v1/credentials/"+ended+"?reason=lost", "")
	socket.closed()
	two.want(401, "GET", "/api/v1/session", "")
	one.want(200, "GET", "/api/v1/session", "")
	admin.want(404, "DELETE", "/api/v1/credentials/"+ended, "")

	// A token that is revoked, and one that runs out in the middle of a stream.
	var ids [2]string
	var tokens [2]string
	for i, life := range []int{3600, 60} {
		v := admin.want(201, "POST", "/api/v1/tokens", fmt.Sprintf(`{"role":"hall_operator","expires_s":%d,"note":"report door"}`, life)).json(t)
		ids[i], tokens[i] = v["id"].(string), v["token"].(string)
	}
	sockets := [2]*live{st.live(tokens[0], `{"type":"hello"}`), st.live(tokens[1], `{"type":"hello"}`)}
	sockets[0].next()
	sockets[1].next()
	admin.want(204, "DELETE", "/api/v1/credentials/"+ids[0], "")
	if code := sockets[0].closed(); code != 4001 || st.get("/api/v1/incidents", tokens[0]).status != 401 {
		t.Errorf("a revoked token: closed with %d", code)
	}
	clock.move(61 * time.Second)
	if code := sockets[1].closed(); code != 4001 || st.get("/api/v1/incidents", tokens[1]).status != 401 {
		t.Errorf("a token that ran out: closed with %d", code)
	}
}

func TestALockedDeskLooksOn(t *testing.T) {
	clock := &testClock{at: time.Now()}
	st := standWith(t, Options{Limits: patient, Now: clock.now})
	d := st.signIn(st.clerk("wang", auth.TownOperator, "A", 0), "127.0.0.1")
	for body, status := range map[string]int{
		`{"password":"wrong","pin":"2580"}`:                  403,
		`{"password":"` + goodPassword + `","pin":"12"}`:     422,
		`{"password":"` + goodPassword + `","pin":"123456"}`: 422,
	} {
		d.want(status, "PUT", "/api/v1/session/pin", body)
	}
	d.want(204, "PUT", "/api/v1/session/pin", `{"password":"`+goodPassword+`","pin":"2580"}`)
	incident := `{"category":"0301","title":"占道","location":{"lon":107.2,"lat":38.2,"crs":"wgs84"}}`
	path := d.want(201, "POST", "/api/v1/incidents", incident).header.Get("Location")

	looksOn := func() {
		t.Helper()
		for _, path := range []string{"/api/v1/figures/today", "/api/v1/incidents", path, "/api/v1/grids", "/tiles/grids.json", "/api/v1/session"} {
			d.want(200, "GET", path, "")
		}
		for _, r := range []struct{ method, path, body string }{
			{"POST", "/api/v1/incidents", incident},
			{"POST", path + "/actions", `{"action":"accept"}`},
			{"POST", path + "/reporters/1/reveal", `{"reason":"call back"}`},
			{"GET", path + "/reporters", ""},
			{"POST", "/api/v1/accounts", `{"login":"x1"}`},
			{"POST", "/api/v1/session/alive", ""},
			{"PUT", "/api/v1/session/pin", `{"password":"` + goodPassword + `","pin":"1357"}`},
			{"PUT", "/api/v1/session/password", `{"old":"` + goodPassword + `","new":"another good one"}`},
		} {
			d.want(423, r.method, r.path, r.body)
		}
		if v := d.want(200, "GET", "/api/v1/session", "").json(t); v["locked"] != true {
			t.Errorf("%v", v)
		}
	}
	socket := d.live()
	socket.next()
	d.want(204, "POST", "/api/v1/session/lock", "")
	looksOn()
	for i := 0; i < 3; { // the stream goes on
		if socket.any().Type == "tick" {
			i++
		}
	}
	d.want(400, "POST", "/api/v1/session/unlock", `{}`)
	d.want(403, "POST", "/api/v1/session/unlock", `{"pin":"0000"}`)
	d.want(204, "POST", "/api/v1/session/unlock", `{"pin":"2580"}`)
	d.want(201, "POST", "/api/v1/incidents", incident)

	// Ten minutes without an act lock it; looking on is no act.
	for range 3 {
		clock.move(9 * time.Minute)
		d.want(204, "POST", "/api/v1/session/alive", "")
	}
	for range 4 {
		clock.move(3 * time.Minute)
		d.want(200, "GET", "/api/v1/figures/today", "")
	}
	looksOn()
	d.want(204, "POST", "/api/v1/session/unlock", `{"password":"`+goodPassword+`"}`)
	d.want(201, "POST", "/api/v1/incidents", incident)

	// An administrator's locked session reads no accounts.
	admin := st.signIn(st.clerk("admin", auth.SecurityAdmin, "", 0), "127.0.0.1")
	admin.want(204, "POST", "/api/v1/session/lock", "")
	for _, path := range []string{"/api/v1/accounts", "/api/v1/credentials"} {
		admin.want(423, "GET", path, "")
	}
	admin.want(200, "GET", "/api/v1/session", "")

	// The fifth wrong PIN ends it, also when they come at once.
	d.want(204, "POST", "/api/v1/session/lock", "")
	var wg sync.WaitGroup
	var mu sync.Mutex
	seen := map[int]int{}
	for i := range 8 {
		wg.Go(func() {
			a := d.at(d.from).call("POST", "/api/v1/session/unlock", fmt.Sprintf(`{"pin":"000%d"}`, i))
			mu.Lock()
			defer mu.Unlock()
			seen[a.status]++
		})
	}
	wg.Wait()
	if seen[403] > 4 || seen[204] > 0 || seen[401] == 0 {
		t.Errorf("eight wrong PINs at once: %v", seen)
	}
	d.want(401, "POST", "/api/v1/session/unlock", `{"pin":"2580"}`)
	d.want(401, "GET", "/api/v1/figures/today", "")
	for _, action := range []string{"session.lock", "session.unlock", "session.close", "account.pin"} {
		if st.count("SELECT count(*) FROM audit_log WHERE action = $1", action) == 0 {
			t.Errorf("no %s in the audit log", action)
		}
	}
}

func TestOtherSessionsEndWhenNobodyUsesThem(t *testing.T) {
	clock := &testClock{at: time.Now()}
	st := standWith(t, Options{Limits: patient, Now: clock.now})
	d := st.signIn(st.clerk("head", auth.VillageHead, "A1", 0), "127.0.0.1")
	clock.move(29 * time.Minute)
	d.want(204, "POST", "/api/v1/session/alive", "")
	clock.move(29 * time.Minute)
	d.want(200, "GET", "/api/v1/incidents", "")
	clock.move(time.Minute)
	d.want(401, "GET", "/api/v1/incidents", "")
	// A shift is the longest a desk's session lasts, whoever sits there.
	d = st.signIn(st.clerk("wang", auth.HallOperator, "", 0), "127.0.0.1")
	for range 79 {
		clock.move(9 * time.Minute)
		d.want(204, "POST", "/api/v1/session/alive", "")
	}
	clock.move(9 * time.Minute)
	d.want(401, "POST", "/api/v1/session/alive", "")
}

func TestANewPasswordEndsTheOtherSessions(t *testing.T) {
	clock := &testClock{at: time.Now()}
	st := standWith(t, Options{Limits: patient, Now: clock.now})
	wang := st.clerk("wang", auth.HallOperator, "", 0)
	here := st.signIn(wang, "127.0.0.1")
	clock.move(time.Minute)
	there := st.signIn(wang, "127.0.0.2")
	socket := there.live()
	socket.next()
	set := func(status int, old, fresh string) {
		t.Helper()
		here.want(status, "PUT", "/api/v1/session/password", fmt.Sprintf(`{"old":%q,"new":%q}`, old, fresh))
	}
	set(403, "wrong", "a better password")
	set(422, goodPassword, "short")
	set(422, goodPassword, "1234567890")
	set(422, goodPassword, "wang is my name")
	there.want(200, "GET", "/api/v1/session", "")
	set(204, goodPassword, "a better password")
	socket.closed()
	there.want(401, "GET", "/api/v1/session", "")
	here.want(200, "GET", "/api/v1/session", "")
	clock.move(time.Minute)
	st.deskAt("127.0.0.1").want(401, "POST", "/api/v1/session", fmt.Sprintf(`{"login":"wang","password":%q,"totp":%q}`, goodPassword, wang.code(t, clock.now())))
	st.deskAt("127.0.0.1").want(200, "POST", "/api/v1/session", fmt.Sprintf(`{"login":"wang","password":"a better password","totp":%q}`, wang.code(t, clock.now())))
}

func TestTwoPeopleAgreeToALeader(t *testing.T) {
	clock := &testClock{at: time.Now()}
	st := standWith(t, Options{Limits: patient, Now: clock.now})
	sec1, sec2 := st.clerk("sec1", auth.SecurityAdmin, "", 0), st.clerk("sec2", auth.SecurityAdmin, "", 0)
	sys1, sys2 := st.clerk("sys1", auth.SystemAdmin, "", 0), st.clerk("sys2", auth.SystemAdmin, "", 0)
	leader, other := st.clerk("leader", "", "", 0), st.clerk("other", "", "", 0)
	sec1Desk, sec2Desk, sysDesk := st.signIn(sec1, "127.0.0.1"), st.signIn(sec2, "127.0.0.1"), st.signIn(sys1, "127.0.0.1")

	v := sec1Desk.want(201, "POST", leader.path("/grants"), `{"role":"county_leader","grid":"C","reason":"new leader"}`).json(t)
	if v["state"] != "proposed" || fmt.Sprint(v["needs"]) != "[system_admin]" {
		t.Fatalf("%v", v)
	}
	st.deskAt("127.0.0.1").want(401, "POST", "/api/v1/session", fmt.Sprintf(`{"login":"leader","password":%q}`, goodPassword))
	approval := "/api/v1/grants/" + v["id"].(string) + "/approval"
	sec1Desk.want(409, "POST", leader.path("/grants"), `{"role":"auditor"}`)
	sec1Desk.want(403, "POST", approval, `{}`)
	sec2Desk.want(409, "POST", approval, `{}`)
	sysDesk.want(404, "POST", "/api/v1/grants/9999/approval", `{}`)
	if a := st.call("POST", approval, st.token(auth.SystemAdmin, ""), `{}`); a.status != 403 {
		t.Errorf("a machine agreed: %d %s", a.status, a.body)
	}
	// The same person in the other role is no second person.
	sec2Desk.want(201, "POST", sec1.path("/grants"), `{"role":"system_admin"}`)
	sec1Desk.want(401, "GET", "/api/v1/session", "")
	clock.move(time.Minute)
	sec1Desk = st.signIn(sec1, "127.0.0.1")
	sec1Desk.want(403, "POST", approval, `{}`)
	if v := sysDesk.want(200, "POST", approval, `{"reason":"letter 12"}`).json(t); v["state"] != "active" {
		t.Fatalf("%v", v)
	}
	sysDesk.want(409, "POST", approval, `{}`)
	st.signIn(leader, "127.0.0.1").want(200, "GET", "/api/v1/incidents", "")

	// Nobody gives a right to themselves, alone or by another's hand.
	sec2Desk.want(403, "POST", sec2.path("/grants"), `{"role":"hall_operator"}`)
	v = sec2Desk.want(201, "POST", sys2.path("/grants"), `{"role":"auditor"}`).json(t)
	sys2Desk := st.signIn(sys2, "127.0.0.1")
	sys2Desk.want(403, "POST", "/api/v1/grants/"+v["id"].(string)+"/approval", `{}`)
	sec2Desk.want(403, "DELETE", "/api/v1/grants/"+sec2Desk.account("sec2")["grant"].(map[string]any)["id"].(string)+"?reason=x", "")
	// A proposed grant is withdrawn, and ends nobody's session.
	sec2Desk.want(204, "DELETE", "/api/v1/grants/"+v["id"].(string)+"?reason=mistake", "")
	sys2Desk.want(200, "GET", "/api/v1/accounts", "")
	sys2Desk.want(404, "POST", "/api/v1/grants/"+v["id"].(string)+"/approval", `{}`)
	// The roles of others: nobody else reaches these routes.
	desk := st.signIn(func() *someone {
		sec2Desk.want(201, "POST", other.path("/grants"), `{"role":"hall_operator"}`)
		return other
	}(), "127.0.0.1")
	for _, r := range []struct{ method, path, body string }{
		{"GET", "/api/v1/accounts", ""},
		{"POST", "/api/v1/accounts", `{"login":"x1"}`},
		{"POST", leader.path("/invite"), ""},
		{"POST", leader.path("/disable"), `{}`},
		{"POST", leader.path("/grants"), `{"role":"dispatcher"}`},
		{"POST", approval, `{}`},
		{"GET", "/api/v1/credentials", ""},
		{"POST", "/api/v1/tokens", `{"role":"hall_operator"}`},
		{"GET", "/api/v1/audit", ""},
		{"GET", "/api/v1/audit/seal", ""},
	} {
		desk.want(403, r.method, r.path, r.body)
	}
}

// TestANewInvitationGivesNoRight: a system administrator who hands out a way into
// an account does not thereby hand out what the account may do.
func TestANewInvitationGivesNoRight(t *testing.T) {
	clock := &testClock{at: time.Now()}
	st := standWith(t, Options{Limits: patient, Now: clock.now})
	sys := st.signIn(st.clerk("sys", auth.SystemAdmin, "", 0), "127.0.0.1")
	sec := st.signIn(st.clerk("sec", auth.SecurityAdmin, "", 0), "127.0.0.1")
	wang := st.clerk("wang", auth.HallOperator, "C", 0)
	d := st.signIn(wang, "127.0.0.1")
	sec.want(403, "POST", wang.path("/invite"), "")
	first := codeOf(t, sys.want(201, "POST", wang.path("/invite"), "").json(t)["link"].(string))
	second := codeOf(t, sys.want(201, "POST", wang.path("/invite"), "").json(t)["link"].(string))
	d.want(401, "GET", "/api/v1/session", "")
	body := `{"code":%q,"password":"a fresh password"}`
	d.want(401, "POST", "/api/v1/invitations/redeem", fmt.Sprintf(body, first))
	clock.move(72*time.Hour - time.Second)
	v := st.deskAt("127.0.0.1").want(200, "POST", "/api/v1/invitations/redeem", fmt.Sprintf(body, second)).json(t)
	wang.secret = v["second_factor"].(map[string]any)["secret"].(string)
	signIn := fmt.Sprintf(`{"login":"wang","password":"a fresh password","totp":%q}`, wang.code(t, clock.now()))
	st.deskAt("127.0.0.1").want(401, "POST", "/api/v1/session", signIn)
	sec = st.signIn(&someone{login: "sec", secret: "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"}, "127.0.0.1")
	account := sec.account("wang")
	if account["grant"] != nil || account["proposed"].(map[string]any)["role"] != "hall_operator" {
		t.Fatalf("%v", account)
	}
	sec.want(200, "POST", "/api/v1/grants/"+account["proposed"].(map[string]any)["id"].(string)+"/approval", `{"reason":"rang back"}`)
	st.deskAt("127.0.0.1").want(200, "POST", "/api/v1/session", signIn)
	// An old link is worth nothing.
	sys = st.signIn(&someone{login: "sys", secret: "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"}, "127.0.0.1")
	late := codeOf(t, sys.want(201, "POST", wang.path("/invite"), "").json(t)["link"].(string))
	clock.move(72 * time.Hour)
	st.deskAt("127.0.0.1").want(401, "POST", "/api/v1/invitations/redeem", fmt.Sprintf(body, late))
}

// TestANewInvitationTakesAgreementsBack: what others agreed to was for whoever had
// the account before, whether the grant is in force or waits.
func TestANewInvitationTakesAgreementsBack(t *testing.T) {
	st := standWith(t, Options{Limits: patient})
	sys := st.signIn(st.clerk("sys", auth.SystemAdmin, "", 0), "127.0.0.1")
	sys2 := st.signIn(st.clerk("sys2", auth.SystemAdmin, "", 0), "127.0.0.1")
	sec := st.signIn(st.clerk("sec", auth.SecurityAdmin, "", 0), "127.0.0.1")
	bare, desk := st.clerk("bare", "", "", 0), st.clerk("desk", auth.HallOperator, "C", 0)
	for _, w := range []*someone{bare, desk} {
		v := sec.want(201, "POST", w.path("/grants"), `{"role":"county_leader","grid":"C","reason":"new leader"}`).json(t)
		approval := "/api/v1/grants/" + v["id"].(string) + "/approval"
		sys.want(201, "POST", w.path("/invite"), "")
		// Who has the link is no longer the last one to agree.
		sys.want(403, "POST", approval, `{}`)
		account := sec.account(w.login)
		waits := account["proposed"].(map[string]any)
		if account["grant"] != nil || waits["id"] != v["id"] || waits["proposed_by"] != "sys" || fmt.Sprint(waits["needs"]) != "[security_admin system_admin]" {
			t.Errorf("%s after a new invitation: %v", w.login, account)
		}
		if n := st.count("SELECT count(*) FROM audit_log WHERE action = 'grant.propose' AND object = $1 AND reason = 'invited again'", "grant/"+v["id"].(string)); n != 1 {
			t.Errorf("%s: %d rows in the audit log", w.login, n)
		}
		sys2.want(200, "POST", approval, `{}`)
		if account := sec.account(w.login); account["grant"] != nil {
			t.Errorf("in force without a security administrator: %v", account)
		}
		if v := sec.want(200, "POST", approval, `{"reason":"rang back"}`).json(t); v["state"] != "active" {
			t.Errorf("%v", v)
		}
	}
}

// TestOnlyTheFirstSystemAdministratorIsMadeByOneWhoGrants: who disabled or revoked
// every system administrator does not choose the next one alone.
func TestOnlyTheFirstSystemAdministratorIsMadeByOneWhoGrants(t *testing.T) {
	st := standWith(t, Options{Limits: patient})
	sec := st.signIn(st.clerk("sec", auth.SecurityAdmin, "", 0), "127.0.0.1")
	const mine = `{"login":"mine","grant":{"role":"system_admin"}}`
	first := sec.want(201, "POST", "/api/v1/accounts", `{"login":"first","grant":{"role":"system_admin"}}`).json(t)["account"].(map[string]any)
	sec.want(200, "POST", "/api/v1/accounts/"+first["id"].(string)+"/disable", `{}`)
	sec.want(403, "POST", "/api/v1/accounts", mine)
	sec.want(204, "DELETE", "/api/v1/grants/"+first["grant"].(map[string]any)["id"].(string)+"?reason=x", "")
	sec.want(403, "POST", "/api/v1/accounts", mine)
	if n := st.count("SELECT count(*) FROM account WHERE login = 'mine'"); n != 0 {
		t.Error("an account was made")
	}
}

// TestATokenOfTheWebReadsNoPersonAndNoSensitiveCase: a security administrator reads
// no case, and does not by the token it makes.
func TestATokenOfTheWebReadsNoPersonAndNoSensitiveCase(t *testing.T) {
	st := standWith(t, Options{Limits: patient})
	sec := st.signIn(st.clerk("sec", auth.SecurityAdmin, "", 0), "127.0.0.1")
	sec.want(400, "POST", "/api/v1/tokens", `{"role":"hall_operator","sensitive":true}`)
	web := sec.want(201, "POST", "/api/v1/tokens", `{"role":"hall_operator"}`).json(t)["token"].(string)
	made := st.call("POST", "/api/v1/tokens", st.token(auth.SecurityAdmin, ""), `{"role":"hall_operator"}`)
	byToken := made.json(t)["token"].(string)
	here, err := api.MakeToken(t.Context(), st.s.db, auth.SystemActor("command line"), api.NewToken{Role: auth.HallOperator, Sensitive: true, Life: time.Hour}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	report := func(category string) string {
		t.Helper()
		a := st.call("POST", "/api/v1/incidents", here.Secret,
			fmt.Sprintf(`{"category":%q,"title":"占道","location":{"lon":107.2,"lat":38.2,"crs":"wgs84"},"reporter":{"name":"张三","phone":"13800001234"}}`, category))
		if a.status != 201 {
			t.Fatalf("%d %s", a.status, a.body)
		}
		return a.header.Get("Location")
	}
	var sensitive string
	if err := st.s.db.Pool.QueryRow(t.Context(), "SELECT code FROM category WHERE precision = 'none' AND code LIKE '____' ORDER BY code LIMIT 1").Scan(&sensitive); err != nil {
		t.Fatal(err)
	}
	open, hidden := report("0301"), report(sensitive)
	const why = `{"reason":"call back"}`
	for _, c := range []struct {
		what, method, path, body string
		machine, person          int
	}{
		{"a case", "GET", open, "", 200, 200},
		{"a sensitive case", "GET", hidden, "", 404, 200},
		{"masked reporters", "GET", open + "/reporters", "", 200, 200},
		{"a reporter", "POST", open + "/reporters/1/reveal", why, 403, 200},
		{"rows", "GET", "/api/v1/exports/incidents.csv?reason=call+back", "", 403, 200},
		{"a track", "GET", "/api/v1/workers/1/track?reason=call+back&from=2026-01-05T00:00:00Z&to=2026-01-05T01:00:00Z", "", 403, 404},
	} {
		for _, token := range []string{web, byToken} {
			if a := st.call(c.method, c.path, token, c.body); a.status != c.machine {
				t.Errorf("%s for a token of the web: %d %s", c.what, a.status, a.body)
			}
		}
		if a := st.call(c.method, c.path, here.Secret, c.body); a.status != c.person {
			t.Errorf("%s for a token of the machine: %d %s", c.what, a.status, a.body)
		}
	}
}

const otherCounty = `WITH v AS (INSERT INTO grid_version (root_code, made_up, state, enacted_at) VALUES ('D', true, 'enacted', now()) RETURNING id),
	n AS (SELECT nextval('grid_number')::int AS no)
	INSERT INTO grid (version_id, level, code, name, no, last_no, geom) SELECT v.id, 1, 'D', '邻县', n.no, n.no, ST_Multi(ST_MakeEnvelope(110, 40, 111, 41, 4326)) FROM v, n`

func TestATownInvitesItsOwnFieldWorkersOnly(t *testing.T) {
	st := standWith(t, Options{Limits: patient}, "INSERT INTO worker (badge) VALUES ('WA'), ('WB')",
		"INSERT INTO worker_grid (worker_id, grid_code) SELECT id, CASE badge WHEN 'WA' THEN 'A1' ELSE 'B1' END FROM worker")
	town := st.signIn(st.clerk("town", auth.TownOperator, "A", 0), "127.0.0.1")
	sec := st.signIn(st.clerk("sec", auth.SecurityAdmin, "", 0), "127.0.0.1")
	sys := st.signIn(st.clerk("sys", auth.SystemAdmin, "", 0), "127.0.0.1")
	far, near := st.clerk("far", auth.VillageHead, "B1", 0), st.clerk("near", auth.TownOperator, "A", 0)
	for body, status := range map[string]int{
		`{"login":"x1"}`: 422,
		`{"login":"x1","grant":{"role":"dispatcher","grid":"A"}}`:                 403,
		`{"login":"x1","grant":{"role":"town_operator","grid":"A"}}`:              403,
		`{"login":"x1","grant":{"role":"village_head"}}`:                          422,
		`{"login":"x1","grant":{"role":"village_head","grid":"C"}}`:               422,
		`{"login":"x1","grant":{"role":"grid_worker","grid":"A1"}}`:               422,
		`{"login":"x1","badge":"WB","grant":{"role":"grid_worker","grid":"A1"}}`:  422,
		`{"login":"x1","badge":"W99","grant":{"role":"grid_worker","grid":"A1"}}`: 422,
	} {
		town.want(status, "POST", "/api/v1/accounts", body)
	}
	beyond := town.want(422, "POST", "/api/v1/accounts", `{"login":"x1","grant":{"role":"village_head","grid":"B1"}}`)
	unknown := town.want(422, "POST", "/api/v1/accounts", `{"login":"x1","grant":{"role":"village_head","grid":"Z9"}}`)
	if !bytes.Equal(beyond.body, unknown.body) {
		t.Errorf("a neighbour's grid %s differs from an unknown one %s", beyond.body, unknown.body)
	}
	if n := st.count("SELECT count(*) FROM account WHERE login LIKE 'x%'"); n != 0 {
		t.Errorf("%d accounts of refused requests", n)
	}
	v := town.want(201, "POST", "/api/v1/accounts", `{"login":"li","badge":"WA","grant":{"role":"grid_worker","grid":"A1","reason":"new"}}`).json(t)
	account := v["account"].(map[string]any)
	if account["grant"] != nil || account["badge"] != "WA" || fmt.Sprint(account["proposed"].(map[string]any)["needs"]) != "[security_admin]" {
		t.Fatalf("%v", account)
	}
	proposed := account["proposed"].(map[string]any)["id"].(string)
	town.want(403, "POST", "/api/v1/grants/"+proposed+"/approval", `{}`)
	sys.want(409, "POST", "/api/v1/grants/"+proposed+"/approval", `{}`)
	sec.want(200, "POST", "/api/v1/grants/"+proposed+"/approval", `{}`)

	// What it does not reach looks as if it were not there.
	town.want(403, "GET", "/api/v1/accounts", "")
	a, b := town.want(404, "POST", far.path("/invite"), ""), town.want(404, "POST", "/api/v1/accounts/9999/invite", "")
	if !bytes.Equal(a.body, b.body) {
		t.Errorf("%s, %s", a.body, b.body)
	}
	town.want(403, "DELETE", "/api/v1/grants/"+sec.account("far")["grant"].(map[string]any)["id"].(string), "")
	town.want(403, "POST", near.path("/invite"), "") // a colleague's account is not a town's to take
	town.want(403, "POST", near.path("/disable"), `{}`)
	town.want(201, "POST", "/api/v1/accounts/"+account["id"].(string)+"/invite", "")
	town.want(403, "DELETE", "/api/v1/grants/"+sec.account("li")["proposed"].(map[string]any)["id"].(string), "")
}

func TestAnAdministratorOfOneCountyLeavesTheOtherAlone(t *testing.T) {
	st := standWith(t, Options{Limits: patient}, otherCounty)
	all, own := st.token(auth.SecurityAdmin, ""), st.token(auth.SecurityAdmin, "C")
	ours, theirs, global := st.clerk("ours", auth.HallOperator, "A", 0), st.clerk("theirs", auth.HallOperator, "D", 0), st.clerk("global", auth.HallOperator, "", 0)
	bare := st.clerk("bare", "", "", 0)
	st.change("UPDATE account SET root_code = 'C' WHERE id = $1", bare.id)
	send := func(status int, token, method, path, body string) answer {
		t.Helper()
		a := st.call(method, path, token, body)
		if a.status != status {
			t.Errorf("%s %s %s: %d, want %d: %s", method, path, body, a.status, status, a.body)
		}
		return a
	}
	list := string(send(200, own, "GET", "/api/v1/accounts", "").body)
	for login, want := range map[string]bool{"ours": true, "bare": true, "theirs": false, "global": false} {
		if strings.Contains(list, `"`+login+`"`) != want {
			t.Errorf("%s shown: %t; %s", login, !want, list)
		}
	}
	for _, w := range []*someone{theirs, global} {
		send(404, own, "POST", w.path("/grants"), `{"role":"dispatcher","grid":"C"}`)
		send(404, own, "POST", w.path("/disable"), `{}`)
	}
	unknown := send(422, own, "POST", bare.path("/grants"), `{"role":"dispatcher","grid":"Z9"}`)
	if beyond := send(422, own, "POST", bare.path("/grants"), `{"role":"dispatcher","grid":"D"}`); !bytes.Equal(beyond.body, unknown.body) {
		t.Errorf("%s, %s", beyond.body, unknown.body)
	}
	send(422, own, "POST", bare.path("/grants"), `{"role":"dispatcher"}`)
	send(422, own, "POST", "/api/v1/tokens", `{"role":"hall_operator"}`)
	send(422, own, "POST", "/api/v1/tokens", `{"role":"hall_operator","grid":"D"}`)
	send(422, own, "POST", "/api/v1/walls", `{"name":"x"}`)
	send(422, own, "POST", "/api/v1/walls", `{"name":"x","grid":"D"}`)
	send(201, own, "POST", "/api/v1/walls", `{"name":"x","grid":"A"}`)
	token := send(201, all, "POST", "/api/v1/tokens", `{"role":"hall_operator","grid":"D"}`).json(t)
	send(404, own, "DELETE", "/api/v1/credentials/"+token["id"].(string), "")
	for _, x := range send(200, own, "GET", "/api/v1/credentials", "").json(t)["items"].([]any) {
		if g := x.(map[string]any)["grid"]; g == "D" || g == "" {
			t.Errorf("shown: %v", x)
		}
	}
	send(201, own, "POST", ours.path("/grants"), `{"role":"dispatcher","grid":"C"}`)
	send(201, all, "POST", bare.path("/grants"), `{"role":"dispatcher","grid":"D"}`)
	send(404, own, "POST", bare.path("/grants"), `{"role":"dispatcher","grid":"C"}`)
	// Machines hold no role that needs two people, nor an administrator's.
	for _, role := range []string{"county_leader", "auditor", "security_admin", "system_admin", "root"} {
		send(400, all, "POST", "/api/v1/tokens", `{"role":"`+role+`"}`)
	}
	send(422, all, "POST", "/api/v1/tokens", `{"role":"grid_worker","grid":"A1"}`)
}

// TestAnAccountWithoutARightIsOfItsMakersCounty: also its invitation is.
func TestAnAccountWithoutARightIsOfItsMakersCounty(t *testing.T) {
	st := standWith(t, Options{Limits: patient}, otherCounty)
	tokens := map[string][2]string{} // a system and a security administrator's, by county
	for _, code := range []string{"", "C", "D"} {
		tokens[code] = [2]string{st.token(auth.SystemAdmin, code), st.token(auth.SecurityAdmin, code)}
	}
	send := func(status int, token, method, path, body string) answer {
		t.Helper()
		a := st.call(method, path, token, body)
		if a.status != status {
			t.Errorf("%s %s %s: %d, want %d: %s", method, path, body, a.status, status, a.body)
		}
		return a
	}
	ids, invites := map[string]string{}, map[string]string{}
	for code, by := range tokens {
		login := "made-in-" + strings.ToLower(code) + "x"
		v := send(201, by[0], "POST", "/api/v1/accounts", `{"login":"`+login+`"}`).json(t)
		ids[code] = v["account"].(map[string]any)["id"].(string)
		invites[code] = fmt.Sprint(st.count("SELECT max(id)::int FROM credential WHERE kind = 'invite'"))
	}
	for code, by := range tokens {
		for home, id := range ids {
			sees := code == "" || code == home
			for _, list := range []answer{send(200, by[0], "GET", "/api/v1/accounts", ""), send(200, by[1], "GET", "/api/v1/accounts", ""), send(200, by[1], "GET", "/api/v1/credentials", "")} {
				if strings.Contains(string(list.body), "made-in-"+strings.ToLower(home)+"x") != sees {
					t.Errorf("administrators of %q, account of %q: shown %t: %s", code, home, !sees, list.body)
				}
			}
			if !sees {
				send(404, by[0], "POST", "/api/v1/accounts/"+id+"/invite", "")
				send(404, by[1], "POST", "/api/v1/accounts/"+id+"/grants", `{"role":"dispatcher","grid":"`+code+`"}`)
				send(404, by[1], "DELETE", "/api/v1/credentials/"+invites[home], "")
			}
		}
	}
	for code, by := range tokens {
		for home, id := range ids {
			status := map[bool]int{true: 200, false: 404}[code == "" || code == home]
			for _, token := range by {
				send(status, token, "POST", "/api/v1/accounts/"+id+"/disable", `{}`)
				send(status, token, "POST", "/api/v1/accounts/"+id+"/enable", `{}`)
			}
		}
	}
	// A right that waits in one county is no business of the other's, nor is the way in.
	id := ids["C"]
	send(201, tokens["C"][0], "POST", "/api/v1/accounts/"+id+"/invite", "")
	invite := fmt.Sprint(st.count("SELECT max(id)::int FROM credential WHERE kind = 'invite'"))
	st.change("INSERT INTO account_grant (account_id, role, grid_code, root_code, proposed_by) VALUES ($1::text::bigint, 'hall_operator', 'D', 'D', 'test')", id)
	send(404, tokens["C"][1], "DELETE", "/api/v1/credentials/"+invite, "")
	send(204, tokens["D"][1], "DELETE", "/api/v1/credentials/"+invite, "")
}

// TestWhoDisabledAnAccountEnablesIt: a system administrator does not undo a security
// administrator's stop, nor either of them one made at the machine.
func TestWhoDisabledAnAccountEnablesIt(t *testing.T) {
	st := standWith(t, Options{Limits: patient})
	sys := st.signIn(st.clerk("sys", auth.SystemAdmin, "", 0), "127.0.0.1")
	sec := st.signIn(st.clerk("sec", auth.SecurityAdmin, "", 0), "127.0.0.1")
	wang := st.clerk("wang", auth.HallOperator, "", 0)
	state := func(want string) {
		t.Helper()
		if got := sec.account("wang")["state"]; got != want {
			t.Errorf("the account is %v, want %s", got, want)
		}
	}
	for _, c := range []struct {
		stops []*desk
		last  *desk // who may enable it
		other *desk
		names string
	}{
		{[]*desk{sec}, sec, sys, "security_admin"},
		{[]*desk{sys}, sys, sec, "system_admin"},
		{[]*desk{sec, sys}, sec, sys, "security_admin"}, // a second stop takes nothing over
		{[]*desk{sys, sec}, sec, sys, "security_admin"},
	} {
		for _, d := range c.stops {
			d.want(200, "POST", wang.path("/disable"), `{"reason":"stop"}`)
		}
		if a := c.other.want(403, "POST", wang.path("/enable"), `{}`); !strings.Contains(string(a.body), c.names) {
			t.Errorf("it does not say whom to ask: %s", a.body)
		}
		state("disabled")
		c.last.want(200, "POST", wang.path("/enable"), `{}`)
		state("active")
	}
	tx, err := st.s.db.Pool.Begin(t.Context())
	if err == nil {
		err = errors.Join(store.DisableAccount(t.Context(), tx, wang.id, time.Now()), tx.Commit(t.Context()))
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range []*desk{sys, sec} {
		d.want(200, "POST", wang.path("/disable"), `{}`)
		d.want(403, "POST", wang.path("/enable"), `{}`)
	}
	state("disabled")
}

func TestAWallStandsWhereItMay(t *testing.T) {
	st := standWith(t, Options{Limits: patient})
	admin := st.token(auth.SecurityAdmin, "")
	link := func(status int, body string) string {
		t.Helper()
		a := st.call("POST", "/api/v1/walls", admin, body)
		if a.status != status {
			t.Fatalf("%s: %d %s", body, a.status, a.body)
		}
		if status != 201 {
			return ""
		}
		_, code, _ := strings.Cut(a.json(t)["link"].(string), "/wall#code=")
		return code
	}
	link(422, `{"name":"w","addresses":["10.0.0.0/33"]}`)
	link(422, `{"name":"w","addresses":["hall.example"]}`)
	link(400, `{"name":"w","layers":["secrets"]}`)
	link(400, `{"name":"w","layers":[]}`)
	code := link(201, `{"name":"w","layers":["grids"],"addresses":["127.0.0.3","127.0.1.0/24"]}`)
	wall := st.deskAt("127.0.0.3")
	wall.at("127.0.0.1").want(401, "POST", "/api/v1/session", `{"code":"`+code+`"}`)
	wall.want(204, "POST", "/api/v1/session", `{"code":"`+code+`"}`) // the wrong place did not use it up
	wall.at("127.0.1.9").want(401, "POST", "/api/v1/session", `{"code":"`+code+`"}`)
	wall.want(200, "GET", "/tiles/grids.json", "")
	for _, path := range []string{"/tiles/roads.json", "/tiles/cameras.json", "/tiles/roads/8/204/98.mvt"} {
		wall.want(403, "GET", path, "")
	}
	wall.want(200, "GET", "/api/v1/figures/today", "")
	for _, from := range []string{"127.0.0.1", "127.0.1.9"} { // also where the list would let it stand
		wall.at(from).want(401, "GET", "/api/v1/figures/today", "")
	}
	for _, r := range []struct{ method, path, body string }{
		{"POST", "/api/v1/session/lock", ""},
		{"POST", "/api/v1/session/unlock", `{"pin":"1234"}`},
		{"PUT", "/api/v1/session/pin", `{"password":"x","pin":"2580"}`},
	} {
		wall.want(403, r.method, r.path, r.body)
	}
}

func TestTheCookieIsBoundToHTTPS(t *testing.T) {
	for _, c := range []struct {
		trusted []string
		secure  bool
	}{{nil, false}, {[]string{"127.0.0.1"}, true}} {
		st := standWith(t, Options{Limits: patient, TrustedProxies: c.trusted})
		st.clerk("wang", auth.HallOperator, "", 0)
		d := st.deskAt("127.0.0.1")
		a := d.call("POST", "/api/v1/session", fmt.Sprintf(`{"login":"wang","password":%q}`, goodPassword), "X-Forwarded-Proto: https", "X-Forwarded-For: 10.9.8.7")
		cookie := a.header.Get("Set-Cookie")
		if a.status != 200 || strings.HasPrefix(cookie, "__Host-onemap=") != c.secure || strings.Contains(cookie, "; Secure") != c.secure {
			t.Errorf("trusted %v: %d, cookie %s", c.trusted, a.status, cookie)
		}
		out := d.call("DELETE", "/api/v1/session", "", "X-Forwarded-Proto: https", "X-Forwarded-For: 10.9.8.7")
		if out.status != 204 || !strings.Contains(out.header.Get("Clear-Site-Data"), `"storage"`) || !strings.Contains(out.header.Get("Set-Cookie"), "Max-Age=0") {
			t.Errorf("sign out: %d %v", out.status, out.header)
		}
		if n := st.count("SELECT count(*) FROM credential WHERE kind = 'session' AND revoked_at IS NULL"); n != 0 {
			t.Errorf("%d sessions are left", n)
		}
	}
}

func TestWhoReadsTheAuditLog(t *testing.T) {
	st := standWith(t, Options{Limits: patient})
	sec := st.signIn(st.clerk("sec", auth.SecurityAdmin, "", 0), "127.0.0.1")
	sys := st.signIn(st.clerk("sys", auth.SystemAdmin, "", 0), "127.0.0.1")
	auditor := st.signIn(st.clerk("auditor", auth.Auditor, "", 0), "127.0.0.1")
	for i := range 5 {
		sec.want(201, "POST", "/api/v1/tokens", fmt.Sprintf(`{"role":"hall_operator","note":"n%d"}`, i))
	}
	actors := func(d *desk, query url.Values) (out []string) {
		t.Helper()
		for cursor, pages := "", 0; pages < 50; pages++ {
			query.Set("limit", "3")
			if cursor != "" {
				query.Set("cursor", cursor)
			}
			v := d.want(200, "GET", "/api/v1/audit?"+query.Encode(), "").json(t)
			for _, x := range v["items"].([]any) {
				out = append(out, x.(map[string]any)["actor"].(string))
			}
			next, ok := v["cursor"].(string)
			if !ok {
				return out
			}
			cursor = next
		}
		t.Fatal("no last page")
		return nil
	}
	if got := actors(auditor, url.Values{}); len(got) != st.count("SELECT count(*) FROM audit_log") || !slices.Contains(got, "system:first start") {
		t.Errorf("an auditor reads %d rows", len(got))
	}
	if got := actors(sec, url.Values{"action": {"token."}}); len(got) != 5 {
		t.Errorf("own tokens: %v", got)
	}
	if got := actors(sys, url.Values{}); slices.ContainsFunc(got, func(a string) bool { return a != got[0] }) || len(got) == 0 {
		t.Errorf("a system administrator reads the acts of %v", got)
	}
	if got := actors(sys, url.Values{"action": {"token."}}); len(got) != 0 {
		t.Errorf("a system administrator reads others' acts: %v", got)
	}
	auditor.want(200, "GET", "/api/v1/audit/seal", "")
	sec.want(403, "GET", "/api/v1/audit/seal", "")
	auditor.want(400, "GET", "/api/v1/audit?cursor=x", "")
	auditor.want(403, "POST", "/api/v1/tokens", `{"role":"hall_operator"}`)
}
