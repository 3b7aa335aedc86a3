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

// all says that everything may have changed. publish shows it, in the same moment: a
// number is never read with a View that is older.
func (c *changes) all(publish func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	publish()
	c.n++
	c.atLeast, c.last = c.n, map[square]uint64{}
}

// at says that something changed at the places, and publish shows it, likewise.
func (c *changes) at(places []uint64, publish func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	publish()
	if len(places) == 0 {
		return
	}
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

// ViewOf is View with a number that is another one whenever something in the tile z/x/y
// has changed, or in those around it: a cell that lies in one reaches into the next.
func (m *Mirror) ViewOf(z, x, y int) (*View, uint64, error) {
	m.changes.mu.RLock()
	defer m.changes.mu.RUnlock()
	v, err := m.View()
	return v, m.changes.in(z, x, y), err
}

// in is the number of the last change in a tile and those around it.
func (c *changes) in(z, x, y int) uint64 {
	if z > finest {
		x, y, z = x>>(z-finest), y>>(z-finest), finest
	}
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
