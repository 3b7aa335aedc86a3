// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"onemap/auth"
)

// Office is the office in which an actor acts: a role and what it is about. It names no
// person.
type Office struct {
	Role       auth.Role `json:"role"`
	Grid       string    `json:"grid,omitempty" doc:"Name, at the time, of the grid that the role is about; absent: every county of the database"`
	Department string    `json:"department,omitempty" doc:"Of a department's handler"`
	Badge      string    `json:"badge,omitempty" doc:"Of a grid worker"`

	actor      string
	from, till *time.Time
	names      []string // of its grid, in the versions that were put in force
	named      []time.Time
}

// nameAt is the grid's name in the version in force at a moment, or in the first one.
func (o Office) nameAt(at time.Time) (name string) {
	for i, from := range o.named {
		if i == 0 || !from.After(at) {
			name = o.names[i]
		}
	}
	return name
}

// Offices are those of some actors, over time.
type Offices []Office

// At is the office that an actor had at a moment: of several the one held longest. ok is
// false for who is neither an account nor a token, and where none was held.
func (all Offices) At(actor string, at time.Time) (Office, bool) {
	for _, o := range all {
		if o.actor == actor && (o.from == nil || !o.from.After(at)) && (o.till == nil || o.till.After(at)) {
			o.Grid = o.nameAt(at)
			return o, true
		}
	}
	return Office{}, false
}

// OfficesOf reads the offices of actors, by the ids that journals keep: "account:12",
// "token:3". Others, such as "system:ladder", have none.
func (db *DB) OfficesOf(ctx context.Context, actors []string) (Offices, error) {
	ids := map[string][]int64{}
	for _, a := range actors {
		kind, n, _ := strings.Cut(a, ":")
		if id, err := strconv.ParseInt(n, 10, 64); err == nil {
			ids[kind] = append(ids[kind], id)
		}
	}
	if len(ids["account"])+len(ids["token"]) == 0 {
		return nil, nil
	}
	rows, err := db.Pool.Query(ctx, `WITH held AS (
		SELECT 'account:' || a.id AS actor, g.role, g.grid_code, g.root_code, g.department_id, a.worker_id, g.active_at AS from_at, g.revoked_at AS till, g.id
		FROM account_grant g JOIN account a ON a.id = g.account_id WHERE a.id = ANY($1) AND g.active_at IS NOT NULL
		UNION ALL SELECT 'token:' || c.id, c.role, c.grid_code, c.root_code, c.department_id, c.worker_id, NULL, NULL, c.id
		FROM credential c WHERE c.id = ANY($2) AND c.kind = 'token')
		SELECT h.actor, h.role, coalesce(n.names, '{}'), coalesce(n.named, '{}'),
			coalesce(d.name, ''), CASE WHEN h.role = 'grid_worker' THEN coalesce(w.badge, '') ELSE '' END, h.from_at, h.till
		FROM held h LEFT JOIN department d ON d.id = h.department_id LEFT JOIN worker w ON w.id = h.worker_id
		CROSS JOIN LATERAL (SELECT array_agg(x.name ORDER BY v.enacted_at, v.id) AS names, array_agg(v.enacted_at ORDER BY v.enacted_at, v.id) AS named
			FROM grid x JOIN grid_version v ON v.id = x.version_id
			WHERE x.code = h.grid_code AND v.root_code = coalesce(h.root_code, v.root_code) AND v.enacted_at IS NOT NULL) n
		ORDER BY h.from_at NULLS FIRST, h.id`, ids["account"], ids["token"])
	if err != nil {
		return nil, fmt.Errorf("store: offices: %w", err)
	}
	out, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (o Office, err error) {
		return o, r.Scan(&o.actor, &o.Role, &o.names, &o.named, &o.Department, &o.Badge, &o.from, &o.till)
	})
	if err != nil {
		return nil, fmt.Errorf("store: offices: %w", err)
	}
	return out, nil
}
