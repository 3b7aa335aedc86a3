// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"onemap/auth"
	"onemap/dispatch"
)

// FindClock is the clock of an incident's open stage, with the supervisions of it
// that wait for an answer; of an incident without one, the zero Clock.
func FindClock(ctx context.Context, q Querier, in Incident) (dispatch.Clock, error) {
	s, err := LastStage(ctx, q, in.ID)
	if err != nil || s.N == 0 || s.EndedAt != nil {
		return dispatch.Clock{}, err
	}
	c := dispatch.ClockOf(in.Incident, s)
	rows, err := q.Query(ctx, `SELECT n, level, opened_at, reply_value, reply_unit, reply_due, stage = $2 AND closed_at IS NULL AND reply IS NULL
		FROM supervision WHERE incident_id = $1 ORDER BY n`, in.ID, s.N)
	if err != nil {
		return c, fmt.Errorf("store: clock of incident %d: %w", in.ID, err)
	}
	var v dispatch.Supervision
	var waits bool
	_, err = pgx.ForEachRow(rows, []any{&v.N, &v.Level, &v.Opened, &v.Reply.Value, &v.Reply.Unit, &v.ReplyDue, &waits}, func() error {
		if c.Supervised = v.N; waits {
			c.Waiting = append(c.Waiting, v)
		}
		return nil
	})
	if err != nil {
		return c, fmt.Errorf("store: clock of incident %d: %w", in.ID, err)
	}
	return c, nil
}

// StageClock is the clock of an incident's open stage.
type StageClock struct {
	Incident int64
	dispatch.Clock
}

const openStages = `SELECT i.id, i.state, i.priority, i.late, i.acknowledged_at, i.review_at, s.n, s.level, s.started_at, s.ack_due, s.due, s.due_rule, s.provisional,
	coalesce(s.limit_value, 0), coalesce(s.limit_unit, ''), s.extensions, s.moves, s.stood
	FROM incident_stage s JOIN incident i ON i.id = s.incident_id WHERE s.ended_at IS NULL AND i.open AND NOT i.history AND s.due IS NOT NULL `

func scanStageClock(row pgx.CollectableRow) (c StageClock, err error) {
	var in dispatch.Incident
	var s dispatch.Stage
	err = row.Scan(&c.Incident, &in.State, &in.Priority, &in.Late, &in.AcknowledgedAt, &in.ReviewAt, &s.N, &s.Level, &s.StartedAt, &s.AckDue, &s.Due, &s.Rule, &s.Provisional,
		&s.Limit.Value, &s.Limit.Unit, &s.Extensions, &s.Moves, &s.Stood)
	c.Clock = dispatch.ClockOf(in, s)
	return c, err
}

// OpenClocks lists the clocks of open stages of live incidents after the one with
// this id, by id. Their supervisions are not read.
func OpenClocks(ctx context.Context, q Querier, _ auth.Scope, after int64, limit int) ([]StageClock, error) {
	rows, err := q.Query(ctx, openStages+"AND s.incident_id > $1 ORDER BY s.incident_id LIMIT $2", after, limit)
	if err != nil {
		return nil, fmt.Errorf("store: open clocks: %w", err)
	}
	out, err := pgx.CollectRows(rows, scanStageClock)
	if err != nil {
		return nil, fmt.Errorf("store: open clocks: %w", err)
	}
	return out, nil
}

// Unarmed lists up to limit clocks of open stages that have no timer, or are suspended
// and have none for their review: from before there were any.
func Unarmed(ctx context.Context, q Querier, _ auth.Scope, limit int) ([]StageClock, error) {
	rows, err := q.Query(ctx, openStages+`AND (NOT EXISTS (SELECT FROM timer t WHERE t.incident_id = s.incident_id AND t.stage = s.n)
		OR i.state = 'suspended' AND i.review_at IS NOT NULL AND NOT EXISTS (SELECT FROM timer t WHERE t.incident_id = s.incident_id AND t.rung LIKE 'review.%'))
		ORDER BY s.incident_id LIMIT $1`, limit)
	if err != nil {
		return nil, fmt.Errorf("store: clocks without timers: %w", err)
	}
	out, err := pgx.CollectRows(rows, scanStageClock)
	if err != nil {
		return nil, fmt.Errorf("store: clocks without timers: %w", err)
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

// Arm queues the timers that a stage's clock needs as it stands, those of the ladder
// held while it stands still, and takes away those of before that did not fire; those of supervisions of
// the same stage stay. Supervisions of stages that have ended are closed.
func Arm(b *pgx.Batch, incident int64, c dispatch.Clock, timers []dispatch.Timer, now time.Time) {
	rungs, _, _ := rungsOf(timers, c.State)
	b.Queue("DELETE FROM timer WHERE incident_id = $1 AND done_at IS NULL AND NOT ($4 AND stage = $2 AND (rung = ANY($3) OR rung LIKE 'reply.%'))",
		incident, c.Stage, rungs, c.State.Open())
	b.Queue("UPDATE timer SET held = $3 WHERE incident_id = $1 AND stage = $2 AND done_at IS NULL AND rung LIKE 'reply.%' AND held <> $3", incident, c.Stage, !c.State.Runs())
	queueTimers(b, incident, c, timers)
	b.Queue("UPDATE supervision SET closed_at = $3, outcome = 'ended' WHERE incident_id = $1 AND closed_at IS NULL AND (stage <> $2 OR NOT $4)",
		incident, c.Stage, now, c.State.Open())
}

// ArmNew is Arm for the first stage of a new incident.
func ArmNew(b *pgx.Batch, incident int64, c dispatch.Clock, timers []dispatch.Timer) {
	queueTimers(b, incident, c, timers)
}

func queueTimers(b *pgx.Batch, incident int64, c dispatch.Clock, timers []dispatch.Timer) {
	rungs, at, held := rungsOf(timers, c.State)
	if len(rungs) == 0 {
		return
	}
	b.Queue(`INSERT INTO timer (incident_id, stage, rung, at, held) SELECT $1, $2, u.rung, u.at, u.held FROM unnest($3::text[], $4::timestamptz[], $5::boolean[]) AS u(rung, at, held)
		ON CONFLICT (incident_id, stage, rung) DO UPDATE SET at = excluded.at, held = excluded.held
		WHERE timer.done_at IS NULL AND (timer.at, timer.held) IS DISTINCT FROM (excluded.at, excluded.held)`, incident, c.Stage, rungs, at, held)
}

// rungsOf are timers as columns, with which of them are held in a state.
func rungsOf(timers []dispatch.Timer, s dispatch.State) (rungs []string, at []time.Time, held []bool) {
	for _, t := range timers {
		rungs, at, held = append(rungs, string(t.Rung)), append(at, t.At), append(held, t.Rung.Held(s))
	}
	return rungs, at, held
}
