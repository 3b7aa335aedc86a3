// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"onemap/geo/grid"
)

// SavePlan plans the enactment of a draft inside tx, in place of any plan it has.
// One that is being carried out is waited for; what is no draft by then is
// ErrNotDraft.
func SavePlan(ctx context.Context, tx pgx.Tx, version int32, p GridPlan, now time.Time) error {
	if p.Tolerance == 0 {
		p.Tolerance = Tolerance
	}
	_, err := tx.Exec(ctx, `INSERT INTO grid_plan (version_id, enact_at, planned_by, planned_at, reason, request_id, tolerance, accept_faults)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (version_id) DO UPDATE SET enact_at = excluded.enact_at, planned_by = excluded.planned_by,
		planned_at = excluded.planned_at, reason = excluded.reason, request_id = excluded.request_id, tolerance = excluded.tolerance,
		accept_faults = excluded.accept_faults, failed = '', failed_at = NULL`,
		version, p.At, p.By, now, p.Reason, p.RequestID, p.Tolerance, p.AcceptFaults)
	var state string
	if err == nil { // a statement of its own: the one above sees what was before it waited
		err = tx.QueryRow(ctx, "SELECT state FROM grid_version WHERE id = $1", version).Scan(&state)
	}
	if err == nil && state != "draft" {
		err = fmt.Errorf("it is %s: %w", state, ErrNotDraft)
	}
	if err != nil {
		return fmt.Errorf("store: plan grid version %d: %w", version, err)
	}
	return nil
}

// DropPlan takes whatever plan a version has away inside tx, one that failed as
// well; without one it is ErrNoPlan. A plan that is being carried out is waited for.
func DropPlan(ctx context.Context, tx pgx.Tx, version int32) error {
	tag, err := tx.Exec(ctx, "DELETE FROM grid_plan WHERE version_id = $1", version)
	return ofPlan(version, tag, err)
}

// TakePlan takes the plan p away inside tx, to carry it out; ErrNoPlan when it was
// cancelled, carried out or replaced by another meanwhile.
func TakePlan(ctx context.Context, tx pgx.Tx, version int32, p GridPlan) error {
	tag, err := tx.Exec(ctx, "DELETE FROM grid_plan WHERE version_id = $1 AND planned_at = $2 AND enact_at = $3 AND failed_at IS NULL", version, p.Made, p.At)
	return ofPlan(version, tag, err)
}

// ofPlan is ErrNoPlan where a statement found no plan of a version.
func ofPlan(version int32, tag pgconn.CommandTag, err error) error {
	if err == nil && tag.RowsAffected() == 0 {
		err = ErrNoPlan
	}
	if err != nil {
		return fmt.Errorf("store: plan of grid version %d: %w", version, err)
	}
	return nil
}

// DuePlan is the plan to enact a version.
type DuePlan struct {
	Version int32
	GridPlan
}

// DuePlans are the enactments that are due at now, the oldest first.
func (db *DB) DuePlans(ctx context.Context, now time.Time) ([]DuePlan, error) {
	rows, err := db.Pool.Query(ctx, `SELECT version_id, enact_at, planned_at, planned_by, reason, request_id, tolerance, accept_faults FROM grid_plan
		WHERE failed_at IS NULL AND enact_at <= $1 ORDER BY enact_at, version_id`, now)
	if err != nil {
		return nil, fmt.Errorf("store: plans that are due: %w", err)
	}
	out, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (p DuePlan, err error) {
		err = r.Scan(&p.Version, &p.At, &p.Made, &p.By, &p.Reason, &p.RequestID, &p.Tolerance, &p.AcceptFaults)
		return p, err
	})
	if err != nil {
		return nil, fmt.Errorf("store: plans that are due: %w", err)
	}
	return out, nil
}

// FailPlan notes inside tx why a plan could not be carried out. It is not tried
// again. ErrNoPlan as with TakePlan.
func FailPlan(ctx context.Context, tx pgx.Tx, p DuePlan, why string, now time.Time) error {
	tag, err := tx.Exec(ctx, `UPDATE grid_plan SET failed = $4, failed_at = $5
		WHERE version_id = $1 AND planned_at = $2 AND enact_at = $3 AND failed_at IS NULL`, p.Version, p.Made, p.At, why, now)
	return ofPlan(p.Version, tag, err)
}

// undoLock keeps two undos of one version from copying at the same time.
const undoLock = 0x756e646f

// CopyToUndo copies the boundaries that v took the place of into a new draft, which
// undoes v. A copy that was made before and not enacted is taken again. Errors:
// ErrNotInForce, ErrNothing.
func (db *DB) CopyToUndo(ctx context.Context, v GridVersion) (back GridVersion, err error) {
	err = db.InTx(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1::integer, $2::integer)", undoLock, v.ID); err != nil {
			return err
		}
		var state string // reports hold this row FOR SHARE: nothing stronger than this lets them go on
		if err := tx.QueryRow(ctx, "SELECT state FROM grid_version WHERE id = $1 FOR KEY SHARE", v.ID).Scan(&state); err != nil {
			return err
		}
		switch {
		case state != "enacted":
			return fmt.Errorf("it is %s: %w", state, ErrNotInForce)
		case v.Replaced == 0:
			return ErrNothing
		}
		var id int32
		err := tx.QueryRow(ctx, "SELECT id FROM grid_version WHERE undoes_id = $1 AND state = 'draft' ORDER BY id LIMIT 1", v.ID).Scan(&id)
		if errors.Is(err, pgx.ErrNoRows) {
			id, err = copyVersion(ctx, tx, v)
		}
		if err != nil {
			return err
		}
		back, err = FindGridVersion(ctx, tx, Counties{Every: true}, id)
		return err
	})
	if err != nil {
		return back, fmt.Errorf("store: undo grid version %d: %w", v.ID, err)
	}
	return back, nil
}

func copyVersion(ctx context.Context, tx pgx.Tx, v GridVersion) (id int32, err error) {
	err = tx.QueryRow(ctx, `INSERT INTO grid_version (root_code, made_up, note, base_id, undoes_id, faults)
		SELECT root_code, made_up, note, $2, $2, faults FROM grid_version WHERE id = $1 RETURNING id`, v.Replaced, v.ID).Scan(&id)
	for level := 1; level <= grid.MaxLevel && err == nil; level++ {
		_, err = tx.Exec(ctx, `INSERT INTO grid (version_id, level, code, name, parent_id, geom)
			SELECT $1, o.level, o.code, o.name, p.id, o.geom
			FROM grid o LEFT JOIN grid op ON op.id = o.parent_id LEFT JOIN grid p ON p.version_id = $1 AND p.code = op.code
			WHERE o.version_id = $2 AND o.level = $3 ORDER BY o.code COLLATE "C"`, id, v.Replaced, level)
	}
	return id, err
}
