// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package demo_test

import (
	"crypto/sha256"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"onemap/dispatch"
	"onemap/dispatch/calendar"
	"onemap/geo"
	"onemap/internal/demo"
)

// sum hashes the rows that each hands over.
func sum(each func(func(any))) string {
	h := sha256.New()
	each(func(x any) { fmt.Fprintf(h, "%+v\n", x) })
	return fmt.Sprintf("%x", h.Sum(nil))
}

var shanghai = time.FixedZone("Asia/Shanghai", 8*3600)

// until is a Friday afternoon.
var until = time.Date(2026, 11, 20, 15, 40, 0, 0, shanghai)

func history(t testing.TB, at time.Time, total int) *demo.History {
	t.Helper()
	h, err := theBanner(t).History(at, cal(t), total)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func all(h *demo.History) []demo.Incident { return slices.Collect(h.All()) }

// enough incidents to see shares, few enough for every run.
const some = 12_000

func TestHistoryCountsExactlyAndInOrder(t *testing.T) {
	for _, total := range []int{1, 3_000, some} {
		rows := all(history(t, until, total))
		if len(rows) != total {
			t.Errorf("%d incidents, want %d", len(rows), total)
		}
		last := until.AddDate(-2, 0, -1)
		for i, in := range rows {
			if in.Number != i+1 || in.ExternalID != fmt.Sprintf("DEMO-%07d", i+1) {
				t.Fatalf("row %d has number %d, %s", i, in.Number, in.ExternalID)
			}
			if in.ReportedAt.Before(last) || in.ReportedAt.After(until) {
				t.Fatalf("incident %d at %v, after %v, until %v", in.Number, in.ReportedAt, last, until)
			}
			last = in.ReportedAt
		}
	}
}

func TestHistoryIsTheSameFromTheSameSeedAndMoment(t *testing.T) {
	hash := func(h *demo.History) string {
		return sum(func(w func(any)) {
			for in := range h.All() {
				w(in)
			}
		})
	}
	h := history(t, until, 3_000)
	first := hash(h)
	if again := hash(history(t, until, 3_000)); again != first {
		t.Error("two histories from one seed and moment")
	}
	if other := hash(history(t, until.Add(24*time.Hour), 3_000)); other == first {
		t.Error("another moment gives the same history")
	}
	// Days stand for themselves: made backwards they are the same.
	days := make([][]demo.Incident, h.Days())
	for d := h.Days() - 1; d >= 0; d-- {
		days[d] = h.Day(d)
	}
	if back := sum(func(w func(any)) {
		for _, day := range days {
			for _, in := range day {
				w(in)
			}
		}
	}); back != first {
		t.Error("days made in another order differ")
	}
}

func TestEveryIncidentHangsTogether(t *testing.T) {
	b := theBanner(t)
	sources := []string{"phone", "field", "hotline", "petition", "app", "device"}
	for in := range history(t, until, some).All() {
		if !slices.Contains(sources, in.Source) || in.Title == "" || len([]rune(in.Title)) > 200 || in.Priority < 1 || in.Priority > 4 {
			t.Fatalf("%+v", in)
		}
		if in.Place != dispatch.NoPlace {
			p, err := in.Raw.WGS84()
			if err != nil || p != in.Point {
				t.Fatalf("incident %d: raw %v is %v (%v), stored %v", in.Number, in.Raw, p, err, in.Point)
			}
		}
		switch at := b.Tree.Locate(in.Point).Index; {
		case in.Place == dispatch.InGrid:
			if at != in.Grid || b.Tree.Nodes()[at].Level != 4 {
				t.Fatalf("incident %d: in %d, stored %d", in.Number, at, in.Grid)
			}
			full := ""
			for _, i := range b.Tree.Path(at) {
				full += b.Tree.Nodes()[i].Name
			}
			if !strings.HasPrefix(in.Address, full) {
				t.Fatalf("incident %d: address %s in %s", in.Number, in.Address, full)
			}
		case in.Place == dispatch.Outside && at >= 0, in.Grid != 0, in.OwnerLevel != 1:
			t.Fatalf("incident %d: place %s, found in %d, grid %d, level %d", in.Number, in.Place, at, in.Grid, in.OwnerLevel)
		}
		checkLife(t, in)
	}
}

// checkLife: a chain of acts that rises in time, ends at the state, and agrees
// with the stage times; and wherever the machine has a rule, it is kept.
func checkLife(t *testing.T, in demo.Incident) {
	t.Helper()
	at, state := in.ReportedAt, dispatch.State("")
	var acknowledged, scene, resolved, closed time.Time
	for i, s := range in.Steps {
		if s.From != state || s.At.Before(at) || s.At.After(until) || s.Actor == "" || (i > 0 && !s.At.After(at)) {
			t.Fatalf("incident %d: step %d of %+v", in.Number, i, in.Steps)
		}
		at, state = s.At, s.To
		switch s.To {
		case dispatch.Acknowledged:
			if acknowledged.IsZero() {
				acknowledged = at
			}
		case dispatch.OnScene:
			scene = at
		case dispatch.Resolved:
			resolved = at
		case dispatch.Rework:
			resolved = time.Time{}
		case dispatch.Closed:
			closed = at
		}
	}
	if len(in.Steps) == 0 || in.Steps[0].Kind != "report" || state != in.State || !slices.Contains(dispatch.States, state) {
		t.Fatalf("incident %d is %s, its steps say %s", in.Number, in.State, state)
	}
	if in.AcknowledgedAt != acknowledged || in.OnSceneAt != scene || in.ResolvedAt != resolved || in.ClosedAt != closed {
		t.Fatalf("incident %d: stage times differ from its steps: %+v", in.Number, in)
	}
	if in.State == dispatch.Dispatched {
		t.Fatalf("incident %d is left with an offer that nobody holds", in.Number)
	}
	if in.OccurredAt.After(in.ReportedAt) || !in.AckDue.After(in.ReportedAt) || !in.StageDue.After(in.ReportedAt) {
		t.Fatalf("incident %d: occurred %v, reported %v, due %v and %v", in.Number, in.OccurredAt, in.ReportedAt, in.AckDue, in.StageDue)
	}
}

func TestNobodyIsNamedAndNoNumberIsPersonal(t *testing.T) {
	for in := range history(t, until, some).All() {
		for _, text := range []string{in.Title, in.Text, in.Address} {
			run := 0
			for _, c := range text {
				if unicode.IsDigit(c) {
					run++
				} else {
					run = 0
				}
				if run > 4 {
					t.Fatalf("a long number in %q", text)
				}
			}
			for _, word := range []string{"某", "先生", "女士", "身份证", "手机号", "吸毒", "信教", "民族"} {
				if strings.Contains(text, word) {
					t.Fatalf("%q in %q", word, text)
				}
			}
		}
	}
}

// share is the part of rows for which f holds, among those for which of holds.
func share(rows []demo.Incident, of, f func(demo.Incident) bool) float64 {
	n, k := 0, 0
	for _, in := range rows {
		if of(in) {
			n++
			if f(in) {
				k++
			}
		}
	}
	return float64(k) / float64(max(n, 1))
}

func anyOf(demo.Incident) bool { return true }

func hour(in demo.Incident) int { return in.ReportedAt.In(shanghai).Hour() }

func inMonths(months ...time.Month) func(demo.Incident) bool {
	return func(in demo.Incident) bool { return slices.Contains(months, in.ReportedAt.In(shanghai).Month()) }
}

func category(codes ...string) func(demo.Incident) bool {
	return func(in demo.Incident) bool { return slices.Contains(codes, in.Category.Code) }
}

func open(in demo.Incident) bool { return in.State.Open() }

func TestHistoryIsNotUniformNoise(t *testing.T) {
	b := theBanner(t)
	rows := all(history(t, until, some))
	placed := func(in demo.Incident) bool { return in.Place == dispatch.InGrid }
	nearSeat := func(in demo.Incident) bool {
		for _, s := range b.Seats() {
			if geo.Distance(s, in.Point) < 3000 {
				return true
			}
		}
		return false
	}
	atSchoolHours := func(in demo.Incident) bool { return slices.Contains([]int{6, 7, 8, 11, 12, 13, 16, 17}, hour(in)) }
	weekend := func(in demo.Incident) bool {
		d := in.ReportedAt.In(shanghai).Weekday()
		return d == time.Saturday || d == time.Sunday
	}
	resolved := func(in demo.Incident) bool { return !in.ResolvedAt.IsZero() }
	for _, c := range []struct {
		name     string
		got      float64
		low, top float64
	}{
		{"within 3 km of a seat (1 % of the area)", share(rows, placed, nearSeat), 0.3, 0.6},
		{"grass fires in March to May", share(rows, category("0401"), inMonths(3, 4, 5)), 0.45, 0.75},
		{"snow and ice in November to February", share(rows, category("0403"), inMonths(11, 12, 1, 2)), 0.85, 1},
		{"snow and ice in June to August", share(rows, category("0403"), inMonths(6, 7, 8)), 0, 0.001},
		{"heating and water faults in November to February", share(rows, category("0504"), inMonths(11, 12, 1, 2)), 0.6, 0.9},
		{"dangerous water in June to August", share(rows, category("1002"), inMonths(6, 7, 8)), 0.65, 0.95},
		{"school run at school hours", share(rows, category("1003"), atSchoolHours), 0.8, 1},
		{"school run at weekends", share(rows, category("1003"), weekend), 0, 0.15},
		{"policy questions at weekends", share(rows, category("0803"), weekend), 0.05, 0.2},
		{"disputes from 17 to 23", share(rows, category("0101"), func(in demo.Incident) bool { return hour(in) >= 17 }), 0.5, 0.75},
		{"anything from 0 to 5", share(rows, anyOf, func(in demo.Incident) bool { return hour(in) < 5 }), 0.005, 0.06},
		{"street trading near a seat", share(rows, func(in demo.Incident) bool { return placed(in) && category("0603")(in) }, nearSeat), 0.6, 1},
		{"outside every grid", share(rows, anyOf, func(in demo.Incident) bool { return in.Place == dispatch.Outside }), 0.0008, 0.005},
		{"given in GCJ-02", share(rows, placed, func(in demo.Incident) bool { return in.Raw.Datum == geo.DatumGCJ02 }), 0.2, 0.6},
		{"reported by grid workers", share(rows, anyOf, func(in demo.Incident) bool { return in.Source == "field" }), 0.4, 0.7},
		{"resolved in time", share(rows, resolved, func(in demo.Incident) bool { return !in.ResolvedAt.After(in.StageDue) }), 0.90, 0.96},
		{"still open", share(rows, anyOf, open), 0.01, 0.02},
		{"open ones younger than 30 days", share(rows, open, func(in demo.Incident) bool { return until.Sub(in.ReportedAt) < 30*24*time.Hour }), 0.7, 1},
		{"second year's part", share(rows, anyOf, func(in demo.Incident) bool { return until.Sub(in.ReportedAt) < 365*24*time.Hour }), 0.505, 0.57},
	} {
		t.Logf("%-50s %.4f", c.name, c.got)
		if c.got < c.low || c.got > c.top {
			t.Errorf("seed %d: %s: %.4f, want %.3f to %.3f", seed, c.name, c.got, c.low, c.top)
		}
	}
}

func TestHotSpotsEmergeInTheLastMonths(t *testing.T) {
	rows := all(history(t, until, 40_000))
	for _, h := range theBanner(t).HotSpots() {
		count := func(from, to int) (n int) {
			for _, in := range rows {
				age := int(until.Sub(in.ReportedAt).Hours() / 24)
				if age >= from && age < to && in.Place == dispatch.InGrid && geo.Distance(in.Point, h.Point) < 900 &&
					slices.Contains(h.Categories, in.Category.Code) {
					n++
				}
			}
			return n
		}
		now, before := count(0, 30), count(365, 395)
		t.Logf("%s: %d in the last 30 days, %d in the same days a year ago", h.Name, now, before)
		if float64(now) < 5+float64(before)+3*math.Sqrt(float64(before)) {
			t.Errorf("%s: %d in the last 30 days, %d a year ago", h.Name, now, before)
		}
	}
}

func TestTodayIsNotEmpty(t *testing.T) {
	for _, at := range []time.Time{until, time.Date(2026, 11, 20, 0, 0, 30, 0, shanghai), time.Date(2026, 11, 20, 6, 0, 0, 0, shanghai)} {
		midnight := time.Date(2026, 11, 20, 0, 0, 0, 0, shanghai)
		n := 0
		for in := range history(t, at, 300_000).Last() {
			if in.ReportedAt.Before(midnight) || in.ReportedAt.After(at) {
				t.Errorf("at %v: reported %v", at, in.ReportedAt)
			}
			n++
		}
		if n == 0 {
			t.Errorf("at %v: nothing today", at)
		}
		t.Logf("%v: %d today", at, n)
	}
}

// The whole history, as the demo loads it.
func TestWholeHistory(t *testing.T) {
	if os.Getenv("ONEMAP_SOAK") == "" {
		t.Skip("takes seconds: set ONEMAP_SOAK=1")
	}
	start, n, nOpen, steps := time.Now(), 0, 0, 0
	for in := range history(t, until, demo.Incidents).All() {
		n++
		steps += len(in.Steps)
		if open(in) {
			nOpen++
		}
	}
	t.Logf("%d incidents, %d steps, %d open, %.0f a second", n, steps, nOpen, float64(n)/time.Since(start).Seconds())
	if n != demo.Incidents || nOpen < n/100 || nOpen > n/50 {
		t.Errorf("%d incidents, %d open", n, nOpen)
	}
}

func BenchmarkHistory(b *testing.B) {
	h := history(b, until, demo.Incidents)
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		n += len(h.Day(n % h.Days()))
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "incidents/s")
}

func cal(testing.TB) calendar.Calendar { return calendar.Default() }
