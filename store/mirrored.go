// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/paulmach/orb"

	"onemap/auth"
	"onemap/feed"
	"onemap/geo/cell"
)

// Mirrored is what is kept of an incident in memory: not a word of what it is about.
type Mirrored struct {
	ID        int64
	Placed    bool         // it has a place; else At and Cells are zero
	At        orb.Point    // WGS-84
	Cells     [4]cell.Cell // of resolution 6 to 9
	Grid      int32
	Category  string
	Sensitive bool // its category never shows a place on a shared screen
	State     string
	Open      bool
	Priority  int16
	Reported  time.Time
}

// EachMirrored calls take with every incident in scope, or with those of ids alone where
// ids is not nil, as of the sequence number it answers: they hold everything up to it, at
// least. begin, where it is given, is told first how many there are, about.
func (db *DB) EachMirrored(ctx context.Context, s auth.Scope, ids []int64, begin func(about int), take func(*Mirrored)) (feed.Seq, error) {
	var seq feed.Seq
	err := pgx.BeginTxFunc(ctx, db.Pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		if ids == nil { // millions of them take their time
			if _, err := tx.Exec(ctx, "SET LOCAL statement_timeout = '10min'"); err != nil {
				return err
			}
		}
		about, hidden := 0, []string{}
		if err := tx.QueryRow(ctx, `SELECT coalesce((SELECT seq FROM feed_head), 0), (SELECT greatest(reltuples, 0)::bigint FROM pg_class WHERE oid = 'incident'::regclass),
			ARRAY(SELECT code FROM category WHERE precision = 'none')`).Scan(&seq, &about, &hidden); err != nil {
			return err
		}
		if begin != nil {
			begin(about)
		}
		r := rawMirrored{words: map[string]word{}}
		for _, code := range hidden {
			r.words[code] = word{code, true}
		}
		var q query
		q.add("SELECT i.id, i.geom, i.cell6, i.cell7, i.cell8, i.cell9, i.grid_no, i.category, i.state, i.open, i.priority, i.reported_at FROM incident i WHERE ").incidentsInScope(s, "i")
		if ids != nil {
			q.add(" AND i.id = ANY(?)", ids)
		}
		rows, err := tx.Query(ctx, q.sql.String(), append([]any{pgx.QueryResultFormats{pgtype.BinaryFormatCode}}, q.args...)...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			if err := r.read(rows.RawValues()); err != nil {
				return err
			}
			take(&r.row)
		}
		return rows.Err()
	})
	if err != nil {
		return 0, fmt.Errorf("store: incidents for memory: %w", err)
	}
	return seq, nil
}

// word is a text that many rows have, made once, and whether it is a category whose place
// is never shown on a shared screen.
type word struct {
	text   string
	hidden bool
}

// rawMirrored reads rows in PostgreSQL's binary form: of millions, scanning them one by one
// takes longer than the database does.
type rawMirrored struct {
	words map[string]word
	row   Mirrored
}

var errOtherForm = errors.New("a row is not in the form that was asked for")

func (r *rawMirrored) read(v [][]byte) error {
	for i, size := range [...]int{8, -1, -1, -1, -1, -1, 4, -1, -1, 1, 2, 8} {
		if size >= 0 && len(v[i]) != size {
			return fmt.Errorf("column %d: %w", i, errOtherForm)
		}
	}
	p := &r.row
	*p = Mirrored{ID: int64(binary.BigEndian.Uint64(v[0])), Placed: v[1] != nil}
	if p.Placed {
		var ok bool
		if p.At, ok = pointOf(v[1]); !ok {
			return fmt.Errorf("incident %d: its place: %w", p.ID, errOtherForm)
		}
		for k := range p.Cells {
			if len(v[2+k]) != 8 {
				return fmt.Errorf("incident %d: its cells: %w", p.ID, errOtherForm)
			}
			p.Cells[k] = cell.Cell(binary.BigEndian.Uint64(v[2+k]))
		}
	}
	p.Grid = int32(binary.BigEndian.Uint32(v[6]))
	category := r.word(v[7])
	p.Category, p.Sensitive, p.State = category.text, category.hidden, r.word(v[8]).text
	p.Open, p.Priority = v[9][0] != 0, int16(binary.BigEndian.Uint16(v[10]))
	p.Reported = time.UnixMicro(int64(binary.BigEndian.Uint64(v[11])) + microsTo2000).UTC()
	return nil
}

// microsTo2000 is from 1970 to 2000, whence PostgreSQL counts.
const microsTo2000 = 946_684_800_000_000

func (r *rawMirrored) word(b []byte) word {
	w, known := r.words[string(b)]
	if !known {
		w = word{text: string(b)}
		r.words[w.text] = w
	}
	return w
}

// pointOf reads a point in EWKB, as PostGIS sends it.
func pointOf(b []byte) (p orb.Point, ok bool) {
	if len(b) != 21 && len(b) != 25 {
		return p, false
	}
	var order binary.ByteOrder = binary.BigEndian
	if b[0] == 1 {
		order = binary.LittleEndian
	}
	const point, withSRID = 1, 1 << 29
	kind := order.Uint32(b[1:])
	if kind != point && kind != point|withSRID || (kind&withSRID != 0) != (len(b) == 25) {
		return p, false
	}
	at := b[len(b)-16:]
	return orb.Point{math.Float64frombits(order.Uint64(at)), math.Float64frombits(order.Uint64(at[8:]))}, true
}
