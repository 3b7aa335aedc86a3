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

	"onemap/store"
)

// tenant is a contact of the world, one in every grid.
type tenant struct {
	id, grid    string // grid: key
	name, phone string
	duty        string // id of a duty of that grid
}

// staff gives every grid a contact and a duty officer, and both counties a liaison and
// a hand-over.
func (w *world) staff(t *testing.T) {
	t.Helper()
	n := 0
	for key, g := range w.grids {
		n++
		c := store.Contact{Root: g.county, Grid: g.code, Role: "building_head", Building: "1", Name: fmt.Sprintf("%s楼%d", birdName, n), Phone: fmt.Sprintf("1775550%04d", n)}
		tx, err := w.s.db.Pool.Begin(t.Context())
		if err == nil {
			_, err = store.SaveContacts(t.Context(), tx, w.s.seal, g.county, []store.Contact{c}, w.s.o.Now())
		}
		if err == nil {
			err = tx.Commit(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
		id := func(sql string, args ...any) (id string) {
			if err := w.s.db.Pool.QueryRow(t.Context(), sql, args...).Scan(&id); err != nil {
				t.Fatalf("%s: %v", sql, err)
			}
			return id
		}
		w.tenants = append(w.tenants, &tenant{
			id: id("SELECT id::text FROM contact WHERE root_code = $1 AND grid_code = $2", g.county, g.code), grid: key, name: c.Name, phone: c.Phone,
			duty: id(`INSERT INTO duty_officer (root_code, grid_code, worker_id, from_at, to_at, made_by, made_at)
				VALUES ($1, $2, $3, now() - interval '1 hour', now() + interval '1 day', 'test', now()) RETURNING id::text`, g.county, g.code, w.handOf(g.county).id),
		})
	}
}

// handOf is a worker of a county.
func (w *world) handOf(county string) *hand {
	return w.workers[slices.IndexFunc(w.workers, func(h *hand) bool { return w.grids[h.grid].county == county })]
}

// peopleRoutes asks a route about staff and duty; false when it is none.
func (r *run) peopleRoutes(l line) bool {
	switch l.target {
	case "people grid":
		r.peopleGrids(l)
	case "people list":
		r.peopleLists(l)
	case "own shift":
		r.ownShift(l)
	case "worker act":
		r.workerActs(l)
	case "contact":
		r.eachContact(l)
	case "name duty":
		r.nameDuty(l)
	case "county act":
		r.countyActs(l)
	case "duty", "liaison", "handover":
		r.eachOf(l)
	default:
		return false
	}
	return true
}

// reaches reports whether a cell of the matrix goes as far as a grid.
func (r *run) reaches(l line, key string) bool {
	return r.w.inGrid(r.o.cell(l.resource, r.a).reach, r.a, key)
}

func (r *run) peopleGrids(l line) {
	path := func(code string) string { return strings.Replace(l.path, "{code}", code, 1) }
	missing := r.ask(l, l.method, path("NO-SUCH-GRID"), "")
	if !r.o.allowed(r.a, l) {
		r.denied(l, l.path, missing)
		return
	}
	for key, g := range r.w.grids {
		a := r.ask(l, l.method, path(g.code)+"?county="+g.county, "")
		if !r.reaches(l, key) {
			r.same(l, key, a, missing)
			continue
		}
		if !r.granted(l, key, a, 200) {
			continue
		}
		if l.answer == "contacts" {
			c := r.w.tenants[slices.IndexFunc(r.w.tenants, func(c *tenant) bool { return c.grid == key })]
			if body := string(a.body); strings.Count(body, `"id"`) != 1 || !strings.Contains(body, `"id":"`+c.id+`"`) || !strings.Contains(body, c.phone[:3]+"****"+c.phone[7:]) {
				r.f.add("leak", r.a.name, l.name(), "%s: %s", key, body)
			}
		}
	}
}

func (r *run) peopleLists(l line) {
	a := r.ask(l, l.method, l.path, "")
	if !r.o.allowed(r.a, l) {
		r.denied(l, l.path, a)
		return
	}
	if !r.granted(l, l.path, a, 200) {
		return
	}
	body := string(a.body)
	if strings.Contains(body, `"county":"Q"`) && r.w.grids[r.a.home].county == "P" {
		r.f.add("leak", r.a.name, l.name(), "of the other county: %s", body)
	}
	for _, c := range r.w.tenants {
		g := r.w.grids[c.grid]
		r.f.cell()
		var is, want bool
		switch l.answer {
		case "duties":
			is, want = strings.Contains(body, `"id":"`+c.duty+`"`), r.reaches(l, c.grid)
		case "unstaffed": // X9 has no worker, and every other grid without one is above another
			is, want = strings.Contains(body, `"code":"`+g.code+`"`), r.reaches(l, c.grid) && g.code == "X9"
			if g.code == "X9" && g.county != r.w.grids[r.a.home].county {
				continue // both counties have one
			}
		}
		if is != want {
			kind := "less"
			if is {
				kind = "leak"
			}
			r.f.add(kind, r.a.name, l.name(), "%s: told %v: %s", c.grid, is, body)
		}
	}
	if l.answer == "handovers" {
		var v struct {
			Items []struct{ Incidents []struct{ ID string } }
		}
		if err := json.Unmarshal(a.body, &v); err != nil {
			r.f.add("form", r.a.name, l.name(), "%v", err)
		}
		seen := r.expected(rowIncident)
		for _, h := range v.Items {
			for _, i := range h.Incidents {
				if r.f.cell(); !slices.Contains(seen, i.ID) {
					r.f.add("leak", r.a.name, l.name(), "shows %s", r.nameOf(i.ID))
				}
			}
		}
	}
}

// ownShift asks without changing anything: signing off would end a worker's dot.
func (r *run) ownShift(l line) {
	body, want := "", http.StatusNotFound
	switch {
	case strings.HasSuffix(l.path, "/positions"):
		body = `{"crs":"wgs84","items":[{"at":"2026-03-02T02:00:00Z","lon":107.1,"lat":38.1}]}` // nobody's duty any more
		if r.a.worker != 0 {
			want = http.StatusOK
		}
	case l.method == http.MethodPost:
		body = `{"device":"no-such-terminal"}`
		if r.a.worker != 0 {
			want = http.StatusUnprocessableEntity
		}
	}
	a := r.ask(l, l.method, l.path, body)
	if !r.o.allowed(r.a, l) {
		r.denied(l, l.path, a)
		return
	}
	r.granted(l, l.path, a, want)
}

// workerActs asks so that nothing changes: to hand over to nobody known, to end a
// shift of who is in none, to take back who never went.
func (r *run) workerActs(l line) {
	body, want := `{"reason":"`+goodReason+`"}`, http.StatusConflict
	switch {
	case strings.HasSuffix(l.path, "/deactivate"):
		body, want = `{"reason":"`+goodReason+`","hand_to":"NOBODY"}`, http.StatusUnprocessableEntity
	case strings.HasSuffix(l.path, "/activate"):
		want = http.StatusNotFound
	}
	ask := func(id string) answer {
		return r.ask(l, l.method, strings.Replace(l.path, "{id}", id, 1), body)
	}
	missing := ask(nobodyHasThis)
	if !r.o.allowed(r.a, l) {
		r.denied(l, l.path, missing)
		return
	}
	r.granted(l, "what is not there", missing, 404)
	for _, h := range r.w.workers {
		a := ask(fmt.Sprint(h.id))
		if r.reaches(l, h.grid) {
			r.granted(l, h.badge, a, want)
		} else {
			r.same(l, h.badge, a, missing)
		}
	}
}

func (r *run) eachContact(l line) {
	ask := func(id, reason string) answer {
		return r.ask(l, l.method, strings.Replace(l.path, "{id}", id, 1), `{"reason":"`+reason+`"}`)
	}
	missing := ask(nobodyHasThis, goodReason)
	if !r.o.allowed(r.a, l) {
		r.denied(l, l.path, missing)
		return
	}
	for _, c := range r.w.tenants {
		a := ask(c.id, goodReason)
		if !r.reaches(l, c.grid) {
			r.same(l, "the contact of "+c.grid, a, missing)
			continue
		}
		if r.granted(l, c.grid, a, 200); !strings.Contains(string(a.body), c.name) || !strings.Contains(string(a.body), c.phone) {
			r.f.add("form", r.a.name, l.name(), "%s: %s", c.grid, a.body)
		}
		if b := ask(c.id, ""); b.status != 422 {
			r.f.add("leak", r.a.name, l.name()+" without a reason", "%d %s", b.status, b.body)
		}
	}
}

// nameDuty names an officer where there is one already.
func (r *run) nameDuty(l line) {
	ask := func(grid, county, badge string) answer {
		return r.ask(l, l.method, l.path, fmt.Sprintf(`{"grid":%q,"county":%q,"badge":%q,"to":"2100-01-01T00:00:00Z"}`, grid, county, badge))
	}
	missing := ask("NO-SUCH-GRID", "P", "B01")
	if !r.o.allowed(r.a, l) {
		r.denied(l, l.path, missing)
		return
	}
	ask = func(grid, county, badge string) answer {
		return r.ask(l, l.method, l.path, fmt.Sprintf(`{"grid":%q,"county":%q,"badge":%q,"to":%q}`, grid, county, badge, r.w.s.o.Now().AddDate(0, 0, 2).Format("2006-01-02T15:04:05Z07:00")))
	}
	missing = ask("NO-SUCH-GRID", "P", "B01")
	for key, g := range r.w.grids {
		a := ask(g.code, g.county, r.w.handOf(g.county).badge)
		if r.reaches(l, key) {
			r.granted(l, key, a, http.StatusConflict)
			r.granted(l, key+" by another county's", ask(g.code, g.county, r.w.handOf("Q").badge), http.StatusUnprocessableEntity)
			continue
		}
		if r.f.cell(); a.status != 422 || string(a.body) != string(missing.body) {
			r.f.add("leak", r.a.name, l.name(), "%s is hidden: %d %s, what is not there %s", key, a.status, a.body, missing.body)
		}
	}
}

// countyActs are for who has a whole county.
func (r *run) countyActs(l line) {
	ask := func(county string) answer {
		body := map[string]string{
			"POST /api/v1/liaisons":               fmt.Sprintf(`{"department":%q,"county":%q,"role":"backup","badge":%q}`, fireDept, county, r.w.handOf(county).badge),
			"PUT /api/v1/departments/{code}/duty": fmt.Sprintf(`{"county":%q,"duty_mode":"rotating","days":[1,3]}`, county),
			"POST /api/v1/handovers":              fmt.Sprintf(`{"county":%q,"text":"一切正常"}`, county),
		}[l.name()]
		return r.ask(l, l.method, strings.Replace(l.path, "{code}", womenDept, 1), body)
	}
	a := ask("P")
	if !r.o.allowed(r.a, l) {
		r.denied(l, l.path, a)
		return
	}
	if r.reaches(l, "P/P") {
		r.granted(l, "the own county", a, 201, 204, 409)
	} else if r.f.cell(); a.status != 422 {
		r.f.add("leak", r.a.name, l.name(), "for a county that is not the actor's whole: %d %s", a.status, a.body)
	}
	if b := ask("Q"); b.status != 422 && r.w.grids[r.a.home].county == "P" {
		r.f.add("leak", r.a.name, l.name(), "for the other county: %d %s", b.status, b.body)
	}
}

// eachOf asks about a row made for this actor alone, in both counties.
func (r *run) eachOf(l line) {
	ask := func(id string) answer { return r.ask(l, l.method, strings.Replace(l.path, "{id}", id, 1), "") }
	missing := ask(nobodyHasThis)
	if !r.o.allowed(r.a, l) {
		r.denied(l, l.path, missing)
		return
	}
	r.granted(l, "what is not there", missing, 404)
	for _, key := range []string{"P/P", "P/P1", "P/P211", "Q/Q", "Q/Q211"} {
		g, h := r.w.grids[key], r.w.handOf(r.w.grids[key].county)
		if l.target != "duty" && g.parent != "" {
			continue
		}
		sql := map[string]string{
			"duty": `INSERT INTO duty_officer (root_code, grid_code, worker_id, from_at, to_at, made_by, made_at)
				VALUES ($1, $2, $3, current_date + $4 * interval '1 day', current_date + ($4 + 1) * interval '1 day', 'test', now()) RETURNING id::text`,
			"liaison": `INSERT INTO department_liaison (department_id, root_code, worker_id, role, valid_from, valid_to, made_by, made_at)
				SELECT d.id, $1, $3, 'liaison', current_date + $4::int, current_date + $4::int + 1, 'test' || $2, now() FROM department d ORDER BY id LIMIT 1 RETURNING id::text`,
			"handover": "INSERT INTO handover (root_code, note, incidents, made_by, made_at) VALUES ($1, $2, '{}', 'test' || $3::bigint + $4::int, now()) RETURNING id::text",
		}[l.target]
		days := 10 + slices.Index(r.w.actors, r.a)
		var id string
		if err := r.w.s.db.Pool.QueryRow(r.w.t.Context(), sql, g.county, g.code, h.id, days).Scan(&id); err != nil {
			r.f.add("form", r.a.name, l.name(), "%v", err)
			continue
		}
		a := ask(id)
		if r.reaches(l, key) {
			r.granted(l, key, a, 200)
		} else {
			r.same(l, l.target+" of "+key, a, missing)
		}
	}
}
