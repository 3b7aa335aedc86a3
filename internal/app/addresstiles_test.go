// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/paulmach/orb"
	"github.com/paulmach/orb/maptile"

	"onemap/auth"
	"onemap/tiles"
)

// TestTilesOfAddressesShowEachReaderTheirOwn: every place and address in the own grids, in
// the one tile that it lies in, and none that is not; where too many lie together their
// number; other ones in a moment after an import.
func TestTilesOfAddressesShowEachReaderTheirOwn(t *testing.T) {
	t.Parallel()
	st := newStandWith(t, Options{Limits: plenty()})
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 15))
	file := func(n int, at func() [2]float64) string {
		lines := []string{"编号,名称,经度,纬度"}
		for i := range n {
			p := at()
			lines = append(lines, fmt.Sprintf("%d,第%d号,%.7f,%.7f", i, i, p[0], p[1]))
		}
		return strings.Join(lines, "\n") + "\n"
	}
	bring := func(kind string, n int, at func() [2]float64) {
		t.Helper()
		if res, _, _, err := st.bring(kind+".csv", file(n, at), PlacesOptions{Kind: kind, CRS: "wgs84"}); err != nil || int(res.Counts.InGrid) != n {
			t.Fatalf("%+v, %v", res.Counts, err)
		}
	}
	around := func() [2]float64 { return [2]float64{107.49 + rnd.Float64()*0.02, 38.24 + rnd.Float64()*0.02} } // where A1, A2, B1 and B2 meet
	bring("place", 300, around)
	bring("address", 500, around)
	st.wait("the search", func() bool { return st.s.places.Load().Len() >= 800 })
	type row struct {
		id   int64
		at   orb.Point
		code string
	}
	var all []row
	rows, err := st.s.db.Pool.Query(t.Context(), `SELECT p.id, ST_X(p.geom), ST_Y(p.geom), coalesce((SELECT g.code FROM grid g WHERE g.level = 3 AND g.no IS NOT NULL AND ST_Covers(g.geom, p.geom) LIMIT 1), 'C') FROM place p`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var r row
		if err := rows.Scan(&r.id, &r.at[0], &r.at[1], &r.code); err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	readers := map[string]string{"C": st.token(auth.Dispatcher, ""), "A": st.token(auth.TownOperator, "A"), "B1": st.token(auth.VillageHead, "B1")}
	for prefix, token := range readers {
		for _, z := range []maptile.Zoom{tiles.AddressesFrom, 18} {
			want, asked := map[int64]maptile.Tile{}, map[maptile.Tile]bool{}
			for _, r := range all {
				at := maptile.At(r.at, z)
				if asked[at] = true; prefix == "C" || strings.HasPrefix(r.code, prefix) {
					want[r.id] = at
				}
			}
			got := map[int64]maptile.Tile{}
			for at := range asked {
				a := st.get(fmt.Sprintf("/tiles/addresses/%d/%d/%d.mvt", at.Z, at.X, at.Y), token)
				if a.status == 204 {
					continue
				}
				layers, _, err := unpack(a)
				if a.status != 200 || err != nil || len(layers) != 1 || layers[0].Name != "addresses" {
					t.Fatalf("%v: %d %v", at, a.status, err)
				}
				for _, f := range layers[0].Features {
					id := int64(f.ID.(float64))
					if _, twice := got[id]; twice || f.Properties["name"] == "" || f.Properties["kind"] != "place" && f.Properties["kind"] != "address" {
						t.Errorf("%v: %v, twice %v", at, f.Properties, twice)
					}
					got[id] = at
				}
			}
			if len(want) < 50 {
				t.Fatalf("%s: %d wanted: nothing is compared", prefix, len(want))
			}
			for id, at := range want {
				if got[id] != at {
					t.Errorf("%s, z%d: %d in %v, want %v", prefix, z, id, got[id], at)
				}
			}
			if len(got) != len(want) {
				t.Errorf("%s, z%d: %d shown, %d are theirs", prefix, z, len(got), len(want))
			}
		}
	}
	for _, n := range st.s.catalogue.Now().Tree.Nodes() { // a town as a whole is no point
		at := maptile.At(n.Label, 18)
		if a := st.get(fmt.Sprintf("/tiles/addresses/18/%d/%d.mvt", at.X, at.Y), readers["C"]); a.status != 204 {
			t.Errorf("grid %s is shown as a place: %d", n.Code, a.status)
		}
	}
	if a := st.get("/tiles/addresses/14/13076/6310.mvt", readers["C"]); a.status != 204 {
		t.Errorf("further out: %d", a.status)
	}
	for _, role := range []auth.Role{auth.Wall, auth.Auditor, auth.SystemAdmin} {
		if a := st.get("/tiles/addresses.json", st.token(role, "C")); a.status != 403 {
			t.Errorf("%s: %d", role, a.status)
		}
	}
	if j := st.get("/tiles/addresses.json", readers["A"]).json(t); j["minzoom"] != float64(tiles.AddressesFrom) || j["maxzoom"] != float64(tiles.MaxZoom) {
		t.Errorf("TileJSON: %v", j)
	}

	// A block of flats: too many for one by one.
	close := func() [2]float64 { return [2]float64{107.2001 + rnd.Float64()*0.004, 38.1001 + rnd.Float64()*0.003} }
	st.exec("DELETE FROM place")
	bring("address", 4000, close)
	st.wait("the other ones", func() bool { return st.s.places.Load().Len() >= 4000 })
	sum, dots, counts := 0, 0, 0
	inTile := map[maptile.Tile]bool{}
	for range 2000 {
		p := close()
		inTile[maptile.At(orb.Point(p), tiles.AddressesFrom)] = true
	}
	for at := range inTile {
		a := st.get(fmt.Sprintf("/tiles/addresses/%d/%d/%d.mvt", at.Z, at.X, at.Y), readers["A"])
		layers, _, err := unpack(a)
		if a.status != 200 || err != nil {
			t.Fatalf("%v: %d %v", at, a.status, err)
		}
		for _, l := range layers {
			for _, f := range l.Features {
				if l.Name == "counts" {
					sum += int(f.Properties["count"].(float64))
					counts++
				} else {
					sum++
					dots++
				}
			}
		}
	}
	if sum != 4000 || counts == 0 {
		t.Errorf("%d shown of 4000: %d alone, %d squares", sum, dots, counts)
	}
}
