// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package dispatch_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"onemap/auth"
	"onemap/dispatch"
	"onemap/dispatch/calendar"
)

var noon = time.Date(2026, 11, 20, 4, 0, 0, 0, time.UTC) // a Friday, 12:00 in China

func category(code string) dispatch.Category {
	for _, c := range dispatch.DefaultCategories() {
		if c.Code == code {
			return c
		}
	}
	panic("no category " + code)
}

func TestAReportOpensWithTheCategorysClocks(t *testing.T) {
	for _, c := range []struct {
		code       string
		level      int // of the deepest grid
		owner      int
		ack, stage time.Time
	}{
		{"0303", 4, 1, noon.Add(5 * time.Minute), noon.Add(time.Hour)},                          // gas: one natural hour, county
		{"0901", 4, 2, noon.Add(10 * time.Minute), noon.Add(time.Hour)},                         // accident: town
		{"0101", 4, 4, noon.Add(2 * time.Hour), time.Date(2026, 11, 20, 16, 0, 0, 0, time.UTC)}, // quarrel: same day, 24:00 in China
		{"0101", 2, 2, noon.Add(2 * time.Hour), time.Date(2026, 11, 20, 16, 0, 0, 0, time.UTC)}, // no grid below the town: the town owns it
	} {
		ch := dispatch.Open(dispatch.Report{Category: category(c.code), Place: dispatch.Place{GridLevel: c.level}, ReportedAt: noon.Add(-time.Hour)}, calendar.Default(), noon)
		in := ch.After
		if in.State != dispatch.Reported || in.Version != 1 || in.OwnerLevel != c.owner || !in.AckDue.Equal(c.ack) || !in.StageDue.Equal(c.stage) {
			t.Errorf("%s: owner %d, ack %s, stage %s", c.code, in.OwnerLevel, in.AckDue, in.StageDue)
		}
	}
}

// ripe are facts under which every guard agrees.
func ripe(in dispatch.Incident) dispatch.Facts {
	c := category("0101")
	if in.OwnerLevel == 0 {
		in.OwnerLevel = 3
	}
	return dispatch.Facts{
		Incident: in, Stage: dispatch.Stage{N: 1, Level: in.OwnerLevel, StartedAt: noon.Add(-time.Hour)}, Category: c, Depth: 4, Calendar: calendar.Default(),
		Limits: dispatch.DefaultLimits(), Now: noon, OwnReport: true, OwnGrid: true, Evidence: true, Approved: true, Unsatisfied: true,
		Target: &dispatch.Incident{ID: 99, State: dispatch.Accepted}, SameCounty: true,
	}
}

// whole is an act that brings everything any act needs.
func whole(a dispatch.Action, r auth.Role) dispatch.Act {
	return dispatch.Act{
		Action: a, Role: r, Reason: "because", Level: 4, Department: 7, Door: "court", Until: noon.AddDate(0, 1, 0), Into: 99, Priority: 2,
	}
}

// TestEveryOpenStateHasAWayOut follows the table from each state an incident may
// be in to a state in which nobody owes work any more.
func TestEveryOpenStateHasAWayOut(t *testing.T) {
	for _, start := range dispatch.States {
		reached, todo := map[dispatch.State]bool{start: true}, []dispatch.State{start}
		out := !start.Open()
		for len(todo) > 0 && !out {
			s := todo[0]
			todo = todo[1:]
			for _, a := range dispatch.Possible(s, auth.Dispatcher) {
				ch, err := dispatch.Decide(ripe(dispatch.Incident{State: s, Version: 1}), whole(a, auth.Dispatcher))
				if err != nil {
					t.Fatalf("%s while %s: %v", a, s, err)
				}
				out = out || !ch.After.State.Open()
				if !reached[ch.After.State] {
					reached[ch.After.State] = true
					todo = append(todo, ch.After.State)
				}
			}
		}
		if !out {
			t.Errorf("an incident that is %s can never end", start)
		}
	}
}

func TestDecideRefusesWhatTheTableDoesNotList(t *testing.T) {
	for _, s := range dispatch.States {
		for _, r := range auth.Roles {
			for _, a := range dispatch.Actions() {
				ch, err := dispatch.Decide(ripe(dispatch.Incident{State: s, Version: 3}), whole(a, r))
				if slices.Contains(dispatch.Possible(s, r), a) {
					if err != nil || ch.After.Version != 4 || ch.Step.From != s || ch.Step.To != ch.After.State {
						t.Errorf("%s while %s by %s: %+v, %v", a, s, r, ch, err)
					}
					if want := "incident.closed"; (ch.Event == want) == ch.After.State.Open() {
						t.Errorf("%s while %s tells %s", a, s, ch.Event)
					}
					continue
				}
				var se *dispatch.StateError
				var re *dispatch.RoleError
				switch {
				case errors.As(err, &re):
					if !slices.ContainsFunc(auth.Roles, func(o auth.Role) bool { return slices.Contains(dispatch.Possible(s, o), a) }) {
						t.Errorf("%s while %s by %s: %v, but nobody may", a, s, r, err)
					}
				case !errors.As(err, &se) || se.State != s || !slices.Equal(se.Possible, dispatch.Possible(s, r)):
					t.Errorf("%s while %s by %s: %v", a, s, r, err)
				}
			}
		}
	}
}

func TestActsThatMustBeExplained(t *testing.T) {
	for _, c := range []struct {
		s dispatch.State
		a dispatch.Action
	}{{dispatch.Reported, dispatch.Refuse}, {dispatch.Resolved, dispatch.SendBack}, {dispatch.Routed, dispatch.Return}, {dispatch.Accepted, dispatch.Transfer}} {
		a := whole(c.a, auth.Dispatcher)
		a.Reason = " \n"
		if _, err := dispatch.Decide(ripe(dispatch.Incident{State: c.s}), a); !errors.Is(err, dispatch.ErrReasonMissing) {
			t.Errorf("%s without a reason: %v", c.a, err)
		}
	}
}

// TestARefusalNamesTheRightDoor: product.md wants nobody sent away without being told where to.
func TestARefusalNamesTheRightDoor(t *testing.T) {
	a := whole(dispatch.Refuse, auth.Dispatcher)
	a.Door, a.DoorOf = "县劳动人事争议仲裁委员会", 12
	ch, err := dispatch.Decide(ripe(dispatch.Incident{State: dispatch.Reported}), a)
	if err != nil || ch.Step.Data["door"] != a.Door || ch.Step.Data["door_department"] != "12" {
		t.Errorf("%v %v", err, ch.Step.Data)
	}
	a.Door = " \n"
	var need *dispatch.NeedError
	if _, err := dispatch.Decide(ripe(dispatch.Incident{State: dispatch.Reported}), a); !errors.As(err, &need) || need.Need != dispatch.Door {
		t.Errorf("without a door: %v", err)
	}
}

// TestTheClockOfAHandOver: another level begins a stage with its own limit; the same
// level's clock runs on, unless it had been sent there wrongly.
func TestTheClockOfAHandOver(t *testing.T) {
	due := noon.Add(time.Hour)
	f := ripe(dispatch.Incident{State: dispatch.Accepted, Version: 2, OwnerLevel: 3})
	f.Stage.Due = &due
	for _, c := range []struct {
		what  string
		act   dispatch.Act
		level int // of the new stage; 0 for none
		due   time.Time
	}{
		{"as it is", dispatch.Act{Action: dispatch.Route}, 0, due},
		{"a department of the same level", dispatch.Act{Action: dispatch.Route, Department: 7}, 3, due},
		{"the same level, sent wrongly before", dispatch.Act{Action: dispatch.Route, Wrong: true}, 3, time.Date(2026, 11, 25, 9, 30, 0, 0, time.UTC)},
		{"the town", dispatch.Act{Action: dispatch.Route, Level: 2}, 2, time.Date(2026, 11, 27, 9, 30, 0, 0, time.UTC)},
		{"down to the worker", dispatch.Act{Action: dispatch.Delegate, Level: 4}, 4, time.Date(2026, 11, 20, 16, 0, 0, 0, time.UTC)},
		{"up to the town", dispatch.Act{Action: dispatch.Escalate, Reason: "beyond us"}, 2, time.Date(2026, 11, 27, 9, 30, 0, 0, time.UTC)},
	} {
		c.act.Role = auth.Dispatcher
		ch, err := dispatch.Decide(f, c.act)
		if err != nil {
			t.Errorf("%s: %v", c.what, err)
			continue
		}
		if c.level == 0 {
			if ch.Stage != nil {
				t.Errorf("%s: %+v", c.what, ch.Stage)
			}
			continue
		}
		if s := ch.Stage; s == nil || s.Level != c.level || s.N != 2 || !s.Due.Equal(c.due) || ch.After.OwnerLevel != c.level || !ch.After.StageDue.Equal(c.due) || ch.After.Stage != 2 {
			t.Errorf("%s: %+v, owner %d", c.what, s, ch.After.OwnerLevel)
		}
	}
}
