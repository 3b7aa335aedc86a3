// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package intake

import (
	"fmt"
	"math"
	"slices"

	"onemap/dispatch"
	"onemap/geo"
	"onemap/geo/gazetteer"
)

// When an address alone places a report; below that a person looks at the map. See
// docs/PLACES.md for what was measured.
const (
	// SureConfidence is the least confidence of the one place that is meant.
	SureConfidence = 0.85
	// SureAccuracyM is how far off it may lie at most, in metres.
	SureAccuracyM = 500
	// apartM is from where a second place that fits makes the first one doubtful: the
	// distance at which the address search tells two places apart.
	apartM = 500
	// shownCandidates is how many places a refusal tells of.
	shownCandidates = 10
)

// address finds the place of a report that brings an address and no location.
func address(e *Env, d *draft) *Problem {
	text := d.out.Place.Address
	if d.in.Lon != nil || d.in.Lat != nil || text == "" || e.Find == nil {
		return nil
	}
	found := e.Find(text)
	c, why := settle(found, d.in.Approximate)
	if c == nil {
		if d.in.Unplaced {
			d.out.Notes = append(d.out.Notes, "without a place: "+why)
			d.out.Candidates = shown(found)
			return nil
		}
		return &Problem{Field: "address", Message: why, Unplaced: true, Candidates: shown(found)}
	}
	p := c.Point
	d.out.Place.Point, d.out.Place.Raw = &p, &geo.Raw{Lon: p[0], Lat: p[1], Datum: geo.DatumWGS84}
	d.out.Place.Found = &dispatch.Found{
		By: foundBy(c), ID: c.Entry.ID, Name: c.Entry.Name,
		Confidence: math.Round(c.Confidence*100) / 100, AccuracyM: math.Ceil(c.AccuracyM),
	}
	if d.in.Approximate && !sure(c) {
		d.out.Notes = append(d.out.Notes, fmt.Sprintf("placed at %s by its address, give or take %.0f m", c.Entry.Name, c.AccuracyM))
	}
	return nil
}

func shown(found []gazetteer.Candidate) []gazetteer.Candidate {
	return found[:min(len(found), shownCandidates)]
}

func foundBy(c *gazetteer.Candidate) dispatch.FoundBy {
	switch {
	case slices.Contains(c.Reasons, gazetteer.Relative):
		return dispatch.ByOffset
	case c.Entry.Kind == gazetteer.Area:
		return dispatch.ByArea
	}
	return dispatch.ByAddress
}

// settle chooses the one candidate that an address means, or says why there is
// none. approximate also takes a place that is only roughly known.
func settle(found []gazetteer.Candidate, approximate bool) (c *gazetteer.Candidate, why string) {
	if len(found) == 0 {
		return nil, "nothing is known by this address"
	}
	best := found[0]
	alone := fits(&best)
	for _, o := range found[1:] {
		switch d := geo.Distance(best.Point, o.Point); {
		case !fits(&o):
		case d > apartM || o.Entry.Kind == gazetteer.Area: // the whole village may be meant, too
			alone = false
		default: // one beside it fits as well: it may be either
			best.AccuracyM = max(best.AccuracyM, d+o.AccuracyM)
		}
	}
	area := area(found)
	switch {
	case alone && sure(&best), alone && approximate && best.Entry.Kind != gazetteer.Area:
		return &best, ""
	case approximate && area != nil:
		return area, ""
	case alone && fits(&best) && best.Entry.Kind != gazetteer.Area:
		return nil, fmt.Sprintf("%s fits, but the place meant is known to %.0f m only", best.Entry.Name, best.AccuracyM)
	case !alone && fits(&best) || slices.Contains(best.Reasons, gazetteer.Ambiguous):
		return nil, "several places fit this address"
	case area != nil:
		return nil, fmt.Sprintf("no finer is known than %s, give or take %.0f m", area.Entry.Name, area.AccuracyM)
	}
	return nil, fmt.Sprintf("the likeliest place, %s, is not sure enough", best.Entry.Name)
}

// fits reports whether c is likely enough to be the place meant, and no other is.
func fits(c *gazetteer.Candidate) bool {
	return c.Confidence >= SureConfidence && !slices.Contains(c.Reasons, gazetteer.Ambiguous) && !slices.Contains(c.Reasons, gazetteer.FellBack)
}

// sure reports whether c may be taken without anybody looking: a village or town as
// a whole never may.
func sure(c *gazetteer.Candidate) bool {
	return fits(c) && c.Entry.Kind != gazetteer.Area && c.AccuracyM <= SureAccuracyM
}

// area is the one village or town that the address names, nil for none or several.
func area(found []gazetteer.Candidate) (one *gazetteer.Candidate) {
	for i := range found {
		c := &found[i]
		if c.Entry.Kind != gazetteer.Area || !slices.ContainsFunc(c.Reasons, func(r gazetteer.Reason) bool {
			return r == gazetteer.FellBack || r == gazetteer.ExactName || r == gazetteer.ExactAlias
		}) {
			continue
		}
		if one != nil {
			return nil
		}
		one = c
	}
	return one
}
