// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// Package cell names the hexagonal H3 cell a place falls in and draws it. It is
// the only package that knows the H3 library, and with it the only one that
// needs a C compiler.
package cell

import (
	"fmt"
	"strconv"

	"github.com/paulmach/orb"
	"github.com/uber/h3-go/v4"

	"onemap/geo"
)

// Cell is an H3 cell index of any resolution. The zero Cell is no cell.
type Cell uint64

// MinRes and MaxRes bound the resolutions of H3; the product stores 6 to 9
// (36 km2 to 0.1 km2 a cell).
const (
	MinRes = 0
	MaxRes = 15
)

// At returns the cell of resolution res that holds p. A place that is not on
// earth is refused. The cell of a coarser resolution is At again, never a
// parent of a finer cell: parents do not contain all of their children.
func At(p geo.WGS84, res int) (Cell, error) {
	if !geo.OnEarth(p.Orb()) {
		return 0, fmt.Errorf("longitude %v, latitude %v is no place on earth", p.Lon(), p.Lat())
	}
	if res < MinRes || res > MaxRes {
		return 0, fmt.Errorf("cell resolution %d is not within %d to %d", res, MinRes, MaxRes)
	}
	c, err := h3.LatLngToCell(h3.NewLatLng(p.Lat(), p.Lon()), res)
	if err != nil {
		return 0, fmt.Errorf("cell of %v at resolution %d: %w", p, res, err)
	}
	return Cell(c), nil
}

// Parse reads the hexadecimal form that String writes.
func Parse(s string) (Cell, error) {
	v, err := strconv.ParseUint(s, 16, 64)
	if err != nil || !Cell(v).Valid() {
		return 0, fmt.Errorf("%q is no cell", s)
	}
	return Cell(v), nil
}

// String is the cell as 15 or 16 hexadecimal digits, the form in which it
// leaves the product (a JavaScript number cannot hold it).
func (c Cell) String() string { return strconv.FormatUint(uint64(c), 16) }

// Valid says whether c is a cell at all.
func (c Cell) Valid() bool { return h3.Cell(c).IsValid() }

// Res is the resolution of a valid cell.
func (c Cell) Res() int { return h3.Cell(c).Resolution() }

// Centre is the middle of the cell.
func (c Cell) Centre() (geo.WGS84, error) {
	if !c.Valid() {
		return geo.WGS84{}, fmt.Errorf("%s is no cell", c)
	}
	p, err := h3.Cell(c).LatLng()
	if err != nil {
		return geo.WGS84{}, fmt.Errorf("centre of cell %s: %w", c, err)
	}
	return geo.WGS84{p.Lng, p.Lat}, nil
}

// Boundary is the outline of the cell: a closed ring, counter-clockwise,
// longitude first. It has six corners, five round a pentagon, and more where a
// cell lies across an edge of the icosahedron.
func (c Cell) Boundary() (orb.Ring, error) {
	if !c.Valid() {
		return nil, fmt.Errorf("%s is no cell", c)
	}
	b, err := h3.Cell(c).Boundary()
	if err != nil {
		return nil, fmt.Errorf("boundary of cell %s: %w", c, err)
	}
	ring := make(orb.Ring, 0, len(b)+1)
	for _, p := range b {
		ring = append(ring, orb.Point{p.Lng, p.Lat})
	}
	ring = append(ring, ring[0])
	if ring.Orientation() == orb.CW {
		ring.Reverse()
	}
	return ring, nil
}

// AreaKm2 is how large the cell is on the sphere of the earth.
func (c Cell) AreaKm2() (float64, error) {
	if !c.Valid() {
		return 0, fmt.Errorf("%s is no cell", c)
	}
	km2, err := h3.CellAreaKm2(h3.Cell(c))
	if err != nil {
		return 0, fmt.Errorf("area of cell %s: %w", c, err)
	}
	return km2, nil
}
