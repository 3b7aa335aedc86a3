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
)

// SpotID is an incident's id and its point.
type SpotID struct {
	ID    int64
	Point geo.WGS84
}

// OpenSpots returns the open incidents in scope whose points lie in a box, newest
// report first: for a reader of cases, as a point tells where exactly one is.
func (db *DB) OpenSpots(ctx context.Context, s auth.Scope, b orb.Bound) ([]SpotID, error) {
	var q query
	q.add("SELECT i.id, i.geom FROM incident i WHERE i.open AND i.geom && ST_MakeEnvelope(?, ?, ?, ?, 4326) AND ",
		b.Min[0], b.Min[1], b.Max[0], b.Max[1]).incidentsInScope(s, "i").add(" ORDER BY i.reported_at DESC, i.id DESC")
	rows, err := db.Pool.Query(ctx, q.sql.String(), q.args...)
	if err != nil {
		return nil, fmt.Errorf("store: open incidents in a box: %w", err)
	}
	out, err := pgx.CollectRows(rows, pgx.RowToStructByPos[SpotID])
	if err != nil {
		return nil, fmt.Errorf("store: open incidents in a box: %w", err)
	}
	return out, nil
}

// IncidentsByID returns those of the incidents that are in scope, newest report first.
func (db *DB) IncidentsByID(ctx context.Context, s auth.Scope, v auth.View, ids []int64) ([]Incident, error) {
	q := selectIncidents(v).add(" WHERE i.id = ANY (?) AND ", ids).incidentsInScope(s, "i").add(" ORDER BY i.reported_at DESC, i.id DESC")
	rows, err := db.Pool.Query(ctx, q.sql.String(), q.args...)
	if err != nil {
		return nil, fmt.Errorf("store: incidents by id: %w", err)
	}
	out, err := pgx.CollectRows(rows, scanIncident)
	if err != nil {
		return nil, fmt.Errorf("store: incidents by id: %w", err)
	}
	return out, nil
}

// ShapeFault is what PostGIS finds wrong with a polygon that has passed our own check,
// and where; "" for nothing. It never mends one.
func (db *DB) ShapeFault(ctx context.Context, mp orb.MultiPolygon) (why string, at *orb.Point, err error) {
	err = db.Pool.QueryRow(ctx, `SELECT coalesce(d.reason, 'invalid'), d.location FROM (SELECT $1::geometry AS geom) g
		CROSS JOIN LATERAL ST_IsValidDetail(g.geom) d WHERE NOT ST_IsValid(g.geom)`, mp).Scan(&why, &at)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", nil, nil
	}
	if err != nil {
		return "", nil, fmt.Errorf("store: check a polygon: %w", err)
	}
	return why, at, nil
}
