// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"onemap/analysis"
	"onemap/auth"
	"onemap/feed"
)

// Bulletin is a weekly bulletin 周报 as it was told.
type Bulletin struct {
	ID          int64
	Root        string // code of the county
	Grid        string
	GridNo      int32
	Name        string
	Week        time.Time // its Monday
	Corrects    int64     // the one before of the same week and grid; 0 for the first
	CorrectedBy int64     // the one after; only read
	MadeBy      string
	MadeAt      time.Time
	Seq         feed.Seq
	Body        []byte // JSON; not read in lists
	Outside     []byte // JSON, likewise; nil where nothing may be told to everybody
}

const bulletinColumns = `b.id, b.root_code, b.grid_code, b.grid_no, b.name, b.week, coalesce(b.corrects, 0),
 coalesce((SELECT c.id FROM bulletin c WHERE c.corrects = b.id), 0), b.made_by, b.made_at, b.seq, `

func scanBulletin(row pgx.CollectableRow) (b Bulletin, err error) {
	err = row.Scan(&b.ID, &b.Root, &b.Grid, &b.GridNo, &b.Name, &b.Week, &b.Corrects, &b.CorrectedBy, &b.MadeBy, &b.MadeAt, &b.Seq, &b.Body, &b.Outside)
	settle(&b.MadeAt)
	return b, err
}

// FindBulletin returns the bulletin with this id, or ErrNotFound when there is none or it
// is out of scope.
func FindBulletin(ctx context.Context, tx Querier, s auth.Scope, id int64) (Bulletin, error) {
	var q query
	q.add("SELECT "+bulletinColumns+"b.body, b.outside FROM bulletin b WHERE b.id = ? AND ", id).inScope(s, "b.grid_no")
	rows, err := tx.Query(ctx, q.sql.String(), q.args...)
	if err != nil {
		return Bulletin{}, fmt.Errorf("store: bulletin %d: %w", id, err)
	}
	b, err := pgx.CollectExactlyOneRow(rows, scanBulletin)
	if errors.Is(err, pgx.ErrNoRows) {
		err = ErrNotFound
	}
	if err != nil {
		return Bulletin{}, fmt.Errorf("store: bulletin %d: %w", id, err)
	}
	return b, nil
}

// BulletinFilter narrows a list of bulletins; zero fields do not.
type BulletinFilter struct {
	Grids  []auth.Interval // grid numbers
	Week   time.Time
	Before int64 // id of the last one of the page before
	Limit  int
}

// Bulletins lists the bulletins in scope without what they tell, the newest first.
func (db *DB) Bulletins(ctx context.Context, s auth.Scope, f BulletinFilter) ([]Bulletin, error) {
	var q query
	q.add("SELECT "+bulletinColumns+"NULL::bytea, NULL::bytea FROM bulletin b WHERE ").inScope(s, "b.grid_no")
	if len(f.Grids) > 0 {
		q.add(" AND ").within(f.Grids, "b.grid_no")
	}
	if !f.Week.IsZero() {
		q.add(" AND b.week = ?", f.Week)
	}
	if f.Before > 0 {
		q.add(" AND b.id < ?", f.Before)
	}
	q.add(" ORDER BY b.id DESC LIMIT ?", f.Limit)
	rows, err := db.Pool.Query(ctx, q.sql.String(), q.args...)
	if err != nil {
		return nil, fmt.Errorf("store: bulletins: %w", err)
	}
	out, err := pgx.CollectRows(rows, scanBulletin)
	if err != nil {
		return nil, fmt.Errorf("store: bulletins: %w", err)
	}
	return out, nil
}

// SaveBulletin writes a bulletin as the next one of its week and grid, and returns it with
// its number and the one that it corrects.
func SaveBulletin(ctx context.Context, tx pgx.Tx, b Bulletin) (Bulletin, error) {
	err := tx.QueryRow(ctx, `INSERT INTO bulletin (root_code, grid_code, grid_no, name, week, corrects, made_by, made_at, seq, body, outside)
		SELECT $1, $2, $3, $4, $5, (SELECT max(id) FROM bulletin WHERE root_code = $1 AND grid_code = $2 AND week = $5), $6, $7, $8, $9,
		CASE WHEN NOT EXISTS (SELECT FROM bulletin WHERE root_code = $1 AND grid_code = $2 AND week = $5) THEN $10::bytea END
		RETURNING id, coalesce(corrects, 0), outside`,
		b.Root, b.Grid, b.GridNo, b.Name, b.Week, b.MadeBy, b.MadeAt, b.Seq, b.Body, b.Outside).Scan(&b.ID, &b.Corrects, &b.Outside)
	if err != nil {
		return b, fmt.Errorf("store: save a bulletin: %w", err)
	}
	return b, nil
}

// NoticeCounts are the notices of some grids that were made in a period and not withdrawn.
type NoticeCounts struct {
	Made    int `json:"made"`
	Read    int `json:"read" doc:"Of those made: read by the making of the bulletin"`
	Replied int `json:"replied" doc:"Of those made: answered by then"`
}

// CountNotices counts the notices of areas within grids.
func CountNotices(ctx context.Context, tx Querier, grids []auth.Interval, p analysis.Period) (n NoticeCounts, err error) {
	var q query
	q.add("SELECT count(*), count(n.read_at), count(n.replied_at) FROM notice n WHERE n.withdrawn_at IS NULL AND n.made_at >= ? AND n.made_at < ? AND ", p.From, p.To).within(grids, "n.grid_no")
	if err := tx.QueryRow(ctx, q.sql.String(), q.args...).Scan(&n.Made, &n.Read, &n.Replied); err != nil {
		return n, fmt.Errorf("store: count notices: %w", err)
	}
	return n, nil
}
