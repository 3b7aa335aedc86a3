// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/paulmach/orb/encoding/mvt"
	"github.com/paulmach/orb/maptile"
)

// askedTiles asks for the tiles, over both counties, of a layer that is asked a question,
// and holds them against the route that tells the same as a list.
func (r *run) askedTiles(l line) {
	layer := strings.Split(l.path, "/")[2]
	switch layer {
	case "hotspots":
		now := time.Now()
		query := url.Values{"from": {now.AddDate(0, 0, -60).Format(time.RFC3339)}, "to": {now.Add(time.Hour).Format(time.RFC3339)}, "res": {"7"}}
		r.asListed(l, layer, 9, query, "/api/v1/hotspots", "hot spots", "cells", "cell")
	case "coverage":
		r.asListed(l, layer, 9, url.Values{"beyond_s": {"900"}}, "/api/v1/coverage", "coverage", "items", "code")
	default:
		r.f.add("form", r.a.name, l.name(), "tiles of %s are held against nothing", layer)
	}
}

// asListed compares tiles with a list: what the actor is told of is the same in both, by
// the name that a key of either has.
func (r *run) asListed(l line, layer string, z maptile.Zoom, query url.Values, list, answer, items, key string) {
	may := r.o.allowed(r.a, l)
	told := map[string]bool{}
	for _, tile := range r.w.over(z) {
		path := strings.NewReplacer("{z}", fmt.Sprint(tile.Z), "{x}", fmt.Sprint(tile.X), "{y}", fmt.Sprint(tile.Y)).Replace(l.path) + "?" + query.Encode()
		a := r.ask(l, l.method, path, "")
		if !may {
			r.denied(l, path, a)
			continue
		}
		if !r.granted(l, path, a, 200, 204) {
			continue
		}
		r.notTheirs(l, path, a, r.w.named("hall with the flag").token)
		if a.status == 204 {
			continue
		}
		layers, raw, err := unpack(a)
		if err != nil {
			r.f.add("form", r.a.name, l.name(), "%s: %v", path, err)
			continue
		}
		r.w.scan.bytes(r.a.name+" "+path, raw, false)
		r.features(l, layer, layers, map[string]bool{})
		eachFeature(layers, func(properties map[string]any) { told[fmt.Sprint(properties[key])] = true })
	}
	if !may {
		return
	}
	asked := l
	asked.answer = answer
	a := r.ask(asked, "GET", list+"?"+query.Encode(), "")
	var v map[string]json.RawMessage
	var rows []map[string]any
	if json.Unmarshal(a.body, &v) != nil || json.Unmarshal(v[items], &rows) != nil {
		r.f.add("form", r.a.name, l.name(), "the list: %d %.200s", a.status, a.body)
		return
	}
	listed := map[string]bool{}
	for _, row := range rows {
		listed[fmt.Sprint(row[key])] = true
		if r.f.cell(); !told[fmt.Sprint(row[key])] {
			r.f.add("less", r.a.name, l.name(), "lacks %v", row[key])
		}
	}
	for name := range told {
		if r.f.cell(); !listed[name] {
			r.f.add("leak", r.a.name, l.name(), "tells of %s", name)
		}
	}
}

func eachFeature(layers mvt.Layers, f func(properties map[string]any)) {
	for _, l := range layers {
		for _, one := range l.Features {
			f(one.Properties)
		}
	}
}
