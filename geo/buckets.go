// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package geo

import (
	"iter"
	"math"

	"github.com/paulmach/orb"
)

// buckets lays edges into the squares of a grid they may pass through.
type buckets struct {
	bound  orb.Bound
	side   int
	sx, sy float64
	start  []int32 // of each square in member
	member []int32
}

func newBuckets(edges []edge) *buckets {
	b := &buckets{bound: orb.Bound{Min: edges[0].a, Max: edges[0].a}}
	for _, e := range edges {
		b.bound = b.bound.Extend(e.a)
	}
	b.side = min(max(int(math.Sqrt(float64(len(edges)))), 1), 1024)
	b.sx = float64(b.side) / max(b.bound.Max[0]-b.bound.Min[0], 1e-300)
	b.sy = float64(b.side) / max(b.bound.Max[1]-b.bound.Min[1], 1e-300)
	b.start = make([]int32, b.side*b.side+1)
	for i := range edges {
		for c := range b.through(&edges[i]) {
			b.start[c+1]++
		}
	}
	for c := range b.side * b.side {
		b.start[c+1] += b.start[c]
	}
	b.member = make([]int32, b.start[b.side*b.side])
	fill := append([]int32(nil), b.start...)
	for i := range edges {
		for c := range b.through(&edges[i]) {
			b.member[fill[c]] = int32(i)
			fill[c]++
		}
	}
	return b
}

// slot returns the row or column of v, whose range begins at lo.
func (b *buckets) slot(v, lo, scale float64) int {
	return min(max(int((v-lo)*scale), 0), b.side-1)
}

// through yields the squares an edge may pass, row by row. A row is taken a
// hair too wide: rounding may add a square, never miss one.
func (b *buckets) through(e *edge) iter.Seq[int] {
	return func(yield func(int) bool) {
		lo, hi := e.a, e.b
		if lo[1] > hi[1] {
			lo, hi = hi, lo
		}
		r0, r1 := b.slot(lo[1], b.bound.Min[1], b.sy), b.slot(hi[1], b.bound.Min[1], b.sy)
		for r := r0; r <= r1; r++ {
			x0, x1 := lo[0], hi[0]
			if r1 > r0 {
				slope := (hi[0] - lo[0]) / (hi[1] - lo[1])
				bottom := b.bound.Min[1] + float64(r)/b.sy
				x0 = lo[0] + slope*(max(bottom, lo[1])-lo[1])
				x1 = lo[0] + slope*(min(bottom+1/b.sy, hi[1])-lo[1])
			}
			const hair = 1e-6 // of a square
			left := b.slot(min(x0, x1)-hair/b.sx, b.bound.Min[0], b.sx)
			right := b.slot(max(x0, x1)+hair/b.sx, b.bound.Min[0], b.sx)
			for c := left; c <= right; c++ {
				if !yield(r*b.side + c) {
					return
				}
			}
		}
	}
}

// cells yields the number of every square.
func (b *buckets) cells() iter.Seq[int] {
	return func(yield func(int) bool) {
		for c := range b.side * b.side {
			if !yield(c) {
				return
			}
		}
	}
}

// cell returns the edges of one square.
func (b *buckets) cell(c int) []int32 {
	return b.member[b.start[c]:b.start[c+1]]
}
