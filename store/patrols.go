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
	"onemap/dispatch"
	"onemap/dispatch/calendar"
	"onemap/geo"
)

// PatrolTargets is what a patrol visits.
type PatrolTargets string

// What may be visited.
const (
	PatrolGrid   PatrolTargets = "grid"   // the grid itself
	PatrolGrids  PatrolTargets = "grids"  // each grid below it, of a level or without one below
	PatrolLayer  PatrolTargets = "layer"  // the points of a named layer that lie in it
	PatrolPoints PatrolTargets = "points" // places of its own
)

// PatrolPoint is a place of a patrol, as it was given and in WGS-84.
type PatrolPoint struct {
	N    int
	Name string
	Raw  geo.Raw
	P    geo.WGS84
}

// Patrol is a patrol as the record holds it.
type Patrol struct {
	dispatch.Patrol
	Root, GridCode string
	GridNo         int32 // in force when it was made, or last redrawn
	Targets        PatrolTargets
	Level          int           // of PatrolGrids; 0 for the grids without one below
	Layer          string        // of PatrolLayer
	Points         []PatrolPoint // of PatrolPoints; only when asked for
	PointCount     int           // how many they are; only read
	Department     int64         // whose people visit; 0 for the workers who serve there
	MadeBy         string
	MadeAt         time.Time
	EndedBy        string
	OpenedTo       calendar.Date // every period that begins then or before has its visits
	GridName       string        // only read; "" where the grid is no longer in force
	Now            VisitCounts   // of the periods that run, and how many were missed in all
}

// VisitCounts counts visits by their state.
type VisitCounts struct{ Due, Done, Missed, Late int }

const patrolColumns = `p.id, p.ver, p.name, p.root_code, p.grid_code, p.grid_no, p.targets, coalesce(p.level, 0), coalesce(p.layer_code, ''), coalesce(p.department_id, 0),
 p.rhythm, p.every, p.weekdays, p.days, p.ahead, p.from_min, p.to_min, p.first_day, p.last_day, p.radius_m, p.stay_min, p.made_by, p.made_at,
 coalesce(p.ended_by, ''), p.ended_at, p.reason, p.opened_to, coalesce(g.name, ''), (SELECT count(*) FROM patrol_point t WHERE t.patrol_id = p.id)`

const fromPatrol = ` FROM patrol p LEFT JOIN grid_version gv ON gv.root_code = p.root_code AND gv.state = 'enacted'
 LEFT JOIN grid g ON g.version_id = gv.id AND g.code = p.grid_code `

func scanPatrol(row pgx.CollectableRow) (p Patrol, err error) {
	var first, opened time.Time
	var last *time.Time
	var stay int
	t := &p.Times
	err = row.Scan(&p.ID, &p.Ver, &p.Name, &p.Root, &p.GridCode, &p.GridNo, &p.Targets, &p.Level, &p.Layer, &p.Department,
		&t.Rhythm, &t.Every, &t.Weekdays, &t.Days, &t.Ahead, &t.From, &t.To, &first, &last, &p.RadiusM, &stay, &p.MadeBy, &p.MadeAt,
		&p.EndedBy, &p.EndedAt, &p.Reason, &opened, &p.GridName, &p.PointCount)
	t.First, p.OpenedTo = dateIn(first), dateIn(opened)
	if last != nil {
		t.Last = dateIn(*last)
	}
	p.Stay = time.Duration(stay) * time.Minute
	p.Settle()
	return p, err
}

// Settle rounds every time as the database keeps it, like Incident.Settle.
func (p *Patrol) Settle() {
	settle(&p.MadeAt)
	settleOptional(&p.EndedAt)
}

// dateIn is the day of a value of type date.
func dateIn(t time.Time) calendar.Date {
	return calendar.Date{Year: t.Year(), Month: t.Month(), Day: t.Day()}
}

// DateValue is a day as a parameter of type date; nil for no day.
func DateValue(d calendar.Date) any {
	if d == (calendar.Date{}) {
		return nil
	}
	return time.Date(d.Year, d.Month, d.Day, 0, 0, 0, 0, time.UTC)
}

// FindPatrol returns the patrol with this id, or ErrNotFound when there is none or it is
// out of scope; lock holds the row until the end of tx.
func FindPatrol(ctx context.Context, tx Querier, s auth.Scope, id int64, lock bool) (Patrol, error) {
	var q query
	q.add("SELECT "+patrolColumns+fromPatrol+"WHERE p.id = ? AND ", id).inScope(s, "p.grid_no")
	if lock {
		q.add(" FOR UPDATE OF p")
	}
	rows, err := tx.Query(ctx, q.sql.String(), q.args...)
	if err != nil {
		return Patrol{}, fmt.Errorf("store: patrol %d: %w", id, err)
	}
	p, err := pgx.CollectExactlyOneRow(rows, scanPatrol)
	if errors.Is(err, pgx.ErrNoRows) {
		err = ErrNotFound
	}
	if err != nil {
		return Patrol{}, fmt.Errorf("store: patrol %d: %w", id, err)
	}
	return p, nil
}

// PatrolPointsOf lists the places of a patrol in their order.
func PatrolPointsOf(ctx context.Context, tx Querier, p Patrol) ([]PatrolPoint, error) {
	rows, err := tx.Query(ctx, "SELECT n, name, raw_lon, raw_lat, raw_datum, geom FROM patrol_point WHERE patrol_id = $1 ORDER BY n", p.ID)
	if err != nil {
		return nil, fmt.Errorf("store: places of patrol %d: %w", p.ID, err)
	}
	out, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (t PatrolPoint, err error) {
		err = row.Scan(&t.N, &t.Name, &t.Raw.Lon, &t.Raw.Lat, &t.Raw.Datum, &t.P)
		return t, err
	})
	if err != nil {
		return nil, fmt.Errorf("store: places of patrol %d: %w", p.ID, err)
	}
	return out, nil
}

// PatrolFilter narrows a list of patrols; zero fields do not.
type PatrolFilter struct {
	State  string // running or ended
	Grids  []auth.Interval
	Before int64 // continue after the patrol with this id
	Limit  int
}

// Patrols lists the patrols in scope, newest first, with the counts of their visits.
func (db *DB) Patrols(ctx context.Context, s auth.Scope, f PatrolFilter) ([]Patrol, error) {
	var q query
	q.add("SELECT "+patrolColumns+fromPatrol+"WHERE ").inScope(s, "p.grid_no")
	switch f.State {
	case "running":
		q.add(" AND p.ended_at IS NULL")
	case "ended":
		q.add(" AND p.ended_at IS NOT NULL")
	}
	if len(f.Grids) > 0 {
		q.add(" AND ").within(f.Grids, "p.grid_no")
	}
	if f.Before > 0 {
		q.add(" AND p.id < ?", f.Before)
	}
	q.add(" ORDER BY p.id DESC LIMIT ?", f.Limit)
	rows, err := db.Pool.Query(ctx, q.sql.String(), q.args...)
	if err != nil {
		return nil, fmt.Errorf("store: patrols: %w", err)
	}
	out, err := pgx.CollectRows(rows, scanPatrol)
	if err != nil {
		return nil, fmt.Errorf("store: patrols: %w", err)
	}
	return out, nil
}

// CountVisits fills in how the visits of these patrols stand: those of the last period
// of each.
func CountVisits(ctx context.Context, tx Querier, ps []Patrol) error {
	at, ids := map[int64]int{}, []int64{}
	for i, p := range ps {
		at[p.ID], ids = i, append(ids, p.ID)
	}
	rows, err := tx.Query(ctx, `SELECT l.id, count(*) FILTER (WHERE v.state = 'due'), count(*) FILTER (WHERE v.state = 'done'),
		count(*) FILTER (WHERE v.state = 'missed'), count(*) FILTER (WHERE v.state = 'late')
		FROM unnest($1::bigint[]) l(id), LATERAL (SELECT period, rhythm FROM visit WHERE patrol_id = l.id ORDER BY id DESC LIMIT 1) n,
		LATERAL (SELECT state FROM visit WHERE patrol_id = l.id AND rhythm = n.rhythm AND period = n.period) v GROUP BY l.id`, ids)
	if err != nil {
		return fmt.Errorf("store: counts of visits: %w", err)
	}
	var id int64
	var c VisitCounts
	if _, err := pgx.ForEachRow(rows, []any{&id, &c.Due, &c.Done, &c.Missed, &c.Late}, func() error { ps[at[id]].Now = c; return nil }); err != nil {
		return fmt.Errorf("store: counts of visits: %w", err)
	}
	return nil
}

// VisitedBy is the role of those who make the patrol's visits.
func (p Patrol) VisitedBy() auth.Role {
	if p.Department != 0 {
		return auth.DeptHandler
	}
	return auth.GridWorker
}

// LayerShown reports whether the layer with this code of a county is there and shown to
// a role by its access.
func LayerShown(ctx context.Context, tx Querier, _ auth.Scope, root, code string, r auth.Role) (bool, error) {
	var access []string
	err := tx.QueryRow(ctx, "SELECT access FROM layer WHERE code = $1 AND root_code = $2", code, root).Scan(&access)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("store: access of layer %s: %w", code, err)
	}
	return auth.LayerShownTo(r, access), nil
}

// LayerSpot is a point of a named layer.
type LayerSpot struct {
	ExternalID, Name string
	P                geo.WGS84
}

// LayerSpots lists the points of the layer with this code of a county, by external id.
func LayerSpots(ctx context.Context, tx Querier, _ auth.Scope, root, code string) ([]LayerSpot, error) {
	rows, err := tx.Query(ctx, `SELECT f.external_id, f.name, f.geom FROM layer_feature f JOIN layer l ON l.id = f.layer_id AND l.geometry = 'point'
		WHERE l.code = $1 AND l.root_code = $2 ORDER BY f.external_id`, code, root)
	if err != nil {
		return nil, fmt.Errorf("store: points of layer %s: %w", code, err)
	}
	out, err := pgx.CollectRows(rows, pgx.RowToStructByPos[LayerSpot])
	if err != nil {
		return nil, fmt.Errorf("store: points of layer %s: %w", code, err)
	}
	return out, nil
}
