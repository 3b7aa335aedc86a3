// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package ledger_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/paulmach/orb"

	"onemap/auth"
	"onemap/dispatch"
	"onemap/dispatch/calendar"
	"onemap/feed"
	"onemap/geo/grid"
	"onemap/intake"
	"onemap/internal/pgtest"
	"onemap/store"
	"onemap/store/ledger"
)

// world is a county of two square towns side by side, W over longitude 0 to 1
// and E over 1 to 2, both over latitude 0 to 1.
type world struct {
	unseen, seen int64 // a department without a liaison, and one with
	db           *store.DB
	cat          *store.Catalogue
	seal         *store.Sealer
	led          *ledger.Ledger
	cal          calendar.Calendar
	now          time.Time
	county       auth.Scope
	operator     auth.Actor
	wake         chan struct{}
}

func newWorld(t testing.TB) *world {
	t.Helper()
	db, err := store.Open(t.Context(), pgtest.URL(t), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	w := &world{db: db, now: time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC), wake: make(chan struct{}, 1)}
	if err := db.SaveCategories(t.Context(), dispatch.DefaultCategories()); err != nil {
		t.Fatal(err)
	}
	square := func(x0, x1 float64) orb.MultiPolygon {
		return orb.MultiPolygon{{{{x0, 0}, {x1, 0}, {x1, 1}, {x0, 1}, {x0, 0}}}}
	}
	version, err := db.SaveDraft(t.Context(), []grid.Draft{
		{Code: "C", Level: 1, Name: "县", Geom: square(0, 2)},
		{Code: "W", Parent: "C", Level: 2, Name: "西镇", Geom: square(0, 1)},
		{Code: "E", Parent: "C", Level: 2, Name: "东镇", Geom: square(1, 2)},
	}, false, "test")
	if err == nil {
		err = db.Enact(t.Context(), version)
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Pool.Exec(t.Context(), "DELETE FROM outbox"); err != nil {
		t.Fatal(err)
	}
	if w.cat, err = store.NewCatalogue(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	if w.seal, err = store.OpenSealer(t.TempDir()); err != nil {
		t.Fatal(err)
	}
	w.led = ledger.New(ledger.Options{
		DB: db, Catalogue: w.cat, Sealer: w.seal, Now: func() time.Time { return w.now }, ScopesKnow: time.Millisecond,
		Wake: func() {
			select {
			case w.wake <- struct{}{}:
			default:
			}
		},
	})
	root := w.cat.Now().Tree.Nodes()[0]
	w.operator = auth.NewActor(auth.Grant{ID: "token:1", Role: auth.HallOperator, Sensitive: true, Intervals: []auth.Interval{{Lo: root.No, Hi: root.Last}}})
	w.county = scopeOf(w.operator)
	return w
}

// scopeOf is which incidents an actor reads.
func scopeOf(a auth.Actor) auth.Scope {
	d, err := auth.Decide(a, auth.Read, auth.IncidentData)
	if err != nil {
		panic(err)
	}
	return d.Scope
}

func (w *world) townActor(t *testing.T, code grid.Code) auth.Actor {
	t.Helper()
	i, ok := w.cat.Now().Tree.ByCode(code)
	if !ok {
		t.Fatalf("no grid %s", code)
	}
	n := w.cat.Now().Tree.Nodes()[i]
	return auth.NewActor(auth.Grant{ID: "token:" + string(code), Role: auth.TownOperator, Intervals: []auth.Interval{{Lo: n.No, Hi: n.Last}}})
}

func (w *world) env() intake.Env {
	c := w.cat.Now()
	return intake.Env{Tree: c.Tree, Categories: c.Categories, Departments: c.Departments, Now: w.now, Past: true}
}

func (w *world) placed(t testing.TB, category string, lon, lat float64) *ledger.Report {
	t.Helper()
	res, err := intake.Run(w.env(), intake.Report{Category: category, Title: "堵了", Lon: &lon, Lat: &lat, CRS: "wgs84"})
	if err != nil {
		t.Fatal(err)
	}
	return &ledger.Report{Report: res.Report}
}

func (w *world) report(t testing.TB, category string, lon, lat float64, c ledger.Command) ledger.Result {
	t.Helper()
	c.Report = w.placed(t, category, lon, lat)
	res, err := w.led.Do(t.Context(), w.operator, c)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

func (w *world) act(id int64, version int, a dispatch.Action, reason string) (ledger.Result, error) {
	return w.led.Do(context.Background(), w.operator, ledger.Command{Act: &ledger.Act{Incident: id, Version: version, Act: dispatch.Act{Action: a, Reason: reason, Door: map[dispatch.Action]string{dispatch.Refuse: "court"}[a]}}})
}

// whole is an act that brings everything any act needs, but into.
func (w *world) whole(a dispatch.Action) dispatch.Act {
	return dispatch.Act{Action: a, Reason: "because", Level: 2, Door: "court", Until: w.now.AddDate(0, 1, 0), Priority: 2}
}

func (w *world) state(t *testing.T, id int64) dispatch.State {
	t.Helper()
	in, err := w.db.Incident(t.Context(), w.county, auth.CaseView, id)
	if err != nil {
		t.Fatal(err)
	}
	return in.State
}

func (w *world) count(t testing.TB, table, where string) int {
	t.Helper()
	var n int
	q := "SELECT count(*) FROM " + table
	if where != "" {
		q += " WHERE " + where
	}
	if err := w.db.Pool.QueryRow(t.Context(), q).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// sequence runs a sequencer until the outbox is empty.
func (w *world) sequence(t *testing.T) {
	t.Helper()
	w.sequenceUntil(t, "an empty outbox", func() bool { return w.count(t, "outbox", "") == 0 })
}

// sequenceUntil runs a sequencer until ok.
func (w *world) sequenceUntil(t *testing.T, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.sequencer(nil).Run(ctx)
	}()
	waitFor(t, what, ok)
	cancel()
	<-done
}

func (w *world) sequencer(onHead func(feed.Seq)) *ledger.Sequencer {
	return &ledger.Sequencer{
		Pool: w.db.Pool, Now: time.Now, Log: slog.New(slog.DiscardHandler), Wake: w.wake, OnHead: onHead, Poll: 5 * time.Millisecond, Batch: 7,
	}
}

func waitFor(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("no %s within a minute", what)
		}
		select {
		case <-t.Context().Done():
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func isVersion(err error) bool {
	var v *ledger.VersionError
	return errors.As(err, &v)
}

func contains(s, part string) bool { return strings.Contains(s, part) }

func ptr[T any](v T) *T { return &v }
