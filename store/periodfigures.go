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
	"onemap/dispatch/calendar"
	"onemap/feed"
)

// FiguresBy is what figures of a period are told by.
type FiguresBy string

const (
	ByNothing    FiguresBy = ""
	ByLevel      FiguresBy = "level"      // keys are levels, 0 for one not known
	ByGrid       FiguresBy = "grid"       // keys are ids of the deepest grids
	ByDepartment FiguresBy = "department" // keys are ids, 0 for none
	ByCategory   FiguresBy = "category"   // keys are codes
)

// FigureFilter says of which incidents figures are, and how they are told. Level and
// department are those that a figure is of: see analysis.Of.
type FigureFilter struct {
	analysis.Period
	Grids      []auth.Interval // grid numbers; none for any
	Category   string          // a category, or a top category with all below it
	Department int64
	By         FiguresBy
}

// PeriodFigures are the counts of a period by key, as of one sequence number: they
// hold everything up to Seq, at least.
type PeriodFigures struct {
	Seq    feed.Seq
	Groups map[string]analysis.Counts
	Before []map[string]analysis.Counts // of the periods to compare with, without what is open now
}

// PeriodFigures counts what analysis.Of counts, over the incidents in scope, in one
// snapshot of the database, and of the periods before in the same. The shared view is
// told of all incidents together, those of categories whose place is not shown apart;
// more is ErrFinerThanView there.
func (db *DB) PeriodFigures(ctx context.Context, s auth.Scope, v auth.View, f FigureFilter, cal calendar.Calendar, now time.Time, before ...analysis.Period) (PeriodFigures, error) {
	if v != auth.CaseView && (f.By != ByNothing || len(f.Grids) > 0 || f.Category != "" || f.Department != 0) {
		return PeriodFigures{}, fmt.Errorf("store: figures of a period: %w", ErrFinerThanView)
	}
	var out PeriodFigures
	err := pgx.BeginTxFunc(ctx, db.Pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		var err error
		if out.Seq, err = Head(ctx, tx); err != nil {
			return err
		}
		out.Groups, out.Before, err = CountFigures(ctx, tx, s, v, f, cal, now, before...)
		return err
	})
	if err != nil {
		return PeriodFigures{}, fmt.Errorf("store: figures of a period: %w", err)
	}
	return out, nil
}

// Head is the number up to which a snapshot holds everything, at least: an event's
// change is committed before it is numbered.
func Head(ctx context.Context, tx Querier) (seq feed.Seq, err error) {
	err = tx.QueryRow(ctx, "SELECT coalesce((SELECT seq FROM feed_head), 0)").Scan(&seq)
	return seq, err
}

// CountFigures counts a period and those before it inside tx, which has to be one
// snapshot.
func CountFigures(ctx context.Context, tx pgx.Tx, s auth.Scope, v auth.View, f FigureFilter, cal calendar.Calendar, now time.Time,
	before ...analysis.Period,
) (groups map[string]analysis.Counts, then []map[string]analysis.Counts, err error) {
	c := figureCount{FigureFilter: f, scope: s, view: v, now: now, out: map[string]analysis.Counts{}}
	if err := c.open(ctx, tx); err != nil {
		return nil, nil, err
	}
	if err := c.period(ctx, tx, cal); err != nil {
		return nil, nil, err
	}
	for _, p := range before {
		b := c
		b.Period, b.out = p, map[string]analysis.Counts{}
		if err := b.period(ctx, tx, cal); err != nil {
			return nil, nil, err
		}
		then = append(then, b.out)
	}
	return c.out, then, nil
}

// figureCount is one count under way.
type figureCount struct {
	FigureFilter
	scope auth.Scope
	view  auth.View
	now   time.Time
	out   map[string]analysis.Counts
}

// period counts what the period brought.
func (c *figureCount) period(ctx context.Context, tx pgx.Tx, cal calendar.Calendar) error {
	for _, count := range []func() error{
		func() error { return c.reported(ctx, tx) },
		func() error { return c.closed(ctx, tx, cal) },
		func() error { return c.callBacks(ctx, tx) },
		func() error { return c.due(ctx, tx) },
		func() error { return c.advised(ctx, tx) },
	} {
		if err := count(); err != nil {
			return err
		}
	}
	return nil
}

// add adds counts to those of a key.
func (c *figureCount) add(key string, n analysis.Counts) {
	sum := c.out[key]
	sum.Add(n)
	c.out[key] = sum
}

// key is what counts are told by, for a figure of this level and department: both
// constant expressions.
func (c *figureCount) key(level, department string) string {
	switch c.By {
	case ByLevel:
		return "coalesce(" + level + ", 0)::text"
	case ByGrid:
		return "i.grid_id::text"
	case ByDepartment:
		return "coalesce(" + department + ", 0)::text"
	case ByCategory:
		return "i.category"
	}
	return "''"
}

// narrow adds the conditions of scope and filter on the incident called i.
func (c *figureCount) narrow(q *query, department string) *query {
	q.incidentsInScope(c.scope, "i")
	if c.view != auth.CaseView {
		q.add(" AND i.category NOT IN (SELECT code FROM category WHERE precision = 'none')")
	}
	if len(c.Grids) > 0 {
		q.add(" AND ").within(c.Grids, "i.grid_no")
	}
	if c.Category != "" {
		q.add(" AND i.category IN (SELECT code FROM category WHERE code = ? OR parent_code = ?)", c.Category, c.Category)
	}
	if c.Department != 0 {
		q.add(" AND "+department+" = ?", c.Department)
	}
	return q
}

// Who owns it, who solved it, whose limit it was: of these a figure is.
const (
	ownLevel, ownDepartment = "i.owner_level", "i.department_id"
	solvedLevel             = "i.resolved_level"
	termLevel               = "CASE WHEN b.due IS NULL THEN i.owner_level ELSE b.level END"
	termDepartment          = "CASE WHEN b.due IS NULL THEN i.department_id ELSE b.department_id END"
)

func (c *figureCount) reported(ctx context.Context, tx pgx.Tx) error {
	var q query
	q.add("SELECT ").add(c.key(ownLevel, ownDepartment)).add(`, count(*), count(*) FILTER (WHERE i.place = 'none'), count(*) FILTER (WHERE i.place = 'outside')
		FROM incident i WHERE i.reported_at >= ? AND i.reported_at < ? AND `, c.From, c.To)
	c.narrow(&q, ownDepartment).add(" GROUP BY 1")
	rows, err := tx.Query(ctx, q.sql.String(), q.args...)
	if err != nil {
		return err
	}
	var key string
	var n analysis.Counts
	_, err = pgx.ForEachRow(rows, []any{&key, &n.Reported, &n.NotLocated, &n.Outside}, func() error {
		c.add(key, n)
		return nil
	})
	return err
}

// open counts what is open now, and of these what is past its limit.
func (c *figureCount) open(ctx context.Context, tx pgx.Tx) error {
	var q query
	q.add("SELECT ").add(c.key(ownLevel, ownDepartment)).add(", count(*), count(*) FILTER (WHERE i.stage_due < ?) FROM incident i WHERE i.open AND ", c.now)
	c.narrow(&q, ownDepartment).add(" GROUP BY 1")
	rows, err := tx.Query(ctx, q.sql.String(), q.args...)
	if err != nil {
		return err
	}
	var key string
	var n analysis.Counts
	_, err = pgx.ForEachRow(rows, []any{&key, &n.Open, &n.Overdue}, func() error {
		c.add(key, n)
		return nil
	})
	return err
}

// closedIn and onTheSpot are conditions on the incident called i.
const (
	closedIn  = " i.state IN ('closed', 'archived') AND i.closed_at >= ? AND i.closed_at < ? "
	onTheSpot = " (i.resolved_at IS NOT NULL AND i.acknowledged_at IS NULL AND i.on_scene_at IS NULL AND i.version > 1) "
)

// closed counts what was closed. Working days are counted by the calendar's marks: the
// database looks for the last one before a moment.
func (c *figureCount) closed(ctx context.Context, tx pgx.Tx, cal calendar.Calendar) error {
	var first query
	first.add("SELECT min(least(i.reported_at, i.closed_at)) FROM incident i WHERE"+closedIn+"AND ", c.From, c.To)
	c.narrow(&first, ownDepartment)
	var from *time.Time
	if err := tx.QueryRow(ctx, first.sql.String(), first.args...).Scan(&from); err != nil || from == nil {
		return err
	}
	at, done, rate := marks(cal, *from, c.To)
	q := query{args: []any{at, done, rate}} // named by number below: they are long
	q.add("SELECT key, level, count(*), count(*) FILTER (WHERE spot), count(*) FILTER (WHERE again), count(*) FILTER (WHERE endless),"+
		" sum(($2::float8[])[n2] + ($3::float8[])[n2] * (t2 - ($1::float8[])[n2]) - ($2::float8[])[n1] - ($3::float8[])[n1] * (t1 - ($1::float8[])[n1]))"+
		" FROM (SELECT *, width_bucket(t1, $1::float8[]) AS n1, width_bucket(t2, $1::float8[]) AS n2 FROM (SELECT ").
		add(c.key(solvedLevel, ownDepartment)+" AS key, coalesce(i.resolved_level, 0) AS level,"+onTheSpot+"AS spot, i.reopened > 0 AS again, i.stage_due IS NULL AS endless,"+
			" date_part('epoch', i.reported_at) AS t1, date_part('epoch', i.closed_at) AS t2 FROM incident i WHERE"+closedIn+"AND ", c.From, c.To)
	c.narrow(&q, ownDepartment).add(" OFFSET 0) i) i GROUP BY 1, 2")
	rows, err := tx.Query(ctx, q.sql.String(), q.args...)
	if err != nil {
		return err
	}
	var key string
	var level int
	var n analysis.Counts
	_, err = pgx.ForEachRow(rows, []any{&key, &level, &n.Closed, &n.OnTheSpot, &n.Reopened, &n.NoLimit, &n.WorkingDays}, func() error {
		n.Solved = [analysis.MaxLevel + 1]int{}
		n.Solved[level] = n.Closed
		c.add(key, n)
		return nil
	})
	return err
}

// marks are the calendar's from one moment to another, in columns.
func marks(cal calendar.Calendar, from, to time.Time) (at, done, rate []float64) {
	for _, m := range cal.Marks(from, to) {
		at, done, rate = append(at, float64(m.At)), append(done, m.Done), append(rate, m.Rate)
	}
	return at, done, rate
}

func (c *figureCount) callBacks(ctx context.Context, tx pgx.Tx) error {
	var q query
	q.add("SELECT ").add(c.key(solvedLevel, ownDepartment)).add(", count(*) FILTER (WHERE k.outcome = 'satisfied'), count(*) FILTER (WHERE k.outcome = 'basically'),"+
		" count(*) FILTER (WHERE k.outcome = 'unsatisfied'), count(*) FILTER (WHERE k.outcome = 'unreached'), count(*) FILTER (WHERE k.outcome IS NULL)"+
		" FROM incident i JOIN call_back k ON k.closes_id = i.id WHERE"+closedIn+"AND ", c.From, c.To)
	c.narrow(&q, ownDepartment).add(" GROUP BY 1")
	rows, err := tx.Query(ctx, q.sql.String(), q.args...)
	if err != nil {
		return err
	}
	var key string
	var n analysis.Counts
	_, err = pgx.ForEachRow(rows, []any{&key, &n.Satisfied, &n.Basically, &n.Unsatisfied, &n.Unreached, &n.Owed}, func() error {
		c.add(key, n)
		return nil
	})
	return err
}

// The limit that an incident i is judged by, as analysis.Incident.Term has it: b is the
// first that passed while its clock ran, z the last stage. A stage that was corrected
// has one that began with it in its place.
const (
	termOf = ` LEFT JOIN incident_stage z ON z.incident_id = i.id AND z.n = i.stage
	LEFT JOIN LATERAL (SELECT s.due, s.level, s.department_id, s.provisional, s.extensions FROM incident_stage s
		WHERE i.stage > 1 AND s.incident_id = i.id AND s.n < i.stage AND s.due < coalesce(s.stopped_at, s.ended_at)
		AND NOT EXISTS (SELECT FROM incident_stage r WHERE r.incident_id = s.incident_id AND r.n = s.n + 1 AND r.started_at = s.started_at)
		ORDER BY s.due, s.n LIMIT 1) b ON true `
	termDue     = "coalesce(b.due, i.stage_due)"
	termOutcome = `CASE WHEN i.state IN ('void', 'merged', 'refused', 'transferred') THEN 'elsewhere'
		WHEN b.due IS NOT NULL OR coalesce(i.resolved_at, i.closed_at) > i.stage_due THEN 'late'
		WHEN coalesce(i.resolved_at, i.closed_at) IS NOT NULL THEN CASE WHEN i.open THEN 'unchecked' ELSE 'in_time' END
		WHEN i.state = 'suspended' AND NOT coalesce(z.paused_at > i.stage_due, false) THEN 'standing'
		ELSE 'late' END`
)

// termIn adds the condition that the limit of i ended in [from, to) and before now. The
// first half of it is for the indexes.
func (q *query) termIn(from, to, now time.Time) *query {
	if now.Before(to) {
		to = now
	}
	return q.add(` (i.open AND i.stage_due >= ? AND i.stage_due < ? OR NOT i.open AND i.stage_due >= ? AND i.stage_due < ? OR i.id = ANY (ARRAY(
		SELECT h.incident_id FROM incident_stage h WHERE h.due >= ? AND h.due < ? AND h.due < coalesce(h.stopped_at, h.ended_at)))) AND `, from, to, from, to, from, to).
		add(termDue+" >= ? AND "+termDue+" < ? ", from, to)
}

func (c *figureCount) due(ctx context.Context, tx pgx.Tx) error {
	var q query
	q.add("SELECT ").add(c.key(termLevel, termDepartment)).add(", "+termOutcome+`, count(*),
		count(*) FILTER (WHERE CASE WHEN b.due IS NULL THEN z.provisional ELSE b.provisional END),
		count(*) FILTER (WHERE CASE WHEN b.due IS NULL THEN z.extensions ELSE b.extensions END > 0)
		FROM incident i`+termOf+"WHERE").termIn(c.From, c.To, c.now).add("AND ")
	c.narrow(&q, "("+termDepartment+")").add(" GROUP BY 1, 2")
	rows, err := tx.Query(ctx, q.sql.String(), q.args...)
	if err != nil {
		return err
	}
	var key string
	var outcome analysis.Outcome
	var n, provisional, extended int
	_, err = pgx.ForEachRow(rows, []any{&key, &outcome, &n, &provisional, &extended}, func() error {
		var k analysis.Counts
		k.Judged(outcome, n, provisional, extended)
		c.add(key, k)
		return nil
	})
	return err
}

func (c *figureCount) advised(ctx context.Context, tx pgx.Tx) error {
	var q query
	q.add("SELECT ").add(c.key(ownLevel, ownDepartment)).add(`, count(*), count(*) FILTER (WHERE a.measured > 0), count(*) FILTER (WHERE a.overridden)
		FROM advice a JOIN incident i ON i.id = a.incident_id WHERE a.at >= ? AND a.at < ? AND `, c.From, c.To)
	if !c.scope.Sensitive() || c.view != auth.CaseView { // by its category then, and by the one it has now
		q.add("a.category NOT IN (SELECT code FROM category WHERE precision = 'none') AND ")
	}
	c.narrow(&q, ownDepartment).add(" GROUP BY 1")
	rows, err := tx.Query(ctx, q.sql.String(), q.args...)
	if err != nil {
		return err
	}
	var key string
	var n analysis.Counts
	_, err = pgx.ForEachRow(rows, []any{&key, &n.Chosen, &n.Advised, &n.Overridden}, func() error {
		c.add(key, n)
		return nil
	})
	return err
}
