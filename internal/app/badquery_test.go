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
	"onemap/dispatch"
	"onemap/geo/grid"
	"onemap/internal/pgtest"
	"onemap/store"
	"onemap/store/ledger"
)

// TestQueryIsReadWholeOrRefused asks what a lenient server answers with more than was asked
// for: every such question is refused, and told what to write.
func TestQueryIsReadWholeOrRefused(t *testing.T) {
	t.Parallel()
	st := newStandWith(t, Options{Limits: plenty()})
	leader, hall := st.token(auth.CountyLeader, ""), st.token(auth.Dispatcher, "")
	st.report(hall, 107.2, 38.2)
	const period = "from=2026-01-01T00:00:00Z&to=2026-01-08T00:00:00Z"
	for _, q := range []struct {
		path   string
		status int
		told   string
	}{
		// A part that cannot be read would be no part of the question.
		{"/api/v1/incidents?category=%zz", 400, "%25"},
		{"/api/v1/incidents?limit=1&category=01;state=closed", 400, "%3B"},
		{"/api/v1/incidents?" + period + ";x=1", 400, "%3B"},
		{"/api/v1/figures?" + period + "&grid=%9", 400, "%25"},
		{"/api/v1/hotspots?" + period + "&category=01;", 400, "%3B"},
		{"/api/v1/exports/incidents.csv?reason=looked&state=closed;", 400, "%3B"},
		{"/api/v1/figures/today?;", 400, "%3B"},
		{"/tiles/hotspots/9/408/196.mvt?" + period + "&category=%z", 400, "%25"},
		{"/tiles/hotspots.json?" + period + ";", 400, "%3B"},
		{"/tiles/incidents/9/408/196.mvt?category=01;", 400, "%3B"},
		// Nothing would look like an answer.
		{"/api/v1/incidents?category=nothing", 422, "there is no category"},
		{"/api/v1/exports/incidents.csv?reason=looked&category=nothing", 422, "there is no category"},
		{"/api/v1/figures?" + period + "&category=nothing", 422, "there is no category"},
		{"/api/v1/figures/response?" + period + "&category=nothing", 422, "there is no category"},
		{"/api/v1/hotspots?" + period + "&category=nothing", 422, "there is no category"},
		{"/tiles/incidents/9/408/196.mvt?category=nothing", 422, "there is no category"},
		{"/api/v1/bulletins?week=2026-03-03", 422, "Monday"},
		{"/api/v1/bulletins?week=0001-01-02", 422, "Monday"},
		{"/api/v1/figures?from=2026-01-01&to=2026-01-08T00:00:00Z", 400, "2026-09-14T08:00:00Z"},
		{"/api/v1/figures?from=2026-01-01T00:00:00+08:00&to=2026-01-08T00:00:00Z", 400, "%2B"},
		{"/api/v1/exports/figures.csv?reason=looked&from=1999-12-27&to=2026-01-05", 422, "2000"},
		{"/api/v1/figures?from=0000-01-01T00:00:00Z&to=0000-02-01T00:00:00Z&before=year", 422, "2000"},
		{"/api/v1/figures?from=0206-01-05T00:00:00Z&to=0206-01-12T00:00:00Z&before=weeks", 422, "2000"},
		// A tile has one address.
		{"/tiles/grids/9/+408/196.mvt", 400, "whole numbers"},
		{"/tiles/grids/09/408/196.mvt", 400, "whole numbers"},
		{"/tiles/grids/0/-0/0.mvt", 400, "whole numbers"},
		{"/tiles/hotspots/9/0408/196.mvt?" + period, 400, "whole numbers"},
	} {
		for _, token := range []string{leader, hall} {
			a := st.get(q.path, token)
			if a.status != q.status && a.status != 403 || a.status != 403 && !strings.Contains(string(a.body), q.told) {
				t.Errorf("%s: %d, want %d with %q: %.300s", q.path, a.status, q.status, q.told, a.body)
			}
		}
		if a, b := st.get(q.path, leader), st.get(q.path, hall); a.status == 403 && b.status == 403 {
			t.Errorf("%s: nobody may ask", q.path)
		}
	}
	for _, path := range []string{
		"/api/v1/incidents?text=%25%3B", "/api/v1/incidents?", "/api/v1/incidents?category=", "/api/v1/bulletins?week=2026-03-02", "/tiles/incidents.json", "/tiles/hotspots.json?" + period,
		"/api/v1/figures?from=2026-01-01T00:00:00%2B08:00&to=2026-01-08T00:00:00Z",
	} {
		if a := st.get(path, leader); a.status != 200 {
			t.Errorf("%s: %d %.300s", path, a.status, a.body)
		}
	}
}

// TestOverdueOrNotIsEverything opens both sides of a filter: what has no limit is not
// overdue, and on one side of it all the same.
func TestOverdueOrNotIsEverything(t *testing.T) {
	t.Parallel()
	st := newStandWith(t, Options{Limits: plenty()})
	hall := st.token(auth.Dispatcher, "")
	for range 3 {
		st.report(hall, 107.2, 38.2)
	}
	for id, due := range []string{"NULL", "now() - interval '1 day'", "now() + interval '1 day'"} {
		if _, err := st.s.db.Pool.Exec(t.Context(), "UPDATE incident SET stage_due = "+due+" WHERE id = $1", id+1); err != nil {
			t.Fatal(err)
		}
	}
	for query, want := range map[string]int{"": 3, "overdue=true": 1, "overdue=false": 2, "open=true&overdue=false": 2, "overdue=false&no_limit=true": 1} {
		a := st.get("/api/v1/incidents?"+query, hall)
		if items, ok := a.json(t)["items"].([]any); !ok || len(items) != want {
			t.Errorf("%q: %d incidents, want %d: %.200s", query, len(items), want, a.body)
		}
	}
}

// TestBulletinIsOfAWeekThatMayHaveBeen: a bulletin cannot be taken back, one of a mistyped
// year is not made.
func TestBulletinIsOfAWeekThatMayHaveBeen(t *testing.T) {
	t.Parallel()
	st := newStandWith(t, Options{Limits: plenty()})
	hall := st.token(auth.Dispatcher, "")
	for week, want := range map[string]int{"0001-01-01": 422, "0206-03-03": 422, "1900-01-01": 422, "1999-12-27": 422, "2206-03-03": 422, "2000-01-03": 201} {
		if a := st.call("POST", "/api/v1/bulletins", hall, `{"grid":"C","week":"`+week+`"}`); a.status != want {
			t.Errorf("%s: %d, want %d: %.200s", week, a.status, want, a.body)
		}
	}
}

// TestFiguresByGridAreOfTheOwnCounty asks for figures by grid where another county has
// towns of the same codes: name and shape are those of the own.
func TestFiguresByGridAreOfTheOwnCounty(t *testing.T) {
	t.Parallel()
	url := pgtest.URL(t)
	db, err := store.Open(t.Context(), url, store.Options{MaxConns: 2})
	if err != nil {
		t.Fatal(err)
	}
	for i, county := range []string{"P", "Q"} {
		x := 107 + 2*float64(i)
		square := orb.MultiPolygon{{{{x, 38}, {x + 1, 38}, {x + 1, 39}, {x, 39}, {x, 38}}}}
		version, err := db.SaveDraft(t.Context(), []grid.Draft{{Code: grid.Code(county), Level: 1, Name: county, Geom: square}, {Code: "T", Parent: grid.Code(county), Level: 2, Name: "town of " + county, Geom: square}}, true, "test")
		if err != nil {
			t.Fatal(err)
		}
		cat, err := store.NewCatalogue(t.Context(), db)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ledger.New(ledger.Options{DB: db, Catalogue: cat, Now: time.Now}).Enact(t.Context(), auth.SystemActor("test"), ledger.Enactment{Version: version, AcceptFaults: true}); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.SaveCategories(t.Context(), dispatch.DefaultCategories()); err != nil {
		t.Fatal(err)
	}
	db.Close()
	st := startStand(t, Options{DatabaseURL: url, Limits: plenty()})
	for i, county := range []string{"P", "Q"} {
		hall := st.sign(store.Credential{Role: auth.Dispatcher, GridCode: county, RootCode: county})
		x := 107 + 2*float64(i)
		if a := st.report(hall, x+0.5, 38.5); a.status != 201 {
			t.Fatalf("%d %s", a.status, a.body)
		}
		now := time.Now().UTC()
		period := "from=" + now.Add(-time.Hour).Format(time.RFC3339) + "&to=" + now.Add(time.Hour).Format(time.RFC3339) + "&by=grid"
		features := st.get("/api/v1/exports/period-figures.geojson?"+period+"&"+because, hall).json(t)["features"].([]any)
		if len(features) != 1 {
			t.Fatalf("county %s: %d towns", county, len(features))
		}
		town := features[0].(map[string]any)
		text, err := json.Marshal(town["geometry"])
		if name := town["properties"].(map[string]any)["name"]; err != nil || name != "town of "+county || !strings.Contains(string(text), fmt.Sprintf("[%v,38]", x)) {
			t.Errorf("county %s: %v, %s", county, name, text)
		}
	}
}
