// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/paulmach/orb/geojson"

	"onemap/auth"
	"onemap/people"
	"onemap/store"
	"onemap/store/ledger"
)

// byCommand is who acts when a command does.
var byCommand = auth.Actor{ID: "system:command"}

// everyCounty is what a command at the machine may see.
var everyCounty = store.Counties{Every: true}

type gridsVersionsCmd struct{ place }

func (c *gridsVersionsCmd) Run(ctx context.Context, out io.Writer) error {
	db, done, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer done()
	vs, err := store.GridVersions(ctx, db.Pool, everyCounty)
	if err != nil {
		return err
	}
	t := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "version\tcounty\tstate\tgrids\tsince\tnote")
	for _, v := range vs {
		since := v.CreatedAt
		switch {
		case v.RetiredAt != nil:
			since = *v.RetiredAt
		case v.EnactedAt != nil:
			since = *v.EnactedAt
		}
		note := v.Note
		if v.Undoes != 0 {
			note = fmt.Sprintf("undoes %d; %s", v.Undoes, note)
		}
		switch p := v.Plan; {
		case p == nil:
		case p.Failed != "":
			note = fmt.Sprintf("NOT ENACTED at %s: %s; %s", local(p.At), p.Failed, note)
		default:
			note = fmt.Sprintf("to be enacted at %s; %s", local(p.At), note)
		}
		fmt.Fprintf(t, "%d\t%s %s\t%s\t%d\t%s\t%s\n", v.ID, v.Root, v.Name, v.State, v.Grids, local(since), note)
	}
	return t.Flush()
}

// local is a time as people there read it.
func local(at time.Time) string { return people.Local(at).Format("2006-01-02 15:04:05") }

type gridsPreviewCmd struct {
	place
	Version int32  `arg:"" help:"Number of the draft."`
	All     bool   `help:"Also grids about which nothing changes."`
	Map     string `help:"Write the pieces of land that change hands to this GeoJSON file." placeholder:"FILE"`
}

func (c *gridsPreviewCmd) Run(ctx context.Context, out io.Writer) error {
	db, done, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer done()
	v, err := store.FindGridVersion(ctx, db.Pool, everyCounty, c.Version)
	if err != nil {
		return err
	}
	if v.State != "draft" {
		return fmt.Errorf("version %d is %s: only a draft has a preview", v.ID, v.State)
	}
	before, err := store.VersionInForce(ctx, db.Pool, v.Root)
	if err != nil {
		return err
	}
	diff, err := db.DiffGrids(ctx, before, v.ID)
	if err != nil {
		return err
	}
	p, err := db.PreviewGrids(ctx, auth.System("a preview by who owns the machine"), v, before, diff, time.Now())
	if err != nil {
		return err
	}
	if err := printPreview(out, p, c.All); err != nil {
		return err
	}
	if c.Map != "" {
		if err := writePieces(c.Map, diff); err != nil {
			return err
		}
		fmt.Fprintf(out, "%d pieces of land that change hands written to %s\n", len(diff.Pieces), c.Map)
	}
	return reportFaults(ctx, db, v.ID, out)
}

func printPreview(out io.Writer, p store.GridPreview, all bool) error {
	changes := p.Worth()
	if all {
		changes = p.Changes
	}
	t := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "grid\tname\tchange\tkm2\topen\tin 30 days\tworkers")
	for _, g := range changes {
		name := g.Name
		switch {
		case name == "":
			name = g.NameBefore
		case g.NameBefore != "" && g.NameBefore != name:
			name = g.NameBefore + " -> " + name
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%.2f -> %.2f\t%d -> %d\t%d -> %d\t%d\n", g.Code, name, g.Change,
			g.AreaBefore/1e6, g.Area/1e6, g.OpenBefore, g.Open, g.RecentBefore, g.Recent, g.Workers)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	s := p.Totals
	_, err := fmt.Fprintf(out, `grids: %d -> %d; new %d, gone %d, moved %d, redrawn %d, renamed %d, same %d
open incidents: %d, of them %d change their grids (%d leave every grid, %d come into one)
workers who would serve nothing: %d
`, s.Before, s.After, s.New, s.Gone, s.Moved, s.Redrawn, s.Renamed, s.Same, s.Open, s.OpenMoving, s.OpenLeaving, s.OpenEntering, s.Stranded)
	return err
}

func writePieces(path string, d *store.GridDiff) error {
	c := geojson.NewFeatureCollection()
	for _, p := range d.Pieces {
		f := geojson.NewFeature(p.Geom)
		f.Properties = geojson.Properties{"from": p.From, "to": p.To, "area_m2": p.Area}
		c.Append(f)
	}
	raw, err := json.Marshal(c)
	if err != nil {
		return err
	}
	return os.WriteFile(path, raw, 0o644)
}

type gridsEnactCmd struct {
	place
	enactFlags
	Version int32     `arg:"" help:"Number of the version."`
	At      time.Time `help:"When, as 2026-12-01T00:00:00+08:00; a running server does it then (default: now, by this command)." placeholder:"TIME"`
}

func (c *gridsEnactCmd) Run(ctx context.Context, out io.Writer) error {
	db, done, err := c.openToChange(ctx)
	if err != nil {
		return err
	}
	defer done()
	if c.At.IsZero() {
		return enactGrids(ctx, db, c.enact(c.Version), out)
	}
	if c.At.Before(time.Now()) {
		return errors.New("--at lies in the past; leave it out to enact now")
	}
	v, err := store.FindGridVersion(ctx, db.Pool, everyCounty, c.Version)
	if err != nil {
		return err
	}
	if err := v.Enactable(ctx, db.Pool); err != nil {
		return err
	}
	faults, err := db.CheckVersion(ctx, v.ID)
	if err != nil {
		return err
	}
	e := c.enact(v.ID)
	if grave := store.Grave(faults, e.Tolerance); len(grave) > 0 && !e.AcceptFaults {
		return faulty(&store.FaultsError{Faults: grave, What: fmt.Sprintf("grid version %d is not planned", v.ID)}, v.ID)
	}
	err = db.InTx(ctx, func(tx pgx.Tx) error {
		return ledger.PlanEnactment(ctx, tx, byCommand, v.ID, store.GridPlan{
			At: c.At, By: byCommand.ID, Reason: e.Reason, Tolerance: e.Tolerance, AcceptFaults: e.AcceptFaults,
		}, time.Now())
	})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "grid version %d will be enacted at %s by a running server; grids versions shows it, grids cancel %d cancels it\n", v.ID, local(c.At), v.ID)
	return err
}

type gridsCancelCmd struct {
	place
	Version int32 `arg:"" help:"Number of the version."`
}

func (c *gridsCancelCmd) Run(ctx context.Context, out io.Writer) error {
	db, done, err := c.openToChange(ctx)
	if err != nil {
		return err
	}
	defer done()
	err = db.InTx(ctx, func(tx pgx.Tx) error {
		return ledger.CancelEnactment(ctx, tx, byCommand, "", store.GridVersion{ID: c.Version})
	})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "the planned enactment of grid version %d is cancelled\n", c.Version)
	return err
}

type gridsUndoCmd struct {
	place
	Version int32  `arg:"" help:"Number of the version in force."`
	Reason  string `help:"Why; kept in the audit and in the journal of what moves."`
}

func (c *gridsUndoCmd) Run(ctx context.Context, out io.Writer) error {
	db, done, err := c.openToChange(ctx)
	if err != nil {
		return err
	}
	defer done()
	v, err := store.FindGridVersion(ctx, db.Pool, everyCounty, c.Version)
	if err != nil {
		return err
	}
	back, err := db.CopyToUndo(ctx, v)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "the boundaries of version %d are copied to version %d\n", v.Replaced, back.ID)
	return enactGrids(ctx, db, ledger.Enactment{Version: back.ID, Reason: c.Reason, AcceptFaults: true}, out)
}

// enactGrids enacts a version through the ledger, which moves what is open.
func enactGrids(ctx context.Context, db *store.DB, e ledger.Enactment, out io.Writer) error {
	cat, err := store.NewCatalogue(ctx, db)
	if err != nil {
		return err
	}
	if len(cat.Now().Tree.Nodes()) > 0 {
		fmt.Fprintf(out, "giving version %d its numbers, so that every server knows them before anything moves\n", e.Version)
	}
	begun := time.Now()
	done, err := ledger.New(ledger.Options{DB: db, Catalogue: cat, Now: time.Now}).Enact(ctx, byCommand, e)
	var fe *store.FaultsError
	if errors.As(err, &fe) {
		return faulty(err, e.Version)
	}
	if err != nil {
		return err
	}
	if done.Open > 0 {
		fmt.Fprintf(out, "%d open incidents have their new numbers, %d of them are in other grids; reports waited %s of %s\n",
			done.Open, done.Moved, done.Held.Round(time.Millisecond), time.Since(begun).Round(time.Millisecond))
	}
	_, err = fmt.Fprintf(out, "grid version %d is enacted\n", e.Version)
	return err
}

func faulty(err error, version int32) error {
	return fmt.Errorf("%w; raise --tolerance or say --accept-faults to enact it all the same: onemap grids enact %d", err, version)
}
