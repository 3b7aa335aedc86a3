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
	Why      cell.Cell       // of resolution Res: whose categories are counted too; 0 for none
}

// CellCounts are incidents by the cell they lie in, as of one sequence number: they
// hold everything up to Seq, at least.
type CellCounts struct {
	Seq        feed.Seq
	Cells      map[cell.Cell]int
	NotLocated int            // without a place, and so in no cell
	Categories map[string]int // of what lies in the cell Why
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
	out := CellCounts{Cells: map[cell.Cell]int{}, Categories: map[string]int{}}
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
		if err != nil || f.Why == 0 {
			return err
		}
		var w query
		w.add("SELECT i.category, count(*) FROM incident i WHERE ").incidentsInScope(s, "i").heat(f).inCell(f.Why).add(" GROUP BY 1")
		if rows, err = tx.Query(ctx, w.sql.String(), w.args...); err != nil {
			return err
		}
		var code string
		_, err = pgx.ForEachRow(rows, []any{&code, &n}, func() error { out.Categories[code] = n; return nil })
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

// inCell adds the condition that the incident called i lies in cell c, of resolution 6
// to 9. The box serves the index on places.
func (q *query) inCell(c cell.Cell) *query {
	q.add(" AND ").add(cellColumns[c.Res()]).add(" = ?", int64(c))
	if ring, err := c.Boundary(); err == nil {
		if b := ring.Bound().Pad(boxPad); b.Max[0]-b.Min[0] < 180 { // not across the antimeridian
			q.add(" AND i.geom && ST_MakeEnvelope(?, ?, ?, ?, 4326)", b.Min[0], b.Min[1], b.Max[0], b.Max[1])
		}
	}
	return q
}

// boxPad is how far, in degrees, a cell's box is made wider, so that nothing on its edge
// is lost by rounding: some 10 m.
const boxPad = 1e-4
