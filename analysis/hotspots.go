// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package analysis

import (
	"math"
	"runtime"
	"sync"
)

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
	j := judging{counts: counts, shares: shares, around: around, n: float64(len(counts)), spots: make([]Spot, len(counts)), more: make([]bool, len(counts)), greater: make([]float64, len(counts))}
	for i, x := range counts {
		j.sum += x
		j.whole += j.part(int32(i))
	}
	var squares float64
	for _, x := range counts {
		squares += (x - j.sum/j.n) * (x - j.sum/j.n)
	}
	j.s = math.Sqrt(squares / j.n)
	together(len(counts), j.judge)

	var tested []int
	var ps [2][]float64 // P, and the greater of that and the exact chance
	for i := range j.spots {
		if spot := &j.spots[i]; spot.Tested {
			tested, ps[0], ps[1] = append(tested, i), append(ps[0], spot.P), append(ps[1], j.greater[i])
		}
	}
	var qs [2][]float64
	var wait sync.WaitGroup
	for k := range ps {
		wait.Go(func() { qs[k] = falseDiscoveries(ps[k]) })
	}
	wait.Wait()
	for k, i := range tested {
		spot := &j.spots[i]
		spot.Q, spot.Strict = qs[0][k], qs[1][k]
		spot.Class = Plain
		if j.more[i] == (spot.Z >= 0) {
			spot.Class = classOf(spot.Z, spot.Strict)
		}
	}
	return j.spots
}

// judging is a study area being judged.
type judging struct {
	counts, shares []float64
	around         Around
	n              float64 // cells
	sum, s         float64 // of the counts, their standard deviation
	whole          float64 // of the shares
	spots          []Spot
	more           []bool    // more than is expected, of those tested
	greater        []float64 // of P and the exact chance, likewise
}

func (j *judging) part(i int32) float64 {
	if j.shares == nil {
		return 1
	}
	return j.shares[i]
}

// judge works out the cells from one number to another, without what depends on others'
// probabilities.
func (j *judging) judge(from, to int) {
	known := map[[2]float64]float64{} // most neighbourhoods are like another: whole, and with as many in them
	mean := j.sum / j.n
	for i := from; i < to; i++ {
		near := j.around.Of(i)
		w := float64(len(near))
		j.spots[i].Class = TooFew
		var local, parts float64
		for _, k := range near {
			local += j.counts[k]
			parts += j.part(k)
		}
		if !(j.sum*parts >= FewExpected*j.whole) || w == j.n || parts >= j.whole { // not divided: just 5 are enough
			continue
		}
		share := parts / j.whole
		z := 0.0
		if j.s > 0 {
			z = (local - mean*w) / (j.s * math.Sqrt((j.n*w-w*w)/(j.n-1)))
		}
		p := math.Erfc(math.Abs(z) / math.Sqrt2)
		j.spots[i] = Spot{Z: z, P: p, Tested: true}
		j.more[i], j.greater[i] = local >= j.sum*share, p
		if binomialAtMost(local, j.sum, share) < 0.999*p {
			continue // the exact chance is the smaller one
		}
		chance, is := known[[2]float64{local, share}]
		if !is {
			chance = binomial(local, j.sum, share)
			known[[2]float64{local, share}] = chance
		}
		j.greater[i] = max(p, chance)
	}
}

// worthSharing is how many cells are judged by more than one goroutine.
const worthSharing = 4000

// together has n things done in as many parts as there are processors.
func together(n int, do func(from, to int)) {
	parts := 1
	if n >= worthSharing {
		parts = runtime.GOMAXPROCS(0)
	}
	var wait sync.WaitGroup
	for k := range parts {
		wait.Go(func() { do(n*k/parts, n*(k+1)/parts) })
	}
	wait.Wait()
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
