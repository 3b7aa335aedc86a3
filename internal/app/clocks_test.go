// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"onemap/auth"
)

// owed opens an incident that the town owes, by the hall, and returns its path.
func (st *stand) owed(hall string) (id, path string, due time.Time) {
	st.t.Helper()
	a := st.call("POST", "/api/v1/incidents", hall, `{"category":"0103","title":"草场","location":{"lon":107.2,"lat":38.3,"crs":"wgs84"}}`)
	v := a.json(st.t)
	due, err := time.Parse(time.RFC3339, fmt.Sprint(v["stage_due"]))
	if a.status != 201 || err != nil || v["owner_level"] != 2.0 {
		st.t.Fatalf("%d %v %s", a.status, err, a.body)
	}
	return v["id"].(string), "/api/v1/incidents/" + v["id"].(string), due
}

func TestTheCalendarIsChangedPreviewedAndCountedAnew(t *testing.T) {
	t.Parallel()
	st := newStand(t)
	hall, admin := st.token(auth.HallOperator, ""), st.token(auth.SystemAdmin, "")
	id, path, due := st.owed(hall)
	var cal map[string]any
	got := st.get("/api/v1/calendar", hall)
	if err := json.Unmarshal(got.body, &cal); err != nil || got.header.Get("ETag") != `"0"` || cal["known_to"] != 2026.0 {
		t.Fatalf("%v %s %s", err, got.header.Get("ETag"), got.body)
	}
	for _, k := range []string{"version", "revision", "known_from", "known_to"} {
		delete(cal, k)
	}
	// The day it is due on becomes one of rest.
	cal["days"] = []map[string]any{{"day": due.In(time.FixedZone("", 8*3600)).Format("2006-01-02"), "working": false, "note": "那达慕"}}
	raw, err := json.Marshal(cal)
	if err != nil {
		t.Fatal(err)
	}
	body := string(raw)
	p := st.call("POST", "/api/v1/calendar/preview", admin, body)
	if v := p.json(t); p.status != 200 || v["moved"] != 1.0 || v["later"] != 1.0 || strings.Contains(string(p.body), `"`+id+`"`) {
		t.Errorf("preview %d %s", p.status, p.body)
	}
	for _, c := range []struct {
		name   string
		got    answer
		status int
	}{
		{"a hall", st.call("PUT", "/api/v1/calendar", hall, body, `If-Match: "0"`), 403},
		{"without a revision", st.call("PUT", "/api/v1/calendar", admin, body), 428},
		{"another revision", st.call("PUT", "/api/v1/calendar", admin, body, `If-Match: "7"`), 409},
		{"no such day", st.call("PUT", "/api/v1/calendar", admin, strings.Replace(body, due.In(time.FixedZone("", 8*3600)).Format("2006-01-02"), "2026-02-30", 1), `If-Match: "0"`), 422},
		{"right", st.call("PUT", "/api/v1/calendar", admin, body, `If-Match: "0"`), 200},
		{"twice", st.call("PUT", "/api/v1/calendar", admin, body, `If-Match: "0"`), 409},
	} {
		if c.got.status != c.status {
			t.Errorf("%s: %d, want %d: %.300s", c.name, c.got.status, c.status, c.got.body)
		}
	}
	dueNow := func() time.Time {
		v := st.get(path, hall).json(t)
		at, _ := time.Parse(time.RFC3339, fmt.Sprint(v["stage_due"]))
		return at
	}
	if !dueNow().Equal(due) {
		t.Error("a due time moved by itself")
	}
	if a := st.call("POST", "/api/v1/calendar/recalculate", admin, `{"reason":" "}`); a.status != 422 {
		t.Errorf("without a reason: %d %s", a.status, a.body)
	}
	a := st.call("POST", "/api/v1/calendar/recalculate", admin, `{"reason":"节日放假"}`)
	if v := a.json(t); a.status != 200 || v["moved"] != 1.0 || v["done"] != true {
		t.Errorf("recount %d %s", a.status, a.body)
	}
	if a := st.call("POST", "/api/v1/calendar/recalculate", admin, `{"reason":"节日放假"}`).json(t); a["moved"] != 0.0 {
		t.Errorf("the same again: %v", a)
	}
	if !dueNow().After(due) {
		t.Error("the due time did not move")
	}
	j := st.get(path+"/journal", hall).json(t)["items"].([]any)
	last := j[len(j)-1].(map[string]any)
	if len(j) != 2 || last["kind"] != "recalculate" || last["reason"] != "节日放假" || last["version"] != 1.0 {
		t.Errorf("journal %v", j)
	}
	// New limits are counted by the new calendar, on this node at once.
	st.wait("calendar in force", func() bool { return st.get("/api/v1/calendar", hall).header.Get("ETag") == `"1"` })
	if _, _, again := st.owed(hall); !again.After(due) {
		t.Errorf("reported now it is due on %v", again)
	}
}

func TestASupervisionIsOpenedFromAboveAndAnsweredFromBelow(t *testing.T) {
	t.Parallel()
	st := newStand(t)
	hall, town, other, leader := st.token(auth.HallOperator, ""), st.token(auth.TownOperator, "A"), st.token(auth.TownOperator, "B"), st.token(auth.CountyLeader, "")
	_, path, _ := st.owed(hall)
	ask := func(token, key string) answer {
		return st.call("POST", path+"/supervisions", token, `{"reason":"群众再次来电"}`, "Idempotency-Key: "+key)
	}
	if a := ask(town, "1"); a.status != 409 {
		t.Errorf("by the town that owes it: %d %s", a.status, a.body)
	}
	if a := ask(other, "1"); a.status != 404 {
		t.Errorf("by another town: %d %s", a.status, a.body)
	}
	if a := ask(leader, "1"); a.status != 403 {
		t.Errorf("by a leader: %d %s", a.status, a.body)
	}
	made := ask(hall, "1")
	v := made.json(t)
	if made.status != 201 || v["level"] != 1.0 || v["owner_level"] != 2.0 || v["n"] != 1.0 || v["closed"] != false {
		t.Fatalf("%d %s", made.status, made.body)
	}
	if a := ask(hall, "1").json(t); a["id"] != v["id"] || a["repeated"] != true {
		t.Errorf("the same request again: %v", a)
	}
	reply := func(token string) answer {
		return st.call("POST", "/api/v1/supervisions/"+v["id"].(string)+"/reply", token, `{"text":"已派两人，下午办结"}`)
	}
	// offers says whether the list of the incident offers an answer to a caller.
	offers := func(token string) any {
		t.Helper()
		items := st.get("/api/v1/supervisions?incident="+v["incident"].(string), token).json(t)["items"].([]any)
		if len(items) != 1 {
			t.Fatalf("%d supervisions are listed", len(items))
		}
		return items[0].(map[string]any)["may_reply"]
	}
	for _, who := range []struct {
		token string
		may   bool
	}{{hall, false}, {st.token(auth.Dispatcher, ""), false}, {leader, false}, {town, true}} {
		if got := offers(who.token); got != who.may {
			t.Errorf("an answer is offered: %v, want %v", got, who.may)
		}
	}
	if a := reply(hall); a.status != 409 {
		t.Errorf("by who opened it: %d %s", a.status, a.body)
	}
	if a := reply(st.token(auth.Dispatcher, "")); a.status != 409 || !strings.Contains(string(a.body), "side that was asked") {
		t.Errorf("by another desk of the level that asks: %d %s", a.status, a.body)
	}
	// Whoever the supervision is of does not answer it, though of the town by another right.
	st.exec("UPDATE supervision SET officers = ARRAY[(SELECT 'token:' || max(id) FROM credential WHERE role = 'town_operator' AND grid_code = 'A')]")
	if a := reply(town); a.status != 409 || !strings.Contains(string(a.body), "whose it is") {
		t.Errorf("by its officer: %d %s", a.status, a.body)
	}
	if offers(town) != false {
		t.Error("an answer is offered to its officer")
	}
	st.exec("UPDATE supervision SET officers = '{}'")
	if a := reply(other); a.status != 404 {
		t.Errorf("by another town: %d %s", a.status, a.body)
	}
	if a := st.get("/api/v1/supervisions", leader).json(t); a["open"] != 1.0 || a["closed"] != 0.0 {
		t.Errorf("counts %v", a)
	}
	if a := reply(town).json(t); a["reply"] != "已派两人，下午办结" {
		t.Errorf("the answer %v", a)
	}
	if offers(town) != false {
		t.Error("a second answer is offered")
	}
	if a := reply(town); a.status != 409 {
		t.Errorf("answered twice: %d %s", a.status, a.body)
	}
	if a := st.get("/api/v1/supervisions", other).json(t); len(a["items"].([]any)) != 0 || a["open"] != 0.0 {
		t.Errorf("another town is told %v", a)
	}
	var waiting int
	if err := st.s.db.Pool.QueryRow(t.Context(), "SELECT count(*) FROM timer WHERE rung LIKE 'reply.%' AND done_at IS NULL").Scan(&waiting); err != nil || waiting != 0 {
		t.Errorf("%d timers wait for an answer that was given, %v", waiting, err)
	}
	if s := st.get("/api/v1/status", hall).json(t)["sweep"].(map[string]any); s["clock_off"] != false {
		t.Errorf("sweep %v", s)
	}
}
