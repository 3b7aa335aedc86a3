// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/paulmach/orb"

	"onemap/geo/grid"
	"onemap/intake/file"
	"onemap/internal/demo"
)

// realTowns are the towns of a real district. Its tests are skipped, loudly, where
// the data is missing.
func realTowns(t testing.TB, district string) []grid.Draft {
	t.Helper()
	r, err := file.OpenBoundaries(filepath.Join("../../shared/data/admin/towns_wgs84", district+"_towns.geojson"))
	if err != nil {
		t.Skipf("SKIPPED, real data is missing: %v", err)
	}
	defer r.Close()
	ds, err := file.ReadBoundaries(r, file.BoundaryOptions{Datum: "wgs84", Level: 1, Code: "code", Name: "Name", Parent: "-"})
	if err != nil {
		t.Fatal(err)
	}
	return ds
}

// roots makes each draft a root, so that all are of one level.
func roots(t testing.TB, ds []grid.Draft) *grid.Tree {
	t.Helper()
	var nodes []grid.Node
	for i, d := range ds {
		nodes = append(nodes, grid.Node{ID: int64(i + 1), Level: 1, Code: d.Code, Name: d.Name, Parent: -1, Geom: d.Geom})
	}
	tree, err := grid.NewTree(nodes)
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

// banner is the made-up banner's tree.
func banner(t testing.TB) *grid.Tree {
	t.Helper()
	b, err := demo.New(1)
	if err != nil {
		t.Fatal(err)
	}
	return b.Tree
}

// loosened moves every vertex of every draft by itself, by up to 1.2 m, and drops
// each tenth: no two neighbours share a vertex any more.
func loosened(ds []grid.Draft, rng *rand.Rand) []grid.Draft {
	out := make([]grid.Draft, len(ds))
	for i, d := range ds {
		out[i] = d
		out[i].Geom = nil
		for _, part := range d.Geom {
			var p orb.Polygon
			for _, ring := range part {
				var r orb.Ring
				for k, v := range ring[:len(ring)-1] {
					if k%10 == 9 && len(ring) > 40 {
						continue
					}
					r = append(r, orb.Point{v[0] + (rng.Float64()-0.5)*2.8e-5, v[1] + (rng.Float64()-0.5)*2.1e-5})
				}
				p = append(p, append(r, r[0]))
			}
			out[i].Geom = append(out[i].Geom, p)
		}
	}
	return out
}

// gaussZone is the EPSG code of the zone of 3 degrees round a longitude; lengths
// in it are true to a part in 5,000.
func gaussZone(lon float64) int { return 4534 + int(math.Round(lon/3)) - 25 }

// stageNodes copies boundaries into a table of PostGIS, in metres.
func stageNodes(t testing.TB, tx pgx.Tx, tree *grid.Tree) {
	t.Helper()
	ctx := t.Context()
	if _, err := tx.Exec(ctx, "CREATE TEMP TABLE n (i int, level int, geom geometry(MultiPolygon, 4326)) ON COMMIT DROP"); err != nil {
		t.Fatal(err)
	}
	nodes := tree.Nodes()
	if _, err := tx.CopyFrom(ctx, pgx.Identifier{"n"}, []string{"i", "level", "geom"}, pgx.CopyFromSlice(len(nodes), func(i int) ([]any, error) {
		return []any{i, nodes[i].Level, nodes[i].Geom}, nil
	})); err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(ctx, `CREATE TEMP TABLE m ON COMMIT DROP AS SELECT i, level, g, ST_Boundary(g) AS border, ST_Buffer(ST_Boundary(g), $2, 'quad_segs=8') AS wide
		FROM n, LATERAL (SELECT ST_Transform(geom, $1::int) AS g) t`, gaussZone(tree.Bound().Center()[0]), grid.BorderTolerance); err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(ctx, `CREATE INDEX ON m USING gist (g); ANALYZE m`); err != nil {
		t.Fatal(err)
	}
}

// postgisShared measures common borders by the rule of Tree.Neighbours with
// PostGIS: each grid's border within a ribbon round the other's.
const postgisShared = `WITH along AS (
		SELECT a.i, b.i AS j, ST_Length(ST_Intersection(a.border, b.wide)) AS metres
		FROM m a JOIN m b ON a.i <> b.i AND a.level = b.level AND a.g && b.wide)
	SELECT a.i, a.j, (a.metres + b.metres) / 2 FROM along a JOIN along b ON a.i = b.j AND a.j = b.i WHERE a.metres > 0`

// TestNeighboursAgreeWithPostGIS on the made-up banner, on two real districts, and
// on one whose neighbours no longer share a vertex.
func TestNeighboursAgreeWithPostGIS(t *testing.T) {
	t.Parallel()
	db := open(t)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	for name, make := range map[string]func(*testing.T) *grid.Tree{
		"banner":           func(t *testing.T) *grid.Tree { return banner(t) },
		"yanqing":          func(t *testing.T) *grid.Tree { return roots(t, realTowns(t, "110119_yanqing")) },
		"haidian":          func(t *testing.T) *grid.Tree { return roots(t, realTowns(t, "110108_haidian")) },
		"yanqing loosened": func(t *testing.T) *grid.Tree { return roots(t, loosened(realTowns(t, "110119_yanqing"), rng)) },
	} {
		t.Run(name, func(t *testing.T) {
			tree := make(t)
			tx, err := db.Pool.Begin(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = tx.Rollback(t.Context()) }()
			stageNodes(t, tx, tree)
			rows, err := tx.Query(t.Context(), postgisShared)
			if err != nil {
				t.Fatal(err)
			}
			want := map[[2]int]float64{}
			var i, j int
			var metres float64
			if _, err := pgx.ForEachRow(rows, []any{&i, &j, &metres}, func() error {
				want[[2]int{i, j}] = metres
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			pairs, worst := 0, 0.0
			for i := range tree.Nodes() {
				for _, n := range tree.Neighbours(i) {
					key := [2]int{i, n.Index}
					off := math.Abs(n.SharedM-want[key]) / (1 + n.SharedM/2000) // the zone's own error, and of a ribbon's round ends
					if pairs, worst = pairs+1, max(worst, off); off > 1 {
						t.Errorf("%s and %s share %.2f m, PostGIS measures %.2f m", tree.Nodes()[i].Code, tree.Nodes()[n.Index].Code, n.SharedM, want[key])
					}
					delete(want, key)
				}
			}
			for key, metres := range want {
				if metres > grid.MinShared+0.5 {
					t.Errorf("%s and %s share %.2f m by PostGIS and are no neighbours", tree.Nodes()[key[0]].Code, tree.Nodes()[key[1]].Code, metres)
				}
			}
			t.Logf("%d grids, %d neighbours, %d touches, worst %.3f", len(tree.Nodes()), pairs, len(want), worst)
			if pairs < 70 {
				t.Errorf("only %d neighbours", pairs)
			}
		})
	}
}

// BenchmarkNeighboursInPostGIS is what the same question costs where PostGIS is
// asked: who touches whom, who is near whom, and the rule of Tree.Neighbours.
func BenchmarkNeighboursInPostGIS(b *testing.B) {
	db := open(b)
	tree := banner(b)
	tx, err := db.Pool.Begin(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = tx.Rollback(b.Context()) }()
	stageNodes(b, tx, tree)
	b.Run(fmt.Sprintf("in memory with the whole tree, %d grids", len(tree.Nodes())), func(b *testing.B) {
		for b.Loop() {
			if _, err := grid.NewTree(tree.Nodes()); err != nil {
				b.Fatal(err)
			}
		}
	})
	for _, c := range []struct {
		name, sql string
		args      []any
	}{
		{"ST_Touches", "SELECT a.i, b.i, 0.0 FROM m a JOIN m b ON a.i <> b.i AND a.level = b.level AND ST_Touches(a.g, b.g)", nil},
		{"ST_DWithin", "SELECT a.i, b.i, 0.0 FROM m a JOIN m b ON a.i <> b.i AND a.level = b.level AND ST_DWithin(a.g, b.g, $1)", []any{grid.BorderTolerance}},
		{"the same rule", postgisShared, nil},
	} {
		b.Run(fmt.Sprintf("%s, %d grids", c.name, len(tree.Nodes())), func(b *testing.B) {
			for b.Loop() {
				if _, err := tx.Exec(b.Context(), c.sql, c.args...); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
