// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"errors"
	"slices"
	"time"

	"onemap/dispatch/calendar"
)

// Rhythm is how often the targets of a patrol (巡查计划) are visited: once in each of
// its periods.
type Rhythm string

// The rhythms.
const (
	Daily         Rhythm = "daily"          // 日巡查: each day
	Weekly        Rhythm = "weekly"         // 周排查: each Every-th week, Monday to Sunday
	HalfMonthly   Rhythm = "half_monthly"   // 半月: the 1st to the 15th, the 16th to the end
	Monthly       Rhythm = "monthly"        // 月度: a calendar month
	BeforeHoliday Rhythm = "before_holiday" // 节前: the Ahead days before a holiday
)

// Rhythms lists them.
var Rhythms = []Rhythm{Daily, Weekly, HalfMonthly, Monthly, BeforeHoliday}

// DayKind narrows the days on which a visit counts.
type DayKind string

// The kinds of days, by the centre's calendar: make-up workdays are working days.
const (
	AllDays     DayKind = "all"
	WorkingOnly DayKind = "working"
	RestOnly    DayKind = "rest"
)

// PatrolTimes say when the targets of a patrol are visited.
type PatrolTimes struct {
	Rhythm   Rhythm
	Every    int           // of Weekly: every so many weeks, from the week of First on; 1 to 52
	Weekdays []int         // a visit counts on these alone, Monday being 1; none for all
	Days     DayKind       // and on days of this kind alone
	Ahead    int           // of BeforeHoliday: the sweep begins so many days before; 1 to 30
	From, To int           // minutes after midnight between which a visit counts; To is excluded
	First    calendar.Date // the first day on which a visit may count
	Last     calendar.Date // the last one; zero for no end
}

// What patrols are refused for.
var (
	ErrPatrolRhythm  = errors.New("rhythm: one of daily, weekly, half_monthly, monthly, before_holiday; every 1 to 52 weeks for weekly alone, ahead 1 to 30 days for before_holiday alone")
	ErrPatrolDays    = errors.New("weekdays: 1 (Monday) to 7, each once; days: all, working or rest")
	ErrPatrolWindow  = errors.New("from and to are times of one day, from before to, and at least as far apart as the stay")
	ErrPatrolDates   = errors.New("first and last are days of the years 2020 to 2100, first not after last")
	ErrPatrolNear    = errors.New("radius_m: 20 to 2000 metres; stay_min: 0 to 480 minutes")
	ErrPatrolEnded   = errors.New("this patrol has ended: make another one")
	ErrPatrolVersion = errors.New("somebody else changed this patrol: read it again")
)

// Check says what is wrong with t, or nil.
func (t PatrolTimes) Check() error {
	days := slices.Clone(t.Weekdays)
	slices.Sort(days)
	switch {
	case !slices.Contains(Rhythms, t.Rhythm), (t.Rhythm == Weekly) != (t.Every >= 1 && t.Every <= 52), (t.Rhythm == BeforeHoliday) != (t.Ahead >= 1 && t.Ahead <= 30),
		t.Rhythm != Weekly && t.Every != 0, t.Rhythm != BeforeHoliday && t.Ahead != 0:
		return ErrPatrolRhythm
	case len(days) > 0 && (days[0] < 1 || days[len(days)-1] > 7) || len(slices.Compact(days)) != len(t.Weekdays), t.Days != AllDays && t.Days != WorkingOnly && t.Days != RestOnly:
		return ErrPatrolDays
	case t.From < 0 || t.To > 1440 || t.From >= t.To:
		return ErrPatrolWindow
	case t.First.Year < 2020 || t.First.Year > 2100, t.Last != calendar.Date{} && (t.Last.Compare(t.First) < 0 || t.Last.Year > 2100):
		return ErrPatrolDates
	}
	return nil
}

// Window is a stretch of time in which a visit counts: From is in it, To is not.
type Window struct{ From, To time.Time }

// Holds reports whether t lies in the window.
func (w Window) Holds(t time.Time) bool { return !t.Before(w.From) && t.Before(w.To) }

// Period is a stretch of days in which each target of a patrol is visited once.
type Period struct {
	// Key names the period among those of its rhythm: the day, the Monday, the 1st or
	// 16th, or the first day of the holiday.
	Key         calendar.Date
	First, Last calendar.Date // the first and last day on which a visit counts
	Windows     []Window      // one for each day that counts, in order
}

// Opens is when the first visit may count.
func (p Period) Opens() time.Time { return p.Windows[0].From }

// Closes is the end of the last window.
func (p Period) Closes() time.Time { return p.Windows[len(p.Windows)-1].To }

// Periods returns the periods whose First lies in from to to, both included, in the
// order of their keys. A period without a day that counts is none. In years whose
// holidays are not known it counts as package calendar does.
func (t PatrolTimes) Periods(c calendar.Calendar, from, to calendar.Date) (out []Period) {
	add := func(key, first, last calendar.Date) {
		if p, ok := t.period(c, key, first, last); ok && p.First.Compare(from) >= 0 && p.First.Compare(to) <= 0 {
			out = append(out, p)
		}
	}
	if t.Rhythm == BeforeHoliday {
		for h := from.Add(1); h.Compare(to.Add(t.Ahead)) <= 0; h = h.Add(1) {
			if holidayBegins(c, h) {
				add(h, h.Add(-t.Ahead), h.Add(-1))
			}
		}
		return out
	}
	for first, last := t.stretch(from); first.Compare(to) <= 0; first, last = t.stretch(last.Add(1)) {
		if t.Rhythm == Weekly && first.Sub(monday(t.First))/7%t.Every != 0 {
			continue
		}
		add(first, first, last)
	}
	return out
}

// stretch is the day, week, half-month or month that d lies in.
func (t PatrolTimes) stretch(d calendar.Date) (first, last calendar.Date) {
	switch t.Rhythm {
	case Weekly:
		first = monday(d)
		return first, first.Add(6)
	case HalfMonthly:
		if d.Day <= 15 {
			return calendar.Date{Year: d.Year, Month: d.Month, Day: 1}, calendar.Date{Year: d.Year, Month: d.Month, Day: 15}
		}
		return calendar.Date{Year: d.Year, Month: d.Month, Day: 16}, endOfMonth(d)
	case Monthly:
		return calendar.Date{Year: d.Year, Month: d.Month, Day: 1}, endOfMonth(d)
	}
	return d, d
}

func monday(d calendar.Date) calendar.Date { return d.Add(-(isoWeekday(d) - 1)) }

// isoWeekday is 1 for Monday to 7 for Sunday.
func isoWeekday(d calendar.Date) int { return (int(d.Weekday())+6)%7 + 1 }

func endOfMonth(d calendar.Date) calendar.Date {
	next := calendar.Date{Year: d.Year, Month: d.Month + 1, Day: 1}
	if d.Month == time.December {
		next = calendar.Date{Year: d.Year + 1, Month: time.January, Day: 1}
	}
	return next.Add(-1)
}

// period is the days of first to last that count; ok is false when there is none.
func (t PatrolTimes) period(c calendar.Calendar, key, first, last calendar.Date) (p Period, ok bool) {
	p.Key = key
	for d := first; d.Compare(last) <= 0; d = d.Add(1) {
		if !t.counts(c, d) {
			continue
		}
		if len(p.Windows) == 0 {
			p.First = d
		}
		p.Last = d
		p.Windows = append(p.Windows, Window{d.At(t.From), d.At(t.To)})
	}
	return p, len(p.Windows) > 0
}

// counts reports whether a visit may count on d.
func (t PatrolTimes) counts(c calendar.Calendar, d calendar.Date) bool {
	if d.Compare(t.First) < 0 || t.Last != (calendar.Date{}) && d.Compare(t.Last) > 0 || len(t.Weekdays) > 0 && !slices.Contains(t.Weekdays, isoWeekday(d)) {
		return false
	}
	if t.Days == AllDays {
		return true
	}
	working, _ := c.WorkingOn(d)
	return working == (t.Days == WorkingOnly)
}

// longestHoliday bounds the look ahead in a calendar that rests for ever.
const longestHoliday = 60

// holidayBegins reports whether a holiday begins on d: a run of days of rest, one of
// them at least from Monday to Friday. An ordinary weekend is none.
func holidayBegins(c calendar.Calendar, d calendar.Date) bool {
	if work, _ := c.WorkingOn(d.Add(-1)); !work {
		return false
	}
	for n := range longestHoliday {
		day := d.Add(n)
		if work, _ := c.WorkingOn(day); work {
			return false
		}
		if isoWeekday(day) <= 5 {
			return true
		}
	}
	return false
}

// Patrol is a plan of visits (巡查计划), as far as the rules look at it.
type Patrol struct {
	ID      int64
	Ver     int
	Name    string
	Times   PatrolTimes
	RadiusM float64       // how near to a point counts as there, metres
	Stay    time.Duration // how long to stay; 0: two fixes say enough
	EndedAt *time.Time
	Reason  string // why it was ended
}

// Check says what is wrong with p, or nil.
func (p Patrol) Check() error {
	if err := p.Times.Check(); err != nil {
		return guarded(err)
	}
	switch {
	case p.RadiusM < 20 || p.RadiusM > 2000 || p.Stay < 0 || p.Stay > 8*time.Hour:
		return guarded(ErrPatrolNear)
	case p.Stay > time.Duration(p.Times.To-p.Times.From)*time.Minute:
		return guarded(ErrPatrolWindow)
	}
	return nil
}

// ChangePatrol is a patrol with other terms. They hold for the periods that are not
// opened yet: visits keep the terms they were opened with.
func ChangePatrol(p, to Patrol, seen int) (Patrol, error) {
	switch {
	case p.EndedAt != nil:
		return p, guarded(ErrPatrolEnded)
	case p.Ver != seen:
		return p, guarded(ErrPatrolVersion)
	}
	p.Ver++
	p.Name, p.Times, p.RadiusM, p.Stay = to.Name, to.Times, to.RadiusM, to.Stay
	return p, p.Check()
}

// EndPatrol is a patrol that opens no more periods.
func EndPatrol(p Patrol, reason string, now time.Time) (Patrol, error) {
	if p.EndedAt != nil {
		return p, guarded(ErrPatrolEnded)
	}
	if reason == "" {
		return p, ErrReasonMissing
	}
	p.Ver++
	p.EndedAt, p.Reason = &now, reason
	return p, nil
}
