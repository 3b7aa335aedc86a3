// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"onemap/auth"
	"onemap/dispatch"
	"onemap/store"
)

// Supervise opens a supervision 督办 of an incident by hand.
type Supervise struct {
	Incident int64
	Reason   string
	Reply    dispatch.Limit // of the answer; value 0 for the ladder's
}

// Reply answers a supervision.
type Reply struct {
	Supervision int64
	Text        string
}

// What the ledger refuses of supervisions.
var (
	ErrNotAbove = errors.New("a supervision is opened by a level above the one that owes the incident")
	ErrAnswered = errors.New("the supervision was answered or closed already")
	ErrOwnWord  = errors.New("who opened a supervision, or whose it is, does not answer it")
	ErrNotOpen  = errors.New("the incident is closed")
	ErrNotAsked = errors.New("only the side that was asked answers a supervision: the level that owes the incident or one below, its lead department or whoever leads the work")
)

// supervise opens a supervision by hand.
func (l *Ledger) supervise(ctx context.Context, actor auth.Actor, c Command) (res Result, err error) {
	d, err := auth.Decide(actor, auth.Write, auth.Supervision)
	if err != nil {
		return Result{}, err
	}
	err = l.o.DB.InTx(ctx, func(tx pgx.Tx) error {
		first, done, err := l.claim(ctx, tx, actor, c)
		if err != nil {
			return err
		}
		if done {
			if res.Supervision, err = store.FindSupervision(ctx, tx, d.Scope, first); err == nil {
				res.Repeated = true
			}
			return err
		}
		res.Supervision, err = l.openSupervision(ctx, tx, actor, d.Scope, c)
		return err
	})
	return res, err
}

func (l *Ledger) openSupervision(ctx context.Context, tx pgx.Tx, actor auth.Actor, scope auth.Scope, cmd Command) (store.Supervision, error) {
	ask, now, clocks := cmd.Supervise, l.o.Now(), l.o.Catalogue.Now().Clocks
	if ask.Reason == "" {
		return store.Supervision{}, dispatch.ErrReasonMissing
	}
	in, err := store.FindIncident(ctx, tx, scope, auth.CaseView, ask.Incident, true)
	if err != nil {
		return store.Supervision{}, err
	}
	if !in.State.Open() {
		return store.Supervision{}, ErrNotOpen
	}
	c, err := store.FindClock(ctx, tx, in)
	if err != nil {
		return store.Supervision{}, err
	}
	level, err := l.levelOf(ctx, tx, actor, in)
	if err != nil {
		return store.Supervision{}, err
	}
	if level >= c.Level && c.Level > 1 || level > c.Level {
		return store.Supervision{}, ErrNotAbove
	}
	s := dispatch.NewSupervision(c, clocks.Ladder, clocks.Calendar, now)
	if ask.Reply.Value > 0 {
		s.Reply, s.ReplyDue = ask.Reply, clocks.Calendar.Due(now, ask.Reply.Value, ask.Reply.Unit).At
	}
	s.Level, s.Officers = level, []string{actor.ID}
	c.Supervised, c.Waiting = s.N, append(c.Waiting, s)
	b := &pgx.Batch{}
	var id int64
	insertSupervision(b, in.ID, c, s, ask.Reason, actor.ID).QueryRow(func(row pgx.Row) error { return row.Scan(&id) })
	store.Arm(b, in.ID, c, dispatch.Rungs(c, clocks.Ladder, clocks.Calendar), now)
	err = l.tell(ctx, b, actor, cmd.RequestID, in, l.audience(in), telling{
		kind: "supervise", reason: ask.Reason, event: "incident.supervised",
		data: ClockStep{Stage: c.Stage, Told: []int{c.Level, s.Level}, Supervision: s.N, Level: s.Level, Due: &s.ReplyDue},
	})
	if err == nil {
		err = tx.SendBatch(ctx, b).Close()
	}
	if err != nil {
		return store.Supervision{}, err
	}
	b = &pgx.Batch{}
	cmd.keep(b, actor, id)
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		return store.Supervision{}, err
	}
	return store.FindSupervision(ctx, tx, scope, id)
}

// levelOf is the highest level of an incident's grids that the actor's grant is for.
func (l *Ledger) levelOf(ctx context.Context, q store.Querier, actor auth.Actor, in store.Incident) (int, error) {
	rows, err := q.Query(ctx, `WITH RECURSIVE up AS (
		SELECT id, parent_id, level, no FROM grid WHERE id = $1
		UNION ALL SELECT g.id, g.parent_id, g.level, g.no FROM grid g JOIN up ON g.id = up.parent_id) SELECT level, no FROM up ORDER BY level`, in.Place.GridID)
	if err != nil {
		return 0, err
	}
	best := 0
	var level int
	var no int32
	_, err = pgx.ForEachRow(rows, []any{&level, &no}, func() error {
		if best == 0 && actor.Home(no) {
			best = level
		}
		return nil
	})
	if err == nil && best == 0 {
		err = ErrNotAbove
	}
	return best, err
}

// insertSupervision queues a new supervision's row; the query returns its id.
func insertSupervision(b *pgx.Batch, incident int64, c dispatch.Clock, s dispatch.Supervision, reason, by string) *pgx.QueuedQuery {
	officers, skipped := s.Officers, s.Skipped
	if officers == nil {
		officers = []string{}
	}
	if skipped == nil {
		skipped = []int{}
	}
	return b.Queue(`INSERT INTO supervision (incident_id, n, stage, owner_level, level, officers, skipped, reason, opened_at, opened_by, reply_value, reply_unit, reply_due)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) RETURNING id`,
		incident, s.N, c.Stage, c.Level, s.Level, officers, skipped, reason, s.Opened, by, s.Reply.Value, string(s.Reply.Unit), s.ReplyDue)
}

// reply answers a supervision: its limit does not move the incident up any more.
func (l *Ledger) reply(ctx context.Context, actor auth.Actor, c Command) (res Result, err error) {
	d, err := auth.Decide(actor, auth.Write, auth.IncidentData)
	if err != nil {
		return Result{}, err
	}
	err = l.o.DB.InTx(ctx, func(tx pgx.Tx) error {
		first, done, err := l.claim(ctx, tx, actor, c)
		if err != nil {
			return err
		}
		if done {
			if res.Supervision, err = store.FindSupervision(ctx, tx, d.Scope, first); err == nil {
				res.Repeated = true
			}
			return err
		}
		res.Supervision, err = l.answerSupervision(ctx, tx, actor, d.Scope, c)
		return err
	})
	return res, err
}

// asked refuses an answer to whoever does not stand on the side that a supervision asks:
// its opener, the duty officer it is of, and a level above the one that owes the
// incident. A department or worker that leads it does.
func (l *Ledger) asked(ctx context.Context, q store.Querier, actor auth.Actor, scope auth.Scope, in store.Incident, s store.Supervision) error {
	worker := actor.Worker != 0 && slices.Contains(s.Officers, store.WorkerActor(actor.Worker)) // on duty without an account
	if s.OpenedBy == actor.ID || slices.Contains(s.Officers, actor.ID) || worker {
		return ErrOwnWord
	}
	_, department := scope.Department()
	_, own := scope.Worker()
	if department || own {
		return nil
	}
	level, err := l.levelOf(ctx, q, actor, in)
	if errors.Is(err, ErrNotAbove) || err == nil && level < s.OwnerLevel {
		return ErrNotAsked
	}
	return err
}

// MayReply says whether the actor may answer a supervision as it stands.
func (l *Ledger) MayReply(ctx context.Context, actor auth.Actor, s store.Supervision) (bool, error) {
	d, err := auth.Decide(actor, auth.Write, auth.IncidentData)
	if err != nil || s.Answer != nil || s.ClosedAt != nil {
		return false, nil // without the right there is nothing to answer
	}
	err = l.o.DB.InTx(ctx, func(tx pgx.Tx) error {
		in, err := store.FindIncident(ctx, tx, d.Scope, auth.CaseView, s.Incident, false)
		if err == nil {
			err = leads(ctx, tx, d.Scope, in)
		}
		if err == nil {
			err = l.asked(ctx, tx, actor, d.Scope, in, s)
		}
		return err
	})
	for _, not := range []error{store.ErrNotFound, ErrAssists, ErrNotLead, ErrOwnWord, ErrNotAsked} {
		if errors.Is(err, not) {
			return false, nil
		}
	}
	if err != nil {
		return false, fmt.Errorf("ledger: who may answer supervision %d: %w", s.ID, err)
	}
	return true, nil
}

func (l *Ledger) answerSupervision(ctx context.Context, tx pgx.Tx, actor auth.Actor, scope auth.Scope, cmd Command) (store.Supervision, error) {
	s, err := store.FindSupervision(ctx, tx, scope, cmd.Reply.Supervision)
	if err != nil {
		return s, err
	}
	in, err := store.FindIncident(ctx, tx, scope, auth.CaseView, s.Incident, true)
	if err != nil {
		return s, err
	}
	if err := leads(ctx, tx, scope, in); err != nil {
		return s, err
	}
	if cmd.Reply.Text == "" {
		return s, dispatch.ErrReasonMissing
	}
	if err := l.asked(ctx, tx, actor, scope, in, s); err != nil {
		return s, err
	}
	now := l.o.Now()
	tag, err := tx.Exec(ctx, "UPDATE supervision SET reply = $2, replied_at = $3, replied_by = $4 WHERE id = $1 AND reply IS NULL AND closed_at IS NULL",
		s.ID, cmd.Reply.Text, now, actor.ID)
	if err != nil {
		return s, err
	}
	if tag.RowsAffected() == 0 {
		return s, ErrAnswered
	}
	b := &pgx.Batch{}
	b.Queue("DELETE FROM timer WHERE incident_id = $1 AND stage = $2 AND rung = $3 AND done_at IS NULL", s.Incident, s.Stage, fmt.Sprintf("%s.%d", dispatch.RungReply, s.N))
	cmd.keep(b, actor, s.ID)
	err = l.tell(ctx, b, actor, cmd.RequestID, in, l.audience(in), telling{
		kind: "reply", text: cmd.Reply.Text, event: "incident.supervised", data: ClockStep{Stage: s.Stage, Told: []int{s.Level}, Supervision: s.N},
	})
	if err == nil {
		err = tx.SendBatch(ctx, b).Close()
	}
	if err != nil {
		return s, err
	}
	return store.FindSupervision(ctx, tx, scope, s.ID)
}
