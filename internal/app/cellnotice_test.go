// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"encoding/json"
	"fmt"
	"net/url"
	"testing"
	"time"

	"github.com/paulmach/orb"

	"onemap/auth"
	"onemap/geo"
	h3 "onemap/geo/cell"
	"onemap/geo/grid"
)

// whyTold is what a cell tells for a notice of it.
type whyTold struct {
	Count int
	Told  struct {
		Least, Rest int
		Count       *int
		Categories  []struct {
			Code  string
			Count int
		}
	}
	Grids []struct {
		Code, Name string
		Level      int
		Above      []string
		Count      int
	}
}

func (w whyTold) grids() (s string) {
	for _, g := range w.Grids {
		s += fmt.Sprint(g.Code, " ", g.Count, ";")
	}
	return s
}

// onBothSides is a cell that lies across the meridian lon at lat, its middle east of it, and
// a place of the cell on each side.
func onBothSides(t *testing.T, lon, lat float64) (c h3.Cell, west, east orb.Point) {
	t.Helper()
	for ; ; lat += 0.002 {
		c, err := h3.At(geo.WGS84{lon, lat}, 8)
		if err != nil || lat > 38.49 {
			t.Fatal(lat, err)
		}
		ring, err := c.Boundary()
		if err != nil {
			t.Fatal(err)
		}
		middle, err := c.Centre()
		if err != nil {
			t.Fatal(err)
		}
		if b := ring.Bound(); middle.Lon() > lon+0.0005 && lon-b.Min[0] > 0.002 {
			return c, orb.Point{lon - 0.0005, lat}, orb.Point{lon + 0.0005, lat}
		}
	}
}

func TestANoticeOfACellOnABorderGoesToEitherSide(t *testing.T) {
	t.Parallel()
	st := newStand(t)
	desk, townA, townB := st.token(auth.Dispatcher, ""), st.token(auth.TownOperator, "A"), st.token(auth.TownOperator, "B")
	c, west, east := onBothSides(t, 107.5, 38.3)
	report := func(n int, category string, at orb.Point) {
		t.Helper()
		for range n {
			st.must(201, "POST", "/api/v1/incidents", desk, fmt.Sprintf(`{"category":%q,"title":"测试","location":{"lon":%v,"lat":%v,"crs":"wgs84"}}`, category, at[0], at[1]))
		}
	}
	since := time.Now().Add(-time.Hour)
	why := func(token, more string) (w whyTold) {
		t.Helper()
		q := url.Values{"from": {since.Format(time.RFC3339)}, "to": {time.Now().Add(time.Hour).Format(time.RFC3339)}}
		if a := st.get("/api/v1/hotspots/"+c.String()+"?"+q.Encode()+more, token); a.status != 200 || json.Unmarshal(a.body, &w) != nil {
			t.Fatalf("%d %.300s", a.status, a.body)
		}
		return w
	}
	if w := why(desk, ""); w.grids() != "C 0;A 0;B 0;A1 0;B1 0;" || w.Told.Count == nil || *w.Told.Count != 0 {
		t.Errorf("with nothing in it: %+v", w)
	}
	report(3, "0302", east)
	if w := why(desk, ""); w.Count != 3 || w.Told.Count != nil || len(w.Told.Categories) != 0 || w.Told.Rest != 0 || w.Told.Least != auth.K {
		t.Errorf("three: %+v", w)
	}
	report(2, "0303", east)
	report(6, "0301", west)
	w := why(desk, "")
	if w.grids() != "C 11;A 6;B 5;A1 6;B1 5;" || fmt.Sprint(w.Grids[3].Above) != "[甲镇]" || w.Grids[1].Name != "甲镇" || w.Grids[1].Level != 2 {
		t.Errorf("%+v", w.Grids)
	}
	if w.Told.Count == nil || *w.Told.Count != 11 || fmt.Sprint(w.Told.Categories) != "[{0301 6}]" || w.Told.Rest != 5 {
		t.Errorf("of 6, 3 and 2 is told: %+v", w.Told)
	}
	if a, b := why(townA, ""), why(townB, ""); a.grids() != "A 6;A1 6;" || b.grids() != "B 5;B1 5;" || b.Count != 5 || b.Told.Count == nil || *b.Told.Count != 5 || len(b.Told.Categories) != 0 {
		t.Errorf("the towns: %+v, %+v", a, b)
	}
	if w := why(desk, "&grid=B"); w.grids() != "C 5;B 5;A 0;B1 5;A1 0;" { // the notice may go elsewhere all the same
		t.Errorf("asked of B alone: %s", w.grids())
	}

	notice := func(status int, token, code string, c h3.Cell) {
		t.Helper()
		st.must(status, "POST", "/api/v1/notices", token, fmt.Sprintf(`{"title":"多发","due":%q,"grid":%q,"cell":%q}`, time.Now().Add(time.Hour).Format(time.RFC3339), code, c))
	}
	for _, code := range []string{"A", "B", "A1", "B1", "C"} {
		notice(201, desk, code, c)
	}
	notice(201, townA, "A", c) // whose middle lies in B
	notice(422, desk, "A2", c)
	notice(422, desk, "B2", c)
	elsewhere, err := h3.At(geo.WGS84{101, 30}, 8)
	if err != nil {
		t.Fatal(err)
	}
	notice(422, desk, "C", elsewhere)
	for _, res := range []int{5, 10} {
		other, err := h3.At(geo.WGS84(west), res)
		if err != nil {
			t.Fatal(err)
		}
		notice(422, desk, "A", other)
	}

	// What was filed in A before the border moved counts in A, though it lies in another grid of A now.
	ds := []grid.Draft{
		{Code: "C", Level: 1, Name: "县", Geom: box(107, 38, 108, 38.5)},
		{Code: "A", Parent: "C", Level: 2, Name: "甲镇", Geom: box(107, 38, 107.5, 38.5)},
		{Code: "A9", Parent: "A", Level: 3, Name: "甲九", Geom: box(107, 38, 107.5, 38.5)},
		{Code: "B", Parent: "C", Level: 2, Name: "乙镇", Geom: box(107.5, 38, 108, 38.5)},
		{Code: "B1", Parent: "B", Level: 3, Name: "乙一", Geom: box(107.5, 38, 108, 38.5)},
	}
	st.close("true")
	version, err := st.s.db.SaveDraft(t.Context(), ds, true, "test")
	if err == nil {
		err = st.s.db.Enact(t.Context(), version)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := st.s.catalogue.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	desk = st.token(auth.Dispatcher, "")
	report(1, "0301", west)
	if w := why(desk, ""); w.grids() != "C 12;A 7;B 5;B1 5;A9 1;" {
		t.Errorf("after a redraw: %s", w.grids())
	}
}
