// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"onemap/auth"
	"onemap/dispatch"
	"onemap/feed"
	"onemap/store"
)

// Remark is what is done about an incident beside moving it. It leaves the version as
// it is, but for a decision that carries an act out.
type Remark struct {
	Incident int64
	Version  int // the version the actor saw; 0 for any
	Matter   Matter
}

// Matter is what a remark is about: Note, Ask, Decision, Instruct, InstructionReply, Session,
// Confirm, Assist, CalledBack.
type Matter interface {
	// right is what the actor needs.
	right() (auth.Action, auth.Resource)
	// set does it to the incident that p has locked.
	set(ctx context.Context, p *pen) error
}

// pen writes one remark: what its matter reads and leaves behind.
type pen struct {
	l      *Ledger
	tx     pgx.Tx
	actor  auth.Actor
	c      Command
	in     store.Incident
	before feed.Audience
	now    time.Time
	b      *pgx.Batch
	n      int    // number of what it made or changed
	kind   string // of its journal entry; "" where an act left one of its own
	text   string // for the journal
	why    string // for the audit: why something is asked or decided; no text of the case
	data   map[string]any
}

// remark carries out a remark.
func (l *Ledger) remark(ctx context.Context, actor auth.Actor, c Command) (res Result, err error) {
	err = l.o.DB.InTx(ctx, func(tx pgx.Tx) error {
		first, done, err := l.claim(ctx, tx, actor, c)
		switch {
		case err != nil:
		case done:
			if res, err = repeated(ctx, tx, actor, first); err == nil {
				res.N, err = c.numbered(ctx, tx, actor)
			}
		default:
			res, err = l.setDown(ctx, tx, actor, c)
		}
		return err
	})
	return res, gridsChanged(err)
}

func (l *Ledger) setDown(ctx context.Context, tx pgx.Tx, actor auth.Actor, c Command) (Result, error) {
	r := c.Remark
	d, err := auth.Decide(actor, first(r.Matter.right()), second(r.Matter.right()))
	if err != nil {
		return Result{}, err
	}
	in, err := store.FindIncident(ctx, tx, d.Scope, auth.CaseView, r.Incident, true)
	if err != nil {
		return Result{}, err
	}
	if r.Version != 0 && in.Version != r.Version {
		return Result{}, &VersionError{Have: in.Version, Want: r.Version}
	}
	p := &pen{l: l, tx: tx, actor: actor, c: c, in: in, before: l.audience(in), now: l.o.Now().UTC().Truncate(time.Microsecond), b: &pgx.Batch{}, data: map[string]any{}}
	if _, note := r.Matter.(*Note); !note {
		if err := leads(ctx, tx, d.Scope, in); err != nil {
			return Result{}, err
		}
	}
	if err := r.Matter.set(ctx, p); err != nil {
		return Result{}, err
	}
	c.keepNumbered(p.b, actor, in.ID, p.n)
	if p.kind != "" {
		if err := p.record(ctx); err != nil {
			return Result{}, err
		}
	}
	return Result{Incident: p.in, N: p.n}, tx.SendBatch(ctx, p.b).Close()
}

func first(a auth.Action, _ auth.Resource) auth.Action    { return a }
func second(_ auth.Action, r auth.Resource) auth.Resource { return r }

// record queues the journal entry, the audit entry and the event of a remark.
func (p *pen) record(ctx context.Context) error {
	var data []byte
	if len(p.data) > 0 {
		var err error
		if data, err = json.Marshal(p.data); err != nil {
			return err
		}
	}
	p.b.Queue(`INSERT INTO incident_journal (incident_id, n, version, kind, from_state, to_state, actor, at, reason, data)
		SELECT $1, (SELECT coalesce(max(n), 0) + 1 FROM incident_journal WHERE incident_id = $1), $2, $3, $4, $4, $5, $6, $7, $8`,
		p.in.ID, p.in.Version, p.kind, string(p.in.State), p.actor.ID, p.now, p.text, data)
	if err := audit(p.b, p.actor, p.c.RequestID, "incident."+p.kind, fmt.Sprintf("incident/%d", p.in.ID), p.why, p.data); err != nil {
		return err
	}
	e, err := p.l.event(ctx, p.in, "incident.changed", p.before, p.now)
	if err != nil {
		return err
	}
	return emit(p.b, e)
}

// next draws the number of a new row of table: they count within the incident, which
// is locked.
func (p *pen) next(ctx context.Context, table string) error {
	var sql string
	switch table {
	case "request":
		sql = "SELECT coalesce(max(n), 0) + 1 FROM request WHERE incident_id = $1"
	case "instruction":
		sql = "SELECT coalesce(max(n), 0) + 1 FROM instruction WHERE incident_id = $1"
	default:
		sql = "SELECT coalesce(max(n), 0) + 1 FROM joint_session WHERE incident_id = $1"
	}
	return p.tx.QueryRow(ctx, sql, p.in.ID).Scan(&p.n)
}

// incidentWrite is the right to move an incident on.
func incidentWrite() (auth.Action, auth.Resource) { return auth.Write, auth.IncidentData }

// Note is a note in the journal.
type Note struct{ Text string }

func (*Note) right() (auth.Action, auth.Resource) { return incidentWrite() }

func (m *Note) set(_ context.Context, p *pen) error {
	p.kind, p.text = "note", m.Text
	return nil
}

// Assist asks a department to assist, or releases it.
type Assist struct {
	Department int64
	Release    bool
}

func (*Assist) right() (auth.Action, auth.Resource) { return incidentWrite() }

func (m *Assist) set(_ context.Context, p *pen) error {
	if !dispatch.MayHelp(p.actor.Role) {
		return &dispatch.RoleError{Action: "assist", Role: p.actor.Role}
	}
	if !p.in.State.Open() {
		return refuse("the incident is over: nobody assists any more")
	}
	if m.Department == p.in.Department {
		return refuse("this department leads already")
	}
	p.kind, p.data["department"] = "assist", p.l.o.Catalogue.Now().DeptNames[m.Department]
	kept := p.in.Assistants[:0:0]
	for _, d := range p.in.Assistants {
		if d != m.Department {
			kept = append(kept, d)
		}
	}
	assists := len(kept) < len(p.in.Assistants)
	switch {
	case m.Release && !assists:
		return refuse("this department does not assist")
	case m.Release:
		p.kind = "release"
		p.b.Queue("UPDATE incident_assistant SET until = $3 WHERE incident_id = $1 AND department_id = $2 AND until IS NULL", p.in.ID, m.Department, p.now)
	case assists:
		return refuse("this department assists already")
	default:
		kept = append(kept, m.Department)
		p.b.Queue(`INSERT INTO incident_assistant (incident_id, department_id, since) VALUES ($1, $2, $3)
			ON CONFLICT (incident_id, department_id) DO UPDATE SET since = excluded.since, until = NULL`, p.in.ID, m.Department, p.now)
	}
	p.in.Assistants = kept
	return nil
}

// refuse is a remark that the incident as it stands does not allow.
func refuse(why string) error { return &dispatch.GuardError{Err: fmt.Errorf("%s", why)} }
