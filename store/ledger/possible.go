// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"onemap/auth"
	"onemap/dispatch"
	"onemap/store"
)

// Possible lists the acts that an actor may take by hand on an incident that it has
// read: none of them is refused for what is known now. It looks in db and changes
// nothing. What is asked for under another version may be refused.
func (l *Ledger) Possible(ctx context.Context, db *store.DB, actor auth.Actor, in store.Incident) (out []dispatch.Choice, err error) {
	err = db.InTx(ctx, func(tx pgx.Tx) error {
		out, err = l.possible(ctx, tx, actor, in)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("ledger: what is possible with incident %d: %w", in.ID, err)
	}
	return out, nil
}

// sayPossible lets the refusal of a wrong state name what Possible would.
func (l *Ledger) sayPossible(ctx context.Context, tx pgx.Tx, actor auth.Actor, in store.Incident, state *dispatch.StateError) error {
	choices, err := l.possible(ctx, tx, actor, in)
	if err != nil {
		return err
	}
	state.Possible = []dispatch.Action{}
	for _, c := range choices {
		state.Possible = append(state.Possible, c.Action)
	}
	return state
}

// possible asks in turn whatever would refuse an act: the policy, who leads, the machine
// and its guards.
func (l *Ledger) possible(ctx context.Context, tx pgx.Tx, actor auth.Actor, in store.Incident) ([]dispatch.Choice, error) {
	d, err := auth.Decide(actor, auth.Write, auth.IncidentData)
	if err == nil {
		err = leads(ctx, tx, d.Scope, in)
	}
	switch {
	case errors.Is(err, auth.ErrForbidden), errors.Is(err, auth.ErrLocked), errors.Is(err, ErrAssists), errors.Is(err, ErrNotLead):
		return []dispatch.Choice{}, nil
	case err != nil:
		return nil, err
	}
	f := l.known(in)
	switch in.State {
	case dispatch.Reported:
		err = l.onTheSpot(ctx, tx, actor, in, &f)
	case dispatch.Closed:
		err = unsatisfied(ctx, tx, in, &f)
	}
	if err == nil && in.State.Open() {
		f.NoLiaison, err = l.noLiaison(ctx, tx, f.Department, in, f.Now)
	}
	if err != nil {
		return nil, err
	}
	return dispatch.Choices(f, actor.Role), nil
}
