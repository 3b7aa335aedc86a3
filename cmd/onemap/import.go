// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"time"

	"onemap/intake/file"
	"onemap/internal/app"
	"onemap/internal/job"
)

type importCmd struct {
	Grids         importGridsCmd         `cmd:"" help:"Bring in a grid tree from GeoJSON or Shapefile, as a draft that is checked."`
	Overlay       importOverlayCmd       `cmd:"" help:"Bring in an overlay beside the grid tree: police beats, specialist grids of a department."`
	Incidents     importIncidentsCmd     `cmd:"" help:"Bring in past incidents from CSV, XLSX or a file of points."`
	Places        importPlacesCmd        `cmd:"" help:"Bring in named places (schools, wells, shops) from a table or a file of points, for the address search."`
	Addresses     importAddressesCmd     `cmd:"" help:"Bring in an address library from a table or a file of points, for the address search."`
	Organisations importOrganisationsCmd `cmd:"" help:"Bring in organisations (government, firms, clinics) as places of class organisation; contact persons are refused."`
	People        importPeopleCmd        `cmd:"" help:"Bring in the roster of grid workers: badges, grids, duty hours, devices."`
	Contacts      importContactsCmd      `cmd:"" help:"Bring in who heads units and buildings below the grid: names and phones, without account or track."`
	Skills        importSkillsCmd        `cmd:"" help:"Bring in the catalogue of skills; from then on a roster may name no other."`
	Households    importHouseholdsCmd    `cmd:"" help:"Bring in how many households live in each leaf grid, for rates of hot spots; the numbers before are replaced."`
	Layer         importLayerCmd         `cmd:"" help:"Bring in a named layer of points, lines or polygons: resource points, hydrants, reservoirs."`
	Cameras       importCamerasCmd       `cmd:"" help:"Bring in camera points with their GB/T 28181 codes."`
	Roads         importRoadsCmd         `cmd:"" help:"Bring in roads from an OpenStreetMap extract, GeoJSON lines or a zipped Shapefile of lines."`
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
	e := ended{bar: newBar(say)}
	e.res, e.rejects, e.err = app.ImportIncidents(ctx, app.ImportOptions{
		DB: db, Sealer: seal, File: c.File, Open: c.options(), Map: c.Map, Rejects: c.Rejects, Root: c.County, Now: time.Now, Progress: e.bar.Show,
		Note: func(s string) { e.notes = append(e.notes, s) },
	})
	return finish(out, say, e, "with this map", func(n job.Counts) string {
		return fmt.Sprintf("in a grid %d, outside %d, without a place %d, already there %d, rejected %d", n.InGrid, n.Outside, n.Unlocated, n.Repeated, n.Rejected)
	})
}
