// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"onemap/auth"
	"onemap/people"
	"onemap/store/ledger"
)

// TestALayerIsVisitedByThoseWhoSeeIt: a department's people too; and of one that has
// grown beyond what a patrol may have, it is said how many have no visit.
func TestALayerIsVisitedByThoseWhoSeeIt(t *testing.T) {
	t.Parallel()
	st, clock := patrolStand(t, 1)
	desk := st.token(auth.Dispatcher, "")
	const feature = `INSERT INTO layer_feature (layer_id, external_id, name, geom, raw_lon, raw_lat, raw_datum)
		SELECT l.id, 'p' || n, '点' || n, ST_SetSRID(ST_MakePoint(107.3, 38.3), 4326), 107.3, 38.3, 'wgs84' FROM layer l, generate_series($1::int, $2::int) n WHERE l.code = $3`
	for code, access := range map[string]string{"wells": "{signed_in}", "fire": "{dispatcher,dept_handler}", "mine": "{dispatcher,grid_worker}"} {
		st.exec("INSERT INTO layer (code, name, geometry, root_code, access) VALUES ($1, $1, 'point', 'C', $2::text::text[])", code, access)
		st.exec(feature, 1, 1, code)
	}
	if err := st.s.reloadNamed(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	body := func(code, more string) string {
		return `"name":"` + code + `","grid":"C","targets":"layer","layer":"` + code + `","rhythm":"daily"` + more
	}
	const dept = `,"department":"消防救援"`
	for _, c := range []struct{ code, more, says string }{{"fire", "", "grid_worker"}, {"mine", dept, "dept_handler"}} {
		if a := st.want(422, "POST", "/api/v1/patrols", desk, "{"+body(c.code, c.more)+"}"); !strings.Contains(string(a.body), "those who visit ("+c.says+") may not see this one") {
			t.Errorf("%s: %s", c.code, a.body)
		}
	}
	st.patrol(desk, body("wells", ""))
	fire := st.patrol(desk, body("fire", dept))
	st.patrol(desk, body("mine", ""))
	told := func(layer, key string) int {
		return st.count("SELECT coalesce(max((a.data->>$2)::int), 0) FROM audit_log a JOIN patrol p ON a.object = 'patrol/' || p.id WHERE a.action = 'patrol.opened' AND p.layer_code = $1", layer, key)
	}
	st.exec(feature, 2, ledger.MaxPatrolTargets+7, "wells")
	sweepAll(t, st.s)
	if n, left := told("wells", "visits"), told("wells", "left_out"); n != ledger.MaxPatrolTargets || left != 7 {
		t.Errorf("%d visits of a layer that has grown, %d left out", n, left)
	}
	if n := st.count("SELECT count(*) FROM visit WHERE patrol_id = $1::text::bigint AND department_id IS NOT NULL", fire); n != 1 || told("mine", "visits") != 1 {
		t.Errorf("%d visits for the department, %d for workers", n, told("mine", "visits"))
	}
	// Closed to the department later: its patrol opens nothing more, the workers' go on.
	st.exec("UPDATE layer SET access = '{dispatcher,grid_worker}' WHERE code = 'fire'")
	clock.move(24 * time.Hour)
	st.exec("DELETE FROM layer_feature WHERE external_id NOT IN ('p1')")
	sweepAll(t, st.s)
	if n := st.count("SELECT count(*) FROM visit WHERE patrol_id = $1::text::bigint", fire); n != 1 {
		t.Errorf("%d visits of a layer that the department may not see any more", n)
	}
	if n := st.count("SELECT count(*) FROM audit_log WHERE action = 'patrol.opened' AND data->>'layer_closed' = 'fire' AND data->>'visits' = '0'"); n != 1 {
		t.Errorf("%d entries of a closed layer", n)
	}
}

// TestAPatrolsTroubleStaysItsOwn: of one that can't be opened, of a layer closed since,
// of a grid that this node has not read yet, and of a word about another hour.
func TestAPatrolsTroubleStaysItsOwn(t *testing.T) {
	t.Parallel()
	st, clock := patrolStand(t, 1)
	desk, phone := st.token(auth.Dispatcher, ""), st.phone(1)
	st.exec("INSERT INTO layer (code, name, geometry, root_code) VALUES ('wells', '水井', 'point', 'C')")
	st.exec(`INSERT INTO layer_feature (layer_id, external_id, name, geom, raw_lon, raw_lat, raw_datum) SELECT l.id, 'w1', '一号井', ST_SetSRID(ST_MakePoint(107.3, 38.3), 4326), 107.3, 38.3, 'wgs84' FROM layer l`)
	if err := st.s.reloadNamed(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	const daily = `,"rhythm":"daily"`
	broken := st.patrol(desk, `"name":"坏","grid":"A2","targets":"grid"`+daily)
	walk := st.patrol(desk, `"name":"日巡查","grid":"A1","targets":"grid"`+daily)
	ahead := st.patrol(desk, `"name":"新网格","grid":"B1","targets":"grid"`+daily)
	st.patrol(desk, `"name":"水井","grid":"C","targets":"layer","layer":"wells"`+daily)
	st.exec("UPDATE layer SET access = '{dispatcher}'")
	st.exec("UPDATE grid SET code = 'B9' WHERE code = 'B1'")
	st.exec("UPDATE patrol SET grid_code = 'B9' WHERE id = $1::text::bigint", ahead)
	st.exec(fmt.Sprintf("ALTER TABLE visit ADD CONSTRAINT trouble CHECK (patrol_id <> %s)", broken))
	for range 2 {
		clock.move(40 * time.Second)
		st.at(1, 107.2, 38.4, clock.now())
	}
	if err := st.s.sweepPatrols(t.Context()); err == nil {
		t.Error("nothing is said of the patrol that can't be opened")
	}
	if v := st.visitOf(desk, walk, "甲一"); v["state"] != "done" {
		t.Errorf("behind one that can't be opened: %v", v)
	}
	if n := st.count("SELECT count(*) FROM patrol WHERE opened_to >= first_day AND id IN ($1::text::bigint, $2::text::bigint)", broken, ahead); n != 0 {
		t.Errorf("%d patrols without visits count as opened", n)
	}
	if n := st.count("SELECT count(*) FROM visit WHERE name = '一号井'"); n != 0 || st.count("SELECT count(*) FROM audit_log WHERE action = 'patrol.opened' AND data->>'layer_closed' = 'wells' AND data->>'visits' = '0'") != 1 {
		t.Errorf("%d visits of a layer that workers may not see", n)
	}
	say := func(at time.Time, id string) map[string]any {
		return st.want(200, "POST", "/api/v1/visits/"+id+"/word", phone, fmt.Sprintf(`{"text":"去过了","at":%q}`, at.Format(time.RFC3339))).json(t)
	}
	id := st.visitOf(desk, walk, "甲一")["id"].(string)
	if said := say(clock.now().Add(-time.Hour), id)["said"].(map[string]any); said["there"] != nil {
		t.Errorf("a fix of now judges a word of an hour ago: %v", said)
	}
}

// TestAWordThatIsNotTakenSaysWhy: each refusal has its word for the phone, which keeps
// what was said and offers to say it again.
func TestAWordThatIsNotTakenSaysWhy(t *testing.T) {
	t.Parallel()
	st, clock := patrolStand(t, 1) // nine in the morning
	desk, phone := st.token(auth.Dispatcher, ""), st.phone(1)
	hours := st.patrol(desk, `"name":"日巡查","grid":"A1","targets":"grid","rhythm":"daily","from":"08:00","to":"18:00"`)
	over := st.patrol(desk, `"name":"停了","grid":"A1","targets":"grid","rhythm":"daily"`)
	sweepAll(t, st.s)
	id, gone := st.visitOf(desk, hours, "甲一")["id"].(string), st.visitOf(desk, over, "甲一")["id"].(string)
	st.want(200, "POST", "/api/v1/patrols/"+over+"/end", desk, `{"reason":"合并"}`)
	for _, c := range []struct {
		visit string
		ago   time.Duration
		word  string
	}{
		{id, 2 * time.Hour, "visit-early"},
		{id, 24*time.Hour + time.Minute, "visit-old"},
		{id, -10 * time.Minute, "visit-ahead"},
		{gone, 0, "visit-void"},
	} {
		body := fmt.Sprintf(`{"text":"去过了","at":%q}`, clock.now().Add(-c.ago).Format(time.RFC3339))
		if a := st.want(409, "POST", "/api/v1/visits/"+c.visit+"/word", phone, body); a.json(t)["type"] != c.word {
			t.Errorf("%s: %s", c.word, a.body)
		}
	}
	st.want(200, "POST", "/api/v1/visits/"+id+"/word", phone, `{"text":"去过了"}`)
	if people.Local(clock.now()).Weekday() == time.Sunday {
		clock.move(24 * time.Hour) // the last day of a week has no other after it
	}
	week := st.patrol(desk, `"name":"周巡查","grid":"A1","targets":"grid","rhythm":"weekly","from":"08:00","to":"18:00"`)
	sweepAll(t, st.s)
	id = st.visitOf(desk, week, "甲一")["id"].(string)
	clock.move(11 * time.Hour) // eight in the evening
	if a := st.want(409, "POST", "/api/v1/visits/"+id+"/word", phone, `{"text":"去过了"}`); a.json(t)["type"] != "visit-outside" {
		t.Errorf("between two windows: %s", a.body)
	}
	clock.move(12 * time.Hour)
	st.want(200, "POST", "/api/v1/visits/"+id+"/word", phone, `{"text":"去过了"}`)
}
