// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"onemap/geo"
	"onemap/intake/file"
)

// previewRows is --preview: how many rows to show, 0 without the flag. The number
// may be left out: --preview, --preview 20, --preview=20.
type previewRows int

const defaultPreview = 5

func (p *previewRows) IsBool() bool { return true }

func (p *previewRows) Decode(ctx *kong.DecodeContext) error {
	next := ctx.Scan.Peek()
	text := fmt.Sprint(next.Value)
	if next.Type != kong.FlagValueToken && strings.Trim(text, "0123456789") != "" || next.IsEOL() {
		*p = defaultPreview
		return nil
	}
	ctx.Scan.Pop()
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return fmt.Errorf("%q is no number of rows", text)
	}
	*p = previewRows(n)
	return nil
}

const nothingWritten = "nothing was written\n"

// previewGrids shows how files of boundaries would be read, faults included.
func previewGrids(files []string, options []file.BoundaryOptions, open file.Options, n int, out io.Writer) error {
	for i, path := range files {
		if err := previewGrid(path, options[i], open, n, out); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	_, err := io.WriteString(out, nothingWritten)
	return err
}

func previewGrid(path string, o file.BoundaryOptions, open file.Options, n int, out io.Writer) error {
	s, err := file.OpenShapes(path, open)
	if err != nil {
		return err
	}
	defer s.Close()
	p, err := file.PreviewBoundaries(s, o, n)
	if err != nil {
		return err
	}
	crs := "not said: name it with --crs"
	switch {
	case p.Datum != "" && s.Datum() != "":
		crs = fmt.Sprintf("%s (the .prj says %s)", p.Datum, s.Datum())
	case p.Datum != "":
		crs = fmt.Sprintf("%s (as given)", p.Datum)
	}
	level := "from the property \"level\""
	if p.Options.Level > 0 {
		level = strconv.Itoa(p.Options.Level)
	}
	fmt.Fprintf(out, "file      %s\nformat    %s, %d features\nencoding  %s\ncrs       %s\ncolumns   %s\nmapping   code from %q, name from %q, parent from %q, level %s\n",
		path, s.Format(), p.Features, s.Encoding(), crs, strings.Join(p.Columns, ", "), p.Options.Code, p.Options.Name, p.Options.Parent, level)
	if len(p.Guessed) > 0 {
		fmt.Fprintf(out, "          guessed: to import it so, say --code %s --name %s --parent %s\n", p.Options.Code, p.Options.Name, p.Options.Parent)
	}
	for _, note := range s.Notes() {
		fmt.Fprintf(out, "note      %s\n", note)
	}
	bad := 0
	for _, r := range p.Rows {
		if r.Err != nil {
			bad++
			fmt.Fprintf(out, "feature %d: REFUSED: %s\n", r.N, faultText(r))
			continue
		}
		var rings, points int
		for _, part := range r.Draft.Geom {
			rings += len(part)
			for _, ring := range part {
				points += len(ring)
			}
		}
		b := r.Draft.Geom.Bound()
		fmt.Fprintf(out, "feature %d: %s %s, level %d, parent %s, %d parts, %d holes, %d points, WGS-84 box %.6f,%.6f,%.6f,%.6f\n", r.N,
			r.Draft.Code, r.Draft.Name, r.Draft.Level, orDash(string(r.Draft.Parent)), len(r.Draft.Geom), rings-len(r.Draft.Geom), points,
			b.Min[0], b.Min[1], b.Max[0], b.Max[1])
	}
	_, err = fmt.Fprintf(out, "of the first %d features %d would be refused; grids that overlap or lack a piece are found when a draft is stored\n", len(p.Rows), bad)
	return err
}

// showEach writes the first n rows in the words that read finds for them, and why a
// row would be refused.
func showEach(n int, out io.Writer, read func() (file.Row, string, error)) error {
	for range n {
		row, text, err := read()
		var bad *file.RowError
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.As(err, &bad):
			text = "REFUSED: " + strings.Join(bad.Reasons, "；")
		case err != nil:
			return err
		}
		fmt.Fprintf(out, "row %d (line %d): %s\n", row.N, row.Line, text)
	}
	return nil
}

// faultText is a fault with the grid it is in.
func faultText(r file.BoundaryRow) string {
	var pe *geo.PolygonError
	if errors.As(r.Err, &pe) {
		return fmt.Sprintf("%s: %s", r.Draft.Code, pe.Text)
	}
	return r.Err.Error()
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// previewIncidents shows how a table would be read: its first n rows, or with all
// set every row, of which only the refused ones are shown (n at most).
func previewIncidents(path, mapPath string, open file.Options, n int, all bool, out io.Writer) error {
	r, err := file.OpenTable(path, open)
	if err != nil {
		return err
	}
	defer r.Close()
	first, err := firstRows(r, n)
	if err != nil {
		return err
	}
	crs := "said by the column map alone"
	if r.Datum() != "" {
		crs = fmt.Sprintf("%s (the .prj says so)", r.Datum())
	}
	fmt.Fprintf(out, "file      %s\nformat    %s\nencoding  %s\ncrs       %s\ncolumns   %s\n", path, r.Format(), r.Encoding(), crs, strings.Join(r.Header(), ", "))
	text, err := []byte(nil), error(nil)
	if mapPath != "" {
		fmt.Fprintf(out, "mapping   %s\n", mapPath)
		if text, err = os.ReadFile(mapPath); err != nil {
			return fmt.Errorf("column map: %w", err)
		}
	} else {
		stem, _, _ := strings.Cut(filepath.Base(path), ".")
		text = file.GuessMap(r.Header(), first, r.Datum(), stem)
		fmt.Fprintf(out, "mapping   guessed; look it through, complete it, save it and name it with --map:\n%s", text)
	}
	m, err := file.ParseMap(bytes.NewReader(text))
	var mapper *file.Mapper
	if err == nil {
		mapper, err = r.Bind(m)
	}
	switch {
	case err != nil && mapPath != "":
		return fmt.Errorf("%s: %w", mapPath, err)
	case err != nil: // a guess that is not whole: the rows as they are
		fmt.Fprintf(out, "the guess is not whole yet: %v\n", err)
		for _, row := range first {
			fmt.Fprintf(out, "row %d (line %d): %q %s\n", row.N, row.Line, row.Cells, row.Fault)
		}
		_, err = io.WriteString(out, nothingWritten)
		return err
	}
	return showRows(r, mapper, first, n, all, out)
}

// firstRows reads up to n rows.
func firstRows(r *file.Reader, n int) ([]file.Row, error) {
	var rows []file.Row
	for len(rows) < n {
		row, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
	return rows, nil
}

func showRows(r *file.Reader, mapper *file.Mapper, first []file.Row, n int, all bool, out io.Writer) error {
	var rows, bad, shown int64
	show := func(row file.Row) error {
		rec, err := mapper.Apply(row)
		rows++
		var re *file.RowError
		switch {
		case errors.As(err, &re):
			bad++
			if shown++; shown <= int64(n) {
				fmt.Fprintf(out, "row %d (line %d): REFUSED: %s\n", row.N, row.Line, strings.Join(re.Reasons, "；"))
			}
		case err != nil:
			return err
		case !all:
			fmt.Fprintf(out, "row %d (line %d): %s\n", row.N, row.Line, recordText(rec))
		}
		return nil
	}
	for _, row := range first {
		if err := show(row); err != nil {
			return err
		}
	}
	for all {
		row, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if err := show(row); err != nil {
			return err
		}
	}
	for _, note := range r.Notes() {
		fmt.Fprintf(out, "note      %s\n", note)
	}
	_, err := fmt.Fprintf(out, "of %d rows %d would be refused for their form; whether the centre knows their categories shows in the import\n%s", rows, bad, nothingWritten)
	return err
}

// recordText is a row as it would be taken, field by field.
func recordText(r file.Record) string {
	var parts []string
	add := func(name, value string) {
		if value != "" {
			parts = append(parts, fmt.Sprintf("%s=%q", name, value))
		}
	}
	add("external_id", r.ExternalID)
	add("source", r.Source)
	add("category", r.Category)
	add("title", r.Title)
	add("text", r.Text)
	add("address", r.Address)
	add("state", r.State)
	if r.Priority > 0 {
		add("priority", strconv.Itoa(r.Priority))
	}
	if r.Place != nil {
		w, err := r.Place.WGS84()
		if err == nil { // the mapper has looked
			parts = append(parts, fmt.Sprintf("place=%v,%v %s (WGS-84 %.6f,%.6f)", r.Place.Lon, r.Place.Lat, r.Place.Datum, w.Lon(), w.Lat()))
		}
	}
	add("reported_at", r.ReportedAt.Format(time.RFC3339))
	for i, at := range r.Stages() {
		if !at.IsZero() {
			add([...]string{"dispatched_at", "acknowledged_at", "on_scene_at", "resolved_at", "closed_at"}[i], at.Format(time.RFC3339))
		}
	}
	return strings.Join(parts, " ")
}
