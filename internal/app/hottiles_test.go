// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/paulmach/orb"
	"github.com/paulmach/orb/maptile"

	"onemap/auth"
	"onemap/store"
	"onemap/tiles"
)

// around are the tiles of a zoom over a box, with one more on each side.
func around(b orb.Bound, z maptile.Zoom) (out []maptile.Tile) {
	low, high := maptile.At(b.LeftTop(), z), maptile.At(b.RightBottom(), z)
	for y := low.Y - 1; y <= high.Y+1; y++ {
		for x := low.X - 1; x <= high.X+1; x++ {
			out = append(out, maptile.New(x, y, z))
		}
	}
	return out
}

// hotTile asks for one tile of hot spots: what it tells of each cell.
func (st *stand) hotTile(token string, at maptile.Tile, q url.Values) (cells map[string]map[string]any, a answer) {
	st.t.Helper()
	a = st.get(fmt.Sprintf("/tiles/hotspots/%d/%d/%d.mvt?%s", at.Z, at.X, at.Y, q.Encode()), token)
	if a.status == 204 {
		return nil, a
	}
	layers, _, err := unpack(a)
	if a.status != 200 || err != nil || len(layers) != 1 || layers[0].Name != "hotspots" {
		st.t.Fatalf("%v %s: %d %.200s %v", at, q.Encode(), a.status, a.body, err)
	}
	cells = map[string]map[string]any{}
	for _, f := range layers[0].Features {
		switch f.Geometry.(type) {
		case orb.Polygon, orb.MultiPolygon:
		default:
			st.t.Fatalf("%v: a %s", at, f.Geometry.GeoJSONType())
		}
		code := f.Properties["cell"].(string)
		if cells[code] != nil {
			st.t.Fatalf("%v: cell %s is there twice", at, code)
		}
		cells[code] = f.Properties
	}
	return cells, a
}

// hotCellsOf asks GET /api/v1/hotspots the same: what it tells of each cell.
func (st *stand) hotCellsOf(token string, q url.Values) (map[string]map[string]any, answer) {
	st.t.Helper()
	a := st.get("/api/v1/hotspots?"+q.Encode(), token)
	var v struct{ Cells []map[string]any }
	if a.status == 200 && json.Unmarshal(a.body, &v) != nil {
		st.t.Fatalf("%.200s", a.body)
	}
	out := map[string]map[string]any{}
	for _, c := range v.Cells {
		out[c["cell"].(string)] = c
	}
	return out, a
}

// TestTilesOfHotSpotsTellWhatTheListTells: for every role, over the county, a town and a
// village, with and without the flag, the tiles of a question put together are the list's
// answer to the same reader, cell by cell and number by number; who is refused there is
// refused here. All ask the same questions at the tiles that the one before has made ready.
func TestTilesOfHotSpotsTellWhatTheListTells(t *testing.T) {
	t.Parallel()
	st := demoStand(t, 4000)
	tree := st.s.catalogue.Now().Tree
	root := tree.Nodes()[tree.Roots()[0]]
	codes := []string{string(root.Code), "", ""}
	for _, n := range tree.Nodes() {
		if n.Level == 2 || n.Level == 3 {
			codes[n.Level-1] = string(n.Code) // the last of each
		}
	}
	rnd := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 15))
	now := time.Now().Truncate(time.Second)
	var questions []url.Values
	for _, ask := range []map[string]string{
		{"res": "6"}, {"res": "7", "method": "count"}, {"res": "8", "k": "1", "category": "03"}, {"res": "8", "grid": codes[1]}, {"res": "7", "k": "3"},
	} {
		q := url.Values{"from": {now.AddDate(0, -6-rnd.IntN(6), 0).Format(time.RFC3339)}, "to": {now.Add(time.Hour).Format(time.RFC3339)}}
		for k, v := range ask {
			q.Set(k, v)
		}
		questions = append(questions, q)
	}
	type reader struct {
		name, token string
	}
	var readers []reader
	for _, role := range auth.Roles {
		for i, code := range codes {
			if role == auth.Wall && i == 2 {
				continue // there is no wall of a village
			}
			readers = append(readers, reader{fmt.Sprintf("%s of %s", role, code), st.token(role, code)})
		}
	}
	compared, refused, shapes := 0, 0, map[string]bool{}
	for _, q := range questions {
		for _, r := range readers {
			want, list := st.hotCellsOf(r.token, q)
			z := maptile.Zoom(7 + rnd.IntN(3))
			got, seqs := map[string]map[string]any{}, map[string]bool{}
			for _, at := range around(root.Geom.Bound(), z) {
				if list.status != 200 {
					a := st.get(fmt.Sprintf("/tiles/hotspots/%d/%d/%d.mvt?%s", at.Z, at.X, at.Y, q.Encode()), r.token)
					if a.status != list.status || string(a.body) != string(list.body) {
						t.Errorf("%s, %s: the list answers %d %s, a tile %d %s", r.name, q.Encode(), list.status, list.body, a.status, a.body)
					}
					refused++
					break
				}
				cells, a := st.hotTile(r.token, at, q)
				seqs[a.header.Get("X-Onemap-Seq")] = true
				for code, told := range cells {
					if was := got[code]; was != nil && !maps.Equal(was, told) {
						t.Fatalf("cell %s is told of in two ways: %v, %v", code, was, told)
					}
					got[code] = told
				}
			}
			if list.status != 200 {
				continue
			}
			if len(seqs) != 1 || seqs[""] || seqs["0"] {
				t.Errorf("%s, %s: tiles as of %v", r.name, q.Encode(), slices.Collect(maps.Keys(seqs)))
			}
			for code := range want {
				if !maps.Equal(got[code], want[code]) {
					t.Errorf("%s, %s, z%d, cell %s: the list tells %v, the tiles %v", r.name, q.Encode(), z, code, want[code], got[code])
				}
			}
			if len(got) != len(want) {
				t.Errorf("%s, %s: %d cells in the tiles, %d in the list", r.name, q.Encode(), len(got), len(want))
			}
			compared += len(want)
			shapes[strings.Join(slices.Sorted(maps.Keys(want)), "")] = true
		}
	}
	t.Logf("%d cells compared, %d refusals, %d different answers", compared, refused, len(shapes))
	if compared < 500 || refused < 10 || len(shapes) < 8 {
		t.Errorf("%d cells compared, %d refusals, %d different answers: too few to tell anything", compared, refused, len(shapes))
	}
}

// TestTilesOfHotSpotsAreAsked: what is wrong with a question is answered as the list does,
// what is wrong with a tile as other layers do; the same tile again is 304; TileJSON carries
// the question.
func TestTilesOfHotSpotsAreAsked(t *testing.T) {
	t.Parallel()
	clock := &testClock{at: time.Now()}
	st := newStandWith(t, Options{Limits: plenty(), Now: clock.now})
	hall, other := st.token(auth.Dispatcher, "C"), st.token(auth.TownOperator, "B")
	now := clock.now().Truncate(time.Second)
	q := url.Values{"from": {now.AddDate(0, 0, -7).Format(time.RFC3339)}, "to": {now.AddDate(0, 0, 1).Format(time.RFC3339)}, "res": {"7"}}
	at := maptile.At(orb.Point{107.2, 38.3}, 9)
	tile := func(token string) (map[string]map[string]any, answer) { return st.hotTile(token, at, q) }

	settings := st.s.catalogue.Now()
	if _, a := tile(hall); a.status != 204 {
		t.Fatalf("a tile of nothing: %d", a.status)
	}
	if a := st.report(hall, 107.2, 38.3); a.status != 201 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	seq := st.settled()
	st.wait("the hub", func() bool { return int(st.s.hub.Head()) >= seq })
	if _, a := tile(hall); a.status != 204 && st.s.catalogue.Now() == settings { // a server that has just started reads its settings again
		t.Errorf("within a second: %d", a.status)
	}
	if cells, _ := st.hotTile(hall, at, changed(q, "k", "1")); len(cells) != 1 {
		t.Errorf("another question has %d cells", len(cells))
	}
	clock.move(2 * time.Second)
	cells, a := tile(hall)
	if len(cells) != 1 || a.status != 200 {
		t.Fatalf("after two seconds: %d, %v", a.status, cells)
	}
	if is, _ := strconv.Atoi(a.header.Get("X-Onemap-Seq")); is < seq || a.header.Get("Cache-Control") != "private, no-cache" {
		t.Errorf("as of %d, want %d: %v", is, seq, a.header)
	}
	path := fmt.Sprintf("/tiles/hotspots/%d/%d/%d.mvt?%s", at.Z, at.X, at.Y, q.Encode())
	if b := st.call("GET", path, hall, "", "If-None-Match: "+a.header.Get("ETag")); b.status != 304 || b.header.Get("X-Onemap-Seq") == "" {
		t.Errorf("the same tile again: %d %v", b.status, b.header)
	}
	if _, a := tile(other); a.status != 204 {
		t.Errorf("another town is shown it: %d", a.status)
	}
	st.exec("UPDATE incident SET reported_at = now() - interval '1 year'") // behind the server's back
	st.s.mirror.Forget()                                                   // so that the database is asked
	clock.move(5 * time.Minute)
	if cells, _ := tile(hall); len(cells) != 1 {
		t.Error("nothing happened, and it is counted anew")
	}
	clock.move(6 * time.Minute)
	if _, a := tile(hall); a.status != 204 {
		t.Errorf("an answer of eleven minutes ago stands: %d", a.status)
	}

	ask := func(to, query string) string { return "/tiles/hotspots/" + to + ".mvt?" + query }
	good := q.Encode()
	for path, want := range map[string]int{
		ask("9/-1/196", good):                                        404,
		ask("-1/0/0", good):                                          404,
		ask("19/0/0", good):                                          404,
		ask("9/512/0", good):                                         404,
		ask("9/9223372036854775808/1", good):                         400,
		ask("1e3/0/0", good):                                         400,
		"/tiles/hotspots/9/408/196.png?" + good:                      400,
		"/tiles/hotspots/9/408/196?" + good:                          400,
		ask("9/408/196", ""):                                         400,
		ask("9/408/196", "from=2026-01-01T00:00:00Z"):                400,
		ask("9/408/196", changed(q, "res", "5").Encode()):            400,
		ask("9/408/196", changed(q, "res", "10").Encode()):           400,
		ask("9/408/196", changed(q, "k", "4").Encode()):              400,
		ask("9/408/196", changed(q, "method", "heat").Encode()):      400,
		ask("9/408/196", changed(q, "from", "yesterday").Encode()):   400,
		ask("9/408/196", changed(q, "nonsense", "1").Encode()):       400,
		ask("9/408/196", good+"&res=8"):                              400,
		ask("9/408/196", changed(q, "category", "nothing").Encode()): 422,
		ask("9/408/196", changed(q, "to", now.AddDate(0, 0, -8).Format(time.RFC3339)).Encode()): 422,
		ask("9/408/196", changed(q, "from", "1990-01-01T00:00:00Z").Encode()):                   422,
		ask("9/408/196", changed(q, "grid", "Z").Encode()):                                      404,
		ask("2/3/1", good):                 204, // cells of this resolution are not drawn there
		"/tiles/hotspots.json":             200,
		"/tiles/hotspots.json?" + good:     200,
		"/tiles/hotspots.json?nonsense=1":  400,
		"/tiles/hotspots.json?res=8&res=7": 400,
		"/tiles/hotspots/9/408":            404,
	} {
		if a := st.get(path, hall); a.status != want {
			t.Errorf("%s: %d, want %d: %.300s", path, a.status, want, a.body)
		}
	}
	var doc struct {
		TileJSON     string
		Tiles        []string
		MinZoom      int
		VectorLayers []struct{ ID string } `json:"vector_layers"`
	}
	if err := json.Unmarshal(st.get("/tiles/hotspots.json?"+good, hall).body, &doc); err != nil {
		t.Fatal(err)
	}
	if doc.TileJSON != "3.0.0" || len(doc.Tiles) != 1 || doc.Tiles[0] != "/tiles/hotspots/{z}/{x}/{y}.mvt?"+good || doc.MinZoom != tiles.CellsFrom(6) || len(doc.VectorLayers) != 1 || doc.VectorLayers[0].ID != "hotspots" {
		t.Errorf("%+v", doc)
	}
}

// changed is a query with one parameter set anew.
func changed(q url.Values, name, value string) url.Values {
	out := maps.Clone(q)
	out[name] = []string{value}
	return out
}

// TestTilesByHoursOfPatrolAreForThoseWhoReadPositions: a leader who may handle sensitive
// categories has the scope of a dispatcher, and is refused hours of patrol all the same,
// though the dispatcher's answer is there.
func TestTilesByHoursOfPatrolAreForThoseWhoReadPositions(t *testing.T) {
	t.Parallel()
	clock := &testClock{at: time.Now()}
	st := newStandWith(t, Options{Limits: plenty(), Now: clock.now})
	token := func(role auth.Role) string {
		secret, until := store.NewSecret(), time.Now().Add(tokenLife)
		if _, err := st.s.db.SaveCredential(t.Context(), st.s.db.Pool, secret, store.Credential{Kind: store.Token, Role: role, GridCode: "C", ExpiresAt: &until, Sensitive: true}); err != nil {
			t.Fatal(err)
		}
		return secret
	}
	dispatcher, leader := token(auth.Dispatcher), token(auth.CountyLeader)
	now := clock.now().Truncate(time.Second)
	for _, q := range []string{"per=area", "per=patrol_hours"} {
		q = url.Values{"from": {now.AddDate(0, 0, -8).Format(time.RFC3339)}, "to": {now.Format(time.RFC3339)}, "res": {"7"}}.Encode() + "&" + q
		for _, token := range []string{dispatcher, leader} {
			list, tile := st.get("/api/v1/hotspots?"+q, token), st.get("/tiles/hotspots/9/408/196.mvt?"+q, token)
			want := list.status
			if want == 200 {
				want = 204
			}
			if refused := token == leader && strings.Contains(q, "patrol"); tile.status != want || (want == 403) != refused {
				t.Errorf("%s, leader %t: the list answers %d, a tile %d %s", q, token == leader, list.status, tile.status, tile.body)
			}
		}
	}
}
