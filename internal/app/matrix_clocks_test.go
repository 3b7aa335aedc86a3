// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"encoding/json"
	"net/http"
	"strings"
)

// supervisionsOf are the ids of the supervisions of each matter; the first call makes
// one of each.
func (r *run) supervisionsOf() map[string]string {
	r.w.supervised.Do(func() {
		r.w.supervisions = map[string]string{}
		for _, m := range r.w.incidents {
			var id string
			err := r.w.s.db.Pool.QueryRow(r.w.t.Context(), `INSERT INTO supervision (incident_id, n, stage, owner_level, level, reason, opened_at, opened_by, reply_value, reply_unit, reply_due)
				VALUES ($1::text::bigint, 30000, 1, 3, 1, '督办', now(), 'account:0', 1, 'wd', now()) RETURNING id::text`, m.id).Scan(&id)
			if err != nil {
				r.w.t.Fatal(err)
			}
			r.w.supervisions[m.id] = id
		}
	})
	return r.w.supervisions
}

func (r *run) listSupervisions(l line) {
	all := r.supervisionsOf()
	a := r.ask(l, l.method, l.path+"?limit=200", "")
	if !r.o.allowed(r.a, l) {
		r.denied(l, l.path, a)
		return
	}
	if !r.granted(l, "the list", a, http.StatusOK) {
		return
	}
	var v struct {
		Items []struct{ Incident, Reason string }
	}
	if err := json.Unmarshal(a.body, &v); err != nil {
		r.f.add("form", r.a.name, l.name(), "%v", err)
		return
	}
	shown := map[string]bool{}
	for _, i := range v.Items {
		shown[i.Incident] = true
	}
	for _, m := range r.w.incidents {
		r.f.cell()
		switch sees := r.o.sees(r.w, r.a, m, rowIncident) != hidden; {
		case !sees && shown[m.id]:
			r.f.add("leak", r.a.name, l.name(), "shows the supervision of %s", m.name)
		case sees && !shown[m.id] && len(v.Items) < 200:
			r.f.add("less", r.a.name, l.name(), "lacks the supervision of %s (%s)", m.name, all[m.id])
		}
	}
}

// eachSupervision answers every supervision: what is not seen is as if there were none.
func (r *run) eachSupervision(l line) {
	may := r.o.allowed(r.a, l)
	ask := func(id string) answer {
		return r.ask(l, l.method, strings.Replace(l.path, "{id}", id, 1), `{"text":"已办"}`)
	}
	missing := ask(nobodyHasThis)
	all := r.supervisionsOf()
	for _, m := range r.w.incidents {
		a := ask(all[m.id])
		switch {
		case !may:
			r.denied(l, m.name, a)
		case r.o.sees(r.w, r.a, m, rowIncident) == hidden:
			r.same(l, m.name, a, missing)
		case r.a.dept != "" && r.a.dept != m.dept, r.a.worker != 0 && m.closed: // who assists or only reported reads it
			r.granted(l, m.name, a, http.StatusForbidden)
		default:
			r.granted(l, m.name, a, http.StatusOK, http.StatusConflict) // answered by another before
		}
	}
}

// calendar asks for the clocks, and by who may not, for a change of them.
func (r *run) calendar(l line) {
	body := map[string]string{
		"/api/v1/calendar": `{"office_hours":true,"seasons":[],"days":[],"levels":[],"ladder":[]}`, "/api/v1/calendar/recalculate": `{"reason":"` + goodReason + `"}`,
	}[l.path]
	if l.method == http.MethodGet {
		r.granted(l, "the calendar", r.ask(l, l.method, l.path, ""), http.StatusOK)
		return
	}
	if body == "" {
		body = `{"office_hours":true,"seasons":[],"days":[],"levels":[],"ladder":[]}`
	}
	a := r.ask(l, l.method, l.path, body)
	if !r.o.allowed(r.a, l) {
		r.denied(l, l.path, a)
		return
	}
	r.granted(l, "the calendar", a, http.StatusOK, http.StatusBadRequest, http.StatusForbidden, http.StatusPreconditionRequired) // 403: not of every county
}
