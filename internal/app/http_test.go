// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"onemap/auth"
)

func TestBadInputIsAnsweredWithAProblemAndStoresNothing(t *testing.T) {
	t.Parallel()
	st := newStand(t)
	op := st.token(auth.HallOperator, "")
	place := `"location":{"lon":107.2,"lat":38.2,"crs":"wgs84"}`
	post := func(body string) func() answer {
		return func() answer { return st.call("POST", "/api/v1/incidents", op, body) }
	}
	for _, c := range []struct {
		name   string
		send   func() answer
		status int
		says   string
	}{
		{"no JSON", post(`{`), 400, ""},
		{"NaN", post(`{"category":"0301","title":"x","location":{"lon":NaN,"lat":38,"crs":"wgs84"}}`), 400, ""},
		{"beyond any float", post(`{"category":"0301","title":"x","location":{"lon":1e999,"lat":38,"crs":"wgs84"}}`), 400, ""},
		{"beyond the earth", post(`{"category":"0301","title":"x","location":{"lon":1e300,"lat":38,"crs":"wgs84"}}`), 422, "no place on earth"},
		{"exchanged", post(`{"category":"0301","title":"x","location":{"lon":38.2,"lat":107.2,"crs":"wgs84"}}`), 422, "exchanged"},
		{"datum missing", post(`{"category":"0301","title":"x","location":{"lon":107.2,"lat":38.2}}`), 400, "crs"},
		{"datum unknown", post(`{"category":"0301","title":"x","location":{"lon":107.2,"lat":38.2,"crs":"EPSG:3857"}}`), 400, "gcj02"},
		{"category unknown", post(`{"category":"7777","title":"x",` + place + `}`), 422, "7777"},
		{"no place", post(`{"category":"0301","title":"x"}`), 422, "address"},
		{"no title", post(`{"category":"0301",` + place + `}`), 400, "title"},
		{"empty title", post(`{"category":"0301","title":"","` + place[1:] + `}`), 422, "empty"},
		{"unknown key", post(`{"category":"0301","title":"x","grid_no":3,` + place + `}`), 400, "grid_no"},
		{"key in another case", post(`{"category":"0301","Title":"x","title":"x",` + place + `}`), 400, "Title"},
		{"key twice", post(`{"category":"0301","category":"0302","title":"x",` + place + `}`), 400, "twice"},
		{"two values", post(`{"category":"0301","title":"x",` + place + `} {}`), 400, ""},
		{"wrong type", post(`{"category":301,"title":"x",` + place + `}`), 400, "category"},
		{"NUL", post(`{"category":"0301","title":"a\u0000b",` + place + `}`), 400, "NUL"},
		{"priority 9", post(`{"category":"0301","title":"x","priority":9,` + place + `}`), 400, "priority"},
		{"deep nesting", post(strings.Repeat(`{"a":`, 9000) + "1" + strings.Repeat("}", 9000)), 400, ""},
		{"too large", post(`{"category":"0301","title":"x","text":"` + strings.Repeat("a", 300<<10) + `",` + place + `}`), 413, ""},
		{"in the future", post(`{"category":"0301","title":"x","reported_at":"2999-01-01T00:00:00Z",` + place + `}`), 422, "future"},
		{"unknown query parameter", func() answer { return st.get("/api/v1/incidents?colour=red", op) }, 400, "colour"},
		{"bbox of three", func() answer { return st.get("/api/v1/incidents?bbox=1,2,3", op) }, 400, "bbox"},
		{"bbox inside out", func() answer { return st.get("/api/v1/incidents?bbox=108,38,107,39", op) }, 422, "west"},
		{"bbox of NaN", func() answer { return st.get("/api/v1/incidents?bbox=NaN,38,107,39", op) }, 422, "west"},
		{"a period that ends before it begins", func() answer {
			return st.get("/api/v1/incidents?from=2026-02-01T00:00:00Z&to=2026-01-01T00:00:00Z", op)
		}, 422, "ends before"},
		{"somebody else's cursor", func() answer { return st.get("/api/v1/incidents?cursor=zzz", op) }, 400, "cursor"},
		{"unknown state", func() answer { return st.get("/api/v1/incidents?state=lost", op) }, 422, "lost"},
		{"locate without datum", func() answer { return st.get("/api/v1/grids/locate?lon=107.2&lat=38.2", op) }, 400, "crs"},
		{"locate off the earth", func() answer { return st.get("/api/v1/grids/locate?lon=1000&lat=38.2&crs=wgs84", op) }, 422, "earth"},
		{"id of words", func() answer { return st.get("/api/v1/incidents/abc", op) }, 400, "id"},
		{"id too large", func() answer { return st.get("/api/v1/incidents/99999999999999999999", op) }, 400, "id"},
		{"tile of words", func() answer { return st.get("/tiles/grids/a/b/c.mvt", op) }, 400, "whole numbers"},
		{"tile out of range", func() answer { return st.get("/tiles/grids/3/9/1.mvt", op) }, 404, ""},
		{"tile below zero", func() answer { return st.get("/tiles/grids/3/-1/1.mvt", op) }, 404, ""},
		{"tile 2^63", func() answer { return st.get("/tiles/grids/9223372036854775808/0/0.mvt", op) }, 400, ""},
		{"unknown layer", func() answer { return st.get("/tiles/secrets/3/1/1.mvt", op) }, 404, ""},
		{"unknown address", func() answer { return st.get("/api/v2/x", op) }, 404, ""},
		{"missing asset", func() answer { return st.get("/assets/worker.js", "") }, 404, ""},
		{"a key that is no UTF-8", func() answer { return st.report(op, 107.2, 38.2, "Idempotency-Key: a\xff") }, 400, "UTF-8"},
		{"a search for NUL", func() answer { return st.get("/api/v1/incidents?text=%00", op) }, 400, "NUL"},
		{"a search for no UTF-8", func() answer { return st.get("/api/v1/incidents?text=%ff", op) }, 400, "UTF-8"},
		{"wrong method", func() answer { return st.call("PUT", "/api/v1/incidents", op, "{}") }, 405, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := c.send()
			if a.status != c.status {
				t.Fatalf("status %d, want %d: %.300s", a.status, c.status, a.body)
			}
			if got := a.header.Get("Content-Type"); got != "application/problem+json" {
				t.Errorf("content type %q", got)
			}
			if p := a.json(t); p["status"] != float64(c.status) || p["title"] == "" {
				t.Errorf("problem %s", a.body)
			}
			if !strings.Contains(string(a.body), c.says) {
				t.Errorf("does not say %q: %.300s", c.says, a.body)
			}
		})
	}
	if n := st.count("SELECT (SELECT count(*) FROM incident) + (SELECT count(*) FROM incident_journal) + (SELECT count(*) FROM outbox) + (SELECT count(*) FROM idempotency)"); n != 0 {
		t.Errorf("%d rows were stored", n)
	}
}

func TestTheSameKeyWithAnotherBodyIsRefusedAndWithTheSameBodyRepeats(t *testing.T) {
	t.Parallel()
	st := newStand(t)
	op := st.token(auth.HallOperator, "")
	first, again := st.report(op, 107.2, 38.2, "Idempotency-Key: k1"), st.report(op, 107.2, 38.2, "Idempotency-Key: k1")
	if first.status != 201 || again.status != 201 || first.json(t)["id"] != again.json(t)["id"] || again.json(t)["repeated"] != true {
		t.Fatalf("first %d %s\nagain %d %s", first.status, first.body, again.status, again.body)
	}
	if other := st.report(op, 107.3, 38.2, "Idempotency-Key: k1"); other.status != 422 {
		t.Fatalf("another body: %d %s", other.status, other.body)
	}
	if somebody := st.report(st.token(auth.Dispatcher, ""), 107.3, 38.2, "Idempotency-Key: k1"); somebody.status != 201 {
		t.Fatalf("the same key of somebody else: %d %s", somebody.status, somebody.body)
	}
	if n := st.count("SELECT count(*) FROM incident"); n != 2 {
		t.Errorf("%d incidents, want 2", n)
	}
}

func TestAPlaceOutsideEveryGridIsTakenMarkedAndCounted(t *testing.T) {
	t.Parallel()
	st := newStand(t)
	op := st.token(auth.HallOperator, "")
	a := st.report(op, 106, 38.2)
	got := a.json(t)
	if a.status != 201 || got["place"] != "outside" || !strings.Contains(fmt.Sprint(got["notes"]), "outside every grid") {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if f := st.get("/api/v1/figures/today", op).json(t); f["outside"] != 1.0 || f["reported"] != 1.0 || f["open"] != 1.0 {
		t.Errorf("figures %v", f)
	}
}

func TestAnActNeedsTheVersionItsActorSaw(t *testing.T) {
	t.Parallel()
	st := newStand(t)
	op := st.token(auth.HallOperator, "")
	made := st.report(op, 107.2, 38.2)
	path := "/api/v1/incidents/" + made.json(t)["id"].(string)
	if got := made.header.Get("ETag"); got != `"1"` || made.header.Get("Location") != path {
		t.Errorf("ETag %s, Location %s", got, made.header.Get("Location"))
	}
	accept := func(headers ...string) answer {
		return st.call("POST", path+"/actions", op, `{"action":"accept"}`, headers...)
	}
	for _, c := range []struct {
		name   string
		got    answer
		status int
	}{
		{"no If-Match", accept(), 428},
		{"If-Match of words", accept(`If-Match: "x"`), 400},
		{"a version not yet there", accept(`If-Match: "2"`), 409},
		{"a step the state forbids", st.call("POST", path+"/actions", op, `{"action":"close"}`, `If-Match: "1"`), 409},
		{"a step without its reason", st.call("POST", path+"/actions", op, `{"action":"refuse"}`, `If-Match: "1"`), 422},
		{"a reason with NUL", st.call("POST", path+"/actions", op, `{"action":"refuse","reason":"a\u0000b"}`, `If-Match: "1"`), 400},
		{"no such step", st.call("POST", path+"/actions", op, `{"action":"explode"}`, `If-Match: "1"`), 400},
		{"the right version", accept(`If-Match: "1"`), 200},
		{"the same once more", accept(`If-Match: "1"`), 409},
	} {
		if c.got.status != c.status {
			t.Errorf("%s: status %d, want %d: %s", c.name, c.got.status, c.status, c.got.body)
		}
		if c.name == "a step the state forbids" && fmt.Sprint(c.got.json(t)["possible"]) != "[accept refuse merge correct]" { // void takes two
			t.Errorf("possible: %v", c.got.json(t)["possible"])
		}
	}
	j := st.get(path+"/journal", op).json(t)["items"].([]any)
	if len(j) != 2 || j[1].(map[string]any)["to"] != "accepted" {
		t.Errorf("journal %v", j)
	}
	// It says in what office somebody acted, to who reads the case, and to nobody else.
	town := st.token(auth.TownOperator, "A")
	if route := st.call("POST", path+"/actions", town, `{"action":"route"}`, `If-Match: "2"`); route.status != 200 {
		t.Fatalf("routing: %d %s", route.status, route.body)
	}
	j = st.get(path+"/journal", op).json(t)["items"].([]any)
	for n, want := range []map[string]any{{"role": "hall_operator"}, {"role": "hall_operator"}, {"role": "town_operator", "grid": "甲镇"}} {
		if by, _ := j[n].(map[string]any)["by"].(map[string]any); !reflect.DeepEqual(by, want) {
			t.Errorf("entry %d is by %v, want %v", n, by, want)
		}
	}
	if a := st.get(path+"/journal", st.token(auth.Auditor, "")); a.status != 200 || strings.Contains(string(a.body), `"by"`) {
		t.Errorf("the auditor's journal: %d %s", a.status, a.body)
	}
}

// TestAnOfficeIsOfTheGridsNameThen: who acted for a town acted for the one it was called
// then, whatever a redraw calls it from now on, or a draft would.
func TestAnOfficeIsOfTheGridsNameThen(t *testing.T) {
	t.Parallel()
	st := newStand(t)
	op, town := st.token(auth.HallOperator, ""), st.token(auth.TownOperator, "A")
	routed := func() (path string) {
		t.Helper()
		path = "/api/v1/incidents/" + st.report(op, 107.2, 38.3).json(t)["id"].(string)
		st.want(200, "POST", path+"/actions", op, `{"action":"accept"}`, `If-Match: "1"`)
		st.want(200, "POST", path+"/actions", town, `{"action":"route"}`, `If-Match: "2"`)
		return path
	}
	by := func(path string) any {
		t.Helper()
		entry := st.get(path+"/journal", op).json(t)["items"].([]any)[2].(map[string]any)
		return entry["by"].(map[string]any)["grid"]
	}
	before := routed()
	version := st.draft(redraw())
	if got := by(before); got != "甲镇" {
		t.Errorf("with a draft that renames it the town is %v", got)
	}
	st.want(200, "POST", fmt.Sprintf("/api/v1/grid-versions/%d/enact", version), st.token(auth.SystemAdmin, ""), `{"reason":"撤并"}`)
	st.wait("the new name", func() bool { return strings.Contains(string(st.get("/api/v1/grids?level=2", op).body), "新甲镇") })
	if a, b := by(before), by(routed()); a != "甲镇" || b != "新甲镇" {
		t.Errorf("acts before and after the redraw are of %v and %v", a, b)
	}
}

func TestWhoSeesWhat(t *testing.T) {
	t.Parallel()
	st := newStand(t)
	op := st.token(auth.HallOperator, "")
	inA, inB := st.report(op, 107.2, 38.2).json(t)["id"].(string), st.report(op, 107.7, 38.2).json(t)["id"].(string)
	townA, wall, admin := st.token(auth.TownOperator, "A"), st.token(auth.Wall, ""), st.token(auth.SystemAdmin, "")
	// A report is taken wherever it lies; who sent it beyond their own grids does not
	// see it afterwards.
	if far := st.report(townA, 107.7, 38.2); far.status != 201 || st.get("/api/v1/incidents/"+far.json(t)["id"].(string), townA).status != 404 {
		t.Errorf("a report beyond the sender's grids: %d %s", far.status, far.body)
	}
	for _, c := range []struct {
		who    string
		got    answer
		status int
		has    string
		hasNot string
	}{
		{"nobody", st.get("/api/v1/incidents", ""), 401, "", ""},
		{"a wrong token", st.get("/api/v1/incidents", "nonsense"), 401, "", ""},
		{"the hall lists both", st.get("/api/v1/incidents", op), 200, `"` + inB + `"`, ""},
		{"the town lists its own", st.get("/api/v1/incidents", townA), 200, `"` + inA + `"`, `"` + inB + `"`},
		{"the town reads its own", st.get("/api/v1/incidents/"+inA, townA), 200, "甲镇", ""},
		{"the town cannot tell its neighbour's", st.get("/api/v1/incidents/"+inB, townA), 404, "nothing here", ""},
		{"... from what is not there", st.get("/api/v1/incidents/999999", townA), 404, "nothing here", ""},
		{"... nor its journal", st.get("/api/v1/incidents/"+inB+"/journal", townA), 404, "nothing here", ""},
		{"... nor act on it", st.call("POST", "/api/v1/incidents/"+inB+"/actions", townA, `{"action":"accept"}`, `If-Match: "1"`), 404, "nothing here", ""},
		{"the town's grids", st.get("/api/v1/grids", townA), 200, `"A1"`, `"B1"`},
		{"the town's figures", st.get("/api/v1/figures/today", townA), 200, `"reported":1`, ""},
		{"the town's place of its neighbour", st.get("/api/v1/grids/locate?lon=107.7&lat=38.2&crs=wgs84", townA), 200, `"path":[]`, ""},
		{"a wall lists without titles", st.get("/api/v1/incidents", wall), 200, `"` + inB + `"`, "\"title\""},
		{"... and searches none", st.get("/api/v1/incidents?text=x", wall), 403, "this view", ""},
		{"a wall reports nothing", st.report(wall, 107.2, 38.2), 403, "", ""},
		{"a wall has its figures", st.get("/api/v1/figures/today", wall), 200, `"reported":3`, ""},
		{"an administrator reads no case", st.get("/api/v1/incidents", admin), 403, "", ""},
		{"an administrator sees no map", st.get("/tiles/grids.json", admin), 403, "", ""},
		{"no wall of a small grid", st.call("POST", "/api/v1/walls", st.token(auth.SecurityAdmin, ""), `{"name":"x","grid":"A1"}`), 422, "county or town", ""},
		{"a wall of a town", st.call("POST", "/api/v1/walls", st.token(auth.SecurityAdmin, ""), `{"name":"x","grid":"A"}`), 201, "#code=", ""},
		{"an administrator makes no wall", st.call("POST", "/api/v1/walls", admin, `{"name":"x"}`), 403, "", ""},
	} {
		if c.got.status != c.status || !strings.Contains(string(c.got.body), c.has) || c.hasNot != "" && strings.Contains(string(c.got.body), c.hasNot) {
			t.Errorf("%s: %d %.400s", c.who, c.got.status, c.got.body)
		}
	}
	a, b := st.get("/api/v1/incidents/"+inB, townA), st.get("/api/v1/incidents/999999", townA)
	if !bytes.Equal(a.body, b.body) {
		t.Errorf("forbidden and unknown differ: %s, %s", a.body, b.body)
	}
}

func TestAWallSignsInOnceByItsLink(t *testing.T) {
	t.Parallel()
	st := newStand(t)
	made := st.call("POST", "/api/v1/walls", st.token(auth.SecurityAdmin, ""), `{"name":"hall-1"}`)
	if made.status != 201 {
		t.Fatalf("%d %s", made.status, made.body)
	}
	link := made.json(t)["link"].(string)
	base, code, ok := strings.Cut(link, "#code=")
	if !ok || base != st.url+"/wall" {
		t.Fatalf("link %s", link)
	}
	in := st.call("POST", "/api/v1/session", "", `{"code":"`+code+`"}`, "Origin: "+st.url)
	cookie := in.header.Get("Set-Cookie")
	if in.status != 204 || !strings.Contains(cookie, "HttpOnly") || !strings.Contains(cookie, "SameSite=Strict") {
		t.Fatalf("%d %s, cookie %s", in.status, in.body, cookie)
	}
	pair, _, _ := strings.Cut(cookie, ";")
	if again := st.call("POST", "/api/v1/session", "", `{"code":"`+code+`"}`); again.status != 401 {
		t.Errorf("the link worked twice: %d", again.status)
	}
	who := st.call("GET", "/api/v1/session", "", "", "Cookie: "+pair)
	if v := who.json(t); who.status != 200 || v["role"] != "wall" || v["wall"] != "hall-1" || v["centre"] != "测试综治中心" {
		t.Errorf("%d %s", who.status, who.body)
	}
	if foreign := st.call("DELETE", "/api/v1/session", "", "", "Cookie: "+pair, "Origin: http://evil.example"); foreign.status != 403 {
		t.Errorf("another site signed the wall out: %d", foreign.status)
	}
	if out := st.call("DELETE", "/api/v1/session", "", "", "Cookie: "+pair, "Origin: "+st.url); out.status != 204 {
		t.Errorf("sign out: %d %s", out.status, out.body)
	}
	if gone := st.call("GET", "/api/v1/session", "", "", "Cookie: "+pair); gone.status != 401 {
		t.Errorf("the session outlived its end: %d", gone.status)
	}
	if n := st.count("SELECT count(*) FROM audit_log WHERE action IN ('wall.link', 'session.open') AND data::text NOT LIKE '%' || $1 || '%'", code); n != 3 {
		t.Errorf("%d audit rows, want the first start's link, this link and the sign-in", n)
	}
}

// TestPagesComeWithoutTheDatabase: a wall that loads its page anew during an
// outage must get it, cookie or not; it is the page that asks on.
func TestPagesComeWithoutTheDatabase(t *testing.T) {
	t.Parallel()
	st := newStand(t)
	op := st.token(auth.HallOperator, "")
	st.s.db.Pool.Close()
	for path, want := range map[string]int{"/index.html": 200, "/livez": 200} {
		if a := st.get(path, op); a.status != want {
			t.Errorf("%s: %d, want %d: %.200s", path, a.status, want, a.body)
		}
	}
}

func TestPagesOfAListHoldEveryIncidentOnce(t *testing.T) {
	t.Parallel()
	st := newStand(t)
	op := st.token(auth.HallOperator, "")
	at := `"2026-11-20T02:00:00Z"` // all at the same moment: the id decides
	for i := range 25 {
		body := fmt.Sprintf(`{"category":"0301","title":"第%d件","reported_at":%s,"location":{"lon":107.2,"lat":38.2,"crs":"wgs84"}}`, i, at)
		if a := st.call("POST", "/api/v1/incidents", op, body); a.status != 201 {
			t.Fatalf("%d %s", a.status, a.body)
		}
	}
	seen, cursor := map[string]int{}, ""
	for range 10 {
		var page struct {
			Items  []struct{ ID string }
			Cursor *string
		}
		if err := json.Unmarshal(st.get("/api/v1/incidents?limit=7&cursor="+cursor, op).body, &page); err != nil {
			t.Fatal(err)
		}
		for _, i := range page.Items {
			seen[i.ID]++
		}
		if page.Cursor == nil {
			break
		}
		cursor = *page.Cursor
	}
	if len(seen) != 25 {
		t.Fatalf("saw %d incidents", len(seen))
	}
	for id, n := range seen {
		if n != 1 {
			t.Errorf("incident %s stood on %d pages", id, n)
		}
	}
	// Several states are one list; named twice one of them would be left out in silence.
	both := st.want(200, "GET", "/api/v1/incidents?limit=100&state=closed,reported", op, "").json(t)["items"].([]any)
	twice := st.want(400, "GET", "/api/v1/incidents?limit=100&state=closed&state=reported", op, "")
	if len(both) != 25 || !strings.Contains(string(twice.body), "state stands in the query more than once") {
		t.Errorf("%d incidents of two states; named twice: %s", len(both), twice.body)
	}
}

func TestGeoJSONOnRequest(t *testing.T) {
	t.Parallel()
	st := newStand(t)
	op := st.token(auth.HallOperator, "")
	for _, path := range []string{"/api/v1/incidents", "/api/v1/grids"} {
		a := st.call("GET", path, op, "", "Accept: application/geo+json")
		if a.status != 200 || a.header.Get("Content-Type") != "application/geo+json" || a.json(t)["type"] != "FeatureCollection" {
			t.Errorf("%s: %d %s %.200s", path, a.status, a.header.Get("Content-Type"), a.body)
		}
		if _, ok := a.json(t)["features"].([]any); !ok {
			t.Errorf("%s: features is no list: %.200s", path, a.body)
		}
	}
}

// TestTheContractNamesEveryRoute keeps the OpenAPI document and the router equal.
func TestTheContractNamesEveryRoute(t *testing.T) {
	t.Parallel()
	st := newStand(t)
	var doc struct {
		OpenAPI string `json:"openapi"`
		Paths   map[string]map[string]any
	}
	if err := json.Unmarshal(st.get("/api/openapi.json", "").body, &doc); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(doc.OpenAPI, "3.1") {
		t.Errorf("openapi %q", doc.OpenAPI)
	}
	written := map[string]bool{}
	for path, methods := range doc.Paths {
		for m := range methods {
			written[strings.ToUpper(m)+" "+path] = true
		}
	}
	unwritten := map[string]bool{ // the contract itself, and pages
		"GET /": true, "GET /api/openapi.json": true, "GET /api/openapi.yaml": true, "GET /api/openapi-3.0.json": true, "GET /api/openapi-3.0.yaml": true,
	}
	for _, r := range st.s.api.Routes() {
		path := r.Path
		switch path {
		case "/tiles/:layer":
			path = "/tiles/{layer}.json"
		case "/tiles/:layer/:z/:x/:y", "/tiles/hotspots/:z/:x/:y", "/tiles/coverage/:z/:x/:y":
			path = strings.Replace(path, ":y", "{y}.mvt", 1)
		}
		parts := strings.Split(path, "/")
		for i, p := range parts {
			if strings.HasPrefix(p, ":") {
				parts[i] = "{" + p[1:] + "}"
			}
		}
		key := r.Method + " " + strings.Join(parts, "/")
		if !written[key] && !unwritten[key] {
			t.Errorf("%s is served but not in the contract", key)
		}
		delete(written, key)
	}
	for key := range written {
		t.Errorf("%s is in the contract but not served", key)
	}
	if res := st.get("/api/openapi.json", ""); strings.Contains(string(res.body), "127.0.0.1") {
		t.Error("the contract echoes the caller's host")
	}
}

func TestHealth(t *testing.T) {
	t.Parallel()
	st := newStand(t)
	st.wait("readiness", func() bool { return st.get("/readyz", "").status == http.StatusOK })
	if a := st.get("/livez", ""); a.status != 200 {
		t.Errorf("livez %d", a.status)
	}
}
