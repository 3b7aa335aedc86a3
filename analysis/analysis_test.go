// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package analysis_test

import (
	"encoding/csv"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"onemap/analysis"
	"onemap/dispatch"
	"onemap/dispatch/calendar"
)

// The period of the fixture, and a moment after it.
var (
	fixturePeriod = analysis.Period{From: moment("09-14 00:00"), To: moment("10-12 00:00")}
	fixtureNow    = moment("10-13 12:00")
	departments   = map[string]int64{"": 0, "none": 0, "D1": 1, "D2": 2}
)

// moment is a time of the fixture; it is for good ones alone.
func moment(text string) time.Time {
	t, err := time.ParseInLocation("2006-01-02 15:04", "2026-"+text, calendar.Zone())
	if err != nil {
		panic(err)
	}
	return t
}

func maybe(text string) *time.Time {
	if text == "" {
		return nil
	}
	t := moment(text)
	return &t
}

func table(t testing.TB, name string) [][]string {
	t.Helper()
	f, err := os.Open("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := csv.NewReader(f)
	r.Comment, r.FieldsPerRecord = '#', -1
	rows, err := r.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func number(t testing.TB, text string) int {
	t.Helper()
	if text == "" {
		return 0
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// fixture reads the incidents that were laid by hand, by their numbers.
func fixture(t testing.TB) (numbers []string, all []analysis.Incident) {
	for _, r := range table(t, "incidents.csv") {
		switch r[0] {
		case "incident":
			in := analysis.Incident{
				State: dispatch.State(r[2]), Department: departments[r[3]], ReportedAt: moment(r[4]), AcknowledgedAt: maybe(r[5]), ResolvedAt: maybe(r[6]),
				ClosedAt: maybe(r[7]), ResolvedLevel: number(t, r[8]), Reopened: number(t, r[9]), Place: dispatch.PlaceKind(r[10]), Version: number(t, r[11]),
				CallBacks: strings.Fields(r[12]), OwnerLevel: 2,
			}
			advice := strings.Fields(r[13]) // day, time and mark, and so on
			for i := 0; i+1 < len(advice); i += 2 {
				mark := advice[i+1][len(advice[i+1])-1:]
				in.Advice = append(in.Advice, analysis.Choice{At: moment(advice[i] + " " + strings.TrimRight(advice[i+1], "=!?")), Advised: mark != "?", Overridden: mark == "!"})
			}
			numbers, all = append(numbers, r[1]), append(all, in)
		case "stage":
			in := &all[len(all)-1]
			in.OwnerLevel, in.Due = number(t, r[1]), maybe(r[4])
			s := analysis.Stage{
				Level: number(t, r[1]), Department: departments[r[2]], StartedAt: moment(r[3]), Due: maybe(r[4]), StoppedAt: maybe(r[5]), PausedAt: maybe(r[7]),
				Extended: strings.Contains(r[8], "x"), Provisional: strings.Contains(r[8], "p"),
			}
			in.Stages = append(in.Stages, s)
		case "limit":
			in := &all[len(all)-1]
			in.OwnerLevel, in.Due = number(t, r[1]), maybe(r[2])
		default:
			t.Fatalf("a row of kind %q", r[0])
		}
	}
	return numbers, all
}

// told are the figures of counts as the fixture names them: a number, and what it is
// of; a mean is told as its sum.
func told(c analysis.Counts) map[string][2]float64 {
	n := func(n, of int) [2]float64 { return [2]float64{float64(n), float64(of)} }
	m := map[string][2]float64{
		"reported": n(c.Reported, 0), "not_located": n(c.NotLocated, c.Reported), "outside": n(c.Outside, c.Reported),
		"closed": n(c.Closed, 0), "working_days": {c.WorkingDays, float64(c.Closed)},
		"on_the_spot": n(c.OnTheSpot, c.Closed), "reopened": n(c.Reopened, c.Closed), "no_limit": n(c.NoLimit, c.Closed),
		"on_time": n(c.InTime, c.Due()), "on_time.unchecked": n(c.Unchecked, 0), "on_time.late": n(c.Late, 0), "on_time.provisional": n(c.Provisional, 0),
		"on_time.extended": n(c.Extended, 0), "on_time.standing": n(c.Standing, 0), "on_time.elsewhere": n(c.Elsewhere, 0),
		"satisfied": n(c.Satisfied+c.Basically, c.Rated()), "satisfied.fully": n(c.Satisfied, 0), "satisfied.basically": n(c.Basically, 0),
		"satisfied.unsatisfied": n(c.Unsatisfied, 0), "satisfied.unreached": n(c.Unreached, 0), "satisfied.owed": n(c.Owed, 0),
		"chosen": n(c.Chosen, 0), "overridden": n(c.Overridden, c.Advised),
	}
	for l, k := range c.Solved {
		m[fmt.Sprint("solved.", l)] = n(k, c.Closed)
	}
	return m
}

// TestFiguresOfTheFixtureAreThoseWorkedOutByHand holds the formulas to figures that
// nobody's program made.
func TestFiguresOfTheFixtureAreThoseWorkedOutByHand(t *testing.T) {
	_, all := fixture(t)
	count := func(key func(int, analysis.Side) string) map[string]analysis.Counts {
		return analysis.Of(fixturePeriod, all, calendar.Default(), fixtureNow, key)
	}
	got := count(func(int, analysis.Side) string { return "total" })
	for k, c := range count(func(_ int, s analysis.Side) string { return fmt.Sprint("level ", s.Level) }) {
		got[k] = c
	}
	for k, c := range count(func(_ int, s analysis.Side) string {
		return [3]string{"department none", "department D1", "department D2"}[s.Department]
	}) {
		got[k] = c
	}
	rows := table(t, "figures.csv")
	for _, r := range rows {
		want, err := strconv.ParseFloat(r[2], 64)
		if err != nil {
			t.Fatal(err)
		}
		is, ok := told(got[r[0]])[r[1]]
		if !ok || math.Abs(is[0]-want) > 1e-5 || is[1] != float64(number(t, r[3])) {
			t.Errorf("%s, %s: %v, by hand %s of %s", r[0], r[1], is, r[2], r[3])
		}
	}
	if len(rows) < 40 {
		t.Errorf("only %d figures", len(rows))
	}
}

// TestOutcomesOfTheFixture names the incidents behind the figures.
func TestOutcomesOfTheFixture(t *testing.T) {
	numbers, all := fixture(t)
	got := map[analysis.Outcome]string{}
	for i, in := range all {
		if term, ok := in.Term(fixtureNow); ok && fixturePeriod.Holds(&term.Due) {
			got[term.Outcome] += " " + numbers[i]
		}
	}
	for outcome, want := range map[analysis.Outcome]string{
		analysis.InTime: " 1 2 3 5 6 8 9 12 15 16 29 30 31", analysis.Unchecked: " 23", analysis.Late: " 4 7 11 13 14 17 24 28",
		analysis.Standing: " 10", analysis.Elsewhere: " 19 20 21 22",
	} {
		if got[outcome] != want {
			t.Errorf("%s: incidents%s, by hand%s", outcome, got[outcome], want)
		}
	}
}
