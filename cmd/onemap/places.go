// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
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
	DryRun  bool   `help:"Read and check the whole file, say what would come in and what the file lacks, write nothing."`
	Replace *int   `help:"Take out the county's places of this kind and source that the file lacks: so many as --dry-run counts, or nothing is done." placeholder:"N"`
}

type importPlacesCmd struct{ placesFlags }

func (c *importPlacesCmd) Run(ctx context.Context, out io.Writer, say messages) error {
	return c.bringIn(ctx, "place", "", out, say)
}

type importOrganisationsCmd struct{ placesFlags }

func (c *importOrganisationsCmd) Run(ctx context.Context, out io.Writer, say messages) error {
	return c.bringIn(ctx, "place", "organisation", out, say)
}

type importAddressesCmd struct{ placesFlags }

func (c *importAddressesCmd) Run(ctx context.Context, out io.Writer, say messages) error {
	return c.bringIn(ctx, "address", "", out, say)
}

// bringIn imports places of a kind; class is of those whose file says none.
func (c *placesFlags) bringIn(ctx context.Context, kind, class string, out io.Writer, say messages) error {
	open := c.openToChange
	if c.DryRun {
		open = c.open
	}
	db, done, err := open(ctx)
	if err != nil {
		return err
	}
	defer done()
	e := ended{bar: newBar(say)}
	e.res, e.rejects, e.told, e.err = app.ImportPlaces(ctx, app.PlacesOptions{
		DB: db, Kind: kind, Class: class, File: c.File, Open: c.options(), Map: c.Map, CRS: c.CRS, Source: c.Source, Rejects: c.Rejects, Root: c.County, DryRun: c.DryRun, Replace: c.Replace,
		Now: time.Now, Progress: e.bar.Show, Note: func(s string) { e.notes = append(e.notes, s) },
	})
	return finish(out, say, e, "in this way", func(n job.Counts) string {
		if c.DryRun {
			return fmt.Sprintf("in a grid %d, outside %d, would be rejected %d", n.InGrid, n.Outside, n.Rejected)
		}
		return fmt.Sprintf("new or changed in a grid %d, outside %d, already there %d, rejected %d", n.InGrid, n.Outside, n.Repeated, n.Rejected)
	})
}
