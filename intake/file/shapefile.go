// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package file

import (
	"archive/zip"
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/paulmach/orb"

	"onemap/geo"
)

// shapefile is a Shapefile in a zip: shapes (.shp) and attributes (.dbf) row by row,
// and what tells how to read them (.prj, .cpg). The index (.shx) is not needed.
type shapefile struct {
	shp   *shpReader
	dbf   *dbfReader // nil when there is none
	datum geo.Datum  // "" without a .prj
	text  *attributeText
	lim   Limits
	ends  []entryEnd

	heights, measures, deleted, odd int64
}

// entryEnd is a file of the zip that is being read. Only at its end is it held
// against its checksum.
type entryEnd struct {
	name string
	in   io.Reader
	file io.Closer
}

// entry opens a file of the zip; end and close look after it.
func (l *shapefile) entry(e *zip.File) (io.Reader, error) {
	f, err := e.Open()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", e.Name, err)
	}
	in := bufio.NewReaderSize(f, 64<<10)
	l.ends = append(l.ends, entryEnd{e.Name, in, f})
	return in, nil
}

func (l *shapefile) close() {
	for _, e := range l.ends {
		_ = e.file.Close() // read only; errors came with the reading
	}
	l.ends = nil
}

func openShapefile(z *zip.Reader, encoding string, lim Limits) (*shapefile, error) {
	files, err := parts(z)
	if err != nil {
		return nil, err
	}
	l := &shapefile{lim: lim}
	if err := l.open(files, encoding); err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}

func (l *shapefile) open(files map[string]*zip.File, encoding string) error {
	if e := files[".prj"]; e != nil {
		raw, err := whole(e, 64<<10)
		if err != nil {
			return err
		}
		if l.datum, err = parsePRJ(raw); err != nil {
			return err
		}
	}
	e := files[".shp"]
	in, err := l.entry(e)
	if err != nil {
		return err
	}
	if l.shp, err = newShpReader(in, int64(e.UncompressedSize64)); err != nil {
		return err
	}
	return l.openAttributes(files, encoding)
}

// openAttributes opens the .dbf, once to find out whether its encoding can be
// right and once more to read it.
func (l *shapefile) openAttributes(files map[string]*zip.File, given string) error {
	e := files[".dbf"]
	if e == nil {
		l.text = &attributeText{name: "none"}
		return nil
	}
	var cpg string
	if c := files[".cpg"]; c != nil {
		raw, err := whole(c, 1<<10)
		if err != nil {
			return err
		}
		cpg = string(raw)
	}
	in, err := l.entry(e)
	if err != nil {
		return err
	}
	var language byte
	var names [][]byte
	if l.dbf, language, names, err = dbfHeader(in, l.lim); err != nil {
		return err
	}
	if l.text, err = attributeEncoding(given, cpg, language); err != nil {
		return err
	}
	if l.text.open() {
		sample, err := e.Open()
		if err != nil {
			return fmt.Errorf("%s: %w", e.Name, err)
		}
		defer sample.Close()
		if err := l.text.settle(sample); err != nil {
			return err
		}
	}
	return l.dbf.name(names, l.text)
}

// columns names all columns of the .dbf. Those that are left out are among them,
// without a value: that a file has them matters too.
func (l *shapefile) columns() []string {
	if l.dbf == nil {
		return nil
	}
	return l.dbf.names
}

// next returns the next shape with its attributes as a GeoJSON feature.
func (l *shapefile) next() ([]byte, error) {
	text, err := l.read()
	if err != nil {
		l.close()
	}
	return text, err
}

func (l *shapefile) read() ([]byte, error) {
	for {
		s, err := l.shp.next()
		if errors.Is(err, io.EOF) {
			return nil, l.end()
		}
		if err != nil {
			return nil, err
		}
		if int64(l.shp.n) > l.lim.Rows {
			return nil, fmt.Errorf("the Shapefile has more than %d shapes", l.lim.Rows)
		}
		properties := []byte("{}")
		if l.dbf != nil {
			var deleted bool
			properties, deleted, err = l.dbf.next()
			switch {
			case errors.Is(err, io.EOF):
				return nil, fmt.Errorf("the .dbf has %d rows, the .shp has more: these files do not belong together", l.dbf.rows)
			case err != nil:
				return nil, err
			case deleted:
				l.deleted++
				continue
			}
		}
		return l.feature(s, properties), nil
	}
}

// end is what follows the last shape: nothing. The files are read to their ends,
// where a changed byte shows in the checksum.
func (l *shapefile) end() error {
	for _, e := range l.ends {
		switch _, err := io.CopyN(io.Discard, e.in, l.lim.Unpacked+1); {
		case err == nil:
			return fmt.Errorf("%s has more than %d MiB", e.name, l.lim.Unpacked>>20)
		case !errors.Is(err, io.EOF):
			return fmt.Errorf("%s in the zip is damaged: copy the file again: %w", e.name, err)
		}
	}
	if l.dbf != nil && l.dbf.n < l.dbf.rows {
		return fmt.Errorf("the .shp has %d shapes, the .dbf %d rows: these files do not belong together", l.shp.n, l.dbf.rows)
	}
	return io.EOF
}

func (l *shapefile) feature(s shpShape, properties []byte) []byte {
	if s.z {
		l.heights++
	}
	if s.m {
		l.measures++
	}
	out := append([]byte(`{"type":"Feature","properties":`), properties...)
	geometry, odd, err := geometryJSON(s)
	if s.fault == "" && err != nil {
		s.fault = err.Error()
	}
	if odd {
		l.odd++
	}
	if s.fault != "" {
		out = append(appendJSON(append(out, `,"onemap:fault":`...), s.fault), `,"geometry":null}`...)
		return out
	}
	out = append(append(out, `,"geometry":`...), geometry...)
	return append(out, '}')
}

func (l *shapefile) notes() []string {
	var out []string
	say := func(n int64, format string) {
		if n > 0 {
			out = append(out, fmt.Sprintf(format, n))
		}
	}
	say(l.heights, "heights (Z) of %d shapes are left out")
	say(l.measures, "measures (M) of %d shapes are left out")
	say(l.deleted, "%d rows marked as deleted in the .dbf are left out")
	say(l.odd, "the rings of %d shapes run the wrong way round and are put together by how they lie")
	if l.dbf == nil {
		return append(out, "the zip has no .dbf: the shapes have no attributes")
	}
	say(int64(l.dbf.cutTexts), "%d texts fill their column and lose a last character that was cut in two")
	for _, name := range l.dbf.left {
		out = append(out, "column "+name+" of the .dbf is left out")
	}
	return out
}

// geometryJSON is a shape as a GeoJSON geometry, numbers exactly as they are.
func geometryJSON(s shpShape) (text []byte, odd bool, err error) {
	if s.fault != "" {
		return nil, false, nil
	}
	var b bytes.Buffer
	switch s.kind {
	case shpNull:
		return []byte("null"), false, nil
	case shpPoint:
		b.WriteString(`{"type":"Point","coordinates":`)
		b.Write(appendPoint(nil, s.parts[0][0]))
	case shpMultiPoint:
		b.WriteString(`{"type":"MultiPoint","coordinates":`)
		b.Write(appendPoints(nil, s.parts[0]))
	case shpLine:
		kind, open, shut := "LineString", "", ""
		if len(s.parts) != 1 {
			kind, open, shut = "MultiLineString", "[", "]"
		}
		b.WriteString(`{"type":"` + kind + `","coordinates":` + open)
		for i, part := range s.parts {
			if i > 0 {
				b.WriteByte(',')
			}
			b.Write(appendPoints(nil, part))
		}
		b.WriteString(shut)
	case shpPolygon:
		mp, odd, err := assemble(s.parts, geo.BoundaryLimits)
		if err != nil {
			return nil, false, err
		}
		b.WriteString(`{"type":"MultiPolygon","coordinates":[`)
		for i, part := range mp {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteByte('[')
			for k, ring := range part {
				if k > 0 {
					b.WriteByte(',')
				}
				b.Write(appendPoints(nil, ring))
			}
			b.WriteByte(']')
		}
		b.WriteString(`]}`)
		return b.Bytes(), odd, nil
	}
	b.WriteByte('}')
	return b.Bytes(), false, nil
}

func appendPoints(b []byte, points []orb.Point) []byte {
	b = append(b, '[')
	for i, p := range points {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendPoint(b, p)
	}
	return append(b, ']')
}

func appendPoint(b []byte, p orb.Point) []byte {
	b = strconv.AppendFloat(append(b, '['), p[0], 'g', -1, 64)
	b = strconv.AppendFloat(append(b, ','), p[1], 'g', -1, 64)
	return append(b, ']')
}
