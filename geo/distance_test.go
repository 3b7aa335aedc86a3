// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package geo_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"onemap/geo"
)

// haversine is the formula as the textbooks have it.
func haversine(a, b geo.WGS84) float64 {
	const rad = math.Pi / 180
	sLat, sLon := math.Sin((b[1]-a[1])*rad/2), math.Sin((b[0]-a[0])*rad/2)
	h := sLat*sLat + math.Cos(a[1]*rad)*math.Cos(b[1]*rad)*sLon*sLon
	return 2 * geo.EarthRadius * math.Asin(math.Sqrt(min(h, 1)))
}

func TestDistanceIsTheHaversinesNearAndFar(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 400_000 {
		a := geo.WGS84{360*r.Float64() - 180, 180*r.Float64() - 90}
		reach := math.Pow(10, 3*r.Float64()-1.5) * math.Pow(10, -6*r.Float64()) // from a decimetre to beyond 30 degrees
		b := geo.WGS84{a[0] + reach*r.NormFloat64(), min(max(a[1]+reach*r.NormFloat64(), -90), 90)}
		got, want := geo.Distance(a, b), haversine(a, b)
		if back := geo.Distance(b, a); back != got {
			t.Fatalf("%v to %v is %g, back %g", a, b, got, back)
		}
		if !(math.Abs(got-want) <= 1e-7+1e-11*want) {
			t.Fatalf("%v to %v: %.12g, want %.12g", a, b, got, want)
		}
	}
	if d := geo.Distance(geo.WGS84{107, 38}, geo.WGS84{107, 38}); d != 0 {
		t.Errorf("from a place to itself it is %g m", d)
	}
}

func BenchmarkDistance(b *testing.B) {
	r := rand.New(rand.NewPCG(3, 4))
	var at [1024]geo.WGS84
	for i := range at {
		at[i] = geo.WGS84{107 + r.Float64(), 38 + r.Float64()}
	}
	for _, of := range []struct {
		name string
		f    func(a, b geo.WGS84) float64
	}{{"ours", geo.Distance}, {"textbook", haversine}} {
		b.Run(of.name, func(b *testing.B) {
			i, sum := 0, 0.0
			for b.Loop() {
				sum += of.f(at[i&1023], at[(i*7+1)&1023])
				i++
			}
			_ = sum
		})
	}
}
