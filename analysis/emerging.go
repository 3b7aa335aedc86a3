// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package analysis

import (
	"cmp"
	"math"
)

// Pattern is how a hot spot came about over periods.
type Pattern string

const (
	NeverHot        Pattern = "none"         // in no period
	HotNew          Pattern = "new"          // in the last period, and never before
	HotIntensifying Pattern = "intensifying" // in nine periods of ten or more, and Gi* rises
	HotPersistent   Pattern = "persistent"   // likewise, and Gi* neither rises nor falls
	HotDiminishing  Pattern = "diminishing"  // likewise, and Gi* falls
	HotSporadic     Pattern = "sporadic"     // in others than these
	TooShort        Pattern = "too_short"    // tested in fewer than FewPeriods
)

// FewPeriods is how many periods a place has to be tested in to have a pattern. From
// eight on, a P below 0.1 is within 0.005 of the exact one of Mann and Kendall, and none
// tells a trend at 0.05 that the exact one denies.
const FewPeriods = 8

// Course is what the periods say of one cell. Tau is Kendall's tau-b of Gi* with time, Z
// and P the test of Mann and Kendall; they are of the cell alone, no false discovery rate
// is held over them. Tested and Hot count periods.
type Course struct {
	Tau, Z, P   float64
	Tested, Hot int
	Pattern     Pattern
}

// Emerging looks at the hot spots of periods, oldest first, each over the same cells. A
// cell is hot in a period when its class is one of the hot ones. Periods in which it was
// not tested are passed over; in the last one it then is not hot. Gi* rises or falls when
// its trend has a P of at most 0.05. (Mann, Nonparametric Tests Against Trend,
// Econometrica 13, 1945; Kendall, Rank Correlation Methods, 1948.)
func Emerging(periods [][]Spot) []Course {
	if len(periods) == 0 {
		return nil
	}
	out := make([]Course, len(periods[0]))
	values := make([]float64, 0, len(periods))
	for i := range out {
		c := &out[i]
		values = values[:0]
		last := false // hot in the last period
		for _, spots := range periods {
			s := spots[i]
			last = s.Class.hot()
			if s.Tested {
				values = append(values, s.Z)
			}
			if last {
				c.Hot++
			}
		}
		c.Tested = len(values)
		c.Tau, c.Z, c.P = mannKendall(values)
		c.Pattern = c.pattern(last)
	}
	return out
}

func (c Class) hot() bool { return c == Hot90 || c == Hot95 || c == Hot99 }

func (c Course) pattern(last bool) Pattern {
	switch {
	case c.Tested < FewPeriods:
		return TooShort
	case c.Hot == 0:
		return NeverHot
	case c.Hot == 1 && last:
		return HotNew
	case 10*c.Hot < 9*c.Tested:
		return HotSporadic
	case c.P <= 0.05 && c.Z > 0:
		return HotIntensifying
	case c.P <= 0.05:
		return HotDiminishing
	}
	return HotPersistent
}

// mannKendall tests whether values rise or fall with time: tau-b, and the normal z of
// the score, mended for ties and for its steps, with its two-sided probability. All
// equal values have none: 0, 0, 1.
func mannKendall(values []float64) (tau, z, p float64) {
	n := float64(len(values))
	score, tied := 0.0, 0.0 // pairs that rise less those that fall; pairs that do neither
	ties := map[float64]float64{}
	for j, v := range values {
		for _, u := range values[:j] {
			score += float64(cmp.Compare(v, u))
		}
		tied += ties[v]
		ties[v]++
	}
	pairs := n * (n - 1) / 2
	spread := n * (n - 1) * (2*n + 5)
	for _, t := range ties {
		spread -= t * (t - 1) * (2*t + 5)
	}
	if spread == 0 {
		return 0, 0, 1
	}
	tau = score / math.Sqrt(pairs*(pairs-tied))
	if score != 0 {
		z = math.Copysign(math.Abs(score)-1, score) / math.Sqrt(spread/18)
	}
	return tau, z, math.Erfc(math.Abs(z) / math.Sqrt2)
}
