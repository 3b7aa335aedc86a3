// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"slices"

	"github.com/paulmach/orb"

	"onemap/feed"
	"onemap/geo"
	"onemap/geo/cell"
)

// Columns are incidents that have a place, by column: what is at one index of every
// column is one incident. Nothing of a column is changed once it is read.
type Columns struct {
	Place    []uint64 // see PlaceOf
	ID       []int64
	Grid     []int32 // number of the deepest grid; the county's root outside every leaf
	Category []uint16
	State    []uint8
	Priority []uint8
	Flags    []Flags
	Reported []int64        // microseconds since 1970
	Cells    [3][]cell.Cell // of resolution 6, 7 and 8
}

// Flags are what a scope and a filter ask of an incident.
type Flags uint8

const (
	Open      Flags = 1 << iota
	Sensitive       // of a category whose place is never shown on a shared screen
)

// View is the incidents as of one sequence number: they hold everything up to Seq, at
// least. A part is sorted by place, and some of its rows no longer count; a short tail is
// what was added or changed since, in any order. A View never changes.
type View struct {
	Seq          feed.Seq
	Sorted, Tail *Columns
	Gone         []uint64 // a bit for each row of Sorted; rows beyond its end count
	TailGone     []uint64 // likewise of Tail
	Categories   []string // codes, by the number in the column
	States       []string
}

// Marked reports whether bit i of Gone or TailGone is set.
func Marked(bits []uint64, i int) bool { return i>>6 < len(bits) && bits[i>>6]>>(i&63)&1 != 0 }

// withMark is the bits with bit i set beside them.
func withMark(bits []uint64, i int) []uint64 {
	if need := i>>6 + 1; need > len(bits) {
		bits = append(bits, make([]uint64, need-len(bits))...)
	}
	bits[i>>6] |= 1 << (i & 63)
	return bits
}

// PlaceOf is a WGS-84 place as a number whose order keeps every tile's places together: the
// bits of x and y of the unit square of web Mercator in turn, y first (Morton's order).
func PlaceOf(p orb.Point) uint64 {
	q := geo.Mercator(p)
	return Spread(unit(q[0])) | Spread(unit(q[1]))<<1
}

func unit(v float64) uint32 { return uint32(min(max(v*(1<<32), 0), 1<<32-1)) }

// Spread puts a zero bit before each bit.
func Spread(v uint32) uint64 {
	n := uint64(v)
	n = (n | n<<16) & 0x0000ffff0000ffff
	n = (n | n<<8) & 0x00ff00ff00ff00ff
	n = (n | n<<4) & 0x0f0f0f0f0f0f0f0f
	n = (n | n<<2) & 0x3333333333333333
	return (n | n<<1) & 0x5555555555555555
}

// Gather takes every second bit: what Spread has put apart.
func Gather(n uint64) uint32 {
	n &= 0x5555555555555555
	n = (n | n>>1) & 0x3333333333333333
	n = (n | n>>2) & 0x0f0f0f0f0f0f0f0f
	n = (n | n>>4) & 0x00ff00ff00ff00ff
	n = (n | n>>8) & 0x0000ffff0000ffff
	n = (n | n>>16) & 0x00000000ffffffff
	return uint32(n)
}

// with is the columns with a row of another behind them. The columns before it keep their
// length: who reads them sees nothing of it.
func (c *Columns) with(from *Columns, i int) *Columns {
	next := *c
	next.add(from, i)
	return &next
}

// add puts a row of another behind those of c, which nobody reads yet.
func (c *Columns) add(from *Columns, i int) {
	c.Place = append(c.Place, from.Place[i])
	c.ID = append(c.ID, from.ID[i])
	c.Grid = append(c.Grid, from.Grid[i])
	c.Category = append(c.Category, from.Category[i])
	c.State = append(c.State, from.State[i])
	c.Priority = append(c.Priority, from.Priority[i])
	c.Flags = append(c.Flags, from.Flags[i])
	c.Reported = append(c.Reported, from.Reported[i])
	for r := range c.Cells {
		c.Cells[r] = append(c.Cells[r], from.Cells[r][i])
	}
}

// grow makes room for n rows.
func (c *Columns) grow(n int) {
	c.Place, c.ID, c.Grid, c.Category = slices.Grow(c.Place, n), slices.Grow(c.ID, n), slices.Grow(c.Grid, n), slices.Grow(c.Category, n)
	c.State, c.Priority, c.Flags, c.Reported = slices.Grow(c.State, n), slices.Grow(c.Priority, n), slices.Grow(c.Flags, n), slices.Grow(c.Reported, n)
	for r := range c.Cells {
		c.Cells[r] = slices.Grow(c.Cells[r], n)
	}
}

// sorted is the columns in the order of place, rows of one place by id.
func (c *Columns) sorted() *Columns {
	order := make([]int32, len(c.ID))
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortFunc(order, func(a, b int32) int {
		if d := compare(c.Place[a], c.Place[b]); d != 0 {
			return d
		}
		return compare(c.ID[a], c.ID[b])
	})
	out := &Columns{
		Place: taken(c.Place, order), ID: taken(c.ID, order), Grid: taken(c.Grid, order), Category: taken(c.Category, order),
		State: taken(c.State, order), Priority: taken(c.Priority, order), Flags: taken(c.Flags, order), Reported: taken(c.Reported, order),
	}
	for r := range c.Cells {
		out.Cells[r] = taken(c.Cells[r], order)
	}
	return out
}

func compare[T uint64 | int64](a, b T) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func taken[T any](from []T, order []int32) []T {
	out := make([]T, len(order))
	for k, i := range order {
		out[k] = from[i]
	}
	return out
}
