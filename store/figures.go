// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"onemap/auth"
	"onemap/feed"
)

// Today is what a day has brought, as of one sequence number.
type Today struct {
	Seq        feed.Seq
	Reported   int // reported that day
	Resolved   int
	Closed     int
	Open       int            // open now, whenever reported
	Outside    int            // of Reported: outside every grid or without a point
	ByCategory map[string]int // of Reported: by top category
	ByPriority map[int]int    // of Reported
	ByLevel    map[int]int    // of Reported: by owner level
	ByGrid     []GridCount    // by the level-2 grid, the county itself last
}

// GridCount counts a grid's share of the day.
type GridCount struct {
	Code     string
	Name     string
	Reported int
	Open     int
}

// TodayFigures counts the day [from, to) in scope, all in one snapshot of the
// database together with the feed's head. An event's change is committed before
// it is numbered, so the counts hold at least everything up to Seq.
func (db *DB) TodayFigures(ctx context.Context, s auth.Scope, v auth.View, from, to time.Time) (Today, error) {
	t := Today{ByCategory: map[string]int{}, ByPriority: map[int]int{}, ByLevel: map[int]int{}}
	err := pgx.BeginTxFunc(ctx, db.Pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		if err := tx.QueryRow(ctx, "SELECT coalesce((SELECT seq FROM feed_head), 0)").Scan(&t.Seq); err != nil {
			return err
		}
		if err := t.reported(ctx, tx, s, v, from, to); err != nil {
			return err
		}
		if err := t.moved(ctx, tx, s, from, to); err != nil {
			return err
		}
		return t.grids(ctx, tx, s, from, to)
	})
	if err != nil {
		return Today{}, fmt.Errorf("store: today's figures: %w", err)
	}
	return t, nil
}

func (t *Today) reported(ctx context.Context, tx pgx.Tx, s auth.Scope, v auth.View, from, to time.Time) error {
	var q query
	if v == auth.CaseView {
		q.add("SELECT coalesce(c.parent_code, c.code), i.priority, i.owner_level")
	} else { // as the shared view shows each: see Catalogue.Public
		q.add(`SELECT CASE c.precision WHEN 'none' THEN '' ELSE coalesce(c.parent_code, c.code) END, CASE c.precision WHEN 'none' THEN ? ELSE i.priority END,
		CASE c.precision WHEN 'none' THEN 0 ELSE i.owner_level END`, UndisclosedPriority)
	}
	q.add(`, i.place <> 'in_grid', count(*)
		FROM incident i JOIN category c ON c.code = i.category WHERE i.reported_at >= ? AND i.reported_at < ? AND `, from, to).
		incidentsInScope(s, "i").add(" GROUP BY 1, 2, 3, 4")
	rows, err := tx.Query(ctx, q.sql.String(), q.args...)
	if err != nil {
		return err
	}
	var top string
	var prio, level, n int
	var outside bool
	_, err = pgx.ForEachRow(rows, []any{&top, &prio, &level, &outside, &n}, func() error {
		t.Reported += n
		t.ByCategory[top] += n
		t.ByPriority[prio] += n
		t.ByLevel[level] += n
		if outside {
			t.Outside += n
		}
		return nil
	})
	return err
}

func (t *Today) moved(ctx context.Context, tx pgx.Tx, s auth.Scope, from, to time.Time) error {
	var q query
	q.add("SELECT count(*) FROM incident i WHERE i.open AND ").incidentsInScope(s, "i")
	if err := tx.QueryRow(ctx, q.sql.String(), q.args...).Scan(&t.Open); err != nil {
		return err
	}
	// The index is on the last end, which a resolution or closing of that day can
	// only have moved on.
	var e query
	e.add(`SELECT count(*) FILTER (WHERE i.resolved_at >= ? AND i.resolved_at < ?), count(*) FILTER (WHERE i.closed_at >= ? AND i.closed_at < ?)
		FROM incident i WHERE greatest(i.resolved_at, i.closed_at) >= ? AND `, from, to, from, to, from).incidentsInScope(s, "i")
	return tx.QueryRow(ctx, e.sql.String(), e.args...).Scan(&t.Resolved, &t.Closed)
}

func (t *Today) grids(ctx context.Context, tx pgx.Tx, s auth.Scope, from, to time.Time) error {
	var q query
	q.add(`WITH mine AS (SELECT i.grid_no, i.reported_at, i.open FROM incident i
		WHERE (i.open OR i.reported_at >= ? AND i.reported_at < ?) AND `, from, to).incidentsInScope(s, "i").
		add(`) SELECT t.code, t.name, count(*) FILTER (WHERE m.reported_at >= ? AND m.reported_at < ?), count(*) FILTER (WHERE m.open)
		FROM grid t JOIN grid_version v ON v.id = t.version_id AND v.state = 'enacted'
		JOIN grid o ON o.code = t.code AND o.no IS NOT NULL JOIN grid_version ov ON ov.id = o.version_id AND ov.root_code = v.root_code
		LEFT JOIN mine m ON m.grid_no BETWEEN o.no AND o.last_no AND (t.level = 2 OR m.grid_no = o.no)
		WHERE t.level <= 2 AND `, from, to).inScope(s, "t.no").add(" GROUP BY t.no, t.code, t.name, t.level ORDER BY t.level DESC, t.code, t.no")
	rows, err := tx.Query(ctx, q.sql.String(), q.args...)
	if err != nil {
		return err
	}
	t.ByGrid, err = pgx.CollectRows(rows, pgx.RowToStructByPos[GridCount])
	return err
}
