// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"onemap/auth"
	"onemap/store"
)

// must calls and demands a status.
func (st *stand) must(status int, method, path, token, body string, headers ...string) answer {
	st.t.Helper()
	a := st.call(method, path, token, body, headers...)
	if a.status != status {
		st.t.Fatalf("%s %s %s: %d, want %d: %s", method, path, body, a.status, status, a.body)
	}
	return a
}

// handler is the token of a department's handler in the county.
func (st *stand) handler(department string) string {
	st.t.Helper()
	secret, until := store.NewSecret(), time.Now().Add(tokenLife)
	c := store.Credential{Kind: store.Token, Role: auth.DeptHandler, GridCode: "C", RootCode: "C", ExpiresAt: &until, Department: int64(st.count("SELECT id FROM department WHERE name = $1", department))}
	if _, err := st.s.db.SaveCredential(st.t.Context(), st.s.db.Pool, secret, c); err != nil {
		st.t.Fatal(err)
	}
	return secret
}

// calls are the called departments of a whistle by their names.
func calls(a map[string]any) map[string]map[string]any {
	out := map[string]map[string]any{}
	for _, c := range a["calls"].([]any) {
		m := c.(map[string]any)
		out[m["department"].(string)] = m
	}
	return out
}

func TestAWhistleIsAnsweredByBeingThere(t *testing.T) {
	t.Parallel()
	clock := &testClock{at: time.Now().UTC()}
	st := newStandWith(t, Options{Now: clock.now})
	desk := st.token(auth.Dispatcher, "")
	fire, housing, women, village := st.handler(fireDept), st.handler("住房建设"), st.handler(womenDept), st.handler("村社区")
	id := st.report(desk, 107.2, 38.4).json(t)["id"].(string)
	path := "/api/v1/incidents/" + id + "/whistles"
	body := `{"lead":"消防救援","assisting":["住房建设","妇联"],"within_min":30,"note":"带破拆工具"}`
	st.must(409, "POST", path, desk, body) // not accepted yet
	st.must(200, "POST", "/api/v1/incidents/"+id+"/actions", desk, `{"action":"accept"}`, `If-Match: "1"`)
	st.must(403, "POST", path, fire, body)
	st.must(422, "POST", path, desk, `{"lead":"没有的部门","within_min":30}`)
	made := st.must(201, "POST", path, desk, body, "Idempotency-Key: w1").json(t)
	if again := st.must(201, "POST", path, desk, body, "Idempotency-Key: w1").json(t); again["id"] != made["id"] || again["repeated"] != true {
		t.Fatalf("sent again: %v", again)
	}
	st.must(409, "POST", path, desk, body) // one runs
	if c := calls(made); len(c) != 3 || c[fireDept]["lead"] != true || c[womenDept]["lead"] != false || made["state"] != "running" {
		t.Fatalf("%v", made)
	}
	whistle := "/api/v1/whistles/" + made["id"].(string)

	// Who is called is told what and where, though the incident is another's.
	for token, n := range map[string]int{housing: 1, women: 1, village: 0} {
		items := st.must(200, "GET", "/api/v1/whistles", token, "").json(t)["items"].([]any)
		if len(items) != n {
			t.Errorf("%d whistles, want %d", len(items), n)
		}
		if n == 1 && items[0].(map[string]any)["incident"].(map[string]any)["title"] != "消防通道占堵" {
			t.Errorf("told %v", items[0])
		}
	}
	st.must(404, "POST", whistle+"/reports", village, `{"kind":"report"}`)
	st.must(404, "GET", path, village, "")
	st.must(403, "POST", whistle+"/reports", fire, `{"kind":"report","department":"妇联"}`)

	// The live stream tells it to the same people.
	told := func(token string) (found bool) {
		t.Helper()
		m := st.live(token, `{"type":"hello","topics":["events"]}`).next()
		if m.Type != "reset" {
			t.Fatalf("%+v", m)
		}
		for _, i := range m.Snapshot.Items {
			found = found || i.Kind == "whistle" && i.ID == made["id"]
		}
		return found
	}
	st.wait("whistle in the stream of a called department", func() bool { return told(women) })
	if told(village) || told(st.token(auth.Wall, "")) {
		t.Error("the stream tells of a whistle to who is not called")
	}

	say := func(token, body, dept, judged, state string) map[string]any {
		t.Helper()
		a := st.must(200, "POST", whistle+"/reports", token, body).json(t)
		got, _ := a["judged"].(string)
		if c := calls(a)[dept]; got != judged || c["state"] != state {
			t.Fatalf("%s: judged %q, %v", body, got, c)
		}
		return a
	}
	say(fire, `{"kind":"report"}`, fireDept, "", "reported")
	say(fire, `{"kind":"arrive"}`, fireDept, "no_fix", "said")
	say(fire, `{"kind":"arrive","fix":{"lon":107.21,"lat":38.4,"crs":"wgs84","accuracy_m":20}}`, fireDept, "outside", "said")
	st.must(422, "POST", whistle+"/reports", fire, `{"kind":"arrive","fix":{"lon":107.2,"lat":38.4,"crs":"local","accuracy_m":20}}`)
	// The same numbers in another datum are 500 m away.
	say(fire, `{"kind":"arrive","fix":{"lon":107.2,"lat":38.4,"crs":"gcj02","accuracy_m":20}}`, fireDept, "outside", "said")
	say(fire, `{"kind":"arrive","fix":{"lon":107.201,"lat":38.4,"crs":"wgs84","accuracy_m":20}}`, fireDept, "arrived", "arrived")
	say(housing, `{"kind":"arrive","fix":{"lon":107.2,"lat":38.4,"crs":"wgs84","accuracy_m":20}}`, "住房建设", "arrived", "arrived")
	say(desk, `{"kind":"arrive","department":"妇联"}`, womenDept, "no_fix", "said")
	st.must(409, "POST", whistle+"/reports", desk, `{"kind":"arrive","department":"妇联","fix":{"lon":107.2,"lat":38.4,"crs":"wgs84","accuracy_m":20}}`)

	// Two of three are there: it stays open, and the third is late at the limit, once,
	// however many sweep.
	late := func() int { return st.count("SELECT count(*) FROM audit_log WHERE action = 'whistle.late'") }
	if a := st.must(200, "GET", path, desk, "").json(t)["items"].([]any)[0].(map[string]any); a["state"] != "running" || a["arrived"] != 2.0 || late() != 0 {
		t.Fatalf("%v, late %d", a, late())
	}
	clock.move(31 * time.Minute)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if _, err := st.s.ledger.SweepWhistles(t.Context(), auth.SystemActor("test")); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	st.wait("late department", func() bool { return late() > 0 })
	a := st.must(200, "GET", path, women, "").json(t)["items"].([]any)[0].(map[string]any)
	c := calls(a)
	if late() != 1 || a["state"] != "running" || c[womenDept]["late"] != true || c[fireDept]["late"] != false {
		t.Errorf("%d times late: %v", late(), a)
	}
	if n := st.count("SELECT count(*) FROM (SELECT kind, entity_kind FROM outbox UNION ALL SELECT kind, entity_kind FROM feed) e WHERE kind = 'whistle.late' AND entity_kind = 'whistle'"); n != 1 {
		t.Errorf("%d events of being late", n)
	}
	if n := st.count("SELECT count(*) FROM whistle_call WHERE arrived_at IS NOT NULL AND fix IS NOT NULL AND raw_datum = 'wgs84'"); n != 2 {
		t.Errorf("%d arrivals with their proof", n)
	}
	reported := st.must(200, "POST", whistle+"/reports", women, `{"kind":"report"}`, "Idempotency-Key: r1").json(t)
	st.must(403, "POST", whistle+"/end", fire, `{"reason":"到场"}`)
	st.must(422, "POST", whistle+"/end", desk, `{}`)
	if end := st.must(200, "POST", whistle+"/end", desk, `{"reason":"妇联已电话到岗"}`).json(t); end["state"] != "ended" || calls(end)[womenDept]["late"] != true {
		t.Errorf("%v", end)
	}
	st.must(409, "POST", whistle+"/reports", women, `{"kind":"arrive"}`)
	// Who was called knows of the place for as long as the whistle ran, and no longer;
	// who assists with the incident reads on.
	st.must(404, "GET", path, women, "")
	again := st.must(200, "POST", whistle+"/reports", women, `{"kind":"report"}`, "Idempotency-Key: r1").json(t)
	if told := func(a map[string]any) any { return a["incident"].(map[string]any)["title"] }; told(reported) != "消防通道占堵" || told(again) != "" || again["note"] != nil {
		t.Errorf("told %v, and when it is over %v", reported, again)
	}
	st.exec("INSERT INTO incident_assistant (incident_id, department_id, since) SELECT $1::bigint, id, now() FROM department WHERE name = '妇联'", id)
	if n := len(st.must(200, "GET", path, women, "").json(t)["items"].([]any)); n != 1 {
		t.Errorf("who assists reads %d whistles that are over", n)
	}

	// Another runs then, and is over with its incident.
	second := st.must(201, "POST", path, desk, `{"lead":"消防救援","within_min":5}`).json(t)
	version := 2
	st.must(200, "POST", "/api/v1/incidents/"+id+"/actions", desk, `{"action":"transfer","reason":"属外县","door":"邻县中心"}`, fmt.Sprintf(`If-Match: "%d"`, version))
	items := st.must(200, "GET", path, desk, "").json(t)["items"].([]any)
	if last := items[1].(map[string]any); last["id"] != second["id"] || last["state"] != "ended" || last["reason"] != "transferred" {
		t.Errorf("%v", last)
	}
}
