// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package file

import (
	"errors"
	"fmt"
	"slices"

	"onemap/geo"
	"onemap/geo/grid"
)

// BoundaryPreview is how a file of boundaries would be read.
type BoundaryPreview struct {
	Features int             // in the file
	Columns  []string        // properties of its features
	Datum    geo.Datum       // of the coordinates; "" when nobody has said it
	Options  BoundaryOptions // as given, or guessed from the properties
	Guessed  []string        // which of code, name and parent were guessed
	Rows     []BoundaryRow   // the first features
}

// BoundaryRow is one feature of a preview: a grid, or why it is none.
type BoundaryRow struct {
	N     int // of the feature, from 1
	Draft grid.Draft
	Err   error // of reading, or of the polygon check: a *geo.PolygonError
}

// PreviewBoundaries reads s and says how ReadBoundaries would take its first n
// features, each with its fault. Properties that the file does not have are
// replaced by those that look right; ReadBoundaries itself never guesses.
func PreviewBoundaries(s *Shapes, o BoundaryOptions, n int) (BoundaryPreview, error) {
	datum, datumErr := DatumOf(s, o.Datum)
	features, err := readFeatures(s)
	if err != nil {
		return BoundaryPreview{}, err
	}
	p := BoundaryPreview{Features: len(features), Columns: s.Columns(), Datum: datum}
	if p.Columns == nil {
		p.Columns = propertyNames(features)
	}
	o.Datum, o.Code, o.Name, o.Parent = datum, orDefault(o.Code, "code"), orDefault(o.Name, "name"), orDefault(o.Parent, "parent")
	for _, f := range []struct {
		name string
		to   *string
	}{{"code", &o.Code}, {"name", &o.Name}, {"parent", &o.Parent}} {
		if has(features, *f.to) || f.name == "parent" && o.Level == 1 {
			continue
		}
		if c := usual(p.Columns, f.name); c != "" {
			*f.to, p.Guessed = c, append(p.Guessed, f.name)
		}
	}
	p.Options = o
	for i, f := range features[:min(n, len(features))] {
		r := BoundaryRow{N: i + 1}
		if r.Draft, r.Err = f.draft(o); r.Err == nil {
			r.Err = geo.CheckPolygon(r.Draft.Geom, geo.BoundaryLimits)
		}
		if datum == "" { // without it no coordinate can be read
			r.Err = fmt.Errorf("%s: %w", r.Draft.Code, errNoDatum)
		}
		p.Rows = append(p.Rows, r)
	}
	if errors.Is(datumErr, errNoDatum) {
		return p, nil // the rows say it
	}
	return p, datumErr
}

// propertyNames lists the properties of all features.
func propertyNames(features []feature) []string {
	names := map[string]bool{}
	for _, f := range features {
		for name := range f.Properties {
			names[name] = true
		}
	}
	out := make([]string, 0, len(names))
	for name := range names {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// has says that some feature has the property.
func has(features []feature, property string) bool {
	return slices.ContainsFunc(features, func(f feature) bool { _, ok := f.property(property); return ok })
}
