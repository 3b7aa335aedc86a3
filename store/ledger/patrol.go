// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package ledger

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
	"onemap/geo/grid"
	"onemap/store"
)

// PatrolCommand makes a patrol, or with ID changes or ends one.
type PatrolCommand struct {
	store.Patrol     // with ID the name, times, radius and stay are changed, and nothing else
	Seen         int // the version that the actor saw
	End          bool
	Why          string // of End
}

// MaxPatrolTargets is how many targets a patrol may have.
const MaxPatrolTargets = 5000

// What patrols are refused for.
var (
	ErrNoTargets      = fmt.Errorf("there is nothing to visit: no grid or point of what is named lies in the grid")
	ErrTooManyTargets = fmt.Errorf("a patrol has at most %d targets: take a smaller grid", MaxPatrolTargets)
	ErrPointOutside   = fmt.Errorf("every place of a patrol lies in its grid")
)

// anyPatrol is for a look at a patrol or visit that the actor has just changed.
var anyPatrol = auth.System("a patrol or visit that the transaction has made or holds")

// patrol makes, changes or ends a patrol.
func (l *Ledger) patrol(ctx context.Context, actor auth.Actor, c Command) (res Result, err error) {
	d, err := auth.Decide(actor, auth.Write, auth.PatrolData)
	if err != nil {
		return Result{}, err
	}
	if c.Patrol.ID == 0 && !d.Scope.Sees(c.Patrol.GridNo) {
		return Result{}, store.ErrNotFound
	}
	err = l.o.DB.InTx(ctx, func(tx pgx.Tx) error {
		id, done, err := l.claim(ctx, tx, actor, c)
		if err != nil {
			return err
		}
		switch {
		case done:
			res.Repeated = true
		case c.Patrol.ID == 0:
			id, err = l.makePatrol(ctx, tx, actor, c)
		default:
			id, err = c.Patrol.ID, l.changePatrol(ctx, tx, actor, d.Scope, c)
		}
		if err != nil {
			return err
		}
		if res.Patrol, err = store.FindPatrol(ctx, tx, d.Scope, id, false); err != nil || done {
			return err
		}
		b := &pgx.Batch{}
		c.keep(b, actor, id)
		return tx.SendBatch(ctx, b).Close()
	})
	return res, err
}

func (l *Ledger) makePatrol(ctx context.Context, tx pgx.Tx, actor auth.Actor, c Command) (int64, error) {
	p := c.Patrol.Patrol
	p.Ver, p.MadeBy, p.MadeAt = 1, actor.ID, l.o.Now()
	if err := p.Check(); err != nil {
		return 0, err
	}
	// Days that are over are nobody's to visit.
	today := calendar.DateOf(p.MadeAt)
	if p.Times.First.Compare(today) < 0 {
		p.Times.First = today
		if err := p.Check(); err != nil {
			return 0, err
		}
	}
	p.OpenedTo = p.Times.First.Add(-1)
	targets, err := l.targets(ctx, tx, p, p.Points)
	switch {
	case err != nil:
		return 0, err
	case p.Targets == store.PatrolPoints && len(targets) < len(p.Points):
		return 0, &dispatch.GuardError{Err: ErrPointOutside}
	case len(targets) == 0:
		return 0, &dispatch.GuardError{Err: ErrNoTargets}
	case len(targets) > MaxPatrolTargets:
		return 0, &dispatch.GuardError{Err: ErrTooManyTargets}
	}
	var level, layer, dept any
	if p.Level != 0 {
		level = int16(p.Level)
	}
	if p.Layer != "" {
		layer = p.Layer
	}
	if p.Department != 0 {
		dept = p.Department
	}
	t := p.Times
	err = tx.QueryRow(ctx, `INSERT INTO patrol (name, root_code, grid_code, grid_no, targets, level, layer_code, department_id,
		rhythm, every, weekdays, days, ahead, from_min, to_min, first_day, last_day, radius_m, stay_min, made_by, made_at, opened_to)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22) RETURNING id`,
		p.Name, p.Root, p.GridCode, p.GridNo, string(p.Targets), level, layer, dept,
		string(t.Rhythm), t.Every, weekdays(t), string(t.Days), t.Ahead, t.From, t.To, store.DateValue(t.First), store.DateValue(t.Last),
		p.RadiusM, int(p.Stay/time.Minute), p.MadeBy, p.MadeAt, store.DateValue(p.OpenedTo)).Scan(&p.ID)
	if err != nil {
		return 0, err
	}
	b := &pgx.Batch{}
	for i, x := range p.Points {
		b.Queue("INSERT INTO patrol_point (patrol_id, n, name, geom, raw_lon, raw_lat, raw_datum) VALUES ($1, $2, $3, $4, $5, $6, $7)",
			p.ID, i+1, x.Name, x.P, x.Raw.Lon, x.Raw.Lat, string(x.Raw.Datum))
	}
	if err := auditPatrol(b, actor, c.RequestID, "patrol.made", p, map[string]any{"targets": len(targets), "rhythm": t.Rhythm}); err != nil {
		return 0, err
	}
	return p.ID, tx.SendBatch(ctx, b).Close()
}

// weekdays is the value of the column: an empty list for all.
func weekdays(t dispatch.PatrolTimes) []int16 {
	out := make([]int16, len(t.Weekdays))
	for i, d := range t.Weekdays {
		out[i] = int16(d)
	}
	return out
}

func auditPatrol(b *pgx.Batch, actor auth.Actor, requestID, act string, p store.Patrol, data map[string]any) error {
	data["grid"], data["ver"] = p.GridCode, p.Ver
	return audit(b, actor, requestID, act, fmt.Sprintf("patrol/%d", p.ID), p.Reason, data)
}

// changePatrol gives a patrol other terms, or ends it. What it visits, and whose it is,
// stays: another grid is another patrol.
func (l *Ledger) changePatrol(ctx context.Context, tx pgx.Tx, actor auth.Actor, s auth.Scope, c Command) error {
	p, err := store.FindPatrol(ctx, tx, s, c.Patrol.ID, true)
	if err != nil {
		return err
	}
	b, now := &pgx.Batch{}, l.o.Now()
	if c.Patrol.End {
		if p.Patrol, err = dispatch.EndPatrol(p.Patrol, c.Patrol.Why, now); err != nil {
			return err
		}
		b.Queue("UPDATE patrol SET ver = $2, ended_by = $3, ended_at = $4, reason = $5 WHERE id = $1", p.ID, p.Ver, actor.ID, now, p.Reason)
		b.Queue("UPDATE visit SET void_at = $2, state = 'void' WHERE patrol_id = $1 AND state = 'due'", p.ID, now)
		if err := auditPatrol(b, actor, c.RequestID, "patrol.ended", p, map[string]any{}); err != nil {
			return err
		}
		return tx.SendBatch(ctx, b).Close()
	}
	to := c.Patrol.Patrol
	// The weeks are counted from the first day, and a new one can only come.
	if first := p.OpenedTo.Add(1); to.Times.First.Compare(first) < 0 {
		to.Times.First = p.Times.First
	}
	if p.Patrol, err = dispatch.ChangePatrol(p.Patrol, to.Patrol, c.Patrol.Seen); err != nil {
		return err
	}
	t := p.Times
	b.Queue(`UPDATE patrol SET ver = $2, name = $3, rhythm = $4, every = $5, weekdays = $6, days = $7, ahead = $8, from_min = $9, to_min = $10, first_day = $11,
		last_day = $12, radius_m = $13, stay_min = $14 WHERE id = $1`, p.ID, p.Ver, p.Name, string(t.Rhythm), t.Every, weekdays(t), string(t.Days), t.Ahead, t.From, t.To,
		store.DateValue(t.First), store.DateValue(t.Last), p.RadiusM, int(p.Stay/time.Minute))
	if err := auditPatrol(b, actor, c.RequestID, "patrol.changed", p, map[string]any{"rhythm": t.Rhythm}); err != nil {
		return err
	}
	return tx.SendBatch(ctx, b).Close()
}

// target is one thing that a patrol visits.
type target struct {
	key, name string
	grid      *grid.Node // itself, or where the point lies
	point     *geo.WGS84
}

// top is the place of a patrol's grid in a tree.
func top(t *grid.Tree, p store.Patrol) (i int, known bool) {
	for i := range t.Nodes() {
		if n := &t.Nodes()[i]; string(n.Code) == p.GridCode && string(t.Nodes()[t.Path(i)[0]].Code) == p.Root {
			return i, true
		}
	}
	return 0, false
}

// targets is what a patrol visits in the grids in force: nothing once its grid is gone.
func (l *Ledger) targets(ctx context.Context, tx store.Querier, p store.Patrol, points []store.PatrolPoint) (out []target, err error) {
	t := l.o.Catalogue.Now().Tree
	top, known := top(t, p)
	if !known {
		return nil, nil
	}
	within := &t.Nodes()[top]
	spot := func(key, name string, at geo.WGS84) {
		if i := t.Locate(at).Index; i >= 0 && t.Nodes()[i].No >= within.No && t.Nodes()[i].No <= within.Last {
			out = append(out, target{key, name, &t.Nodes()[i], &at})
		}
	}
	switch p.Targets {
	case store.PatrolGrid:
		out = append(out, target{"grid:" + p.GridCode, within.Name, within, nil})
	case store.PatrolGrids:
		for i := top; i < len(t.Nodes()) && t.Nodes()[i].No <= within.Last && t.Nodes()[i].No >= within.No; i++ {
			n := &t.Nodes()[i]
			if p.Level == 0 && n.No == n.Last || p.Level != 0 && n.Level == p.Level {
				out = append(out, target{"grid:" + string(n.Code), n.Name, n, nil})
			}
		}
	case store.PatrolPoints:
		for _, x := range points {
			spot(fmt.Sprintf("point:%d", x.N), x.Name, x.P)
		}
	case store.PatrolLayer:
		spots, err := store.LayerSpots(ctx, tx, anyPatrol, p.Root, p.Layer)
		if err != nil {
			return nil, err
		}
		for _, x := range spots {
			spot("layer:"+x.ExternalID, x.Name, x.P)
		}
	}
	return out, nil
}

// catchUpDays is how far back periods are opened that no server was there for.
const catchUpDays = 400

// OpenVisits opens the visits of every period that has begun, each once, however many
// servers do and however long none did, and of each patrol whatever becomes of the others.
// opened is how many.
func (l *Ledger) OpenVisits(ctx context.Context, actor auth.Actor) (opened int, err error) {
	today := calendar.DateOf(l.o.Now())
	rows, err := l.o.DB.Pool.Query(ctx, "SELECT id FROM patrol WHERE ended_at IS NULL AND opened_to < $1 ORDER BY id", store.DateValue(today))
	if err != nil {
		return 0, fmt.Errorf("ledger: patrols to open: %w", err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return 0, fmt.Errorf("ledger: patrols to open: %w", err)
	}
	var failed []error
	for _, id := range ids {
		n, err := l.openPatrol(ctx, actor, id, today)
		if opened += n; err != nil {
			failed = append(failed, fmt.Errorf("ledger: visits of patrol %d: %w", id, err))
		}
	}
	if opened > 0 {
		l.o.Wake()
	}
	return opened, errors.Join(failed...)
}

func (l *Ledger) openPatrol(ctx context.Context, actor auth.Actor, id int64, today calendar.Date) (opened int, err error) {
	err = l.o.DB.InTx(ctx, func(tx pgx.Tx) error {
		p, err := store.FindPatrol(ctx, tx, anyPatrol, id, true)
		if err != nil || p.EndedAt != nil || p.OpenedTo.Compare(today) >= 0 {
			return err
		}
		if _, known := top(l.o.Catalogue.Now().Tree, p); !known && p.GridName != "" {
			return nil // in force, but not read by this node yet
		}
		from := p.OpenedTo.Add(1)
		if oldest := today.Add(-catchUpDays); from.Compare(oldest) < 0 {
			from = oldest
		}
		b := &pgx.Batch{}
		if periods := p.Times.Periods(l.o.Catalogue.Now().Clocks.Calendar, from, today); len(periods) > 0 {
			if opened, err = l.openPeriods(ctx, tx, b, actor, p, periods); err != nil {
				return err
			}
		}
		b.Queue("UPDATE patrol SET opened_to = $2 WHERE id = $1", id, store.DateValue(today))
		return tx.SendBatch(ctx, b).Close()
	})
	if err != nil {
		return 0, err
	}
	return opened, nil
}

func (l *Ledger) openPeriods(ctx context.Context, tx pgx.Tx, b *pgx.Batch, actor auth.Actor, p store.Patrol, periods []dispatch.Period) (opened int, err error) {
	points, err := store.PatrolPointsOf(ctx, tx, p)
	if err != nil {
		return 0, err
	}
	targets, err := l.targets(ctx, tx, p, points)
	if err != nil {
		return 0, err
	}
	left, closed := max(0, len(targets)-MaxPatrolTargets), false
	targets = targets[:len(targets)-left] // a layer may have grown
	if p.Targets == store.PatrolLayer {
		shown, err := store.LayerShown(ctx, tx, anyPatrol, p.Root, p.Layer, p.VisitedBy())
		if err != nil {
			return 0, err
		}
		if closed = !shown; closed { // closed since to those who visit
			targets = nil
		}
	}
	n := len(targets)
	keys, names, ids, nos, lons, lats := make([]string, n), make([]string, n), make([]int64, n), make([]int32, n), make([]*float64, n), make([]*float64, n)
	for i, x := range targets {
		keys[i], names[i], ids[i], nos[i] = x.key, x.name, x.grid.ID, x.grid.No
		if x.point != nil {
			lons[i], lats[i] = &x.point[0], &x.point[1]
		}
	}
	var dept any
	if p.Department != 0 {
		dept = p.Department
	}
	for _, x := range periods {
		tag, err := tx.Exec(ctx, `INSERT INTO visit (patrol_id, target, name, grid_id, grid_no, geom, department_id, rhythm, period, windows, opens_at, closes_at, radius_m, stay_min)
			SELECT $1, t.key, t.name, t.id, t.no, CASE WHEN t.lon IS NOT NULL THEN ST_SetSRID(ST_MakePoint(t.lon, t.lat), 4326) END, $2, $3, $4, $5, $6, $7, $8, $9
			FROM unnest($10::text[], $11::text[], $12::bigint[], $13::integer[], $14::float8[], $15::float8[]) t(key, name, id, no, lon, lat)
			ON CONFLICT (patrol_id, target, rhythm, period) DO NOTHING`,
			p.ID, dept, string(p.Times.Rhythm), store.DateValue(x.Key), store.SpansOf(x.Windows), x.Opens(), x.Closes(), p.RadiusM, int(p.Stay/time.Minute),
			keys, names, ids, nos, lons, lats)
		if err != nil {
			return 0, err
		}
		made := int(tag.RowsAffected())
		opened += made
		data := map[string]any{"period": x.Key.String(), "closes": x.Closes(), "visits": made}
		switch {
		case closed:
			data["layer_closed"] = p.Layer
		case left > 0:
			data["left_out"] = left
		}
		if err := auditPatrol(b, actor, "", "patrol.opened", p, data); err != nil {
			return 0, err
		}
	}
	return opened, nil
}
