// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package cell_test

import (
	"maps"
	"math"
	"slices"
	"testing"

	"github.com/paulmach/orb"
	"github.com/paulmach/orb/planar"
	"pgregory.net/rapid"

	"onemap/geo"
	"onemap/geo/cell"
)

// star draws a ring round a middle: corners at even angles, at distances between half
// of size and size degrees of latitude, so that it never crosses itself.
func star(t *rapid.T, name string, at orb.Point, size float64) orb.Ring {
	n := rapid.IntRange(3, 12).Draw(t, name+" corners")
	var ring orb.Ring
	for i := range n {
		sin, cos := math.Sincos(2 * math.Pi * float64(i) / float64(n))
		r := size * rapid.Float64Range(0.5, 1).Draw(t, name+" reach")
		ring = append(ring, orb.Point{at[0] + r*cos/math.Cos(at[1]*math.Pi/180), at[1] + r*sin})
	}
	return append(ring, ring[0])
}

// wrapped is the shape with its longitudes within -180..180.
func wrapped(shape orb.MultiPolygon) orb.MultiPolygon {
	out := shape.Clone()
	for _, p := range out {
		for _, ring := range p {
			for i := range ring {
				ring[i][0] = math.Remainder(ring[i][0], 360)
			}
		}
	}
	return out
}

// beside is the outline of c with longitudes beside that of at.
func beside(t rapid.TB, c cell.Cell, at orb.Point) orb.Ring {
	ring, err := c.Boundary()
	if err != nil {
		t.Fatal(err)
	}
	for i := range ring {
		ring[i][0] = at[0] + math.Remainder(ring[i][0]-at[0], 360)
	}
	return ring
}

// meet says, in the plane of degrees, whether a cell shares more than a hair with a
// shape: a corner of one lies in the other, or their borders cross.
func meet(shape orb.MultiPolygon, c orb.Ring) bool {
	for _, p := range c {
		if planar.MultiPolygonContains(shape, p) {
			return true
		}
	}
	for _, part := range shape {
		for _, ring := range part {
			for i := range len(ring) - 1 {
				if planar.RingContains(c, ring[i]) {
					return true
				}
				for j := range len(c) - 1 {
					if cross(ring[i], ring[i+1], c[j], c[j+1]) {
						return true
					}
				}
			}
		}
	}
	return false
}

func cross(a, b, c, d orb.Point) bool {
	side := func(p, q, r orb.Point) bool { return (q[0]-p[0])*(r[1]-p[1]) > (q[1]-p[1])*(r[0]-p[0]) }
	return side(a, b, c) != side(a, b, d) && side(c, d, a) != side(c, d, b)
}

// holeyShapes draws one to three polygons round a middle, each with a hole or none.
func holeyShapes(t *rapid.T, at orb.Point, size float64) orb.MultiPolygon {
	var out orb.MultiPolygon
	for i := range rapid.IntRange(1, 3).Draw(t, "parts") {
		middle := orb.Point{at[0] + 3*float64(i)*size/math.Cos(at[1]*math.Pi/180), at[1]}
		p := orb.Polygon{star(t, "outline", middle, size)}
		if rapid.Bool().Draw(t, "hole") { // the outline keeps a fifth of size away from the middle: three corners at half the reach
			p = append(p, star(t, "hole", middle, size*0.2))
		}
		out = append(out, p)
	}
	return out
}

// hair is the part of a cell's size by which it may miss a shape or reach into it without
// anybody saying which: the side of a cell of resolution 5 at 65 degrees north is an arc
// that leaves the straight line in degrees by some 4/10,000 of its length.
const hair = 1e-3

// meets is meet where growing or shrinking the cell by a hair makes no difference.
func meets(shape orb.MultiPolygon, c orb.Ring) (is, sure bool) {
	middle := c.Bound().Center()
	by := func(k float64) orb.Ring {
		out := c.Clone()
		for i, p := range out {
			out[i] = orb.Point{middle[0] + (p[0]-middle[0])*k, middle[1] + (p[1]-middle[1])*k}
		}
		return out
	}
	is = meet(shape, by(1-hair))
	return is, is == meet(shape, by(1+hair))
}

// checkCovering holds an area against every place and every cell round a shape, whose
// longitudes may go on beyond 180.
func checkCovering(t *rapid.T, shape orb.MultiPolygon, res int, area cell.Area) {
	b := shape.Bound()
	if area.Res() != res || area.Len() == 0 {
		t.Fatalf("%d cells of resolution %d", area.Len(), area.Res())
	}
	near := map[cell.Cell]bool{} // every cell with a place of a fine lattice round the shape
	const steps = 60
	for i := range steps {
		for j := range steps {
			p := orb.Point{
				b.Min[0] + (b.Max[0]-b.Min[0])*(float64(i)+0.377)/(steps+1),
				b.Min[1] + (b.Max[1]-b.Min[1])*(float64(j)+0.377)/(steps+1),
			}
			c, err := cell.At(geo.WGS84{math.Remainder(p[0], 360), p[1]}, res)
			if err != nil {
				t.Fatal(err)
			}
			near[c] = true
			if _, in := area.Index(c); !in && planar.MultiPolygonContains(shape, p) {
				t.Fatalf("%v lies in the shape, and its cell %v is not in the area", p, c)
			}
		}
	}
	for c := range near {
		meet, sure := meets(shape, beside(t, c, b.Center()))
		if _, in := area.Index(c); sure && in != meet {
			t.Fatalf("cell %v: in the area %v, shares something with the shape %v", c, in, !in)
		}
		if told, err := c.Meets(wrapped(shape)); err != nil || sure && told != meet {
			t.Fatalf("cell %v is said to meet the shape: %v, %v; it does: %v", c, told, err, meet)
		}
	}
	for i := range area.Len() {
		c := area.At(i)
		if meet, sure := meets(shape, beside(t, c, b.Center())); sure && !near[c] && !meet {
			t.Fatalf("cell %v is in the area and shares nothing with the shape", c)
		}
	}
}

func TestCoveringHasEveryCellOfAShapeAndNoOther(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at := orb.Point{rapid.Float64Range(73, 135).Draw(t, "lon"), rapid.Float64Range(18, 54).Draw(t, "lat")}
		res := rapid.IntRange(6, 9).Draw(t, "res")
		// a cell of resolution 6 is about 0.06 degrees wide, and each finer one 2.6 times less
		size := 0.06 * math.Pow(7, -float64(res-6)/2) * rapid.Float64Range(0.05, 5).Draw(t, "cells wide")
		shape := holeyShapes(t, at, size)
		area, err := cell.Covering(res, shape)
		if err != nil {
			t.Fatal(err)
		}
		checkCovering(t, shape, res, area)
	})
}

// The library alone leaves such a cell out.
func TestACellWithAHoleInItsMiddleIsCovered(t *testing.T) {
	c, err := cell.At(geo.WGS84{107, 38}, 8)
	if err != nil {
		t.Fatal(err)
	}
	m, err := c.Centre()
	if err != nil {
		t.Fatal(err)
	}
	square := func(half float64) orb.Ring { return orb.Bound{Min: m.Orb(), Max: m.Orb()}.Pad(half).ToRing() }
	area, err := cell.Covering(8, orb.MultiPolygon{{square(0.01), square(0.0005)}})
	if err != nil {
		t.Fatal(err)
	}
	if _, in := area.Index(c); !in {
		t.Error("the cell round the hole is missing")
	}
	if area, err = cell.Covering(8, orb.MultiPolygon{{square(0.05), square(0.01)}}); err != nil {
		t.Fatal(err)
	}
	if _, in := area.Index(c); in {
		t.Error("the cell in the hole is in the area")
	}
}

func TestCoveringAcrossTheAntimeridian(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at := orb.Point{180 + rapid.Float64Range(-0.1, 0.1).Draw(t, "lon"), rapid.Float64Range(-60, 60).Draw(t, "lat")}
		res := rapid.IntRange(6, 8).Draw(t, "res")
		size := 0.06 * math.Pow(7, -float64(res-6)/2) * rapid.Float64Range(0.2, 4).Draw(t, "cells wide")
		shape := holeyShapes(t, at, size)
		area, err := cell.Covering(res, wrapped(shape))
		if err != nil {
			t.Fatal(err)
		}
		checkCovering(t, shape, res, area)
	})
}

func TestCoveringAtAPentagon(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		res := rapid.IntRange(5, 8).Draw(t, "res")
		wide := 0.16 * math.Pow(7, -float64(res-5)/2)
		at := orb.Point{
			pentagon[0] + 3*wide*rapid.Float64Range(-1, 1).Draw(t, "east"),
			pentagon[1] + wide*rapid.Float64Range(-1, 1).Draw(t, "north"),
		}
		shape := holeyShapes(t, at, wide*rapid.Float64Range(0.2, 4).Draw(t, "cells wide"))
		area, err := cell.Covering(res, shape)
		if err != nil {
			t.Fatal(err)
		}
		checkCovering(t, shape, res, area)
	})
}

// A shape that was cut at the antimeridian, as files have it, is the same shape.
func TestCoveringOfAShapeCutAtTheAntimeridian(t *testing.T) {
	whole := orb.MultiPolygon{{orb.Bound{Min: orb.Point{179.8, 51}, Max: orb.Point{180.3, 51.4}}.ToRing()}}
	cut := orb.MultiPolygon{
		{orb.Bound{Min: orb.Point{179.8, 51}, Max: orb.Point{180, 51.4}}.ToRing()},
		{orb.Bound{Min: orb.Point{-180, 51}, Max: orb.Point{-179.7, 51.4}}.ToRing()},
	}
	for res := 5; res <= 8; res++ {
		a, err := cell.Covering(res, wrapped(whole))
		if err != nil {
			t.Fatal(err)
		}
		b, err := cell.Covering(res, cut)
		if err != nil {
			t.Fatal(err)
		}
		for i := range a.Len() {
			if _, in := b.Index(a.At(i)); !in {
				t.Errorf("resolution %d: %v is not in the area of the cut shape", res, a.At(i))
			}
		}
		if a.Len() != b.Len() || a.Len() < 5 {
			t.Errorf("resolution %d: %d cells whole, %d cut", res, a.Len(), b.Len())
		}
	}
}

func TestAreaNumbersItsCells(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var cells []cell.Cell
		for range rapid.IntRange(0, 60).Draw(t, "n") {
			p := geo.WGS84{rapid.Float64Range(107, 107.05).Draw(t, "lon"), rapid.Float64Range(38, 38.05).Draw(t, "lat")}
			c, err := cell.At(p, 9)
			if err != nil {
				t.Fatal(err)
			}
			cells = append(cells, c)
		}
		before := slices.Clone(cells)
		area, err := cell.NewArea(9, cells)
		if err != nil {
			t.Fatal(err)
		}
		want := map[cell.Cell]bool{}
		for _, c := range cells {
			want[c] = true
		}
		order := slices.Sorted(maps.Keys(want))
		if area.Len() != len(order) || !slices.Equal(cells, before) {
			t.Fatalf("%d cells of %d, or what was given has changed", area.Len(), len(order))
		}
		for i, c := range order {
			if n, in := area.Index(c); area.At(i) != c || !in || n != i {
				t.Fatalf("cell %d is %v, not %v, which is said to be %d, %v", i, area.At(i), c, n, in)
			}
		}
		elsewhere, err := cell.At(geo.WGS84{100, 30}, 9)
		if err != nil {
			t.Fatal(err)
		}
		if i, in := area.Index(elsewhere); in {
			t.Fatalf("a cell far away has number %d", i)
		}
	})
}

func TestAreasThatAreRefused(t *testing.T) {
	c, err := cell.At(geo.WGS84{107, 38}, 8)
	if err != nil {
		t.Fatal(err)
	}
	for _, cells := range [][]cell.Cell{{c}, {0}, {0x89fffffffffffff}} {
		if _, err := cell.NewArea(9, cells); err == nil {
			t.Errorf("%v makes an area of resolution 9", cells)
		}
	}
	area, err := cell.NewArea(8, []cell.Cell{c})
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range []int{-1, 0, 10} {
		if _, err := area.Rings(k); err == nil {
			t.Errorf("%d rings pass", k)
		}
	}
	box := func(w, s, e, n float64) orb.MultiPolygon {
		return orb.MultiPolygon{{orb.Bound{Min: orb.Point{w, s}, Max: orb.Point{e, n}}.ToRing()}}
	}
	for name, shape := range map[string]orb.MultiPolygon{
		"beyond 180":      box(179, 10, 181, 20),
		"beyond the pole": box(10, 80, 20, 91),
		"not a number":    {{{{math.NaN(), 1}, {2, 1}, {2, 2}, {math.NaN(), 1}}}},
	} {
		if a, err := cell.Covering(2, shape); err == nil {
			t.Errorf("%s: %d cells", name, a.Len())
		}
	}
	for name, shape := range map[string]orb.MultiPolygon{
		"none": {}, "no ring": {{}}, "empty ring": {{{}}},
	} {
		if a, err := cell.Covering(7, shape); err != nil || a.Len() != 0 {
			t.Errorf("%s: %d cells, %v", name, a.Len(), err)
		}
	}
	for _, res := range []int{-1, 16} {
		if a, err := cell.Covering(res, box(107, 38, 107.001, 38.001)); err == nil {
			t.Errorf("resolution %d: %d cells", res, a.Len())
		}
	}
}

// round finds the cells that share an edge with c by walking a circle of places round
// each corner, and knows of no list of neighbours.
func round(t rapid.TB, c cell.Cell) []cell.Cell {
	middle, err := c.Centre()
	if err != nil {
		t.Fatal(err)
	}
	found := map[cell.Cell]bool{}
	ring := beside(t, c, middle.Orb())
	for i := range len(ring) - 1 {
		// half way along an edge and a tenth of the way further out
		half := orb.Point{(ring[i][0] + ring[i+1][0]) / 2, (ring[i][1] + ring[i+1][1]) / 2}
		out := geo.WGS84{math.Remainder(half[0]+0.1*(half[0]-middle.Lon()), 360), half[1] + 0.1*(half[1]-middle.Lat())}
		n, err := cell.At(out, c.Res())
		if err != nil {
			t.Fatal(err)
		}
		found[n] = true
	}
	return slices.Collect(maps.Keys(found))
}

// checkRings holds the rings of an area against a walk from each cell to the next ones.
func checkRings(t rapid.TB, area cell.Area, k int) {
	near, err := area.Rings(k)
	if err != nil {
		t.Fatal(err)
	}
	if near.Len() != area.Len() {
		t.Fatalf("neighbours of %d cells, of %d", near.Len(), area.Len())
	}
	for i := range area.Len() {
		seen := map[cell.Cell]bool{area.At(i): true}
		edge := []cell.Cell{area.At(i)}
		for range k {
			var next []cell.Cell
			for _, c := range edge {
				for _, n := range round(t, c) {
					if !seen[n] {
						seen[n] = true
						next = append(next, n)
					}
				}
			}
			edge = next
		}
		var want []int32
		for c := range seen {
			if n, in := area.Index(c); in {
				want = append(want, int32(n))
			}
		}
		slices.Sort(want)
		if got := near.Of(i); !slices.Equal(got, want) {
			t.Fatalf("%d rings round %v: %v, not %v", k, area.At(i), got, want)
		}
	}
}

func TestRingsAreWhatAWalkReaches(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at := orb.Point{rapid.Float64Range(73, 135).Draw(t, "lon"), rapid.Float64Range(18, 54).Draw(t, "lat")}
		area, err := cell.Covering(8, holeyShapes(t, at, rapid.Float64Range(0.005, 0.03).Draw(t, "size")))
		if err != nil {
			t.Fatal(err)
		}
		checkRings(t, area, rapid.IntRange(1, 2).Draw(t, "k"))
	})
}

// pentagon is where one of the twelve cells of each resolution lies that have five
// neighbours: a corner of the icosahedron.
var pentagon = orb.Point{10.536199, 64.7}

func TestRingsRoundAPentagon(t *testing.T) {
	for res := 5; res <= 8; res++ {
		size := 0.5 * math.Pow(7, -float64(res-5)/2)
		box := orb.Bound{Min: orb.Point{pentagon[0] - 2*size, pentagon[1] - size}, Max: orb.Point{pentagon[0] + 2*size, pentagon[1] + size}}
		area, err := cell.Covering(res, orb.MultiPolygon{{box.ToRing()}})
		if err != nil {
			t.Fatal(err)
		}
		near, err := area.Rings(1)
		if err != nil {
			t.Fatal(err)
		}
		c, err := cell.At(geo.WGS84{pentagon[0], pentagon[1]}, res)
		if err != nil {
			t.Fatal(err)
		}
		i, in := area.Index(c)
		if !in || len(near.Of(i)) != 6 || len(round(t, c)) != 5 {
			t.Errorf("resolution %d: the cell %v has no pentagon's neighbours", res, c)
			continue
		}
		checkRings(t, area, 1)
		checkRings(t, area, 2)
	}
}

func TestRingsAcrossTheAntimeridian(t *testing.T) {
	shape := orb.MultiPolygon{{orb.Bound{Min: orb.Point{179.9, -17}, Max: orb.Point{180.1, -16.8}}.ToRing()}}
	area, err := cell.Covering(7, wrapped(shape))
	if err != nil {
		t.Fatal(err)
	}
	checkRings(t, area, 2)
}

func TestAnEmptyAreaHasNoNeighbours(t *testing.T) {
	area, err := cell.NewArea(8, nil)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := area.Rings(1); err != nil || n.Len() != 0 || area.Len() != 0 {
		t.Errorf("%d cells with neighbours, %v", n.Len(), err)
	}
	if (cell.Neighbours{}).Len() != 0 {
		t.Error("the zero Neighbours knows somebody")
	}
}
