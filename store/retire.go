// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Set is what one file of an import is the whole of, when it is to replace what is
// there: the features of a layer, the cameras of a county, the places of one source.
type Set struct {
	what    string
	lacking string // selects the keys of what is not among $1; args are the arguments from $2 on
	retire  string // deletes it and returns the keys
	touch   string // what is done beside with args, when something was taken out; "" for nothing
	args    []any
}

const (
	ofLayer       = "t.layer_id = (SELECT id FROM layer WHERE code = $2 AND root_code = $3)" + noExternalID
	ofPlaces      = "t.root_code = $2 AND t.kind = $3 AND t.source = $4" + noExternalID
	ofCameras     = "t.root_code = $2 AND NOT EXISTS (SELECT FROM unnest($1::text[]) AS h (key) WHERE h.key = t.gb_code)"
	noExternalID  = " AND NOT EXISTS (SELECT FROM unnest($1::text[]) AS h (key) WHERE h.key = t.external_id)"
	touchedLayer  = "UPDATE layer SET version = version + 1, updated_at = now() WHERE code = $1 AND root_code = $2"
	goneInOrder   = ") SELECT * FROM gone ORDER BY 1"
	retireLayer   = "WITH gone AS (DELETE FROM layer_feature t WHERE " + ofLayer + " RETURNING t.external_id" + goneInOrder
	retireCameras = "WITH gone AS (DELETE FROM camera t WHERE " + ofCameras + " RETURNING t.gb_code" + goneInOrder
	retirePlaces  = "WITH gone AS (DELETE FROM place t WHERE " + ofPlaces + " RETURNING t.external_id" + goneInOrder
)

// LayerSet is the features of a county's named layer.
func LayerSet(code, root string) Set {
	return Set{
		what: "layer " + code, lacking: "SELECT t.external_id FROM layer_feature t WHERE " + ofLayer + " ORDER BY 1", retire: retireLayer,
		touch: touchedLayer, args: []any{code, root},
	}
}

// CameraSet is the cameras that a county brought in.
func CameraSet(root string) Set {
	return Set{what: "cameras", lacking: "SELECT t.gb_code FROM camera t WHERE " + ofCameras + " ORDER BY 1", retire: retireCameras, args: []any{root}}
}

// PlaceSet is a county's places of one kind, place or address, and source.
func PlaceSet(root, kind, source string) Set {
	return Set{
		what: "places of " + source, lacking: "SELECT t.external_id FROM place t WHERE " + ofPlaces + " ORDER BY 1", retire: retirePlaces,
		args: []any{root, kind, source},
	}
}

// Lacking returns the keys of what is in the set and not among have, in order.
func (s Set) Lacking(ctx context.Context, db Querier, have []string) ([]string, error) {
	return s.keys(ctx, db, s.lacking, have)
}

// Retire takes out of the set what is not among have, and returns the keys.
func (s Set) Retire(ctx context.Context, tx pgx.Tx, have []string) ([]string, error) {
	gone, err := s.keys(ctx, tx, s.retire, have)
	if err != nil || len(gone) == 0 || s.touch == "" {
		return gone, err
	}
	if _, err := tx.Exec(ctx, s.touch, s.args...); err != nil {
		return nil, fmt.Errorf("store: %s: %w", s.what, err)
	}
	return gone, nil
}

func (s Set) keys(ctx context.Context, db Querier, sql string, have []string) ([]string, error) {
	if have == nil {
		have = []string{}
	}
	rows, err := db.Query(ctx, sql, append([]any{have}, s.args...)...)
	if err != nil {
		return nil, fmt.Errorf("store: what a file lacks of %s: %w", s.what, err)
	}
	out, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("store: what a file lacks of %s: %w", s.what, err)
	}
	return out, nil
}
