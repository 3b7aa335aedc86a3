// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package ledger_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"onemap/auth"
	"onemap/dispatch"
	"onemap/store"
	"onemap/store/ledger"
)

// TestTheLiveStateIsWhatTheTablesSay lets incidents live at random and then
// renders each open one from its row: the live state must say the same, in both
// views, and hold no closed one.
func TestTheLiveStateIsWhatTheTablesSay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	seed := uint64(time.Now().UnixNano())
	rnd := rand.New(rand.NewPCG(seed, 3))
	t.Logf("seed %d", seed)
	categories := []string{"0301", "0101", "0102", "0401", "9901"}
	var ids []int64
	done := map[dispatch.Action]bool{}
	for range 120 {
		w.now = w.now.Add(time.Duration(rnd.IntN(1e9)) * 97) // nanoseconds, which the database does not keep
		if len(ids) < 4 || rnd.IntN(4) == 0 {
			lon := rnd.Float64() * 2.2 // some outside
			ids = append(ids, w.report(t, categories[rnd.IntN(len(categories))], lon, rnd.Float64(), ledger.Command{}).Incident.ID)
			continue
		}
		in, err := w.db.Incident(t.Context(), w.county, auth.CaseView, ids[rnd.IntN(len(ids))])
		if err != nil {
			t.Fatal(err)
		}
		can := dispatch.Possible(in.State, auth.HallOperator)
		if len(can) == 0 {
			continue
		}
		a := w.whole(can[rnd.IntN(len(can))])
		a.Into = ids[rnd.IntN(len(ids))]
		_, err = w.led.Do(t.Context(), w.operator, ledger.Command{Act: &ledger.Act{Incident: in.ID, Version: in.Version, Act: a}})
		var guard *dispatch.GuardError
		if err != nil && !errors.As(err, &guard) {
			t.Fatalf("%s while %s: %v", a.Action, in.State, err)
		}
		done[a.Action] = done[a.Action] || err == nil
	}
	t.Logf("done: %v", slices.Sorted(maps.Keys(done)))
	w.sequence(t)
	_, st, err := ledger.LoadState(t.Context(), w.db, auth.System("test"))
	if err != nil {
		t.Fatal(err)
	}
	rows, err := w.db.Incidents(t.Context(), auth.System("test"), auth.CaseView, store.IncidentFilter{Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	open := 0
	live := map[string][2]json.RawMessage{}
	for _, it := range st.Items() {
		if it.Key.Kind == "incident" {
			live[it.Key.ID] = [2]json.RawMessage{it.Shared, it.Case}
		}
	}
	for _, in := range rows {
		if !in.State.Open() {
			continue
		}
		open++
		stages, err := w.db.Stages(t.Context(), w.county, auth.CaseView, in.ID)
		if err != nil {
			t.Fatal(err)
		}
		for n, st := range stages {
			last := n == len(stages)-1
			if st.N != n+1 || (st.EndedAt == nil) != last || last && (st.Level != in.OwnerLevel || st.N != in.Stage || st.Department != in.Department) {
				t.Errorf("incident %d, stage %d of %d, owner %d of department %d: %+v", in.ID, in.Stage, len(stages), in.OwnerLevel, in.Department, st)
			}
		}
		shared, full, err := w.cat.Payloads(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		got := live[fmt.Sprint(in.ID)]
		if !same(t, got[0], shared) || !same(t, got[1], full) {
			t.Errorf("incident %d: live state\n%s\n%s\nrow\n%s\n%s", in.ID, got[0], got[1], shared, full)
		}
	}
	if open != len(live) || open == 0 || open == len(rows) {
		t.Errorf("%d incidents, %d open, %d in the live state", len(rows), open, len(live))
	}
}

func same(t *testing.T, a, b json.RawMessage) bool {
	t.Helper()
	var x, y any
	if json.Unmarshal(a, &x) != nil || json.Unmarshal(b, &y) != nil {
		return false
	}
	return reflect.DeepEqual(x, y)
}
