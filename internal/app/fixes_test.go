// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"onemap/geo"
	"onemap/internal/demo"
	"onemap/internal/pgtest"
	"onemap/people"
	"onemap/store"
	"onemap/track"
	"onemap/track/osmand"
)

// fakeLog keeps the sizes of batches and fails as told.
type fakeLog struct {
	mu    sync.Mutex
	sizes []int
	fail  func([]track.Fix) error
	slow  time.Duration
}

func (l *fakeLog) Append(_ context.Context, fixes []track.Fix) error {
	time.Sleep(l.slow) // of a bubble's clock
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sizes = append(l.sizes, len(fixes))
	if l.fail != nil {
		return l.fail(fixes)
	}
	return nil
}

func fakeWriter(l *fakeLog, o fixOptions) *fixWriter {
	w := newFixWriter(o)
	w.log = l
	w.start()
	return w
}

func oneFix(worker uint32, at time.Time) []track.Fix {
	return []track.Fix{{Device: int64(worker), Worker: worker, At: at, ServerAt: at, AccuracyM: -1, P: [2]float64{107.5, 38.2}}}
}

func TestFixesAreCommittedTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &fakeLog{slow: 10 * time.Millisecond}
		w := fakeWriter(l, fixOptions{})
		start := time.Now()
		var wg sync.WaitGroup
		for i := range 500 {
			wg.Go(func() {
				if err := w.Put(t.Context(), people.Device{Interval: time.Minute}, oneFix(uint32(i+1), start)); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if took := time.Since(start); took > 50*time.Millisecond {
			t.Errorf("the answer took %s", took)
		}
		if len(l.sizes) != 1 || l.sizes[0] != 500 {
			t.Errorf("batches of %v, want one of 500", l.sizes)
		}
		if n := len(w.Live().Dots()); n != 500 {
			t.Errorf("%d dots, want 500", n)
		}
		if err := w.Stop(t.Context()); err != nil || w.Waiting() != 0 {
			t.Errorf("stop: %v, %d waiting", err, w.Waiting())
		}
	})
}

func TestFullQueueSaysSoAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := fakeWriter(&fakeLog{slow: time.Minute}, fixOptions{Queue: 3})
		var wg sync.WaitGroup
		for i := range 3 {
			wg.Go(func() { _ = w.Put(t.Context(), people.Device{}, oneFix(uint32(i+1), time.Now())) })
		}
		synctest.Wait()
		if err := w.Put(t.Context(), people.Device{}, oneFix(9, time.Now())); !errors.Is(err, errQueueFull) {
			t.Errorf("a fourth fix: %v", err)
		}
		wg.Wait()
		if err := w.Put(t.Context(), people.Device{}, oneFix(9, time.Now())); err != nil {
			t.Errorf("with room again: %v", err)
		}
		if err := w.Stop(t.Context()); err != nil {
			t.Error(err)
		}
		if err := w.Put(t.Context(), people.Device{}, oneFix(9, time.Now())); !errors.Is(err, errStopped) {
			t.Errorf("after the stop: %v", err)
		}
	})
}

func TestStopCommitsWhatItHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &fakeLog{slow: time.Second}
		w := fakeWriter(l, fixOptions{Batch: 1})
		var wg sync.WaitGroup
		for i := range 5 {
			wg.Go(func() {
				if err := w.Put(t.Context(), people.Device{}, oneFix(uint32(i+1), time.Now())); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		if err := w.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		wg.Wait()
		if len(l.sizes) != 5 {
			t.Errorf("%d batches, want 5", len(l.sizes))
		}
	})
}

// One request the database will never take does not spoil its neighbours'.
func TestPoisonIsRefusedAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &fakeLog{fail: func(fixes []track.Fix) error {
			for _, f := range fixes {
				if f.Worker == 3 {
					return errors.New("violates a constraint")
				}
			}
			return nil
		}}
		w := fakeWriter(l, fixOptions{})
		var wg sync.WaitGroup
		for i := range 5 {
			wg.Go(func() {
				err := w.Put(t.Context(), people.Device{}, oneFix(uint32(i+1), time.Now()))
				if (i+1 == 3) != errors.Is(err, osmand.ErrRefused) || (i+1 != 3 && err != nil) {
					t.Errorf("worker %d: %v", i+1, err)
				}
			})
		}
		wg.Wait()
		_ = w.Stop(t.Context())
	})
}

func TestUnavailableIsNoRefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := fakeWriter(&fakeLog{fail: func([]track.Fix) error { return store.ErrUnavailable }}, fixOptions{})
		err := w.Put(t.Context(), people.Device{}, oneFix(1, time.Now()))
		if !errors.Is(err, store.ErrUnavailable) || errors.Is(err, osmand.ErrRefused) {
			t.Errorf("error %v", err)
		}
		_ = w.Stop(t.Context())
	})
}

func TestAlarmIsToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var alarms []uint32
		w := fakeWriter(&fakeLog{}, fixOptions{Alarm: func(worker uint32, _ time.Time) { alarms = append(alarms, worker) }})
		fixes := oneFix(7, time.Now())
		fixes[0].SOS = true
		for range 3 {
			if err := w.Put(t.Context(), people.Device{}, fixes); err != nil {
				t.Fatal(err)
			}
		}
		w.Heard(7, time.Now(), true)
		if fmt.Sprint(alarms) != "[7]" || !w.InSOS(7) {
			t.Errorf("alarms %v, want one of worker 7", alarms)
		}
		_ = w.Stop(t.Context())
	})
}

// pretendPhones is a database with n workers on duty round the clock (the last is
// never), who carry demo-1, demo-2, ...
func pretendPhones(t testing.TB, n int) *store.DB {
	t.Helper()
	ctx := context.Background()
	db, err := store.Open(ctx, pgtest.URL(t), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	if _, err := db.Pool.Exec(ctx, "INSERT INTO worker (badge) SELECT 'W' || n FROM generate_series(1, $1::int) n", n); err != nil {
		t.Fatal(err)
	}
	for _, sql := range []string{
		"INSERT INTO rota SELECT id, d, 0, 1440 FROM worker, generate_series(1, 7) d WHERE id < (SELECT max(id) FROM worker)",
		"INSERT INTO device (unique_id) SELECT 'demo-' || id FROM worker",
		"INSERT INTO device_binding SELECT id, id, '2000-01-01' FROM device",
	} {
		if _, err := db.Pool.Exec(ctx, sql); err != nil {
			t.Fatal(err)
		}
	}
	return db
}

// The whole way on real PostGIS: a phone's request through the device listener to
// history, dot and quarantine, and the dot again after a restart.
func TestFixesFromPhoneToHistory(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	db := pretendPhones(t, 20)
	w := newFixWriter(fixOptions{DB: db})
	if err := w.Start(ctx); err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(osmand.New(osmand.Options{Directory: w.Directory, Sink: w}))
	t.Cleanup(srv.Close)
	now := time.Now().Truncate(time.Second)
	var wg sync.WaitGroup
	for i := range 22 { // demo-20 is off duty, demo-21 unknown, demo-22 too
		wg.Go(func() {
			for k := range 10 {
				q := url.Values{
					"id": {fmt.Sprint("demo-", i+1)}, "lat": {"38.2"}, "lon": {fmt.Sprint(107.5 + float64(k)/10000)},
					"timestamp": {fmt.Sprint(now.Add(time.Duration(k-10) * time.Second).Unix())},
				}
				for range 2 { // everything is sent twice
					resp, err := http.PostForm(srv.URL, q)
					if err != nil {
						t.Error(err)
						return
					}
					resp.Body.Close()
					if resp.StatusCode != http.StatusOK {
						t.Errorf("status %d", resp.StatusCode)
					}
				}
			}
		})
	}
	wg.Wait()
	if n := len(w.Live().Dots()); n != 19 {
		t.Errorf("%d dots, want 19", n)
	}
	if err := w.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	for sql, want := range map[string]int{
		"SELECT count(*) FROM worker_position":                        190,
		"SELECT count(*) FROM worker_position_default":                0,
		"SELECT count(*) FROM worker_position WHERE worker_id = 20":   0,
		"SELECT count(*) FROM worker_last WHERE lon_e7 = 1075009000":  19,
		"SELECT sum(fixes)::int FROM device_quarantine":               40,
		"SELECT count(*) FROM device_quarantine WHERE fixes = 20":     2,
		"SELECT count(*) FROM worker_position WHERE verdict <> ''":    0,
		"SELECT count(DISTINCT device_id) FROM worker_position":       19,
		"SELECT count(*) FROM worker_position WHERE speed_ms IS NULL": 190,
	} {
		var n int
		if err := db.Pool.QueryRow(ctx, sql).Scan(&n); err != nil || n != want {
			t.Errorf("%s: %d, error %v, want %d", sql, n, err, want)
		}
	}
	again := newFixWriter(fixOptions{DB: db})
	if err := again.Start(ctx); err != nil {
		t.Fatal(err)
	}
	if n := len(again.Live().Dots()); n != 19 {
		t.Errorf("%d dots after a restart, want 19", n)
	}
	if err := again.Stop(ctx); err != nil {
		t.Error(err)
	}
}

// A recorded day of a real receiver, its times moved to today, comes in whole.
func TestRecordedDayComesIn(t *testing.T) {
	const path = "../../../shared/data/gps/geolife_points.csv.gz"
	if _, err := os.Stat(path); err != nil {
		t.Skipf("SKIPPED: the shared GPS data is missing: %v", err)
	}
	t.Parallel()
	tracks, err := demo.ReadTracks(path)
	if err != nil {
		t.Fatal(err)
	}
	day := demo.DayOf(tracks["056"], "")
	seconds := map[int64]bool{}
	for _, p := range day {
		seconds[p.At.Unix()] = true
	}
	ctx := context.Background()
	db := pretendPhones(t, 2)
	w := newFixWriter(fixOptions{DB: db})
	if err := w.Start(ctx); err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(osmand.New(osmand.Options{Directory: w.Directory, Sink: w}))
	t.Cleanup(srv.Close)
	span := day[len(day)-1].At.Sub(day[0].At)
	got, err := demo.Replay(ctx, demo.ReplayOptions{
		Devices: srv.URL, Tracks: map[string][]demo.TrackPoint{"demo-1": day}, Speedup: max(1, span.Seconds()/3), For: time.Minute,
	})
	if err != nil || got.Accepted != len(day) || got.Refused+got.Unsent != 0 {
		t.Fatalf("%+v, error %v; want %d accepted", got, err, len(day))
	}
	if dots := w.Live().Dots(); len(dots) != 1 || dots[0].P != day[len(day)-1].P && geo.Distance(dots[0].P, day[len(day)-1].P) > 1 {
		t.Errorf("dots %v, want one at the last point %v", dots, day[len(day)-1].P)
	}
	if err := w.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	var kept, doubted int
	if err := db.Pool.QueryRow(ctx, "SELECT count(*), count(*) FILTER (WHERE verdict NOT IN ('', 'late')) FROM worker_position").Scan(&kept, &doubted); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d points over %s, %d seconds, %d kept, %d doubted", len(day), span, len(seconds), kept, doubted)
	if kept != len(seconds) || doubted*200 > kept {
		t.Errorf("%d kept of %d seconds, %d doubted; at most 0.5 %% may be", kept, len(seconds), doubted)
	}
}

// Positions through the handler, committed before the answer: 64 phones at a time
// with one position a request, and 16 with 1,000.
func BenchmarkDeviceListener(b *testing.B) {
	for _, size := range []int{1, 1000} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			db := pretendPhones(b, 475)
			w := newFixWriter(fixOptions{DB: db})
			if err := w.Start(context.Background()); err != nil {
				b.Fatal(err)
			}
			l := osmand.New(osmand.Options{Directory: w.Directory, Sink: w, Burst: 1e9})
			at := time.Now().Add(-24 * time.Hour).Unix()
			var n atomic.Int64
			b.SetParallelism(max(1, min(64, 16_000/size)/runtime.GOMAXPROCS(0)))
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					k := n.Add(1)
					points := make([]string, size)
					for i := range points {
						points[i] = fmt.Sprintf(`{"id":"demo-%d","lat":38.2,"lon":107.5,"timestamp":%d}`, 1+k%474, at+k/474*int64(size)+int64(i))
					}
					r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader("["+strings.Join(points, ",")+"]"))
					answer := httptest.NewRecorder()
					if l.ServeHTTP(answer, r); answer.Code != http.StatusOK && answer.Code != http.StatusTooManyRequests {
						b.Errorf("status %d", answer.Code)
					}
				}
			})
			b.ReportMetric(float64(b.N*size)/b.Elapsed().Seconds(), "fixes/s")
			_ = w.Stop(context.Background())
		})
	}
}
