// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package analysis

import (
	"cmp"
	"math"
	"slices"

	"gonum.org/v1/gonum/mathext"
)

// binomial is the two-sided probability of k or something as far off among n when each
// comes with probability share: twice that of the smaller side, 1 at most. The median is
// less than one from the mean, so that of the side beyond it half or more need not be known.
func binomial(k, n, share float64) float64 {
	fewer, more := 1.0, 1.0 // k or fewer, k or more
	if k < n && k < n*share+1 {
		fewer = mathext.RegIncBeta(n-k, k+1, 1-share)
	}
	if k > 0 && k > n*share-1 {
		more = mathext.RegIncBeta(k, n-k+1, share)
	}
	return min(1, 2*fewer, 2*more)
}

// binomialAtMost is no less than binomial, and sooner worked out: Chernoff's bound of the
// side on which k lies. (Chernoff, A Measure of Asymptotic Efficiency for Tests of a
// Hypothesis Based on the Sum of Observations, Annals of Mathematical Statistics 23, 1952.)
func binomialAtMost(k, n, share float64) float64 {
	far := 0.0 // n times the divergence of k/n from share
	if k > 0 {
		far += k * math.Log(k/(n*share))
	}
	if k < n {
		far += (n - k) * math.Log((n-k)/(n*(1-share)))
	}
	return 2 * math.Exp(-far)
}

// clopperPearson is the exact 95 % interval of a share that gave k of n.
func clopperPearson(k, n float64) (low, high float64) {
	high = 1
	if k > 0 {
		low = mathext.InvRegIncBeta(k, n-k+1, 0.025)
	}
	if k < n {
		high = mathext.InvRegIncBeta(k+1, n-k, 0.975)
	}
	return low, high
}

// garwood is the exact 95 % interval of the mean of a Poisson count.
func garwood(k float64) (low, high float64) {
	if k > 0 {
		low = mathext.GammaIncRegInv(k, 0.025)
	}
	return low, mathext.GammaIncRegInv(k+1, 0.975)
}

// falseDiscoveries turns probabilities by chance into the least false discovery rates at
// which each is one of the discoveries. (Benjamini and Hochberg, Controlling the False
// Discovery Rate, Journal of the Royal Statistical Society B 57, 1995.)
func falseDiscoveries(p []float64) []float64 {
	type numbered struct {
		bits uint64 // in the order of p, which is not negative
		i    int
	}
	order := make([]numbered, len(p))
	for i := range order {
		order[i] = numbered{math.Float64bits(p[i]), i}
	}
	slices.SortFunc(order, func(a, b numbered) int { return cmp.Compare(b.bits, a.bits) })
	q, least, n := make([]float64, len(p)), 1.0, float64(len(p))
	for rank, o := range order {
		least = min(least, p[o.i]*n/(n-float64(rank)))
		q[o.i] = least
	}
	return q
}
