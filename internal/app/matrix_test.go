// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"onemap/auth"
	"onemap/people"
)

// known are the cells that are known to be wrong, with the reason: "actor | what"
// as a finding is called. It has to be empty.
var known = map[string]string{}

// findings are what the matrix run has seen against the matrix, by actor and what
// was asked.
type findings struct {
	mu    sync.Mutex
	cells int
	first map[string]string
	times map[string]int
}

func (f *findings) cell() {
	f.mu.Lock()
	f.cells++
	f.mu.Unlock()
}

// add notes a finding: leak is something shown or allowed that the matrix does not
// give, less is something withheld that it gives, form is an answer of another
// shape.
func (f *findings) add(kind, actor, what, format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	key := kind + " | " + actor + " | " + what
	if _, ok := known[key]; ok {
		return
	}
	if f.times[key]++; f.times[key] == 1 {
		f.first[key] = fmt.Sprintf(format, args...)
	}
}

// run is one walk of an actor along every route.
type run struct {
	w *world
	o *oracle
	f *findings
	a *actor
}

// TestMatrix asks every route, layer, topic and export as every role, about what
// is the actor's own, its siblings', above, below, of another county and not
// there, and holds the answers against trust.md. What is expected comes from
// testdata alone.
func TestMatrix(t *testing.T) {
	o := readOracle(t)
	w := newWorld(t)
	t.Run("every route has a row", func(t *testing.T) { w.checkRows(t, o) })
	f := &findings{first: map[string]string{}, times: map[string]int{}}
	begin := time.Now()
	t.Run("asking", func(t *testing.T) {
		for _, a := range w.actors {
			t.Run(a.name, func(t *testing.T) {
				t.Parallel()
				(&run{w, o, f, a}).walk(t)
			})
		}
	})
	asked := time.Since(begin)
	for _, a := range w.actors {
		(&run{w, o, f, a}).admin(t)
	}
	w.stream(t, o, f)
	for _, a := range w.actors {
		(&run{w, o, f, a}).writes(t)
	}
	t.Run("canaries", func(t *testing.T) { w.checkCanaries(t, f) })
	t.Logf("%d cells of roles x routes x targets in %s (asking alone %s), %d answers scanned", f.cells, time.Since(begin).Round(time.Millisecond), asked.Round(time.Millisecond), w.scan.answers())
	for _, key := range slices.Sorted(maps.Keys(f.first)) {
		t.Errorf("%s: %d times, the first: %s", key, f.times[key], f.first[key])
	}
	if t.Failed() {
		t.Errorf("%d cells asked, %d findings", f.cells, len(f.first))
	}
	for key, why := range known {
		t.Errorf("known and not mended: %s: %s", key, why)
	}
}

// checkRows compares routes.csv with what is served.
func (w *world) checkRows(t *testing.T, o *oracle) {
	var doc struct {
		Paths map[string]map[string]any
	}
	if err := json.Unmarshal(w.get("/api/openapi.json", "").body, &doc); err != nil {
		t.Fatal(err)
	}
	served := map[string]bool{}
	for path, methods := range doc.Paths {
		for m := range methods {
			served[strings.ToUpper(m)+" "+path] = true
		}
	}
	rows, covered := map[string]bool{}, map[string]bool{}
	layers := []string{}
	for _, l := range o.lines {
		covered[l.resource] = true
		if o.cells[l.resource] == nil && l.resource != "open" && l.resource != "self" {
			t.Errorf("routes.csv: %s %s: the matrix has no row %q", l.kind, l.name(), l.resource)
		}
		switch l.kind {
		case "route":
			if o.fields[l.answer] == nil && l.answer != "tile" && l.answer != "stream" {
				t.Errorf("routes.csv: %s: fields.csv has no answer %q", l.name(), l.answer)
			}
			rows[l.name()] = true
		case "layer":
			layers = append(layers, l.path)
		}
	}
	for key := range served {
		if !rows[key] {
			t.Errorf("%s is served and has no row in routes.csv: say who may", key)
		}
	}
	for key := range rows {
		if !served[key] {
			t.Errorf("%s has a row in routes.csv and is not served", key)
		}
	}
	for _, r := range o.resources {
		if !covered[r] {
			t.Errorf("no route, layer or topic of routes.csv is of the matrix's row %q", r)
		}
	}
	w.checkLayers(t, layers)
}

// checkLayers holds the layers and topics the server says it has against the rows.
func (w *world) checkLayers(t *testing.T, rows []string) {
	slices.Sort(rows)
	served := servedLayers(w)
	slices.Sort(served)
	if !slices.Equal(rows, served) {
		t.Errorf("layers of routes.csv %v, of the server %v", rows, served)
	}
}

// walk asks everything that changes nothing.
func (r *run) walk(t *testing.T) {
	for _, l := range r.o.lines {
		if l.kind != "route" {
			continue
		}
		switch l.target {
		case "incident":
			r.eachIncident(l)
		case "worker":
			r.eachWorker(l)
		case "list incidents":
			if l.answer == "csv incidents" {
				r.export(l)
			} else {
				r.listIncidents(l)
			}
		case "list grids":
			r.listGrids(l)
		case "place":
			r.places(l)
		case "list workers":
			r.listWorkers(l)
		case "count incidents":
			if l.answer == "figures" {
				r.figures(l)
			} else {
				r.countExport(l)
			}
		case "layer", "tile":
			r.tiles(l)
		case "list accounts", "list credentials", "list audit", "account", "grant", "credential", "report", "stream":
			// in admin, writes and stream: they change something, or are told of what does
		case "none":
			if l.resource == "open" || l.resource == "self" {
				r.ownSession(l)
			}
		default:
			t.Errorf("routes.csv: %s: unknown target %q", l.name(), l.target)
		}
	}
}

// ask sends a request as the actor, and scans and walks the answer.
func (r *run) ask(l line, method, path, body string, headers ...string) answer {
	return r.as(r.a.token, l, method, path, body, headers...)
}

func (r *run) as(token string, l line, method, path, body string, headers ...string) answer {
	a := r.w.call(method, path, token, body, headers...)
	r.w.scan.answer(r.a.name+" "+method+" "+path, a, l.answer == "revealed" && a.status == 200, l.answer == "invited" || l.answer == "invitation" || l.answer == "token" || l.answer == "wall")
	r.walkFields(l, a)
	if a.status >= 500 {
		r.f.add("form", r.a.name, l.name(), "%s: status %d: %.300s", path, a.status, a.body)
	}
	return a
}

// walkFields holds every key of a JSON answer against fields.csv.
func (r *run) walkFields(l line, a answer) {
	kind := a.header.Get("Content-Type")
	answer := l.answer
	switch {
	case len(a.body) == 0:
		return
	case strings.HasPrefix(kind, "application/problem+json"):
		answer = "problem"
	case !strings.Contains(kind, "json"):
		return
	}
	r.fieldsOf(answer, l.name(), a.body)
}

func (r *run) fieldsOf(answer, what string, body []byte) {
	var v any
	if err := json.Unmarshal(body, &v); err != nil {
		r.f.add("form", r.a.name, what, "no JSON: %.200s", body)
		return
	}
	allowed := r.o.fields[answer][r.a.role]
	var visit func(prefix string, v any)
	visit = func(prefix string, v any) {
		switch v := v.(type) {
		case []any:
			for _, x := range v {
				visit(prefix, x)
			}
		case map[string]any:
			if allowed[prefix+"*"] {
				return
			}
			for k, x := range v {
				if !allowed[prefix+k] {
					r.f.add("leak", r.a.name, what+" field "+prefix+k, "not in fields.csv for %s: %.300s", answer, body)
					continue
				}
				visit(prefix+k+".", x)
			}
		}
	}
	visit("", v)
}

// denied holds an answer against "this role may not at all".
func (r *run) denied(l line, path string, a answer) {
	r.f.cell()
	if a.status != http.StatusForbidden {
		r.f.add(kindOf(a), r.a.name, l.name(), "%s: status %d, want 403: %.300s", path, a.status, a.body)
	}
}

// kindOf: a success where none should be is a leak; another refusal is a matter
// of form.
func kindOf(a answer) string {
	if a.status < 400 || a.status == http.StatusConflict || a.status == http.StatusUnprocessableEntity {
		return "leak"
	}
	return "form"
}

// granted holds an answer against "this one may be had".
func (r *run) granted(l line, what string, a answer, want ...int) bool {
	r.f.cell()
	if slices.Contains(want, a.status) {
		return true
	}
	r.f.add("less", r.a.name, l.name(), "%s: status %d, want %v: %.300s", what, a.status, want, a.body)
	return false
}

// same holds the answer about something hidden against that about nothing: no
// byte may tell them apart.
func (r *run) same(l line, what string, a, missing answer) {
	r.f.cell()
	switch {
	case a.status != missing.status || !bytes.Equal(a.body, missing.body):
		r.f.add("leak", r.a.name, l.name(), "%s is hidden and answers %d %.300s, what is not there %d %.300s", what, a.status, a.body, missing.status, missing.body)
	case a.status != http.StatusNotFound:
		r.f.add(kindOf(a), r.a.name, l.name(), "%s is hidden: status %d, want 404: %.300s", what, a.status, a.body)
	case !slices.Equal(names(a.header), names(missing.header)):
		r.f.add("leak", r.a.name, l.name(), "%s is hidden: headers %v, of what is not there %v", what, names(a.header), names(missing.header))
	}
}

func names(h http.Header) []string { return slices.Sorted(maps.Keys(h)) }

// nobodyHasThis is an id that nothing has.
const nobodyHasThis = "987654321"

const goodReason = "核实情况，回访当事人"

// request is how a route about one thing is asked without changing it.
func request(l line, id string) (method, path, body string, headers []string) {
	path = strings.Replace(strings.Replace(l.path, "{id}", id, 1), "{n}", "1", 1)
	switch l.target + " " + l.answer {
	case "incident incident":
		if l.method == http.MethodPost {
			return l.method, path, `{"action":"accept"}`, []string{`If-Match: "4711"`}
		}
	case "incident revealed":
		body = `{"reason":"` + goodReason + `"}`
	case "worker track":
		path += trackQuery + "&case=SJ000000001"
	}
	return l.method, path, body, nil
}

var trackQuery = "?from=" + time.Now().UTC().Add(-time.Hour).Format(time.RFC3339) + "&to=" + time.Now().UTC().Add(time.Hour).Format(time.RFC3339) + "&reason=" + goodReason

// eachIncident asks a route about every incident of the world.
func (r *run) eachIncident(l line) {
	may := r.o.allowed(r.a, l)
	ask := func(id string) answer {
		m, p, b, h := request(l, id)
		return r.ask(l, m, p, b, h...)
	}
	missing := ask(nobodyHasThis)
	if may {
		r.granted(l, "what is not there", missing, 404)
	} else {
		r.denied(l, "what is not there", missing)
	}
	for _, m := range r.w.incidents {
		a := ask(m.id)
		switch {
		case !may:
			r.denied(l, m.name, a)
		case r.o.sees(r.w, r.a, m, rowIncident) == hidden || r.o.sees(r.w, r.a, m, l.resource) == hidden:
			r.same(l, m.name, a, missing)
		case l.op == "W":
			r.granted(l, m.name, a, http.StatusConflict)
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
		if n := []rune(m.reporter[0]); i.Name != string(n[0])+"*" && i.Name != string(n[0])+strings.Repeat("*", len(n)-1) ||
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
		Category, CategoryName string
		Point                  *[2]float64
		Cell                   *string
		Grid                   struct{ Path []struct{ Code string } }
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
	case m.sensitive && (v.Point != nil || v.Cell != nil || v.Category != m.top || len(v.Grid.Path) > 2):
		r.f.add("leak", r.a.name, l.name()+" sensitive", "%s: finer than town and top category: %s", m.name, body)
	case m.category == "0101" && (exact || v.Cell != nil):
		r.f.add("leak", r.a.name, l.name()+" point", "%s: finer than its grid: %s", m.name, body)
	}
}

func (r *run) eachWorker(l line) {
	may := r.o.allowed(r.a, l)
	_, path, _, _ := request(l, nobodyHasThis)
	missing := r.ask(l, l.method, path, "")
	if may {
		r.granted(l, "what is not there", missing, 404)
	} else {
		r.denied(l, path, missing)
	}
	for _, h := range r.w.workers {
		_, path, _, _ := request(l, fmt.Sprint(h.id))
		a := r.ask(l, l.method, path, "")
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
		if g.code == "X9" {
			continue // two counties use it: what it means is the answer's own matter
		}
		if _, may := r.o.seesGrid(r.w, r.a, key); !may {
			r.f.cell()
			a := r.ask(l, l.method, l.path+"?grid="+g.code, "")
			if a.status != nowhere.status || !bytes.Equal(a.body, nowhere.body) {
				r.f.add("leak", r.a.name, l.name()+" filter grid tells codes", "%s: %d %.200s; of no such grid: %d %.200s", key, a.status, a.body, nowhere.status, nowhere.body)
			}
			continue
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
		case a.status != outside.status || !bytes.Equal(a.body, outside.body):
			r.f.cell()
			r.f.add("leak", r.a.name, l.name(), "a point in %s: %d %s", key, a.status, a.body)
		default:
			r.f.cell()
		}
	}
}

func (r *run) listWorkers(l line) {
	a := r.ask(l, l.method, l.path, "")
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
		ByTown []struct {
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
		tops[m.top]++
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
		if c.Code[0] == 'Q' {
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
	today := people.Local(time.Now())
	query := "?from=" + today.AddDate(0, 0, -10).Format(time.DateOnly) + "&to=" + today.Format(time.DateOnly)
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

// roleIs reports whether the actor has one of the roles.
func (r *run) roleIs(roles ...auth.Role) bool { return slices.Contains(roles, r.a.role) }
