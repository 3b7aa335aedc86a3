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
	"onemap/dispatch"
)

const stageColumns = "n, level, coalesce(department_id, 0), started_at, ack_due, due, due_rule, provisional, paused_at, ended_at," +
	" coalesce(limit_value, 0), coalesce(limit_unit, ''), extensions, moves, stood"

func scanStage(row pgx.CollectableRow) (s dispatch.Stage, err error) {
	err = row.Scan(&s.N, &s.Level, &s.Department, &s.StartedAt, &s.AckDue, &s.Due, &s.Rule, &s.Provisional, &s.PausedAt, &s.EndedAt,
		&s.Limit.Value, &s.Limit.Unit, &s.Extensions, &s.Moves, &s.Stood)
	for _, t := range []*time.Time{&s.StartedAt, s.AckDue, s.Due, s.PausedAt, s.EndedAt} {
		if t != nil {
			*t = t.UTC()
		}
	}
	return s, err
}

// LastStage is the running stage of an open incident, and the last of a closed one;
// the zero Stage for an incident of the past that came without any.
func LastStage(ctx context.Context, tx Querier, incident int64) (dispatch.Stage, error) {
	rows, err := tx.Query(ctx, "SELECT "+stageColumns+" FROM incident_stage WHERE incident_id = $1 ORDER BY n DESC LIMIT 1", incident)
	if err != nil {
		return dispatch.Stage{}, fmt.Errorf("store: stage of incident %d: %w", incident, err)
	}
	s, err := pgx.CollectExactlyOneRow(rows, scanStage)
	if errors.Is(err, pgx.ErrNoRows) {
		return dispatch.Stage{}, nil
	}
	return s, err
}

// Stages are all stages of an incident, the first report's first, or ErrNotFound.
func (db *DB) Stages(ctx context.Context, s auth.Scope, v auth.View, id int64) ([]dispatch.Stage, error) {
	if _, err := db.Incident(ctx, s, v, id); err != nil {
		return nil, err
	}
	return stagesOf(ctx, db.Pool, id)
}

func stagesOf(ctx context.Context, tx Querier, id int64) ([]dispatch.Stage, error) {
	rows, err := tx.Query(ctx, "SELECT "+stageColumns+" FROM incident_stage WHERE incident_id = $1 ORDER BY n", id)
	if err != nil {
		return nil, fmt.Errorf("store: stages of incident %d: %w", id, err)
	}
	out, err := pgx.CollectRows(rows, scanStage)
	if err != nil {
		return nil, fmt.Errorf("store: stages of incident %d: %w", id, err)
	}
	return out, nil
}
