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

// Supervision is a 督办 as the record holds it.
type Supervision struct {
	ID         int64
	Incident   int64
	N          int // of the incident, from 1
	Stage      int
	OwnerLevel int // who is asked
	Level      int // whose duty officer asks
	Officers   []string
	Skipped    []int // levels in between without a duty officer
	Reason     string
	OpenedAt   time.Time
	OpenedBy   string
	Reply      dispatch.Limit
	ReplyDue   time.Time
	Answer     *string
	RepliedAt  *time.Time
	RepliedBy  *string
	ClosedAt   *time.Time
	Outcome    *string // ended, moved_up
}

const supervisionColumns = `SELECT s.id, s.incident_id, s.n, s.stage, s.owner_level, s.level, s.officers, s.skipped, s.reason, s.opened_at, s.opened_by,
	s.reply_value, s.reply_unit, s.reply_due, s.reply, s.replied_at, s.replied_by, s.closed_at, s.outcome FROM supervision s JOIN incident i ON i.id = s.incident_id `

func scanSupervision(row pgx.CollectableRow) (s Supervision, err error) {
	err = row.Scan(&s.ID, &s.Incident, &s.N, &s.Stage, &s.OwnerLevel, &s.Level, &s.Officers, &s.Skipped, &s.Reason, &s.OpenedAt, &s.OpenedBy,
		&s.Reply.Value, &s.Reply.Unit, &s.ReplyDue, &s.Answer, &s.RepliedAt, &s.RepliedBy, &s.ClosedAt, &s.Outcome)
	return s, err
}

// SupervisionFilter chooses supervisions.
type SupervisionFilter struct {
	Incident int64 // 0 for any
	Open     *bool
	Before   int64 // id of the last one of the page before; 0 for the first page
	Limit    int
}

// Supervisions lists those of incidents in scope, the newest first.
func (db *DB) Supervisions(ctx context.Context, s auth.Scope, f SupervisionFilter) ([]Supervision, error) {
	var q query
	q.add(supervisionColumns+"WHERE ").incidentsInScope(s, "i")
	supervisionsOf(&q, f)
	if f.Before != 0 {
		q.add("AND s.id < ? ", f.Before)
	}
	q.add("ORDER BY s.id DESC LIMIT ?", f.Limit)
	rows, err := db.Pool.Query(ctx, q.sql.String(), q.args...)
	if err != nil {
		return nil, fmt.Errorf("store: supervisions: %w", err)
	}
	out, err := pgx.CollectRows(rows, scanSupervision)
	if err != nil {
		return nil, fmt.Errorf("store: supervisions: %w", err)
	}
	return out, nil
}

func supervisionsOf(q *query, f SupervisionFilter) {
	if f.Incident != 0 {
		q.add("AND s.incident_id = ? ", f.Incident)
	}
	if f.Open != nil {
		q.add("AND (s.closed_at IS NULL) = ? ", *f.Open)
	}
}

// SupervisionCounts is how many supervisions there are.
type SupervisionCounts struct{ Open, Closed, Unanswered int }

// CountSupervisions counts those of incidents in scope; Unanswered are open and past
// the limit of their answer.
func (db *DB) CountSupervisions(ctx context.Context, s auth.Scope, f SupervisionFilter, now time.Time) (SupervisionCounts, error) {
	var q query
	q.add(`SELECT count(*) FILTER (WHERE s.closed_at IS NULL), count(*) FILTER (WHERE s.closed_at IS NOT NULL),
		count(*) FILTER (WHERE s.closed_at IS NULL AND s.reply IS NULL AND s.reply_due <= ?) FROM supervision s JOIN incident i ON i.id = s.incident_id WHERE `, now).
		incidentsInScope(s, "i")
	supervisionsOf(&q, SupervisionFilter{Incident: f.Incident})
	var c SupervisionCounts
	if err := db.Pool.QueryRow(ctx, q.sql.String(), q.args...).Scan(&c.Open, &c.Closed, &c.Unanswered); err != nil {
		return c, fmt.Errorf("store: count supervisions: %w", err)
	}
	return c, nil
}

// FindSupervision returns a supervision of an incident in scope, or ErrNotFound.
func FindSupervision(ctx context.Context, q Querier, s auth.Scope, id int64) (Supervision, error) {
	var b query
	b.add(supervisionColumns+"WHERE s.id = ? AND ", id).incidentsInScope(s, "i")
	rows, err := q.Query(ctx, b.sql.String(), b.args...)
	if err != nil {
		return Supervision{}, fmt.Errorf("store: supervision %d: %w", id, err)
	}
	one, err := pgx.CollectExactlyOneRow(rows, scanSupervision)
	if err != nil {
		return Supervision{}, fmt.Errorf("store: supervision %d: %w", id, notFound(err))
	}
	return one, nil
}

// DutyPosts are the levels above an incident's owner with who has their duty at a
// time, the nearest first. no is the number of the grid it lies in. A level without
// anybody is a hole; so is, for a sensitive matter, one whose officer does not handle
// such matters.
func DutyPosts(ctx context.Context, q Querier, _ auth.Scope, no int32, below int, at time.Time, sensitive bool) ([]dispatch.Post, error) {
	chain, err := dutyChain(ctx, q, no, at)
	if err != nil {
		return nil, err
	}
	var out []dispatch.Post
	for _, o := range chain {
		if o.Level >= below {
			continue
		}
		p := dispatch.Post{Level: o.Level}
		if o.answers(sensitive) {
			p.Officers = []string{o.actor()}
		}
		out = append(out, p)
	}
	return out, nil
}

// notFound is ErrNotFound where a row was looked for and is not there.
func notFound(err error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return ErrNotFound
	}
	return err
}
