// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/paulmach/orb"

	"onemap/auth"
	"onemap/geo"
	"onemap/layer"
)

// Camera is one camera point for the map.
type Camera struct {
	ID    int64
	Name  string
	Point orb.Point
	Root  string // code of the county that brought it in; "" when that is not known
	layer.Camera
}

// Cameras lists every camera. The grid each stands in, and so its readers, is for
// package layer to work out from its point by the tree in force: the scope has to be
// a whole-database one.
func (db *DB) Cameras(ctx context.Context, s auth.Scope) ([]Camera, error) {
	if !s.All() {
		return nil, errors.New("store: cameras are read whole, and cut to a scope by package layer")
	}
	rows, err := db.Pool.Query(ctx, `SELECT id, gb_code, name, coalesce(heading, -1), coalesce(fov, -1), coalesce(range_m, -1), geom, coalesce(root_code, '')
		FROM camera ORDER BY id`)
	if err != nil {
		return nil, fmt.Errorf("store: cameras: %w", err)
	}
	out, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (c Camera, err error) {
		err = r.Scan(&c.ID, &c.Code, &c.Name, &c.Heading, &c.FOV, &c.RangeM, &c.Point, &c.Root)
		return c, err
	})
	if err != nil {
		return nil, fmt.Errorf("store: cameras: %w", err)
	}
	return out, nil
}

// NewCamera is a camera that is brought in.
type NewCamera struct {
	layer.Camera
	Name  string
	Root  string
	Point orb.Point
	Raw   geo.Raw
}

// SaveCameras writes a batch of cameras inside tx: new ones, and those that differ
// from what is there under the same code. It returns the codes of what it wrote, and
// those that another county has: that brought it in, or, when nobody knows who did, on
// whose ground it stands. No code may stand in the batch twice.
func SaveCameras(ctx context.Context, tx pgx.Tx, batch []NewCamera) (written, others map[string]bool, err error) {
	fail := func(err error) (map[string]bool, map[string]bool, error) {
		return nil, nil, fmt.Errorf("store: save cameras: %w", err)
	}
	if _, err := tx.Exec(ctx, "CREATE TEMPORARY TABLE camera_batch (LIKE camera) ON COMMIT DROP"); err != nil {
		return fail(err)
	}
	if _, err := tx.Exec(ctx, "ALTER TABLE camera_batch ALTER id DROP NOT NULL"); err != nil {
		return fail(err)
	}
	known := func(v int) *int {
		if v == layer.Unknown {
			return nil
		}
		return &v
	}
	columns := []string{"gb_code", "name", "heading", "fov", "range_m", "root_code", "geom", "raw_lon", "raw_lat", "raw_datum"}
	_, err = tx.CopyFrom(ctx, pgx.Identifier{"camera_batch"}, columns, pgx.CopyFromSlice(len(batch), func(i int) ([]any, error) {
		c := &batch[i]
		return []any{c.Code, c.Name, known(c.Heading), known(c.FOV), known(c.RangeM), c.Root, c.Point, c.Raw.Lon, c.Raw.Lat, string(c.Raw.Datum)}, nil
	}))
	if err != nil {
		return fail(err)
	}
	set := func(sql string) (map[string]bool, error) {
		rows, err := tx.Query(ctx, sql)
		if err != nil {
			return nil, err
		}
		codes, err := pgx.CollectRows(rows, pgx.RowTo[string])
		out := make(map[string]bool, len(codes))
		for _, c := range codes {
			out[c] = true
		}
		return out, err
	}
	if others, err = set(`DELETE FROM camera_batch b USING camera c WHERE c.gb_code = b.gb_code AND (c.root_code <> b.root_code
		OR c.root_code IS NULL AND (SELECT NOT bool_or(v.root_code = b.root_code) FROM grid g JOIN grid_version v ON v.id = g.version_id
			WHERE v.state = 'enacted' AND g.level = 1 AND ST_Covers(g.geom, c.geom))) RETURNING b.gb_code`); err != nil {
		return fail(err)
	}
	if written, err = set(`INSERT INTO camera AS c (gb_code, name, heading, fov, range_m, root_code, geom, raw_lon, raw_lat, raw_datum)
		SELECT gb_code, name, heading, fov, range_m, root_code, geom, raw_lon, raw_lat, raw_datum FROM camera_batch ORDER BY gb_code
		ON CONFLICT (gb_code) DO UPDATE SET name = excluded.name, heading = excluded.heading, fov = excluded.fov,
			range_m = excluded.range_m, root_code = excluded.root_code, geom = excluded.geom,
			raw_lon = excluded.raw_lon, raw_lat = excluded.raw_lat, raw_datum = excluded.raw_datum
		WHERE (c.name, c.heading, c.fov, c.range_m, c.root_code, c.raw_lon, c.raw_lat, c.raw_datum)
			IS DISTINCT FROM (excluded.name, excluded.heading, excluded.fov, excluded.range_m, excluded.root_code,
			excluded.raw_lon, excluded.raw_lat, excluded.raw_datum)
		RETURNING c.gb_code`); err != nil {
		return fail(err)
	}
	if _, err := tx.Exec(ctx, "DROP TABLE camera_batch"); err != nil {
		return fail(err)
	}
	return written, others, nil
}
