// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"onemap/auth"
	"onemap/geo"
)

func TestAReportReachesAnOpenSocketOnceEvenWhenTheLinkIsCut(t *testing.T) {
	st := newStand(t)
	op := st.token(auth.HallOperator, "")
	l := st.live(op, `{"type":"hello","topics":["events"]}`)
	reset := l.next()
	if reset.Type != "reset" || reset.Epoch == "" {
		t.Fatalf("first message %+v", reset)
	}
	// A GCJ-02 pair whose WGS-84 place lies in A2, though read as WGS-84 it lies in B2.
	g := geo.WGS84{107.498, 38.2}.GCJ02()
	if g[0] <= 107.5 {
		t.Fatalf("the shift is too small to tell: %v", g)
	}
	start := time.Now()
	a := st.call("POST", "/api/v1/incidents", op, fmt.Sprintf(`{"category":"0301","title":"国测局坐标","location":{"lon":%v,"lat":%v,"crs":"gcj02"}}`, g[0], g[1]))
	if a.status != 201 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	m := l.next()
	if m.Type != "event" || m.Kind != "incident.opened" || m.ID != a.json(t)["id"] || m.Seq != reset.Head+1 {
		t.Fatalf("got %+v", m)
	}
	if d := time.Since(start); d > time.Second {
		t.Errorf("it took %s", d)
	}
	if !strings.Contains(string(m.Data), `"甲二"`) {
		t.Errorf("not in A2: %s", m.Data)
	}
	_ = l.c.Close() // the link is cut; two more come in meanwhile
	two, three := st.report(op, 107.2, 38.2).json(t)["id"], st.report(op, 107.3, 38.2).json(t)["id"]
	l = st.live(op, fmt.Sprintf(`{"type":"hello","epoch":%q,"seq":%d,"scope":%q,"topics":["events"]}`, reset.Epoch, m.Seq, reset.Scope))
	if r := l.next(); r.Type != "resume" {
		t.Fatalf("got %+v", r)
	}
	four := st.report(op, 107.4, 38.2).json(t)["id"]
	for i, want := range []any{two, three, four} {
		if e := l.next(); e.Type != "event" || e.ID != want || e.Seq != m.Seq+1+int64(i) {
			t.Fatalf("event %d: %+v, want incident %v", i, e, want)
		}
	}
}

func TestTheSharedViewHidesWhatTheCategoryHides(t *testing.T) {
	t.Parallel()
	st := newStand(t)
	op := st.token(auth.HallOperator, "")
	for _, cat := range []string{"0301", "0101", "0102"} { // exact, grid, none
		body := fmt.Sprintf(`{"category":%q,"title":"密题-canary","text":"密文-canary","address":"密址-canary","location":{"lon":107.21234,"lat":38.21234,"crs":"wgs84"},"reporter":{"name":"密名-canary","phone":"13800001234"}}`, cat)
		if a := st.call("POST", "/api/v1/incidents", op, body); a.status != 201 {
			t.Fatalf("%d %s", a.status, a.body)
		}
	}
	st.wait("three live incidents", func() bool {
		return st.count("SELECT count(*) FROM live_state WHERE kind = 'incident'") == 3 && st.count("SELECT seq FROM feed_head") == int(st.s.hub.Head())
	})
	l := st.live(st.token(auth.Wall, ""), `{"type":"hello","topics":["events"]}`)
	var told []json.RawMessage
	for _, it := range l.next().Snapshot.Items {
		if it.Kind == "incident" {
			told = append(told, it.Data)
		}
	}
	for len(told) < 3 { // what the hub was still gathering comes as events
		if m := l.next(); m.Kind == "incident.opened" {
			told = append(told, m.Data)
		}
	}
	for _, data := range told {
		if strings.Contains(string(data), "canary") || strings.Contains(string(data), "1380000") {
			t.Errorf("the wall is told too much: %s", data)
		}
		var d struct {
			Category, Precision string
			Point               *[2]float64
			Cell                *string
			Grid                struct{ Path []any }
		}
		if err := json.Unmarshal(data, &d); err != nil {
			t.Fatal(err)
		}
		exact := d.Point != nil && d.Point[0] == 107.21234
		switch d.Precision {
		case "exact":
			if !exact || d.Cell == nil {
				t.Errorf("exact: %s", data)
			}
		case "grid":
			if d.Point == nil || exact || d.Cell != nil || len(d.Grid.Path) != 3 {
				t.Errorf("grid: %s", data)
			}
		case "none":
			if d.Point != nil || d.Cell != nil || d.Category != "" || len(d.Grid.Path) != 2 {
				t.Errorf("none: %s", data)
			}
		}
	}
}

// TestEventsThatGetNoNumberAreNoticed holds the feed's head, so that the sequencer
// can't go on while everything else works.
func TestEventsThatGetNoNumberAreNoticed(t *testing.T) {
	t.Parallel()
	st := newStand(t)
	tx, err := st.s.db.Pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.Background()) }()
	if _, err := tx.Exec(t.Context(), "SELECT FROM feed_head FOR UPDATE"); err != nil {
		t.Fatal(err)
	}
	if a := st.report(st.token(auth.HallOperator, ""), 107.2, 38.2); a.status != 201 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	st.wait("event that waits", func() bool { return st.s.unnumbered.age() > time.Second })
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	st.wait("event with its number", func() bool { return st.s.unnumbered.age() == 0 })
}

// TestTicksTellThatEventsGetNoNumber holds the feed's head: the line is open and
// ticks go out, but a screen must not take what it has for everything.
func TestTicksTellThatEventsGetNoNumber(t *testing.T) {
	t.Parallel()
	st := newStand(t)
	op := st.token(auth.HallOperator, "")
	l := st.live(op, `{"type":"hello","topics":["events"]}`)
	if m := l.any(); m.Type != "reset" {
		t.Fatalf("got %+v", m)
	}
	await := func(what string, ok func(message) bool) {
		t.Helper()
		for end := time.Now().Add(time.Minute); !ok(l.any()); {
			if time.Now().After(end) {
				t.Fatalf("no %s within a minute", what)
			}
		}
	}
	tick := func(ok func(age int) bool) func(message) bool {
		return func(m message) bool {
			if m.Type == "tick" && m.FeedAge == nil {
				t.Fatal("a tick without the age of the feed")
			}
			return m.Type == "tick" && ok(*m.FeedAge)
		}
	}
	fresh := tick(func(age int) bool { return age == 0 })
	await("fresh tick at first", fresh)
	tx, err := st.s.db.Pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.Background()) }()
	if _, err := tx.Exec(t.Context(), "SELECT FROM feed_head FOR UPDATE"); err != nil {
		t.Fatal(err)
	}
	a := st.report(op, 107.2, 38.2)
	if a.status != 201 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	id, arrived := a.json(t)["id"], false
	watch := func(ok func(message) bool) func(message) bool {
		return func(m message) bool {
			arrived = arrived || m.Type == "event" && m.ID == id
			return ok(m)
		}
	}
	await("tick that tells of the wait", watch(tick(func(age int) bool { return age > 0 })))
	if arrived {
		t.Fatal("the event came without a number")
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	await("fresh tick after the event", watch(func(m message) bool { return fresh(m) && arrived }))
}

// TestTheFeedAgesWhileThePumpCannotRead takes the feed away under the pump while
// no event waits for a number.
func TestTheFeedAgesWhileThePumpCannotRead(t *testing.T) {
	t.Parallel()
	st := newStand(t)
	st.wait("fresh feed", func() bool { return st.s.feedAge() < time.Second })
	if _, err := st.s.db.Pool.Exec(t.Context(), "ALTER TABLE feed RENAME TO feed_away"); err != nil {
		t.Fatal(err)
	}
	st.wait("feed that ages", func() bool { return st.s.feedAge() > 1500*time.Millisecond })
	if _, err := st.s.db.Pool.Exec(t.Context(), "ALTER TABLE feed_away RENAME TO feed"); err != nil {
		t.Fatal(err)
	}
	st.wait("fresh feed again", func() bool { return st.s.feedAge() < time.Second })
}

func TestARevokedTokenLosesItsSocket(t *testing.T) {
	t.Parallel()
	st := newStand(t)
	op := st.token(auth.HallOperator, "")
	l := st.live(op, `{"type":"hello","topics":["events"]}`)
	l.next()
	if _, err := st.s.db.Pool.Exec(t.Context(), "UPDATE credential SET revoked_at = now()"); err != nil {
		t.Fatal(err)
	}
	_ = l.c.SetReadDeadline(time.Now().Add(15 * time.Second))
	for {
		_, _, err := l.c.ReadMessage()
		if websocket.IsCloseError(err, 4001) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if a := st.get("/api/v1/incidents", op); a.status != 401 {
		t.Errorf("the token still works: %d", a.status)
	}
}

func TestAPhoneMovesADotOnTheMap(t *testing.T) {
	t.Parallel()
	st := newStand(t)
	_, err := st.s.db.Pool.Exec(t.Context(), `
		INSERT INTO worker (badge) VALUES ('W1');
		INSERT INTO worker_grid (worker_id, grid_code) SELECT id, 'A1' FROM worker;
		INSERT INTO rota (worker_id, weekday, start_min, end_min) SELECT id, d, 0, 1440 FROM worker, generate_series(1, 7) d;
		INSERT INTO device (unique_id) VALUES ('phone-1');
		INSERT INTO device_binding (device_id, worker_id, valid_from) SELECT d.id, w.id, '2020-01-01' FROM device d, worker w`)
	if err != nil {
		t.Fatal(err)
	}
	if err := st.s.fixes.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	send := func(lon, lat float64, at time.Time) {
		q := url.Values{"id": {"phone-1"}, "lat": {fmt.Sprint(lat)}, "lon": {fmt.Sprint(lon)}, "timestamp": {fmt.Sprint(at.Unix())}, "accuracy": {"8"}}
		res, err := http.PostForm(st.s.DeviceURL()+"/", q)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != 200 {
			t.Fatalf("status %d", res.StatusCode)
		}
	}
	now := time.Now()
	send(107.2, 38.3, now)
	send(107.9, 38.3, now.Add(-time.Hour)) // a late one must not move the dot back
	var items []struct {
		Badge, State, Grid string
		Point              *[2]float64
	}
	raw := st.get("/api/v1/workers/live", st.token(auth.HallOperator, "")).json(t)["items"]
	b, _ := json.Marshal(raw)
	if err := json.Unmarshal(b, &items); err != nil {
		t.Fatal(err)
	}
	if len(items) != 1 || items[0].Point == nil || *items[0].Point != [2]float64{107.2, 38.3} || items[0].State != "on" || items[0].Grid != "A1" {
		t.Fatalf("got %s", b)
	}
	if n := st.count("SELECT count(*) FROM worker_position"); n != 2 {
		t.Errorf("%d positions kept, want 2", n)
	}
	if raw := st.get("/api/v1/workers/live", st.token(auth.TownOperator, "B")).json(t)["items"].([]any); len(raw) != 0 {
		t.Errorf("the neighbour town sees %v", raw)
	}
}

// reportToEvent sends reports at 50 a second and returns, sorted, the times from
// the answer to a report to its event on a WebSocket: 0 when the event came first.
func reportToEvent(st *stand, reports int) []time.Duration {
	st.t.Helper()
	op := st.token(auth.HallOperator, "")
	l := st.live(op, `{"type":"hello","topics":["events"]}`)
	l.next()
	type mark struct {
		id string
		at time.Time
	}
	arrived, accepted := make(chan mark, reports), make(chan mark, reports)
	go func() { // ends with the last event, or with the socket
		for n := 0; n < reports; {
			if m := l.next(); m.Type == "event" && m.Kind == "incident.opened" {
				arrived <- mark{m.ID, time.Now()}
				n++
			}
		}
	}()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for i := range reports {
		<-tick.C
		go func() {
			a := st.report(op, 107.01+float64(i%97)/100, 38.2)
			var v struct{ ID string }
			if err := json.Unmarshal(a.body, &v); err != nil || a.status != 201 {
				st.t.Errorf("%d %s", a.status, a.body)
			}
			accepted <- mark{v.ID, time.Now()}
		}()
	}
	sent, lag := map[string]time.Time{}, []time.Duration{}
	for range reports {
		m := <-accepted
		sent[m.id] = m.at
	}
	for range reports {
		m := <-arrived
		lag = append(lag, max(0, m.at.Sub(sent[m.id])))
	}
	slices.Sort(lag)
	return lag
}

func TestEachReportAtFiftyASecondComesOutAsOneEvent(t *testing.T) {
	reports := 50
	if soak() {
		reports = 3000
	}
	lag := reportToEvent(newStand(t), reports)
	t.Logf("report accepted to event: p50 %s, p99 %s, max %s over %d reports at 50/s", lag[reports/2], lag[reports*99/100], lag[reports-1], reports)
}

func BenchmarkReportToEventAtFiftyASecond(b *testing.B) {
	st := newStand(b)
	lag := reportToEvent(st, max(b.N, 100))
	n := len(lag)
	b.ReportMetric(float64(lag[n/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(lag[n*99/100].Microseconds())/1000, "p99-ms")
	b.ReportMetric(float64(lag[n-1].Microseconds())/1000, "max-ms")
}
