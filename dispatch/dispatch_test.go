// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package dispatch_test

import (
	"errors"
	"slices"
	"testing"
	"time"

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

// TestEveryOpenStateHasAWayOut follows the table from each state an incident may
// be in to a state in which nobody owes work any more.
func TestEveryOpenStateHasAWayOut(t *testing.T) {
	for _, start := range dispatch.States {
		// Offers, and merging and reopening by hand, bring their own acts later.
		if start == dispatch.Dispatched {
			continue
		}
		reached, todo := map[dispatch.State]bool{start: true}, []dispatch.State{start}
		out := !start.Open()
		for len(todo) > 0 && !out {
			s := todo[0]
			todo = todo[1:]
			for _, a := range dispatch.Possible(s) {
				ch, err := dispatch.Decide(dispatch.Incident{State: s, Version: 1}, dispatch.Act{Action: a, Reason: "because"}, noon)
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
		for _, a := range dispatch.Actions() {
			ch, err := dispatch.Decide(dispatch.Incident{State: s, Version: 3}, dispatch.Act{Action: a, Reason: "because"}, noon)
			if slices.Contains(dispatch.Possible(s), a) {
				if err != nil || ch.After.Version != 4 || ch.Step.From != s || ch.Step.To != ch.After.State {
					t.Errorf("%s while %s: %+v, %v", a, s, ch, err)
				}
				if want := "incident.closed"; (ch.Event == want) == ch.After.State.Open() {
					t.Errorf("%s while %s tells %s", a, s, ch.Event)
				}
				continue
			}
			var se *dispatch.StateError
			if !errors.As(err, &se) || se.State != s || !slices.Equal(se.Possible, dispatch.Possible(s)) {
				t.Errorf("%s while %s: %v", a, s, err)
			}
		}
	}
}

func TestActsThatMustBeExplained(t *testing.T) {
	for _, c := range []struct {
		s dispatch.State
		a dispatch.Action
	}{{dispatch.Reported, dispatch.Refuse}, {dispatch.Resolved, dispatch.SendBack}, {dispatch.Routed, dispatch.Return}, {dispatch.Accepted, dispatch.Transfer}} {
		if _, err := dispatch.Decide(dispatch.Incident{State: c.s}, dispatch.Act{Action: c.a, Reason: " \n"}, noon); !errors.Is(err, dispatch.ErrReasonMissing) {
			t.Errorf("%s without a reason: %v", c.a, err)
		}
	}
}
