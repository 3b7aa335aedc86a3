// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"encoding/json"
	"testing"
)

// remarkBodies are good bodies of the routes that make remarks, by the last part of
// their address.
var remarkBodies = map[string]string{
	"requests": `{"kind":"void","reason":"重复录入"}`, "decision": `{"decision":"approve"}`, "notes": `{"text":"已电话核实"}`,
	"instructions": `{"text":"请抓紧办理","due":"2099-01-01T00:00:00Z"}`, "reply": `{"text":"已办"}`,
	"sessions": `{"at":"2099-01-01T00:00:00Z","place":"中心"}`, "{n}": `{"at":"2099-01-01T00:00:00Z","place":"中心","ver":1}`, "confirm": `{"ver":1}`,
	"assistants": `{"department":"` + womenDept + `"}`, "outcome": `{"outcome":"satisfied"}`,
}

// remarkOn has a department assist with some incidents, and a request wait on each that
// is open.
func (w *world) remarkOn(t *testing.T) {
	t.Helper()
	for i, m := range w.incidents {
		token := w.named("hall with the flag").token
		if w.grids[m.grid].county == "Q" {
			token = w.hallQ
		}
		if m.closed {
			continue
		}
		if a := w.call("POST", "/api/v1/incidents/"+m.id+"/requests", token, remarkBodies["requests"]); a.status != 201 {
			t.Fatalf("%s: %d %s", m.name, a.status, a.body)
		}
		if i%3 != 0 || m.dept == fireDept {
			continue
		}
		if a := w.call("POST", "/api/v1/incidents/"+m.id+"/assistants", token, `{"department":"`+fireDept+`"}`); a.status != 200 {
			t.Fatalf("%s: %d %s", m.name, a.status, a.body)
		}
		m.assist = fireDept
	}
}

// openRemarks wants the requests of just those incidents that the actor reads.
func (r *run) openRemarks(l line) {
	a := r.ask(l, l.method, l.path+"?kind=request&limit=200", "")
	if !r.o.allowed(r.a, l) {
		r.denied(l, l.path, a)
		return
	}
	if !r.granted(l, "the list", a, 200) {
		return
	}
	var v struct {
		Counts struct{ Requests int }
		Items  []struct{ Incident string }
	}
	if err := json.Unmarshal(a.body, &v); err != nil {
		r.f.add("form", r.a.name, l.name(), "%v", err)
		return
	}
	if v.Counts.Requests != len(v.Items) {
		r.f.add("leak", r.a.name, l.name(), "%d counted, %d listed", v.Counts.Requests, len(v.Items))
	}
	shown := map[string]bool{}
	for _, i := range v.Items {
		shown[i.Incident] = true
	}
	for _, m := range r.w.incidents {
		r.f.cell()
		switch sees := !m.closed && r.o.sees(r.w, r.a, m, rowIncident) == whole; {
		case shown[m.id] && !sees:
			r.f.add("leak", r.a.name, l.name(), "shows the request of %s", m.name)
		case sees && !shown[m.id]:
			r.f.add("less", r.a.name, l.name(), "lacks the request of %s", m.name)
		}
	}
}
