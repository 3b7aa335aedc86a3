// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package auth

import "fmt"

// K is the least number of incidents that is told to who may not read them one by
// one. Fewer could be one household.
const K = 5

// Count is one node of a tree of counts, a grid for example.
type Count struct {
	Key    string
	Parent int // where its parent stands among the counts; -1 for a root
	N      int // counted at the node itself, not in the nodes below it
}

// Telling is how a count is told.
type Telling uint8

const (
	UnderK Telling = iota // the whole tree has 1 to 4: "under 5", and nothing of where
	Merged                // part of the Rest of the nearest node above that is Exact
	Exact                 // N is the number
)

// Told is what may be told of a Count.
type Told struct {
	Key     string
	Telling Telling
	N       int // of the node and all below it; 0 unless Exact
	Rest    int // how much of N none of its children tells; 0 or at least K
}

// MergeSmall says what may be told of a tree of counts, each parent before its
// children, so that nobody can work out a number from 1 to 4. The answer is in the
// order of counts. This is the rule, from the roots downward:
//
//  1. A root of 0 or of at least K is told. Under a root of 1 to 4 nothing is.
//  2. What makes up a told node are its children, each with all below it, and, if
//     it is not 0, what was counted at the node itself. Those under K are small;
//     0 is small too.
//  3. If there are no small ones but 0, everything is told.
//  4. Otherwise the small ones are merged into the node's rest. What was counted
//     at the node itself is never told but as rest.
//  5. If the small ones together are under K, or all of them are K-1, one that is
//     not small goes into the rest with them: what was counted at the node itself,
//     else the first such child in the order given. It is the order that chooses,
//     not the number, as the choice would tell something of the number.
//  6. Below a merged node nothing is told.
//
// Whoever knows the rule still can't tell: something could always be moved from a
// small count to another merged one, or back, without a change in what is told.
// They may learn a range, such as 3 to 4. The rule is for one table: a reader who gets two tables
// that overlap, or a total over several roots, may subtract them, so give every
// total a node, and every reader the same periods.
//
// It fails for a parent that does not stand before its child, and for a count
// below 0.
func MergeSmall(counts []Count) ([]Told, error) {
	total, children, err := sumUp(counts)
	if err != nil {
		return nil, err
	}
	told := make([]Told, len(counts)) // UnderK as long as nothing is said
	for i, c := range counts {
		told[i].Key = c.Key
		if c.Parent == -1 && (total[i] == 0 || total[i] >= K) {
			told[i].Telling = Exact
		}
		if told[i].Telling == Exact {
			told[i].N, told[i].Rest = total[i], total[i]
			var numbers []int
			for _, child := range children[i] {
				numbers = append(numbers, total[child])
			}
			for j, merged := range mergeChildren(c.N, numbers) {
				if child := children[i][j]; merged {
					told[child].Telling = Merged
				} else {
					told[child].Telling = Exact
					told[i].Rest -= total[child]
				}
			}
			continue
		}
		for _, child := range children[i] {
			told[child].Telling = told[i].Telling
		}
	}
	return told, nil
}

// sumUp returns of each count its number with all below it, and its children.
func sumUp(counts []Count) (total []int, children [][]int, err error) {
	total, children = make([]int, len(counts)), make([][]int, len(counts))
	for i := len(counts) - 1; i >= 0; i-- {
		c := counts[i]
		if c.Parent < -1 || c.Parent >= i || c.N < 0 {
			return nil, nil, fmt.Errorf("auth: count %d (%q): parent %d, number %d", i, c.Key, c.Parent, c.N)
		}
		total[i] += c.N
		if c.Parent >= 0 {
			total[c.Parent] += total[i]
		}
	}
	for i, c := range counts {
		if c.Parent >= 0 {
			children[c.Parent] = append(children[c.Parent], i)
		}
	}
	return total, children, nil
}

// mergeChildren tells which children of a told node are merged, of numbers in the
// same order. own is what was counted at the node itself.
func mergeChildren(own int, numbers []int) (merged []bool) {
	merged = make([]bool, len(numbers))
	small, sum := 0, 0
	if own > 0 && own < K {
		small, sum = 1, own
	}
	for _, n := range numbers {
		if n < K {
			small++
			sum += n
		}
	}
	if sum == 0 {
		return merged
	}
	enough := own >= K || sum >= K && sum < small*(K-1)
	for i, n := range numbers {
		merged[i] = n < K || !enough
		enough = enough || n >= K
	}
	return merged
}
