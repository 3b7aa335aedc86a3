// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/paulmach/orb"

	"onemap/auth"
	"onemap/geo"
	"onemap/layer"
)

// Layers lists every named layer, by code. Each reader's share of them is for
// layer.Set to cut, so the scope has to be a whole-database one.
func (db *DB) Layers(ctx context.Context, s auth.Scope) ([]layer.Layer, error) {
	if !s.All() {
		return nil, errors.New("store: layers are read whole, and cut to a scope by package layer")
	}
	rows, err := db.Pool.Query(ctx, "SELECT "+layerColumns+" FROM layer ORDER BY code")
	if err != nil {
		return nil, fmt.Errorf("store: layers: %w", err)
	}
	out, err := pgx.CollectRows(rows, scanLayer)
	if err != nil {
		return nil, fmt.Errorf("store: layers: %w", err)
	}
	return out, nil
}

const layerColumns = "id, code, name, geometry, style, min_zoom, max_zoom, access, root_code, source, version"

func scanLayer(r pgx.CollectableRow) (l layer.Layer, err error) {
	var style []byte
	err = r.Scan(&l.ID, &l.Code, &l.Name, &l.Geometry, &style, &l.MinZoom, &l.MaxZoom, &l.Access, &l.Root, &l.Source, &l.Version)
	if err == nil {
		l.Style, err = layer.ParseStyle(style)
	}
	return l, err
}

// layerLock is the class of the locks that keep two transactions from making a
// layer of one code.
const layerLock = 0x6c617972

// LayerNamed reads one layer. Its code, and the layer if there is one, are locked
// until tx ends. Without one it is ErrNotFound.
func LayerNamed(ctx context.Context, tx pgx.Tx, code string) (layer.Layer, error) {
	if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1::integer, hashtext($2))", layerLock, code); err != nil {
		return layer.Layer{}, fmt.Errorf("store: layer %s: %w", code, err)
	}
	rows, err := tx.Query(ctx, "SELECT "+layerColumns+" FROM layer WHERE code = $1 FOR UPDATE", code)
	if err != nil {
		return layer.Layer{}, fmt.Errorf("store: layer %s: %w", code, err)
	}
	l, err := pgx.CollectExactlyOneRow(rows, scanLayer)
	if errors.Is(err, pgx.ErrNoRows) {
		err = ErrNotFound
	}
	if err != nil {
		return layer.Layer{}, fmt.Errorf("store: layer %s: %w", code, err)
	}
	return l, nil
}

// SaveLayer writes a layer's settings, making the layer if there is none with its
// code, and moves its version. ID and Version of l are not looked at. What decides
// on a row's meaning, geometry and county, stays as it is.
func SaveLayer(ctx context.Context, tx pgx.Tx, l layer.Layer, now time.Time) (id int64, err error) {
	style, err := json.Marshal(l.Style)
	if err != nil {
		return 0, fmt.Errorf("store: layer %s: %w", l.Code, err)
	}
	err = tx.QueryRow(ctx, `INSERT INTO layer (code, name, geometry, style, min_zoom, max_zoom, access, root_code, source, created_at, updated_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10)
		ON CONFLICT (code) DO UPDATE SET name = excluded.name, style = excluded.style, min_zoom = excluded.min_zoom, max_zoom = excluded.max_zoom,
			access = excluded.access, source = excluded.source, version = layer.version + 1, updated_at = excluded.updated_at
		RETURNING id`, l.Code, l.Name, string(l.Geometry), style, l.MinZoom, l.MaxZoom, []string(l.Access), l.Root, l.Source, now).Scan(&id)
	if err != nil {
		return 0, fmt.Errorf("store: layer %s: %w", l.Code, err)
	}
	return id, nil
}

// LayerFeature is a feature as it is stored.
type LayerFeature struct {
	ID               int64
	ExternalID, Name string
	Kind             layer.Kind
	Duty             layer.DutyMode
	Props            []byte // a JSON object of texts; nil for none
	Geom             orb.Geometry
	RawLon, RawLat   *float64 // of a point
	RawDatum         geo.Datum
}

// LayerFeatures lists the features of a layer, in order of id. The scope has to be a
// whole-database one, as for Layers.
func (db *DB) LayerFeatures(ctx context.Context, s auth.Scope, layerID int64) ([]LayerFeature, error) {
	if !s.All() {
		return nil, errors.New("store: layers are read whole, and cut to a scope by package layer")
	}
	rows, err := db.Pool.Query(ctx, `SELECT id, external_id, name, kind, coalesce(duty_mode, ''), nullif(props, '{}'), geom
		FROM layer_feature WHERE layer_id = $1 ORDER BY id`, layerID)
	if err != nil {
		return nil, fmt.Errorf("store: features of layer %d: %w", layerID, err)
	}
	out, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (f LayerFeature, err error) {
		err = r.Scan(&f.ID, &f.ExternalID, &f.Name, &f.Kind, &f.Duty, &f.Props, &f.Geom)
		return f, err
	})
	if err != nil {
		return nil, fmt.Errorf("store: features of layer %d: %w", layerID, err)
	}
	return out, nil
}

// MaxLayerFeatures is how many features a layer may have: every node keeps them in
// memory.
const MaxLayerFeatures = 100_000

// ErrLayerFull refuses features above MaxLayerFeatures.
var ErrLayerFull = fmt.Errorf("a layer has at most %d features", MaxLayerFeatures)

var featureColumns = []string{"layer_id", "external_id", "name", "kind", "duty_mode", "props", "geom", "raw_lon", "raw_lat", "raw_datum"}

// SaveFeatures writes a batch of features of a layer inside tx: new ones, and those
// that differ from what an earlier import brought under the same external id, and
// moves the layer's version when it wrote anything. It returns the external ids of
// what it wrote, and why PostGIS takes others for no valid shape: those it leaves
// out. No external id may stand in the batch twice. Errors: ErrLayerFull.
func SaveFeatures(ctx context.Context, tx pgx.Tx, layerID int64, batch []LayerFeature, now time.Time) (written map[string]bool, invalid map[string]string, err error) {
	fail := func(err error) (map[string]bool, map[string]string, error) {
		return nil, nil, fmt.Errorf("store: save features: %w", err)
	}
	if _, err := tx.Exec(ctx, "CREATE TEMPORARY TABLE feature_batch (LIKE layer_feature) ON COMMIT DROP"); err != nil {
		return fail(err)
	}
	if _, err := tx.Exec(ctx, "ALTER TABLE feature_batch ALTER id DROP NOT NULL, ALTER created_at DROP NOT NULL, ALTER updated_at DROP NOT NULL"); err != nil {
		return fail(err)
	}
	_, err = tx.CopyFrom(ctx, pgx.Identifier{"feature_batch"}, featureColumns, pgx.CopyFromSlice(len(batch), func(i int) ([]any, error) {
		f := &batch[i]
		var duty *string
		if f.Duty != "" {
			d := string(f.Duty)
			duty = &d
		}
		props := f.Props
		if props == nil {
			props = []byte("{}")
		}
		return []any{layerID, f.ExternalID, f.Name, string(f.Kind), duty, props, f.Geom, f.RawLon, f.RawLat, string(f.RawDatum)}, nil
	}))
	if err != nil {
		return fail(err)
	}
	if invalid, err = invalidFeatures(ctx, tx); err != nil {
		return fail(err)
	}
	rows, err := tx.Query(ctx, `INSERT INTO layer_feature AS f (layer_id, external_id, name, kind, duty_mode, props, geom, raw_lon, raw_lat, raw_datum, created_at, updated_at)
		SELECT layer_id, external_id, name, kind, duty_mode, props, geom, raw_lon, raw_lat, raw_datum, $1, $1 FROM feature_batch ORDER BY external_id
		ON CONFLICT (layer_id, external_id) DO UPDATE SET name = excluded.name, kind = excluded.kind, duty_mode = excluded.duty_mode,
			props = excluded.props, geom = excluded.geom, raw_lon = excluded.raw_lon, raw_lat = excluded.raw_lat, raw_datum = excluded.raw_datum,
			updated_at = excluded.updated_at
		WHERE (f.name, f.kind, f.duty_mode, f.props, f.raw_lon, f.raw_lat, f.raw_datum)
			IS DISTINCT FROM (excluded.name, excluded.kind, excluded.duty_mode, excluded.props, excluded.raw_lon, excluded.raw_lat, excluded.raw_datum)
			OR NOT ST_OrderingEquals(f.geom, excluded.geom)
		RETURNING external_id`, now)
	if err != nil {
		return fail(err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return fail(err)
	}
	written = make(map[string]bool, len(ids))
	for _, id := range ids {
		written[id] = true
	}
	if _, err := tx.Exec(ctx, "DROP TABLE feature_batch"); err != nil {
		return fail(err)
	}
	if len(written) == 0 {
		return written, invalid, nil
	}
	var n int
	if err := tx.QueryRow(ctx, "SELECT count(*) FROM layer_feature WHERE layer_id = $1", layerID).Scan(&n); err != nil {
		return fail(err)
	}
	if n > MaxLayerFeatures {
		return fail(ErrLayerFull)
	}
	if _, err := tx.Exec(ctx, "UPDATE layer SET version = version + 1, updated_at = $2 WHERE id = $1", layerID, now); err != nil {
		return fail(err)
	}
	return written, invalid, nil
}

// invalidFeatures takes out of the batch what PostGIS calls no valid shape. The
// validator in front finds all of it, as far as is known: this is the second net.
func invalidFeatures(ctx context.Context, tx pgx.Tx) (map[string]string, error) {
	rows, err := tx.Query(ctx, `DELETE FROM feature_batch WHERE NOT ST_IsValid(geom) OR ST_IsEmpty(geom)
		RETURNING external_id, coalesce(ST_IsValidReason(geom), '')`)
	if err != nil {
		return nil, err
	}
	var id, why string
	out := map[string]string{}
	_, err = pgx.ForEachRow(rows, []any{&id, &why}, func() error {
		out[id] = why
		return nil
	})
	return out, err
}
