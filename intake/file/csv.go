// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package file

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync/atomic"
)

// Limits bound what a file may ask of the machine. A file over a limit ends with
// an error that names the limit and the line.
type Limits struct {
	RowBytes int   // one row, quoted line breaks included
	Rows     int64 // data rows, header not counted
	Columns  int
	Unpacked int64 // bytes of an unpacked .gz file
	Ratio    int64 // unpacked : packed bytes of a .gz file, judged after 16 MiB
}

// DefaultLimits are the limits Open reads under.
var DefaultLimits = Limits{RowBytes: 1 << 20, Rows: 3_000_000, Columns: 500, Unpacked: 4 << 30, Ratio: 100}

// ratioSlack is how much may be unpacked before the ratio is judged: a short
// file of equal rows is no bomb.
const ratioSlack = 16 << 20

// Row is one data row of a file.
type Row struct {
	N     int64    // 1 for the first row after the header; no number is left out
	Line  int64    // the line of the file (row of the sheet, feature) it starts on
	Cells []string // as many as the header has, unless Fault says otherwise
	Fault string   // why the row can't be used, as the reject file says it; empty if it can
}

// csvReader reads the rows of one CSV file one by one, never the whole file:
// RFC 4180 quoting, LF or CRLF, UTF-8 with or without BOM, or GB18030 (GBK).
type csvReader struct {
	lim    Limits
	in     *bufio.Reader
	packed *counter // the file as it lies on the disk
	total  int64    // its size, 0 if unknown

	header []string
	text   encoding
	rec    []byte // the bytes of the record being read
	line   int64  // lines read so far
	n      int64  // data rows returned so far
	err    error  // what ended reading
}

// newCSV reads the header. given names the encoding; without it the bytes tell.
func newCSV(src io.Reader, size int64, gz bool, given string, lim Limits) (*csvReader, error) {
	r := &csvReader{lim: lim, packed: &counter{r: src}, total: size}
	if given != "" {
		enc, ok := encodingNames[letters(given)]
		if !ok {
			return nil, fmt.Errorf("--encoding %q: say UTF-8, GBK or GB18030", given)
		}
		r.text = enc
	}
	in, err := unpacked(r.packed, gz, lim)
	if err != nil {
		return nil, err
	}
	r.in = bufio.NewReaderSize(in, sampleSize)
	if err := r.readHeader(); err != nil {
		return nil, err
	}
	return r, nil
}

func (r *csvReader) Header() []string              { return r.header }
func (r *csvReader) Encoding() string              { return r.text.String() }
func (r *csvReader) Progress() (read, total int64) { return r.packed.n.Load(), r.total }

func (r *csvReader) Next() (Row, error) {
	for r.err == nil {
		start := r.line + 1
		if r.err = r.record(); r.err != nil {
			break
		}
		if len(r.rec) == 0 {
			continue // an empty line is no row
		}
		if r.n >= r.lim.Rows {
			r.err = fmt.Errorf("line %d: more than %d rows", start, r.lim.Rows)
			break
		}
		r.n++
		row := Row{N: r.n, Line: start}
		row.Cells, row.Fault = r.cells()
		if row.Fault == "" && len(row.Cells) != len(r.header) {
			row.Fault = fmt.Sprintf("应有 %d 列，实有 %d 列", len(r.header), len(row.Cells))
		}
		return row, nil
	}
	return Row{}, r.err
}

// readHeader reads the first line as column names.
func (r *csvReader) readHeader() error {
	if err := r.text.start(r.in); err != nil {
		return err
	}
	err := r.record()
	if err != nil {
		if errors.Is(err, io.EOF) {
			return errors.New("the file is empty: its first line must name the columns")
		}
		return err
	}
	cells, fault := r.cells()
	if fault != "" {
		return fmt.Errorf("line 1: the column names can't be read: %s", fault)
	}
	if slices.ContainsFunc(cells, func(c string) bool { return strings.ContainsRune(c, '\r') }) {
		return errors.New("line 1: lines end in a bare CR; save the file with LF or CRLF line ends")
	}
	r.header, err = columnNames(cells, "line 1")
	return err
}

// record reads the bytes of one record into r.rec, its line end taken off.
func (r *csvReader) record() error {
	r.rec = r.rec[:0]
	start, q := r.line+1, quotes{atStart: true}
	for {
		from := len(r.rec)
		whole, err := r.readLine()
		if len(r.rec) > r.lim.RowBytes {
			return fmt.Errorf("line %d: a row of more than %d bytes (a quote that never closes?)", start, r.lim.RowBytes)
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return r.broken(start, err)
		}
		if len(r.rec) > from {
			r.line++
		}
		open := q.scan(r.rec[from:])
		switch {
		case !open && whole:
			r.rec = trimEnd(r.rec)
			return nil
		case !open && len(r.rec) > 0: // the last line, without a line end
			r.rec = trimEnd(r.rec)
			return nil
		case !whole && open:
			return fmt.Errorf("line %d: a quote opens in this row and never closes", start)
		case !whole:
			return io.EOF
		}
	}
}

// readLine appends one physical line to r.rec, its LF included. whole is false
// when the file ended first.
func (r *csvReader) readLine() (whole bool, err error) {
	for {
		part, err := r.in.ReadSlice('\n')
		r.rec = append(r.rec, part...)
		switch {
		case err == nil:
			return true, nil
		case !errors.Is(err, bufio.ErrBufferFull) || len(r.rec) > r.lim.RowBytes:
			return false, err
		}
	}
}

// broken words an error of the stream under the text.
func (r *csvReader) broken(line int64, err error) error {
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("the gzip file is cut off in line %d, after row %d: rows 1 to %d are good, copy the file again for the rest: %w", line, r.n, r.n, err)
	case errors.Is(err, gzip.ErrChecksum), errors.Is(err, gzip.ErrHeader):
		return fmt.Errorf("the gzip file is damaged near line %d, after row %d: %w", line, r.n, err)
	}
	return fmt.Errorf("line %d, after row %d: %w", line, r.n, err)
}

// cells decodes r.rec and splits it. A fault says why it can't be done.
func (r *csvReader) cells() (cells []string, fault string) {
	if bytes.IndexByte(r.rec, 0) >= 0 {
		return nil, "含有空字节（NUL），不是文本"
	}
	text, ok := r.text.decode(r.rec, r.in)
	if !ok {
		return nil, "文字无法解码（应为 UTF-8 或 GB18030）"
	}
	return split(text, r.lim.Columns)
}

// trimEnd takes one LF or CRLF off the end.
func trimEnd(b []byte) []byte {
	b = bytes.TrimSuffix(b, []byte("\n"))
	return bytes.TrimSuffix(b, []byte("\r"))
}

// counter counts the bytes read through it; the count may be read by another
// goroutine.
type counter struct {
	r io.Reader
	n atomic.Int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n.Add(int64(n))
	return n, err
}

// bombGuard ends the reading of a gzip file that unpacks to too much.
type bombGuard struct {
	r      io.Reader
	packed *counter
	lim    Limits
	n      int64
}

func (g *bombGuard) Read(p []byte) (int, error) {
	n, err := g.r.Read(p)
	g.n += int64(n)
	switch {
	case g.n > g.lim.Unpacked:
		return 0, fmt.Errorf("the gzip file unpacks to more than %d bytes", g.lim.Unpacked)
	case g.n > ratioSlack && g.n > g.lim.Ratio*g.packed.n.Load():
		return 0, fmt.Errorf("the gzip file unpacks to more than %d times its size", g.lim.Ratio)
	}
	return n, err
}
