// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package grid

import (
	"cmp"
	"container/heap"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/paulmach/orb"
)

// land is the inside of an outline as triangles, each with its weight, and the
// ways between neighbours.
type land struct {
	tris   []int32     // the triangle of the net
	middle []orb.Point // longitude scaled, so that distances are round
	weight []float64   // area times density
	ways   [][]way
	owner  []int32 // while a region is cut: the part each triangle is in
}

// What owner says of triangles that no part has.
const (
	elsewhere = -2 // not in the region being cut
	nobody    = -1
)

// way leads to a neighbouring triangle; its length is in square roots of
// weight, and a little random, so that borders wander.
type way struct {
	to     int32
	length float64
}

func newLand(n *net, s *sketch) *land {
	l := &land{}
	number := make([]int32, len(n.tri))
	for t, in := range n.inside() {
		number[t] = -1
		if !in {
			continue
		}
		number[t] = int32(len(l.tris))
		l.tris = append(l.tris, int32(t))
		a, b, c := n.pts[n.tri[t][0]], n.pts[n.tri[t][1]], n.pts[n.tri[t][2]]
		middle := orb.Point{(a[0] + b[0] + c[0]) / 3, (a[1] + b[1] + c[1]) / 3}
		area := math.Abs((b[0]-a[0])*(c[1]-a[1])-(c[0]-a[0])*(b[1]-a[1])) / 2 * s.kx
		l.weight = append(l.weight, area*s.density(middle))
		l.middle = append(l.middle, orb.Point{middle[0] * s.kx, middle[1]})
	}
	l.owner = slices.Repeat([]int32{elsewhere}, len(l.tris))
	l.ways = make([][]way, len(l.tris))
	for i, t := range l.tris {
		for _, u := range n.nbr[t] {
			if u >= 0 && number[u] > int32(i) {
				l.connect(int32(i), number[u], s)
			}
		}
	}
	l.bridge(s)
	return l
}

func (l *land) connect(i, j int32, s *sketch) {
	a, b := l.middle[i], l.middle[j]
	mid := orb.Point{(a[0] + b[0]) / 2 / s.kx, (a[1] + b[1]) / 2}
	d := math.Hypot(a[0]-b[0], a[1]-b[1]) * math.Sqrt(s.density(mid)) * (0.6 + 0.8*s.rng.Float64())
	l.ways[i] = append(l.ways[i], way{j, d})
	l.ways[j] = append(l.ways[j], way{i, d})
}

// bridge links separate parts of the outline, each to the nearest triangle of
// those linked already, so that an island belongs to the shore it lies off.
func (l *land) bridge(s *sketch) {
	parts := l.parts()
	if len(parts) < 2 {
		return
	}
	slices.SortStableFunc(parts, func(a, b []int32) int { return cmp.Compare(len(b), len(a)) })
	linked := slices.Clone(parts[0])
	for _, part := range parts[1:] {
		best, from, to := math.Inf(1), int32(0), int32(0)
		step := max(len(part)*len(linked)/4_000_000, 1) // bounds the search
		for i := 0; i < len(part); i += step {
			for _, j := range linked {
				a, b := l.middle[part[i]], l.middle[j]
				if d := math.Hypot(a[0]-b[0], a[1]-b[1]); d < best {
					best, from, to = d, part[i], j
				}
			}
		}
		l.connect(from, to, s)
		linked = append(linked, part...)
	}
}

// parts lists the triangles of each connected part.
func (l *land) parts() [][]int32 {
	var out [][]int32
	seen := make([]bool, len(l.tris))
	for i := range l.tris {
		if seen[i] {
			continue
		}
		part := []int32{int32(i)}
		seen[i] = true
		for k := 0; k < len(part); k++ {
			for _, w := range l.ways[part[k]] {
				if !seen[w.to] {
					seen[w.to] = true
					part = append(part, w.to)
				}
			}
		}
		out = append(out, part)
	}
	return out
}

func (l *land) total(region []int32) float64 {
	var sum float64
	for _, i := range region {
		sum += l.weight[i]
	}
	return sum
}

// cut divides a connected region into k connected ones of similar weight. It
// returns fewer when the region has fewer triangles.
func (l *land) cut(region []int32, k int, rng *rand.Rand) [][]int32 {
	k = min(k, len(region))
	if k <= 1 {
		return [][]int32{region}
	}
	seeds := l.firstSeeds(region, k, rng)
	for range 15 {
		l.grow(region, seeds)
		next := l.middles(region, seeds)
		if slices.Equal(next, seeds) {
			break
		}
		seeds = next
	}
	l.grow(region, seeds)
	out := make([][]int32, k)
	for _, i := range region {
		out[l.owner[i]] = append(out[l.owner[i]], i)
		l.owner[i] = elsewhere
	}
	return out
}

// firstSeeds draws k different triangles, likelier the heavier they are.
func (l *land) firstSeeds(region []int32, k int, rng *rand.Rand) []int32 {
	type ticket struct {
		tri int32
		key float64
	}
	tickets := make([]ticket, len(region))
	for n, i := range region {
		tickets[n] = ticket{i, rng.ExpFloat64() / max(l.weight[i], 1e-300)}
	}
	slices.SortFunc(tickets, func(a, b ticket) int { return cmp.Or(cmp.Compare(a.key, b.key), cmp.Compare(a.tri, b.tri)) })
	seeds := make([]int32, k)
	for n := range seeds {
		seeds[n] = tickets[n].tri
	}
	return seeds
}

// grow gives every triangle of the region to the seed with the shortest way.
func (l *land) grow(region, seeds []int32) {
	for _, i := range region {
		l.owner[i] = nobody
	}
	q := make(front, 0, len(region))
	for n, i := range seeds {
		q = append(q, step{0, i, int32(n)})
	}
	heap.Init(&q)
	for len(q) > 0 {
		s := heap.Pop(&q).(step)
		if l.owner[s.tri] != nobody {
			continue
		}
		l.owner[s.tri] = s.seed
		for _, w := range l.ways[s.tri] {
			if l.owner[w.to] == nobody {
				heap.Push(&q, step{s.far + w.length, w.to, s.seed})
			}
		}
	}
}

// middles moves each seed to the triangle nearest the middle of its region.
func (l *land) middles(region, seeds []int32) []int32 {
	sum := make([]orb.Point, len(seeds))
	mass := make([]float64, len(seeds))
	for _, i := range region {
		o, w := l.owner[i], l.weight[i]
		sum[o][0] += w * l.middle[i][0]
		sum[o][1] += w * l.middle[i][1]
		mass[o] += w
	}
	next := slices.Clone(seeds)
	best := make([]float64, len(seeds))
	for o := range best {
		best[o] = math.Inf(1)
	}
	for _, i := range region {
		o := l.owner[i]
		if d := math.Hypot(l.middle[i][0]-sum[o][0]/mass[o], l.middle[i][1]-sum[o][1]/mass[o]); d < best[o] {
			best[o], next[o] = d, i
		}
	}
	return next
}

// step is a triangle on the front of growing regions.
type step struct {
	far  float64
	tri  int32
	seed int32
}

type front []step

func (f front) Len() int { return len(f) }
func (f front) Less(i, j int) bool {
	a, b := &f[i], &f[j]
	if a.far != b.far {
		return a.far < b.far
	}
	return a.tri < b.tri || a.tri == b.tri && a.seed < b.seed // one order on every run
}
func (f front) Swap(i, j int) { f[i], f[j] = f[j], f[i] }
func (f *front) Push(x any)   { *f = append(*f, x.(step)) }
func (f *front) Pop() any {
	last := len(*f) - 1
	s := (*f)[last]
	*f = (*f)[:last]
	return s
}

// share divides total among regions in proportion to their weights, at least
// one each and at most as many as each has room for.
func share(total int, weights []float64, room []int) []int {
	out := make([]int, len(weights))
	var sum float64
	for i, w := range weights {
		out[i] = 1
		sum += w
		total--
	}
	for ; total > 0; total-- {
		best := -1
		for i, w := range weights {
			if out[i] < room[i] && (best < 0 || w/float64(out[i]) > weights[best]/float64(out[best])) {
				best = i
			}
		}
		if best < 0 {
			break
		}
		out[best]++
	}
	return out
}
