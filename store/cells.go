// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"onemap/analysis"
	"onemap/auth"
	"onemap/feed"
	"onemap/geo/cell"
)

// CellFilter says which incidents are counted by cell.
type CellFilter struct {
	Res        int             // of the cells: 6 to 9
	Grids      []auth.Interval // grid numbers; none for any
	Categories []string        // codes; nil for any
	Why        cell.Cell       // of resolution Res: whose categories and grids are counted too; 0 for none
}

// CellCounts are incidents by the cell they lie in, as of one sequence number: they
// hold everything up to Seq, at least.
type CellCounts struct {
	Seq        feed.Seq
	Cells      []CellCount
	NotLocated int            // without a place, and so in no cell
	Categories map[string]int // of what lies in the cell Why
	Grids      map[int32]int  // likewise, by the number of the deepest grid; outside every leaf the county's own
}

// Equal reports whether both count the same, whatever they are as of.
func (c CellCounts) Equal(d CellCounts) bool {
	order := func(cs []CellCount) []CellCount {
		return slices.SortedFunc(slices.Values(cs), func(a, b CellCount) int { return cmp.Compare(a.Cell, b.Cell) })
	}
	return c.NotLocated == d.NotLocated && maps.Equal(c.Categories, d.Categories) && maps.Equal(c.Grids, d.Grids) && slices.Equal(order(c.Cells), order(d.Cells))
}

// CellCount is how many incidents lie in a cell.
type CellCount struct {
	Cell cell.Cell
	N    int
}

// numberedLook is how often it is looked whether events have their numbers.
const numberedLook = 3 * time.Millisecond

// FeedEnd waits until every event that is committed now has its number, and returns the
// greatest there is then. Error: the context's, where they get none.
func (db *DB) FeedEnd(ctx context.Context) (end feed.Seq, err error) {
	var last int64
	if err := db.Pool.QueryRow(ctx, "SELECT coalesce((SELECT seq FROM feed_head), 0), coalesce((SELECT max(id) FROM outbox), 0)").Scan(&end, &last); err != nil {
		return 0, fmt.Errorf("store: the end of the feed: %w", err)
	}
	for waits := last > 0; waits; {
		select {
		case <-ctx.Done():
			return 0, fmt.Errorf("store: events get no number: %w", ctx.Err())
		case <-time.After(numberedLook):
		}
		if err := db.Pool.QueryRow(ctx, "SELECT coalesce((SELECT seq FROM feed_head), 0), EXISTS (SELECT FROM outbox WHERE id <= $1)", last).Scan(&end, &waits); err != nil {
			return 0, fmt.Errorf("store: the end of the feed: %w", err)
		}
	}
	return end, nil
}

// cellColumns are where an incident's cells are.
var cellColumns = map[int]string{6: "i.cell6", 7: "i.cell7", 8: "i.cell8", 9: "i.cell9"}

// CellCounts counts by cell the incidents in scope that were reported in each of the
// periods, all as of one moment, without those whose category never shows a place. It
// is for who reads incidents one by one: to any other view it is ErrFinerThanView.
func (db *DB) CellCounts(ctx context.Context, s auth.Scope, v auth.View, f CellFilter, periods ...analysis.Period) ([]CellCounts, error) {
	if v != auth.CaseView {
		return nil, fmt.Errorf("store: incidents by cell: %w", ErrFinerThanView)
	}
	if _, known := cellColumns[f.Res]; !known {
		return nil, fmt.Errorf("store: incidents by cell: resolution %d is not within 6 to 9", f.Res)
	}
	var out []CellCounts
	err := pgx.BeginTxFunc(ctx, db.Pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		seq, err := Head(ctx, tx)
		if err != nil {
			return err
		}
		for _, p := range periods {
			c, err := CountCells(ctx, tx, s, f, p)
			if err != nil {
				return err
			}
			c.Seq = seq
			out = append(out, c)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("store: incidents by cell: %w", err)
	}
	return out, nil
}

// CountCells counts one period inside tx, for who reads incidents one by one; Seq is left
// to the caller.
func CountCells(ctx context.Context, tx pgx.Tx, s auth.Scope, f CellFilter, p analysis.Period) (CellCounts, error) {
	c := CellCounts{Categories: map[string]int{}, Grids: map[int32]int{}}
	err := c.count(ctx, tx, s, f, p)
	return c, err
}

// count counts one period.
func (c *CellCounts) count(ctx context.Context, tx pgx.Tx, s auth.Scope, f CellFilter, p analysis.Period) error {
	var q query
	q.add("SELECT coalesce(").add(cellColumns[f.Res]).add(", 0), count(*) FROM incident i WHERE ").incidentsInScope(s, "i").heat(f, p)
	rows, err := tx.Query(ctx, q.add(" GROUP BY 1").sql.String(), q.args...)
	if err != nil {
		return err
	}
	var at int64
	var n int
	_, err = pgx.ForEachRow(rows, []any{&at, &n}, func() error {
		if at == 0 {
			c.NotLocated = n
		} else {
			c.Cells = append(c.Cells, CellCount{cell.Cell(at), n})
		}
		return nil
	})
	if err != nil || f.Why == 0 {
		return err
	}
	var w query
	w.add("SELECT i.category, i.grid_no, count(*) FROM incident i WHERE ").incidentsInScope(s, "i").heat(f, p).inCell(f.Why).add(" GROUP BY 1, 2")
	if rows, err = tx.Query(ctx, w.sql.String(), w.args...); err != nil {
		return err
	}
	var code string
	var no int32
	_, err = pgx.ForEachRow(rows, []any{&code, &no, &n}, func() error {
		c.Categories[code] += n
		c.Grids[no] += n
		return nil
	})
	return err
}

// heat adds the conditions of a filter of cells, and of a period, on the incident called i.
func (q *query) heat(f CellFilter, p analysis.Period) *query {
	q.add(" AND i.reported_at >= ? AND i.reported_at < ? AND i.category NOT IN (SELECT code FROM category WHERE precision = 'none')", p.From, p.To)
	if len(f.Grids) > 0 {
		q.add(" AND ").within(f.Grids, "i.grid_no")
	}
	if f.Categories != nil {
		q.add(" AND i.category = ANY(?)", f.Categories)
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
