// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"onemap/auth"
	"onemap/dispatch"
	"onemap/store"
)

// Instruct writes a leader's instruction 批示 on an incident: it never moves the owner.
type Instruct struct {
	Text string
	Due  time.Time
}

func (*Instruct) right() (auth.Action, auth.Resource) { return auth.Write, auth.Instruction }

func (m *Instruct) set(ctx context.Context, p *pen) error {
	if !p.in.State.Open() {
		return refuse("the incident is over: an instruction would reach nobody")
	}
	if !m.Due.After(p.now) {
		return refuse("the instruction's due time must lie ahead")
	}
	if err := p.next(ctx, "instruction"); err != nil {
		return err
	}
	p.kind, p.text, p.data["instruction"], p.data["due"] = "instruction", m.Text, p.n, m.Due
	p.b.Queue("INSERT INTO instruction (incident_id, n, body, due, given_by, given_at) VALUES ($1, $2, $3, $4, $5, $6)",
		p.in.ID, p.n, m.Text, m.Due, p.actor.ID, p.now)
	return nil
}

// InstructionReply answers an instruction, once.
type InstructionReply struct {
	N    int
	Text string
}

func (*InstructionReply) right() (auth.Action, auth.Resource) { return incidentWrite() }

func (m *InstructionReply) set(ctx context.Context, p *pen) error {
	var by *string
	err := p.tx.QueryRow(ctx, "SELECT replied_by FROM instruction WHERE incident_id = $1 AND n = $2", p.in.ID, m.N).Scan(&by)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return store.ErrNotFound
	case err != nil:
		return err
	case by != nil:
		return refuse("this instruction was answered already, by " + *by)
	}
	p.n, p.kind, p.text, p.data["instruction"] = m.N, "reply", m.Text, m.N
	p.b.Queue("UPDATE instruction SET reply = $3, replied_by = $4, replied_at = $5 WHERE incident_id = $1 AND n = $2", p.in.ID, m.N, m.Text, p.actor.ID, p.now)
	return nil
}

// Session calls a joint session 会商. N is 0 for a new one; one that is not confirmed
// may be changed as a whole, by who has read it as it is.
type Session struct {
	N        int
	Ver      int // the version of it that the actor saw
	At       time.Time
	Place    string
	FollowUp string
	Seats    []store.Seat
}

func (*Session) right() (auth.Action, auth.Resource) { return incidentWrite() }

func (m *Session) set(ctx context.Context, p *pen) error {
	if !dispatch.MayHelp(p.actor.Role) {
		return &dispatch.RoleError{Action: "session", Role: p.actor.Role}
	}
	seats, err := m.seats(ctx, p)
	if err != nil {
		return err
	}
	raw, err := json.Marshal(seats)
	if err != nil {
		return err
	}
	p.kind, p.data["at"] = "session", m.At
	if m.N == 0 {
		if !p.in.State.Open() {
			return refuse("the incident is over")
		}
		if err := p.next(ctx, "session"); err != nil {
			return err
		}
		p.b.Queue("INSERT INTO joint_session (incident_id, n, at, place, follow_up, seats, called_by, called_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
			p.in.ID, p.n, m.At, m.Place, m.FollowUp, raw, p.actor.ID, p.now)
	} else {
		if _, err := p.session(ctx, m.N, m.Ver); err != nil {
			return err
		}
		p.b.Queue("UPDATE joint_session SET at = $3, place = $4, follow_up = $5, seats = $6, ver = ver + 1, changed_by = $7, changed_at = $8 WHERE incident_id = $1 AND n = $2",
			p.in.ID, m.N, m.At, m.Place, m.FollowUp, raw, p.actor.ID, p.now)
	}
	p.data["session"] = p.n
	return nil
}

// seats are the roles of the centre, in order, with who takes each. A role that the
// centre does not have is refused.
func (m *Session) seats(ctx context.Context, p *pen) ([]store.Seat, error) {
	roles, err := store.SessionRoles(ctx, p.tx)
	if err != nil {
		return nil, err
	}
	out := make([]store.Seat, len(roles))
	for i, r := range roles {
		out[i].Role = r
	}
	for _, s := range m.Seats {
		i := slices.Index(roles, s.Role)
		if i < 0 {
			return nil, &RoleNameError{Role: s.Role, Have: roles}
		}
		out[i].Holder = s.Holder
	}
	return out, nil
}

// RoleNameError refuses a seat of a role that joint sessions here do not have.
type RoleNameError struct {
	Role string
	Have []string
}

func (e *RoleNameError) Error() string {
	return fmt.Sprintf("a joint session here has no role %q: take one of %s", e.Role, strings.Join(e.Have, ", "))
}

// session reads a session that is not confirmed, and is as the actor saw it.
func (p *pen) session(ctx context.Context, n, seen int) (s store.JointSession, err error) {
	err = p.tx.QueryRow(ctx, "SELECT follow_up, seats, confirmed_by, ver, coalesce(changed_by, called_by) FROM joint_session WHERE incident_id = $1 AND n = $2", p.in.ID, n).
		Scan(&s.FollowUp, &s.Seats, &s.ConfirmedBy, &s.Ver, &s.ChangedBy)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		err = store.ErrNotFound
	case err != nil:
	case s.ConfirmedBy != nil:
		err = refuse("this session is confirmed, by " + *s.ConfirmedBy + ": call another one")
	case s.Ver != seen:
		err = refuse(fmt.Sprintf("this session was changed since it was read, last by %s: it is at version %d, not %d; read it again", *s.ChangedBy, s.Ver, seen))
	}
	p.n = n
	return s, err
}

// Confirm confirms a joint session whose seats are all taken, as the actor saw it.
type Confirm struct{ N, Ver int }

func (*Confirm) right() (auth.Action, auth.Resource) { return incidentWrite() }

func (m *Confirm) set(ctx context.Context, p *pen) error {
	if !dispatch.MayHelp(p.actor.Role) {
		return &dispatch.RoleError{Action: "session", Role: p.actor.Role}
	}
	s, err := p.session(ctx, m.N, m.Ver)
	if err != nil {
		return err
	}
	var open []string
	for _, seat := range s.Seats {
		if seat.Holder == "" {
			open = append(open, seat.Role)
		}
	}
	switch {
	case len(open) > 0:
		return refuse("the session cannot be confirmed while nobody takes the seat of " + strings.Join(open, ", "))
	case s.FollowUp == "":
		return refuse("the session cannot be confirmed before it says who follows up")
	}
	p.kind, p.data["session"] = "session_confirmed", m.N
	p.b.Queue("UPDATE joint_session SET confirmed_by = $3, confirmed_at = $4 WHERE incident_id = $1 AND n = $2", p.in.ID, m.N, p.actor.ID, p.now)
	return nil
}
