// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"onemap/internal/app"
	"onemap/internal/job"
)

// placesFlags are those of both imports of the address search.
type placesFlags struct {
	place
	sourceFlags
	File    string `arg:"" help:"CSV (.gz too), XLSX, or points as GeoJSON, GeoJSONSeq or zipped Shapefile." type:"existingfile"`
	CRS     string `help:"What the coordinates are: wgs84, gcj02, bd09, cgcs2000, or EPSG:4490 to 4554 with the order of axes (EPSG:4545-en: easting first); a column map or a .prj may say it instead." name:"crs" placeholder:"DATUM"`
	Source  string `help:"Who they are from; a place is known again by county, kind, source and external id." required:""`
	Map     string `help:"Column map, see docs/PLACES.md; without it columns are taken by their names." type:"existingfile"`
	Rejects string `help:"Where refused rows go, each with its reason (default: beside FILE)." placeholder:"FILE"`
	County  string `help:"Code of the county that rows outside every grid belong to; needed where there are several."`
	DryRun  bool   `help:"Read and check the whole file, say what would come in, write nothing."`
}

type importPlacesCmd struct{ placesFlags }

func (c *importPlacesCmd) Run(ctx context.Context, out io.Writer, say messages) error {
	return c.bringIn(ctx, "place", out, say)
}

type importAddressesCmd struct{ placesFlags }

func (c *importAddressesCmd) Run(ctx context.Context, out io.Writer, say messages) error {
	return c.bringIn(ctx, "address", out, say)
}

func (c *placesFlags) bringIn(ctx context.Context, kind string, out io.Writer, say messages) error {
	open := c.openToChange
	if c.DryRun {
		open = c.open
	}
	db, done, err := open(ctx)
	if err != nil {
		return err
	}
	defer done()
	f, isFile := say.Writer.(*os.File)
	bar := job.NewPrinter(say, isFile && job.IsTerminal(f), time.Now)
	var notes []string
	res, rejects, told, err := app.ImportPlaces(ctx, app.PlacesOptions{
		DB: db, Kind: kind, File: c.File, Open: c.options(), Map: c.Map, CRS: c.CRS, Source: c.Source, Rejects: c.Rejects, Root: c.County, DryRun: c.DryRun,
		Now: time.Now, Progress: bar.Show, Note: func(s string) { notes = append(notes, s) },
	})
	bar.End()
	for _, note := range notes {
		fmt.Fprintln(say, note)
	}
	if errors.Is(err, job.ErrStopped) {
		return fmt.Errorf("%w (%s so far)", err, res.Counts)
	}
	if err != nil {
		return err
	}
	n := res.Counts
	if c.DryRun {
		fmt.Fprintf(out, "dry run, nothing was written: rows %d: in a grid %d, outside %d, would be rejected %d\n", n.Rows(), n.InGrid, n.Outside, n.Rejected)
		for _, t := range told {
			fmt.Fprintf(out, "row %d (line %d): %s\n", t.Row, t.Line, strings.Join(t.Why, "；"))
		}
		return nil
	}
	if res.AlreadyDone {
		fmt.Fprintln(say, "this file was imported before in this way; nothing was done")
	}
	if res.RejectsLost > 0 {
		fmt.Fprintf(say, "%d refused rows of an earlier run are no longer in %s\n", res.RejectsLost, rejects)
	}
	fmt.Fprintf(out, "rows %d: new or changed in a grid %d, outside %d, already there %d, rejected %d\n", n.Rows(), n.InGrid, n.Outside, n.Repeated, n.Rejected)
	if _, err := os.Stat(rejects); n.Rejected > 0 && err == nil {
		fmt.Fprintf(out, "rejected rows and why: %s\n", rejects)
	}
	return nil
}
