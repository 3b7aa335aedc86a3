// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"onemap/auth"
)

// blast is a whistle of the world, by which the fire department leads.
type blast struct {
	id string
	of *matter
}

// whistle has departments called to some incidents: in two grids of county P, of a
// sensitive category, of the worker's own, and of county Q. They are over, so that
// whoever is let through changes nothing.
func (w *world) whistle(t *testing.T) {
	t.Helper()
	for _, e := range []struct {
		category, grid string
		worker         int64
	}{{"0501", "P/P111", 0}, {"0102", "P/P111", 0}, {"0501", "P/P211", 0}, {"0501", "P/P111", w.workers[0].id}, {"0501", "Q/Q111", 0}} {
		i := slices.IndexFunc(w.incidents, func(m *matter) bool {
			return m.category == e.category && m.grid == e.grid && m.worker == e.worker && !m.closed && !m.past
		})
		x := blast{of: w.incidents[i]}
		err := w.s.db.Pool.QueryRow(t.Context(), `INSERT INTO whistle (incident_id, state, made_by, made_at, due, radius_m, ended_at)
			VALUES ($1::text::bigint, 'ended', 'token:1', now(), now() + interval '1 hour', 200, now()) RETURNING id::text`, x.of.id).Scan(&x.id)
		if err != nil {
			t.Fatal(err)
		}
		w.exec(t, w.s.db, "INSERT INTO whistle_call (whistle_id, department_id, lead) SELECT $1::text::bigint, id, true FROM department WHERE name = $2", x.id, fireDept)
		w.blasts = append(w.blasts, x)
	}
}

// seesBlast: the desk sees the whistles of the incidents in reach, a worker those of the
// own incidents, a department those of the incidents that it leads or assists with;
// called: and those that call it.
func (r *run) seesBlast(m *matter, called bool) bool {
	c := r.o.cell(rowAssign, r.a)
	switch {
	case r.w.grids[m.grid].county != r.w.grids[r.a.home].county:
		return false
	case r.a.role == auth.DeptHandler && called:
		return r.a.dept == fireDept
	case c.write:
		return r.o.sees(r.w, r.a, m, rowIncident) != hidden && r.o.sees(r.w, r.a, m, rowAssign) != hidden
	}
	return r.o.sees(r.w, r.a, m, rowIncident) != hidden
}

// eachWhistleOf asks for the whistles of each incident, or for one that calls a
// department twice.
func (r *run) eachWhistleOf(l line) {
	ask := func(id string) answer { return r.ask(l, l.method, strings.Replace(l.path, "{id}", id, 1), "") }
	want := http.StatusOK
	if l.method == http.MethodPost { // a department that is called twice: nothing is made
		ask = func(id string) answer {
			return r.ask(l, l.method, strings.Replace(l.path, "{id}", id, 1), `{"lead":"消防救援","assisting":["消防救援"],"within_min":5}`)
		}
		want = http.StatusConflict
	}
	missing, may := r.nothing(l, ask)
	for _, m := range r.w.incidents {
		a := ask(m.id)
		switch {
		case !may:
			r.denied(l, m.name, a)
		case !r.seesBlast(m, false): // all of the world's are over: who was called reads no more by that
			r.same(l, m.name, a, missing)
		default:
			r.granted(l, m.name, a, want)
		}
	}
}

// listWhistles: all of the world's are over, and none is listed.
func (r *run) listWhistles(l line) { r.listed(l, nil) }

// eachWhistle says something to whistles that are over, and ends them.
func (r *run) eachWhistle(l line) {
	body := `{"kind":"report"}`
	switch {
	case strings.HasSuffix(l.path, "/end"):
		body = `{"reason":"到场"}`
	case r.o.cell(rowAssign, r.a).write:
		body = `{"kind":"report","department":"消防救援"}`
	}
	ask := func(id string) answer { return r.ask(l, l.method, strings.Replace(l.path, "{id}", id, 1), body) }
	missing, may := ask(nobodyHasThis), r.o.allowed(r.a, l)
	if may {
		r.granted(l, "what is not there", missing, 404)
	} else {
		r.denied(l, "what is not there", missing)
	}
	for _, b := range r.w.blasts {
		a := ask(b.id)
		switch {
		case !may:
			r.denied(l, "the whistle of "+b.of.name, a)
		case !r.seesBlast(b.of, true):
			r.same(l, "the whistle of "+b.of.name, a, missing)
		default:
			r.granted(l, "the whistle of "+b.of.name, a, http.StatusConflict)
		}
	}
}
