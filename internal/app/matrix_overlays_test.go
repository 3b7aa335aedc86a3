// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/paulmach/orb"

	"onemap/geo/grid"
	"onemap/store"
)

// neighbours asks for the neighbours of every grid: those in scope answer with
// grids in scope alone, the others as what is not there.
func (r *run) neighbours(l line) {
	path := func(code string) string { return strings.Replace(l.path, "{code}", code, 1) }
	missing := r.ask(l, l.method, path("NO-SUCH-GRID"), "")
	if !r.o.allowed(r.a, l) {
		r.denied(l, l.path, missing)
		return
	}
	codes := map[string][]string{} // of grids that are seen: the counties that use them
	for key, g := range r.w.grids {
		if must, _ := r.o.seesGrid(r.w, r.a, key); must {
			codes[g.code] = append(codes[g.code], g.county)
		}
	}
	for key, g := range r.w.grids {
		a := r.ask(l, l.method, path(g.code), "")
		if len(codes[g.code]) == 0 {
			r.same(l, "the neighbours of "+key, a, missing)
			continue
		}
		if !r.granted(l, key, a, 200) {
			continue
		}
		var v struct{ Items []struct{ Code string } }
		if err := json.Unmarshal(a.body, &v); err != nil {
			r.f.add("form", r.a.name, l.name(), "%v", err)
		}
		for _, i := range v.Items {
			if len(codes[i.Code]) == 0 {
				r.f.add("leak", r.a.name, l.name(), "of %s: shows grid %s", key, i.Code)
			}
		}
	}
}

// beats gives both counties an overlay of the same code, with a small area in every
// grid where a point lies in it and in none below.
func (w *world) beats(t *testing.T, db *store.DB) {
	t.Helper()
	for _, c := range []string{"P", "Q"} {
		var areas []grid.Area
		for key, g := range w.grids {
			if g.county == c {
				const r = 0.001
				x, y := g.at[0], g.at[1]
				areas = append(areas, grid.Area{Code: grid.Code("beat-" + key), Name: "警格" + g.code, Geom: orb.MultiPolygon{{{
					{x - r, y - r}, {x + r, y - r}, {x + r, y + r}, {x - r, y + r}, {x - r, y - r},
				}}}})
			}
		}
		if _, err := db.ReplaceOverlay(t.Context(), store.OverlayImport{
			Overlay: store.Overlay{Code: "BEATS", Name: "警格" + c, Kind: "police", Root: c}, Brought: areas, Actor: "test", File: "test",
		}); err != nil {
			t.Fatal(err)
		}
	}
}

// overlays lists the overlays: those of the own county alone; and asks for the areas
// over a place of every grid, told where the grid is.
func (r *run) overlays(l line) {
	a := r.ask(l, l.method, l.path, "")
	if !r.o.allowed(r.a, l) {
		r.denied(l, l.path, a)
		return
	}
	if !r.granted(l, "the list", a, 200) {
		return
	}
	var v struct {
		Items []struct {
			Code, County string
			Areas        int
		}
	}
	seen := 0
	for key := range r.w.grids {
		if must, _ := r.o.seesGrid(r.w, r.a, key); must {
			seen++
		}
	}
	if err := json.Unmarshal(a.body, &v); err != nil || len(v.Items) != 1 || v.Items[0].County != r.w.grids[r.a.home].county || v.Items[0].Areas != seen {
		r.f.add("leak", r.a.name, l.name(), "%s, want one of the own county with %d areas", a.body, seen)
	}
	at := l
	at.answer = "located"
	ask := func(p [2]float64) answer {
		return r.ask(at, "GET", fmt.Sprintf("/api/v1/grids/locate?overlays=true&lon=%v&lat=%v&crs=wgs84", p[0], p[1]), "")
	}
	outside := ask([2]float64{100, 30})
	for key, g := range r.w.grids {
		r.f.cell()
		a := ask(g.at)
		must, _ := r.o.seesGrid(r.w, r.a, key)
		if must && !strings.Contains(string(a.body), `"areas":[{"code":"beat-`+key+`"`) {
			r.f.add("less", r.a.name, l.name(), "a point in %s: %s", key, a.body)
		}
		if !must && numberless(a.body) != numberless(outside.body) {
			r.f.add("leak", r.a.name, l.name(), "a point in %s: %s", key, a.body)
		}
	}
}

func (r *run) overlayAreas(l line) {
	path := func(code string) string { return strings.Replace(l.path, "{code}", code, 1) }
	a := r.ask(l, l.method, path("BEATS"), "")
	if !r.o.allowed(r.a, l) {
		r.denied(l, l.path, a)
		return
	}
	if missing := r.ask(l, l.method, path("NO-SUCH-OVERLAY"), ""); missing.status != 404 || !r.granted(l, "BEATS", a, 200) {
		r.f.add("form", r.a.name, l.name(), "an unknown overlay: %d %s", missing.status, missing.body)
		return
	}
	features := r.ask(l, l.method, path("BEATS"), "", "Accept: application/geo+json")
	for key := range r.w.grids {
		r.f.cell()
		must, _ := r.o.seesGrid(r.w, r.a, key)
		for _, b := range []answer{a, features} {
			if got := strings.Contains(string(b.body), `"beat-`+key+`"`); got != must {
				kind := "less"
				if got {
					kind = "leak"
				}
				r.f.add(kind, r.a.name, l.name(), "the area in %s is told: %v", key, got)
			}
		}
	}
}
