// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"time"

	"onemap/auth"
	"onemap/people"
)

// duplicates asks what may be the same matter as every incident: nothing is suggested
// that the actor may not see.
func (r *run) duplicates(l line) {
	ask := func(id string) answer { return r.ask(l, l.method, strings.Replace(l.path, "{id}", id, 1), "") }
	missing := ask(nobodyHasThis)
	if !r.o.allowed(r.a, l) {
		r.denied(l, "an incident", missing)
		return
	}
	for _, m := range r.w.incidents {
		a := ask(m.id)
		if r.o.sees(r.w, r.a, m, rowIncident) != whole {
			r.same(l, m.name, a, missing)
			continue
		}
		if !r.granted(l, m.name, a, 200) {
			continue
		}
		var v struct {
			Items []struct{ Incident shownIncident }
		}
		if err := json.Unmarshal(a.body, &v); err != nil {
			r.f.add("form", r.a.name, l.name(), "%v", err)
		}
		for _, i := range v.Items {
			r.f.cell()
			if o := r.byID(i.Incident.ID); o == nil || r.o.sees(r.w, r.a, o, rowIncident) != whole {
				r.f.add("leak", r.a.name, l.name(), "%s may be the same as %s", m.name, r.nameOf(i.Incident.ID))
			}
		}
	}
}

// marked marks both counties in turn: everything told lies in the actor's grids, and
// all that does is told.
func (r *run) marked(l line) {
	for _, county := range []string{"P", "Q"} {
		x := 107.0
		if county == "Q" {
			x = 109
		}
		a := r.ask(l, l.method, l.path, fmt.Sprintf(`{"crs":"wgs84","box":[%v,38,%v,39],"limit":1000}`, x, x+1))
		if !r.o.allowed(r.a, l) {
			r.denied(l, county, a)
			continue
		}
		if r.w.grids[r.a.home].county != county {
			r.granted(l, "the other county", a, 422)
			continue
		}
		if r.granted(l, county, a, 200) {
			r.insideMarked(l, a)
		}
	}
}

func (r *run) insideMarked(l line, a answer) {
	var v struct {
		Workers   struct{ Items []struct{ Badge string } }
		Incidents struct{ Items []shownIncident }
		Cameras   struct{ Items []struct{ Name string } }
		Layers    []struct {
			Items []struct{ Name string }
		}
		Places struct{ Items []struct{ Name string } }
	}
	if err := json.Unmarshal(a.body, &v); err != nil {
		r.f.add("form", r.a.name, l.name(), "%v", err)
		return
	}
	got := map[string]bool{}
	for _, w := range v.Workers.Items {
		got["worker "+w.Badge] = true
	}
	for _, c := range v.Cameras.Items {
		got["camera "+c.Name] = true
	}
	for _, l := range v.Layers {
		for _, i := range l.Items {
			got["point "+i.Name] = true
		}
	}
	for _, p := range v.Places.Items {
		got["place "+p.Name] = true
	}
	want := map[string]bool{}
	for _, h := range r.w.workers {
		want["worker "+h.badge] = r.o.seesWorker(r.w, r.a, h, rowPosition)
	}
	for key, p := range r.w.grids {
		in := p.county == r.w.grids[r.a.home].county && r.w.inGrid(r.o.cell(rowTiles, r.a).reach, r.a, key)
		want["camera 镜头"+key] = in
		want["point 点"+key] = in
		must, _ := r.o.seesGrid(r.w, r.a, key)
		want["place "+wellIn(key)] = must
	}
	for what := range got {
		r.f.cell()
		if !want[what] {
			r.f.add("leak", r.a.name, l.name(), "shows %s", what)
		}
	}
	for what, should := range want {
		if should && !got[what] {
			r.f.add("less", r.a.name, l.name(), "lacks %s", what)
		}
	}
	var open []string
	for _, m := range r.w.incidents {
		if !m.closed && !m.outside && r.o.sees(r.w, r.a, m, rowIncident) == whole {
			open = append(open, m.id)
		}
	}
	r.compare(l.name(), ids(v.Incidents.Items), open)
	if r.a.role == auth.CountyLeader && len(v.Workers.Items) > 0 {
		r.f.add("leak", r.a.name, l.name(), "names workers")
	}
}

// responseTimes counts the incidents that figures of speed are made of: those the actor
// sees, refused ones apart.
func (r *run) responseTimes(l line) {
	now := time.Now().UTC()
	a := r.ask(l, l.method, l.path+"?from="+now.AddDate(0, 0, -30).Format(time.RFC3339)+"&to="+now.Add(time.Hour).Format(time.RFC3339), "")
	if !r.o.allowed(r.a, l) {
		r.denied(l, l.path, a)
		return
	}
	if !r.granted(l, l.path, a, 200) {
		return
	}
	var v struct{ Incidents int }
	if err := json.Unmarshal(a.body, &v); err != nil {
		r.f.add("form", r.a.name, l.name(), "%v", err)
	}
	want := 0
	for _, m := range r.w.incidents {
		if !m.closed && r.o.sees(r.w, r.a, m, rowIncident) != hidden {
			want++
		}
	}
	r.f.cell()
	if v.Incidents != want {
		r.f.add("leak", r.a.name, l.name(), "counts %d incidents, the actor sees %d", v.Incidents, want)
	}
}

// periodFigures counts what was reported lately: the incidents that the actor sees; who
// reads no cases is told of one whole week, without those whose place is not shown and
// without small numbers.
func (r *run) periodFigures(l line) {
	to := people.Local(time.Now()).Truncate(time.Second).Add(time.Hour)
	from := to.AddDate(0, 0, -60)
	shared := r.a.role == auth.Auditor || r.a.role == auth.Wall
	if shared {
		to = monday(people.Local(time.Now()))
		to = time.Date(to.Year(), to.Month(), to.Day(), 0, 0, 0, 0, to.Location())
		from = to.AddDate(0, 0, -7)
	}
	a := r.ask(l, l.method, l.path+"?"+url.Values{"from": {from.Format(time.RFC3339)}, "to": {to.Format(time.RFC3339)}}.Encode(), "")
	if !r.o.allowed(r.a, l) {
		r.denied(l, l.path, a)
		return
	}
	if !r.granted(l, l.path, a, 200) {
		return
	}
	var v struct {
		Total struct{ Reported struct{ N *int } }
	}
	if err := json.Unmarshal(a.body, &v); err != nil {
		r.f.add("form", r.a.name, l.name(), "%v", err)
		return
	}
	want := 0
	for _, m := range r.w.incidents {
		in := !m.when.Before(from) && m.when.Before(to)
		if in && (!m.sensitive || !shared) && r.o.sees(r.w, r.a, m, rowIncident) != hidden && r.o.sees(r.w, r.a, m, l.resource) != hidden {
			want++
		}
	}
	r.f.cell()
	switch n := v.Total.Reported.N; {
	case n == nil && (!shared || want == 0 || want >= auth.K):
		r.f.add("less", r.a.name, l.name(), "counts nothing, the actor sees %d", want)
	case n != nil && (*n != want || shared && want > 0 && want < auth.K):
		r.f.add("leak", r.a.name, l.name(), "counts %d incidents, the actor sees %d", *n, want)
	}
}

// periodExport: of what was reported lately the file counts the incidents that the actor
// sees, and nothing of another's grid.
func (r *run) periodExport(l line) {
	to := people.Local(time.Now()).Truncate(time.Second).Add(time.Hour)
	from := to.AddDate(0, 0, -60)
	query := "?" + url.Values{"from": {from.Format(time.RFC3339)}, "to": {to.Format(time.RFC3339)}}.Encode()
	if strings.HasSuffix(l.path, ".geojson") {
		query += "&by=grid"
	}
	a := r.ask(l, l.method, l.path+query+"&reason="+goodReason, "")
	if !r.o.allowed(r.a, l) {
		r.denied(l, l.path, a)
		return
	}
	if !r.granted(l, "the file", a, 200) {
		return
	}
	if b := r.ask(l, l.method, l.path+query, ""); b.status < 400 {
		r.f.add("leak", r.a.name, l.name()+" without a reason", "%d", b.status)
	}
	if !strings.HasSuffix(l.path, ".csv") {
		return // the same figures: TestPeriodFiguresAsAFileAreThoseTold
	}
	want := 0
	for _, m := range r.w.incidents {
		if !m.when.Before(from) && m.when.Before(to) && r.o.sees(r.w, r.a, m, rowIncident) != hidden && r.o.sees(r.w, r.a, m, l.resource) != hidden {
			want++
		}
	}
	for _, row := range r.csv(l, a) {
		if row[0] != "total" || row[3] != "reported" {
			continue
		}
		r.f.cell()
		if row[4] != fmt.Sprint(want) {
			r.f.add("leak", r.a.name, l.name(), "counts %s incidents, the actor sees %d", row[4], want)
		}
	}
	for key, g := range r.w.grids {
		if _, may := r.o.seesGrid(r.w, r.a, key); may || g.code == "X9" {
			continue
		}
		r.f.cell()
		if b := r.ask(l, l.method, l.path+query+"&grid="+g.code+"&reason="+goodReason, ""); b.status == 200 {
			r.f.add("leak", r.a.name, l.name()+" filter grid", "%s: %s", key, b.body)
		}
	}
}

// calls asks the routes of roll calls and messages without calling anybody: inside the
// mark is nobody, and the one asked about is not there.
func (r *run) calls(l line) {
	body, want := "", 200
	switch {
	case l.target == "call":
		x := 107
		if r.w.grids[r.a.home].county == "Q" {
			x = 109
		}
		body, want = fmt.Sprintf(`{"crs":"wgs84","circle":{"lon":%d.9,"lat":38.95,"radius_m":1},"text":"集合"}`, x), 422
		if l.answer == "roll call" {
			body = strings.Replace(body, `"text"`, `"note"`, 1)
		}
	case l.target == "one call":
		want = 404
		if l.method == "POST" {
			body = `{}`
			if l.answer == "message" {
				body = `{"kind":"seen"}`
			}
		}
	}
	r.once(l, strings.Replace(l.path, "{id}", nobodyHasThis, 1), body, want)
}
