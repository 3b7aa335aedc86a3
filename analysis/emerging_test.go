// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package analysis_test

import (
	"math"
	"strings"
	"testing"

	"onemap/analysis"
)

// course makes the periods of one cell: h hot, - tested and not hot, . not tested, c
// cold; Gi* goes by the slope.
func course(marks string, slope float64) [][]analysis.Spot {
	var out [][]analysis.Spot
	for i, m := range marks {
		s := analysis.Spot{Z: slope*float64(i) + 0.01*float64(i%2), Tested: true, Class: analysis.Plain}
		switch m {
		case 'h':
			s.Class = []analysis.Class{analysis.Hot90, analysis.Hot95, analysis.Hot99}[i%3]
		case 'c':
			s.Class = analysis.Cold99
		case '.':
			s = analysis.Spot{Class: analysis.TooFew}
		}
		out = append(out, []analysis.Spot{s})
	}
	return out
}

func TestPatterns(t *testing.T) {
	for _, c := range []struct {
		marks string
		slope float64
		want  analysis.Pattern
	}{
		{"----------", 0, analysis.NeverHot},
		{"cccccccccc", -1, analysis.NeverHot},
		{"---------h", 1, analysis.HotNew},
		{"---------h", -1, analysis.HotNew}, // hot by name alone: no trend is asked
		{"h---------", 0, analysis.HotSporadic},
		{"--------h-", 0, analysis.HotSporadic},
		{"--------hh", 1, analysis.HotSporadic},
		{"h--------h", 0, analysis.HotSporadic},
		{"hhhhhhhh--", -1, analysis.HotSporadic}, // eight of ten
		{"hhhhhhhhh-", -1, analysis.HotDiminishing},
		{"hhhhhhhhhh", -1, analysis.HotDiminishing},
		{"hhhhhhhhhh", 0, analysis.HotPersistent},
		{"-hhhhhhhhh", 0, analysis.HotPersistent},
		{"hhhhchhhhh", 0, analysis.HotPersistent},
		{"hhhhhhhhhh", 1, analysis.HotIntensifying},
		{"-hhhhhhhhh", 1, analysis.HotIntensifying},
		{"hhhhhhhh", 1, analysis.HotIntensifying},
		{"hhhhhhh", 1, analysis.TooShort}, // seven
		{"...hhhhhhh", 1, analysis.TooShort},
		{"..hhhhhhhh", 1, analysis.HotIntensifying},
		{"hhhhhhhh..", 1, analysis.HotIntensifying},
		{"--------h.", 0, analysis.HotSporadic}, // the last period did not test it
		{"..........", 0, analysis.TooShort},
	} {
		got := analysis.Emerging(course(c.marks, c.slope))[0]
		if got.Pattern != c.want || got.Hot != strings.Count(c.marks, "h") || got.Tested != len(c.marks)-strings.Count(c.marks, ".") {
			t.Errorf("%s, slope %v: %+v, not %s", c.marks, c.slope, got, c.want)
		}
	}
	if got := analysis.Emerging(nil); len(got) != 0 {
		t.Errorf("no period: %v", got)
	}
	flat := course("hhhhhhhhhh", 0)
	for _, s := range flat {
		s[0].Z = 3
	}
	if got := analysis.Emerging(flat)[0]; got.Tau != 0 || got.Z != 0 || got.P != 1 || got.Pattern != analysis.HotPersistent {
		t.Errorf("ever the same: %+v", got)
	}
}

// From FewPeriods on, P is near that of the exact distribution of the score, and no trend
// is told that the exact one denies. It is counted: of all orders of n values, how many
// have so many pairs the wrong way round.
func TestTrendsAreNoBolderThanTheExactOnes(t *testing.T) {
	for n := analysis.FewPeriods; n <= 40; n++ {
		orders := []float64{1} // share of the orders by inversions
		for k := 2; k <= n; k++ {
			next := make([]float64, len(orders)+k-1)
			for i, share := range orders {
				for j := range k {
					next[i+j] += share / float64(k)
				}
			}
			orders = next
		}
		below := 0.0 // as few inversions, or fewer
		for inversions, share := range orders {
			below += share
			score := n*(n-1)/2 - 2*inversions
			if score <= 0 {
				break
			}
			var periods [][]analysis.Spot
			for _, v := range withInversions(n, inversions) {
				periods = append(periods, []analysis.Spot{{Z: v, Tested: true}})
			}
			got := analysis.Emerging(periods)[0]
			if math.Abs(got.Tau-float64(score)/float64(n*(n-1)/2)) > 1e-12 {
				t.Fatalf("%d values with score %d: tau %v", n, score, got.Tau)
			}
			if exact := 2 * below; got.P <= 0.05 && exact > 0.05 || exact < 0.1 && math.Abs(got.P-exact) > 0.005 {
				t.Errorf("%d values with score %d: p %.4f, exactly %.4f", n, score, got.P, exact)
			}
		}
	}
}

// withInversions are the values 1 to n in an order in which so many pairs fall.
func withInversions(n, inversions int) []float64 {
	var out []float64
	for v := 1; v <= n; v++ { // each new greatest goes before as many as are left to give
		back := min(inversions, v-1)
		inversions -= back
		at := len(out) - back
		out = append(out, 0)
		copy(out[at+1:], out[at:])
		out[at] = float64(v)
	}
	return out
}
