// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package tiles_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/paulmach/orb"
	"github.com/paulmach/orb/clip"
	"github.com/paulmach/orb/encoding/mvt"
	"github.com/paulmach/orb/geojson"
	"github.com/paulmach/orb/maptile"
	"github.com/paulmach/orb/planar"

	"onemap/auth"
	"onemap/geo/grid"
	"onemap/tiles"
)

var update = flag.Bool("update", false, "write the golden tiles anew")

// county draws a made-up county of 12,000 km2 of 1/4/84/401 grids, once.
var county = sync.OnceValue(func() *grid.Tree {
	var ring orb.Ring
	for i := range 240 {
		a := 2 * math.Pi * float64(i) / 240
		r := 1 + 0.06*math.Sin(5*a) + 0.02*math.Cos(17*a)
		ring = append(ring, orb.Point{107.5 + 0.71*r*math.Cos(a), 38.2 + 0.55*r*math.Sin(a)})
	}
	drafts, err := grid.Draw(orb.MultiPolygon{{append(ring, ring[0])}}, grid.DrawOptions{Seed: 1, Counts: []int{4, 84, 401}})
	if err != nil {
		panic(err)
	}
	tree, err := numbered(drafts)
	if err != nil {
		panic(err)
	}
	return tree
})

// numbered puts drafts in pre-order and numbers them, as enacting does.
func numbered(drafts []grid.Draft) (*grid.Tree, error) {
	below := map[grid.Code][]grid.Draft{}
	for _, d := range drafts {
		below[d.Parent] = append(below[d.Parent], d)
	}
	var nodes []grid.Node
	var visit func(parent int, d grid.Draft)
	visit = func(parent int, d grid.Draft) {
		i := len(nodes)
		centre, _ := planar.CentroidArea(d.Geom)
		nodes = append(nodes, grid.Node{
			ID: int64(1000 + i), Version: 1, Level: d.Level, Code: d.Code, Name: d.Name, Parent: parent,
			No: int32(i + 1), Geom: d.Geom, Label: centre,
		})
		for _, c := range below[d.Code] {
			visit(i, c)
		}
		nodes[i].Last = int32(len(nodes))
	}
	for _, root := range below[""] {
		visit(-1, root)
	}
	return grid.NewTree(nodes)
}

func reader(id string, lo, hi int32) auth.Actor {
	return auth.NewActor(auth.Grant{ID: id, Role: auth.Wall, Intervals: []auth.Interval{{Lo: lo, Hi: hi}}})
}

func wholeCounty() auth.Actor { return reader("wall", 1, int32(len(county().Nodes()))) }

// town is the nth town and a reader of it alone.
func town(n int) (grid.Node, auth.Actor) {
	tree := county()
	t := tree.Nodes()[tree.Children(tree.Roots()[0])[n]]
	return t, reader("town", t.No, t.Last)
}

func newServer() *tiles.Server {
	return tiles.New(tiles.Options{Tree: county, Roads: sync.OnceValue(roads), Cameras: sync.OnceValue(cameras)})
}

func roads() []tiles.Line {
	t0, _ := town(0)
	t1, _ := town(1)
	return []tiles.Line{
		{ID: 1, Class: "trunk", Name: "演示一路", Geom: orb.LineString{{106.9, 38.2}, {107.5, 38.25}, {108.1, 38.2}}},
		{ID: 2, Class: "secondary", Name: "演示二路", Geom: orb.LineString{t0.Label, {t0.Label[0] + 0.05, t0.Label[1] + 0.01}}, Grid: t0.No},
		{ID: 3, Class: "track", Geom: orb.LineString{t1.Label, {t1.Label[0] + 0.05, t1.Label[1]}}, Grid: t1.No},
	}
}

func cameras() []tiles.Spot {
	t0, _ := town(0)
	t1, _ := town(1)
	return []tiles.Spot{
		{ID: 1, Name: "演示机位一", Heading: 90, P: t0.Label, Grid: t0.No},
		{ID: 2, Name: "演示机位二", Heading: -1, P: t1.Label, Grid: t1.No},
		{ID: 3, Name: "界外机位", Heading: 0, P: t0.Label},
	}
}

// fetch returns the decoded layers of a tile; none for an empty one.
func fetch(t testing.TB, s *tiles.Server, layer string, at maptile.Tile, a auth.Actor) mvt.Layers {
	t.Helper()
	body, etag, err := s.Tile(context.Background(), layer, int(at.Z), int(at.X), int(at.Y), a)
	if errors.Is(err, tiles.ErrEmpty) {
		return nil
	}
	if err != nil {
		t.Fatalf("%s %v: %v", layer, at, err)
	}
	if len(etag) < 10 {
		t.Errorf("etag %q", etag)
	}
	ls, err := mvt.Unmarshal(unpack(t, body))
	if err != nil {
		t.Fatal(err)
	}
	return ls
}

func unpack(t testing.TB, body []byte) []byte {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func features(ls mvt.Layers, name string) []*geojson.Feature {
	for _, l := range ls {
		if l.Name == name {
			return l.Features
		}
	}
	return nil
}

func codes(fs []*geojson.Feature) map[string]bool {
	out := map[string]bool{}
	for _, f := range fs {
		out[f.Properties.MustString("code")] = true
	}
	return out
}

// over returns the tiles of a zoom that touch the county.
func over(z maptile.Zoom) []maptile.Tile {
	b := county().Bound()
	lo, hi := maptile.At(orb.Point{b.Min[0], b.Max[1]}, z), maptile.At(orb.Point{b.Max[0], b.Min[1]}, z)
	var out []maptile.Tile
	for x := lo.X; x <= hi.X; x++ {
		for y := lo.Y; y <= hi.Y; y++ {
			out = append(out, maptile.New(x, y, z))
		}
	}
	return out
}

func TestEveryGridOfATileIsInIt(t *testing.T) {
	s, a := newServer(), wholeCounty()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	first := map[int]maptile.Zoom{1: 0, 2: 6, 3: 7, 4: 9}
	bounds := make([]orb.Bound, len(county().Nodes()))
	for i, n := range county().Nodes() {
		bounds[i] = n.Geom.Bound()
	}
	for z := maptile.Zoom(0); z <= 16; z++ {
		all := over(z)
		rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		for _, at := range all[:min(len(all), 12)] {
			got := codes(features(fetch(t, s, "grids", at, a), "grids"))
			for i, n := range county().Nodes() {
				if z < first[n.Level] {
					if got[string(n.Code)] {
						t.Errorf("%v shows %s of level %d", at, n.Code, n.Level)
					}
					continue
				}
				// What covers less than a millionth of the tile may fall between its units.
				if bounds[i].Intersects(at.Bound()) && !got[string(n.Code)] {
					in := clip.MultiPolygon(at.Bound(), n.Geom.Clone())
					if share := planar.Area(in) / planar.Area(at.Bound()); share > 1e-6 {
						t.Errorf("%v lacks %s, which covers %.7f of it", at, n.Code, share)
					}
				}
				if !bounds[i].Pad(at.Bound().Max[0]-at.Bound().Min[0]).Intersects(at.Bound()) && got[string(n.Code)] {
					t.Errorf("%v shows %s, which lies far away", at, n.Code)
				}
			}
		}
	}
}

func TestGeometryIsValid(t *testing.T) {
	s, a := newServer(), wholeCounty()
	lo, hi := float64(-tiles.Buffer), float64(tiles.Extent+tiles.Buffer)
	for _, z := range []maptile.Zoom{0, 6, 8, 9, 11, 14} {
		for i, at := range over(z) {
			if i > 60 {
				break
			}
			for _, f := range features(fetch(t, s, "grids", at, a), "grids") {
				for _, p := range polygons(t, f.Geometry) {
					for i, r := range p {
						if !r.Closed() || len(r) < 4 {
							t.Fatalf("%v %v: ring %v", at, f.Properties, r)
						}
						// Clockwise on a screen is counter-clockwise where y points up.
						want := orb.CCW
						if i > 0 {
							want = orb.CW
						}
						if r.Orientation() != want {
							t.Errorf("%v %v: ring %d turns the wrong way", at, f.Properties, i)
						}
						for _, q := range r {
							if q[0] < lo || q[0] > hi || q[1] < lo || q[1] > hi {
								t.Fatalf("%v: %v is outside the tile and its buffer", at, q)
							}
						}
					}
				}
			}
		}
	}
}

func polygons(t testing.TB, g orb.Geometry) orb.MultiPolygon {
	switch g := g.(type) {
	case orb.Polygon:
		return orb.MultiPolygon{g}
	case orb.MultiPolygon:
		return g
	}
	t.Fatalf("a grid is a %T", g)
	return nil
}

// Neighbours keep one border at every zoom: what the leaves of a tile cover
// together is what the county covers, without a crack and without an overlap.
func TestSharedBordersDoNotCrack(t *testing.T) {
	s, a := newServer(), wholeCounty()
	for _, z := range []maptile.Zoom{9, 10, 11, 13} {
		for i, at := range over(z) {
			if i%5 != 2 && z > 10 {
				continue
			}
			edges := map[[2]orb.Point]int{}
			total := map[int]float64{}
			for _, f := range features(fetch(t, s, "grids", at, a), "grids") {
				level := f.Properties.MustInt("level")
				for _, p := range polygons(t, f.Geometry) {
					total[level] += planar.Area(p)
					for _, r := range p {
						for k := 1; k < len(r) && level == 4; k++ {
							edges[[2]orb.Point{r[k-1], r[k]}]++
						}
					}
				}
			}
			if math.Abs(total[4]-total[1]) > 1e-4*total[1] || math.Abs(total[2]-total[1]) > 1e-4*total[1] {
				t.Errorf("%v: leaves cover %.0f, towns %.0f, the county %.0f", at, total[4], total[2], total[1])
			}
			lonely, inner := 0, 0
			for e := range edges {
				if edges[e] > 1 {
					t.Errorf("%v: two grids have the edge %v in the same direction", at, e)
				}
				if !inside(e[0]) || !inside(e[1]) {
					continue
				}
				inner++
				if edges[[2]orb.Point{e[1], e[0]}] == 0 {
					lonely++
				}
			}
			if math.Abs(total[1]-float64(tiles.Extent+2*tiles.Buffer)*float64(tiles.Extent+2*tiles.Buffer)) < 1 && lonely > 0 {
				t.Errorf("%v lies inside the county and %d of its %d edges have grids on one side only", at, lonely, inner)
			}
		}
	}
}

func inside(p orb.Point) bool {
	return p[0] > -tiles.Buffer && p[0] < tiles.Extent+tiles.Buffer && p[1] > -tiles.Buffer && p[1] < tiles.Extent+tiles.Buffer
}

func TestEachNameIsInExactlyOneTile(t *testing.T) {
	s, a := newServer(), wholeCounty()
	for z, want := range map[maptile.Zoom]int{5: 1, 6: 5, 8: 89, 9: 490, 11: 490} {
		seen := map[string]int{}
		for _, at := range over(z) {
			for _, f := range features(fetch(t, s, "grids", at, a), "labels") {
				p := f.Geometry.(orb.Point)
				if p[0] < 0 || p[0] >= tiles.Extent || p[1] < 0 || p[1] >= tiles.Extent {
					t.Errorf("%v: a name at %v", at, p)
				}
				seen[f.Properties.MustString("code")]++
			}
		}
		for code, n := range seen {
			if n != 1 {
				t.Errorf("z%d: %s is named %d times", z, code, n)
			}
		}
		if len(seen) != want {
			t.Errorf("z%d: %d names, want %d", z, len(seen), want)
		}
	}
}

func TestTownSeesItsOwnAndWhatIsAboveIt(t *testing.T) {
	s := newServer()
	tree := county()
	own, a := town(1)
	for _, z := range []maptile.Zoom{8, 11} {
		for _, at := range over(z) {
			ls := fetch(t, s, "grids", at, a)
			for _, f := range append(features(ls, "grids"), features(ls, "labels")...) {
				no := int32(f.Properties.MustInt("no"))
				if (no < own.No || no > own.Last) && no != tree.Nodes()[tree.Roots()[0]].No {
					t.Fatalf("z%d: the town is shown %v", z, f.Properties)
				}
			}
		}
	}
}

func TestRoadsAndCamerasKeepToTheScope(t *testing.T) {
	s := newServer()
	_, a0 := town(0)
	_, a1 := town(1)
	count := func(layer string, z maptile.Zoom, a auth.Actor) string {
		seen := map[string]bool{}
		for _, at := range over(z) {
			for _, f := range features(fetch(t, s, layer, at, a), layer) {
				seen[fmt.Sprint(f.ID)] = true
			}
		}
		out := ""
		for _, id := range []string{"1", "2", "3"} {
			if seen[id] {
				out += id
			}
		}
		return out
	}
	for _, c := range []struct {
		layer string
		z     maptile.Zoom
		a     auth.Actor
		want  string
	}{
		{"roads", 6, wholeCounty(), ""},
		{"roads", 8, wholeCounty(), "1"},
		{"roads", 10, wholeCounty(), "12"},
		{"roads", 12, wholeCounty(), "123"},
		{"roads", 12, a0, "12"},
		{"roads", 12, a1, "13"},
		{"cameras", 10, wholeCounty(), ""},
		{"cameras", 11, wholeCounty(), "123"},
		{"cameras", 11, a0, "1"},
		{"cameras", 11, a1, "2"},
	} {
		if got := count(c.layer, c.z, c.a); got != c.want {
			t.Errorf("%s at z%d for %s: %q, want %q", c.layer, c.z, c.a.ID, got, c.want)
		}
	}
}

func TestTileErrors(t *testing.T) {
	s, ctx := newServer(), context.Background()
	ended, cancel := context.WithCancel(ctx)
	cancel()
	for name, c := range map[string]struct {
		ctx     context.Context
		layer   string
		z, x, y int
		a       auth.Actor
		want    error
	}{
		"an unknown layer":            {ctx, "grid", 8, 204, 98, wholeCounty(), tiles.ErrUnknownLayer},
		"a negative zoom":             {ctx, "grids", -1, 0, 0, wholeCounty(), tiles.ErrOutOfRange},
		"too deep":                    {ctx, "grids", 19, 0, 0, wholeCounty(), tiles.ErrOutOfRange},
		"x past the earth":            {ctx, "grids", 8, 256, 0, wholeCounty(), tiles.ErrOutOfRange},
		"y past the earth":            {ctx, "grids", 8, 0, 256, wholeCounty(), tiles.ErrOutOfRange},
		"x below 0":                   {ctx, "grids", 8, -1, 0, wholeCounty(), tiles.ErrOutOfRange},
		"a huge x":                    {ctx, "grids", 18, math.MaxInt, 0, wholeCounty(), tiles.ErrOutOfRange},
		"nothing there":               {ctx, "grids", 8, 0, 0, wholeCounty(), tiles.ErrEmpty},
		"a reader without a scope":    {ctx, "grids", 8, 204, 98, auth.NewActor(auth.Grant{ID: "w", Role: auth.Wall}), tiles.ErrEmpty},
		"a role that reads no map":    {ctx, "grids", 8, 204, 98, auth.Actor{Role: auth.Auditor}, tiles.ErrForbidden},
		"nobody":                      {ctx, "grids", 8, 204, 98, auth.Actor{}, tiles.ErrForbidden},
		"a caller that has gone away": {ended, "grids", 8, 204, 98, wholeCounty(), context.Canceled},
	} {
		if _, _, err := s.Tile(c.ctx, c.layer, c.z, c.x, c.y, c.a); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTileJSON(t *testing.T) {
	s := newServer()
	own, a := town(0)
	for layer, want := range map[string]int{"grids": 2, "roads": 1, "cameras": 1} {
		b, err := s.TileJSON(layer, "", a)
		if err != nil {
			t.Fatal(err)
		}
		var doc struct {
			TileJSON     string
			Tiles        []string
			MinZoom      int
			MaxZoom      int
			Bounds       []float64
			VectorLayers []struct{ ID string } `json:"vector_layers"`
		}
		if err := json.Unmarshal(b, &doc); err != nil {
			t.Fatal(err)
		}
		box := own.Geom.Bound()
		if doc.TileJSON != "3.0.0" || len(doc.VectorLayers) != want || doc.Tiles[0] != "/tiles/"+layer+"/{z}/{x}/{y}.mvt" ||
			doc.MaxZoom > tiles.MaxZoom || fmt.Sprint(doc.Bounds) != fmt.Sprint([]float64{box.Min[0], box.Min[1], box.Max[0], box.Max[1]}) {
			t.Errorf("%s: %s", layer, b)
		}
	}
	if _, err := s.TileJSON("x", "", a); !errors.Is(err, tiles.ErrUnknownLayer) {
		t.Error(err)
	}
	if _, err := s.TileJSON("grids", "", auth.Actor{}); !errors.Is(err, tiles.ErrForbidden) {
		t.Error(err)
	}
}

func TestAnotherTreeMakesOtherTiles(t *testing.T) {
	now, _ := grid.NewTree(nil)
	s := tiles.New(tiles.Options{Tree: func() *grid.Tree { return now }})
	at := over(8)[0]
	if ls := fetch(t, s, "grids", at, wholeCounty()); ls != nil {
		t.Fatalf("no grids, but %v", ls)
	}
	now = county()
	if ls := fetch(t, s, "grids", at, wholeCounty()); ls == nil {
		t.Error("the new grids are not drawn")
	}
}

// Whoever asks at the same time gets the same bytes, drawn once, and a small
// cache never grows past its bound: it draws again instead.
func TestCacheSharesAndForgets(t *testing.T) {
	small := tiles.New(tiles.Options{Tree: county, CacheBytes: 20_000})
	large := newServer()
	var wg sync.WaitGroup
	for _, at := range over(10) {
		want, tag, err := large.Tile(context.Background(), "grids", 10, int(at.X), int(at.Y), wholeCounty())
		if errors.Is(err, tiles.ErrEmpty) {
			continue
		}
		for range 3 {
			wg.Go(func() {
				got, again, err := small.Tile(context.Background(), "grids", 10, int(at.X), int(at.Y), wholeCounty())
				if err != nil || again != tag || !bytes.Equal(got, want) {
					t.Errorf("%v: %q instead of %q, %v", at, again, tag, err)
				}
			})
		}
	}
	wg.Wait()
}

func BenchmarkTile(b *testing.B) {
	a, ctx := wholeCounty(), context.Background()
	for _, z := range []maptile.Zoom{8, 9, 11, 14} {
		all := over(z)
		warm := newServer()
		draw := func(b *testing.B, s *tiles.Server, at maptile.Tile) int {
			body, _, err := s.Tile(ctx, "grids", int(at.Z), int(at.X), int(at.Y), a)
			if err != nil && !errors.Is(err, tiles.ErrEmpty) {
				b.Fatal(err)
			}
			return len(body)
		}
		for _, at := range all { // thins the zoom, fills the cache
			draw(b, warm, at)
		}
		b.Run(fmt.Sprintf("cold/z%d", z), func(b *testing.B) {
			s := tiles.New(tiles.Options{Tree: county, CacheBytes: 1})
			draw(b, s, all[0])
			size := 0
			b.ResetTimer()
			for i := range b.N {
				size += draw(b, s, all[i*7%len(all)])
			}
			b.ReportMetric(float64(size)/float64(b.N), "B/tile")
		})
		b.Run(fmt.Sprintf("hot/z%d", z), func(b *testing.B) {
			for i := range b.N {
				draw(b, warm, all[i*7%len(all)])
			}
		})
	}
}
