// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"onemap/auth"
	"onemap/intake/file"
	"onemap/internal/app"
	"onemap/internal/job"
)

type importPeopleCmd struct {
	rosterFlags
	ReplaceGrids bool `help:"Workers in the file no longer serve grids that the file does not name for them."`
	Rebind       bool `help:"Take devices from the workers who carry them now."`
}

func (c *importPeopleCmd) Run(ctx context.Context, out io.Writer, say messages) error {
	if c.Preview > 0 {
		return c.preview(out, c.bind)
	}
	db, seal, done, err := c.begin(ctx)
	if err != nil {
		return err
	}
	defer done()
	e := ended{bar: newBar(say)}
	e.res, e.rejects, e.told, e.err = app.ImportPeople(ctx, app.PeopleOptions{
		DB: db, Sealer: seal, File: c.File, Open: c.options(), Map: c.Map, Rejects: c.Rejects, Root: c.County, ReplaceGrids: c.ReplaceGrids, Rebind: c.Rebind,
		DryRun: c.DryRun, Now: time.Now, Progress: e.bar.Show,
	})
	return finish(out, say, e, "in this way", func(n job.Counts) string {
		if c.DryRun {
			return fmt.Sprintf("with grids %d, without %d, would be rejected %d", n.InGrid, n.Unlocated, n.Rejected)
		}
		return fmt.Sprintf("new or changed with grids %d, without %d, already there %d, rejected %d", n.InGrid, n.Unlocated, n.Repeated, n.Rejected)
	})
}

func (c *importPeopleCmd) bind(header []string) (teller, []string, error) {
	m, _, err := app.PersonMapOf(c.Map, header)
	if err != nil && len(file.IdentityColumns(header)) == 0 { // of those Bind speaks
		return nil, nil, err
	}
	mp, err := m.Bind(header)
	return func(row file.Row) (string, error) {
		p, err := mp.Apply(row)
		return fmt.Sprintf("badge=%q name=%q phone=%q department=%q skills=%q grids=%q as %s from %s to %s device=%q hours=%d", p.Badge,
			auth.MaskName(p.Name), auth.MaskPhone(p.Phone), p.Department, p.Skills, p.Grids, p.Role, orDash(p.From), orDash(p.To), p.Device, len(p.Rota)), err
	}, m.Fields(), err
}
