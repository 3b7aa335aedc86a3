// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// Package analysis says what a centre's figures of a period mean: how many incidents
// were solved at which level, in how many working days, how many in time, how many had
// to be solved again, whether those who reported them were satisfied, and whether
// advice was followed. It also says where incidents are denser than chance brings, and
// since when. It is pure, and written to be read: what the database counts is held
// against it. docs/FIGURES.md and docs/HOTSPOTS.md have the definitions with their sources.
package analysis

import (
	"time"

	"onemap/dispatch"
	"onemap/dispatch/calendar"
)

// Period is [From, To).
type Period struct{ From, To time.Time }

// Holds says whether t lies in the period; never for nil.
func (p Period) Holds(t *time.Time) bool {
	return t != nil && !t.Before(p.From) && t.Before(p.To)
}

// Incident is one incident as far as figures look at it.
type Incident struct {
	State          dispatch.State
	Place          dispatch.PlaceKind
	OwnerLevel     int
	Department     int64 // its lead department; 0 for none
	ReportedAt     time.Time
	Due            *time.Time // of the stage it is in or ended in; nil without a limit
	AcknowledgedAt *time.Time
	OnSceneAt      *time.Time
	ResolvedAt     *time.Time
	ClosedAt       *time.Time
	ResolvedLevel  int // that owned it when it was resolved; 0 if not known
	Reopened       int
	Version        int     // 1: nothing is known of its way
	Stages         []Stage // in order; none for one of the past that came without
	CallBacks      []string
	Advice         []Choice
}

// Stage is one owner's time with an incident.
type Stage struct {
	Level       int
	Department  int64
	StartedAt   time.Time
	Due         *time.Time
	StoppedAt   *time.Time // when its clock stopped for good: done, put aside or handed on; nil for the last
	PausedAt    *time.Time // since when it stands still
	Provisional bool
	Extended    bool
}

// Choice is one act of choosing whom to send.
type Choice struct {
	At         time.Time
	Advised    bool // somebody was advised
	Overridden bool // others were chosen than those advised first
}

// Outcome is what became of an incident's limit.
type Outcome string

const (
	InTime    Outcome = "in_time"   // done by then, and closed since
	Unchecked Outcome = "unchecked" // done by then, and not closed yet
	Late      Outcome = "late"      // not done by then
	Standing  Outcome = "standing"  // put aside 挂账 before then: its clock stands
	Elsewhere Outcome = "elsewhere" // void, merged, refused or transferred: nobody's to do any more
)

// Outcomes lists them; those that are due come first.
var Outcomes = []Outcome{InTime, Unchecked, Late, Standing, Elsewhere}

// Term is the limit that an incident is judged by: the first that passed while its
// clock ran, else the last one.
type Term struct {
	Due         time.Time
	Level       int   // of the stage whose limit it is
	Department  int64 // likewise
	Outcome     Outcome
	Provisional bool
	Extended    bool
}

// Term judges the incident's limit as of now. ok is false for one without a limit,
// and for one whose limit lies ahead and is not done.
func (in Incident) Term(now time.Time) (t Term, ok bool) {
	stages := in.Stages
	if len(stages) == 0 {
		stages = []Stage{{Level: in.OwnerLevel, Department: in.Department, StartedAt: in.ReportedAt, Due: in.Due}}
	}
	last := stages[len(stages)-1]
	late := false
	if last.Due != nil {
		t, ok = termOf(last), true
	}
	for i, s := range stages[:len(stages)-1] {
		corrected := stages[i+1].StartedAt.Equal(s.StartedAt) // the next one stands in its place
		if s.Due == nil || s.StoppedAt == nil || corrected || !s.Due.Before(*s.StoppedAt) {
			continue
		}
		if !late || s.Due.Before(t.Due) {
			t, ok, late = termOf(s), true, true
		}
	}
	if !ok {
		return Term{}, false
	}
	done := in.ResolvedAt
	if done == nil {
		done = in.ClosedAt
	}
	switch {
	case in.State == dispatch.Void || in.State == dispatch.Merged || in.State == dispatch.Refused || in.State == dispatch.Transferred:
		t.Outcome = Elsewhere
	case late || done != nil && done.After(t.Due):
		t.Outcome = Late
	case done != nil && in.State.Open():
		t.Outcome = Unchecked
	case done != nil:
		t.Outcome = InTime
	case in.State == dispatch.Suspended && (last.PausedAt == nil || !last.PausedAt.After(t.Due)):
		t.Outcome = Standing
	case in.State == dispatch.Suspended || t.Due.Before(now):
		t.Outcome = Late
	default:
		return Term{}, false
	}
	return t, true
}

func termOf(s Stage) Term {
	return Term{Due: *s.Due, Level: s.Level, Department: s.Department, Provisional: s.Provisional, Extended: s.Extended}
}

// OnTheSpot says whether it was done at once by who reported it: resolved without
// anybody having signed for it or gone there, and its way known.
func (in Incident) OnTheSpot() bool {
	return in.ResolvedAt != nil && in.AcknowledgedAt == nil && in.OnSceneAt == nil && in.Version > 1
}

// MaxLevel is the deepest level a grid may have.
const MaxLevel = 6

// Counts are what the figures of a period are made of. They add up.
type Counts struct {
	// reported in the period
	Reported, NotLocated, Outside int
	// closed in the period, and closed still
	Closed      int
	Solved      [MaxLevel + 1]int // by the level they were solved at; 0: not known
	WorkingDays float64           // from report to close, all together
	OnTheSpot   int
	Reopened    int // closed a second time
	NoLimit     int
	// call-backs about those closed in the period, by now
	Satisfied, Basically, Unsatisfied, Unreached, Owed int
	// their limit ended in the period, by now
	InTime, Unchecked, Late, Standing, Elsewhere int
	Provisional, Extended                        int // of InTime, Unchecked and Late
	// acts of choosing whom to send, in the period
	Chosen, Advised, Overridden int
	// open now, whenever reported; and of these, past their limit
	Open, Overdue int
}

// Due is how many limits ended in the period, of incidents that had to keep them.
func (c Counts) Due() int { return c.InTime + c.Unchecked + c.Late }

// Rated is how many call-backs brought a rating.
func (c Counts) Rated() int { return c.Satisfied + c.Basically + c.Unsatisfied }

// Add adds what o counts.
func (c *Counts) Add(o Counts) {
	for i, n := range o.ints() {
		*c.ints()[i] += *n
	}
	for l, n := range o.Solved {
		c.Solved[l] += n
	}
	c.WorkingDays += o.WorkingDays
}

func (c *Counts) ints() []*int {
	return []*int{
		&c.Reported, &c.NotLocated, &c.Outside, &c.Closed, &c.OnTheSpot, &c.Reopened, &c.NoLimit,
		&c.Satisfied, &c.Basically, &c.Unsatisfied, &c.Unreached, &c.Owed,
		&c.InTime, &c.Unchecked, &c.Late, &c.Standing, &c.Elsewhere, &c.Provisional, &c.Extended,
		&c.Chosen, &c.Advised, &c.Overridden, &c.Open, &c.Overdue,
	}
}

// Judged adds n limits with this outcome.
func (c *Counts) Judged(o Outcome, n, provisional, extended int) {
	switch o {
	case InTime:
		c.InTime += n
	case Unchecked:
		c.Unchecked += n
	case Late:
		c.Late += n
	case Standing:
		c.Standing += n
		return
	case Elsewhere:
		c.Elsewhere += n
		return
	}
	c.Provisional, c.Extended = c.Provisional+provisional, c.Extended+extended
}

// Side is whose figure something is, where figures are told level by level or
// department by department.
type Side struct {
	Level      int
	Department int64
}

// Of counts the period's figures over the incidents, by key of the incident and of the
// side that the figure is of: what was reported and advised is of who owns it now,
// what was closed of the level that solved it, what was due of the stage whose limit
// it was. A limit counts once it has ended: none after now does. What is open
// is counted as of now, whatever the period, of who owns it.
func Of(p Period, incidents []Incident, cal calendar.Calendar, now time.Time, key func(i int, s Side) string) map[string]Counts {
	out := map[string]Counts{}
	for i, in := range incidents {
		add := func(s Side, c Counts) {
			if c == (Counts{}) {
				return
			}
			k := key(i, s)
			sum := out[k]
			sum.Add(c)
			out[k] = sum
		}
		own := Side{in.OwnerLevel, in.Department}
		add(own, in.reportedIn(p))
		add(own, in.openAt(now))
		if c, ok := in.closedIn(p, cal); ok {
			add(Side{in.ResolvedLevel, in.Department}, c)
		}
		if t, ok := in.Term(now); ok && p.Holds(&t.Due) && t.Due.Before(now) {
			var c Counts
			c.Judged(t.Outcome, 1, one(t.Provisional), one(t.Extended))
			add(Side{t.Level, t.Department}, c)
		}
		for _, a := range in.Advice {
			if p.Holds(&a.At) {
				add(own, Counts{Chosen: 1, Advised: one(a.Advised), Overridden: one(a.Overridden)})
			}
		}
	}
	return out
}

func (in Incident) reportedIn(p Period) (c Counts) {
	if p.Holds(&in.ReportedAt) {
		c.Reported, c.NotLocated, c.Outside = 1, one(in.Place == dispatch.NoPlace), one(in.Place == dispatch.Outside)
	}
	return c
}

// openAt is whether it is open, and past the limit of the stage it is in.
func (in Incident) openAt(now time.Time) (c Counts) {
	if in.State.Open() {
		c.Open, c.Overdue = 1, one(in.Due != nil && in.Due.Before(now))
	}
	return c
}

func (in Incident) closedIn(p Period, cal calendar.Calendar) (c Counts, ok bool) {
	if (in.State != dispatch.Closed && in.State != dispatch.Archived) || !p.Holds(in.ClosedAt) {
		return c, false
	}
	c.Closed, c.WorkingDays = 1, cal.DaysBetween(in.ReportedAt, *in.ClosedAt)
	c.Solved[in.ResolvedLevel] = 1
	c.OnTheSpot, c.Reopened, c.NoLimit = one(in.OnTheSpot()), one(in.Reopened > 0), one(in.Due == nil)
	for _, outcome := range in.CallBacks {
		switch outcome {
		case "satisfied":
			c.Satisfied++
		case "basically":
			c.Basically++
		case "unsatisfied":
			c.Unsatisfied++
		case "unreached":
			c.Unreached++
		default:
			c.Owed++
		}
	}
	return c, true
}

func one(yes bool) int {
	if yes {
		return 1
	}
	return 0
}
