// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"onemap/auth"
	"onemap/store"
)

// workerToken makes a token of the worker with this badge.
func (st *stand) workerToken(badge, grid string) string {
	st.t.Helper()
	secret, until := store.NewSecret(), time.Now().Add(tokenLife)
	_, err := st.s.db.SaveCredential(st.t.Context(), st.s.db.Pool, secret, store.Credential{
		Kind: store.Token, Role: auth.GridWorker, GridCode: grid, RootCode: "C", ExpiresAt: &until, Worker: uint32(st.count("SELECT id FROM worker WHERE badge = $1", badge)),
	})
	if err != nil {
		st.t.Fatal(err)
	}
	return secret
}

// sends sends a fix of a device at a time and returns how many of it the record has.
func (st *stand) sends(device string, at time.Time) int {
	st.t.Helper()
	res, err := http.PostForm(st.s.DeviceURL()+"/", url.Values{
		"id": {device}, "lat": {"38.1"}, "lon": {"107.1"}, "timestamp": {fmt.Sprint(at.Unix())}, "accuracy": {"8"},
	})
	if err != nil {
		st.t.Fatal(err)
	}
	_ = res.Body.Close()
	return st.count("SELECT count(*) FROM worker_position p JOIN device d ON d.id = p.device_id WHERE d.unique_id = $1 AND p.fix_at = $2", device, at.Truncate(time.Second))
}

// onDuty waits until the server counts a worker as on duty, or as off.
func (st *stand) onDuty(badge string, on bool) {
	st.t.Helper()
	hall := st.token(auth.HallOperator, "")
	st.wait(fmt.Sprintf("%s on duty: %v", badge, on), func() bool {
		for _, i := range st.get("/api/v1/workers/live", hall).json(st.t)["items"].([]any) {
			if w := i.(map[string]any); w["badge"] == badge {
				return w["on_duty"] == on
			}
		}
		return false
	})
}

// TestTwoWorkersShareATerminal: each signs on with it for a shift; what it sends lies
// on the track of who had it then, and on nobody's between.
func TestTwoWorkersShareATerminal(t *testing.T) {
	t.Parallel()
	clock := &testClock{at: time.Now().UTC().Truncate(time.Second).Add(-2 * time.Hour)}
	st := newStandWith(t, Options{Now: clock.now})
	if _, _, _, err := st.roster("badge,grids,device\nW1,A1,\nW2,A1,\nW3,B1,own-3\n", PeopleOptions{Now: clock.now}); err != nil {
		t.Fatal(err)
	}
	st.exec("INSERT INTO device (unique_id) VALUES ('shared'), ('bad')")
	st.exec("UPDATE device SET state = 'blocked' WHERE unique_id = 'bad'")
	w1, w2, w3, hall := st.workerToken("W1", "A1"), st.workerToken("W2", "A1"), st.workerToken("W3", "B1"), st.token(auth.Dispatcher, "")
	st.onDuty("W1", false) // no rota, no shift
	const shared = `{"device":"shared"}`
	st.want(404, "GET", "/api/v1/shifts/current", w1, "")
	a := st.want(201, "POST", "/api/v1/shifts", w1, shared)
	if v := a.json(t); v["badge"] != "W1" || v["device"] != "shared" || v["ended_how"] != nil {
		t.Errorf("%s", a.body)
	}
	st.want(200, "POST", "/api/v1/shifts", w1, shared) // a phone that asks again
	for _, c := range []struct {
		token, body string
		want        int
	}{{w1, `{}`, 409}, {w2, shared, 409}, {w2, `{"device":"own-3"}`, 409}, {w2, `{"device":"bad"}`, 409}, {w2, `{"device":"no-such"}`, 422}, {hall, `{}`, 403}} {
		st.want(c.want, "POST", "/api/v1/shifts", c.token, c.body)
	}
	st.want(200, "GET", "/api/v1/shifts/current", w1, "")
	st.onDuty("W1", true)
	clock.move(10 * time.Minute)
	if st.sends("shared", clock.now()) != 1 {
		t.Error("a fix of W1 is not kept")
	}
	clock.move(10 * time.Minute)
	st.want(200, "DELETE", "/api/v1/shifts/current", w1, "")
	st.want(404, "DELETE", "/api/v1/shifts/current", w1, "")
	st.onDuty("W1", false)
	clock.move(10 * time.Minute)
	if st.sends("shared", clock.now()) != 0 {
		t.Error("a fix is kept of a terminal that nobody has")
	}
	clock.move(10 * time.Minute)
	st.want(201, "POST", "/api/v1/shifts", w2, shared)
	st.onDuty("W2", true)
	clock.move(10 * time.Minute)
	if st.sends("shared", clock.now()) != 1 {
		t.Error("a fix of W2 is not kept")
	}
	// One that W1's turn left in the terminal comes late, and is W1's.
	if st.sends("shared", clock.now().Add(-45*time.Minute)) != 1 || st.sends("shared", clock.now().Add(-20*time.Minute)) != 0 {
		t.Error("late fixes: one of W1's turn and none from between belong into the record")
	}
	if n := st.count("SELECT count(*) FROM worker_position p JOIN worker w ON w.id = p.worker_id WHERE w.badge = 'W1'"); n != 2 {
		t.Errorf("%d fixes of W1", n)
	}
	if n := st.count("SELECT count(*) FROM worker_position p JOIN worker w ON w.id = p.worker_id WHERE w.badge = 'W2'"); n != 1 {
		t.Errorf("%d fixes of W2", n)
	}
	// The dispatcher ends a shift, with a reason; a worker's own device stays the worker's.
	id := st.count("SELECT id FROM worker WHERE badge = 'W2'")
	end := fmt.Sprintf("/api/v1/workers/%d/end-shift", id)
	st.want(422, "POST", end, hall, `{"reason":""}`)
	st.want(404, "POST", end, st.token(auth.TownOperator, "B"), `{"reason":"忘记下班打卡"}`)
	st.want(200, "POST", end, st.token(auth.TownOperator, "A"), `{"reason":"忘记下班打卡"}`)
	st.want(409, "POST", end, hall, `{"reason":"忘记下班打卡"}`)
	st.want(201, "POST", "/api/v1/shifts", w3, `{"device":"own-3"}`)
	st.want(200, "DELETE", "/api/v1/shifts/current", w3, "")
	if n := st.count("SELECT count(*) FROM device_binding b JOIN device d ON d.id = b.device_id WHERE d.unique_id = 'own-3' AND b.valid_to = 'infinity'"); n != 1 {
		t.Error("the own device is taken from W3 with the shift")
	}
	if n := st.count("SELECT count(*) FROM audit_log WHERE action IN ('shift.start', 'shift.end')"); n != 6 {
		t.Errorf("%d audit rows of shifts, want 6", n)
	}
}

// TestAShiftEndsByItself: by the rota and the grace, whatever runs; and signing off
// counts against the rota.
func TestAShiftEndsByItself(t *testing.T) {
	t.Parallel()
	now := time.Now().UTC()
	monday := now.AddDate(0, 0, -int(now.Weekday()+6)%7-7)
	clock := &testClock{at: time.Date(monday.Year(), monday.Month(), monday.Day(), 2, 0, 0, 0, time.UTC)} // Monday 10:00 in China
	st := newStandWith(t, Options{Now: clock.now})
	if _, _, _, err := st.roster("badge,grids,hours\nW1,A1,周一至周日 08:00-12:00\nW2,A1,周一至周日 08:00-12:00\n", PeopleOptions{Now: clock.now}); err != nil {
		t.Fatal(err)
	}
	st.onDuty("W1", true)
	st.onDuty("W2", true)
	w1 := st.workerToken("W1", "A1")
	a := st.want(201, "POST", "/api/v1/shifts", w1, `{}`)
	if v := a.json(t); !strings.HasSuffix(v["planned_end"].(string), "T04:30:00Z") {
		t.Errorf("ends %v, want 12:30 in China", v["planned_end"])
	}
	clock.move(2*time.Hour + 29*time.Minute)
	st.onDuty("W1", true)
	st.onDuty("W2", false)
	clock.move(time.Minute)
	st.onDuty("W1", false)
	st.want(404, "GET", "/api/v1/shifts/current", w1, "")
	st.want(404, "DELETE", "/api/v1/shifts/current", w1, "")
	clock.move(20 * time.Hour) // Tuesday 08:30
	st.onDuty("W1", true)      // by the rota
	st.want(201, "POST", "/api/v1/shifts", w1, `{}`)
	st.want(200, "DELETE", "/api/v1/shifts/current", w1, "")
	st.onDuty("W1", false)
	st.onDuty("W2", true)
	clock.move(24 * time.Hour)
	st.onDuty("W1", true)
}

// TestOneShiftOfMany: a worker's pages and two workers at one terminal, all at once.
func TestOneShiftOfMany(t *testing.T) {
	t.Parallel()
	st := newStandWith(t, Options{Limits: plenty()})
	if _, _, _, err := st.roster("badge,grids\nW1,A1\nW2,A1\n", PeopleOptions{}); err != nil {
		t.Fatal(err)
	}
	st.exec("INSERT INTO device (unique_id) VALUES ('shared')")
	tokens := []string{st.workerToken("W1", "A1"), st.workerToken("W2", "A1")}
	for round := range 5 {
		var wg sync.WaitGroup
		made := make([]int, 8)
		for i := range made {
			wg.Go(func() { made[i] = st.call("POST", "/api/v1/shifts", tokens[i%2], `{"device":"shared"}`).status })
		}
		wg.Wait()
		created, won := 0, -1
		for i, s := range made {
			if s == 201 {
				created, won = created+1, i%2
			}
		}
		for i, s := range made {
			if s != 201 && s != 409 && (s != 200 || i%2 != won) { // one that comes in between is told to ask again
				t.Errorf("round %d: answers %v", round, made)
				break
			}
		}
		if created != 1 {
			t.Fatalf("round %d: %d shifts with one terminal: %v", round, created, made)
		}
		st.want(200, "DELETE", "/api/v1/shifts/current", tokens[won], "")
	}
}

// TestAWorkersPageSendsItsPlaces: on duty alone, late and twice without harm, in nobody
// else's name, and the device port takes nothing in the page's.
func TestAWorkersPageSendsItsPlaces(t *testing.T) {
	t.Parallel()
	clock := &testClock{at: time.Now().UTC().Truncate(time.Second).Add(-2 * time.Hour)}
	st := newStandWith(t, Options{Now: clock.now})
	if _, _, _, err := st.roster("badge,grids\nW1,A1\n", PeopleOptions{Now: clock.now}); err != nil {
		t.Fatal(err)
	}
	w1 := st.workerToken("W1", "A1")
	st.onDuty("W1", false)
	send := func(token string, places ...string) map[string]any {
		return st.want(200, "POST", "/api/v1/positions", token, `{"crs":"wgs84","items":[`+strings.Join(places, ",")+`]}`).json(t)
	}
	place := func(at time.Time, lon float64) string {
		return fmt.Sprintf(`{"at":%q,"lon":%g,"lat":38.1,"accuracy_m":12}`, at.Format(time.RFC3339Nano), lon)
	}
	if got := send(w1, place(clock.now(), 107.1)); got["off_duty"] != 1.0 || got["stored"] != 0.0 {
		t.Errorf("off duty: %v", got)
	}
	before := clock.now()
	clock.move(time.Minute)
	st.want(201, "POST", "/api/v1/shifts", w1, `{}`)
	first := clock.now()
	clock.move(time.Minute)
	for range 2 { // the second time the answer was lost
		got := send(w1, place(before, 107.1), place(first, 107.1), place(clock.now(), 107.101), place(clock.now().Add(time.Hour), 107.1), place(first.Add(time.Second), 999))
		if got["stored"] != 2.0 || got["off_duty"] != 1.0 || got["untrue"] != 2.0 {
			t.Errorf("on duty: %v", got)
		}
	}
	if n := st.count("SELECT count(*) FROM worker_position p JOIN worker w ON w.id = p.worker_id WHERE w.badge = 'W1' AND p.accuracy_m = 12"); n != 2 {
		t.Errorf("%d places of W1 are kept, want 2", n)
	}
	name := fmt.Sprintf("page-%d", st.count("SELECT id FROM worker WHERE badge = 'W1'"))
	if st.sends(name, clock.now().Add(time.Second)) != 0 {
		t.Error("the device port takes a place in the page's name")
	}
	st.want(400, "POST", "/api/v1/positions", w1, `{"items":[]}`)
	st.want(422, "POST", "/api/v1/positions", w1, `{"crs":"somewhere","items":[]}`)
	st.want(404, "POST", "/api/v1/positions", st.token(auth.GridWorker, "A1"), `{"crs":"wgs84","items":[]}`)
	st.want(403, "POST", "/api/v1/positions", st.token(auth.Dispatcher, ""), `{"crs":"wgs84","items":[]}`)
	st.want(200, "DELETE", "/api/v1/shifts/current", w1, "")
	clock.move(time.Minute)
	st.onDuty("W1", false)
	if got := send(w1, place(clock.now(), 107.1), place(first.Add(30*time.Second), 107.1)); got["off_duty"] != 1.0 || got["stored"] != 1.0 {
		t.Errorf("after the shift, one from within it: %v", got)
	}
}
