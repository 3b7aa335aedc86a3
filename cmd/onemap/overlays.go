// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"onemap/geo/grid"
	"onemap/intake/file"
	"onemap/store"
)

// importOverlayCmd brings in the areas of one overlay.
type importOverlayCmd struct {
	place
	openFlags
	File       string `arg:"" help:"GeoJSON, GeoJSONSeq (.gz too) or zipped Shapefile of polygons." type:"existingfile"`
	Overlay    string `help:"Code of the overlay: its areas are replaced by those of the file." required:"" placeholder:"CODE"`
	Title      string `help:"Name of the overlay, such as 警格." name:"name" required:"" placeholder:"NAME"`
	Kind       string `help:"What it is: ${enum}." enum:"police,professional,other" default:"professional"`
	Department string `help:"Code of the department whose areas they are." placeholder:"CODE"`
	ValidFrom  string `help:"Its first day, 2026-01-31, in the county's calendar; without it, it always was." placeholder:"DATE"`
	ValidTo    string `help:"Its last day; without it there is no end." placeholder:"DATE"`
	Note       string `help:"Where the areas come from."`
	County     string `help:"Code of the county it belongs to; needed where there are several."`
	CRS        string `help:"Datum of the file, unless a Shapefile's .prj says it: wgs84, gcj02, bd09, cgcs2000, or EPSG:4490 to 4554 with the order of axes (EPSG:4545-en: easting first)." name:"crs" placeholder:"DATUM"`
	CodeProp   string `help:"Property with an area's code." name:"code" default:"code" placeholder:"PROP"`
	NameProp   string `help:"Property with an area's name." name:"area-name" default:"name" placeholder:"PROP"`
	ParentProp string `help:"Property with the code of the area above it, where there is one." name:"parent" placeholder:"PROP"`
	DryRun     bool   `help:"Read and check every area, say what would be refused, and write nothing."`
	SkipBad    bool   `help:"Store the others when some areas are refused; without it nothing is stored then."`
	Rejects    string `help:"Where refused areas go, each with its reason (default: beside FILE)." placeholder:"FILE"`
}

func (c *importOverlayCmd) Run(ctx context.Context, out io.Writer, say messages) error {
	o, err := c.boundaries()
	if err != nil {
		return err
	}
	if c.Preview > 0 {
		return c.preview(o, out)
	}
	if err := c.check(); err != nil {
		return err
	}
	areas, refused, err := c.read(o, say)
	if err != nil {
		return err
	}
	if c.DryRun {
		return c.dryRun(areas, refused, out)
	}
	if err := c.reject(refused, out); err != nil {
		return err
	}
	db, done, err := c.openToChange(ctx)
	if err != nil {
		return err
	}
	defer done()
	root, err := c.county(ctx, db)
	if err != nil {
		return err
	}
	change, err := db.ReplaceOverlay(ctx, store.OverlayImport{
		Overlay: store.Overlay{
			Code: c.Overlay, Name: c.Title, Kind: c.Kind, Department: c.Department, Root: root, From: c.ValidFrom, To: c.ValidTo, Note: c.Note,
		},
		Brought: areas, Actor: "system:command", File: filepath.Base(c.File),
	})
	return c.report(change, len(areas), err, out)
}

// boundaries says how the file is read.
func (c *importOverlayCmd) boundaries() (file.BoundaryOptions, error) {
	datum, err := parseCRS(c.CRS)
	return file.BoundaryOptions{Datum: datum, Level: 1, Code: c.CodeProp, Name: c.NameProp, Parent: c.ParentProp}, err
}

// check judges what the command line says of the overlay.
func (c *importOverlayCmd) check() error {
	c.Title = strings.TrimSpace(c.Title)
	switch n := len([]rune(c.Overlay)); {
	case n < 1 || n > 64 || strings.TrimSpace(c.Overlay) != c.Overlay || strings.ContainsRune(c.Overlay, '/'):
		return fmt.Errorf("--overlay: %q is no code: 1 to 64 letters without a slash, no space at its ends", c.Overlay)
	case c.Title == "" || len([]rune(c.Title)) > 200:
		return errors.New("--name: a name of 1 to 200 letters is wanted")
	case len([]rune(c.Note)) > 1000:
		return errors.New("--note: more than 1,000 letters")
	}
	for _, d := range []struct{ flag, day string }{{"--valid-from", c.ValidFrom}, {"--valid-to", c.ValidTo}} {
		if _, err := time.Parse(time.DateOnly, d.day); err != nil && d.day != "" {
			return fmt.Errorf("%s: %q is no day: write it as 2026-01-31", d.flag, d.day)
		}
	}
	if c.ValidTo != "" && c.ValidTo < c.ValidFrom {
		return fmt.Errorf("--valid-to: %s is before --valid-from %s", c.ValidTo, c.ValidFrom)
	}
	return nil
}

// read returns the areas that can be stored and those that are refused.
func (c *importOverlayCmd) read(o file.BoundaryOptions, say messages) (areas []grid.Area, refused []file.AreaRow, err error) {
	s, err := file.OpenShapes(c.File, c.options())
	if err != nil {
		return nil, nil, err
	}
	defer s.Close()
	rows, err := file.ReadAreas(s, o)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", c.File, err)
	}
	for _, note := range s.Notes() {
		fmt.Fprintf(say, "%s: %s\n", c.File, note)
	}
	areas = refuse(rows)
	for _, r := range rows {
		if r.Err != nil {
			refused = append(refused, r)
		}
	}
	return areas, refused, nil
}

// refuse marks the rows whose areas cannot be stored, and all that hang below them,
// and returns the areas of the others.
func refuse(rows []file.AreaRow) (areas []grid.Area) {
	below := map[grid.Code][]grid.Code{}
	for _, r := range rows {
		if r.Err == nil {
			areas = append(areas, r.Area)
			below[r.Area.Parent] = append(below[r.Area.Parent], r.Area.Code)
		}
	}
	faults := map[grid.Code]string{}
	var refused []grid.Code
	for _, f := range grid.CheckAreas(areas) {
		if faults[f.Code] == "" {
			refused = append(refused, f.Code)
		}
		faults[f.Code] = f.Text
	}
	for ; len(refused) > 0; refused = refused[1:] {
		for _, c := range below[refused[0]] {
			if c != "" && faults[c] == "" {
				faults[c] = fmt.Sprintf("area %s: its parent %s is refused", c, refused[0])
				refused = append(refused, c)
			}
		}
	}
	areas = areas[:0]
	for i := range rows {
		if text := faults[rows[i].Area.Code]; text != "" && rows[i].Err == nil {
			rows[i].Err = errors.New(text)
		}
		if rows[i].Err == nil {
			areas = append(areas, rows[i].Area)
		}
	}
	return areas
}

// tellRefused lists the first refused areas.
func tellRefused(refused []file.AreaRow, out io.Writer) {
	for _, r := range refused[:min(len(refused), shownRefusals)] {
		fmt.Fprintf(out, "feature %d: REFUSED: %s: %s\n", r.N, orDash(string(r.Area.Code)), plain([]byte(r.Err.Error())))
	}
}

func (c *importOverlayCmd) dryRun(areas []grid.Area, refused []file.AreaRow, out io.Writer) error {
	tellRefused(refused, out)
	_, err := fmt.Fprintf(out, "%d areas could be stored, %d would be refused; the database has the last word on their shapes\n%s", len(areas), len(refused), nothingWritten)
	return err
}

// reject writes the reject file, and says whether the import may go on.
func (c *importOverlayCmd) reject(refused []file.AreaRow, out io.Writer) error {
	if len(refused) == 0 {
		return nil
	}
	header := file.RejectHeader(file.AreaColumns)
	text := slices.Clone(header)
	for _, r := range refused {
		text = append(text, r.Reject()...)
	}
	path := c.Rejects
	if path == "" {
		base := strings.TrimSuffix(c.File, ".gz")
		path = strings.TrimSuffix(base, filepath.Ext(base)) + ".rejects.csv"
	}
	if old, err := os.ReadFile(path); err == nil && !bytes.HasPrefix(old, header) {
		return fmt.Errorf("%s is another file, it will not be written over: move it away, or name another with --rejects", path)
	}
	if err := store.WriteWhole(path, text, true); err != nil {
		return err
	}
	tellRefused(refused, out)
	fmt.Fprintf(out, "refused areas and why: %s\n", path)
	if !c.SkipBad {
		return fmt.Errorf("%d areas are refused; nothing was stored, the overlay %s stays as it is: mend them, or store the others with --skip-bad", len(refused), c.Overlay)
	}
	return nil
}

// county is the code of the county the overlay belongs to.
func (c *importOverlayCmd) county(ctx context.Context, db *store.DB) (string, error) {
	t, err := db.LoadTree(ctx)
	if err != nil {
		return "", err
	}
	var codes []string
	for _, i := range t.Roots() {
		codes = append(codes, string(t.Nodes()[i].Code))
	}
	switch {
	case len(codes) == 0:
		return "", errors.New("this centre has no grids yet: import or draft them first (onemap import grids, onemap grids draft)")
	case c.County == "" && len(codes) == 1:
		return codes[0], nil
	case slices.Contains(codes, c.County):
		return c.County, nil
	}
	return "", fmt.Errorf("say with --county which county the overlay belongs to: %s", strings.Join(codes, ", "))
}

// report says what the import did.
func (c *importOverlayCmd) report(change store.OverlayChange, areas int, err error, out io.Writer) error {
	var fe *store.FaultsError
	switch {
	case errors.As(err, &fe):
		printFaults(out, fe.Faults)
		return err
	case errors.Is(err, store.ErrNotFound):
		return fmt.Errorf("%w: name one that this centre has", err)
	case err != nil:
		return err
	}
	what := "stored"
	if !change.New {
		what = "replaced"
	}
	fmt.Fprintf(out, "overlay %s %s %s: %d areas, of which new %d, changed %d, as before %d; gone %d\n",
		c.Overlay, c.Title, what, areas, change.Added, change.Changed, change.Same, len(change.Gone))
	for _, code := range change.Gone {
		fmt.Fprintf(out, "gone      %s\n", code)
	}
	return nil
}

// preview shows how the first areas would be read.
func (c *importOverlayCmd) preview(o file.BoundaryOptions, out io.Writer) error {
	s, err := file.OpenShapes(c.File, c.options())
	if err != nil {
		return err
	}
	defer s.Close()
	p, err := file.PreviewBoundaries(s, o, int(c.Preview))
	if err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	crs := string(p.Datum)
	if crs == "" {
		crs = "not said: name it with --crs"
	}
	fmt.Fprintf(out, "file      %s\nformat    %s, %d features\nencoding  %s\ncrs       %s\ncolumns   %s\nmapping   code from %q, name from %q, parent from %s\n",
		c.File, s.Format(), p.Features, s.Encoding(), crs, strings.Join(p.Columns, ", "), p.Options.Code, p.Options.Name, orDash(c.ParentProp))
	if len(p.Guessed) > 0 {
		fmt.Fprintf(out, "          guessed: to import it so, say --code %s --area-name %s\n", p.Options.Code, p.Options.Name)
	}
	for _, note := range s.Notes() {
		fmt.Fprintf(out, "note      %s\n", note)
	}
	for _, r := range p.Rows {
		if r.Err != nil {
			fmt.Fprintf(out, "feature %d: REFUSED: %s\n", r.N, faultText(r))
			continue
		}
		b := r.Draft.Geom.Bound()
		fmt.Fprintf(out, "feature %d: %s %s, %d parts, WGS-84 box %.6f,%.6f,%.6f,%.6f\n", r.N, r.Draft.Code, r.Draft.Name, len(r.Draft.Geom), b.Min[0], b.Min[1], b.Max[0], b.Max[1])
	}
	_, err = io.WriteString(out, nothingWritten)
	return err
}
