// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// nobodyHasThis is an id that nothing has.
const nobodyHasThis = "987654321"

const goodReason = "核实情况，回访当事人"

// request is how a route about one thing is asked without changing it.
func request(l line, id string) (method, path, body string, headers []string) {
	path = strings.Replace(strings.Replace(l.path, "{id}", id, 1), "{n}", "1", 1)
	if body, ok := remarkBodies[l.path[strings.LastIndexByte(l.path, '/')+1:]]; ok && l.answer == "remark" {
		return l.method, path, body, []string{`If-Match: "4711"`}
	}
	switch l.target + " " + l.answer {
	case "incident incident":
		if l.method == http.MethodPost {
			return l.method, path, `{"action":"accept"}`, []string{`If-Match: "4711"`}
		}
	case "incident offers":
		return l.method, path, `{"worker_ids":["6"],"lead":true}`, []string{`If-Match: "4711"`}
	case "incident revealed":
		body = `{"reason":"` + goodReason + `"}`
	case "incident supervision":
		body = `{"reason":"看一看"}`
	case "worker track":
		path += trackQuery + "&case=SJ000000001"
	}
	return l.method, path, body, nil
}

var trackQuery = "?from=" + time.Now().UTC().Add(-time.Hour).Format(time.RFC3339) + "&to=" + time.Now().UTC().Add(time.Hour).Format(time.RFC3339) + "&reason=" + goodReason

// eachIncident asks a route about every incident of the world.
func (r *run) eachIncident(l line) {
	ask := func(id string) answer {
		m, p, b, h := request(l, id)
		return r.ask(l, m, p, b, h...)
	}
	missing, may := r.nothing(l, ask)
	for _, m := range r.w.incidents {
		a := ask(m.id)
		switch {
		case !may:
			r.denied(l, m.name, a)
		case r.o.sees(r.w, r.a, m, rowIncident) == hidden || r.o.sees(r.w, r.a, m, l.resource) == hidden:
			r.same(l, m.name, a, missing)
		case l.op == "W", l.op == "decide", l.op == "order":
			r.granted(l, m.name, a, http.StatusConflict)
		case l.op == "W above": // 409: one's own level owes it, or it is closed
			r.granted(l, m.name, a, http.StatusCreated, http.StatusConflict)
		default:
			if r.granted(l, m.name, a, http.StatusOK) {
				r.shown(l, m, a)
			}
		}
	}
}

// shown looks into the answer about an incident that may be read.
func (r *run) shown(l line, m *matter, a answer) {
	switch l.answer {
	case "incident":
		r.asMeta(l, m, a.body)
	case "reporters":
		var v struct {
			Items []struct {
				Name, Phone string
				IDNumber    string `json:"id_number"`
			}
		}
		if err := json.Unmarshal(a.body, &v); err != nil || len(v.Items) != 1 {
			r.f.add("form", r.a.name, l.name(), "%s: %s", m.name, a.body)
			return
		}
		i := v.Items[0]
		if stars, ok := strings.CutPrefix(i.Name, string([]rune(m.reporter[0])[0])); !ok || strings.Trim(stars, "*") != "" || stars == "" ||
			i.Phone != m.reporter[1][:3]+"****"+m.reporter[1][7:] || i.IDNumber != m.reporter[2][:3]+"*************"+m.reporter[2][16:] {
			r.f.add("leak", r.a.name, l.name(), "%s: masked %+v of %v", m.name, i, m.reporter)
		}
	case "revealed":
		var v struct {
			Name, Phone string
			IDNumber    string `json:"id_number"`
		}
		if err := json.Unmarshal(a.body, &v); err != nil || [3]string{v.Name, v.Phone, v.IDNumber} != m.reporter {
			r.f.add("form", r.a.name, l.name(), "%s: %s", m.name, a.body)
		}
		if b := r.ask(l, http.MethodPost, "/api/v1/incidents/"+m.id+"/reporters/1/reveal", `{"reason":""}`); b.status != 422 && b.status != 400 {
			r.f.add("leak", r.a.name, l.name()+" without a reason", "%d %s", b.status, b.body)
		}
	}
}

// asMeta holds one incident as JSON against what the actor may see of it: for
// those who read no case, no place finer than the category allows.
func (r *run) asMeta(l line, m *matter, body []byte) {
	var v struct {
		Category, Top string
		Priority      int
		AckDue        *string `json:"ack_due"`
		StageDue      *string `json:"stage_due"`
		Point         *[2]float64
		Cell          *string
		Grid          struct{ Path []struct{ Code string } }
	}
	if err := json.Unmarshal(body, &v); err != nil {
		r.f.add("form", r.a.name, l.name(), "%s: %v", m.name, err)
		return
	}
	if r.o.sees(r.w, r.a, m, rowIncident) != meta {
		if v.Point == nil || *v.Point != m.at {
			r.f.add("less", r.a.name, l.name(), "%s: no point %v: %s", m.name, m.at, body)
		}
		return
	}
	exact := v.Point != nil && *v.Point == m.at
	switch {
	case m.sensitive && (v.Point != nil || v.Cell != nil || v.Category != "" || v.Top != "" || v.Priority != 3 || v.AckDue != nil || v.StageDue != nil || len(v.Grid.Path) > 2):
		r.f.add("leak", r.a.name, l.name()+" sensitive", "%s: more than the town is told: %s", m.name, body)
	case m.category == "0101" && (exact || v.Cell != nil):
		r.f.add("leak", r.a.name, l.name()+" point", "%s: finer than its grid: %s", m.name, body)
	}
}

func (r *run) eachWorker(l line) {
	ask := func(id string) answer {
		_, path, _, _ := request(l, id)
		return r.ask(l, l.method, path, "")
	}
	missing, may := r.nothing(l, ask)
	for _, h := range r.w.workers {
		a := ask(fmt.Sprint(h.id))
		switch {
		case !may:
			r.denied(l, h.badge, a)
		case !r.o.seesWorker(r.w, r.a, h, l.resource):
			r.same(l, h.badge, a, missing)
		case r.granted(l, h.badge, a, 200):
			c := r.o.cell(l.resource, r.a)
			if c.reach == own {
				continue
			}
			bare := "/api/v1/workers/" + fmt.Sprint(h.id) + "/track" + trackQuery
			without := strings.Replace(bare, goodReason, "", 1)
			if b := r.ask(l, l.method, without, ""); b.status < 400 {
				r.f.add("leak", r.a.name, l.name()+" without a reason", "%d %.200s", b.status, b.body)
			}
			if b := r.ask(l, l.method, bare, ""); c.has("case") && b.status < 400 {
				r.f.add("leak", r.a.name, l.name()+" without a case number", "%d %.200s", b.status, b.body)
			}
		}
	}
}

// ownSession asks the routes about one's own session, with a token of its own.
func (r *run) ownSession(l line) {
	body := map[string]string{
		"POST /api/v1/session":            `{"login":"nobody.at.all","password":"` + birdPassword + `"}`,
		"POST /api/v1/invitations/redeem": `{"code":"nonsense","password":"` + birdPassword + `"}`,
		"POST /api/v1/session/unlock":     `{"pin":"` + birdPIN + `"}`,
		"PUT /api/v1/session/pin":         `{"password":"` + birdPassword + `","pin":"` + birdPIN + `"}`,
		"PUT /api/v1/session/password":    `{"old":"` + birdPassword + `","new":"` + birdPassword + `2"}`,
	}[l.name()]
	token, _ := r.w.secret(r.w.t.(*testing.T), r.a)
	r.w.scan.forbid(token)
	a := r.as(token, l, l.method, l.path, body)
	r.f.cell()
	if body != "" && a.status < 400 {
		r.f.add("leak", r.a.name, l.name(), "status %d of a wrong secret: %s", a.status, a.body)
	}
	if l.resource != "self" {
		return
	}
	if n := r.as("", l, l.method, l.path, body); n.status != http.StatusUnauthorized {
		r.f.add("leak", "nobody", l.name(), "status %d, want 401: %.200s", n.status, n.body)
	}
}
