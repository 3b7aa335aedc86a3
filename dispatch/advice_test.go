// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package dispatch_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"runtime"
	"slices"
	"sort"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/paulmach/orb"
	"pgregory.net/rapid"

	"onemap/dispatch"
	"onemap/geo"
	"onemap/geo/road"
	"onemap/people"
)

var shift = time.Date(2026, 3, 2, 4, 0, 0, 0, time.UTC)

// The tree of these tests: county 1, towns 10 and 50, villages 20 and 40 in town 10,
// grids 21 to 29 and 41 to 49 in them, 51 to 99 in town 50.
var inGrid25 = []dispatch.Span{{No: 1, Last: 99}, {No: 10, Last: 49}, {No: 20, Last: 29}, {No: 25, Last: 25}}

// somebody is a candidate against whom nothing speaks, metres north of the place.
func somebody(id uint32, metres float64, grid int32) *dispatch.Candidate {
	return &dispatch.Candidate{
		Worker: id, Home: grid, Served: []people.Service{{Grid: grid, Role: people.AsWorker}}, OnDuty: true, Sight: dispatch.Seen,
		P: geo.WGS84{107.5, 38.2 + metres/111195}, FixAt: shift.Add(-10 * time.Second),
	}
}

func question() dispatch.Question {
	g := road.Build(nil, road.DefaultRules())
	return dispatch.Question{
		P: geo.WGS84{107.5, 38.2}, Path: inGrid25, Rule: dispatch.DefaultAdviceRule(2), K: 10, Now: shift,
		Travel: func(to geo.WGS84, from []geo.WGS84) []road.Answer { return g.TravelTimes(to, from, 0) },
		Others: func(int32, uint32) bool { return true },
	}
}

// TestEachFilterTellsItsReason: what keeps a worker out, alone and with all that
// comes after it in the order of reasons.
func TestEachFilterTellsItsReason(t *testing.T) {
	q := question()
	q.Rule.Skills = []string{"fire", "driving"}
	steps := []struct {
		why  dispatch.Why
		harm func(*dispatch.Candidate)
	}{
		{dispatch.OffDuty, func(c *dispatch.Candidate) { c.OnDuty = false }},
		{dispatch.Alarmed, func(c *dispatch.Candidate) { c.Alarm = true }},
		{dispatch.TooFar, func(c *dispatch.Candidate) { c.P[1] += 2 }},
		{dispatch.NoSkill, func(c *dispatch.Candidate) { c.Skills = []string{"fire"} }},
		{dispatch.HasIt, func(c *dispatch.Candidate) { c.Has = true }},
		{dispatch.Declined, func(c *dispatch.Candidate) { c.Gave = true }},
		{dispatch.Busy, func(c *dispatch.Candidate) { c.Waiting = true }},
		{dispatch.Overloaded, func(c *dispatch.Candidate) { c.Load = 3 }},
		{dispatch.Resting, func(c *dispatch.Candidate) { c.Since = shift.Add(-24 * time.Hour) }},
		{dispatch.StaleFix, func(c *dispatch.Candidate) { c.Sight = dispatch.Hollow }},
	}
	good := func() *dispatch.Candidate {
		c := somebody(7, 500, 25)
		c.Skills, c.Load, c.Since = []string{"driving", "first_aid", "fire"}, 2, shift.Add(-24*time.Hour+time.Second)
		return c
	}
	ask := func(c *dispatch.Candidate) dispatch.Advice {
		return dispatch.Advise(q, slices.Values([]*dispatch.Candidate{c}))
	}
	if a := ask(good()); a.Of != 1 || len(a.Ranked) != 1 || len(a.Excluded) != 0 {
		t.Fatalf("nothing speaks against them: %+v", a)
	}
	for i, s := range steps {
		alone, all := good(), good()
		s.harm(alone)
		for _, later := range steps[i:] {
			later.harm(all)
		}
		for what, c := range map[string]*dispatch.Candidate{"alone": alone, "with all later ones": all} {
			a := ask(c)
			if a.Of != 0 || len(a.Ranked) != 0 || len(a.Excluded) != 1 || a.Excluded[0].Why != s.why || a.Left[s.why] != 1 {
				t.Errorf("%s %s: %+v", s.why, what, a)
			}
		}
	}
	lost := good()
	lost.Sight = dispatch.Unseen
	if a := ask(lost); len(a.Excluded) != 1 || a.Excluded[0] != (dispatch.Excluded{Worker: 7, Why: dispatch.NoFix}) {
		t.Errorf("of the village and nowhere: %+v", a)
	}
	lost.Served[0].Grid = 41
	if a := ask(lost); len(a.Excluded) != 0 || len(a.Left) != 0 {
		t.Errorf("of another village and nowhere: %+v", a)
	}
	far := good()
	far.P[1], far.Served[0].Grid = far.P[1]+2, 51
	if a := ask(far); len(a.Excluded) != 0 || len(a.Left) != 0 {
		t.Errorf("beyond the radius and of another town: %+v", a)
	}
}

// TestScoreIsThePublishedFormula: the worked example of docs/DISPATCH.md.
func TestScoreIsThePublishedFormula(t *testing.T) {
	q := question()
	q.Others = func(grid int32, worker uint32) bool { return grid != 41 }
	own, next := somebody(1, 3000, 25), somebody(2, 1000, 41)
	own.Load, own.Day, own.Week = 1, 1, 7
	a := dispatch.Advise(q, slices.Values([]*dispatch.Candidate{own, next}))
	// By line: 3000 m x 1.4 at 30 km/h are 504 s, 1000 m are 168 s.
	for i, want := range []struct {
		worker  uint32
		parts   dispatch.Parts
		score   float64
		reasons []string
	}{
		{1, dispatch.Parts{Travel: 600 / 1104., Grid: 1, Load: 2 / 3., Fairness: 1 / 3., Cover: 1}, 65.942, []string{"own_grid", "at_work", "offered_today", "by_line"}},
		{2, dispatch.Parts{Travel: 600 / 768., Grid: 0.3, Load: 1, Fairness: 1, Cover: 0}, 66.375, []string{"soonest", "far_grid", "free", "leaves_grid_empty", "by_line"}},
	} {
		r := a.Ranked[slices.IndexFunc(a.Ranked, func(r dispatch.Ranked) bool { return r.Worker == want.worker })]
		got := []float64{r.Parts.Travel, r.Parts.Grid, r.Parts.Load, r.Parts.Fairness, r.Parts.Cover, r.Score / 100}
		for j, w := range []float64{want.parts.Travel, want.parts.Grid, want.parts.Load, want.parts.Fairness, want.parts.Cover, want.score / 100} {
			if math.Abs(got[j]-w) > 1e-4 {
				t.Errorf("%d: part %d is %.5f, want %.5f", i, j, got[j], w)
			}
		}
		if !slices.Equal(r.Reasons, want.reasons) {
			t.Errorf("worker %d: %v", want.worker, r.Reasons)
		}
	}
	if a.Ranked[0].Worker != 2 || a.Ranked[0].Rank != 1 || a.Ranked[1].Rank != 2 || a.ByRoad != 0 {
		t.Errorf("%+v", a)
	}
}

// net is a small town of roads about the place, some of them one way.
func net(r *rand.Rand) *road.Graph {
	var segments []road.Segment
	at := func(i, j int) orb.Point { return orb.Point{107.4 + 0.02*float64(i), 38.1 + 0.02*float64(j)} }
	for i := range 10 {
		for j := range 10 {
			for _, to := range []orb.Point{at(i+1, j), at(i, j+1)} {
				if r.IntN(5) > 0 {
					segments = append(segments, road.Segment{Line: orb.LineString{at(i, j), to}, Kmh: 20 + 60*r.Float64(), Oneway: r.IntN(4) == 0})
				}
			}
		}
	}
	return road.Build(segments, road.DefaultRules())
}

// byHand is the advice worked out from the published words, slowly and anew.
func byHand(q dispatch.Question, all []*dispatch.Candidate) (a dispatch.Advice) {
	a.Left = map[dispatch.Why]int{}
	var pass []*dispatch.Candidate
	line := func(c *dispatch.Candidate) float64 { return geo.Distance(q.P, c.P) }
	for _, c := range all {
		var why []dispatch.Why
		if !c.OnDuty {
			why = append(why, "off_duty")
		}
		if c.Alarm {
			why = append(why, "sos")
		}
		known := c.Sight == dispatch.Seen || c.Sight == dispatch.Hollow
		if known && line(c) > q.Rule.RadiusM {
			why = append(why, "too_far")
		}
		has := map[string]bool{}
		for _, s := range c.Skills {
			has[s] = true
		}
		for _, s := range q.Rule.Skills {
			if !has[s] {
				why = append(why, "no_skill")
			}
		}
		for _, f := range []struct {
			yes bool
			why dispatch.Why
		}{
			{c.Has, "assigned"},
			{c.Gave, "declined"},
			{c.Waiting, "busy"},
			{c.Load >= q.Rule.MaxLoad, "overloaded"},
			{!c.Since.IsZero() && !q.Now.Before(c.Since.Add(q.Rule.MaxDuty)), "resting"},
			{!known, "no_fix"},
			{c.Sight == dispatch.Hollow, "stale_fix"},
		} {
			if f.yes {
				why = append(why, f.why)
			}
		}
		if len(why) == 0 {
			pass = append(pass, c)
			continue
		}
		ours := false
		for _, s := range c.Served {
			ours = ours || len(q.Path) == 4 && s.Grid >= q.Path[2].No && s.Grid <= q.Path[2].Last
		}
		if !ours && !(known && line(c) <= q.Rule.RadiusM) {
			continue
		}
		a.Left[why[0]]++
		e := dispatch.Excluded{Worker: c.Worker, Why: why[0], Known: known}
		if known {
			e.LineM, e.FixAge = line(c), q.Now.Sub(c.FixAt)
		}
		a.Excluded = append(a.Excluded, e)
	}
	sort.Slice(a.Excluded, func(i, j int) bool {
		x, y := a.Excluded[i], a.Excluded[j]
		switch {
		case (x.Why == "stale_fix") != (y.Why == "stale_fix"):
			return x.Why == "stale_fix"
		case x.Known != y.Known:
			return x.Known
		case x.LineM != y.LineM:
			return x.LineM < y.LineM
		}
		return x.Worker < y.Worker
	})
	a.Excluded = a.Excluded[:min(len(a.Excluded), 200)]
	a.Of = len(pass)
	sort.Slice(pass, func(i, j int) bool {
		if x, y := line(pass[i]), line(pass[j]); x != y {
			return x < y
		}
		return pass[i].Worker < pass[j].Worker
	})
	pass = pass[:min(len(pass), 50)]
	a.Measured = len(pass)
	for _, c := range pass {
		way := q.Travel(q.P, []geo.WGS84{c.P})[0] // one at a time
		r := dispatch.Ranked{Worker: c.Worker, LineM: line(c), Way: way, FixAge: q.Now.Sub(c.FixAt), Record: c.WorkRecord, Relation: "other"}
		worth := 0.0
		for _, s := range c.Served {
			better := func(v float64, rel dispatch.Relation) {
				if v > worth {
					worth, r.Relation = v, rel
				}
			}
			if len(q.Path) == 4 {
				switch town, village, leaf := q.Path[1], q.Path[2], q.Path[3]; {
				case s.Grid == leaf.No && s.Role == "worker":
					better(1, "own_grid")
				case s.Grid == leaf.No:
					better(0.8, "own_deputy")
				case s.Grid >= village.No && s.Grid <= village.Last:
					better(0.6, "near_grid")
				case s.Grid >= town.No && s.Grid <= town.Last:
					better(0.3, "far_grid")
				}
			}
		}
		r.Covered = true
		if c.Home != 0 && q.Others(c.Home, c.Worker) == false {
			r.Covered = false
			for _, s := range q.Path {
				r.Covered = r.Covered || s.No == c.Home
			}
		}
		cover := 0.0
		if r.Covered {
			cover = 1
		}
		w := q.Rule.Weights
		parts := []float64{1 / (1 + way.Seconds/q.Rule.HalfS), worth, 1 - float64(c.Load)/float64(q.Rule.MaxLoad), 1 / (1 + float64(c.Day) + float64(c.Week)/7), cover}
		var sum, total float64
		for i, v := range []float64{w.Travel, w.Grid, w.Load, w.Fairness, w.Cover} {
			sum, total = sum+v*parts[i], total+v
		}
		r.Score = 100 * sum / total
		if way.By == road.ByRoad {
			a.ByRoad++
		}
		a.Ranked = append(a.Ranked, r)
	}
	return a
}

// TestAdviceIsWhatTheWordsSay holds Advise against the slow way, in two orders of
// the same facts.
func TestAdviceIsWhatTheWordsSay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 2))
		g := net(r)
		q := question()
		q.K = r.IntN(60)
		q.Rule = dispatch.DefaultAdviceRule(1 + r.IntN(4))
		q.Rule.RadiusM, q.Rule.MaxLoad = []float64{3000, 12_000, 100_000}[r.IntN(3)], 1+r.IntN(4)
		if r.IntN(3) == 0 {
			q.Rule.Skills = []string{"fire"}
		}
		if r.IntN(6) == 0 {
			q.Path = nil
		}
		q.Travel = func(to geo.WGS84, from []geo.WGS84) []road.Answer { return g.TravelTimes(to, from, 0) }
		q.Others = func(grid int32, worker uint32) bool { return (grid+int32(worker))%3 == 0 }
		odds := r.IntN(30) + 2
		rarely := func() bool { return r.IntN(odds) == 0 }
		var all []*dispatch.Candidate
		for i := range []int{1, 8, 120, 500}[r.IntN(4)] {
			c := somebody(uint32(i+1), 0, int32(r.IntN(99)))
			c.P = geo.WGS84{107.4 + 0.2*r.Float64(), 38.1 + 0.2*r.Float64()}
			if r.IntN(5) == 0 { // several in one place
				c.P = geo.WGS84{107.44 + 0.02*float64(r.IntN(4)), 38.16}
			}
			if r.IntN(3) == 0 {
				c.Served = append(c.Served, people.Service{Grid: int32(20 + r.IntN(10)), Role: []people.Role{people.AsDeputy, people.AsHead, people.AsWorker}[r.IntN(3)]})
			}
			c.OnDuty, c.Alarm, c.Has, c.Gave, c.Waiting = !rarely(), rarely(), rarely(), rarely(), rarely()
			if rarely() {
				c.Since = shift.Add(-time.Duration(r.IntN(48)) * time.Hour)
			}
			if rarely() {
				c.Sight = dispatch.Sight(r.IntN(3))
			}
			if !rarely() {
				c.Skills = []string{"driving", "fire"}
			}
			c.Load, c.Day = r.IntN(3), r.IntN(2)
			c.Week = c.Day + r.IntN(3)
			all = append(all, c)
		}
		want := byHand(q, all)
		got := dispatch.Advise(q, slices.Values(all))
		shuffled := slices.Clone(all)
		r.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		if again := dispatch.Advise(q, slices.Values(shuffled)); !reflect.DeepEqual(got, again) {
			t.Fatalf("in another order: %+v, before %+v", again, got)
		}
		if got.Of != want.Of || got.Measured != want.Measured || got.ByRoad != want.ByRoad || !reflect.DeepEqual(got.Left, want.Left) || !reflect.DeepEqual(got.Excluded, want.Excluded) {
			t.Fatalf("got %d of %d, %d by road, %v, excluded %v; want %d of %d, %d by road, %v, excluded %v",
				got.Measured, got.Of, got.ByRoad, got.Left, got.Excluded, want.Measured, want.Of, want.ByRoad, want.Left, want.Excluded)
		}
		if len(got.Ranked) != min(q.K, want.Measured) {
			t.Fatalf("%d ranked of %d, asked for %d", len(got.Ranked), want.Measured, q.K)
		}
		for i, g := range got.Ranked {
			better := 0
			for _, w := range want.Ranked {
				switch {
				case w.Worker != g.Worker:
					if w.Score > g.Score+1e-9 {
						better++
					}
				case math.Abs(w.Score-g.Score) > 1e-9 || math.Abs(w.Way.Seconds-g.Way.Seconds) > 1e-6 || w.Way.By != g.Way.By || w.Relation != g.Relation || w.Covered != g.Covered || w.LineM != g.LineM || w.Record != g.Record:
					t.Fatalf("got %+v, want %+v", g, w)
				}
			}
			if g.Rank != i+1 || better > i || i > 0 && got.Ranked[i-1].Score < g.Score {
				t.Fatalf("rank %d at %d with %d better: %+v", g.Rank, i, better, g)
			}
			if i > 0 && got.Ranked[i-1].Score == g.Score && got.Ranked[i-1].Way.Seconds == g.Way.Seconds && got.Ranked[i-1].LineM == g.LineM && got.Ranked[i-1].Worker > g.Worker {
				t.Fatalf("a tie goes to %d before %d", got.Ranked[i-1].Worker, g.Worker)
			}
		}
	})
}

func TestChoiceTellsWhatWasOverridden(t *testing.T) {
	var three dispatch.Advice
	for i, w := range []uint32{30, 10, 20} {
		three.Ranked = append(three.Ranked, dispatch.Ranked{Worker: w, Rank: i + 1})
	}
	for _, c := range []struct {
		advice     dispatch.Advice
		chosen     []uint32
		ranks      []int
		overridden bool
	}{
		{three, []uint32{30}, []int{1}, false},
		{three, []uint32{10}, []int{2}, true},
		{three, []uint32{99}, []int{0}, true},
		{three, []uint32{10, 30}, []int{2, 1}, false},
		{three, []uint32{30, 20}, []int{1, 3}, true},
		{three, []uint32{20, 10, 30, 99}, []int{3, 2, 1, 0}, false}, // one more than it had
		{three, []uint32{20, 10, 98, 99}, []int{3, 2, 0, 0}, true},
		{dispatch.Advice{}, []uint32{99}, []int{0}, false},
	} {
		ranks, overridden := c.advice.Choice(c.chosen)
		if !slices.Equal(ranks, c.ranks) || overridden != c.overridden {
			t.Errorf("%d advised, %v chosen: %v, %t", len(c.advice.Ranked), c.chosen, ranks, overridden)
		}
	}
}

func TestAdviceSettingsNarrowTheDefault(t *testing.T) {
	load, half, radius, duty := 5, 300.0, 20_000.0, 10*time.Hour
	s := dispatch.AdviceSetting{Skills: []string{}, Weights: &dispatch.Weights{Travel: 1}, HalfS: &half, RadiusM: &radius, MaxLoad: &load, MaxDuty: &duty}
	want := dispatch.AdviceRule{Skills: []string{}, Weights: dispatch.Weights{Travel: 1}, HalfS: half, RadiusM: radius, MaxLoad: load, MaxDuty: duty}
	base := dispatch.DefaultAdviceRule(1).With(dispatch.AdviceSetting{Skills: []string{"fire"}})
	if got := base.With(s); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
	if got := base.With(dispatch.AdviceSetting{}); !reflect.DeepEqual(got, base) {
		t.Errorf("nothing set: %+v", got)
	}
	if err := s.Check(); err != nil {
		t.Error(err)
	}
	nan, none, never := math.NaN(), 0, time.Duration(0)
	for i, bad := range []dispatch.AdviceSetting{
		{Weights: &dispatch.Weights{}},
		{Weights: &dispatch.Weights{Travel: nan}},
		{Weights: &dispatch.Weights{Travel: 5, Grid: -1}},
		{HalfS: &nan},
		{RadiusM: &nan},
		{MaxLoad: &none},
		{MaxDuty: &never},
		{Skills: []string{""}},
		{Skills: []string{"a b"}},
		{Skills: make([]string, 21)},
	} {
		if bad.Check() == nil {
			t.Errorf("%d is taken: %+v", i, bad)
		}
	}
	for p := 1; p <= 4; p++ {
		r := dispatch.DefaultAdviceRule(p)
		if err := (dispatch.AdviceSetting{Weights: &r.Weights, HalfS: &r.HalfS, RadiusM: &r.RadiusM, MaxLoad: &r.MaxLoad, MaxDuty: &r.MaxDuty}).Check(); err != nil {
			t.Errorf("priority %d: %v", p, err)
		}
	}
}

// county is the net of the road benchmark's size: 67,600 crossings.
func county() *road.Graph {
	r := rand.New(rand.NewPCG(7, 7))
	const side = 260
	at := func(i, j int) orb.Point { return orb.Point{107 + float64(i)*0.0045, 38 + float64(j)*0.0036} }
	var out []road.Segment
	for i := range side {
		for j := range side {
			for _, to := range []orb.Point{at(i+1, j), at(i, j+1)} {
				if r.IntN(10) > 0 {
					out = append(out, road.Segment{Line: orb.LineString{at(i, j), to}, Kmh: 15 + 25*r.Float64(), Oneway: r.IntN(10) == 0})
				}
			}
		}
	}
	return road.Build(out, road.DefaultRules())
}

// BenchmarkAdvise is the rules alone, with roads: see BenchmarkAdviser of package
// store for the whole answer in process.
func BenchmarkAdvise(b *testing.B) {
	g := county()
	for _, workers := range []int{474, 47_400} {
		b.Run(fmt.Sprintf("workers=%d", workers), func(b *testing.B) {
			r := rand.New(rand.NewPCG(9, 9))
			q := question()
			q.Travel = func(to geo.WGS84, from []geo.WGS84) []road.Answer { return g.TravelTimes(to, from, 0) }
			all := make([]*dispatch.Candidate, workers)
			for i := range all {
				all[i] = somebody(uint32(i+1), 0, int32(r.IntN(99)))
				all[i].P = geo.WGS84{107 + 1.17*r.Float64(), 38 + 0.93*r.Float64()}
			}
			var took, busy []time.Duration
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			for b.Loop() {
				q.P = geo.WGS84{107 + 1.17*r.Float64(), 38 + 0.93*r.Float64()}
				began, worked := time.Now(), threadTime(b)
				if a := dispatch.Advise(q, slices.Values(all)); a.Measured != dispatch.MaxMeasured {
					b.Fatalf("%d measured", a.Measured)
				}
				took, busy = append(took, time.Since(began)), append(busy, threadTime(b)-worked)
			}
			for name, list := range map[string][]time.Duration{"ms": took, "cpu-ms": busy} {
				slices.Sort(list)
				b.ReportMetric(list[len(list)*99/100].Seconds()*1000, "p99-"+name)
				b.ReportMetric(list[len(list)/2].Seconds()*1000, "p50-"+name)
			}
		})
	}
}

// threadTime is the processor's time this thread has had: what others do on the
// same cores is not in it.
func threadTime(b *testing.B) time.Duration {
	const clock = 3 // CLOCK_THREAD_CPUTIME_ID of Linux
	var at syscall.Timespec
	if _, _, errno := syscall.Syscall(syscall.SYS_CLOCK_GETTIME, clock, uintptr(unsafe.Pointer(&at)), 0); errno != 0 {
		b.Fatal(errno)
	}
	return time.Duration(at.Nano())
}
