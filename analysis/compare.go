// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package analysis

// Classes of a Change; Plain and TooFew are others.
const (
	More Class = "more" // q at most 0.05
	Less Class = "less" // likewise
)

// Change is how the rate of one place, incidents by time, went from one period to
// another. Ratio is the later rate by the earlier one, with its 95 % interval from Low to
// High: infinite where the earlier period has none, not a number where neither has any.
// P is the two-sided probability that chance alone moves so many, Q that after the false
// discovery rate of all tested places is held. Without Tested there is neither.
type Change struct {
	Ratio, Low, High float64
	P, Q             float64
	Tested           bool
	Class            Class
}

// Compare compares each place's whole count of one period with that of another, which is
// times as long: both above 0 in length. Of all incidents of a place, how many fall into
// the later period is binomial when the rate stays (Przyborowski and Wilenski, Biometrika
// 31, 1940): P is exact, and the interval that of Clopper and Pearson (Biometrika 26,
// 1934). P is below 0.05 just when 1 lies outside the interval. A place with fewer than
// FewExpected in both periods together is not tested: in periods of one length even all
// of them on one side would show nothing.
func Compare(before, after []float64, times float64) []Change {
	share := times / (1 + times)
	out := make([]Change, len(before))
	var tested []int
	var p []float64
	for i := range before {
		n := before[i] + after[i]
		low, high := clopperPearson(after[i], n)
		out[i] = Change{
			Ratio: after[i] / before[i] / times, Low: low / (1 - low) / times, High: high / (1 - high) / times,
			Class: TooFew,
		}
		if n < FewExpected {
			continue
		}
		out[i].P, out[i].Tested = binomial(after[i], n, share), true
		tested, p = append(tested, i), append(p, out[i].P)
	}
	for k, q := range falseDiscoveries(p) {
		c := &out[tested[k]]
		c.Q, c.Class = q, Plain
		switch {
		case q <= 0.05 && c.Ratio > 1:
			c.Class = More
		case q <= 0.05:
			c.Class = Less
		}
	}
	return out
}
