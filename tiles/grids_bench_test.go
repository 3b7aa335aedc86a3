// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package tiles_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/paulmach/orb"
	"github.com/paulmach/orb/encoding/wkb"
	"github.com/paulmach/orb/maptile"

	"onemap/geo"
	"onemap/internal/pgtest"
	"onemap/tiles"
)

// firstZoom is the first zoom that shows grids of a level, and so asked of both sides.
var firstZoom = map[int]int{1: 0, 2: 6, 3: 7, 4: 9}

// mixed are tiles of zooms 8 to 14, the zooms in turn, drawn by places within the county.
func mixed() (out []maptile.Tile) {
	const each = 400
	r, b := rand.New(rand.NewPCG(9, 9)), county().Bound()
	for len(out) < 7*each {
		p := orb.Point{b.Min[0] + r.Float64()*(b.Max[0]-b.Min[0]), b.Min[1] + r.Float64()*(b.Max[1]-b.Min[1])}
		if county().Locate(geo.WGS84(p)).Index >= 0 {
			out = append(out, maptile.At(p, maptile.Zoom(8+len(out)%7)))
		}
	}
	return out
}

// BenchmarkGridTiles draws tiles of grids over the even mix of zooms 8 to 14 and at each
// zoom, by two at once: ours, drawn anew each time, clipped, coded and packed, with names;
// ours ready in the cache; and ST_AsMVT's of the same grids, neither thinned nor packed
// nor with places for names, over a connection each.
func BenchmarkGridTiles(b *testing.B) {
	ctx, a := context.Background(), wholeCounty()
	db, err := pgxpool.New(ctx, pgtest.URL(b))
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(ctx, "CREATE TABLE rival (no int PRIMARY KEY, code text, name text, level int, first int, geom geometry(MultiPolygon, 3857))"); err != nil {
		b.Fatal(err)
	}
	for _, n := range county().Nodes() {
		raw, err := wkb.Marshal(n.Geom)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := db.Exec(ctx, "INSERT INTO rival VALUES ($1, $2, $3, $4, $5, ST_Transform(ST_GeomFromWKB($6, 4326), 3857))", n.No, string(n.Code), n.Name, n.Level, firstZoom[n.Level], raw); err != nil {
			b.Fatal(err)
		}
	}
	for _, sql := range []string{"CREATE INDEX ON rival USING gist (geom)", "VACUUM ANALYZE rival"} {
		if _, err := db.Exec(ctx, sql); err != nil {
			b.Fatal(err)
		}
	}
	draw := func(s *tiles.Server) func(at maptile.Tile) (int, error) {
		return func(at maptile.Tile) (int, error) {
			body, _, err := s.Tile(ctx, "grids", int(at.Z), int(at.X), int(at.Y), a)
			if errors.Is(err, tiles.ErrEmpty) {
				err = nil
			}
			return len(body), err
		}
	}
	all := mixed()
	cold, hot := draw(tiles.New(tiles.Options{Tree: county, CacheBytes: 1})), draw(tiles.New(tiles.Options{Tree: county}))
	for _, at := range all { // thins the zooms, fills the cache
		for _, get := range []func(maptile.Tile) (int, error){cold, hot} {
			if _, err := get(at); err != nil {
				b.Fatal(err)
			}
		}
	}
	rival := func(at maptile.Tile) (int, error) {
		var raw []byte
		err := db.QueryRow(ctx, `SELECT ST_AsMVT(t, 'grids', 4096, 'geom', 'no') FROM (SELECT no, code, name, level, ST_AsMVTGeom(geom, ST_TileEnvelope($1, $2, $3), 4096, 64) AS geom
			FROM rival WHERE geom && ST_TileEnvelope($1, $2, $3, margin => 64.0 / 4096) AND first <= $1) t`, int(at.Z), int(at.X), int(at.Y)).Scan(&raw)
		return len(raw), err
	}
	run := func(b *testing.B, some []maptile.Tile, get func(maptile.Tile) (int, error)) {
		var next, size atomic.Int64
		b.ReportAllocs()
		b.RunParallel(func(p *testing.PB) {
			for p.Next() {
				n, err := get(some[int(next.Add(1))%len(some)])
				if err != nil {
					b.Error(err)
					return
				}
				size.Add(int64(n))
			}
		})
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "tiles/s")
		b.ReportMetric(float64(size.Load())/float64(b.N), "B/tile")
	}
	for _, of := range []struct {
		name string
		get  func(maptile.Tile) (int, error)
	}{{"cold", cold}, {"st_asmvt", rival}, {"hot", hot}} {
		b.Run("mix/"+of.name, func(b *testing.B) { run(b, all, of.get) })
	}
	for z := range 7 {
		var some []maptile.Tile
		for i := z; i < len(all); i += 7 {
			some = append(some, all[i])
		}
		b.Run(fmt.Sprintf("z%d/cold", 8+z), func(b *testing.B) { run(b, some, cold) })
		b.Run(fmt.Sprintf("z%d/st_asmvt", 8+z), func(b *testing.B) { run(b, some, rival) })
	}
}
