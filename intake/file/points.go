// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package file

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Columns that the points of a GeoJSON file get beside their properties.
const (
	PointLon = "geometry.lon"
	PointLat = "geometry.lat"
)

// Table is a file of rows under named columns: a CSV file (Reader) or the points
// of a GeoJSON file (Points).
type Table interface {
	Header() []string
	Next() (Row, error) // io.EOF after the last row; a Row may have a Fault
	Progress() (read, total int64)
	Close() error
}

// OpenTable opens a CSV or GeoJSON file by the end of its name (.csv, .geojson,
// .json, each also .gz). The caller closes it.
func OpenTable(path string) (Table, error) {
	name := strings.TrimSuffix(strings.ToLower(path), ".gz")
	if strings.HasSuffix(name, ".geojson") || strings.HasSuffix(name, ".json") {
		return openPoints(path)
	}
	if strings.HasSuffix(name, ".csv") {
		return Open(path)
	}
	return nil, fmt.Errorf("%s: .csv or .geojson is wanted, or one of them as .gz", path)
}

// Points are the point features of a GeoJSON file as rows: one column for each
// property that any feature has, in the order of their names, and two for the
// point. A feature that is no point is a row with a Fault.
type Points struct {
	header   []string
	features []feature
	n        int
}

func openPoints(path string) (*Points, error) {
	r, err := OpenBoundaries(path)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	p, err := ReadPoints(r)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return p, nil
}

// ReadPoints reads a GeoJSON FeatureCollection.
func ReadPoints(r io.Reader) (*Points, error) {
	fs, err := readFeatures(r)
	if err != nil {
		return nil, err
	}
	names := map[string]bool{}
	for _, f := range fs {
		for k := range f.Properties {
			names[k] = true
		}
	}
	if len(names) > DefaultLimits.Columns {
		return nil, fmt.Errorf("the features have more than %d properties", DefaultLimits.Columns)
	}
	delete(names, PointLon)
	delete(names, PointLat)
	return &Points{features: fs, header: append(slices.Sorted(maps.Keys(names)), PointLon, PointLat)}, nil
}

// Header returns the column names.
func (p *Points) Header() []string { return p.header }

// Progress returns how many features were read, and of how many.
func (p *Points) Progress() (read, total int64) { return int64(p.n), int64(len(p.features)) }

// Close does nothing: the file was read whole.
func (p *Points) Close() error { return nil }

// Next returns the next feature as a row, io.EOF after the last.
func (p *Points) Next() (Row, error) {
	if p.n == len(p.features) {
		return Row{}, io.EOF
	}
	f := p.features[p.n]
	p.n++
	row := Row{N: int64(p.n), Line: int64(p.n), Cells: make([]string, len(p.header))}
	for i, h := range p.header[:len(p.header)-2] {
		row.Cells[i] = cellOf(f.Properties[h])
	}
	at, err := f.Geometry.point()
	if err != nil {
		row.Fault = "几何不是点：" + short(err.Error())
		return row, nil
	}
	row.Cells[len(row.Cells)-2] = strconv.FormatFloat(at[0], 'f', -1, 64)
	row.Cells[len(row.Cells)-1] = strconv.FormatFloat(at[1], 'f', -1, 64)
	return row, nil
}

// cellOf is a property as text; lists and objects are left out.
func cellOf(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	case bool:
		return strconv.FormatBool(v)
	}
	return ""
}

// point decodes a Point, in the file's own datum.
func (s *shape) point() (position, error) {
	if s == nil {
		return position{}, errors.New("no geometry")
	}
	if s.Type != "Point" {
		return position{}, fmt.Errorf("a Point is wanted, not %q", s.Type)
	}
	var p position
	if err := json.Unmarshal(s.Coordinates, &p); err != nil {
		return position{}, fmt.Errorf("coordinates: %w", err)
	}
	return p, nil
}
