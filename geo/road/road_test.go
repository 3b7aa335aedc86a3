// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package road_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/paulmach/orb"

	"onemap/geo"
	"onemap/geo/road"
)

// net is a small town in metres about 107E 38N.
//
//	(0,1000)   D
//	           |  two ways
//	(0,0)      A ----> B (1000,0) one way, 36 km/h: 100 s
func net(more ...road.Segment) *road.Graph {
	return road.Build(append([]road.Segment{
		{Line: orb.LineString{at(0, 0), at(1000, 0)}, Oneway: true, Kmh: 36},
		{Line: orb.LineString{at(0, 0), at(0, 1000)}, Kmh: 36},
	}, more...), road.DefaultRules())
}

func at(east, north float64) orb.Point {
	const metre = geo.EarthRadius * math.Pi / 180
	return orb.Point{107 + east/metre/math.Cos(38*math.Pi/180), 38 + north/metre}
}

func TestWaysOfASmallTown(t *testing.T) {
	loop := road.Segment{Line: orb.LineString{at(0, 1000), at(200, 1200), at(-200, 1200), at(0, 1000)}, Kmh: 36, Oneway: true}
	island := road.Segment{Line: orb.LineString{at(0, 5000), at(1000, 5000)}, Kmh: 36}
	// off is the time of so many metres beside a road, line of a whole way.
	off, line := func(m float64) float64 { return m * 1.4 * 3.6 / 15 }, func(m float64) float64 { return m * 1.4 * 3.6 / 30 }
	for _, c := range []struct {
		name     string
		g        *road.Graph
		from, to orb.Point
		seconds  float64
		by       road.By
		why      road.Why
	}{
		{"along a road", net(), at(0, 1000), at(0, 250), 75, road.ByRoad, road.WhyRoad},
		{"with the one way", net(), at(0, 0), at(1000, 0), 100, road.ByRoad, road.WhyRoad},
		{"within one stretch, with the one way", net(), at(300, 0), at(800, 0), 50, road.ByRoad, road.WhyRoad},
		{"against the one way from its end: the main net is a kilometre off", net(), at(1000, 0), at(0, 0), off(1000), road.ByRoad, road.WhyRoad},
		{"already there", net(), at(1000, 0), at(1000, 0), 0, road.ByLine, road.WhyClose},
		{"round a loop the right way", net(loop), at(0, 1000), at(200, 1200), 28.284, road.ByRoad, road.WhyRoad},
		{"back out of the loop", net(loop), at(200, 1200), at(0, 1000), 40 + 28.284, road.ByRoad, road.WhyRoad},
		{"beside the road", net(), at(100, 700), at(0, 200), off(100) + 50, road.ByRoad, road.WhyRoad},
		{"closer to each other than to the road", net(), at(-1000, 500), at(-1100, 500), off(100), road.ByLine, road.WhyClose},
		{"an island", net(island), at(500, 5000), at(0, 500), line(math.Hypot(500, 4500)), road.ByLine, road.WhyNoWay},
		{"an origin far off", net(), at(-9000, 500), at(0, 500), line(9000), road.ByLine, road.WhyOriginFar},
		{"a place far off", net(), at(0, 500), at(-9000, 500), line(9000), road.ByLine, road.WhyPlaceFar},
		{"no roads at all", road.Build(nil, road.DefaultRules()), at(0, 0), at(300, 400), line(500), road.ByLine, road.WhyNoRoads},
		{"only bad segments", road.Build([]road.Segment{
			{Line: orb.LineString{at(0, 0), at(0, 0)}, Kmh: 36},
			{Line: orb.LineString{at(0, 0)}, Kmh: 36},
			{Kmh: 36},
			{Line: orb.LineString{at(0, 0), at(9, 9)}},
			{Line: orb.LineString{at(0, 0), {math.NaN(), 38}}, Kmh: 36},
			{Line: orb.LineString{at(0, 0), {200, 38}}, Kmh: 36},
			{Line: orb.LineString{at(0, 0), at(9, 9)}, Kmh: math.Inf(1)},
		}, road.DefaultRules()), at(0, 0), at(300, 400), line(500), road.ByLine, road.WhyNoRoads},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := c.g.TravelTimes(geo.WGS84(c.to), []geo.WGS84{geo.WGS84(c.from)}, 0)
			if len(got) != 1 || math.Abs(got[0].Seconds-c.seconds) > 0.02+0.002*c.seconds || got[0].By != c.by || got[0].Why != c.why {
				t.Errorf("got %+v, want %.1f s by %s (%s)", got, c.seconds, c.by, c.why)
			}
		})
	}
}

// TestTwoKilometresAreTheLimit just within and just beyond.
func TestTwoKilometresAreTheLimit(t *testing.T) {
	for metres, by := range map[float64]road.By{1990: road.ByRoad, 2010: road.ByLine} {
		got := net().TravelTimes(geo.WGS84(at(0, 100)), []geo.WGS84{geo.WGS84(at(-metres, 900))}, 1)
		if got[0].By != by {
			t.Errorf("%.0f m off: %+v", metres, got)
		}
	}
}

// TestLinesThatCrossWithoutAVertexDoNotMeet: a bridge is no crossing.
func TestLinesThatCrossWithoutAVertexDoNotMeet(t *testing.T) {
	over := road.Segment{Line: orb.LineString{at(-500, 500), at(500, 500)}, Kmh: 36}
	got := net(over).TravelTimes(geo.WGS84(at(0, 900)), []geo.WGS84{geo.WGS84(at(450, 500))}, 1)
	if got[0].By == road.ByRoad && got[0].Seconds < 100 {
		t.Errorf("from the bridge down onto the road in %+v", got)
	}
}

func TestNobodyAsksForNobody(t *testing.T) {
	if got := net().TravelTimes(geo.WGS84(at(0, 0)), nil, 5); len(got) != 0 {
		t.Errorf("%+v", got)
	}
}

// TestAGraphIsSharedByManySearches finds what they would do to each other.
func TestAGraphIsSharedByManySearches(t *testing.T) {
	g := road.Build(county(30), road.DefaultRules())
	var from []geo.WGS84
	for i := range 100 {
		from = append(from, geo.WGS84{107 + 0.0013*float64(i), 38 + 0.001*float64(i)})
	}
	want := g.TravelTimes(from[50], from, 0)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 50 {
				g.TravelTimes(from[10*i], from, 7)
				if got := g.TravelTimes(from[50], from, 0); !slices.Equal(got, want) {
					t.Errorf("search %d: another answer", i)
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestStatsCountIslands(t *testing.T) {
	st := net(road.Segment{Line: orb.LineString{at(0, 5000), at(300, 5000)}, Kmh: 36}, road.Segment{}).Stats()
	if st.Nodes != 5 || st.Stretches != 3 || st.Left != 1 || math.Abs(st.Metres-2300) > 1 || math.Abs(st.MainMetres-1000) > 1 {
		t.Errorf("%+v", st)
	}
}

func TestTagsSayHowARoadIsDriven(t *testing.T) {
	for tags, want := range map[string]string{
		"":                                                  "no tag highway",
		"highway=primary":                                   "65",
		"highway=primary maxspeed=50":                       "40",
		"highway=primary maxspeed=30 mph":                   "38.6",
		"highway=primary maxspeed=CN:urban":                 "65",
		"highway=primary maxspeed=none":                     "65",
		"highway=primary maxspeed=-5":                       "65",
		"highway=primary maxspeed=1":                        "5",
		"highway=primary maxspeed=900":                      "130",
		"highway=footway":                                   "not for cars",
		"highway=nonsense":                                  "not for cars",
		"highway=service area=yes":                          "an area",
		"highway=track":                                     "15",
		"highway=track access=no":                           "closed",
		"highway=track access=no motor_vehicle=yes":         "15",
		"highway=track access=yes motor_vehicle=no":         "closed",
		"highway=track access=private":                      "15",
		"highway=residential oneway=yes":                    "25 one way",
		"highway=residential oneway=-1":                     "25 one way back",
		"highway=residential oneway=reversible":             "its direction changes by the hour",
		"highway=residential junction=roundabout":           "25 one way",
		"highway=residential junction=roundabout oneway=no": "25",
		"highway=motorway":                                  "90 one way",
		"highway=motorway oneway=no":                        "90",
		"highway=motorway_link":                             "75",
	} {
		u, got := tagsOf(tags).Read()
		if got == "" {
			got = fmt.Sprintf("%.3g", u.Kmh)
			if u.Oneway {
				got += " one way"
			}
			if u.Backward {
				got += " back"
			}
		}
		if got != want {
			t.Errorf("%s: %q, want %q", tags, got, want)
		}
	}
}

// tagsOf reads "key=value key=value"; a word without = goes on with the value.
func tagsOf(s string) road.Tags {
	t := road.Tags{}
	key := ""
	for word := range strings.FieldsSeq(s) {
		if k, v, ok := strings.Cut(word, "="); ok {
			key, t[k] = k, v
		} else {
			t[key] += " " + word
		}
	}
	return t
}
