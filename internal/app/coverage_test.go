// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/paulmach/orb"

	"onemap/api"
	"onemap/auth"
	"onemap/geo/road"
	"onemap/store"
	"onemap/track"
)

// covered is an answer of coverage.
type covered struct {
	Counted    int
	NotCounted []struct {
		Why   string
		Count int
	} `json:"not_counted"`
	Without, Thin, Uncovered []string
	Items                    []struct {
		Code, Name      string
		Above           []string
		Point           [2]float64
		Thin, Uncovered bool
		First           way
		Then            []way
	}
}

type way struct {
	By, Why, Badge string
	TravelS        *int `json:"travel_s"`
}

func (w way) String() string { return strings.TrimSpace(w.Badge + " " + w.By + " " + w.Why) }

// coverage asks by token who is where first: "A1 W1 line no_roads, A2 none", and what is
// not counted: "busy 1, stale_fix 1".
func (st *stand) coverage(token, query string) (firsts, not string, c covered) {
	st.t.Helper()
	a := st.get("/api/v1/coverage?"+query, token)
	if err := json.Unmarshal(a.body, &c); a.status != 200 || err != nil {
		st.t.Fatalf("%s: %d %s %v", query, a.status, a.body, err)
	}
	var of, why []string
	for _, i := range c.Items {
		of = append(of, i.Code+" "+i.First.String())
	}
	for _, n := range c.NotCounted {
		why = append(why, fmt.Sprint(n.Why, " ", n.Count))
	}
	slices.Sort(why)
	return strings.Join(of, ", "), strings.Join(why, ", "), c
}

// TestCoverageSaysWhoIsWhereFirst: of each leaf grid what the list of the nearest says of
// its point; nobody where nobody is known to be; who cannot be sent is counted and not
// guessed at.
func TestCoverageSaysWhoIsWhereFirst(t *testing.T) {
	t.Parallel()
	st := newStandWith(t, Options{Limits: plenty()})
	op := st.token(auth.Dispatcher, "")
	if firsts, not, c := st.coverage(op, ""); firsts != "A1 none, A2 none, B1 none, B2 none" || not != "" || c.Counted != 0 || len(c.Thin) != 4 || c.Items[0].First.TravelS != nil {
		t.Fatalf("of nobody: %s (%s) %+v", firsts, not, c)
	}
	st.crew("A1", "A2", "B1", "B2", "B2", "B2", "A1", "B2", "B2")
	st.exec("DELETE FROM rota WHERE worker_id = (SELECT id FROM worker WHERE badge = 'W7')")
	if err := st.s.fixes.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	st.fix(1, 107.25, 38.37, now)
	st.fix(2, 107.25, 38.12, now)
	st.fix(3, 107.75, 38.37, now)
	st.fix(4, 107.75, 38.12, now.Add(-30*time.Minute)) // in B2, half an hour ago
	st.fix(6, 107.75, 38.12, now)
	st.fix(7, 107.75, 38.12, now) // off duty
	idOfWorker := func(n int) int { return st.count("SELECT id FROM worker WHERE badge = $1", fmt.Sprint("W", n)) }
	onTask := func() bool {
		d, seen := st.s.fixes.Live().Dot(uint32(idOfWorker(6)))
		return seen && d.State == track.StateTask
	}
	st.fix(8, 107.75, 38.12, now)
	st.fix(9, 107.75, 38.12, now.Add(-30*time.Minute))
	offers := map[int]string{} // of all but W6 another reason holds first
	for _, n := range []int{4, 5, 6, 8} {
		offers[n] = st.offerTo(op, st.routed(op), fmt.Sprint(idOfWorker(n)))
		st.must(200, "POST", "/api/v1/offers/"+offers[n]+"/acts", st.phone(idOfWorker(n)), `{"kind":"accept"}`)
	}
	st.wait("work to show", onTask)
	for _, n := range []int{5, 8, 9} { // of W5 nobody knows where
		st.s.fixes.Live().Heard(uint32(idOfWorker(n)), now, true)
	}

	firsts, not, c := st.coverage(op, "")
	if firsts != "A1 W1 line no_roads, A2 W2 line no_roads, B1 W3 line no_roads, B2 W3 line no_roads" || not != "busy 1, no_fix 1, sos 2, stale_fix 1" || c.Counted != 3 {
		t.Fatalf("%s (%s), %d counted", firsts, not, c.Counted)
	}
	if fmt.Sprint(c.Thin, c.Uncovered, c.Without) != "[B2] [] []" {
		t.Errorf("thin %v, uncovered %v, without %v", c.Thin, c.Uncovered, c.Without)
	}
	tree := st.s.catalogue.Now().Tree
	for _, i := range c.Items {
		if at := tree.Locate(i.Point); string(tree.Nodes()[at.Index].Code) != i.Code {
			t.Errorf("the point of %s lies elsewhere: %v", i.Code, i.Point)
		}
	}
	var named []string // two towns may have grids of one name
	for _, i := range c.Items {
		named = append(named, strings.Join(append(i.Above, i.Name), "/"))
	}
	if got := strings.Join(named, " "); got != "甲镇/甲一 甲镇/甲二 乙镇/乙一 乙镇/乙二" {
		t.Errorf("the grids are named %s", got)
	}
	if _, _, c := st.coverage(op, "beyond_s=86400"); len(c.Thin) != 0 {
		t.Errorf("beyond a day: %v", c.Thin)
	}

	before := st.s.roads()
	if _, err := st.s.db.ReplaceRoads(t.Context(), store.RoadSet{Source: "survey", Actor: "system:test", Segments: []store.RoadSegment{
		{ExtID: "1", Class: "trunk", Kmh: 80, Geom: orb.LineString{{107.2, 38.12}, {107.8, 38.12}}}, // by it W2 is in B2 before W3
	}}); err != nil {
		t.Fatal(err)
	}
	st.wait("new roads", func() bool { return st.s.roads() != before })
	for n, offer := range offers { // the list of the nearest names those at work too
		for _, kind := range []string{"arrive", "finish"} {
			st.must(200, "POST", "/api/v1/offers/"+offer+"/acts", st.phone(idOfWorker(n)), fmt.Sprintf(`{"kind":%q}`, kind))
		}
	}
	st.wait("work to be over", func() bool { return !onTask() })
	_, _, c = st.coverage(op, "")
	for _, i := range c.Items {
		who, items, _ := st.nearest(op, fmt.Sprintf("lon=%v&lat=%v&crs=wgs84&k=1", i.Point[0], i.Point[1]))
		if who != i.First.String() || i.First.TravelS == nil || max(items[0].TravelS-*i.First.TravelS, *i.First.TravelS-items[0].TravelS) > 1 {
			t.Errorf("%s: %s in %v s, the list of the nearest says %s %+v", i.Code, i.First, i.First.TravelS, who, items)
		}
	}

	if firsts, not, c := st.coverage(st.token(auth.TownOperator, "B"), ""); !strings.HasPrefix(firsts, "B1 W3") || strings.Contains(firsts, "A") || not != "no_fix 1, sos 2, stale_fix 1" || c.Counted != 2 {
		t.Errorf("town B is told %s (%s)", firsts, not)
	}
	if firsts, _, c := st.coverage(op, "grid=A"); firsts[:2] != "A1" || len(c.Items) != 2 || c.Counted != 4 {
		t.Errorf("of town A: %s, %d counted", firsts, c.Counted)
	}
	a := st.call("GET", "/api/v1/coverage", op, "", "Accept: application/geo+json")
	if a.status != 200 || !strings.Contains(string(a.body), `"FeatureCollection"`) || strings.Count(string(a.body), `"Point"`) != 4 || !strings.Contains(string(a.body), `"counted":4`) {
		t.Errorf("as GeoJSON: %d %s", a.status, a.body)
	}
	for query, want := range map[string]int{
		"grid=Z": 404, "beyond_s=59": 400, "beyond_s=86401": 400, "without=987654": 404, "without=-1": 404, "without=x": 400, "offer=987654": 404, "offer=0": 400,
		"without=" + strings.Repeat("1,", 60) + "1": 400,
	} {
		if a := st.get("/api/v1/coverage?"+query, op); a.status != want {
			t.Errorf("%s: %d %s, want %d", query, a.status, a.body, want)
		}
	}
	for _, role := range []auth.Role{auth.CountyLeader, auth.SystemAdmin, auth.GridWorker} {
		if a := st.get("/api/v1/coverage", st.token(role, "")); a.status != 403 {
			t.Errorf("%s is answered %d", role, a.status)
		}
	}
}

// TestCoverageSaysWhatAnOfferWouldUncover: without those whom it asks, or who are named,
// other workers are first, and grids past the threshold are told apart from those that
// were thin before.
func TestCoverageSaysWhatAnOfferWouldUncover(t *testing.T) {
	t.Parallel()
	st := newStandWith(t, Options{Limits: plenty()})
	op := st.token(auth.Dispatcher, "")
	st.crew("A1", "A2", "B1")
	now := time.Now()
	st.fix(1, 107.25, 38.37, now)
	st.fix(2, 107.25, 38.12, now)
	st.fix(3, 107.75, 38.37, now)
	ids := map[string]string{}
	for _, badge := range []string{"W1", "W2", "W3"} {
		var id string
		if err := st.s.db.Pool.QueryRow(t.Context(), "SELECT id::text FROM worker WHERE badge = $1", badge).Scan(&id); err != nil {
			t.Fatal(err)
		}
		ids[badge] = id
	}
	_, _, c := st.coverage(op, "without="+ids["W2"])
	if fmt.Sprint(c.Without, c.Thin, c.Uncovered) != "["+ids["W2"]+"] [B2] [A2]" {
		t.Errorf("without W2: %v, thin %v, uncovered %v", c.Without, c.Thin, c.Uncovered)
	}
	if i := c.Items[1]; i.Code != "A2" || i.Thin || !i.Uncovered || i.First.Badge != "W2" || len(i.Then) != 1 || i.Then[0].Badge != "W1" || *i.Then[0].TravelS <= *i.First.TravelS {
		t.Errorf("%+v", i)
	}
	if i := c.Items[0]; i.Uncovered || i.Then != nil {
		t.Errorf("%+v", i)
	}
	_, _, c = st.coverage(op, "without="+ids["W1"]+","+ids["W2"]+","+ids["W3"])
	if len(c.Uncovered) != 3 || c.Items[0].Then[0].By != "none" || c.Items[0].Then[0].TravelS != nil {
		t.Errorf("without all: %+v", c)
	}
	if _, _, c := st.coverage(op, "beyond_s=86400&without="+ids["W2"]); len(c.Uncovered) != 0 || len(c.Items[1].Then) != 1 {
		t.Errorf("later, but within a day: %+v", c)
	}

	id := st.want(201, "POST", "/api/v1/incidents", op, `{"category":"0301","title":"消防通道占堵","priority":1,"location":{"lon":107.3,"lat":38.2,"crs":"wgs84"}}`).json(t)["id"].(string)
	st.want(200, "POST", "/api/v1/incidents/"+id+"/actions", op, `{"action":"accept"}`, `If-Match: "1"`)
	st.want(200, "POST", "/api/v1/incidents/"+id+"/actions", op, `{"action":"route"}`, `If-Match: "2"`)
	a := st.want(201, "POST", "/api/v1/incidents/"+id+"/offers", op, `{"worker_ids":["`+ids["W2"]+`","`+ids["W1"]+`"],"lead":true,"expires_s":600}`, `If-Match: "3"`)
	offers := map[string]string{} // by worker
	for _, o := range a.json(t)["items"].([]any) {
		o := o.(map[string]any)
		offers[fmt.Sprint(o["worker_id"])] = fmt.Sprint(o["id"])
	}
	if _, _, c := st.coverage(op, ""); c.Counted != 3 || len(c.Uncovered) != 0 {
		t.Errorf("nobody has said yes: %+v", c)
	}
	for _, asked := range []string{"W1", "W2"} {
		if _, _, c := st.coverage(op, "offer="+offers[ids[asked]]); len(c.Without) != 2 || len(c.Uncovered) != 2 || !strings.HasPrefix(c.Uncovered[0], "A") || !strings.HasPrefix(c.Uncovered[1], "A") {
			t.Errorf("the offer to %s takes %v and uncovers %v", asked, c.Without, c.Uncovered)
		}
	}
	if a := st.get("/api/v1/coverage?offer="+offers[ids["W2"]], st.token(auth.TownOperator, "B")); a.status != 404 {
		t.Errorf("town B asks about the offer of town A: %d %s", a.status, a.body)
	}
	st.want(200, "POST", "/api/v1/offers/"+offers[ids["W1"]]+"/acts", op, `{"kind":"withdraw","reason":"不必去了"}`)
	if a := st.get("/api/v1/coverage?offer="+offers[ids["W1"]], op); a.status != 409 {
		t.Errorf("an offer that is over: %d %s", a.status, a.body)
	}
	if _, _, c := st.coverage(op, "offer="+offers[ids["W2"]]); fmt.Sprint(c.Without, c.Uncovered) != "["+ids["W2"]+"] [A2]" {
		t.Errorf("the offer that is left takes %v and uncovers %v", c.Without, c.Uncovered)
	}
}

// TestNobodyIsToldAsFreeWhileWorkIsNotKnown: when it cannot be looked up who is on accepted
// work, coverage says so.
func TestNobodyIsToldAsFreeWhileWorkIsNotKnown(t *testing.T) {
	t.Parallel()
	st := newStandWith(t, Options{Limits: plenty()})
	op := st.token(auth.Dispatcher, "")
	st.must(200, "GET", "/api/v1/coverage", op, "")
	st.exec("ALTER TABLE offer RENAME COLUMN worker_id TO nobody") // so that it fails
	st.wait("it to be found out", func() bool { return !st.s.knowsTasks() })
	for _, path := range []string{"/api/v1/coverage", "/tiles/coverage/8/204/98.mvt"} {
		a := st.get(path, op)
		if a.status != 503 || a.header.Get("Retry-After") == "" || !strings.Contains(string(a.body), "accepted work") {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
	st.exec("ALTER TABLE offer RENAME COLUMN nobody TO worker_id")
	st.wait("it to be known again", st.s.knowsTasks)
	st.must(200, "GET", "/api/v1/coverage", op, "")
}

// TestCoverageHasItsLimits: it is worked on for no longer than a request has, nor when nobody
// waits for it any more, and who keeps the server at it is told to come again later.
func TestCoverageHasItsLimits(t *testing.T) {
	t.Parallel()
	st := newStandWith(t, Options{Limits: plenty()})
	clock := &testClock{at: time.Now()}
	meanwhile := func() {}
	h := st.apiWith(func(o *api.Options) {
		o.Now = clock.now
		o.Roads = func() *road.Graph { meanwhile(); return st.s.roads() }
	})
	ask := func(ctx context.Context, token string) *httptest.ResponseRecorder {
		w, r := httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, "GET", "/api/v1/coverage", nil)
		r.Header.Set("Authorization", "Bearer "+token)
		h.ServeHTTP(w, r)
		return w
	}
	op := st.token(auth.Dispatcher, "")
	if w := ask(t.Context(), op); w.Code != 200 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	meanwhile = leave
	if w := ask(ctx, op); w.Code != 499 {
		t.Errorf("who left is answered %d %s", w.Code, w.Body)
	}
	meanwhile = func() { time.Sleep(3100 * time.Millisecond) }
	if w := ask(t.Context(), op); w.Code != 503 || w.Header().Get("Retry-After") == "" || !strings.Contains(w.Body.String(), "in the time that a request has") {
		t.Errorf("after more than 3 s: %d %v %s", w.Code, w.Header(), w.Body)
	}
	meanwhile = func() { clock.move(time.Second) }
	busy := st.token(auth.Dispatcher, "")
	for n := 1; ; n++ {
		w := ask(t.Context(), busy)
		if w.Code == 429 && n > 3 && w.Header().Get("Retry-After") == "1" && strings.Contains(w.Body.String(), "ask for less at a time") {
			break
		}
		if w.Code != 200 || n > 6 {
			t.Fatalf("ask %d, each of a second: %d %v %s", n, w.Code, w.Header(), w.Body)
		}
	}
	if w := ask(t.Context(), op); w.Code != 200 {
		t.Errorf("another's reads are refused: %d %s", w.Code, w.Body)
	}
}
