// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"onemap/auth"
)

// Spread is how long one way through the stages took, in seconds.
type Spread struct {
	N                  int     // incidents of which both ends are known
	P50, P90, P95, P99 float64 // linear between the two nearest, as percentile_cont; 0 for N 0
}

// Response is how fast incidents were answered.
type Response struct {
	Incidents         int // reported in the period
	ReportToDispatch  Spread
	ReportToSigned    Spread
	ReportToArrival   Spread
	DispatchToArrival Spread
	ReportToResolved  Spread
}

// ResponseFilter says of which incidents.
type ResponseFilter struct {
	From, To    time.Time // reported in [From, To)
	Category    string    // "" for all; a top category with all below it
	TopCategory bool
}

// ResponseTimes works out how fast the incidents in scope were answered. Dispatch is
// the first entry of the journal into that state; the other ends are the incident's
// own times. In the shared view a filter by a category below the top is
// ErrFinerThanView, and one by a top category leaves out what is shown as of none.
func (db *DB) ResponseTimes(ctx context.Context, s auth.Scope, v auth.View, f ResponseFilter) (Response, error) {
	if v != auth.CaseView && f.Category != "" && !f.TopCategory {
		return Response{}, fmt.Errorf("store: response times: %w", ErrFinerThanView)
	}
	var q query
	q.add(`WITH mine AS MATERIALIZED (
		SELECT i.reported_at, i.acknowledged_at, i.on_scene_at, i.resolved_at, d.at AS dispatched_at
		FROM incident i LEFT JOIN LATERAL (SELECT min(j.at) AS at FROM incident_journal j WHERE j.incident_id = i.id AND j.to_state = 'dispatched') d ON true
		WHERE i.reported_at >= ? AND i.reported_at < ? AND i.state NOT IN ('void', 'merged', 'refused') AND `, f.From, f.To).incidentsInScope(s, "i")
	if f.Category != "" && f.TopCategory {
		q.add(" AND i.category IN (SELECT code FROM category WHERE code = ? OR parent_code = ?)", f.Category, f.Category)
	} else if f.Category != "" {
		q.add(" AND i.category = ?", f.Category)
	}
	if v != auth.CaseView && f.Category != "" {
		q.add(" AND i.category NOT IN (SELECT code FROM category WHERE precision = 'none')")
	}
	q.add(`), ways AS (
		SELECT v.k, extract(epoch FROM v.took)::float8 AS s FROM mine CROSS JOIN LATERAL (VALUES
			(0, dispatched_at - reported_at), (1, acknowledged_at - reported_at), (2, on_scene_at - reported_at),
			(3, on_scene_at - dispatched_at), (4, resolved_at - reported_at)) v(k, took) WHERE v.took >= interval '0')
		SELECT -1, (SELECT count(*)::int FROM mine), NULL::float8[]
		UNION ALL SELECT k, count(*)::int, percentile_cont(ARRAY[0.5, 0.9, 0.95, 0.99]) WITHIN GROUP (ORDER BY s) FROM ways GROUP BY k`)
	rows, err := db.Pool.Query(ctx, q.sql.String(), q.args...)
	if err != nil {
		return Response{}, fmt.Errorf("store: response times: %w", err)
	}
	var out Response
	to := []*Spread{&out.ReportToDispatch, &out.ReportToSigned, &out.ReportToArrival, &out.DispatchToArrival, &out.ReportToResolved}
	var k, n int
	var p []float64
	_, err = pgx.ForEachRow(rows, []any{&k, &n, &p}, func() error {
		if k < 0 {
			out.Incidents = n
			return nil
		}
		*to[k] = Spread{n, p[0], p[1], p[2], p[3]}
		return nil
	})
	if err != nil {
		return Response{}, fmt.Errorf("store: response times: %w", err)
	}
	return out, nil
}
