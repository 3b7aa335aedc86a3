// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"fmt"
	"time"

	"onemap/dispatch/calendar"
)

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

// Resumed is the clock of a stage that stood still from from to now: as much time
// is left as was left then, also to sign for it and to answer. Nobody owes anything
// for the time in between.
func Resumed(c Clock, cal calendar.Calendar, from, now time.Time) Clock {
	if c.Due.After(from) {
		d := cal.Paused(c.Due, c.Limit.Unit, from, now)
		c.Due, c.Rule, c.Provisional = d.At, c.Rule+"; "+d.Rule, c.Provisional || d.Provisional
		c.Moves++
		c.Stood = true
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
	if c.Extensions > 0 || c.Limit.Value < 1 || c.Stood || c.Due.IsZero() {
		return c, false
	}
	d := cal.Due(c.Started, c.Limit.Value, c.Limit.Unit)
	if d.At.Equal(c.Due) && d.Provisional == c.Provisional {
		return c, false
	}
	c.Due, c.Rule, c.Provisional = d.At, d.Rule, d.Provisional
	c.Late = c.Late && !now.Before(c.Due)
	c.Moves++
	return c, true
}
