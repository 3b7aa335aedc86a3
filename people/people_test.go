// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package people_test

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"onemap/people"
)

// at reads a time of Shanghai; 2026-03-02 is a Monday.
func at(t *testing.T, s string) time.Time {
	t.Helper()
	v, err := time.Parse("2006-01-02 15:04:05 -0700", s+" +0800")
	if err != nil {
		t.Fatal(err)
	}
	return v.UTC()
}

func TestRotaKnowsDutyAndItsEnd(t *testing.T) {
	office := people.Rota{{time.Monday, 540, 720}, {time.Monday, 840, 1080}}
	night := people.Rota{{time.Sunday, 1320, 1800}} // Sunday 22:00 to Monday 06:00
	joined := people.Rota{{time.Monday, 480, 960}, {time.Monday, 960, 1440}, {time.Tuesday, 0, 60}}
	for _, c := range []struct {
		name  string
		rota  people.Rota
		at    string
		until string // empty: off duty
	}{
		{"before work", office, "2026-03-02 08:59:59", ""},
		{"first second", office, "2026-03-02 09:00:00", "2026-03-02 12:00:00"},
		{"last second", office, "2026-03-02 11:59:59", "2026-03-02 12:00:00"},
		{"the end is off duty", office, "2026-03-02 12:00:00", ""},
		{"after lunch", office, "2026-03-02 14:30:00", "2026-03-02 18:00:00"},
		{"another day", office, "2026-03-03 10:00:00", ""},
		{"night before midnight", night, "2026-03-01 23:00:00", "2026-03-02 06:00:00"},
		{"night past midnight, Monday here and Sunday in UTC", night, "2026-03-02 05:59:59", "2026-03-02 06:00:00"},
		{"night is over", night, "2026-03-02 06:00:00", ""},
		{"night of the day before only", night, "2026-03-01 05:00:00", ""},
		{"runs that meet are one duty", joined, "2026-03-02 09:00:00", "2026-03-03 01:00:00"},
		{"no rota", nil, "2026-03-02 10:00:00", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			until, on := c.rota.OnDuty(at(t, c.at))
			if on != (c.until != "") {
				t.Fatalf("on duty = %t", on)
			}
			if on && !until.Equal(at(t, c.until)) {
				t.Errorf("until %s, want %s", until, c.until)
			}
		})
	}
}

// The referee counts minutes of the week: duty is set membership.
func TestRotaAgreesWithMinuteSet(t *testing.T) {
	monday := at(t, "2026-03-02 00:00:00")
	rapid.Check(t, func(t *rapid.T) {
		var rota people.Rota
		duty := map[int]bool{}
		for range rapid.IntRange(0, 5).Draw(t, "runs") {
			day := rapid.IntRange(0, 6).Draw(t, "day") // 0 is Monday
			start := rapid.IntRange(0, 1439).Draw(t, "start")
			length := rapid.IntRange(1, 1440).Draw(t, "length")
			rota = append(rota, people.Hours{Weekday: time.Weekday((day + 1) % 7), Start: start, End: start + length})
			for m := range length {
				duty[(day*1440+start+m)%(7*1440)] = true
			}
		}
		m := rapid.IntRange(0, 7*1440-1).Draw(t, "minute")
		until, on := rota.OnDuty(monday.Add(time.Duration(m)*time.Minute + 30*time.Second))
		if on != duty[m] {
			t.Fatalf("minute %d: on duty = %t, want %t", m, on, duty[m])
		}
		longest, run := 0, 0
		for i := range 3 * 7 * 1440 {
			if run++; !duty[i%(7*1440)] {
				run = 0
			}
			longest = min(max(longest, run), 7*1440)
		}
		d := people.NewDirectory([]people.Worker{{ID: 9, Rota: rota}}, nil)
		if w := d.Find(9); w.LongestDuty() != time.Duration(longest)*time.Minute {
			t.Fatalf("longest duty %s, want %d minutes", w.LongestDuty(), longest)
		}
		since := rota.Since(monday.Add(time.Duration(m)*time.Minute + 30*time.Second))
		switch first := m; {
		case !on || len(duty) == 7*1440:
			if !since.IsZero() {
				t.Fatalf("minute %d of %d of duty: since %s", m, len(duty), since)
			}
		default:
			for duty[(first+7*1440-1)%(7*1440)] {
				first--
			}
			if want := monday.Add(time.Duration(first) * time.Minute); !since.Equal(want) {
				t.Fatalf("minute %d: since %s, want %s", m, since, want)
			}
		}
		if on && len(duty) == 7*1440 && until.Sub(monday) < 7*24*time.Hour {
			t.Fatalf("a rota without an end ends %s", until)
		}
		if !on || len(duty) == 7*1440 {
			return
		}
		end := m
		for duty[end%(7*1440)] {
			end++
		}
		if want := monday.Add(time.Duration(end) * time.Minute); !until.Equal(want) {
			t.Fatalf("minute %d: duty ends %s, want %s", m, until, want)
		}
	})
}

func TestDirectoryFindsTheCarrierOfThatTime(t *testing.T) {
	noon := at(t, "2026-03-02 12:00:00")
	d := people.NewDirectory(
		[]people.Worker{
			{ID: 1, Active: true, Rota: people.Rota{{time.Monday, 0, 1440}}},
			{ID: 2, Rota: people.Rota{{time.Monday, 0, 1440}}},
		},
		[]people.Device{{ID: 9, UniqueID: "a", Bindings: []people.Binding{
			{Worker: 2, From: noon},
			{Worker: 1, From: noon.Add(-time.Hour), To: noon},
		}}},
	)
	dev, ok := d.Device("a")
	if !ok {
		t.Fatal("device a is unknown")
	}
	if same, ok := d.DeviceByID(9); !ok || same.UniqueID != "a" {
		t.Errorf("device 9 is %+v", same)
	}
	if _, ok := d.DeviceByID(8); ok {
		t.Error("nothing is device 8")
	}
	for _, c := range []struct {
		at   time.Time
		want uint32
	}{{noon.Add(-2 * time.Hour), 0}, {noon.Add(-time.Hour), 1}, {noon.Add(-1), 1}, {noon, 2}, {noon.AddDate(9, 0, 0), 2}} {
		if got, ok := dev.Carrier(c.at); got != c.want || ok != (c.want != 0) {
			t.Errorf("carrier at %s = %d, %t, want %d", c.at, got, ok, c.want)
		}
	}
	if _, on := d.OnDuty(1, noon); !on {
		t.Error("worker 1 is on duty by the rota")
	}
	if _, on := d.OnDuty(2, noon); on {
		t.Error("worker 2 is not active and so never on duty")
	}
	if _, on := d.OnDuty(3, noon); on {
		t.Error("nobody is worker 3")
	}
}

func TestSpeedUnits(t *testing.T) {
	for _, c := range []struct {
		unit people.SpeedUnit
		in   float64
		want float64
	}{{people.Knots, 3600, 1852}, {people.MetresSec, 7, 7}, {people.KmHour, 36, 10}} {
		if got := c.unit.MS(c.in); got < c.want-1e-9 || got > c.want+1e-9 {
			t.Errorf("%v %s = %v m/s, want %v", c.in, c.unit, got, c.want)
		}
	}
}

func BenchmarkRotaRoundTheClock(b *testing.B) {
	var rota people.Rota
	for d := range 7 {
		rota = append(rota, people.Hours{Weekday: time.Weekday(d), End: 1440})
	}
	at := time.Date(2026, 3, 2, 4, 0, 0, 0, time.UTC)
	for b.Loop() {
		rota.OnDuty(at)
	}
}

func TestDirectoryFindsEverybodyAndNobodyElse(t *testing.T) {
	d := people.NewDirectory([]people.Worker{
		{ID: 7, Badge: "c", Served: []people.Service{{Grid: 4, Role: people.AsWorker}, {Grid: 6, Role: people.AsDeputy}}},
		{ID: 2, Badge: "a", Served: []people.Service{{Grid: 4, Role: people.AsHead}}},
		{ID: 1, Badge: "b"},
		{ID: 4_000_000_000, Badge: "d"},
	}, nil)
	for id, badge := range map[uint32]string{0: "", 1: "b", 2: "a", 3: "", 4: "", 7: "c", 4_000_000_000: "d", 4_294_967_295: ""} {
		if w, ok := d.Worker(id); w.Badge != badge || ok != (badge != "") {
			t.Errorf("worker %d is %q", id, w.Badge)
		}
	}
	for _, c := range []struct {
		first, last int32
		want        string
	}{{4, 4, "[2 7]"}, {1, 3, "[]"}, {5, 9, "[7]"}, {1, 99, "[2 7 7]"}, {1, 0, "[]"}} {
		if got := fmt.Sprint(d.Serving(c.first, c.last)); got != c.want {
			t.Errorf("serving %d to %d: %s, want %s", c.first, c.last, got, c.want)
		}
	}
}
