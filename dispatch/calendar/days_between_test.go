// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package calendar_test

import (
	"math"
	"math/rand/v2"
	"sort"
	"testing"
	"time"

	"onemap/dispatch/calendar"
)

// Winter hours are 8:30-12:00 and 14:30-17:30, 6.5 h; summer's end at 18:00, 7 h.
func TestAWorkingDaysFractionIsTheShareOfItsOfficeHours(t *testing.T) {
	none := calendar.Calendar{NoOfficeHours: true}
	for _, c := range []struct {
		cal      calendar.Calendar
		from, to string
		want     float64
	}{
		{calendar.Default(), "2026-09-21 08:30", "2026-09-21 18:00", 1},             // a Monday of summer
		{calendar.Default(), "2026-09-21 08:30", "2026-09-21 12:00", 0.5},           // 3.5 of 7 h
		{calendar.Default(), "2026-09-21 12:00", "2026-09-21 14:30", 0},             // the noon break
		{calendar.Default(), "2026-09-21 03:00", "2026-09-21 08:30", 0},             // before the day begins
		{calendar.Default(), "2026-10-12 08:30", "2026-10-12 15:06", 4.1 / 6.5},     // winter
		{calendar.Default(), "2026-09-18 18:00", "2026-09-20 18:00", 1},             // a Sunday made up, a Saturday off
		{calendar.Default(), "2026-09-30 12:00", "2026-10-08 12:00", 0.5 + 3.5/6.5}, // over the holiday, from summer into winter
		{calendar.Default(), "2026-10-01 09:00", "2026-10-07 20:00", 0},
		{calendar.Default(), "2026-09-21 12:00", "2026-09-21 08:30", -0.5},
		{none, "2026-09-21 06:00", "2026-09-22 18:00", 1.5},
		{calendar.Calendar{Seasons: []calendar.Season{}}, "2026-09-21 12:00", "2026-09-22 12:00", 1},
	} {
		if got := c.cal.DaysBetween(at(t, c.from), at(t, c.to)); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("from %s to %s: %v, want %v", c.from, c.to, got, c.want)
		}
	}
}

// Of drawn moments the count by days is that by marks, and that of walking the written
// calendar minute by minute.
func TestDaysBetweenIsTheCountOfMinutes(t *testing.T) {
	const seed = 20261122
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 7))
	for _, cal := range []calendar.Calendar{calendar.Default(), {NoOfficeHours: true}, {
		Overrides: map[calendar.Date]bool{{Year: 2026, Month: 3, Day: 7}: true, {Year: 2026, Month: 3, Day: 9}: false},
		Seasons: []calendar.Season{
			{Month: 1, Day: 1, Hours: []calendar.Span{{From: 0, To: 60}, {From: 600, To: 700}, {From: 1000, To: 1440}}},
			{Month: 3, Day: 15, Hours: []calendar.Span{{From: 540, To: 1020}}},
		},
	}} {
		own := map[string]bool{}
		for d, works := range cal.Overrides {
			own[time.Date(d.Year, d.Month, d.Day, 0, 0, 0, 0, calendar.Zone()).Format(time.DateOnly)] = works
		}
		m := written(cal, own)
		from, days := m.first.AddDate(2, 11, 20), 190
		marks := cal.Marks(from, from.AddDate(0, 0, days))
		count := func(at time.Time) float64 {
			s := float64(at.UnixMicro()) / 1e6
			k := sort.Search(len(marks), func(i int) bool { return float64(marks[i].At) > s }) - 1
			return marks[k].Done + marks[k].Rate*(s-float64(marks[k].At))
		}
		first := int(from.Sub(m.first) / time.Minute)
		walk := func(a, b int) (n float64) {
			for i := a; i < b; i++ {
				all := 0
				for j := i - i%1440; j < i-i%1440+1440 && m.open[i]; j++ {
					if m.open[j] {
						all++
					}
				}
				if m.open[i] {
					n += 1 / float64(all)
				}
			}
			return n
		}
		for k := range 2000 {
			a, b := first+r.IntN(days*1440), first+r.IntN(days*1440)
			got := cal.DaysBetween(m.moment(a), m.moment(b))
			if want := count(m.moment(b)) - count(m.moment(a)); math.Abs(got-want) > 1e-7 {
				t.Fatalf("from %s to %s: %v by days, %v by marks", m.moment(a), m.moment(b), got, want)
			}
			if k%100 != 0 || a > b {
				continue
			}
			b = min(b, a+6*1440)
			if got, want := cal.DaysBetween(m.moment(a), m.moment(b)), walk(a, b); math.Abs(got-want) > 1e-7 {
				t.Fatalf("from %s to %s: %v by days, %v by minutes", m.moment(a), m.moment(b), got, want)
			}
		}
	}
}
