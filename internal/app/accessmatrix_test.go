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
			r.either(l, "csv incidents", r.export, r.listIncidents)
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
			r.either(l, "figures", r.figures, r.countExport)
		case "layer", "tile":
			r.tiles(l)
		case "asked tile":
			r.askedTiles(l)
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
		case "coverage":
			r.coverage(l)
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
		case "make bulletin":
			r.makeBulletins(l)
		case "list bulletins":
			r.listBulletins(l)
		case "bulletin":
			r.eachBulletin(l)
		case "period export":
			r.periodExport(l)
		case "hot spots":
			r.hotSpots(l)
		case "hot spot periods":
			r.hotPeriods(l)
		case "response times":
			r.responseTimes(l)
		case "call", "list calls", "one call":
			r.calls(l)
		case "attachment upload", "attachment removal":
			r.eachUpload(l)
		case "open remarks":
			r.openRemarks(l)
		case "base map":
			r.once(l, l.path, "", 200)
		case "base tile":
			r.once(l, strings.NewReplacer("{z}", "9", "{x}", "408", "{y}", "197").Replace(l.path), "", 404) // this server has no base map
		case "steps":
			r.once(l, l.path, `{"preset":"nothing"}`, 422)
		case "rules":
			want := http.StatusOK
			if l.method == http.MethodPut {
				want = http.StatusBadRequest // it brought nothing
			}
			r.once(l, l.path, "", want)
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

// either asks in the first way for this kind of answer, in the second for any other.
func (r *run) either(l line, answer string, this, other func(line)) {
	if l.answer == answer {
		this(l)
		return
	}
	other(l)
}

// once asks a single time, and wants this status where the actor may.
func (r *run) once(l line, path, body string, want int) {
	a := r.ask(l, l.method, path, body)
	if !r.o.allowed(r.a, l) {
		r.denied(l, l.path, a)
		return
	}
	r.granted(l, l.path, a, want)
}

// nothing asks for what is not there: 404 where the actor may ask, 403 where not.
func (r *run) nothing(l line, ask func(id string) answer) (missing answer, may bool) {
	missing, may = ask(nobodyHasThis), r.o.allowed(r.a, l)
	if may {
		r.granted(l, "what is not there", missing, http.StatusNotFound)
	} else {
		r.denied(l, "what is not there", missing)
	}
	return missing, may
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
