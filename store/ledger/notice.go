// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"onemap/auth"
	"onemap/dispatch"
	"onemap/feed"
	"onemap/store"
)

// NoticeCommand directs a notice to a unit: its area, unit, texts, cell and times.
type NoticeCommand struct{ store.Notice }

// NoticeKind is an act on a notice.
type NoticeKind string

const (
	ReadNotice     NoticeKind = "read"
	ReplyNotice    NoticeKind = "replied"
	WithdrawNotice NoticeKind = "withdrawn"
)

// NoticeAct is an act on a notice.
type NoticeAct struct {
	Notice int64
	Kind   NoticeKind
	Text   string // the reply, or why it is withdrawn
}

// anyNotice is for a look at a notice that the actor has just made.
var anyNotice = auth.System("a notice that the transaction has made or holds")

// notice makes a notice.
func (l *Ledger) notice(ctx context.Context, actor auth.Actor, c Command) (res Result, err error) {
	d, err := auth.Decide(actor, auth.Write, auth.NoticeData)
	if err != nil {
		return Result{}, err
	}
	n := c.Notice.Notice
	if !d.Scope.Sees(n.GridNo) || n.Department == 0 && !d.Scope.Sees(n.UnitNo) {
		return Result{}, store.ErrNotFound
	}
	err = l.o.DB.InTx(ctx, func(tx pgx.Tx) error {
		id, done, err := l.claim(ctx, tx, actor, c)
		if err != nil {
			return err
		}
		if done {
			res.Repeated = true
			res.Notice, err = store.FindNotice(ctx, tx, d.Scope, id, false)
			return err
		}
		if n.Notice, err = dispatch.Issue(n.Notice, l.o.Now()); err != nil {
			return err
		}
		n.MadeBy = actor.ID
		var dept, level, unit, unitNo, above, cell any
		if n.Department != 0 {
			dept = n.Department
		} else {
			level, unit, unitNo = int16(n.Level), n.UnitID, n.UnitNo
			if n.AboveNo != 0 {
				above = n.AboveNo
			}
		}
		if n.Cell != 0 {
			cell = int64(n.Cell)
		}
		err = tx.QueryRow(ctx, `INSERT INTO notice (grid_id, grid_no, department_id, level, unit_id, unit_no, above_no, title, body, cell, made_by, made_at, due, remind_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) RETURNING id`,
			n.GridID, n.GridNo, dept, level, unit, unitNo, above, n.Title, n.Body, cell, n.MadeBy, n.MadeAt, n.Due, n.RemindAt).Scan(&n.ID)
		if err != nil {
			return err
		}
		if res.Notice, err = store.FindNotice(ctx, tx, anyNotice, n.ID, false); err != nil {
			return err
		}
		b := &pgx.Batch{}
		c.keep(b, actor, n.ID)
		if err := l.recordNotice(b, actor, c.RequestID, res.Notice, "notice.made", ""); err != nil {
			return err
		}
		return tx.SendBatch(ctx, b).Close()
	})
	return res, err
}

// OfUnit reports whether an actor is one of the unit that a notice is directed to: a
// handler of the department, or somebody of the unit's own grid, and of none above it.
func OfUnit(s auth.Scope, n store.Notice) bool {
	own, only := s.Department()
	if n.Department != 0 {
		return only && own == n.Department
	}
	return !only && s.Sees(n.UnitNo) && (n.AboveNo == 0 || !s.Sees(n.AboveNo))
}

// MayWithdraw reports whether somebody who may direct notices of the area takes this one
// back: who made it, or who is not of its unit. A unit does not take back what others
// directed to it, as it would be out of its reply rate.
func MayWithdraw(a auth.Actor, s auth.Scope, n store.Notice) bool {
	return n.MadeBy == a.ID || !OfUnit(s, n)
}

// noticeAct takes an act on a notice. Only its unit reads and answers it; who made it, or
// may make notices there and is not of the unit, takes it back.
func (l *Ledger) noticeAct(ctx context.Context, actor auth.Actor, c Command) (res Result, err error) {
	a, resource := c.NoticeAct, auth.NoticeAnswer
	if a.Kind == WithdrawNotice {
		resource = auth.NoticeData
	}
	d, err := auth.Decide(actor, auth.Write, resource)
	if err != nil {
		return Result{}, err
	}
	err = l.o.DB.InTx(ctx, func(tx pgx.Tx) error {
		id, done, err := l.claim(ctx, tx, actor, c)
		if err != nil {
			return err
		}
		if done {
			res.Repeated = true
			res.Notice, err = store.FindNotice(ctx, tx, d.Scope, id, false)
			return err
		}
		n, err := store.FindNotice(ctx, tx, d.Scope, a.Notice, true)
		if err != nil {
			return err
		}
		switch {
		case a.Kind != WithdrawNotice && !OfUnit(d.Scope, n):
			return &dispatch.GuardError{Err: dispatch.ErrNotAddressed}
		case a.Kind == WithdrawNotice && !MayWithdraw(actor, d.Scope, n):
			return &dispatch.GuardError{Err: dispatch.ErrNoticeOwn}
		}
		now, changed, kind := l.o.Now(), true, "notice.changed"
		switch a.Kind {
		case ReadNotice:
			n.Notice, changed = dispatch.Opened(n.Notice, now)
		case ReplyNotice:
			n.RepliedBy, kind = actor.ID, "notice.replied"
			n.Notice, err = dispatch.Answered(n.Notice, a.Text, now)
		default:
			kind = "notice.withdrawn"
			n.Notice, err = dispatch.Withdrawn(n.Notice, a.Text, now)
		}
		if err != nil {
			return err
		}
		b := &pgx.Batch{}
		c.keep(b, actor, n.ID)
		if a.Kind != WithdrawNotice {
			b.Queue("INSERT INTO notice_receipt (notice_id, actor, read_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING", n.ID, actor.ID, now)
		}
		if changed {
			n.Settle()
			queueNotice(b, n)
			if err := l.recordNotice(b, actor, c.RequestID, n, kind, n.Reason); err != nil {
				return err
			}
		}
		if err := tx.SendBatch(ctx, b).Close(); err != nil {
			return err
		}
		res.Notice, err = store.FindNotice(ctx, tx, d.Scope, n.ID, false)
		return err
	})
	return res, err
}

// queueNotice writes a notice's new state over the one that the transaction holds.
func queueNotice(b *pgx.Batch, n store.Notice) {
	b.Queue(`UPDATE notice SET ver = $2, read_at = $3, reminded_at = $4, replied_at = $5, replied_by = $6, reply = $7, supervised_at = $8, withdrawn_at = $9, reason = $10
		WHERE id = $1`, n.ID, int32(n.Ver), n.ReadAt, n.RemindedAt, n.RepliedAt, n.RepliedBy, n.Reply, n.SupervisedAt, n.WithdrawnAt, n.Reason)
}

// recordNotice writes what every change of a notice leaves behind: its audit entry and
// its event.
func (l *Ledger) recordNotice(b *pgx.Batch, actor auth.Actor, requestID string, n store.Notice, kind, reason string) error {
	act := kind
	if kind == "notice.changed" {
		act = "notice.read"
	}
	err := audit(b, actor, requestID, act, fmt.Sprintf("notice/%d", n.ID), reason,
		map[string]any{"state": n.State(), "department": n.Department, "grid": n.AreaCode, "unit": n.UnitCode, "due": n.Due})
	if err != nil {
		return err
	}
	full, err := store.NoticePayload(n, l.o.Catalogue.Now().DeptNames)
	if err != nil {
		return err
	}
	aud := feed.Audience{Grid: n.GridNo}
	if n.Department != 0 {
		aud.Departments = []int64{n.Department}
	}
	e := feed.Event{
		Kind: kind, Entity: feed.Key{Kind: "notice", ID: fmt.Sprint(n.ID)}, Ver: n.Ver, Live: feed.Put, OccurredAt: l.o.Now(), After: aud, Case: full,
	}
	if n.Ver > 1 {
		e.Before = aud
	}
	if !n.Open() {
		e.Live = feed.End
	}
	return emit(b, e)
}

// SweepNotices reminds of the notices that are unread at their time, and marks those
// that are overdue as supervised, each exactly once, however many servers sweep. What
// somebody is busy with is left to the next look. done is how many it did.
func (l *Ledger) SweepNotices(ctx context.Context, actor auth.Actor) (done int, err error) {
	_, err = l.sweepAlone(ctx, noticeSweepLock, func(ctx context.Context) error {
		return l.o.DB.InTx(ctx, func(tx pgx.Tx) error {
			done, err = l.tickNotices(ctx, tx, actor)
			return err
		})
	})
	if err != nil {
		return 0, fmt.Errorf("ledger: sweep notices: %w", err)
	}
	if done > 0 {
		l.o.Wake()
	}
	return done, nil
}

func (l *Ledger) tickNotices(ctx context.Context, tx pgx.Tx, actor auth.Actor) (done int, err error) {
	now := l.o.Now()
	var ids []int64
	for _, sql := range []string{
		`SELECT id FROM notice WHERE supervised_at IS NULL AND replied_at IS NULL AND withdrawn_at IS NULL AND due < $1 ORDER BY due LIMIT $2 FOR UPDATE SKIP LOCKED`,
		`SELECT id FROM notice WHERE read_at IS NULL AND reminded_at IS NULL AND replied_at IS NULL AND withdrawn_at IS NULL AND remind_at <= $1 AND due >= $1
			ORDER BY remind_at LIMIT $2 FOR UPDATE SKIP LOCKED`,
	} {
		rows, err := tx.Query(ctx, sql, now, sweptAtOnce)
		if err != nil {
			return 0, err
		}
		got, err := pgx.CollectRows(rows, pgx.RowTo[int64])
		if err != nil {
			return 0, err
		}
		ids = append(ids, got...)
	}
	slices.Sort(ids)
	b := &pgx.Batch{}
	for _, id := range slices.Compact(ids) {
		n, err := store.FindNotice(ctx, tx, anyNotice, id, false)
		if err != nil {
			return 0, err
		}
		var what string
		if n.Notice, what = dispatch.Tick(n.Notice, now); what == "" {
			continue
		}
		n.Settle()
		queueNotice(b, n)
		if err := l.recordNotice(b, actor, "", n, what, ""); err != nil {
			return 0, err
		}
		done++
	}
	return done, tx.SendBatch(ctx, b).Close()
}
