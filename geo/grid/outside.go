// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package grid

import (
	"fmt"
	"math"

	"github.com/paulmach/orb"

	"onemap/geo"
)

// padding is how far, in degrees, a place may lie outside the box round the
// grids and still count as near: some 10 km.
const padding = 0.1

// OutsideNote says in words that a place lies outside every grid, or outside
// those its reader sees, and how far off it is when it lies beyond the padded box
// round them. Where another reading of the same numbers (axes exchanged, another
// datum, another zone) would put it into one of these grids, the note names it.
// It is a hint: nothing is converted.
func (t *Tree) OutsideNote(r geo.Raw, sees func(n *Node) bool) string {
	note, whose := "the place lies outside every grid", "the county"
	var box orb.Bound
	some, all := false, true
	for i := range t.nodes {
		switch {
		case !sees(&t.nodes[i]):
			all = false
		case !some:
			box, some = t.nodes[i].Geom.Bound(), true
		default:
			box = box.Union(t.nodes[i].Geom.Bound())
		}
	}
	if !all {
		note, whose = "the place lies outside your grids", "them"
	}
	if p, err := r.WGS84(); err == nil && some && !box.Pad(padding).Contains(p.Orb()) {
		nearest := geo.WGS84{min(max(p[0], box.Min[0]), box.Max[0]), min(max(p[1], box.Min[1]), box.Max[1])}
		note += fmt.Sprintf(", %.0f km from %s", math.Ceil(geo.Distance(p, nearest)/1000), whose)
	}
	for _, o := range r.Readings() {
		p, err := o.WGS84()
		if err != nil {
			continue
		}
		f := t.Locate(p)
		if f.Index < 0 || !sees(&t.nodes[f.Index]) {
			continue
		}
		if o.Datum == r.Datum {
			return note + "; with " + axes(r.Datum) + " exchanged it would lie in " + t.nodes[f.Index].Name
		}
		return note + "; read as " + string(o.Datum) + " it would lie in " + t.nodes[f.Index].Name
	}
	return note
}

// axes are the names of the two numbers of a datum.
func axes(d geo.Datum) string {
	if _, metres := d.Zone(); metres {
		return "easting and northing"
	}
	return "longitude and latitude"
}
