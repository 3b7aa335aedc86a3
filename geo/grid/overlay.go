// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package grid

import (
	"errors"
	"fmt"
	"strings"

	"github.com/paulmach/orb"

	"onemap/geo"
)

// Area is one area of an overlay: a police beat, the grid of a department. Areas
// may lie over each other and across the grids of the tree.
type Area struct {
	Code   Code // unique in its overlay
	Name   string
	Parent Code // of another area of the overlay, or ""
	Geom   orb.MultiPolygon
}

// CheckAreas finds what keeps the areas of an overlay from being stored: codes,
// names and parents, and invalid shapes with their place.
func CheckAreas(areas []Area) []Fault {
	var faults []Fault
	add := func(kind FaultKind, a Area, text string) {
		faults = append(faults, Fault{Kind: kind, Code: a.Code, Other: a.Parent, Text: fmt.Sprintf("area %s: %s", a.Code, text)})
	}
	parent := make(map[Code]Code, len(areas))
	for _, a := range areas {
		if _, double := parent[a.Code]; double {
			add(FaultDuplicate, a, "another area has this code")
			continue
		}
		parent[a.Code] = a.Parent
	}
	circles := inCircles(parent)
	for _, a := range areas {
		what := wrongWords(Draft{Code: a.Code, Name: a.Name, Level: 1})
		switch {
		case what != "":
			add(FaultInvalid, a, what)
		case len([]rune(a.Name)) > 200:
			add(FaultInvalid, a, "a name of more than 200 letters")
		case strings.TrimSpace(string(a.Code)) != string(a.Code):
			add(FaultInvalid, a, "a space before or behind its code")
		}
		if _, known := parent[a.Parent]; a.Parent != "" && !known {
			add(FaultOrphan, a, fmt.Sprintf("its parent %s is not in the overlay", a.Parent))
		} else if circles[a.Code] {
			add(FaultOrphan, a, fmt.Sprintf("following the parents from %s leads round in a circle", a.Parent))
		}
		var pe *geo.PolygonError
		if err := geo.CheckPolygon(a.Geom, geo.BoundaryLimits); errors.As(err, &pe) {
			add(FaultInvalid, a, pe.Text)
			faults[len(faults)-1].At = pe.At
		}
	}
	return faults
}

// inCircles finds the codes from which the way up comes back to where it was: those
// of circles, and what hangs below them.
func inCircles(parent map[Code]Code) map[Code]bool {
	const ends = 1 // seen, with an end above
	seen := make(map[Code]int, len(parent))
	circles := map[Code]bool{}
	walk := ends
	for c := range parent {
		walk++
		var way []Code
		for c != "" && seen[c] == 0 {
			seen[c] = walk
			way = append(way, c)
			c = parent[c]
		}
		round := c != "" && (seen[c] == walk || circles[c])
		for _, c := range way {
			seen[c] = ends
			if round {
				circles[c] = true
			}
		}
	}
	return circles
}
