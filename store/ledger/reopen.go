// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"context"

	"github.com/jackc/pgx/v5"

	"onemap/auth"
	"onemap/dispatch"
	"onemap/store"
)

// here is where a place lies in the grids in force, for an incident that stands in
// former ones; a county that has none any more keeps it where it is (nil). Whoever is
// given it holds the grids.
func (l *Ledger) here(ctx context.Context, p dispatch.Place) (*dispatch.Place, error) {
	t := l.o.Catalogue.Now().Tree
	path, err := l.o.Catalogue.Path(ctx, p.GridID)
	if err != nil || len(path) == 0 {
		return nil, err
	}
	for _, root := range t.Roots() {
		if string(t.Nodes()[root].Code) == path[0].Code {
			now := placeIn(t, root, p)
			return &now, nil
		}
	}
	return nil, nil
}

// journalHere notes in the journal of an incident that is reopened where it stood and
// where it stands now, as a redraw does for what is open.
func (l *Ledger) journalHere(ctx context.Context, tx pgx.Tx, actor auth.Actor, in store.Incident, to dispatch.Place) error {
	was, err := l.codes(ctx, in.Place.GridID)
	if err != nil {
		return err
	}
	is, err := l.codes(ctx, to.GridID)
	if err != nil {
		return err
	}
	data, err := gridMove(in.Place, to, was, is)
	if err != nil || data == nil {
		return err
	}
	_, err = tx.Exec(ctx, `INSERT INTO incident_journal (incident_id, n, version, kind, from_state, to_state, actor, at, reason, data)
		SELECT $1, coalesce(max(n), 0) + 1, $2, 'regrid', $3, $3, $4, $5, $6, $7 FROM incident_journal WHERE incident_id = $1`,
		in.ID, in.Version, string(in.State), actor.ID, l.o.Now(), regridReason, data)
	return err
}
