// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"fmt"
	"testing"
	"time"

	"onemap/auth"
)

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
