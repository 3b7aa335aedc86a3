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
	ID       int64
	Kind     string // "offer.made", "offer.withdrawn"
	Offer    int64
	Worker   int64
	Badge    string
	Text     string // without how long there is left to answer: that is for whoever sends it to say
	MadeAt   time.Time
	Expires  time.Time // the offer
	Priority int       // the incident's, 1 to 4
	Tries    int       // this one included
}

// untold is why word n of offer o is not sent any more; null while it is true. That an
// offer is withdrawn is news to nobody who was not told of it.
const untold = `CASE
	WHEN n.kind = 'offer.made' AND o.state NOT IN ('offered', 'delivered', 'seen') THEN 'the offer is ' || o.state
	WHEN n.kind = 'offer.made' AND o.expires_at <= $1 THEN 'the offer has expired'
	WHEN n.kind <> 'offer.made' AND NOT EXISTS (SELECT FROM notification m WHERE m.offer_id = n.offer_id AND m.id < n.id AND m.tries > 0) THEN 'nobody was told of the offer'
	WHEN n.useless_at < $1 THEN 'too late' END`

// inTurn is that no earlier word of the same offer is still to be sent, or on its way.
const inTurn = "NOT EXISTS (SELECT FROM notification m WHERE m.offer_id = n.offer_id AND m.id < n.id AND m.next_at IS NOT NULL)"

// TakeNotifications takes up to n notifications that are due at now, of incidents of
// this priority or a more urgent one, for whoever then sends them: for hold, nobody else
// gets the same. The most urgent come first, and then the oldest. Those that are no
// longer true are marked so and not taken.
func (db *DB) TakeNotifications(ctx context.Context, _ auth.Scope, now time.Time, hold time.Duration, priority, n int) (out []Notification, err error) {
	b := &pgx.Batch{}
	b.Queue(`UPDATE notification x SET next_at = NULL, untold = t.why FROM (
			SELECT n.id, `+untold+` AS why FROM notification n JOIN offer o ON o.id = n.offer_id WHERE n.next_at <= $1 AND `+inTurn+` FOR UPDATE OF n SKIP LOCKED) t
		WHERE x.id = t.id AND t.why IS NOT NULL`, now)
	b.Queue(`WITH due AS (
			SELECT n.id, o.expires_at, i.priority FROM notification n JOIN offer o ON o.id = n.offer_id JOIN incident i ON i.id = o.incident_id
			WHERE n.next_at <= $1 AND i.priority <= $2 AND (`+untold+`) IS NULL AND `+inTurn+` ORDER BY i.priority, n.id LIMIT $3 FOR UPDATE OF n SKIP LOCKED),
		taken AS (UPDATE notification x SET next_at = $4, tries = x.tries + 1 FROM due WHERE x.id = due.id RETURNING x.*, due.expires_at, due.priority)
		SELECT t.id, t.kind, t.offer_id, t.worker_id, w.badge, t.text, t.made_at, t.expires_at, t.priority, t.tries
		FROM taken t JOIN worker w ON w.id = t.worker_id ORDER BY t.priority, t.id`,
		now, priority, n, now.Add(hold)).Query(func(rows pgx.Rows) error {
		out, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Notification])
		return err
	})
	if err := db.Pool.SendBatch(ctx, b).Close(); err != nil {
		return nil, fmt.Errorf("store: notifications: %w", err)
	}
	return out, nil
}

// Notified notes what became of a notification that was taken: sent at now, or to be
// tried again at again, or given up when that is zero. failed says why, without a
// personal field. Where hold was over and somebody else took it since, it is theirs.
func (db *DB) Notified(ctx context.Context, taken Notification, now, again time.Time, failed string) error {
	var sent, next any
	if failed == "" {
		sent = now
	} else if !again.IsZero() {
		next = again
	}
	_, err := db.Pool.Exec(ctx, "UPDATE notification SET sent_at = $3, next_at = $4, failed = $5 WHERE id = $1 AND tries = $2 AND next_at IS NOT NULL",
		taken.ID, taken.Tries, sent, next, failed)
	if err != nil {
		return fmt.Errorf("store: notification %d: %w", taken.ID, err)
	}
	return nil
}
