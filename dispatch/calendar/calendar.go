// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// Package calendar counts limits: working days with holidays and make-up
// workdays, office hours by season, natural hours and days. All of it is in
// China's one time zone, and pure: the same start, limit and calendar always
// give the same due time.
package calendar

import (
	"cmp"
	"fmt"
	"time"
)

// Unit is the unit of a limit.
type Unit string

const (
	NaturalMinutes Unit = "min" // 分钟: around the clock; of short limits such as a reply's
	NaturalHours   Unit = "nh"  // 小时: around the clock
	WorkingHours   Unit = "wh"  // 工作时: within office hours
	WorkingDays    Unit = "wd"  // 工作日
	SameDay        Unit = "sd"  // 当日: until 24:00; reported late in the evening, until the next noon
	CalendarDays   Unit = "cd"  // 自然日
)

// Zone is the zone all limits are counted in: UTC+8, no summer time.
func Zone() *time.Location { return time.FixedZone("Asia/Shanghai", shift) }

const (
	shift = 8 * 3600 // seconds that the zone is ahead of UTC
	day   = 86400    // seconds

	maxDays = 40_000 // that a limit may reach ahead
)

// Calendar counts by the days of the State Council's notices that this package
// knows, unless a centre says otherwise. The zero Calendar is ready for use.
type Calendar struct {
	// Overrides are days on which this centre works (true) or rests (false)
	// whatever the notices say, or before there is a notice.
	Overrides map[Date]bool
	// Seasons are the office hours; DefaultSeasons when nil.
	Seasons []Season
	// NoOfficeHours lets working days end at 24:00.
	NoOfficeHours bool
	// LateFrom and LateUntil are minutes after midnight: a same-day limit that
	// starts at LateFrom or later ends at LateUntil the next day. Zero is 20:00
	// and 12:00.
	LateFrom, LateUntil int
	// Revision counts the centre's own changes of its calendar; 0 before the first.
	Revision int
}

// Default is the calendar of a new centre.
func Default() Calendar { return Calendar{} }

// Due is the end of a limit.
type Due struct {
	At          time.Time
	Provisional bool   // the count passed days of a year whose notice is not known
	Rule        string // the limit, the calendar's version and the hour, for the record
}

// Due returns when a limit of value units that starts at start ends. The day of
// start is day 0. A working-day limit ends at the close of business of its last
// working day; calendar days end at 24:00. A value below one counts as one, an
// unknown unit as calendar days.
func (c Calendar) Due(start time.Time, value int, unit Unit) Due {
	value = max(value, 1)
	switch unit {
	case NaturalMinutes:
		return c.due(start.Add(time.Duration(value)*time.Minute), value, unit, false)
	case NaturalHours:
		return c.due(start.Add(time.Duration(value)*time.Hour), value, unit, false)
	case WorkingHours:
		return c.workingHours(start, value)
	case WorkingDays:
		return c.workingDays(start, value)
	case SameDay:
		return c.sameDay(start, value)
	default:
		return c.due(moment(dayOf(start)+int64(value)+1, 0), value, CalendarDays, false)
	}
}

func (c Calendar) due(at time.Time, value int, unit Unit, provisional bool) Due {
	at = at.In(Zone())
	end := at.Format("15:04")
	if at.Hour() == 0 && at.Minute() == 0 && unit != NaturalHours && unit != NaturalMinutes {
		end = "24:00"
	}
	return Due{At: at, Provisional: provisional, Rule: fmt.Sprintf("%d%s %s to %s", value, unit, c.Version(), end)}
}

// Version names the days and hours that a due time was counted by: the notices
// known to the program and, after a point, the centre's own revision.
func (c Calendar) Version() string {
	if c.Revision == 0 {
		return Version
	}
	return fmt.Sprintf("%s.%d", Version, c.Revision)
}

func (c Calendar) workingDays(start time.Time, value int) Due {
	d, provisional := dayOf(start), false
	for left := min(value, maxDays); left > 0; {
		d++
		working, known := c.working(d)
		provisional = provisional || !known
		if working {
			left--
		}
	}
	end := 24 * 60
	if hours := c.hours(d); len(hours) > 0 {
		end = hours[len(hours)-1].To
	}
	return c.due(moment(d, end), value, WorkingDays, provisional)
}

func (c Calendar) workingHours(start time.Time, value int) Due {
	at, provisional := c.forward(start.Unix(), int64(value)*3600)
	return c.due(time.Unix(at, 0), value, WorkingHours, provisional)
}

func (c Calendar) sameDay(start time.Time, value int) Due {
	late, until := cmp.Or(c.LateFrom, 20*60), cmp.Or(c.LateUntil, 12*60)
	last := dayOf(start) + int64(value) - 1
	if second(start) >= int64(late)*60 {
		return c.due(moment(last+1, until), value, SameDay, false)
	}
	return c.due(moment(last+1, 0), value, SameDay, false)
}

// Working says whether t lies on a working day, and whether that is certain:
// beyond the known notices only weekends and the holidays fixed by law count.
func (c Calendar) Working(t time.Time) (working, known bool) { return c.working(dayOf(t)) }

func (c Calendar) working(n int64) (working, known bool) {
	date := dateOf(n)
	if w, ok := c.Overrides[date]; ok {
		return w, true
	}
	weekday := (n + 4) % 7 // 1 January 1970 was a Thursday; 0 is Sunday
	weekend := weekday == 0 || weekday == 6
	if date.Year < firstYear || date.Year > lastYear {
		return !weekend && !statutory(date), false
	}
	if work, ok := exception(date); ok {
		return work, true
	}
	return !weekend, true
}

// hours returns the office hours of a day, nil when the centre has none.
func (c Calendar) hours(n int64) []Span {
	if c.NoOfficeHours {
		return nil
	}
	seasons := c.Seasons
	if seasons == nil {
		seasons = defaultSeasons[:]
	}
	if len(seasons) == 0 {
		return nil
	}
	date := dateOf(n)
	now := seasons[len(seasons)-1]
	for _, s := range seasons {
		if s.Month < date.Month || s.Month == date.Month && s.Day <= date.Day {
			now = s
		}
	}
	return now.Hours
}

// dayOf numbers the day of t in the zone, 0 being 1 January 1970.
func dayOf(t time.Time) int64 {
	s := t.Unix() + shift
	return (s - ((s%day)+day)%day) / day
}

// second is the second of its day that t lies in.
func second(t time.Time) int64 { return t.Unix() + shift - dayOf(t)*day }

// moment is a minute of a day; minute 1440 is the next day's first.
func moment(n int64, minute int) time.Time {
	return time.Unix(n*day-shift+int64(minute)*60, 0)
}

func dateOf(n int64) Date {
	y, m, d := time.Unix(n*day, 0).UTC().Date()
	return Date{y, m, d}
}
