// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/paulmach/orb"

	"onemap/auth"
	"onemap/geo/grid"
	"onemap/store"
)

// overlay brings an overlay of the stand's county in, as the command line does.
func (st *stand) overlay(o store.Overlay, areas ...grid.Area) {
	st.t.Helper()
	o.Root = "C"
	if _, err := st.s.db.ReplaceOverlay(st.t.Context(), store.OverlayImport{Overlay: o, Brought: areas, Actor: "test", File: "test"}); err != nil {
		st.t.Fatal(err)
	}
}

// node starts another node on the stand's database, with its sealing key.
func (st *stand) node(o Options) *stand {
	st.t.Helper()
	dir := st.t.TempDir()
	key, err := os.ReadFile(filepath.Join(st.s.o.Data, "seal.key"))
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "seal.key"), key, 0o600)
	}
	if err != nil {
		st.t.Fatal(err)
	}
	o.DatabaseURL, o.Listen, o.DeviceListen, o.AdminListen, o.Data = st.s.o.DatabaseURL, "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0", dir
	s, err := Start(st.t.Context(), o)
	if err != nil {
		st.t.Fatal(err)
	}
	st.t.Cleanup(func() {
		if err := s.Stop(context.Background()); err != nil {
			st.t.Error(err)
		}
	})
	return &stand{t: st.t, s: s, url: s.URL(), http: st.http}
}

// waits for an answer that holds a text, while the clock goes on: nodes learn of a
// change by the feed, and look again at who asks after a while.
func (st *stand) waits(clock *testClock, step time.Duration, path, token, want string) {
	st.t.Helper()
	var a answer
	for end := time.Now().Add(15 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		clock.move(step)
		if a = st.get(path, token); strings.Contains(string(a.body), want) {
			return
		}
	}
	st.t.Fatalf("%s: %s, want %s", path, a.body, want)
}

// TestOverlaysThroughTheDoor: a beat across both towns and a grid of a department
// over one of them, on two nodes, from the import on and day by day.
//
//	     107        107.5       108     108.2
//	38.5 ┌──────────┬──────────┐
//	     │ A1  ┌────┼────┐ B1  │ ┌───┐
//	38.25├─────│beat│5th │─────┤ │sea│
//	     │ A2  └────┼────┘ B2  │ └───┘
//	38.0 └──────────┴──────────┘
func TestOverlaysThroughTheDoor(t *testing.T) {
	t.Parallel()
	clock := &testClock{at: time.Date(2026, 3, 31, 15, 59, 0, 0, time.UTC)}
	st := newStandWith(t, Options{Now: clock.now, Limits: plenty()})
	other := st.node(Options{Now: clock.now, Limits: plenty()})
	var hall, town, leaf string
	for to, c := range map[*string]store.Credential{
		&hall: {Role: auth.HallOperator}, &town: {Role: auth.TownOperator, GridCode: "A"}, &leaf: {Role: auth.GridWorker, GridCode: "B1"},
	} {
		until := clock.now().Add(48 * time.Hour)
		*to, c.Kind, c.ExpiresAt = store.NewSecret(), store.Token, &until
		if _, err := st.s.db.SaveCredential(t.Context(), st.s.db.Pool, *to, c); err != nil {
			t.Fatal(err)
		}
	}
	const ask = "/api/v1/grids/locate?crs=wgs84&overlays=true&"
	if a := st.get(ask+"lon=107.4&lat=38.3", hall); !strings.Contains(string(a.body), `"overlays":[]`) {
		t.Errorf("without an overlay: %s", a.body)
	}
	st.overlay(store.Overlay{Code: "BEAT", Name: "警格", Kind: "police"},
		grid.Area{Code: "5", Name: "五警区", Geom: box(107.3, 38.1, 107.7, 38.4)},
		grid.Area{Code: "sea", Name: "水域", Geom: box(108.05, 38.1, 108.2, 38.4)})
	st.overlay(store.Overlay{Code: "FIRE", Name: "消防网格", Kind: "professional", Department: "消防救援", From: "2026-04-01"},
		grid.Area{Code: "f1", Name: "一片", Geom: box(107, 38, 107.4, 38.5)}, grid.Area{Code: "f2", Name: "二片", Parent: "f1", Geom: box(107.35, 38, 107.45, 38.5)})
	for _, node := range []*stand{st, other} { // both nodes, without a restart
		node.waits(clock, 0, "/api/v1/overlays", hall, `"code":"FIRE"`)
	}

	const (
		beat = `{"overlay":"BEAT","name":"警格","kind":"police","department":null,"areas":[{"code":"5","name":"五警区"}],"on_edge":false}`
		fire = `{"overlay":"FIRE","name":"消防网格","kind":"professional","department":"消防救援","areas":[{"code":"f1","name":"一片"},{"code":"f2","name":"二片"}],"on_edge":false}`
	)
	check := func(when string, cases map[string]string) {
		t.Helper()
		for key, want := range cases {
			who, place, _ := strings.Cut(key, " ")
			token := map[string]string{"hall": hall, "town": town, "leaf": leaf}[who]
			for _, node := range []*stand{st, other} {
				if a := node.get(ask+place, token); !strings.Contains(string(a.body), want) {
					t.Errorf("%s, %s: %s, want %s", when, key, a.body, want)
				}
			}
		}
	}
	check("the day before", map[string]string{"hall lon=107.38&lat=38.3": `"overlays":[` + beat + `]`})
	clock.move(time.Minute) // midnight in Shanghai
	check("from its first day on", map[string]string{
		"hall lon=107.38&lat=38.3": `"overlays":[` + beat + `,` + fire + `]`,
		"town lon=107.38&lat=38.3": `"overlays":[` + beat + `,` + fire + `]`,
		"hall lon=107.6&lat=38.3":  `"overlays":[` + beat + `]`,
		"leaf lon=107.6&lat=38.3":  `"overlays":[` + beat + `]`,
		"town lon=107.6&lat=38.3":  `"overlays":[]`, // where the grid is not told, nothing is
		"hall lon=107.3&lat=38.2":  `"areas":[{"code":"5","name":"五警区"}],"on_edge":true}`,
		"hall lon=108.1&lat=38.2":  `"areas":[{"code":"sea","name":"水域"}]`, // outside every grid
		"town lon=108.1&lat=38.2":  `"overlays":[]`,
	})
	if a := st.get(strings.Replace(ask, "&overlays=true", "", 1)+"lon=107.38&lat=38.3", hall); strings.Contains(string(a.body), "overlays") {
		t.Errorf("not asked for: %s", a.body)
	}

	for path, c := range map[string]struct{ token, want string }{
		"/api/v1/overlays":            {town, `"code":"BEAT","name":"警格","kind":"police","department":null,"county":"C","valid_from":null,"valid_to":null,"in_force":true,"note":"","areas":1}`},
		"/api/v1/overlays/BEAT/areas": {leaf, `{"items":[{"code":"5","name":"五警区","parent":null,"bbox":[107.3,38.1,107.7,38.4],"label":[`},
		"/api/v1/overlays/FIRE/areas": {hall, `"code":"f2","name":"二片","parent":"f1"`},
		"/api/v1/overlays/NONE/areas": {hall, `"status":404`},
	} {
		if a := st.get(path, c.token); !strings.Contains(string(a.body), c.want) {
			t.Errorf("%s: %s, want %s", path, a.body, c.want)
		}
	}
	if a := st.get("/api/v1/overlays/FIRE/areas", leaf); !strings.Contains(string(a.body), `"items":[]`) {
		t.Errorf("areas that lie in another town alone: %s", a.body)
	}
	if a := st.call("GET", "/api/v1/overlays/BEAT/areas?cursor=5", hall, "", "Accept: application/geo+json"); strings.Count(string(a.body), `"Feature"`) != 1 || !strings.Contains(string(a.body), `"MultiPolygon"`) {
		t.Errorf("as features, after the first: %s", a.body)
	}

	// A new tree of the same county: the areas are compared with its grids.
	version, err := st.s.db.SaveDraft(t.Context(), []grid.Draft{
		{Code: "C", Level: 1, Name: "县", Geom: box(107, 38, 108, 38.5)}, {Code: "A", Parent: "C", Level: 2, Name: "甲镇", Geom: box(107, 38, 108, 38.5)},
	}, true, "test")
	if err == nil {
		err = st.s.db.Enact(t.Context(), version)
	}
	if err != nil {
		t.Fatal(err)
	}
	other.waits(clock, time.Second, ask+"lon=107.6&lat=38.3", town, `"overlays":[`+beat+`]`)
	other.waits(clock, time.Second, "/api/v1/overlays", town, `"areas":1}`)

	// Another county uses the same code; and pages end where shapes have many points.
	version, err = st.s.db.SaveDraft(t.Context(), []grid.Draft{{Code: "D", Level: 1, Name: "邻县", Geom: box(109, 38, 110, 38.5)}}, true, "test")
	if err == nil {
		err = st.s.db.Enact(t.Context(), version)
	}
	if err != nil {
		t.Fatal(err)
	}
	var round orb.Ring
	const corners = 70_000
	for k := range corners {
		sin, cos := math.Sincos(2 * math.Pi * float64(k%corners) / corners)
		round = append(round, orb.Point{109.5 + 0.2*cos, 38.25 + 0.2*sin})
	}
	var large []grid.Area
	for _, code := range []grid.Code{"r1", "r2", "r3", "r4"} {
		large = append(large, grid.Area{Code: code, Name: "圆", Geom: orb.MultiPolygon{{append(round, round[0])}}})
	}
	if _, err := st.s.db.ReplaceOverlay(t.Context(), store.OverlayImport{
		Overlay: store.Overlay{Root: "D", Code: "BEAT", Name: "邻县警格", Kind: "police"}, Brought: large, Actor: "test", File: "test",
	}); err != nil {
		t.Fatal(err)
	}
	st.waits(clock, time.Second, "/api/v1/overlays/BEAT/areas?county=D", hall, `"code":"r4"`)
	for path, want := range map[string]string{"county=C": `"code":"sea"`, "": `"code":"sea"`, "county=E": `"status":404`} {
		if a := st.get("/api/v1/overlays/BEAT/areas?"+path, hall); !strings.Contains(string(a.body), want) {
			t.Errorf("%s: %.300s, want %s", path, a.body, want)
		}
	}
	if a := st.get("/api/v1/overlays/BEAT/areas?county=D", town); !strings.Contains(string(a.body), `"status":404`) {
		t.Errorf("a county out of scope: %.300s", a.body)
	}
	for cursor, want := range map[string]struct {
		count int
		next  string
	}{"": {3, "r3"}, "r3": {1, ""}} {
		var page struct {
			Features []struct{ Properties struct{ Code string } }
			Cursor   string
		}
		a := st.call("GET", "/api/v1/overlays/BEAT/areas?county=D&cursor="+cursor, hall, "", "Accept: application/geo+json")
		if err := json.Unmarshal(a.body, &page); err != nil || len(page.Features) != want.count || page.Cursor != want.next {
			t.Errorf("after %q: %v, %d features, cursor %q, want %+v", cursor, err, len(page.Features), page.Cursor, want)
		}
	}

	// Overlays that cannot be read keep no server from starting.
	st.exec("ALTER TABLE overlay_area RENAME TO put_away")
	third := st.node(Options{Now: clock.now, Limits: plenty()})
	if a := third.get("/api/v1/overlays", hall); strings.TrimSpace(string(a.body)) != `{"items":[]}` {
		t.Errorf("of overlays that cannot be read: %s", a.body)
	}
	st.exec("ALTER TABLE put_away RENAME TO overlay_area")
	third.waits(clock, 0, "/api/v1/overlays", hall, `"code":"FIRE"`)
}
