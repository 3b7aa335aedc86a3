// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package analysis

import (
	"cmp"
	"slices"

	"gonum.org/v1/gonum/mathext"
)

// binomial is the two-sided probability of k or something as far off among n when each
// comes with probability share: twice that of the smaller side, 1 at most.
func binomial(k, n, share float64) float64 {
	fewer, more := 1.0, 1.0 // k or fewer, k or more
	if k < n {
		fewer = mathext.RegIncBeta(n-k, k+1, 1-share)
	}
	if k > 0 {
		more = mathext.RegIncBeta(k, n-k+1, share)
	}
	return min(1, 2*fewer, 2*more)
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
	order := make([]int, len(p))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(p[b], p[a]) })
	q, least, n := make([]float64, len(p)), 1.0, float64(len(p))
	for rank, i := range order {
		least = min(least, p[i]*n/(n-float64(rank)))
		q[i] = least
	}
	return q
}
