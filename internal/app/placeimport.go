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
	"onemap/geo/grid"
	"onemap/intake/file"
	"onemap/internal/job"
	"onemap/store"
	"onemap/store/ledger"
)

// PlacesOptions name a file of places or addresses and how to read it.
type PlacesOptions struct {
	DB       *store.DB
	Kind     string // place or address
	Class    string // of places whose row says none
	File     string // rows or points: what file.Open reads
	Open     file.Options
	Map      string // column map, see docs/PLACES.md; "" takes columns by their names
	CRS      string // what the coordinates are; "" when the map or the file says it
	Source   string // who the places are from: a place is known again by county, kind, source and external id
	Rejects  string // where refused rows go; "" is FILE.rejects.csv
	Root     string // code of the county that rows outside every grid belong to; "" is the only one
	DryRun   bool   // read, check and count; write nothing, no reject file either
	Now      func() time.Time
	Progress func(job.Progress)
	Note     func(string) // optional: told what was left out of the file
}

// placeRow is a row of the file as a place, or why it is refused.
type placeRow struct {
	row    file.Row
	place  store.Place
	inGrid bool
	why    []string
}

// maxTold is how many refused rows a dry run tells of.
const maxTold = 20

// Told is a refused row of a dry run.
type Told struct {
	Row, Line int64
	Why       []string
}

// placeImport is one import of places on its way.
type placeImport struct {
	o     PlacesOptions
	tree  *grid.Tree
	root  string
	table *file.Reader
	mp    *file.PlaceMapper
	print []byte
}

// ImportPlaces brings in places or addresses, going on where an earlier run of the
// same file and map stopped. A place that was there under its county, kind, source
// and external id takes the new values. It returns the path of the reject file; of a dry run the
// first refused rows instead.
func ImportPlaces(ctx context.Context, o PlacesOptions) (res job.Result, rejects string, told []Told, err error) {
	im, err := openPlaces(ctx, o)
	if err != nil {
		return res, "", nil, err
	}
	defer im.table.Close()
	if o.DryRun {
		res.Counts, told, err = im.dryRun(ctx)
		im.tellNotes()
		return res, "", told, err
	}
	if o.Rejects == "" {
		o.Rejects = strings.TrimSuffix(o.File, ".gz")
		o.Rejects = strings.TrimSuffix(o.Rejects, filepath.Ext(o.Rejects)) + ".rejects.csv"
	}
	rows, stop := ahead(im.rows())
	res, err = job.Run(ctx, o.DB.Pool, job.Options[placeRow]{
		Kind: "places", Fingerprint: im.print, FileName: filepath.Base(o.File), Rows: rows, Commit: im.commit, Rejects: o.Rejects,
		RejectHeader: file.RejectHeader(im.table.Header()), Read: im.table.Progress, Progress: o.Progress, Now: o.Now,
	})
	stop() // nothing reads the file any more
	im.tellNotes()
	return res, o.Rejects, nil, err
}

// tellNotes tells what was left out of what was read.
func (im *placeImport) tellNotes() {
	if im.o.Note == nil {
		return
	}
	for _, note := range im.table.Notes() {
		im.o.Note(note)
	}
}

func openPlaces(ctx context.Context, o PlacesOptions) (_ *placeImport, err error) {
	if o.Source == "" || len([]rune(o.Source)) > 64 {
		return nil, errors.New("say with --source who the places are from, in at most 64 characters")
	}
	im := &placeImport{o: o}
	if im.table, err = file.OpenTable(o.File, o.Open); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = im.table.Close()
		}
	}()
	if o.CRS == "" {
		o.CRS = string(im.table.Datum())
	}
	var columns []byte
	var m file.PlaceMap
	if o.Map == "" {
		if about := file.PersonColumns(im.table.Header()); len(about) > 0 { // before anything is asked about columns
			return nil, &file.PersonColumnsError{Columns: about}
		}
		m, err = file.GuessPlaceMap(im.table.Header(), o.CRS)
	} else {
		if columns, err = os.ReadFile(o.Map); err != nil {
			return nil, fmt.Errorf("column map: %w", err)
		}
		m, err = file.ParsePlaceMap(bytes.NewReader(columns), o.CRS)
	}
	if err != nil {
		return nil, err
	}
	if err = im.table.Agrees(m.Datum()); err != nil {
		return nil, err
	}
	if im.mp, err = m.Bind(im.table.Header()); err != nil {
		return nil, err
	}
	cat, err := store.NewCatalogue(ctx, o.DB)
	if err != nil {
		return nil, err
	}
	im.tree = cat.Now().Tree
	root, err := rootOf(cat.Now(), o.Root)
	if err != nil {
		return nil, err
	}
	im.root = string(im.tree.Nodes()[root].Code)
	options := []string{o.Kind, o.Source, o.CRS, im.root, o.Open.Encoding, o.Open.Sheet}
	if o.Class != "" {
		options = append(options, o.Class)
	}
	im.print, err = job.Fingerprint(o.File, columns, options...)
	return im, err
}

// rows reads, maps and checks the file's rows.
func (im *placeImport) rows() iter.Seq2[placeRow, error] {
	return func(yield func(placeRow, error) bool) {
		for {
			row, err := im.table.Next()
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(placeRow{}, err)
				return
			}
			p, err := im.read(row)
			if err != nil {
				yield(placeRow{}, err)
				return
			}
			if !yield(p, nil) {
				return
			}
		}
	}
}

func (im *placeImport) read(row file.Row) (placeRow, error) {
	p := placeRow{row: row}
	rec, err := im.mp.Apply(row)
	var bad *file.RowError
	if errors.As(err, &bad) {
		p.why = bad.Reasons
		return p, nil
	}
	if err != nil {
		return p, err
	}
	at, err := rec.Place.WGS84()
	if err != nil {
		p.why = []string{"lon/lat " + err.Error()}
		return p, nil
	}
	p.inGrid = im.tree.Locate(at).Index >= 0
	p.place = store.Place{
		Source: im.o.Source, ExternalID: rec.ExternalID, Kind: im.o.Kind, Name: rec.Name, Aliases: rec.Aliases, Address: rec.Address,
		Class: rec.Class, AdminCode: rec.AdminCode, Root: im.root, Point: at.Orb(), Raw: rec.Place,
	}
	if p.place.Class == "" {
		p.place.Class = im.o.Class
	}
	if im.o.Kind == "address" { // the address is what it is called
		if p.place.Address == "" {
			p.place.Address = p.place.Name
		}
		if name := p.place.Name; name != p.place.Address && name != "" {
			p.place.Aliases = append(p.place.Aliases, name)
		}
		p.place.Name, p.place.Address = p.place.Address, ""
	}
	switch {
	case p.place.Name == "" && im.o.Kind == "place":
		p.why = []string{"name 为空（没有名称的地址请用 import addresses）"}
	case len([]rune(p.place.Name)) > 200:
		p.why = []string{"address 超过 200 个字"}
	}
	return p, nil
}

// seen are the keys of one batch, each with the row that has it.
type seen map[store.PlaceKey]int64

// once refuses r when an earlier row of the batch has its key.
func (s seen) once(r *placeRow) {
	if len(r.why) > 0 {
		return
	}
	k := r.place.Key()
	if first, ok := s[k]; ok {
		r.why = []string{fmt.Sprintf("external_id 与第 %d 行重复", first)}
		return
	}
	s[k] = r.row.N
}

// commit stores one batch, its audit entry and the word to every node, and moves
// the job's cursor, in one transaction.
func (im *placeImport) commit(ctx context.Context, b *job.Batch[placeRow]) error {
	keys := make(seen, len(b.Rows))
	for i := range b.Rows {
		keys.once(&b.Rows[i])
	}
	return im.o.DB.InTx(ctx, func(tx pgx.Tx) error {
		var batch []store.Place
		for _, r := range b.Rows {
			if len(r.why) > 0 {
				b.Reject(file.RejectRecord(r.row, r.why))
				continue
			}
			batch = append(batch, r.place)
		}
		written, err := store.SavePlaces(ctx, tx, im.o.Now(), batch)
		if err != nil {
			return err
		}
		for _, r := range b.Rows {
			switch {
			case len(r.why) > 0:
			case !written[r.place.Key()]:
				b.Counts.Repeated++
			case r.inGrid:
				b.Counts.InGrid++
			default:
				b.Counts.Outside++
			}
		}
		if b.Counts.InGrid+b.Counts.Outside > 0 {
			data := map[string]any{"kind": im.o.Kind, "source": im.o.Source, "places": b.Counts.InGrid + b.Counts.Outside, "rows_from": b.First}
			if err := ledger.Audit(ctx, tx, auth.SystemActor("import of places"), "", "places.import", fmt.Sprintf("import_job/%d", b.Job()), "", data); err != nil {
				return err
			}
			if err := ledger.PlacesChanged(ctx, tx, im.o.Now()); err != nil {
				return err
			}
		}
		return b.Advance(ctx, tx)
	})
}

// dryRun counts what an import of the whole file would do, but for what is there
// already.
func (im *placeImport) dryRun(ctx context.Context) (c job.Counts, told []Told, err error) {
	began := im.o.Now()
	keys := seen{}
	for r, err := range im.rows() {
		if err != nil {
			return c, told, err
		}
		if c.Rows()%job.DefaultBatch == 0 {
			clear(keys)
		}
		keys.once(&r)
		switch {
		case len(r.why) > 0:
			if c.Rejected++; len(told) < maxTold {
				told = append(told, Told{r.row.N, r.row.Line, r.why})
			}
		case r.inGrid:
			c.InGrid++
		default:
			c.Outside++
		}
		if c.Rows()%1000 == 0 {
			if ctx.Err() != nil {
				return c, told, ctx.Err()
			}
			if im.o.Progress != nil {
				read, total := im.table.Progress()
				im.o.Progress(job.Progress{Counts: c, Read: read, Total: total, Rate: float64(c.Rows()) / max(im.o.Now().Sub(began).Seconds(), 0.001), Left: -1})
			}
		}
	}
	return c, told, nil
}
