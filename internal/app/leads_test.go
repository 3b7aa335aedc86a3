// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"fmt"
	"strings"
	"testing"

	"onemap/auth"
)

// TestOnlyWhoLeadsMovesAnIncidentOn: neither who reported it, nor the leader's screen
// beyond what a leader may see, nor whoever was removed.
func TestOnlyWhoLeadsMovesAnIncidentOn(t *testing.T) {
	t.Parallel()
	st := fieldStand(t, Options{}, 3)
	desk, reporter, lead := st.token(auth.Dispatcher, ""), st.phone(3), st.phone(1)
	id := idOf(t, st.report(reporter, 107.2, 38.4).header.Get("Location"))
	path := "/api/v1/incidents/" + fmt.Sprint(id)
	for v, act := range []string{"accept", "route"} {
		st.want(200, "POST", path+"/actions", desk, `{"action":"`+act+`"}`, `If-Match: "`+fmt.Sprint(v+1)+`"`)
	}
	if a := st.want(403, "POST", path+"/actions", reporter, `{"action":"acknowledge"}`, `If-Match: "3"`); !strings.Contains(string(a.body), "leads") {
		t.Errorf("%s", a.body)
	}
	st.want(201, "POST", path+"/notes", reporter, `{"text":"门口有车挡着"}`)
	made := offered(t, st.want(201, "POST", path+"/offers", desk, `{"worker_ids":["1"],"lead":true,"expires_s":600}`, `If-Match: "3"`))
	acts := "/api/v1/offers/" + made["id"].(string) + "/acts"
	st.want(200, "POST", acts, lead, `{"kind":"accept"}`)
	st.want(403, "POST", path+"/actions", reporter, `{"action":"resolve","reason":"好了"}`, `If-Match: "5"`)
	if s := st.state(desk, fmt.Sprint(id)); s != "acknowledged" {
		t.Errorf("it is %s", s)
	}
	if n := st.count("SELECT count(*) FROM audit_log WHERE reason LIKE '%挡着%'"); n != 0 {
		t.Error("the audit tells what a note says")
	}

	// The worker in the lead is removed: the offer ends, and the successor finishes the work.
	st.want(200, "POST", "/api/v1/workers/1/deactivate", desk, `{"reason":"调离本镇","hand_to":"W002"}`)
	if n := st.count("SELECT count(*) FROM offer WHERE state NOT IN ('withdrawn', 'finished')"); n != 0 {
		t.Errorf("%d offers of a removed worker are live", n)
	}
	if s := st.state(desk, fmt.Sprint(id)); s != "acknowledged" {
		t.Errorf("it is %s after the hand-over", s)
	}
	st.want(200, "POST", path+"/actions", st.phone(2), `{"action":"resolve","reason":"已清理通道"}`, `If-Match: "5"`)
}

// TestAnUnansweredOfferOfARemovedWorkerIsWithdrawn: the incident waits for the desk.
func TestAnUnansweredOfferOfARemovedWorkerIsWithdrawn(t *testing.T) {
	t.Parallel()
	st := fieldStand(t, Options{}, 2)
	desk := st.token(auth.Dispatcher, "")
	id := st.routed(desk)
	st.want(201, "POST", "/api/v1/incidents/"+id+"/offers", desk, `{"worker_ids":["1"],"lead":true,"expires_s":600}`, `If-Match: "3"`)
	st.want(200, "POST", "/api/v1/workers/1/deactivate", desk, `{"reason":"调离本镇"}`)
	if s := st.state(desk, id); s != "routed" {
		t.Errorf("it is %s", s)
	}
	st.want(201, "POST", "/api/v1/incidents/"+id+"/offers", desk, `{"worker_ids":["2"],"lead":true}`, `If-Match: "5"`)
}

// TestTheStreamTellsNobodyOfWhatIsRefused: a leader reads no offers, and hears of none.
func TestTheStreamTellsNobodyOfWhatIsRefused(t *testing.T) {
	t.Parallel()
	st := fieldStand(t, Options{}, 2)
	desk, leader := st.token(auth.Dispatcher, ""), st.token(auth.CountyLeader, "")
	first := st.routed(desk)
	st.want(201, "POST", "/api/v1/incidents/"+first+"/offers", desk, `{"worker_ids":["1"],"lead":true,"expires_s":600}`, `If-Match: "3"`)
	st.wait("the offer in the live state", func() bool { return st.count("SELECT count(*) FROM live_state WHERE kind = 'offer'") == 1 })
	st.want(403, "GET", "/api/v1/offers", leader, "")
	kinds := func(token string) string {
		l := st.live(token, `{"type":"hello","topics":["events"]}`)
		seen := ""
		for _, it := range l.next().Snapshot.Items {
			seen += " " + it.Kind
		}
		second := st.routed(desk)
		st.want(201, "POST", "/api/v1/incidents/"+second+"/offers", desk, `{"worker_ids":["2"],"lead":true,"expires_s":600}`, `If-Match: "3"`)
		last := idOf(t, st.report(desk, 107.2, 38.4).header.Get("Location"))
		for m := l.next(); m.ID != fmt.Sprint(last); m = l.next() {
			seen += " " + m.Kind
		}
		for _, w := range []string{"1", "2"} { // free again for the other reader
			st.exec("UPDATE offer SET state = 'withdrawn', ended_at = now() WHERE worker_id = $1 AND state = 'offered' AND incident_id = $2", w, second)
		}
		return seen
	}
	if seen := kinds(leader); strings.Contains(seen, "offer") || !strings.Contains(seen, "incident.changed") {
		t.Errorf("a leader hears of%s", seen)
	}
	if seen := kinds(desk); !strings.Contains(seen, " offer ") || !strings.Contains(seen, "offer.made") {
		t.Errorf("the desk hears of%s", seen)
	}
}

// TestAWhistleEndsWithTheWork: nobody is late for what is done.
func TestAWhistleEndsWithTheWork(t *testing.T) {
	t.Parallel()
	st := fieldStand(t, Options{}, 1)
	desk := st.token(auth.Dispatcher, "")
	id := st.routed(desk)
	path := "/api/v1/incidents/" + id
	made := st.want(201, "POST", path+"/whistles", desk, `{"lead":"消防救援","within_min":30}`).json(t)
	for v, act := range []string{"acknowledge", "resolve"} {
		if _, state := st.whistle(desk, made["id"]); state != "running" {
			t.Errorf("before it is resolved the whistle is %v", state)
		}
		st.want(200, "POST", path+"/actions", desk, `{"action":"`+act+`"}`, fmt.Sprintf(`If-Match: "%d"`, v+3))
	}
	if _, state := st.whistle(desk, made["id"]); state != "ended" {
		t.Errorf("after it is resolved the whistle is %v", state)
	}
}

// whistle is one of the whistles that a reader sees, and its state.
func (st *stand) whistle(token string, id any) (map[string]any, any) {
	for _, it := range st.want(200, "GET", "/api/v1/whistles", token, "").json(st.t)["items"].([]any) {
		if w := it.(map[string]any); w["id"] == id {
			return w, w["state"]
		}
	}
	return nil, "ended" // the list is of those that run
}

// TestACorrectedPlaceTakesOffersAndWhistlesAlong: the town it was thought to lie in is
// told that they are gone, the town it lies in what there is.
func TestACorrectedPlaceTakesOffersAndWhistlesAlong(t *testing.T) {
	t.Parallel()
	st := fieldStand(t, Options{}, 1)
	desk := st.token(auth.Dispatcher, "")
	id := st.routed(desk)
	path := "/api/v1/incidents/" + id
	made := offered(t, st.want(201, "POST", path+"/offers", desk, `{"worker_ids":["1"],"lead":true,"expires_s":600}`, `If-Match: "3"`))
	whistle := st.want(201, "POST", path+"/whistles", desk, `{"lead":"消防救援","within_min":30}`).json(t)
	st.wait("both in the live state", func() bool {
		return st.count("SELECT count(*) FROM live_state WHERE kind IN ('offer', 'whistle')") == 2
	})
	hello := `{"type":"hello","topics":["events"]}`
	from, to := st.live(st.token(auth.TownOperator, "A"), hello), st.live(st.token(auth.TownOperator, "B"), hello)
	from.next()
	to.next()
	st.want(200, "POST", path+"/actions", desk, `{"action":"correct","reason":"报错了位置","location":{"lon":107.7,"lat":38.2,"crs":"wgs84"}}`, `If-Match: "4"`)
	want := map[string]string{"incident": id, "offer": made["id"].(string), "whistle": whistle["id"].(string)}
	for range want {
		m := from.next()
		for m.Type == "event" || m.Type == "skip" { // of before, which its snapshot may lack
			m = from.next()
		}
		if m.Type != "gone" || m.ID != want[m.Kind] {
			t.Errorf("the town it left is told %s %s %s", m.Type, m.Kind, m.ID)
		}
		m = to.next()
		for m.Type == "skip" { // of before, in a town that is not its own
			m = to.next()
		}
		if kind, _, _ := strings.Cut(m.Kind, "."); m.Type != "event" || m.ID != want[kind] {
			t.Errorf("the town it lies in is told %s %s %s", m.Type, m.Kind, m.ID)
		}
	}
}
