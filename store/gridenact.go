// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/jackc/pgx/v5"

	"onemap/feed"
)

// The steps of enacting a version, each in the caller's transaction. Package ledger
// puts them together; DB.Enact does where nothing has to move.

// numberingLock keeps two versions from drawing grid numbers, or from being enacted,
// at the same time: each version's numbers are one interval.
const numberingLock = 0x67726964

// HoldDraft returns a version that can be enacted now, and keeps it and the version
// in force as they are until the end of tx. Errors: ErrNotFound, ErrNotDraft, ErrBase.
func HoldDraft(ctx context.Context, tx pgx.Tx, version int32) (GridVersion, error) {
	if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1)", numberingLock); err != nil {
		return GridVersion{}, err
	}
	v, err := FindGridVersion(ctx, tx, Counties{Every: true}, version)
	if err != nil {
		return v, err
	}
	return v, v.Enactable(ctx, tx)
}

// HoldInForce keeps v in force until the end of tx; false when it no longer is.
func HoldInForce(ctx context.Context, tx pgx.Tx, v GridVersion) (bool, error) {
	if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1)", numberingLock); err != nil {
		return false, err
	}
	now, err := VersionInForce(ctx, tx, v.Root)
	return now == v.ID, err
}

// HoldCounty waits for the reports of v's county that are being stored, and keeps
// new ones out until the end of tx: each holds the version it was placed by.
func HoldCounty(ctx context.Context, tx pgx.Tx, v GridVersion) error {
	if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1::integer, $2::integer)", numberingLock, v.Base); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, "SELECT FROM grid_version WHERE root_code = $1 ORDER BY id FOR UPDATE", v.Root)
	return err
}

// TryHoldGrids keeps a version in force until the end of tx, as a report does by
// hold_grids, but never waits: false when a redraw is about to end it, or waits to. It
// is for whoever has locked an incident: a redraw locks incidents before and after it
// keeps reports out, so that two who waited for each other would never end.
func TryHoldGrids(ctx context.Context, tx Querier, version int32) (ok bool, err error) {
	err = tx.QueryRow(ctx, "SELECT pg_try_advisory_xact_lock_shared($1::integer, $2::integer)", numberingLock, version).Scan(&ok)
	return ok, err
}

// NumberDraft gives the grids of a draft the next free numbers, in pre-order,
// children by code, unless they have some. An event tells the nodes: from then on
// everybody's scope takes the numbers in, so that nobody loses sight of anything
// when the draft is enacted.
func NumberDraft(ctx context.Context, tx pgx.Tx, v GridVersion) error {
	if v.NumberedAt != nil {
		return nil
	}
	type row struct{ ID, Parent int64 }
	rows, err := tx.Query(ctx, `SELECT id, coalesce(parent_id, 0) AS parent FROM grid WHERE version_id = $1 ORDER BY code COLLATE "C"`, v.ID)
	if err != nil {
		return err
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[row])
	if err != nil {
		return err
	}
	var nos []int32
	if err := tx.QueryRow(ctx, "SELECT array_agg(nextval('grid_number')::integer) FROM generate_series(1, $1)", len(all)).Scan(&nos); err != nil {
		return err
	}
	slices.Sort(nos)
	children := map[int64][]row{}
	for _, r := range all {
		children[r.Parent] = append(children[r.Parent], r)
	}
	var ids []int64
	lasts := make([]int32, 0, len(all))
	var walk func(r row)
	walk = func(r row) {
		at := len(ids)
		ids, lasts = append(ids, r.ID), append(lasts, 0)
		for _, c := range children[r.ID] {
			walk(c)
		}
		lasts[at] = nos[len(ids)-1]
	}
	for _, r := range children[0] {
		walk(r)
	}
	if _, err = tx.Exec(ctx, `UPDATE grid g SET no = u.no, last_no = u.last_no
		FROM unnest($1::bigint[], $2::integer[], $3::integer[]) AS u (id, no, last_no) WHERE g.id = u.id`, ids, nos[:len(ids)], lasts); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, "UPDATE grid_version SET numbered_at = clock_timestamp() WHERE id = $1", v.ID); err != nil {
		return err
	}
	return tellGrids(ctx, tx, "grids.numbered", v)
}

// PutInForce makes a numbered draft the version in force and retires the one before.
// The caller holds the county.
func PutInForce(ctx context.Context, tx pgx.Tx, v GridVersion) error {
	b := &pgx.Batch{}
	b.Queue("UPDATE grid_version SET state = 'retired', retired_at = now() WHERE root_code = $1 AND state = 'enacted'", v.Root)
	b.Queue("UPDATE grid_version SET state = 'enacted', enacted_at = now(), replaced_id = base_id WHERE id = $1", v.ID)
	b.Queue("DELETE FROM grid_plan WHERE version_id = $1", v.ID)
	return tx.SendBatch(ctx, b).Close()
}

// TellEnacted tells every node, and everybody in the county, that v is in force. It
// comes before the events of what moves.
func TellEnacted(ctx context.Context, tx pgx.Tx, v GridVersion) error {
	return tellGrids(ctx, tx, "grids.enacted", v)
}

func tellGrids(ctx context.Context, tx pgx.Tx, kind string, v GridVersion) error {
	var no int32
	if err := tx.QueryRow(ctx, "SELECT no FROM grid WHERE version_id = $1 AND level = 1", v.ID).Scan(&no); err != nil {
		return err
	}
	audience := feed.Audience{Grid: no}
	if kind == "grids.numbered" {
		audience = feed.Audience{} // for nodes alone
	}
	after, err := json.Marshal(audience)
	if err != nil {
		return err
	}
	shared, err := json.Marshal(map[string]any{"version": v.ID, "code": v.Root, "name": v.Name})
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `INSERT INTO outbox (kind, entity_kind, entity_id, ver, live, occurred_at, after_aud, shared, case_view)
		VALUES ($1, 'grids', $2, $3, 'none', now(), $4, $5, $5)`, kind, v.Root, v.ID, after, shared)
	return err
}

// OpenToMove are the ids of the open incidents of v's county that stand in a grid of
// another version, in order.
func OpenToMove(ctx context.Context, tx pgx.Tx, v GridVersion) ([]int64, error) {
	rows, err := tx.Query(ctx, `SELECT i.id FROM incident i JOIN grid g ON g.id = i.grid_id JOIN grid_version gv ON gv.id = g.version_id
		WHERE i.open AND gv.root_code = $1 AND gv.id <> $2 ORDER BY i.id`, v.Root, v.ID)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[int64])
}

// OpenIncidents returns those of some incidents that are open, with whose work they
// are and who assists; lock keeps them as they are until the end of tx.
func OpenIncidents(ctx context.Context, tx pgx.Tx, ids []int64, lock bool) ([]Incident, error) {
	var q query
	q.add("SELECT "+incidentColumns+fromIncident+" WHERE i.open AND i.id = ANY(?) ORDER BY i.id", ids)
	if lock {
		q.add(" FOR UPDATE OF i")
	}
	rows, err := tx.Query(ctx, q.sql.String(), q.args...)
	if err != nil {
		return nil, err
	}
	ins, err := pgx.CollectRows(rows, scanIncident)
	if err != nil {
		return nil, err
	}
	at := make(map[int64]int, len(ins))
	for i, in := range ins {
		at[in.ID] = i
	}
	rows, err = tx.Query(ctx, `SELECT incident_id, array_agg(DISTINCT worker_id) FROM incident_worker WHERE until IS NULL AND incident_id = ANY($1) GROUP BY 1`, ids)
	if err != nil {
		return nil, err
	}
	var id int64
	var workers []int64
	_, err = pgx.ForEachRow(rows, []any{&id, &workers}, func() error {
		if i, ok := at[id]; ok {
			ins[i].Workers = slices.Clone(workers)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	rows, err = tx.Query(ctx, `SELECT incident_id, array_agg(department_id ORDER BY department_id) FROM incident_assistant WHERE until IS NULL AND incident_id = ANY($1) GROUP BY 1`, ids)
	if err != nil {
		return nil, err
	}
	var assistants []int64
	_, err = pgx.ForEachRow(rows, []any{&id, &assistants}, func() error {
		if i, ok := at[id]; ok {
			ins[i].Assistants = slices.Clone(assistants)
		}
		return nil
	})
	return ins, err
}
