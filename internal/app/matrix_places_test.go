// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// wellIn is the name of the address in a grid of the world: no other has it.
func wellIn(key string) string { return "泉眼" + strings.Replace(key, "/", "乙", 1) + "院" }

// findPlaces searches for the address of every grid by its name. What lies outside
// the actor's grids is found by none, not even as something alike.
func (r *run) findPlaces(l line) {
	ask := func(q string) answer { return r.ask(l, l.method, l.path+"?q="+url.QueryEscape(q), "") }
	if !r.o.allowed(r.a, l) {
		r.denied(l, l.path, ask("泉眼"))
		return
	}
	for key, g := range r.w.grids {
		for _, q := range []string{wellIn(key), "格" + g.code, "格" + g.code + "东3公里"} {
			a := ask(q)
			if !r.granted(l, q, a, 200) {
				continue
			}
			var v struct {
				Items []struct{ Name string }
				Parts []struct{ Town, Village struct{ Code string } }
			}
			if err := json.Unmarshal(a.body, &v); err != nil {
				r.f.add("form", r.a.name, l.name(), "%s: %v", q, err)
				continue
			}
			found := false
			for _, i := range v.Items {
				found = found || i.Name == wellIn(key)
				if !r.mayName(i.Name) {
					r.f.add("leak", r.a.name, l.name(), "%s finds %s", q, i.Name)
				}
			}
			for _, p := range v.Parts {
				for _, code := range []string{p.Town.Code, p.Village.Code} {
					if code != "" && !r.mayName("格"+code) && !r.above(code) {
						r.f.add("leak", r.a.name, l.name(), "%s is read as grid %s", q, code)
					}
				}
			}
			if must, _ := r.o.seesGrid(r.w, r.a, key); must && !found && q == wellIn(key) {
				r.f.add("less", r.a.name, l.name(), "does not find %s: %s", q, a.body)
			}
		}
	}
}

// mayName reports whether the actor may be told of an address or a grid by this
// name: two counties have a grid X9.
func (r *run) mayName(name string) bool {
	for key, g := range r.w.grids {
		if must, _ := r.o.seesGrid(r.w, r.a, key); must && (name == wellIn(key) || name == "格"+g.code) {
			return true
		}
	}
	return false
}

// above reports whether the actor's grid lies in the grid with this code: a path
// names those.
func (r *run) above(code string) bool {
	key := r.w.grids[r.a.home].county + "/" + code
	return r.w.grids[key] != nil && r.w.grids[r.a.home].within(r.w, key)
}

// describePlaces asks for words for a point in every grid.
func (r *run) describePlaces(l line) {
	for key, g := range r.w.grids {
		a := r.ask(l, l.method, fmt.Sprintf("%s?lon=%v&lat=%v&crs=wgs84", l.path, g.at[0], g.at[1]), "")
		if !r.o.allowed(r.a, l) {
			r.denied(l, key, a)
			continue
		}
		if !r.granted(l, key, a, 200) {
			continue
		}
		var v struct {
			Spoken, From string
			Address      *struct{ Name string }
		}
		if err := json.Unmarshal(a.body, &v); err != nil {
			r.f.add("form", r.a.name, l.name(), "%s: %v", key, err)
			continue
		}
		names := []string{v.From, strings.Fields(v.Spoken + " .")[0]}
		if v.Address != nil {
			names = append(names, v.Address.Name)
		}
		for _, n := range names {
			if n != "" && n != "." && !r.mayName(n) {
				r.f.add("leak", r.a.name, l.name(), "a point in %s is told by %s", key, n)
			}
		}
		if must, _ := r.o.seesGrid(r.w, r.a, key); must && !slices.Contains(names, wellIn(key)) {
			r.f.add("less", r.a.name, l.name(), "a point in %s: %s", key, a.body)
		}
	}
}
