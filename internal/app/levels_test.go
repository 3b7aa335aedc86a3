// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/paulmach/orb"
	"github.com/paulmach/orb/maptile"

	"onemap/auth"
	"onemap/geo/grid"
	"onemap/intake/file"
	"onemap/internal/pgtest"
	"onemap/store"
)

// TestTreesOfThreeToSixLevels from the file to the map: what is read, located, told
// by scope, drawn and counted has as many levels as the tree, whatever they are
// called.
func TestTreesOfThreeToSixLevels(t *testing.T) {
	t.Parallel()
	for _, counts := range [][]int{{2, 6}, {2, 4, 8, 16}, {2, 4, 8, 16, 32}} {
		levels := len(counts) + 1
		t.Run(fmt.Sprint(levels), func(t *testing.T) {
			t.Parallel()
			st := treeStand(t, counts)
			hall := st.token(auth.HallOperator, "")
			tree := st.s.catalogue.Now().Tree
			leaf := slices.IndexFunc(tree.Nodes(), func(n grid.Node) bool { return n.Level == levels })
			path, at := tree.Path(leaf), tree.Nodes()[leaf].Label
			want := ""
			for _, i := range path {
				n := tree.Nodes()[i]
				want += fmt.Sprintf(`{"level":%d,"code":"%s","name":"%s"},`, n.Level, n.Code, n.Name)
			}
			want = `{"path":[` + strings.TrimSuffix(want, ",") + `],"on_edge":false}`
			ask := fmt.Sprintf("%s?lon=%v&lat=%v&crs=wgs84", locate, at[0], at[1])
			if a := st.get(ask, hall); strings.TrimSpace(string(a.body)) != want {
				t.Errorf("located: %s, want %s", a.body, want)
			}
			st.scopes(tree, path, ask)
			st.zooms(hall, at, levels)

			a := st.report(hall, at[0], at[1])
			if n := strings.Count(string(a.body), `"level":`); a.status != 201 || n != levels {
				t.Errorf("a report: %d, %d levels: %s", a.status, n, a.body)
			}
			var figures struct {
				ByLevel []struct{ Level int } `json:"by_level"`
			}
			if err := json.Unmarshal(st.get("/api/v1/figures/today", hall).body, &figures); err != nil || len(figures.ByLevel) < levels {
				t.Errorf("figures by level: %+v, %v", figures, err)
			}
		})
	}
}

// treeStand is a server over a drawn tree that went through a file of boundaries.
func treeStand(t *testing.T, counts []int) *stand {
	t.Helper()
	outline := orb.MultiPolygon{{{{107, 38}, {108, 38}, {108, 38.5}, {107, 38.5}, {107, 38}}}}
	drawn, err := grid.Draw(outline, grid.DrawOptions{Seed: 7, Counts: counts})
	var text bytes.Buffer
	if err == nil {
		err = file.WriteBoundaries(&text, drawn)
	}
	if err != nil {
		t.Fatal(err)
	}
	drafts, err := file.ReadBoundaries(&text, file.BoundaryOptions{Datum: "wgs84"})
	if err != nil {
		t.Fatal(err)
	}
	url := pgtest.URL(t)
	db, err := store.Open(t.Context(), url, store.Options{MaxConns: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	version, err := db.SaveDraft(t.Context(), drafts, true, "test")
	if err == nil {
		err = db.Enact(t.Context(), version)
	}
	if err != nil {
		t.Fatal(err)
	}
	return startStand(t, Options{DatabaseURL: url})
}

// scopes asks as somebody of every grid on the way to a leaf, and of a grid beside
// each: the first are told the place, the others not.
func (st *stand) scopes(tree *grid.Tree, path []int, ask string) {
	for _, i := range path {
		n := tree.Nodes()[i]
		if a := st.get(ask, st.token(auth.VillageHead, string(n.Code))); !strings.Contains(string(a.body), fmt.Sprintf(`"level":%d`, len(path))) {
			st.t.Errorf("of %s: %s", n.Code, a.body)
		}
		var list struct{ Items []any }
		if err := json.Unmarshal(st.get("/api/v1/grids", st.token(auth.GridWorker, string(n.Code))).body, &list); err != nil || len(list.Items) != int(n.Last-n.No)+1 {
			st.t.Errorf("of %s: %d grids, %v", n.Code, len(list.Items), err)
		}
		for k, o := range tree.Nodes() {
			if o.Level == n.Level && k != i {
				if a := st.get(ask, st.token(auth.VillageHead, string(o.Code))); !strings.Contains(string(a.body), `"path":[]`) {
					st.t.Errorf("of %s, beside: %s", o.Code, a.body)
				}
				break
			}
		}
	}
}

// zooms reads the tiles over a place: each level shows from its zoom on.
func (st *stand) zooms(token string, at orb.Point, levels int) {
	first := map[int]maptile.Zoom{1: 0, 2: 6, 3: 7, 4: 9, 5: 11, 6: 12}
	for z := maptile.Zoom(5); z <= 12; z++ {
		tile := maptile.At(at, z)
		a := st.get(fmt.Sprintf("/tiles/grids/%d/%d/%d.mvt", tile.Z, tile.X, tile.Y), token)
		layers, _, err := unpack(a)
		if err != nil || a.status != 200 {
			st.t.Fatalf("tile %v: %d %v", tile, a.status, err)
		}
		shown := map[int]bool{}
		for _, l := range layers {
			for _, f := range l.Features {
				if _, named := f.Properties["level"]; named && l.Name == "grids" {
					shown[f.Properties.MustInt("level")] = true
				}
			}
		}
		for level := 1; level <= 6; level++ {
			if want := level <= levels && z >= first[level]; shown[level] != want {
				st.t.Errorf("zoom %d shows level %d: %v, want %v", z, level, shown[level], want)
			}
		}
	}
}
