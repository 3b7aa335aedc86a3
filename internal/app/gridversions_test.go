// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/paulmach/orb"

	"onemap/auth"
	"onemap/geo/grid"
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
	st := newStand(t)
	admin, desk := st.token(auth.SystemAdmin, ""), st.token(auth.HallOperator, "")
	for _, p := range [][2]float64{{107.2, 38.3}, {107.2, 38.1}, {107.55, 38.4}, {107.9, 38.1}, {106.95, 38.2}, {109, 38.2}} {
		if a := st.report(desk, p[0], p[1]); a.status != 201 {
			t.Fatalf("%d %s", a.status, a.body)
		}
	}
	st.exec("INSERT INTO worker (badge) VALUES ('W1'), ('W2')")
	st.exec("INSERT INTO worker_grid (worker_id, grid_code) SELECT id, CASE badge WHEN 'W1' THEN 'B2' ELSE 'A1' END FROM worker")
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
	if a := st.get("/api/v1/grid-versions", admin); a.status != 200 || json.Unmarshal(a.body, &list) != nil || len(list.Items) != 2 ||
		list.Items[0].Version != int(v) || list.Items[0].State != "draft" || list.Items[0].Grids != 7 || list.Items[1].State != "enacted" || list.Items[0].Code != "C" {
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
	if w := "C:redrawn:6>6:0 A:redrawn:2>3:0 B:redrawn:2>2:0 A1:redrawn:1>2:1 A2:moved:1>1:0 A3:new:0>1:0 B1:redrawn:1>1:0 B2:gone:1>0:1 "; got != w {
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
	if a := st.get("/api/v1/grid-versions", desk); a.status != 403 {
		t.Errorf("to a desk: %d", a.status)
	}
	if strings.Contains(string(a.body), "消防") {
		t.Error("a title in the preview")
	}
}
