// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/paulmach/orb"
	"github.com/paulmach/orb/maptile"
	"github.com/paulmach/orb/planar"

	"onemap/auth"
	"onemap/geo"
	"onemap/geo/grid"
	"onemap/tiles"
)

// coverageTile asks for one tile of coverage: what it tells of each grid, and its shape in
// units of the tile.
func (st *stand) coverageTile(token string, at maptile.Tile, q url.Values) (told map[string]map[string]any, shapes map[string]orb.Geometry, a answer) {
	st.t.Helper()
	a = st.get(fmt.Sprintf("/tiles/coverage/%d/%d/%d.mvt?%s", at.Z, at.X, at.Y, q.Encode()), token)
	if a.status == 204 {
		return nil, nil, a
	}
	layers, _, err := unpack(a)
	if a.status != 200 || err != nil || len(layers) != 1 || layers[0].Name != "coverage" {
		st.t.Fatalf("%v %s: %d %.200s %v", at, q.Encode(), a.status, a.body, err)
	}
	told, shapes = map[string]map[string]any{}, map[string]orb.Geometry{}
	for _, f := range layers[0].Features {
		code := f.Properties["code"].(string)
		told[code], shapes[code] = f.Properties, f.Geometry
	}
	return told, shapes, a
}

// coverageList asks GET /api/v1/coverage the same, and answers what a tile should tell.
func (st *stand) coverageList(token string, q url.Values) (map[string]map[string]any, answer) {
	st.t.Helper()
	a := st.get("/api/v1/coverage?"+q.Encode(), token)
	var v struct {
		Items []struct {
			Code, Name string
			Thin       bool
			First      way
		}
	}
	if a.status == 200 && json.Unmarshal(a.body, &v) != nil {
		st.t.Fatalf("%.200s", a.body)
	}
	out := map[string]map[string]any{}
	for _, i := range v.Items {
		out[i.Code] = map[string]any{"code": i.Code, "name": i.Name, "by": i.First.By, "thin": i.Thin}
		if i.First.TravelS != nil {
			out[i.Code]["travel_s"] = float64(*i.First.TravelS)
		}
	}
	return out, a
}

// TestTilesOfCoverageTellWhatTheListTells: for every role over the county, a town and a
// village of the demo, the tiles of a question put together tell of each leaf grid what the
// list tells the same reader, where the grid lies; who is refused there is refused here; a
// tile names no worker.
func TestTilesOfCoverageTellWhatTheListTells(t *testing.T) {
	t.Parallel()
	clock := &testClock{at: time.Now()} // stands still: all is asked at one time
	st := newStandWith(t, Options{Limits: plenty(), Now: clock.now})
	st.crew("A1", "A2", "B1", "B2", "B2")
	now := clock.now()
	for i, at := range [][2]float64{{107.25, 38.37}, {107.25, 38.12}, {107.75, 38.37}} { // of B2 nobody is known to be anywhere
		st.fix(i+1, at[0], at[1], now)
	}
	tree := st.s.catalogue.Now().Tree
	compared, refused := 0, 0
	for _, role := range auth.Roles {
		for _, code := range []string{"C", "A", "B", "B2"} {
			if role == auth.Wall && code == "B2" {
				continue // there is no wall of a village
			}
			token := st.token(role, code)
			for _, q := range []url.Values{{}, {"beyond_s": {"60"}}, {"grid": {"A"}}, {"grid": {"B2"}, "beyond_s": {"86400"}}} {
				want, list := st.coverageList(token, q)
				name := fmt.Sprintf("%s of %s, %s", role, code, q.Encode())
				if list.status != 200 {
					a := st.get("/tiles/coverage/9/408/196.mvt?"+q.Encode(), token)
					if refused++; a.status != list.status || strings.TrimSpace(string(a.body)) != strings.TrimSpace(string(list.body)) {
						t.Errorf("%s: the list answers %d %s, a tile %d %s", name, list.status, list.body, a.status, a.body)
					}
					continue
				}
				for _, z := range []maptile.Zoom{tiles.CoverageFrom, 10} {
					got, area := map[string]map[string]any{}, map[string]float64{}
					for _, at := range around(tree.Nodes()[0].Geom.Bound(), z) {
						told, shapes, a := st.coverageTile(token, at, q)
						if a.header.Get("X-Onemap-Time") == "" {
							t.Errorf("%s: as of no time", name)
						}
						for code, properties := range told {
							if was := got[code]; was != nil && !maps.Equal(was, properties) {
								t.Fatalf("%s: grid %s is told of in two ways: %v, %v", name, code, was, properties)
							}
							got[code] = properties
							area[code] += inTile(shapes[code])
						}
					}
					if !maps.EqualFunc(got, want, maps.Equal) {
						t.Errorf("%s: the list tells %v, the tiles %v", name, want, got)
					}
					for code := range got {
						i, _ := tree.ByCode(grid.Code(code))
						var ring orb.Ring
						for _, p := range tree.Nodes()[i].Geom[0][0] {
							m := geo.Mercator(p)
							ring = append(ring, orb.Point{m[0] * math.Exp2(float64(z)) * tiles.Extent, m[1] * math.Exp2(float64(z)) * tiles.Extent})
						}
						if whole := math.Abs(planar.Area(ring)); math.Abs(area[code]-whole) > 0.01*whole {
							t.Errorf("%s, z%d: %s covers %.0f square units, want %.0f", name, z, code, area[code], whole)
						}
					}
					compared += len(want)
				}
			}
		}
	}
	if compared < 50 || refused < 20 {
		t.Errorf("%d grids compared, %d refusals", compared, refused)
	}
}

// inTile is how much of a shape lies in its own tile, without the buffer round it: for
// squares, whose edges run along the tile's.
func inTile(g orb.Geometry) (area float64) {
	b := g.Bound()
	for axis := range 2 {
		b.Min[axis], b.Max[axis] = max(b.Min[axis], 0), min(b.Max[axis], tiles.Extent)
		if b.Min[axis] >= b.Max[axis] {
			return 0
		}
	}
	return (b.Max[0] - b.Min[0]) * (b.Max[1] - b.Min[1])
}

// TestTilesOfCoverageAreOfNow: a worker who moves shows after five seconds, in all tiles at
// once; the same tile again is 304; what is wrong is refused.
func TestTilesOfCoverageAreOfNow(t *testing.T) {
	t.Parallel()
	clock := &testClock{at: time.Now()}
	st := newStandWith(t, Options{Limits: plenty(), Now: clock.now})
	st.crew("A1", "B1")
	hall := st.token(auth.Dispatcher, "C")
	st.fix(1, 107.25, 38.37, clock.now())
	at := maptile.At(orb.Point{107.25, 38.3}, 8)
	tile := func() (map[string]map[string]any, answer) {
		told, _, a := st.coverageTile(hall, at, nil)
		return told, a
	}
	before, a := tile()
	if before["B1"]["travel_s"].(float64) < 1000 || before["A1"]["thin"] != false || strings.Contains(fmt.Sprint(before), "W1") {
		t.Fatalf("%v", before)
	}
	path := fmt.Sprintf("/tiles/coverage/%d/%d/%d.mvt", at.Z, at.X, at.Y)
	if b := st.call("GET", path, hall, "", "If-None-Match: "+a.header.Get("ETag")); b.status != 304 {
		t.Errorf("the same tile again: %d", b.status)
	}
	st.fix(2, 107.75, 38.37, clock.now())
	if told, _ := tile(); !maps.EqualFunc(told, before, maps.Equal) {
		t.Errorf("within five seconds: %v", told)
	}
	clock.move(6 * time.Second)
	if told, b := tile(); told["B1"]["travel_s"].(float64) > 300 || b.header.Get("X-Onemap-Time") == a.header.Get("X-Onemap-Time") {
		t.Errorf("after six seconds: %v, as of %s", told, b.header.Get("X-Onemap-Time"))
	}
	for path, want := range map[string]int{
		"/tiles/coverage/9/-1/196.mvt":                404,
		"/tiles/coverage/19/0/0.mvt":                  404,
		"/tiles/coverage/9/9223372036854775808/1.mvt": 400,
		"/tiles/coverage/1e3/0/0.mvt":                 400,
		"/tiles/coverage/9/408/196":                   400,
		"/tiles/coverage/9/408/196.mvt?beyond_s=59":   400,
		"/tiles/coverage/9/408/196.mvt?offer=1":       400,
		"/tiles/coverage/9/408/196.mvt?grid=A&grid=B": 400,
		"/tiles/coverage/9/408/196.mvt?grid=Z":        404,
		"/tiles/coverage/9/0/0.mvt":                   204,
		"/tiles/coverage/7/102/49.mvt":                204,
		"/tiles/coverage.json":                        200,
		"/tiles/coverage.json?beyond_s=600&grid=A":    200,
		"/tiles/coverage.json?without=1":              400,
	} {
		if a := st.get(path, hall); a.status != want {
			t.Errorf("%s: %d, want %d: %.300s", path, a.status, want, a.body)
		}
	}
	var doc struct{ Tiles []string }
	if err := json.Unmarshal(st.get("/tiles/coverage.json?grid=A", hall).body, &doc); err != nil || !slices.Equal(doc.Tiles, []string{"/tiles/coverage/{z}/{x}/{y}.mvt?grid=A"}) {
		t.Errorf("%v %v", doc, err)
	}
}
