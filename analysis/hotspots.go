// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package analysis

import "math"

// Class is how sure it is that a neighbourhood has more, or fewer, than chance brings.
type Class string

const (
	Hot99  Class = "hot99" // strict q at most 0.01
	Hot95  Class = "hot95" // at most 0.05
	Hot90  Class = "hot90" // at most 0.10
	Cold90 Class = "cold90"
	Cold95 Class = "cold95"
	Cold99 Class = "cold99"
	Plain  Class = "plain"   // nothing that chance does not bring
	TooFew Class = "too_few" // fewer than FewExpected are expected: not tested
)

// FewExpected is how many incidents a neighbourhood has to expect to be tested: the
// normal distribution is no likeness of smaller counts. (Cochran, Some methods for
// strengthening the common chi-squared tests, Biometrics 10, 1954.)
const FewExpected = 5

// Spot is what the statistic says of one cell and those round it. Z is Gi*; P is its
// two-sided probability by chance, Q that of P after the false discovery rate of all
// tested cells is held. Strict, at least Q, is what Class goes by. Without Tested there
// are none of the four.
type Spot struct {
	Z, P, Q, Strict float64
	Tested          bool
	Class           Class
}

// Around says who neighbours whom among n cells: Of(i) are the numbers of cell i and
// of those round it.
type Around interface {
	Len() int
	Of(i int) []int32
}

// HotSpots is the statistic Gi* of Getis and Ord over a study area, in which each cell
// counts with weight one for itself and for those round it:
//
//	Gi* = (sum of x over the neighbourhood - mean * w) / (s * sqrt((n*w - w*w) / (n - 1)))
//
// with n cells, w of them in the neighbourhood, and the mean and the standard deviation
// s (by n) of x over all, cells without incidents included. (Ord and Getis, Local
// Spatial Autocorrelation Statistics, Geographical Analysis 27, 1995, formula for Gi*.)
// The false discovery rate is held by the procedure of Benjamini and Hochberg. A
// neighbourhood that expects fewer than FewExpected, or that is the whole area, is not
// tested.
//
// P takes Gi* for normal, and small counts are not: where a neighbourhood expects eight,
// chance alone brings Gi* of 4 many times more often than P says. So Strict is the Q of
// the greater of P and the exact chance that as many of all incidents, each as likely in
// any cell, fall into the neighbourhood (binomial, two-sided). Counts are whole numbers.
//
// A cell may lie in the study area by a part alone: shares are the parts, 0 to 1, nil
// where each is whole. What a neighbourhood expects, and its exact chance, go by the
// shares, Gi* does not: so a class needs both to point the same way.
func HotSpots(counts, shares []float64, around Around) []Spot {
	n := float64(len(counts))
	spots := make([]Spot, len(counts))
	var sum, squares float64
	for _, x := range counts {
		sum += x
	}
	part := func(i int32) float64 {
		if shares == nil {
			return 1
		}
		return shares[i]
	}
	whole := 0.0
	for i := range counts {
		whole += part(int32(i))
	}
	mean := sum / n
	for _, x := range counts {
		squares += (x - mean) * (x - mean)
	}
	s := math.Sqrt(squares / n)
	var tested []int
	var more []bool
	var normal, greater []float64
	for i := range counts {
		near := around.Of(i)
		w := float64(len(near))
		spots[i].Class = TooFew
		var local, parts float64
		for _, j := range near {
			local += counts[j]
			parts += part(j)
		}
		if !(sum*parts >= FewExpected*whole) || w == n || parts >= whole { // not divided: just 5 are enough
			continue
		}
		share := parts / whole
		z := 0.0
		if s > 0 {
			z = (local - mean*w) / (s * math.Sqrt((n*w-w*w)/(n-1)))
		}
		p := math.Erfc(math.Abs(z) / math.Sqrt2)
		spots[i] = Spot{Z: z, P: p, Tested: true}
		more = append(more, local >= sum*share)
		tested, normal, greater = append(tested, i), append(normal, p), append(greater, max(p, binomial(local, sum, share)))
	}
	q, strict := falseDiscoveries(normal), falseDiscoveries(greater)
	for k, i := range tested {
		spots[i].Q, spots[i].Strict = q[k], strict[k]
		spots[i].Class = Plain
		if more[k] == (spots[i].Z >= 0) {
			spots[i].Class = classOf(spots[i].Z, strict[k])
		}
	}
	return spots
}

func classOf(z, q float64) Class {
	hot, cold := Plain, Plain
	switch {
	case q <= 0.01:
		hot, cold = Hot99, Cold99
	case q <= 0.05:
		hot, cold = Hot95, Cold95
	case q <= 0.10:
		hot, cold = Hot90, Cold90
	}
	if z < 0 {
		return cold
	}
	return hot
}
