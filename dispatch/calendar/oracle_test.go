// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package calendar_test

import (
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"onemap/dispatch/calendar"
)

// minutes is a calendar written out minute by minute: what the oracle walks.
type minutes struct {
	first     time.Time
	open      []bool // minute is working time
	work      []bool // its day is a working day
	firstLate int    // minute of the day from which a same-day limit ends the next noon
	noon      int
}

const oracleYears = 7 // 2023 to 2029

// written writes a calendar out. Which days the notices name is held by
// TestDaysAreThePublished; days of the centre's own are looked up here.
func written(c calendar.Calendar, own map[string]bool) *minutes {
	m := &minutes{first: time.Date(2023, 1, 1, 0, 0, 0, 0, calendar.Zone()), firstLate: 20 * 60, noon: 12 * 60}
	if c.LateFrom != 0 {
		m.firstLate = c.LateFrom
	}
	if c.LateUntil != 0 {
		m.noon = c.LateUntil
	}
	seasons := c.Seasons
	if seasons == nil {
		seasons = calendar.DefaultSeasons()
	}
	for d := m.first; d.Year() < 2023+oracleYears; d = d.AddDate(0, 0, 1) {
		work, _ := calendar.Default().Working(d)
		if w, ok := own[d.Format(time.DateOnly)]; ok {
			work = w
		}
		season := seasons[len(seasons)-1]
		for _, s := range seasons {
			if !d.Before(time.Date(d.Year(), s.Month, s.Day, 0, 0, 0, 0, calendar.Zone())) {
				season = s
			}
		}
		for i := range 1440 {
			in := c.NoOfficeHours
			for _, h := range season.Hours {
				in = in || i >= h.From && i < h.To
			}
			m.work, m.open = append(m.work, work), append(m.open, work && in)
		}
	}
	return m
}

func (m *minutes) moment(i int) time.Time    { return m.first.Add(time.Duration(i) * time.Minute) }
func (m *minutes) midnight(i int) (yes bool) { return i%1440 == 0 }

// passed is the minute by which so many minutes of working time have passed since i.
func (m *minutes) passed(i, open int) int {
	for ; open > 0; i++ {
		if m.open[i] {
			open--
		}
	}
	return i
}

// due walks from minute i until the limit has ended.
func (m *minutes) due(i, value int, unit calendar.Unit) int {
	switch unit {
	case calendar.NaturalMinutes:
		return i + value
	case calendar.NaturalHours:
		return i + value*60
	case calendar.WorkingHours:
		return m.passed(i, value*60)
	case calendar.WorkingDays:
		for {
			if i++; m.midnight(i) && m.work[i] {
				if value--; value == 0 {
					break
				}
			}
		}
		end := i
		for last := i + 1440; i < last; i++ {
			if m.open[i] {
				end = i + 1
			}
		}
		return end
	case calendar.SameDay:
		late := i%1440 >= m.firstLate
		for value > 0 {
			if i++; m.midnight(i) {
				value--
			}
		}
		if late {
			i += m.noon
		}
		return i
	default:
		for value++; value > 0; {
			if i++; m.midnight(i) {
				value--
			}
		}
		return i
	}
}

// paused walks the working minutes left at from, beginning at to.
func (m *minutes) paused(due, from, to int, unit calendar.Unit) int {
	if due <= from || to <= from {
		return due
	}
	if unit != calendar.WorkingDays && unit != calendar.WorkingHours {
		return to + (due - from)
	}
	left := 0
	for i := from; i < due; i++ {
		if m.open[i] {
			left++
		}
	}
	return max(due, m.passed(to, left))
}

// before walks back until so many open minutes have passed.
func (m *minutes) before(i, hours int) int {
	for left := hours * 60; left > 0; i-- {
		if m.open[i-1] {
			left--
		}
	}
	return i
}

// drawn makes a centre's own calendar.
func drawn(r *rand.Rand) (calendar.Calendar, map[string]bool) {
	c, own := calendar.Calendar{Overrides: map[calendar.Date]bool{}, NoOfficeHours: r.IntN(5) == 0}, map[string]bool{}
	for range r.IntN(60) {
		d := time.Date(2023, 1, 1+r.IntN(365*oracleYears), 0, 0, 0, 0, time.UTC)
		own[d.Format(time.DateOnly)] = r.IntN(2) == 0
		c.Overrides[calendar.Date{Year: d.Year(), Month: d.Month(), Day: d.Day()}] = own[d.Format(time.DateOnly)]
	}
	if r.IntN(3) > 0 {
		for month := 1 + r.IntN(4); month <= 12; month += 1 + r.IntN(5) {
			s := calendar.Season{Month: time.Month(month), Day: 1 + r.IntN(28)}
			for at := r.IntN(600); at < 1380 && len(s.Hours) < 4; {
				to := min(at+1+r.IntN(400), 1440)
				s.Hours = append(s.Hours, calendar.Span{From: at, To: to})
				at = to + r.IntN(120)
			}
			c.Seasons = append(c.Seasons, s)
		}
	}
	if r.IntN(2) == 0 {
		c.LateFrom, c.LateUntil = 1+r.IntN(1439), 1+r.IntN(1440)
	}
	return c, own
}

// TestDueAgreesWithCountingMinutes compares due times, suspensions and reminders of
// drawn calendars with a walk minute by minute: a million cases with ONEMAP_SOAK=1,
// one in a hundred otherwise.
func TestDueAgreesWithCountingMinutes(t *testing.T) {
	calendars, each := 5, 2_000
	if os.Getenv("ONEMAP_SOAK") == "1" {
		calendars, each = 50, 20_000
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	units := []calendar.Unit{
		calendar.NaturalMinutes, calendar.NaturalHours, calendar.WorkingHours, calendar.WorkingDays, calendar.SameDay, calendar.CalendarDays,
	}
	wrong := 0
	fail := func(format string, args ...any) {
		t.Errorf(format, args...)
		if wrong++; wrong > 10 {
			t.FailNow()
		}
	}
	for n := range calendars {
		c, own := calendar.Default(), map[string]bool(nil)
		if n > 0 {
			c, own = drawn(r)
		}
		if err := c.Check(); err != nil {
			t.Fatal(err)
		}
		m := written(c, own)
		for range each {
			from, value, unit := 400*1440+r.IntN(4*365*1440), 1+r.IntN(20), units[r.IntN(len(units))]
			start := m.moment(from)
			want := m.due(from, value, unit)
			due := c.Due(start, value, unit)
			if !due.At.Equal(m.moment(want)) {
				fail("calendar %d: %v + %d %s = %v, counting says %v", n, start, value, unit, due.At, m.moment(want))
			}
			if through := m.moment(want - 1).Year(); (unit == calendar.WorkingDays || unit == calendar.WorkingHours) && len(own) == 0 && due.Provisional != (through > 2026 || start.Year() > 2026 || start.Year() < 2024) {
				fail("calendar %d: %v + %d %s: provisional is %v", n, start, value, unit, due.Provisional)
			}
			stop := from + r.IntN(max(want-from, 1)+600)
			again := stop + r.IntN(60*1440)
			if got := c.Paused(due.At, unit, m.moment(stop), m.moment(again)); !got.At.Equal(m.moment(m.paused(want, stop, again, unit))) {
				fail("calendar %d: due %v %s, paused %v to %v = %v, counting says %v", n, due.At, unit, m.moment(stop), m.moment(again), got.At,
					m.moment(m.paused(want, stop, again, unit)))
			}
			if got := c.Before(due.At, value, calendar.WorkingHours); !got.Equal(m.moment(m.before(want, value))) {
				fail("calendar %d: %d wh before %v = %v, counting says %v", n, value, due.At, got, m.moment(m.before(want, value)))
			}
		}
	}
	t.Logf("%d cases", calendars*each)
}

func TestPaused(t *testing.T) {
	c := calendar.Default()
	for _, v := range []struct {
		name, due, from, to, want string
		unit                      calendar.Unit
	}{
		{"a week's works in working days", "2026-05-15 18:00", "2026-05-13 10:00", "2026-05-20 10:00", "2026-05-22 18:00", calendar.WorkingDays},
		{"a minute costs a minute", "2026-05-15 18:00", "2026-05-13 10:00", "2026-05-13 10:01", "2026-05-18 08:31", calendar.WorkingDays},
		{"over the October holiday", "2026-09-30 18:00", "2026-09-30 14:30", "2026-10-08 08:30", "2026-10-08 12:00", calendar.WorkingHours},
		{"a weekend costs nothing", "2026-05-18 12:00", "2026-05-16 09:00", "2026-05-17 09:00", "2026-05-18 12:00", calendar.WorkingHours},
		{"natural hours", "2026-05-15 18:00", "2026-05-15 17:00", "2026-05-16 23:00", "2026-05-17 00:00", calendar.NaturalHours},
		{"calendar days", "2026-05-16 00:00", "2026-05-15 00:00", "2026-05-17 12:00", "2026-05-18 12:00", calendar.CalendarDays},
		{"late already", "2026-05-15 18:00", "2026-05-15 18:00", "2026-06-15 18:00", "2026-05-15 18:00", calendar.WorkingDays},
	} {
		if got := c.Paused(at(t, v.due), v.unit, at(t, v.from), at(t, v.to)).At.Format("2006-01-02 15:04"); got != v.want {
			t.Errorf("%s: %s, want %s", v.name, got, v.want)
		}
	}
}

func TestExtendedCountsFromTheDayItWasDueOn(t *testing.T) {
	closed := calendar.Calendar{NoOfficeHours: true}
	for _, v := range []struct {
		c    calendar.Calendar
		due  string
		unit calendar.Unit
		want string
	}{
		{calendar.Default(), "2026-04-30 18:00", calendar.WorkingDays, "2026-05-06 18:00"},
		{closed, "2026-05-01 00:00", calendar.WorkingDays, "2026-05-07 00:00"}, // the end of 30 April: one working day, 6 May
		{closed, "2026-05-01 00:00", calendar.CalendarDays, "2026-05-02 00:00"},
		{closed, "2026-05-01 00:00", calendar.SameDay, "2026-05-02 00:00"},
		{closed, "2026-05-01 10:00", calendar.NaturalHours, "2026-05-01 11:00"},
	} {
		d := v.c.Extended(at(t, v.due), 1, v.unit)
		if got := d.At.Format("2006-01-02 15:04"); got != v.want || !strings.HasPrefix(d.Rule, "extended 1") {
			t.Errorf("%s + 1 %s = %s (%s), want %s", v.due, v.unit, got, d.Rule, v.want)
		}
	}
}

func TestBeforeInDays(t *testing.T) {
	c := calendar.Default()
	for _, v := range []struct {
		due   string
		value int
		unit  calendar.Unit
		want  string
	}{
		{"2026-05-06 18:00", 1, calendar.WorkingDays, "2026-04-30 18:00"},
		{"2026-02-14 17:30", 1, calendar.WorkingDays, "2026-02-13 17:30"},
		{"2026-05-09 00:00", 1, calendar.WorkingDays, "2026-05-08 00:00"}, // the end of 8 May; the end of 7 May
		{"2026-05-06 18:00", 2, calendar.CalendarDays, "2026-05-04 18:00"},
		{"2026-05-06 18:00", 90, calendar.NaturalMinutes, "2026-05-06 16:30"},
		{"2026-05-06 18:00", 0, calendar.WorkingDays, "2026-05-06 18:00"},
	} {
		if got := c.Before(at(t, v.due), v.value, v.unit).Format("2006-01-02 15:04"); got != v.want {
			t.Errorf("%d %s before %s = %s, want %s", v.value, v.unit, v.due, got, v.want)
		}
	}
}

func TestCheckNamesWhatIsWrong(t *testing.T) {
	day := []calendar.Span{{From: 8 * 60, To: 18 * 60}}
	for want, c := range map[string]calendar.Calendar{
		"":                   {Seasons: []calendar.Season{{Month: 1, Day: 1, Hours: day}}, LateFrom: 19 * 60},
		"no day of":          {Overrides: map[calendar.Date]bool{{Year: 2026, Month: 2, Day: 30}: true}},
		"late_from":          {LateFrom: 1441},
		"1 to 12 seasons":    {Seasons: []calendar.Season{}},
		"no day of every":    {Seasons: []calendar.Season{{Month: 2, Day: 29, Hours: day}}},
		"does not come":      {Seasons: []calendar.Season{{Month: 5, Day: 1, Hours: day}, {Month: 5, Day: 1, Hours: day}}},
		"needs 1 to":         {Seasons: []calendar.Season{{Month: 5, Day: 1}}},
		"are not in order":   {Seasons: []calendar.Season{{Month: 5, Day: 1, Hours: []calendar.Span{{From: 600, To: 700}, {From: 650, To: 800}}}}},
		"within 00:00 to 24": {Seasons: []calendar.Season{{Month: 5, Day: 1, Hours: []calendar.Span{{From: 600, To: 1441}}}}},
	} {
		err := c.Check()
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v", want, err)
		}
	}
}

func TestRuleNamesTheCentresRevision(t *testing.T) {
	c := calendar.Calendar{Revision: 3}
	if got := c.Due(at(t, "2026-05-06 10:00"), 1, calendar.WorkingDays).Rule; got != "1wd cn2026.3 to 18:00" {
		t.Error(got)
	}
}
