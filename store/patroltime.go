// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"fmt"
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
// no longer than it is fresh. Home grids are those of dir. Fixes come in no order.
func (db *DB) PatrolTime(ctx context.Context, scope auth.Scope, dir *people.Directory, period analysis.Period, tell func(at geo.WGS84, long time.Duration) error) error {
	var workers []int64
	for _, w := range dir.All() {
		if scope.SeesWorker(w.ID, w.Grid) {
			workers = append(workers, int64(w.ID))
		}
	}
	// By the devices that a worker carried, and the own page: the key of a partition begins with the device.
	rows, err := db.Pool.Query(ctx, `SELECT f.lon_e7, f.lat_e7, extract(epoch FROM least(coalesce(f.next, $3) - f.fix_at, f.fresh))::float8
		FROM unnest($1::bigint[]) s(worker) CROSS JOIN LATERAL (
			SELECT p.lon_e7, p.lat_e7, p.fix_at, lead(p.fix_at) OVER (ORDER BY p.fix_at, p.device_id) AS next, make_interval(secs => greatest($5, 2 * d.interval_s)) AS fresh
			FROM `+carriedByEach+` b JOIN device d ON d.id = b.device_id
			JOIN worker_position p ON p.device_id = b.device_id AND p.worker_id = s.worker AND p.fix_at >= greatest(b.valid_from, $2) AND p.fix_at < least(b.valid_to, $3)
			WHERE b.valid_to > $2 AND p.fix_at >= $2 AND p.fix_at < $3 AND p.verdict = ANY ($4) AND NOT p.mock) f`,
		workers, period.From, period.To, []string{string(track.OK), string(track.Late)}, track.FreshFor(0).Seconds())
	if err != nil {
		return fmt.Errorf("store: time on patrol: %w", err)
	}
	var lon, lat int32
	var seconds float64
	_, err = pgx.ForEachRow(rows, []any{&lon, &lat, &seconds}, func() error {
		return tell(geo.WGS84{float64(lon) / 1e7, float64(lat) / 1e7}, time.Duration(seconds*float64(time.Second)))
	})
	if err != nil {
		return fmt.Errorf("store: time on patrol: %w", err)
	}
	return nil
}
