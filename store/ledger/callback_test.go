// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package ledger_test

import (
	"fmt"
	"testing"
	"time"

	"onemap/dispatch"
	"onemap/store"
	"onemap/store/ledger"
)

// TestACallStillOwedMovesOnWithWhatIsMergedOn: an incident with two reporters ends, one is
// not satisfied, it is opened again and merged into another. Who was not called yet is
// owed a call about the other one, due when that has ended, and not before.
func TestACallStillOwedMovesOnWithWhatIsMergedOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	report := func(n int) int64 {
		c := ledger.Command{Report: w.placed(t, "0301", 0.5, 0.5)}
		c.Report.Reporter = store.Reporter{Name: "某人", Phone: fmt.Sprint(13800000000 + n)}
		res, err := w.led.Do(t.Context(), w.operator, c)
		if err != nil {
			t.Fatal(err)
		}
		return res.Incident.ID
	}
	do := func(id int64, a dispatch.Act) {
		t.Helper()
		a.Reason = "因为"
		in := w.find(t, id)
		if _, err := w.led.Do(t.Context(), w.operator, ledger.Command{Act: &ledger.Act{Incident: id, Version: in.Version, Act: a}}); err != nil {
			t.Fatal(a.Action, err)
		}
	}
	call := func(id int64, n int, o dispatch.CallBack) error {
		_, err := w.led.Do(t.Context(), w.operator, ledger.Command{Remark: &ledger.Remark{Incident: id, Matter: &ledger.CalledBack{N: n, Outcome: o, Text: "电话回访"}}})
		return err
	}
	end := func(id int64) {
		t.Helper()
		for _, a := range []dispatch.Action{dispatch.Accept, dispatch.Route, dispatch.Acknowledge, dispatch.Resolve, dispatch.Verify, dispatch.Close} {
			do(id, dispatch.Act{Action: a})
		}
	}
	owed := func() (id, closes int64, due time.Time) {
		t.Helper()
		if n := w.count(t, "call_back c", "c.done_at IS NULL"); n != 1 {
			t.Fatalf("%d calls are owed", n)
		}
		if err := w.db.Pool.QueryRow(t.Context(), "SELECT incident_id, closes_id, due FROM call_back WHERE done_at IS NULL").Scan(&id, &closes, &due); err != nil {
			t.Fatal(err)
		}
		return id, closes, due
	}

	a, twin, b := report(1), report(2), report(3)
	do(twin, dispatch.Act{Action: dispatch.Merge, Into: a})
	end(a)
	if err := call(a, 1, dispatch.Unsatisfied); err != nil {
		t.Fatal(err)
	}
	_, _, first := owed()
	do(a, dispatch.Act{Action: dispatch.Reopen})
	if err := call(twin, 1, dispatch.Satisfied); err == nil {
		t.Error("called back while the incident is open again")
	}
	w.now = w.now.Add(240 * time.Hour)
	do(a, dispatch.Act{Action: dispatch.Merge, Into: b})
	if id, closes, _ := owed(); id != twin || closes != b {
		t.Errorf("of %d a call is owed about %d; want %d about %d", id, closes, twin, b)
	}
	if err := call(twin, 1, dispatch.Satisfied); err == nil {
		t.Error("called back while what it was merged into is open")
	}
	end(b)
	var closes int64
	var due time.Time
	if err := w.db.Pool.QueryRow(t.Context(), "SELECT closes_id, due FROM call_back WHERE incident_id = $1 AND done_at IS NULL", twin).Scan(&closes, &due); err != nil {
		t.Fatal(err)
	}
	if closes != b || !due.After(w.now) || !due.After(first) {
		t.Errorf("owed about %d by %v, before %v; it is %v", closes, due, first, w.now)
	}
	if n := w.count(t, "call_back c", "c.done_at IS NULL"); n != 3 { // each of the three reporters
		t.Errorf("%d calls are owed at the end", n)
	}
	if err := call(twin, 1, dispatch.Satisfied); err != nil {
		t.Error(err)
	}
}
