// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"cmp"
	"slices"

	"github.com/paulmach/orb"

	"onemap/feed"
	"onemap/geo"
	"onemap/geo/cell"
)

// Columns are incidents by column: what is at one index of every column is one incident,
// in 37 bytes. Nothing of a column is changed once it is read.
type Columns struct {
	Place    []uint64 // see PlaceOf; 0 without a place
	ID       []int64
	Grid     []int32 // number of the deepest grid; the county's root outside every leaf
	Category []uint16
	State    []uint8
	Priority []uint8
	Flags    []Flags
	Reported []int64 // microseconds since 1970
	Cells    []int32 // number of its cells in Cells; 0 without a place
}

// Flags are what a scope and a filter ask of an incident.
type Flags uint8

const (
	Open      Flags = 1 << iota
	Sensitive       // of a category whose place is never shown on a shared screen
	NoPlace
)

// Cells numbers the cells that incidents lie in. An incident's cells of the resolutions 6
// to 9 are found from its place, each by itself, and those that many have are one set. A
// number never comes to mean another.
type Cells struct {
	Sets [][4]int32     // by number: of a set's cells of each resolution, the number; of set 0, which is of no place, -1
	Of   [4][]cell.Cell // by number: the cells of each resolution
}

// At is the cell of resolution 6 to 9 of the set with that number; 0 for none.
func (c *Cells) At(set int32, res int) cell.Cell {
	if set == 0 {
		return 0
	}
	return c.Of[res-6][c.Sets[set][res-6]]
}

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
	Cells        Cells
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
	c.Cells = append(c.Cells, from.Cells[i])
}

// grow makes room for n rows.
func (c *Columns) grow(n int) {
	c.Place, c.ID, c.Grid, c.Category = slices.Grow(c.Place, n), slices.Grow(c.ID, n), slices.Grow(c.Grid, n), slices.Grow(c.Category, n)
	c.State, c.Priority, c.Flags, c.Reported = slices.Grow(c.State, n), slices.Grow(c.Priority, n), slices.Grow(c.Flags, n), slices.Grow(c.Reported, n)
	c.Cells = slices.Grow(c.Cells, n)
}

// sorted is the columns in the order of place, rows of one place by id.
func (c *Columns) sorted() *Columns {
	order := c.byPlace(nil)
	return &Columns{
		Place: taken(c.Place, order), ID: taken(c.ID, order), Grid: taken(c.Grid, order), Category: taken(c.Category, order),
		State: taken(c.State, order), Priority: taken(c.Priority, order), Flags: taken(c.Flags, order), Reported: taken(c.Reported, order),
		Cells: taken(c.Cells, order),
	}
}

// byPlace are the rows that are not gone, in the order of place and id.
func (c *Columns) byPlace(gone []uint64) []int32 {
	type placed struct {
		at uint64
		i  int32
	}
	rows := make([]placed, 0, len(c.ID))
	for i, at := range c.Place {
		if !Marked(gone, i) {
			rows = append(rows, placed{at, int32(i)})
		}
	}
	slices.SortFunc(rows, func(a, b placed) int {
		if d := cmp.Compare(a.at, b.at); d != 0 {
			return d
		}
		return cmp.Compare(c.ID[a.i], c.ID[b.i])
	})
	order := make([]int32, len(rows))
	for k, r := range rows {
		order[k] = r.i
	}
	return order
}

func taken[T any](from []T, order []int32) []T {
	out := make([]T, len(order))
	for k, i := range order {
		out[k] = from[i]
	}
	return out
}
