// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package tiles_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/paulmach/orb"
	"github.com/paulmach/orb/clip"
	"github.com/paulmach/orb/encoding/mvt"
	"github.com/paulmach/orb/maptile"
	"github.com/paulmach/orb/planar"

	"onemap/geo"
	"onemap/geo/cell"
	"onemap/tiles"
)

// inUnits is a cell in a tile's units, as it lies nearest to that tile round the earth,
// cut to the tile and pad units round it.
func inUnits(t testing.TB, c cell.Cell, at maptile.Tile, pad float64) orb.Ring {
	ring, err := c.Boundary()
	if err != nil {
		t.Fatal(err)
	}
	n := math.Exp2(float64(at.Z))
	middle := (float64(at.X)+0.5)/n*360 - 180
	out := make(orb.Ring, len(ring))
	for i, p := range ring {
		lon := p[0] + 360*math.Round((middle-p[0])/360)
		m := geo.Mercator(orb.Point{lon, p[1]})
		out[i] = orb.Point{(m[0]*n - float64(at.X)) * tiles.Extent, (m[1]*n - float64(at.Y)) * tiles.Extent}
	}
	return clip.Ring(orb.Bound{Min: orb.Point{-pad, -pad}, Max: orb.Point{tiles.Extent + pad, tiles.Extent + pad}}, out)
}

// tilesOf are the tiles of a zoom that the corners of a cell lie in.
func tilesOf(t testing.TB, c cell.Cell, z maptile.Zoom) (out []maptile.Tile) {
	ring, err := c.Boundary()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range ring {
		if at := maptile.At(p, z); !slices.Contains(out, at) {
			out = append(out, at)
		}
	}
	return out
}

// hotTile is a tile's cells by their codes, with what it shows of each.
func hotTile(t testing.TB, s *tiles.Server, h *tiles.HotCells, at maptile.Tile) map[string]orb.MultiPolygon {
	t.Helper()
	body, _, err := s.HotTile(context.Background(), h, int(at.Z), int(at.X), int(at.Y))
	if errors.Is(err, tiles.ErrEmpty) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	ls, err := mvt.Unmarshal(unpack(t, body))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]orb.MultiPolygon{}
	for _, f := range features(ls, "hotspots") {
		out[f.Properties.MustString("cell")] = polygons(t, f.Geometry)
	}
	return out
}

// TestEveryHotCellIsInItsTilesAsItLies looks at cells all over the earth, at the
// antimeridian and round a pentagon, at every zoom that shows them: each tile that a cell
// touches has of it what orb's own method cuts, to the rounding.
func TestEveryHotCellIsInItsTilesAsItLies(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 15))
	s := newServer()
	compared, cut, across := 0, 0, 0
	for round := range 400 {
		res := 6 + rnd.IntN(4)
		size := []float64{0.1, 0.04, 0.015, 0.006}[res-6]
		middle := orb.Point{rnd.Float64()*360 - 180, rnd.Float64()*150 - 75}
		switch round % 4 {
		case 0:
			middle[0] = 180
		case 1:
			middle = orb.Point{10.536199, 64.7} // one of twelve pentagons
		}
		var told []tiles.HotCell
		for range 12 {
			p := geo.WGS84{middle[0] + size*rnd.NormFloat64(), middle[1] + size*rnd.NormFloat64()}
			switch {
			case p[0] > 180:
				p[0] -= 360
			case p[0] < -180:
				p[0] += 360
			}
			c, err := cell.At(p, res)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.ContainsFunc(told, func(o tiles.HotCell) bool { return o.Cell == c }) {
				told = append(told, tiles.HotCell{Cell: c, Count: 1})
			}
		}
		h, err := s.HotCells(told)
		if err != nil {
			t.Fatal(err)
		}
		z := maptile.Zoom(tiles.CellsFrom(res))
		if rnd.IntN(3) > 0 {
			z += maptile.Zoom(rnd.IntN(18 - int(z) + 1))
		}
		for _, c := range told {
			for _, at := range tilesOf(t, c.Cell, z) {
				shown := hotTile(t, s, h, at)
				for _, o := range told {
					want := inUnits(t, o.Cell, at, tiles.Buffer)
					is, far := 0.0, 0.0
					for _, p := range shown[o.Cell.String()] {
						is += planar.Area(p)
						if p[0].Orientation() != orb.CCW {
							t.Errorf("%v %s: turns the wrong way", at, o.Cell)
						}
						for _, q := range p[0] {
							far = max(far, planar.DistanceFrom(orb.LineString(want), q))
						}
					}
					should := math.Abs(planar.Area(want))
					if slack := planar.Length(want) + 4; math.Abs(is-should) > slack || is > 0 && far > 1 {
						t.Fatalf("%v, cell %s: %.0f square units, want %.0f; %.2f off its border\n%v\n%v", at, o.Cell, is, should, far, shown[o.Cell.String()], want)
					}
					if inner := inUnits(t, o.Cell, at, 0); math.Abs(planar.Area(inner)) > 2*planar.Length(inner) && is == 0 {
						t.Fatalf("%v lacks %s", at, o.Cell)
					}
					compared++
					if len(want) > 0 && should < 0.9*math.Abs(planar.Area(inUnits(t, o.Cell, at, 1e6))) {
						cut++
					}
					if ring, _ := o.Cell.Boundary(); ring.Bound().Max[0]-ring.Bound().Min[0] > 180 && is > 0 {
						across++
					}
				}
				if shown[c.Cell.String()] == nil && int(z) == tiles.CellsFrom(res) && len(tilesOf(t, c.Cell, z)) == 1 {
					t.Fatalf("%v lacks %s, which lies in it", at, c.Cell)
				}
			}
		}
		if z := tiles.CellsFrom(res) - 1; hotTile(t, s, h, tilesOf(t, told[0].Cell, maptile.Zoom(z))[0]) != nil {
			t.Errorf("cells of resolution %d at zoom %d", res, z)
		}
	}
	t.Logf("%d compared, %d of them cut, %d across the antimeridian", compared, cut, across)
	if compared < 4000 || cut < 100 || across < 50 {
		t.Error("too few to tell anything")
	}
}

// TestNoHotCellIsLeftOutForBeingOneOfMany: the widest answer that there may be, in one tile.
func TestNoHotCellIsLeftOutForBeingOneOfMany(t *testing.T) {
	s := newServer()
	area, err := cell.Covering(8, orb.MultiPolygon{{{{106, 37}, {108.4, 37}, {108.4, 38.4}, {106, 38.4}, {106, 37}}}})
	if err != nil {
		t.Fatal(err)
	}
	var told []tiles.HotCell
	for i := range min(30_000, area.Len()) {
		told = append(told, tiles.HotCell{Cell: area.At(i), Count: i})
	}
	h, err := s.HotCells(told)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, at := range []maptile.Tile{maptile.At(orb.Point{106.5, 37.5}, 6), maptile.At(orb.Point{108.3, 37.5}, 6), maptile.At(orb.Point{106.5, 38.39}, 6)} {
		for code := range hotTile(t, s, h, at) {
			seen[code] = true
		}
	}
	if len(told) < 20_000 || len(seen) != len(told) {
		t.Errorf("%d of %d cells are shown", len(seen), len(told))
	}
}

// goldenHot is a tile of hot spots of one made-up town: judged, not tested, and counted
// alone.
func goldenHot(t testing.TB) []byte {
	s, rnd := newServer(), rand.New(rand.NewPCG(4, 3))
	area, err := cell.Covering(8, orb.MultiPolygon{{{{107.4, 38.1}, {107.5, 38.1}, {107.5, 38.2}, {107.4, 38.1}}}})
	if err != nil {
		t.Fatal(err)
	}
	var told []tiles.HotCell
	for i := range area.Len() {
		c := tiles.HotCell{Cell: area.At(i), Count: rnd.IntN(40)}
		z, p, q, strict := rnd.NormFloat64()*3, rnd.Float64(), rnd.Float64(), 1.0
		switch i % 3 {
		case 0:
			c.Class, c.Z, c.P, c.Q, c.Strict = []string{"hot99", "cold95", "plain"}[rnd.IntN(3)], &z, &p, &q, &strict
		case 1:
			c.Class = "too_few"
		}
		told = append(told, c)
	}
	h, err := s.HotCells(told)
	if err != nil {
		t.Fatal(err)
	}
	at := maptile.At(orb.Point{107.45, 38.15}, 11)
	body, _, err := s.HotTile(context.Background(), h, int(at.Z), int(at.X), int(at.Y))
	if err != nil {
		t.Fatal(err)
	}
	return unpack(t, body)
}

// What is written stays as it is; frontend/web/test/tiles.test.ts reads the same file with
// a decoder that is not ours.
func TestGoldenHotTile(t *testing.T) { goldenPolygons(t, "hotspots-11", goldenHot(t)) }

func goldenPolygons(t *testing.T, name string, raw []byte) {
	golden(t, name+".mvt", raw)
	ls, err := mvt.Unmarshal(raw)
	if err != nil {
		t.Fatal(err)
	}
	type feature struct {
		Rings      []orb.Ring
		Properties map[string]any
	}
	told := map[string][]feature{}
	for _, l := range ls {
		for _, f := range l.Features {
			one := feature{Properties: f.Properties}
			for _, p := range polygons(t, f.Geometry) {
				one.Rings = append(one.Rings, p...)
			}
			told[l.Name] = append(told[l.Name], one)
		}
	}
	text, err := json.Marshal(told)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, name+".json", append(text, '\n'))
}

// gdalReads is what GDAL reads of a tile's layer, row by row, by the names of the columns.
func gdalReads(t *testing.T, raw []byte, layer string) (rows []map[string]string) {
	t.Helper()
	ogr, err := exec.LookPath("ogr2ogr")
	if err != nil {
		if os.Getenv("ONEMAP_REQUIRE_DB") != "" {
			t.Fatal("ogr2ogr is missing: make deps-test installs it")
		}
		t.Skip("ogr2ogr is missing: make deps-test installs it")
	}
	path := filepath.Join(t.TempDir(), "tile.mvt")
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	var told, warned bytes.Buffer
	cmd := exec.CommandContext(t.Context(), ogr, "-f", "CSV", "/vsistdout/", path, layer, "-lco", "GEOMETRY=AS_WKT", "-oo", "CLIP=NO")
	cmd.Stdout, cmd.Stderr = &told, &warned
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v %s", err, warned.Bytes())
	}
	all, err := csv.NewReader(&told).ReadAll()
	if err != nil || len(all) == 0 || warned.Len() > 0 {
		t.Fatalf("%v %s", err, warned.Bytes())
	}
	for _, row := range all[1:] {
		one := map[string]string{}
		for i, name := range all[0] {
			one[name] = row[i]
		}
		rows = append(rows, one)
	}
	return rows
}

// GDAL reads every feature as a polygon, with the values that were written.
func TestGDALReadsHotTiles(t *testing.T) {
	raw := goldenHot(t)
	ls, err := mvt.Unmarshal(raw)
	if err != nil {
		t.Fatal(err)
	}
	rows, want := gdalReads(t, raw, "hotspots"), features(ls, "hotspots")
	if len(rows) != len(want) || len(rows) < 20 {
		t.Fatalf("GDAL reads %d features, of %d", len(rows), len(want))
	}
	for i, f := range want {
		if rows[i]["cell"] != f.Properties["cell"] || rows[i]["count"] != fmt.Sprint(f.Properties["count"]) || rows[i]["class"] != f.Properties.MustString("class", "") || len(rows[i]["WKT"]) < 30 || rows[i]["WKT"][:7] != "POLYGON" {
			t.Errorf("GDAL reads %v, we wrote %v", rows[i], f.Properties)
		}
		for _, name := range []string{"z", "p", "q", "strict"} {
			is, _ := strconv.ParseFloat(rows[i][name], 64)
			if v, told := f.Properties[name].(float64); told != (rows[i][name] != "") || math.Abs(is-v) > 1e-12 {
				t.Errorf("%s: GDAL reads %q, we wrote %v", name, rows[i][name], f.Properties[name])
			}
		}
	}
}
