// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package dispatch_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"onemap/dispatch"
	"onemap/dispatch/calendar"
)

func moment(t testing.TB, s string) time.Time {
	t.Helper()
	v, err := time.ParseInLocation("2006-01-02 15:04", s, calendar.Zone())
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestWhichLimitWins(t *testing.T) {
	c := dispatch.Category{SLAValue: 4, SLAUnit: "wd", HandlingLevel: 3}
	letter := dispatch.Limit{Value: 2, Unit: calendar.CalendarDays}
	for _, v := range []struct {
		name   string
		level  int
		letter *dispatch.Limit
		want   string
	}{
		{"the category's at the level that handles it", 3, nil, "4wd"},
		{"a worker's: the same day", 4, nil, "1sd"},
		{"a town's", 2, nil, "5wd"},
		{"the banner's", 1, nil, "7wd"},
		{"a letter's own before the category's", 3, &letter, "2cd"},
		{"a letter's own before the level's", 1, &letter, "2cd"},
		{"a level nobody gave a limit: the nearest's", 6, nil, "1sd"},
	} {
		l := dispatch.StageLimit(c, v.level, dispatch.DefaultLimits(), v.letter)
		if got := fmt.Sprintf("%d%s", l.Value, l.Unit); got != v.want {
			t.Errorf("%s: %s, want %s", v.name, got, v.want)
		}
	}
}

// vectors of the design: the day of hand-over is day 0.
func TestStageLimitsAreDueByTheVectors(t *testing.T) {
	for start, want := range map[string][4]string{
		"2026-02-13": {"02-13", "02-25", "02-27", "03-02"},
		"2026-04-30": {"04-30", "05-08", "05-11", "05-13"},
		"2026-09-18": {"09-18", "09-22", "09-24", "09-29"},
		"2026-09-30": {"09-30", "10-10", "10-13", "10-15"},
		"2025-09-26": {"09-26", "09-30", "10-10", "10-13"},
		"2025-01-24": {"01-24", "02-05", "02-07", "02-10"},
	} {
		for i, level := range []int{4, 3, 2, 1} {
			l := dispatch.StageLimit(dispatch.Category{HandlingLevel: 6}, level, dispatch.DefaultLimits(), nil)
			d := calendar.Default().Due(moment(t, start+" 09:30"), l.Value, l.Unit)
			if got := d.At.Add(-time.Second).Format("01-02"); got != want[i] {
				t.Errorf("level %d from %s is due on %s (%s), want %s", level, start, got, d.Rule, want[i])
			}
		}
	}
}

// walk fires the ladder of an incident of the category until nothing is left of it,
// nobody doing anything, and says what happened when.
func walk(t *testing.T, cat dispatch.Category, start time.Time, posts []dispatch.Post) []string {
	t.Helper()
	cal, ladder := calendar.Default(), dispatch.DefaultLadder()
	stage := func(n, level, supervised int, at time.Time) (dispatch.Clock, []dispatch.Timer) {
		limit := dispatch.StageLimit(cat, level, dispatch.DefaultLimits(), nil)
		due, ack := cal.Due(at, limit.Value, limit.Unit), at.Add(time.Duration(cat.AckMinutes)*time.Minute)
		c := dispatch.Clock{
			Stage: n, Level: level, Priority: cat.Priority, State: dispatch.Routed, Started: at, Limit: limit, Due: due.At, AckDue: &ack, Supervised: supervised,
		}
		return c, dispatch.Rungs(c, ladder, cal)
	}
	c, timers := stage(1, cat.HandlingLevel, 0, start)
	fired := map[string]bool{}
	var told []string
	for len(timers) > 0 {
		i := 0
		for j := range timers {
			if timers[j].At.Before(timers[i].At) {
				i = j
			}
		}
		timer := timers[i]
		timers = slices.Delete(timers, i, i+1)
		if key := fmt.Sprintf("%d %s", c.Stage, timer.Rung); fired[key] {
			t.Fatalf("rung %s came twice", key)
		} else {
			fired[key] = true
		}
		o := dispatch.Fire(c, timer.Rung, posts, ladder, cal, timer.At)
		if o.Kind == "" {
			continue
		}
		line := fmt.Sprintf("%s %s %v", timer.At.In(calendar.Zone()).Format("2006-01-02 15:04"), o.Kind, o.Told)
		if o.Leader {
			line += " leader"
		}
		c.Late = c.Late || o.Late
		if s := o.Supervise; s != nil {
			c.Supervised, c.Waiting = s.N, append(c.Waiting, *s)
			line += fmt.Sprintf(" by %v skipping %v", s.Officers, s.Skipped)
		}
		told, timers = append(told, line), append(timers, o.Next...)
		if o.Escalate {
			c, timers = stage(c.Stage+1, c.Level-1, c.Supervised, timer.At)
		}
	}
	return told
}

func TestAnIncidentNobodyHandlesClimbsToTheCounty(t *testing.T) {
	cat := dispatch.Category{Priority: 3, AckMinutes: 120, SLAValue: 3, SLAUnit: "wd", HandlingLevel: 3}
	posts := []dispatch.Post{{Level: 1, Officers: []string{"account:1"}}} // the towns have none
	got := strings.Join(walk(t, cat, moment(t, "2026-02-13 09:00"), posts), "\n")
	want := strings.Join([]string{
		"2026-02-13 11:00 unsigned [3 2]",
		"2026-02-25 11:00 remind [3]", // 4 working hours before 17:30
		"2026-02-25 17:30 late [3 2]",
		"2026-02-25 17:30 supervise [3 1] by [account:1] skipping [2]",
		"2026-02-26 17:30 escalate [3 2]",
		"2026-02-26 19:30 unsigned [2 1]",
		"2026-03-04 11:00 remind [2]",
		"2026-03-04 17:30 late [2 1]",
		"2026-03-04 17:30 supervise [2 1] by [account:1] skipping []",
		"2026-03-05 17:30 escalate [2 1]",
		"2026-03-05 19:30 unsigned [1]",
		"2026-03-16 11:00 remind [1]",
		"2026-03-16 17:30 late [1]",
		"2026-03-16 17:30 leader [1] leader",
	}, "\n")
	if got != want {
		t.Errorf("the ladder went\n%s\nwant\n%s", got, want)
	}
}

func TestAMostUrgentOneTellsTheCountyAtOnce(t *testing.T) {
	cat := dispatch.Category{Priority: 1, AckMinutes: 10, SLAValue: 1, SLAUnit: "nh", HandlingLevel: 4}
	got := walk(t, cat, moment(t, "2026-02-13 23:00"), nil)
	want := []string{
		"2026-02-13 23:10 unsigned [4 3 1]",
		"2026-02-13 23:45 remind [4]",
		"2026-02-14 00:00 late [4 3 1]",
		"2026-02-14 00:00 supervise [4 1] leader by [] skipping [3 2 1]",
		"2026-02-14 00:15 escalate [4 3 1]",
	}
	if len(got) < len(want) || !slices.Equal(got[:len(want)], want) {
		t.Errorf("the ladder went\n%s\nwant it to begin\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func running(t *testing.T) dispatch.Clock {
	return dispatch.Clock{
		Stage: 1, Level: 3, Priority: 3, State: dispatch.Acknowledged, Started: moment(t, "2026-05-07 10:00"), Due: moment(t, "2026-05-11 18:00"),
		Limit: dispatch.Limit{Value: 3, Unit: calendar.WorkingDays}, Rule: "3wd cn2026 to 18:00", Signed: true,
	}
}

func TestARungThatBecameNeedlessDoesNothing(t *testing.T) {
	c, cal, l := running(t), calendar.Default(), dispatch.DefaultLadder()
	late := c
	late.Late = true
	moved := c
	moved.Moves = 1
	for _, v := range []struct {
		name string
		c    dispatch.Clock
		r    dispatch.Rung
	}{
		{"signed for", c, dispatch.RungSign},
		{"late already", late, dispatch.RungBreach},
		{"no reminder of what is late", late, dispatch.RungRemind},
		{"not late any more", c, dispatch.RungSupervise},
		{"answered", late, "reply.1"},
		{"put off", moved, dispatch.RungBreach},
		{"put off", moved, dispatch.RungRemind},
		{"unknown", c, "dance"},
	} {
		if o := dispatch.Fire(v.c, v.r, nil, l, cal, c.Due); o.Kind != "" || o.Late || o.Escalate {
			t.Errorf("%s: %s does %+v", v.name, v.r, o)
		}
	}
	if o := dispatch.Fire(moved, "breach.1", nil, l, cal, c.Due); !o.Late {
		t.Error("what was put off is never late")
	}
}

func TestTheClockStandsWhileNobodyOwesWork(t *testing.T) {
	for _, s := range dispatch.States {
		stands := slices.Contains([]dispatch.State{dispatch.Suspended, dispatch.Resolved, dispatch.Verified}, s) || !s.Open()
		if s.Runs() == stands {
			t.Errorf("%s: the clock runs is %v", s, s.Runs())
		}
	}
	c := running(t)
	c.State = dispatch.Closed
	if got := dispatch.Rungs(c, dispatch.DefaultLadder(), calendar.Default()); got != nil {
		t.Errorf("a closed incident has timers: %v", got)
	}
}

func TestASuspensionTakesNoTime(t *testing.T) {
	c, cal := running(t), calendar.Default()
	c.Waiting = []dispatch.Supervision{{N: 1, Reply: dispatch.Limit{Value: 15, Unit: calendar.NaturalMinutes}, ReplyDue: moment(t, "2026-05-08 10:05")}}
	from, to := moment(t, "2026-05-08 10:00"), moment(t, "2026-05-25 10:00")
	after := dispatch.Resumed(c, cal, from, to)
	if !after.Due.Equal(moment(t, "2026-05-27 18:00")) { // most of three days was left: Saturday the 9th is one
		t.Errorf("due %v", after.Due)
	}
	if !after.Waiting[0].ReplyDue.Equal(to.Add(5 * time.Minute)) {
		t.Errorf("answer due %v", after.Waiting[0].ReplyDue)
	}
	if !c.Waiting[0].ReplyDue.Equal(moment(t, "2026-05-08 10:05")) {
		t.Error("the clock given was changed")
	}
	late := c
	late.Late, late.Due = true, moment(t, "2026-05-07 18:00")
	if got := dispatch.Resumed(late, cal, from, to); !got.Due.Equal(late.Due) || !got.Late || got.Moves != 0 {
		t.Errorf("what was late is due %v", got.Due)
	}
}

func TestRecountedByAnotherCalendar(t *testing.T) {
	c, now := running(t), moment(t, "2026-05-11 19:00")
	c.Late = true
	if _, moved := dispatch.Recounted(c, calendar.Default(), now); moved {
		t.Error("moved by the same calendar")
	}
	festival := calendar.Calendar{Overrides: map[calendar.Date]bool{{Year: 2026, Month: 5, Day: 8}: false}, Revision: 1}
	after, moved := dispatch.Recounted(c, festival, now)
	if !moved || after.Late || !after.Due.Equal(moment(t, "2026-05-12 18:00")) || after.Rule != "3wd cn2026.1 to 18:00" {
		t.Errorf("%v %+v", moved, after)
	}
	c.Extensions = 1
	if _, moved := dispatch.Recounted(c, festival, now); moved {
		t.Error("an extended limit was counted anew")
	}
}

func TestLimitCheck(t *testing.T) {
	for l, ok := range map[dispatch.Limit]bool{
		{Value: 15, Unit: "min"}: true, {Value: 1, Unit: "sd"}: true, {Value: 2, Unit: "sd"}: false, {Value: 0, Unit: "wd"}: false,
		{Value: 1, Unit: "fortnight"}: false, {Value: 1_000_000, Unit: "wh"}: false,
	} {
		if err := l.Check(); (err == nil) != ok {
			t.Errorf("%+v: %v", l, err)
		}
	}
}

func TestMovingUpIsAnEscalationWhereTheMachineHasOne(t *testing.T) {
	for _, s := range dispatch.States {
		if !s.Runs() {
			continue
		}
		stage := dispatch.Stage{N: 4, Level: 3, StartedAt: moment(t, "2026-05-06 10:00")}
		f := dispatch.Facts{
			Incident: dispatch.Incident{ID: 7, Version: 9, State: s, OwnerLevel: 3, Stage: 4, Late: true}, Stage: stage,
			Category: dispatch.Category{AckMinutes: 60, SLAValue: 3, SLAUnit: "wd", HandlingLevel: 3}, Depth: 4, Limits: dispatch.DefaultLimits(), Now: moment(t, "2026-05-11 18:00"),
		}
		want := s
		if slices.Contains(dispatch.Possible(s, "hall_operator"), dispatch.Escalate) {
			want = dispatch.Escalated
		}
		ch, err := dispatch.MoveUp(f, "未回复")
		if err != nil {
			t.Fatalf("%s: %v", s, err)
		}
		a := ch.After
		if a.State != want || a.Version != 10 || a.OwnerLevel != 2 || a.Stage != 5 || a.Late || !a.StageDue.Equal(moment(t, "2026-05-18 18:00")) ||
			ch.Step.Kind != "escalate" || ch.Step.To != want || ch.Stage.Limit != (dispatch.Limit{Value: 5, Unit: "wd"}) || !ch.EndOffers {
			t.Errorf("%s moves up to %+v by %+v", s, a, ch.Step)
		}
		f.Incident.OwnerLevel, f.Stage.Level = 1, 1
		if _, err := dispatch.MoveUp(f, "未回复"); !errors.Is(err, dispatch.ErrNoParent) {
			t.Errorf("%s at the county: %v", s, err)
		}
	}
}
