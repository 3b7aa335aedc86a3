// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package ledger_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"onemap/auth"
	"onemap/dispatch"
	"onemap/dispatch/calendar"
	"onemap/store"
	"onemap/store/ledger"
)

// TestTheDatabaseAllowsJustTheMachinesMoves tries every pair of states on a row.
func TestTheDatabaseAllowsJustTheMachinesMoves(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := w.report(t, "0301", 0.5, 0.5, ledger.Command{}).Incident.ID
	other := w.report(t, "0301", 0.5, 0.5, ledger.Command{}).Incident.ID
	moves := dispatch.Moves()
	tx, err := w.db.Pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(t.Context())
	const carried = `closed_at = CASE WHEN $2 IN ('closed', 'archived') THEN now() END,
		merged_into = CASE WHEN $2 = 'merged' THEN $3::bigint END, review_at = CASE WHEN $2 = 'suspended' THEN now() END`
	set := func(tx pgx.Tx, id int64, s dispatch.State) error {
		_, err := tx.Exec(t.Context(), "UPDATE incident SET state = $2, "+carried+" WHERE id = $1", id, string(s), other)
		return err
	}
	tried := 0
	for _, from := range dispatch.States {
		var at int64 // a row may come in as anything
		err := tx.QueryRow(t.Context(), `INSERT INTO incident (state, category, priority, title, source, place, grid_id, grid_no, owner_level, reported_at, closed_at, merged_into, review_at)
			SELECT $2, category, priority, title, source, 'none', grid_id, grid_no, owner_level, reported_at,
			CASE WHEN $2 IN ('closed', 'archived') THEN now() END, CASE WHEN $2 = 'merged' THEN $3::bigint END, CASE WHEN $2 = 'suspended' THEN now() END
			FROM incident WHERE id = $1 RETURNING id`, id, string(from), other).Scan(&at)
		if err != nil {
			t.Fatal(err)
		}
		for _, to := range dispatch.States {
			if from == to {
				continue
			}
			tried++
			sub, err := tx.Begin(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			err = set(sub, at, to)
			var pe *pgconn.PgError
			want := slices.Contains(moves, dispatch.Move{From: from, To: to})
			if (err == nil) != want || err != nil && (!errors.As(err, &pe) || pe.ConstraintName != "incident_moves") {
				t.Errorf("%s -> %s: the machine says %t, the database %v", from, to, want, err)
			}
			if err := sub.Rollback(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if tried != 19*18 {
		t.Errorf("%d pairs", tried)
	}
}

// life is what a simple reader of an incident's answers believes of it: its state by
// the words of the design, written down here once more.
var life = map[dispatch.Action]struct {
	from string
	to   dispatch.State
}{
	dispatch.Accept: {"reported reopened", dispatch.Accepted}, dispatch.Refuse: {"reported", dispatch.Refused},
	dispatch.Route: {"accepted returned escalated", dispatch.Routed}, dispatch.Acknowledge: {"routed", dispatch.Acknowledged},
	dispatch.Arrive: {"acknowledged", dispatch.OnScene}, dispatch.Resolve: {"acknowledged on_scene rework", dispatch.Resolved},
	dispatch.Verify: {"resolved", dispatch.Verified}, dispatch.SendBack: {"resolved", dispatch.Rework}, dispatch.Close: {"verified", dispatch.Closed},
	dispatch.Archive: {"closed", dispatch.Archived}, dispatch.Return: {"routed dispatched acknowledged on_scene", dispatch.Returned},
	dispatch.Reassign: {"routed dispatched acknowledged on_scene rework", dispatch.Routed},
	dispatch.Escalate: {"accepted routed dispatched acknowledged on_scene rework suspended", dispatch.Escalated},
	dispatch.Delegate: {"accepted routed acknowledged returned escalated", dispatch.Routed},
	dispatch.Suspend:  {"routed acknowledged on_scene", dispatch.Suspended}, dispatch.Resume: {"suspended", dispatch.Acknowledged},
	dispatch.Merge: {"reported accepted routed returned escalated reopened", dispatch.Merged}, dispatch.Transfer: {"accepted routed dispatched acknowledged", dispatch.Transferred},
	dispatch.VoidIt: {"reported accepted routed returned escalated suspended reopened", dispatch.Void}, dispatch.Reopen: {"closed", dispatch.Reopened},
}

func member(list string, s dispatch.State) bool {
	return slices.Contains(strings.Fields(list), string(s))
}

// TestRandomLivesKeepOneOwnerAndExplainThemselves sends commands at random, most of them
// out of place, and holds each answer against a simple model. At the end every journal
// tells the state and version, and every stage follows the one before.
func TestRandomLivesKeepOneOwnerAndExplainThemselves(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	seed := uint64(time.Now().UnixNano())
	rnd := rand.New(rand.NewPCG(seed, 5))
	t.Logf("seed %d", seed)
	second := w.somebody("token:2", auth.Dispatcher)
	leader := w.somebody("token:3", auth.CountyLeader)
	state := map[int64]dispatch.State{}
	version := map[int64]int{}
	var ids []int64
	pick := func() int64 { return ids[rnd.IntN(len(ids))] }
	done, refused := map[string]int{}, 0
	dept := slices.Sorted(maps.Values(w.cat.Now().Departments)) // in one order, so that a seed draws the same again
	for range 900 {
		w.now = w.now.Add(time.Duration(rnd.IntN(1800)) * time.Second)
		if len(ids) < 3 || rnd.IntN(25) == 0 {
			c := ledger.Command{Report: w.placed(t, []string{"0301", "0101", "0601"}[rnd.IntN(3)], rnd.Float64()*2, 0.5)}
			c.Report.Reporter = store.Reporter{Name: "某人", Phone: fmt.Sprint(13800000000 + rnd.IntN(1000))}
			res, err := w.led.Do(t.Context(), w.operator, c)
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, res.Incident.ID)
			state[res.Incident.ID], version[res.Incident.ID] = dispatch.Reported, 1
			continue
		}
		id := pick()
		if rnd.IntN(4) == 0 {
			actor, m := w.anyRemark(rnd, []auth.Actor{w.operator, second, leader}, dept)
			res, err := w.led.Do(t.Context(), actor, ledger.Command{Remark: &ledger.Remark{Incident: id, Matter: m}})
			if err != nil {
				refused++
				continue
			}
			done[fmt.Sprintf("%T", m)]++
			if res.Incident.Version != version[id] { // a decision that was carried out
				if d, ok := m.(*ledger.Decision); !ok || !d.Approve || res.Incident.Version != version[id]+1 {
					t.Fatalf("%T moved incident %d from version %d to %d", m, id, version[id], res.Incident.Version)
				}
			} else if res.Incident.State != state[id] {
				t.Fatalf("%T moved incident %d from %s to %s", m, id, state[id], res.Incident.State)
			}
			state[id], version[id] = res.Incident.State, res.Incident.Version
			continue
		}
		acts := dispatch.Actions()
		a := dispatch.Act{Action: acts[rnd.IntN(len(acts))], Reason: "because", Level: rnd.IntN(4), Department: []int64{0, dept[rnd.IntN(len(dept))]}[rnd.IntN(2)], Until: w.now.AddDate(0, 0, rnd.IntN(9)-1), Priority: 1 + rnd.IntN(4)}
		into := pick()
		a.Into = into
		if a.Action == dispatch.Refuse && rnd.IntN(4) > 0 {
			a.Door = "court"
		}
		stale := rnd.IntN(15) == 0
		v := version[id]
		if stale {
			v++
		}
		res, err := w.led.Do(t.Context(), w.operator, ledger.Command{Act: &ledger.Act{Incident: id, Version: v, Act: a}})
		rule, listed := life[a.Action]
		possible := listed && member(rule.from, state[id]) || a.Action == dispatch.Correct && state[id].Open()
		var se *dispatch.StateError
		var re *dispatch.RoleError
		var ge *dispatch.GuardError
		var ne *dispatch.NeedError
		switch {
		case stale:
			if !isVersion(err) {
				t.Fatalf("%s against another version: %v", a.Action, err)
			}
		case err == nil:
			to := rule.to
			if a.Action == dispatch.Correct {
				to = state[id]
			}
			if !possible || res.Incident.State != to || res.Incident.Version != v+1 {
				t.Fatalf("%s while %s led to %s, version %d after %d", a.Action, state[id], res.Incident.State, res.Incident.Version, v)
			}
			state[id], version[id] = to, v+1
			done[string(a.Action)]++
		case errors.As(err, &se), errors.As(err, &re):
			if possible {
				t.Fatalf("%s while %s: %v", a.Action, state[id], err)
			}
		case errors.As(err, &ge), errors.As(err, &ne):
			if !possible {
				t.Fatalf("%s while %s: %v", a.Action, state[id], err)
			}
		default:
			t.Fatalf("%s while %s: %v", a.Action, state[id], err)
		}
	}
	t.Logf("%d incidents, %d remarks refused; done %v", len(ids), refused, done)
	for _, id := range ids {
		w.explained(t, id, state[id], version[id])
	}
	if n := w.count(t, "call_back c JOIN incident i ON i.id = c.closes_id", "c.done_at IS NULL AND i.state = 'merged'"); n != 0 {
		t.Errorf("%d call-backs wait for incidents that were merged on", n)
	}
	// Who ended without being merged on is owed for by exactly one open or one done call-back.
	if n := w.count(t, "incident i", "NOT i.open AND i.state <> 'merged' AND NOT EXISTS (SELECT FROM call_back c WHERE c.incident_id = i.id)"); n != 0 {
		t.Errorf("%d incidents ended and nobody is to call back", n)
	}
}

// somebody is an actor of a role over the whole county.
func (w *world) somebody(id string, r auth.Role) auth.Actor {
	root := w.cat.Now().Tree.Nodes()[0]
	return auth.NewActor(auth.Grant{ID: id, Role: r, Sensitive: true, Intervals: []auth.Interval{{Lo: root.No, Hi: root.Last}}})
}

func (w *world) anyRemark(rnd *rand.Rand, actors []auth.Actor, dept []int64) (auth.Actor, ledger.Matter) {
	a := actors[rnd.IntN(len(actors))]
	n := 1 + rnd.IntN(2)
	switch rnd.IntN(9) {
	case 0:
		return actors[0], &ledger.Note{Text: "到过现场"}
	case 1:
		return actors[2], &ledger.Instruct{Text: "请抓紧", Due: w.now.Add(time.Hour)}
	case 2:
		return a, &ledger.InstructionReply{N: n, Text: "已办"}
	case 3:
		return a, &ledger.Assist{Department: dept[rnd.IntN(len(dept))], Release: rnd.IntN(3) == 0}
	case 4:
		kind := []dispatch.RequestKind{dispatch.ForVoid, dispatch.ForExtension}[rnd.IntN(2)]
		return actors[0], &ledger.Ask{Request: dispatch.Request{Kind: kind, Reason: "需要", By: dispatch.Limit{Value: 1, Unit: calendar.WorkingDays}}}
	case 5, 6:
		return actors[1], &ledger.Decision{N: n, Approve: rnd.IntN(3) > 0, Reason: "同意与否"}
	case 7:
		return a, &ledger.CalledBack{N: 1, Outcome: []dispatch.CallBack{dispatch.Unreached, dispatch.Satisfied, dispatch.Unsatisfied}[rnd.IntN(3)]}
	}
	return a, &ledger.Session{At: w.now, Place: "中心"}
}

// explained holds an incident's journal and stages against its row.
func (w *world) explained(t *testing.T, id int64, state dispatch.State, version int) {
	t.Helper()
	in, err := w.db.Incident(t.Context(), w.county, auth.CaseView, id)
	if err != nil {
		t.Fatal(err)
	}
	if in.State != state || in.Version != version {
		t.Errorf("incident %d is %s at version %d, the model says %s at %d", id, in.State, in.Version, state, version)
	}
	journal, err := w.db.Journal(t.Context(), w.county, auth.CaseView, id)
	if err != nil {
		t.Fatal(err)
	}
	at, v := "", 0
	for i, e := range journal {
		if e.N != i+1 || e.From != at && e.Kind != "report" || e.Version != v && e.Version != v+1 || e.Version == v && e.From != e.To {
			t.Errorf("incident %d, entry %d (%s): from %q to %q at version %d, after %q at %d", id, e.N, e.Kind, e.From, e.To, e.Version, at, v)
		}
		at, v = e.To, e.Version
	}
	if at != string(state) || v != version {
		t.Errorf("the journal of incident %d ends %s at %d, it is %s at %d", id, at, v, state, version)
	}
	stages, err := w.db.Stages(t.Context(), w.county, auth.CaseView, id)
	if err != nil {
		t.Fatal(err)
	}
	running := 0
	for i, s := range stages {
		if s.EndedAt == nil {
			running++
			if s.Level != in.OwnerLevel || s.Department != in.Department || !s.Due.Equal(*in.StageDue) {
				t.Errorf("incident %d is owned by %d/%d until %s, its stage says %d/%d until %s", id, in.OwnerLevel, in.Department, in.StageDue, s.Level, s.Department, s.Due)
			}
		}
		if i > 0 && (stages[i-1].EndedAt == nil || stages[i-1].EndedAt.After(s.StartedAt)) {
			t.Errorf("incident %d: stage %d begins before the one before has ended", id, s.N)
		}
	}
	if want := map[bool]int{true: 1, false: 0}[state.Open()]; running != want {
		t.Errorf("incident %d is %s and has %d owners", id, state, running)
	}
}
