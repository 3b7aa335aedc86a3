// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/paulmach/orb"

	"onemap/auth"
)

// Camera is one camera point for the map.
type Camera struct {
	ID      int64
	Name    string
	Heading int // degrees clockwise from north; -1 unknown
	Point   orb.Point
	GridNo  int32
}

// Cameras lists the cameras in scope.
func (db *DB) Cameras(ctx context.Context, s auth.Scope) ([]Camera, error) {
	var q query
	q.add(`SELECT c.id, c.name, coalesce(c.heading, -1), c.geom, coalesce(g.no, 0) FROM camera c LEFT JOIN grid g ON g.id = c.grid_id WHERE `).
		inScope(s, "g.no").add(" ORDER BY c.id")
	rows, err := db.Pool.Query(ctx, q.sql.String(), q.args...)
	if err != nil {
		return nil, fmt.Errorf("store: cameras: %w", err)
	}
	out, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Camera])
	if err != nil {
		return nil, fmt.Errorf("store: cameras: %w", err)
	}
	return out, nil
}
