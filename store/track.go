// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"onemap/auth"
	"onemap/geo"
	"onemap/people"
	"onemap/track"
)

// Track returns the kept fixes of a worker from from (included) to to (excluded),
// in order of fix time, at most limit of them. A worker who is not in scope is
// ErrNotFound.
func Track(ctx context.Context, tx Querier, s auth.Scope, w people.Worker, from, to time.Time, limit int) ([]track.Fix, error) {
	if !s.SeesWorker(w.ID, w.Grid) {
		return nil, fmt.Errorf("store: track of worker %d: %w", w.ID, ErrNotFound)
	}
	// By the devices the worker ever carried, and the own page: the key of a partition begins with the
	// device.
	rows, err := tx.Query(ctx, `SELECT p.device_id, p.fix_at, p.server_at, p.lon_e7, p.lat_e7, coalesce(p.accuracy_m, -1), coalesce(p.course_deg, -1),
		coalesce(p.speed_ms, -1), p.mock, p.verdict
		FROM worker_position p
		WHERE p.device_id IN (SELECT device_id FROM `+carriedByOne+` b) AND p.worker_id = $1 AND p.fix_at >= $2 AND p.fix_at < $3
		ORDER BY p.fix_at, p.device_id LIMIT $4`, int64(w.ID), from, to, limit)
	if err != nil {
		return nil, fmt.Errorf("store: track of worker %d: %w", w.ID, err)
	}
	out, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (track.Fix, error) {
		f := track.Fix{Worker: w.ID, Grid: w.Grid, Battery: track.Unknown}
		var lon, lat int32
		err := r.Scan(&f.Device, &f.At, &f.ServerAt, &lon, &lat, &f.AccuracyM, &f.CourseDeg, &f.SpeedMS, &f.Mock, &f.Verdict)
		f.P = geo.WGS84{float64(lon) / 1e7, float64(lat) / 1e7}
		return f, err
	})
	if err != nil {
		return nil, fmt.Errorf("store: track of worker %d: %w", w.ID, err)
	}
	return out, nil
}
