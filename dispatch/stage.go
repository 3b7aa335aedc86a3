// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"time"

	"onemap/dispatch/calendar"
)

// Stage is the time that one owner has an incident: a level of its grids, with a
// department or without. Each hand-over begins one, with a clock of its own. An open
// incident has exactly one running stage; its owner is whoever that stage names.
type Stage struct {
	N           int // 1 is the stage that the report began
	Level       int
	Department  int64 // 0 for none: the level's own people
	StartedAt   time.Time
	AckDue      *time.Time
	Due         *time.Time
	Rule        string // how Due came about: the limit, the calendar's version and the hour
	Provisional bool   // Due passed days of a year whose holidays are not known
	Limit       Limit  // that Due was counted by; value 0 where that is not known
	Extensions  int    // how often Due was put off with approval
	Moves       int    // how often it was put off in any way: each time the ladder begins anew
	Stood       bool   // it was suspended before
	PausedAt    *time.Time
	EndedAt     *time.Time
}

// Limit is how long a stage may take.
type Limit struct {
	Value int
	Unit  calendar.Unit
}

// Limits are what levels take where a category says nothing, by level.
type Limits map[int]Limit

// DefaultLimits is a new centre's: a worker the same day, a village 3 working days, a
// town 5, the county 7.
func DefaultLimits() Limits {
	return Limits{
		4: {1, calendar.SameDay}, 3: {3, calendar.WorkingDays}, 2: {5, calendar.WorkingDays}, 1: {7, calendar.WorkingDays},
	}
}

// StageLimit is the limit of a category's stage at a level: the category's own at
// the level that handles it, else the level's. outside is the limit that an outside
// letter came with, which wins over both; nil for none.
func StageLimit(c Category, level int, limits Limits, outside *Limit) Limit {
	if outside != nil {
		return *outside
	}
	if level == c.HandlingLevel {
		return Limit{c.SLAValue, calendar.Unit(c.SLAUnit)}
	}
	if l, ok := limits[level]; ok {
		return l
	}
	for n := level; n > 0; n-- { // deeper than a centre has limits for: the nearest level's
		if l, ok := limits[n]; ok {
			return l
		}
	}
	return Limit{c.SLAValue, calendar.Unit(c.SLAUnit)}
}

// stage begins a stage now.
func (f Facts) stage(level int, department int64, limit Limit) Stage {
	ack := f.Now.Add(time.Duration(f.Category.AckMinutes) * time.Minute)
	due := f.Calendar.Due(f.Now, limit.Value, limit.Unit)
	return Stage{
		N: f.Stage.N + 1, Level: level, Department: department, StartedAt: f.Now, AckDue: &ack, Due: &due.At, Rule: due.Rule, Provisional: due.Provisional,
		Limit: limit,
	}
}

// handOver begins the stage that an act hands the incident to, or nil where the owner
// stays and so does the clock. On one level the clock runs on, whoever has it there:
// a return or another department resets nothing, unless the desk says that it was
// sent there wrongly.
func (f Facts) handOver(level int, department int64, wrong bool) *Stage {
	if level == f.Stage.Level && department == f.Stage.Department && !wrong {
		return nil
	}
	s := f.stage(level, department, StageLimit(f.Category, level, f.Limits, f.Outside))
	if level == f.Stage.Level && !wrong && f.Stage.Due != nil {
		s.Due, s.Rule, s.Provisional, s.Limit = f.Stage.Due, f.Stage.Rule, f.Stage.Provisional, f.Stage.Limit
		s.Extensions, s.Stood = f.Stage.Extensions, true // its start does not tell when it is due
	}
	return &s
}

// resumed is the running stage's clock after a pause that ends now.
func (f Facts) resumed() Clock {
	c := ClockOf(f.Incident, f.Stage)
	if f.Stage.PausedAt == nil || f.Stage.Due == nil {
		return c
	}
	return Resumed(c, f.Calendar, *f.Stage.PausedAt, f.Now)
}
