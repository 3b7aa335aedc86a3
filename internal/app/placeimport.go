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
	"time"

	"github.com/jackc/pgx/v5"

	"onemap/auth"
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
	Replace  *int   // retire what the file lacks of the county's places of this kind and source, when they are so many; nil to keep them
	Now      func() time.Time
	Progress func(job.Progress)
	Note     func(string) // optional: told what was left out of the file, and what it lacks
}

// placeRow is a row of the file as a place.
type placeRow struct {
	judged
	place store.Place
}

func (r placeRow) key() string { return r.place.ExternalID }

// placeImport is one import of places on its way.
type placeImport struct {
	o PlacesOptions
	ofCounty
	table *file.Reader
	mp    *file.PlaceMapper
	print []byte
}

func (im *placeImport) reader() rowReader { return im.table }

// ImportPlaces brings in places or addresses, going on where an earlier run of the
// same file and map stopped. A place that was there under its county, kind, source
// and external id takes the new values. It returns what ImportLayer does.
func ImportPlaces(ctx context.Context, o PlacesOptions) (job.Result, string, []Told, error) {
	return bring(ctx, bringing{db: o.DB, file: o.File, rejects: o.Rejects, dry: o.DryRun, replace: o.Replace, now: o.Now, progress: o.Progress, note: o.Note},
		func() (*placeImport, error) { return openPlaces(ctx, o) })
}

func (im *placeImport) run(ctx context.Context, rejects string) (job.Result, error) {
	rows, stop := ahead(im.rows())
	res, err := job.Run(ctx, im.o.DB.Pool, job.Options[placeRow]{
		Kind: "places", Fingerprint: im.print, FileName: filepath.Base(im.o.File), Rows: rows, Commit: im.commit, Rejects: rejects,
		RejectHeader: file.RejectHeader(im.table.Header()), Read: im.table.Progress, Progress: im.o.Progress, Now: im.o.Now,
		Anew: im.o.Replace != nil, // other files may have taken out since what this one brought
	})
	stop() // nothing reads the file any more
	return res, err
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
	if im.ofCounty, err = openCounty(ctx, o.DB, o.Root); err != nil {
		return nil, err
	}
	options := []string{o.Kind, o.Source, o.CRS, im.root, o.Open.Encoding, o.Open.Sheet}
	if o.Class != "" {
		options = append(options, o.Class)
	}
	im.print, err = job.Fingerprint(o.File, columns, options...)
	return im, err
}

// rows reads, maps and checks the file's rows. Of two with one key in a batch the
// second is refused.
func (im *placeImport) rows() iter.Seq2[placeRow, error] {
	return func(yield func(placeRow, error) bool) {
		first, n := map[string]int64{}, 0 // rows of the batch, by their keys
		for ; ; n++ {
			if n%job.DefaultBatch == 0 {
				clear(first)
			}
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
			if len(p.why) == 0 {
				if at, ok := first[p.key()]; ok {
					p.refuse(fmt.Sprintf("external_id 与第 %d 行重复", at))
				} else {
					first[p.key()] = row.N
				}
			}
			if !yield(p, nil) {
				return
			}
		}
	}
}

func (im *placeImport) read(row file.Row) (placeRow, error) {
	p := placeRow{judged: judged{row: row}}
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

// commit stores one batch, its audit entry and the word to every node, and moves
// the job's cursor, in one transaction.
func (im *placeImport) commit(ctx context.Context, b *job.Batch[placeRow]) error {
	return im.o.DB.InTx(ctx, func(tx pgx.Tx) error {
		var batch []store.Place
		for _, r := range b.Rows {
			if len(r.why) == 0 {
				batch = append(batch, r.place)
			}
		}
		written, err := store.SavePlaces(ctx, tx, im.o.Now(), batch)
		if err != nil {
			return err
		}
		ids := make(map[string]bool, len(written))
		for k := range written {
			ids[k.ExternalID] = true
		}
		if n := tally(b, ids); n > 0 {
			data := map[string]any{"kind": im.o.Kind, "source": im.o.Source, "places": n, "rows_from": b.First}
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

// set is the county's places of the kind and source.
func (im *placeImport) set() store.Set { return store.PlaceSet(im.root, im.o.Kind, im.o.Source) }

func (im *placeImport) retired(ctx context.Context, tx pgx.Tx, gone []string) error {
	data := retiredData(gone, "kind", im.o.Kind)
	data["county"] = im.root
	if err := ledger.Audit(ctx, tx, auth.SystemActor("import of places"), "", "places.retire", "places/"+im.o.Source, "", data); err != nil {
		return err
	}
	return ledger.PlacesChanged(ctx, tx, im.o.Now())
}
