// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/paulmach/orb"

	"onemap/auth"
	"onemap/geo"
	"onemap/geo/grid"
	"onemap/internal/pgtest"
	"onemap/store"
)

func open(t testing.TB) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), pgtest.URL(t), store.Options{StatementTimeout: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	return db
}

func quad(x0, y0, x1, y1 float64) orb.MultiPolygon {
	return orb.MultiPolygon{{{{x0, y0}, {x1, y0}, {x1, y1}, {x0, y1}, {x0, y0}}}}
}

// twoTowns is a county of two towns side by side.
func twoTowns() []grid.Draft {
	return []grid.Draft{
		{Code: "C", Level: 1, Name: "县", Geom: quad(0, 0, 2, 1)},
		{Code: "C2", Parent: "C", Level: 2, Name: "西镇", Geom: quad(0, 0, 1, 1)},
		{Code: "C10", Parent: "C", Level: 2, Name: "东镇", Geom: quad(1, 0, 2, 1)},
	}
}

func save(t testing.TB, db *store.DB, ds []grid.Draft) int32 {
	t.Helper()
	v, err := db.SaveDraft(t.Context(), ds, true, "test")
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func load(t testing.TB, db *store.DB) *grid.Tree {
	t.Helper()
	tree, err := db.LoadTree(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

func TestEnactNumbersTheTreeInPreOrder(t *testing.T) {
	t.Parallel()
	db := open(t)
	ds := append(twoTowns(),
		grid.Draft{Code: "B", Parent: "C2", Level: 3, Name: "村", Geom: quad(0, 0, 1, 0.5)},
		grid.Draft{Code: "A", Parent: "C2", Level: 3, Name: "村", Geom: quad(0, 0.5, 1, 1)})
	v := save(t, db, ds)
	if n := len(load(t, db).Nodes()); n != 0 {
		t.Fatalf("a draft put %d grids into the tree", n)
	}
	if err := db.Enact(t.Context(), v); err != nil {
		t.Fatal(err)
	}
	var got []string
	tree := load(t, db)
	for _, n := range tree.Nodes() {
		got = append(got, fmt.Sprintf("%s:%d-%d<%d", n.Code, n.No, n.Last, n.Parent))
	}
	if want := "C:1-5<-1 C10:2-2<0 C2:3-5<0 A:4-4<2 B:5-5<2"; strings.Join(got, " ") != want {
		t.Errorf("numbered %v, want %s", got, want)
	}
	if i, ok := tree.ByNo(4); !ok || tree.Nodes()[i].Code != "A" || tree.Nodes()[i].Version != v {
		t.Errorf("number 4 is %d, %v", i, ok)
	}
	if n := tree.Nodes()[3]; tree.Locate(geo.WGS84(n.Label)).Index != 3 {
		t.Errorf("the label of %s lies elsewhere", n.Code)
	}
}

func TestEnactRetiresTheVersionBefore(t *testing.T) {
	t.Parallel()
	db := open(t)
	first := save(t, db, twoTowns())
	other := save(t, db, []grid.Draft{{Code: "D", Level: 1, Name: "邻县", Geom: quad(5, 5, 6, 6)}})
	stale := save(t, db, twoTowns())
	enact := func(v int32) {
		t.Helper()
		if err := db.Enact(t.Context(), v); err != nil {
			t.Fatal(err)
		}
	}
	enact(first)
	enact(other)
	second := save(t, db, twoTowns())
	if err := db.Enact(t.Context(), stale); !errors.Is(err, store.ErrBase) {
		t.Errorf("a set that came in before the one in force: %v", err)
	}
	enact(second)
	tree := load(t, db)
	if len(tree.Nodes()) != 4 || len(tree.Roots()) != 2 {
		t.Fatalf("%d grids, %d roots", len(tree.Nodes()), len(tree.Roots()))
	}
	if i, _ := tree.ByCode("C"); tree.Nodes()[i].No != 5 || tree.Nodes()[i].Version != second {
		t.Errorf("the county stands as %+v", tree.Nodes()[i].No)
	}
	if err := db.Enact(t.Context(), first); err == nil {
		t.Error("a retired version was enacted again")
	}
	whole := func(code grid.Code) store.Counties {
		i, _ := tree.ByCode(code)
		n := tree.Nodes()[i]
		d, err := auth.Decide(auth.NewActor(auth.Grant{ID: "token:1", Role: auth.SystemAdmin, Intervals: []auth.Interval{{Lo: n.No, Hi: n.Last}}}), auth.Write, auth.Grid)
		if err != nil {
			t.Fatal(err)
		}
		return store.Counties{Scope: d.Scope}
	}
	for code, want := range map[grid.Code]int{"C": 3, "D": 0} {
		if tr, err := db.VersionTree(t.Context(), whole(code), first); err != nil || len(tr.Nodes()) != want {
			t.Errorf("who sees %s sees %d grids of the old county, %v", code, len(tr.Nodes()), err)
		}
	}
	if err := db.Enact(t.Context(), 999); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("version 999: %v", err)
	}
	for sql, want := range map[string]int{
		"SELECT count(*) FROM grid_version WHERE state = 'retired' AND retired_at IS NOT NULL":                                                                1,
		"SELECT count(*) FROM audit_log WHERE action = 'grids.enact' AND actor = 'system' AND object = 'grids/C'":                                             2,
		"SELECT count(*) FROM outbox WHERE kind = 'grids.enacted' AND entity_kind = 'grids' AND entity_id = 'C' AND live = 'none' AND shared->>'code' = 'C'":  2,
		"SELECT count(*) FROM outbox WHERE kind = 'grids.enacted' AND entity_id = 'D' AND (after_aud->>'grid')::int = (SELECT no FROM grid WHERE code = 'D')": 1,
	} {
		var n int
		if err := db.Pool.QueryRow(t.Context(), sql).Scan(&n); err != nil || n != want {
			t.Errorf("%s: %d, %v; want %d", sql, n, err, want)
		}
	}
}

func TestSaveDraftRefuses(t *testing.T) {
	t.Parallel()
	db := open(t)
	change := func(i int, f func(*grid.Draft)) []grid.Draft {
		ds := twoTowns()
		f(&ds[i])
		return ds
	}
	for name, c := range map[string]struct {
		drafts []grid.Draft
		kind   grid.FaultKind
		text   string
	}{
		"orphan":        {change(1, func(d *grid.Draft) { d.Parent = "X" }), grid.FaultOrphan, "grid C2: its parent X is not in the set"},
		"no parent":     {change(1, func(d *grid.Draft) { d.Parent = "" }), grid.FaultOrphan, "C2"},
		"double code":   {change(1, func(d *grid.Draft) { d.Code = "C10" }), grid.FaultDuplicate, "C10"},
		"skipped level": {change(1, func(d *grid.Draft) { d.Level = 3 }), grid.FaultSkippedLevel, "level 3"},
		"no name":       {change(1, func(d *grid.Draft) { d.Name = " " }), grid.FaultInvalid, "no name"},
		"bow-tie": {change(2, func(d *grid.Draft) {
			d.Geom = orb.MultiPolygon{{{{1, 0}, {2, 1}, {2, 0}, {1, 1}, {1, 0}}}}
		}), grid.FaultInvalid, "crosses itself at 1.500000,0.500000"},
		"two roots": {append(twoTowns(), grid.Draft{Code: "D", Level: 1, Name: "县", Geom: quad(3, 3, 4, 4)}), grid.FaultInvalid, "2 grids of level 1"},
	} {
		_, err := db.SaveDraft(t.Context(), c.drafts, false, "")
		var fe *store.FaultsError
		if !errors.As(err, &fe) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if f := fe.Faults[0]; f.Kind != c.kind || !strings.Contains(f.Text, c.text) {
			t.Errorf("%s: %+v", name, f)
		}
	}
	if _, err := db.SaveDraft(t.Context(), nil, false, ""); err == nil {
		t.Error("an empty set was stored")
	}
	var n int
	if err := db.Pool.QueryRow(t.Context(), "SELECT (SELECT count(*) FROM grid) + (SELECT count(*) FROM grid_version)").Scan(&n); err != nil || n != 0 {
		t.Errorf("%d rows were left behind, %v", n, err)
	}
}

func TestCheckVersionNamesFaultsOfArea(t *testing.T) {
	t.Parallel()
	db := open(t)
	ds := twoTowns()
	ds[1].Geom = quad(0, 0, 1.01, 0.9)  // overlaps the other town, leaves a gap
	ds[2].Geom = quad(1, -0.02, 2, 1.0) // leaves the county
	v := save(t, db, ds)
	faults, err := db.CheckVersion(t.Context(), v)
	if err != nil {
		t.Fatal(err)
	}
	degree := 111_195.0 // m on the ball, near enough for a tolerance of 2 %
	want := map[grid.FaultKind]struct {
		m2, share float64
		box       orb.Bound
	}{
		grid.FaultOverlap:       {0.01 * 0.9 * degree * degree, 0.01 * 0.9 / (1.01 * 0.9), orb.Bound{Min: orb.Point{1, 0}, Max: orb.Point{1.01, 0.9}}},
		grid.FaultGap:           {1 * 0.1 * degree * degree, 0.05, orb.Bound{Min: orb.Point{0, 0.9}, Max: orb.Point{1, 1}}},
		grid.FaultOutsideParent: {0.02 * degree * degree, 0.02 / 1.02, orb.Bound{Min: orb.Point{1, -0.02}, Max: orb.Point{2, 0}}},
	}
	if len(faults) != 3 {
		t.Fatalf("%d faults: %+v", len(faults), faults)
	}
	for _, f := range faults {
		w := want[f.Kind]
		if f.AreaM2 < w.m2*0.98 || f.AreaM2 > w.m2*1.02 || f.Share < w.share*0.98 || f.Share > w.share*1.02 || !w.box.Contains(f.At) {
			t.Errorf("%+v, want %+v", f, w)
		}
	}
	var fe *store.FaultsError
	if err := db.Enact(t.Context(), v); !errors.As(err, &fe) || len(fe.Faults) != 3 {
		t.Errorf("enacted with faults: %v", err)
	}
}

// drawn is a county of 1/4/84/401 grids (smaller with short tests), enacted.
func drawn(t testing.TB, db *store.DB, counts ...int) *grid.Tree {
	t.Helper()
	ds, err := grid.Draw(quad(106.8, 37.7, 108.2, 38.7), grid.DrawOptions{Seed: 11, Counts: counts})
	if err != nil {
		t.Fatal(err)
	}
	v := save(t, db, ds)
	faults, err := db.CheckVersion(t.Context(), v)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range faults {
		t.Errorf("the drawn tree has a fault: %s", f.Text)
	}
	if err := db.Enact(t.Context(), v); err != nil {
		t.Fatal(err)
	}
	return load(t, db)
}

func TestDrawnTreeTilesExactlyInPostGIS(t *testing.T) {
	t.Parallel()
	db := open(t)
	tree := drawn(t, db, 4, 84, 401)
	if n := len(tree.Nodes()); n != 490 {
		t.Fatalf("%d grids", n)
	}
	var bad int
	err := db.Pool.QueryRow(t.Context(), `SELECT count(*) FROM grid a JOIN grid b ON b.level = a.level AND b.id > a.id AND b.geom && a.geom
		WHERE ST_Relate(a.geom, b.geom, 'T********')`).Scan(&bad)
	if err != nil || bad != 0 {
		t.Errorf("%d pairs of one level have inner points in common, %v", bad, err)
	}
	err = db.Pool.QueryRow(t.Context(), `SELECT count(*) FROM grid p, LATERAL (SELECT ST_Union(geom) AS u FROM grid c WHERE c.parent_id = p.id) x
		WHERE u IS NOT NULL AND NOT ST_Equals(p.geom, u)`).Scan(&bad)
	if err != nil || bad != 0 {
		t.Errorf("%d grids are not the union of their children, %v", bad, err)
	}
}

// places are random places around a tree and places on its borders: corners,
// middles of sides and points a hair beside them, alternating.
func places(tree *grid.Tree, n int, rng *rand.Rand) []geo.WGS84 {
	b := tree.Bound().Pad(0.01)
	var sides [][2]orb.Point
	for _, node := range tree.Nodes() {
		for _, part := range node.Geom {
			for _, ring := range part {
				for i := range len(ring) - 1 {
					sides = append(sides, [2]orb.Point{ring[i], ring[i+1]})
				}
			}
		}
	}
	out := make([]geo.WGS84, 0, n)
	for len(out) < n {
		s := sides[rng.IntN(len(sides))]
		f := rng.Float64()
		on := geo.WGS84{s[0][0] + f*(s[1][0]-s[0][0]), s[0][1] + f*(s[1][1]-s[0][1])}
		out = append(out,
			geo.WGS84{b.Min[0] + rng.Float64()*(b.Max[0]-b.Min[0]), b.Min[1] + rng.Float64()*(b.Max[1]-b.Min[1])},
			geo.WGS84(s[0]),
			geo.WGS84{(s[0][0] + s[1][0]) / 2, (s[0][1] + s[1][1]) / 2},
			on,
			geo.WGS84{on[0] + (rng.Float64()-0.5)*1e-9, on[1] + (rng.Float64()-0.5)*1e-9},
			geo.WGS84{s[0][0], on[1]},
		)
	}
	return out[:n]
}

// answers asks PostGIS which grid answers for each place, by the rule of
// grid.Tree: leaves by code, else the deepest that covers it; 0 = none.
func answers(t testing.TB, db *store.DB, ps []geo.WGS84) []int64 {
	t.Helper()
	lon, lat := make([]float64, len(ps)), make([]float64, len(ps))
	for i, p := range ps {
		lon[i], lat[i] = p[0], p[1]
	}
	var ids []int64
	err := db.Pool.QueryRow(t.Context(), `
		SELECT array_agg(coalesce(id, 0) ORDER BY n) FROM unnest($1::float8[], $2::float8[]) WITH ORDINALITY AS p (lon, lat, n)
		LEFT JOIN LATERAL (
			SELECT g.id FROM grid g WHERE ST_Covers(g.geom, ST_SetSRID(ST_MakePoint(lon, lat), 4326))
			ORDER BY g.last_no > g.no, CASE WHEN g.last_no > g.no THEN -g.level END, g.code COLLATE "C" LIMIT 1
		) a ON true`, lon, lat).Scan(&ids)
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

// soak is the number of places to compare: few, or a million with ONEMAP_SOAK=1.
func soak() int {
	if os.Getenv("ONEMAP_SOAK") == "1" {
		return 1_000_000
	}
	return 12_000
}

func TestLocateAgreesWithPostGIS(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	db := open(t)
	tree := drawn(t, db, 4, 84, 401)
	var compared, edges, fallen int
	for left := soak(); left > 0; {
		ps := places(tree, min(left, 50_000), rng)
		left -= len(ps)
		for i, want := range answers(t, db, ps) {
			got := tree.Locate(ps[i])
			var id int64
			if got.Index >= 0 {
				id = tree.Nodes()[got.Index].ID
				if tree.Nodes()[got.Index].Level < 4 {
					fallen++
				}
			}
			if id != want {
				t.Fatalf("%v: grid %d, PostGIS says %d", ps[i], id, want)
			}
			compared++
			if got.OnEdge {
				edges++
			}
		}
	}
	t.Logf("%d places, %d on a border, %d in no leaf by rounding: no disagreement", compared, edges, fallen)
	if edges < compared/10 {
		t.Errorf("only %d of %d places were on a border", edges, compared)
	}
}

// BenchmarkLocate compares the tree in memory with PostGIS's prepared lookup on
// the same places, in turns, one core each.
func BenchmarkLocate(b *testing.B) {
	db := open(b)
	tree := drawn(b, db, 4, 84, 401)
	ps := places(tree, 6000, rand.New(rand.NewPCG(1, 1)))
	ps = slices.DeleteFunc(ps, func(p geo.WGS84) bool { return tree.Locate(p).OnEdge })
	conn, err := db.Pool.Acquire(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Release()
	const ask = `SELECT code FROM grid WHERE level = 4 AND ST_Covers(geom, ST_SetSRID(ST_MakePoint($1, $2), 4326)) ORDER BY code COLLATE "C" LIMIT 1`
	if _, err := db.Pool.Exec(b.Context(), "VACUUM ANALYZE grid"); err != nil {
		b.Fatal(err)
	}
	var inMemory, inPostGIS time.Duration
	var asked int
	for b.Loop() {
		start := time.Now()
		for range 20 {
			for _, p := range ps {
				tree.Locate(p)
			}
		}
		inMemory += time.Since(start) / 20
		start = time.Now()
		for _, p := range ps {
			var code string
			_ = conn.QueryRow(b.Context(), ask, p[0], p[1]).Scan(&code) // no row: outside
		}
		inPostGIS += time.Since(start)
		asked += len(ps)
	}
	rate := func(d time.Duration) float64 { return float64(asked) / d.Seconds() }
	b.ReportMetric(rate(inMemory), "tree-places/s")
	b.ReportMetric(rate(inPostGIS), "postgis-places/s")
	b.ReportMetric(rate(inMemory)/cmp.Or(rate(inPostGIS), 1), "ratio")
}
