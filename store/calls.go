// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"onemap/auth"
)

// RollCall is a roll call and how far it has come.
type RollCall struct {
	ID                 int64
	Role, Note         string // of the caller, and what it said
	CalledAt, ClosesAt time.Time
	ClosedAt           *time.Time
	Called, Answered   int
	Mine               *time.Time // when the worker whose own this reading is answered
}

// Message is a message to workers and how far it has come.
type Message struct {
	ID                  int64
	Role, Text          string
	SentAt              time.Time
	To, Delivered, Seen int
	MyDelivered, MySeen *time.Time // of the worker whose own this reading is
}

// Called is one worker of a roll call or a message.
type Called struct {
	Worker          int64
	Badge           string
	First, Answered *time.Time // of a roll call Answered alone; of a message delivered and seen
}

// maxCalls is how many roll calls or messages a list holds: the newest.
const maxCalls = 50

// callsInScope adds the condition that the call named t is in scope: of its caller's
// grid, or for a worker's own scope of those who were called, in their county.
func (q *query) callsInScope(s auth.Scope, workers, key string) *query {
	q.inScope(s, "t.grid_no")
	if worker, only := s.Worker(); only {
		q.add("AND EXISTS (SELECT FROM "+workers+" o WHERE o."+key+" = t.id AND o.worker_id = ?) ", int64(worker))
	}
	return q
}

// RollCalls returns the newest roll calls in scope; open only those that have not
// closed, id not 0 that one alone.
func (db *DB) RollCalls(ctx context.Context, s auth.Scope, open bool, id int64) ([]RollCall, error) {
	worker, _ := s.Worker()
	var q query
	q.add(`SELECT t.id, t.role, t.note, t.called_at, t.closes_at, t.closed_at, c.called, c.answered, c.mine FROM roll_call t CROSS JOIN LATERAL (
		SELECT count(*)::int AS called, count(answered_at)::int AS answered, max(answered_at) FILTER (WHERE worker_id = ?) AS mine
		FROM roll_call_worker w WHERE w.roll_call_id = t.id) c WHERE `, int64(worker)).callsInScope(s, "roll_call_worker", "roll_call_id")
	if open {
		q.add(" AND t.closed_at IS NULL")
	}
	if id != 0 {
		q.add(" AND t.id = ?", id)
	}
	q.add(" ORDER BY t.id DESC LIMIT ?", maxCalls)
	rows, err := db.Pool.Query(ctx, q.sql.String(), q.args...)
	if err != nil {
		return nil, fmt.Errorf("store: roll calls: %w", err)
	}
	out, err := pgx.CollectRows(rows, pgx.RowToStructByPos[RollCall])
	if err != nil {
		return nil, fmt.Errorf("store: roll calls: %w", err)
	}
	return out, nil
}

// Messages returns the newest messages in scope; id not 0 that one alone.
func (db *DB) Messages(ctx context.Context, s auth.Scope, id int64) ([]Message, error) {
	worker, _ := s.Worker()
	var q query
	q.add(`SELECT t.id, t.role, t.text, t.sent_at, c.sent, c.delivered, c.seen, c.my_delivered, c.my_seen FROM message t CROSS JOIN LATERAL (
		SELECT count(*)::int AS sent, count(delivered_at)::int AS delivered, count(seen_at)::int AS seen,
			max(delivered_at) FILTER (WHERE worker_id = ?) AS my_delivered, max(seen_at) FILTER (WHERE worker_id = ?) AS my_seen
		FROM message_worker w WHERE w.message_id = t.id) c WHERE `, int64(worker), int64(worker)).callsInScope(s, "message_worker", "message_id")
	if id != 0 {
		q.add(" AND t.id = ?", id)
	}
	q.add(" ORDER BY t.id DESC LIMIT ?", maxCalls)
	rows, err := db.Pool.Query(ctx, q.sql.String(), q.args...)
	if err != nil {
		return nil, fmt.Errorf("store: messages: %w", err)
	}
	out, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Message])
	if err != nil {
		return nil, fmt.Errorf("store: messages: %w", err)
	}
	return out, nil
}

// RollCallWorkers returns who was called, by badge, of a roll call in scope: for a
// worker's own scope that worker alone.
func (db *DB) RollCallWorkers(ctx context.Context, s auth.Scope, id int64) ([]Called, error) {
	var q query
	q.add(`SELECT w.worker_id, p.badge, NULL::timestamptz, w.answered_at FROM roll_call_worker w JOIN worker p ON p.id = w.worker_id
		JOIN roll_call t ON t.id = w.roll_call_id WHERE t.id = ? AND `, id).callsInScope(s, "roll_call_worker", "roll_call_id")
	return db.called(ctx, s, &q)
}

// MessageWorkers returns to whom a message in scope went, by badge: for a worker's own
// scope that worker alone.
func (db *DB) MessageWorkers(ctx context.Context, s auth.Scope, id int64) ([]Called, error) {
	var q query
	q.add(`SELECT w.worker_id, p.badge, w.delivered_at, w.seen_at FROM message_worker w JOIN worker p ON p.id = w.worker_id
		JOIN message t ON t.id = w.message_id WHERE t.id = ? AND `, id).callsInScope(s, "message_worker", "message_id")
	return db.called(ctx, s, &q)
}

func (db *DB) called(ctx context.Context, s auth.Scope, q *query) ([]Called, error) {
	if worker, only := s.Worker(); only {
		q.add(" AND w.worker_id = ?", int64(worker))
	}
	q.add(` ORDER BY p.badge COLLATE "C"`)
	rows, err := db.Pool.Query(ctx, q.sql.String(), q.args...)
	if err != nil {
		return nil, fmt.Errorf("store: who was called: %w", err)
	}
	out, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Called])
	if err != nil {
		return nil, fmt.Errorf("store: who was called: %w", err)
	}
	return out, nil
}
