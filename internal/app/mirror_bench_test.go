// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"onemap/auth"
)

// BenchmarkMirrorLoad reads every incident of the demo county into memory: of a past of
// 3,000, with ONEMAP_SOAK=1 of three million, made of 300,000 by writing them over and over,
// each time a little further on. What the incidents take is what the heap has more.
func BenchmarkMirrorLoad(b *testing.B) {
	past, times := 3000, 0
	if soak() {
		past, times = 300_000, 9
	}
	st := demoStand(b, past)
	if times > 0 {
		conn, err := pgx.Connect(b.Context(), st.s.o.DatabaseURL) // as the owner
		if err != nil {
			b.Fatal(err)
		}
		defer conn.Close(context.Background())
		for _, sql := range []string{"SET statement_timeout = 0", "ALTER TABLE incident DISABLE TRIGGER USER", "DROP INDEX incident_geom", "DROP INDEX incident_grid", "DROP INDEX incident_ended"} {
			if _, err := conn.Exec(b.Context(), sql); err != nil {
				b.Fatal(err)
			}
		}
		began := time.Now()
		for i := range times {
			if _, err := conn.Exec(b.Context(), `INSERT INTO incident (state, category, priority, title, body, source, geom, raw_lon, raw_lat, raw_datum, address, place, grid_id, grid_no, cell6, cell7, cell8, cell9,
				owner_level, department_id, reported_at, received_at, stage_due, resolved_at, closed_at, history)
				SELECT state, category, priority, title, body, source, geom, raw_lon, raw_lat, raw_datum, address, place, grid_id, grid_no, cell6, cell7, cell8, cell9,
				owner_level, department_id, reported_at - make_interval(days => $1), received_at, stage_due, resolved_at, closed_at, history
				FROM incident WHERE id <= $2`, 100*(i+1), past); err != nil {
				b.Fatal(err)
			}
		}
		if _, err := conn.Exec(b.Context(), "VACUUM ANALYZE incident"); err != nil {
			b.Fatal(err)
		}
		b.Logf("written in %v", time.Since(began).Round(time.Second))
	}
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	st.s.mirror.Forget()
	before := heap()
	for b.Loop() {
		if err := st.s.mirror.Load(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	rows, bytes := st.s.mirror.Size()
	b.ReportMetric(float64(rows), "incidents")
	b.ReportMetric(float64(bytes)/float64(rows), "B/incident")
	b.ReportMetric(float64(int64(heap()-before))/float64(rows), "heap-B/incident")
	b.ReportMetric(float64(rows)*float64(b.N)/b.Elapsed().Seconds(), "incidents/s")
}

// BenchmarkReportsBesideTheMirror takes reports from four clients over HTTP, while the
// incidents in memory follow, and while nothing is held in memory.
func BenchmarkReportsBesideTheMirror(b *testing.B) {
	st := demoStand(b, 3000)
	hall := st.token(auth.Dispatcher, "")
	located, _ := st.everyIncident()
	take := func(b *testing.B) {
		const clients = 4
		var wait sync.WaitGroup
		b.ResetTimer()
		for c := range clients {
			wait.Go(func() {
				for i := c; i < b.N; i += clients {
					at := located[i%len(located)].at
					if a := st.report(hall, at.Lon(), at.Lat()); a.status != 201 {
						b.Errorf("%d %s", a.status, a.body)
						return
					}
				}
			})
		}
		wait.Wait()
		st.settled()
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "reports/s")
	}
	b.Run("followed", func(b *testing.B) {
		if err := st.s.mirror.Load(b.Context()); err != nil {
			b.Fatal(err)
		}
		take(b)
		v, err := st.s.mirror.View()
		if err != nil || int(v.Seq) < st.settled()-1 {
			b.Fatal("nothing followed", err)
		}
	})
	b.Run("nothing", func(b *testing.B) {
		st.s.mirror.Forget()
		take(b)
		if _, err := st.s.mirror.View(); err == nil {
			b.Fatal("something followed")
		}
	})
}
