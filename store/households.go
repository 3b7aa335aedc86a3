// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// GridHouseholds is how many households live in a leaf grid, which had that area in square
// metres and held that place when the number was stored.
type GridHouseholds struct {
	Root, Grid string // codes of the county and the grid
	Households int
	AreaM2     float64
	StoredAt   time.Time
	Lon, Lat   *float64 // WGS-84; nil of numbers that were stored without
}

// Households lists the numbers of every county.
func Households(ctx context.Context, tx Querier) ([]GridHouseholds, error) {
	rows, err := tx.Query(ctx, "SELECT root_code, grid_code, households, area_m2, stored_at, lon, lat FROM grid_households ORDER BY 1, 2")
	if err != nil {
		return nil, fmt.Errorf("store: households: %w", err)
	}
	out, err := pgx.CollectRows(rows, pgx.RowToStructByPos[GridHouseholds])
	if err != nil {
		return nil, fmt.Errorf("store: households: %w", err)
	}
	return out, nil
}

// SaveHouseholds puts these numbers, which are of one county, in place of those that it has.
func SaveHouseholds(ctx context.Context, tx pgx.Tx, root string, list []GridHouseholds) error {
	if _, err := tx.Exec(ctx, "DELETE FROM grid_households WHERE root_code = $1", root); err != nil {
		return fmt.Errorf("store: save households: %w", err)
	}
	_, err := tx.CopyFrom(ctx, pgx.Identifier{"grid_households"}, []string{"root_code", "grid_code", "households", "area_m2", "stored_at", "lon", "lat"},
		pgx.CopyFromSlice(len(list), func(i int) ([]any, error) {
			h := list[i]
			return []any{root, h.Grid, h.Households, h.AreaM2, h.StoredAt, h.Lon, h.Lat}, nil
		}))
	if err != nil {
		return fmt.Errorf("store: save households: %w", err)
	}
	return nil
}
