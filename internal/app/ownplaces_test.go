// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"fmt"
	"testing"
	"time"

	"onemap/auth"
	"onemap/store"
)

// own sends a place of a worker's own page, measured at a time.
func (st *stand) own(phone string, lon, lat float64, at time.Time) answer {
	st.t.Helper()
	return st.call("POST", "/api/v1/positions", phone, fmt.Sprintf(`{"crs":"wgs84","items":[{"at":%q,"lon":%g,"lat":%g,"accuracy_m":8}]}`, at.Format(time.RFC3339), lon, lat))
}

// TestAWorkersPageProvesWhatADeviceDoes: an arrival and a visit, and it is on the track,
// of a worker who has no device.
func TestAWorkersPageProvesWhatADeviceDoes(t *testing.T) {
	t.Parallel()
	st, clock := patrolStand(t, 2)
	st.exec("DELETE FROM device_binding")
	desk, phone := st.token(auth.Dispatcher, ""), st.phone(1)
	incident := st.routed(desk)
	offer := st.offerTo(desk, incident, "1")
	st.want(200, "POST", "/api/v1/offers/"+offer+"/acts", phone, `{"kind":"accept"}`)
	walk := st.patrol(desk, `"name":"日巡查","grid":"A1","targets":"grid","rhythm":"daily"`)
	sweepAll(t, st.s)
	start := clock.now()
	for range 2 {
		clock.move(40 * time.Second)
		if a := st.own(phone, 107.2002, 38.4001, clock.now()); a.status != 200 || a.json(t)["stored"] != 1.0 {
			t.Fatalf("%d %s", a.status, a.body)
		}
	}
	if a := st.own(st.phone(2), 107.21, 38.41, clock.now()); a.status != 200 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	t.Run("arrival", func(t *testing.T) {
		if err := st.s.noteArrivals(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := offered(t, st.get("/api/v1/incidents/"+incident+"/offers", desk)); got["arrived_fix_at"] == nil {
			t.Errorf("%v", got)
		}
	})
	t.Run("visit", func(t *testing.T) {
		sweepAll(t, st.s)
		v := st.visitOf(desk, walk, "甲一")
		if by, _ := v["seen"].(map[string]any); v["state"] != "done" || by == nil || by["badge"] != "W001" {
			t.Errorf("%v", v)
		}
	})
	t.Run("track", func(t *testing.T) {
		path := "/api/v1/workers/1/track?reason=" + goodReason + "&from=" + inQuery(start) + "&to=" + inQuery(clock.now().Add(time.Minute))
		if got := st.want(200, "GET", path, desk, ""); len(got.json(t)["items"].([]any)) != 2 {
			t.Errorf("%s", got.body)
		}
	})
}

// TestTheFirstPlacesOfAPageMayComeAtOnce: what makes the page's device second finds the
// first one's.
func TestTheFirstPlacesOfAPageMayComeAtOnce(t *testing.T) {
	t.Parallel()
	st, clock := patrolStand(t, 1)
	phone := st.phone(1)
	tx, err := st.s.db.Pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(t.Context()) }()
	if _, err := store.PageDevice(t.Context(), tx, 1, time.Minute); err != nil {
		t.Fatal(err)
	}
	second := make(chan answer, 1)
	go func() { second <- st.own(phone, 107.2, 38.4, clock.now()) }()
	st.wait("the second to wait for the first", func() bool {
		return st.count("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%INSERT INTO device %'") == 1
	})
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if a := <-second; a.status != 200 || a.json(t)["stored"] != 1.0 {
		t.Errorf("%d %s", a.status, a.body)
	}
}
