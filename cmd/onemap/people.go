// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"onemap/auth"
	"onemap/intake/file"
	"onemap/internal/app"
	"onemap/internal/job"
)

type importPeopleCmd struct {
	place
	openFlags
	File         string `arg:"" help:"The roster: CSV (.gz too) or XLSX." type:"existingfile"`
	Map          string `help:"Column map, see docs/PEOPLE.md; without it columns are taken by their names." type:"existingfile"`
	Rejects      string `help:"Where refused rows go, masked, each with its reason (default: beside FILE)." placeholder:"FILE"`
	County       string `help:"Code of the county whose grids the roster names; needed where there are several."`
	ReplaceGrids bool   `help:"Workers in the file no longer serve grids that the file does not name for them."`
	Rebind       bool   `help:"Take devices from the workers who carry them now."`
	DryRun       bool   `help:"Read and check the whole file, say what would come in, write nothing."`
}

func (c *importPeopleCmd) Run(ctx context.Context, out io.Writer, say messages) error {
	if c.Preview > 0 {
		return previewPeople(c.File, c.Map, c.options(), int(c.Preview), out)
	}
	open := c.openToChange
	if c.DryRun {
		open = c.open
	}
	db, done, err := open(ctx)
	if err != nil {
		return err
	}
	defer done()
	o := app.PeopleOptions{
		DB: db, File: c.File, Open: c.options(), Map: c.Map, Rejects: c.Rejects, Root: c.County, ReplaceGrids: c.ReplaceGrids, Rebind: c.Rebind,
		DryRun: c.DryRun, Now: time.Now,
	}
	if !c.DryRun {
		if o.Sealer, err = db.OpenSealer(ctx, c.dir()); err != nil {
			return err
		}
	}
	e := ended{bar: newBar(say)}
	o.Progress = e.bar.Show
	e.res, e.rejects, e.told, e.err = app.ImportPeople(ctx, o)
	return finish(out, say, e, "in this way", func(n job.Counts) string {
		if c.DryRun {
			return fmt.Sprintf("with grids %d, without %d, would be rejected %d", n.InGrid, n.Unlocated, n.Rejected)
		}
		return fmt.Sprintf("new or changed with grids %d, without %d, already there %d, rejected %d", n.InGrid, n.Unlocated, n.Repeated, n.Rejected)
	})
}

// previewPeople shows how the first rows of a roster would be read, names and
// telephone numbers masked.
func previewPeople(path, mapPath string, open file.Options, n int, out io.Writer) error {
	r, err := file.OpenTable(path, open)
	if err != nil {
		return err
	}
	defer r.Close()
	m, _, err := app.PersonMapOf(mapPath, r.Header())
	if err != nil && len(file.IdentityColumns(r.Header())) == 0 {
		return err
	}
	mp, err := m.Bind(r.Header())
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "file      %s\nformat    %s\nencoding  %s\ncolumns   %s\nmapping   %s\n", path, r.Format(), r.Encoding(), strings.Join(r.Header(), ", "), strings.Join(m.Fields(), ", "))
	rows, err := firstRows(r, n)
	if err != nil {
		return err
	}
	for _, row := range rows {
		p, err := mp.Apply(row)
		var bad *file.RowError
		if errors.As(err, &bad) {
			fmt.Fprintf(out, "row %d (line %d): REFUSED: %s\n", row.N, row.Line, strings.Join(bad.Reasons, "；"))
			continue
		}
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "row %d (line %d): badge=%q name=%q phone=%q department=%q skills=%q grids=%q as %s from %s to %s device=%q hours=%d\n", row.N, row.Line, p.Badge,
			auth.MaskName(p.Name), auth.MaskPhone(p.Phone), p.Department, p.Skills, p.Grids, p.Role, orDash(p.From), orDash(p.To), p.Device, len(p.Rota))
	}
	_, err = fmt.Fprintf(out, "whether its grids are in force shows in --dry-run\n%s", nothingWritten)
	return err
}
