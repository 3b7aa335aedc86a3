// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package road_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/paulmach/orb"

	"onemap/geo"
	"onemap/geo/road"
)

func TestEndsThatMissEachOtherAreJoined(t *testing.T) {
	for _, c := range []struct {
		name       string
		lines      []orb.LineString
		metres     float64
		moved      int
		mainMetres float64 // of the roads afterwards
	}{
		{"two ends", []orb.LineString{{at(0, 0), at(500, 0)}, {at(500.4, 0.3), at(1000, 0)}}, 1, 1, 1000},
		{"too far", []orb.LineString{{at(0, 0), at(500, 0)}, {at(502, 0), at(1000, 0)}}, 1, 0, 500},
		{"no metres", []orb.LineString{{at(0, 0), at(500, 0)}, {at(500.4, 0), at(1000, 0)}}, 0, 0, 500},
		{"onto a line, from both sides", []orb.LineString{{at(0, 0), at(1000, 0)}, {at(300, 0.5), at(300, 400)}, {at(700, -0.5), at(700, -400)}}, 1, 2, 1800},
		{"onto a vertex of a line", []orb.LineString{{at(0, 0), at(500, 0), at(1000, 0)}, {at(500.2, 0.5), at(500, 400)}}, 1, 1, 1400},
		{"a bridge stays one", []orb.LineString{{at(0, 0), at(1000, 0)}, {at(500, -500), at(500, 500)}}, 1, 0, 1000},
		{"joined already", []orb.LineString{{at(0, 0), at(500, 0)}, {at(500, 0), at(1000, 0)}}, 1, 0, 1000},
		{"a short line keeps its length", []orb.LineString{{at(0, 0), at(500, 0)}, {at(500.2, 0), at(500.6, 0)}}, 1, 1, 500.6},
		{"nothing at all", nil, 1, 0, 0},
		{"lines that are none", []orb.LineString{{}, {at(0, 0)}, {at(0, 0), at(0, 0)}}, 1, 0, 0},
	} {
		if got := road.Join(c.lines, c.metres); got != c.moved {
			t.Errorf("%s: %d moved, want %d: %v", c.name, got, c.moved, c.lines)
		}
		var segments []road.Segment
		for _, l := range c.lines {
			segments = append(segments, road.Segment{Line: l, Kmh: 36})
		}
		if st := road.Build(segments, road.DefaultRules()).Stats(); math.Abs(st.MainMetres-c.mainMetres) > 1.5 {
			t.Errorf("%s: %+v, want %.1f m in the main net", c.name, st, c.mainMetres)
		}
	}
}

// TestAShakenNetIsJoinedAgain: a grid of streets whose ends were moved by up to half
// a metre is whole again, and no point is far from where it was.
func TestAShakenNetIsJoinedAgain(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	var lines, was []orb.LineString
	for i := range 12 {
		for k := range 11 {
			for _, l := range []orb.LineString{
				{at(float64(k)*200, float64(i)*200), at(float64(k+1)*200, float64(i)*200)},
				{at(float64(i)*200, float64(k)*200), at(float64(i)*200, float64(k+1)*200)},
			} {
				for e := range l {
					l[e][0] += (r.Float64() - 0.5) * 8e-6 // 0.35 m
					l[e][1] += (r.Float64() - 0.5) * 8e-6
				}
				lines, was = append(lines, l), append(was, l.Clone())
			}
		}
	}
	build := func() road.Stats {
		var segments []road.Segment
		for _, l := range lines {
			segments = append(segments, road.Segment{Line: l, Kmh: 36})
		}
		return road.Build(segments, road.DefaultRules()).Stats()
	}
	if st := build(); st.MainMetres > st.Metres/10 {
		t.Fatalf("it is joined before: %+v", st)
	}
	moved := road.Join(lines, 2)
	if st := build(); st.MainMetres < st.Metres*0.999 {
		t.Errorf("%d ends moved, and still %+v", moved, st)
	}
	for i, l := range lines {
		for _, e := range []int{0, len(l) - 1} {
			before := was[i][0]
			if e > 0 {
				before = was[i][len(was[i])-1]
			}
			if d := geo.Distance(geo.WGS84(l[e]), geo.WGS84(before)); d > 2.01 {
				t.Errorf("line %d: an end was moved by %.2f m", i, d)
			}
		}
	}
}
