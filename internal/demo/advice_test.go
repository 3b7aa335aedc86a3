// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package demo_test

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/paulmach/orb"

	"onemap/dispatch"
	"onemap/dispatch/calendar"
	"onemap/geo"
	"onemap/geo/road"
	"onemap/people"
)

// TestAdviceOnTheDemoIsByRoad: on a day's incidents of the made-up county, with
// every worker somewhere in their grid, 95 of 100 ways at least are by road.
func TestAdviceOnTheDemoIsByRoad(t *testing.T) {
	b := theBanner(t)
	var segments []road.Segment
	for _, r := range b.Roads {
		class := road.Class(r.Class)
		kmh, ok := class.Kmh()
		if !ok {
			t.Fatalf("road class %s has no speed", r.Class)
		}
		segments = append(segments, road.Segment{Line: r.Line, Oneway: r.Oneway, Kmh: float64(kmh)})
	}
	g := road.Build(segments, road.DefaultRules())
	now := time.Date(2026, 3, 2, 4, 0, 0, 0, time.UTC)
	r := rand.New(rand.NewPCG(seed, 95))
	var staff []*dispatch.Candidate
	for i, w := range b.Workers {
		at, ok := b.Tree.ByCode(w.Grids[0].Grid)
		if !ok {
			t.Fatalf("%s serves no grid", w.Badge)
		}
		n := b.Tree.Nodes()[at]
		c := &dispatch.Candidate{
			Worker: uint32(i + 1), Home: int32(at + 1), Served: []people.Service{{Grid: int32(at + 1), Role: people.AsWorker}}, Skills: w.Skills,
			OnDuty: true, Sight: dispatch.Seen, FixAt: now,
		}
		for box := n.Geom.Bound(); ; {
			p := orb.Point{box.Min[0] + r.Float64()*(box.Max[0]-box.Min[0]), box.Min[1] + r.Float64()*(box.Max[1]-box.Min[1])}
			if b.Tree.Locate(geo.WGS84(p)).Index == at {
				c.P = geo.WGS84(p)
				break
			}
		}
		staff = append(staff, c)
	}
	h, err := b.History(now, calendar.Calendar{}, 20_000)
	if err != nil {
		t.Fatal(err)
	}
	asked, measured, byRoad, named, namedByRoad := 0, 0, 0, 0, 0
	for in := range h.Last() {
		if in.Place == dispatch.NoPlace {
			continue
		}
		a := dispatch.Advise(dispatch.Question{
			P: in.Point, Rule: dispatch.DefaultAdviceRule(in.Priority), K: 10, Now: now,
			Travel: func(to geo.WGS84, from []geo.WGS84) []road.Answer { return g.TravelTimes(to, from, 0) },
			Others: func(int32, uint32) bool { return true },
		}, slices.Values(staff))
		if a.Of != len(staff) || a.Measured != dispatch.MaxMeasured || len(a.Ranked) != 10 {
			t.Fatalf("%v: %d of %d, %d named", in.Point, a.Measured, a.Of, len(a.Ranked))
		}
		asked, measured, byRoad = asked+1, measured+a.Measured, byRoad+a.ByRoad
		for _, c := range a.Ranked {
			if named++; c.Way.By == road.ByRoad {
				namedByRoad++
			}
		}
	}
	t.Logf("%d incidents: by road %d of %d measured, %d of %d named", asked, byRoad, measured, namedByRoad, named)
	if asked < 10 || byRoad*100 < measured*95 || namedByRoad*100 < named*95 {
		t.Errorf("%d incidents: by road %d of %d measured, %d of %d named; want 95 %%", asked, byRoad, measured, namedByRoad, named)
	}
}
