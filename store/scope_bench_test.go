// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/paulmach/orb"

	"onemap/auth"
	"onemap/dispatch"
	"onemap/geo/grid"
	"onemap/internal/pgtest"
	"onemap/store"
)

// benchCounty fills a database with incidents over a county of 4 towns, 400 grids
// and 20 departments, every tenth of a sensitive category.
func benchCounty(tb testing.TB, incidents int) *store.DB {
	tb.Helper()
	ctx := context.Background()
	db, err := store.Open(ctx, pgtest.URL(tb), store.Options{StatementTimeout: -1, PlanEach: true})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(db.Close)
	if err := db.SaveCategories(ctx, dispatch.DefaultCategories()); err != nil {
		tb.Fatal(err)
	}
	square := func(x0, y0, x1, y1 float64) orb.MultiPolygon {
		return orb.MultiPolygon{{{{x0, y0}, {x1, y0}, {x1, y1}, {x0, y1}, {x0, y0}}}}
	}
	ds := []grid.Draft{{Code: "C", Level: 1, Name: "县", Geom: square(107, 38, 108, 39)}}
	for t := range 4 {
		x := 107 + float64(t)/4
		town := grid.Code(fmt.Sprint("T", t))
		ds = append(ds, grid.Draft{Code: town, Parent: "C", Level: 2, Name: string(town), Geom: square(x, 38, x+0.25, 39)})
		for g := range 100 {
			gx, gy := x+float64(g%10)/40, 38+float64(g/10)/10
			code := grid.Code(fmt.Sprintf("T%dG%02d", t, g))
			ds = append(ds, grid.Draft{Code: code, Parent: town, Level: 3, Name: string(code), Geom: square(gx, gy, gx+0.025, gy+0.1)})
		}
	}
	version, err := db.SaveDraft(ctx, ds, true, "bench")
	if err == nil {
		err = db.Enact(ctx, version)
	}
	if err != nil {
		tb.Fatal(err)
	}
	for _, sql := range []string{
		`INSERT INTO worker (badge) SELECT 'W' || n FROM generate_series(1, 400) n`,
		`WITH leaf AS (SELECT row_number() OVER (ORDER BY no) - 1 AS k, id, no, ST_XMin(geom) AS x, ST_YMin(geom) AS y FROM grid WHERE level = 3),
		kinds AS (SELECT row_number() OVER (ORDER BY code) - 1 AS k, code FROM category WHERE parent_code IS NOT NULL AND precision <> 'none'),
		veiled AS (SELECT row_number() OVER (ORDER BY code) - 1 AS k, code FROM category WHERE parent_code IS NOT NULL AND precision = 'none'),
		dept AS (SELECT array_agg(id ORDER BY id) AS ids FROM department),
		made AS (INSERT INTO incident (state, category, priority, title, source, geom, raw_lon, raw_lat, raw_datum, place, grid_id, grid_no,
			cell6, cell7, cell8, cell9, owner_level, department_id, reported_at, closed_at)
		SELECT CASE WHEN n % 20 = 0 THEN 'reported' ELSE 'closed' END,
			coalesce(CASE WHEN n % 10 = 0 THEN (SELECT code FROM veiled WHERE k = n % (SELECT count(*) FROM veiled)) END,
				(SELECT code FROM kinds WHERE k = n % (SELECT count(*) FROM kinds))),
			1 + n % 4, '第' || n || '件', 'bench', ST_SetSRID(ST_MakePoint(at.x, at.y), 4326), at.x, at.y, 'wgs84', 'in_grid', leaf.id, leaf.no,
			1, 1, 1, 1, 3, dept.ids[1 + n % array_length(dept.ids, 1)], now() - n * interval '1 minute', now()
		FROM dept, generate_series(1, ` + fmt.Sprint(incidents) + `) n
		JOIN leaf ON leaf.k = (n::bigint * 7919) % 400
		CROSS JOIN LATERAL (SELECT leaf.x + 0.025 * (hashint4(n) & 65535) / 65536.0 AS x, leaf.y + 0.1 * (hashint4(-n) & 65535) / 65536.0 AS y) at
		RETURNING id, state, owner_level, department_id, reported_at)
		INSERT INTO incident_stage (incident_id, n, level, department_id, started_at) SELECT id, 1, owner_level, department_id, reported_at FROM made WHERE state = 'reported'`,
		`INSERT INTO incident_worker (incident_id, worker_id, relation) SELECT id, 1 + id / 7 % 400, 'reported' FROM incident WHERE id % 7 = 0`,
		`ANALYZE`,
	} {
		if _, err := db.Pool.Exec(ctx, sql); err != nil {
			tb.Fatal(err)
		}
	}
	return db
}

// BenchmarkScopedQuery compares what a map asks for, a small part of the county
// through a scope, with the same statement with its WHERE written out by hand.
// The ratio is to stay under 1.2.
func BenchmarkScopedQuery(b *testing.B) {
	db := benchCounty(b, 500_000)
	ctx := context.Background()
	interval := func(code string) (iv auth.Interval) {
		if err := db.Pool.QueryRow(ctx, "SELECT no, last_no FROM grid WHERE code = $1", code).Scan(&iv.Lo, &iv.Hi); err != nil {
			b.Fatal(err)
		}
		return iv
	}
	county, town := interval("C"), interval("T1")
	var dept int64
	if err := db.Pool.QueryRow(ctx, "SELECT max(id) FROM department").Scan(&dept); err != nil {
		b.Fatal(err)
	}
	box := orb.Bound{Min: orb.Point{107.30, 38.30}, Max: orb.Point{107.34, 38.34}}
	var worker int64 // one with work in the box
	if err := db.Pool.QueryRow(ctx, `SELECT iw.worker_id FROM incident_worker iw JOIN incident i ON i.id = iw.incident_id
		WHERE i.geom && ST_MakeEnvelope($1, $2, $3, $4, 4326) AND i.category NOT IN (SELECT code FROM category WHERE precision = 'none') LIMIT 1`,
		box.Min[0], box.Min[1], box.Max[0], box.Max[1]).Scan(&worker); err != nil {
		b.Fatal(err)
	}
	const open = ` AND i.geom && ST_MakeEnvelope($4, $5, $6, $7, 4326) ORDER BY i.reported_at DESC, i.id DESC LIMIT $8`
	const veiled = ` AND i.category NOT IN (SELECT code FROM category WHERE precision = 'none')`
	for _, c := range []struct {
		name  string
		grant auth.Grant
		where string
		args  []any
	}{
		{"county", auth.Grant{Role: auth.Dispatcher, Sensitive: true, Intervals: []auth.Interval{county}}, `i.grid_no BETWEEN $1 AND $2 AND $3::int IS NULL`, []any{county.Lo, county.Hi, nil}},
		{"county-flagless", auth.Grant{Role: auth.Dispatcher, Intervals: []auth.Interval{county}}, `i.grid_no BETWEEN $1 AND $2 AND $3::int IS NULL` + veiled, []any{county.Lo, county.Hi, nil}},
		{"town", auth.Grant{Role: auth.TownOperator, Intervals: []auth.Interval{town}}, `i.grid_no BETWEEN $1 AND $2 AND $3::int IS NULL` + veiled, []any{town.Lo, town.Hi, nil}},
		{
			"department",
			auth.Grant{Role: auth.DeptHandler, Department: dept, Intervals: []auth.Interval{county}},
			`i.grid_no BETWEEN $1 AND $2 AND i.department_id = $3` + veiled,
			[]any{county.Lo, county.Hi, dept},
		},
		{
			"worker",
			auth.Grant{Role: auth.GridWorker, Worker: uint32(worker), County: []auth.Interval{county}},
			`i.grid_no BETWEEN $1 AND $2 AND EXISTS (SELECT FROM incident_worker iw WHERE iw.incident_id = i.id AND iw.worker_id = $3 AND iw.until IS NULL)` + veiled,
			[]any{county.Lo, county.Hi, worker},
		},
	} {
		c.grant.ID = "token:1"
		d, err := auth.Decide(auth.NewActor(c.grant), auth.Read, auth.IncidentData)
		if err != nil {
			b.Fatal(err)
		}
		scoped := func() int {
			rows, err := db.Incidents(ctx, d.Scope, d.View, store.IncidentFilter{Bound: &box, Limit: 200})
			if err != nil {
				b.Fatal(err)
			}
			return len(rows)
		}
		byHand := func() int {
			rows, err := db.Pool.Query(ctx, store.SelectCaseForTest+" WHERE "+c.where+open, append(c.args, box.Min[0], box.Min[1], box.Max[0], box.Max[1], 200)...)
			if err != nil {
				b.Fatal(err)
			}
			got, err := pgx.CollectRows(rows, store.ScanForTest)
			if err != nil {
				b.Fatal(err)
			}
			return len(got)
		}
		if x, y := scoped(), byHand(); x != y || x == 0 {
			b.Fatalf("%s: %d rows through the scope, %d by hand", c.name, x, y)
		}
		b.Run(c.name, func(b *testing.B) {
			var through, hand time.Duration
			for i := range b.N {
				for k := range 2 { // in turn, each first every other time
					began := time.Now()
					if (i+k)%2 == 0 {
						scoped()
						through += time.Since(began)
					} else {
						byHand()
						hand += time.Since(began)
					}
				}
			}
			b.ReportMetric(float64(through.Microseconds())/float64(b.N), "scoped-µs/op")
			b.ReportMetric(float64(hand.Microseconds())/float64(b.N), "by-hand-µs/op")
			b.ReportMetric(float64(through)/float64(hand), "ratio")
		})
	}
}
