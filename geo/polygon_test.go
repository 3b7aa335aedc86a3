// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package geo_test

import (
	"errors"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/paulmach/orb"
	"pgregory.net/rapid"

	"onemap/geo"
)

type points = [][2]float64

func ring(ps points) orb.Ring {
	r := make(orb.Ring, 0, len(ps)+1)
	for _, p := range ps {
		r = append(r, orb.Point(p))
	}
	return append(r, r[0])
}

func part(rings ...points) orb.Polygon {
	var p orb.Polygon
	for _, r := range rings {
		p = append(p, ring(r))
	}
	return p
}

func box(x0, y0, x1, y1 float64) points {
	return points{{x0, y0}, {x1, y0}, {x1, y1}, {x0, y1}}
}

func TestCheckPolygon(t *testing.T) {
	square := box(0, 0, 10, 10)
	for _, c := range []struct {
		name string
		mp   orb.MultiPolygon
		want geo.Fault // "" = valid
		at   orb.Point
	}{
		{"square", orb.MultiPolygon{part(square)}, "", orb.Point{}},
		{"repeated point", orb.MultiPolygon{part(points{{0, 0}, {1, 0}, {1, 0}, {1, 1}})}, "", orb.Point{}},
		{"nothing", nil, geo.FaultEmpty, orb.Point{}},
		{"no ring", orb.MultiPolygon{{}}, geo.FaultEmpty, orb.Point{}},
		{"two points", orb.MultiPolygon{part(points{{0, 0}, {1, 1}})}, geo.FaultShort, orb.Point{}},
		{"one place four times", orb.MultiPolygon{part(points{{1, 1}, {1, 1}, {1, 1}})}, geo.FaultShort, orb.Point{1, 1}},
		{"open", orb.MultiPolygon{{{{0, 0}, {1, 0}, {1, 1}, {0, 1}}}}, geo.FaultOpen, orb.Point{0, 1}},
		{"NaN", orb.MultiPolygon{part(points{{0, 0}, {math.NaN(), 0}, {1, 1}})}, geo.FaultPlace, orb.Point{}},
		{"1e300", orb.MultiPolygon{part(points{{0, 0}, {1e300, 0}, {1, 1}})}, geo.FaultPlace, orb.Point{}},
		{"swapped", orb.MultiPolygon{part(points{{38, 107}, {39, 107}, {39, 108}})}, geo.FaultPlace, orb.Point{}},
		//  3---1
		//   \ /
		//    X
		//   / \
		//  0---2
		{"bow-tie", orb.MultiPolygon{part(points{{0, 0}, {2, 2}, {2, 0}, {0, 2}})}, geo.FaultCrossing, orb.Point{1, 1}},
		{"spike", orb.MultiPolygon{part(points{{0, 0}, {4, 0}, {4, 4}, {4, 9}, {4, 4}, {0, 4}})}, geo.FaultTouching, orb.Point{4, 4}},
		{"line there and back", orb.MultiPolygon{part(points{{0, 0}, {1, 1}, {2, 2}})}, geo.FaultCrossing, orb.Point{0, 0}},
		{"figure of eight", orb.MultiPolygon{part(points{{0, 0}, {2, 0}, {1, 1}, {2, 2}, {0, 2}, {1, 1}})}, geo.FaultTouching, orb.Point{1, 1}},
		{"corner on own edge", orb.MultiPolygon{part(points{{0, 0}, {4, 0}, {4, 4}, {2, 0}, {0, 4}})}, geo.FaultTouching, orb.Point{2, 0}},
		{"hole", orb.MultiPolygon{part(square, box(1, 1, 2, 2))}, "", orb.Point{}},
		{"hole touches in one point", orb.MultiPolygon{part(square, points{{0, 5}, {2, 4}, {2, 6}})}, "", orb.Point{}},
		{"hole outside", orb.MultiPolygon{part(square, box(11, 1, 12, 2))}, geo.FaultHole, orb.Point{11, 1}},
		{"hole across the border", orb.MultiPolygon{part(square, box(9, 1, 12, 2))}, geo.FaultCrossing, orb.Point{10, 1}},
		{"hole on the border", orb.MultiPolygon{part(square, box(8, 1, 10, 2))}, geo.FaultCrossing, orb.Point{10, 1}},
		{"hole in hole", orb.MultiPolygon{part(square, box(1, 1, 9, 9), box(2, 2, 3, 3))}, geo.FaultHole, orb.Point{2, 2}},
		{"hole round hole", orb.MultiPolygon{part(square, box(2, 2, 3, 3), box(1, 1, 9, 9))}, geo.FaultHole, orb.Point{2, 2}},
		{"hole through a notch", orb.MultiPolygon{part(
			points{{0, 0}, {10, 0}, {10, 10}, {5, 5}, {0, 10}}, points{{0, 10}, {10, 10}, {5, 5}},
		)}, geo.FaultCrossing, orb.Point{}},
		{"holes cut it in two", orb.MultiPolygon{part(square, points{{0, 5}, {5, 4}, {5, 6}}, points{{5, 4}, {10, 5}, {5, 3}}, points{{5, 6}, {6, 7}, {10, 5}})}, geo.FaultDisconnected, orb.Point{}},
		{"parts apart", orb.MultiPolygon{part(square), part(box(11, 0, 12, 1))}, "", orb.Point{}},
		{"parts meet in a point", orb.MultiPolygon{part(square), part(box(10, 10, 12, 12))}, "", orb.Point{}},
		{"parts share an edge", orb.MultiPolygon{part(square), part(box(10, 0, 12, 10))}, geo.FaultCrossing, orb.Point{}},
		{"part in part", orb.MultiPolygon{part(square), part(box(1, 1, 2, 2))}, geo.FaultOverlap, orb.Point{1, 1}},
		{"part round part", orb.MultiPolygon{part(box(1, 1, 2, 2)), part(square)}, geo.FaultOverlap, orb.Point{1, 1}},
		{"part in a hole", orb.MultiPolygon{part(square, box(1, 1, 9, 9)), part(box(2, 2, 3, 3))}, "", orb.Point{}},
		{"part fills corners of a hole", orb.MultiPolygon{part(square, box(1, 1, 9, 9)), part(points{{1, 1}, {9, 9}, {5, 1.5}})}, "", orb.Point{}},
		{"crosses at corners only", orb.MultiPolygon{part(points{{0, 0}, {4, 0}, {4, 4}, {0, 4}}), part(points{{0, 0}, {0, -2}, {6, -2}, {6, 6}, {4, 4}})}, geo.FaultOverlap, orb.Point{2, 2}},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := geo.CheckPolygon(c.mp, geo.DefaultLimits)
			if c.want == "" {
				if err != nil {
					t.Fatalf("refused: %v", err)
				}
				return
			}
			var pe *geo.PolygonError
			if !errors.As(err, &pe) || pe.Fault != c.want {
				t.Fatalf("%v, want the fault %s", err, c.want)
			}
			if c.at != (orb.Point{}) && pe.At != c.at {
				t.Errorf("named at %v, want %v", pe.At, c.at)
			}
		})
	}
}

func TestCheckPolygonLimits(t *testing.T) {
	circle := func(n int) orb.MultiPolygon {
		ps := make(points, n)
		for i := range ps {
			sin, cos := math.Sincos(2 * math.Pi * float64(i) / float64(n))
			ps[i] = [2]float64{107 + cos, 38 + sin}
		}
		return orb.MultiPolygon{part(ps)}
	}
	var pe *geo.PolygonError
	if err := geo.CheckPolygon(circle(5000), geo.DefaultLimits); !errors.As(err, &pe) || pe.Fault != geo.FaultTooLarge {
		t.Errorf("5,000 vertices: %v", err)
	}
	if err := geo.CheckPolygon(circle(1999), geo.DefaultLimits); err != nil {
		t.Errorf("1,999 vertices: %v", err)
	}
	start := time.Now()
	if err := geo.CheckPolygon(circle(99_000), geo.BoundaryLimits); err != nil {
		t.Errorf("99,000 vertices: %v", err)
	}
	if d := time.Since(start); d > 20*time.Second {
		t.Errorf("99,000 vertices took %v", d)
	}
	holes := part(box(0, 0, 80, 80))
	for i := range 51 {
		holes = append(holes, ring(box(float64(i)+.1, 1, float64(i)+.9, 2)))
	}
	if err := geo.CheckPolygon(orb.MultiPolygon{holes}, geo.DefaultLimits); !errors.As(err, &pe) || pe.Fault != geo.FaultTooLarge {
		t.Errorf("51 holes: %v", err)
	}
	// The star of 2,001 points that kills a repairing database is refused at once.
	star := make(points, 2001)
	for i := range star {
		sin, cos := math.Sincos(2 * math.Pi * float64(i) * 1000 / 2001)
		star[i] = [2]float64{cos, sin}
	}
	limits := geo.Limits{Vertices: 3000, Holes: 1}
	if err := geo.CheckPolygon(orb.MultiPolygon{part(star)}, limits); !errors.As(err, &pe) || pe.Fault != geo.FaultCrossing {
		t.Errorf("star: %v", err)
	}
}

// crossesSlow compares every two edges with rational numbers.
func crossesSlow(r orb.Ring) bool {
	n := len(r) - 1
	for i := range n {
		for j := i + 1; j < n; j++ {
			a, b, c, d := r[i], r[i+1], r[j], r[j+1]
			o1, o2, o3, o4 := side(a, b, c), side(a, b, d), side(c, d, a), side(c, d, b)
			switch {
			case o1*o2 < 0 && o3*o4 < 0:
				return true
			case j == i+1 || i == 0 && j == n-1: // neighbours: may only share the corner
				if j == i+1 && o2 == 0 && backwards(a, b, d) || i == 0 && j == n-1 && o1 == 0 && backwards(c, d, b) {
					return true
				}
			case o1 == 0 && between(a, b, c), o2 == 0 && between(a, b, d), o3 == 0 && between(c, d, a), o4 == 0 && between(c, d, b):
				return true
			}
		}
	}
	return false
}

func backwards(a, b, c orb.Point) bool {
	return (b[0]-a[0])*(c[0]-b[0])+(b[1]-a[1])*(c[1]-b[1]) < 0
}

func between(a, b, p orb.Point) bool {
	return min(a[0], b[0]) <= p[0] && p[0] <= max(a[0], b[0]) && min(a[1], b[1]) <= p[1] && p[1] <= max(a[1], b[1])
}

func side(a, b, c orb.Point) int {
	f := func(v float64) *big.Float { return new(big.Float).SetPrec(2000).SetFloat64(v) }
	sub := func(u, v float64) *big.Float { return f(0).Sub(f(u), f(v)) }
	l := f(0).Mul(sub(b[0], a[0]), sub(c[1], a[1]))
	return l.Cmp(f(0).Mul(sub(c[0], a[0]), sub(b[1], a[1])))
}

func TestCheckPolygonAgreesWithBruteForce(t *testing.T) {
	var good, bad int
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(3, 9).Draw(t, "n")
		seen := map[[2]float64]bool{}
		var ps points
		for range n {
			// a small grid of places makes touching and collinear edges common
			p := [2]float64{float64(rapid.IntRange(0, 5).Draw(t, "x")) / 3, float64(rapid.IntRange(0, 5).Draw(t, "y")) / 3}
			if len(ps) == 0 || ps[len(ps)-1] != p {
				ps = append(ps, p)
			}
			seen[p] = true
		}
		if len(seen) < 3 || ps[0] == ps[len(ps)-1] {
			return
		}
		r := ring(ps)
		want := crossesSlow(r)
		err := geo.CheckPolygon(orb.MultiPolygon{{r}}, geo.DefaultLimits)
		if (err != nil) != want {
			t.Fatalf("%v: %v, brute force says crossing=%v", r, err, want)
		}
		if want {
			bad++
		} else {
			good++
		}
	})
	if !testing.Short() && (good < 3 || bad < 3) { // a short run draws too few
		t.Fatalf("not a test: %d good, %d bad rings", good, bad)
	}
}

func TestOrientIsExact(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		a := orb.Point{107 + rng.Float64(), 38 + rng.Float64()}
		b := orb.Point{107 + rng.Float64(), 38 + rng.Float64()}
		k := rng.Float64()
		c := orb.Point{a[0] + k*(b[0]-a[0]), a[1] + k*(b[1]-a[1])} // on the line but for rounding
		if got, want := geo.Orient(a, b, c), side(a, b, c); got != want {
			t.Fatalf("Orient(%v, %v, %v) = %d, want %d", a, b, c, got, want)
		}
		if geo.Orient(a, b, c) != -geo.Orient(b, a, c) {
			t.Fatalf("Orient is not antisymmetric at %v, %v, %v", a, b, c)
		}
	}
	tiny := math.SmallestNonzeroFloat64
	if got := geo.Orient(orb.Point{0, 0}, orb.Point{tiny, 0}, orb.Point{0, tiny}); got != 1 {
		t.Errorf("smallest triangle: %d", got)
	}
}

func FuzzCheckPolygon(f *testing.F) {
	f.Add([]byte{0, 0, 2, 2, 2, 0, 0, 2})
	f.Add([]byte{0, 0, 9, 0, 9, 9, 255, 1, 1, 2, 1, 2, 2})
	f.Fuzz(func(t *testing.T, in []byte) {
		if len(in) > 400 {
			return
		}
		mp := orb.MultiPolygon{{{}}}
		for i := 0; i+1 < len(in); i += 2 {
			last := &mp[len(mp)-1]
			switch in[i] {
			case 255:
				*last = append(*last, orb.Ring{})
				i--
			case 254:
				mp = append(mp, orb.Polygon{{}})
				i--
			default:
				r := &(*last)[len(*last)-1]
				*r = append(*r, orb.Point{float64(in[i]), float64(in[i+1] % 90)})
			}
		}
		for _, p := range mp {
			for i, r := range p {
				if len(r) > 0 {
					p[i] = append(r, r[0])
				}
			}
		}
		_ = geo.CheckPolygon(mp, geo.DefaultLimits) // must return
	})
}
