// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package cell

import (
	"fmt"
	"math"
	"slices"

	"github.com/paulmach/orb"
	"github.com/uber/h3-go/v4"

	"onemap/geo"
)

// Area is a study area: cells of one resolution, each once, numbered from 0 in the
// order of their indexes. It never changes.
type Area struct {
	res   int
	cells []Cell
}

// NewArea makes an area of cells of resolution res. A cell may be named twice.
func NewArea(res int, cells []Cell) (Area, error) {
	for _, c := range cells {
		if !c.Valid() || c.Res() != res {
			return Area{}, fmt.Errorf("%s is no cell of resolution %d", c, res)
		}
	}
	cells = slices.Clone(cells)
	slices.Sort(cells)
	return Area{res, slices.Compact(cells)}, nil
}

// Covering is the area of all cells of resolution res that share a point with one of
// the shapes, which are in WGS-84 degrees. A place inside a shape is so in one of its
// cells, but for a hair at the border: sides of cells are arcs, those of shapes straight
// in degrees. Sides of shapes go the shorter way round the earth, so that a shape may
// lie across the antimeridian, whole or cut there.
func Covering(res int, shapes ...orb.MultiPolygon) (Area, error) {
	var cells []Cell
	for _, shape := range shapes {
		for _, p := range shape {
			found, err := over(res, p)
			if err != nil {
				return Area{}, fmt.Errorf("cells of resolution %d over a shape: %w", res, err)
			}
			cells = append(cells, found...)
		}
	}
	return NewArea(res, cells)
}

// over lists the cells that share a point with p: those over its outline, without those
// that lie in a hole. The library is not given the holes: it leaves out a cell that
// holds a hole of its own in its middle.
func over(res int, p orb.Polygon) ([]Cell, error) {
	if len(p) == 0 {
		return nil, nil
	}
	cells, err := within(res, p[0], h3.ContainmentOverlapping)
	if err != nil || len(p) == 1 {
		return cells, err
	}
	empty := map[Cell]bool{}
	for _, hole := range p[1:] {
		inside, err := within(res, hole, h3.ContainmentFull)
		if err != nil {
			return nil, err
		}
		for _, c := range inside {
			empty[c] = true
		}
	}
	return slices.DeleteFunc(cells, func(c Cell) bool { return empty[c] }), nil
}

// within lists the cells that a ring holds.
func within(res int, ring orb.Ring, how h3.ContainmentMode) ([]Cell, error) {
	var loop h3.GeoLoop
	for _, at := range ring {
		if !geo.OnEarth(at) {
			return nil, fmt.Errorf("longitude %v, latitude %v is no place on earth", at[0], at[1])
		}
		loop = append(loop, h3.NewLatLng(at[1], at[0]))
	}
	found, err := h3.PolygonToCellsExperimental(h3.GeoPolygon{GeoLoop: loop}, res, how)
	if err != nil {
		return nil, err
	}
	cells := make([]Cell, len(found))
	for i, c := range found {
		cells[i] = Cell(c)
	}
	return cells, nil
}

// Res is the resolution of the area's cells.
func (a Area) Res() int { return a.res }

// Len is how many cells the area has.
func (a Area) Len() int { return len(a.cells) }

// At is the cell with number i.
func (a Area) At(i int) Cell { return a.cells[i] }

// Index is the number of cell c, and whether the area has it.
func (a Area) Index(c Cell) (int, bool) { return slices.BinarySearch(a.cells, c) }

// Neighbours lists, for each cell of an area, the numbers of the cells round it.
type Neighbours struct {
	from []int32 // cell i has to[from[i]:from[i+1]]
	to   []int32
}

// Len is of how many cells the neighbours are known.
func (n Neighbours) Len() int { return max(len(n.from)-1, 0) }

// Of are the numbers of cell i itself and of those round it, in order.
func (n Neighbours) Of(i int) []int32 { return n.to[n.from[i]:n.from[i+1]] }

// Rings are the neighbours within k steps, 1 to 9, of the area's cells in the area:
// away from its edge 1+3k(k+1), each cell with itself; fewer at the edge, and round
// one of the twelve pentagons on earth.
func (a Area) Rings(k int) (Neighbours, error) {
	if k < 1 || k > 9 {
		return Neighbours{}, fmt.Errorf("%d rings are not within 1 to 9", k)
	}
	n := Neighbours{from: make([]int32, 1, len(a.cells)+1), to: make([]int32, 0, len(a.cells)*(1+3*k*(k+1)))}
	for _, c := range a.cells {
		disk, err := h3.Cell(c).GridDisk(k)
		if err != nil {
			return Neighbours{}, fmt.Errorf("cells round %s: %w", c, err)
		}
		start := len(n.to)
		for _, d := range disk {
			if i, in := a.Index(Cell(d)); in {
				n.to = append(n.to, int32(i))
			}
		}
		slices.Sort(n.to[start:])
		n.from = append(n.from, int32(len(n.to)))
	}
	return n, nil
}

// lattice is how finely Places looks: each of a cell's triangles by its square.
const lattice = 3

// Shares are the parts of the area's cells, 0 to 1, that are inside: of some fifty
// places spread evenly over a cell, how many are.
func (a Area) Shares(inside func(p geo.WGS84) bool) ([]float64, error) {
	within, all := make([]float64, len(a.cells)), make([]float64, len(a.cells))
	err := a.Places(func(i int, p geo.WGS84) {
		all[i]++
		if inside(p) {
			within[i]++
		}
	})
	for i := range within {
		within[i] /= all[i]
	}
	return within, err
}

// Places calls do with each cell's number and each of some fifty places that are spread
// evenly over it, cell by cell.
func (a Area) Places(do func(i int, p geo.WGS84)) error {
	for i, c := range a.cells {
		ring, err := c.Boundary()
		if err != nil {
			return err
		}
		centre, err := c.Centre()
		if err != nil {
			return err
		}
		for j := range len(ring) - 1 {
			for _, p := range spread(centre.Orb(), near(ring[j], centre.Orb()), near(ring[j+1], centre.Orb())) {
				do(i, geo.WGS84{math.Remainder(p[0], 360), p[1]})
			}
		}
	}
	return nil
}

// near is p on the side of the antimeridian where the centre is.
func near(p, centre orb.Point) orb.Point {
	p[0] = centre[0] + math.Remainder(p[0]-centre[0], 360)
	return p
}

// spread are the centres of the equal triangles that a triangle is cut into.
func spread(a, b, c orb.Point) (out []orb.Point) {
	at := func(u, v float64) orb.Point {
		return orb.Point{a[0] + u*(b[0]-a[0]) + v*(c[0]-a[0]), a[1] + u*(b[1]-a[1]) + v*(c[1]-a[1])}
	}
	for i := range lattice {
		for j := range lattice - i {
			u, v := float64(i), float64(j)
			out = append(out, at((u+1./3)/lattice, (v+1./3)/lattice))
			if i+j < lattice-1 {
				out = append(out, at((u+2./3)/lattice, (v+2./3)/lattice))
			}
		}
	}
	return out
}

// Links is how many neighbours there are in all.
func (n Neighbours) Links() int { return len(n.to) }
