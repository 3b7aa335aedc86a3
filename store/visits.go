// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"onemap/auth"
	"onemap/dispatch"
	"onemap/dispatch/calendar"
	"onemap/geo"
	"onemap/track"
)

// Visit is a visit as the record holds it: a target of a patrol in one period.
type Visit struct {
	dispatch.Visit
	Patrol     int64
	Target     string // names the target among those of its patrol
	Name       string
	GridID     int64 // the target, or the grid that the point lies in
	GridNo     int32
	Point      *geo.WGS84 // nil: the grid itself
	Department int64      // whose people visit; 0 for the workers who serve there
	Rhythm     dispatch.Rhythm
	Period     calendar.Date
	Looked     bool // at all fixes since it opens

	SeenBy     uint32
	SeenM      *float64 // of a point: how far off the second fix was, metres
	SaidGotAt  *time.Time
	SaidBy     string // the actor
	SaidWorker uint32
	SaidText   string
	SaidThere  *bool // a fresh fix put the speaker there; nil: nobody knows
	SaidM      *float64

	PatrolName         string // only read
	GridCode, GridName string
	SeenBadge          string
	SaidBadge          string
}

// Settle rounds every time as the database keeps it, like Incident.Settle.
func (v *Visit) Settle() {
	settleOptional(&v.SeenFrom, &v.SeenAt, &v.SaidAt, &v.SaidGotAt, &v.MissedAt, &v.VoidAt)
}

const visitColumns = `v.id, v.patrol_id, v.target, v.name, v.grid_id, v.grid_no, v.geom, coalesce(v.department_id, 0), v.rhythm, v.period, v.windows, v.radius_m, v.stay_min, v.looked,
 v.seen_from, v.seen_at, coalesce(v.seen_by, 0), v.seen_m, v.said_at, v.said_got_at, coalesce(v.said_by, ''), coalesce(v.said_worker, 0), coalesce(v.said_text, ''),
 v.said_there, v.said_m, v.missed_at, v.void_at, p.name, g.code, g.name, coalesce(sw.badge, ''), coalesce(dw.badge, '')`

const fromVisit = ` FROM visit v JOIN patrol p ON p.id = v.patrol_id JOIN grid g ON g.id = v.grid_id
 LEFT JOIN worker sw ON sw.id = v.seen_by LEFT JOIN worker dw ON dw.id = v.said_worker `

// Spans is windows as a value of type tstzmultirange.
type Spans = pgtype.Multirange[pgtype.Range[pgtype.Timestamptz]]

// SpansOf makes the value of windows.
func SpansOf(ws []dispatch.Window) Spans {
	out := make(Spans, len(ws))
	for i, w := range ws {
		out[i] = pgtype.Range[pgtype.Timestamptz]{
			Lower: pgtype.Timestamptz{Time: w.From, Valid: true}, Upper: pgtype.Timestamptz{Time: w.To, Valid: true},
			LowerType: pgtype.Inclusive, UpperType: pgtype.Exclusive, Valid: true,
		}
	}
	return out
}

func windowsOf(s Spans) []dispatch.Window {
	out := make([]dispatch.Window, len(s))
	for i, r := range s {
		out[i] = dispatch.Window{From: r.Lower.Time.UTC(), To: r.Upper.Time.UTC()}
	}
	return out
}

func scanVisit(row pgx.CollectableRow) (v Visit, err error) {
	var period time.Time
	var spans Spans
	var seen, said int64
	var stay int
	err = row.Scan(&v.ID, &v.Patrol, &v.Target, &v.Name, &v.GridID, &v.GridNo, &v.Point, &v.Department, &v.Rhythm, &period, &spans, &v.RadiusM, &stay, &v.Looked,
		&v.SeenFrom, &v.SeenAt, &seen, &v.SeenM, &v.SaidAt, &v.SaidGotAt, &v.SaidBy, &said, &v.SaidText,
		&v.SaidThere, &v.SaidM, &v.MissedAt, &v.VoidAt, &v.PatrolName, &v.GridCode, &v.GridName, &v.SeenBadge, &v.SaidBadge)
	v.Period, v.Windows, v.SeenBy, v.SaidWorker, v.Stay = dateIn(period), windowsOf(spans), uint32(seen), uint32(said), time.Duration(stay)*time.Minute
	v.Settle()
	return v, err
}

// servedBy adds the condition that the worker serves where the visit v is, on a day:
// its grid, one above it or one below, in the boundary set the visit lies in.
func (q *query) servedBy(worker uint32, day string) *query {
	return q.add(`v.department_id IS NULL AND v.grid_id IN (SELECT t.id FROM worker_grid wg JOIN grid o ON o.code = wg.grid_code
		JOIN grid_version ov ON ov.id = o.version_id AND ov.root_code = coalesce(wg.root_code, ov.root_code)
		JOIN grid t ON t.version_id = o.version_id AND (t.no BETWEEN o.no AND o.last_no OR o.no BETWEEN t.no AND t.last_no)
		WHERE wg.worker_id = ? AND wg.valid_from <= ? AND (wg.valid_to IS NULL OR wg.valid_to > ?)) `, int64(worker), day, day)
}

// visitsInScope adds the condition that the visit v lies in s: for a worker's own scope
// those where that worker serves today, for a department's own those that are its, else
// those of its grids.
func (q *query) visitsInScope(s auth.Scope, now time.Time) *query {
	q.inScope(s, "v.grid_no")
	if department, only := s.Department(); only {
		q.add("AND v.department_id = ? ", department)
	}
	if worker, only := s.Worker(); only {
		q.add("AND ").servedBy(worker, Day(now))
	}
	return q
}

// FindVisit returns the visit with this id, or ErrNotFound when there is none or it is
// out of scope; lock holds the row until the end of tx.
func FindVisit(ctx context.Context, tx Querier, s auth.Scope, id int64, now time.Time, lock bool) (Visit, error) {
	var q query
	q.add("SELECT "+visitColumns+fromVisit+"WHERE v.id = ? AND ", id).visitsInScope(s, now)
	if lock {
		q.add(" FOR UPDATE OF v")
	}
	rows, err := tx.Query(ctx, q.sql.String(), q.args...)
	if err != nil {
		return Visit{}, fmt.Errorf("store: visit %d: %w", id, err)
	}
	v, err := pgx.CollectExactlyOneRow(rows, scanVisit)
	if errors.Is(err, pgx.ErrNoRows) {
		err = ErrNotFound
	}
	if err != nil {
		return Visit{}, fmt.Errorf("store: visit %d: %w", id, err)
	}
	return v, nil
}

// VisitFilter narrows a list of visits; zero fields do not.
type VisitFilter struct {
	State    dispatch.VisitState
	Patrol   int64
	Worker   uint32 // who serves there today, or has made it
	Grids    []auth.Interval
	From, To time.Time // its period meets [From, To)
	Before   int64     // continue after the visit with this id
	Limit    int
}

// Visits lists the visits in scope, newest first.
func (db *DB) Visits(ctx context.Context, s auth.Scope, f VisitFilter, now time.Time) ([]Visit, error) {
	var q query
	q.add("SELECT "+visitColumns+fromVisit+"WHERE ").visitsInScope(s, now)
	if f.State != "" {
		q.add(" AND v.state = ?", string(f.State))
	}
	if f.Patrol != 0 {
		q.add(" AND v.patrol_id = ?", f.Patrol)
	}
	if f.Worker != 0 {
		q.add(" AND (v.seen_by = ? OR v.said_worker = ? OR ", int64(f.Worker), int64(f.Worker)).servedBy(f.Worker, Day(now)).add(")")
	}
	if len(f.Grids) > 0 {
		q.add(" AND ").within(f.Grids, "v.grid_no")
	}
	if !f.From.IsZero() {
		q.add(" AND v.closes_at > ?", f.From)
	}
	if !f.To.IsZero() {
		q.add(" AND v.opens_at < ?", f.To)
	}
	if f.Before > 0 {
		q.add(" AND v.id < ?", f.Before)
	}
	q.add(" ORDER BY v.id DESC LIMIT ?", f.Limit)
	return visitsBy(ctx, db.Pool, &q)
}

func visitsBy(ctx context.Context, tx Querier, q *query) ([]Visit, error) {
	rows, err := tx.Query(ctx, q.sql.String(), q.args...)
	if err != nil {
		return nil, fmt.Errorf("store: visits: %w", err)
	}
	out, err := pgx.CollectRows(rows, scanVisit)
	if err != nil {
		return nil, fmt.Errorf("store: visits: %w", err)
	}
	return out, nil
}

// VisitLooksBack is how long after the end of its period fixes may still prove a visit:
// as long as a phone is out of reach.
const VisitLooksBack = 48 * time.Hour

// Visitor is a worker who may make a visit, by the days of serving there.
type Visitor struct {
	Visit    int64
	Worker   uint32
	From, To calendar.Date // To excluded; zero for no end
}

// Serves reports whether the worker serves there at t.
func (v Visitor) Serves(t time.Time) bool {
	d := calendar.DateOf(t)
	return d.Compare(v.From) >= 0 && (v.To == calendar.Date{} || d.Compare(v.To) < 0)
}

// UnseenVisits lists the visits that fixes may prove at now and have not, and who may
// make each: whoever serves its grid, one above or one below.
func (db *DB) UnseenVisits(ctx context.Context, _ auth.Scope, now time.Time) (visits map[int64]Visit, by map[uint32][]Visitor, err error) {
	var q query
	q.add("SELECT "+visitColumns+fromVisit+"WHERE v.seen_at IS NULL AND v.void_at IS NULL AND v.department_id IS NULL AND v.closes_at > ? AND v.opens_at <= ?", now.Add(-VisitLooksBack), now)
	list, err := visitsBy(ctx, db.Pool, &q)
	if err != nil || len(list) == 0 {
		return nil, nil, err
	}
	visits, by = make(map[int64]Visit, len(list)), map[uint32][]Visitor{}
	grids, ids := map[int64][]int64{}, []int64{}
	for _, v := range list {
		if visits[v.ID] = v; grids[v.GridID] == nil {
			ids = append(ids, v.GridID)
		}
		grids[v.GridID] = append(grids[v.GridID], v.ID)
	}
	rows, err := db.Pool.Query(ctx, `SELECT t.id, wg.worker_id, wg.valid_from, wg.valid_to FROM grid t JOIN grid_version tv ON tv.id = t.version_id
		JOIN grid o ON o.version_id = t.version_id AND (t.no BETWEEN o.no AND o.last_no OR o.no BETWEEN t.no AND t.last_no)
		JOIN worker_grid wg ON wg.grid_code = o.code AND coalesce(wg.root_code, tv.root_code) = tv.root_code
		JOIN worker w ON w.id = wg.worker_id AND w.active WHERE t.id = ANY ($1)`, ids)
	if err != nil {
		return nil, nil, fmt.Errorf("store: who may make visits: %w", err)
	}
	var grid, worker int64
	var from time.Time
	var to *time.Time
	_, err = pgx.ForEachRow(rows, []any{&grid, &worker, &from, &to}, func() error {
		who := Visitor{Worker: uint32(worker), From: dateIn(from)}
		if to != nil {
			who.To = dateIn(*to)
		}
		for _, who.Visit = range grids[grid] {
			by[who.Worker] = append(by[who.Worker], who)
		}
		return nil
	})
	if err != nil {
		return nil, nil, fmt.Errorf("store: who may make visits: %w", err)
	}
	return visits, by, nil
}

// FixesLookedAt is when the fixes were received that have been looked at for visits:
// those before it.
func (db *DB) FixesLookedAt(ctx context.Context) (at time.Time, err error) {
	if err = db.Pool.QueryRow(ctx, "SELECT received FROM patrol_look").Scan(&at); err != nil {
		return at, fmt.Errorf("store: how far fixes are looked at: %w", err)
	}
	return at, nil
}

// flushedWithin is how long a fix takes at most from being received to being kept.
const flushedWithin = 30 * time.Second

// LateFixes is from which fix time on a worker's fixes have to be looked at again, of
// those whose late fixes were received since a time; none are from before back.
func (db *DB) LateFixes(ctx context.Context, _ auth.Scope, since, back time.Time) (map[uint32]time.Time, error) {
	rows, err := db.Pool.Query(ctx, `SELECT worker_id, min(fix_at) FROM worker_position WHERE verdict = $1 AND server_at >= $2 AND fix_at >= $3 GROUP BY worker_id`,
		string(track.Late), since.Add(-flushedWithin), back)
	if err != nil {
		return nil, fmt.Errorf("store: late fixes: %w", err)
	}
	out := map[uint32]time.Time{}
	var worker int64
	var at time.Time
	if _, err := pgx.ForEachRow(rows, []any{&worker, &at}, func() error { out[uint32(worker)] = at; return nil }); err != nil {
		return nil, fmt.Errorf("store: late fixes: %w", err)
	}
	return out, nil
}

// FixesSince returns the trusted fixes up to now of each of these workers, in order of
// time: those measured since the worker's time here, and as long before it as a fix of
// the device is fresh.
func (db *DB) FixesSince(ctx context.Context, _ auth.Scope, since map[uint32]time.Time, now time.Time) (map[uint32][]dispatch.NearFix, error) {
	var workers []int64
	var times []time.Time
	for w, t := range since {
		workers, times = append(workers, int64(w)), append(times, t)
	}
	// By the devices that the worker carried, and the own page: the fixes of a device lie together.
	rows, err := db.Pool.Query(ctx, `SELECT s.worker, p.fix_at, p.lon_e7, p.lat_e7, coalesce(p.accuracy_m, -1)
		FROM unnest($1::bigint[], $2::timestamptz[]) s(worker, since) CROSS JOIN LATERAL `+carriedByEach+` b JOIN device d ON d.id = b.device_id
		CROSS JOIN LATERAL (SELECT s.since - make_interval(secs => greatest($5, 2 * d.interval_s) + $7)) f(since)
		JOIN worker_position p ON p.device_id = b.device_id AND p.worker_id = s.worker AND p.fix_at >= greatest(b.valid_from, f.since) AND p.fix_at < b.valid_to
		AND p.fix_at <= $3 AND p.fix_at >= $6
		WHERE b.valid_to > f.since AND p.verdict = ANY ($4) AND NOT p.mock ORDER BY s.worker, p.fix_at`,
		workers, times, now, []string{string(track.OK), string(track.Late)}, track.FreshFor(0).Seconds(), now.Add(-VisitLooksBack-24*time.Hour),
		flushedWithin.Seconds())
	if err != nil {
		return nil, fmt.Errorf("store: fixes for visits: %w", err)
	}
	out := map[uint32][]dispatch.NearFix{}
	var worker int64
	var at time.Time
	var lon, lat int32
	var acc float32
	_, err = pgx.ForEachRow(rows, []any{&worker, &at, &lon, &lat, &acc}, func() error {
		w := uint32(worker)
		out[w] = append(out[w], dispatch.NearFix{At: at, P: geo.WGS84{float64(lon) / 1e7, float64(lat) / 1e7}, AccuracyM: float64(acc)})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("store: fixes for visits: %w", err)
	}
	return out, nil
}
