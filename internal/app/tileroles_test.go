// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/paulmach/orb"
	"github.com/paulmach/orb/maptile"

	"onemap/auth"
	h3 "onemap/geo/cell"
	"onemap/geo/grid"
	"onemap/store"
	"onemap/tiles"
)

// mapReader is somebody who asks for tiles, and what they were shown.
type mapReader struct {
	name, token string
	role        auth.Role
	node        grid.Node
	flag        bool // may handle sensitive categories

	mu    sync.Mutex
	ids   map[string]map[int64]string     // by layer, with the tile
	cells map[string]map[[2]int]cellShown // by tile, of counted incidents
	asked map[string]int                  // by layer: answers with something in them
}

// cellShown is the greatest count that a cell was ever shown with.
type cellShown struct {
	at    maptile.Tile
	count int
}

// sees tells what of incidents the matrix of docs/SECURITY.md gives this reader: none,
// those of categories whose place is shown, or all in the own grids.
func (r *mapReader) sees() (incidents, hidden bool) {
	switch r.role {
	case auth.CountyLeader:
		return true, true
	case auth.HallOperator, auth.Dispatcher, auth.TownOperator:
		return true, r.flag
	case auth.VillageHead:
		return true, false
	}
	return false, false
}

// keep remembers what a tile shows.
func (r *mapReader) keep(t testing.TB, layer string, at maptile.Tile, a answer) {
	parts, _, err := unpack(a)
	if err != nil {
		t.Errorf("%s: %s %v: %v", r.name, layer, at, err)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked[layer]++
	for _, part := range parts {
		for _, f := range part.Features {
			switch no, isGrid := f.Properties["no"].(float64); {
			case part.Name == "counts":
				p, tile := f.Geometry.(orb.Point), fmt.Sprint(at)
				if r.cells[tile] == nil {
					r.cells[tile] = map[[2]int]cellShown{}
				}
				u := [2]int{int(p[0]), int(p[1])}
				r.cells[tile][u] = cellShown{at, max(r.cells[tile][u].count, int(f.Properties["count"].(float64)))}
				continue
			case isGrid:
				r.mark("grids", int64(no), at)
				continue
			case f.ID == nil:
				t.Errorf("%s: %s %v: a feature without a number: %v", r.name, layer, at, f.Properties)
				continue
			}
			r.mark(part.Name, int64(f.ID.(float64)), at)
		}
	}
}

func (r *mapReader) mark(layer string, id int64, at maptile.Tile) {
	if r.ids[layer] == nil {
		r.ids[layer] = map[int64]string{}
	}
	r.ids[layer][id] = fmt.Sprint(at)
}

// TestNoTileShowsAnybodyWhatIsNotTheirs lets every role, over the county, a town and a
// village, ask for the same tiles of every layer at once, warm and cold, while incidents
// are reported and moved, layers are brought again and the incidents are read anew.
// Whatever anybody was shown is held against the database afterwards: against where each
// incident has ever been, and where each camera and feature lies.
func TestNoTileShowsAnybodyWhatIsNotTheirs(t *testing.T) {
	t.Parallel()
	st := demoStand(t, 3000)
	tree := st.s.catalogue.Now().Tree
	nodes := tree.Nodes()
	root := nodes[tree.Roots()[0]]
	seed := uint64(time.Now().UnixNano())
	rounds := 8
	if soak() {
		rounds = 1200
	}
	t.Logf("seed %d, %d rounds", seed, rounds)
	rnd := rand.New(rand.NewPCG(seed, 14))
	level := func(l int) grid.Node {
		var all []grid.Node
		for _, n := range nodes {
			if int(n.Level) == l {
				all = append(all, n)
			}
		}
		return all[rnd.IntN(len(all))]
	}
	var readers []*mapReader
	for _, role := range auth.Roles {
		for _, n := range []grid.Node{root, level(2), level(2), level(3)} {
			for _, flag := range []bool{false, true} {
				if _, flagged := (&mapReader{role: role, flag: true}).sees(); flag && (!flagged || role == auth.CountyLeader) {
					continue // the flag changes nothing
				}
				secret, until := store.NewSecret(), time.Now().Add(tokenLife)
				c := store.Credential{Kind: store.Token, Role: role, GridCode: string(n.Code), Sensitive: flag, ExpiresAt: &until}
				if _, err := st.s.db.SaveCredential(t.Context(), st.s.db.Pool, secret, c); err != nil {
					continue // an office that has no such grant
				}
				readers = append(readers, &mapReader{
					name: fmt.Sprintf("%s of %s, flag %t", role, n.Code, flag), token: secret, role: role, node: n, flag: flag,
					ids: map[string]map[int64]string{}, cells: map[string]map[[2]int]cellShown{}, asked: map[string]int{},
				})
			}
		}
	}
	if len(readers) < 30 {
		t.Fatalf("%d readers", len(readers))
	}
	all := st.everyOnMap()
	points := func(round int) string {
		lines := []string{"id,name,lon,lat"}
		for i := range 300 {
			p := all[(i*7)%len(all)].at
			lines = append(lines, fmt.Sprintf("%d,第%d次,%f,%f", i, round, p[0], p[1]))
		}
		return writeFile(t, fmt.Sprintf("points-%d.csv", round), strings.Join(lines, "\n")+"\n")
	}
	bring := func(round int) {
		for code, access := range map[string]auth.LayerAccess{"everybody": {auth.Walls}, "towns": {string(auth.TownOperator)}} {
			if _, err := st.bringLayer(points(round), code, func(o *LayerOptions) { o.Settings.Access = access }); err != nil {
				t.Error(err)
			}
		}
	}
	bring(0)
	st.wait("the layers", func() bool { b := st.s.namedLayers(); return b.Named("towns") != nil && b.Named("everybody") != nil })

	layers := []string{"grids", "roads", "cameras", "incidents", "incidents", "incidents", "everybody", "towns"}
	queries := []string{"", "?state=all", "?state=all&category=03", "?category=01"}
	hall := st.token(auth.Dispatcher, string(root.Code))
	was := map[int64][]onMap{} // where an incident has been
	note := func(list []onMap) {
		for _, p := range list {
			if !slices.ContainsFunc(was[p.id], func(o onMap) bool { return o.no == p.no && o.at == p.at && o.category == p.category }) {
				was[p.id] = append(was[p.id], p)
			}
		}
	}
	note(all)
	places := make([][2]float64, len(all))
	for i, p := range all {
		places[i] = p.at
	}
	for round := range rounds {
		// A few tiles only, so that many ask for the same one; the window makes them cold.
		var tried []maptile.Tile
		for _, z := range []int{6, 9, 11, tiles.DotsFrom, 13, 14} {
			tried = append(tried, maptile.At(orb.Point(places[rnd.IntN(len(places))]), maptile.Zoom(z)))
		}
		window := fmt.Sprintf("from=2020-01-01T00:00:%02dZ", round%60)
		var group sync.WaitGroup
		for g := range 8 {
			rnd := rand.New(rand.NewPCG(seed, uint64(round*100+g)))
			group.Go(func() {
				for range 30 {
					r, layer, at := readers[rnd.IntN(len(readers))], layers[rnd.IntN(len(layers))], tried[rnd.IntN(len(tried))]
					path := fmt.Sprintf("/tiles/%s/%d/%d/%d.mvt", layer, at.Z, at.X, at.Y)
					if layer == "incidents" {
						q := queries[rnd.IntN(len(queries))]
						path += q + map[bool]string{true: "?", false: "&"}[q == ""] + window
					}
					switch a := st.get(path, r.token); a.status {
					case 200:
						r.keep(t, layer, at, a)
					case 204, 403, 404, 503:
					default:
						t.Errorf("%s: %s: %d %.200s", r.name, path, a.status, a.body)
					}
				}
			})
		}
		group.Go(func() { // meanwhile
			rnd := rand.New(rand.NewPCG(seed, uint64(round*100+99)))
			for range 2 {
				p := places[rnd.IntN(len(places))]
				kind := []string{"0301", "0101", "0601"}[rnd.IntN(3)]
				a := st.call("POST", "/api/v1/incidents", hall, fmt.Sprintf(`{"category":%q,"title":"草场冒烟","location":{"lon":%f,"lat":%f,"crs":"wgs84"}}`, kind, p[0], p[1]))
				if a.status != 201 {
					continue
				}
				note(st.everyOnMap()) // before it moves
				id, to := a.json(t)["id"], places[rnd.IntN(len(places))]
				st.call("POST", fmt.Sprintf("/api/v1/incidents/%v/actions", id), hall,
					fmt.Sprintf(`{"action":"correct","reason":"更正位置","location":{"lon":%f,"lat":%f,"crs":"wgs84"}}`, to[0], to[1]), `If-Match: "1"`)
			}
			switch round % 4 {
			case 1:
				st.s.mirrorAgain()
			case 3:
				if round < 40 {
					bring(round)
				}
			}
		})
		group.Wait()
		st.settled()
		note(st.everyOnMap())
	}
	st.hold(readers, was, layers)
}

// hold compares what the readers were shown with what is theirs.
func (st *stand) hold(readers []*mapReader, was map[int64][]onMap, layers []string) {
	t := st.t
	const outside = " OR g.parent_id IS NULL AND NOT EXISTS (SELECT FROM grid h WHERE h.no IS NOT NULL AND ST_Intersects(h.geom, c.geom))" // is for who sees the whole county
	lies := map[string]map[int64]bool{}                                                                                                    // by layer and grid
	within := func(sql, layer string, n grid.Node) map[int64]bool {
		key := layer + " " + string(n.Code)
		if lies[key] == nil {
			lies[key] = map[int64]bool{}
			for _, id := range st.numbers(sql, layer, n.No) {
				lies[key][id] = true
			}
		}
		return lies[key]
	}
	seen, dots, counts := map[string]int{}, 0, 0
	for _, r := range readers {
		may, hidden := r.sees()
		own := func(p onMap) bool { return p.no >= r.node.No && p.no <= r.node.Last && (hidden || !p.hidden) }
		for layer, ids := range r.ids {
			seen[layer] += len(ids)
			for id, tile := range ids {
				switch layer {
				case "incidents":
					dots++
					if !may || !slices.ContainsFunc(was[id], own) {
						t.Errorf("%s is shown incident %d in tile %s, that was only ever at %+v", r.name, id, tile, was[id])
					}
				case "grids", "labels":
					if n := int32(id); layer == "grids" && (n < r.node.No || n > r.node.Last) && !above(st.s.catalogue.Now().Tree, n, r.node) {
						t.Errorf("%s is shown grid %d in tile %s", r.name, id, tile)
					}
				case "cameras":
					if !within("SELECT c.id FROM camera c JOIN grid g ON ST_Intersects(g.geom, c.geom)"+outside+" WHERE $1 <> '' AND g.no = $2", layer, r.node)[id] {
						t.Errorf("%s is shown camera %d in tile %s", r.name, id, tile)
					}
				case "everybody", "towns":
					if layer == "towns" && r.role != auth.TownOperator && r.role != auth.SystemAdmin {
						t.Errorf("%s is shown layer %s", r.name, layer)
					}
					if !within("SELECT f.id FROM layer_feature f JOIN layer l ON l.id = f.layer_id JOIN grid g ON ST_Intersects(g.geom, f.geom)"+strings.ReplaceAll(outside, "c.", "f.")+" WHERE l.code = $1 AND g.no = $2", layer, r.node)[id] {
						t.Errorf("%s is shown feature %d of %s in tile %s", r.name, id, layer, tile)
					}
				}
			}
		}
		for _, cells := range r.cells {
			for u, c := range cells {
				counts++
				most := 0
				for _, places := range was {
					if may && slices.ContainsFunc(places, func(p onMap) bool { return own(p) && centreIn(t, c.at, p.at) == u }) {
						most++
					}
				}
				if c.count > most {
					t.Errorf("%s is shown %d incidents at %v of tile %v, and has %d there", r.name, c.count, u, c.at, most)
				}
			}
		}
	}
	t.Logf("%d readers; %v shown, %d dots and %d cells of counts held", len(readers), seen, dots, counts)
	for _, layer := range layers {
		if n := 0; layer != "roads" {
			for _, r := range readers {
				n += r.asked[layer]
			}
			if n == 0 {
				t.Errorf("nobody was shown anything of %s", layer)
			}
		}
	}
	if dots < 50 || counts < 50 {
		t.Errorf("%d dots and %d cells of counts: too few to tell anything", dots, counts)
	}
}

// above reports whether the grid with this number holds n.
func above(tree *grid.Tree, no int32, n grid.Node) bool {
	return slices.ContainsFunc(tree.Nodes(), func(o grid.Node) bool { return o.No == no && o.No <= n.No && n.Last <= o.Last })
}

// centreIn is where the cell of a place stands in a tile of counts.
func centreIn(t testing.TB, at maptile.Tile, p [2]float64) [2]int {
	c, err := h3.At(p, tiles.CellsAt(int(at.Z)))
	if err != nil {
		t.Fatal(err)
	}
	centre, err := c.Centre()
	if err != nil {
		t.Fatal(err)
	}
	return unitsIn(at, orb.Point(centre))
}

// numbers reads one column of numbers.
func (st *stand) numbers(sql string, args ...any) []int64 {
	st.t.Helper()
	rows, err := st.s.db.Pool.Query(st.t.Context(), sql, args...)
	if err != nil {
		st.t.Fatal(err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		st.t.Fatal(err)
	}
	return ids
}
