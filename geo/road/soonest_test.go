// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package road_test

import (
	"math"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"onemap/geo"
	"onemap/geo/road"
)

// TestSoonestIsTheBestOfAllPairs on many small made-up nets: for each place what
// TravelTimes says of every origin by itself. ONEMAP_SEED repeats one.
func TestSoonestIsTheBestOfAllPairs(t *testing.T) {
	seed, nets := uint64(time.Now().UnixNano()), 3000
	if testing.Short() {
		nets = 300
	}
	if s := os.Getenv("ONEMAP_SEED"); s != "" {
		seed, _ = strconv.ParseUint(s, 10, 64)
	}
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 2))
	whys := map[road.Why]int{}
	for net := range nets {
		segments := madeUp(r)
		if net%2 == 0 { // two nets that no road connects
			segments = append(segments, madeUp(r)...)
		}
		used := segments
		if net%50 == 0 {
			used = nil // no roads at all
		}
		g := road.Build(used, road.DefaultRules())
		places := func() []geo.WGS84 {
			out := make([]geo.WGS84, 1+r.IntN(8))
			for i := range out {
				out[i] = somewhere(r, segments)
			}
			return out
		}
		to, from := places(), places()
		if r.IntN(5) == 0 {
			from = append(from, from[0]) // two at one place
		}
		got := g.Soonest(to, from)
		if len(got) != len(to) {
			t.Fatalf("net %d: %d answers for %d places", net, len(got), len(to))
		}
		for i, p := range to {
			all := map[int]road.Answer{}
			best := road.Answer{Seconds: math.Inf(1)}
			for j := range from {
				a := g.TravelTimes(p, from[j:j+1], 0)[0]
				if all[j] = a; a.Seconds < best.Seconds {
					best = a
					best.Index = j
				}
			}
			a := got[i]
			one, there := all[a.Index] // which of several that are equal but for rounding is the same to anybody
			if !there || math.Abs(a.Seconds-best.Seconds) > 1e-6+1e-6*best.Seconds || math.Abs(one.Seconds-best.Seconds) > 1e-6+1e-6*best.Seconds {
				t.Fatalf("net %d: to %v %+v, want %+v", net, p, a, best)
			}
			alone := true // no second way or worker takes as long
			for j, b := range all {
				alone = alone && (j == best.Index || b.Seconds-best.Seconds > 1e-3)
			}
			if alone && (a.Index != best.Index || a.By != best.By || a.Why != best.Why || math.Abs(a.Metres-best.Metres) > 0.5+1e-3*best.Metres) {
				t.Fatalf("net %d: to %v %+v, want %+v", net, p, a, best)
			}
			whys[a.Why]++
		}
	}
	for _, why := range []road.Why{road.WhyRoad, road.WhyNoRoads, road.WhyPlaceFar, road.WhyOriginFar, road.WhyNoWay, road.WhyClose} {
		if whys[why] < nets/300 {
			t.Errorf("%d answers %q: the nets do not test it (%v)", whys[why], why, whys)
		}
	}
}

// TestSoonestOfNobody is told as such, and equal ones in the order given.
func TestSoonestOfNobody(t *testing.T) {
	g := road.Build(county(6), road.DefaultRules())
	p := geo.WGS84{107.01, 38.01}
	if a := g.Soonest([]geo.WGS84{p}, nil); len(a) != 1 || a[0].Index != -1 || a[0].By != "" || !math.IsInf(a[0].Seconds, 1) {
		t.Errorf("%+v", a)
	}
	q := geo.WGS84{107.02, 38.011}
	if a := g.Soonest([]geo.WGS84{p}, []geo.WGS84{{107.5, 38.5}, q, q}); a[0].Index != 1 || a[0].By != road.ByRoad {
		t.Errorf("%+v", a)
	}
	if a := road.Build(nil, road.DefaultRules()).Soonest([]geo.WGS84{p}, []geo.WGS84{{107.5, 38.5}, q, q}); a[0].Index != 1 || a[0].Why != road.WhyNoRoads {
		t.Errorf("%+v", a)
	}
}

// BenchmarkSoonest asks for the first of 474 workers at each of 2,017 places, on
// 67,600 nodes.
func BenchmarkSoonest(b *testing.B) {
	const side = 260
	g := road.Build(county(side), road.DefaultRules())
	r := rand.New(rand.NewPCG(9, 9))
	places := func(n int) []geo.WGS84 {
		out := make([]geo.WGS84, n)
		for i := range out {
			out[i] = geo.WGS84{107 + side*0.0045*r.Float64(), 38 + side*0.0036*r.Float64()}
		}
		return out
	}
	to, from := places(2017), places(474)
	g.Soonest(to, from)
	for b.Loop() {
		g.Soonest(to, from)
	}
}
