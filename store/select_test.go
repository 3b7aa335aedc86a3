// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/paulmach/orb"

	"onemap/auth"
	"onemap/dispatch"
	"onemap/geo"
	"onemap/geo/grid"
)

// drawnStar is a polygon as a hand draws one: a star with holes, its corners on a
// raster of a thousandth of a degree so that borders pass through places that can be
// named exactly.
func drawnStar(rng *rand.Rand) orb.MultiPolygon {
	snap := func(v float64) float64 { return math.Round(v*1000) / 1000 }
	ring := func(x, y, r float64, n int) (out orb.Ring) {
		for k := range n {
			sin, cos := math.Sincos(2 * math.Pi * float64(k) / float64(n))
			d := r * (0.6 + 0.4*rng.Float64())
			out = append(out, orb.Point{snap(x + d*cos), snap(y + d*sin)})
		}
		return append(out, out[0])
	}
	x, y, r := snap(107+rng.Float64()), snap(38+rng.Float64()), 0.05+0.2*rng.Float64()
	return orb.MultiPolygon{{ring(x, y, r, 5+rng.IntN(20)), ring(x+r/4, y, r/8, 4), ring(x-r/4, y, r/8, 6)}}
}

// TestRegionsAgreeWithPostGIS holds what a region covers against ST_Covers, anywhere
// and on borders, of holes too, and a circle against the distance on the sphere.
func TestRegionsAgreeWithPostGIS(t *testing.T) {
	t.Parallel()
	db := open(t)
	seed := uint64(time.Now().UnixNano())
	rng := rand.New(rand.NewPCG(seed, 1))
	edges, asked := 0, 0
	for range 60 {
		mp := drawnStar(rng)
		if geo.CheckPolygon(mp, geo.DefaultLimits) != nil {
			continue
		}
		if why, at, err := db.ShapeFault(t.Context(), mp); why != "" || err != nil {
			t.Fatalf("seed %d: PostGIS finds %q at %v in what the check lets pass: %v", seed, why, at, err)
		}
		b := mp.Bound().Pad(0.01)
		var probes []orb.Point
		for range 100 {
			probes = append(probes, orb.Point{b.Min[0] + rng.Float64()*(b.Max[0]-b.Min[0]), b.Min[1] + rng.Float64()*(b.Max[1]-b.Min[1])})
		}
		for _, ring := range mp[0] {
			for i := range len(ring) - 1 {
				p, q := ring[i], ring[i+1]
				probes = append(probes, p, orb.Point{(p[0] + q[0]) / 2, (p[1] + q[1]) / 2}, orb.Point{p[0] + (q[0]-p[0])/8, p[1] + (q[1]-p[1])/8})
			}
		}
		region := grid.NewRegion(mp)
		var covered, border []bool
		err := db.Pool.QueryRow(t.Context(), `SELECT array_agg(ST_Covers($1::geometry, p) ORDER BY n), array_agg(ST_Touches($1::geometry, p) ORDER BY n)
			FROM unnest($2::float8[], $3::float8[]) WITH ORDINALITY u(x, y, n) CROSS JOIN LATERAL (SELECT ST_SetSRID(ST_MakePoint(x, y), 4326) AS p) m`,
			mp, axis(probes, 0), axis(probes, 1)).Scan(&covered, &border)
		if err != nil {
			t.Fatal(err)
		}
		for i, p := range probes {
			asked++
			if border[i] {
				edges++
			}
			if got := region.Covers(geo.WGS84(p)); got != covered[i] {
				t.Errorf("seed %d: %v in %v: %t, PostGIS says %t", seed, p, mp, got, covered[i])
			}
		}
	}
	if edges < 100 {
		t.Errorf("seed %d: only %d of %d places lie on a border", seed, edges, asked)
	}
	for range 200 {
		c := geo.WGS84{-180 + 360*rng.Float64(), -89 + 178*rng.Float64()}
		radius := math.Exp(rng.Float64() * math.Log(200_000))
		circle := grid.NewCircle(c, radius)
		for range 20 {
			sin, cos := math.Sincos(2 * math.Pi * rng.Float64())
			d := radius * 1.2 * rng.Float64() / 111_195
			p := geo.WGS84{c[0] + d*cos/math.Cos(c[1]*math.Pi/180), c[1] + d*sin}
			if math.Abs(p[0]) > 180 || math.Abs(p[1]) > 90 {
				continue
			}
			var metres float64
			if err := db.Pool.QueryRow(t.Context(), "SELECT ST_DistanceSphere(ST_MakePoint($1, $2), ST_MakePoint($3, $4))", c[0], c[1], p[0], p[1]).Scan(&metres); err != nil {
				t.Fatal(err)
			}
			in := circle.Covers(p)
			if math.Abs(metres-radius) > 0.001+radius*1e-6 && in != (metres < radius) { // its sphere is 1 m larger
				t.Errorf("seed %d: %v is %v m from %v, in a circle of %v m: %t", seed, p, metres, c, radius, in)
			}
			if in && !circle.Bound().Contains(p.Orb()) {
				t.Errorf("seed %d: %v is in the circle of %v m round %v and not in its box %v", seed, p, radius, c, circle.Bound())
			}
		}
	}
}

func axis(ps []orb.Point, k int) (out []float64) {
	for _, p := range ps {
		out = append(out, p[k])
	}
	return out
}

// BenchmarkDuplicates looks for duplicates of one of 100,000 incidents of the last 30
// days, four in five of which lie in 60 places of a few streets each.
func BenchmarkDuplicates(b *testing.B) {
	db := benchCounty(b, 100_000)
	for _, sql := range []string{
		`UPDATE incident SET reported_at = now() - (hashint4(id::int) & 2591999) * interval '1 second', title = '某某小区' || id % 60 || '号院附近噪音扰民',
			body = repeat('夜里施工到很晚，声音很大，孩子睡不着觉，请有关部门来看一看。', 4),
			geom = CASE WHEN id % 5 > 0 THEN ST_SetSRID(ST_MakePoint(107.1 + id % 60 * 0.013 + (hashint4(id::int) & 255) * 6e-5, 38.1 + id % 7 * 0.1 + (hashint4(-id::int) & 255) * 6e-5), 4326) ELSE geom END`,
		"VACUUM ANALYZE incident",
	} {
		if _, err := db.Pool.Exec(b.Context(), sql); err != nil {
			b.Fatal(err)
		}
	}
	s := auth.System("benchmark")
	var took []time.Duration
	compared, n := 0, 0
	for b.Loop() {
		n++
		in, err := db.Incident(b.Context(), s, auth.CaseView, int64(n*7919%100_000+1))
		if err != nil {
			b.Fatal(err)
		}
		begin := time.Now()
		others, _, err := db.Alike(b.Context(), s, in)
		if err != nil {
			b.Fatal(err)
		}
		matters := make([]dispatch.Matter, len(others))
		for i, o := range others {
			matters[i] = dispatch.Matter{ID: o.ID, Point: o.Place.Point, At: o.ReportedAt, Category: o.Category, Title: o.Title, Text: o.Text}
		}
		dispatch.Duplicates(dispatch.Matter{ID: in.ID, Point: in.Place.Point, At: in.ReportedAt, Category: in.Category, Title: in.Title, Text: in.Text}, matters)
		took = append(took, time.Since(begin))
		compared += len(others)
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
	b.ReportMetric(float64(compared)/float64(n), "compared/op")
}
