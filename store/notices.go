// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"onemap/auth"
	"onemap/dispatch"
	"onemap/geo/cell"
)

// Notice is a notice as the record holds it. Its unit is Department, or where that is 0
// the desk of the grid UnitNo, at Level.
type Notice struct {
	dispatch.Notice
	GridID       int64 // the area
	GridNo       int32
	Department   int64
	Level        int
	UnitID       int64
	UnitNo       int32
	AboveNo      int32 // the grid above the unit; 0 above a county
	Title, Body  string
	Cell         cell.Cell // whose count it was made from; zero for none
	MadeBy       string
	RepliedBy    string
	AreaCode     string // of the area and the unit, only read
	AreaName     string
	UnitCode     string
	UnitName     string
	ReceiptCount int // how many of the unit have read it
}

// Settle rounds every time as the database keeps it, like Incident.Settle.
func (n *Notice) Settle() {
	settle(&n.MadeAt, &n.Due, &n.RemindAt)
	settleOptional(&n.ReadAt, &n.RemindedAt, &n.RepliedAt, &n.SupervisedAt, &n.WithdrawnAt)
}

const noticeColumns = `n.id, n.ver, n.made_at, n.due, n.remind_at, n.read_at, n.reminded_at, n.replied_at, n.reply, n.supervised_at, n.withdrawn_at, n.reason,
 n.grid_id, n.grid_no, coalesce(n.department_id, 0), coalesce(n.level, 0), coalesce(n.unit_id, 0), coalesce(n.unit_no, 0), coalesce(n.above_no, 0), n.title, n.body,
 coalesce(n.cell, 0), n.made_by, n.replied_by, g.code, g.name, coalesce(u.code, ''), coalesce(u.name, ''), (SELECT count(*) FROM notice_receipt r WHERE r.notice_id = n.id)`

const fromNotice = " FROM notice n JOIN grid g ON g.id = n.grid_id LEFT JOIN grid u ON u.id = n.unit_id "

func scanNotice(row pgx.CollectableRow) (n Notice, err error) {
	var c int64
	err = row.Scan(&n.ID, &n.Ver, &n.MadeAt, &n.Due, &n.RemindAt, &n.ReadAt, &n.RemindedAt, &n.RepliedAt, &n.Reply, &n.SupervisedAt, &n.WithdrawnAt, &n.Reason,
		&n.GridID, &n.GridNo, &n.Department, &n.Level, &n.UnitID, &n.UnitNo, &n.AboveNo, &n.Title, &n.Body,
		&c, &n.MadeBy, &n.RepliedBy, &n.AreaCode, &n.AreaName, &n.UnitCode, &n.UnitName, &n.ReceiptCount)
	n.Cell = cell.Cell(uint64(c))
	n.Settle()
	return n, err
}

// noticesInScope adds the condition that the notice n lies in s: for a department's own
// scope those directed to it, else those of its grids.
func (q *query) noticesInScope(s auth.Scope) *query {
	q.inScope(s, "n.grid_no")
	if department, only := s.Department(); only {
		q.add("AND n.department_id = ? ", department)
	}
	if _, only := s.Worker(); only {
		q.add("AND false ")
	}
	return q
}

// FindNotice returns the notice with this id, or ErrNotFound when there is none or it is
// out of scope; lock holds the row until the end of tx.
func FindNotice(ctx context.Context, tx Querier, s auth.Scope, id int64, lock bool) (Notice, error) {
	var q query
	q.add("SELECT "+noticeColumns+fromNotice+"WHERE n.id = ? AND ", id).noticesInScope(s)
	if lock {
		q.add(" FOR UPDATE OF n")
	}
	rows, err := tx.Query(ctx, q.sql.String(), q.args...)
	if err != nil {
		return Notice{}, fmt.Errorf("store: notice %d: %w", id, err)
	}
	n, err := pgx.CollectExactlyOneRow(rows, scanNotice)
	if errors.Is(err, pgx.ErrNoRows) {
		err = ErrNotFound
	}
	if err != nil {
		return Notice{}, fmt.Errorf("store: notice %d: %w", id, err)
	}
	return n, nil
}

// NoticeFilter narrows a list of notices; zero fields do not.
type NoticeFilter struct {
	State   string // as dispatch.Notice.State has them
	Overdue bool   // supervised, and still open
	Grids   []auth.Interval
	Before  int64 // continue after the notice with this id
	Limit   int
}

// Notices lists the notices in scope, newest first.
func (db *DB) Notices(ctx context.Context, s auth.Scope, f NoticeFilter) ([]Notice, error) {
	var q query
	q.add("SELECT " + noticeColumns + fromNotice + "WHERE ").noticesInScope(s)
	switch f.State {
	case "withdrawn":
		q.add(" AND n.withdrawn_at IS NOT NULL")
	case "replied":
		q.add(" AND n.replied_at IS NOT NULL")
	case "read":
		q.add(" AND n.read_at IS NOT NULL AND n.replied_at IS NULL AND n.withdrawn_at IS NULL")
	case "sent":
		q.add(" AND n.read_at IS NULL AND n.replied_at IS NULL AND n.withdrawn_at IS NULL")
	}
	if f.Overdue {
		q.add(" AND n.supervised_at IS NOT NULL AND n.replied_at IS NULL AND n.withdrawn_at IS NULL")
	}
	if len(f.Grids) > 0 {
		q.add(" AND ").within(f.Grids, "n.grid_no")
	}
	if f.Before > 0 {
		q.add(" AND n.id < ?", f.Before)
	}
	q.add(" ORDER BY n.id DESC LIMIT ?", f.Limit)
	rows, err := db.Pool.Query(ctx, q.sql.String(), q.args...)
	if err != nil {
		return nil, fmt.Errorf("store: notices: %w", err)
	}
	out, err := pgx.CollectRows(rows, scanNotice)
	if err != nil {
		return nil, fmt.Errorf("store: notices: %w", err)
	}
	return out, nil
}

// ReadBy tells which of these notices an actor has read, as one of their unit.
func (db *DB) ReadBy(ctx context.Context, actor string, ids []int64) ([]int64, error) {
	rows, err := db.Pool.Query(ctx, "SELECT notice_id FROM notice_receipt WHERE actor = $1 AND notice_id = ANY($2)", actor, ids)
	if err != nil {
		return nil, fmt.Errorf("store: receipts of %s: %w", actor, err)
	}
	read, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return nil, fmt.Errorf("store: receipts of %s: %w", actor, err)
	}
	return read, nil
}

// NoticeRate is how one unit answers: of the notices that were due, how many it read,
// answered in time and late.
type NoticeRate struct {
	Department          int64  // or, where that is 0
	Grid, Name          string // the grid whose desk it is
	Level               int
	Due, Read, In, Late int
}

// NoticeRates counts the notices in scope that were due in [from, to), by unit, the unit
// with most first. What was withdrawn does not count.
func (db *DB) NoticeRates(ctx context.Context, s auth.Scope, from, to time.Time) ([]NoticeRate, error) {
	var q query
	q.add(`SELECT coalesce(n.department_id, 0), coalesce(u.code, ''), coalesce(u.name, ''), coalesce(n.level, 0), count(*), count(n.read_at),
		count(*) FILTER (WHERE n.replied_at <= n.due), count(*) FILTER (WHERE n.replied_at > n.due)
		FROM notice n LEFT JOIN grid u ON u.id = n.unit_id WHERE n.withdrawn_at IS NULL AND n.due >= ? AND n.due < ? AND `, from, to).noticesInScope(s)
	q.add(" GROUP BY 1, 2, 3, 4 ORDER BY 5 DESC, 1, 2")
	rows, err := db.Pool.Query(ctx, q.sql.String(), q.args...)
	if err != nil {
		return nil, fmt.Errorf("store: rates of notices: %w", err)
	}
	out, err := pgx.CollectRows(rows, pgx.RowToStructByPos[NoticeRate])
	if err != nil {
		return nil, fmt.Errorf("store: rates of notices: %w", err)
	}
	return out, nil
}

// PublicNotice is a notice as events and answers carry it.
type PublicNotice struct {
	ID          string     `json:"id"`
	Ver         int        `json:"ver"`
	State       string     `json:"state" enum:"sent,read,replied,withdrawn"`
	Title       string     `json:"title"`
	Grid        string     `json:"grid" doc:"Code of the area"`
	GridName    string     `json:"grid_name"`
	Department  string     `json:"department,omitempty" doc:"The unit, where it is one"`
	UnitGrid    string     `json:"unit_grid,omitempty" doc:"Else the grid whose desk it is"`
	UnitName    string     `json:"unit_name,omitempty"`
	Level       int        `json:"level,omitempty" doc:"Of that grid"`
	Cell        string     `json:"cell,omitempty" doc:"The H3 cell whose count it was made from"`
	MadeBy      string     `json:"made_by" doc:"The actor, as the audit names it"`
	MadeAt      time.Time  `json:"made_at"`
	Due         time.Time  `json:"due"`
	RemindAt    time.Time  `json:"remind_at" doc:"Unread then, it is reminded of"`
	ReadAt      *time.Time `json:"read_at"`
	RemindedAt  *time.Time `json:"reminded_at"`
	RepliedAt   *time.Time `json:"replied_at"`
	InTime      bool       `json:"in_time" doc:"It was answered by its due time"`
	Supervised  bool       `json:"supervised" doc:"It was due without a reply"`
	WithdrawnAt *time.Time `json:"withdrawn_at"`
}

// Public renders a notice; names are the departments'.
func (n Notice) Public(names map[int64]string) PublicNotice {
	p := PublicNotice{
		ID: fmt.Sprint(n.ID), Ver: n.Ver, State: n.State(), Title: n.Title, Grid: n.AreaCode, GridName: n.AreaName, Department: names[n.Department],
		UnitGrid: n.UnitCode, UnitName: n.UnitName, Level: n.Level, MadeBy: n.MadeBy, MadeAt: n.MadeAt, Due: n.Due, RemindAt: n.RemindAt, ReadAt: n.ReadAt,
		RemindedAt: n.RemindedAt, RepliedAt: n.RepliedAt, InTime: n.InTime(), Supervised: n.SupervisedAt != nil, WithdrawnAt: n.WithdrawnAt,
	}
	if n.Cell != 0 {
		p.Cell = n.Cell.String()
	}
	return p
}

// NoticePayload encodes a notice for an event. A wall is told none: there is no shared
// view of one.
func NoticePayload(n Notice, names map[int64]string) (json.RawMessage, error) {
	raw, err := json.Marshal(n.Public(names))
	if err != nil {
		return nil, fmt.Errorf("store: encode notice %d: %w", n.ID, err)
	}
	return raw, nil
}
