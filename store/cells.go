// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"onemap/analysis"
	"onemap/auth"
	"onemap/feed"
	"onemap/geo/cell"
)

// CellFilter says which incidents are counted by cell: those reported in the period.
type CellFilter struct {
	analysis.Period
	Res      int             // of the cells: 6 to 9
	Grids    []auth.Interval // grid numbers; none for any
	Category string          // a category, or a top category with all below it
}

// CellCounts are incidents by the cell they lie in, as of one sequence number: they
// hold everything up to Seq, at least.
type CellCounts struct {
	Seq        feed.Seq
	Cells      map[cell.Cell]int
	NotLocated int // without a place, and so in no cell
}

// cellColumns are where an incident's cells are.
var cellColumns = map[int]string{6: "i.cell6", 7: "i.cell7", 8: "i.cell8", 9: "i.cell9"}

// CellCounts counts the incidents in scope by cell, without those whose category never
// shows a place. It is for who reads incidents one by one: to any other view it is
// ErrFinerThanView.
func (db *DB) CellCounts(ctx context.Context, s auth.Scope, v auth.View, f CellFilter) (CellCounts, error) {
	if v != auth.CaseView {
		return CellCounts{}, fmt.Errorf("store: incidents by cell: %w", ErrFinerThanView)
	}
	column, known := cellColumns[f.Res]
	if !known {
		return CellCounts{}, fmt.Errorf("store: incidents by cell: resolution %d is not within 6 to 9", f.Res)
	}
	out := CellCounts{Cells: map[cell.Cell]int{}}
	err := pgx.BeginTxFunc(ctx, db.Pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		if err := tx.QueryRow(ctx, "SELECT coalesce((SELECT seq FROM feed_head), 0)").Scan(&out.Seq); err != nil {
			return err
		}
		var q query
		q.add("SELECT coalesce(").add(column).add(", 0), count(*) FROM incident i WHERE ").incidentsInScope(s, "i").heat(f)
		rows, err := tx.Query(ctx, q.add(" GROUP BY 1").sql.String(), q.args...)
		if err != nil {
			return err
		}
		var c int64
		var n int
		_, err = pgx.ForEachRow(rows, []any{&c, &n}, func() error {
			if c == 0 {
				out.NotLocated = n
			} else {
				out.Cells[cell.Cell(c)] = n
			}
			return nil
		})
		return err
	})
	if err != nil {
		return CellCounts{}, fmt.Errorf("store: incidents by cell: %w", err)
	}
	return out, nil
}

// heat adds the conditions of a filter of cells on the incident called i.
func (q *query) heat(f CellFilter) *query {
	q.add(" AND i.reported_at >= ? AND i.reported_at < ? AND i.category NOT IN (SELECT code FROM category WHERE precision = 'none')", f.From, f.To)
	if len(f.Grids) > 0 {
		q.add(" AND ").within(f.Grids, "i.grid_no")
	}
	if f.Category != "" {
		q.add(" AND i.category IN (SELECT code FROM category WHERE code = ? OR parent_code = ?)", f.Category, f.Category)
	}
	return q
}

// CategoriesIn counts the incidents in scope in one cell by category, likewise.
func (db *DB) CategoriesIn(ctx context.Context, s auth.Scope, v auth.View, c cell.Cell, f CellFilter) (map[string]int, error) {
	if v != auth.CaseView {
		return nil, fmt.Errorf("store: categories in a cell: %w", ErrFinerThanView)
	}
	column, known := cellColumns[c.Res()]
	if !known {
		return nil, fmt.Errorf("store: categories in a cell: resolution %d is not within 6 to 9", c.Res())
	}
	var q query
	q.add("SELECT i.category, count(*) FROM incident i WHERE ").incidentsInScope(s, "i").heat(f).
		add(" AND ").add(column).add(" = ? GROUP BY 1", int64(c))
	rows, err := db.Pool.Query(ctx, q.sql.String(), q.args...)
	if err != nil {
		return nil, fmt.Errorf("store: categories in a cell: %w", err)
	}
	out := map[string]int{}
	var code string
	var n int
	if _, err = pgx.ForEachRow(rows, []any{&code, &n}, func() error { out[code] = n; return nil }); err != nil {
		return nil, fmt.Errorf("store: categories in a cell: %w", err)
	}
	return out, nil
}
