// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package road_test

import (
	"context"
	"errors"
	"fmt"
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
		got := soonest(t, g, to, from)
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
	if a := soonest(t, g, []geo.WGS84{p}, nil); len(a) != 1 || a[0].Index != -1 || a[0].By != "" || !math.IsInf(a[0].Seconds, 1) {
		t.Errorf("%+v", a)
	}
	q := geo.WGS84{107.02, 38.011}
	if a := soonest(t, g, []geo.WGS84{p}, []geo.WGS84{{107.5, 38.5}, q, q}); a[0].Index != 1 || a[0].By != road.ByRoad {
		t.Errorf("%+v", a)
	}
	if a := soonest(t, road.Build(nil, road.DefaultRules()), []geo.WGS84{p}, []geo.WGS84{{107.5, 38.5}, q, q}); a[0].Index != 1 || a[0].Why != road.WhyNoRoads {
		t.Errorf("%+v", a)
	}
}

func soonest(t testing.TB, g *road.Graph, to, from []geo.WGS84) []road.Answer {
	t.Helper()
	as, err := g.Soonest(t.Context(), to, from)
	if err != nil {
		t.Fatal(err)
	}
	return as
}

// TestSoonestStopsWhenNobodyWaits: before anything is looked at, on the way along the
// roads, and on the way from place to place.
func TestSoonestStopsWhenNobodyWaits(t *testing.T) {
	g := road.Build(county(20), road.DefaultRules())
	to, from := make([]geo.WGS84, 50), []geo.WGS84{{107.02, 38.011}}
	for i := range to {
		to[i] = geo.WGS84{107.01 + 0.001*float64(i), 38.01}
	}
	whole := &ending{Context: t.Context(), left: math.MaxInt}
	if _, err := g.Soonest(whole, to, from); err != nil || whole.asked < len(to)+2 {
		t.Fatalf("%v; it looked %d times whether anybody waits", err, whole.asked)
	}
	for _, left := range []int{0, 1, (whole.asked - len(to)) / 2, whole.asked - len(to)/2, whole.asked - 1} {
		e := &ending{Context: t.Context(), left: left}
		if as, err := g.Soonest(e, to, from); !errors.Is(err, context.Canceled) || as != nil || e.asked != left+1 {
			t.Errorf("ended at look %d: %v, %d answers, %d looks", left+1, err, len(as), e.asked)
		}
	}
}

// ending is a context that is found ended when it has been looked at so often.
type ending struct {
	context.Context
	left, asked int
}

func (e *ending) Err() error {
	if e.asked++; e.asked > e.left {
		return context.Canceled
	}
	return nil
}

// BenchmarkSoonest asks for the first of 474 and of 5,000 workers at each of 2,017
// places, on 67,600 nodes, and where there are no roads; then without fifty of them, too.
func BenchmarkSoonest(b *testing.B) {
	const side = 260
	r := rand.New(rand.NewPCG(9, 9))
	places := func(n int) []geo.WGS84 {
		out := make([]geo.WGS84, n)
		for i := range out {
			out[i] = geo.WGS84{107 + side*0.0045*r.Float64(), 38 + side*0.0036*r.Float64()}
		}
		return out
	}
	to, from := places(2017), places(5000)
	for name, net := range map[string][]road.Segment{"roads": county(side), "no roads": nil} {
		g := road.Build(net, road.DefaultRules())
		for _, n := range []int{474, 5000} {
			b.Run(fmt.Sprintf("%s/%d workers", name, n), func(b *testing.B) {
				soonest(b, g, to, from[:n])
				for b.Loop() {
					soonest(b, g, to, from[:n])
				}
			})
			b.Run(fmt.Sprintf("%s/%d workers and without 50", name, n), func(b *testing.B) {
				soonest(b, g, to, from[:n])
				for b.Loop() {
					soonest(b, g, to, from[:n])
					soonest(b, g, to, from[50:n])
				}
			})
		}
	}
}
