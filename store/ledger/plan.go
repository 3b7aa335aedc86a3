// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"onemap/auth"
	"onemap/store"
)

// PlanEnactment plans inside tx that a draft becomes the boundaries in force at a
// time; a plan it has is replaced. Whether it can be is looked at by the caller, and
// again when the time has come.
func PlanEnactment(ctx context.Context, tx pgx.Tx, actor auth.Actor, version int32, p store.GridPlan, now time.Time) error {
	if err := store.SavePlan(ctx, tx, version, p, now); err != nil {
		return err
	}
	return Audit(ctx, tx, actor, p.RequestID, "grids.plan", VersionName(version), p.Reason,
		map[string]any{"version": version, "at": p.At, "accept_faults": p.AcceptFaults})
}

// CancelEnactment takes a plan back inside tx: store.ErrNoPlan when there is none.
func CancelEnactment(ctx context.Context, tx pgx.Tx, actor auth.Actor, requestID string, v store.GridVersion) error {
	if err := store.DropPlan(ctx, tx, v.ID); err != nil {
		return err
	}
	return Audit(ctx, tx, actor, requestID, "grids.plan_cancel", VersionName(v.ID), "", map[string]any{"version": v.ID})
}

// VersionName is what the audit log calls a boundary set.
func VersionName(id int32) string { return fmt.Sprintf("grids/version/%d", id) }
