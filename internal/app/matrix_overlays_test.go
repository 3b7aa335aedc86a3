// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"encoding/json"
	"strings"
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
