// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

// errand is an offer of the world: a worker who said yes.
type errand struct {
	id     string
	of     *matter
	worker int64
}

// offer has workers on some incidents: of two grids of county P, of a sensitive
// category, and of county Q.
func (w *world) offer(t *testing.T) {
	t.Helper()
	for _, e := range []struct {
		category, grid string
		worker         int
	}{{"0501", "P/P111", 0}, {"0102", "P/P111", 0}, {"0501", "P/P112", 1}, {"0501", "P/P211", 3}, {"0501", "Q/Q111", 4}} {
		i := slices.IndexFunc(w.incidents, func(m *matter) bool {
			return m.category == e.category && m.grid == e.grid && m.worker == 0 && !m.closed && !m.past
		})
		x := errand{of: w.incidents[i], worker: w.workers[e.worker].id}
		err := w.s.db.Pool.QueryRow(t.Context(), `INSERT INTO offer (incident_id, worker_id, lead, state, made_by, made_at, expires_at, answered_at)
			VALUES ($1::text::bigint, $2, true, 'accepted', 'token:1', now(), now() + interval '1 hour', now()) RETURNING id::text`, x.of.id, x.worker).Scan(&x.id)
		if err != nil {
			t.Fatal(err)
		}
		w.errands = append(w.errands, x)
	}
}

// seesErrand: a worker sees the own ones, who sends people those of incidents in reach.
func (r *run) seesErrand(e errand) bool {
	c := r.o.cell(rowAssign, r.a)
	switch {
	case r.w.grids[e.of.grid].county != r.w.grids[r.a.home].county:
		return false
	case c.write:
		return r.o.sees(r.w, r.a, e.of, rowIncident) != hidden && r.o.sees(r.w, r.a, e.of, rowAssign) != hidden
	}
	return c.has("accept") && r.a.worker != 0 && r.a.worker == e.worker
}

func (r *run) offersOfIncidents(l line) {
	ask := func(id string) answer { return r.ask(l, l.method, strings.Replace(l.path, "{id}", id, 1), "") }
	missing, may := r.nothing(l, ask)
	for _, m := range r.w.incidents {
		a := ask(m.id)
		theirs := slices.ContainsFunc(r.w.errands, func(e errand) bool { return e.of == m && r.seesErrand(e) })
		desk := r.o.cell(rowAssign, r.a).write && r.o.sees(r.w, r.a, m, rowIncident) != hidden && r.o.sees(r.w, r.a, m, rowAssign) != hidden
		switch {
		case !may:
			r.denied(l, m.name, a)
		case !theirs && !desk:
			r.same(l, m.name, a, missing)
		default:
			r.granted(l, m.name, a, http.StatusOK)
		}
	}
}

func (r *run) listOffers(l line) {
	var want []string
	for _, e := range r.w.errands {
		if r.seesErrand(e) {
			want = append(want, e.id)
		}
	}
	r.listed(l, want)
}

// eachOffer asks what is refused for what it is, and not for who asks: a yes to what
// was said yes to, and taking back without a reason.
func (r *run) eachOffer(l line) {
	body, want := `{"kind":"accept"}`, http.StatusConflict
	if r.o.cell(rowAssign, r.a).write {
		body, want = `{"kind":"withdraw"}`, http.StatusUnprocessableEntity
	}
	var all []thing
	for _, e := range r.w.errands {
		all = append(all, thing{e.id, "the offer of " + e.of.name, r.seesErrand(e)})
	}
	r.each(l, all, []int{want}, body)
}
