// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"fmt"
	"strings"
	"sync"
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

// TestABulletinThatWaitedIsOfTheGridItWasAskedFor: two longer counts are under way, and
// while a bulletin waits for them another county puts a redraw in force, which moves
// every grid's place in the tree.
func TestABulletinThatWaitedIsOfTheGridItWasAskedFor(t *testing.T) {
	url := pgtest.URL(t)
	db, err := store.Open(t.Context(), url, store.Options{MaxConns: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	// county is a county of one square from x on, cut into so many towns.
	county := func(code string, x float64, towns int) []grid.Draft {
		square := func(from, to float64) orb.MultiPolygon {
			return orb.MultiPolygon{{{{from, 38}, {to, 38}, {to, 39}, {from, 39}, {from, 38}}}}
		}
		drafts := []grid.Draft{{Code: grid.Code(code), Level: 1, Name: code + "县", Geom: square(x, x+1)}}
		for k := range towns {
			one := fmt.Sprint(code, k)
			drafts = append(drafts, grid.Draft{
				Code: grid.Code(one), Parent: grid.Code(code), Level: 2, Name: one + "镇",
				Geom: square(x+float64(k)/float64(towns), x+float64(k+1)/float64(towns)),
			})
		}
		return drafts
	}
	enact := func(db *store.DB, l *ledger.Ledger, drafts []grid.Draft) {
		t.Helper()
		version, err := db.SaveDraft(t.Context(), drafts, true, "test")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := l.Enact(t.Context(), auth.SystemActor("test"), ledger.Enactment{Version: version, AcceptFaults: true}); err != nil {
			t.Fatal(err)
		}
	}
	for i, code := range []string{"P", "Q"} {
		cat, err := store.NewCatalogue(t.Context(), db)
		if err != nil {
			t.Fatal(err)
		}
		enact(db, ledger.New(ledger.Options{DB: db, Catalogue: cat, Now: time.Now}), county(code, 107+2*float64(i), 1))
	}
	if err := db.SaveCategories(t.Context(), dispatch.DefaultCategories()); err != nil {
		t.Fatal(err)
	}
	limits := plenty()
	limits.Wait = time.Minute
	st := startStand(t, Options{DatabaseURL: url, Limits: limits})
	hall := map[string]string{}
	for _, code := range []string{"P", "Q"} {
		hall[code] = st.sign(store.Credential{Role: auth.Dispatcher, GridCode: code, RootCode: code})
	}

	tx, err := st.s.db.Pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(t.Context()) }()
	if _, err := tx.Exec(t.Context(), "LOCK TABLE advice IN ACCESS EXCLUSIVE MODE"); err != nil {
		t.Fatal(err)
	}
	var under sync.WaitGroup
	for range 2 {
		under.Go(func() {
			st.get("/api/v1/figures?from=2026-01-01T00:00:00Z&to=2026-06-01T00:00:00Z", hall["Q"])
		})
	}
	st.wait("two counts under way", func() bool {
		return st.count("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'") == 2
	})
	asked := make(chan answer, 1)
	under.Go(func() { asked <- st.call("POST", "/api/v1/bulletins", hall["Q"], `{"grid":"Q","week":"2026-09-28"}`) })
	time.Sleep(300 * time.Millisecond) // it waits by now; where it does not, nothing is lost but the point
	enact(st.s.db, st.s.ledger, county("P", 107, 3))
	st.wait("redraw known to the server", func() bool { return len(st.s.catalogue.Now().Tree.Nodes()) == 6 })
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	under.Wait()
	if a := <-asked; a.status != 201 || a.json(t)["grid"] != "Q" || a.json(t)["county"] != "Q" {
		t.Errorf("asked for Q: %d %s", a.status, a.body)
	}
	for code, n := range map[string]int{"P": 0, "Q": 1} {
		a := st.get("/api/v1/bulletins", hall[code])
		if a.status != 200 || strings.Count(string(a.body), `"week":`) != n {
			t.Errorf("bulletins of %s, want %d: %d %s", code, n, a.status, a.body)
		}
	}
}
