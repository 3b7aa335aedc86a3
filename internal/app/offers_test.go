// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"onemap/auth"
	"onemap/internal/notify"
	"onemap/store"
	"onemap/track"
)

// fieldStand is a stand with n workers at home in A1, each with a device.
func fieldStand(t testing.TB, o Options, n int) *stand {
	t.Helper()
	return newStandWith(t, o,
		fmt.Sprintf("INSERT INTO worker (badge) SELECT 'W' || lpad(n::text, 3, '0') FROM generate_series(1, %d) n", n),
		"INSERT INTO worker_grid (worker_id, grid_code, root_code) SELECT id, 'A1', 'C' FROM worker",
		"INSERT INTO rota (worker_id, weekday, start_min, end_min) SELECT id, d, 0, 1440 FROM worker, generate_series(1, 7) d",
		"INSERT INTO device (unique_id, interval_s) SELECT 'dev-' || badge, 10 FROM worker",
		"INSERT INTO device_binding (device_id, worker_id, valid_from) SELECT d.id, w.id, now() - interval '1 day' FROM device d JOIN worker w ON d.unique_id = 'dev-' || w.badge",
	)
}

// phone is the token of the worker with this id.
func (st *stand) phone(worker int) string {
	st.t.Helper()
	secret, until := store.NewSecret(), time.Now().Add(tokenLife)
	c := store.Credential{Kind: store.Token, Role: auth.GridWorker, GridCode: "A1", RootCode: "C", ExpiresAt: &until, Worker: uint32(worker)}
	if _, err := st.s.db.SaveCredential(st.t.Context(), st.s.db.Pool, secret, c); err != nil {
		st.t.Fatal(err)
	}
	return secret
}

// want calls and demands a status.
func (st *stand) want(status int, method, path, token, body string, headers ...string) answer {
	st.t.Helper()
	a := st.call(method, path, token, body, headers...)
	if a.status != status {
		st.t.Fatalf("%s %s %s: %d, want %d: %s", method, path, body, a.status, status, a.body)
	}
	return a
}

// routed reports an incident in A1 and routes it; it is then at version 3.
func (st *stand) routed(token string) string {
	st.t.Helper()
	a := st.report(token, 107.2, 38.4)
	id, ok := a.json(st.t)["id"].(string)
	if !ok {
		st.t.Fatalf("report: %d %s", a.status, a.body)
	}
	st.want(200, "POST", "/api/v1/incidents/"+id+"/actions", token, `{"action":"accept"}`, `If-Match: "1"`)
	st.want(200, "POST", "/api/v1/incidents/"+id+"/actions", token, `{"action":"route"}`, `If-Match: "2"`)
	return id
}

// offered is the one item of an answer of offers.
func offered(t testing.TB, a answer) map[string]any {
	t.Helper()
	items, _ := a.json(t)["items"].([]any)
	if len(items) != 1 {
		t.Fatalf("%d offers: %s", len(items), a.body)
	}
	return items[0].(map[string]any)
}

func (st *stand) state(token, incident string) string {
	st.t.Helper()
	return st.want(200, "GET", "/api/v1/incidents/"+incident, token, "").json(st.t)["state"].(string)
}

func TestAnOfferTakesAnIncidentFromTheDeskToItsEnd(t *testing.T) {
	t.Parallel()
	st := fieldStand(t, Options{}, 3)
	desk, phone, other := st.token(auth.Dispatcher, ""), st.phone(1), st.phone(2)
	id := st.routed(desk)
	offers := "/api/v1/incidents/" + id + "/offers"
	st.want(428, "POST", offers, desk, `{"worker_ids":["1"],"lead":true}`)
	a := st.want(201, "POST", offers, desk, `{"worker_ids":["1"],"lead":true,"expires_s":120}`, `If-Match: "3"`, "Idempotency-Key: k1")
	o := offered(t, a)
	if o["state"] != "offered" || o["badge"] != "W001" || st.state(desk, id) != "dispatched" || a.header.Get("ETag") != `"4"` {
		t.Fatalf("%v, ETag %s: %s", o, a.header.Get("ETag"), a.body)
	}
	if again := st.want(201, "POST", offers, desk, `{"worker_ids":["1"],"lead":true,"expires_s":120}`, `If-Match: "3"`, "Idempotency-Key: k1"); offered(t, again)["id"] != o["id"] {
		t.Errorf("sent again: %s", again.body)
	}
	// Another desk is late: it is told who was first.
	late := st.want(409, "POST", offers, st.token(auth.HallOperator, ""), `{"worker_ids":["2"],"lead":true}`, `If-Match: "3"`).json(t)
	if w, _ := late["winner"].(map[string]any); w["offer_id"] != o["id"] || w["badge"] != "W001" || w["made_by"] != o["made_by"] {
		t.Errorf("the loser is told %v", late)
	}
	acts := "/api/v1/offers/" + o["id"].(string) + "/acts"
	st.want(403, "POST", acts, desk, `{"kind":"accept"}`)
	st.want(404, "POST", acts, other, `{"kind":"accept"}`)
	st.want(404, "GET", "/api/v1/incidents/"+id, phone, "") // not theirs before they say yes
	if mine := offered(t, st.want(200, "GET", "/api/v1/offers", phone, "")); mine["incident"].(map[string]any)["title"] != "消防通道占堵" {
		t.Errorf("a worker is told %v", mine)
	}
	st.want(200, "POST", acts, phone, `{"kind":"delivered","client_ref":"a"}`)
	st.want(200, "POST", acts, phone, `{"kind":"seen","client_ref":"b"}`)
	for _, s := range []struct{ kind, state, incident string }{{"accept", "accepted", "acknowledged"}, {"arrive", "arrived", "on_scene"}, {"finish", "finished", "resolved"}} {
		a := st.want(200, "POST", acts, phone, fmt.Sprintf(`{"kind":%q,"client_ref":%q}`, s.kind, s.kind)).json(t)
		again := st.want(200, "POST", acts, phone, fmt.Sprintf(`{"kind":%q,"client_ref":%q}`, s.kind, s.kind)).json(t)
		if a["state"] != s.state || again["state"] != s.state || again["ver"] != a["ver"] || again["repeated"] != true || st.state(desk, id) != s.incident {
			t.Errorf("%s: %v, again %v, incident %s", s.kind, a, again, st.state(desk, id))
		}
		if s.kind == "accept" {
			st.want(200, "GET", "/api/v1/incidents/"+id, phone, "")
		}
	}
	refused := st.want(409, "POST", acts, phone, `{"kind":"accept"}`).json(t)
	if now, _ := refused["now"].(map[string]any); now["offer"] != "finished" || now["incident"] != "resolved" {
		t.Errorf("%v", refused)
	}
	st.want(404, "GET", "/api/v1/incidents/"+id, phone, "")
	if all := offered(t, st.want(200, "GET", offers, desk, "")); all["state"] != "finished" {
		t.Errorf("%v", all)
	}
	if items := st.want(200, "GET", "/api/v1/offers", desk, "").json(t)["items"].([]any); len(items) != 0 {
		t.Errorf("live offers %v", items)
	}
}

// at has the worker's device send a place.
func (st *stand) at(worker int, lon, lat float64, at time.Time) {
	st.t.Helper()
	form := url.Values{
		"id": {fmt.Sprintf("dev-W%03d", worker)}, "lat": {fmt.Sprint(lat)}, "lon": {fmt.Sprint(lon)}, "timestamp": {fmt.Sprint(at.Unix())}, "accuracy": {"8"},
	}
	res, err := http.PostForm(st.s.DeviceURL()+"/", form)
	if err != nil {
		st.t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != 200 {
		st.t.Fatalf("fix of worker %d: %d", worker, res.StatusCode)
	}
}

// offerTo makes a lead offer and returns its id.
func (st *stand) offerTo(desk, incident, worker string) string {
	st.t.Helper()
	body := fmt.Sprintf(`{"worker_ids":[%q],"lead":true,"expires_s":120}`, worker)
	return offered(st.t, st.want(201, "POST", "/api/v1/incidents/"+incident+"/offers", desk, body, `If-Match: "3"`))["id"].(string)
}

// TestAnArrivalIsSeenByFixesAndTold walks a worker to the place: the dot is that of
// somebody on accepted work, two fixes are an arrival without a word, and the word that
// comes keeps how far off it was said.
func TestAnArrivalIsSeenByFixesAndTold(t *testing.T) {
	clock := &testClock{at: time.Now().Truncate(time.Second)}
	t.Parallel()
	st := fieldStand(t, Options{Now: clock.now}, 2)
	desk := st.token(auth.Dispatcher, "")
	id := st.routed(desk)
	offer := st.offerTo(desk, id, "1")
	phone := st.phone(1)
	st.want(200, "POST", "/api/v1/offers/"+offer+"/acts", phone, `{"kind":"accept"}`)
	st.at(1, 107.2, 38.41, clock.now()) // a kilometre off
	st.wait("a dot on a task", func() bool {
		d, ok := st.s.fixes.Live().Dot(1)
		return ok && d.State == track.StateTask
	})
	for range 2 {
		clock.move(40 * time.Second)
		st.at(1, 107.2002, 38.4001, clock.now())
	}
	var got map[string]any
	st.wait("an arrival by fixes", func() bool {
		if err := st.s.noteArrivals(t.Context()); err != nil {
			t.Fatal(err)
		}
		got = offered(t, st.get("/api/v1/incidents/"+id+"/offers", desk))
		return got["arrived_fix_at"] != nil
	})
	if got["state"] != "arrived" || got["arrived_at"] != nil || st.state(desk, id) != "on_scene" {
		t.Errorf("%v", got)
	}
	st.wait("a dot near by", func() bool {
		at, ok := st.s.whereFresh(1)
		return ok && at[1] < 38.401
	})
	got = st.want(200, "POST", "/api/v1/offers/"+offer+"/acts", phone, `{"kind":"arrive"}`).json(t)
	if m, _ := got["arrived_m"].(float64); m < 10 || m > 30 || got["arrived_at"] == nil {
		t.Errorf("by word: %v", got)
	}
	st.want(200, "POST", "/api/v1/offers/"+offer+"/acts", phone, `{"kind":"finish"}`)
	st.wait("a dot off its task", func() bool {
		d, ok := st.s.fixes.Live().Dot(1)
		return ok && d.State == track.StateOn
	})
}

// TestAWordOfAnArrivalOfThenTellsNoDistanceOfNow: a fix of now says how far off the
// worker is now. A word of longer ago has none, whatever time is kept of it.
func TestAWordOfAnArrivalOfThenTellsNoDistanceOfNow(t *testing.T) {
	clock := &testClock{at: time.Now().Truncate(time.Second)}
	t.Parallel()
	st := fieldStand(t, Options{Now: clock.now, Limits: plenty()}, 4)
	desk, offers := st.token(auth.Dispatcher, ""), [5]string{}
	for w := 1; w <= 4; w++ {
		offers[w] = st.offerTo(desk, st.routed(desk), fmt.Sprint(w))
		st.want(200, "POST", "/api/v1/offers/"+offers[w]+"/acts", st.phone(w), `{"kind":"accept"}`)
	}
	clock.move(10 * time.Minute)
	for w := 1; w <= 4; w++ {
		st.at(w, 107.2, 38.41, clock.now())
		st.wait("a fresh fix", func() bool { _, ok := st.s.whereFresh(uint32(w)); return ok })
	}
	for w, c := range map[int]struct {
		said time.Duration // before now
		kept time.Duration
		told bool
	}{1: {0, 0, true}, 2: {time.Minute, time.Minute, true}, 3: {5 * time.Minute, 5 * time.Minute, false}, 4: {30 * time.Hour, 0, false}} {
		got := st.want(200, "POST", "/api/v1/offers/"+offers[w]+"/acts", st.phone(w), fmt.Sprintf(`{"kind":"arrive","at":%q}`, clock.now().Add(-c.said).Format(time.RFC3339))).json(t)
		at, err := time.Parse(time.RFC3339, fmt.Sprint(got["arrived_at"]))
		if m, _ := got["arrived_m"].(float64); err != nil || !at.Equal(clock.now().Add(-c.kept)) || c.told != (m > 1000 && m < 1300) || !c.told && got["arrived_m"] != nil {
			t.Errorf("said %s ago: arrived_at %v, arrived_m %v", c.said, got["arrived_at"], got["arrived_m"])
		}
	}
}

// TestTheDeskIsToldWhenNobodyWasReached, and when the offer's time is over.
func TestTheDeskIsToldWhenNobodyWasReached(t *testing.T) {
	clock := &testClock{at: time.Now()}
	t.Parallel()
	st := fieldStand(t, Options{Now: clock.now}, 1)
	desk := st.token(auth.Dispatcher, "")
	l := st.live(desk, `{"type":"hello","topics":["events"]}`)
	id := st.routed(desk)
	offer := st.offerTo(desk, id, "1")
	told := func(kind string) map[string]any {
		for {
			m := l.next()
			var e map[string]any
			if m.Type == "event" && m.Kind == kind {
				if err := json.Unmarshal(m.Data, &e); err != nil {
					t.Fatal(err)
				}
				return e
			}
		}
	}
	if e := told("offer.made"); e["id"] != offer || e["not_reached"] != false {
		t.Errorf("%v", e)
	}
	clock.move(31 * time.Second)
	if e := told("offer.changed"); e["not_reached"] != true || e["state"] != "offered" {
		t.Errorf("%v", e)
	}
	clock.move(2 * time.Minute)
	if e := told("offer.ended"); e["state"] != "expired" || e["live"] != false {
		t.Errorf("%v", e)
	}
	if st.state(desk, id) != "routed" {
		t.Error("it is not the desk's again")
	}
	// Word of it waited in the file of the data folder, and names nobody.
	raw, err := os.ReadFile(filepath.Join(st.s.o.Data, notifyFile))
	if err != nil || !strings.Contains(string(raw), `"offer_id":"`+offer+`"`) || !strings.Contains(string(raw), `"badge":"W001"`) {
		t.Errorf("%v: %s", err, raw)
	}
}

// gateway is a messenger's end of a webhook: it fails as often as asked, and hangs for
// some badge.
type gateway struct {
	mu    sync.Mutex
	fail  int
	slow  map[string]chan struct{} // by badge: closed when the answer may go
	key   []byte
	got   []notify.Message
	keys  []string
	wrong []string
}

// start serves g, and returns the options of who sends to it.
func (g *gateway) start(t *testing.T) Options {
	t.Helper()
	g.key = []byte(strings.Repeat("k", 32))
	srv := httptest.NewServer(g)
	t.Cleanup(srv.Close)
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, append(g.key, '\n'), 0o600); err != nil {
		t.Fatal(err)
	}
	return Options{NotifyURL: srv.URL + "/onemap", NotifyHosts: []string{"127.0.0.1"}, NotifyKeyFile: key}
}

// told are the kinds of word of one badge, in the order they came in.
func (g *gateway) told(badge string) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	out := ""
	for _, m := range g.got {
		if m.Badge == badge {
			out += " " + m.Kind
		}
	}
	return out
}

func (g *gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	var m notify.Message
	if err := json.Unmarshal(body, &m); err != nil {
		g.wrong = append(g.wrong, err.Error())
	}
	if notify.Signature(g.key, r.Header.Get("X-OneMap-Timestamp"), body) != r.Header.Get("X-OneMap-Signature") {
		g.wrong = append(g.wrong, "signature")
	}
	g.got, g.keys = append(g.got, m), append(g.keys, r.Header.Get("Idempotency-Key"))
	if wait := g.slow[m.Badge]; wait != nil {
		g.mu.Unlock()
		select {
		case <-wait:
		case <-r.Context().Done():
		}
		g.mu.Lock()
	}
	if g.fail > 0 {
		g.fail--
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect) // not followed
	}
}

func TestWordOfAnOfferIsSignedAndSentAgainUntilItIsTaken(t *testing.T) {
	t.Parallel()
	g := &gateway{fail: 2}
	clock := &testClock{at: time.Now()}
	o := g.start(t)
	o.Now = clock.now
	st := fieldStand(t, o, 1)
	desk := st.token(auth.Dispatcher, "")
	offer := st.offerTo(desk, st.routed(desk), "1")
	st.wait("three tries", func() bool {
		clock.move(200 * time.Millisecond)
		g.mu.Lock()
		defer g.mu.Unlock()
		return len(g.got) == 3
	})
	st.wait("a note of it", func() bool {
		return st.count("SELECT count(*) FROM notification WHERE sent_at IS NOT NULL AND next_at IS NULL AND tries = 3 AND failed = ''") == 1
	})
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.wrong) > 0 || g.got[0].ID != g.got[2].ID || g.keys[0] == "" || g.keys[0] != g.keys[2] || g.got[0].OfferID != offer || g.got[0].Badge != "W001" || g.got[0].Kind != "offer.made" {
		t.Errorf("%v %+v", g.wrong, g.got)
	}
	if first, last := secondsLeft(t, g.got[0].Text), secondsLeft(t, g.got[2].Text); first > 120 || last > first-3 || last < 1 { // tried again after 1 and 2 s
		t.Errorf("three seconds and more go by between %q and %q", g.got[0].Text, g.got[2].Text)
	}
}

// secondsLeft is how long a word says there is to answer.
func secondsLeft(t *testing.T, text string) (n int) {
	t.Helper()
	_, rest, ok := strings.Cut(text, "请在 ")
	if _, err := fmt.Sscanf(rest, "%d", &n); err != nil || !ok {
		t.Fatalf("%q says no time", text)
	}
	return n
}

// TestWordIsSentWhileItIsTrue: a gateway that hangs for one worker keeps nobody else
// waiting; what was answered or taken back meanwhile is not sent any more, and the words
// of one offer keep their order.
func TestWordIsSentWhileItIsTrue(t *testing.T) {
	t.Parallel()
	g := &gateway{fail: 1, slow: map[string]chan struct{}{"W002": make(chan struct{})}}
	st := fieldStand(t, g.start(t), 3)
	desk := st.token(auth.Dispatcher, "")
	refused := st.offerTo(desk, st.routed(desk), "1")
	st.wait("a try that fails", func() bool { return g.told("W001") != "" })
	st.want(200, "POST", "/api/v1/offers/"+refused+"/acts", st.phone(1), `{"kind":"decline","reason":"在外地"}`)

	taken := st.offerTo(desk, st.routed(desk), "2")
	st.wait("a try that hangs", func() bool { return g.told("W002") != "" })
	st.want(200, "POST", "/api/v1/offers/"+taken+"/acts", desk, `{"kind":"withdraw","reason":"另有安排"}`)
	st.offerTo(desk, st.routed(desk), "3")
	st.wait("word to another", func() bool { return g.told("W003") == " offer.made" })
	st.wait("a mark", func() bool {
		return st.count("SELECT count(*) FROM notification WHERE offer_id = $1 AND tries = 1 AND sent_at IS NULL AND next_at IS NULL AND untold = 'the offer is declined'", refused) == 1
	})
	if told := g.told("W001") + g.told("W002"); told != " offer.made offer.made" {
		t.Errorf("told%s", told)
	}
	close(g.slow["W002"])
	st.wait("that the offer is taken back", func() bool { return g.told("W002") == " offer.made offer.withdrawn" })
}
