// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"net/http"
	"testing"
)

// paper is a bulletin of the world.
type paper struct{ id, grid string }

// printing puts a bulletin of some grids into the record.
func (w *world) printing(t *testing.T) {
	t.Helper()
	for _, key := range []string{"P/P", "P/P1", "P/P111", "P/P211", "P/X9", "Q/Q111", "Q/X9"} {
		x := paper{grid: key}
		err := w.s.db.Pool.QueryRow(t.Context(), `INSERT INTO bulletin (root_code, grid_code, grid_no, name, week, made_by, made_at, seq, body)
			SELECT $1, g.code, g.no, g.name, '2026-03-02', 'token:1', now(), 0, '{}'
			FROM grid g JOIN grid_version v ON v.id = g.version_id AND v.root_code = $1 WHERE g.code = $2 RETURNING id::text`,
			w.grids[key].county, w.grids[key].code).Scan(&x.id)
		if err != nil {
			t.Fatal(err)
		}
		w.papers = append(w.papers, x)
	}
}

func (r *run) listBulletins(l line) {
	var want []string
	for _, x := range r.w.papers {
		if r.reaches(l, x.grid) {
			want = append(want, x.id)
		}
	}
	r.listed(l, want)
}

func (r *run) eachBulletin(l line) {
	var all []thing
	for _, x := range r.w.papers {
		all = append(all, thing{x.id, "the bulletin of " + x.grid, r.reaches(l, x.grid)})
	}
	r.each(l, all, []int{http.StatusOK}, "")
}

// makeBulletins asks for bulletins of a week that is not over.
func (r *run) makeBulletins(l line) {
	for key, g := range r.w.grids {
		a := r.ask(l, l.method, l.path, `{"grid":"`+g.code+`","week":"2099-01-05"}`)
		mine := false // a code may be several counties'
		for other, o := range r.w.grids {
			mine = mine || o.code == g.code && r.reaches(l, other)
		}
		switch {
		case !r.o.allowed(r.a, l):
			r.denied(l, key, a)
		case !mine:
			r.granted(l, key, a, http.StatusNotFound)
		default:
			r.granted(l, key, a, http.StatusUnprocessableEntity)
		}
	}
}
