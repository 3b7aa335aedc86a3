// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/paulmach/orb"

	"onemap/auth"
	"onemap/store"
)

// crew gives the stand workers W1, W2, ... with a phone each, on duty day and
// night, at home in these grids.
func (st *stand) crew(homes ...string) {
	st.t.Helper()
	for i, home := range homes {
		n := i + 1
		st.exec("INSERT INTO worker (badge) VALUES ('W' || $1::int)", n)
		st.exec("INSERT INTO worker_grid (worker_id, grid_code) SELECT id, $2 FROM worker WHERE badge = 'W' || $1::int", n, home)
		st.exec("INSERT INTO device (unique_id) VALUES ('phone-' || $1::int)", n)
		st.exec("INSERT INTO device_binding (device_id, worker_id, valid_from) SELECT d.id, w.id, '2020-01-01' FROM device d, worker w WHERE d.unique_id = 'phone-' || $1::int AND w.badge = 'W' || $1::int", n)
	}
	st.exec("INSERT INTO rota (worker_id, weekday, start_min, end_min) SELECT id, d, 0, 1440 FROM worker, generate_series(1, 7) d")
	if err := st.s.fixes.Refresh(st.t.Context()); err != nil {
		st.t.Fatal(err)
	}
}

// fix sends a fix of phone n.
func (st *stand) fix(n int, lon, lat float64, at time.Time) {
	st.t.Helper()
	q := url.Values{"id": {fmt.Sprint("phone-", n)}, "lat": {fmt.Sprint(lat)}, "lon": {fmt.Sprint(lon)}, "timestamp": {fmt.Sprint(at.Unix())}, "accuracy": {"8"}}
	res, err := http.PostForm(st.s.DeviceURL()+"/", q)
	if err != nil {
		st.t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != 200 {
		st.t.Fatalf("status %d", res.StatusCode)
	}
}

type near struct {
	Badge     string
	Grid      string
	State     string
	TravelS   int `json:"travel_s"`
	DistanceM int `json:"distance_m"`
	By, Why   string
	FixAge    int `json:"fix_age_s"`
}

// nearest asks by token who is soonest at a place, as "W2 road, W1 line no_way".
func (st *stand) nearest(token, query string) (string, []near, string) {
	st.t.Helper()
	a := st.get("/api/v1/workers/nearest?"+query, token)
	var v struct {
		Items []near
		Note  string
	}
	if err := json.Unmarshal(a.body, &v); a.status != 200 || err != nil {
		st.t.Fatalf("%s: %d %s %v", query, a.status, a.body, err)
	}
	var who []string
	for _, i := range v.Items {
		who = append(who, strings.TrimSpace(i.Badge+" "+i.By+" "+i.Why))
	}
	return strings.Join(who, ", "), v.Items, v.Note
}

// TestTheNearestByRoadFollowTheRoads: W1 is closer in a straight line, W2 by road,
// and a new road turns it round on a server that runs.
func TestTheNearestByRoadFollowTheRoads(t *testing.T) {
	t.Parallel()
	st := newStand(t)
	op := st.token(auth.HallOperator, "")
	st.crew("A1", "A1", "B1", "A2")
	now := time.Now()
	st.fix(1, 107.20, 38.31, now) // 3 km north of the place, no road there yet
	st.fix(2, 107.30, 38.28, now) // 9 km along the road
	st.fix(3, 107.60, 38.28, now)
	st.fix(4, 107.20, 38.28, now.Add(-30*time.Minute)) // at the place itself half an hour ago: stale
	const place = "lon=107.2&lat=38.28&crs=wgs84"
	if who, items, _ := st.nearest(op, place); who != "W1 line no_roads, W2 line no_roads, W3 line no_roads" || items[0].DistanceM < 4500 || items[0].DistanceM > 4900 {
		t.Errorf("without roads: %s %+v", who, items)
	}
	trunk := store.RoadSegment{ExtID: "1", Class: "trunk", Kmh: 60, Geom: orb.LineString{{107.1, 38.28}, {107.7, 38.28}}}
	load := func(source string, segments ...store.RoadSegment) {
		t.Helper()
		before := st.s.roads()
		if _, err := st.s.db.ReplaceRoads(t.Context(), store.RoadSet{Source: source, Actor: "system:test", Segments: segments}); err != nil {
			t.Fatal(err)
		}
		st.wait("new roads", func() bool { return st.s.roads() != before })
	}
	load("survey", trunk)
	who, items, note := st.nearest(op, place)
	if who != "W2 road, W1 line origin_far, W3 road" || note != "" {
		t.Fatalf("by road: %s (%s)", who, note)
	}
	if w := items[0]; w.TravelS < 515 || w.TravelS > 535 || w.DistanceM < 8600 || w.DistanceM > 8900 || w.State != "on" || w.Grid != "A1" || w.FixAge > 60 {
		t.Errorf("%+v", w)
	}
	side := store.RoadSegment{ExtID: "2", Class: "track", Kmh: 60, Geom: orb.LineString{{107.2, 38.31}, {107.2, 38.28}}}
	bent := trunk
	bent.Geom = orb.LineString{{107.1, 38.28}, {107.2, 38.28}, {107.7, 38.28}}
	load("survey", bent, side)
	if who, _, _ := st.nearest(op, place+"&k=2"); who != "W1 road, W2 road" {
		t.Errorf("with a side road: %s", who)
	}
	load("survey", trunk) // the set is replaced as a whole
	if who, _, _ := st.nearest(op, place+"&k=1"); who != "W2 road" {
		t.Errorf("without it again: %s", who)
	}
	if n := st.count("SELECT count(*) FROM audit_log WHERE action = 'roads.import' AND object = 'roads/survey'"); n != 3 {
		t.Errorf("%d audit rows", n)
	}

	if who, _, _ := st.nearest(st.token(auth.TownOperator, "B"), place); who != "W3 road" {
		t.Errorf("town B is shown %s", who)
	}
	if _, _, note := st.nearest(op, "lon=106&lat=38.28&crs=wgs84"); !strings.Contains(note, "88 km from the county") {
		t.Errorf("outside: %q", note)
	}
	for query, want := range map[string]string{
		"lon=107.2&lat=38.28":                  "400 crs",
		"lon=107.2&lat=38.28&crs=mars":         "400 unknown datum",
		"lon=38.28&lat=107.2&crs=wgs84":        "422 exchanged",
		"lat=38.28&crs=wgs84":                  "400 lon",
		"lon=107.2&lat=38.28&crs=wgs84&k=0":    "400 k",
		"lon=107.2&lat=38.28&crs=wgs84&k=9999": "400 k",
	} {
		a := st.get("/api/v1/workers/nearest?"+query, op)
		status, says, _ := strings.Cut(want, " ")
		if fmt.Sprint(a.status) != status || !strings.Contains(string(a.body), says) {
			t.Errorf("%s: %d %s, want %s", query, a.status, a.body, want)
		}
	}
	if a := st.get("/api/v1/workers/nearest?"+place, st.token(auth.SystemAdmin, "")); a.status != 403 {
		t.Errorf("the system administrator is answered %d", a.status)
	}
}
