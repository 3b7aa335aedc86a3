// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package demo_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"onemap/internal/demo"
	"onemap/internal/pgtest"
	"onemap/store"
	"onemap/store/ledger"
)

// target opens a fresh database and what a load needs of it.
func target(t *testing.T, past int) demo.Options {
	t.Helper()
	ctx := t.Context()
	db, err := store.Open(ctx, pgtest.URL(t), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	c, err := store.NewCatalogue(ctx, db)
	if err != nil {
		t.Fatal(err)
	}
	l := ledger.New(ledger.Options{DB: db, Catalogue: c, Now: func() time.Time { return until }})
	return demo.Options{DB: db, Catalogue: c, Ledger: l, Calendar: cal(t), Seed: seed, Until: until, Past: past}
}

// one reads one value.
func one[T any](t *testing.T, o demo.Options, sql string) (v T) {
	t.Helper()
	rows, err := o.DB.Pool.Query(t.Context(), sql)
	if err == nil {
		v, err = pgx.CollectExactlyOneRow(rows, pgx.RowTo[T])
	}
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return v
}

// rowsHash is a hash of everything a load wrote but for when it was written.
func rowsHash(t *testing.T, o demo.Options) string {
	t.Helper()
	out := ""
	for _, sql := range []string{
		"SELECT code, level, name, no, last_no, geom::text FROM grid ORDER BY no",
		"SELECT * FROM category ORDER BY code",
		"SELECT * FROM worker ORDER BY id", "SELECT * FROM worker_grid ORDER BY 1, 2", "SELECT * FROM rota ORDER BY 1, 2, 3",
		`SELECT d.grid_code, a.login, d.from_at, d.to_at, r.role, r.sensitive FROM duty_officer d JOIN account a ON a.id = d.account_id AND a.state = 'active'
		 JOIN account_grant r ON r.account_id = a.id AND r.state = 'active' ORDER BY 1, 3`,
		"SELECT * FROM device ORDER BY id", "SELECT * FROM device_binding ORDER BY 1",
		"SELECT ext_id, name, class, geom::text FROM road ORDER BY 1", "SELECT external_id, name, geom::text FROM place ORDER BY 1",
		"SELECT gb_code, name, heading, geom::text FROM camera ORDER BY 1",
		`SELECT external_id, version, state, category, priority, title, body, source, geom::text, raw_lon, raw_lat, raw_datum, address, place,
		 grid_no, cell6, cell7, cell8, cell9, owner_level, occurred_at, reported_at, ack_due, stage_due, acknowledged_at, on_scene_at,
		 resolved_at, closed_at FROM incident ORDER BY 1`,
		`SELECT i.external_id, j.n, j.kind, j.from_state, j.to_state, j.actor, j.at, j.reason
		 FROM incident_journal j JOIN incident i ON i.id = j.incident_id ORDER BY 1, 2`,
	} {
		out += one[string](t, o, "SELECT coalesce(md5(string_agg(r::text, '|')), '') FROM ("+sql+") r") + " "
	}
	return out
}

func TestLoadWritesEverythingOnceAndStopsAndGoesOn(t *testing.T) {
	t.Parallel()
	const past = 11_000 // three batches
	whole := target(t, past)
	if err := demo.Load(t.Context(), whole); err != nil {
		t.Fatal(err)
	}
	for sql, want := range map[string]int{
		"SELECT count(*)::int FROM grid WHERE no IS NOT NULL":                                                      490,
		"SELECT count(*)::int FROM grid_version WHERE state = 'enacted' AND made_up":                               1,
		"SELECT count(*)::int FROM worker":                                                                         474,
		"SELECT count(*)::int FROM device d JOIN device_binding b ON b.device_id = d.id AND b.worker_id = d.id":    474,
		"SELECT count(DISTINCT worker_id)::int FROM rota":                                                          474,
		"SELECT count(*)::int FROM place WHERE kind = 'address'":                                                   12_000,
		"SELECT count(*)::int FROM camera WHERE root_code = '990000'":                                              300,
		"SELECT count(*)::int FROM category":                                                                       77,
		"SELECT count(*)::int FROM incident WHERE history":                                                         past,
		"SELECT count(*)::int FROM incident WHERE department_id IS NULL":                                           0,
		"SELECT count(DISTINCT incident_id)::int FROM incident_journal":                                            past,
		"SELECT count(*)::int FROM incident i JOIN incident_journal j ON j.incident_id = i.id AND j.n = i.version": past,
		"SELECT count(*)::int FROM audit_log WHERE action = 'incidents.import'":                                    3,
		"SELECT count(*)::int FROM outbox WHERE kind = 'incidents.imported'":                                       3,
		// PostGIS agrees on where each incident lies.
		`SELECT count(*)::int FROM incident i JOIN grid g ON g.id = i.grid_id
		 WHERE i.place = 'in_grid' AND (g.level <> 4 OR NOT ST_Covers(g.geom, i.geom))`: 0,
		`SELECT count(*)::int FROM incident i JOIN grid g ON g.level = 1 AND ST_Covers(g.geom, i.geom) WHERE i.place = 'outside'`: 0,
	} {
		if got := one[int](t, whole, sql); got != want {
			t.Errorf("%s: %d, want %d", sql, got, want)
		}
	}
	if open, live := one[int](t, whole, "SELECT count(*)::int FROM incident WHERE open"), one[int](t, whole, "SELECT count(*)::int FROM outbox WHERE kind = 'incident.opened' AND live = 'put'"); open != live || open == 0 {
		t.Errorf("%d open incidents, %d of them go to the live state", open, live)
	}
	// Whatever is supervised in the year to come finds a duty officer, also what is sensitive.
	for _, at := range []time.Time{until, until.AddDate(0, 6, 0), until.AddDate(1, 0, 0)} {
		nos := one[[]int32](t, whole, "SELECT array_agg(no ORDER BY no) FROM grid WHERE level > 1 AND no IS NOT NULL")
		for i := 0; i < len(nos); i += 40 {
			o, _, err := store.OfficerOf(t.Context(), whole.DB.Pool, nos[i], at)
			if err != nil || o == nil || o.Level > 2 || !strings.HasPrefix(o.Staff.Login, "duty-") {
				t.Errorf("grid %d on %s: %+v, %v", nos[i], at, o, err)
			}
		}
	}
	first := rowsHash(t, whole)
	if err := demo.Load(t.Context(), whole); err != nil || rowsHash(t, whole) != first {
		t.Errorf("a second load changed something: %v", err)
	}

	cut := target(t, past)
	ctx, stop := context.WithCancel(t.Context())
	cut.Progress = func(done, _ int64, _ string) {
		if done > 0 {
			stop()
		}
	}
	if err := demo.Load(ctx, cut); !errors.Is(err, context.Canceled) {
		t.Fatalf("a load that was cut off says %v", err)
	}
	half := one[int](t, cut, "SELECT count(*)::int FROM incident")
	if half == 0 || half == past {
		t.Fatalf("%d incidents after the cut", half)
	}
	other := cut
	other.Seed++
	if err := demo.Load(t.Context(), other); err == nil {
		t.Error("went on with another seed")
	}
	cut.Progress, cut.Until = nil, until.Add(time.Hour)
	if err := demo.Load(t.Context(), cut); err != nil {
		t.Fatal(err)
	}
	if rowsHash(t, cut) != first {
		t.Error("a load that was cut off and went on differs from a whole one")
	}
}

func TestLoadRefusesADatabaseWithOtherData(t *testing.T) {
	t.Parallel()
	o := target(t, 100)
	if _, err := o.DB.Pool.Exec(t.Context(), "INSERT INTO device (unique_id) VALUES ('somebody')"); err != nil {
		t.Fatal(err)
	}
	if err := demo.Load(t.Context(), o); !errors.Is(err, demo.ErrNotEmpty) {
		t.Errorf("got %v", err)
	}
	if n := one[int](t, o, "SELECT count(*)::int FROM setting"); n != 0 {
		t.Errorf("%d settings were written", n)
	}
	if err := o.DB.Setting(t.Context(), "demo", &demo.Loaded{}); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("status: %v", err)
	}
}

func TestOneLoadAtATime(t *testing.T) {
	t.Parallel()
	o := target(t, 100)
	var busy error
	var once sync.Once // giving up takes five seconds
	o.Progress = func(int64, int64, string) {
		once.Do(func() {
			second := o
			second.Progress = nil
			busy = demo.Load(t.Context(), second)
		})
	}
	if err := demo.Load(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if !errors.Is(busy, demo.ErrBusy) {
		t.Errorf("a second load at the same time: %v", busy)
	}
	var s demo.Loaded
	if err := o.DB.Setting(t.Context(), "demo", &s); err != nil || s.State != "done" || s.Done != 100 || s.Seed != seed {
		t.Errorf("status %+v, %v", s, err)
	}
}

func TestWholeLoadStaysUnderAMinute(t *testing.T) {
	if os.Getenv("ONEMAP_SOAK") == "" {
		t.Skip("takes half a minute: set ONEMAP_SOAK=1")
	}
	o := target(t, 0)
	start := time.Now()
	o.Progress = func(done, total int64, text string) {
		if done%50_000 == 0 {
			t.Logf("%5.1f s  %d of %d  %s", time.Since(start).Seconds(), done, total, text)
		}
	}
	if err := demo.Load(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	took := time.Since(start)
	if n := one[int](t, o, "SELECT count(*)::int FROM incident"); n != demo.Incidents {
		t.Errorf("%d incidents", n)
	}
	if took > time.Minute {
		t.Errorf("the load took %v", took)
	}
	t.Logf("%v; database %s", took, one[string](t, o, "SELECT pg_size_pretty(pg_database_size(current_database()))"))
}
