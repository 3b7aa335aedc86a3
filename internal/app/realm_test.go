// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"onemap/auth"
)

const otherCounty = `WITH v AS (INSERT INTO grid_version (root_code, made_up, state, enacted_at) VALUES ('D', true, 'enacted', now()) RETURNING id),
	n AS (SELECT nextval('grid_number')::int AS no)
	INSERT INTO grid (version_id, level, code, name, no, last_no, geom) SELECT v.id, 1, 'D', '邻县', n.no, n.no, ST_Multi(ST_MakeEnvelope(110, 40, 111, 41, 4326)) FROM v, n`

func TestATownInvitesItsOwnFieldWorkersOnly(t *testing.T) {
	t.Parallel()
	st := newStandWith(t, Options{Limits: patient}, "INSERT INTO worker (badge) VALUES ('WA'), ('WB')",
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
	t.Parallel()
	st := newStandWith(t, Options{Limits: patient}, otherCounty)
	all, own := st.token(auth.SecurityAdmin, ""), st.token(auth.SecurityAdmin, "C")
	ours, theirs, global := st.clerk("ours", auth.HallOperator, "A", 0), st.clerk("theirs", auth.HallOperator, "D", 0), st.clerk("global", auth.HallOperator, "", 0)
	bare := st.clerk("bare", "", "", 0)
	st.exec("UPDATE account SET root_code = 'C' WHERE id = $1", bare.id)
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
	t.Parallel()
	st := newStandWith(t, Options{Limits: patient}, otherCounty)
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
	st.exec("INSERT INTO account_grant (account_id, role, grid_code, root_code, proposed_by) VALUES ($1::text::bigint, 'hall_operator', 'D', 'D', 'test')", id)
	send(404, tokens["C"][1], "DELETE", "/api/v1/credentials/"+invite, "")
	send(204, tokens["D"][1], "DELETE", "/api/v1/credentials/"+invite, "")
}
