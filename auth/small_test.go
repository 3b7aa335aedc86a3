// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package auth_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"onemap/auth"
)

func merge(t testing.TB, counts []auth.Count) []auth.Told {
	t.Helper()
	told, err := auth.MergeSmall(counts)
	if err != nil {
		t.Fatal(err)
	}
	return told
}

// inWords is an answer as one line: the number of each node, with its rest if
// it is a parent and has one; ~ for merged, <5 for under 5.
func inWords(counts []auth.Count, told []auth.Told) string {
	var words []string
	for i, n := range told {
		parent := slices.ContainsFunc(counts, func(c auth.Count) bool { return c.Parent == i })
		switch {
		case n.Telling == auth.UnderK:
			words = append(words, "<5")
		case n.Telling == auth.Merged:
			words = append(words, "~")
		case parent && n.Rest > 0:
			words = append(words, fmt.Sprintf("%d(%d)", n.N, n.Rest))
		default:
			words = append(words, fmt.Sprint(n.N))
		}
	}
	return strings.Join(words, " ")
}

func TestSmallCountsAreMergedUpward(t *testing.T) {
	family := []int{-1, 0, 0, 0} // a parent with three children
	for _, c := range []struct {
		parents, n []int
		want       string
	}{
		{family, []int{0, 5, 6, 7}, "18 5 6 7"},
		{family, []int{0, 0, 6, 0}, "6 0 6 0"},      // nobody is in a nought
		{family, []int{0, 2, 3, 7}, "12(5) ~ ~ 7"},  // together they are enough
		{family, []int{0, 2, 6, 7}, "15(8) ~ ~ 7"},  // one alone is not
		{family, []int{0, 9, 7, 2}, "18(11) ~ 7 ~"}, // the first joins it, whatever its size
		{family, []int{0, 4, 4, 7}, "15(15) ~ ~ ~"}, // two of four would be known from their sum
		{family, []int{0, 0, 2, 7}, "9(9) ~ ~ ~"},
		{family, []int{0, 1, 1, 2}, "<5 <5 <5 <5"},
		{family, []int{0, 1, 2, 2}, "5(5) ~ ~ ~"},
		{family, []int{0, 0, 0, 0}, "0 0 0 0"},
		{family, []int{6, 5, 5, 5}, "21(6) 5 5 5"}, // what is the parent's own is its rest
		{family, []int{6, 1, 5, 5}, "17(7) ~ 5 5"}, // and covers a small child
		{family, []int{2, 6, 7, 8}, "23(8) ~ 7 8"}, // or has to be covered
		{family, []int{2, 3, 7, 8}, "20(5) ~ 7 8"},
		{[]int{-1, 0, 1, 1, 0}, []int{0, 0, 8, 3, 4}, "15(15) ~ ~ ~ ~"}, // below a merged one nothing
		{[]int{-1, 0, 1, 1, 0}, []int{0, 0, 8, 3, 9}, "20 11(11) ~ ~ 9"},
		{[]int{-1, 0, -1, 2}, []int{0, 3, 0, 9}, "<5 <5 9 9"},
		{nil, nil, ""},
	} {
		counts := make([]auth.Count, len(c.n))
		for i := range c.n {
			counts[i] = auth.Count{Key: fmt.Sprint("grid ", i), Parent: c.parents[i], N: c.n[i]}
		}
		told := merge(t, counts)
		if got := inWords(counts, told); got != c.want {
			t.Errorf("parents %v, counts %v: %s, want %s", c.parents, c.n, got, c.want)
		}
		for i, n := range told {
			if n.Key != counts[i].Key {
				t.Errorf("the answer %d is of %q, not of %q", i, n.Key, counts[i].Key)
			}
		}
	}
}

func TestMergeSmallRefusesWhatIsNoTree(t *testing.T) {
	for _, counts := range [][]auth.Count{
		{{Parent: 0}}, {{Parent: -1}, {Parent: 2}, {Parent: 0}}, {{Parent: -2}}, {{Parent: -1, N: -1}},
	} {
		if told, err := auth.MergeSmall(counts); err == nil || told != nil {
			t.Errorf("%v: %v, %v", counts, told, err)
		}
	}
}

// Of any tree: numbers told are right, none is 1 to 4, and what is left after
// subtracting is nothing or at least K.
func TestWhatIsToldIsTrueAndNeverSmall(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		counts := make([]auth.Count, rapid.IntRange(1, 60).Draw(t, "nodes"))
		own := rapid.Bool().Draw(t, "inner nodes count too")
		inner := map[int]bool{}
		for i := range counts {
			counts[i].Parent = rapid.IntRange(-1, i-1).Draw(t, "parent")
			inner[counts[i].Parent] = true
		}
		total := make([]int, len(counts))
		for i := len(counts) - 1; i >= 0; i-- {
			if own || !inner[i] {
				counts[i].N = rapid.OneOf(rapid.IntRange(0, 6), rapid.IntRange(0, 100)).Draw(t, "n")
			}
			if total[i] += counts[i].N; counts[i].Parent >= 0 {
				total[counts[i].Parent] += total[i]
			}
		}
		told, err := auth.MergeSmall(counts)
		if err != nil {
			t.Fatal(err)
		}
		rest := slices.Clone(total)
		for i, n := range told {
			p := counts[i].Parent
			switch {
			case n.Telling == auth.Exact:
				if n.N != total[i] || n.N > 0 && n.N < auth.K || p >= 0 && told[p].Telling != auth.Exact {
					t.Fatalf("node %d: %+v of %d", i, n, total[i])
				}
				if p >= 0 {
					rest[p] -= n.N
				}
			case n.N != 0 || n.Rest != 0:
				t.Fatalf("node %d: %+v", i, n)
			case n.Telling == auth.UnderK && (p >= 0 && told[p].Telling != auth.UnderK || total[i] >= auth.K):
				t.Fatalf("node %d: %+v of %d below %+v", i, n, total[i], told[max(p, 0)])
			}
		}
		for i, n := range told {
			if n.Telling == auth.Exact && (n.Rest != rest[i] || n.Rest > 0 && n.Rest < auth.K) {
				t.Fatalf("node %d: rest %d, by subtraction %d", i, n.Rest, rest[i])
			}
		}
	})
}

// world is a tree whose shape everybody knows, with the nodes that may have a
// count of their own; all others have none, and everybody knows that too.
type world struct {
	parents []int
	counted []int
}

// worlds lists every tree of up to nodes nodes whose counts are at the leaves
// alone, and every one in which all nodes count, with at most free counts.
func worlds(nodes, free int) (all []world) {
	var grow func(parents []int)
	grow = func(parents []int) {
		var leaves, every []int
		for i := range parents {
			every = append(every, i)
			if !slices.Contains(parents, i) {
				leaves = append(leaves, i)
			}
		}
		if len(leaves) <= free {
			all = append(all, world{slices.Clone(parents), leaves})
		}
		if len(every) <= free {
			all = append(all, world{slices.Clone(parents), every})
		}
		if len(parents) < nodes {
			for p := range parents {
				grow(append(slices.Clone(parents), p))
			}
		}
	}
	grow([]int{-1})
	return all
}

// tables calls do with every table of the world, counts from 0 to most, and its
// totals by node.
func (w world) tables(most int, do func(counts []auth.Count, total []int)) {
	counts, total := make([]auth.Count, len(w.parents)), make([]int, len(w.parents))
	for i, p := range w.parents {
		counts[i].Parent = p
	}
	for {
		clear(total)
		for i := len(counts) - 1; i >= 0; i-- {
			if total[i] += counts[i].N; counts[i].Parent >= 0 {
				total[counts[i].Parent] += total[i]
			}
		}
		do(counts, total)
		i := 0
		for ; i < len(w.counted) && counts[w.counted[i]].N == most; i++ {
			counts[w.counted[i]].N = 0
		}
		if i == len(w.counted) {
			return
		}
		counts[w.counted[i]].N++
	}
}

// seen is what an answer looks like, in a comparable form.
func seen(told []auth.Told) (s [8][3]int16) {
	for i, n := range told {
		s[i] = [3]int16{int16(n.Telling), int16(n.N), int16(n.Rest)}
	}
	return s
}

// bounds is what an attacker knows of a count.
type bounds struct{ lo, hi int16 }

func (b *bounds) hold(n int) { b.lo, b.hi = min(b.lo, int16(n)), max(b.hi, int16(n)) }

// An attacker knows the shape of the tree and the rule, and goes through every
// table there can be: those that give the answer he was given. No count from 1 to
// 4, of a node with all below it or of a node itself, is the same in all of them.
func TestNoAttackerPinsASmallCount(t *testing.T) {
	nodes, free, truth, most := 5, 3, 8, 20
	if os.Getenv("ONEMAP_SOAK") == "1" {
		nodes, free = 6, 4
	}
	for _, w := range worlds(nodes, free) {
		known := map[[8][3]int16][2][8]bounds{} // by answer: of totals, and of own counts
		w.tables(most, func(counts []auth.Count, total []int) {
			s := seen(merge(t, counts))
			k, ok := known[s]
			for i := range counts {
				if !ok {
					k[0][i], k[1][i] = bounds{1 << 14, -1}, bounds{1 << 14, -1}
				}
				k[0][i].hold(total[i])
				k[1][i].hold(counts[i].N)
			}
			known[s] = k
		})
		w.tables(truth, func(counts []auth.Count, total []int) {
			k := known[seen(merge(t, counts))]
			for i := range counts {
				for j, n := range []int{total[i], counts[i].N} {
					if b := k[j][i]; n > 0 && n < auth.K && b.lo == b.hi {
						t.Fatalf("tree %v: %v is told as %s, which gives away the %d of node %d", w.parents, counts, inWords(counts, merge(t, counts)), n, i)
					}
				}
			}
		})
	}
}

func BenchmarkMergeSmall(b *testing.B) {
	counts := []auth.Count{{Parent: -1}}
	for i := 1; i < 4_000; i++ {
		counts = append(counts, auth.Count{Parent: (i - 1) / 15, N: i % 9})
	}
	b.ReportAllocs()
	for b.Loop() {
		merge(b, counts)
	}
}
