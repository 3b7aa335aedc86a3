// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"hash/fnv"
	"math/rand/v2"
	"sort"
)

// stream is the random source of one subject, and of its n-th part, under a
// seed. Subjects do not disturb each other: a change in the roads leaves the
// workers as they were.
func stream(seed uint64, subject string, n int) *rand.Rand {
	h := fnv.New64a()
	h.Write([]byte(subject)) // never fails
	a := scramble(seed ^ h.Sum64())
	return rand.New(rand.NewPCG(a, scramble(a+uint64(n))))
}

// scramble spreads every bit of x over the whole word (splitmix64's finish).
func scramble(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// chance is true with probability p.
func chance(r *rand.Rand, p float64) bool { return r.Float64() < p }

// pick returns one of xs, each as likely as the others.
func pick[T any](r *rand.Rand, xs []T) T { return xs[r.IntN(len(xs))] }

// wheel draws an index in proportion to weights: the running sums of them.
type wheel []float64

func newWheel(weights []float64) wheel {
	w := make(wheel, len(weights))
	var sum float64
	for i, x := range weights {
		sum += x
		w[i] = sum
	}
	return w
}

func (w wheel) total() float64 {
	if len(w) == 0 {
		return 0
	}
	return w[len(w)-1]
}

// spin draws an index; w must have a positive sum.
func (w wheel) spin(r *rand.Rand) int {
	x := r.Float64() * w.total()
	return min(sort.Search(len(w), func(i int) bool { return w[i] > x }), len(w)-1)
}

// apportion splits total into whole parts in proportion to weights (largest
// remainders), so that the parts sum up exactly.
func apportion(total int, weights []float64) []int {
	var sum float64
	for _, w := range weights {
		sum += w
	}
	parts := make([]int, len(weights))
	rest := make([]float64, len(weights))
	order := make([]int, len(weights))
	left := total
	for i, w := range weights {
		share := w / sum * float64(total)
		parts[i] = int(share)
		rest[i] = share - float64(parts[i])
		order[i] = i
		left -= parts[i]
	}
	sort.SliceStable(order, func(i, j int) bool { return rest[order[i]] > rest[order[j]] })
	for _, i := range order[:left] {
		parts[i]++
	}
	return parts
}
