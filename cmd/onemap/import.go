// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime/debug"
	"time"

	"onemap/intake/file"
	"onemap/internal/app"
	"onemap/internal/job"
)

type importCmd struct {
	Grids     importGridsCmd     `cmd:"" help:"Bring in a grid tree from GeoJSON or Shapefile, as a draft that is checked."`
	Incidents importIncidentsCmd `cmd:"" help:"Bring in past incidents from CSV, XLSX or a file of points."`
	Places    importPlacesCmd    `cmd:"" help:"Bring in named places (schools, wells, shops) from a table or a file of points, for the address search."`
	Addresses importAddressesCmd `cmd:"" help:"Bring in an address library from a table or a file of points, for the address search."`
	Layer     importLayerCmd     `cmd:"" help:"Bring in a named layer of points, lines or polygons: resource points, hydrants, reservoirs."`
	Cameras   importCamerasCmd   `cmd:"" help:"Bring in camera points with their GB/T 28181 codes."`
	Roads     importRoadsCmd     `cmd:"" help:"Bring in roads from an OpenStreetMap extract or GeoJSON lines."`
}

// sourceFlags say what a file does not say itself.
type sourceFlags struct {
	Encoding string `help:"Encoding of a Shapefile's attributes or a CSV file that does not show it: UTF-8, GBK or GB18030." placeholder:"NAME"`
	Sheet    string `help:"Sheet of a workbook (default: the first)." placeholder:"NAME"`
}

// openFlags are sourceFlags with a look at how the file would be read.
type openFlags struct {
	sourceFlags
	Preview previewRows `help:"Show how the first rows (5, or --preview=N) would be read, and write nothing." placeholder:"N"`
}

func (f sourceFlags) options() file.Options {
	return file.Options{Encoding: f.Encoding, Sheet: f.Sheet}
}

// shownRefusals is how many refused rows a dry run shows.
const shownRefusals = 20

type importIncidentsCmd struct {
	place
	openFlags
	File    string `arg:"" help:"CSV (.gz too), XLSX, or points as GeoJSON, GeoJSONSeq or zipped Shapefile." type:"existingfile"`
	Map     string `help:"Column map, see docs/IMPORT.md; --preview proposes one." type:"existingfile"`
	DryRun  bool   `help:"Read every row, say which would be refused, and write nothing."`
	Rejects string `help:"Where refused rows go, each with its reason (default: beside FILE)." placeholder:"FILE"`
	County  string `help:"Code of the county that rows outside every grid belong to; needed where there are several."`
}

func (c *importIncidentsCmd) Run(ctx context.Context, out io.Writer, say messages) error {
	switch {
	case c.Preview > 0:
		return previewIncidents(c.File, c.Map, c.options(), int(c.Preview), false, out)
	case c.Map == "":
		return errors.New("--map is missing: it says which column is what; --preview proposes one")
	case c.DryRun:
		return previewIncidents(c.File, c.Map, c.options(), shownRefusals, true, out)
	}
	db, seal, done, err := c.openRecord(ctx)
	if err != nil {
		return err
	}
	defer done()
	debug.SetGCPercent(400) // a short run that makes much garbage: memory for time
	f, isFile := say.Writer.(*os.File)
	bar := job.NewPrinter(say, isFile && job.IsTerminal(f), time.Now)
	var notes []string
	res, rejects, err := app.ImportIncidents(ctx, app.ImportOptions{
		DB: db, Sealer: seal, File: c.File, Open: c.options(), Map: c.Map, Rejects: c.Rejects, Root: c.County, Now: time.Now, Progress: bar.Show,
		Note: func(s string) { notes = append(notes, s) },
	})
	bar.End()
	for _, note := range notes {
		fmt.Fprintln(say, note)
	}
	if errors.Is(err, job.ErrStopped) {
		return fmt.Errorf("%w (%s so far)", err, res.Counts)
	}
	var pe *fs.PathError
	if errors.As(err, &pe) && pe.Path == rejects {
		return fmt.Errorf("%w; name another place for refused rows with --rejects, the import goes on from there", err)
	}
	if err != nil {
		return err
	}
	if res.AlreadyDone {
		fmt.Fprintln(say, "this file was imported before with this map; nothing was done")
	}
	if res.RejectsLost > 0 {
		fmt.Fprintf(say, "%d refused rows of an earlier run are no longer in %s\n", res.RejectsLost, rejects)
	}
	n := res.Counts
	fmt.Fprintf(out, "rows %d: in a grid %d, outside %d, without a place %d, already there %d, rejected %d\n",
		n.Rows(), n.InGrid, n.Outside, n.Unlocated, n.Repeated, n.Rejected)
	if _, err := os.Stat(rejects); n.Rejected > 0 && err == nil {
		fmt.Fprintf(out, "rejected rows and why: %s\n", rejects)
	}
	return nil
}
