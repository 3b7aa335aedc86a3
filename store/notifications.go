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

// Notification is word to a worker that a messenger outside is to carry. It names
// nobody: the messenger knows the worker's number by the badge.
type Notification struct {
	ID     int64
	Kind   string // "offer.made", "offer.withdrawn"
	Offer  int64
	Worker int64
	Badge  string
	Text   string
	MadeAt time.Time
	Tries  int // this one included
}

// TakeNotifications takes up to n notifications that are due at now, the oldest first,
// for whoever then sends them: for hold, nobody else gets the same. Those that help
// nobody any more are done with.
func (db *DB) TakeNotifications(ctx context.Context, _ auth.Scope, now time.Time, hold time.Duration, n int) ([]Notification, error) {
	if _, err := db.Pool.Exec(ctx, "UPDATE notification SET next_at = NULL, failed = 'too late' WHERE next_at IS NOT NULL AND useless_at < $1", now); err != nil {
		return nil, fmt.Errorf("store: notifications: %w", err)
	}
	rows, err := db.Pool.Query(ctx, `WITH due AS (SELECT id FROM notification WHERE next_at <= $1 ORDER BY next_at, id LIMIT $2 FOR UPDATE SKIP LOCKED),
		taken AS (UPDATE notification x SET next_at = $3, tries = x.tries + 1 FROM due WHERE x.id = due.id RETURNING x.*)
		SELECT t.id, t.kind, t.offer_id, t.worker_id, w.badge, t.text, t.made_at, t.tries FROM taken t JOIN worker w ON w.id = t.worker_id ORDER BY t.id`,
		now, n, now.Add(hold))
	if err != nil {
		return nil, fmt.Errorf("store: notifications: %w", err)
	}
	out, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Notification])
	if err != nil {
		return nil, fmt.Errorf("store: notifications: %w", err)
	}
	return out, nil
}

// Notified notes what became of a notification: sent at now, or to be tried again at
// again, or given up when that is zero. failed says why, without a personal field.
func (db *DB) Notified(ctx context.Context, id int64, now, again time.Time, failed string) error {
	var sent, next any
	if failed == "" {
		sent = now
	} else if !again.IsZero() {
		next = again
	}
	if _, err := db.Pool.Exec(ctx, "UPDATE notification SET sent_at = $2, next_at = $3, failed = $4 WHERE id = $1", id, sent, next, failed); err != nil {
		return fmt.Errorf("store: notification %d: %w", id, err)
	}
	return nil
}
