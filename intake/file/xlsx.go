// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package file

import (
	"archive/zip"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/xuri/excelize/v2"
)

// sheetMemory is the size up to which a sheet, or the texts its cells share, are
// unpacked in memory; larger ones go to a temporary file.
const sheetMemory = 8 << 20

// isoDate is how dates are read that a workbook leaves to the computer's region.
const isoDate = "yyyy-mm-dd"

// workbook reads the rows of one sheet of an .xlsx. The first row that is not
// empty names the columns. Cells are read as they are shown, formulas as their
// last value, with two exceptions: a number shown rounded is read in full, and a
// date in the region's own short form, or with two digits of its year, is read as
// yyyy-MM-dd.
type workbook struct {
	book   *excelize.File
	sheet  string
	rows   *excelize.Rows
	full   *excelize.Rows // the same rows unformatted; nil when no format hides anything
	header []string

	from1904 bool // days are counted from 1904, as old Macintoshes did
	lim      Limits
	n        int64        // data rows returned
	line     atomic.Int64 // of the sheet, the last one read
	last     int64        // line of the last row in the sheet's XML
	err      error
}

func openWorkbook(f io.ReaderAt, size int64, z *zip.Reader, sheet string, lim Limits) (*workbook, error) {
	if err := checkParts(z); err != nil {
		return nil, err
	}
	book, err := excelize.OpenReader(io.NewSectionReader(f, 0, size), excelize.Options{
		UnzipSizeLimit: lim.Unpacked, UnzipXMLSizeLimit: min(sheetMemory, lim.Unpacked), ShortDatePattern: isoDate,
	})
	if err != nil {
		return nil, fmt.Errorf("the workbook can't be read: %w", err)
	}
	w := &workbook{book: book, sheet: sheet, lim: lim}
	if err := w.start(z); err != nil {
		_ = w.Close()
		return nil, err
	}
	return w, nil
}

// start finds the sheet and reads the header.
func (w *workbook) start(z *zip.Reader) error {
	names := w.book.GetSheetList()
	if w.sheet == "" && len(names) > 0 {
		w.sheet = names[0]
	}
	if !slices.Contains(names, w.sheet) {
		return fmt.Errorf("the workbook has no sheet %q; it has %.400q", w.sheet, names)
	}
	var err error
	if w.last, err = lastRow(z, w.sheet); err != nil {
		return err
	}
	if w.rows, err = w.book.Rows(w.sheet); err != nil {
		return fmt.Errorf("sheet %s: %w", w.sheet, err)
	}
	if props, err := w.book.GetWorkbookProps(); err == nil && props.Date1904 != nil {
		w.from1904 = *props.Date1904
	}
	if w.hides() {
		if w.full, err = w.book.Rows(w.sheet); err != nil {
			return fmt.Errorf("sheet %s: %w", w.sheet, err)
		}
	}
	cells, err := w.cells()
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("sheet %s is empty: its first row must name the columns", w.sheet)
	}
	if err != nil {
		return err
	}
	w.header, err = columnNames(cells, fmt.Sprintf("sheet %s, row %d", w.sheet, w.line.Load()))
	return err
}

func (w *workbook) Header() []string         { return w.header }
func (w *workbook) Encoding() string         { return "utf-8" }
func (w *workbook) Progress() (int64, int64) { return min(w.line.Load(), w.last), w.last }

// Close closes the workbook and takes its temporary files away.
func (w *workbook) Close() error {
	var errs []error
	for _, r := range []*excelize.Rows{w.rows, w.full} {
		if r != nil {
			errs = append(errs, r.Close())
		}
	}
	return errors.Join(append(errs, w.book.Close())...)
}

func (w *workbook) Next() (Row, error) {
	cells, err := w.cells()
	if err != nil {
		return Row{}, err
	}
	if w.n >= w.lim.Rows {
		w.err = fmt.Errorf("sheet %s, row %d: more than %d rows", w.sheet, w.line.Load(), w.lim.Rows)
		return Row{}, w.err
	}
	w.n++
	row := Row{N: w.n, Line: w.line.Load(), Cells: cells}
	size := 0
	for i, c := range cells {
		size += len(c)
		if i < len(w.header) && slices.Contains(cellErrors, c) {
			name, _ := excelize.ColumnNumberToName(i + 1) // of at most Columns columns
			row.Fault = fmt.Sprintf("单元格 %s%d 是公式错误 %s", name, row.Line, c)
		}
	}
	for len(row.Cells) < len(w.header) {
		row.Cells = append(row.Cells, "")
	}
	switch {
	case size > w.lim.RowBytes:
		w.err = fmt.Errorf("sheet %s, row %d: a row of more than %d bytes", w.sheet, row.Line, w.lim.RowBytes)
		return Row{}, w.err
	case len(row.Cells) > len(w.header):
		row.Fault = fmt.Sprintf("应有 %d 列，实有 %d 列", len(w.header), len(row.Cells))
	}
	return row, nil
}

// cellErrors are the values of formulas that failed.
var cellErrors = []string{"#N/A", "#REF!", "#VALUE!", "#DIV/0!", "#NAME?", "#NUM!", "#NULL!"}

// cells returns the next row that is not empty, cells behind its last one cut off.
func (w *workbook) cells() ([]string, error) {
	for w.err == nil {
		if w.line.Load() >= maxSheetRows || !w.rows.Next() {
			w.err = w.end()
			break
		}
		line := w.line.Add(1)
		cells, err := w.rows.Columns()
		if err == nil && w.full != nil {
			w.full.Next()
			var full []string
			full, err = w.full.Columns(excelize.Options{RawCellValue: true})
			for i := range min(len(cells), len(full)) {
				cells[i] = w.inFull(cells[i], full[i])
			}
		}
		for len(cells) > 0 && strings.TrimSpace(cells[len(cells)-1]) == "" {
			cells = cells[:len(cells)-1]
		}
		switch {
		case err != nil:
			w.err = fmt.Errorf("sheet %s, row %d: %w", w.sheet, line, err)
		case len(cells) > w.lim.Columns:
			w.err = fmt.Errorf("sheet %s, row %d: more than %d columns", w.sheet, line, w.lim.Columns)
		case len(cells) > 0 && line > w.last: // our look at its tags has missed it
			w.err = fmt.Errorf("sheet %s, row %d: it stands behind the last row: open the workbook and save it anew", w.sheet, line)
		case len(cells) > 0:
			return cells, nil
		}
	}
	return nil, w.err
}

// end is what follows the last row. The library stops without a word where the
// XML is broken: then rows that the sheet has were not seen.
func (w *workbook) end() error {
	if err := w.rows.Error(); err != nil {
		return fmt.Errorf("sheet %s, after row %d: %w", w.sheet, w.line.Load(), err)
	}
	if seen := w.line.Load(); seen < w.last {
		return fmt.Errorf("sheet %s is damaged after row %d, it has %d: open the workbook and save it anew", w.sheet, seen, w.last)
	}
	return io.EOF
}

// hides says whether the workbook has a format that shows less than a cell holds:
// fewer decimals, or a year of two digits.
func (w *workbook) hides() bool {
	if _, err := w.book.GetStyle(0); err != nil || w.book.Styles == nil || w.book.Styles.CellXfs == nil {
		return false // no styles: everything is shown in full
	}
	custom := map[int]string{}
	if f := w.book.Styles.NumFmts; f != nil {
		for _, n := range f.NumFmt {
			custom[n.NumFmtID] = strings.ToLower(n.FormatCode)
		}
	}
	for _, x := range w.book.Styles.CellXfs.Xf {
		if x.NumFmtID == nil {
			continue
		}
		id := *x.NumFmtID
		code, own := custom[id]
		switch {
		case own && (strings.ContainsAny(code, "0#?") || strings.Contains(code, "yy") && !strings.Contains(code, "yyyy")):
			return true
		case !own && (id >= 1 && id <= 17 || id >= 37 && id <= 44 || id == 48):
			return true
		}
	}
	return false
}

// twoDigitYear is a date whose century, or whose order, nobody can know.
var twoDigitYear = regexp.MustCompile(`^\d{1,2}[/.-](\d{1,2}|[A-Za-z]{3})[/.-]\d{2}( |$)`)

// inFull is what a cell is read as: shown, but for a number that is shown rounded or
// with marks between the thousands, and for a date with two digits of its year. A
// date shown as digits alone is far from its number of days and stays as it is.
func (w *workbook) inFull(shown, full string) string {
	if shown == full {
		return shown
	}
	f, err := strconv.ParseFloat(full, 64)
	if err != nil {
		return shown
	}
	if twoDigitYear.MatchString(shown) {
		at, err := excelize.ExcelDateToTime(f, w.from1904)
		switch {
		case err != nil:
			return shown
		case f == math.Trunc(f):
			return at.Format(time.DateOnly)
		}
		return at.Round(time.Second).Format(time.DateTime)
	}
	v, err := strconv.ParseFloat(strings.ReplaceAll(shown, ",", ""), 64)
	if err != nil || math.Abs(v-f) > 0.5 || v == f && !strings.Contains(shown, ",") {
		return shown
	}
	return number(f)
}

// number writes a number as people do, with all its digits.
func number(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

// columnNames checks the names of columns; where says where they stand.
func columnNames(cells []string, where string) ([]string, error) {
	seen := map[string]bool{}
	for i, c := range cells {
		cells[i] = strings.TrimSpace(c)
		if cells[i] != "" && seen[cells[i]] {
			return nil, fmt.Errorf("%s: two columns are named %q", where, cells[i])
		}
		seen[cells[i]] = true
	}
	return cells, nil
}

// sheetEntry finds the file of a sheet, by way of the workbook's list of sheets and
// its list of files.
func sheetEntry(z *zip.Reader, sheet string) (*zip.File, error) {
	entries := map[string]*zip.File{}
	for _, e := range z.File {
		entries[strings.ToLower(strings.ReplaceAll(e.Name, `\`, "/"))] = e
	}
	var book struct {
		Sheets []struct {
			Name string `xml:"name,attr"`
			ID   string `xml:"id,attr"`
		} `xml:"sheets>sheet"`
	}
	var files struct {
		Relations []link `xml:"Relationship"`
	}
	for name, v := range map[string]any{"xl/workbook.xml": &book, "xl/_rels/workbook.xml.rels": &files} {
		e := entries[name]
		if e == nil {
			return nil, fmt.Errorf("the workbook has no %s", name)
		}
		raw, err := whole(e, 8<<20)
		if err == nil {
			err = xml.Unmarshal(raw, v)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	for _, s := range book.Sheets {
		for _, f := range files.Relations {
			if s.Name != sheet || f.ID != s.ID {
				continue
			}
			if e := entries[strings.ToLower(f.part("xl"))]; e != nil {
				return e, nil
			}
		}
	}
	return nil, fmt.Errorf("the workbook says it has a sheet %q, but its file is missing", sheet)
}
