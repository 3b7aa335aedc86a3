// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/jackc/pgx/v5"

	"onemap/analysis"
	"onemap/auth"
	"onemap/geo"
	"onemap/people"
	"onemap/track"
)

// PatrolTime tells where workers in scope were on duty in a period, and how long: each
// trusted fix stands for the time until the worker's next one, of whatever device, and for
// no longer than it is fresh. Home grids are those of dir. Fixes come in no order, their
// places rounded to 1e-4 degree: ten metres, as good as most fixes are.
func (db *DB) PatrolTime(ctx context.Context, scope auth.Scope, dir *people.Directory, period analysis.Period, tell func(at geo.WGS84, long time.Duration) error) error {
	var workers []int64
	for _, w := range dir.All() {
		if scope.SeesWorker(w.ID, w.Grid) {
			workers = append(workers, int64(w.ID))
		}
	}
	// By the devices that a worker carried, and the own page: the key of a partition begins with the device.
	rows, err := db.Pool.Query(ctx, `SELECT f.lon_e7, f.lat_e7, f.fix_at, coalesce(f.next, $3), f.interval_s
		FROM unnest($1::bigint[]) s(worker) CROSS JOIN LATERAL (
			SELECT p.lon_e7, p.lat_e7, p.fix_at, lead(p.fix_at) OVER (ORDER BY p.fix_at, p.device_id) AS next, d.interval_s
			FROM `+carriedByEach+` b JOIN device d ON d.id = b.device_id
			JOIN worker_position p ON p.device_id = b.device_id AND p.worker_id = s.worker AND p.fix_at >= greatest(b.valid_from, $2) AND p.fix_at < least(b.valid_to, $3)
			WHERE b.valid_to > $2 AND p.fix_at >= $2 AND p.fix_at < $3 AND p.verdict = ANY ($4) AND NOT p.mock) f`,
		workers, period.From, period.To, []string{string(track.OK), string(track.Late)})
	if err != nil {
		return fmt.Errorf("store: time on patrol: %w", err)
	}
	var lon, lat int32
	var at, next time.Time
	var interval int
	_, err = pgx.ForEachRow(rows, []any{&lon, &lat, &at, &next, &interval}, func() error {
		p := geo.WGS84{math.Round(float64(lon)/1e3) / 1e4, math.Round(float64(lat)/1e3) / 1e4}
		return tell(p, min(next.Sub(at), track.FreshFor(time.Duration(interval)*time.Second)))
	})
	if err != nil {
		return fmt.Errorf("store: time on patrol: %w", err)
	}
	return nil
}
