// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"net/http"
	"testing"

	"onemap/auth"
)

// beat is a patrol of the world, with its one visit.
type beat struct{ patrol, visit, grid, dept string }

// patrolling puts a patrol of the grid's own workers, and one of the fire department,
// into some grids. They have ended, so that whoever is let through changes nothing.
func (w *world) patrolling(t *testing.T) {
	t.Helper()
	for _, key := range []string{"P/P", "P/P1", "P/P111", "P/P211", "P/X9", "Q/Q111", "Q/X9"} {
		for _, dept := range []string{"", fireDept} {
			x := beat{grid: key, dept: dept}
			err := w.s.db.Pool.QueryRow(t.Context(), `WITH made AS (INSERT INTO patrol (name, root_code, grid_code, grid_no, targets, department_id, rhythm, every, days, ahead,
				from_min, to_min, first_day, radius_m, stay_min, made_by, made_at, ended_by, ended_at, reason, opened_to)
				SELECT '巡查', v.root_code, g.code, g.no, 'grid', d.id, 'daily', 0, 'all', 0, 0, 1440, '2026-01-01', 50, 0, 'token:1', now(), 'token:1', now(), '合并', '2026-01-01'
				FROM grid g JOIN grid_version v ON v.id = g.version_id AND v.root_code = $1 LEFT JOIN department d ON d.name = $3 WHERE g.code = $2 RETURNING id, root_code, grid_no, department_id),
				visited AS (INSERT INTO visit (patrol_id, target, name, grid_id, grid_no, department_id, rhythm, period, windows, opens_at, closes_at, radius_m, stay_min, state, void_at)
				SELECT m.id, 'grid', g.name, g.id, g.no, m.department_id, 'daily', '2026-01-01', tstzmultirange(tstzrange(now(), now() + interval '1 hour')), now(), now() + interval '1 hour', 50, 0, 'void', now()
				FROM made m JOIN grid g ON g.no = m.grid_no RETURNING id)
				SELECT made.id::text, visited.id::text FROM made, visited`, w.grids[key].county, w.grids[key].code, dept).Scan(&x.patrol, &x.visit)
			if err != nil {
				t.Fatal(err)
			}
			w.walks = append(w.walks, x)
		}
	}
}

// seesPatrol: who sends people sees those of the grids in reach.
func (r *run) seesPatrol(x beat) bool {
	return r.w.grids[x.grid].county == r.w.grids[r.a.home].county && r.w.inGrid(r.o.cell(rowAssign, r.a).reach, r.a, x.grid)
}

// seesVisit: a department sees its own, a worker those of the grids it serves, above and
// below, that are no department's; who sends people those of the grids in reach.
func (r *run) seesVisit(x beat) bool {
	if r.w.grids[x.grid].county != r.w.grids[r.a.home].county {
		return false
	}
	switch r.a.role {
	case auth.DeptHandler:
		return x.dept == r.a.dept
	case auth.GridWorker:
		for _, h := range r.w.workers {
			if h.id == r.a.worker && x.dept == "" {
				return r.w.grids[h.grid].within(r.w, x.grid) || r.w.grids[x.grid].within(r.w, h.grid)
			}
		}
		return false
	}
	return r.seesPatrol(x)
}

func (r *run) listWalks(l line) {
	var want []string
	for _, x := range r.w.walks {
		switch {
		case l.target == "list patrols" && r.seesPatrol(x):
			want = append(want, x.patrol)
		case l.target == "list visits" && r.seesVisit(x):
			want = append(want, x.visit)
		}
	}
	r.listed(l, want)
}

// eachWalk acts on patrols that have ended, and on their visits.
func (r *run) eachWalk(l line) {
	body, headers := `{"reason":"合并"}`, []string(nil)
	switch {
	case l.method == "PUT":
		body, headers = `{"name":"巡查","rhythm":"daily"}`, []string{`If-Match: "1"`}
	case l.target == "visit":
		body = `{"text":"去过"}`
	}
	var all []thing
	for _, x := range r.w.walks {
		t := thing{x.patrol, "the patrol of " + x.grid + " by " + x.dept, r.seesPatrol(x)}
		if l.target == "visit" {
			t.id, t.seen = x.visit, r.seesVisit(x)
		}
		all = append(all, t)
	}
	r.each(l, all, []int{http.StatusConflict}, body, headers...)
}

// makePatrols asks for patrols that have ended before they begin.
func (r *run) makePatrols(l line) {
	r.makeRefused(l, func(code string) string {
		return `{"name":"巡查","grid":"` + code + `","targets":"grid","rhythm":"daily","last":"2021-01-01"}`
	})
}
