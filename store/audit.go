// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"onemap/auth"
)

// AuditEntry is one row of the audit log.
type AuditEntry struct {
	ID        int64
	At        time.Time
	Actor     string
	RequestID string
	Action    string
	Object    string
	Reason    string
	Data      json.RawMessage // nil for none
	Sealed    bool            // the chain holds it
}

// AuditFilter says which entries are wanted; zero fields don't narrow.
type AuditFilter struct {
	From, To time.Time // From <= at < To
	Actor    string
	Action   string // one action, or all that begin with it when it ends in "."
	Object   string
	After    int64 // id of the last entry of the page before
	Limit    int   // default 100
}

// AuditEntries returns entries, newest first, as far as d lets the reader with this
// id see: all, or the reader's own acts. It reads the two tables of the audit alone,
// so that the auditor's database role may run it.
func (db *DB) AuditEntries(ctx context.Context, d auth.Decision, reader string, f AuditFilter) ([]AuditEntry, error) {
	var q query
	q.add(`SELECT l.id, l.at, l.actor, l.request_id, l.action, l.object, l.reason, l.data,
		EXISTS (SELECT FROM audit_seal s WHERE s.audit_id = l.id) FROM audit_log l WHERE `)
	switch d.Reach {
	case auth.Everything:
		q.add("true")
	case auth.Self:
		q.add("l.actor = ?", reader)
	default:
		return nil, nil
	}
	if f.Actor != "" {
		q.add(" AND l.actor = ?", f.Actor)
	}
	if strings.HasSuffix(f.Action, ".") {
		q.add(" AND starts_with(l.action, ?)", f.Action)
	} else if f.Action != "" {
		q.add(" AND l.action = ?", f.Action)
	}
	if f.Object != "" {
		q.add(" AND l.object = ?", f.Object)
	}
	if !f.From.IsZero() {
		q.add(" AND l.at >= ?", f.From)
	}
	if !f.To.IsZero() {
		q.add(" AND l.at < ?", f.To)
	}
	if f.After != 0 {
		q.add(" AND l.id < ?", f.After)
	}
	if f.Limit <= 0 {
		f.Limit = 100
	}
	q.add(" ORDER BY l.id DESC LIMIT ?", f.Limit)
	rows, err := db.Pool.Query(ctx, q.sql.String(), q.args...)
	if err != nil {
		return nil, fmt.Errorf("store: audit: %w", err)
	}
	out, err := pgx.CollectRows(rows, pgx.RowToStructByPos[AuditEntry])
	if err != nil {
		return nil, fmt.Errorf("store: audit: %w", err)
	}
	return out, nil
}

// SealState is how far the chain over the audit log reaches.
type SealState struct {
	Sealed  int64      // rows in the chain
	Waiting int64      // rows behind its end, or a little before it, without a seal
	Hash    []byte     // of the last seal; nil without one
	At      *time.Time // when it was made
}

// waitingReach is how many ids before the newest sealed one may wait still.
const waitingReach = 100_000

// AuditSealState returns how far the chain reaches. It may be run by the auditor's
// database role.
func (db *DB) AuditSealState(ctx context.Context) (SealState, error) {
	var st SealState
	tx, err := db.Pool.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return st, fmt.Errorf("store: audit seal: %w", err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	err = tx.QueryRow(ctx, "SELECT n, hash, at FROM audit_seal ORDER BY n DESC LIMIT 1").Scan(&st.Sealed, &st.Hash, &st.At)
	if err == nil || errors.Is(err, pgx.ErrNoRows) {
		err = tx.QueryRow(ctx, `WITH reach AS MATERIALIZED (SELECT coalesce(max(audit_id) - $1, -9223372036854775808) AS id FROM audit_seal)
			SELECT count(*) FROM audit_log l WHERE l.id > (SELECT id FROM reach)
			AND NOT EXISTS (SELECT FROM audit_seal s WHERE s.audit_id = l.id AND s.audit_id > (SELECT id FROM reach))`, waitingReach).Scan(&st.Waiting)
	}
	if err != nil {
		return SealState{}, fmt.Errorf("store: audit seal: %w", err)
	}
	return st, nil
}

// CountActsToday counts the entries that actor has with action since a moment, for
// acts that are limited by the day. It makes others who count the same wait for
// the end of tx, so that two acts at once can't both be the last one allowed; tx
// sees what was committed before each statement (READ COMMITTED, the default).
func (db *DB) CountActsToday(ctx context.Context, tx pgx.Tx, actorID, action string, since time.Time) (int, error) {
	if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock(hashtextextended($1, hashtextextended($2, 0)))", actorID, action); err != nil {
		return 0, fmt.Errorf("store: count %s: %w", action, err)
	}
	var n int
	err := tx.QueryRow(ctx, "SELECT count(*) FROM audit_log WHERE actor = $1 AND action = $2 AND at >= $3", actorID, action, since).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("store: count %s: %w", action, err)
	}
	return n, nil
}
