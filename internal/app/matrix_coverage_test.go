// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"encoding/json"
	"fmt"
)

// coverage is asked for as it is and without each worker and each offer: it is of the
// grids in reach, names nobody out of it, and says nothing of who is not to be seen.
func (r *run) coverage(l line) {
	ask := func(query string) answer { return r.ask(l, l.method, l.path+query, "") }
	a := ask("")
	if !r.o.allowed(r.a, l) {
		r.denied(l, l.path, a)
		return
	}
	if !r.granted(l, l.path, a, 200) {
		return
	}
	var v struct {
		Counted int
		Items   []struct {
			Code  string
			First struct {
				WorkerID string `json:"worker_id"`
			}
		}
	}
	if err := json.Unmarshal(a.body, &v); err != nil {
		r.f.add("form", r.a.name, l.name(), "%v", err)
		return
	}
	told, first := map[string]bool{}, map[string]bool{}
	for _, i := range v.Items {
		told[i.Code], first[i.First.WorkerID] = true, true
	}
	for key, g := range r.w.grids {
		r.f.cell()
		if must, _ := r.o.seesGrid(r.w, r.a, key); told[g.code] && !must && !r.shares(g.code) {
			r.f.add("leak", r.a.name, l.name(), "tells of grid %s", key)
		}
	}
	missing := ask("?without=" + nobodyHasThis)
	for _, h := range r.w.workers {
		seen := r.o.seesWorker(r.w, r.a, h, l.resource)
		r.f.cell()
		if first[fmt.Sprint(h.id)] && !seen {
			r.f.add("leak", r.a.name, l.name(), "names worker %s of %s", h.badge, h.grid)
		}
		if a := ask(fmt.Sprintf("?without=%d", h.id)); seen {
			r.granted(l, "without "+h.badge, a, 200)
		} else {
			r.same(l, "without "+h.badge, a, missing)
		}
	}
	missing = ask("?offer=" + nobodyHasThis)
	for _, e := range r.w.errands {
		if a := ask("?offer=" + e.id); r.seesErrand(e) {
			r.granted(l, "without whom the offer of "+e.of.name+" asks", a, 200)
		} else {
			r.same(l, "the offer of "+e.of.name, a, missing)
		}
	}
}

// shares reports whether a grid that the actor sees has this code too.
func (r *run) shares(code string) bool {
	for key, g := range r.w.grids {
		if must, _ := r.o.seesGrid(r.w, r.a, key); must && g.code == code {
			return true
		}
	}
	return false
}
