// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/paulmach/orb"

	"onemap/geo"
	"onemap/geo/grid"
	"onemap/intake/file"
	"onemap/store"
	"onemap/store/ledger"
)

type gridsCmd struct {
	Draft    gridsDraftCmd    `cmd:"" help:"Draw a draft grid tree inside an outline."`
	Check    gridsCheckCmd    `cmd:"" help:"Compare the areas of a stored version: overlaps, gaps, grids outside their parent."`
	Versions gridsVersionsCmd `cmd:"" help:"List every version: drafts, those in force, those retired, and what is planned."`
	Preview  gridsPreviewCmd  `cmd:"" help:"Say what enacting a draft would change."`
	Enact    gridsEnactCmd    `cmd:"" help:"Make a draft version the boundaries of its county, now or at a time; open incidents move."`
	Cancel   gridsCancelCmd   `cmd:"" help:"Cancel a planned enactment."`
	Undo     gridsUndoCmd     `cmd:"" help:"Bring back the boundaries before those in force, as a new version; open incidents move back."`
}

// enactFlags say what may pass when a version is enacted.
type enactFlags struct {
	Tolerance    float64 `help:"Largest share of a grid, in percent, that may overlap, lack or lie outside." default:"0.1" placeholder:"PERCENT"`
	AcceptFaults bool    `help:"Enact in spite of larger faults."`
	Reason       string  `help:"Why; kept in the audit."`
}

func (f enactFlags) enact(version int32) ledger.Enactment {
	return ledger.Enactment{Version: version, Reason: f.Reason, Tolerance: f.Tolerance / 100, AcceptFaults: f.AcceptFaults}
}

type gridsDraftCmd struct {
	place
	enactFlags
	Outline string `help:"GeoJSON (.gz too) or zipped Shapefile of the outline." required:"" type:"existingfile" placeholder:"FILE"`
	CRS     string `help:"Datum of the outline, unless a Shapefile's .prj says it: wgs84, gcj02, bd09, cgcs2000, or EPSG:4490 to 4554 with the order of axes (EPSG:4545-en: easting first)." name:"crs" placeholder:"DATUM"`
	Counts  []int  `help:"How many grids in all at level 2, 3, ..." default:"4,84,401"`
	Seed    uint64 `help:"The same seed always draws the same tree." default:"1"`
	Code    string `help:"Code of the county." default:"1"`
	Name    string `help:"Name of the county." default:"旗县"`
	Out     string `help:"Write the tree to this GeoJSON file (- for standard output) instead of the database." placeholder:"FILE"`
	Enact   bool   `help:"Enact the draft at once."`
}

func (c *gridsDraftCmd) Run(ctx context.Context, out io.Writer) error {
	ds, err := c.draw()
	if err != nil {
		return err
	}
	if c.Out != "" {
		return writeDrafts(c.Out, out, ds)
	}
	db, done, err := c.openToMake(ctx)
	if err != nil {
		return err
	}
	defer done()
	note := fmt.Sprintf("drawn inside %s, seed %d", filepath.Base(c.Outline), c.Seed)
	version, err := saveGrids(ctx, db, ds, true, note, out)
	if err != nil || !c.Enact {
		return err
	}
	return enactGrids(ctx, db, c.enact(version), out)
}

func (c *gridsDraftCmd) draw() ([]grid.Draft, error) {
	datum, err := parseCRS(c.CRS)
	if err != nil {
		return nil, err
	}
	r, err := file.OpenBoundaries(c.Outline)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	outline, err := file.ReadOutline(r, datum)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.Outline, err)
	}
	ds, err := grid.Draw(outline, grid.DrawOptions{Seed: c.Seed, Counts: c.Counts, Name: draftNames(c.Code, c.Name)})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.Outline, err)
	}
	return ds, nil
}

// parseCRS reads --crs; without it the file has to say what its coordinates are.
func parseCRS(s string) (geo.Datum, error) {
	if s == "" {
		return "", nil
	}
	d, err := geo.ParseDatum(s)
	if err != nil {
		return "", fmt.Errorf("--crs: %w", err)
	}
	return d, nil
}

// draftNames numbers made-up grids under a county's code, three digits a level:
// 150623, 150623001 一号镇, 150623001002 二号村 ...
func draftNames(code, name string) func(level int, ordinals []int) (grid.Code, string) {
	kinds := []string{"镇", "村", "网格", "片", "点"}
	return func(level int, ordinals []int) (grid.Code, string) {
		if level == 1 {
			return grid.Code(code), name
		}
		c, numbers := code, make([]string, len(ordinals))
		for i, n := range ordinals {
			c += fmt.Sprintf("%03d", n)
			numbers[i] = fmt.Sprint(n)
		}
		return grid.Code(c), strings.Join(numbers, "-") + "号" + kinds[level-2]
	}
}

func writeDrafts(path string, out io.Writer, ds []grid.Draft) error {
	if path == "-" {
		return file.WriteBoundaries(out, ds)
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := errors.Join(file.WriteBoundaries(f, ds), f.Close()); err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%d grids written to %s\n", len(ds), path)
	return err
}

type gridsCheckCmd struct {
	place
	Version int32 `arg:"" help:"Number of the version."`
}

func (c *gridsCheckCmd) Run(ctx context.Context, out io.Writer) error {
	db, done, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer done()
	return reportFaults(ctx, db, c.Version, out)
}

// importGridsCmd brings in files that hold one level each, or the whole tree.
type importGridsCmd struct {
	place
	enactFlags
	openFlags
	Files  []string `arg:"" name:"file" help:"GeoJSON, GeoJSONSeq (.gz too) or zipped Shapefiles. Several files hold one level each, from the top." type:"existingfile"`
	CRS    string   `help:"Datum of all files that do not say it (a Shapefile's .prj does): wgs84, gcj02, bd09, cgcs2000, or EPSG:4490 to 4554 with the order of axes (EPSG:4545-en: easting first)." name:"crs" placeholder:"DATUM"`
	Level  []int    `help:"Level of each file; without it 1, 2, ... for several files, the property \"level\" for one." placeholder:"N"`
	Code   []string `help:"Property with the code, one for all files or one for each." default:"code" placeholder:"PROP"`
	Name   []string `help:"Property with the name, likewise." default:"name" placeholder:"PROP"`
	Parent []string `help:"Property with the parent's code, likewise; level 1 has none (-)." default:"parent" placeholder:"PROP"`
	Note   string   `help:"Where the boundaries come from."`
	DryRun bool     `help:"Read and check every grid, and write nothing."`
	Enact  bool     `help:"Enact the tree at once."`
}

func (c *importGridsCmd) Run(ctx context.Context, out io.Writer) error {
	options, err := c.boundaries()
	if err != nil {
		return err
	}
	if c.Preview > 0 {
		return previewGrids(c.Files, options, c.options(), int(c.Preview), out)
	}
	ds, from, err := c.read(options, out)
	if err != nil {
		return err
	}
	if faults := grid.Check(ds); len(faults) > 0 {
		for i, f := range faults {
			faults[i].Text = from[f.Code] + f.Text
		}
		printFaults(out, faults)
		return fmt.Errorf("nothing was stored: %d faults", len(faults))
	}
	if c.DryRun {
		_, err := fmt.Fprintf(out, "%d grids could be stored; overlaps and gaps are looked for then\n%s", len(ds), nothingWritten)
		return err
	}
	db, done, err := c.openToMake(ctx)
	if err != nil {
		return err
	}
	defer done()
	note := c.Note
	if note == "" {
		note = "imported from " + filepath.Base(c.Files[0])
	}
	version, err := saveGrids(ctx, db, ds, false, note, out)
	if err != nil || !c.Enact {
		return err
	}
	return enactGrids(ctx, db, c.enact(version), out)
}

// boundaries says how each file is read.
func (c *importGridsCmd) boundaries() ([]file.BoundaryOptions, error) {
	datum, err := parseCRS(c.CRS)
	if err != nil {
		return nil, err
	}
	levels := c.Level
	if len(levels) == 0 && len(c.Files) > 1 {
		for i := range c.Files {
			levels = append(levels, i+1)
		}
	}
	var all []file.BoundaryOptions
	for i := range c.Files {
		o := file.BoundaryOptions{Datum: datum}
		if len(levels) > 0 {
			if len(levels) != len(c.Files) {
				return nil, fmt.Errorf("--level: %d levels for %d files", len(levels), len(c.Files))
			}
			o.Level = levels[i]
		}
		for _, p := range []struct {
			flag string
			from []string
			to   *string
		}{{"--code", c.Code, &o.Code}, {"--name", c.Name, &o.Name}, {"--parent", c.Parent, &o.Parent}} {
			switch len(p.from) {
			case 1:
				*p.to = p.from[0]
			case len(c.Files):
				*p.to = p.from[i]
			default:
				return nil, fmt.Errorf("%s: %d properties for %d files", p.flag, len(p.from), len(c.Files))
			}
		}
		all = append(all, o)
	}
	return all, nil
}

// read reads all files, and says what was left out of them. from says where each
// grid comes from, for messages.
func (c *importGridsCmd) read(options []file.BoundaryOptions, out io.Writer) (all []grid.Draft, from map[grid.Code]string, err error) {
	from = map[grid.Code]string{}
	for i, path := range c.Files {
		ds, notes, err := readBoundaries(path, c.options(), options[i])
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", path, err)
		}
		for _, note := range notes {
			fmt.Fprintf(out, "%s: %s\n", path, note)
		}
		for k, d := range ds {
			from[d.Code] = fmt.Sprintf("%s, feature %d, ", filepath.Base(path), k+1)
		}
		all = append(all, ds...)
	}
	if len(all) > file.MaxGrids {
		return nil, nil, fmt.Errorf("%d grids, more than the limit of %d", len(all), file.MaxGrids)
	}
	return all, from, nil
}

func readBoundaries(path string, open file.Options, o file.BoundaryOptions) ([]grid.Draft, []string, error) {
	s, err := file.OpenShapes(path, open)
	if err != nil {
		return nil, nil, err
	}
	defer s.Close()
	ds, err := file.ReadBoundaries(s, o)
	if err != nil {
		return nil, nil, err
	}
	return ds, s.Notes(), nil
}

// saveGrids stores a draft version and reports on it.
func saveGrids(ctx context.Context, db *store.DB, ds []grid.Draft, madeUp bool, note string, out io.Writer) (int32, error) {
	version, err := db.SaveDraft(ctx, ds, madeUp, note)
	var fe *store.FaultsError
	if errors.As(err, &fe) {
		printFaults(out, fe.Faults)
	}
	if err != nil {
		return 0, err
	}
	counts := make([]int, grid.MaxLevel+1)
	var bound orb.Bound
	for i, d := range ds {
		counts[d.Level]++
		if b := d.Geom.Bound(); i == 0 {
			bound = b
		} else {
			bound = bound.Union(b)
		}
	}
	var shape []string
	for level := 1; level <= grid.MaxLevel && counts[level] > 0; level++ {
		shape = append(shape, fmt.Sprint(counts[level]))
	}
	fmt.Fprintf(out, "grid version %d stored as a draft: %s grids, WGS-84 box %.6f,%.6f,%.6f,%.6f\n",
		version, strings.Join(shape, "/"), bound.Min[0], bound.Min[1], bound.Max[0], bound.Max[1])
	return version, reportFaults(ctx, db, version, out)
}

func reportFaults(ctx context.Context, db *store.DB, version int32, out io.Writer) error {
	faults, err := db.CheckVersion(ctx, version)
	if err != nil {
		return err
	}
	printFaults(out, faults)
	return nil
}

// printFaults lists faults, the gravest kinds counted at the end.
func printFaults(out io.Writer, faults []grid.Fault) {
	kinds := map[grid.FaultKind]int{}
	var area float64
	for _, f := range faults {
		fmt.Fprintf(out, "%-14s %s\n", f.Kind, f.Text)
		kinds[f.Kind]++
		area += f.AreaM2
	}
	fmt.Fprintf(out, "faults: %d", len(faults))
	for _, k := range grid.FaultKinds() {
		if kinds[k] > 0 {
			fmt.Fprintf(out, ", %s %d", k, kinds[k])
		}
	}
	fmt.Fprintf(out, "; %.0f m2 in all\n", area)
}
