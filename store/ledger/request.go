// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"onemap/auth"
	"onemap/dispatch"
	"onemap/dispatch/calendar"
	"onemap/store"
)

// ErrSamePerson refuses a decision by whoever asked.
var ErrSamePerson = errors.New("a second person decides: whoever asks does not")

// Ask asks for what a second person has to approve.
type Ask struct{ dispatch.Request }

func (*Ask) right() (auth.Action, auth.Resource) { return incidentWrite() }

func (m *Ask) set(ctx context.Context, p *pen) error {
	f, err := p.l.facts(ctx, p.tx, p.actor, p.in, dispatch.Act{})
	if err != nil {
		return err
	}
	earlier, err := extensions(ctx, p.tx, p.in.ID, f.Stage.N)
	if err != nil {
		return err
	}
	if err := m.Check(f, earlier, p.actor.Role); err != nil {
		return err
	}
	open := false
	err = p.tx.QueryRow(ctx, "SELECT EXISTS (SELECT FROM request WHERE incident_id = $1 AND kind = $2 AND state = 'open')", p.in.ID, string(m.Kind)).Scan(&open)
	if err != nil {
		return err
	}
	if open {
		return refuse("this was asked for already and waits for a decision")
	}
	if err := p.next(ctx, "request"); err != nil {
		return err
	}
	var value, unit, until any
	p.kind, p.text, p.why = "request", m.Reason, m.Reason
	p.data["request"], p.data["kind"] = p.n, m.Kind
	switch m.Kind {
	case dispatch.ForExtension:
		value, unit = m.By.Value, string(m.By.Unit)
		p.data["value"], p.data["unit"] = value, unit
	case dispatch.ForSuspension:
		until = m.Until
		p.data["until"] = m.Until
	}
	p.b.Queue(`INSERT INTO request (incident_id, n, kind, stage, reason, value, unit, until, asked_by, asked_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
		p.in.ID, p.n, string(m.Kind), f.Stage.N, m.Reason, value, unit, until, p.actor.ID, p.now)
	return nil
}

// extensions is how often a stage's limit was put off, the times before it was handed
// on within its level included.
func extensions(ctx context.Context, tx pgx.Tx, incident int64, stage int) (n int, err error) {
	err = tx.QueryRow(ctx, "SELECT extensions FROM incident_stage WHERE incident_id = $1 AND n = $2", incident, stage).Scan(&n)
	return n, err
}

// Decision approves or refuses a request; an approval carries it out.
type Decision struct {
	N       int
	Approve bool
	Reason  string // of a refusal it is needed
}

func (*Decision) right() (auth.Action, auth.Resource) { return auth.Approve, auth.Request }

func (m *Decision) set(ctx context.Context, p *pen) error {
	var r dispatch.Request
	var state, askedBy, unit string
	var stage int
	var until *time.Time
	err := p.tx.QueryRow(ctx, `SELECT kind, state, stage, reason, coalesce(value, 0), coalesce(unit, ''), until, asked_by FROM request WHERE incident_id = $1 AND n = $2`,
		p.in.ID, m.N).Scan(&r.Kind, &state, &stage, &r.Reason, &r.By.Value, &unit, &until, &askedBy)
	if errors.Is(err, pgx.ErrNoRows) {
		return store.ErrNotFound
	}
	if err != nil {
		return err
	}
	r.By.Unit = calendar.Unit(unit)
	if until != nil {
		r.Until = *until
	}
	earlier, err := extensions(ctx, p.tx, p.in.ID, stage)
	if err != nil {
		return err
	}
	switch err := dispatch.MayDecide(r.Kind, earlier, p.actor.Role); {
	case state != "open":
		return refuse("this request is " + state + " already")
	case askedBy == p.actor.ID:
		return &dispatch.GuardError{Err: ErrSamePerson}
	case err != nil:
		return err
	case !m.Approve && m.Reason == "":
		return dispatch.ErrReasonMissing
	}
	p.n = m.N
	p.data["request"], p.data["kind"], p.data["approved"] = m.N, r.Kind, m.Approve
	p.kind, p.text, p.why = "decision", m.Reason, m.Reason
	outcome := "refused"
	if m.Approve {
		outcome = "approved"
	}
	// Before it is carried out: an act that ends the incident lapses what is open.
	if _, err := p.tx.Exec(ctx, "UPDATE request SET state = $3, decided_by = $4, decided_at = $5, answer = $6 WHERE incident_id = $1 AND n = $2",
		p.in.ID, m.N, outcome, p.actor.ID, p.now, m.Reason); err != nil || !m.Approve {
		return err
	}
	if r.Kind == dispatch.ForExtension {
		return p.extend(ctx, r, stage, earlier)
	}
	act := dispatch.Act{Action: dispatch.Action(r.Kind), Role: p.actor.Role, Reason: r.Reason, Until: r.Until, Request: m.N}
	p.in, err = p.l.step(ctx, p.tx, p.actor, Command{RequestID: p.c.RequestID}, p.in, act)
	p.kind = "" // the act has an entry of its own, which names the request
	return err
}

// extend puts the running stage's limit off.
func (p *pen) extend(ctx context.Context, r dispatch.Request, stage, earlier int) error {
	f, err := p.l.facts(ctx, p.tx, p.actor, p.in, dispatch.Act{})
	if err != nil {
		return err
	}
	if f.Stage.N != stage {
		return &dispatch.GuardError{Err: dispatch.ErrOtherStage}
	}
	s, err := dispatch.PutOff(f, r.By, earlier)
	if err != nil {
		return err
	}
	c := dispatch.ClockOf(p.in.Incident, f.Stage)
	p.kind, p.data["was"], p.data["due"] = "extend", p.in.StageDue, s.Due
	p.in.StageDue, p.in.DueRule = s.Due, s.Rule
	p.in.Settle()
	p.b.Queue("UPDATE incident SET stage_due = $2, due_rule = $3 WHERE id = $1", p.in.ID, p.in.StageDue, p.in.DueRule)
	clocks := p.l.o.Catalogue.Now().Clocks
	c.Due, c.Rule, c.Provisional = *p.in.StageDue, s.Rule, s.Provisional
	c.Extensions++
	c.Moves++
	store.SaveClock(p.b, p.in.ID, c)
	store.Arm(p.b, p.in.ID, c, dispatch.Rungs(c, clocks.Ladder, clocks.Calendar), p.l.o.Now())
	return nil
}

// lapse ends the open requests that a change makes pointless: all when the incident
// ends, an extension when its stage does.
func lapse(b *pgx.Batch, in store.Incident, ch dispatch.Change, now time.Time) {
	if in.State.Open() && ch.Stage == nil {
		return
	}
	b.Queue("UPDATE request SET state = 'lapsed', decided_at = $2 WHERE incident_id = $1 AND state = 'open' AND ($3 OR kind = 'extend')", in.ID, now, !in.State.Open())
}
