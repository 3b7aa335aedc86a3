// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"onemap/analysis"
	"onemap/auth"
	h3 "onemap/geo/cell"
	"onemap/geo/grid"
)

// walk counts by cell what was reported in a period, one incident after another; nowhere
// are those without a place.
func walk(t *testing.T, located, without []seen, counts func(s seen) bool, res int) (cells map[string]int, nowhere int) {
	t.Helper()
	cells = map[string]int{}
	for _, s := range located {
		if counts(s) {
			c, err := h3.At(s.at, res)
			if err != nil {
				t.Fatal(err)
			}
			cells[c.String()]++
		}
	}
	for _, s := range without {
		if counts(s) {
			nowhere++
		}
	}
	return cells, nowhere
}

type toldPeriod struct {
	From, To           time.Time
	Counted, Elsewhere int
	NotLocated         int `json:"not_located"`
}

// TestHotSpotChangesAreWhatAWalkOverEveryIncidentCounts asks for drawn pairs of periods
// and counts each cell of both by itself; ratios follow from the counts and the lengths.
func TestHotSpotChangesAreWhatAWalkOverEveryIncidentCounts(t *testing.T) {
	t.Parallel()
	st := demoStand(t, 4000)
	tree := st.s.catalogue.Now().Tree
	var town grid.Node
	for _, n := range tree.Nodes() {
		if n.Level == 2 {
			town = n
			break
		}
	}
	root := tree.Nodes()[tree.Roots()[0]]
	askers := []struct {
		token string
		node  grid.Node
	}{{st.token(auth.CountyLeader, ""), root}, {st.token(auth.TownOperator, string(town.Code)), town}}
	located, without := st.everyIncident()
	first := slices.MinFunc(located, func(a, b seen) int { return a.reported.Compare(b.reported) }).reported.Truncate(time.Second)
	days := int(time.Since(first).Hours() / 24)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d: %d incidents with a place, %d without, over %d days", seed, len(located), len(without), days)
	rnd := rand.New(rand.NewPCG(seed, 7))
	compared, infinite, tested := 0, 0, 0
	for range 24 {
		who := askers[rnd.IntN(2)]
		res := 6 + rnd.IntN(3)
		day := func(n int) time.Time { return first.AddDate(0, 0, n) }
		from := rnd.IntN(days / 2)
		to := from + 1 + rnd.IntN(days/2)
		from2 := min(to+rnd.IntN(10), days-1)
		to = min(to, from2)
		to2 := from2 + 1 + rnd.IntN(days-from2)
		category := ""
		if rnd.IntN(3) == 0 {
			category = located[rnd.IntN(len(located))].category[:2]
		}
		q := url.Values{
			"res": {fmt.Sprint(res)}, "from": {day(from).Format(time.RFC3339)}, "to": {day(to).Format(time.RFC3339)},
			"from2": {day(from2).Format(time.RFC3339)}, "to2": {day(to2).Format(time.RFC3339)}, "category": {category},
		}
		if from == to {
			continue
		}
		in := func(from, to int) func(s seen) bool {
			return func(s seen) bool {
				return s.no >= who.node.No && s.no <= who.node.Last && !s.hidden && strings.HasPrefix(s.category, category) && !s.reported.Before(day(from)) && s.reported.Before(day(to))
			}
		}
		before, nowhere := walk(t, located, without, in(from, to), res)
		after, nowhere2 := walk(t, located, without, in(from2, to2), res)
		a := st.get("/api/v1/hotspots/compare?"+q.Encode(), who.token)
		var got struct {
			Before, After toldPeriod
			Study         struct{ Cells int }
			Cells         []struct {
				Cell             string
				Before, After    int
				Ratio, Low, High *float64
				P, Q             *float64
				Class            string
			}
		}
		if a.status != 200 || json.Unmarshal(a.body, &got) != nil {
			t.Fatalf("%s: %d %.300s", q.Encode(), a.status, a.body)
		}
		sum := func(m map[string]int) (n int) {
			for _, c := range m {
				n += c
			}
			return n
		}
		if got.Before.Counted+got.Before.Elsewhere != sum(before) || got.After.Counted+got.After.Elsewhere != sum(after) || got.Before.NotLocated != nowhere || got.After.NotLocated != nowhere2 {
			t.Errorf("%s: %+v and %+v; a walk counts %d and %d, %d and %d not located", q.Encode(), got.Before, got.After, sum(before), sum(after), nowhere, nowhere2)
		}
		in1, in2 := 0, 0
		times := float64(to2-from2) / float64(to-from)
		for _, c := range got.Cells {
			compared++
			in1, in2 = in1+c.Before, in2+c.After
			if c.Before != before[c.Cell] || c.After != after[c.Cell] {
				t.Errorf("%s: cell %s has %d and %d, a walk counts %d and %d", q.Encode(), c.Cell, c.Before, c.After, before[c.Cell], after[c.Cell])
			}
			if c.Before == 0 {
				infinite++
				if c.Ratio != nil || c.High != nil || c.Low == nil {
					t.Errorf("cell %s had none before, and has a ratio or an upper end: %s", c.Cell, a.body)
				}
			} else if want := float64(c.After) / float64(c.Before) / times; c.Ratio == nil || math.Abs(*c.Ratio-want) > 1e-9 || *c.Low > want || *c.High < want {
				t.Errorf("cell %s: %+v, the ratio is %v", c.Cell, c, want)
			}
			enough := c.Before+c.After >= 5
			if enough != (c.Q != nil && c.P != nil) || enough == (c.Class == "too_few") {
				t.Errorf("cell %s of %d and %d: %+v", c.Cell, c.Before, c.After, c)
			}
			if c.Q != nil {
				tested++
				if want := map[bool]string{true: "more", false: "less"}[c.Ratio == nil || *c.Ratio > 1]; (*c.Q <= 0.05) != (c.Class == want) {
					t.Errorf("cell %s with q %v is %s", c.Cell, *c.Q, c.Class)
				}
			}
		}
		if in1 != got.Before.Counted || in2 != got.After.Counted {
			t.Errorf("%s: cells hold %d and %d, told are %d and %d", q.Encode(), in1, in2, got.Before.Counted, got.After.Counted)
		}
	}
	if compared == 0 || infinite == 0 || tested == 0 {
		t.Errorf("%d cells, %d without any before, %d tested: nothing is compared", compared, infinite, tested)
	}
	st.changesRefused(askers[0].token)
}

// changesRefused asks what has no answer, what lies ahead, and for shapes.
func (st *stand) changesRefused(leader string) {
	t := st.t
	t.Helper()
	at := func(days int) string { return url.QueryEscape(time.Now().AddDate(0, 0, days).Format(time.RFC3339)) }
	ask := func(from, to, from2, to2 int) string {
		return "/api/v1/hotspots/compare?res=7&from=" + at(from) + "&to=" + at(to) + "&from2=" + at(from2) + "&to2=" + at(to2)
	}
	for path, status := range map[string]int{
		ask(-60, -30, -31, -1): 422, ask(-30, -60, -20, -10): 422, ask(-60, -30, -20, -20): 422, ask(-60, -30, 1, 2): 422,
		ask(-5000, -30, -20, -10): 422, ask(-60, -30, -30, 0) + "&category=nothing": 422, ask(-60, -30, -30, 0) + "&grid=nowhere": 404,
		"/api/v1/hotspots/compare?res=7&from=" + at(-60) + "&to=" + at(-30): 400, ask(-60, -30, -30, 0) + "&res=5": 400,
	} {
		if a := st.get(path, leader); a.status != status {
			t.Errorf("%s: %d, want %d: %.200s", path, a.status, status, a.body)
		}
	}
	if a := st.get(ask(-60, -30, -30, 0), st.token(auth.Wall, "")); a.status != 403 {
		t.Errorf("a wall: %d %.200s", a.status, a.body)
	}
	var got struct {
		After toldPeriod
		Cells []json.RawMessage
	}
	a := st.get(ask(-60, -30, -30, 30), leader)
	if a.status != 200 || json.Unmarshal(a.body, &got) != nil || got.After.To.After(time.Now()) || len(got.Cells) == 0 {
		t.Errorf("a period that is not over: %d %.300s", a.status, a.body)
	}
	features := st.call("GET", ask(-60, -30, -30, 30), leader, "", "Accept: application/geo+json").json(t)
	if n := len(features["features"].([]any)); n != len(got.Cells) || features["before"] == nil {
		t.Errorf("%d features, %d cells", n, len(got.Cells))
	}
}

// TestEmergingHotSpotsAreWhatAWalkOverEveryIncidentSays cuts drawn periods into steps,
// counts each step by itself, and judges what it counted.
func TestEmergingHotSpotsAreWhatAWalkOverEveryIncidentSays(t *testing.T) {
	t.Parallel()
	st := demoStand(t, 4000)
	tree := st.s.catalogue.Now().Tree
	leader := st.token(auth.CountyLeader, "")
	located, without := st.everyIncident()
	first := slices.MinFunc(located, func(a, b seen) int { return a.reported.Compare(b.reported) }).reported.Truncate(time.Second)
	days := int(time.Since(first).Hours() / 24)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d: %d incidents with a place over %d days", seed, len(located), days)
	rnd := rand.New(rand.NewPCG(seed, 8))
	patterns := map[string]int{}
	for round := range 6 {
		res, k, steps := 6+round%2, 1+rnd.IntN(3), 8+rnd.IntN(17)
		from := first.AddDate(0, 0, rnd.IntN(days/3))
		long := (time.Duration(1+days/2+rnd.IntN(days/6)) * 24 * time.Hour)
		if round < 2 { // where most is tested
			k, steps, from, long = 3, 8, first, time.Duration(days)*24*time.Hour
		}
		category := ""
		if round > 3 {
			category = located[rnd.IntN(len(located))].category[:2]
		}
		q := fmt.Sprintf("from=%s&to=%s&steps=%d&res=%d&k=%d&category=%s", url.QueryEscape(from.Format(time.RFC3339)), url.QueryEscape(from.Add(long).Format(time.RFC3339)), steps, res, k, category)
		a := st.get("/api/v1/hotspots/emerging?"+q, leader)
		var got struct {
			Steps []toldPeriod
			Study struct{ Cells int }
			Cells []struct {
				Cell               string
				Count, Tested, Hot int
				Tau, Z, P          *float64
				Pattern            string
				Steps              []struct {
					Count int
					Z     *float64
					Class string
				}
			}
		}
		if a.status != 200 || json.Unmarshal(a.body, &got) != nil || len(got.Steps) != steps {
			t.Fatalf("%s: %d %.300s", q, a.status, a.body)
		}
		study, err := analysis.NewStudy(t.Context(), tree, tree.Roots(), res, k)
		if err != nil || study.Len() != got.Study.Cells {
			t.Fatal(err, study.Len(), got.Study.Cells)
		}
		all, spots, parts := map[string]int{}, [][]analysis.Spot{}, [][]float64{}
		for i, step := range got.Steps {
			begin, end := from.Add(time.Duration(i)*long/time.Duration(steps)), from.Add(time.Duration(i+1)*long/time.Duration(steps))
			if step.From.Sub(begin).Abs() > time.Microsecond || step.To.Sub(end).Abs() > time.Microsecond {
				t.Fatalf("%s: step %d is %v to %v, not %v to %v", q, i, step.From, step.To, begin, end)
			}
			cells, nowhere := walk(t, located, without, func(s seen) bool {
				return !s.hidden && strings.HasPrefix(s.category, category) && !s.reported.Before(step.From) && s.reported.Before(step.To)
			}, res)
			counts, inside, outside := make([]float64, study.Len()), 0, 0
			for c, n := range cells {
				at, err := h3.Parse(c)
				if err != nil {
					t.Fatal(err)
				}
				if j, in := study.Index(at); in {
					counts[j] = float64(n)
					inside += n
					all[c] += n
				} else {
					outside += n
				}
			}
			if step.Counted != inside || step.Elsewhere != outside || step.NotLocated != nowhere {
				t.Errorf("%s: step %+v; a walk counts %d, %d elsewhere, %d not located", q, step, inside, outside, nowhere)
			}
			spots, parts = append(spots, analysis.HotSpots(counts, study.Shares, study.Around)), append(parts, counts)
		}
		courses, told := analysis.Emerging(spots), 0
		for _, c := range got.Cells {
			at, err := h3.Parse(c.Cell)
			if err != nil {
				t.Fatal(err)
			}
			j, _ := study.Index(at)
			want := courses[j]
			if c.Count != all[c.Cell] || c.Tested != want.Tested || c.Hot != want.Hot || c.Pattern != string(want.Pattern) {
				t.Errorf("%s: %+v, a walk says %d and %+v", q, c, all[c.Cell], want)
			}
			if short := c.Tested < 8; short != (c.Tau == nil && c.Z == nil && c.P == nil) || !short && (*c.Tau != want.Tau || *c.Z != want.Z || *c.P != want.P) {
				t.Errorf("%s: %+v, a walk says %+v", q, c, want)
			}
			patterns[c.Pattern]++
			if hot := c.Hot > 0; hot != (len(c.Steps) == steps) || !hot && c.Steps != nil {
				t.Errorf("%s: hot in %d, told of %d steps", q, c.Hot, len(c.Steps))
			}
			for i, s := range c.Steps {
				if want := spots[i][j]; s.Count != int(parts[i][j]) || s.Class != string(want.Class) || want.Tested != (s.Z != nil) || want.Tested && *s.Z != want.Z {
					t.Errorf("%s: step %d of %s is %+v, a walk says %g and %+v", q, i, c.Cell, s, parts[i][j], want)
				}
			}
		}
		for j, c := range courses {
			if all[study.At(j).String()] > 0 || c.Hot > 0 {
				told++
			}
		}
		if told != len(got.Cells) {
			t.Errorf("%s: %d cells, a walk has %d", q, len(got.Cells), told)
		}
	}
	t.Log(patterns)
	if patterns["none"] == 0 || patterns["too_short"] == 0 || len(patterns) < 3 { // some was hot
		t.Errorf("%v: nothing is told apart", patterns)
	}
	st.emergingRefused(leader, first)
}

// emergingRefused asks what has no answer, what lies ahead, and for shapes.
func (st *stand) emergingRefused(leader string, first time.Time) {
	t := st.t
	t.Helper()
	at := func(m time.Time) string { return url.QueryEscape(m.Format(time.RFC3339)) }
	whole := "/api/v1/hotspots/emerging?from=" + at(first) + "&to=" + at(time.Now().AddDate(0, 1, 0))
	for path, status := range map[string]int{
		whole + "&res=7&steps=7": 400, whole + "&res=7&steps=25": 400, whole + "&res=7&k=4": 400, whole + "&category=nothing": 422, whole + "&grid=nowhere": 404,
		"/api/v1/hotspots/emerging?from=2026-01-01T00:00:00Z&to=2026-01-01T00:00:05Z": 422, "/api/v1/hotspots/emerging?from=2010-01-01T00:00:00Z&to=2026-01-01T00:00:00Z": 422,
		"/api/v1/hotspots/emerging?from=" + at(time.Now().AddDate(0, 0, 1)) + "&to=" + at(time.Now().AddDate(0, 1, 0)): 422,
	} {
		if a := st.get(path, leader); a.status != status {
			t.Errorf("%s: %d, want %d: %.200s", path, a.status, status, a.body)
		}
	}
	if a := st.get(whole+"&res=7", st.token(auth.Wall, "")); a.status != 403 {
		t.Errorf("a wall: %d %.200s", a.status, a.body)
	}
	var got struct {
		Steps []toldPeriod
		Cells []json.RawMessage
	}
	a := st.get(whole+"&res=7", leader)
	if a.status != 200 || json.Unmarshal(a.body, &got) != nil || len(got.Steps) != 12 || got.Steps[11].To.After(time.Now()) || len(got.Cells) == 0 {
		t.Fatalf("a period that is not over: %d %.300s", a.status, a.body)
	}
	features := st.call("GET", whole+"&res=7", leader, "", "Accept: application/geo+json").json(t)
	if n := len(features["features"].([]any)); n != len(got.Cells) || features["steps"] == nil {
		t.Errorf("%d features, %d cells", n, len(got.Cells))
	}
	var most struct{ Study struct{ Cells int } }
	b := st.get(strings.Replace(whole, "/emerging", "", 1)+"&method=count&res=9", leader)
	if b.status != 200 || json.Unmarshal(b.body, &most) != nil {
		t.Fatalf("%d %.200s", b.status, b.body)
	}
	want := 200
	if most.Study.Cells*24 > 1_000_000 {
		want = 422
	}
	t.Logf("%d cells of resolution 9 in 24 steps: %d", most.Study.Cells, want)
	if a := st.get(whole+"&res=9&steps=24&k=1", leader); a.status != want {
		t.Errorf("%d cells in 24 steps: %d, want %d: %.200s", most.Study.Cells, a.status, want, a.body)
	}
}
