// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package analysis_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"onemap/analysis"
)

// rounds lists who is near whom.
type rounds [][]int32

func (r rounds) Len() int         { return len(r) }
func (r rounds) Of(i int) []int32 { return r[i] }

// honeycomb is a field of side times side hexagons with k rings round each, fewer at
// its edges.
func honeycomb(side, k int) rounds {
	var out rounds
	for y := range side {
		for x := range side {
			var near []int32
			for dy := -k; dy <= k; dy++ {
				for dx := max(-k, -k-dy); dx <= min(k, k-dy); dx++ {
					if u, v := x+dx, y+dy; u >= 0 && v >= 0 && u < side && v < side {
						near = append(near, int32(v*side+u))
					}
				}
			}
			out = append(out, near)
		}
	}
	return out
}

// brute works out the spots from the printed formulas, slowly: weights as a matrix, the
// deviation by squares, q by looking at all others, the exact chance by adding up.
func brute(counts []float64, near rounds) []analysis.Spot {
	n := float64(len(counts))
	total, squares := 0.0, 0.0
	for _, x := range counts {
		total, squares = total+x, squares+x*x
	}
	mean := total / n
	s := math.Sqrt(math.Max(0, squares/n-mean*mean))
	out := make([]analysis.Spot, len(counts))
	exact := make([]float64, len(counts))
	for i := range counts {
		w, w2, local := 0.0, 0.0, 0.0
		for j := range counts {
			weight := 0.0
			if slices.Contains(near[i], int32(j)) {
				weight = 1
			}
			w, w2, local = w+weight, w2+weight*weight, local+weight*counts[j]
		}
		if total*w < 5*n || w == n {
			continue
		}
		o := &out[i]
		o.Tested = true
		if s > 1e-9 {
			o.Z = (local - mean*w) / (s * math.Sqrt((n*w2-w*w)/(n-1)))
		}
		o.P = 2 * (1 - 0.5*(1+math.Erf(math.Abs(o.Z)/math.Sqrt2)))
		exact[i] = max(o.P, tails(local, total, w/n))
	}
	rate := func(i int, p func(int) float64) float64 {
		q, m := 1.0, 0.0
		for j := range out {
			if out[j].Tested {
				m++
			}
		}
		for j := range out {
			if !out[j].Tested || p(j) < p(i) {
				continue
			}
			rank := 0.0
			for k := range out {
				if out[k].Tested && p(k) <= p(j) {
					rank++
				}
			}
			q = min(q, p(j)*m/rank)
		}
		return q
	}
	for i := range out {
		if out[i].Tested {
			out[i].Q = rate(i, func(j int) float64 { return out[j].P })
			out[i].Strict = rate(i, func(j int) float64 { return exact[j] })
		}
	}
	return out
}

// tails is twice the smaller side of the binomial distribution from k on, 1 at most.
func tails(k, n, share float64) float64 {
	fewer, more := 0.0, 0.0
	for x := 0.0; x <= n; x++ {
		a, _ := math.Lgamma(n + 1)
		b, _ := math.Lgamma(x + 1)
		c, _ := math.Lgamma(n - x + 1)
		p := math.Exp(a - b - c + x*math.Log(share) + (n-x)*math.Log(1-share))
		if x <= k {
			fewer += p
		}
		if x >= k {
			more += p
		}
	}
	return min(1, 2*fewer, 2*more)
}

func TestHotSpotsAreWhatTheFormulasSay(t *testing.T) {
	classes := map[analysis.Class]bool{}
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 40).Draw(t, "n")
		most := rapid.SampledFrom([]int{0, 1, 3, 20}).Draw(t, "most")
		near := make(rounds, n)
		counts := make([]float64, n)
		for i := range n {
			counts[i] = float64(rapid.IntRange(0, most).Draw(t, "count"))
			if rapid.IntRange(0, 9).Draw(t, "heap") == 0 {
				counts[i] *= 20
			}
			set := map[int32]bool{int32(i): true}
			for range rapid.IntRange(0, n).Draw(t, "near") {
				set[int32(rapid.IntRange(0, n-1).Draw(t, "who"))] = true
			}
			for j := range set {
				near[i] = append(near[i], j)
			}
			slices.Sort(near[i])
		}
		want := brute(counts, near)
		for i, got := range analysis.HotSpots(counts, nil, near) {
			w := want[i]
			classes[got.Class] = true
			if got.Tested != w.Tested || got.Tested == (got.Class == analysis.TooFew) {
				t.Fatalf("cell %d: %+v, tested %v", i, got, w.Tested)
			}
			for k, d := range []float64{got.Z - w.Z, got.P - w.P, got.Q - w.Q, got.Strict - w.Strict} {
				if !(math.Abs(d) <= 1e-9) {
					t.Fatalf("cell %d, value %d: %+v, not %+v", i, k, got, w)
				}
			}
			if got.Tested && (got.Strict < got.Q || got.Class != classFor(got.Z, got.Strict)) {
				t.Fatalf("cell %d: %+v", i, got)
			}
		}
	})
	t.Logf("classes seen: %v; a planted cluster and R's answers see to it that each kind is", classes)
}

func classFor(z, q float64) analysis.Class {
	for _, c := range []struct {
		q         float64
		hot, cold analysis.Class
	}{{0.01, analysis.Hot99, analysis.Cold99}, {0.05, analysis.Hot95, analysis.Cold95}, {0.10, analysis.Hot90, analysis.Cold90}} {
		switch {
		case q <= c.q && z > 0:
			return c.hot
		case q <= c.q:
			return c.cold
		}
	}
	return analysis.Plain
}

func TestCountsThatShowNothing(t *testing.T) {
	field := honeycomb(20, 1)
	same := func(x float64) []float64 { return slices.Repeat([]float64{x}, field.Len()) }
	one := slices.Clone(same(0))
	one[210] = 400 // the mean is 1: seven cells expect 7
	for name, c := range map[string]struct {
		counts []float64
		near   rounds
		want   analysis.Class
		z      bool
	}{
		"all zero":           {same(0), field, analysis.TooFew, false},
		"all equal":          {same(3), field, analysis.Plain, false},
		"equal, and too few": {same(0.5), field, analysis.TooFew, false},
		"one cell":           {[]float64{90}, rounds{{0}}, analysis.TooFew, false},
		"two that are near":  {[]float64{90, 10}, rounds{{0, 1}, {0, 1}}, analysis.TooFew, false},
		"no cell":            {nil, nil, analysis.Plain, false},
		"all in one cell":    {one, field, analysis.Hot99, true},
	} {
		spots := analysis.HotSpots(c.counts, nil, c.near)
		if len(spots) != len(c.counts) {
			t.Fatalf("%s: %d spots", name, len(spots))
		}
		i := 0
		if len(spots) > 210 {
			i = 210 // away from the edge, where fewer are expected
		}
		if len(spots) > 0 && (spots[i].Class != c.want || (spots[i].Z != 0) != c.z || math.IsNaN(spots[i].P+spots[i].Q+spots[i].Strict)) {
			t.Errorf("%s: %+v", name, spots[i])
		}
	}
}

// strew lets n incidents fall, each into any cell with the same chance but those of
// heavy, which count times for one.
func strew(r *rand.Rand, cells, n int, heavy []int32, times int) []float64 {
	counts := make([]float64, cells)
	for range n {
		if i := r.IntN(cells + (times-1)*len(heavy)); i < cells {
			counts[i]++
		} else {
			counts[heavy[(i-cells)%len(heavy)]]++
		}
	}
	return counts
}

// atMost is how often something of this chance happens in n tries at most: more often
// once in a thousand such tests.
func atMost(chance float64, n int) int {
	sum, p := 0.0, math.Pow(1-chance, float64(n))
	for k := 0; ; k++ {
		if sum += p; sum >= 0.999 {
			return k
		}
		p *= float64(n-k) / float64(k+1) * chance / (1 - chance)
	}
}

// What is promised: where incidents fall by chance alone, the chance that any cell of the
// whole area is called hot or cold at 90 % is at most 0.10, at 95 % 0.05, at 99 % 0.01.
// (With nothing to find, that is what the false discovery rate is.) It is judged over 200
// seeds for areas that expect little and much. The test can fail: Q alone, which takes
// Gi* for normal, does.
func TestPureNoiseGivesNoMoreThanThePromisedFalseDiscoveries(t *testing.T) {
	const seeds = 200
	normal := 0
	for _, f := range []struct{ side, k int }{{15, 1}, {32, 1}, {32, 2}} {
		near := honeycomb(f.side, f.k)
		for _, expected := range []float64{5.5, 8, 20, 100} {
			n := int(expected * float64(near.Len()) / float64(1+3*f.k*(f.k+1)))
			var strict, plain [3]int
			levels := [3]float64{0.10, 0.05, 0.01}
			tested := 0
			for seed := range seeds {
				least, leastQ := 1.0, 1.0
				for _, s := range analysis.HotSpots(strew(rand.New(rand.NewPCG(uint64(seed), 6)), near.Len(), n, nil, 1), nil, near) {
					if s.Tested {
						tested++
						least, leastQ = min(least, s.Strict), min(leastQ, s.Q)
					}
				}
				for i, level := range levels {
					if least <= level {
						strict[i]++
					}
					if leastQ <= level {
						plain[i]++
					}
				}
			}
			t.Logf("side %d, k %d, expecting %v: strict %v, q %v", f.side, f.k, expected, strict, plain)
			if tested < seeds*near.Len()/2 {
				t.Errorf("side %d, k %d, expecting %v: only %d cells were tested", f.side, f.k, expected, tested)
			}
			for i, level := range levels {
				if most := atMost(level, seeds); strict[i] > most {
					t.Errorf("side %d, k %d, expecting %v: at %v there are discoveries with %d seeds of %d, more than %d", f.side, f.k, expected, level, strict[i], seeds, most)
				} else if plain[i] > most {
					normal++
				}
			}
		}
	}
	if normal == 0 {
		t.Error("Q alone keeps the promise too: Strict is not needed, or this test sees nothing")
	}
}

// A cell and those round it get three times as much as others. It is found, and of the
// cells called hot at most the promised tenth, over 200 seeds, are not near it.
func TestAPlantedClusterIsFound(t *testing.T) {
	const seeds, side = 200, 30
	near := honeycomb(side, 1)
	middle := int32(15*side + 12)
	planted := near.Of(int(middle))
	touches := func(i int) bool {
		return slices.ContainsFunc(near.Of(i), func(j int32) bool { return slices.Contains(planted, j) })
	}
	found, share := 0, 0.0
	for seed := range seeds {
		spots := analysis.HotSpots(strew(rand.New(rand.NewPCG(uint64(seed), 7)), near.Len(), 2*near.Len(), planted, 3), nil, near)
		hot, wrong := 0.0, 0.0
		for i, s := range spots {
			if s.Class == analysis.Hot90 || s.Class == analysis.Hot95 || s.Class == analysis.Hot99 {
				hot++
				if i == int(middle) {
					found++
				}
				if !touches(i) {
					wrong++
				}
			}
		}
		if hot > 0 {
			share += wrong / hot / seeds
		}
	}
	t.Logf("found with %d seeds of %d; false share %.4f", found, seeds, share)
	if found < seeds*95/100 || share > 0.10 {
		t.Errorf("found with %d seeds of %d; a share of %.3f of the hot cells is false", found, seeds, share)
	}
}

// TestJustFiveExpectedAreEnough for every area and neighbourhood that expects five exactly:
// no rounding takes a test away.
func TestJustFiveExpectedAreEnough(t *testing.T) {
	tried := 0
	for n := 2; n <= 80; n++ {
		for w := 1; w < n; w++ {
			if 5*n%w != 0 {
				continue
			}
			counts, near := make([]float64, n), make(rounds, n)
			for i := range 5 * n / w {
				counts[i%n]++
			}
			for i := range n {
				for k := range w {
					near[i] = append(near[i], int32((i+k)%n))
				}
			}
			tried++
			for i, s := range analysis.HotSpots(counts, nil, near) {
				if !s.Tested {
					t.Fatalf("%d cells, %d incidents, %d cells in a neighbourhood: cell %d is not tested", n, 5*n/w, w, i)
				}
			}
		}
	}
	t.Logf("%d areas", tried)
}
