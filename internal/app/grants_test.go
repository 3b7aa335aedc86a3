// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"onemap/auth"
	"onemap/store"
)

func TestRightsThatEndCloseSocketsAndSessions(t *testing.T) {
	t.Parallel()
	clock := &testClock{at: time.Now()}
	st := newStandWith(t, Options{Limits: patient, Now: clock.now})
	admin := st.signIn(st.clerk("admin", auth.SecurityAdmin, "", 0), "127.0.0.1")
	wang := st.clerk("wang", auth.HallOperator, "", 0)
	grantOf := func() string {
		return admin.account("wang")["grant"].(map[string]any)["id"].(string)
	}

	d := st.signIn(wang, "127.0.0.1")
	socket := d.live()
	socket.next()
	admin.want(204, "DELETE", "/api/v1/grants/"+grantOf()+"?reason=left", "")
	if code, _ := socket.ends(lease); code != 4001 {
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
	socket.ends(lease)
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
	socket.ends(lease)
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
	socket.ends(lease)
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
	if code, _ := sockets[0].ends(lease); code != 4001 || st.get("/api/v1/incidents", tokens[0]).status != 401 {
		t.Errorf("a revoked token: closed with %d", code)
	}
	clock.move(61 * time.Second)
	if code, _ := sockets[1].ends(lease); code != 4001 || st.get("/api/v1/incidents", tokens[1]).status != 401 {
		t.Errorf("a token that ran out: closed with %d", code)
	}
}

func TestTwoPeopleAgreeToALeader(t *testing.T) {
	t.Parallel()
	clock := &testClock{at: time.Now()}
	st := newStandWith(t, Options{Limits: patient, Now: clock.now})
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
	t.Parallel()
	clock := &testClock{at: time.Now()}
	st := newStandWith(t, Options{Limits: patient, Now: clock.now})
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
	t.Parallel()
	st := newStandWith(t, Options{Limits: patient})
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
	t.Parallel()
	st := newStandWith(t, Options{Limits: patient})
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

// TestWhoDisabledAnAccountEnablesIt: a system administrator does not undo a security
// administrator's stop, nor either of them one made at the machine.
func TestWhoDisabledAnAccountEnablesIt(t *testing.T) {
	t.Parallel()
	st := newStandWith(t, Options{Limits: patient})
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
