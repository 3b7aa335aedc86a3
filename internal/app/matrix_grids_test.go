// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// versionOf is the boundary set in force of a county.
func (r *run) versionOf(county string) string {
	return fmt.Sprint(r.w.count("SELECT id FROM grid_version WHERE root_code = $1 AND state = 'enacted'", county))
}

// gridVersions asks about the boundary sets of both counties without changing one:
// those in force can't be previewed, enacted or taken back.
func (r *run) gridVersions(l line) {
	ask := func(version string) answer {
		body := ""
		if l.method == http.MethodPost {
			body = `{"reason":"` + goodReason + `"}`
		}
		return r.ask(l, l.method, strings.Replace(l.path, "{version}", version, 1), body)
	}
	own, other := r.versionOf("P"), r.versionOf("Q")
	if strings.HasPrefix(r.a.home, "Q") {
		own, other = other, own
	}
	missing := ask(nobodyHasThis)
	if !r.o.allowed(r.a, l) {
		r.denied(l, "what is not there", missing)
		r.denied(l, "the own county's", ask(own))
		r.denied(l, "the other county's", ask(other))
		return
	}
	if l.target == "grid version" {
		r.granted(l, "what is in force", ask(own), http.StatusConflict)
		r.same(l, "the other county's", ask(other), missing)
		return
	}
	var v struct{ Items []struct{ Version int } }
	if a := ask(""); r.granted(l, "the list", a, 200) && json.Unmarshal(a.body, &v) == nil {
		if r.f.cell(); len(v.Items) != 1 || fmt.Sprint(v.Items[0].Version) != own {
			r.f.add("leak", r.a.name, l.name(), "%s, want version %s alone", a.body, own)
		}
	}
}
