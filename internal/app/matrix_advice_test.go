// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"onemap/geo"
	"onemap/people"
)

// candidates asks who should go to every incident: of those open and seen every
// worker in reach is told, as advised or not, and nobody else. All of them stand
// within the radius of those in the county, the other county's too.
func (r *run) candidates(l line) {
	ask := func(id string) answer {
		return r.ask(l, l.method, strings.Replace(l.path, "{id}", id, 1)+"?k=50", "")
	}
	missing := ask(nobodyHasThis)
	if !r.o.allowed(r.a, l) {
		r.denied(l, "an incident", missing)
		return
	}
	for _, m := range r.w.incidents {
		a := ask(m.id)
		switch sight := r.o.sees(r.w, r.a, m, rowIncident); {
		case sight == hidden:
			r.same(l, m.name, a, missing)
		case m.closed:
			r.granted(l, m.name+", which is over", a, 409)
		case r.granted(l, m.name, a, 200):
			r.compareCandidates(l, m, a)
		}
	}
}

func (r *run) compareCandidates(l line, m *matter, a answer) {
	about := m.name
	type who struct {
		WorkerID string `json:"worker_id"`
	}
	var v struct{ Items, Excluded []who }
	if err := json.Unmarshal(a.body, &v); err != nil {
		r.f.add("form", r.a.name, l.name(), "%s: %v", about, err)
		return
	}
	told := map[string]bool{}
	for _, w := range append(v.Items, v.Excluded...) {
		told[w.WorkerID] = true
	}
	for _, h := range r.w.workers {
		r.f.cell()
		is, want := told[fmt.Sprint(h.id)], r.o.seesWorker(r.w, r.a, h, l.resource)
		if is && !want {
			r.f.add("leak", r.a.name, l.name(), "%s: tells worker %s of %s", about, h.badge, h.grid)
		}
		if want && !is && geo.Distance(geo.WGS84(m.at), geo.WGS84(h.at)) < 190_000 { // beyond the radius nobody is told
			r.f.add("less", r.a.name, l.name(), "%s: lacks worker %s of %s", about, h.badge, h.grid)
		}
	}
}

// adviceFigures asks how often the advice was followed.
func (r *run) adviceFigures(l line) {
	to := monday(people.Local(time.Now()))
	a := r.ask(l, l.method, l.path+"?from="+to.AddDate(0, 0, -7).Format(time.DateOnly)+"&to="+to.Format(time.DateOnly), "")
	if !r.o.allowed(r.a, l) {
		r.denied(l, l.path, a)
		return
	}
	r.granted(l, "the figures", a, 200)
}
