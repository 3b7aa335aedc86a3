// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/jackc/pgx/v5"
	"github.com/paulmach/orb"

	"onemap/auth"
	"onemap/geo/grid"
	"onemap/hub"
)

func box(x0, y0, x1, y1 float64) orb.MultiPolygon {
	return orb.MultiPolygon{{{{x0, y0}, {x1, y0}, {x1, y1}, {x0, y1}, {x0, y0}}}}
}

// redraw is the stand's county with the border between A and B moved east, A2 in B,
// B2 gone into B1, a new grid A3 in the west beyond the old border, and A renamed.
func redraw() []grid.Draft {
	return []grid.Draft{
		{Code: "C", Level: 1, Name: "县", Geom: box(106.9, 38, 108, 38.5)},
		{Code: "A", Parent: "C", Level: 2, Name: "新甲镇", Geom: orb.MultiPolygon{{{{106.9, 38}, {107, 38}, {107, 38.25}, {107.6, 38.25}, {107.6, 38.5}, {106.9, 38.5}, {106.9, 38}}}}},
		{Code: "A1", Parent: "A", Level: 3, Name: "甲一", Geom: box(107, 38.25, 107.6, 38.5)},
		{Code: "A3", Parent: "A", Level: 3, Name: "甲三", Geom: orb.MultiPolygon{{{{106.9, 38}, {107, 38}, {107, 38.25}, {107, 38.5}, {106.9, 38.5}, {106.9, 38}}}}},
		{Code: "B", Parent: "C", Level: 2, Name: "乙镇", Geom: orb.MultiPolygon{{{{107, 38}, {108, 38}, {108, 38.5}, {107.6, 38.5}, {107.6, 38.25}, {107, 38.25}, {107, 38}}}}},
		{Code: "A2", Parent: "B", Level: 3, Name: "甲二", Geom: box(107, 38, 107.5, 38.25)},
		{Code: "B1", Parent: "B", Level: 3, Name: "乙一", Geom: orb.MultiPolygon{{{{107.5, 38}, {108, 38}, {108, 38.5}, {107.6, 38.5}, {107.6, 38.25}, {107.5, 38.25}, {107.5, 38}}}}},
	}
}

// draft brings in a redraw of the stand's county.
func (st *stand) draft(ds []grid.Draft) int32 {
	st.t.Helper()
	v, err := st.s.db.SaveDraft(st.t.Context(), ds, false, "redrawn")
	if err != nil {
		st.t.Fatal(err)
	}
	return v
}

func TestAPreviewSaysWhatARedrawChanges(t *testing.T) {
	t.Parallel()
	st := newStand(t)
	admin, desk := st.token(auth.SystemAdmin, ""), st.token(auth.HallOperator, "")
	for _, p := range [][2]float64{{107.2, 38.3}, {107.2, 38.1}, {107.55, 38.4}, {107.9, 38.1}, {106.95, 38.2}, {109, 38.2}} {
		if a := st.report(desk, p[0], p[1]); a.status != 201 {
			t.Fatalf("%d %s", a.status, a.body)
		}
	}
	st.exec("INSERT INTO worker (badge) VALUES ('W1'), ('W2')")
	st.exec("INSERT INTO worker_grid (worker_id, grid_code) SELECT id, CASE badge WHEN 'W1' THEN 'B2' ELSE 'A1' END FROM worker")
	// Of another county: one who serves a code that is used here too, one who serves one there as well as one that goes here.
	st.exec("INSERT INTO worker (badge) VALUES ('D1'), ('D2')")
	st.exec("INSERT INTO worker_grid (worker_id, grid_code, root_code) SELECT id, 'A1', 'D' FROM worker WHERE badge = 'D1'")
	st.exec("INSERT INTO worker_grid (worker_id, grid_code, root_code) SELECT id, c, r FROM worker, (VALUES ('B2', 'C'), ('D', 'D')) AS x (c, r) WHERE badge = 'D2'")
	other, err := st.s.db.SaveDraft(t.Context(), []grid.Draft{{Code: "D", Level: 1, Name: "邻县", Geom: box(105, 36, 106, 37)}}, false, "other")
	if err == nil {
		err = st.s.db.Enact(t.Context(), other)
	}
	if err != nil {
		t.Fatal(err)
	}
	v := st.draft(redraw())
	var list struct {
		Items []struct {
			Version           int
			Code, Name, State string
			Grids             int
			Undoes, EnactedAt *int
			Planned           *struct{}
		}
	}
	if a := st.get("/api/v1/grid-versions", admin); a.status != 200 || json.Unmarshal(a.body, &list) != nil || len(list.Items) != 3 ||
		list.Items[0].Version != int(v) || list.Items[0].State != "draft" || list.Items[0].Grids != 7 || list.Items[2].State != "enacted" || list.Items[0].Code != "C" {
		t.Errorf("%d %s", a.status, a.body)
	}
	var p struct {
		Totals map[string]int
		Faults []struct{ Kind string }
		Items  []map[string]any
	}
	a := st.get(fmt.Sprintf("/api/v1/grid-versions/%d/preview", v), admin)
	if a.status != 200 || json.Unmarshal(a.body, &p) != nil {
		t.Fatalf("%d %s", a.status, a.body)
	}
	want := map[string]int{
		"grids_before": 7, "grids_after": 7, "new": 1, "gone": 1, "redrawn": 5, "renamed": 0, "moved": 1, "same": 0,
		"open_incidents": 6, "open_moving": 4, "open_leaving": 0, "open_entering": 1, "workers_stranded": 1,
	}
	for k, n := range want {
		if p.Totals[k] != n {
			t.Errorf("%s: %d, want %d", k, p.Totals[k], n)
		}
	}
	got := ""
	for _, g := range p.Items {
		got += fmt.Sprintf("%v:%v:%v>%v:%v ", g["code"], g["change"], g["open_before"], g["open_after"], g["workers"])
	}
	if w := "C:redrawn:6>6:0 A:redrawn:2>3:0 B:redrawn:2>2:0 A1:redrawn:1>2:1 A2:moved:1>1:0 A3:new:0>1:0 B1:redrawn:1>1:0 B2:gone:1>0:2 "; got != w {
		t.Errorf("the table says\n%s, want\n%s", got, w)
	}
	m := st.call("GET", fmt.Sprintf("/api/v1/grid-versions/%d/preview", v), admin, "", "Accept: application/geo+json")
	var fc struct {
		Features []struct {
			Properties struct {
				From, To *string
				Area     float64 `json:"area_m2"`
			}
		}
	}
	if m.status != 200 || json.Unmarshal(m.body, &fc) != nil {
		t.Fatalf("%d %s", m.status, m.body)
	}
	got = ""
	for _, f := range fc.Features {
		name := func(c *string) string {
			if c == nil {
				return "-"
			}
			return *c
		}
		got += name(f.Properties.From) + ">" + name(f.Properties.To) + " "
	}
	if w := "B2>B1 ->A3 B1>A1 "; got != w {
		t.Errorf("pieces %s, want %s", got, w)
	}
	if a := st.get(fmt.Sprintf("/api/v1/grid-versions/%d/preview", v), st.token(auth.SystemAdmin, "A")); a.status != 404 {
		t.Errorf("to who administers a town: %d %s", a.status, a.body)
	}
	if a := st.call("GET", fmt.Sprintf("/api/v1/grids?version=%d", v), admin, "", "Accept: application/geo+json"); a.status != 200 || strings.Count(string(a.body), `"Feature"`) != 7 || !strings.Contains(string(a.body), "甲三") {
		t.Errorf("the draft's grids: %d %s", a.status, a.body)
	}
	if a := st.get(fmt.Sprintf("/api/v1/grids?version=%d", v), desk); a.status != 403 {
		t.Errorf("the draft's grids to a desk: %d", a.status)
	}
	if a := st.get("/api/v1/grid-versions", desk); a.status != 403 {
		t.Errorf("to a desk: %d", a.status)
	}
	if strings.Contains(string(a.body), "消防") {
		t.Error("a title in the preview")
	}
}

// standing is where each open incident stands: its grid's code and its version.
func (st *stand) standing() map[string]string {
	st.t.Helper()
	rows, err := st.s.db.Pool.Query(st.t.Context(), `SELECT i.id::text, g.code || ' ' || i.version || ' ' || g.version_id FROM incident i JOIN grid g ON g.id = i.grid_id WHERE i.open`)
	if err != nil {
		st.t.Fatal(err)
	}
	defer rows.Close()
	out := map[string]string{}
	for rows.Next() {
		var id, at string
		if err := rows.Scan(&id, &at); err != nil {
			st.t.Fatal(err)
		}
		out[id] = at
	}
	return out
}

func TestADraftIsEnactedAndUndoneOverTheWeb(t *testing.T) {
	t.Parallel()
	st := newStand(t)
	admin, desk, townA, townB := st.token(auth.SystemAdmin, ""), st.token(auth.HallOperator, ""), st.token(auth.TownOperator, "A"), st.token(auth.TownOperator, "B")
	stays, moves, falls := "", "", ""
	for id, p := range map[*string][2]float64{&stays: {107.2, 38.3}, &moves: {107.2, 38.1}, &falls: {107.55, 38.4}} {
		*id = st.report(desk, p[0], p[1]).json(t)["id"].(string)
	}
	before := st.standing()
	seesA, seesB := st.live(townA, `{"type":"hello","topics":["events"]}`), st.live(townB, `{"type":"hello","topics":["events"]}`)
	for _, l := range []*live{seesA, seesB} {
		if m := l.next(); m.Type != "reset" {
			t.Fatalf("%+v", m)
		}
	}
	v := st.draft(redraw())
	path := fmt.Sprintf("/api/v1/grid-versions/%d", v)
	if a := st.call("POST", path+"/enact", desk, `{"reason":"x"}`); a.status != 403 {
		t.Errorf("a desk enacts: %d", a.status)
	}
	if a := st.call("POST", path+"/enact", admin, `{"reason":" "}`); a.status != 422 {
		t.Errorf("without a reason: %d", a.status)
	}
	a := st.call("POST", path+"/enact", admin, `{"reason":"撤并"}`)
	if a.status != 200 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	st.whenLive(v, time.Now()) // on a busy machine it goes on after the answer
	got := st.standing()
	for id, want := range map[string]string{stays: "A1 1", moves: "A2 2", falls: "A1 2"} {
		if got[id] != fmt.Sprintf("%s %d", want, v) {
			t.Errorf("incident %s stands in %q, want %s", id, got[id], want)
		}
	}
	for name, l := range map[string]*live{"A": seesA, "B": seesB} {
		if code := l.closeCode(); code != hub.ScopeChanged {
			t.Errorf("town %s is told %d when its numbers change, want %d", name, code, hub.ScopeChanged)
		}
	}
	// What A2 held went to town B with its grid, and the other way round: each town is
	// told of the one it got, and that the one it lost is gone.
	st.wait("the new tree", func() bool { return strings.Contains(string(st.get("/api/v1/grids", admin).body), "甲三") })
	for name, c := range map[string]struct{ token, has, lacks string }{"A": {townA, falls, moves}, "B": {townB, moves, falls}} {
		if a := st.get("/api/v1/incidents/"+c.has, c.token); a.status != 200 {
			t.Errorf("town %s does not see what it got: %d %s", name, a.status, a.body)
		}
		if a := st.get("/api/v1/incidents/"+c.lacks, c.token); a.status != 404 {
			t.Errorf("town %s sees what it lost: %d", name, a.status)
		}
	}
	st.wait("every event", func() bool {
		return st.count("SELECT count(*) FROM outbox") == 0 && int(st.s.hub.Head()) == st.count("SELECT seq FROM feed_head")
	})
	if m := st.live(townA, `{"type":"hello","topics":["events"]}`).next(); m.Type != "reset" || !snapshotHas(m, falls) || snapshotHas(m, moves) || !snapshotHas(m, stays) {
		t.Errorf("town A comes back to %+v", m)
	}
	var j struct {
		Items []struct {
			Kind, Reason string
			Moved        *struct{ From, To struct{ Path []string } }
		}
	}
	if a := st.get("/api/v1/incidents/"+falls+"/journal", townA); json.Unmarshal(a.body, &j) != nil || len(j.Items) != 2 || j.Items[1].Kind != "regrid" ||
		j.Items[1].Reason != "撤并" || j.Items[1].Moved == nil || strings.Join(j.Items[1].Moved.From.Path, "/") != "C/B/B1" || strings.Join(j.Items[1].Moved.To.Path, "/") != "C/A/A1" {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := st.call("POST", path+"/enact", admin, `{"reason":"again"}`); a.status != 409 {
		t.Errorf("enacted twice: %d %s", a.status, a.body)
	}
	if a := st.call("POST", "/api/v1/grid-versions/1/undo", admin, `{"reason":"again"}`); a.status != 409 {
		t.Errorf("undo of what is retired: %d %s", a.status, a.body)
	}
	u := st.call("POST", path+"/undo", admin, `{"reason":"看错了"}`)
	if u.status != 200 || u.json(t)["undoes"] != float64(v) {
		t.Fatalf("%d %s", u.status, u.body)
	}
	st.whenLive(int32(u.json(t)["version"].(float64)), time.Now())
	for id, at := range st.standing() {
		if code, was := strings.Fields(at)[0], strings.Fields(before[id])[0]; code != was {
			t.Errorf("incident %s is back in %s, was in %s", id, code, was)
		}
	}
}

func TestAPlannedEnactmentIsDoneOnceWhenItIsDue(t *testing.T) {
	t.Parallel()
	clock := &testClock{at: time.Now()}
	st := newStandWith(t, Options{Now: clock.now})
	admin := st.token(auth.SystemAdmin, "")
	first, second := st.draft(redraw()), st.draft(redraw())
	at := clock.now().Add(30 * time.Minute).UTC().Truncate(time.Second)
	plan := func(v int32, body string) answer {
		return st.call("POST", fmt.Sprintf("/api/v1/grid-versions/%d/enact", v), admin, body)
	}
	body := fmt.Sprintf(`{"reason":"新区划","at":%q}`, at.Format(time.RFC3339))
	if a := plan(first, `{"reason":"x","at":"2020-01-01T00:00:00Z"}`); a.status != 422 {
		t.Errorf("in the past: %d %s", a.status, a.body)
	}
	a := plan(first, body)
	planned, _ := a.json(t)["planned"].(map[string]any)
	if a.status != 200 || a.json(t)["state"] != "draft" || planned["reason"] != "新区划" || planned["failed"] != "" {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if a := st.call("DELETE", fmt.Sprintf("/api/v1/grid-versions/%d/plan", first), admin, ""); a.status != 204 {
		t.Errorf("cancelled: %d %s", a.status, a.body)
	}
	if a := st.call("DELETE", fmt.Sprintf("/api/v1/grid-versions/%d/plan", first), admin, ""); a.status != 409 {
		t.Errorf("cancelled twice: %d %s", a.status, a.body)
	}
	for _, v := range []int32{first, second} {
		if a := plan(v, body); a.status != 200 {
			t.Fatalf("%d %s", a.status, a.body)
		}
	}
	if n := st.count("SELECT count(*) FROM grid_version WHERE state = 'enacted' AND id > 1"); n != 0 {
		t.Error("enacted before its time")
	}
	clock.move(31 * time.Minute)
	st.wait("the plans to be carried out", func() bool {
		return st.count("SELECT count(*) FROM grid_plan WHERE failed_at IS NULL") == 0
	})
	if n := st.count("SELECT count(*) FROM audit_log WHERE action = 'grids.enact' AND (data->>'version')::int = $1", first); n != 1 {
		t.Errorf("the first was enacted %d times", n)
	}
	var list struct {
		Items []struct {
			Version int32
			State   string
			Planned *struct{ Failed string }
		}
	}
	if a := st.get("/api/v1/grid-versions", admin); json.Unmarshal(a.body, &list) != nil || len(list.Items) != 3 || list.Items[1].State != "enacted" ||
		list.Items[1].Planned != nil || list.Items[0].Planned == nil || !strings.Contains(list.Items[0].Planned.Failed, "no longer those") {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestAServerThatStopsWaitsForNoComparison(t *testing.T) {
	t.Parallel()
	st := newStand(t)
	admin, v := st.token(auth.SystemAdmin, ""), st.draft(redraw())
	c, err := pgx.Connect(t.Context(), st.s.o.DatabaseURL)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(context.Background())
	if _, err := c.Exec(t.Context(), fmt.Sprintf("BEGIN; SELECT FROM grid_version WHERE id = %d FOR UPDATE", v)); err != nil {
		t.Fatal(err)
	}
	got := make(chan answer, 1)
	go func() { got <- st.get(fmt.Sprintf("/api/v1/grid-versions/%d/preview", v), admin) }()
	st.wait("the comparison to wait", func() bool {
		return st.count("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'") > 0
	})
	if err := st.s.Stop(context.Background()); err != nil {
		t.Error(err)
	}
	if a := <-got; a.status != 503 || !strings.Contains(string(a.body), "being stopped") {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func snapshotHas(m message, id string) bool {
	return slices.ContainsFunc(m.Snapshot.Items, func(it struct {
		Kind, ID string
		Ver      int
		Data     json.RawMessage
	},
	) bool {
		return it.Kind == "incident" && it.ID == id
	})
}

// closeCode reads the stream to its end and says how it was closed.
func (l *live) closeCode() int {
	l.t.Helper()
	for {
		_ = l.c.SetReadDeadline(time.Now().Add(15 * time.Second))
		if _, _, err := l.c.ReadMessage(); err != nil {
			var ce *websocket.CloseError
			if errors.As(err, &ce) {
				return ce.Code
			}
			l.t.Error(err)
			return 0
		}
	}
}
