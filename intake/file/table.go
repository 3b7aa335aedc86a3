// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package file

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"onemap/geo"
)

// Reader reads the rows of a file one by one, whatever its format: see Open.
type Reader struct {
	rows   tableRows
	format Format
	shapes *Shapes // of which the rows are the features; nil for other formats
	close  []io.Closer
}

// tableRows is what the formats have in common; the methods are Reader's.
type tableRows interface {
	Header() []string
	Encoding() string
	Next() (Row, error)
	Progress() (read, total int64)
}

// Open opens path for reading and finds out what it is: CSV (.gz too), a workbook
// (XLSX), or points as GeoJSON, GeoJSONSeq or a zipped Shapefile. Points have their
// attributes as columns and their coordinates in LonColumn and LatColumn. The
// caller closes the Reader.
func Open(path string) (*Reader, error) { return OpenTable(path, Options{}) }

// OpenTable is Open with options.
func OpenTable(path string, o Options) (*Reader, error) {
	f, err := open(path, o.limits(PackedLimits))
	if err != nil {
		return nil, err
	}
	r, err := f.table(o)
	if err != nil {
		_ = f.file.Close() // read only; the first error says more
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return r, nil
}

func (o *opened) table(opt Options) (*Reader, error) {
	r := &Reader{format: o.format, close: []io.Closer{o.file}}
	var err error
	switch o.format {
	case CSV:
		r.rows, err = newCSV(o.file, o.size, o.gz, opt.Encoding, opt.limits(DefaultLimits))
	case XLSX:
		var w *workbook
		if w, err = openWorkbook(o.file, o.size, o.zip, opt.Sheet, opt.limits(PackedLimits)); err == nil {
			r.rows, r.close = w, []io.Closer{w, o.file}
		}
	default:
		if r.shapes, err = o.shapes(opt, opt.limits(PackedLimits)); err == nil {
			r.rows, err = newPoints(r.shapes, opt.limits(PackedLimits), o.any)
		}
	}
	return r, err
}

// NewReader reads CSV from src, through gzip if gz is set, and reads the header.
// size is the number of bytes src holds, 0 if unknown; it serves Progress only.
func NewReader(src io.Reader, size int64, gz bool, lim Limits) (*Reader, error) {
	c, err := newCSV(src, size, gz, "", lim)
	if err != nil {
		return nil, err
	}
	return &Reader{rows: c, format: CSV}, nil
}

// Format says what kind of file it is.
func (r *Reader) Format() Format { return r.format }

// Header returns the column names in the order of the file.
func (r *Reader) Header() []string { return r.rows.Header() }

// Encoding names the text encoding as far as the file has shown it: "ascii",
// "utf-8" or "gb18030".
func (r *Reader) Encoding() string { return r.rows.Encoding() }

// Datum is what a file of points says its coordinates are; "" when it does not
// say, as tables never do.
func (r *Reader) Datum() geo.Datum {
	if r.shapes == nil {
		return ""
	}
	return r.shapes.Datum()
}

// Notes says what was left out or mended, once all rows are read.
func (r *Reader) Notes() []string {
	if r.shapes == nil {
		return nil
	}
	return r.shapes.Notes()
}

// Bind is Map.Bind for this file: it also sees that the map and the file say the
// same of the coordinates.
func (r *Reader) Bind(m Map) (*Mapper, error) {
	if m.datum != "" {
		if err := r.Agrees(m.datum); err != nil {
			return nil, fmt.Errorf("column map: crs: %w", err)
		}
	}
	return m.Bind(r.Header())
}

// Agrees refuses what somebody says the coordinates are where the file says
// something else.
func (r *Reader) Agrees(d geo.Datum) error {
	if r.shapes == nil {
		return nil
	}
	_, err := DatumOf(r.shapes, d)
	return err
}

// Progress returns how much of the file was read, and of how much (0 if unknown):
// bytes of a CSV file, rows of the others. It may be called while another
// goroutine reads.
func (r *Reader) Progress() (read, total int64) { return r.rows.Progress() }

// Next returns the next row, io.EOF after the last one. A row that breaks the
// format is returned with its Fault and reading goes on. Any other error ends
// the reading (a file cut off, a quote that never closes, a limit): it says where,
// and the rows before it are good.
func (r *Reader) Next() (Row, error) { return r.rows.Next() }

// Close closes the file.
func (r *Reader) Close() error {
	var errs []error
	for _, c := range r.close {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}

// The columns in which a file of points has its coordinates: the first and the
// second number of each, as the file has them.
const (
	LonColumn = "@lon"
	LatColumn = "@lat"
)

// points gives the features of a file as rows.
type points struct {
	shapes   *Shapes
	header   []string // attributes, then the two columns of the place
	features []feature
	any      bool    // other shapes than points are rows too; their coordinates stay empty
	at       counter // rows read; only its count is used
}

func newPoints(s *Shapes, lim Limits, other bool) (*points, error) {
	features, err := readFeatures(s)
	if err != nil {
		return nil, err
	}
	if int64(len(features)) > lim.Rows {
		return nil, fmt.Errorf("the file has %d features, more than %d", len(features), lim.Rows)
	}
	p := &points{shapes: s, features: features, any: other, header: slices.Clone(s.Columns())}
	if p.header == nil {
		if p.header = propertyNames(features); len(p.header) > lim.Columns {
			return nil, fmt.Errorf("the features have more than %d different properties", lim.Columns)
		}
	}
	for _, c := range []string{LonColumn, LatColumn} {
		if slices.Contains(p.header, c) {
			return nil, fmt.Errorf("the file has a property %q, which is the name for a coordinate: give it another name", c)
		}
	}
	p.header = append(p.header, LonColumn, LatColumn)
	return p, nil
}

func (p *points) Header() []string         { return p.header }
func (p *points) Encoding() string         { return p.shapes.Encoding() }
func (p *points) Progress() (int64, int64) { return p.at.n.Load(), int64(len(p.features)) }

func (p *points) Next() (Row, error) {
	i := p.at.n.Load()
	if i == int64(len(p.features)) {
		return Row{}, io.EOF
	}
	p.at.n.Add(1)
	f := p.features[i]
	row := Row{N: i + 1, Line: i + 1, Fault: f.Fault, Cells: make([]string, len(p.header))}
	for k, name := range p.header[:len(p.header)-2] {
		row.Cells[k] = cellText(f.Properties[name])
	}
	if f.Geometry == nil || row.Fault != "" || p.any && f.Geometry.Type != "Point" {
		return row, nil
	}
	var at struct{ position }
	switch err := json.Unmarshal(f.Geometry.Coordinates, &at.position); {
	case f.Geometry.Type != "Point":
		row.Fault = fmt.Sprintf("应为点，实为 %s", short(f.Geometry.Type))
	case err != nil:
		row.Fault = "坐标无法读取：" + short(err.Error())
	default:
		row.Cells[len(row.Cells)-2], row.Cells[len(row.Cells)-1] = number(at.position[0]), number(at.position[1])
	}
	return row, nil
}

// cellText is a GeoJSON property as the text of a cell.
func cellText(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case json.Number:
		return v.String()
	}
	text, err := json.Marshal(v)
	if err != nil {
		return "" // what came from JSON goes back to it
	}
	return string(text)
}
