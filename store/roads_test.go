// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/paulmach/orb"

	"onemap/auth"
	"onemap/geo"
	"onemap/geo/road"
	"onemap/intake/file"
	"onemap/internal/pgtest"
	"onemap/store"
)

func TestRoadsOfASourceAreReplacedAsAWhole(t *testing.T) {
	t.Parallel()
	db := open(t)
	line := orb.LineString{{107, 38}, {107.1, 38}}
	a, b := store.RoadSegment{ExtID: "a", Class: "primary", Name: "大路", Kmh: 65, Oneway: true, Geom: line}, store.RoadSegment{ExtID: "b", Class: "track", Kmh: 15, Geom: line}
	replace := func(source string, segments ...store.RoadSegment) (int64, error) {
		return db.ReplaceRoads(t.Context(), store.RoadSet{Source: source, Actor: "system:test", Segments: segments})
	}
	have := func() (out string) {
		roads, err := db.Roads(t.Context(), auth.System("test"))
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range roads {
			out += fmt.Sprintf("%s %s %v %g; ", r.Class, r.Name, r.Oneway, r.Kmh)
		}
		return out
	}
	run(t, db, "INSERT INTO road (ext_id, name, class, geom) VALUES ('demo', '国道', 'trunk', ST_GeomFromText('LINESTRING(107 38, 108 38)', 4326))")
	const demo, first, second = "trunk 国道 false 85; ", "primary 大路 true 65; ", "track  false 15; "
	if _, err := replace("one", a, b); err != nil {
		t.Fatal(err)
	}
	if _, err := replace("two", a); err != nil { // the same number of another source
		t.Fatal(err)
	}
	if got := have(); got != demo+first+second+first {
		t.Errorf("two sets: %s", got)
	}
	if before, err := replace("one", b); err != nil || before != 2 {
		t.Errorf("%d segments before, %v", before, err)
	}
	if got := have(); got != demo+first+second {
		t.Errorf("replaced: %s", got)
	}
	for name, bad := range map[string][]store.RoadSegment{
		"a number twice": {a, a}, "no speed": {{ExtID: "x", Class: "track", Geom: line}}, "one point": {{ExtID: "x", Class: "track", Kmh: 15, Geom: line[:1]}},
	} {
		if _, err := replace("one", append([]store.RoadSegment{b}, bad...)...); err == nil {
			t.Errorf("%s: taken", name)
		}
		if got := have(); got != demo+first+second {
			t.Errorf("%s: the set is now %s", name, got)
		}
	}
	if none, err := db.Roads(t.Context(), auth.Scope{}); err != nil || len(none) > 0 {
		t.Errorf("the zero scope reads %v, %v", none, err)
	}
}

// pairs makes PostGIS cut the roads anew: each straight bit is an edge, each
// vertex a node. Lengths are those of the sphere.
var pairs = []string{
	`CREATE TABLE vertex AS SELECT row_number() OVER () AS id, g FROM (
		SELECT DISTINCT (ST_DumpPoints(geom)).geom AS g FROM road_segment) v`,
	`CREATE TABLE pair AS WITH points AS (
		SELECT s.id, oneway, kmh, d.path[1] AS n, d.geom AS a FROM road_segment s, ST_DumpPoints(s.geom) d),
	bits AS (SELECT *, lead(a) OVER (PARTITION BY id ORDER BY n) AS b FROM points)
	SELECT row_number() OVER (ORDER BY bits.id, n) AS id, u.id AS source, v.id AS target, ST_DistanceSphere(a, b) * 3.6 / kmh AS cost,
		CASE WHEN oneway THEN -1 ELSE ST_DistanceSphere(a, b) * 3.6 / kmh END AS reverse_cost, a, b
	FROM bits JOIN vertex u ON u.g = a JOIN vertex v ON v.g = b WHERE u.id <> v.id`,
	`CREATE TABLE strong AS SELECT node, component FROM pgr_strongComponents('SELECT id, source, target, cost, reverse_cost FROM pair')`,
	`DELETE FROM strong WHERE component <> (SELECT component FROM strong GROUP BY 1 ORDER BY count(*) DESC LIMIT 1)`,
	`CREATE TABLE probe (pid bigint, edge_id bigint, fraction float8)`,
}

// probe is a random place on a road.
type probe struct {
	edge     int64
	fraction float64
	at       geo.WGS84
	main     bool
}

// TestTravelTimesEqualPgRouting asks for the way between random places on the
// roads of Andorra: a thousand with ONEMAP_SOAK=1. ONEMAP_SEED repeats a run.
func TestTravelTimesEqualPgRouting(t *testing.T) {
	t.Parallel()
	db := open(t)
	pgtest.Extension(t, db.Pool.Config().ConnString(), "pgrouting", "apt-get install postgresql-pgrouting")
	path := filepath.Join("../../shared/data/roads", "andorra.osm.pbf")
	if _, err := os.Stat(path); err != nil {
		t.Skipf("SKIPPED, NOTHING TESTED: %v", err)
	}
	read, err := file.ReadRoads(t.Context(), path, file.RoadOptions{Datum: geo.DatumWGS84})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.ReplaceRoads(t.Context(), store.RoadSet{Source: "osm", Actor: "system:test", Segments: read.Segments}); err != nil {
		t.Fatal(err)
	}
	roads, err := db.Roads(t.Context(), auth.System("test"))
	if err != nil {
		t.Fatal(err)
	}
	var segments []road.Segment
	for _, r := range roads {
		segments = append(segments, road.Segment{Line: r.Geom, Oneway: r.Oneway, Kmh: float64(r.Kmh)})
	}
	g := road.Build(segments, road.DefaultRules())
	for _, sql := range pairs {
		run(t, db, sql)
	}

	n, seed := 40, uint64(time.Now().UnixNano())
	if os.Getenv("ONEMAP_SOAK") == "1" {
		n = 1000
	}
	if s := os.Getenv("ONEMAP_SEED"); s != "" {
		seed, _ = strconv.ParseUint(s, 10, 64)
	}
	t.Logf("seed %d, %d queries, %+v", seed, n, g.Stats())
	// Of the main net n queries, and some more from and to anywhere.
	probes := probesOn(t, db, rand.New(rand.NewPCG(seed, 1)), 2*n, 2*n/5)
	want := pgRouting(t, db)
	equal, worst := 0, 0.0
	for i := range len(probes) / 2 {
		from, to := probes[2*i], probes[2*i+1]
		got := g.TravelTimes(to.at, []geo.WGS84{from.at}, 1)[0]
		secs, way := want[int64(2*i+1)]
		off := math.Abs(got.Seconds-secs) / max(secs, 1)
		switch {
		case from.main && to.main && (!way || got.By != road.ByRoad || off > 0.001):
			t.Errorf("query %d: from %v to %v %+v, pgRouting %.3f s (%v)", i, from.at, to.at, got, secs, way)
		case from.main && to.main:
			equal, worst = equal+1, max(worst, off)
		// On an island the nearest road of the main net may be a shorter way.
		case way && got.Seconds > secs*1.001:
			t.Errorf("query %d, beside the main net: from %v to %v %+v, pgRouting %.3f s", i, from.at, to.at, got, secs)
		}
	}
	t.Logf("%d of %d queries on the main net, equal within %.2g", equal, len(probes)/2, worst)
	if equal < n {
		t.Errorf("only %d queries are on the main net", equal)
	}
}

// probesOn draws places on the main net and places anywhere, on pairs that no other
// pair covers, and stores them.
func probesOn(t *testing.T, db *store.DB, r *rand.Rand, onMain, anywhere int) []probe {
	t.Helper()
	rows, err := db.Pool.Query(t.Context(), `SELECT id, ST_X(a), ST_Y(a), ST_X(b), ST_Y(b),
		source IN (SELECT node FROM strong) AND target IN (SELECT node FROM strong)
		FROM pair p WHERE NOT EXISTS (SELECT FROM pair q WHERE q.id <> p.id AND least(q.source, q.target) = least(p.source, p.target)
			AND greatest(q.source, q.target) = greatest(p.source, p.target)) ORDER BY id`)
	if err != nil {
		t.Fatal(err)
	}
	type pair struct {
		ID             int64
		AX, AY, BX, BY float64
		Main           bool
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[pair])
	if err != nil {
		t.Fatal(err)
	}
	var out []probe
	var list [][]any
	for len(out) < onMain+anywhere {
		p, f := all[r.IntN(len(all))], 0.02+0.96*r.Float64()
		if len(out) < onMain && !p.Main {
			continue
		}
		out = append(out, probe{p.ID, f, geo.WGS84{p.AX + f*(p.BX-p.AX), p.AY + f*(p.BY-p.AY)}, p.Main})
		list = append(list, []any{int64(len(out)), p.ID, f})
	}
	if _, err := db.Pool.CopyFrom(t.Context(), pgx.Identifier{"probe"}, []string{"pid", "edge_id", "fraction"}, pgx.CopyFromRows(list)); err != nil {
		t.Fatal(err)
	}
	return out
}

// pgRouting is its seconds from each odd probe to the next one, by the odd one.
func pgRouting(t *testing.T, db *store.DB) map[int64]float64 {
	t.Helper()
	rows, err := db.Pool.Query(t.Context(), `SELECT -start_pid, agg_cost FROM pgr_withPointsCost(
		'SELECT id, source, target, cost, reverse_cost FROM pair', 'SELECT pid, edge_id, fraction, ''b''::char AS side FROM probe',
		'SELECT -pid AS source, -pid - 1 AS target FROM probe WHERE pid % 2 = 1', driving_side => 'b')`)
	if err != nil {
		t.Fatal(err)
	}
	out := map[int64]float64{}
	var pid int64
	var seconds float64
	if _, err := pgx.ForEachRow(rows, []any{&pid, &seconds}, func() error { out[pid] = seconds; return nil }); err != nil {
		t.Fatal(err)
	}
	return out
}
