// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package layer_test

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/paulmach/orb"
	"github.com/paulmach/orb/planar"

	"onemap/auth"
	"onemap/geo"
	"onemap/geo/grid"
	"onemap/layer"
)

// cloud is points, lines or polygons of a county, some of them at one place.
func cloud(rng *rand.Rand, n int, shapes bool) []layer.Feature {
	out := make([]layer.Feature, n)
	var last orb.Point
	for i := range out {
		p := orb.Point{106 + 3*rng.Float64(), 37 + 2*rng.Float64()}
		if i > 0 && rng.IntN(20) == 0 {
			p = last
		}
		last = p
		out[i] = layer.Feature{ID: int64(i + 1), Geom: p}
		if !shapes {
			continue
		}
		q := func() orb.Point { return orb.Point{p[0] + 0.2*rng.Float64(), p[1] + 0.2*rng.Float64()} }
		switch rng.IntN(3) {
		case 0:
			out[i].Geom = orb.LineString{p, q(), q()}
		case 1:
			w, h := 0.1*rng.Float64(), 0.1*rng.Float64()
			out[i].Geom = orb.Polygon{{p, {p[0] + w, p[1]}, {p[0] + w, p[1] + h}, {p[0], p[1] + h}, p}}
		}
	}
	return out
}

// slowly is how far p is from g, by looking at points along every edge and then
// closer round the nearest.
func slowly(g orb.Geometry, p geo.WGS84) float64 {
	best := math.Inf(1)
	edge := func(a, b orb.Point) {
		at := func(t float64) float64 { return geo.Distance(p, between(a, b, t)) }
		lo, hi := 0.0, 1.0
		for range 60 { // the distance to an arc this short has one valley
			m, n := lo+(hi-lo)/3, hi-(hi-lo)/3
			if at(m) < at(n) {
				hi = n
			} else {
				lo = m
			}
		}
		best = min(best, at(0), at(1), at(lo))
	}
	switch g := g.(type) {
	case orb.Point:
		return geo.Distance(p, geo.WGS84(g))
	case orb.LineString:
		for i := 1; i < len(g); i++ {
			edge(g[i-1], g[i])
		}
	case orb.Polygon:
		if planar.PolygonContains(g, orb.Point(p)) {
			return 0
		}
		for i := 1; i < len(g[0]); i++ {
			edge(g[0][i-1], g[0][i])
		}
	}
	return best
}

// between is a point of the great circle from a to b, at a share of the chord.
func between(a, b orb.Point, t float64) geo.WGS84 {
	v := func(p orb.Point) [3]float64 {
		lon, lat := p[0]*math.Pi/180, p[1]*math.Pi/180
		return [3]float64{math.Cos(lat) * math.Cos(lon), math.Cos(lat) * math.Sin(lon), math.Sin(lat)}
	}
	x, y := v(a), v(b)
	var z [3]float64
	for i := range z {
		z[i] = x[i]*(1-t) + y[i]*t
	}
	return geo.WGS84{math.Atan2(z[1], z[0]) * 180 / math.Pi, math.Atan2(z[2], math.Hypot(z[0], z[1])) * 180 / math.Pi}
}

func TestNearestAgreesWithBruteForce(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	for _, shapes := range []bool{false, true} {
		for _, n := range []int{0, 1, 16, 17, 400} {
			features := cloud(rng, n, shapes)
			s := layer.NewSet(layer.Layer{}, slices.Clone(features), nil)
			for range 12 {
				p := geo.WGS84{105 + 5*rng.Float64(), 36 + 4*rng.Float64()}
				k := 1 + rng.IntN(12)
				odd := rng.IntN(2) == 0
				take := func(f *layer.Feature) bool { return !odd || f.ID%2 == 1 }
				type at struct {
					id int64
					m  float64
				}
				var want []at
				for i := range features {
					if take(&features[i]) {
						want = append(want, at{features[i].ID, slowly(features[i].Geom, p)})
					}
				}
				slices.SortFunc(want, func(a, b at) int { return cmp.Or(cmp.Compare(a.m, b.m), cmp.Compare(a.id, b.id)) })
				got := s.Nearest(p, k, take)
				if len(got) != min(k, len(want)) {
					t.Fatalf("%d features, k %d: %d found of %d", n, k, len(got), len(want))
				}
				for i, g := range got {
					same := g.ID == want[i].id || shapes && math.Abs(g.Metres-want[i].m) < 0.01
					if !same || math.Abs(g.Metres-want[i].m) > 0.01 {
						t.Fatalf("%d features, shapes %v, place %v, k %d: number %d is %d at %v m, want %d at %v m", n, shapes, p, k, i, g.ID, g.Metres, want[i].id, want[i].m)
					}
				}
			}
		}
	}
}

func TestNearestAcrossTheDateLineAndThePole(t *testing.T) {
	s := layer.NewSet(layer.Layer{}, []layer.Feature{
		{ID: 1, Geom: orb.Point{179.9, 0}}, {ID: 2, Geom: orb.Point{-179.8, 0}}, {ID: 3, Geom: orb.Point{0, 89.9}}, {ID: 4, Geom: orb.Point{180, 89.9}},
	}, nil)
	all := func(*layer.Feature) bool { return true }
	if got := s.Nearest(geo.WGS84{-179.99, 0}, 2, all); got[0].ID != 1 || got[1].ID != 2 || math.Round(got[0].Bearing) != 270 {
		t.Errorf("%+v", got)
	}
	if got := s.Nearest(geo.WGS84{1, 89.99}, 2, all); got[0].ID != 3 || got[1].ID != 4 {
		t.Errorf("%+v", got)
	}
	if got := s.Nearest(geo.WGS84{1, 1}, 0, all); got != nil {
		t.Errorf("%+v", got)
	}
}

func TestACameraCoversWhatLiesInItsRangeAndView(t *testing.T) {
	at := geo.WGS84{107, 38}
	north, east, west := geo.WGS84{107, 38.001}, geo.WGS84{107.001, 38}, geo.WGS84{106.999, 38} // 111 m, 88 m, 88 m
	const no = layer.Unknown
	for _, c := range []struct {
		what                string
		heading, fov, rangM int
		p                   geo.WGS84
		want                string
	}{
		{"ahead", 0, 60, 200, north, "true"},
		{"aside", 0, 60, 200, east, "false"},
		{"at the edge of a wide view", 45, 90, 200, north, "true"},
		{"past the north", 350, 30, 200, north, "true"},
		{"west of a view to the north-west", 315, 92, 200, west, "true"},
		{"too far", 0, 60, 100, north, "false"},
		{"too far, whatever its view", no, no, 100, north, "false"},
		{"aside, whatever its range", 0, 60, no, east, "false"},
		{"all round", no, 360, 200, west, "true"},
		{"no heading", no, 60, 200, north, "<nil>"},
		{"no field of view", 0, no, 200, north, "<nil>"},
		{"no range", 0, 60, no, north, "<nil>"},
		{"nothing is known", no, no, no, north, "<nil>"},
		{"where it stands", 90, 10, 10, at, "true"},
	} {
		k := layer.Camera{Heading: c.heading, FOV: c.fov, RangeM: c.rangM}
		got := "<nil>"
		if b := k.Covers(at, c.p); b != nil {
			got = fmt.Sprint(*b)
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s", c.what, got, c.want)
		}
	}
}

// twoCounties are P, grids 1 and 2, and east of it Q, grids 3 and 4.
func twoCounties(t *testing.T) *grid.Tree {
	t.Helper()
	box := func(x float64) orb.MultiPolygon {
		return orb.MultiPolygon{{{{x, 38}, {x + 1, 38}, {x + 1, 39}, {x, 39}, {x, 38}}}}
	}
	tree, err := grid.NewTree([]grid.Node{
		{ID: 1, Version: 1, Level: 1, Code: "P", Parent: -1, No: 1, Last: 2, Geom: box(107)},
		{ID: 2, Version: 1, Level: 2, Code: "P1", Parent: 0, No: 2, Last: 2, Geom: box(107)},
		{ID: 3, Version: 2, Level: 1, Code: "Q", Parent: -1, No: 3, Last: 4, Geom: box(108)},
		{ID: 4, Version: 2, Level: 2, Code: "Q1", Parent: 2, No: 4, Last: 4, Geom: box(108)},
	})
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

func TestAFeatureKeepsToTheGridsOfItsCounty(t *testing.T) {
	tree := twoCounties(t)
	p := []auth.Interval{{Lo: 1, Hi: 2}}
	for _, c := range []struct {
		what   string
		g      orb.Geometry
		county []auth.Interval
		root   int32
		want   string
	}{
		{"in both", orb.LineString{{107.5, 38.5}, {108.5, 38.5}}, p, 1, "[2]"},
		{"in the other", orb.Point{108.5, 38.5}, p, 1, "[1]"},
		{"in none", orb.Point{110, 38.5}, p, 1, "[1]"},
		{"in none, without a county's own", orb.Point{110, 38.5}, p, 0, "[]"},
		{"of whatever county", orb.LineString{{107.5, 38.5}, {108.5, 38.5}}, nil, 0, "[2 4]"},
		{"of a county that is not here", orb.Point{108.5, 38.5}, []auth.Interval{}, 0, "[]"},
	} {
		if got := fmt.Sprint(layer.GridsOf(tree, c.g, c.county, c.root)); got != c.want {
			t.Errorf("%s: %s, want %s", c.what, got, c.want)
		}
	}
}

func TestAPageEndsByCountOrByPoints(t *testing.T) {
	line := func(n int) orb.LineString {
		l := make(orb.LineString, n)
		for i := range l {
			l[i] = orb.Point{107 + float64(i)/100, 38}
		}
		return l
	}
	var features []layer.Feature
	for i, n := range []int{3, 3, 20, 2, 2} {
		features = append(features, layer.Feature{ID: int64(i + 1), Geom: line(n), Grids: []int32{2}})
	}
	features = append(features, layer.Feature{ID: 6, Geom: line(2), Grids: []int32{4}}, layer.Feature{ID: 7, Geom: orb.Point{109, 38}, Grids: []int32{2}})
	s := layer.NewSet(layer.Layer{}, features, nil)
	d, err := auth.Decide(auth.NewActor(auth.Grant{ID: "town", Role: auth.TownOperator, Intervals: []auth.Interval{{Lo: 1, Hi: 2}}}), auth.Read, auth.NamedLayer)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		after         int64
		limit, points int
		within        *orb.Bound
		want          string
	}{
		{0, 10, 6, nil, "1 2 more"},
		{2, 10, 6, nil, "3 more"}, // one at least
		{3, 10, 6, nil, "4 5 7 "},
		{0, 3, 100, nil, "1 2 3 more"},
		{0, 9, 100, &orb.Bound{Min: orb.Point{108, 37}, Max: orb.Point{110, 39}}, "7 "},
		{7, 9, 100, nil, ""},
	} {
		page, more := s.Page(d.Scope, c.within, c.after, c.limit, c.points)
		got := ""
		for _, f := range page {
			got += fmt.Sprint(f.ID, " ")
		}
		if more {
			got += "more"
		}
		if got != c.want {
			t.Errorf("after %d, %d features, %d points: %q, want %q", c.after, c.limit, c.points, got, c.want)
		}
	}
}

func TestCodesAreOfCameras(t *testing.T) {
	for code, good := range map[string]bool{
		"15062401001310000001": true, "15062401001320000001": true,
		"15062401001180000001": false, "15062401002000000001": false, "1506240100132000000": false, "150624010013200000011": false,
		"1506240100132000000x": false, "": false, "１５０６２４０１００１３２０００００１": false,
	} {
		if err := layer.CheckCameraCode(code); (err == nil) != good {
			t.Errorf("%q: %v", code, err)
		}
	}
}

func TestSettingsAreChecked(t *testing.T) {
	for text, good := range map[string]bool{
		`{}`: true, `{"colour":"#d4380d","icon":"station","width":2.5,"fill_opacity":0,"label":"等级"}`: true,
		`{"colour":"red"}`: false, `{"icon":"../x"}`: false, `{"width":99}`: false, `{"fill_opacity":1.5}`: false, `{"url":"http://x"}`: false, `{} {}`: false, `[]`: false,
	} {
		if _, err := layer.ParseStyle([]byte(text)); (err == nil) != good {
			t.Errorf("%s: %v", text, err)
		}
	}
	for code, good := range map[string]bool{"stations": true, "a": true, "s-1_b": true, "roads": false, "cameras": false, "1a": false, "A": false, "": false, "a.json": false} {
		if err := layer.CheckCode(code); (err == nil) != good {
			t.Errorf("%q: %v", code, err)
		}
	}
	l := layer.Layer{Name: "站", MinZoom: 3, MaxZoom: 18, Access: auth.LayerAccess{auth.SignedIn}}
	if err := l.Check(); err != nil {
		t.Error(err)
	}
	for what, change := range map[string]func(*layer.Layer){
		"no name": func(l *layer.Layer) { l.Name = "" }, "zooms": func(l *layer.Layer) { l.MinZoom = 19 }, "deep": func(l *layer.Layer) { l.MaxZoom = 19 },
		"nobody": func(l *layer.Layer) { l.Access = nil }, "a role without layers": func(l *layer.Layer) { l.Access = auth.LayerAccess{"auditor"} },
		"two words": func(l *layer.Layer) { l.Access = auth.LayerAccess{auth.Walls, "dispatcher"} },
	} {
		bad := l
		change(&bad)
		if bad.Check() == nil {
			t.Errorf("%s: no error", what)
		}
	}
}

// 12,328 cameras are those of a large district.
func BenchmarkNearest(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 1))
	for _, n := range []int{12_328, layer100k} {
		s := layer.NewSet(layer.Layer{}, cloud(rng, n, false), nil)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for i := range b.N {
				p := geo.WGS84{106 + 3*float64(i*7919%1000)/1000, 37 + 2*float64(i*104729%1000)/1000}
				if got := s.Nearest(p, 5, func(*layer.Feature) bool { return true }); len(got) != 5 {
					b.Fatal(len(got))
				}
			}
		})
	}
}

const layer100k = 100_000
