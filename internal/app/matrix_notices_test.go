// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"onemap/auth"
)

// slip is a notice of the world.
type slip struct{ id, grid, dept string }

// slipping puts a notice for the grid's own desk, and one for the fire department, into
// some grids. They are withdrawn, so that whoever is let through changes nothing.
func (w *world) slipping(t *testing.T) {
	t.Helper()
	for _, key := range []string{"P/P", "P/P1", "P/P111", "P/P211", "P/X9", "Q/Q111", "Q/X9"} {
		for _, dept := range []string{"", fireDept} {
			x := slip{grid: key, dept: dept}
			err := w.s.db.Pool.QueryRow(t.Context(), `INSERT INTO notice (grid_id, grid_no, department_id, level, unit_id, unit_no, title, made_by, made_at, due, remind_at, withdrawn_at)
				SELECT g.id, g.no, d.id, CASE WHEN d.id IS NULL THEN g.level END, CASE WHEN d.id IS NULL THEN g.id END, CASE WHEN d.id IS NULL THEN g.no END,
				'提示', 'token:1', now(), now() + interval '2 hours', now() + interval '1 hour', now()
				FROM grid g JOIN grid_version v ON v.id = g.version_id AND v.root_code = $1 LEFT JOIN department d ON d.name = $3 WHERE g.code = $2 RETURNING id::text`,
				w.grids[key].county, w.grids[key].code, dept).Scan(&x.id)
			if err != nil {
				t.Fatal(err)
			}
			w.slips = append(w.slips, x)
		}
	}
}

// seesSlip: who sends people sees those of the grids in reach, a department its own.
func (r *run) seesSlip(x slip) bool {
	if r.w.grids[x.grid].county != r.w.grids[r.a.home].county {
		return false
	}
	if r.a.role == auth.DeptHandler {
		return x.dept == r.a.dept
	}
	return r.w.inGrid(r.o.cell(rowAssign, r.a).reach, r.a, x.grid)
}

func (r *run) listNotices(l line) {
	a := r.ask(l, l.method, l.path, "")
	if !r.o.allowed(r.a, l) {
		r.denied(l, l.path, a)
		return
	}
	if !r.granted(l, "the list", a, http.StatusOK) {
		return
	}
	var v struct{ Items []struct{ ID string } }
	if err := json.Unmarshal(a.body, &v); err != nil {
		r.f.add("form", r.a.name, l.name(), "%v", err)
		return
	}
	var got, want []string
	for _, i := range v.Items {
		got = append(got, i.ID)
	}
	for _, x := range r.w.slips {
		if r.seesSlip(x) {
			want = append(want, x.id)
		}
	}
	r.compare(l.name(), got, want)
}

// eachNotice acts on notices that are over. Who is not of the unit may not read one.
func (r *run) eachNotice(l line) {
	ask := func(id string) answer {
		return r.ask(l, l.method, strings.Replace(l.path, "{id}", id, 1), `{"text":"已办"}`)
	}
	missing, may := ask(nobodyHasThis), r.o.allowed(r.a, l)
	if may {
		r.granted(l, "what is not there", missing, 404)
	} else {
		r.denied(l, "what is not there", missing)
	}
	for _, x := range r.w.slips {
		what := "the notice " + x.id + " of " + x.grid + " to " + x.dept
		a := ask(x.id)
		switch {
		case !may:
			r.denied(l, what, a)
		case !r.seesSlip(x):
			r.same(l, what, a, missing)
		case strings.HasSuffix(l.path, "/read"):
			r.granted(l, what, a, http.StatusOK, http.StatusConflict)
		default:
			r.granted(l, what, a, http.StatusConflict)
		}
	}
}

// makeNotices asks for notices that are due too soon.
func (r *run) makeNotices(l line) {
	for key, g := range r.w.grids {
		a := r.ask(l, l.method, l.path, `{"title":"提示","grid":"`+g.code+`","due":"2020-01-01T00:00:00Z"}`)
		mine := false // a code may be several counties'
		for other, o := range r.w.grids {
			mine = mine || o.code == g.code && o.county == r.w.grids[r.a.home].county && r.w.inGrid(r.o.cell(rowAssign, r.a).reach, r.a, other)
		}
		switch {
		case !r.o.allowed(r.a, l):
			r.denied(l, key, a)
		case !mine:
			r.granted(l, key, a, http.StatusNotFound)
		default:
			r.granted(l, key, a, http.StatusConflict)
		}
	}
}

func (r *run) noticeFigures(l line) {
	day := func(n int) string { return time.Now().AddDate(0, 0, n).UTC().Format(time.RFC3339) }
	a := r.ask(l, l.method, l.path+"?from="+day(-1)+"&to="+day(0), "")
	if r.o.allowed(r.a, l) {
		r.granted(l, "the period", a, http.StatusOK)
	} else {
		r.denied(l, "the period", a)
	}
}
