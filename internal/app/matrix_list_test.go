// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"
)

// shownIncident is an incident of a list as it was told.
type shownIncident struct {
	ID, Number, Category, Top, State, Title, Text, Address string
	ReportedAt                                             time.Time `json:"reported_at"`
	Point                                                  *[2]float64
	Grid                                                   struct{ Path []struct{ Code string } }
}

// list reads every page of a list of incidents.
func (r *run) list(l line, query string) (out []shownIncident, raw [][]byte, last answer) {
	cursor := ""
	for range 20 {
		last = r.ask(l, l.method, l.path+"?limit=50"+query+"&cursor="+cursor, "")
		var page struct {
			Items  []json.RawMessage
			Cursor *string
		}
		if last.status != 200 || json.Unmarshal(last.body, &page) != nil {
			return nil, nil, last
		}
		for _, i := range page.Items {
			var s shownIncident
			if err := json.Unmarshal(i, &s); err != nil {
				r.f.add("form", r.a.name, l.name(), "%v in %s", err, i)
			}
			out, raw = append(out, s), append(raw, i)
		}
		if page.Cursor == nil {
			return out, raw, last
		}
		cursor = *page.Cursor
	}
	return out, raw, last
}

func ids(list []shownIncident) []string {
	var out []string
	for _, i := range list {
		out = append(out, i.ID)
	}
	slices.Sort(out)
	return out
}

// expected are the ids of the incidents the actor may see through a row.
func (r *run) expected(row string) (want []string) {
	for _, m := range r.w.incidents {
		if r.o.sees(r.w, r.a, m, rowIncident) != hidden && r.o.sees(r.w, r.a, m, row) != hidden {
			want = append(want, m.id)
		}
	}
	slices.Sort(want)
	return want
}

func (r *run) compare(what string, got, want []string) {
	r.f.cell()
	for _, id := range got {
		if !slices.Contains(want, id) {
			r.f.add("leak", r.a.name, what, "shows %s", r.nameOf(id))
		}
	}
	for _, id := range want {
		if !slices.Contains(got, id) {
			r.f.add("less", r.a.name, what, "lacks %s", r.nameOf(id))
		}
	}
	if len(got) != len(slices.Compact(slices.Clone(got))) {
		r.f.add("form", r.a.name, what, "something twice in %v", got)
	}
}

// listed asks for a list of what has an id, and wants just these.
func (r *run) listed(l line, want []string) {
	a := r.ask(l, l.method, l.path, "")
	if !r.o.allowed(r.a, l) {
		r.denied(l, l.path, a)
		return
	}
	if !r.granted(l, "the list", a, http.StatusOK) {
		return
	}
	var v struct{ Items []struct{ ID string } }
	if err := json.Unmarshal(a.body, &v); err != nil {
		r.f.add("form", r.a.name, l.name(), "%v", err)
		return
	}
	var got []string
	for _, i := range v.Items {
		got = append(got, i.ID)
	}
	r.compare(l.name(), got, want)
}

// thing is what a route acts on by its id.
type thing struct {
	id, name string
	seen     bool // by the actor
}

// each acts on things in such a way that nothing changes: what is seen answers one of
// these, and what is not as what is not there.
func (r *run) each(l line, things []thing, answers []int, body string, headers ...string) {
	ask := func(id string) answer {
		return r.ask(l, l.method, strings.Replace(l.path, "{id}", id, 1), body, headers...)
	}
	missing, may := r.nothing(l, ask)
	for _, x := range things {
		a := ask(x.id)
		switch {
		case !may:
			r.denied(l, x.name, a)
		case !x.seen:
			r.same(l, x.name, a, missing)
		default:
			r.granted(l, x.name, a, answers...)
		}
	}
}

// makeRefused asks to make something in every grid that is refused for what it is, where
// it is not for the grid: body is of a grid's code.
func (r *run) makeRefused(l line, body func(code string) string) {
	for key, g := range r.w.grids {
		a := r.ask(l, l.method, l.path, body(g.code))
		mine := false // a code may be several counties'
		for other, o := range r.w.grids {
			mine = mine || o.code == g.code && o.county == r.w.grids[r.a.home].county && r.w.inGrid(r.o.cell(rowAssign, r.a).reach, r.a, other)
		}
		switch {
		case !r.o.allowed(r.a, l):
			r.denied(l, key, a)
		case !mine:
			r.granted(l, key, a, http.StatusNotFound)
		default:
			r.granted(l, key, a, http.StatusConflict)
		}
	}
}

func (r *run) nameOf(id string) string {
	for _, m := range r.w.incidents {
		if m.id == id {
			return m.name
		}
	}
	return id
}

func (r *run) byID(id string) *matter {
	for _, m := range r.w.incidents {
		if m.id == id {
			return m
		}
	}
	return nil
}

func (r *run) listIncidents(l line) {
	if !r.o.allowed(r.a, l) {
		r.denied(l, l.path, r.ask(l, l.method, l.path, ""))
		return
	}
	all, raw, last := r.list(l, "")
	if !r.granted(l, "the list", last, 200) {
		return
	}
	r.compare(l.name(), ids(all), r.expected(l.resource))
	for i, one := range all {
		if m := r.byID(one.ID); m != nil {
			r.asMeta(l, m, raw[i])
		}
	}
	if !slices.IsSortedFunc(all, func(x, y shownIncident) int { return y.ReportedAt.Compare(x.ReportedAt) }) {
		r.f.add("form", r.a.name, l.name(), "not newest first")
	}
	r.filters(l, all)
	r.geoJSON(l)
}

// geoJSON holds the other form of the list to the same.
func (r *run) geoJSON(l line) {
	a := r.ask(l, l.method, l.path+"?limit=200", "", "Accept: application/geo+json")
	var v struct {
		Features []struct {
			ID       string
			Geometry struct{ Coordinates [2]float64 }
		}
	}
	if err := json.Unmarshal(a.body, &v); err != nil || a.status != 200 {
		r.f.add("form", r.a.name, l.name()+" as GeoJSON", "%d %.200s", a.status, a.body)
		return
	}
	for _, f := range v.Features {
		r.f.cell()
		m := r.byID(f.ID)
		if m == nil || r.o.sees(r.w, r.a, m, rowIncident) == hidden {
			r.f.add("leak", r.a.name, l.name()+" as GeoJSON", "shows %s", r.nameOf(f.ID))
			continue
		}
		if r.o.sees(r.w, r.a, m, rowIncident) == meta && m.category != "0501" && m.category != "0301" && f.Geometry.Coordinates == m.at {
			r.f.add("leak", r.a.name, l.name()+" as GeoJSON", "%s: exact point", m.name)
		}
	}
}

// filters: a filter must tell the same as reading the whole list and looking for
// oneself. A filter over something not shown is refused, or finds nothing more.
func (r *run) filters(l line, all []shownIncident) {
	for _, m := range r.w.incidents {
		for _, f := range []struct {
			what, query string
			match       func(shownIncident) bool
		}{
			{"text", "&text=" + m.title, func(s shownIncident) bool { return strings.Contains(s.Title, m.title) }},
			{"bbox", fmt.Sprintf("&bbox=%v,%v,%v,%v", m.at[0]-0.00004, m.at[1]-0.00004, m.at[0]+0.00004, m.at[1]+0.00004), func(s shownIncident) bool {
				return s.Point != nil && s.Point[0] > m.at[0]-0.00004 && s.Point[0] < m.at[0]+0.00004 && s.Point[1] > m.at[1]-0.00004 && s.Point[1] < m.at[1]+0.00004
			}},
		} {
			r.filter(l, f.what, m.name, f.query, all, f.match)
		}
	}
	for category := range kinds {
		r.filter(l, "category", category, "&category="+category, all, func(s shownIncident) bool { return s.Category == category })
	}
	nowhere := r.ask(l, l.method, l.path+"?grid=NO-SUCH-GRID", "")
	for key, g := range r.w.grids {
		must, may := r.o.seesGrid(r.w, r.a, key)
		if g.code == "X9" && !may {
			continue // two counties use it: to everybody it means the own
		}
		if !must { // to be taken for no grid at all; what a shown path names may be asked for too
			r.f.cell()
			named := may || slices.ContainsFunc(all, func(s shownIncident) bool {
				return slices.ContainsFunc(s.Grid.Path, func(p struct{ Code string }) bool { return p.Code == g.code })
			})
			a := r.ask(l, l.method, l.path+"?grid="+g.code, "")
			if a.status == nowhere.status && bytes.Equal(a.body, nowhere.body) {
				continue
			}
			if !named {
				r.f.add("leak", r.a.name, l.name()+" filter grid tells codes", "%s: %d %.200s; of no such grid: %d %.200s", key, a.status, a.body, nowhere.status, nowhere.body)
				continue
			}
		}
		r.filter(l, "grid", key, "&grid="+g.code, all, func(s shownIncident) bool {
			return slices.ContainsFunc(s.Grid.Path, func(p struct{ Code string }) bool { return p.Code == g.code })
		})
	}
	for _, state := range []string{"reported", "refused"} {
		r.filter(l, "state", state, "&state="+state, all, func(s shownIncident) bool { return s.State == state })
	}
}

func (r *run) filter(l line, what, about, query string, all []shownIncident, match func(shownIncident) bool) {
	r.f.cell()
	got, _, last := r.list(l, query)
	if last.status != 200 {
		if last.status == 403 && r.o.cell(rowIncident, r.a).has("meta") {
			return // finer than the view: refused whatever there is
		}
		r.f.add("less", r.a.name, l.name()+" filter "+what, "%s: %d %.200s", about, last.status, last.body)
		return
	}
	var want []shownIncident
	for _, i := range all {
		if match(i) {
			want = append(want, i)
		}
	}
	for _, i := range got {
		if !slices.Contains(ids(want), i.ID) {
			r.f.add("leak", r.a.name, l.name()+" filter "+what, "%s finds %s, which shows no such thing", about, r.nameOf(i.ID))
		}
	}
	for _, i := range want {
		if !slices.Contains(ids(got), i.ID) {
			r.f.add("less", r.a.name, l.name()+" filter "+what, "%s does not find %s", about, r.nameOf(i.ID))
		}
	}
}

func (r *run) listGrids(l line) {
	if !r.o.allowed(r.a, l) {
		r.denied(l, l.path, r.ask(l, l.method, l.path, ""))
		return
	}
	a := r.ask(l, l.method, l.path, "")
	if !r.granted(l, "the list", a, 200) {
		return
	}
	var v struct {
		Items []struct {
			Code string
			BBox [4]float64
		}
	}
	if err := json.Unmarshal(a.body, &v); err != nil {
		r.f.add("form", r.a.name, l.name(), "%v", err)
		return
	}
	got := map[string]bool{}
	for _, g := range v.Items {
		c := "P"
		if g.BBox[0] > 108.5 {
			c = "Q"
		}
		got[c+"/"+g.Code] = true
	}
	r.compareGrids(l.name(), got)
	if b := r.ask(l, l.method, l.path, "", "Accept: application/geo+json"); b.status != 200 || bytes.Count(b.body, []byte(`"Feature"`)) != len(v.Items) {
		r.f.add("form", r.a.name, l.name()+" as GeoJSON", "%d, %d features, want %d", b.status, bytes.Count(b.body, []byte(`"Feature"`)), len(v.Items))
	}
	missing := r.ask(l, l.method, l.path+"?parent=NO-SUCH-GRID", "")
	for key, g := range r.w.grids {
		if _, may := r.o.seesGrid(r.w, r.a, key); !may && g.code != "X9" {
			r.same(l, "the children of "+key, r.ask(l, l.method, l.path+"?parent="+g.code, ""), missing)
		}
	}
}

func (r *run) compareGrids(what string, got map[string]bool) {
	for key := range r.w.grids {
		r.f.cell()
		must, may := r.o.seesGrid(r.w, r.a, key)
		if got[key] && !may {
			r.f.add("leak", r.a.name, what, "shows grid %s", key)
		}
		if must && !got[key] {
			r.f.add("less", r.a.name, what, "lacks grid %s", key)
		}
	}
}

func (r *run) places(l line) {
	ask := func(p [2]float64) answer {
		if l.method == "POST" {
			return r.ask(l, l.method, l.path, fmt.Sprintf(`{"crs":"wgs84","points":[[%v,%v]]}`, p[0], p[1]))
		}
		return r.ask(l, l.method, fmt.Sprintf("%s?lon=%v&lat=%v&crs=wgs84", l.path, p[0], p[1]), "")
	}
	if !r.o.allowed(r.a, l) {
		r.denied(l, l.path, ask([2]float64{107.05, 38.1}))
		return
	}
	outside := ask([2]float64{100, 30})
	for key, g := range r.w.grids {
		a := ask(g.at)
		must, _ := r.o.seesGrid(r.w, r.a, key)
		switch {
		case must:
			if r.granted(l, key, a, 200) && !strings.Contains(string(a.body), `"`+g.code+`"`) {
				r.f.add("less", r.a.name, l.name(), "%s: %s", key, a.body)
			}
		case a.status != outside.status || numberless(a.body) != numberless(outside.body): // how far the own grids are tells nothing
			r.f.cell()
			r.f.add("leak", r.a.name, l.name(), "a point in %s: %d %s", key, a.status, a.body)
		default:
			r.f.cell()
		}
	}
}

func (r *run) listWorkers(l line) {
	path := l.path
	if l.answer == "nearest workers" {
		path += "?lon=107.2&lat=38.2&crs=wgs84&k=500"
	}
	a := r.ask(l, l.method, path, "")
	if !r.o.allowed(r.a, l) {
		r.denied(l, l.path, a)
		return
	}
	if !r.granted(l, "the list", a, 200) {
		return
	}
	var v struct {
		Items []struct {
			WorkerID string `json:"worker_id"`
			Point    *[2]float64
		}
	}
	if err := json.Unmarshal(a.body, &v); err != nil {
		r.f.add("form", r.a.name, l.name(), "%v", err)
		return
	}
	got := map[string]bool{}
	for _, i := range v.Items {
		got[i.WorkerID] = true
	}
	r.compareWorkers(l.name(), got)
}

func (r *run) compareWorkers(what string, got map[string]bool) {
	for _, h := range r.w.workers {
		r.f.cell()
		is, want := got[fmt.Sprint(h.id)], r.o.seesWorker(r.w, r.a, h, rowPosition)
		if is && !want {
			r.f.add("leak", r.a.name, what, "shows worker %s of %s", h.badge, h.grid)
		}
		if want && !is {
			r.f.add("less", r.a.name, what, "lacks worker %s of %s", h.badge, h.grid)
		}
	}
}

// numberless is an answer without how far the asker's own grids are: it depends on
// those and on the point alone.
func numberless(b []byte) string { return distance.ReplaceAllString(string(b), "") }

var distance = regexp.MustCompile(`, [0-9]+ k?m from them`)
