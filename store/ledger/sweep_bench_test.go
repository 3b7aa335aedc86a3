// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package ledger_test

import (
	"testing"
	"time"

	"onemap/store/ledger"
)

// BenchmarkSweep fires 200 limits that end at the same moment, as they do at the close
// of business, beside the fired timers of a million closed incidents. The target is
// that the last of them is at most a second late.
func BenchmarkSweep(b *testing.B) {
	const many = 200
	w := newWorld(b)
	h := &hand{}
	h.set(w.now)
	if _, err := w.db.Pool.Exec(b.Context(), `SET statement_timeout = 0; INSERT INTO timer (incident_id, stage, rung, at, done_at, did, node)
		SELECT 1000000 + i, 1, r, now() - i * interval '1 s', now(), 'late', 'a' FROM generate_series(1, 1000000) i, unnest('{remind,breach,supervise}'::text[]) r; ANALYZE timer`); err != nil {
		b.Fatal(err)
	}
	_, s := w.server(h, "a")
	s.Batch = 1000
	s.Poll = 100 * time.Millisecond
	defer run(s)()
	longest := time.Duration(0)
	for b.Loop() {
		b.StopTimer()
		for range many {
			w.report(b, "0103", 0.5, 0.5, ledger.Command{})
		}
		var at time.Time
		if err := w.db.Pool.QueryRow(b.Context(), "SELECT min(at) FROM timer WHERE rung = 'remind' AND done_at IS NULL").Scan(&at); err != nil {
			b.Fatal(err)
		}
		h.set(at.Add(-time.Second))
		w.swept(b, h) // those to sign
		b.StartTimer()
		begun := time.Now()
		h.set(at)
		w.swept(b, h)
		longest = max(longest, time.Since(begun))
	}
	b.ReportMetric(longest.Seconds(), "s-late")
	b.ReportMetric(float64(many*b.N)/b.Elapsed().Seconds(), "rungs/s")
}
