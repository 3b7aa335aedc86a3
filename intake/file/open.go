// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package file

import (
	"archive/zip"
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"onemap/geo"
)

// Format is a kind of file an import reads.
type Format string

const (
	CSV       Format = "CSV"
	XLSX      Format = "XLSX"
	GeoJSON   Format = "GeoJSON"
	GeoSeq    Format = "GeoJSONSeq" // RFC 8142, or one feature a line
	Shapefile Format = "Shapefile"  // in a zip
)

// Options say what a file does not say itself. The zero value is right for most.
type Options struct {
	Encoding string // of a Shapefile's attributes or a CSV file: UTF-8, GBK or GB18030; it wins over what the file says
	Sheet    string // of a workbook; empty: the first one
	Limits   Limits // zero: the format's own (DefaultLimits, PackedLimits)
}

// PackedLimits are the limits for workbooks, Shapefiles and all files of shapes.
var PackedLimits = Limits{RowBytes: 1 << 20, Rows: 300_000, Columns: 500, Unpacked: 200 << 20, Ratio: 100}

// limits fills in the format's own limits.
func (o Options) limits(own Limits) Limits {
	if o.Limits == (Limits{}) {
		return own
	}
	return o.Limits
}

// opened is a file of which the format is known.
type opened struct {
	format Format
	file   *os.File
	size   int64
	gz     bool        // a gzip file: format is of what is in it
	zip    *zip.Reader // of a Shapefile or a workbook
	any    bool        // rows of shapes may be of any geometry, not points alone
}

// open opens path and finds its format out: by the first bytes, for a zip by what
// is in it, and by the name where text could be either of two.
func open(name string, lim Limits) (*opened, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	o := &opened{file: f}
	if err := o.detect(strings.ToLower(name), lim); err != nil {
		_ = f.Close() // read only; the first error says more
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return o, nil
}

func (o *opened) detect(name string, lim Limits) error {
	st, err := o.file.Stat()
	if err != nil {
		return err
	}
	if o.size = st.Size(); !st.Mode().IsRegular() {
		return errors.New("it is no file")
	}
	head := make([]byte, 512)
	n, err := o.file.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	head = head[:n]
	switch {
	case bytes.HasPrefix(head, []byte("PK\x03\x04")), bytes.HasPrefix(head, []byte("PK\x05\x06")):
		if o.zip, err = openZip(o.file, o.size, lim); err != nil {
			return err
		}
		o.format, err = zipFormat(o.zip)
		return err
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		o.gz = true
		name = strings.TrimSuffix(name, ".gz")
		head = gzHead(head)
	case strings.HasSuffix(name, ".gz"):
		return errors.New("its name ends in .gz, but it is not a gzip file: copy it again")
	}
	o.format, err = textFormat(name, head)
	return err
}

// wholeText reads a text of at most so many bytes, without the byte mark before it.
func wholeText(r io.Reader, most int64) ([]byte, error) {
	raw, err := io.ReadAll(io.LimitReader(r, most+1))
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return nil, fmt.Errorf("the gzip file is cut off after %d bytes of text: copy the file again: %w", len(raw), err)
	case err != nil:
		return nil, err
	case int64(len(raw)) > most:
		return nil, fmt.Errorf("the file has more than %d bytes", most)
	}
	return bytes.TrimPrefix(raw, []byte("\xef\xbb\xbf")), nil
}

// gzHead unpacks what the first bytes of a gzip file hold.
func gzHead(head []byte) []byte {
	z, err := gzip.NewReader(bytes.NewReader(head))
	if err != nil {
		return nil // the reader of the whole file says what is wrong
	}
	out := make([]byte, 512)
	n, _ := io.ReadFull(z, out)
	return out[:n]
}

// foreign are beginnings of files that people take for one of ours.
var foreign = []struct{ head, what string }{
	{"\xd0\xcf\x11\xe0", "this is an old .xls file, or a workbook with a password: save it as .xlsx without a password"},
	{"\x00\x00\x27\x0a", "this is one part of a Shapefile: pack its .shp, .dbf, .prj and .cpg into one .zip and import that"},
	{"SQLite format 3", "this is a database file (GeoPackage?): save it as GeoJSON or Shapefile"},
	{"%PDF", "this is a PDF"},
	{"\x37\x7a\xbc\xaf", "this is a 7z archive: pack the Shapefile as .zip"},
	{"Rar!", "this is a RAR archive: pack the Shapefile as .zip"},
	{"<", "this is XML (KML, GML?): save it as GeoJSON or Shapefile"},
}

// textFormat tells JSON of either kind from CSV, and refuses what is no text.
func textFormat(name string, head []byte) (Format, error) {
	for _, f := range foreign {
		if f.head == "<" && path.Ext(name) == ".csv" {
			continue
		}
		if bytes.HasPrefix(head, []byte(f.head)) {
			return "", errors.New(f.what)
		}
	}
	text := bytes.TrimLeft(bytes.TrimPrefix(head, []byte("\xef\xbb\xbf")), " \t\r\n")
	switch ext := path.Ext(name); {
	case ext == ".csv":
		return CSV, nil
	case bytes.HasPrefix(text, []byte{recordSeparator}),
		ext == ".geojsons", ext == ".geojsonl", ext == ".geojsonseq", ext == ".ndjson", ext == ".jsonl", ext == ".ndgeojson":
		return GeoSeq, nil
	case bytes.HasPrefix(text, []byte("{")), ext == ".geojson", ext == ".json":
		return GeoJSON, nil // readFeatures sees when it is a sequence all the same
	}
	return CSV, nil
}

// stream is the file's text, through gzip where it is one, no more than the
// limits allow. packed counts the bytes of the file itself.
func (o *opened) stream(lim Limits) (text io.Reader, packed *counter, err error) {
	packed = &counter{r: o.file}
	text, err = unpacked(packed, o.gz, lim)
	return text, packed, err
}

// unpacked is what packed holds, through gzip where gz says so, no more than the
// limits allow.
func unpacked(packed *counter, gz bool, lim Limits) (io.Reader, error) {
	if !gz {
		return packed, nil
	}
	z, err := gzip.NewReader(packed)
	if err != nil {
		return nil, fmt.Errorf("not a gzip file: %w", err)
	}
	return &bombGuard{r: z, packed: packed, lim: lim}, nil
}

// Shapes is an opened file of shapes. Whatever the file's format, reading gives it
// as GeoJSON, coordinates as the file has them: see Datum. What is refused for one
// feature's sake is in the feature; see readFeatures.
type Shapes struct {
	in       *bufio.Reader
	format   Format
	datum    geo.Datum
	encoding string
	columns  []string
	notes    func() []string
	file     io.Closer
}

func (s *Shapes) Read(p []byte) (int, error) { return s.in.Read(p) }

// Close closes the file.
func (s *Shapes) Close() error { return s.file.Close() }

// Format says what kind of file it is.
func (s *Shapes) Format() Format { return s.format }

// Datum is what the file says its coordinates are, "" when it does not say. Only
// the .prj of a Shapefile says it: GeoJSON is WGS-84 by its standard and anything
// in practice.
func (s *Shapes) Datum() geo.Datum { return s.datum }

// Encoding names the encoding of the attributes.
func (s *Shapes) Encoding() string { return s.encoding }

// Columns names the attributes in the order of the file; nil for GeoJSON, whose
// features need not have the same ones.
func (s *Shapes) Columns() []string { return s.columns }

// Notes says what was left out or mended, once everything is read.
func (s *Shapes) Notes() []string {
	if s.notes == nil {
		return nil
	}
	return s.notes()
}

// OpenShapes opens a file of shapes of any format but CSV and XLSX: GeoJSON,
// GeoJSONSeq (both .gz too), a Shapefile in a zip. The caller closes it.
func OpenShapes(path string, o Options) (*Shapes, error) {
	lim := o.limits(PackedLimits)
	f, err := open(path, lim)
	if err != nil {
		return nil, err
	}
	s, err := f.shapes(o, lim)
	if err != nil {
		_ = f.file.Close()
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return s, nil
}

func (o *opened) shapes(opt Options, lim Limits) (*Shapes, error) {
	s := &Shapes{format: o.format, file: o.file, encoding: "utf-8"}
	switch o.format {
	case Shapefile:
		l, err := openShapefile(o.zip, opt.Encoding, lim)
		if err != nil {
			return nil, err
		}
		s.datum, s.encoding, s.columns, s.notes = l.datum, l.text.name, l.columns(), l.notes
		s.in = bufio.NewReader(&collection{next: l.next})
		return s, nil
	case GeoJSON, GeoSeq:
		in, _, err := o.stream(lim)
		if err != nil {
			return nil, err
		}
		s.in = bufio.NewReader(in)
		if o.format == GeoSeq {
			s.in = bufio.NewReader(&collection{next: newSequence(s.in, lim).next})
		}
		return s, nil
	}
	return nil, fmt.Errorf("this is %s: shapes come as GeoJSON, GeoJSONSeq or a zipped Shapefile", o.format)
}

// collection gives features, each as its GeoJSON text, as one FeatureCollection.
type collection struct {
	next func() ([]byte, error) // io.EOF after the last
	buf  []byte
	some bool // a feature was given
	err  error
}

func (c *collection) Read(p []byte) (int, error) {
	for len(c.buf) == 0 && c.err == nil {
		c.fill()
	}
	if len(c.buf) == 0 {
		return 0, c.err
	}
	n := copy(p, c.buf)
	c.buf = c.buf[n:]
	return n, nil
}

func (c *collection) fill() {
	text, err := c.next()
	open := ",\n"
	if !c.some {
		open = `{"type":"FeatureCollection","features":[` + "\n"
	}
	switch {
	case err == nil:
		c.buf, c.some = append([]byte(open), text...), true
	case !errors.Is(err, io.EOF):
		c.err = err
	case c.some:
		c.buf, c.err = []byte("]}\n"), io.EOF
	default:
		c.buf, c.err = []byte(open+"]}\n"), io.EOF
	}
}

var errNoDatum = errors.New("nobody knows what its coordinates are")

// DatumOf is what the coordinates of s are: what the caller was told, or else what
// the file says. Where both speak they must agree; but files in gcj02 and bd09 say
// that they are degrees of WGS 84 or CGCS2000, for want of a name of their own.
func DatumOf(s *Shapes, given geo.Datum) (geo.Datum, error) {
	said := s.Datum()
	switch {
	case given == "" && said == "" && s.format == Shapefile:
		return "", fmt.Errorf("the Shapefile has no .prj, so %w: say it with --crs: %s", errNoDatum, geo.DatumNames)
	case given == "" && said == "":
		return "", fmt.Errorf("%w, for the file does not say it: name it with --crs: %s", errNoDatum, geo.DatumNames)
	case given == "":
		return said, nil
	case said == "" || given == said:
		return given, nil
	}
	zg, metresGiven := given.Zone()
	zs, metresSaid := said.Zone()
	same := metresGiven == metresSaid && given.NorthFirst() == said.NorthFirst()
	if !metresGiven && given != geo.DatumGCJ02 && given != geo.DatumBD09 && (given == geo.DatumWGS84) != (said == geo.DatumWGS84) {
		same = false
	}
	if metresGiven && (zg.Meridian() != zs.Meridian() || zg.Prefixed != zs.Prefixed) {
		same = false
	}
	if !same {
		return "", fmt.Errorf("the .prj says that the coordinates are %s, --crs says %s: leave --crs out, or mend the .prj", said, given)
	}
	return given, nil
}
