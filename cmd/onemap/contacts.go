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

type importContactsCmd struct {
	place
	openFlags
	File    string `arg:"" help:"The contacts: CSV (.gz too) or XLSX." type:"existingfile"`
	Map     string `help:"Column map, see docs/PEOPLE.md; without it columns are taken by their names." type:"existingfile"`
	Rejects string `help:"Where refused rows go, masked, each with its reason (default: beside FILE)." placeholder:"FILE"`
	County  string `help:"Code of the county whose grids the file names; needed where there are several."`
	Replace bool   `help:"Delete the county's contacts that the file does not have; not while a row is refused."`
	DryRun  bool   `help:"Read and check the whole file, say what would come in, write nothing."`
}

func (c *importContactsCmd) Run(ctx context.Context, out io.Writer, say messages) error {
	if c.Preview > 0 {
		return previewContacts(c.File, c.Map, c.options(), int(c.Preview), out)
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
	o := app.ContactOptions{
		DB: db, File: c.File, Open: c.options(), Map: c.Map, Rejects: c.Rejects, Root: c.County, Replace: c.Replace, DryRun: c.DryRun, Now: time.Now,
	}
	if !c.DryRun {
		if o.Sealer, err = db.OpenSealer(ctx, c.dir()); err != nil {
			return err
		}
	}
	e := ended{bar: newBar(say)}
	o.Progress = e.bar.Show
	e.res, e.rejects, e.told, e.err = app.ImportContacts(ctx, o)
	return finish(out, say, e, "in this way", func(n job.Counts) string {
		if c.DryRun {
			return fmt.Sprintf("good %d, would be rejected %d", n.InGrid, n.Rejected)
		}
		return fmt.Sprintf("new or changed %d, already there %d, rejected %d", n.InGrid, n.Repeated, n.Rejected)
	})
}

// previewContacts shows how the first rows of a file would be read, names and
// telephone numbers masked.
func previewContacts(path, mapPath string, open file.Options, n int, out io.Writer) error {
	r, err := file.OpenTable(path, open)
	if err != nil {
		return err
	}
	defer r.Close()
	m, _, err := app.ContactMapOf(mapPath, r.Header())
	if err != nil && len(file.IdentityColumns(r.Header())) == 0 {
		return err
	}
	mp, err := m.Bind(r.Header())
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "file      %s\nformat    %s\nencoding  %s\ncolumns   %s\n", path, r.Format(), r.Encoding(), strings.Join(r.Header(), ", "))
	rows, err := firstRows(r, n)
	if err != nil {
		return err
	}
	for _, row := range rows {
		c, err := mp.Apply(row)
		var bad *file.RowError
		if errors.As(err, &bad) {
			fmt.Fprintf(out, "row %d (line %d): REFUSED: %s\n", row.N, row.Line, strings.Join(bad.Reasons, "；"))
			continue
		}
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "row %d (line %d): grid=%q role=%s building=%q unit=%q name=%q phone=%q external_id=%q\n", row.N, row.Line, c.Grid, c.Role, c.Building, c.Unit,
			auth.MaskName(c.Name), auth.MaskPhone(c.Phone), c.ExternalID)
	}
	_, err = fmt.Fprintf(out, "whether its grids are in force shows in --dry-run\n%s", nothingWritten)
	return err
}

type importSkillsCmd struct {
	place
	sourceFlags
	File string `arg:"" help:"The catalogue: CSV or XLSX with the columns code and name." type:"existingfile"`
}

func (c *importSkillsCmd) Run(ctx context.Context, out io.Writer) error {
	db, done, err := c.openToChange(ctx)
	if err != nil {
		return err
	}
	defer done()
	n, recoded, unknown, err := app.ImportSkills(ctx, db, c.File, c.options(), time.Now())
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "skills in the file %d, workers who had one by its name and have its code now %d\n", n, recoded)
	if len(unknown) > 0 {
		fmt.Fprintf(out, "workers have skills that the catalogue lacks: %s; a roster that names them is refused from now on\n", strings.Join(unknown, ", "))
	}
	return nil
}
