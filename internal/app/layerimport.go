// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5"

	"onemap/auth"
	"onemap/intake/file"
	"onemap/internal/job"
	"onemap/layer"
	"onemap/store"
	"onemap/store/ledger"
)

// LayerOptions name a file of features, the layer they go to, and how to read them.
type LayerOptions struct {
	DB       *store.DB
	File     string
	Open     file.Options
	Read     file.FeatureOptions
	Settings LayerSettings
	Rejects  string // where refused rows go; "" is FILE.rejects.csv
	Root     string // code of the county the layer is of; "" is the only one
	DryRun   bool   // read, check and count; write nothing, no reject file either
	Replace  *int   // retire the features that the file lacks, when they are so many; nil to keep them
	Now      func() time.Time
	Progress func(job.Progress)
	Note     func(string) // optional: told what was left out of the file, and what it lacks
}

// LayerSettings are what a layer is given with an import. A field left nil or empty
// is left as it is, and of a new layer as the default says.
type LayerSettings struct {
	Code             string
	Name             string
	Style            *layer.Style
	MinZoom, MaxZoom *int
	Access           auth.LayerAccess
	Source           string
}

// over puts the settings over those of l.
func (s LayerSettings) over(l layer.Layer) layer.Layer {
	if s.Name != "" {
		l.Name = s.Name
	}
	if s.Style != nil {
		l.Style = *s.Style
	}
	if s.MinZoom != nil {
		l.MinZoom = *s.MinZoom
	}
	if s.MaxZoom != nil {
		l.MaxZoom = *s.MaxZoom
	}
	if s.Access != nil {
		l.Access = s.Access
	}
	if s.Source != "" {
		l.Source = s.Source
	}
	return l
}

// newLayer is what a layer begins as.
func newLayer(code, root string) layer.Layer {
	return layer.Layer{Code: code, Root: root, MinZoom: 8, MaxZoom: layer.MaxZoom, Access: auth.LayerAccess{auth.SignedIn}}
}

// featureRow is a row of the file as a feature.
type featureRow struct {
	judged
	f store.LayerFeature
}

// layerImport is one import of a layer on its way.
type layerImport struct {
	o LayerOptions
	ofCounty
	want  layer.Layer // what a new layer will be
	id    int64       // of the layer, once its settings are written
	table *file.FeatureReader
}

func (im *layerImport) reader() rowReader { return im.table }

// ImportLayer brings in a named layer, going on where an earlier run of the same
// file and options stopped. The layer is made when there is none of its code. A
// feature that was there under its external id takes the new values; one that the
// file does not have stays, but with Replace. It returns the path of the reject
// file; of a dry run the first refused rows instead.
func ImportLayer(ctx context.Context, o LayerOptions) (job.Result, string, []Told, error) {
	return bring(ctx, bringing{db: o.DB, file: o.File, rejects: o.Rejects, dry: o.DryRun, replace: o.Replace, now: o.Now, progress: o.Progress, note: o.Note},
		func() (*layerImport, error) { return openLayer(ctx, o) })
}

func openLayer(ctx context.Context, o LayerOptions) (_ *layerImport, err error) {
	if err := layer.CheckCode(o.Settings.Code); err != nil {
		return nil, fmt.Errorf("--layer: %w", err)
	}
	im := &layerImport{o: o}
	if im.ofCounty, err = openCounty(ctx, o.DB, o.Root); err != nil {
		return nil, err
	}
	if err := im.settle(ctx); err != nil {
		return nil, err
	}
	if im.o.Read.Geometry == "" {
		im.o.Read.Geometry = im.want.Geometry
	}
	im.table, err = file.OpenFeatures(o.File, o.Open, im.o.Read)
	return im, err
}

// settle finds out what the layer will be.
func (im *layerImport) settle(ctx context.Context) error {
	im.want = newLayer(im.o.Settings.Code, im.root)
	err := im.o.DB.InTx(ctx, func(tx pgx.Tx) error {
		was, err := store.LayerNamed(ctx, tx, im.want.Code)
		switch {
		case errors.Is(err, store.ErrNotFound):
			return nil
		case err != nil:
			return err
		}
		im.want = was
		return im.fits(was)
	})
	if err != nil {
		return err
	}
	im.want = im.o.Settings.over(im.want)
	if im.want.Name == "" {
		return errors.New("say with --name what people call the layer")
	}
	return im.want.Check()
}

// fits says why the features of this import can be none of a layer that is there.
func (im *layerImport) fits(was layer.Layer) error {
	if was.Root != im.root {
		return fmt.Errorf("the layer %s is of the county %s: choose another code, or say --county %s", was.Code, was.Root, was.Root)
	}
	if g := im.want.Geometry; g != "" && was.Geometry != g {
		return fmt.Errorf("the layer %s has the geometry %s since another import made it: bring %ss in under another code", was.Code, was.Geometry, g)
	}
	return nil
}

func (im *layerImport) run(ctx context.Context, rejects string) (job.Result, error) {
	o := im.o
	read := o.Read
	read.Geometry = "" // the layer has one from its first import on
	options, err := json.Marshal([]any{read, im.want.Code, im.root, o.Open.Encoding, o.Open.Sheet})
	if err != nil {
		return job.Result{}, err
	}
	// The settings are not of the fingerprint: the same file with another style is the
	// same job, and changes the style alone.
	print, err := job.Fingerprint(o.File, options)
	if err != nil {
		return job.Result{}, err
	}
	rows, stop := ahead(im.rows())
	res, err := job.Run(ctx, o.DB.Pool, job.Options[featureRow]{
		Kind: "layers", Fingerprint: print, FileName: filepath.Base(o.File), Rows: rows, Commit: im.commit, Rejects: rejects,
		RejectHeader: file.RejectHeader(im.table.Header()), Read: im.table.Progress, Progress: o.Progress, Now: o.Now, BatchRows: 1000,
		Anew: o.Replace != nil, // other files may have taken out since what this one brought
	})
	stop() // nothing reads the file any more
	if err == nil && im.id == 0 {
		err = im.settingsAlone(ctx)
	}
	return res, err
}

// settingsAlone writes the settings of a layer whose file had come in before.
func (im *layerImport) settingsAlone(ctx context.Context) error {
	return im.o.DB.InTx(ctx, func(tx pgx.Tx) error {
		was, err := store.LayerNamed(ctx, tx, im.want.Code)
		if errors.Is(err, store.ErrNotFound) {
			return nil // every row was refused: there is no layer
		}
		if err != nil {
			return err
		}
		if err := im.fits(was); err != nil {
			return err
		}
		return im.settled(ctx, tx, was)
	})
}

// same reports whether two layers have the same settings.
func same(a, b layer.Layer) bool {
	a.ID, a.Version, b.ID, b.Version = 0, 0, 0, 0
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && string(x) == string(y)
}

// settled puts the settings that were named over those of a layer that is there.
// Only the first batch does: what somebody changes from then on stays.
func (im *layerImport) settled(ctx context.Context, tx pgx.Tx, was layer.Layer) error {
	want := im.o.Settings.over(was)
	if err := want.Check(); err != nil {
		return err
	}
	if same(was, want) {
		im.id = was.ID
		return nil
	}
	return im.save(ctx, tx, want)
}

// save writes the settings w, with their audit row and the word to every node.
func (im *layerImport) save(ctx context.Context, tx pgx.Tx, w layer.Layer) (err error) {
	now := im.o.Now()
	if im.id, err = store.SaveLayer(ctx, tx, w, now); err != nil {
		return err
	}
	data := map[string]any{"name": w.Name, "geometry": w.Geometry, "style": w.Style, "min_zoom": w.MinZoom, "max_zoom": w.MaxZoom, "access": w.Access, "source": w.Source}
	if err := ledger.Audit(ctx, tx, auth.SystemActor("import of layers"), "", "layer.settings", "layer/"+w.Code, "", data); err != nil {
		return err
	}
	return ledger.LayersChanged(ctx, tx, w.Code, now)
}

func (im *layerImport) rows() iter.Seq2[featureRow, error] {
	return func(yield func(featureRow, error) bool) {
		for {
			r, err := im.read()
			if errors.Is(err, io.EOF) {
				return
			}
			if !yield(r, err) || err != nil {
				return
			}
		}
	}
}

func (im *layerImport) read() (featureRow, error) {
	row, rec, err := im.table.Read()
	r := featureRow{judged: judged{row: row}}
	var bad *file.RowError
	if errors.As(err, &bad) {
		r.why = bad.Reasons
		return r, nil
	}
	if err != nil {
		return r, err
	}
	r.f = store.LayerFeature{ExternalID: rec.ExternalID, Name: rec.Name, Kind: rec.Kind, Duty: rec.Duty, Geom: rec.Geom, RawDatum: rec.Raw.Datum}
	if layer.Of(rec.Geom) == layer.Point {
		r.f.RawLon, r.f.RawLat = &rec.Raw.Lon, &rec.Raw.Lat
	}
	if r.f.Props, err = file.PropsJSON(rec.Props); err != nil {
		return r, err
	}
	r.inGrid = im.touches(rec.Geom)
	return r, nil
}

// commit stores one batch, its audit entry and the word to every node, and moves
// the job's cursor, in one transaction.
func (im *layerImport) commit(ctx context.Context, b *job.Batch[featureRow]) error {
	return im.o.DB.InTx(ctx, func(tx pgx.Tx) error {
		var batch []store.LayerFeature
		for _, r := range b.Rows {
			if len(r.why) == 0 {
				batch = append(batch, r.f)
			}
		}
		written, invalid := map[string]bool{}, map[string]string{}
		if len(batch) > 0 {
			if im.want.Geometry == "" {
				im.want.Geometry = layer.Of(batch[0].Geom)
			}
			was, err := store.LayerNamed(ctx, tx, im.want.Code)
			switch {
			case errors.Is(err, store.ErrNotFound):
				err = im.save(ctx, tx, im.want)
			case err == nil:
				if err = im.fits(was); err == nil && im.id == 0 {
					err = im.settled(ctx, tx, was)
				}
			}
			if err != nil {
				return err
			}
			if written, invalid, err = store.SaveFeatures(ctx, tx, im.id, batch, im.o.Now()); err != nil {
				return err
			}
		}
		for i := range b.Rows {
			if why, bad := invalid[b.Rows[i].key()]; bad {
				b.Rows[i].refuse("图形无效：" + why)
			}
		}
		if n := tally(b, written); n > 0 {
			data := map[string]any{"layer": im.want.Code, "features": n, "rows_from": b.First, "import_job": b.Job()}
			if err := ledger.Audit(ctx, tx, auth.SystemActor("import of layers"), "", "layer.import", "layer/"+im.want.Code, "", data); err != nil {
				return err
			}
			if err := ledger.LayersChanged(ctx, tx, im.want.Code, im.o.Now()); err != nil {
				return err
			}
		}
		return b.Advance(ctx, tx)
	})
}

func (r featureRow) key() string { return r.f.ExternalID }

// set is the features of the layer.
func (im *layerImport) set() store.Set { return store.LayerSet(im.want.Code, im.root) }

func (im *layerImport) retired(ctx context.Context, tx pgx.Tx, gone []string) error {
	if err := ledger.Audit(ctx, tx, auth.SystemActor("import of layers"), "", "layer.retire", "layer/"+im.want.Code, "", retiredData(gone, "layer", im.want.Code)); err != nil {
		return err
	}
	return ledger.LayersChanged(ctx, tx, im.want.Code, im.o.Now())
}
