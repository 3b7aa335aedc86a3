// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"onemap/auth"
	"onemap/dispatch"
	"onemap/dispatch/calendar"
	"onemap/geo/gazetteer"
	"onemap/geo/grid"
	"onemap/intake"
	"onemap/intake/file"
	"onemap/internal/job"
	"onemap/store"
	"onemap/store/ledger"
)

// ImportOptions name a file of past incidents and how to read it.
type ImportOptions struct {
	DB       *store.DB
	Sealer   *store.Sealer
	File     string // of any format that package intake/file reads as a table
	Open     file.Options
	Map      string // column map, see docs/IMPORT.md
	Rejects  string // where refused rows go; "" is FILE.rejects.csv
	Root     string // code of the county that rows outside every grid belong to; "" is the only one
	Now      func() time.Time
	Progress func(job.Progress)
	Note     func(string) // optional: told what was left out of the file
}

// placed is a row of the file after intake: an incident, or why it is refused.
type placed struct {
	row  file.Row
	past ledger.Past
	why  []string
}

// ImportIncidents brings in past incidents, going on where an earlier run of the
// same file and map stopped. It returns the path of the reject file as well.
func ImportIncidents(ctx context.Context, o ImportOptions) (job.Result, string, error) {
	columns, err := os.ReadFile(o.Map)
	if err != nil {
		return job.Result{}, "", fmt.Errorf("column map: %w", err)
	}
	m, err := file.ParseMap(bytes.NewReader(columns))
	if err != nil {
		return job.Result{}, "", fmt.Errorf("column map %s: %w", o.Map, err)
	}
	r, err := file.OpenTable(o.File, o.Open)
	if err != nil {
		return job.Result{}, "", err
	}
	defer r.Close()
	mapper, err := r.Bind(m)
	if err != nil {
		return job.Result{}, "", err
	}
	cat, err := store.NewCatalogue(ctx, o.DB)
	if err != nil {
		return job.Result{}, "", err
	}
	env := intake.Env{
		Tree: cat.Now().Tree, Categories: cat.Now().Categories, Departments: cat.Now().Departments, Past: true, Now: o.Now(),
	}
	if env.Root, err = rootOf(cat.Now(), o.Root); err != nil {
		return job.Result{}, "", err
	}
	print, err := job.Fingerprint(o.File, columns, o.fingerprinted()...)
	if err != nil {
		return job.Result{}, "", err
	}
	if o.Rejects == "" {
		o.Rejects = strings.TrimSuffix(strings.TrimSuffix(o.File, ".gz"), ".csv") + ".rejects.csv"
	}
	if m.Addresses() {
		stored, err := o.DB.Places(ctx, auth.System("the address search cuts places to the county of the import"))
		if err != nil {
			return job.Result{}, "", err
		}
		env.Find = addressesOf(env.Tree, env.Root, stored)
	}
	im := &importer{
		approximate: m.Approximate(), unplaced: m.KeepsUnplaced(), env: env, cal: calendar.Default(), name: filepath.Base(o.File), print: fmt.Sprintf("%x", print[:6]),
		history: ledger.New(ledger.Options{DB: o.DB, Catalogue: cat, Sealer: o.Sealer, Now: o.Now}).History(),
	}
	rows, stop := ahead(im.rows(r, mapper))
	res, err := job.Run(ctx, o.DB.Pool, job.Options[placed]{
		Kind: "incidents", Fingerprint: print, FileName: im.name, Rows: rows, Commit: im.commit, Rejects: o.Rejects,
		RejectHeader: file.RejectHeader(r.Header()), Read: r.Progress, Progress: o.Progress, Now: o.Now,
	})
	stop() // nothing reads the file any more
	for _, note := range r.Notes() {
		if o.Note != nil {
			o.Note(note)
		}
	}
	if res.Counts.Rows() > res.Skipped {
		err = errors.Join(err, gatherStatistics(context.WithoutCancel(ctx), o.DB))
	}
	return res, o.Rejects, err
}

// fingerprinted are the options that change what a file's rows are. Without any the
// list is what it was before there were such options.
func (o ImportOptions) fingerprinted() []string {
	if o.Open.Sheet == "" && o.Open.Encoding == "" {
		return []string{o.Root}
	}
	return []string{o.Root, o.Open.Sheet, o.Open.Encoding}
}

// gatherStatistics tells the query planner of the rows that came in. Until it
// knows, each page of the incident list would sort the whole table.
func gatherStatistics(ctx context.Context, db *store.DB) error {
	if _, err := db.Pool.Exec(ctx, "ANALYZE incident"); err != nil {
		return fmt.Errorf("statistics after the import: %w", err)
	}
	return nil
}

func rootOf(c *store.Catalog, code string) (int, error) {
	roots := c.Tree.Roots()
	if len(roots) == 0 {
		return 0, errors.New("this centre has no grids yet: import or draft them first (onemap import grids, onemap grids draft)")
	}
	var codes []string
	for _, i := range roots {
		n := c.Tree.Nodes()[i]
		if string(n.Code) == code || code == "" && len(roots) == 1 {
			return i, nil
		}
		codes = append(codes, string(n.Code))
	}
	return 0, fmt.Errorf("say with --county which county rows outside every grid belong to: %s", strings.Join(codes, ", "))
}

// addressesOf is the address search of one county.
func addressesOf(tree *grid.Tree, root int, stored []store.Place) intake.Find {
	x, county := PlaceIndex(tree, stored), tree.Nodes()[root]
	return func(address string) []gazetteer.Candidate {
		return x.Search(address, gazetteer.Options{Sees: func(no int32) bool { return county.No <= no && no <= county.Last }, Limit: 40, Areas: true})
	}
}

type importer struct {
	approximate, unplaced bool // what the column map takes of rows with an address alone

	env     intake.Env
	cal     calendar.Calendar
	history *ledger.History
	name    string
	print   string // names the file in external ids of rows that bring none
}

// rows reads, maps and places the file's rows.
func (im *importer) rows(r *file.Reader, m *file.Mapper) iter.Seq2[placed, error] {
	return func(yield func(placed, error) bool) {
		for {
			row, err := r.Next()
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(placed{}, err)
				return
			}
			rec, err := m.Apply(row)
			p := placed{row: row}
			var bad *file.RowError
			switch {
			case errors.As(err, &bad):
				p.why = bad.Reasons
			case err != nil:
				yield(placed{}, err)
				return
			default:
				im.place(&p, rec)
			}
			if !yield(p, nil) {
				return
			}
		}
	}
}

// place takes a record through intake's stages.
func (im *importer) place(p *placed, rec file.Record) {
	in := intake.Report{
		Category: rec.Category, Title: rec.Title, Text: rec.Text, Priority: rec.Priority, Source: rec.Source,
		ExternalID: rec.ExternalID, Address: rec.Address, ReportedAt: &rec.ReportedAt,
	}
	if in.ExternalID == "" { // the row's own place in its file makes a second import harmless
		in.ExternalID = fmt.Sprintf("%s:%d", im.print, rec.Row)
	}
	if rec.Place != nil {
		in.Lon, in.Lat, in.CRS = &rec.Place.Lon, &rec.Place.Lat, string(rec.Place.Datum)
	}
	env := im.env
	if rec.Place == nil && in.Address == "" {
		in.Address, env.Find = "未注明", nil // a past matter without any place is still counted
	}
	in.Approximate, in.Unplaced = im.approximate, im.unplaced
	res, err := intake.Run(env, in)
	var bad intake.Problems
	if errors.As(err, &bad) {
		for _, x := range bad {
			p.why = append(p.why, x.Field+": "+x.Message+likeliest(x.Candidates))
		}
		return
	}
	p.past.Incident = store.Incident{
		Title: res.Title, Text: res.Text, Source: res.Source, ExternalID: res.ExternalID, Place: res.Place, Department: res.Department,
	}
	ch := dispatch.Open(res.Report, im.cal, rec.ReportedAt)
	p.past.Incident.Incident = ch.After
	if rec.State != "" {
		p.past.State = dispatch.State(rec.State)
	} else {
		p.past.State = dispatch.Closed
	}
	if !p.past.State.Open() {
		stages(&p.past, rec)
	}
}

// stages gives a finished matter the times it had: beside its columns each known stage
// is an act in its journal, in the order of the stages.
func stages(past *ledger.Past, rec file.Record) {
	who, end := auth.SystemActor("import of incidents").ID, rec.ReportedAt
	past.Steps = []ledger.PastStep{{Kind: "report", To: dispatch.Reported, Actor: who, At: rec.ReportedAt}}
	known := rec.Stages()
	for i, s := range []struct {
		kind string
		to   dispatch.State
		at   **time.Time
	}{
		{"dispatch", dispatch.Dispatched, nil},
		{"acknowledge", dispatch.Acknowledged, &past.AcknowledgedAt},
		{"arrive", dispatch.OnScene, &past.OnSceneAt},
		{"resolve", dispatch.Resolved, &past.ResolvedAt},
	} {
		at := known[i]
		if at.IsZero() {
			continue
		}
		if s.at != nil {
			*s.at = &at
		}
		past.Steps = append(past.Steps, ledger.PastStep{Kind: s.kind, From: past.Steps[len(past.Steps)-1].To, To: s.to, Actor: who, At: at})
		if at.After(end) {
			end = at
		}
	}
	if !rec.ClosedAt.IsZero() {
		end = rec.ClosedAt
	}
	past.ClosedAt = &end
	if len(past.Steps) == 1 {
		past.Steps = nil // a report and its end: one entry says that it was brought in
		return
	}
	past.Steps = append(past.Steps, ledger.PastStep{Kind: "import", From: past.Steps[len(past.Steps)-1].To, To: past.State, Actor: who, At: end})
}

// likeliest is the first of the places that a row's address may mean, for its reader.
func likeliest(found []gazetteer.Candidate) string {
	if len(found) == 0 {
		return ""
	}
	c := found[0]
	return fmt.Sprintf("；最可能：%s %.6f,%.6f（WGS-84，置信度 %.2f，误差 %.0f 米）", c.Entry.Name, c.Point[0], c.Point[1], c.Confidence, c.AccuracyM)
}

// commit stores one batch and moves the job's cursor in the same transaction.
func (im *importer) commit(ctx context.Context, b *job.Batch[placed]) error {
	var batch []ledger.Past
	for _, p := range b.Rows {
		if len(p.why) > 0 {
			b.Reject(file.RejectRecord(p.row, p.why))
			continue
		}
		batch = append(batch, p.past)
	}
	note := fmt.Sprintf("import_job/%d", b.Job())
	_, err := im.history.Import(ctx, auth.SystemActor("import of incidents"), note, batch, func(ctx context.Context, tx pgx.Tx, done ledger.Imported) error {
		for _, p := range done.Fresh {
			switch p.Place.Kind {
			case dispatch.InGrid:
				b.Counts.InGrid++
			case dispatch.Outside:
				b.Counts.Outside++
			default:
				b.Counts.Unlocated++
			}
		}
		b.Counts.Repeated += int64(done.Repeated)
		return b.Advance(ctx, tx)
	})
	return err
}

// aheadRows is how many rows are read and placed while others are being stored.
const aheadRows = 2 * job.DefaultBatch

// ahead runs seq in a goroutine of its own, a bounded number of rows in front of
// its reader, so that reading and storing share the work. stop ends it.
func ahead[R any](seq iter.Seq2[R, error]) (iter.Seq2[R, error], func()) {
	type item struct {
		row R
		err error
	}
	c, quit, done := make(chan item, aheadRows), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		defer close(c)
		for r, err := range seq {
			select {
			case c <- item{r, err}:
			case <-quit:
				return
			}
		}
	}()
	return func(yield func(R, error) bool) {
			for it := range c {
				if !yield(it.row, it.err) {
					return
				}
			}
		}, func() {
			close(quit)
			<-done
		}
}
