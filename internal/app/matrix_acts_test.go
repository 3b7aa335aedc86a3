// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"onemap/auth"
	"onemap/store"
)

// admin asks the routes about accounts, rights, credentials and the audit log.
// They change something, so each gets accounts of its own.
func (r *run) admin(t *testing.T) {
	for _, l := range r.o.lines {
		if l.kind != "route" || l.resource != rowUsers && l.resource != rowAudit {
			continue
		}
		switch l.target {
		case "list accounts":
			r.listAccounts(l)
		case "list credentials":
			r.listCredentials(l)
		case "list audit":
			r.listAudit(l)
		case "account", "grant":
			r.eachAccount(t, l)
		case "credential":
			r.eachCredential(t, l)
		case "none":
			r.makes(l)
		default:
			t.Errorf("routes.csv: %s: unknown target %q", l.name(), l.target)
		}
	}
}

// seesAccount reports whether an account is within reach: by the grid of its
// grant, and for who only invites, of a role below the own.
func (r *run) seesAccount(x *account) bool {
	c := r.o.cell(rowUsers, r.a)
	if x.grid == "" {
		return c.reach == county && x.made == r.w.grids[r.a.home].county
	}
	if c.has("invite") && x.role != auth.VillageHead && x.role != auth.GridWorker {
		return false
	}
	return r.w.inGrid(c.reach, r.a, x.grid)
}

func (r *run) listAccounts(l line) {
	a := r.ask(l, l.method, l.path, "")
	if !r.o.allowed(r.a, l) {
		r.denied(l, l.path, a)
		return
	}
	if !r.granted(l, "the list", a, 200) {
		return
	}
	for _, x := range r.w.accounts {
		r.f.cell()
		is := strings.Contains(string(a.body), `"`+x.login+`"`)
		if want := r.seesAccount(x); is && !want {
			r.f.add("leak", r.a.name, l.name(), "shows the account %s of %s", x.login, x.grid)
		} else if want && !is {
			r.f.add("less", r.a.name, l.name(), "lacks the account %s of %s", x.login, x.grid)
		}
	}
}

func (r *run) listCredentials(l line) {
	a := r.ask(l, l.method, l.path, "")
	if !r.o.allowed(r.a, l) {
		r.denied(l, l.path, a)
		return
	}
	if !r.granted(l, "the list", a, 200) {
		return
	}
	var v struct{ Items []struct{ ID json.Number } }
	if err := json.Unmarshal([]byte(strings.ReplaceAll(string(a.body), `"id":"`, `"id": "`)), &v); err != nil {
		var s struct{ Items []struct{ ID string } }
		if err := json.Unmarshal(a.body, &s); err != nil {
			r.f.add("form", r.a.name, l.name(), "%v", err)
			return
		}
		for _, i := range s.Items {
			v.Items = append(v.Items, struct{ ID json.Number }{json.Number(i.ID)})
		}
	}
	has := func(id string) bool {
		return slices.ContainsFunc(v.Items, func(i struct{ ID json.Number }) bool { return i.ID.String() == id })
	}
	r.f.cell()
	if has(r.w.adminQ) {
		r.f.add("leak", r.a.name, l.name(), "shows a credential of the other county")
	}
	if !has(r.w.adminP) {
		r.f.add("less", r.a.name, l.name(), "lacks a credential of this county: %.300s", a.body)
	}
}

func (r *run) listAudit(l line) {
	a := r.ask(l, l.method, l.path, "")
	if !r.o.allowed(r.a, l) {
		r.denied(l, l.path, a)
		return
	}
	if !r.granted(l, "the list", a, 200) {
		return
	}
	var v struct{ Items []struct{ Actor string } }
	if err := json.Unmarshal(a.body, &v); err != nil {
		r.f.add("form", r.a.name, l.name(), "%v", err)
		return
	}
	others := 0
	for _, i := range v.Items {
		if i.Actor != r.a.id {
			others++
		}
	}
	r.f.cell()
	if r.o.cell(rowAudit, r.a).has("acts") {
		if others > 0 {
			r.f.add("leak", r.a.name, l.name(), "%d acts of others", others)
		}
		for _, query := range []string{"?actor=" + r.w.named("hall").id, "?action=incident.opened"} {
			if b := r.ask(l, l.method, l.path+query, ""); b.status == 200 && strings.Contains(string(b.body), `"actor"`) && !strings.Contains(string(b.body), `"actor":"`+r.a.id+`"`) {
				r.f.add("leak", r.a.name, l.name()+" filter", "%s: %.300s", query, b.body)
			}
		}
	} else if others == 0 {
		r.f.add("less", r.a.name, l.name(), "no acts of others")
	}
}

func (r *run) eachAccount(t *testing.T, l line) {
	body := func() string {
		switch {
		case strings.HasSuffix(l.path, "/grants"):
			return `{"role":"grid_worker","grid":"P111","reason":"` + goodReason + `"}`
		case strings.HasSuffix(l.path, "/invite"):
			return ""
		case l.method == http.MethodDelete:
			return ""
		}
		return `{"reason":"` + goodReason + `"}`
	}()
	may := r.o.allowed(r.a, l)
	approval := strings.HasSuffix(l.path, "/approval")
	var session string
	if may && approval { // agreeing is for people, not for machines
		session = r.w.session(t, r.a, fmt.Sprintf("s%d", r.f.cells))
		if m := r.ask(l, l.method, strings.Replace(l.path, "{id}", fmt.Sprint(r.w.accounts[0].grant), 1), body); m.status < 400 {
			r.f.add("leak", r.a.name, l.name(), "a machine agrees: %d", m.status)
		}
	}
	ask := func(id string) answer {
		path := strings.Replace(l.path, "{id}", id, 1)
		if l.method == http.MethodDelete {
			path += "?reason=" + goodReason
		}
		if session != "" {
			return r.as("", l, l.method, path, body, "Cookie: onemap_session="+session, "Origin: "+r.w.stand.url)
		}
		return r.ask(l, l.method, path, body)
	}
	missing := ask(nobodyHasThis)
	list := r.w.accounts
	if may {
		r.granted(l, "what is not there", missing, 404)
		list = r.w.makeAccounts(t, fmt.Sprintf("n%d.", r.f.cells))
		if approval { // of the role that two have to agree to
			r.w.exec(t, r.w.s.db, "UPDATE account_grant SET state = 'proposed', security_by = NULL, active_at = NULL, role = 'county_leader' WHERE account_id BETWEEN $1 AND $2", list[0].id, list[len(list)-1].id)
		}
	} else {
		r.denied(l, "what is not there", missing)
	}
	for _, x := range list {
		id := x.id
		if l.target == "grant" {
			if id = x.grant; id == 0 {
				continue
			}
		}
		a := ask(fmt.Sprint(id))
		switch {
		case !may:
			r.denied(l, x.login, a)
		case !r.seesAccount(x) && a.status == 403 && x.grid != "" && r.w.inGrid(subtree, r.a, x.grid) && r.o.cell(rowUsers, r.a).has("invite"):
			r.f.cell() // somebody of the own grids who is not for inviting: known, and not to be touched
		case !r.seesAccount(x):
			r.same(l, "the "+l.target+" of "+x.login+" ("+x.grid+")", a, missing)
		default: // what its state forbids is 409 or 422
			r.granted(l, x.login, a, 200, 201, 204, 409, 422)
		}
	}
}

func (r *run) eachCredential(t *testing.T, l line) {
	ask := func(id string) answer {
		return r.ask(l, l.method, strings.Replace(l.path, "{id}", id, 1)+"?reason="+goodReason, "")
	}
	missing := ask(nobodyHasThis)
	if !r.o.allowed(r.a, l) {
		r.denied(l, "what is not there", missing)
		r.denied(l, "a credential", ask(r.w.adminP))
		return
	}
	r.granted(l, "what is not there", missing, 404)
	for _, home := range []string{"P/P", "P/P11", "Q/Q1"} {
		secret, id := r.w.secret(t, &actor{name: "short lived", role: auth.HallOperator, home: home})
		r.w.scan.forbid(secret)
		a := ask(strings.TrimPrefix(id, "token:"))
		if r.w.inGrid(r.o.cell(rowUsers, r.a).reach, r.a, home) {
			r.granted(l, home, a, 204)
		} else {
			r.same(l, "the credential of "+home, a, missing)
		}
	}
}

// makes asks the routes that make accounts, tokens and walls.
func (r *run) makes(l line) {
	if l.resource == rowAudit { // the seal
		a := r.ask(l, l.method, l.path, "")
		if r.o.allowed(r.a, l) {
			r.granted(l, l.path, a, 200)
		} else {
			r.denied(l, l.path, a)
		}
		return
	}
	n := r.f.cells
	for _, grid := range []string{"P/P2", "P/P1", "P/P11", "Q/Q1"} {
		code := r.w.grids[grid].code
		n++
		body := map[string]string{
			"POST /api/v1/tokens":   fmt.Sprintf(`{"role":"hall_operator","grid":%q,"expires_s":3600,"note":"matrix"}`, code),
			"POST /api/v1/walls":    fmt.Sprintf(`{"name":"w%d","grid":%q}`, n, code),
			"POST /api/v1/accounts": fmt.Sprintf(`{"login":"made%d","grant":{"role":"village_head","grid":%q,"reason":%q}}`, n, code, goodReason),
		}[l.name()]
		invites := r.o.cell(rowUsers, r.a).has("invite")
		if strings.HasSuffix(l.path, "/accounts") && !invites {
			body = fmt.Sprintf(`{"login":"made%d"}`, n)
		}
		a := r.ask(l, l.method, l.path, body)
		switch {
		case !r.o.allowed(r.a, l):
			r.denied(l, grid, a)
		case strings.HasSuffix(l.path, "/accounts") && !invites:
			r.granted(l, "an account", a, 201)
		case !r.w.inGrid(r.o.cell(rowUsers, r.a).reach, r.a, grid):
			r.f.cell()
			if a.status < 400 {
				r.f.add("leak", r.a.name, l.name(), "over %s: %d", grid, a.status)
			}
		case strings.HasSuffix(l.path, "/walls") && r.w.grids[grid].level > 2:
			r.granted(l, grid, a, 422) // no wall below a town
		default:
			r.granted(l, grid, a, 201)
		}
	}
}

// session signs a person of the actor's role and grid in, without the ceremony.
func (w *world) session(t *testing.T, a *actor, login string) string {
	t.Helper()
	g := w.grids[a.home]
	var id int64
	err := w.s.db.Pool.QueryRow(t.Context(), "INSERT INTO account (login, state, password, created_by) VALUES ($1, 'active', 'none', 'test') RETURNING id", login).Scan(&id)
	if err != nil {
		t.Fatal(err)
	}
	w.exec(t, w.s.db, `INSERT INTO account_grant (account_id, role, grid_code, root_code, state, proposed_by, security_by, active_at)
		VALUES ($1, $2, $3, $4, 'active', 'test', 'test', now())`, id, a.role, g.code, g.county)
	secret, until := store.NewSecret(), time.Now().Add(tokenLife)
	_, err = w.s.db.SaveCredential(t.Context(), w.s.db.Pool, secret, store.Credential{
		Kind: store.Session, Role: a.role, GridCode: g.code, RootCode: g.county, ExpiresAt: &until, Account: id, Epoch: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	w.scan.forbid(secret)
	return secret
}

// writes sends reports as everybody: who may write may report from anywhere, and
// sees afterwards only what the matrix shows.
func (r *run) writes(t *testing.T) {
	t.Helper()
	for _, l := range r.o.lines {
		if l.kind != "route" || l.target != "report" {
			continue
		}
		for _, key := range []string{"P/P111", "P/P211", "Q/Q111", "P/P111 sensitive"} {
			category := "0501"
			key, sensitive := strings.CutSuffix(key, " sensitive")
			if sensitive {
				category = "0102"
			}
			g, k := r.w.grids[key], kinds[category]
			m := &matter{name: "a report of " + r.a.name, category: category, sensitive: sensitive, grid: key, top: k.top, dept: k.dept, worker: r.a.worker, at: g.at}
			a := r.ask(l, l.method, l.path, fmt.Sprintf(`{"category":%q,"title":"自报","location":{"lon":%v,"lat":%v,"crs":"wgs84"}}`, category, g.at[0], g.at[1]))
			if !r.o.allowed(r.a, l) {
				r.denied(l, key, a)
				continue
			}
			if sensitive && a.status == 403 { // who may not handle it may be refused the report as well
				continue
			}
			if !r.granted(l, key, a, 201) {
				continue
			}
			id := a.json(t)["id"].(string)
			one := line{method: "GET", path: "/api/v1/incidents/{id}", answer: "incident"}
			b := r.ask(one, "GET", "/api/v1/incidents/"+id, "")
			r.f.cell()
			switch sees := r.o.sees(r.w, r.a, m, rowIncident) != hidden; {
			case !sees && b.status != 404:
				r.f.add("leak", r.a.name, "reading what one reported in "+key, "%d %.200s", b.status, b.body)
			case sees && b.status != 200:
				r.f.add("less", r.a.name, "reading what one reported in "+key, "%d %.200s", b.status, b.body)
			}
		}
	}
}
