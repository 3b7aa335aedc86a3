// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/jackc/pgx/v5"

	"onemap/auth"
	"onemap/geo"
	"onemap/people"
	"onemap/track"
)

// Positions is the history of fixes and each worker's last known place. It is a
// track.Log.
//
// Fixes are committed with synchronous_commit off: a crash of the database may
// lose the last fraction of a second of them, never their order or a part of a
// batch. Nothing else in the product is written so.
type Positions struct{ DB *DB }

var _ track.Log = Positions{}

var fixColumns = []string{
	"device_id", "fix_at", "worker_id", "device_at", "server_at", "lon_e7", "lat_e7",
	"accuracy_m", "course_deg", "speed_ms", "battery", "mock", "verdict",
}

const (
	stageFixes = `CREATE TEMP TABLE IF NOT EXISTS fix_stage (LIKE worker_position) ON COMMIT DELETE ROWS`

	// In key order, so that two batches with the same fixes wait and never deadlock;
	// of two with the same key the first to arrive stands.
	keepFixes = `INSERT INTO worker_position
		SELECT * FROM fix_stage ORDER BY device_id, fix_at, server_at
		ON CONFLICT (device_id, fix_at) DO NOTHING`

	keepLast = `INSERT INTO worker_last (worker_id, device_id, fix_at, device_at, server_at, lon_e7, lat_e7, accuracy_m, course_deg, speed_ms, verdict)
		SELECT DISTINCT ON (worker_id) worker_id, device_id, fix_at, device_at, server_at, lon_e7, lat_e7, accuracy_m, course_deg, speed_ms, verdict
		FROM fix_stage WHERE verdict = ANY ($1)
		ORDER BY worker_id, fix_at DESC, device_id DESC, server_at
		ON CONFLICT (worker_id) DO UPDATE SET (device_id, fix_at, device_at, server_at, lon_e7, lat_e7, accuracy_m, course_deg, speed_ms, verdict)
		= (excluded.device_id, excluded.fix_at, excluded.device_at, excluded.server_at, excluded.lon_e7, excluded.lat_e7, excluded.accuracy_m, excluded.course_deg, excluded.speed_ms, excluded.verdict)
		WHERE (worker_last.fix_at, worker_last.device_id) < (excluded.fix_at, excluded.device_id)`
)

// Append keeps the fixes whose verdict is Stored, in one transaction, and moves
// the last known place of their workers where the fix is trusted and newer. A
// fix already there is left as it is. It returns after the commit.
func (p Positions) Append(ctx context.Context, fixes []track.Fix) error {
	kept := make([]track.Fix, 0, len(fixes))
	for _, f := range fixes {
		if f.Verdict.Stored() {
			kept = append(kept, f)
		}
	}
	if len(kept) == 0 {
		return nil
	}
	err := p.DB.InTx(ctx, func(tx pgx.Tx) error {
		var before pgx.Batch
		before.Queue("SET LOCAL synchronous_commit = off")
		before.Queue(stageFixes)
		if err := tx.SendBatch(ctx, &before).Close(); err != nil {
			return err
		}
		rows := pgx.CopyFromSlice(len(kept), func(i int) ([]any, error) { return fixRow(kept[i]), nil })
		if _, err := tx.CopyFrom(ctx, pgx.Identifier{"fix_stage"}, fixColumns, rows); err != nil {
			return err
		}
		var after pgx.Batch
		after.Queue(keepFixes)
		after.Queue(keepLast, []string{string(track.OK), string(track.Late)})
		return tx.SendBatch(ctx, &after).Close()
	})
	if err != nil {
		return fmt.Errorf("store: append %d fixes: %w", len(kept), err)
	}
	return nil
}

func fixRow(f track.Fix) []any {
	var deviceAt any
	if !f.DeviceAt.IsZero() {
		deviceAt = f.DeviceAt
	}
	var battery any
	if f.Battery >= 0 {
		battery = f.Battery
	}
	return []any{
		f.Device, f.At, int64(f.Worker), deviceAt, f.ServerAt, e7(f.P.Lon()), e7(f.P.Lat()),
		known(f.AccuracyM), known(f.CourseDeg), known(f.SpeedMS), battery, f.Mock, string(f.Verdict),
	}
}

func e7(deg float64) int32 { return int32(math.Round(deg * 1e7)) }

// known is v, or null for what the device did not tell.
func known(v float32) any {
	if v < 0 {
		return nil
	}
	return v
}

// Last returns the last known fix of every worker in scope, as Append left it,
// to start a track.Live with. Home grids are those of dir.
func (p Positions) Last(ctx context.Context, scope auth.Scope, dir *people.Directory) ([]track.Fix, error) {
	rows, err := p.DB.Pool.Query(ctx, `SELECT worker_id, device_id, fix_at, coalesce(device_at, 'epoch'), server_at, lon_e7, lat_e7,
		coalesce(accuracy_m, -1), coalesce(course_deg, -1), coalesce(speed_ms, -1), verdict FROM worker_last ORDER BY worker_id`)
	if err != nil {
		return nil, fmt.Errorf("store: last fixes: %w", err)
	}
	var fixes []track.Fix
	var f track.Fix
	var worker int64
	var lon, lat int32
	_, err = pgx.ForEachRow(rows, []any{
		&worker, &f.Device, &f.At, &f.DeviceAt, &f.ServerAt, &lon, &lat, &f.AccuracyM, &f.CourseDeg, &f.SpeedMS, &f.Verdict,
	}, func() error {
		w, _ := dir.Worker(uint32(worker))
		if !scope.Sees(w.Grid) {
			return nil
		}
		f.Worker, f.Grid, f.Battery = uint32(worker), w.Grid, track.Unknown
		f.P = geo.WGS84{float64(lon) / 1e7, float64(lat) / 1e7}
		if f.DeviceAt.Unix() == 0 {
			f.DeviceAt = time.Time{}
		}
		fixes = append(fixes, f)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("store: last fixes: %w", err)
	}
	return fixes, nil
}
