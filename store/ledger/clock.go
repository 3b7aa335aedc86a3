// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"onemap/auth"
	"onemap/dispatch"
	"onemap/feed"
	"onemap/store"
)

// ClockStep is what a rung of the ladder, or a recount, leaves in the journal beside
// its kind.
type ClockStep struct {
	Stage       int        `json:"stage"`
	Rung        string     `json:"rung,omitempty"`
	Told        []int      `json:"told,omitempty"`        // the levels it is for
	Leader      bool       `json:"leader,omitempty"`      // the county's leader is told
	Supervision int        `json:"supervision,omitempty"` // number of the one that was opened or answered
	Level       int        `json:"level,omitempty"`       // whose duty officer asks
	Skipped     []int      `json:"skipped,omitempty"`     // levels without a duty officer
	Due         *time.Time `json:"due,omitempty"`         // of the stage, or of the answer
	Was         *time.Time `json:"was,omitempty"`         // the due time before a recount
	Rule        string     `json:"rule,omitempty"`
}

// armNew queues the timers of a new incident's first stage.
func (l *Ledger) armNew(b *pgx.Batch, in store.Incident, s dispatch.Stage) {
	clocks, c := l.o.Catalogue.Now().Clocks, dispatch.ClockOf(in.Incident, s)
	store.ArmNew(b, in.ID, c, dispatch.Rungs(c, clocks.Ladder, clocks.Calendar))
}

// rearm queues what a change of an incident does to its timers: was is the clock of
// the stage before it.
func (l *Ledger) rearm(ctx context.Context, tx pgx.Tx, b *pgx.Batch, in store.Incident, was dispatch.Clock, stage dispatch.Stage, ch dispatch.Change) error {
	clocks := l.o.Catalogue.Now().Clocks
	if ch.Stage != nil {
		stage = *ch.Stage
	}
	c := dispatch.ClockOf(in.Incident, stage)
	if ch.Resumed && stage.PausedAt != nil {
		before, err := store.FindClock(ctx, tx, in)
		if err != nil {
			return err
		}
		c = dispatch.Resumed(before, clocks.Calendar, *stage.PausedAt, l.o.Now())
		c.Signed = true // whoever takes it up again has signed for it
		store.SaveClock(b, in.ID, c)
	}
	timers := dispatch.Rungs(c, clocks.Ladder, clocks.Calendar)
	if c.Stage == was.Stage && c.State.Runs() == was.State.Runs() && c.State.Open() && slices.Equal(timers, dispatch.Rungs(was, clocks.Ladder, clocks.Calendar)) {
		return nil
	}
	store.Arm(b, in.ID, c, timers, l.o.Now())
	return nil
}

// rung carries a due rung of a locked timer out, and marks it done.
func (l *Ledger) rung(ctx context.Context, tx pgx.Tx, t dueTimer, node string) error {
	system, now := auth.System("a rung of the ladder"), l.o.Now()
	in, err := store.FindIncident(ctx, tx, system, auth.CaseView, t.incident, true)
	if err != nil {
		return err
	}
	c, err := store.FindClock(ctx, tx, in)
	if err != nil {
		return err
	}
	if c.Stage == t.stage && in.State.Open() && t.rung.Held(in.State) { // its clock stands: the timer waits until it runs again
		_, err := tx.Exec(ctx, "UPDATE timer SET held = true WHERE incident_id = $1 AND stage = $2 AND rung = $3", t.incident, t.stage, string(t.rung))
		return err
	}
	var out dispatch.Outcome
	if c.Stage == t.stage && in.State.Open() {
		clocks := l.o.Catalogue.Now().Clocks
		posts, err := store.DutyPosts(ctx, tx, system, in.Place.GridNo, c.Level, now, l.o.Catalogue.Now().Categories[in.Category].Sensitive())
		if err != nil {
			return err
		}
		out = dispatch.Fire(c, t.rung, posts, clocks.Ladder, clocks.Calendar, now)
	}
	if kind, _ := t.rung.Kind(); kind == dispatch.RungReview && out.Kind != "" {
		var told bool // in a stage before, which a correction ended
		err := tx.QueryRow(ctx, "SELECT EXISTS (SELECT FROM timer WHERE incident_id = $1 AND rung = $2 AND did <> '')", t.incident, string(t.rung)).Scan(&told)
		if err != nil {
			return err
		}
		if told {
			out = dispatch.Outcome{}
		}
	}
	b := &pgx.Batch{}
	b.Queue("UPDATE timer SET done_at = $4, did = $5, node = $6 WHERE incident_id = $1 AND stage = $2 AND rung = $3",
		t.incident, t.stage, string(t.rung), now, out.Kind, node)
	if out.Kind == "" {
		return tx.SendBatch(ctx, b).Close()
	}
	return l.climb(ctx, tx, b, in, c, t.rung, out)
}

// sweeper acts where a limit has run out.
var sweeper = auth.SystemActor("sweep")

// climb writes what a rung does to an incident.
func (l *Ledger) climb(ctx context.Context, tx pgx.Tx, b *pgx.Batch, in store.Incident, c dispatch.Clock, r dispatch.Rung, out dispatch.Outcome) error {
	now, before := l.o.Now(), l.audience(in)
	step := ClockStep{Stage: c.Stage, Rung: string(r), Told: out.Told, Leader: out.Leader, Due: &c.Due}
	if out.Late {
		in.Late, c.Late = true, true
		b.Queue("UPDATE incident SET late = true WHERE id = $1", in.ID)
	}
	if s := out.Supervise; s != nil {
		step.Supervision, step.Level, step.Skipped, step.Due = s.N, s.Level, s.Skipped, &s.ReplyDue
		insertSupervision(b, in.ID, c, *s, "超时督办", sweeper.ID)
	}
	if _, n := r.Kind(); out.Escalate {
		b.Queue("UPDATE supervision SET closed_at = $3, outcome = 'moved_up' WHERE incident_id = $1 AND n = $2 AND closed_at IS NULL", in.ID, n, now)
		if err := tx.SendBatch(ctx, b).Close(); err != nil {
			return err
		}
		return l.moveUp(ctx, tx, in, step)
	}
	for _, t := range out.Next {
		b.Queue("INSERT INTO timer (incident_id, stage, rung, at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING", in.ID, c.Stage, string(t.Rung), t.At)
	}
	if err := l.tell(ctx, b, sweeper, "", in, before, telling{kind: out.Kind, event: out.Event, data: step}); err != nil {
		return err
	}
	return tx.SendBatch(ctx, b).Close()
}

// unanswered is why an incident moved up.
const unanswered = "督办到期未回复，自动上报上级"

// moveUp gives an incident to the level above its owner's.
func (l *Ledger) moveUp(ctx context.Context, tx pgx.Tx, in store.Incident, step ClockStep) error {
	f, err := l.facts(ctx, tx, sweeper, in, dispatch.Act{Action: dispatch.Escalate})
	if err != nil {
		return err
	}
	ch, err := dispatch.MoveUp(f, unanswered)
	if err != nil {
		return err
	}
	step.Due = nil // the new stage's is told beside it
	ch.Step.Data["clock"] = step
	_, err = l.write(ctx, tx, sweeper, Command{}, in, f.Stage, ch)
	return err
}

// clockMoved writes that a stage's due time was moved by itself, without a change of
// its owner or state.
func (l *Ledger) clockMoved(ctx context.Context, tx pgx.Tx, actor auth.Actor, requestID string, in store.Incident, was, c dispatch.Clock, kind, reason string) error {
	clocks, before := l.o.Catalogue.Now().Clocks, l.audience(in)
	in.StageDue, in.DueRule, in.Late, in.AckDue = &c.Due, c.Rule, c.Late, c.AckDue
	in.Settle()
	b := &pgx.Batch{}
	b.Queue("UPDATE incident SET stage_due = $2, due_rule = $3, late = $4, ack_due = $5 WHERE id = $1", in.ID, in.StageDue, in.DueRule, in.Late, in.AckDue)
	store.SaveClock(b, in.ID, c)
	store.Arm(b, in.ID, c, dispatch.Rungs(c, clocks.Ladder, clocks.Calendar), l.o.Now())
	step := ClockStep{Stage: c.Stage, Due: &c.Due, Was: &was.Due, Rule: c.Rule}
	if err := l.tell(ctx, b, actor, requestID, in, before, telling{kind: kind, reason: reason, event: "incident.changed", data: step}); err != nil {
		return err
	}
	return tx.SendBatch(ctx, b).Close()
}

// telling is what is said of a locked incident whose version does not move.
type telling struct {
	kind, reason, event string
	text                string // of the case: for the journal in place of a reason, and not for the audit
	data                ClockStep
}

// tell queues the journal entry, the audit entry and the event of something that
// happened to a locked incident without moving its version.
func (l *Ledger) tell(ctx context.Context, b *pgx.Batch, actor auth.Actor, requestID string, in store.Incident, before feed.Audience, t telling) error {
	now := l.o.Now()
	data, err := json.Marshal(map[string]any{"clock": t.data})
	if err != nil {
		return err
	}
	b.Queue(`INSERT INTO incident_journal (incident_id, n, version, kind, from_state, to_state, actor, at, reason, data)
		SELECT $1, (SELECT coalesce(max(n), 0) + 1 FROM incident_journal WHERE incident_id = $1), $2, $3, $4, $4, $5, $6, $7, $8`,
		in.ID, in.Version, t.kind, string(in.State), actor.ID, now, cmp.Or(t.text, t.reason), data)
	if err := audit(b, actor, requestID, "incident."+t.kind, fmt.Sprintf("incident/%d", in.ID), t.reason, t.data); err != nil {
		return err
	}
	e, err := l.event(ctx, in, t.event, before, now)
	if err != nil {
		return err
	}
	return emit(b, e)
}
