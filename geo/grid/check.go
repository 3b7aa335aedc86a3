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

// FaultKind names what is wrong with a boundary set.
type FaultKind string

const (
	FaultOrphan        FaultKind = "orphan"         // the parent is not in the set, or missing
	FaultDuplicate     FaultKind = "duplicate_code" // another grid has the code
	FaultSkippedLevel  FaultKind = "skipped_level"  // the parent is not one level above
	FaultInvalid       FaultKind = "invalid"        // the code, name, level or boundary cannot be stored
	FaultOverlap       FaultKind = "overlap"        // two grids of one parent share area
	FaultGap           FaultKind = "gap"            // no child covers a piece of the parent
	FaultOutsideParent FaultKind = "outside_parent" // a piece of the child lies outside its parent
)

// FaultKinds lists all kinds, the gravest first.
func FaultKinds() []FaultKind {
	return []FaultKind{FaultInvalid, FaultDuplicate, FaultOrphan, FaultSkippedLevel, FaultOverlap, FaultGap, FaultOutsideParent}
}

// Fault is one thing wrong with a boundary set. AreaM2 and Share (of the
// smaller grid, or of the parent for a gap) are set for the last three kinds,
// At for faults that have a place.
type Fault struct {
	Kind        FaultKind
	Code, Other Code
	At          orb.Point
	AreaM2      float64
	Share       float64
	Text        string
}

// Structural says whether the fault keeps the set from being stored; the others
// can be lived with.
func (f Fault) Structural() bool {
	return f.Kind != FaultOverlap && f.Kind != FaultGap && f.Kind != FaultOutsideParent
}

// Check finds what keeps a boundary set from being stored: orphans, double
// codes, skipped levels, invalid boundaries. Areas that overlap or lack are
// found by the database.
func Check(ds []Draft) []Fault {
	var faults []Fault
	add := func(kind FaultKind, d Draft, format string, args ...any) {
		faults = append(faults, Fault{Kind: kind, Code: d.Code, Other: d.Parent, Text: fmt.Sprintf("grid %s: ", d.Code) + fmt.Sprintf(format, args...)})
	}
	level := make(map[Code]int, len(ds))
	roots := 0
	for _, d := range ds {
		if _, double := level[d.Code]; double {
			add(FaultDuplicate, d, "another grid has this code")
			continue
		}
		level[d.Code] = d.Level
	}
	for _, d := range ds {
		if what := wrongWords(d); what != "" {
			add(FaultInvalid, d, "%s", what)
		}
		above, known := level[d.Parent]
		switch {
		case d.Level == 1 && d.Parent == "":
			roots++
		case d.Level == 1:
			add(FaultSkippedLevel, d, "a grid of level 1 has the parent %s", d.Parent)
		case d.Parent == "":
			add(FaultOrphan, d, "no parent is named")
		case !known:
			add(FaultOrphan, d, "its parent %s is not in the set", d.Parent)
		case above != d.Level-1:
			add(FaultSkippedLevel, d, "of level %d, but its parent %s is of level %d", d.Level, d.Parent, above)
		}
		var pe *geo.PolygonError
		if err := geo.CheckPolygon(d.Geom, geo.BoundaryLimits); errors.As(err, &pe) {
			add(FaultInvalid, d, "%s", pe.Text)
			faults[len(faults)-1].At = pe.At
		}
	}
	if roots != 1 && len(ds) > 0 {
		faults = append(faults, Fault{Kind: FaultInvalid, Text: fmt.Sprintf("%d grids of level 1, one is wanted", roots)})
	}
	return faults
}

// wrongWords says what is wrong with a draft's code, name or level.
func wrongWords(d Draft) string {
	switch n := len([]rune(string(d.Code))); {
	case n == 0:
		return "no code"
	case n > 64:
		return "a code of more than 64 letters"
	case strings.ContainsRune(string(d.Code), 0), strings.ContainsRune(d.Name, 0):
		return "a zero byte in its code or name"
	case strings.TrimSpace(d.Name) == "":
		return "no name"
	case d.Level < 1 || d.Level > MaxLevel:
		return fmt.Sprintf("level %d is not within 1 to %d", d.Level, MaxLevel)
	}
	return ""
}
