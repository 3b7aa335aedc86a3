// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package ledger_test

import (
	"errors"
	"fmt"
	"os"
	"testing"

	"onemap/auth"
	"onemap/dispatch"
	"onemap/store/ledger"
)

// blocked waits until as many backends wait for a lock of a kind.
func (w *world) blocked(t *testing.T, kind string, n int) {
	t.Helper()
	waitFor(t, fmt.Sprintf("%d waiting for %s", n, kind), func() bool {
		return w.count(t, "pg_stat_activity", "datname = current_database() AND wait_event_type = 'Lock' AND wait_event = '"+kind+"'") >= n
	})
}

// correction is a correction of an incident's place to where lon is 0.5.
func (w *world) correction(t *testing.T, id int64, version int) ledger.Command {
	t.Helper()
	place := w.placed(t, "0301", 0.5, 0.5).Place
	return ledger.Command{Act: &ledger.Act{Incident: id, Version: version, Act: dispatch.Act{Action: dispatch.Correct, Reason: "地址有误", Place: &place}}}
}

// TestACorrectionWaitsForARedrawWithNothingLocked: an incident that came in while a
// redraw was under way is corrected while the redraw waits for the last reports.
// Neither is rolled back for the other's sake.
func TestACorrectionWaitsForARedrawWithNothingLocked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var worker int64
	if err := w.db.Pool.QueryRow(t.Context(), "INSERT INTO worker (badge) VALUES ('W1') RETURNING id").Scan(&worker); err != nil {
		t.Fatal(err)
	}
	root := w.cat.Now().Tree.Nodes()[0]
	her := auth.NewActor(auth.Grant{ID: "token:w", Role: auth.GridWorker, Worker: uint32(worker), Intervals: []auth.Interval{{Lo: root.No, Hi: root.Last}}})
	begin := func(sql string, args ...any) (end func()) {
		t.Helper()
		tx, err := w.db.Pool.Begin(t.Context())
		if err == nil {
			_, err = tx.Exec(t.Context(), sql, args...)
		}
		if err != nil {
			t.Fatal(err)
		}
		return func() { _ = tx.Rollback(t.Context()) }
	}
	last := begin("SELECT hold_grids($1)", root.Version) // a report that takes its time
	defer last()
	busy := begin("SELECT FROM worker WHERE id = $1 FOR UPDATE", worker)
	defer busy()
	reported, redrawn1, corrected := make(chan error, 1), make(chan error, 1), make(chan error, 1)
	report, v := w.placed(t, "0301", 1.5, 0.5), w.draft(t, redrawn(0.7))
	go func() {
		_, err := w.led.Do(t.Context(), her, ledger.Command{Report: report})
		reported <- err
	}()
	w.blocked(t, "transactionid", 1) // the report holds the grids, and comes in
	go func() {
		_, err := w.led.Enact(t.Context(), w.operator, ledger.Enactment{Version: v, AcceptFaults: true})
		redrawn1 <- err
	}()
	w.blocked(t, "advisory", 1) // the redraw has moved what was there
	busy()
	if err := <-reported; err != nil {
		t.Fatal(err)
	}
	c := w.correction(t, 1, 1)
	go func() {
		_, err := w.led.Do(t.Context(), w.operator, c)
		corrected <- err
	}()
	w.blocked(t, "advisory", 2)
	last()
	if err := <-redrawn1; err != nil {
		t.Errorf("the redraw: %v", err)
	}
	if err := <-corrected; !errors.Is(err, ledger.ErrGridsChanged) {
		t.Errorf("the correction, placed by grids that are gone: %v", err)
	}
	if n := w.misplaced(t); n != 0 || w.count(t, "incident", "open") != 1 {
		t.Errorf("%d incidents are not where PostGIS puts them", n)
	}
}

// TestCorrectionsAndMergesRaceRedraws: many at a time, and nobody ever waits for who
// waits for them.
func TestCorrectionsAndMergesRaceRedraws(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.operator = auth.NewActor(auth.Grant{ID: "token:1", Role: auth.HallOperator, Sensitive: true, Intervals: []auth.Interval{{Lo: 1, Hi: 1 << 30}}}) // of every redraw
	stop, ended := make(chan struct{}), make(chan error, 4)
	for i := range 4 {
		go func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					ended <- nil
					return
				default:
				}
				if err := w.correctAndMerge(t, i, n); err != nil {
					ended <- err
					return
				}
			}
		}()
	}
	rounds := 5
	if os.Getenv("ONEMAP_SOAK") == "1" {
		rounds = 300
	}
	for i := range rounds {
		v := w.draft(t, redrawn([]float64{0.3, 1.7, 0.9}[i%3]))
		if _, err := w.led.Enact(t.Context(), w.operator, ledger.Enactment{Version: v, AcceptFaults: true}); err != nil {
			t.Errorf("redraw %d: %v", i, err)
		}
	}
	close(stop)
	for range 4 {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	if n := w.misplaced(t); n != 0 {
		t.Errorf("%d open incidents are not where PostGIS puts them", n)
	}
	t.Logf("%d redraws, %d corrections, %d merged", rounds, w.count(t, "incident_journal", "kind = 'correct'"), w.count(t, "incident", "state = 'merged'"))
	w.db.Pool.Reset() // connections tell what they counted when they end
	waitFor(t, "end of the other connections", func() bool {
		return w.count(t, "pg_stat_activity", "datname = current_database() AND backend_type = 'client backend'") == 1
	})
	if n := w.count(t, "(SELECT generate_series(1, deadlocks) FROM pg_stat_database WHERE datname = current_database()) d", ""); n != 0 {
		t.Errorf("%d deadlocks", n)
	}
}

// correctAndMerge reports two incidents, corrects the place of the first and merges
// them into each other at a time. It returns what nobody should be told.
func (w *world) correctAndMerge(t *testing.T, i, n int) error {
	var ids [2]int64
	for k := range ids {
		for {
			seen := w.cat.Now()
			res, err := w.led.Do(t.Context(), w.operator, ledger.Command{Report: w.placed(t, "0301", 0.1+float64((i+n)%9)/5, 0.5)})
			if errors.Is(err, ledger.ErrGridsChanged) {
				if err = w.cat.Renew(t.Context(), seen); err == nil {
					continue
				}
			}
			if err != nil {
				return err
			}
			ids[k] = res.Incident.ID
			break
		}
	}
	version := func(id int64) (v int, err error) {
		err = w.db.Pool.QueryRow(t.Context(), "SELECT version FROM incident WHERE id = $1", id).Scan(&v)
		return v, err
	}
	for range 20 {
		seen := w.cat.Now()
		v, err := version(ids[0])
		if err != nil {
			return err
		}
		_, err = w.led.Do(t.Context(), w.operator, w.correction(t, ids[0], v))
		switch {
		case errors.Is(err, ledger.ErrGridsChanged):
			err = w.cat.Renew(t.Context(), seen)
		case isVersion(err): // the redraw moved it
			err = nil
		case err == nil:
			return w.mergeEachOther(t, ids, version)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (w *world) mergeEachOther(t *testing.T, ids [2]int64, version func(int64) (int, error)) error {
	done := make(chan error, 2)
	for k := range ids {
		go func() {
			v, err := version(ids[k])
			if err == nil {
				_, err = w.led.Do(t.Context(), w.operator, ledger.Command{Act: &ledger.Act{Incident: ids[k], Version: v, Act: dispatch.Act{Action: dispatch.Merge, Into: ids[1-k]}}})
			}
			var state *dispatch.StateError
			var guard *dispatch.GuardError
			if errors.As(err, &state) || errors.As(err, &guard) || isVersion(err) {
				err = nil // the other was first
			}
			done <- err
		}()
	}
	return errors.Join(<-done, <-done)
}
