// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
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
	leaks int
}

// firstLeakVar makes the matrix stop asking at the first leak: a broken policy need
// not be told in full.
const firstLeakVar = "ONEMAP_FIRST_LEAK"

// enough reports whether nothing more need be asked.
func (f *findings) enough() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.leaks > 0 && os.Getenv(firstLeakVar) == "1"
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
	if kind == "leak" {
		f.leaks++
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
// there, and holds the answers against the design's matrix. What is expected comes from
// testdata alone.
func TestMatrix(t *testing.T) {
	t.Parallel()
	o := readOracle(t)
	w := newWorld(t)
	t.Run("every route has a row", func(t *testing.T) { w.checkRows(t, o) })
	t.Run("somebody signs in", func(t *testing.T) { w.signSomebodyIn(t) })
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
		if !f.enough() {
			(&run{w, o, f, a}).admin(t)
		}
	}
	if !f.enough() {
		w.stream(t, o, f)
	}
	for _, a := range w.actors {
		if !f.enough() {
			(&run{w, o, f, a}).writes(t)
		}
	}
	if !f.enough() {
		t.Run("canaries", func(t *testing.T) { w.checkCanaries(t) })
	}
	t.Logf("%d cells of roles x routes x targets in %s (asking alone %s), %d answers scanned", f.cells, time.Since(begin).Round(time.Millisecond), asked.Round(time.Millisecond), w.scan.answers())
	for _, key := range slices.Sorted(maps.Keys(f.first)) {
		t.Errorf("%s: %d times, the first: %s", key, f.times[key], f.first[key])
	}
	w.checkLog(t)
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
	var layers, topics []string
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
		case "topic":
			topics = append(topics, l.path)
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
	for _, l := range o.lines { // nobody has signed in: open routes alone answer otherwise
		if l.kind != "route" || l.resource == "open" {
			continue
		}
		path := strings.NewReplacer("{id}", "1", "{n}", "1", "{code}", "P", "{version}", "1", "{layer}", "grids", "{z}", "9", "{x}", "408", "{y}", "197").Replace(l.path)
		for _, token := range []string{"", "nonsense"} {
			if a := w.call(l.method, path, token, ""); a.status != http.StatusUnauthorized {
				t.Errorf("%s %s as nobody: %d, want 401: %.200s", l.method, path, a.status, a.body)
			}
		}
	}
	for _, r := range o.resources {
		if !covered[r] {
			t.Errorf("no route, layer or topic of routes.csv is of the matrix's row %q", r)
		}
	}
	slices.Sort(layers)
	slices.Sort(topics)
	if served := namedIn(t, "tiles/tiles.go", "func layerNamed(", "\n}", `case "(\w+)":`); !slices.Equal(layers, served) {
		t.Errorf("layers of routes.csv %v, of package tiles %v", layers, served)
	}
	if served := namedIn(t, "hub/wire.go", "const (", ")", `topic\w+ += "(\w+)"`); !slices.Equal(topics, served) {
		t.Errorf("topics of routes.csv %v, of package hub %v", topics, served)
	}
}

// walk asks everything that changes nothing.
func (r *run) walk(t *testing.T) {
	for _, l := range r.o.lines {
		if l.kind != "route" || r.f.enough() {
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
		case "grid versions", "grid version":
			r.gridVersions(l)
		case "neighbours":
			r.neighbours(l)
		case "overlays":
			r.overlays(l)
		case "overlay areas":
			r.overlayAreas(l)
		case "place":
			r.places(l)
		case "find place":
			r.findPlaces(l)
		case "describe place":
			r.describePlaces(l)
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
		case "named layer":
			r.namedLayers(l)
		case "list supervisions":
			r.listSupervisions(l)
		case "supervision":
			r.eachSupervision(l)
		case "layer settings":
			r.layerSettings(l)
		case "candidates":
			r.candidates(l)
		case "advice figures":
			r.adviceFigures(l)
		case "offers of incident":
			r.offersOfIncidents(l)
		case "list offers":
			r.listOffers(l)
		case "offer":
			r.eachOffer(l)
		case "whistles of incident":
			r.eachWhistleOf(l)
		case "list whistles":
			r.listWhistles(l)
		case "whistle":
			r.eachWhistle(l)
		case "list notices":
			r.listNotices(l)
		case "make notice":
			r.makeNotices(l)
		case "notice":
			r.eachNotice(l)
		case "notice figures":
			r.noticeFigures(l)
		case "make patrol":
			r.makePatrols(l)
		case "list patrols", "list visits":
			r.listWalks(l)
		case "patrol", "visit":
			r.eachWalk(l)
		case "incident near":
			r.nearIncidents(l)
		case "camera":
			r.eachCamera(l)
		case "duplicates":
			r.duplicates(l)
		case "marked":
			r.marked(l)
		case "period figures":
			r.periodFigures(l)
		case "hot spots":
			r.hotSpots(l)
		case "response times":
			r.responseTimes(l)
		case "call", "list calls", "one call":
			r.calls(l)
		case "attachment upload", "attachment removal":
			r.eachUpload(l)
		case "open remarks":
			r.openRemarks(l)
		case "steps":
			a := r.ask(l, l.method, l.path, `{"preset":"nothing"}`)
			if r.o.allowed(r.a, l) {
				r.granted(l, l.path, a, 422)
			} else {
				r.denied(l, l.path, a)
			}
		case "rules":
			a := r.ask(l, l.method, l.path, "")
			if r.o.allowed(r.a, l) && l.method == http.MethodPut {
				r.granted(l, l.path, a, http.StatusBadRequest) // it brought nothing
			} else if r.o.allowed(r.a, l) {
				r.granted(l, l.path, a, http.StatusOK)
			} else {
				r.denied(l, l.path, a)
			}
		case "list accounts", "list credentials", "list audit", "account", "grant", "credential", "report", "stream":
			// in admin, writes and stream: they change something, or are told of what does
		case "none":
			if strings.HasPrefix(l.path, "/api/v1/calendar") {
				r.calendar(l)
			} else if l.resource == "open" || l.resource == "self" {
				r.ownSession(l)
			}
		default:
			if !r.peopleRoutes(l) {
				t.Errorf("routes.csv: %s: unknown target %q", l.name(), l.target)
			}
		}
	}
}

// ask sends a request as the actor, and scans and walks the answer.
func (r *run) ask(l line, method, path, body string, headers ...string) answer {
	return r.as(r.a.token, l, method, path, body, headers...)
}

func (r *run) as(token string, l line, method, path, body string, headers ...string) answer {
	a := r.w.call(method, path, token, body, headers...)
	r.w.scan.answer(r.a.name+" "+method+" "+path, a, (l.answer == "revealed" || l.answer == "contact revealed") && a.status == 200, l.answer == "invited" || l.answer == "invitation" || l.answer == "token" || l.answer == "wall")
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

// checkLog fails for every kind of error that the server has logged.
func (w *world) checkLog(t *testing.T) {
	told := map[string]bool{}
	for _, raw := range bytes.Split([]byte(w.log.String()), []byte("\n")) {
		var l struct{ Level, Msg, Err, What, Path string }
		if json.Unmarshal(raw, &l) != nil || l.Level != "ERROR" {
			continue
		}
		kind := l.Msg + digits.ReplaceAllString(l.Err+" "+l.What, "N") + l.Path
		if !told[kind] {
			told[kind] = true
			t.Errorf("the server logs an error: %s", raw)
		}
	}
}

var digits = regexp.MustCompile(`[0-9]+`)
