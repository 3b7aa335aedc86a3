// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"onemap/api"
	"onemap/auth"
	"onemap/store"
)

func TestFromTheFirstStartToADispatcher(t *testing.T) {
	t.Parallel()
	var out logBook
	clock := &testClock{at: time.Now()}
	st := newStandWith(t, Options{Limits: patient, Out: &out, Now: clock.now}, "DELETE FROM credential")
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
	t.Parallel()
	st := newStandWith(t, Options{Limits: patient})
	st.clerk("active", auth.HallOperator, "", 0)
	disabled, bare := st.clerk("disabled", auth.HallOperator, "", 0), st.clerk("bare", "", "", 0)
	st.clerk("dispatch", auth.Dispatcher, "", 0)
	st.exec("UPDATE account SET state = 'disabled' WHERE id = $1", disabled.id)
	st.exec("INSERT INTO account (login, created_by) VALUES ('invited', 'test')")
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
	st := newStandWith(t, Options{Limits: api.Limits{AddressLoginsPerMinute: 12}, Now: clock.now})
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

// TestABurstOfSignInsIsHeldBack: of many at once some wait until they are in, the
// others are told to come again.
func TestABurstOfSignInsIsHeldBack(t *testing.T) {
	st := newStandWith(t, Options{Limits: patient})
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
	if seen[200] < 3 || seen[503] < 20 || seen[200]+seen[503] != 40 {
		t.Errorf("answers %v", seen)
	}
}

func TestAStolenCookieIsWorthNothingElsewhere(t *testing.T) {
	t.Parallel()
	st := newStandWith(t, Options{Limits: patient}, "INSERT INTO worker (badge) VALUES ('W1')",
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

func TestALockedDeskLooksOn(t *testing.T) {
	t.Parallel()
	clock := &testClock{at: time.Now()}
	st := newStandWith(t, Options{Limits: patient, Now: clock.now})
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
	t.Parallel()
	clock := &testClock{at: time.Now()}
	st := newStandWith(t, Options{Limits: patient, Now: clock.now})
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
	t.Parallel()
	clock := &testClock{at: time.Now()}
	st := newStandWith(t, Options{Limits: patient, Now: clock.now})
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
	socket.ends(lease)
	there.want(401, "GET", "/api/v1/session", "")
	here.want(200, "GET", "/api/v1/session", "")
	clock.move(time.Minute)
	st.deskAt("127.0.0.1").want(401, "POST", "/api/v1/session", fmt.Sprintf(`{"login":"wang","password":%q,"totp":%q}`, goodPassword, wang.code(t, clock.now())))
	st.deskAt("127.0.0.1").want(200, "POST", "/api/v1/session", fmt.Sprintf(`{"login":"wang","password":"a better password","totp":%q}`, wang.code(t, clock.now())))
}

func TestTheCookieIsBoundToHTTPS(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		trusted []string
		secure  bool
	}{{nil, false}, {[]string{"127.0.0.1"}, true}} {
		st := newStandWith(t, Options{Limits: patient, TrustedProxies: c.trusted})
		st.clerk("wang", auth.HallOperator, "", 0)
		d := st.deskAt("127.0.0.1")
		a := d.call("POST", "/api/v1/session", fmt.Sprintf(`{"login":"wang","password":%q}`, goodPassword), "X-Forwarded-Proto: https", "X-Forwarded-For: 10.9.8.7")
		cookie := a.header.Get("Set-Cookie")
		if a.status != 200 || strings.HasPrefix(cookie, "__Host-onemap=") != c.secure || strings.Contains(cookie, "; Secure") != c.secure {
			t.Errorf("trusted %v: %d, cookie %s", c.trusted, a.status, cookie)
		}
		out := d.call("DELETE", "/api/v1/session", "", "X-Forwarded-Proto: https", "X-Forwarded-For: 10.9.8.7")
		// On a machine that several share, a sign-out leaves what others have not sent.
		if clear := out.header.Get("Clear-Site-Data"); out.status != 204 || clear != `"cache", "cookies"` || !strings.Contains(out.header.Get("Set-Cookie"), "Max-Age=0") {
			t.Errorf("sign out: %d %v", out.status, out.header)
		}
		if n := st.count("SELECT count(*) FROM credential WHERE kind = 'session' AND revoked_at IS NULL"); n != 0 {
			t.Errorf("%d sessions are left", n)
		}
	}
}
