// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"onemap/auth"
	"onemap/geo"
	"onemap/internal/pgtest"
	"onemap/people"
	"onemap/store"
	"onemap/track"
)

// monday is 12:00 in Shanghai.
var monday = time.Date(2026, 3, 2, 4, 0, 0, 0, time.UTC)

// field is a database with one county of two grids (numbers 1 root, 2 and 3),
// workers 1 (grid 2) and 2 (grid 3), and a device for each.
func field(t testing.TB) (*store.DB, store.Positions) {
	t.Helper()
	ctx := context.Background()
	db, err := store.Open(ctx, pgtest.URL(t), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	exec(t, db, `INSERT INTO grid_version (root_code, state, enacted_at) VALUES ('c', 'enacted', now())`)
	exec(t, db, `INSERT INTO grid (version_id, level, code, name, no, last_no, geom)
		SELECT 1, 1, 'c', '演示旗', 1, 3, ST_Multi(ST_MakeEnvelope(107, 38, 108, 39, 4326))`)
	exec(t, db, `INSERT INTO grid (version_id, level, code, name, parent_id, no, last_no, geom)
		SELECT 1, 2, 'g' || n, '网格' || n, 1, n, n, ST_Multi(ST_MakeEnvelope(106.5 + n * 0.5 - 0.5, 38, 106.5 + n * 0.5, 39, 4326)) FROM generate_series(2, 3) n`)
	exec(t, db, `INSERT INTO worker (badge, skills) VALUES ('W0001', '{调解}'), ('W0002', '{}')`)
	exec(t, db, `INSERT INTO worker_grid (worker_id, grid_code, role) VALUES (1, 'c', 'deputy'), (1, 'g2', 'worker'), (2, 'g3', 'worker')`)
	exec(t, db, `INSERT INTO rota VALUES (1, 7, 1320, 1800), (1, 1, 540, 1080)`)
	exec(t, db, `INSERT INTO device (unique_id, speed_unit, datum, interval_s) VALUES ('a', 'm/s', 'gcj02', 5), ('b', 'kn', 'wgs84', 60)`)
	exec(t, db, `INSERT INTO device_binding VALUES (1, 1, '2026-01-01', '2026-02-01'), (1, 2, '2026-02-01', 'infinity'), (2, 1, '2026-01-01', 'infinity')`)
	return db, store.Positions{DB: db}
}

func exec(t testing.TB, db *store.DB, sql string, args ...any) {
	t.Helper()
	if _, err := db.Pool.Exec(context.Background(), sql, args...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func count(t testing.TB, db *store.DB, sql string, args ...any) (n int) {
	t.Helper()
	if err := db.Pool.QueryRow(context.Background(), sql, args...).Scan(&n); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return n
}

func fixAt(device int64, at time.Time) track.Fix {
	return track.Fix{
		Device: device, Worker: uint32(device), At: at, ServerAt: at.Add(time.Second), P: geo.WGS84{107.5123456, 38.2},
		AccuracyM: 12, CourseDeg: track.Unknown, SpeedMS: 1.5, Battery: 80,
	}
}

func TestAppendKeepsEachFixOnce(t *testing.T) {
	t.Parallel()
	db, p := field(t)
	ctx := context.Background()
	if err := p.EnsurePartitions(ctx, monday, 1); err != nil {
		t.Fatal(err)
	}
	batch := []track.Fix{fixAt(1, monday), fixAt(1, monday.Add(time.Minute)), fixAt(2, monday), fixAt(1, monday)}
	for range 3 {
		if err := p.Append(ctx, batch); err != nil {
			t.Fatal(err)
		}
	}
	if n := count(t, db, "SELECT count(*) FROM worker_position_20260302"); n != 3 {
		t.Errorf("%d rows, want 3", n)
	}
	if n := count(t, db, `SELECT count(*) FROM worker_position WHERE device_id = 1 AND fix_at = $1 AND worker_id = 1 AND lon_e7 = 1075123456
		AND lat_e7 = 382000000 AND accuracy_m = 12 AND course_deg IS NULL AND speed_ms = 1.5 AND battery = 80 AND device_at IS NULL`, monday); n != 1 {
		t.Error("the row is not what was sent")
	}
}

func TestAppendFlagsDoubtAndLeavesOutWrongClocks(t *testing.T) {
	t.Parallel()
	db, p := field(t)
	ctx := context.Background()
	var batch []track.Fix
	for i, v := range []track.Verdict{track.OK, track.Jump, track.Poor, track.Mock, track.NullIsland, track.Late, track.Future, track.Ancient, track.Nowhere} {
		f := fixAt(1, monday.Add(time.Duration(i)*time.Minute))
		f.Verdict = v
		batch = append(batch, f)
	}
	if err := p.Append(ctx, batch); err != nil {
		t.Fatal(err)
	}
	if n := count(t, db, "SELECT count(DISTINCT verdict) FROM worker_position"); n != 6 {
		t.Errorf("%d verdicts kept, want 6", n)
	}
	if n := count(t, db, "SELECT count(*) FROM worker_last WHERE worker_id = 1 AND fix_at = $1", monday.Add(5*time.Minute)); n != 1 {
		t.Error("the last known place is not that of the newest trusted fix")
	}
}

func TestLastMovesForwardOnly(t *testing.T) {
	t.Parallel()
	db, p := field(t)
	ctx := context.Background()
	dir, err := db.Directory(ctx, auth.System("test"), monday)
	if err != nil {
		t.Fatal(err)
	}
	for _, minute := range []int{10, 5, 20, 15, 20} {
		if err := p.Append(ctx, []track.Fix{fixAt(1, monday.Add(time.Duration(minute)*time.Minute))}); err != nil {
			t.Fatal(err)
		}
	}
	last, err := p.Last(ctx, auth.System("test"), dir)
	if err != nil || len(last) != 1 {
		t.Fatalf("last %v, error %v", last, err)
	}
	want := fixAt(1, monday.Add(20*time.Minute))
	want.Grid, want.Battery = 2, track.Unknown
	got := last[0]
	if !got.At.Equal(want.At) || !got.ServerAt.Equal(want.ServerAt) || got.P != want.P || got.Grid != 2 || got.CourseDeg != track.Unknown || !got.DeviceAt.IsZero() {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	if hidden, err := p.Last(ctx, auth.Scope{}, dir); err != nil || len(hidden) != 0 {
		t.Errorf("the zero scope sees %v, error %v", hidden, err)
	}
}

// Two writers send overlapping batches in opposite orders: no deadlock, no loss.
func TestAppendByTwoWriters(t *testing.T) {
	t.Parallel()
	db, p := field(t)
	var batch, reversed []track.Fix
	for i := range 500 {
		batch = append(batch, fixAt(int64(1+i%2), monday.Add(time.Duration(i)*time.Second)))
	}
	for i := range batch {
		reversed = append(reversed, batch[len(batch)-1-i])
	}
	var wg sync.WaitGroup
	errs := make(chan error, 40)
	for range 10 {
		for _, b := range [][]track.Fix{batch, reversed} {
			wg.Go(func() { errs <- p.Append(context.Background(), b) })
		}
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
	if n := count(t, db, "SELECT count(*) FROM worker_position"); n != 500 {
		t.Errorf("%d rows, want 500", n)
	}
}

func TestPartitionsComeAndGo(t *testing.T) {
	t.Parallel()
	db, p := field(t)
	ctx := context.Background()
	// A missing partition refuses nothing: the default one takes the fix.
	if err := p.Append(ctx, []track.Fix{fixAt(1, monday), fixAt(1, monday.AddDate(0, 0, 1)), fixAt(1, monday.AddDate(0, 0, -40))}); err != nil {
		t.Fatal(err)
	}
	strays := func(want int64) {
		t.Helper()
		if n, err := p.Strays(ctx); err != nil || n != want {
			t.Errorf("%d strays, error %v, want %d", n, err, want)
		}
	}
	strays(3)
	for range 2 {
		if err := p.EnsurePartitions(ctx, monday, 3); err != nil {
			t.Fatal(err)
		}
	}
	strays(1)
	if n := count(t, db, "SELECT count(*) FROM worker_position_20260302"); n != 1 {
		t.Errorf("%d rows moved to their day, want 1", n)
	}
	if err := p.Append(ctx, []track.Fix{fixAt(1, monday)}); err != nil { // the key holds after the move
		t.Fatal(err)
	}
	if n := count(t, db, "SELECT count(*) FROM worker_position"); n != 3 {
		t.Errorf("%d rows, want 3", n)
	}
	dropped, err := p.DropBefore(ctx, monday.AddDate(0, 0, 1).Truncate(24*time.Hour))
	if err != nil || dropped != 1 {
		t.Errorf("dropped %d, error %v, want 1", dropped, err)
	}
	strays(0)
	if n := count(t, db, "SELECT count(*) FROM worker_position"); n != 1 {
		t.Errorf("%d rows left, want 1", n)
	}
}

func TestDropWaitsForNoReader(t *testing.T) {
	t.Parallel()
	db, p := field(t)
	ctx := context.Background()
	if err := p.EnsurePartitions(ctx, monday, 1); err != nil {
		t.Fatal(err)
	}
	tx, err := db.Pool.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(ctx)
	var n int
	if err := tx.QueryRow(ctx, "SELECT count(*) FROM worker_position").Scan(&n); err != nil {
		t.Fatal(err)
	}
	if _, err := p.DropBefore(ctx, monday.AddDate(0, 0, 9)); !store.Unavailable(err) {
		t.Errorf("dropping under a reader: %v, want unavailable", err)
	}
	if err := tx.Rollback(ctx); err != nil {
		t.Fatal(err)
	}
	if dropped, err := p.DropBefore(ctx, monday.AddDate(0, 0, 9)); err != nil || dropped != 1 {
		t.Errorf("afterwards: dropped %d, error %v", dropped, err)
	}
}

func TestDirectory(t *testing.T) {
	t.Parallel()
	db, _ := field(t)
	ctx := context.Background()
	dir, err := db.Directory(ctx, auth.System("test"), monday)
	if err != nil {
		t.Fatal(err)
	}
	a, ok := dir.Device("a")
	if !ok || a.SpeedUnit != people.MetresSec || a.Datum != geo.DatumGCJ02 || a.Interval != 5*time.Second || a.Blocked {
		t.Errorf("device a: %+v", a)
	}
	for _, c := range []struct {
		at   time.Time
		want uint32
	}{{monday.AddDate(0, 0, -40), 1}, {monday, 2}, {monday.AddDate(50, 0, 0), 2}, {monday.AddDate(-1, 0, 0), 0}} {
		if got, _ := a.Carrier(c.at); got != c.want {
			t.Errorf("carrier at %s: %d, want %d", c.at, got, c.want)
		}
	}
	w, _ := dir.Worker(1)
	if w.Grid != 2 || w.Badge != "W0001" || len(w.Skills) != 1 || !w.Active {
		t.Errorf("worker 1: %+v; the home grid is the one served as worker", w)
	}
	// The run of Sunday 22:00 to Monday 06:00, and that of Monday.
	for at, want := range map[time.Time]bool{
		monday: true, monday.Add(-6*time.Hour - time.Minute): true, monday.Add(-5 * time.Hour): false, monday.Add(7 * time.Hour): false,
	} {
		if _, on := dir.OnDuty(1, at); on != want {
			t.Errorf("on duty at %s: %t, want %t", people.Local(at), on, want)
		}
	}
	if none, err := db.Directory(ctx, auth.Scope{}, monday); err != nil {
		t.Error(err)
	} else if n, _ := none.Len(); n != 0 {
		t.Errorf("the zero scope sees %d workers", n)
	}
}

func TestWorkersInScope(t *testing.T) {
	t.Parallel()
	db, _ := field(t)
	ctx := context.Background()
	head, err := auth.Decide(auth.NewActor(auth.Grant{ID: "token:1", Role: auth.VillageHead, Intervals: []auth.Interval{{Lo: 3, Hi: 3}}}), auth.Read, auth.Position)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		scope auth.Scope
		want  string
	}{
		{"all", auth.System("test"), "[W0001:g2 W0002:g3]"},
		{"one village", head.Scope, "[W0002:g3]"},
		{"none", auth.Scope{}, "[]"},
	} {
		list, err := store.Workers(ctx, db.Pool, c.scope, monday)
		if err != nil {
			t.Fatal(err)
		}
		got := []string{}
		for _, w := range list {
			got = append(got, w.Badge+":"+w.GridCode)
		}
		if fmt.Sprint(got) != c.want {
			t.Errorf("%s: %v, want %s", c.name, got, c.want)
		}
	}
}

func TestQuarantineCountsAndIsBounded(t *testing.T) {
	t.Parallel()
	db, _ := field(t)
	ctx := context.Background()
	one := []store.UnknownDevice{{UniqueID: "x", First: monday, Last: monday, Calls: 2}}
	for range 2 {
		if err := db.Quarantine(ctx, one); err != nil {
			t.Fatal(err)
		}
	}
	if n := count(t, db, "SELECT fixes FROM device_quarantine WHERE unique_id = 'x'"); n != 4 {
		t.Errorf("%d calls, want 4", n)
	}
	exec(t, db, "INSERT INTO device_quarantine (unique_id) SELECT 'made up ' || n FROM generate_series(1, 9998) n")
	more := []store.UnknownDevice{{UniqueID: "y", First: monday, Last: monday, Calls: 1}, {UniqueID: "z", First: monday, Last: monday, Calls: 1}, one[0]}
	if err := db.Quarantine(ctx, more); err != nil {
		t.Fatal(err)
	}
	if n := count(t, db, "SELECT count(*) FROM device_quarantine"); n != 10_000 {
		t.Errorf("%d rows, want 10,000", n)
	}
	if n := count(t, db, "SELECT fixes FROM device_quarantine WHERE unique_id = 'x'"); n != 6 {
		t.Errorf("%d calls, want 6", n)
	}
}

// Fixes a second, by batch size; each batch is new.
func BenchmarkAppend(b *testing.B) {
	_, p := field(b)
	ctx := context.Background()
	if err := p.EnsurePartitions(ctx, monday, 30); err != nil {
		b.Fatal(err)
	}
	at := monday
	for _, size := range []int{1, 10, 100, 1000, 10000} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			for b.Loop() {
				batch := make([]track.Fix, size)
				for i := range batch {
					at = at.Add(10 * time.Millisecond)
					batch[i] = fixAt(int64(1+i%2), at)
				}
				if err := p.Append(ctx, batch); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(size*b.N)/b.Elapsed().Seconds(), "fixes/s")
		})
	}
}
