// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"bytes"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"onemap/api"
	"onemap/auth"
	"onemap/store"
)

// TestATokenOfTheWebReadsNoPersonAndNoSensitiveCase: a security administrator reads
// no case, and does not by the token it makes.
func TestATokenOfTheWebReadsNoPersonAndNoSensitiveCase(t *testing.T) {
	t.Parallel()
	st := newStandWith(t, Options{Limits: patient})
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

func TestAWallStandsWhereItMay(t *testing.T) {
	t.Parallel()
	st := newStandWith(t, Options{Limits: patient})
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
	link(422, `{"name":"w","layers":["secrets"]}`)
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

func TestWhoReadsTheAuditLog(t *testing.T) {
	t.Parallel()
	st := newStandWith(t, Options{Limits: patient})
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

// secretWord matches names under which somebody would send what opens a door.
var secretWord = regexp.MustCompile(`(?i)token|secret|passw|passwd|pin$|totp|session|cookie|auth|credential|^key$|api_?key|^code$|jwt|signature`)

func TestNoSecretStandsInAnAddress(t *testing.T) {
	t.Parallel()
	st, book := checkedStand(t, Options{Limits: plenty()})
	k := st.keyring()
	for _, o := range st.contract() {
		for _, p := range o.params {
			named := p.In == "path" && p.Name == "code" // a grid's code is its name
			if p.In != "header" && !named && secretWord.MatchString(p.Name) {
				t.Errorf("%s takes %s in its address: addresses stand in logs and histories", o, p.Name)
			}
		}
		// Whoever puts one there all the same is not let in by it.
		for _, name := range []string{"access_token", "token", "code", "key"} {
			secret := k[auth.HallOperator]
			a := st.call(o.method, o.filled()+"?"+name+"="+secret, "", "")
			if a.status < 400 && o.path != "/livez" && o.path != "/readyz" && !(o.method == "DELETE" && o.path == "/api/v1/session") {
				t.Errorf("%s?%s=...: let in with %d", o, name, a.status)
			}
			if strings.Contains(string(a.body), secret) {
				t.Errorf("%s?%s=...: the answer has the secret", o, name)
			}
		}
	}
	// Links that the product itself makes keep their secret in the fragment, which
	// no browser sends.
	sec := k[auth.SecurityAdmin]
	for _, made := range []answer{
		st.call("POST", "/api/v1/walls", sec, `{"name":"hall-1"}`),
		st.call("POST", "/api/v1/accounts", k[auth.SystemAdmin], `{"login":"li.desk"}`),
	} {
		link := regexp.MustCompile(`"link":"([^"]+)"`).FindSubmatch(made.body)
		if made.status != 201 || link == nil {
			t.Fatalf("no link: %d %s", made.status, made.body)
		}
		if base, fragment, _ := strings.Cut(string(link[1]), "#"); strings.ContainsAny(base, "?=;") || len(fragment) < 30 {
			t.Errorf("the link %s has its secret elsewhere than in its fragment", base)
		}
	}
	for _, token := range k {
		if strings.Contains(book.String(), token) {
			t.Error("the log has a token")
		}
	}
}

// TestSecretsAreKeptAsHashesOnly looks through every column of every table.
func TestSecretsAreKeptAsHashesOnly(t *testing.T) {
	t.Parallel()
	st, book := checkedStand(t, Options{})
	token := st.token(auth.SecurityAdmin, "")
	secrets := map[string]string{"a token": token, "a session": strings.TrimPrefix(st.cookie(auth.Dispatcher, ""), "Cookie: onemap_session=")}
	wall := st.call("POST", "/api/v1/walls", token, `{"name":"hall-1"}`).json(t)["link"].(string)
	_, secrets["a wall's code"], _ = strings.Cut(wall, "#code=")
	machine := st.call("POST", "/api/v1/tokens", token, `{"role":"dispatcher"}`)
	secrets["a machine's token"], _ = machine.json(t)["token"].(string)
	in := st.call("POST", "/api/v1/session", "", `{"code":"`+secrets["a wall's code"]+`"}`, "Origin: "+st.url)
	secrets["a wall's session"] = regexp.MustCompile(`onemap_session=([^;]+)`).FindStringSubmatch(in.header.Get("Set-Cookie"))[1]
	for what, s := range secrets {
		if len(s) < 26 { // 128 bits in letters of 5
			t.Fatalf("%s has %d letters: guessable", what, len(s))
		}
		if strings.Contains(book.String(), s) {
			t.Errorf("%s is in the log", what)
		}
	}
	rows, err := st.s.db.Pool.Query(t.Context(), `SELECT quote_ident(table_schema) || '.' || quote_ident(table_name) FROM information_schema.tables
		WHERE table_type = 'BASE TABLE' AND table_schema NOT IN ('pg_catalog', 'information_schema')`)
	if err != nil {
		t.Fatal(err)
	}
	var tables []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		tables = append(tables, name)
	}
	if err := rows.Err(); err != nil || len(tables) < 15 {
		t.Fatalf("%d tables, %v", len(tables), err)
	}
	for _, table := range tables {
		for what, s := range secrets {
			if n := st.count(`SELECT count(*) FROM `+table+` x WHERE x::text LIKE '%' || $1 || '%' OR x::text LIKE '%' || encode($1::bytea, 'hex') || '%'`, s); n > 0 {
				t.Errorf("%s stands in table %s", what, table)
			}
		}
	}
}

// together sends the same request n times at once and returns the answers.
func (st *stand) together(n int, method, path, body string) []answer {
	out := make([]answer, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { out[i] = st.call(method, path, "", body, "Origin: "+st.url) })
	}
	all.Wait()
	return out
}

func TestAOneTimeLinkWorksOnce(t *testing.T) {
	t.Parallel()
	said := &logBook{}
	st, _ := checkedStand(t, Options{Limits: plenty(), Out: said})
	first := regexp.MustCompile(`(?m)^    ([a-z2-7]{32})$`).FindStringSubmatch(said.String())
	if first == nil {
		t.Fatalf("no first secret in %s", said.String())
	}
	sec := st.token(auth.SecurityAdmin, "")
	codeOf := func(link any) string {
		_, fragment, _ := strings.Cut(fmt.Sprint(link), "#")
		_, code, _ := strings.Cut(fragment, "=")
		return code
	}
	wall := codeOf(st.call("POST", "/api/v1/walls", sec, `{"name":"hall-1"}`).json(t)["link"])
	made := st.call("POST", "/api/v1/accounts", st.token(auth.SystemAdmin, ""), `{"login":"li.desk"}`).json(t)
	invite := codeOf(made["invite"].(map[string]any)["link"])
	last := 0
	at := func() *stand {
		other := *st
		last++
		other.http = from(t, fmt.Sprintf("127.0.1.%d", last))
		return &other
	}
	const fresh = `,"password":"a long enough one 7"}`
	for _, c := range []struct {
		what, path, body string
		good             int
	}{
		{"a wall's code", "/api/v1/session", `{"code":"` + wall + `"}`, 204},
		{"an invitation", "/api/v1/invitations/redeem", `{"code":"` + invite + `"` + fresh, 200},
		{"the first secret", "/api/v1/invitations/redeem", `{"code":"` + first[1] + `","login":"root.one"` + fresh, 200},
	} {
		if len(wall) < 26 || len(invite) < 26 {
			t.Fatalf("codes %q, %q", wall, invite)
		}
		st := at() // ten wrong tries from one address are too many
		in := 0
		for _, a := range st.together(6, "POST", c.path, c.body) {
			switch a.status {
			case c.good:
				in++
			case 401, 503: // used up by another; or too many passwords are being worked on
			default:
				t.Errorf("%s, at once: %d %s", c.what, a.status, a.body)
			}
		}
		if in != 1 {
			t.Errorf("%s let %d in at once", c.what, in)
		}
		again, wrong := st.call("POST", c.path, "", c.body), st.call("POST", c.path, "", strings.Replace(c.body, `"code":"`, `"code":"a`, 1))
		if again.status != 401 || again.header.Get("Set-Cookie") != "" || !bytes.Equal(again.body, wrong.body) {
			t.Errorf("%s again: %d %s; a wrong one: %d %s", c.what, again.status, again.body, wrong.status, wrong.body)
		}
	}
	// A code for one purpose is none for another, and none is a token.
	st = at()
	other := codeOf(st.call("POST", "/api/v1/walls", sec, `{"name":"hall-2"}`).json(t)["link"])
	if a := st.call("POST", "/api/v1/invitations/redeem", "", `{"code":"`+other+`"`+fresh); a.status != 401 {
		t.Errorf("a wall's code as an invitation: %d", a.status)
	}
	if a := st.get("/api/v1/incidents", other); a.status != 401 {
		t.Errorf("a wall's code as a token: %d", a.status)
	}
	if a := st.call("GET", "/api/v1/incidents", "", "", "Cookie: onemap_session="+sec); a.status != 401 {
		t.Errorf("a token as a session: %d", a.status)
	}
	late := store.NewSecret()
	past := time.Now().Add(-time.Second)
	if _, err := st.s.db.SaveCredential(t.Context(), st.s.db.Pool, late, store.Credential{Kind: store.WallCode, Role: auth.Wall, Wall: "late", ExpiresAt: &past}); err != nil {
		t.Fatal(err)
	}
	if a := st.call("POST", "/api/v1/session", "", `{"code":"`+late+`"}`); a.status != 401 {
		t.Errorf("a code past its time: %d", a.status)
	}
}
