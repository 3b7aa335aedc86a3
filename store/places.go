// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/paulmach/orb"

	"onemap/auth"
	"onemap/geo"
)

// Place is a place or an address as the address search knows it.
type Place struct {
	ID                 int64
	Source, ExternalID string // with Kind and Root unique together
	Kind               string // place or address
	Name               string // of an address the address itself
	Aliases            []string
	Address            string
	Class              string // as the source classes it
	AdminCode          string
	Root               string    // code of the county whose import brought it
	Point              orb.Point // WGS-84
	Raw                geo.Raw   // as it was given
}

// Places reads every place. In which grid each lies is for the address search to
// work out, which cuts them to each asker's scope; so the scope here is auth.System.
func (db *DB) Places(ctx context.Context, s auth.Scope) ([]Place, error) {
	if !s.All() {
		return nil, errors.New("store: places are read whole, and cut to a scope by the address search")
	}
	rows, err := db.Pool.Query(ctx, `SELECT id, source, external_id, kind, name, aliases, address, class, admin_code, root_code,
		geom, raw_lon, raw_lat, raw_datum FROM place ORDER BY id`)
	if err != nil {
		return nil, fmt.Errorf("store: places: %w", err)
	}
	out, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (p Place, err error) {
		err = r.Scan(&p.ID, &p.Source, &p.ExternalID, &p.Kind, &p.Name, &p.Aliases, &p.Address, &p.Class, &p.AdminCode, &p.Root,
			&p.Point, &p.Raw.Lon, &p.Raw.Lat, &p.Raw.Datum)
		return p, err
	})
	if err != nil {
		return nil, fmt.Errorf("store: places: %w", err)
	}
	return out, nil
}

// PlaceKey is what makes a place the same as one brought in before.
type PlaceKey struct{ Root, Kind, Source, ExternalID string }

// Key is the place's key: two counties, or the places and the addresses of one, may
// number alike.
func (p *Place) Key() PlaceKey { return PlaceKey{p.Root, p.Kind, p.Source, p.ExternalID} }

var placeColumns = []string{
	"source", "external_id", "kind", "name", "aliases", "address", "class", "admin_code", "root_code", "geom", "raw_lon", "raw_lat", "raw_datum",
}

// SavePlaces writes a batch of places inside tx: new ones, and those that differ
// from what an earlier import brought under the same key. It returns the keys of
// what it wrote; the rest was there just so. Of two with one key the later counts.
func SavePlaces(ctx context.Context, tx pgx.Tx, now time.Time, batch []Place) (map[PlaceKey]bool, error) {
	last := make(map[PlaceKey]int, len(batch))
	for i := range batch {
		last[batch[i].Key()] = i
	}
	if _, err := tx.Exec(ctx, "CREATE TEMPORARY TABLE place_batch (LIKE place) ON COMMIT DROP"); err != nil {
		return nil, fmt.Errorf("store: save places: %w", err)
	}
	if _, err := tx.Exec(ctx, "ALTER TABLE place_batch ALTER id DROP NOT NULL, ALTER created_at DROP NOT NULL, ALTER updated_at DROP NOT NULL"); err != nil {
		return nil, fmt.Errorf("store: save places: %w", err)
	}
	i := -1
	_, err := tx.CopyFrom(ctx, pgx.Identifier{"place_batch"}, placeColumns, pgx.CopyFromFunc(func() ([]any, error) {
		for i++; i < len(batch); i++ {
			p := &batch[i]
			if last[p.Key()] != i {
				continue
			}
			aliases := p.Aliases
			if aliases == nil {
				aliases = []string{}
			}
			return []any{
				p.Source, p.ExternalID, p.Kind, p.Name, aliases, p.Address, p.Class, p.AdminCode, p.Root, p.Point, p.Raw.Lon, p.Raw.Lat, string(p.Raw.Datum),
			}, nil
		}
		return nil, nil
	}))
	if err != nil {
		return nil, fmt.Errorf("store: save places: %w", err)
	}
	rows, err := tx.Query(ctx, `INSERT INTO place AS p (source, external_id, kind, name, aliases, address, class, admin_code, root_code,
			geom, raw_lon, raw_lat, raw_datum, created_at, updated_at)
		SELECT source, external_id, kind, name, aliases, address, class, admin_code, root_code, geom, raw_lon, raw_lat, raw_datum, $1, $1
		FROM place_batch ORDER BY root_code, kind, source, external_id
		ON CONFLICT (root_code, kind, source, external_id) DO UPDATE SET name = excluded.name, aliases = excluded.aliases,
			address = excluded.address, class = excluded.class, admin_code = excluded.admin_code,
			geom = excluded.geom, raw_lon = excluded.raw_lon, raw_lat = excluded.raw_lat, raw_datum = excluded.raw_datum, updated_at = excluded.updated_at
		WHERE (p.name, p.aliases, p.address, p.class, p.admin_code, p.geom, p.raw_lon, p.raw_lat, p.raw_datum)
			IS DISTINCT FROM (excluded.name, excluded.aliases, excluded.address, excluded.class, excluded.admin_code,
			excluded.geom, excluded.raw_lon, excluded.raw_lat, excluded.raw_datum)
		RETURNING root_code, kind, source, external_id`, now)
	if err != nil {
		return nil, fmt.Errorf("store: save places: %w", err)
	}
	written := map[PlaceKey]bool{}
	var k PlaceKey
	if _, err := pgx.ForEachRow(rows, []any{&k.Root, &k.Kind, &k.Source, &k.ExternalID}, func() error { written[k] = true; return nil }); err != nil {
		return nil, fmt.Errorf("store: save places: %w", err)
	}
	if _, err := tx.Exec(ctx, "DROP TABLE place_batch"); err != nil {
		return nil, fmt.Errorf("store: save places: %w", err)
	}
	return written, nil
}
