// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package analysis_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"

	"onemap/analysis"
)

func TestAChangeIsTheSameSeenFromTheOtherPeriod(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		count := rapid.Custom(func(t *rapid.T) float64 { return float64(rapid.IntRange(0, 80).Draw(t, "count")) })
		before := rapid.SliceOfN(count, 1, 20).Draw(t, "before")
		after := rapid.SliceOfN(count, len(before), len(before)).Draw(t, "after")
		times := rapid.SampledFrom([]float64{0.1, 0.5, 1, 2, 7}).Draw(t, "times")
		there, back := analysis.Compare(before, after, times), analysis.Compare(after, before, 1/times)
		for i, c := range there {
			b, n := back[i], before[i]+after[i]
			if c.Tested != (n >= analysis.FewExpected) || c.Tested == (c.Class == analysis.TooFew) {
				t.Fatalf("%v and %v: %+v", before[i], after[i], c)
			}
			if n == 0 {
				if !math.IsNaN(c.Ratio) || c.Low != 0 || !math.IsInf(c.High, 1) {
					t.Fatalf("nothing and nothing: %+v", c)
				}
				continue
			}
			near := func(x, y float64) bool { return x == y || math.Abs(x-y) <= 1e-8*math.Abs(x+y) }
			if !near(c.Ratio, 1/b.Ratio) || !near(c.Low, 1/b.High) || !near(c.High, 1/b.Low) || !near(c.P, b.P) || !near(c.Q, b.Q) {
				t.Fatalf("%v and %v: %+v one way, %+v the other", before[i], after[i], c, b)
			}
			if !(c.Low <= c.Ratio && c.Ratio <= c.High) {
				t.Fatalf("%v and %v: %+v", before[i], after[i], c)
			}
			if c.Tested && math.Abs(c.P-tails(after[i], n, times/(1+times))) > 1e-9 {
				t.Fatalf("%v and %v: p %v", before[i], after[i], c.P)
			}
			other := map[analysis.Class]analysis.Class{analysis.More: analysis.Less, analysis.Less: analysis.More}
			if want, changed := other[c.Class]; changed != (c.Tested && c.Q <= 0.05) || changed && (b.Class != want || (c.Class == analysis.More) != (c.Ratio > 1)) {
				t.Fatalf("%v and %v: %s one way, %s the other", before[i], after[i], c.Class, b.Class)
			}
		}
	})
}

// Promised is, as for hot spots: where no rate has changed, the chance that any place is
// called changed is at most 0.05.
func TestWhereNothingChangesChangesAreAsRareAsPromised(t *testing.T) {
	const seeds, cells = 200, 300
	for _, mean := range []int{4, 30} {
		changes, covered, all := 0, 0, 0
		for seed := range seeds {
			r := rand.New(rand.NewPCG(uint64(seed), 8))
			before, after := strew(r, cells, cells*mean, nil, 1), strew(r, cells, cells*mean*2, nil, 1)
			changed := false
			for _, c := range analysis.Compare(before, after, 2) {
				changed = changed || c.Class == analysis.More || c.Class == analysis.Less
				all++
				if c.Low <= 1 && 1 <= c.High {
					covered++
				}
			}
			if changed {
				changes++
			}
		}
		if most := atMost(0.05, seeds); changes > most {
			t.Errorf("mean %d: changes with %d seeds of %d, more than %d", mean, changes, seeds, most)
		}
		if share := float64(covered) / float64(all); share < 0.95 || share > 0.99 {
			t.Errorf("mean %d: the interval holds the truth in %.3f of all places", mean, share)
		}
	}
	// and what has changed is found: one place five times as busy, one quiet
	before, after := make([]float64, cells), make([]float64, cells)
	for i := range cells {
		before[i], after[i] = 10, 10
	}
	after[7], before[8], after[8] = 50, 30, 0
	got := analysis.Compare(before, after, 1)
	if got[7].Class != analysis.More || got[8].Class != analysis.Less || got[9].Class != analysis.Plain {
		t.Errorf("%+v, %+v, %+v", got[7], got[8], got[9])
	}
}
