// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
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
	rosterFlags
	Replace bool `help:"Delete the county's contacts that the file does not have; not while a row is refused."`
}

func (c *importContactsCmd) Run(ctx context.Context, out io.Writer, say messages) error {
	if c.Preview > 0 {
		return c.preview(out, c.bind)
	}
	db, seal, done, err := c.begin(ctx)
	if err != nil {
		return err
	}
	defer done()
	e := ended{bar: newBar(say)}
	e.res, e.rejects, e.told, e.err = app.ImportContacts(ctx, app.ContactOptions{
		DB: db, Sealer: seal, File: c.File, Open: c.options(), Map: c.Map, Rejects: c.Rejects, Root: c.County, Replace: c.Replace, DryRun: c.DryRun,
		Now: time.Now, Progress: e.bar.Show,
	})
	return finish(out, say, e, "in this way", func(n job.Counts) string {
		if c.DryRun {
			return fmt.Sprintf("good %d, would be rejected %d", n.InGrid, n.Rejected)
		}
		return fmt.Sprintf("new or changed %d, already there %d, rejected %d", n.InGrid, n.Repeated, n.Rejected)
	})
}

func (c *importContactsCmd) bind(header []string) (teller, []string, error) {
	m, _, err := app.ContactMapOf(c.Map, header)
	if err != nil && len(file.IdentityColumns(header)) == 0 { // of those Bind speaks
		return nil, nil, err
	}
	mp, err := m.Bind(header)
	return func(row file.Row) (string, error) {
		k, err := mp.Apply(row)
		return fmt.Sprintf("grid=%q role=%s building=%q unit=%q name=%q phone=%q external_id=%q", k.Grid, k.Role, k.Building, k.Unit,
			auth.MaskName(k.Name), auth.MaskPhone(k.Phone), k.ExternalID), err
	}, nil, err
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
