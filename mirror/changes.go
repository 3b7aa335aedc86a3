// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package mirror

import "sync"

// finest is the deepest zoom whose squares are told apart by what changed in them.
const finest = 14

// square is one of a zoom: a tile.
type square struct {
	z    uint8
	x, y uint32
}

// changes numbers what changed, by square of each zoom.
type changes struct {
	mu      sync.RWMutex
	n       uint64
	atLeast uint64 // of every square: everything was read anew
	last    map[square]uint64
}

// all says that everything may have changed.
func (c *changes) all() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n++
	c.atLeast, c.last = c.n, map[square]uint64{}
}

// at says that something changed at the places.
func (c *changes) at(places []uint64) {
	if len(places) == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n++
	if c.last == nil {
		c.last = map[square]uint64{}
	}
	for _, p := range places {
		x, y := Gather(p), Gather(p>>1)
		for z := range uint8(finest + 1) {
			c.last[square{z, uint32(uint64(x) >> (32 - z)), uint32(uint64(y) >> (32 - z))}] = c.n
		}
	}
}

// Changed is a number that is another one whenever something in the tile z/x/y has
// changed, or in those around it: a cell that lies in one reaches into the next. A View
// that is taken after it holds that change.
func (m *Mirror) Changed(z, x, y int) uint64 {
	if z > finest {
		x, y, z = x>>(z-finest), y>>(z-finest), finest
	}
	c := &m.changes
	c.mu.RLock()
	defer c.mu.RUnlock()
	n := c.atLeast
	for dx := -1; dx <= 1; dx++ {
		for dy := -1; dy <= 1; dy++ {
			if x+dx >= 0 && y+dy >= 0 {
				n = max(n, c.last[square{uint8(z), uint32(x + dx), uint32(y + dy)}])
			}
		}
	}
	return n
}
