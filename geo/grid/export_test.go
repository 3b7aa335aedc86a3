// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package grid

// FindNeighbours is what a tree of these nodes costs for its neighbours alone.
func FindNeighbours(nodes []Node) {
	t := &Tree{nodes: nodes}
	t.meet()
}

// Listed is how many squares a Cover lists.
func (c *Cover) Listed() int { return len(c.lists) }
