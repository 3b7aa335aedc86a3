// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"onemap/people"
)

// figures: every count must be that of the incidents the actor sees.
func (r *run) figures(l line) {
	a := r.ask(l, l.method, l.path, "")
	if !r.o.allowed(r.a, l) {
		r.denied(l, l.path, a)
		return
	}
	if !r.granted(l, "the figures", a, 200) {
		return
	}
	var v struct {
		Day        string
		Reported   int
		Open       int
		Outside    int
		ByCategory []struct {
			Code  string
			Count int
		} `json:"by_category"`
		ByLevel []struct{ Count int } `json:"by_level"`
		ByTown  []struct {
			Code        string
			Count, Open int
		} `json:"by_town"`
		Workers struct {
			OnDuty int `json:"on_duty"`
			Shown  int
			Stale  int
			Lost   int
		}
	}
	if err := json.Unmarshal(a.body, &v); err != nil {
		r.f.add("form", r.a.name, l.name(), "%v", err)
		return
	}
	atLevels := 0
	for _, at := range v.ByLevel {
		atLevels += at.Count
	}
	if atLevels != v.Reported {
		r.f.add("less", r.a.name, l.name(), "%d at all levels of %d reported", atLevels, v.Reported)
	}
	reported, open, outside := 0, 0, 0
	tops, towns := map[string]int{}, map[string]int{}
	for _, m := range r.w.incidents {
		if r.o.sees(r.w, r.a, m, rowIncident) == hidden || r.o.sees(r.w, r.a, m, l.resource) == hidden {
			continue
		}
		if !m.closed {
			open++
		}
		if people.Local(m.when).Format(time.DateOnly) != v.Day {
			continue
		}
		reported++
		top := m.top
		if m.sensitive && r.o.sees(r.w, r.a, m, rowIncident) == meta {
			top = "" // undisclosed
		}
		tops[top]++
		if m.outside {
			outside++
		}
		for g := r.w.grids[m.grid]; g != nil; g = r.w.grids[g.parent] {
			if g.level == 2 {
				towns[g.code]++
			}
		}
	}
	check := func(what string, got, want int) {
		r.f.cell()
		switch {
		case got > want:
			r.f.add("leak", r.a.name, l.name()+" counts", "%s: %d, of what is seen %d", what, got, want)
		case got < want:
			r.f.add("less", r.a.name, l.name()+" counts", "%s: %d, of what is seen %d", what, got, want)
		}
	}
	check("reported", v.Reported, reported)
	check("open", v.Open, open)
	check("outside", v.Outside, outside)
	for _, c := range v.ByCategory {
		check("top category "+c.Code, c.Count, tops[c.Code])
	}
	for _, c := range v.ByTown {
		if len(c.Code) == 2 {
			check("town "+c.Code, c.Count, towns[c.Code])
		}
		if c.Code[:1] != r.w.grids[r.a.home].county {
			r.f.add("leak", r.a.name, l.name()+" towns", "names %s", c.Code)
		}
	}
	workers := 0
	for _, h := range r.w.workers {
		c := r.o.cell(rowPosition, r.a)
		if c.has("A") && r.w.inGrid(county, r.a, h.grid) || r.o.seesWorker(r.w, r.a, h, rowPosition) {
			workers++
		}
	}
	check("workers shown", v.Workers.Shown, workers)
	check("workers lost", v.Workers.Lost, 0)
}

func (r *run) export(l line) {
	a := r.ask(l, l.method, l.path+"?reason="+goodReason, "")
	if !r.o.allowed(r.a, l) {
		r.denied(l, l.path, a)
		return
	}
	if !r.granted(l, "the file", a, 200) {
		return
	}
	rows := r.csv(l, a)
	var got []string
	for _, row := range rows {
		n, _ := strconv.Atoi(strings.TrimPrefix(row[0], "SJ"))
		got = append(got, strconv.Itoa(n))
	}
	slices.Sort(got)
	r.compare(l.name(), got, r.expected(l.resource))
	if b := r.ask(l, l.method, l.path, ""); b.status < 400 {
		r.f.add("leak", r.a.name, l.name()+" without a reason", "%d", b.status)
	}
	for key, g := range r.w.grids { // a filter over another's grid
		if _, may := r.o.seesGrid(r.w, r.a, key); may || g.code == "X9" {
			continue
		}
		r.f.cell()
		if b := r.ask(l, l.method, l.path+"?grid="+g.code+"&reason="+goodReason, ""); b.status == 200 && len(r.csv(l, b)) > 0 {
			r.f.add("leak", r.a.name, l.name()+" filter grid", "%s: %s", key, b.body)
		}
	}
}

// csv reads a file and holds its head against fields.csv.
func (r *run) csv(l line, a answer) [][]string {
	rows, err := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(a.body, []byte("\ufeff")))).ReadAll()
	if err != nil || len(rows) == 0 {
		r.f.add("form", r.a.name, l.name(), "%v", err)
		return nil
	}
	for _, h := range rows[0] {
		if !r.o.fields[l.answer][r.a.role][h] {
			r.f.add("leak", r.a.name, l.name()+" column "+h, "not in fields.csv")
		}
	}
	return rows[1:]
}

// countExport: no count from 1 to 4, nothing sensitive, nothing of elsewhere.
func (r *run) countExport(l line) {
	to := r.w.week // one may begin meanwhile
	query := "?from=" + to.AddDate(0, 0, -14).Format(time.DateOnly) + "&to=" + to.Format(time.DateOnly)
	a := r.ask(l, l.method, l.path+query+"&reason="+goodReason, "")
	if !r.o.allowed(r.a, l) {
		r.denied(l, l.path, a)
		return
	}
	if !r.granted(l, "the file", a, 200) {
		return
	}
	total := 0
	for _, m := range r.w.incidents {
		if !m.sensitive && m.past && r.o.sees(r.w, r.a, m, rowIncident) != hidden && r.o.sees(r.w, r.a, m, l.resource) != hidden {
			total++
		}
	}
	for _, row := range r.csv(l, a) {
		r.f.cell()
		n, err := strconv.Atoi(row[5])
		switch {
		case err == nil && n > 0 && n < 5:
			r.f.add("leak", r.a.name, l.name()+" small count", "%v", row)
		case err == nil && n > total:
			r.f.add("leak", r.a.name, l.name()+" counts", "%v, of what may be counted %d", row, total)
		case strings.HasPrefix(row[3], "Q"):
			r.f.add("leak", r.a.name, l.name()+" grids", "%v", row)
		}
	}
	if b := r.ask(l, l.method, l.path+query, ""); b.status < 400 {
		r.f.add("leak", r.a.name, l.name()+" without a reason", "%d", b.status)
	}
}
