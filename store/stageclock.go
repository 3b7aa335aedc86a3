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
)

// clockColumns reads the clock of an incident i's open stage s.
const clockColumns = `SELECT i.id, s.n, s.level, i.priority, i.state, s.started_at, coalesce(s.limit_value, 0), coalesce(s.limit_unit, ''), coalesce(s.limit_by, ''),
	s.due, s.due_rule, s.provisional, s.ack_due, s.signed_at IS NOT NULL, i.late, s.extensions, s.stood, s.moves,
	(SELECT count(*)::int FROM supervision v WHERE v.incident_id = i.id)
	FROM incident_stage s JOIN incident i ON i.id = s.incident_id `

// StageClock is the clock of an incident's open stage.
type StageClock struct {
	Incident int64
	dispatch.Clock
}

func scanClock(row pgx.CollectableRow) (c StageClock, err error) {
	err = row.Scan(&c.Incident, &c.Stage, &c.Level, &c.Priority, &c.State, &c.Started, &c.Limit.Value, &c.Limit.Unit, &c.By,
		&c.Due, &c.Rule, &c.Provisional, &c.AckDue, &c.Signed, &c.Late, &c.Extensions, &c.Stood, &c.Moves, &c.Supervised)
	return c, err
}

// FindClock is the clock of an incident's open stage, with the supervisions of it
// that wait for an answer; ErrNotFound when it has none.
func FindClock(ctx context.Context, q Querier, _ auth.Scope, incident int64) (dispatch.Clock, error) {
	rows, err := q.Query(ctx, clockColumns+"WHERE s.incident_id = $1 AND s.ended_at IS NULL", incident)
	if err != nil {
		return dispatch.Clock{}, fmt.Errorf("store: clock of incident %d: %w", incident, err)
	}
	c, err := pgx.CollectExactlyOneRow(rows, scanClock)
	if err != nil {
		return dispatch.Clock{}, fmt.Errorf("store: clock of incident %d: %w", incident, notFound(err))
	}
	if c.Supervised == 0 {
		return c.Clock, nil
	}
	rows, err = q.Query(ctx, `SELECT n, level, opened_at, reply_value, reply_unit, reply_due FROM supervision
		WHERE incident_id = $1 AND stage = $2 AND closed_at IS NULL AND reply IS NULL ORDER BY n`, incident, c.Stage)
	if err != nil {
		return dispatch.Clock{}, fmt.Errorf("store: clock of incident %d: %w", incident, err)
	}
	c.Waiting, err = pgx.CollectRows(rows, func(r pgx.CollectableRow) (s dispatch.Supervision, err error) {
		err = r.Scan(&s.N, &s.Level, &s.Opened, &s.Reply.Value, &s.Reply.Unit, &s.ReplyDue)
		return s, err
	})
	if err != nil {
		return dispatch.Clock{}, fmt.Errorf("store: clock of incident %d: %w", incident, err)
	}
	return c.Clock, nil
}

// OpenClocks lists the clocks of open stages of incidents after the one with this id,
// by id. Their supervisions are not read.
func OpenClocks(ctx context.Context, q Querier, _ auth.Scope, after int64, limit int) ([]StageClock, error) {
	rows, err := q.Query(ctx, clockColumns+"WHERE s.incident_id > $1 AND s.ended_at IS NULL AND i.open ORDER BY s.incident_id LIMIT $2", after, limit)
	if err != nil {
		return nil, fmt.Errorf("store: open clocks: %w", err)
	}
	out, err := pgx.CollectRows(rows, scanClock)
	if err != nil {
		return nil, fmt.Errorf("store: open clocks: %w", err)
	}
	return out, nil
}

// SaveClock queues what a stage's clock was moved to: its due time and how it came
// to it. The incident's own copy of the due time is the caller's.
func SaveClock(b *pgx.Batch, incident int64, c dispatch.Clock) {
	b.Queue(`UPDATE incident_stage SET due = $3, due_rule = $4, provisional = $5, ack_due = $6, extensions = $7, stood = $8, moves = $9
		WHERE incident_id = $1 AND n = $2 AND ended_at IS NULL`, incident, c.Stage, c.Due, c.Rule, c.Provisional, c.AckDue, c.Extensions, c.Stood, c.Moves)
	for _, s := range c.Waiting {
		b.Queue("UPDATE supervision SET reply_due = $3 WHERE incident_id = $1 AND n = $2 AND reply_due <> $3", incident, s.N, s.ReplyDue)
	}
}

// Arm queues the timers that a stage's clock needs as it stands, held while it stands
// still, and takes away those of before that did not fire. Supervisions of stages that
// have ended are closed.
func Arm(b *pgx.Batch, incident int64, c dispatch.Clock, timers []dispatch.Timer, now time.Time) {
	rungs, at := make([]string, len(timers)), make([]time.Time, len(timers))
	for i, t := range timers {
		rungs[i], at[i] = string(t.Rung), t.At
	}
	b.Queue("DELETE FROM timer WHERE incident_id = $1 AND done_at IS NULL AND NOT (stage = $2 AND rung = ANY($3))", incident, c.Stage, rungs)
	b.Queue(`INSERT INTO timer (incident_id, stage, rung, at, held) SELECT $1, $2, u.rung, u.at, $5 FROM unnest($3::text[], $4::timestamptz[]) AS u(rung, at)
		ON CONFLICT (incident_id, stage, rung) DO UPDATE SET at = excluded.at, held = excluded.held
		WHERE timer.done_at IS NULL AND (timer.at, timer.held) IS DISTINCT FROM (excluded.at, excluded.held)`, incident, c.Stage, rungs, at, !c.State.Runs())
	b.Queue("UPDATE supervision SET closed_at = $3, outcome = 'ended' WHERE incident_id = $1 AND closed_at IS NULL AND (stage <> $2 OR $4)",
		incident, c.Stage, now, !c.State.Open())
}

// ErrNoClock says that an incident's stage has no clock to move.
var ErrNoClock = errors.New("the incident has no open stage with a clock")
