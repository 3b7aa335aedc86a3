// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package track_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"onemap/geo"
	"onemap/track"
)

var (
	noon = time.Date(2026, 3, 2, 4, 0, 0, 0, time.UTC)
	home = geo.WGS84{107.5, 38.2}
)

// fix is a good fix, sec seconds after noon and north metres north of home, that
// arrived at once.
func fix(sec, north float64) track.Fix {
	at := noon.Add(time.Duration(sec * float64(time.Second)))
	return track.Fix{
		Device: 1, Worker: 7, Grid: 40, At: at, ServerAt: at, P: geo.WGS84{home[0], home[1] + north/111195},
		AccuracyM: 10, CourseDeg: 90, SpeedMS: 1, Battery: 80,
	}
}

func with(f track.Fix, edit func(*track.Fix)) track.Fix {
	edit(&f)
	return f
}

func TestFreshnessRule(t *testing.T) {
	for _, c := range []struct {
		age, interval time.Duration
		want          track.Freshness
	}{
		{-time.Minute, 5 * time.Second, track.Fresh},
		{119 * time.Second, 5 * time.Second, track.Fresh},
		{120 * time.Second, 5 * time.Second, track.Stale},
		{599 * time.Second, 300 * time.Second, track.Fresh},
		{600 * time.Second, 300 * time.Second, track.Stale},
		{59*time.Minute + 59*time.Second, time.Minute, track.Stale},
		{60 * time.Minute, time.Minute, track.Lost},
		{60 * time.Minute, time.Hour, track.Lost},
	} {
		if got := track.FreshnessOf(c.age, c.interval); got != c.want {
			t.Errorf("age %s, interval %s: %v, want %v", c.age, c.interval, got, c.want)
		}
	}
}

func TestJudge(t *testing.T) {
	walk := []track.Fix{fix(-20, 0), fix(-15, 5), fix(-10, 10), fix(-5, 15), fix(5, 25), fix(10, 30)}
	for _, c := range []struct {
		name   string
		f      track.Fix
		around []track.Fix
		want   track.Verdict
		stored bool
	}{
		{"good", fix(0, 20), walk, track.OK, true},
		{"alone", fix(0, 30_000), nil, track.OK, true},
		{"teleport of 30 km, accuracy 10 m", fix(0, 30_000), walk, track.Jump, true},
		{"teleport seen before what follows it", fix(0, 30_000), walk[:4], track.Jump, true},
		{"49 m/s", fix(0, 15+245), walk[2:4], track.OK, true},
		{"52 m/s and more than the accuracies explain", fix(0, 15+285), walk[2:4], track.Jump, true},
		{"the same second, a few metres", fix(-5, 30), walk[:3], track.OK, true},
		{"a bad neighbour is no neighbour", fix(0, 20), []track.Fix{with(fix(-5, 90_000), func(f *track.Fix) { f.AccuracyM = 5000 })}, track.OK, true},
		{"after a jump the track goes on", fix(10, 30), append([]track.Fix{fix(0, 30_000)}, walk[:4]...), track.OK, true},
		{"late by 3 min", with(fix(0, 20), func(f *track.Fix) { f.ServerAt = f.At.Add(3 * time.Minute) }), walk, track.Late, true},
		{"a clock 119 s ahead is borne", with(fix(0, 20), func(f *track.Fix) { f.ServerAt = f.At.Add(-119 * time.Second) }), walk, track.OK, true},
		{"a clock 121 s ahead", with(fix(0, 20), func(f *track.Fix) { f.ServerAt = f.At.Add(-121 * time.Second) }), walk, track.Future, false},
		{"a clock 1,024 weeks behind", with(fix(0, 20), func(f *track.Fix) { f.ServerAt = f.At.AddDate(0, 0, 7*1024) }), walk, track.Ancient, false},
		{"accuracy 200 m", with(fix(0, 20), func(f *track.Fix) { f.AccuracyM = 200 }), walk, track.OK, true},
		{"accuracy 5 km", with(fix(0, 20), func(f *track.Fix) { f.AccuracyM = 5000 }), walk, track.Poor, true},
		{"0/0", with(fix(0, 20), func(f *track.Fix) { f.P = geo.WGS84{} }), walk, track.NullIsland, true},
		{"NaN", with(fix(0, 20), func(f *track.Fix) { f.P[0] = math.NaN() }), walk, track.Nowhere, false},
		{"1e300", with(fix(0, 20), func(f *track.Fix) { f.P[1] = 1e300 }), walk, track.Nowhere, false},
		{"longitude and latitude swapped", with(fix(0, 20), func(f *track.Fix) { f.P[0], f.P[1] = f.P[1], f.P[0] }), walk, track.Nowhere, false},
		{"mock", with(fix(0, 20), func(f *track.Fix) { f.Mock = true }), walk, track.Mock, true},
		{"the device says invalid", with(fix(0, 20), func(f *track.Fix) { f.Verdict = track.Invalid }), walk, track.Invalid, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := track.Judge(c.f, 5*time.Second, c.around)
			if got != c.want || got.Stored() != c.stored {
				t.Errorf("verdict %q, stored %t; want %q, %t", got, got.Stored(), c.want, c.stored)
			}
			c.around = slices.Clone(c.around)
			slices.Reverse(c.around)
			if again := track.Judge(c.f, 5*time.Second, c.around); again != got {
				t.Errorf("verdict %q with the neighbours reversed, %q before", again, got)
			}
		})
	}
}

// liveAt is an index whose clock stands at *now.
func liveAt(now *time.Time) *track.Live { return track.NewLive(func() time.Time { return *now }) }

func oneDot(t *testing.T, l *track.Live) track.Dot {
	t.Helper()
	dots := l.Dots()
	if len(dots) != 1 {
		t.Fatalf("%d dots, want 1", len(dots))
	}
	return dots[0]
}

func TestDotAgesByTheServerClock(t *testing.T) {
	now := noon
	l := liveAt(&now)
	if v, moved := l.Accept(fix(0, 0), 5*time.Second); v != track.OK || !moved {
		t.Fatalf("first fix: %q, moved %t", v, moved)
	}
	_, since := l.Changed(0)
	for _, c := range []struct {
		after time.Duration
		want  track.State
		news  int
	}{
		{119 * time.Second, track.StateOn, 0},
		{120 * time.Second, track.StateStale, 1},
		{59 * time.Minute, track.StateStale, 0},
		{60 * time.Minute, track.StateOff, 1},
		{70 * time.Minute, track.StateOff, 0},
	} {
		now = noon.Add(c.after)
		var dots []track.Dot
		dots, since = l.Changed(since)
		if len(dots) != c.news || (c.news == 1 && dots[0].State != c.want) {
			t.Errorf("after %s: changes %v, want %d with %q", c.after, dots, c.news, c.want)
		}
	}
	if dots := l.Dots(); len(dots) != 0 {
		t.Errorf("a lost worker is on the map: %v", dots)
	}
}

func TestHeartbeatMakesNoDotYounger(t *testing.T) {
	now := noon
	l := liveAt(&now)
	l.Accept(fix(0, 0), 5*time.Second)
	now = noon.Add(10 * time.Minute)
	l.Heard(7, now, false)
	if d := oneDot(t, l); d.State != track.StateStale || !d.FixAt.Equal(noon) {
		t.Errorf("dot %+v, want stale since noon", d)
	}
	if !l.LastHeard(7).Equal(now) {
		t.Errorf("last heard %s, want %s", l.LastHeard(7), now)
	}
}

func TestLateFixMovesNoDotBackAndFutureFixPinsNone(t *testing.T) {
	now := noon
	l := liveAt(&now)
	l.Accept(fix(0, 0), 5*time.Second)
	before := oneDot(t, l)
	for _, f := range []track.Fix{
		with(fix(-7200, 900), func(f *track.Fix) { f.ServerAt = now }),
		with(fix(-86400, 900), func(f *track.Fix) { f.ServerAt = now }),
		with(fix(365*86400, 900), func(f *track.Fix) { f.ServerAt = now }),
		with(fix(0, 900), func(f *track.Fix) { f.At = now.AddDate(0, 0, -7*1024) }),
	} {
		if v, moved := l.Accept(f, 5*time.Second); moved {
			t.Errorf("a fix of %s (%q) moved the dot", f.At, v)
		}
	}
	if d := oneDot(t, l); d != before {
		t.Errorf("dot %+v, want %+v", d, before)
	}
	now = noon.Add(10 * time.Second)
	if v, moved := l.Accept(fix(10, 10), 5*time.Second); v != track.OK || !moved {
		t.Errorf("the next good fix: %q, moved %t", v, moved)
	}
}

func TestClockAheadDoesNotFlatterTheAge(t *testing.T) {
	now := noon
	l := liveAt(&now)
	l.Accept(with(fix(100, 0), func(f *track.Fix) { f.ServerAt = now }), 5*time.Second)
	now = noon.Add(125 * time.Second)
	if d := oneDot(t, l); d.State != track.StateStale || !d.FixAt.Equal(noon) {
		t.Errorf("dot %+v, want stale since its arrival at noon", d)
	}
}

func TestTeleportIsNotDrawnAndTheTrackRecovers(t *testing.T) {
	now := noon
	l := liveAt(&now)
	accept := func(sec, north float64) track.Verdict {
		now = noon.Add(time.Duration(sec) * time.Second)
		v, _ := l.Accept(fix(sec, north), 5*time.Second)
		return v
	}
	for s := 0.0; s < 30; s += 5 {
		accept(s, s)
	}
	if v := accept(30, 30_000); v != track.Jump {
		t.Errorf("teleport: %q", v)
	}
	if d := oneDot(t, l); d.P != fix(25, 25).P {
		t.Errorf("the dot went to %v", d.P)
	}
	if v := accept(35, 35); v != track.OK {
		t.Errorf("good fix after a teleport: %q", v)
	}
	for s := 40.0; s < 60; s += 5 { // the receiver really is elsewhere
		accept(s, 60_000+s)
	}
	if d := oneDot(t, l); d.P != fix(55, 60_055).P {
		t.Errorf("after four agreeing fixes the dot is still at %v", d.P)
	}
}

func TestBadFirstFixIsOutvotedByTwo(t *testing.T) {
	now := noon
	l := liveAt(&now)
	l.Accept(fix(0, 30_000), 5*time.Second)
	l.Accept(fix(5, 5), 5*time.Second)
	l.Accept(fix(10, 10), 5*time.Second)
	if d := oneDot(t, l); d.P != fix(10, 10).P {
		t.Errorf("dot at %v", d.P)
	}
}

func TestPoorFixIsDrawnHollowOnlyWhenNothingBetterIsFresh(t *testing.T) {
	now := noon
	l := liveAt(&now)
	poor := func(sec, north float64) track.Fix {
		return with(fix(sec, north), func(f *track.Fix) { f.AccuracyM = 800 })
	}
	l.Accept(fix(0, 0), 5*time.Second)
	l.Accept(poor(5, 300), 5*time.Second)
	if d := oneDot(t, l); d.P != fix(0, 0).P || d.State != track.StateOn {
		t.Errorf("dot %+v, want the good fix", d)
	}
	now = noon.Add(121 * time.Second)
	if d := oneDot(t, l); d.P != poor(5, 300).P || d.State != track.StateStale || d.AccuracyM != 800 {
		t.Errorf("dot %+v, want the poor fix drawn hollow", d)
	}
}

func TestSOSTaskAndDuty(t *testing.T) {
	now := noon
	l := liveAt(&now)
	dutyEnd := noon.Add(time.Minute)
	l.SetDuty(func(_ uint32, at time.Time) (time.Time, bool) { return dutyEnd, at.Before(dutyEnd) })
	l.Accept(fix(0, 0), time.Minute)
	l.SetTasks(map[uint32]bool{7: true, 8: true})
	if d := oneDot(t, l); d.State != track.StateTask {
		t.Errorf("state %q, want task", d.State)
	}
	other := fix(0, 0)
	other.Worker = 8
	l.Accept(other, time.Minute)
	if d, _ := l.Dot(8); d.State != track.StateTask {
		t.Errorf("who was seen only after the work was accepted is drawn %q", d.State)
	}
	l.SetTasks(map[uint32]bool{7: true})
	if d, _ := l.Dot(8); d.State != track.StateOn {
		t.Errorf("whose work is over is drawn %q", d.State)
	}
	l.SetDuty(func(w uint32, at time.Time) (time.Time, bool) { return dutyEnd, w == 7 && at.Before(dutyEnd) })
	l.Heard(7, now, true)
	if d := oneDot(t, l); d.State != track.StateSOS || !l.InSOS(7) {
		t.Errorf("state %q, want sos", d.State)
	}
	now = dutyEnd
	if d := oneDot(t, l); d.State != track.StateSOS {
		t.Errorf("state %q, an alarm outlasts duty", d.State)
	}
	_, since := l.Changed(0)
	l.EndSOS(7)
	if dots, _ := l.Changed(since); len(dots) != 1 || dots[0].State != track.StateOff {
		t.Errorf("after the alarm, off duty: %v", dots)
	}
	l.Heard(7, now, true)
	now = now.Add(track.SOSFor)
	if l.InSOS(7) || len(l.Dots()) != 0 {
		t.Error("the alarm did not end by itself")
	}
}

func TestDutyEndTakesTheDotOff(t *testing.T) {
	now := noon
	l := liveAt(&now)
	dutyEnd := noon.Add(time.Minute)
	l.SetDuty(func(_ uint32, at time.Time) (time.Time, bool) { return dutyEnd, at.Before(dutyEnd) })
	l.Accept(fix(0, 0), time.Minute)
	_, since := l.Changed(0)
	now = dutyEnd.Add(-1)
	if dots, _ := l.Changed(since); len(dots) != 0 {
		t.Errorf("before the end of duty: %v", dots)
	}
	now = dutyEnd
	if dots, _ := l.Changed(since); len(dots) != 1 || dots[0].State != track.StateOff || dots[0].Worker != 7 {
		t.Errorf("at the end of duty: %v", dots)
	}
}

// Any permutation of a day's fixes, bad ones among them, gives the same dot.
func TestLastKnownDoesNotDependOnOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 40).Draw(t, "fixes")
		fixes := make([]track.Fix, n)
		for i := range fixes {
			f := fix(float64(rapid.IntRange(-7200, 300).Draw(t, "second")), float64(rapid.IntRange(0, 400).Draw(t, "north")))
			f.Device = int64(rapid.IntRange(1, 3).Draw(t, "device"))
			f.ServerAt = noon.Add(time.Duration(rapid.IntRange(-60, 60).Draw(t, "arrival")) * time.Second)
			f.CourseDeg = float32(i)
			switch rapid.IntRange(0, 9).Draw(t, "kind") {
			case 0:
				f.P[0] += 0.4
			case 1:
				f.AccuracyM = 900
			case 2:
				f.Mock = true
			case 3:
				f.SOS = true
			}
			fixes[i] = f
		}
		slices.SortFunc(fixes, func(a, b track.Fix) int { return a.ServerAt.Compare(b.ServerAt) })
		for i := range fixes { // no two arrivals at the same instant
			fixes[i].ServerAt = fixes[i].ServerAt.Add(time.Duration(i))
		}
		now := noon.Add(time.Duration(rapid.IntRange(60, 4000).Draw(t, "now")) * time.Second)
		dots := func(in []track.Fix) []track.Dot {
			l := liveAt(&now)
			for _, f := range in {
				l.Accept(f, 5*time.Second)
			}
			return l.Dots()
		}
		want := dots(fixes)
		if got := dots(rapid.Permutation(fixes).Draw(t, "order")); !slices.Equal(got, want) {
			t.Fatalf("dots %v, want %v", got, want)
		}
	})
}

// Of two poor fixes of one time the first to arrive stands, as of good ones: whichever is
// told of first.
func TestOfPoorFixesOfOneTimeTheFirstToArriveStands(t *testing.T) {
	first, second := fix(0, 0), fix(0, 300)
	first.AccuracyM, second.AccuracyM = 900, 800
	first.ServerAt, second.ServerAt = noon.Add(time.Second), noon.Add(2*time.Second)
	for _, in := range [][]track.Fix{{first, second}, {second, first}} {
		now := noon.Add(time.Minute)
		l := liveAt(&now)
		for _, f := range in {
			l.Accept(f, 5*time.Second)
		}
		if dots := l.Dots(); len(dots) != 1 || dots[0].AccuracyM != 900 {
			t.Errorf("dots %v", dots)
		}
	}
}

// A client that applies every change to what it holds sees what Dots says.
func TestChangesAddUpToDots(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := noon
		l := liveAt(&now)
		held := map[uint32]track.Dot{}
		var since uint64
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 400).Draw(t, "pass")) * time.Second)
			f := with(fix(0, float64(rapid.IntRange(0, 100).Draw(t, "north"))), func(f *track.Fix) {
				f.Worker = uint32(rapid.IntRange(1, 4).Draw(t, "worker"))
				f.Device, f.At, f.ServerAt = int64(f.Worker), now, now
			})
			l.Accept(f, 5*time.Second)
			if rapid.Bool().Draw(t, "ask") {
				var dots []track.Dot
				dots, since = l.Changed(since)
				for _, d := range dots {
					held[d.Worker] = d
					if d.State == track.StateOff {
						delete(held, d.Worker)
					}
				}
				all := l.Dots()
				if len(all) != len(held) {
					t.Fatalf("held %d dots, want %d", len(held), len(all))
				}
				for _, d := range all {
					if held[d.Worker] != d {
						t.Fatalf("held %+v, want %+v", held[d.Worker], d)
					}
				}
			}
		}
	})
}

// A walk with gaps and noise has at most 0.5 % of its good fixes refused.
func TestGoodFixesAreRarelyRefused(t *testing.T) {
	const seed = 7
	rng := rand.New(rand.NewPCG(seed, 1))
	now := noon
	l := liveAt(&now)
	refused, north := 0, 0.0
	const n = 20_000
	for i := range n {
		dt := 5.0
		if rng.IntN(50) == 0 {
			dt = 600
		}
		now = now.Add(time.Duration(dt) * time.Second)
		north += dt * 15 * (rng.Float64()*2 - 1)
		f := with(fix(0, north+20*rng.NormFloat64()), func(f *track.Fix) { f.At, f.ServerAt, f.AccuracyM = now, now, 20 })
		if i%100 == 99 {
			f.P[0] += 0.35
		}
		v, _ := l.Accept(f, 5*time.Second)
		if i%100 == 99 {
			if dt < 300 && v != track.Jump {
				t.Fatalf("seed %d, fix %d: a teleport of 30 km passed as %q", seed, i, v)
			}
		} else if v != track.OK {
			refused++
		}
	}
	if refused > n*5/1000 {
		t.Errorf("seed %d: %d of %d good fixes refused", seed, refused, n)
	}
}

func BenchmarkAccept(b *testing.B) {
	now := noon
	l := liveAt(&now)
	const workers = 474
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if i%workers == 0 {
			now = now.Add(5 * time.Second)
		}
		f := fix(0, float64(i%100))
		f.Worker, f.Device = uint32(i%workers), int64(i%workers)
		f.At, f.ServerAt = now, now
		l.Accept(f, 5*time.Second)
	}
}

// One tick at 47,400 workers of whom 1 % moved.
func BenchmarkChanged(b *testing.B) {
	now := noon
	l := liveAt(&now)
	const workers = 47_400
	send := func(i int) {
		f := fix(0, float64(i%100))
		f.Worker, f.Device, f.At, f.ServerAt = uint32(i), int64(i), now, now
		l.Accept(f, 5*time.Second)
	}
	for i := range workers {
		send(i)
	}
	_, since := l.Changed(0)
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		now = now.Add(50 * time.Millisecond)
		for i := range workers / 100 {
			send(i * 100)
		}
		b.StartTimer()
		_, since = l.Changed(since)
	}
}
