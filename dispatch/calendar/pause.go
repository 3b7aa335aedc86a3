// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package calendar

import (
	"fmt"
	"time"
)

// Paused returns when a limit ends that was due at due and stood still between
// from and to: as much time is left at to as there was at from. Limits in working
// days and hours count working time, to the second and not to the end of a day,
// so that a pause of a minute costs a minute; the others count natural time. A
// limit that had ended at from, or that did not stand at all, is as it was.
func (c Calendar) Paused(due time.Time, unit Unit, from, to time.Time) Due {
	out := Due{At: due.In(Zone()), Rule: fmt.Sprintf("paused %s to %s %s %s", minute(from), minute(to), unit, c.Version())}
	if !due.After(from) || !to.After(from) {
		return out
	}
	if unit != WorkingDays && unit != WorkingHours {
		out.At = out.At.Add(to.Sub(from))
		return out
	}
	at, provisional := c.forward(to.Unix(), c.worked(from.Unix(), due.Unix()))
	if moved := time.Unix(at, 0).In(Zone()); moved.After(out.At) {
		out.At = moved
	}
	out.Provisional = provisional
	return out
}

func minute(t time.Time) string { return t.In(Zone()).Format("2006-01-02 15:04") }

// Extended returns when a limit ends that was due at due and is put off by value
// units. The day it was due on is day 0; of a same-day limit calendar days are
// counted.
func (c Calendar) Extended(due time.Time, value int, unit Unit) Due {
	start := due
	switch unit {
	case SameDay:
		unit = CalendarDays
		fallthrough
	case WorkingDays, CalendarDays:
		start = due.Add(-time.Second) // 24:00 belongs to the day that it ends
	}
	d := c.Due(start, value, unit)
	d.Rule = "extended " + d.Rule
	return d
}

// Before returns the moment value units before t: minutes and hours around the
// clock, hours of working time, and for days the same time of day so many days, or
// working days, earlier. A value below one is t itself.
func (c Calendar) Before(t time.Time, value int, unit Unit) time.Time {
	if value < 1 {
		return t
	}
	switch unit {
	case NaturalMinutes:
		return t.Add(-time.Duration(value) * time.Minute)
	case NaturalHours:
		return t.Add(-time.Duration(value) * time.Hour)
	case WorkingHours:
		return time.Unix(c.backward(t.Unix(), int64(value)*3600), 0).In(Zone())
	case WorkingDays:
		n := int64(0)
		for d, left := dayOf(t.Add(-time.Second)), min(value, maxDays); left > 0 && n < 2*maxDays; n++ {
			if working, _ := c.working(d - n - 1); working {
				left--
			}
		}
		return t.Add(-time.Duration(n) * day * time.Second)
	default:
		return t.Add(-time.Duration(value) * day * time.Second)
	}
}

// openings are a day's pieces of working time, in seconds since 1970.
func (c Calendar) openings(n int64) (spans []Span, known bool) {
	working, known := c.working(n)
	if !working {
		return nil, known
	}
	if spans = c.hours(n); len(spans) == 0 {
		spans = wholeDay[:]
	}
	return spans, known
}

var wholeDay = [...]Span{{0, 24 * 60}}

// forward returns when left seconds of working time have passed since start.
func (c Calendar) forward(start, left int64) (at int64, provisional bool) {
	if left <= 0 {
		return start, false
	}
	first := dayOf(time.Unix(start, 0))
	for d := first; d <= first+maxDays; d++ {
		spans, known := c.openings(d)
		provisional = provisional || !known
		for _, s := range spans {
			open, end := max(start, second0(d, s.From)), second0(d, s.To)
			if left <= end-open {
				return open + left, provisional
			}
			left -= max(end-open, 0)
		}
	}
	return second0(first+maxDays+1, 0), true // office hours that never open
}

// backward returns since when left seconds of working time have passed until end.
func (c Calendar) backward(end, left int64) int64 {
	last := dayOf(time.Unix(end, 0))
	for d := last; d >= last-maxDays; d-- {
		spans, _ := c.openings(d)
		for i := len(spans) - 1; i >= 0; i-- {
			open, shut := second0(d, spans[i].From), min(end, second0(d, spans[i].To))
			if left <= shut-open {
				return shut - left
			}
			left -= max(shut-open, 0)
		}
	}
	return second0(last-maxDays, 0)
}

// worked counts the seconds of working time from from to to.
func (c Calendar) worked(from, to int64) (n int64) {
	for d := dayOf(time.Unix(from, 0)); second0(d, 0) < to; d++ {
		spans, _ := c.openings(d)
		for _, s := range spans {
			n += max(min(to, second0(d, s.To))-max(from, second0(d, s.From)), 0)
		}
	}
	return n
}

// second0 is the second that a minute of a day begins with, since 1970.
func second0(n int64, minute int) int64 { return n*day - shift + int64(minute)*60 }
