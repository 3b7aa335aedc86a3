// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"bytes"
	"fmt"
	"strings"
)

// moved finds the broken seals that are whole in another order: rows, seals or
// parts of them have changed places. They become one fault for each round of
// changes, and seals that broke only because of it are dropped.
func (c *auditCheck) moved() {
	to := map[int]int{}         // what belongs at the place of the first stands at the place of the second
	truth := map[int64][]byte{} // the hash that a place had
	dropped := map[int]bool{}
	for i, b := range c.broken {
		prevs := [][]byte{b.prev}
		if h := truth[b.n-1]; h != nil {
			prevs = append(prevs, h)
			if h = c.seal(h, b.row); bytes.Equal(h, b.hash) {
				truth[b.n], dropped[i] = h, true
				continue
			}
		}
		for k := 0; k < len(c.broken) && truth[b.n] == nil; k++ {
			if k == i {
				continue
			}
			for _, prev := range prevs {
				if h := c.atPlaceOf(prev, b, c.broken[k]); h != nil {
					to[i], truth[b.n] = k, h
					break
				}
			}
		}
	}
	for i := range c.broken {
		round := []int{i}
		for k, ok := to[i]; ok && len(round) <= len(to); k, ok = to[k] {
			if k == i {
				break
			}
			round = append(round, k)
		}
		if k, ok := to[round[len(round)-1]]; !ok || k != i {
			continue // not a closed round
		}
		var ids []string
		for _, k := range round {
			delete(to, k)
			dropped[k] = true
			ids = append(ids, fmt.Sprint(c.broken[k].id))
		}
		c.fault(RowsMoved, c.broken[i].n, c.broken[i].id, "audit rows %s, or their seals, have changed places", strings.Join(ids, " and "))
	}
	whole := c.broken[:0]
	for i, b := range c.broken {
		if !dropped[i] {
			whole = append(whole, b)
		}
	}
	c.broken = whole
}

// atPlaceOf returns the hash that the place of b had if something of other belongs
// there: its seal as a whole, the row it names, its row's content or its hash.
func (c *auditCheck) atPlaceOf(prev []byte, b, other broken) []byte {
	given := c.seal(prev, other.row)
	if bytes.Equal(given, other.hash) || bytes.Equal(given, b.hash) {
		return given
	}
	content := *other.row
	content.id = b.row.id
	if given = c.seal(prev, &content); bytes.Equal(given, b.hash) {
		return given
	}
	if given = c.seal(prev, b.row); bytes.Equal(given, other.hash) {
		return given
	}
	return nil
}
