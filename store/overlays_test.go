// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/paulmach/orb"

	"onemap/auth"
	"onemap/geo"
	"onemap/geo/grid"
	"onemap/store"
)

// withCounty is a database with the county of twoTowns enacted.
func withCounty(t testing.TB) *store.DB {
	t.Helper()
	db := open(t)
	if err := db.Enact(t.Context(), save(t, db, twoTowns())); err != nil {
		t.Fatal(err)
	}
	return db
}

func overlaySet(t testing.TB, db *store.DB) *store.OverlaySet {
	t.Helper()
	set, err := db.Overlays(t.Context(), auth.System("test"))
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// beats is an import of the overlay BEATS of county C.
func beats(areas ...grid.Area) store.OverlayImport {
	return store.OverlayImport{
		Overlay: store.Overlay{Code: "BEATS", Name: "警格", Kind: "police", Root: "C"}, Brought: areas, Actor: "test", File: "beats.geojson",
	}
}

// over lists the areas over a place.
func over(set *store.OverlaySet, x, y float64, at time.Time) string {
	var out []string
	for _, h := range set.At(geo.WGS84{x, y}, at) {
		text := h.Overlay.Code + "/" + string(h.Area.Code)
		if h.OnEdge {
			text += "*"
		}
		out = append(out, text)
	}
	return strings.Join(out, " ")
}

func TestAnImportReplacesAnOverlayWhole(t *testing.T) {
	t.Parallel()
	db := withCounty(t)
	west, east := grid.Area{Code: "W", Name: "西", Geom: quad(0, 0, 1, 1)}, grid.Area{Code: "E", Name: "东", Parent: "W", Geom: quad(1, 0, 2, 1)}
	far := grid.Area{Code: "F", Name: "外", Geom: quad(1.9, 0.9, 3, 3)}
	bring := func(in store.OverlayImport) store.OverlayChange {
		t.Helper()
		c, err := db.ReplaceOverlay(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	ids := func() (out string) {
		err := db.Pool.QueryRow(t.Context(), "SELECT string_agg(code || id, ' ' ORDER BY code) FROM overlay_area").Scan(&out)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	if c := bring(beats(east, west, far)); !c.New || c.Added != 3 || c.Changed+c.Same+len(c.Gone) > 0 {
		t.Errorf("first: %+v", c)
	}
	first := ids()
	if c := bring(beats(west, far, east)); c.New || c.Same != 3 || c.Added+c.Changed+len(c.Gone) > 0 || ids() != first {
		t.Errorf("the same again: %+v, ids %s, were %s", c, ids(), first)
	}
	set := overlaySet(t, db)
	var grids []string
	for _, a := range set.All()[0].Areas {
		grids = append(grids, fmt.Sprint(a.Code, a.Grids))
	}
	// Numbers: C 1, its towns by code C10 (east) 2 and C2 (west) 3. Borders alone are no common ground.
	if got := strings.Join(grids, " "); got != "E[1 2] F[1 2] W[1 3]" {
		t.Errorf("grids of the areas: %s", got)
	}
	now := time.Now()
	for at, want := range map[[2]float64]string{{0.5, 0.5}: "BEATS/W", {1, 0.5}: "BEATS/E* BEATS/W*", {1.95, 0.95}: "BEATS/E BEATS/F", {2.5, 2}: "BEATS/F", {5, 5}: ""} {
		if got := over(set, at[0], at[1], now); got != want {
			t.Errorf("%v: %q, want %q", at, got, want)
		}
	}
	west.Name, east.Parent = "西边", ""
	if c := bring(beats(west, east)); c.Changed != 2 || c.Same+c.Added > 0 || !slices.Equal(c.Gone, []string{"F"}) {
		t.Errorf("two changed, one gone: %+v", c)
	}
	if got := ids(); !strings.HasPrefix(first, got[:strings.Index(got, " ")]) {
		t.Errorf("ids %s, were %s", got, first)
	}
	var audits, events int
	err := db.Pool.QueryRow(t.Context(), `SELECT (SELECT count(*) FROM audit_log WHERE action = 'overlays.import' AND object = 'overlays/BEATS'),
		(SELECT count(*) FROM outbox WHERE kind = 'config.changed' AND entity_id = 'overlays')`).Scan(&audits, &events)
	if err != nil || audits != 3 || events != 3 {
		t.Errorf("%d audit rows, %d events, %v; want 3 of each", audits, events, err)
	}

	// What is refused leaves everything as it is.
	bow := grid.Area{Code: "B", Name: "结", Geom: orb.MultiPolygon{{{{0, 0}, {1, 1}, {1, 0}, {0, 1}, {0, 0}}}}}
	var fe *store.FaultsError
	if _, err := db.ReplaceOverlay(t.Context(), beats(bow)); !errors.As(err, &fe) || !strings.Contains(err.Error(), "0.500000,0.500000") {
		t.Errorf("a bow-tie: %v", err)
	}
	for what, in := range map[string]store.OverlayImport{"department": beats(west), "county": beats(west)} {
		if what == "department" {
			in.Department = "none"
		} else {
			in.Root = "D"
		}
		if _, err := db.ReplaceOverlay(t.Context(), in); !errors.Is(err, store.ErrNotFound) || !strings.Contains(err.Error(), what) {
			t.Errorf("an unknown %s: %v", what, err)
		}
	}
	if got := over(overlaySet(t, db), 0.5, 0.5, now); got != "BEATS/W" {
		t.Errorf("after refusals: %q", got)
	}
}

// The county's day begins at midnight in Shanghai, 16:00 UTC; both ends belong to
// the time in force.
func TestAnOverlayIsInForceByTheCountysDay(t *testing.T) {
	t.Parallel()
	db := withCounty(t)
	in := beats(grid.Area{Code: "W", Name: "西", Geom: quad(0, 0, 1, 1)})
	in.From, in.To = "2026-03-01", "2026-03-02"
	if _, err := db.ReplaceOverlay(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	set := overlaySet(t, db)
	for at, want := range map[string]bool{
		"2026-02-28T15:59:59Z": false, "2026-02-28T16:00:00Z": true, "2026-03-02T15:59:59Z": true, "2026-03-02T16:00:00Z": false,
	} {
		when, err := time.Parse(time.RFC3339, at)
		if err != nil {
			t.Fatal(err)
		}
		if got := over(set, 0.5, 0.5, when) != ""; got != want || set.All()[0].InForce(when) != want {
			t.Errorf("%s: in force %v, want %v", at, got, want)
		}
	}
}

// TestOverlaysAgreeWithPostGIS on places anywhere, on borders and on corners, over
// areas that overlap, with holes and in parts.
func TestOverlaysAgreeWithPostGIS(t *testing.T) {
	t.Parallel()
	db := withCounty(t)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	var areas []grid.Area
	add := func(g orb.MultiPolygon) {
		areas = append(areas, grid.Area{Code: grid.Code(fmt.Sprintf("%03d", len(areas))), Name: "区", Geom: g})
	}
	ring := func(x, y, r float64) orb.Ring {
		var out orb.Ring
		for k := range 24 {
			sin, cos := math.Sincos(2 * math.Pi * float64(k) / 24)
			d := r * (0.6 + 0.4*rng.Float64())
			out = append(out, orb.Point{x + d*cos, y + d*sin})
		}
		return append(out, out[0])
	}
	for range 40 {
		x, y, r := 2*rng.Float64(), rng.Float64(), 0.02+0.4*rng.Float64()
		add(orb.MultiPolygon{{ring(x, y, r), ring(x, y, r/3)}})
	}
	for k := range 8 {
		add(quad(float64(k)/4, 0.25, float64(k)/4+0.5, 0.5))
	}
	add(append(quad(0, 0.25, 0.25, 0.375), quad(0.5, 0.375, 0.75, 0.5)...))
	if _, err := db.ReplaceOverlay(t.Context(), beats(areas...)); err != nil {
		t.Fatal(err)
	}
	set := overlaySet(t, db)
	for _, a := range set.All()[0].Areas { // every pair, by the definition
		var want []int32
		err := db.Pool.QueryRow(t.Context(), `SELECT array_agg(g.no ORDER BY g.no) FROM grid g JOIN grid_version v ON v.id = g.version_id AND v.state = 'enacted'
			JOIN overlay_area a ON ST_Relate(g.geom, a.geom, 'T********') WHERE a.code = $1`, a.Code).Scan(&want)
		if err != nil || !slices.Equal(a.Grids, want) {
			t.Errorf("area %s: grids %v, PostGIS says %v, %v", a.Code, a.Grids, want, err)
		}
	}

	n := 1000
	if os.Getenv("ONEMAP_SOAK") == "1" {
		n = 100_000
	}
	var points []orb.Point
	for range n {
		points = append(points, orb.Point{-0.5 + 3*rng.Float64(), -0.5 + 2*rng.Float64()})
		part := areas[rng.IntN(len(areas))].Geom[0]
		r := part[rng.IntN(len(part))]
		k := rng.IntN(len(r) - 1)
		points = append(points, r[k], orb.Point{(r[k][0] + r[k+1][0]) / 2, (r[k][1] + r[k+1][1]) / 2})
	}
	want := make([]string, len(points))
	xs, ys := make([]float64, len(points)), make([]float64, len(points))
	for i, p := range points {
		xs[i], ys[i] = p[0], p[1]
	}
	rows, err := db.Pool.Query(t.Context(), `SELECT i, coalesce(string_agg(code || CASE WHEN NOT ST_Contains(geom, p) THEN '*' ELSE '' END, ' ' ORDER BY code), '')
		FROM (SELECT i, ST_SetSRID(ST_MakePoint(x, y), 4326) AS p FROM unnest($1::float8[], $2::float8[]) WITH ORDINALITY AS u (x, y, i)) q
		LEFT JOIN overlay_area a ON ST_Covers(a.geom, p) GROUP BY i`, xs, ys)
	if err != nil {
		t.Fatal(err)
	}
	var i int
	var text string
	if _, err := pgx.ForEachRow(rows, []any{&i, &text}, func() error { want[i-1] = text; return nil }); err != nil {
		t.Fatal(err)
	}
	edges, several := 0, 0
	for i, p := range points {
		got := strings.ReplaceAll(over(set, p[0], p[1], time.Now()), "BEATS/", "")
		if got != want[i] {
			t.Fatalf("%v lies in %q, PostGIS says %q", p, got, want[i])
		}
		edges += min(strings.Count(got, "*"), 1)
		several += min(strings.Count(got, " "), 1)
	}
	t.Logf("%d places, %d on borders, %d in several areas", len(points), edges, several)
	if edges < n || several < n/2 {
		t.Error("too tame")
	}
}

// BenchmarkOverlays reads an area of 20,000 points over 2,500 grids, and 2,500 small
// areas in a county of as many points.
func BenchmarkOverlays(b *testing.B) {
	db := open(b)
	wiggly := func(x, y, r float64) (out orb.Ring) {
		for k := range 20_000 {
			sin, cos := math.Sincos(2 * math.Pi * float64(k) / 20_000)
			d := r * (1 - 0.0002*float64(k%2))
			out = append(out, orb.Point{x + d*cos, y + d*sin})
		}
		return append(out, out[0])
	}
	const side = 50
	var county orb.Ring
	for k, c := range []orb.Point{{0, 0}, {2, 0}, {2, 2}, {0, 2}} {
		to := []orb.Point{{1, 0}, {0, 1}, {-1, 0}, {0, -1}}[k]
		for i := range 5000 {
			county = append(county, orb.Point{c[0] + to[0]*float64(i)/2500, c[1] + to[1]*float64(i)/2500})
		}
	}
	ds := []grid.Draft{{Code: "C", Level: 1, Name: "县", Geom: orb.MultiPolygon{{append(county, county[0])}}}}
	areas := []grid.Area{{Code: "w", Name: "区", Geom: orb.MultiPolygon{{wiggly(1, 1, 0.9)}}}}
	for k := range side * side {
		x, y := float64(k%side)*2/side, float64(k/side)*2/side
		box := quad(x, y, x+2.0/side, y+2.0/side)
		ds = append(ds, grid.Draft{Code: grid.Code(fmt.Sprint("g", k)), Parent: "C", Level: 2, Name: "格", Geom: box})
		areas = append(areas, grid.Area{Code: grid.Code(fmt.Sprint(k)), Name: "区", Geom: quad(x+0.01, y+0.01, x+0.05, y+0.05)})
	}
	version, err := db.SaveDraft(b.Context(), ds, true, "test")
	if err == nil {
		err = db.Enact(b.Context(), version)
	}
	if err == nil {
		_, err = db.ReplaceOverlay(b.Context(), beats(areas...))
	}
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		overlaySet(b, db)
	}
}
