// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package calendar_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"onemap/dispatch/calendar"
)

func at(t testing.TB, s string) time.Time {
	t.Helper()
	v, err := time.ParseInLocation("2006-01-02 15:04", s, calendar.Zone())
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestWorkingDayVectors(t *testing.T) {
	for start, want := range map[string]map[int]string{
		"2026-02-13": {1: "2026-02-14", 3: "2026-02-25", 5: "2026-02-27", 7: "2026-03-02"},
		"2026-04-30": {1: "2026-05-06", 3: "2026-05-08", 5: "2026-05-11", 7: "2026-05-13"},
		"2026-09-18": {1: "2026-09-20", 3: "2026-09-22", 5: "2026-09-24", 7: "2026-09-29"},
		"2026-09-30": {1: "2026-10-08", 3: "2026-10-10", 5: "2026-10-13", 7: "2026-10-15"},
		"2025-09-26": {1: "2025-09-28", 3: "2025-09-30", 5: "2025-10-10", 7: "2025-10-13"},
		"2025-01-24": {1: "2025-01-26", 3: "2025-02-05", 5: "2025-02-07", 7: "2025-02-10"},
		"2026-12-30": {3: "2027-01-05"},
	} {
		for days, end := range want {
			for _, clock := range []string{"00:00", "09:10", "23:59"} { // the day of hand-over is day 0 at any hour
				due := calendar.Default().Due(at(t, start+" "+clock), days, calendar.WorkingDays)
				if got := due.At.Format("2006-01-02"); got != end {
					t.Errorf("%s + %d wd = %s, want %s", start, days, got, end)
				}
				if provisional := strings.HasPrefix(end, "2027"); due.Provisional != provisional {
					t.Errorf("%s + %d wd: provisional is %v", start, days, due.Provisional)
				}
			}
		}
	}
}

func TestDue(t *testing.T) {
	c := calendar.Default()
	closed := calendar.Calendar{NoOfficeHours: true}
	for _, v := range []struct {
		name  string
		c     calendar.Calendar
		start string
		value int
		unit  calendar.Unit
		want  string
		rule  string
	}{
		{"summer closes at six", c, "2026-05-06 10:00", 1, calendar.WorkingDays, "2026-05-07 18:00", "1wd cn2026 to 18:00"},
		{"winter closes at half past five", c, "2026-11-02 10:00", 1, calendar.WorkingDays, "2026-11-03 17:30", "1wd cn2026 to 17:30"},
		{"the last of summer", c, "2026-09-29 10:00", 1, calendar.WorkingDays, "2026-09-30 18:00", ""},
		{"no office hours", closed, "2026-05-06 10:00", 1, calendar.WorkingDays, "2026-05-08 00:00", "1wd cn2026 to 24:00"},
		{"calendar days", c, "2026-02-13 10:00", 3, calendar.CalendarDays, "2026-02-17 00:00", "3cd cn2026 to 24:00"},
		{"calendar days over a holiday", c, "2026-04-30 10:00", 3, calendar.CalendarDays, "2026-05-04 00:00", ""},
		{"calendar days in autumn", c, "2026-09-30 23:59", 3, calendar.CalendarDays, "2026-10-04 00:00", ""},
		{"same day", c, "2026-03-02 09:00", 1, calendar.SameDay, "2026-03-03 00:00", "1sd cn2026 to 24:00"},
		{"same day at 19:59", c, "2026-03-02 19:59", 1, calendar.SameDay, "2026-03-03 00:00", ""},
		{"same day at eight in the evening", c, "2026-03-02 20:00", 1, calendar.SameDay, "2026-03-03 12:00", "1sd cn2026 to 12:00"},
		{"natural hours", c, "2026-03-06 20:30", 30, calendar.NaturalHours, "2026-03-08 02:30", ""},
		{"working hours within a morning", c, "2026-03-02 09:00", 2, calendar.WorkingHours, "2026-03-02 11:00", ""},
		{"working hours over noon", c, "2026-03-02 11:00", 4, calendar.WorkingHours, "2026-03-02 17:30", ""},
		{"working hours over a weekend", c, "2026-03-06 16:30", 4, calendar.WorkingHours, "2026-03-09 11:30", ""},
		{"working hours from the night", c, "2026-03-02 03:00", 1, calendar.WorkingHours, "2026-03-02 09:30", ""},
		{"working hours from the evening before a holiday", c, "2026-04-30 19:00", 1, calendar.WorkingHours, "2026-05-06 09:30", ""},
		{"working hours on a make-up Saturday", c, "2026-02-14 09:00", 1, calendar.WorkingHours, "2026-02-14 10:00", ""},
		{"working hours without office hours", closed, "2026-03-06 23:00", 2, calendar.WorkingHours, "2026-03-09 01:00", ""},
		{"nothing counts as one", c, "2026-05-06 10:00", 0, calendar.WorkingDays, "2026-05-07 18:00", ""},
	} {
		due := v.c.Due(at(t, v.start), v.value, v.unit)
		if got := due.At.Format("2006-01-02 15:04"); got != v.want || due.Provisional {
			t.Errorf("%s: %s + %d %s = %s (provisional %v), want %s", v.name, v.start, v.value, v.unit, got, due.Provisional, v.want)
		}
		if v.rule != "" && due.Rule != v.rule {
			t.Errorf("%s: rule %q, want %q", v.name, due.Rule, v.rule)
		}
	}
}

func TestStartIsTheSameInstantInAnyZone(t *testing.T) {
	start := at(t, "2026-03-02 23:30")
	for _, unit := range []calendar.Unit{"nh", "wh", "wd", "sd", "cd"} {
		a, b := calendar.Default().Due(start, 2, unit), calendar.Default().Due(start.UTC(), 2, unit)
		if !a.At.Equal(b.At) || a.Rule != b.Rule {
			t.Errorf("%s: %v and %v", unit, a, b)
		}
	}
}

func TestOverrides(t *testing.T) {
	c := calendar.Calendar{Overrides: map[calendar.Date]bool{
		{Year: 2026, Month: time.July, Day: 6}:    false, // a local festival, Monday
		{Year: 2027, Month: time.January, Day: 4}: true,
	}}
	if due := c.Due(at(t, "2026-07-03 10:00"), 1, calendar.WorkingDays); due.At.Format("01-02") != "07-07" {
		t.Errorf("the local festival was worked: %v", due.At)
	}
	if work, known := c.Working(at(t, "2027-01-04 10:00")); !work || !known {
		t.Errorf("a day somebody decided is %v, known %v", work, known)
	}
}

func TestYearsHave248WorkingDays(t *testing.T) {
	for _, year := range []int{2025, 2026} {
		n := 0
		for d := at(t, fmt.Sprintf("%d-01-01 12:00", year)); d.Year() == year; d = d.AddDate(0, 0, 1) {
			work, known := calendar.Default().Working(d)
			if !known {
				t.Fatalf("%v is not known", d)
			}
			if work {
				n++
			}
		}
		if n != 248 {
			t.Errorf("%d has %d working days", year, n)
		}
	}
}

func TestHolidaysOfTheLawInUnknownYears(t *testing.T) {
	for _, s := range []string{
		"2027-01-01", "2027-02-05", "2027-02-08", "2027-04-05", "2027-06-09", "2027-09-15", "2027-10-01", "2028-01-25", "2028-10-02",
	} {
		if work, known := calendar.Default().Working(at(t, s+" 12:00")); work || known {
			t.Errorf("%s: working %v, known %v", s, work, known)
		}
	}
	for _, s := range []string{"2027-02-09", "2027-02-04", "2027-01-04", "2040-03-01"} {
		if work, known := calendar.Default().Working(at(t, s+" 12:00")); !work || known {
			t.Errorf("%s: working %v, known %v", s, work, known)
		}
	}
}

// TestDaysAreThePublished compares every day typed in here with the notices.
func TestDaysAreThePublished(t *testing.T) {
	for _, year := range []int{2024, 2025, 2026} {
		raw, err := os.ReadFile(filepath.Join("../../../shared/data/calendar", fmt.Sprintf("%d.json", year)))
		if err != nil {
			t.Skipf("SKIPPED, real data is missing: %v", err)
		}
		var notice struct {
			Days []struct {
				Date     string
				IsOffDay bool
			}
		}
		if err := json.Unmarshal(raw, &notice); err != nil {
			t.Fatal(err)
		}
		off := map[string]bool{}
		for _, d := range notice.Days {
			off[d.Date] = d.IsOffDay
		}
		for d := at(t, fmt.Sprintf("%d-01-01 12:00", year)); d.Year() == year; d = d.AddDate(0, 0, 1) {
			want := d.Weekday() != time.Saturday && d.Weekday() != time.Sunday
			if rest, ok := off[d.Format("2006-01-02")]; ok {
				want = !rest
			}
			if work, known := calendar.Default().Working(d); work != want || !known {
				t.Errorf("%s: working %v, known %v; the notice says %v", d.Format("2006-01-02"), work, known, want)
			}
		}
	}
}

// TestWorkingHoursAgreeWithCountingMinutes walks minute by minute.
func TestWorkingHoursAgreeWithCountingMinutes(t *testing.T) {
	c := calendar.Default()
	open := func(m time.Time) bool {
		if work, _ := c.Working(m); !work {
			return false
		}
		seasons := calendar.DefaultSeasons()
		hours := seasons[1].Hours
		if m.Month() >= time.May && m.Month() <= time.September {
			hours = seasons[0].Hours
		}
		minute := m.Hour()*60 + m.Minute()
		for _, h := range hours {
			if h.From <= minute && minute < h.To {
				return true
			}
		}
		return false
	}
	rapid.Check(t, func(rt *rapid.T) {
		start := at(t, "2024-06-01 00:00").Add(time.Duration(rapid.IntRange(0, 800*24*60).Draw(rt, "minute")) * time.Minute)
		value := rapid.IntRange(1, 20).Draw(rt, "hours")
		m := start
		for left := value * 60; left > 0; m = m.Add(time.Minute) {
			if open(m) {
				left--
			}
		}
		if got := c.Due(start, value, calendar.WorkingHours).At; !got.Equal(m) {
			rt.Fatalf("%v + %d wh = %v, counting says %v", start, value, got, m)
		}
	})
}

func TestDueNeverMovesBack(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		unit := rapid.SampledFrom([]calendar.Unit{"nh", "wh", "wd", "sd", "cd"}).Draw(rt, "unit")
		start := at(t, "2020-01-01 00:00").Add(time.Duration(rapid.IntRange(0, 12*365*24*60).Draw(rt, "minute")) * time.Minute)
		later := start.Add(time.Duration(rapid.IntRange(0, 5000).Draw(rt, "later")) * time.Minute)
		value := rapid.IntRange(1, 40).Draw(rt, "value")
		c := calendar.Default()
		a := c.Due(start, value, unit).At
		if !a.After(start) {
			rt.Fatalf("%v + %d %s ends before it begins: %v", start, value, unit, a)
		}
		if b := c.Due(later, value, unit).At; b.Before(a) {
			rt.Fatalf("%s: a later start %v ends sooner: %v, %v", unit, later, b, a)
		}
		if b := c.Due(start, value+1, unit).At; b.Before(a) {
			rt.Fatalf("%s: a longer limit ends sooner: %v, %v", unit, b, a)
		}
	})
}

func BenchmarkDue(b *testing.B) {
	start := at(b, "2026-02-13 10:00")
	for b.Loop() {
		calendar.Default().Due(start, 7, calendar.WorkingDays)
	}
}
