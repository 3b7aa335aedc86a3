// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"fmt"
	"math"
	"net/url"
	"strings"
	"testing"

	"onemap/auth"
)

// TestAPlaceInMetresOfAZone: 107.4833, 38.1833 by every name it may have is filed
// in the same grid, and kept as it was given.
func TestAPlaceInMetresOfAZone(t *testing.T) {
	t.Parallel()
	st := newStand(t)
	op := st.token(auth.HallOperator, "")
	for _, c := range []struct {
		a, b float64
		crs  string
	}{
		{107.4833, 38.1833, "cgcs2000"},
		{107.4833, 38.1833, "EPSG:4490-en"},
		{38.1833, 107.4833, "EPSG:4490-ne"},
		{454730.0153, 4227970.1791, "EPSG:4545-en"},
		{4227970.1791, 454730.0153, "EPSG:4545-ne"},
		{36454730.0153, 4227970.1791, "EPSG:4524-en"},
		{4227970.1791, 36454730.0153, "EPSG:4524-ne"},
	} {
		made := st.call("POST", "/api/v1/incidents", op, fmt.Sprintf(`{"category":"0301","title":"x","location":{"lon":%v,"lat":%v,"crs":%q}}`, c.a, c.b, c.crs))
		if made.status != 201 {
			t.Errorf("%s: %d %s", c.crs, made.status, made.body)
			continue
		}
		got := made.json(t)
		at := got["point"].([]any)
		raw := got["raw"].(map[string]any)
		if math.Abs(at[0].(float64)-107.4833) > 1e-8 || math.Abs(at[1].(float64)-38.1833) > 1e-8 || got["place"] != "in_grid" || !strings.Contains(string(made.body), "甲二") {
			t.Errorf("%s: placed at %v: %s", c.crs, at, made.body)
		}
		if raw["lon"] != c.a || raw["lat"] != c.b || raw["crs"] != c.crs {
			t.Errorf("%s: kept as %v", c.crs, raw)
		}
		found := st.get("/api/v1/grids/locate?"+url.Values{"lon": {fmt.Sprint(c.a)}, "lat": {fmt.Sprint(c.b)}, "crs": {c.crs}}.Encode(), op)
		if !strings.Contains(string(found.body), `"code":"A2"`) {
			t.Errorf("%s: located at %s", c.crs, found.body)
		}
	}
}

// TestNoDatumIsGuessed: a place that another reading of its numbers would put
// inside is left where it was said to be, with the hint in words.
func TestNoDatumIsGuessed(t *testing.T) {
	t.Parallel()
	st := newStand(t)
	op := st.token(auth.HallOperator, "")
	townA := st.token(auth.TownOperator, "A")
	for _, c := range []struct {
		name   string
		a, b   float64
		crs    string
		status int
		says   string
	}{
		{"another zone", 454730.0153, 4227970.1791, "EPSG:4544-en", 0, "km from the county; read as EPSG:4545-en it would lie in 甲二"},
		{"wgs84 as gcj02", 107.0001, 38.2, "gcj02", 0, "outside every grid; read as wgs84 it would lie in 甲二"},
		{"gcj02 as wgs84", 108.0008, 38.2, "wgs84", 0, "read as gcj02 it would lie in 乙二"},
		{"far off", 120, 30, "wgs84", 0, "outside every grid, 1"},
		{"degrees exchanged", 38.2, 107.2, "wgs84", 422, "exchanged"},
		{"metres exchanged", 4227970.1791, 454730.0153, "EPSG:4545-en", 422, "EPSG:4545-ne"},
		{"another zone's prefix", 35717586.5479, 4230759.9161, "EPSG:4524-en", 422, "EPSG:4523-en"},
		{"metres as degrees", 454730, 4227970, "gcj02", 422, "look like metres"},
		{"degrees as metres", 107.2, 38.2, "EPSG:4545-en", 422, "look like degrees"},
		{"a code without its order", 454730, 4227970, "EPSG:4545", 400, "EPSG:4545-en (east, north) or EPSG:4545-ne (north, east)"},
		{"a datum nobody knows", 107.2, 38.2, "EPSG:3857", 400, "unknown datum"},
	} {
		query := url.Values{"lon": {fmt.Sprint(c.a)}, "lat": {fmt.Sprint(c.b)}, "crs": {c.crs}}
		found := st.get("/api/v1/grids/locate?"+query.Encode(), op)
		made := st.call("POST", "/api/v1/incidents", op, fmt.Sprintf(`{"category":"0301","title":"x","location":{"lon":%v,"lat":%v,"crs":%q}}`, c.a, c.b, c.crs))
		if c.status != 0 {
			for what, a := range map[string]answer{"locate": found, "report": made} {
				if a.status != c.status || !strings.Contains(string(a.body), c.says) {
					t.Errorf("%s, %s: %d %s, want %d and %q", c.name, what, a.status, a.body, c.status, c.says)
				}
			}
			continue
		}
		if got := found.json(t); found.status != 200 || fmt.Sprint(got["path"]) != "[]" || !strings.Contains(fmt.Sprint(got["note"]), c.says) {
			t.Errorf("%s, locate: %d %s, want %q", c.name, found.status, found.body, c.says)
		}
		if got := made.json(t); made.status != 201 || got["place"] != "outside" || !strings.Contains(fmt.Sprint(got["notes"]), c.says) {
			t.Errorf("%s, report: %d %s, want %q", c.name, made.status, made.body, c.says)
		}
		// A town reads nothing of grids beyond its own, in hints neither.
		for _, hidden := range []string{"乙二", "every grid", "the county"} {
			if a := st.get("/api/v1/grids/locate?"+query.Encode(), townA); strings.Contains(string(a.body), hidden) {
				t.Errorf("%s: town A reads %s", c.name, a.body)
			}
		}
	}
	inB, beyond := st.get("/api/v1/grids/locate?lon=107.55&lat=38.2&crs=wgs84", townA), st.get("/api/v1/grids/locate?lon=107.45&lat=37.95&crs=wgs84", townA)
	if string(inB.body) != string(beyond.body) {
		t.Errorf("town A can tell a neighbour's grid %s from none %s", inB.body, beyond.body)
	}
}
