// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package cell

import (
	"github.com/paulmach/orb"
	"github.com/paulmach/orb/planar"
)

// Meets reports whether the cell and a shape in WGS-84 degrees have a place in common, a
// border too. Sides of both are taken as straight in degrees, which is right but for a
// hair; sides go the shorter way round the earth. It fails for what is no cell.
func (c Cell) Meets(shape orb.MultiPolygon) (bool, error) {
	ring, err := c.Boundary()
	if err != nil {
		return false, err
	}
	for i := range ring {
		ring[i] = near(ring[i], ring[0])
	}
	for _, p := range shape {
		if meets(ring, p) {
			return true, nil
		}
	}
	return false, nil
}

// meets reports whether the cell with this outline has a place in common with p.
func meets(cell orb.Ring, p orb.Polygon) bool {
	p = beside(p, cell[0])
	bound := cell.Bound()
	if len(p) == 0 || !bound.Intersects(p.Bound()) {
		return false
	}
	if planar.PolygonContains(p, cell[0]) {
		return true
	}
	for _, ring := range p {
		if len(ring) > 0 && planar.RingContains(cell, ring[0]) {
			return true
		}
		for i := 1; i < len(ring); i++ {
			if (orb.MultiPoint{ring[i-1], ring[i]}).Bound().Intersects(bound) && crosses(cell, ring[i-1], ring[i]) {
				return true
			}
		}
	}
	return false
}

// beside is p with its longitudes going on over the antimeridian, its beginning on the
// side where at is.
func beside(p orb.Polygon, at orb.Point) orb.Polygon {
	p = p.Clone()
	for _, ring := range p {
		last := at
		for i := range ring {
			ring[i] = near(ring[i], last)
			last = ring[i]
		}
		if len(ring) > 0 {
			at = p[0][0]
		}
	}
	return p
}

// crosses reports whether the straight line from a to b has a place in common with the
// outline.
func crosses(outline orb.Ring, a, b orb.Point) bool {
	for i := 1; i < len(outline); i++ {
		c, d := outline[i-1], outline[i]
		if side(a, b, c)*side(a, b, d) <= 0 && side(c, d, a)*side(c, d, b) <= 0 {
			return true
		}
	}
	return false
}

// side is above 0 for a place p to the left of the line from a to b, below 0 to its right.
func side(a, b, p orb.Point) float64 {
	return (b[0]-a[0])*(p[1]-a[1]) - (b[1]-a[1])*(p[0]-a[0])
}
