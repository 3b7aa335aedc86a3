// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package road

// markMain finds the main net: of the sets of nodes that all reach each other, the
// one with the most metres of road. What is not in it are islands and dead ends of
// one-way roads.
func (b *builder) markMain() {
	set := b.strong()
	b.set = set
	metres := map[int32]float64{}
	best, most := int32(-1), 0.0
	for _, s := range b.stretches {
		if c := set[s.from]; c == set[s.to] {
			metres[c] += s.metres
			if metres[c] > most {
				best, most = c, metres[c]
			}
		}
	}
	b.main = make([]bool, len(b.stretches))
	for i, s := range b.stretches {
		b.main[i] = set[s.from] == best && set[s.to] == best
	}
}

// strong numbers the strongly connected sets of nodes by Tarjan's algorithm, with
// a stack of its own instead of recursion: a road may have a million nodes. The
// arcs lead backwards, which changes nothing about who reaches each other.
func (b *builder) strong() []int32 {
	set := make([]int32, b.nodes) // -1 until a node's set is complete
	low := make([]int32, b.nodes)
	order := make([]int32, b.nodes) // of discovery, from 1; 0 for not yet seen
	next := append([]int32(nil), b.begin[:b.nodes]...)
	var path, open []int32
	seen, sets := int32(0), int32(0)
	for i := range set {
		set[i] = -1
	}
	enter := func(n int32) {
		seen++
		order[n], low[n] = seen, seen
		path, open = append(path, n), append(open, n)
	}
	for root := range int32(b.nodes) {
		if order[root] != 0 {
			continue
		}
		enter(root)
		for len(path) > 0 {
			n := path[len(path)-1]
			if next[n] < b.begin[n+1] {
				m := b.arcs[next[n]].from
				next[n]++
				switch {
				case order[m] == 0:
					enter(m)
				case set[m] < 0:
					low[n] = min(low[n], order[m])
				}
				continue
			}
			path = path[:len(path)-1]
			if len(path) > 0 {
				up := path[len(path)-1]
				low[up] = min(low[up], low[n])
			}
			if low[n] == order[n] { // n was the first of its set
				for m := int32(-1); m != n; {
					m = open[len(open)-1]
					open = open[:len(open)-1]
					set[m] = sets
				}
				sets++
			}
		}
	}
	return set
}
