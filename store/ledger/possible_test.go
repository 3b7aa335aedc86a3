// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"onemap/auth"
	"onemap/dispatch"
	"onemap/store"
	"onemap/store/ledger"
)

// TestWhatIsPossibleIsDoneAndWhatIsNotIsRefused leads incidents through random lives. At
// every step it asks for everybody what is possible, and tries each act there is on the
// incident as it stands: those that were named are done, and all others refused.
func TestWhatIsPossibleIsDoneAndWhatIsNotIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.field(t, 3)
	if _, err := w.db.Pool.Exec(t.Context(), "INSERT INTO worker_grid (worker_id, grid_code, root_code) SELECT id, 'W', 'C' FROM worker"); err != nil {
		t.Fatal(err)
	}
	rnd := seeded(t)
	department := func(id string, dept int64) auth.Actor {
		root := w.cat.Now().Tree.Nodes()[0]
		return auth.NewActor(auth.Grant{ID: id, Role: auth.DeptHandler, Department: dept, Intervals: []auth.Interval{{Lo: root.No, Hi: root.Last}}})
	}
	lead := w.cat.Now().Departments[w.cat.Now().Categories["0501"].LeadDept]
	w.unseen, w.seen = w.cat.Now().Departments[w.cat.Now().Categories["0301"].LeadDept], lead
	var assists int64 // one that leads nothing here
	for _, id := range slices.Sorted(maps.Values(w.cat.Now().Departments)) {
		if id != w.seen && id != w.unseen {
			assists = id
		}
	}
	w.led = ledger.New(ledger.Options{
		DB: w.db, Catalogue: w.cat, Sealer: w.seal, Now: func() time.Time { return w.now }, ScopesKnow: time.Millisecond, Wake: func() {},
		Staffed: func(_ context.Context, _ pgx.Tx, department int64, _ store.Incident, _ time.Time) (bool, error) {
			return department != w.unseen, nil
		},
	})
	locked := auth.NewActor(auth.Grant{ID: "token:9", Role: auth.Dispatcher, Locked: true, Intervals: []auth.Interval{{Lo: 1, Hi: 1000}}})
	actors := map[string]auth.Actor{
		"hall": w.operator, "town": w.townActor(t, "W"), "leader": w.somebody("token:3", auth.CountyLeader), "locked": locked,
		"lead department": department("token:d1", lead), "assisting department": department("token:d2", assists),
		"reporter": w.worker(1), "worker sent": w.worker(2),
	}
	target := w.report(t, "0501", 0.5, 0.5, ledger.Command{}).Incident.ID
	asked, named := 0, map[dispatch.Action]int{}
	for range max(rounds(60), 2) {
		id := w.oneToLead(t, rnd, assists)
		for range 14 {
			moves := w.tryAll(t, id, target, actors, func(a dispatch.Action) { named[a]++ })
			asked += len(actors)
			if !w.moveOn(t, rnd, id, target, actors, moves) {
				break
			}
		}
	}
	t.Logf("%d answers, named %v", asked, named)
	if named[dispatch.VoidIt] > 0 || len(named) < 4 || rounds(60) == 60 && len(named) < len(dispatch.Actions())-1 { // nobody voids alone
		t.Errorf("possible: %v", named)
	}
}

// oneToLead is a new incident, reported by worker 1 or by the hall.
func (w *world) oneToLead(t *testing.T, rnd *rand.Rand, assists int64) int64 {
	t.Helper()
	by := []auth.Actor{w.operator, w.worker(1)}[rnd.IntN(2)]
	r := w.placed(t, []string{"0501", "0301"}[rnd.IntN(2)], 0.5, 0.5)
	r.Reporter = store.Reporter{Name: "某人", Phone: "13800000000"}
	res, err := w.led.Do(t.Context(), by, ledger.Command{Report: r})
	if err == nil {
		_, err = w.led.Do(t.Context(), w.operator, ledger.Command{Remark: &ledger.Remark{Incident: res.Incident.ID, Matter: &ledger.Assist{Department: assists}}})
	}
	if err != nil {
		t.Fatal(err)
	}
	return res.Incident.ID
}

// fullest is an act that brings all that it needs, as well as anybody could choose it.
func (w *world) fullest(in store.Incident, a dispatch.Action, into int64) dispatch.Act {
	act := dispatch.Act{Action: a, Reason: "because", Door: "court", Until: w.now.AddDate(0, 1, 0), Into: into, Priority: 2}
	if a == dispatch.Delegate {
		act.Level = in.OwnerLevel + 1
	}
	act.Wrong = a == dispatch.Reassign
	switch a {
	case dispatch.Route, dispatch.Delegate, dispatch.Reassign:
		if in.Department == w.unseen {
			act.Department = w.seen
		}
	}
	return act
}

type chosen struct {
	who string
	act dispatch.Action
}

// tryAll tries every act by everybody who reads the incident, and returns those done.
func (w *world) tryAll(t *testing.T, id, target int64, actors map[string]auth.Actor, note func(dispatch.Action)) (done []chosen) {
	t.Helper()
	for who, actor := range actors {
		in, err := w.db.Incident(t.Context(), scopeOf(actor), auth.CaseView, id)
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		choices, err := w.led.Possible(t.Context(), w.db, actor, in)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range dispatch.Actions() {
			i := slices.IndexFunc(choices, func(c dispatch.Choice) bool { return c.Action == a })
			err := w.led.Try(t.Context(), actor, ledger.Command{Act: &ledger.Act{Incident: id, Version: in.Version, Act: w.fullest(in, a, target)}})
			if (err == nil) != (i >= 0) {
				t.Fatalf("%s, %s by %s: possible %t, answered %v", in.State, a, who, i >= 0, err)
			}
			var state *dispatch.StateError
			if errors.As(err, &state) && !slices.EqualFunc(state.Possible, choices, func(a dispatch.Action, c dispatch.Choice) bool { return a == c.Action }) {
				t.Fatalf("%s, %s by %s: the refusal names %v, the answer %v", in.State, a, who, state.Possible, choices)
			}
			if err != nil {
				continue
			}
			note(a)
			done = append(done, chosen{who, a})
			w.needsAll(t, actor, in, choices[i], target)
		}
	}
	return done
}

// needsAll takes away what an act needs, one after the other: it is then refused for that.
func (w *world) needsAll(t *testing.T, actor auth.Actor, in store.Incident, c dispatch.Choice, target int64) {
	t.Helper()
	for _, n := range c.Needs {
		act := w.fullest(in, c.Action, target)
		switch n {
		case dispatch.Reason:
			act.Reason = ""
		case dispatch.Door:
			act.Door = ""
		case dispatch.Level:
			act.Level = 0
		case dispatch.Until:
			act.Until = dispatch.Act{}.Until
		case dispatch.Into:
			act.Into = 0
		case dispatch.Edits:
			act.Priority = 0
		case dispatch.Owner:
			act.Wrong = false
		case dispatch.Dept:
			act.Department = 0
		}
		if err := w.led.Try(t.Context(), actor, ledger.Command{Act: &ledger.Act{Incident: in.ID, Version: in.Version, Act: act}}); err == nil {
			t.Fatalf("%s is said to need %s and is done without", c.Action, n)
		}
	}
}

// moveOn takes one of the possible acts, or sends a worker, or calls back; false where
// nothing is left to do.
func (w *world) moveOn(t *testing.T, rnd *rand.Rand, id, target int64, actors map[string]auth.Actor, moves []chosen) bool {
	t.Helper()
	in, err := w.db.Incident(t.Context(), w.county, auth.CaseView, id)
	if err != nil {
		t.Fatal(err)
	}
	switch in.State {
	case dispatch.Routed, dispatch.Dispatched:
		if w.send(t, rnd, in) {
			return true
		}
	case dispatch.Closed: // fails where it was called back before
		_, _ = w.led.Do(t.Context(), w.operator, ledger.Command{Remark: &ledger.Remark{Incident: id, Matter: &ledger.CalledBack{N: 1, Outcome: dispatch.Unsatisfied}}})
		if in.Reopened == 0 && rnd.IntN(2) == 0 {
			return true // to look at what is possible now
		}
	}
	if len(moves) == 0 {
		return false
	}
	m := moves[rnd.IntN(len(moves))]
	for range 3 { // ends are reached soon enough
		switch m.act {
		case dispatch.Refuse, dispatch.Merge, dispatch.Transfer:
			m = moves[rnd.IntN(len(moves))]
		}
	}
	_, err = w.led.Do(t.Context(), actors[m.who], ledger.Command{Act: &ledger.Act{Incident: id, Version: in.Version, Act: w.fullest(in, m.act, target)}})
	if err != nil {
		t.Fatal(fmt.Errorf("%s by %s: %w", m.act, m.who, err))
	}
	return true
}

// send offers a routed incident to worker 2, or lets that one say yes.
func (w *world) send(t *testing.T, rnd *rand.Rand, in store.Incident) bool {
	t.Helper()
	if rnd.IntN(2) == 0 {
		return false
	}
	if in.State == dispatch.Routed {
		_, err := w.offer(w.operator, in.ID, 0, true, 2)
		return err == nil // another one waits for an answer, or there is too much work
	}
	rows, err := w.db.Pool.Query(t.Context(), "SELECT id FROM offer WHERE incident_id = $1 AND state = 'offered'", in.ID)
	if err != nil {
		t.Fatal(err)
	}
	var offer int64
	for rows.Next() {
		if err := rows.Scan(&offer); err != nil {
			t.Fatal(err)
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	_, err = w.say(store.Offer{Offer: dispatch.Offer{ID: offer, Worker: 2}}, dispatch.AcceptOffer, "", nil)
	return err == nil
}
