// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"onemap/dispatch/calendar"
	"onemap/geo"
)

func ymd(y int, m time.Month, d int) calendar.Date {
	return calendar.Date{Year: y, Month: m, Day: d}
}

// brief is a period as the tests compare it: its key and the days that count.
func brief(p Period) string {
	s := p.Key.String() + ":"
	for _, w := range p.Windows {
		s += " " + w.From.In(calendar.Zone()).Format("01-02 15:04") + w.To.In(calendar.Zone()).Format("-15:04")
	}
	return s
}

func TestPeriodsOfKnownDays(t *testing.T) {
	base := PatrolTimes{Days: AllDays, From: 480, To: 1080, First: ymd(2020, 1, 1)}
	for _, c := range []struct {
		name     string
		change   func(*PatrolTimes)
		from, to calendar.Date
		keys     []string // and how many days count
	}{
		{"each working day, with the make-up Saturday", func(p *PatrolTimes) { p.Rhythm, p.Days = Daily, WorkingOnly }, ymd(2026, 2, 12), ymd(2026, 2, 25), []string{"2026-02-12/1", "2026-02-13/1", "2026-02-14/1", "2026-02-24/1", "2026-02-25/1"}},
		{"Mondays and Thursdays", func(p *PatrolTimes) { p.Rhythm, p.Weekdays = Daily, []int{1, 4} }, ymd(2026, 3, 2), ymd(2026, 3, 8), []string{"2026-03-02/1", "2026-03-05/1"}},
		{"every second week", func(p *PatrolTimes) { p.Rhythm, p.Every, p.First = Weekly, 2, ymd(2026, 3, 4) }, ymd(2026, 3, 1), ymd(2026, 3, 31), []string{"2026-03-02/5", "2026-03-16/7", "2026-03-30/7"}},
		{"a week of holidays has no working day", func(p *PatrolTimes) { p.Rhythm, p.Every, p.Days = Weekly, 1, WorkingOnly }, ymd(2026, 2, 9), ymd(2026, 3, 1), []string{"2026-02-09/6", "2026-02-23/5"}},
		{"half months of a leap February", func(p *PatrolTimes) { p.Rhythm = HalfMonthly }, ymd(2024, 2, 1), ymd(2024, 3, 1), []string{"2024-02-01/15", "2024-02-16/14", "2024-03-01/15"}},
		{"a month that began before the patrol", func(p *PatrolTimes) { p.Rhythm, p.First = Monthly, ymd(2026, 2, 20) }, ymd(2026, 2, 20), ymd(2026, 3, 1), []string{"2026-02-01/9", "2026-03-01/31"}},
		{"before each holiday", func(p *PatrolTimes) { p.Rhythm, p.Ahead = BeforeHoliday, 3 }, ymd(2026, 1, 1), ymd(2026, 12, 31), []string{"2026-02-15/3", "2026-04-04/3", "2026-05-01/3", "2026-06-19/3", "2026-09-25/3", "2026-10-01/3", "2027-01-01/3"}},
	} {
		p := base
		c.change(&p)
		if err := p.Check(); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		var got []string
		for _, x := range p.Periods(calendar.Default(), c.from, c.to) {
			got = append(got, fmt.Sprintf("%s/%d", x.Key, len(x.Windows)))
		}
		if !slices.Equal(got, c.keys) {
			t.Errorf("%s: %v, want %v", c.name, got, c.keys)
		}
	}
	one := PatrolTimes{Rhythm: Daily, Days: AllDays, From: 0, To: 1440, First: ymd(2026, 1, 1)}.Periods(calendar.Default(), ymd(2026, 3, 2), ymd(2026, 3, 2))
	if o, c := one[0].Opens(), one[0].Closes(); !o.Equal(time.Date(2026, 3, 1, 16, 0, 0, 0, time.UTC)) || c.Sub(o) != 24*time.Hour {
		t.Errorf("the day of China is from %v to %v", o, c)
	}
}

// slowPeriods goes over the days one by one and asks of each to which period it belongs.
func slowPeriods(p PatrolTimes, c calendar.Calendar, from, to calendar.Date) (out []string) {
	at := func(d calendar.Date, minute int) time.Time {
		return time.Date(d.Year, d.Month, d.Day, 0, minute, 0, 0, calendar.Zone())
	}
	works := func(d time.Time) bool { w, _ := c.Working(d); return w }
	days := map[string][]time.Time{}
	var keys []string
	start := at(from, 720).AddDate(0, 0, -420)
	for d := start; d.Before(at(to, 720).AddDate(0, 0, 420)); d = d.AddDate(0, 0, 1) {
		if d.Before(at(p.First, 0)) || p.Last.Year != 0 && d.After(at(p.Last, 1440)) {
			continue
		}
		iso := int(d.Weekday())
		if iso == 0 {
			iso = 7
		}
		if len(p.Weekdays) > 0 && !slices.Contains(p.Weekdays, iso) || p.Days == WorkingOnly && !works(d) || p.Days == RestOnly && works(d) {
			continue
		}
		var of []time.Time // the keys of the periods it belongs to
		switch p.Rhythm {
		case Daily:
			of = append(of, d)
		case Weekly:
			m, first := d, at(p.First, 720)
			for m.Weekday() != time.Monday {
				m = m.AddDate(0, 0, -1)
			}
			for first.Weekday() != time.Monday {
				first = first.AddDate(0, 0, -1)
			}
			weeks := 0
			for x := first; x.Before(m); x = x.AddDate(0, 0, 7) {
				weeks++
			}
			if weeks%p.Every == 0 {
				of = append(of, m)
			}
		case HalfMonthly:
			k := 1
			if d.Day() > 15 {
				k = 16
			}
			of = append(of, time.Date(d.Year(), d.Month(), k, 12, 0, 0, 0, calendar.Zone()))
		case Monthly:
			of = append(of, time.Date(d.Year(), d.Month(), 1, 12, 0, 0, 0, calendar.Zone()))
		case BeforeHoliday:
			for n := 1; n <= p.Ahead; n++ {
				h := d.AddDate(0, 0, n)
				weekday := false
				for x := h; !works(x) && x.Sub(h) < 60*24*time.Hour; x = x.AddDate(0, 0, 1) {
					weekday = weekday || x.Weekday() >= time.Monday && x.Weekday() <= time.Friday
				}
				if weekday && !works(h) && works(h.AddDate(0, 0, -1)) {
					of = append(of, h)
				}
			}
		}
		for _, k := range of {
			s := k.Format(time.DateOnly)
			if days[s] == nil {
				keys = append(keys, s)
			}
			days[s] = append(days[s], d)
		}
	}
	slices.Sort(keys)
	for _, k := range keys {
		if first := days[k][0]; first.Before(at(from, 0)) || !first.Before(at(to, 1440)) {
			continue
		}
		s := k + ":"
		for _, d := range days[k] {
			day := calendar.DateOf(d)
			s += " " + at(day, p.From).Format("01-02 15:04") + at(day, p.To).Format("-15:04")
		}
		out = append(out, s)
	}
	return out
}

// TestPeriodsAgreeWithGoingDayByDay draws patrols, calendars and ranges, over leap
// years, make-up workdays and years whose holidays are not known.
func TestPeriodsAgreeWithGoingDayByDay(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		day := func(name string, lo, hi int) calendar.Date {
			return ymd(2024, 1, 1).Add(rapid.IntRange(lo, hi).Draw(rt, name))
		}
		p := PatrolTimes{Rhythm: rapid.SampledFrom(Rhythms).Draw(rt, "rhythm"), Days: rapid.SampledFrom([]DayKind{AllDays, WorkingOnly, RestOnly}).Draw(rt, "days"), First: day("first", -300, 1400)}
		p.From = rapid.IntRange(0, 1439).Draw(rt, "begins")
		p.To = rapid.IntRange(p.From+1, 1440).Draw(rt, "ends")
		if rapid.Bool().Draw(rt, "some weekdays") {
			p.Weekdays = rapid.SliceOfNDistinct(rapid.IntRange(1, 7), 1, 7, rapid.ID[int]).Draw(rt, "weekdays")
		}
		if p.Rhythm == Weekly {
			p.Every = rapid.IntRange(1, 6).Draw(rt, "every")
		}
		if p.Rhythm == BeforeHoliday {
			p.Ahead = rapid.IntRange(1, 30).Draw(rt, "ahead")
		}
		if rapid.Bool().Draw(rt, "ends") {
			p.Last = p.First.Add(rapid.IntRange(0, 500).Draw(rt, "last"))
		}
		if err := p.Check(); err != nil {
			rt.Fatal(err)
		}
		c := calendar.Calendar{Overrides: map[calendar.Date]bool{}}
		for range rapid.IntRange(0, 8).Draw(rt, "own days") {
			c.Overrides[day("own day", 0, 1500)] = rapid.Bool().Draw(rt, "works")
		}
		from := day("from", -60, 1450)
		to := from.Add(rapid.IntRange(0, 70).Draw(rt, "for"))
		var got []string
		for _, x := range p.Periods(c, from, to) {
			got = append(got, brief(x))
			if x.First.At(p.From) != x.Opens() || !x.Closes().Equal(x.Last.At(p.To)) || len(x.Windows) == 0 {
				rt.Fatalf("%+v", x)
			}
		}
		if want := slowPeriods(p, c, from, to); !slices.Equal(got, want) {
			rt.Fatalf("%+v from %v to %v:\n%q\nday by day\n%q", p, from, to, got, want)
		}
		if n := to.Sub(from); n > 0 { // looked at in two pieces nothing is lost and nothing doubled
			cut := from.Add(rapid.IntRange(0, n-1).Draw(rt, "cut"))
			var parts []string
			for _, x := range append(p.Periods(c, from, cut), p.Periods(c, cut.Add(1), to)...) {
				parts = append(parts, brief(x))
			}
			slices.Sort(parts)
			if whole := slices.Sorted(slices.Values(got)); !slices.Equal(parts, whole) {
				rt.Fatalf("cut at %v: %q, whole %q", cut, parts, whole)
			}
		}
	})
}

func TestPatrolTermsAreChecked(t *testing.T) {
	good := Patrol{Times: PatrolTimes{Rhythm: Daily, Days: AllDays, From: 480, To: 1080, First: ymd(2026, 1, 1)}, RadiusM: 50}
	for want, change := range map[error]func(*Patrol){
		ErrPatrolRhythm: func(p *Patrol) { p.Times.Rhythm = Weekly },
		ErrPatrolDays:   func(p *Patrol) { p.Times.Weekdays = []int{1, 2, 1} },
		ErrPatrolWindow: func(p *Patrol) { p.Times.To = 490; p.Stay = 11 * time.Minute },
		ErrPatrolDates:  func(p *Patrol) { p.Times.Last = ymd(2025, 12, 31) },
		ErrPatrolNear:   func(p *Patrol) { p.RadiusM = 5 },
	} {
		p := good
		change(&p)
		if err := p.Check(); !errors.Is(err, want) {
			t.Errorf("%v, want %v", err, want)
		}
	}
	if err := good.Check(); err != nil {
		t.Error(err)
	}
	now := time.Now()
	changed, err := ChangePatrol(Patrol{Ver: 3}, good, 3)
	if err != nil || changed.Ver != 4 {
		t.Errorf("%+v, %v", changed, err)
	}
	if _, err := ChangePatrol(changed, good, 3); !errors.Is(err, ErrPatrolVersion) {
		t.Errorf("an old version: %v", err)
	}
	ended, err := EndPatrol(changed, "合并到乙镇", now)
	if err != nil || ended.EndedAt == nil {
		t.Error(err)
	}
	if _, err := EndPatrol(ended, "再", now); !errors.Is(err, ErrPatrolEnded) {
		t.Errorf("ended twice: %v", err)
	}
}

func TestAVisitIsProvedByFixesOrWordAndKeepsBothApart(t *testing.T) {
	t0 := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	v := Visit{RadiusM: 50, Windows: []Window{{t0, t0.Add(8 * time.Hour)}, {t0.Add(24 * time.Hour), t0.Add(32 * time.Hour)}}}
	place := geo.WGS84{107.2, 38.4}
	there := func(f NearFix) bool { return f.Near(place, v.RadiusM) }
	fix := func(minute float64, north float64) NearFix {
		return NearFix{At: t0.Add(time.Duration(minute * float64(time.Minute))), P: geo.WGS84{107.2, 38.4 + north/111_000}, AccuracyM: 10}
	}
	for _, c := range []struct {
		name  string
		stay  time.Duration
		fixes []NearFix
		from  float64 // minutes; -1 for no proof
		at    float64
	}{
		{"two fixes", 0, []NearFix{fix(10, 20), fix(11, 20)}, 10, 11},
		{"driven past", 0, []NearFix{fix(10, 20), fix(10.3, 20)}, -1, 0},
		{"too far", 0, []NearFix{fix(10, 70), fix(11, 70)}, -1, 0},
		{"away between", 0, []NearFix{fix(10, 20), fix(10.4, 500), fix(10.8, 20)}, -1, 0},
		{"one before the window", 0, []NearFix{fix(-0.5, 20), fix(0.2, 20)}, -1, 0},
		{"one in each window", 0, []NearFix{fix(10, 20), fix(24*60+10, 20)}, -1, 0},
		{"in the second window", 0, []NearFix{fix(10, 20), fix(24*60+10, 20), fix(24*60+12, 20)}, 24*60 + 10, 24*60 + 12},
		{"stayed", 15 * time.Minute, []NearFix{fix(10, 20), fix(18, 20), fix(26, 20)}, 10, 26},
		{"not long enough", 15 * time.Minute, []NearFix{fix(10, 20), fix(18, 20), fix(24, 20)}, -1, 0},
		{"nothing heard in between", 15 * time.Minute, []NearFix{fix(10, 20), fix(26, 20)}, -1, 0},
	} {
		v.Stay = c.stay
		from, at, ok := v.VisitedBy(c.fixes, there)
		if ok != (c.from >= 0) || ok && (!from.Equal(fix(c.from, 0).At) || !at.Equal(fix(c.at, 0).At)) {
			t.Errorf("%s: %v to %v, %v", c.name, from, at, ok)
		}
	}
	for _, c := range []struct {
		at, now time.Duration
		err     error
		state   VisitState
	}{
		{-time.Minute, 0, ErrVisitEarly, VisitDue},
		{time.Hour, 2 * time.Hour, nil, VisitDone},
		{9 * time.Hour, 9 * time.Hour, ErrVisitOutside, VisitDue},
		{25 * time.Hour, 48 * time.Hour, nil, VisitDone}, // its phone was out of reach
		{time.Hour, 26 * time.Hour, ErrVisitOld, VisitDue},
		{33 * time.Hour, 33 * time.Hour, nil, VisitLate},
		{2 * time.Hour, time.Hour, ErrVisitAhead, VisitDue},
	} {
		after, _, err := VisitSaid(v, t0.Add(c.at), t0.Add(c.now))
		if !errors.Is(err, c.err) || after.State() != c.state {
			t.Errorf("said for %v at %v: %v, %s; want %v, %s", c.at, c.now, err, after.State(), c.err, c.state)
		}
	}
	missed := t0.Add(33 * time.Hour)
	v.MissedAt = &missed
	late, _, _ := VisitSaid(v, missed, missed)
	if again, changed, err := VisitSaid(late, missed.Add(time.Hour), missed.Add(time.Hour)); changed || err != nil || !again.SaidAt.Equal(missed) {
		t.Errorf("said again: %+v, %v, %v", again, changed, err)
	}
	seen, changed := VisitSeen(late, t0.Add(time.Hour), t0.Add(2*time.Hour))
	if !changed || seen.State() != VisitDone || seen.SaidAt == nil || seen.MissedAt == nil {
		t.Errorf("fixes that came late: %+v", seen)
	}
	if v.State() != VisitMissed {
		t.Errorf("%s", v.State())
	}
}
