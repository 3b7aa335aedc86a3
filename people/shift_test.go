// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package people_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"onemap/people"
)

func TestAShiftEndsWithTheRota(t *testing.T) {
	office := people.Rota{{time.Monday, 480, 720}, {time.Monday, 840, 1080}}
	for _, c := range []struct {
		name  string
		rota  people.Rota
		start string
		end   string
	}{
		{"in a run", office, "2026-03-02 09:10:00", "2026-03-02 12:30:00"},
		{"before a run", office, "2026-03-02 06:00:00", "2026-03-02 12:30:00"},
		{"over lunch it is for the afternoon", office, "2026-03-02 12:00:00", "2026-03-02 18:30:00"},
		{"too early for a run", office, "2026-03-02 05:59:59", "2026-03-02 13:59:59"},
		{"no rota", nil, "2026-03-02 09:00:00", "2026-03-02 17:00:00"},
		{"a rota without an end", people.Rota{{time.Monday, 0, 1440}, {time.Tuesday, 0, 1440}}, "2026-03-02 01:00:00", "2026-03-02 17:30:00"},
		{"a night", people.Rota{{time.Sunday, 1200, 1920}}, "2026-03-01 19:50:00", "2026-03-02 08:30:00"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := c.rota.PlannedEnd(at(t, c.start)); !got.Equal(at(t, c.end)) {
				t.Errorf("%s, want %s", people.Local(got), c.end)
			}
		})
	}
}

func TestOnDutyIsAShiftElseTheRota(t *testing.T) {
	day := people.Rota{{time.Monday, 480, 720}, {time.Monday, 840, 1080}, {time.Tuesday, 480, 720}}
	night := people.Rota{{time.Monday, 1200, 1920}, {time.Tuesday, 1200, 1920}}
	shift := func(start, end string, byHand bool) []people.Shift {
		return []people.Shift{{Start: at(t, start), End: at(t, end), ByHand: byHand}}
	}
	for _, c := range []struct {
		name   string
		rota   people.Rota
		shifts []people.Shift
		at     string
		until  string
	}{
		{"no shift: the rota", day, nil, "2026-03-02 09:00:00", "2026-03-02 12:00:00"},
		{"a shift outside the rota", day, shift("2026-03-02 19:00:00", "2026-03-03 03:00:00", false), "2026-03-02 20:00:00", "2026-03-03 03:00:00"},
		{"a shift's grace", day, shift("2026-03-02 08:05:00", "2026-03-02 12:30:00", false), "2026-03-02 12:29:59", "2026-03-02 12:30:00"},
		{"past the grace", day, shift("2026-03-02 08:05:00", "2026-03-02 12:30:00", false), "2026-03-02 12:30:00", ""},
		{"the afternoon, after a shift that ended as planned", day, shift("2026-03-02 08:05:00", "2026-03-02 12:30:00", false), "2026-03-02 15:00:00", "2026-03-02 18:00:00"},
		{"signed off at ten", day, shift("2026-03-02 08:05:00", "2026-03-02 10:00:00", true), "2026-03-02 10:00:00", ""},
		{"and not on in the afternoon", day, shift("2026-03-02 08:05:00", "2026-03-02 10:00:00", true), "2026-03-02 15:00:00", ""},
		{"but on the next day", day, shift("2026-03-02 08:05:00", "2026-03-02 10:00:00", true), "2026-03-03 09:00:00", "2026-03-03 12:00:00"},
		{"a late fix from before signing off", day, shift("2026-03-02 08:05:00", "2026-03-02 10:00:00", true), "2026-03-02 09:59:59", "2026-03-02 10:00:00"},
		{"before signing on, by the rota", day, shift("2026-03-02 08:05:00", "2026-03-02 10:00:00", true), "2026-03-02 08:01:00", "2026-03-02 12:00:00"},
		{"signed off before midnight: not on again past it", night, shift("2026-03-02 19:55:00", "2026-03-02 23:00:00", true), "2026-03-03 02:00:00", ""},
		{"but in the next night", night, shift("2026-03-02 19:55:00", "2026-03-02 23:00:00", true), "2026-03-03 21:00:00", "2026-03-04 08:00:00"},
		{"signed off past midnight: that day is over", night, shift("2026-03-02 19:55:00", "2026-03-03 02:00:00", true), "2026-03-03 21:00:00", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := people.Worker{Active: true, Rota: c.rota, Shifts: c.shifts}
			until, on := w.OnDuty(at(t, c.at))
			if on != (c.until != "") || on && !until.Equal(at(t, c.until)) {
				t.Errorf("%t until %s, want %q", on, people.Local(until), c.until)
			}
			if w.Active = false; on {
				if _, on := w.OnDuty(at(t, c.at)); on {
					t.Error("who is no longer active is on duty")
				}
			}
		})
	}
}

// TestAnUnplannedEndAlwaysCounts: whatever the rota, a worker who signs off is off
// duty at once and until midnight, and the planned end is never out of bounds.
func TestAnUnplannedEndAlwaysCounts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var rota people.Rota
		for range rapid.IntRange(0, 5).Draw(t, "runs") {
			start := rapid.IntRange(0, 1439).Draw(t, "start")
			rota = append(rota, people.Hours{
				Weekday: time.Weekday(rapid.IntRange(0, 6).Draw(t, "day")), Start: start, End: start + rapid.IntRange(1, 1440).Draw(t, "length"),
			})
		}
		start := time.Unix(1_772_000_000+rapid.Int64Range(0, 14*86400).Draw(t, "at"), 0)
		planned := rota.PlannedEnd(start)
		if d := planned.Sub(start); d <= 0 || d > people.ShiftMost+people.ShiftEarly+people.ShiftGrace {
			t.Fatalf("a shift of %s", d)
		}
		end := start.Add(time.Duration(rapid.Int64Range(0, int64(planned.Sub(start))-1).Draw(t, "end")))
		w := people.Worker{Active: true, Rota: rota, Shifts: []people.Shift{{Start: start, End: end, ByHand: true}}}
		l := people.Local(end)
		midnight := time.Date(l.Year(), l.Month(), l.Day()+1, 0, 0, 0, 0, l.Location())
		for _, at := range []time.Time{end, end.Add(midnight.Sub(end) / 2), midnight.Add(-time.Nanosecond)} {
			if _, on := w.OnDuty(at); on {
				t.Fatalf("on duty at %s, signed off at %s", people.Local(at), l)
			}
		}
	})
}
