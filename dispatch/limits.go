// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"errors"
	"fmt"
	"time"

	"onemap/dispatch/calendar"
)

// Limit is how long something may take.
type Limit struct {
	Value int // at least 1; 0 for none
	Unit  calendar.Unit
}

// LimitRule says where a stage's limit came from.
type LimitRule string

const (
	ByLetter   LimitRule = "letter"   // the outside letter's own limit
	ByCategory LimitRule = "category" // the category's, at the level that handles it
	ByLevel    LimitRule = "level"    // the level's default
)

// LevelLimits are the limits of stages by the level of the tree that owes them.
type LevelLimits map[int]Limit

// DefaultLevelLimits are a new centre's: a worker the same day, a village three
// working days, a town five, the county seven.
func DefaultLevelLimits() LevelLimits {
	return LevelLimits{
		1: {7, calendar.WorkingDays}, 2: {5, calendar.WorkingDays}, 3: {3, calendar.WorkingDays},
		4: {1, calendar.SameDay}, 5: {1, calendar.SameDay}, 6: {1, calendar.SameDay},
	}
}

// StageLimit is the limit of a stage that level owes: an outside letter's own
// before all, the category's at the level that handles it, else the level's
// default. A level without a default takes the category's.
func StageLimit(c Category, level int, levels LevelLimits, letter *Limit) (Limit, LimitRule) {
	switch l, ok := levels[level]; {
	case letter != nil && letter.Value > 0:
		return *letter, ByLetter
	case level == c.HandlingLevel || !ok || l.Value < 1:
		return Limit{c.SLAValue, calendar.Unit(c.SLAUnit)}, ByCategory
	default:
		return l, ByLevel
	}
}

// Due returns when the limit ends that starts at start. The record's rule names
// where it came from, but for a category's own.
func (l Limit) Due(by LimitRule, cal calendar.Calendar, start time.Time) calendar.Due {
	d := cal.Due(start, l.Value, l.Unit)
	if by == ByLetter || by == ByLevel {
		d.Rule = string(by) + " " + d.Rule
	}
	return d
}

// Check refuses a limit that cannot be counted: it names the unit or value.
func (l Limit) Check() error {
	top := map[calendar.Unit]int{
		calendar.NaturalMinutes: maxAckMinutes, calendar.NaturalHours: maxSLAValue, calendar.WorkingHours: maxSLAValue,
		calendar.WorkingDays: 1000, calendar.CalendarDays: 1000, calendar.SameDay: 1,
	}[l.Unit]
	if top == 0 {
		return fmt.Errorf("unit %q: one of min nh wh wd sd cd", l.Unit)
	}
	if l.Value < 1 || l.Value > top {
		return fmt.Errorf("%d%s: a whole number from 1 to %d", l.Value, l.Unit, top)
	}
	return nil
}

// Why an extension is refused.
var (
	ErrTooLateToExtend = errors.New("the limit has ended: an extension is asked for before it does")
	ErrExtendedTwice   = errors.New("the limit was extended twice already")
	ErrHigherApprover  = errors.New("a second extension is approved by a higher level")
)

// Extension is a longer limit of the stage that runs, asked for and approved.
type Extension struct {
	By       Limit
	Approver int // level of who approved it
}

// Extend puts off a stage's limit, before it has ended: once with the approval of
// its own level or a higher one, a second time with a higher one's alone. At the top
// level its own is enough.
func Extend(c Clock, x Extension, cal calendar.Calendar, now time.Time) (Clock, error) {
	switch {
	case c.Late || !now.Before(c.Due):
		return c, ErrTooLateToExtend
	case c.Extensions >= 2:
		return c, ErrExtendedTwice
	case x.Approver > c.Level || c.Extensions == 1 && c.Level > 1 && x.Approver >= c.Level:
		return c, ErrHigherApprover
	}
	d := cal.Extended(c.Due, x.By.Value, x.By.Unit)
	c.Due, c.Rule, c.Provisional = d.At, d.Rule, c.Provisional || d.Provisional
	c.Extensions++
	c.Moves++
	return c, nil
}

// Resumed is the clock of a stage that stood still from from to now: as much time
// is left as was left then, also to sign for it and to answer. Nobody owes anything
// for the time in between.
func Resumed(c Clock, cal calendar.Calendar, from, now time.Time) Clock {
	if c.Due.After(from) {
		d := cal.Paused(c.Due, c.Limit.Unit, from, now)
		c.Due, c.Rule, c.Provisional = d.At, c.Rule+"; "+d.Rule, c.Provisional || d.Provisional
		c.Moves++
	}
	if c.AckDue != nil && !c.Signed && c.AckDue.After(from) {
		at := c.AckDue.Add(now.Sub(from))
		c.AckDue = &at
	}
	waiting := make([]Supervision, len(c.Waiting))
	for i, s := range c.Waiting {
		if s.ReplyDue.After(from) {
			s.ReplyDue = cal.Paused(s.ReplyDue, s.Reply.Unit, from, now).At
		}
		waiting[i] = s
	}
	c.Waiting = waiting
	return c
}

// Recounted is the clock of a stage counted anew from its start, after the centre's
// calendar or limits were changed; moved is false when it comes to the same. What
// was late and is so no more is late no more. A clock that was put off or stood still
// keeps that: it is not counted anew.
func Recounted(c Clock, cal calendar.Calendar, now time.Time) (after Clock, moved bool) {
	if c.Extensions > 0 || c.Limit.Value < 1 || c.Stood {
		return c, false
	}
	d := c.Limit.Due(c.By, cal, c.Started)
	if d.At.Equal(c.Due) && d.Provisional == c.Provisional {
		return c, false
	}
	c.Due, c.Rule, c.Provisional = d.At, d.Rule, d.Provisional
	c.Late = c.Late && !now.Before(c.Due)
	c.Moves++
	return c, true
}
