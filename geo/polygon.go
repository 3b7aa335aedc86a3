// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package geo

import (
	"fmt"
	"math"

	"github.com/paulmach/orb"
)

// Limits bounds the work a polygon may cause.
type Limits struct {
	Vertices int // of all rings together, closing points included
	Holes    int // of all parts together
}

var (
	// DefaultLimits is for polygons that come with a request.
	DefaultLimits = Limits{Vertices: 2000, Holes: 50}
	// BoundaryLimits is for boundary files an administrator imports.
	BoundaryLimits = Limits{Vertices: 100_000, Holes: 5_000}
)

// Fault says what is wrong with a polygon.
type Fault string

const (
	FaultEmpty        Fault = "empty"        // no part, or a part without a ring
	FaultTooLarge     Fault = "too_large"    // more vertices or holes than the limit
	FaultPlace        Fault = "place"        // a coordinate is not finite or not on earth
	FaultShort        Fault = "short"        // a ring of fewer than four points, or without area
	FaultOpen         Fault = "open"         // the last point of a ring is not its first
	FaultCrossing     Fault = "crossing"     // two edges cross (a bow-tie) or run over each other
	FaultTouching     Fault = "touching"     // a ring touches itself
	FaultHole         Fault = "hole"         // a hole is not inside its part, or is inside another hole
	FaultOverlap      Fault = "overlap"      // two parts share area
	FaultDisconnected Fault = "disconnected" // holes cut a part in two
)

// PolygonError is the first fault found in a polygon and its place.
type PolygonError struct {
	Fault      Fault
	Part, Ring int       // from 0; ring 0 is the outline, the others are holes
	At         orb.Point // where; the zero point when the fault has no place
	Text       string
}

func (e *PolygonError) Error() string { return e.Text }

// CheckPolygon says whether PostGIS would call mp valid, without asking it:
// every coordinate on earth, rings closed and of four points or more, no two
// edges crossing or overlapping, holes inside their part, parts disjoint and
// each in one piece. Repeated points and either ring direction are accepted.
// The error is a *PolygonError. The orientation tests are exact.
func CheckPolygon(mp orb.MultiPolygon, l Limits) error {
	if err := checkSize(mp, l); err != nil {
		return err
	}
	for i, part := range mp {
		for j, ring := range part {
			if err := checkRing(i, j, ring); err != nil {
				return err
			}
		}
	}
	m := newMesh(mp)
	if err := m.checkEdges(); err != nil {
		return err
	}
	if err := m.checkNesting(); err != nil {
		return err
	}
	return m.checkConnected()
}

func checkSize(mp orb.MultiPolygon, l Limits) error {
	if len(mp) == 0 {
		return &PolygonError{Fault: FaultEmpty, Text: "the polygon has no part"}
	}
	var vertices, holes int
	for i, part := range mp {
		if len(part) == 0 {
			return &PolygonError{Fault: FaultEmpty, Part: i, Text: fmt.Sprintf("part %d has no ring", i+1)}
		}
		holes += len(part) - 1
		for _, ring := range part {
			vertices += len(ring)
		}
	}
	if vertices > l.Vertices {
		return &PolygonError{Fault: FaultTooLarge, Text: fmt.Sprintf("the polygon has %d vertices, more than the limit of %d", vertices, l.Vertices)}
	}
	if holes > l.Holes {
		return &PolygonError{Fault: FaultTooLarge, Text: fmt.Sprintf("the polygon has %d holes, more than the limit of %d", holes, l.Holes)}
	}
	return nil
}

// OnEarth says whether p is a finite longitude and latitude.
func OnEarth(p orb.Point) bool {
	return math.Abs(p[0]) <= 180 && math.Abs(p[1]) <= 90 // false for NaN
}

func checkRing(part, n int, ring orb.Ring) error {
	fail := func(f Fault, at orb.Point, format string, args ...any) error {
		text := fmt.Sprintf("%s: ", ringName(part, n)) + fmt.Sprintf(format, args...)
		return &PolygonError{Fault: f, Part: part, Ring: n, At: at, Text: text}
	}
	for i, p := range ring {
		if !OnEarth(p) {
			return fail(FaultPlace, orb.Point{}, "point %d (%v, %v) is no longitude and latitude", i+1, p[0], p[1])
		}
	}
	if len(ring) < 4 {
		return fail(FaultShort, orb.Point{}, "%d points, a ring needs four or more", len(ring))
	}
	first, last := ring[0], ring[len(ring)-1]
	if first != last {
		return fail(FaultOpen, last, "not closed, it begins at %s and ends at %s", placeName(first), placeName(last))
	}
	if len(distinct(ring)) < 3 {
		return fail(FaultShort, first, "encloses no area at %s", placeName(first))
	}
	return nil
}

func ringName(part, ring int) string {
	if ring == 0 {
		return fmt.Sprintf("part %d, outline", part+1)
	}
	return fmt.Sprintf("part %d, hole %d", part+1, ring)
}

func placeName(p orb.Point) string {
	return fmt.Sprintf("%.6f,%.6f", p[0], p[1])
}

// distinct returns the points of a closed ring without the closing point and
// without immediate repeats.
func distinct(ring orb.Ring) []orb.Point {
	out := make([]orb.Point, 0, len(ring))
	for _, p := range ring[:len(ring)-1] {
		if len(out) == 0 || out[len(out)-1] != p {
			out = append(out, p)
		}
	}
	for len(out) > 1 && out[len(out)-1] == out[0] {
		out = out[:len(out)-1]
	}
	return out
}
