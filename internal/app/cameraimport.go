// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5"

	"onemap/auth"
	"onemap/geo"
	"onemap/intake/file"
	"onemap/internal/job"
	"onemap/layer"
	"onemap/store"
	"onemap/store/ledger"
)

// CameraOptions name a file of cameras and how to read it.
type CameraOptions struct {
	DB       *store.DB
	File     string
	Open     file.Options
	Datum    geo.Datum // of rows that name none of their own; "" where each does
	Rejects  string    // where refused rows go; "" is FILE.rejects.csv
	Root     string    // code of the county they are of; "" is the only one
	DryRun   bool      // read, check and count; write nothing, no reject file either
	Replace  *int      // retire the county's cameras that the file lacks, when they are so many; nil to keep them
	Now      func() time.Time
	Progress func(job.Progress)
	Note     func(string) // optional: told what was left out of the file, and what it lacks
}

// cameraRow is a row of the file as a camera.
type cameraRow struct {
	judged
	c store.NewCamera
}

func (r cameraRow) key() string { return r.c.Code }

// cameraImport is one import of cameras on its way.
type cameraImport struct {
	o CameraOptions
	ofCounty
	table *file.CameraReader
}

func (im *cameraImport) reader() rowReader { return im.table }

// ImportCameras brings in camera points, going on where an earlier run of the same
// file and options stopped. A camera that was there under its code takes the new
// values. It returns what ImportLayer does.
func ImportCameras(ctx context.Context, o CameraOptions) (job.Result, string, []Told, error) {
	return bring(ctx, bringing{db: o.DB, file: o.File, rejects: o.Rejects, dry: o.DryRun, replace: o.Replace, now: o.Now, progress: o.Progress, note: o.Note},
		func() (_ *cameraImport, err error) {
			im := &cameraImport{o: o}
			if im.ofCounty, err = openCounty(ctx, o.DB, o.Root); err == nil {
				im.table, err = file.OpenCameras(o.File, o.Open, o.Datum)
			}
			return im, err
		})
}

func (im *cameraImport) run(ctx context.Context, rejects string) (job.Result, error) {
	o := im.o
	print, err := job.Fingerprint(o.File, nil, string(o.Datum), im.root, o.Open.Encoding, o.Open.Sheet)
	if err != nil {
		return job.Result{}, err
	}
	rows, stop := ahead(im.rows())
	res, err := job.Run(ctx, o.DB.Pool, job.Options[cameraRow]{
		Kind: "cameras", Fingerprint: print, FileName: filepath.Base(o.File), Rows: rows, Commit: im.commit, Rejects: rejects,
		RejectHeader: file.RejectHeader(im.table.Header()), Read: im.table.Progress, Progress: o.Progress, Now: o.Now,
		Anew: o.Replace != nil, // other files may have taken out since what this one brought
	})
	stop() // nothing reads the file any more
	return res, err
}

func (im *cameraImport) rows() iter.Seq2[cameraRow, error] {
	return func(yield func(cameraRow, error) bool) {
		for {
			row, rec, err := im.table.Read()
			if errors.Is(err, io.EOF) {
				return
			}
			r := cameraRow{judged: judged{row: row}}
			var bad *file.RowError
			if errors.As(err, &bad) {
				r.why, err = bad.Reasons, nil
			} else if err == nil {
				r.c = store.NewCamera{Camera: rec.Camera, Name: rec.Name, Root: im.root, Point: rec.Point.Orb(), Raw: rec.Raw}
				r.inGrid = im.touches(r.c.Point)
			}
			if !yield(r, err) || err != nil {
				return
			}
		}
	}
}

func (im *cameraImport) commit(ctx context.Context, b *job.Batch[cameraRow]) error {
	return im.o.DB.InTx(ctx, func(tx pgx.Tx) error {
		var batch []store.NewCamera
		for _, r := range b.Rows {
			if len(r.why) == 0 {
				batch = append(batch, r.c)
			}
		}
		written, others, err := store.SaveCameras(ctx, tx, batch)
		if err != nil {
			return err
		}
		for i := range b.Rows {
			if others[b.Rows[i].key()] {
				b.Rows[i].refuse("gb_code 已属于另一个旗县")
			}
		}
		if n := tally(b, written); n > 0 {
			data := map[string]any{"cameras": n, "rows_from": b.First}
			if err := ledger.Audit(ctx, tx, auth.SystemActor("import of cameras"), "", "cameras.import", fmt.Sprintf("import_job/%d", b.Job()), "", data); err != nil {
				return err
			}
			if err := ledger.LayersChanged(ctx, tx, layer.Cameras, im.o.Now()); err != nil {
				return err
			}
		}
		return b.Advance(ctx, tx)
	})
}

// set is the cameras of the county.
func (im *cameraImport) set() store.Set { return store.CameraSet(im.root) }

func (im *cameraImport) retired(ctx context.Context, tx pgx.Tx, gone []string) error {
	if err := ledger.Audit(ctx, tx, auth.SystemActor("import of cameras"), "", "cameras.retire", "cameras/"+im.root, "", retiredData(gone, "county", im.root)); err != nil {
		return err
	}
	return ledger.LayersChanged(ctx, tx, layer.Cameras, im.o.Now())
}
