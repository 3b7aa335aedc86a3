// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/paulmach/orb"

	"onemap/auth"
	"onemap/feed"
	"onemap/geo/cell"
)

// Placed is an incident that has a place, without a word of what it is about.
type Placed struct {
	ID        int64
	At        orb.Point    // WGS-84
	Cells     [3]cell.Cell // of resolution 6, 7 and 8
	Grid      int32
	Category  string
	Sensitive bool // its category never shows a place on a shared screen
	State     string
	Open      bool
	Priority  int16
	Reported  time.Time
}

// EachPlaced calls take with every incident in scope that has a place, or with those of
// ids alone where ids is not nil, as of the sequence number it answers: they hold
// everything up to it, at least. begin, where it is given, is told first how many there
// are, about.
func (db *DB) EachPlaced(ctx context.Context, s auth.Scope, ids []int64, begin func(about int), take func(*Placed)) (feed.Seq, error) {
	var seq feed.Seq
	err := pgx.BeginTxFunc(ctx, db.Pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		if ids == nil { // millions of them take their time
			if _, err := tx.Exec(ctx, "SET LOCAL statement_timeout = '10min'"); err != nil {
				return err
			}
		}
		about := 0
		if err := tx.QueryRow(ctx, "SELECT coalesce((SELECT seq FROM feed_head), 0), (SELECT greatest(reltuples, 0)::bigint FROM pg_class WHERE oid = 'incident'::regclass)").Scan(&seq, &about); err != nil {
			return err
		}
		if begin != nil {
			begin(about)
		}
		var q query
		q.add(`SELECT i.id, ST_X(i.geom), ST_Y(i.geom), i.cell6, i.cell7, i.cell8, i.grid_no, i.category,
			coalesce((SELECT c.precision = 'none' FROM category c WHERE c.code = i.category), false), i.state, i.open, i.priority, i.reported_at
			FROM incident i WHERE i.geom IS NOT NULL AND `).incidentsInScope(s, "i")
		if ids != nil {
			q.add(" AND i.id = ANY(?)", ids)
		}
		rows, err := tx.Query(ctx, q.sql.String(), q.args...)
		if err != nil {
			return err
		}
		var p Placed
		var cells [3]int64
		_, err = pgx.ForEachRow(rows, []any{&p.ID, &p.At[0], &p.At[1], &cells[0], &cells[1], &cells[2], &p.Grid, &p.Category, &p.Sensitive, &p.State, &p.Open, &p.Priority, &p.Reported}, func() error {
			for r, c := range cells {
				p.Cells[r] = cell.Cell(c)
			}
			take(&p)
			return nil
		})
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("store: incidents with a place: %w", err)
	}
	return seq, nil
}
