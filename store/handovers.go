// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"onemap/auth"
)

// Handover is what one turn of a county's desk tells the next.
type Handover struct {
	ID         int64
	Root       string // code of the county
	Note       string
	Incidents  []Incident // open P1 and P2 then that the reader sees, as they stand now
	MadeBy     string
	MadeAt     time.Time
	AcceptedBy string // "" while nobody has
	AcceptedAt *time.Time
}

// ErrOwnHandover refuses to accept one's own hand-over; ErrAccepted one that somebody
// accepted before.
var (
	ErrOwnHandover = errors.New("a hand-over is accepted by the next one on the desk, not by who made it")
	ErrAccepted    = errors.New("this hand-over is accepted already")
)

// UrgentIncidents lists the open incidents of priority 1 and 2 in scope between two
// grid numbers, the most urgent first, then the oldest. At most limit.
func UrgentIncidents(ctx context.Context, tx Querier, s auth.Scope, in auth.Interval, limit int) ([]Incident, error) {
	q := selectIncidents(auth.CaseView).add(" WHERE i.open AND i.priority <= 2 AND NOT i.history AND i.grid_no BETWEEN ? AND ? AND ", in.Lo, in.Hi).incidentsInScope(s, "i")
	return urgent(ctx, tx, q, limit)
}

func urgent(ctx context.Context, tx Querier, q *query, limit int) ([]Incident, error) {
	q.add(" ORDER BY i.priority, i.reported_at, i.id LIMIT ?", limit)
	rows, err := tx.Query(ctx, q.sql.String(), q.args...)
	if err != nil {
		return nil, fmt.Errorf("store: urgent incidents: %w", err)
	}
	out, err := pgx.CollectRows(rows, scanIncident)
	if err != nil {
		return nil, fmt.Errorf("store: urgent incidents: %w", err)
	}
	return out, nil
}

// SaveHandover writes a hand-over; the caller has checked it.
func SaveHandover(ctx context.Context, tx pgx.Tx, h Handover) (int64, error) {
	ids := make([]int64, len(h.Incidents))
	for i, in := range h.Incidents {
		ids[i] = in.ID
	}
	var id int64
	err := tx.QueryRow(ctx, "INSERT INTO handover (root_code, note, incidents, made_by, made_at) VALUES ($1, $2, $3, $4, $5) RETURNING id",
		h.Root, h.Note, ids, h.MadeBy, h.MadeAt).Scan(&id)
	if err != nil {
		return 0, fmt.Errorf("store: save a hand-over: %w", err)
	}
	return id, nil
}

// AcceptHandover notes who takes the desk over. see says whether the caller may know
// of the county with this root. Errors: ErrNotFound, ErrOwnHandover, ErrAccepted.
func AcceptHandover(ctx context.Context, tx pgx.Tx, see func(root string) bool, id int64, by string, now time.Time) (Handover, error) {
	var h Handover
	var accepted *string
	err := tx.QueryRow(ctx, "SELECT id, root_code, made_by, accepted_by FROM handover WHERE id = $1 FOR UPDATE", id).Scan(&h.ID, &h.Root, &h.MadeBy, &accepted)
	switch {
	case errors.Is(err, pgx.ErrNoRows), err == nil && !see(h.Root):
		return h, fmt.Errorf("store: hand-over %d: %w", id, ErrNotFound)
	case err != nil:
		return h, fmt.Errorf("store: hand-over %d: %w", id, err)
	case accepted != nil:
		return h, ErrAccepted
	case h.MadeBy == by:
		return h, ErrOwnHandover
	}
	if _, err := tx.Exec(ctx, "UPDATE handover SET accepted_by = $2, accepted_at = $3 WHERE id = $1", id, by, now); err != nil {
		return h, fmt.Errorf("store: accept hand-over %d: %w", id, err)
	}
	return h, nil
}

// Handovers lists the hand-overs of the counties with these roots, the newest first,
// with those of their incidents that are in scope; one alone by its id, 0 for all.
// before is the id of the last one of a page before, 0 for the first page.
func Handovers(ctx context.Context, tx Querier, s auth.Scope, roots []string, id, before int64, limit int) ([]Handover, error) {
	rows, err := tx.Query(ctx, `SELECT id, root_code, note, incidents, made_by, made_at, coalesce(accepted_by, ''), accepted_at FROM handover
		WHERE root_code = ANY ($1) AND ($2 = 0 OR id = $2) AND ($3 = 0 OR id < $3) ORDER BY id DESC LIMIT $4`, roots, id, before, limit)
	if err != nil {
		return nil, fmt.Errorf("store: hand-overs: %w", err)
	}
	named := map[int64][]int64{}
	out, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (h Handover, err error) {
		var ids []int64
		err = row.Scan(&h.ID, &h.Root, &h.Note, &ids, &h.MadeBy, &h.MadeAt, &h.AcceptedBy, &h.AcceptedAt)
		named[h.ID] = ids
		return h, err
	})
	if err != nil {
		return nil, fmt.Errorf("store: hand-overs: %w", err)
	}
	for i := range out {
		q := selectIncidents(auth.CaseView).add(" WHERE i.id = ANY (?) AND ", named[out[i].ID]).incidentsInScope(s, "i")
		if out[i].Incidents, err = urgent(ctx, tx, q, len(named[out[i].ID])); err != nil {
			return nil, err
		}
	}
	return out, nil
}
