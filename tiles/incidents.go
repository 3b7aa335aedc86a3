// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package tiles

import (
	"fmt"
	"slices"

	"github.com/paulmach/orb"

	"onemap/auth"
	"onemap/geo/cell"
	"onemap/mirror"
)

const (
	// DotsFrom is the first zoom that shows incidents one by one. A tile further out
	// has counts by cell.
	DotsFrom = 12

	// mostDots is how many incidents a tile shows one by one wherever they lie. Where
	// there are more, those in one square of stackUnits are one feature with a count:
	// 4 pixels on a tile drawn 512 pixels wide, 16,384 squares a tile.
	mostDots   = 2000
	stackUnits = 32
)

// CellsAt is the resolution of the cells that are counted at a zoom before DotsFrom: a
// cell is 20 to 60 pixels wide.
func CellsAt(z int) int {
	switch {
	case z <= 8:
		return 6
	case z <= 10:
		return 7
	}
	return 8
}

// ends are the least and the greatest place in the tile.
func (t tile) ends() (first, last uint64) {
	shift := 64 - 2*t.z
	if shift == 64 {
		return 0, 1<<64 - 1
	}
	first = (mirror.Spread(uint32(t.x)) | mirror.Spread(uint32(t.y))<<1) << shift
	return first, first + (1<<shift - 1)
}

// unitsOf are the tile's own units of a place within it, rounded down.
func (t tile) unitsOf(place uint64) (x, y int32) {
	const bits = 12 // of Extent
	cut := func(v uint32) int32 { return int32(uint64(v) << t.z >> (32 - bits) & (Extent - 1)) }
	return cut(mirror.Gather(place)), cut(mirror.Gather(place >> 1))
}

// each calls do with every row of v in the tile that a shows.
func each(v *mirror.View, t tile, a *mirror.Asked, do func(c *mirror.Columns, i int)) {
	first, last := t.ends()
	if c := v.Sorted; c != nil {
		from, _ := slices.BinarySearch(c.Place, first)
		for i := from; i < len(c.Place) && c.Place[i] <= last; i++ {
			if !mirror.Marked(v.Gone, i) && a.Shows(c, i) {
				do(c, i)
			}
		}
	}
	if c := v.Tail; c != nil {
		for i, p := range c.Place {
			if first <= p && p <= last && !mirror.Marked(v.TailGone, i) && a.Shows(c, i) {
				do(c, i)
			}
		}
	}
}

// drawer is what drawing a tile needs beside the tile; it is used again.
type drawer struct {
	dots, counts layerWriter
	rows         []row
	cells        map[cell.Cell]int
	order        []cell.Cell
	stacks       []stack
}

// row is an incident to be drawn.
type row struct {
	c *mirror.Columns
	i int
}

// stack is the incidents in one square of a tile.
type stack struct {
	n     int
	first row
}

var drawers = make(chan *drawer, 4)

func takeDrawer() *drawer {
	select {
	case d := <-drawers:
		return d
	default:
		return &drawer{cells: map[cell.Cell]int{}}
	}
}

func (d *drawer) layAway() {
	clear(d.rows) // they would keep their columns
	clear(d.stacks)
	select {
	case drawers <- d:
	default:
	}
}

// AppendIncidents puts the tile of those incidents behind dst that are in scope and wanted by
// the filter: from zoom DotsFrom on in layer "incidents" one by one (id, state, priority,
// category) and, where they are too many, in layer "counts" those that fall together;
// further out in "counts" how many lie in each cell, at the cell's centre, in the one tile
// that has it. No incident is left out for being one of many. Nothing is put for an empty
// tile. A centre takes fewer bytes than a hexagon, needs no cutting at a
// tile's edge, and is drawn as a circle by its count, as dots are.
//
// Errors: ErrOutOfRange, mirror.ErrNarrowed.
func AppendIncidents(dst []byte, v *mirror.View, z, x, y int, s auth.Scope, f mirror.Filter) ([]byte, error) {
	if err := Check(z, x, y); err != nil {
		return dst, err
	}
	a, err := mirror.NewAsked(s, f)
	if err != nil {
		return dst, err
	}
	a = a.Without(mirror.NoPlace)
	d, t := takeDrawer(), tile{z, x, y}
	defer d.layAway()
	d.dots.reset()
	d.counts.reset()
	if z < DotsFrom {
		err = d.count(v, t, &a)
	} else {
		d.draw(v, t, &a)
	}
	if err != nil {
		return dst, err
	}
	dst = d.dots.appendTo(dst, "incidents", "state", "priority", "category")
	return d.counts.appendTo(dst, "counts", "count"), nil
}

// draw shows incidents one by one, and together where they are too many.
func (d *drawer) draw(v *mirror.View, t tile, a *mirror.Asked) {
	d.rows = d.rows[:0]
	each(v, t, a, func(c *mirror.Columns, i int) { d.rows = append(d.rows, row{c, i}) })
	if len(d.rows) <= mostDots {
		for _, r := range d.rows {
			d.dot(v, t, r)
		}
		return
	}
	const side = Extent / stackUnits
	d.stacks = slices.Grow(d.stacks[:0], side*side)[:side*side]
	clear(d.stacks)
	for _, r := range d.rows {
		x, y := t.unitsOf(r.c.Place[r.i])
		k := &d.stacks[int(y/stackUnits)*side+int(x/stackUnits)]
		if k.n++; k.n == 1 {
			k.first = r
		}
	}
	for i, k := range d.stacks {
		switch k.n {
		case 0:
		case 1:
			d.dot(v, t, k.first)
		default:
			x, y := int32(i%side)*stackUnits+stackUnits/2, int32(i/side)*stackUnits+stackUnits/2
			d.counts.add(0, x, y, 0, d.counts.number(uint64(k.n)))
		}
	}
}

// Names of texts among the values of the layer: see layerWriter.text.
const (
	stateText    = 1 << 32
	categoryText = 1 << 33
)

func (d *drawer) dot(v *mirror.View, t tile, r row) {
	c, l := r.c, &d.dots
	x, y := t.unitsOf(c.Place[r.i])
	state, category := c.State[r.i], c.Category[r.i]
	l.add(uint64(c.ID[r.i]), x, y,
		0, l.text(stateText|uint64(state), v.States[state]),
		1, l.number(uint64(c.Priority[r.i])),
		2, l.text(categoryText|uint64(category), v.Categories[category]))
}

// count counts by cell. A cell is told in the tile of its centre, with all that lies in
// it: so the tile's surroundings are looked at too, an eighth of it wide. That is more than
// a cell's half width up to 69 degrees of latitude.
func (d *drawer) count(v *mirror.View, t tile, a *mirror.Asked) error {
	clear(d.cells)
	res := CellsAt(t.z)
	var last cell.Cell // rows in order of place lie in the same cell by runs
	run := 0
	add := func(c *mirror.Columns, i int) {
		k := v.Cells.At(c.Cells[i], res)
		if k != last {
			if run > 0 {
				d.cells[last] += run
			}
			last, run = k, 0
		}
		run++
	}
	each(v, t, a, add)
	const parts = 8
	for dy := -1; dy <= parts; dy++ {
		for dx := -1; dx <= parts; dx++ {
			if dx >= 0 && dx < parts && dy >= 0 && dy < parts {
				continue
			}
			part := tile{t.z + 3, t.x*parts + dx, t.y*parts + dy}
			if n := 1 << part.z; part.x >= 0 && part.y >= 0 && part.x < n && part.y < n {
				each(v, part, a, add)
			}
		}
	}
	if run > 0 {
		d.cells[last] += run
	}
	d.order = d.order[:0]
	for k := range d.cells {
		d.order = append(d.order, k)
	}
	slices.Sort(d.order) // the same content is the same bytes
	first, end := t.ends()
	for _, k := range d.order {
		centre, err := k.Centre()
		if err != nil {
			return fmt.Errorf("tiles: centre of cell %s: %w", k, err)
		}
		at := mirror.PlaceOf(orb.Point{centre.Lon(), centre.Lat()})
		if at < first || at > end {
			continue
		}
		x, y := t.unitsOf(at)
		d.counts.add(0, x, y, 0, d.counts.number(uint64(d.cells[k])))
	}
	return nil
}
