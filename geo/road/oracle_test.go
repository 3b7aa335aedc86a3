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

	"github.com/paulmach/orb"

	"onemap/geo"
	"onemap/geo/road"
)

// oracle knows the way between any two vertices of a small net by the algorithm
// of Floyd and Warshall. It knows of no stretches: every vertex is a node.
type oracle struct {
	rules road.Rules
	at    []geo.WGS84
	edges []edge
	way   [][]float64 // seconds; infinite for none
	main  []bool      // by vertex
}

type edge struct {
	a, b         int
	metres, pace float64
	oneway       bool
}

func newOracle(segments []road.Segment, rules road.Rules) *oracle {
	o := &oracle{rules: rules}
	ids := map[[2]int]int{}
	id := func(p orb.Point) int {
		key := [2]int{int(math.Round(p[0] * 1e7)), int(math.Round(p[1] * 1e7))}
		if _, known := ids[key]; !known {
			ids[key] = len(o.at)
			o.at = append(o.at, geo.WGS84{float64(key[0]) / 1e7, float64(key[1]) / 1e7})
		}
		return ids[key]
	}
	for _, s := range segments {
		for i := 1; i < len(s.Line); i++ {
			if a, b := id(s.Line[i-1]), id(s.Line[i]); a != b {
				o.edges = append(o.edges, edge{a, b, geo.Distance(o.at[a], o.at[b]), 3.6 / s.Kmh, s.Oneway})
			}
		}
	}
	o.way = make([][]float64, len(o.at))
	for i := range o.way {
		o.way[i] = make([]float64, len(o.at))
		for j := range o.way[i] {
			if i != j {
				o.way[i][j] = math.Inf(1)
			}
		}
	}
	for _, e := range o.edges {
		o.way[e.a][e.b] = min(o.way[e.a][e.b], e.metres*e.pace)
		if !e.oneway {
			o.way[e.b][e.a] = min(o.way[e.b][e.a], e.metres*e.pace)
		}
	}
	for k := range o.at {
		for i := range o.at {
			for j := range o.at {
				o.way[i][j] = min(o.way[i][j], o.way[i][k]+o.way[k][j])
			}
		}
	}
	o.findMain()
	return o
}

func (o *oracle) findMain() {
	mutual := func(i, j int) bool { return !math.IsInf(o.way[i][j], 1) && !math.IsInf(o.way[j][i], 1) }
	most := 0.0
	o.main = make([]bool, len(o.at))
	for i := range o.at {
		sum := 0.0
		for _, e := range o.edges {
			if mutual(i, e.a) && mutual(i, e.b) {
				sum += e.metres
			}
		}
		if sum > most*(1+1e-12) {
			most = sum
			for j := range o.at {
				o.main[j] = mutual(i, j)
			}
		}
	}
}

// foot is a place on an edge.
type foot struct {
	edge   int
	before float64 // metres from a
	off    float64
}

func (o *oracle) feet(p geo.WGS84) (out []foot) {
	for _, mainOnly := range []bool{false, true} {
		best := foot{off: math.Inf(1)}
		k := math.Cos(p[1] * math.Pi / 180)
		const metre = geo.EarthRadius * math.Pi / 180
		for i, e := range o.edges {
			if mainOnly && !(o.main[e.a] && o.main[e.b]) {
				continue
			}
			a, b := o.at[e.a], o.at[e.b]
			ax, ay, bx, by := (a[0]-p[0])*k*metre, (a[1]-p[1])*metre, (b[0]-p[0])*k*metre, (b[1]-p[1])*metre
			t := -(ax*(bx-ax) + ay*(by-ay)) / ((bx-ax)*(bx-ax) + (by-ay)*(by-ay))
			t = math.Max(0, math.Min(1, t))
			if off := math.Hypot(ax+t*(bx-ax), ay+t*(by-ay)); off < best.off-1e-6 {
				best = foot{i, t * e.metres, off}
			}
		}
		if best.off <= o.rules.MaxOff && (len(out) == 0 || best.edge != out[0].edge) {
			out = append(out, best)
		}
	}
	return out
}

// ends are the vertices at the ends of a foot's edge, each with the seconds there
// or back; infinite where the edge does not lead.
func (o *oracle) ends(f foot, leaving bool) [2]struct {
	v int
	s float64
} {
	e := o.edges[f.edge]
	a, b := f.before*e.pace, (e.metres-f.before)*e.pace
	if e.oneway && leaving && f.before > 0.01 {
		a = math.Inf(1)
	}
	if e.oneway && !leaving && e.metres-f.before > 0.01 {
		b = math.Inf(1)
	}
	return [2]struct {
		v int
		s float64
	}{{e.a, a}, {e.b, b}}
}

func (o *oracle) seconds(from, to geo.WGS84) (float64, road.By) {
	straight := geo.Distance(from, to) * o.rules.Factor
	line := straight * 3.6 / o.rules.LineKmh
	starts, goals := o.feet(from), o.feet(to)
	if len(starts) == 0 || len(goals) == 0 {
		return line, road.ByLine
	}
	off := func(m float64) float64 { return m * o.rules.Factor * 3.6 / o.rules.OffKmh }
	best, by := math.Inf(1), road.ByLine
	if geo.Distance(from, to) < starts[0].off+goals[0].off {
		best = off(geo.Distance(from, to))
	}
	for _, s := range starts {
		for _, g := range goals {
			way := math.Inf(1)
			for _, x := range o.ends(s, true) {
				for _, y := range o.ends(g, false) {
					way = min(way, x.s+o.way[x.v][y.v]+y.s)
				}
			}
			if e := o.edges[s.edge]; s.edge == g.edge && (g.before >= s.before || !e.oneway) {
				way = min(way, math.Abs(g.before-s.before)*e.pace)
			}
			if way = way + off(s.off) + off(g.off); way < best {
				best, by = way, road.ByRoad
			}
		}
	}
	if math.IsInf(best, 1) {
		return line, road.ByLine
	}
	return best, by
}

// madeUp makes a small net: few vertices, so that segments meet, cross, double
// and loop; some of no length.
func madeUp(r *rand.Rand) []road.Segment {
	vertices := make([]orb.Point, 3+r.IntN(10))
	span := []float64{0.002, 0.02, 0.06}[r.IntN(3)]
	for i := range vertices {
		vertices[i] = orb.Point{107 + span*r.Float64(), 38 + span*r.Float64()}
	}
	segments := make([]road.Segment, 1+r.IntN(9))
	for i := range segments {
		s := &segments[i]
		for range 2 + r.IntN(4) {
			s.Line = append(s.Line, vertices[r.IntN(len(vertices))])
		}
		s.Oneway, s.Kmh = r.IntN(3) == 0, 10+80*r.Float64()
	}
	return segments
}

func somewhere(r *rand.Rand, segments []road.Segment) geo.WGS84 {
	l := segments[r.IntN(len(segments))].Line
	p := l[r.IntN(len(l))]
	if r.IntN(4) == 0 {
		return geo.WGS84(p)
	}
	q := l[r.IntN(len(l))]
	t := r.Float64()
	far := []float64{0, 1e-4, 3e-3, 3e-2}[r.IntN(4)]
	return geo.WGS84{p[0] + t*(q[0]-p[0]) + far*r.NormFloat64(), p[1] + t*(q[1]-p[1]) + far*r.NormFloat64()}
}

// TestTravelTimesAreTheOracles on many small made-up nets. ONEMAP_SEED repeats one.
func TestTravelTimesAreTheOracles(t *testing.T) {
	seed, nets := uint64(time.Now().UnixNano()), 3000
	if testing.Short() {
		nets = 300
	}
	if s := os.Getenv("ONEMAP_SEED"); s != "" {
		seed, _ = strconv.ParseUint(s, 10, 64)
	}
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	roads, lines := 0, 0
	for net := range nets {
		segments := madeUp(r)
		g, o := road.Build(segments, road.DefaultRules()), newOracle(segments, road.DefaultRules())
		for range 4 {
			to, from := somewhere(r, segments), make([]geo.WGS84, 1+r.IntN(8))
			for i := range from {
				from[i] = somewhere(r, segments)
			}
			all := g.TravelTimes(to, from, 0)
			if len(all) != len(from) {
				t.Fatalf("net %d: %d answers for %d origins", net, len(all), len(from))
			}
			seen := map[int]bool{}
			for i, a := range all {
				want, by := o.seconds(from[a.Index], to)
				// A centimetre counts as nothing: at 10 km/h it is some milliseconds.
				if math.Abs(a.Seconds-want) > 0.01+1e-6*want || a.By != by && math.Abs(a.Seconds-want) > 1e-6 {
					t.Fatalf("net %d: from %v to %v: %+v, want %.6f s by %s\n%+v", net, from[a.Index], to, a, want, by, segments)
				}
				if (a.By == road.ByRoad) != (a.Why == road.WhyRoad) || i > 0 && a.Seconds < all[i-1].Seconds || seen[a.Index] {
					t.Fatalf("net %d: %+v", net, all)
				}
				seen[a.Index] = true
				if a.By == road.ByRoad {
					roads++
				} else {
					lines++
				}
			}
			k := 1 + r.IntN(len(from))
			for i, a := range g.TravelTimes(to, from, k) {
				if math.Abs(a.Seconds-all[i].Seconds) > 1e-9 || i >= k {
					t.Fatalf("net %d: the %d quickest %+v, of all %+v", net, k, a, all[i])
				}
			}
		}
	}
	if roads < 10*nets/4 || lines < nets/4 {
		t.Errorf("%d by road, %d by line: the nets do not test both", roads, lines)
	}
}
