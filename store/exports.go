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

// Exported is a list of incidents for a file, as of one sequence number: it holds
// everything up to Seq, at least.
type Exported struct {
	Seq   feed.Seq
	Total int // how many there are; Rows has them all, or none when they are too many
	Rows  []Incident
}

// ExportIncidents lists the incidents in scope that f lets through, newest report
// first. Where they are more than f.Limit, they are counted only. It is for the
// case view.
func ExportIncidents(ctx context.Context, tx Querier, s auth.Scope, f IncidentFilter) (e Exported, err error) {
	if err := tx.QueryRow(ctx, "SELECT coalesce((SELECT seq FROM feed_head), 0)").Scan(&e.Seq); err != nil {
		return e, fmt.Errorf("store: export incidents: %w", err)
	}
	q := selectIncidents(auth.CaseView).add(" WHERE ").incidentsInScope(s, "i").filtered(f).
		add(" ORDER BY i.reported_at DESC, i.id DESC LIMIT ?", f.Limit+1)
	rows, err := tx.Query(ctx, q.sql.String(), q.args...)
	if err != nil {
		return e, fmt.Errorf("store: export incidents: %w", err)
	}
	if e.Rows, err = pgx.CollectRows(rows, scanIncident); err != nil {
		return e, fmt.Errorf("store: export incidents: %w", err)
	}
	if e.Total = len(e.Rows); e.Total <= f.Limit {
		return e, nil
	}
	var n query
	n.add("SELECT count(*) FROM incident i WHERE ").incidentsInScope(s, "i").filtered(f)
	if err := tx.QueryRow(ctx, n.sql.String(), n.args...).Scan(&e.Total); err != nil {
		return e, fmt.Errorf("store: count incidents: %w", err)
	}
	e.Rows = nil
	return e, nil
}

// filtered adds the conditions of f, without its cursor and limit, on the incident
// called i.
func (q *query) filtered(f IncidentFilter) *query {
	if b := f.Bound; b != nil {
		q.add(" AND i.geom && ST_MakeEnvelope(?, ?, ?, ?, 4326)", b.Min[0], b.Min[1], b.Max[0], b.Max[1])
	}
	if !f.From.IsZero() {
		q.add(" AND i.reported_at >= ?", f.From)
	}
	if !f.To.IsZero() {
		q.add(" AND i.reported_at < ?", f.To)
	}
	if f.Category != "" {
		q.add(" AND i.category IN (SELECT code FROM category WHERE code = ? OR parent_code = ?)", f.Category, f.Category)
	}
	if len(f.States) > 0 {
		q.add(" AND i.state = ANY(?)", f.States)
	}
	if f.Open != nil {
		q.add(" AND i.open = ?", *f.Open)
	}
	if len(f.Grids) > 0 {
		q.add(" AND ").within(f.Grids, "i.grid_no")
	}
	if f.Cell != 0 { // what cells count: see heat
		q.inCell(f.Cell).add(" AND i.category NOT IN (SELECT code FROM category WHERE precision = 'none')")
	}
	if f.Text != "" {
		q.add(" AND (strpos(i.title, ?) > 0 OR strpos(i.body, ?) > 0 OR strpos(i.address, ?) > 0)", f.Text, f.Text, f.Text)
	}
	if f.Overdue != nil {
		past := " IS TRUE"
		if !*f.Overdue { // what has no limit is not past it
			past = " IS NOT TRUE"
		}
		q.add(" AND (i.open AND i.stage_due < ?)"+past, f.At)
	}
	if f.ofFigures() {
		q.rowsOfFigures(f)
	}
	return q
}

// rowsOfFigures adds the conditions of f that open a figure into its rows.
func (q *query) rowsOfFigures(f IncidentFilter) {
	level, department := ownLevel, ownDepartment
	if p := f.Closed; p != nil {
		level = solvedLevel
		q.add(" AND"+closedIn, p.From, p.To)
	}
	for _, c := range []struct {
		condition string
		want      *bool
	}{{"i.reopened > 0", f.Reopened}, {onTheSpot, f.OnTheSpot}, {"i.stage_due IS NULL", f.NoLimit}} {
		if c.want != nil {
			q.add(" AND ("+c.condition+") = ?", *c.want)
		}
	}
	if f.Place != "" {
		q.add(" AND i.place = ?", f.Place)
	}
	if p := f.Due; p != nil {
		level, department = "("+termLevel+")", "("+termDepartment+")"
		q.add(" AND EXISTS (SELECT FROM (VALUES (1)) one"+termOf+"WHERE").termIn(p.From, p.To, f.At)
		if len(f.Outcomes) > 0 {
			q.add(" AND ("+termOutcome+") = ANY(?)", f.Outcomes)
		}
	}
	if f.Level != nil {
		q.add(" AND coalesce("+level+", 0) = ?", *f.Level)
	}
	if f.Department != nil {
		q.add(" AND coalesce("+department+", 0) = ?", *f.Department)
	}
	if f.Due != nil {
		q.add(")")
	}
}

// GridCategoryCount counts the incidents of one grid and one top category.
type GridCategoryCount struct {
	GridID int64 // of the version in force when they were reported
	Top    string
	N      int
}

// CountReported counts the incidents in scope reported in [from, to), never those
// of a category whose place is not shown: of these, a count can tell too much.
func CountReported(ctx context.Context, tx Querier, s auth.Scope, from, to time.Time) ([]GridCategoryCount, error) {
	var q query
	q.add(`SELECT i.grid_id, coalesce(c.parent_code, c.code), count(*) FROM incident i JOIN category c ON c.code = i.category
		WHERE i.reported_at >= ? AND i.reported_at < ? AND c.precision <> 'none' AND `, from, to).incidentsInScope(s, "i").add(" GROUP BY 1, 2")
	rows, err := tx.Query(ctx, q.sql.String(), q.args...)
	if err != nil {
		return nil, fmt.Errorf("store: count incidents: %w", err)
	}
	out, err := pgx.CollectRows(rows, pgx.RowToStructByPos[GridCategoryCount])
	if err != nil {
		return nil, fmt.Errorf("store: count incidents: %w", err)
	}
	return out, nil
}
