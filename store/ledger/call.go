// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"onemap/auth"
	"onemap/feed"
	"onemap/store"
)

// ErrRollClosed refuses an answer that comes after the roll call has closed.
var ErrRollClosed = errors.New("the roll call has closed")

// Calling is a roll call or a message to the workers inside something marked.
type Calling struct {
	Workers   []int64         // who is asked; each once
	GridNo    int32           // the caller's grid: who sees it sees the call
	Marked    json.RawMessage // what was marked
	Text      string
	For       time.Duration // of a roll call: after which it closes
	RequestID string
	Key       string            // idempotency key; "" for none
	Request   [sha256.Size]byte // fingerprint of the request that carried the key
}

// once makes what a call makes, or finds what an earlier request with its key made.
func (l *Ledger) once(ctx context.Context, tx pgx.Tx, actor auth.Actor, c Calling, makes func() (int64, error)) (int64, error) {
	cmd := Command{Key: c.Key, Request: c.Request}
	id, done, err := l.claim(ctx, tx, actor, cmd)
	if err != nil || done {
		return id, err
	}
	if id, err = makes(); err != nil {
		return 0, err
	}
	b := &pgx.Batch{}
	cmd.keep(b, actor, id)
	return id, tx.SendBatch(ctx, b).Close()
}

// CallRoll asks the workers to answer, and returns the roll call's id: with an audit
// row and the event "rollcall.called" to them and to the caller's grid.
func (l *Ledger) CallRoll(ctx context.Context, actor auth.Actor, c Calling) (id int64, err error) {
	if _, err := auth.Decide(actor, auth.Write, auth.Call); err != nil {
		return 0, err
	}
	now := l.o.Now()
	err = l.o.DB.InTx(ctx, func(tx pgx.Tx) (err error) {
		id, err = l.once(ctx, tx, actor, c, func() (int64, error) { return callRoll(ctx, tx, actor, c, now) })
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("ledger: roll call: %w", err)
	}
	l.o.Wake()
	return id, nil
}

func callRoll(ctx context.Context, tx pgx.Tx, actor auth.Actor, c Calling, now time.Time) (id int64, err error) {
	err = tx.QueryRow(ctx, `INSERT INTO roll_call (grid_no, called_by, role, note, marked, called_at, closes_at) VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING id`,
		c.GridNo, actor.ID, string(actor.Role), c.Text, c.Marked, now, now.Add(c.For)).Scan(&id)
	if err != nil {
		return 0, err
	}
	if _, err := tx.Exec(ctx, "INSERT INTO roll_call_worker (roll_call_id, worker_id) SELECT $1, unnest($2::bigint[])", id, c.Workers); err != nil {
		return 0, err
	}
	data := map[string]any{"workers": len(c.Workers), "minutes": c.For.Minutes(), "marked": c.Marked}
	if err := Audit(ctx, tx, actor, c.RequestID, "rollcall.call", fmt.Sprintf("rollcall/%d", id), "", data); err != nil {
		return 0, err
	}
	return id, tellRoll(ctx, tx, id, "rollcall.called", now)
}

// rollState is a roll call as everybody whom it concerns may know it: who answered is
// read by those who may see where workers are.
type rollState struct {
	ID       string     `json:"id"`
	State    string     `json:"state"` // open or closed
	CalledAt time.Time  `json:"called_at"`
	ClosesAt time.Time  `json:"closes_at"`
	ClosedAt *time.Time `json:"closed_at"`
	Called   int        `json:"called"`
	Answered int        `json:"answered"`
}

// tellRoll puts the state of a roll call into the outbox.
func tellRoll(ctx context.Context, tx pgx.Tx, id int64, kind string, now time.Time) error {
	var grid int32
	var ver int
	var workers []int64
	s := rollState{ID: fmt.Sprint(id), State: "open"}
	err := tx.QueryRow(ctx, `SELECT r.grid_no, r.ver, r.called_at, r.closes_at, r.closed_at, count(*)::int, count(w.answered_at)::int, array_agg(w.worker_id ORDER BY w.worker_id)
		FROM roll_call r JOIN roll_call_worker w ON w.roll_call_id = r.id WHERE r.id = $1 GROUP BY r.id`, id).
		Scan(&grid, &ver, &s.CalledAt, &s.ClosesAt, &s.ClosedAt, &s.Called, &s.Answered, &workers)
	if err != nil {
		return err
	}
	e := feed.Event{Kind: kind, Entity: feed.Key{Kind: "rollcall", ID: s.ID}, Ver: ver, Live: feed.Put, OccurredAt: now}
	if s.ClosedAt != nil {
		s.State, e.Live = "closed", feed.End
	}
	if e.Case, err = json.Marshal(s); err != nil {
		return err
	}
	e.After = feed.Audience{Grid: grid, Workers: workers}
	if kind != "rollcall.called" {
		e.Before = e.After
	}
	return Emit(ctx, tx, e)
}

// AnswerRoll notes that the actor's worker answers. An answer given before stays as it
// was. store.ErrNotFound when the worker was not called, ErrRollClosed after the end.
func (l *Ledger) AnswerRoll(ctx context.Context, actor auth.Actor, id int64, deviceAt *time.Time) error {
	if _, err := auth.Decide(actor, auth.Write, auth.CallAnswer); err != nil {
		return err
	}
	now := l.o.Now()
	err := l.o.DB.InTx(ctx, func(tx pgx.Tx) error {
		var closes time.Time
		var closed, answered *time.Time
		err := tx.QueryRow(ctx, "SELECT closes_at, closed_at FROM roll_call WHERE id = $1 FOR UPDATE", id).Scan(&closes, &closed)
		if err == nil {
			err = tx.QueryRow(ctx, "SELECT answered_at FROM roll_call_worker WHERE roll_call_id = $1 AND worker_id = $2", id, int64(actor.Worker)).Scan(&answered)
		}
		switch {
		case errors.Is(err, pgx.ErrNoRows):
			return store.ErrNotFound
		case err != nil || answered != nil:
			return err
		case closed != nil || !now.Before(closes):
			return ErrRollClosed
		}
		b := &pgx.Batch{}
		b.Queue("UPDATE roll_call_worker SET answered_at = $3, device_at = $4 WHERE roll_call_id = $1 AND worker_id = $2", id, int64(actor.Worker), now, deviceAt)
		b.Queue("UPDATE roll_call SET ver = ver + 1 WHERE id = $1", id)
		if err := tx.SendBatch(ctx, b).Close(); err != nil {
			return err
		}
		return tellRoll(ctx, tx, id, "rollcall.answered", now)
	})
	if err != nil {
		return fmt.Errorf("ledger: answer roll call %d: %w", id, err)
	}
	l.o.Wake()
	return nil
}

// CloseRolls closes the roll calls whose time is over, each once however many servers
// look, and returns how many.
func (l *Ledger) CloseRolls(ctx context.Context) (closed int, err error) {
	now := l.o.Now()
	err = l.o.DB.InTx(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `UPDATE roll_call SET closed_at = $1, ver = ver + 1 WHERE id IN (
			SELECT id FROM roll_call WHERE closed_at IS NULL AND closes_at <= $1 ORDER BY id LIMIT 100 FOR UPDATE SKIP LOCKED) RETURNING id`, now)
		if err != nil {
			return err
		}
		ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
		if err != nil {
			return err
		}
		for _, id := range ids {
			if err := tellRoll(ctx, tx, id, "rollcall.closed", now); err != nil {
				return err
			}
		}
		closed = len(ids)
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("ledger: close roll calls: %w", err)
	}
	if closed > 0 {
		l.o.Wake()
	}
	return closed, nil
}

// SendMessage sends a text to the workers, and returns its id: with an audit row, which
// does not hold the text, and an event that tells them to fetch it.
func (l *Ledger) SendMessage(ctx context.Context, actor auth.Actor, c Calling) (id int64, err error) {
	if _, err := auth.Decide(actor, auth.Write, auth.Call); err != nil {
		return 0, err
	}
	now := l.o.Now()
	err = l.o.DB.InTx(ctx, func(tx pgx.Tx) (err error) {
		id, err = l.once(ctx, tx, actor, c, func() (int64, error) { return sendMessage(ctx, tx, actor, c, now) })
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("ledger: send a message: %w", err)
	}
	l.o.Wake()
	return id, nil
}

func sendMessage(ctx context.Context, tx pgx.Tx, actor auth.Actor, c Calling, now time.Time) (id int64, err error) {
	err = tx.QueryRow(ctx, "INSERT INTO message (grid_no, sent_by, role, text, marked, sent_at) VALUES ($1, $2, $3, $4, $5, $6) RETURNING id",
		c.GridNo, actor.ID, string(actor.Role), c.Text, c.Marked, now).Scan(&id)
	if err != nil {
		return 0, err
	}
	if _, err := tx.Exec(ctx, "INSERT INTO message_worker (message_id, worker_id) SELECT $1, unnest($2::bigint[])", id, c.Workers); err != nil {
		return 0, err
	}
	if err := Audit(ctx, tx, actor, c.RequestID, "message.send", fmt.Sprintf("message/%d", id), "", map[string]any{"workers": len(c.Workers), "marked": c.Marked}); err != nil {
		return 0, err
	}
	return id, tellMessage(ctx, tx, id, "message.sent", now)
}

// tellMessage puts how far a message has come into the outbox, without its text.
func tellMessage(ctx context.Context, tx pgx.Tx, id int64, kind string, now time.Time) error {
	var grid int32
	var workers []int64
	var s struct {
		ID        string    `json:"id"`
		SentAt    time.Time `json:"sent_at"`
		To        int       `json:"to"`
		Delivered int       `json:"delivered"`
		Seen      int       `json:"seen"`
	}
	err := tx.QueryRow(ctx, `SELECT m.id::text, m.grid_no, m.sent_at, count(*)::int, count(w.delivered_at)::int, count(w.seen_at)::int, array_agg(w.worker_id ORDER BY w.worker_id)
		FROM message m JOIN message_worker w ON w.message_id = m.id WHERE m.id = $1 GROUP BY m.id`, id).
		Scan(&s.ID, &grid, &s.SentAt, &s.To, &s.Delivered, &s.Seen, &workers)
	if err != nil {
		return err
	}
	e := feed.Event{
		Kind: kind, Entity: feed.Key{Kind: "message", ID: s.ID}, Ver: 1 + s.Delivered + s.Seen, Live: feed.None, OccurredAt: now,
		After: feed.Audience{Grid: grid, Workers: workers},
	}
	if kind != "message.sent" { // a receipt is for the desk
		e.After.Workers = nil
	}
	if e.Case, err = json.Marshal(s); err != nil {
		return err
	}
	return Emit(ctx, tx, e)
}

// Receipt notes what the phone of the actor's worker says of a message: delivered, or
// seen, which it can't be without being delivered. What was said before stays.
func (l *Ledger) Receipt(ctx context.Context, actor auth.Actor, id int64, seen bool) error {
	if _, err := auth.Decide(actor, auth.Write, auth.CallAnswer); err != nil {
		return err
	}
	now := l.o.Now()
	err := l.o.DB.InTx(ctx, func(tx pgx.Tx) error {
		var delivered, before *time.Time
		err := tx.QueryRow(ctx, "SELECT delivered_at, seen_at FROM message_worker WHERE message_id = $1 AND worker_id = $2 FOR UPDATE", id, int64(actor.Worker)).Scan(&delivered, &before)
		switch {
		case errors.Is(err, pgx.ErrNoRows):
			return store.ErrNotFound
		case err != nil || before != nil || delivered != nil && !seen:
			return err
		}
		_, err = tx.Exec(ctx, `UPDATE message_worker SET delivered_at = coalesce(delivered_at, $3), seen_at = CASE WHEN $4 THEN $3::timestamptz END
			WHERE message_id = $1 AND worker_id = $2`, id, int64(actor.Worker), now, seen)
		if err != nil {
			return err
		}
		return tellMessage(ctx, tx, id, "message.receipt", now)
	})
	if err != nil {
		return fmt.Errorf("ledger: receipt of message %d: %w", id, err)
	}
	l.o.Wake()
	return nil
}
