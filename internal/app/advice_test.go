// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/paulmach/orb"

	"onemap/auth"
	"onemap/store"
)

// advice asks by token whom to send, as "W2 W1 | W4 stale_fix" with what else is
// told.
func (st *stand) advice(token, id, query string) (string, map[string]any) {
	st.t.Helper()
	a := st.get("/api/v1/incidents/"+id+"/candidates"+query, token)
	var v struct{ Items, Excluded []struct{ Badge, Why string } }
	if err := json.Unmarshal(a.body, &v); a.status != 200 || err != nil {
		st.t.Fatalf("%d %s %v", a.status, a.body, err)
	}
	var who []string
	for _, i := range v.Items {
		who = append(who, i.Badge)
	}
	who = append(who, "|")
	for _, e := range v.Excluded {
		who = append(who, e.Badge+" "+e.Why)
	}
	return strings.Join(who, " "), a.json(st.t)
}

// TestWhoShouldGoIsAdvisedAndWhyNotTheOthers: from fixes, roads, rosters and the
// record to an answer in scope.
func TestWhoShouldGoIsAdvisedAndWhyNotTheOthers(t *testing.T) {
	t.Parallel()
	st := newStandWith(t, Options{Limits: plenty()})
	op := st.token(auth.Dispatcher, "")
	st.crew("A1", "A1", "B1", "A2", "A1")
	st.exec("DELETE FROM rota WHERE worker_id = (SELECT id FROM worker WHERE badge = 'W5')")
	if err := st.s.fixes.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	before := st.s.roads()
	if _, err := st.s.db.ReplaceRoads(t.Context(), store.RoadSet{Source: "survey", Actor: "system:test", Segments: []store.RoadSegment{
		{ExtID: "1", Class: "trunk", Kmh: 60, Geom: orb.LineString{{107.1, 38.28}, {107.7, 38.28}}},
	}}); err != nil {
		t.Fatal(err)
	}
	st.wait("new roads", func() bool { return st.s.roads() != before })
	now := time.Now()
	st.fix(1, 107.24, 38.28, now)
	st.fix(2, 107.20, 38.32, now) // 4.4 km in a straight line, far from the road
	st.fix(3, 107.60, 38.28, now)
	st.fix(4, 107.20, 38.28, now.Add(-30*time.Minute)) // on the spot half an hour ago
	id := st.report(op, 107.2, 38.28).json(t)["id"].(string)

	who, v := st.advice(op, id, "")
	if who != "W1 W2 W3 | W4 stale_fix W5 off_duty" || v["of"] != 3.0 || v["measured"] != 3.0 || v["by_road"] != 2.0 {
		t.Fatalf("%s: %v", who, v)
	}
	first := v["items"].([]any)[0].(map[string]any)
	parts := first["parts"].(map[string]any)
	if first["rank"] != 1.0 || first["by"] != "road" || first["grid"] != "A1" || first["relation"] != "own_grid" || first["load"] != 0.0 || first["covered"] != true ||
		parts["grid"] != 1.0 || fmt.Sprint(first["reasons"]) != "[soonest own_grid free]" || first["distance_m"].(float64) < 3400 || first["distance_m"].(float64) > 3600 {
		t.Errorf("%v", first)
	}
	if asOf := v["as_of"].(map[string]any); asOf["seq"].(float64) < 0 || asOf["time"] == nil {
		t.Errorf("as of %v", asOf)
	}
	if who, v = st.advice(op, id, "?k=1"); who != "W1 | W4 stale_fix W5 off_duty" || v["of"] != 3.0 {
		t.Errorf("k=1: %s, of %v", who, v["of"])
	}
	if who, _ = st.advice(st.token(auth.TownOperator, "A"), id, ""); who != "W1 W2 | W4 stale_fix W5 off_duty" {
		t.Errorf("town A is told %s", who)
	}
	st.exec("INSERT INTO incident_worker (incident_id, worker_id, relation) SELECT $1::bigint, id, 'lead' FROM worker WHERE badge = 'W1'", id)
	if who, _ = st.advice(op, id, ""); who != "W2 W3 | W4 stale_fix W1 assigned W5 off_duty" {
		t.Errorf("W1 has it: %s", who)
	}
	path := "/api/v1/incidents/" + id + "/candidates"
	for _, c := range []struct {
		path, token string
		want        int
	}{
		{path, st.token(auth.TownOperator, "B"), 404},
		{"/api/v1/incidents/987654321/candidates", op, 404},
		{path, st.token(auth.CountyLeader, ""), 403},
		{path, st.token(auth.GridWorker, "A1"), 403},
		{path + "?k=0", op, 400},
		{path + "?k=51", op, 400},
	} {
		if a := st.get(c.path, c.token); a.status != c.want {
			t.Errorf("%s: %d %s, want %d", c.path, a.status, a.body, c.want)
		}
	}
	nowhere := st.call("POST", "/api/v1/incidents", op, `{"category":"0301","title":"通道占堵","address":"不知何处"}`)
	if a := st.get("/api/v1/incidents/"+nowhere.json(t)["id"].(string)+"/candidates", op); a.status != 409 || !strings.Contains(string(a.body), "no place yet") {
		t.Errorf("without a place: %d %s", a.status, a.body)
	}
	if a := st.call("POST", "/api/v1/incidents/"+id+"/actions", op, `{"action":"refuse","reason":"不属受理范围","door":"人民法院"}`, `If-Match: "1"`); a.status != 200 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if a := st.get(path, op); a.status != 409 {
		t.Errorf("of an incident that is over: %d %s", a.status, a.body)
	}
}

// TestOverrideRateIsToldByWhatOneMayRead: by category to who reads cases; to the others
// one line of one week, and none where a number or what it leaves is small, as in the
// figures of that week.
func TestOverrideRateIsToldByWhatOneMayRead(t *testing.T) {
	t.Parallel()
	st := newStandWith(t, Options{Limits: plenty()})
	hall := st.token(auth.HallOperator, "")
	id := st.report(hall, 107.2, 38.28).json(t)["id"].(string)
	week := monday(time.Now().In(time.FixedZone("", 8*60*60)))
	choose := func(n int, overridden bool) {
		st.exec(`INSERT INTO advice (incident_id, category, at, seq, actor, passed, measured, by_road, ranked, left_out, chosen, ranks, overridden)
			SELECT $1, '0301', $2, 1, 'token:1', 3, 3, 3, '[]', '{}', '{1}', '{1}', $4 FROM generate_series(1, $3)`, id, week.Add(-24*time.Hour), n, overridden)
	}
	choose(3, false)
	choose(1, true)
	day := func(n int) string { return week.AddDate(0, 0, n).Format(time.DateOnly) }
	ask := func(token string, from, to int) string {
		a := st.get("/api/v1/figures/advice?from="+day(from)+"&to="+day(to), token)
		if a.status != 200 {
			return fmt.Sprint(a.status)
		}
		v := a.json(t)
		short := func(v any) string {
			m, _ := v.(map[string]any)
			return fmt.Sprint(m["category"], " ", m["chosen"], " ", m["overridden"], " ", m["override_rate"])
		}
		out := short(v["total"])
		for _, i := range v["items"].([]any) {
			out += ", " + short(i)
		}
		return out
	}
	auditor := st.token(auth.Auditor, "")
	for _, c := range []struct {
		token    string
		from, to int
		want     string
	}{
		{hall, -7, 0, " 4 1 0.25, 0301 4 1 0.25"},
		{hall, -1, 0, " 4 1 0.25, 0301 4 1 0.25"},
		{hall, -7, -1, " 0 0 0"},
		{hall, 0, -7, "422"},
		{st.token(auth.TownOperator, "B"), -7, 0, " 0 0 0"},
		{auditor, -7, 0, "<nil> <nil> <nil> <nil>"},
		{auditor, -1, 0, "422"},
		{auditor, -14, 0, "422"},
		{st.token(auth.GridWorker, "A1"), -7, 0, "403"},
	} {
		if got := ask(c.token, c.from, c.to); got != c.want {
			t.Errorf("from %d to %d: %q, want %q", c.from, c.to, got, c.want)
		}
	}
	choose(4, true)
	if got := ask(auditor, -7, 0); got != "<nil> <nil> <nil> <nil>" { // three were not overridden
		t.Errorf("the auditor is told %q of eight", got)
	}
	choose(2, false)
	told := func() (chosen, overridden any) {
		midnight := time.Date(week.Year(), week.Month(), week.Day(), 0, 0, 0, 0, week.Location())
		q := "from=" + inQuery(midnight.AddDate(0, 0, -7)) + "&to=" + inQuery(midnight)
		total := st.get("/api/v1/figures?"+q, auditor).json(t)["total"].(map[string]any)
		return total["chosen"].(map[string]any)["n"], total["overridden"].(map[string]any)["n"]
	}
	if chosen, overridden := told(); chosen != 10.0 || overridden != 5.0 {
		t.Errorf("by the figures %v chosen, %v overridden", chosen, overridden)
	}
	// What was chosen of a category whose place is not shown is in neither.
	st.exec(`INSERT INTO advice (incident_id, category, at, seq, actor, passed, measured, by_road, ranked, left_out, chosen, ranks, overridden)
		SELECT $1, (SELECT min(code) FROM category WHERE precision = 'none'), $2, 1, 'token:1', 3, 3, 3, '[]', '{}', '{1}', '{1}', true`, id, week.Add(-24*time.Hour))
	if got := ask(auditor, -7, 0); got != " 10 5 0.5" {
		t.Errorf("the auditor is told %q of ten", got)
	}
	choose(3, true)
	st.exec(`INSERT INTO advice (incident_id, category, at, seq, actor, passed, measured, by_road, ranked, left_out, chosen, ranks, overridden)
		SELECT $1, '0301', $2, 1, 'token:1', 0, 0, 0, '[]', '{}', '{1}', '{0}', false FROM generate_series(1, 3)`, id, week.Add(-24*time.Hour))
	if got := ask(auditor, -7, 0); got != "<nil> <nil> <nil> <nil>" { // three without advice
		t.Errorf("the auditor is told %q of sixteen", got)
	}
	if chosen, overridden := told(); chosen != 16.0 || overridden != nil {
		t.Errorf("by the figures %v chosen, %v overridden", chosen, overridden)
	}
}
