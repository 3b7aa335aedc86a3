// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"onemap/auth"
	"onemap/geo"
	"onemap/people"
	"onemap/track"
)

// homeGrids is each worker's grid of the enacted tree on a day: as a worker
// before as head or deputy, the deepest first.
const homeGrids = `SELECT DISTINCT ON (wg.worker_id) wg.worker_id, g.no, g.code, g.name
	FROM worker_grid wg
	JOIN grid g ON g.code = wg.grid_code
	JOIN grid_version v ON v.id = g.version_id AND v.state = 'enacted' AND v.root_code = coalesce(wg.root_code, v.root_code)
	WHERE wg.valid_from <= ? AND (wg.valid_to IS NULL OR wg.valid_to > ?)
	ORDER BY wg.worker_id, wg.role <> 'worker', g.level DESC, g.no`

// Home is an active worker's home grid.
type Home struct {
	Worker            uint32
	Badge, Grid, Root string // Root is the county's code
}

// Homes lists the active workers with a home grid today, of one county ("" for all), in
// the order of their ids.
func (db *DB) Homes(ctx context.Context, root string, now time.Time) ([]Home, error) {
	var q query
	today := people.Local(now).Format(time.DateOnly)
	q.add("WITH home AS ("+homeGrids+`) SELECT w.id, w.badge, home.code, v.root_code FROM worker w JOIN home ON home.worker_id = w.id
		JOIN grid g ON g.no = home.no JOIN grid_version v ON v.id = g.version_id AND v.state = 'enacted' WHERE w.active AND (? = '' OR v.root_code = ?) ORDER BY w.id`, today, today, root, root)
	rows, err := db.Pool.Query(ctx, q.sql.String(), q.args...)
	if err != nil {
		return nil, fmt.Errorf("store: home grids: %w", err)
	}
	var out []Home
	var h Home
	var id int64
	if _, err := pgx.ForEachRow(rows, []any{&id, &h.Badge, &h.Grid, &h.Root}, func() error {
		h.Worker = uint32(id)
		out = append(out, h)
		return nil
	}); err != nil {
		return nil, fmt.Errorf("store: home grids: %w", err)
	}
	return out, nil
}

// servedGrids is every grid of the enacted trees that a worker serves on a day.
const servedGrids = `SELECT wg.worker_id, g.no, wg.role FROM worker_grid wg
	JOIN grid g ON g.code = wg.grid_code
	JOIN grid_version v ON v.id = g.version_id AND v.state = 'enacted' AND v.root_code = coalesce(wg.root_code, v.root_code)
	WHERE wg.valid_from <= $1 AND (wg.valid_to IS NULL OR wg.valid_to > $1) ORDER BY wg.worker_id, g.no`

// Directory loads the workers in scope, with home grid, grids served, duty hours and last
// shifts as of now, and every device with the bindings that a fix still taken may fall under.
func (db *DB) Directory(ctx context.Context, scope auth.Scope, now time.Time) (*people.Directory, error) {
	workers, err := db.directoryWorkers(ctx, scope, now)
	if err != nil {
		return nil, fmt.Errorf("store: directory of workers: %w", err)
	}
	devices, err := db.directoryDevices(ctx, now)
	if err != nil {
		return nil, fmt.Errorf("store: directory of devices: %w", err)
	}
	return people.NewDirectory(workers, devices), nil
}

func (db *DB) directoryWorkers(ctx context.Context, scope auth.Scope, now time.Time) ([]people.Worker, error) {
	rotas := map[uint32]people.Rota{}
	rows, err := db.Pool.Query(ctx, "SELECT worker_id, weekday, start_min, end_min FROM rota ORDER BY worker_id, weekday, start_min")
	if err != nil {
		return nil, err
	}
	var id int64
	var weekday, start, end int
	if _, err := pgx.ForEachRow(rows, []any{&id, &weekday, &start, &end}, func() error {
		w := uint32(id)
		rotas[w] = append(rotas[w], people.Hours{Weekday: time.Weekday(weekday % 7), Start: start, End: end})
		return nil
	}); err != nil {
		return nil, err
	}
	shifts, err := directoryShifts(ctx, db.Pool, now)
	if err != nil {
		return nil, err
	}
	today := people.Local(now).Format(time.DateOnly)
	served := map[uint32][]people.Service{}
	if rows, err = db.Pool.Query(ctx, servedGrids, today); err != nil {
		return nil, err
	}
	var s people.Service
	if _, err := pgx.ForEachRow(rows, []any{&id, &s.Grid, &s.Role}, func() error {
		served[uint32(id)] = append(served[uint32(id)], s)
		return nil
	}); err != nil {
		return nil, err
	}
	var q query
	q.add("WITH home AS ("+homeGrids+") ", today, today)
	q.add("SELECT w.id, w.badge, w.skills, w.active, coalesce(home.no, 0) FROM worker w LEFT JOIN home ON home.worker_id = w.id WHERE ")
	q.inScope(scope, "home.no").add(" ORDER BY w.id")
	rows, err = db.Pool.Query(ctx, q.sql.String(), q.args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (people.Worker, error) {
		var w people.Worker
		var id int64
		err := row.Scan(&id, &w.Badge, &w.Skills, &w.Active, &w.Grid)
		w.ID, w.Rota, w.Shifts, w.Served = uint32(id), rotas[uint32(id)], shifts[uint32(id)], served[uint32(id)]
		return w, err
	})
}

func (db *DB) directoryDevices(ctx context.Context, now time.Time) ([]people.Device, error) {
	bindings := map[int64][]people.Binding{}
	rows, err := db.Pool.Query(ctx, "SELECT device_id, worker_id, valid_from, nullif(valid_to, 'infinity') FROM device_binding WHERE valid_from > '-infinity' AND valid_to > $1 ORDER BY device_id, valid_from",
		now.Add(-track.Retention))
	if err != nil {
		return nil, err
	}
	var device, worker int64
	var from time.Time
	var to *time.Time
	if _, err := pgx.ForEachRow(rows, []any{&device, &worker, &from, &to}, func() error {
		b := people.Binding{Worker: uint32(worker), From: from}
		if to != nil {
			b.To = *to
		}
		bindings[device] = append(bindings[device], b)
		return nil
	}); err != nil {
		return nil, err
	}
	rows, err = db.Pool.Query(ctx, "SELECT id, unique_id, speed_unit, datum, interval_s, state = 'blocked' FROM device ORDER BY id")
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (people.Device, error) {
		var d people.Device
		var unit, datum string
		var seconds int
		err := row.Scan(&d.ID, &d.UniqueID, &unit, &datum, &seconds, &d.Blocked)
		d.SpeedUnit, d.Datum = people.SpeedUnit(unit), geo.Datum(datum)
		d.Interval, d.Bindings = time.Duration(seconds)*time.Second, bindings[d.ID]
		return d, err
	})
}

// WorkerRow is a worker as everybody may know one: by badge, without a name.
type WorkerRow struct {
	ID       uint32
	Badge    string
	Ver      int
	Skills   []string
	GridNo   int32 // 0 while the worker has no grid
	GridCode string
	GridName string
}

// Workers lists the active workers in scope, ordered by badge. Where they are is
// in track.Live.
func Workers(ctx context.Context, db Querier, scope auth.Scope, now time.Time, badges ...string) ([]WorkerRow, error) {
	today := people.Local(now).Format(time.DateOnly)
	var q query
	q.add("WITH home AS ("+homeGrids+") ", today, today)
	q.add("SELECT w.id, w.badge, w.ver, w.skills, coalesce(home.no, 0), coalesce(home.code, ''), coalesce(home.name, '') ")
	q.add("FROM worker w LEFT JOIN home ON home.worker_id = w.id WHERE w.active AND ")
	if len(badges) > 0 {
		q.add("w.badge = ANY (?) AND ", badges)
	}
	q.inScope(scope, "home.no").add(" ORDER BY w.badge")
	rows, err := db.Query(ctx, q.sql.String(), q.args...)
	if err != nil {
		return nil, fmt.Errorf("store: workers: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (WorkerRow, error) {
		var w WorkerRow
		var id int64
		err := row.Scan(&id, &w.Badge, &w.Ver, &w.Skills, &w.GridNo, &w.GridCode, &w.GridName)
		w.ID = uint32(id)
		return w, err
	})
	if err != nil {
		return nil, fmt.Errorf("store: workers: %w", err)
	}
	return list, nil
}

// UnknownDevice is a device that nobody registered and how often it called.
type UnknownDevice struct {
	UniqueID    string
	First, Last time.Time
	Calls       int64
}

// maxQuarantine bounds the table: whoever makes up ids can't fill the disk.
const maxQuarantine = 10_000

// Quarantine notes unknown devices. When the table is full, only those already
// in it are counted on.
func (db *DB) Quarantine(ctx context.Context, unknown []UnknownDevice) error {
	ids, calls := make([]string, len(unknown)), make([]int64, len(unknown))
	first, last := make([]time.Time, len(unknown)), make([]time.Time, len(unknown))
	for i, u := range unknown {
		ids[i], first[i], last[i], calls[i] = u.UniqueID, u.First, u.Last, u.Calls
	}
	_, err := db.Pool.Exec(ctx, `INSERT INTO device_quarantine AS q (unique_id, first_at, last_at, fixes)
		SELECT u.id, u.first_at, u.last_at, u.fixes
		FROM unnest($1::text[], $2::timestamptz[], $3::timestamptz[], $4::bigint[]) WITH ORDINALITY AS u(id, first_at, last_at, fixes, n)
		WHERE (SELECT count(*) FROM device_quarantine) + u.n <= $5
		   OR EXISTS (SELECT 1 FROM device_quarantine old WHERE old.unique_id = u.id)
		ORDER BY u.id
		ON CONFLICT (unique_id) DO UPDATE SET last_at = greatest(q.last_at, excluded.last_at), fixes = q.fixes + excluded.fixes`,
		ids, first, last, calls, maxQuarantine)
	if err != nil {
		return fmt.Errorf("store: quarantine %d devices: %w", len(unknown), err)
	}
	return nil
}

// The devices that a worker carried from when to when, and the worker's own page, which
// nobody is bound to: of the worker $1, or of each s.worker.
const (
	carriedByOne = `(SELECT device_id, valid_from, valid_to FROM device_binding WHERE worker_id = $1::bigint
		UNION ALL SELECT id, '-infinity', 'infinity' FROM device WHERE unique_id = 'page-' || $1::bigint)`
	carriedByEach = `(SELECT device_id, valid_from, valid_to FROM device_binding WHERE worker_id = s.worker
		UNION ALL SELECT id, '-infinity', 'infinity' FROM device WHERE unique_id = 'page-' || s.worker)`
)

// PageDevice is the id of the device that stands for a worker's own page in a browser,
// made when there is none. Nobody carries it and its state is blocked: the device port,
// which knows devices by their names alone, takes nothing in its name, and no shift can
// be started with it.
func PageDevice(ctx context.Context, db Querier, worker uint32, interval time.Duration) (id int64, err error) {
	name := fmt.Sprintf("page-%d", worker)
	const find = "SELECT id FROM device WHERE unique_id = $1"
	if err = db.QueryRow(ctx, find, name).Scan(&id); errors.Is(err, pgx.ErrNoRows) {
		err = db.QueryRow(ctx, `INSERT INTO device (unique_id, speed_unit, datum, interval_s, state) VALUES ($1, 'm/s', 'wgs84', $2, 'blocked')
			ON CONFLICT (unique_id) DO NOTHING RETURNING id`, name, int(interval.Seconds())).Scan(&id)
	}
	if errors.Is(err, pgx.ErrNoRows) { // made by another in between
		err = db.QueryRow(ctx, find, name).Scan(&id)
	}
	if err != nil {
		return 0, fmt.Errorf("store: the page of worker %d as a device: %w", worker, err)
	}
	return id, nil
}
