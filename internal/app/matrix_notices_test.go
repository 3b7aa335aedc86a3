// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
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
	var want []string
	for _, x := range r.w.slips {
		if r.seesSlip(x) {
			want = append(want, x.id)
		}
	}
	r.listed(l, want)
}

// eachNotice looks at notices that are over, and acts on them. Who is not of the unit signs none.
func (r *run) eachNotice(l line) {
	var all []thing
	for _, x := range r.w.slips {
		all = append(all, thing{x.id, "the notice " + x.id + " of " + x.grid + " to " + x.dept, r.seesSlip(x)})
	}
	if l.method == http.MethodGet {
		r.each(l, all, []int{http.StatusOK}, "")
		return
	}
	statuses := []int{http.StatusConflict}
	if strings.HasSuffix(l.path, "/read") {
		statuses = append(statuses, http.StatusOK)
	}
	r.each(l, all, statuses, `{"text":"已办"}`)
}

// makeNotices asks for notices that are due too soon.
func (r *run) makeNotices(l line) {
	r.makeRefused(l, func(code string) string {
		return `{"title":"提示","grid":"` + code + `","due":"2020-01-01T00:00:00Z"}`
	})
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
