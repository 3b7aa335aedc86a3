// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package analysis

import (
	"math"
	"testing"

	"gonum.org/v1/gonum/mathext"
	"pgregory.net/rapid"
)

// bothSides is binomial without leaving out a side.
func bothSides(k, n, share float64) float64 {
	fewer, more := 1.0, 1.0
	if k < n {
		fewer = mathext.RegIncBeta(n-k, k+1, 1-share)
	}
	if k > 0 {
		more = mathext.RegIncBeta(k, n-k+1, share)
	}
	return min(1, 2*fewer, 2*more)
}

// TestTheBoundIsNeverBelowTheExactChance: what is passed over for it would not have counted.
func TestTheBoundIsNeverBelowTheExactChance(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := float64(rapid.IntRange(1, 500_000).Draw(t, "n"))
		share := rapid.Float64Range(1e-6, 0.999).Draw(t, "share")
		near := rapid.Float64Range(-6, 6).Draw(t, "standard deviations")
		k := math.Round(min(n, max(0, n*share+near*math.Sqrt(n*share*(1-share)))))
		if exact, bound := binomial(k, n, share), binomialAtMost(k, n, share); exact > bound*1.0005 {
			t.Fatalf("%v of %v, share %v: %v, more than %v", k, n, share, exact, bound)
		}
		if exact, both := binomial(k, n, share), bothSides(k, n, share); math.Abs(exact-both) > 1e-12 {
			t.Fatalf("%v of %v, share %v: %v, by both sides %v", k, n, share, exact, both)
		}
	})
}
