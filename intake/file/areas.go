// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package file

import (
	"errors"
	"fmt"
	"io"
	"strconv"

	"onemap/geo"
	"onemap/geo/grid"
)

// AreaRow is one feature of a file of areas: the area, or why it is none.
type AreaRow struct {
	N    int // of the feature, from 1
	Area grid.Area
	Err  error // of reading it, or of its shape: a *geo.PolygonError
}

// AreaColumns are the columns of a reject file of areas.
var AreaColumns = []string{"code", "name"}

// Reject is a refused area as a record of the reject file.
func (r AreaRow) Reject() []byte {
	return RejectRecord(Row{N: int64(r.N), Cells: []string{string(r.Area.Code), r.Area.Name}}, []string{r.Err.Error()})
}

// ReadAreas reads the features of a file as areas of an overlay in WGS-84, in the
// order of the file. Options are as for ReadBoundaries, without a level; Parent is
// a property that may be missing from a feature, and "" when no area has a parent.
// A feature that is no area is returned with its fault. The error is about the
// file as a whole; one of which no feature has the code's or the name's property
// is such a file.
func ReadAreas(r io.Reader, o BoundaryOptions) ([]AreaRow, error) {
	datum, err := datumOf(r, o.Datum)
	if err != nil {
		return nil, err
	}
	features, err := readFeatures(r)
	if err != nil {
		return nil, err
	}
	if len(features) > MaxGrids {
		return nil, fmt.Errorf("the file has %d features, more than the limit of %d areas", len(features), MaxGrids)
	}
	o.Datum, o.Level, o.Code, o.Name = datum, 1, orDefault(o.Code, "code"), orDefault(o.Name, "name")
	for _, p := range []struct{ what, name string }{{"code", o.Code}, {"name", o.Name}, {"parent", o.Parent}} {
		if p.name != "" && !has(features, p.name) {
			return nil, fmt.Errorf("no feature has the property %q for the %s; there are %s", p.name, p.what, features[0].names())
		}
	}
	out := make([]AreaRow, 0, len(features))
	for i, f := range features {
		row := AreaRow{N: i + 1}
		d, err := f.draft(o)
		if err == nil {
			err = geo.CheckPolygon(d.Geom, geo.BoundaryLimits)
		}
		row.Area, row.Err = grid.Area{Code: d.Code, Name: d.Name, Geom: d.Geom}, err
		if o.Parent != "" {
			parent, _ := f.property(o.Parent)
			row.Area.Parent = grid.Code(parent)
		}
		out = append(out, row)
	}
	return refuseDoubles(out), nil
}

// refuseDoubles marks every area whose code an earlier one has.
func refuseDoubles(rows []AreaRow) []AreaRow {
	first := map[grid.Code]int{}
	for i, r := range rows {
		if at, double := first[r.Area.Code]; double && r.Err == nil {
			rows[i].Err = errors.New(string(r.Area.Code) + ": feature " + strconv.Itoa(at) + " has this code")
		} else if !double && r.Area.Code != "" {
			first[r.Area.Code] = r.N
		}
	}
	return rows
}
