// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"encoding/json"
	"strings"
	"testing"

	"onemap/store"
)

// layerPoint puts a point into the county's named layer, in the grid.
func (w *world) layerPoint(t *testing.T, db *store.DB, p *place) {
	t.Helper()
	w.exec(t, db, `INSERT INTO layer (code, name, geometry, access, root_code) VALUES (lower($1) || '-pts', $1 || '的点', 'point', '{walls}', $1) ON CONFLICT DO NOTHING`, p.county)
	w.exec(t, db, `INSERT INTO layer_feature (layer_id, external_id, name, geom, raw_lon, raw_lat, raw_datum)
		SELECT id, $2, '点' || $2, ST_SetSRID(ST_MakePoint($3, $4), 4326), $3, $4, 'wgs84' FROM layer WHERE root_code = $1`, p.county, p.key, p.at[0], p.at[1])
}

// mayNamed reports whether an actor's role is shown named layers and cameras at
// all, and whether this very layer.
func (r *run) mayNamed(code string) (role, layer bool) {
	c := r.o.cell(rowTiles, r.a)
	role = c.reach != nowhere && !c.has("points")
	home := strings.ToLower(r.w.grids[r.a.home].county)
	return role, role && r.a.layers == nil && (code == "cameras" || strings.HasPrefix(code, home))
}

// namedLayers asks a route of layers about each layer there is: what is shown must
// be what lies in the actor's grids.
func (r *run) namedLayers(l line) {
	query := ""
	if l.answer == "near features" {
		query = "?lon=107.2&lat=38.2&crs=wgs84&k=50"
	}
	ask := func(code string) answer {
		return r.ask(l, l.method, strings.Replace(l.path, "{layer}", code, 1)+query, "")
	}
	role, _ := r.mayNamed("cameras")
	missing := ask("nothing")
	if !role {
		r.denied(l, "nothing", missing)
	}
	for _, code := range []string{"p-pts", "q-pts", "cameras"} {
		a := ask(code)
		_, may := r.mayNamed(code)
		switch {
		case !role:
			r.denied(l, code, a)
			continue
		case !may:
			r.same(l, code, a, missing)
			continue
		case !r.granted(l, code, a, 200):
			continue
		}
		var v struct{ Items []struct{ Name string } }
		if err := json.Unmarshal(a.body, &v); err != nil {
			r.f.add("form", r.a.name, l.name(), "%v", err)
		}
		got := map[string]bool{}
		for _, i := range v.Items {
			got[i.Name] = true
		}
		for key, p := range r.w.grids {
			r.f.cell()
			name := "点" + key
			if code == "cameras" {
				name = "镜头" + key
			} else if !strings.HasPrefix(code, strings.ToLower(p.county)) {
				continue
			}
			want := r.w.inGrid(r.o.cell(rowTiles, r.a).reach, r.a, key)
			if got[name] && !want {
				r.f.add("leak", r.a.name, l.name()+" of "+code, "shows what lies in %s", key)
			}
			if want && !got[name] {
				r.f.add("less", r.a.name, l.name()+" of "+code, "lacks what lies in %s", key)
			}
		}
	}
	if l.answer == "features" && role && r.a.layers == nil {
		own := strings.ToLower(r.w.grids[r.a.home].county) + "-pts"
		r.ask(l, l.method, strings.Replace(l.path, "{layer}", own, 1), "", "Accept: application/geo+json")
	}
}

// layerSettings changes nothing of a layer, which is a change all the same.
func (r *run) layerSettings(l line) {
	ask := func(code string) answer {
		return r.ask(l, l.method, strings.Replace(l.path, "{layer}", code, 1), `{}`)
	}
	if !r.o.allowed(r.a, l) {
		r.denied(l, "p-pts", ask("p-pts"))
		return
	}
	r.granted(l, "p-pts", ask("p-pts"), 200)
	missing := ask("nothing")
	r.same(l, "q-pts", ask("q-pts"), missing)
	r.same(l, "cameras", ask("cameras"), missing)
}

// nearIncidents asks what is nearest to every incident: of a hidden one nothing, of
// one whose place is hidden only that.
func (r *run) nearIncidents(l line) {
	ask := func(id string) answer {
		return r.ask(l, l.method, strings.Replace(l.path, "{id}", id, 1)+"?k=1&layer=cameras", "")
	}
	missing := ask(nobodyHasThis)
	if !r.o.allowed(r.a, l) {
		r.denied(l, "an incident", missing)
		return
	}
	_, layer := r.mayNamed("cameras")
	for _, m := range r.w.incidents {
		a := ask(m.id)
		switch sight := r.o.sees(r.w, r.a, m, rowIncident); {
		case sight == hidden:
			r.same(l, m.name, a, missing)
		case !layer:
			r.granted(l, m.name+" of a layer that is hidden", a, 404)
		case sight == meta && m.sensitive:
			r.granted(l, m.name+" without its place", a, 409)
		case sight == meta && m.outside:
			r.granted(l, m.name, a, 200, 409)
		default:
			r.granted(l, m.name, a, 200)
		}
	}
}

// eachCamera asks to open every camera. There is no gateway: whoever may is told so.
func (r *run) eachCamera(l line) {
	ask := func(id string) answer {
		return r.ask(l, l.method, strings.Replace(l.path, "{id}", id, 1), `{"reason":"`+goodReason+`"}`)
	}
	missing := ask(nobodyHasThis)
	if !r.o.allowed(r.a, l) {
		r.denied(l, "a camera", missing)
		return
	}
	for _, c := range r.w.cameras {
		a := ask(c.id)
		if r.w.inGrid(r.o.cell(rowCamera, r.a).reach, r.a, c.grid) {
			r.granted(l, c.name, a, 409)
		} else {
			r.same(l, c.name, a, missing)
		}
	}
}
