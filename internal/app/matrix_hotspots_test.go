// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"encoding/json"
	"net/url"
	"strings"
	"time"

	"onemap/geo"
	h3 "onemap/geo/cell"
)

// hotSpots counts by cell what was reported lately: the incidents that the actor sees,
// without those whose place is never shown. One cell is asked about after another;
// where none has any, one on the other side of the earth.
func (r *run) hotSpots(l line) {
	now := time.Now()
	from, to := now.AddDate(0, 0, -60), now.Add(time.Hour)
	period := "?" + url.Values{"from": {from.Format(time.RFC3339)}, "to": {to.Format(time.RFC3339)}}.Encode()
	list := strings.TrimSuffix(l.path, "/{cell}")
	const far = "88283082b9fffff"
	if !r.o.allowed(r.a, l) {
		path := strings.Replace(l.path, "{cell}", far, 1)
		r.denied(l, path, r.ask(l, l.method, path+period, ""))
		return
	}
	all, listed := l, l
	all.answer, listed.answer = "hot spots", "incidents"
	a := r.ask(all, l.method, list+period, "")
	var v struct {
		Counted, Elsewhere, Not_Located int
		Cells                           []struct {
			Cell  string
			Count int
		}
	}
	if a.status != 200 || json.Unmarshal(a.body, &v) != nil {
		r.f.add("form", r.a.name, l.name(), "%d %.200s", a.status, a.body)
		return
	}
	want := r.heated(l, from, to)
	r.f.cell()
	if n := v.Counted + v.Elsewhere + v.Not_Located; n != want {
		r.f.add("leak", r.a.name, l.name(), "counts %d incidents, the actor sees %d", n, want)
	}
	if list == l.path {
		r.granted(l, l.path, a, 200)
		return
	}
	r.granted(l, l.path, r.ask(l, l.method, list+"/"+far+period, ""), 404)
	for _, m := range r.w.incidents { // a cell of the other county is no other than one that is nowhere
		if r.w.grids[m.grid].county == r.w.grids[r.a.home].county || m.outside {
			continue
		}
		theirs, err := h3.At(geo.WGS84{m.at[0], m.at[1]}, 8)
		if err != nil {
			r.f.add("form", r.a.name, l.name(), "%v", err)
			continue
		}
		r.granted(l, l.path, r.ask(l, l.method, list+"/"+theirs.String()+period, ""), 404)
		break
	}
	if want > 0 && len(v.Cells) == 0 && v.Counted > 0 {
		r.f.add("form", r.a.name, l.name(), "%d incidents in no cell", v.Counted)
	}
	for _, c := range v.Cells {
		if c.Count == 0 {
			continue
		}
		a := r.ask(l, l.method, list+"/"+c.Cell+period, "")
		var why struct {
			Count int
			Rows  string
		}
		if !r.granted(l, l.path, a, 200) || json.Unmarshal(a.body, &why) != nil {
			continue
		}
		rows := r.ask(listed, "GET", "/api/v1/incidents?"+why.Rows+"&limit=200", "")
		var told struct{ Items []json.RawMessage }
		r.f.cell()
		if json.Unmarshal(rows.body, &told) != nil || why.Count != c.Count || len(told.Items) != c.Count {
			r.f.add("leak", r.a.name, l.name(), "cell %s counts %d, why counts %d, %d rows", c.Cell, c.Count, why.Count, len(told.Items))
		}
	}
}

// heated is how many incidents of a period the actor may have counted by cell.
func (r *run) heated(l line, from, to time.Time) (n int) {
	for _, m := range r.w.incidents {
		in := !m.when.Before(from) && m.when.Before(to)
		if in && !m.sensitive && r.o.sees(r.w, r.a, m, rowIncident) != hidden && r.o.sees(r.w, r.a, m, l.resource) != hidden {
			n++
		}
	}
	return n
}

// hotPeriods counts by cell what was reported in several periods, likewise.
func (r *run) hotPeriods(l line) {
	now := time.Now().Truncate(time.Second)
	begin, middle, end := now.AddDate(0, 0, -120), now.AddDate(0, 0, -60), now.Add(time.Hour)
	query := url.Values{"from": {begin.Format(time.RFC3339)}, "to": {end.Format(time.RFC3339)}}
	if strings.HasSuffix(l.path, "/compare") {
		query.Set("to", middle.Format(time.RFC3339))
		query.Set("from2", middle.Format(time.RFC3339))
		query.Set("to2", end.Format(time.RFC3339))
	}
	path := l.path + "?" + query.Encode()
	a := r.ask(l, l.method, path, "")
	if !r.o.allowed(r.a, l) {
		r.denied(l, l.path, a)
		return
	}
	type period struct {
		From, To                        time.Time
		Counted, Elsewhere, Not_Located int
	}
	var v struct {
		Before, After period
		Steps         []period
	}
	if !r.granted(l, l.path, a, 200) || json.Unmarshal(a.body, &v) != nil {
		return
	}
	periods := v.Steps
	if strings.HasSuffix(l.path, "/compare") {
		periods = []period{v.Before, v.After}
	}
	r.f.cell()
	if len(periods) < 2 || !periods[0].From.Equal(begin) {
		r.f.add("form", r.a.name, l.name(), "tells of %v", periods)
	}
	for _, p := range periods {
		if n, want := p.Counted+p.Elsewhere+p.Not_Located, r.heated(l, p.From, p.To); n != want {
			r.f.add("leak", r.a.name, l.name(), "counts %d incidents, the actor sees %d", n, want)
		}
	}
}
