// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package gazetteer

import (
	"cmp"
	"math"
	"slices"

	"onemap/geo"
)

// prefer lifts entries that are near, or in the area named, into those judged. It
// adds maxPrefer at most.
func (x *Index) prefer(q *query, near *geo.WGS84) func(*brief) float32 {
	named := make([]bool, len(x.lib.areas))
	for i, a := range x.lib.areas {
		named[i] = slices.Contains(q.areas, i) || a.Parent >= 0 && named[a.Parent] // parents stand first
	}
	var lon, lat, wide float32
	if near != nil {
		lon, lat, wide = float32(near[0]), float32(near[1]), float32(math.Cos(near[1]*math.Pi/180))
	}
	return func(e *brief) (add float32) {
		if near != nil {
			dx, dy := (e.lon-lon)*wide, e.lat-lat
			add = 0.1 / (1 + 2500*(dx*dx+dy*dy))
		}
		if e.area >= 0 && named[e.area] {
			add += 0.1
		}
		return add
	}
}

// judge compares the text with everything the entry is called.
func (x *Index) judge(q *query, i int) Candidate {
	e, t := &x.entries[i], &x.texts[i]
	c := Candidate{Entry: e, Point: e.Point, AccuracyM: e.radius(), DistanceM: -1}
	best := q.against(x.nameOf(t))
	if slices.Equal(x.nameOf(t), q.whole) {
		best = match{0.97, ExactName}
	} else if t.short > 0 {
		best = better(best, q.against(x.shortOf(t)))
	}
	for _, a := range e.Aliases {
		s, _ := symbolsOf([]rune(Normalise(a)), nil)
		m := q.against(s)
		if m.why == ExactName {
			m = match{0.92, ExactAlias}
		}
		best = better(best, m)
	}
	byAddress := e.Kind == Address
	if where := x.addressOf(t); len(where) > 0 {
		by := match{0.95 * q.dice(where), SimilarWhere}
		if slices.Equal(where, q.symbols) {
			by = match{0.95, ExactAddress}
		}
		by = better(by, match{0.95 * q.dice(x.both(t, nil)), SimilarWhere}) // 振兴路3号中心小学
		if by.score > best.score {
			best, byAddress = by, true
		}
	}
	if best.score == 0 {
		return c
	}
	c.Confidence, c.Reasons = float64(best.score), append(c.Reasons, best.why)
	if byAddress {
		q.compareNumber(&c, int(t.number))
	}
	x.compareArea(q, &c)
	c.Confidence = min(c.Confidence, 0.99)
	return c
}

// match is how well a text fits, and why.
type match struct {
	score float32
	why   Reason
}

func better(a, b match) match {
	if b.score > a.score {
		return b
	}
	return a
}

// against compares the text with the symbols of one name.
func (q *query) against(s []symbol) match {
	if len(s) == 0 {
		return match{}
	}
	if slices.Equal(s, q.symbols) {
		return match{0.96, ExactName}
	}
	d := q.dice(s)
	switch {
	case len(s) >= 3 && contains(q.symbols, s):
		return match{max(d, 0.6+0.3*d), ContainsName}
	case (len(q.symbols) >= 2 || q.alone) && contains(s, q.symbols):
		return match{max(d, 0.5+0.3*d), PartOfName}
	}
	return match{d, SimilarName}
}

func contains(s, part []symbol) bool {
	for i := 0; i+len(part) <= len(s); i++ {
		if slices.Equal(s[i:i+len(part)], part) {
			return true
		}
	}
	return false
}

// dice is the weighted Dice coefficient of the text's bigrams and those of s.
func (q *query) dice(s []symbol) float32 {
	b := bigramsOf(s, make([]bigram, 0, 48))
	var both, theirs float32
	i := 0
	for _, k := range b {
		w := weight(k)
		theirs += w
		for i < len(q.bigrams) && q.bigrams[i] < k {
			i++
		}
		if i < len(q.bigrams) && q.bigrams[i] == k {
			both += w
		}
	}
	if both == 0 {
		return 0
	}
	return 2 * both / (q.weight + theirs)
}

// compareNumber judges house numbers where the match is by address; number is the
// entry's, -1 for none.
func (q *query) compareNumber(c *Candidate, number int) {
	switch {
	case q.number >= 0 && number == q.number:
		c.Confidence = min(c.Confidence*1.1, 0.97)
		c.Reasons = append(c.Reasons, SameNumber)
	case q.number >= 0 && number >= 0:
		off := math.Abs(float64(number - q.number))
		c.Confidence *= 0.5 + 0.15/(1+off/20)
		c.AccuracyM = max(c.AccuracyM, min(50+6*off, 2000))
		c.Reasons = append(c.Reasons, OtherNumber)
	case q.number >= 0:
		c.Confidence *= 0.5
		c.AccuracyM = max(c.AccuracyM, 500)
		c.Reasons = append(c.Reasons, NumberUnknown)
	case number >= 0:
		c.Confidence *= 0.8
		c.AccuracyM = max(c.AccuracyM, 500)
		c.Reasons = append(c.Reasons, NoNumber)
	}
}

// compareArea judges the area that the text names against where the entry lies.
func (x *Index) compareArea(q *query, c *Candidate) {
	if len(q.areas) == 0 || q.onlyAreas || c.Entry.Area < 0 {
		return
	}
	elsewhere := true
	for _, a := range q.areas {
		switch x.lib.compare(c.Entry.Area, a) {
		case agree:
			c.Confidence = min(c.Confidence+0.02, 0.99)
			c.Reasons = append(c.Reasons, SameArea)
			return
		case unknown:
			elsewhere = false
		}
	}
	if elsewhere {
		c.Confidence *= 0.5
		c.Reasons = append(c.Reasons, OtherArea)
	}
}

// goodEnough is the confidence from which no fall-back is needed.
const goodEnough = 0.5

// addAreas adds the village or town that the text names.
func (x *Index) addAreas(q *query, out []Candidate, sees func(int32) bool) []Candidate {
	for _, area := range q.areas {
		i := area
		for i >= 0 && x.lib.areas[i].Point == nil {
			i = x.lib.areas[i].Parent
		}
		if i < 0 || !sees(x.lib.areas[i].No) {
			continue
		}
		e := x.areaEntry(i)
		if slices.ContainsFunc(out, func(c Candidate) bool { return c.Entry == e }) {
			continue
		}
		conf := 0.45
		if x.lib.areas[i].Level == Village {
			conf = 0.5
		}
		if len(out) > 0 {
			conf = min(conf, out[0].Confidence+0.05)
		}
		out = append(out, Candidate{Entry: e, Point: e.Point, AccuracyM: e.radius(), Confidence: conf, Reasons: []Reason{FellBack}, DistanceM: -1})
	}
	slices.SortStableFunc(out, func(a, b Candidate) int { return cmp.Compare(b.Confidence, a.Confidence) })
	return out
}

// areaEntry is the entry of the area at i of the library; areas stand last.
func (x *Index) areaEntry(i int) *Entry {
	first := len(x.entries) - len(x.areaOrder)
	k, _ := slices.BinarySearch(x.areaOrder, i)
	return &x.entries[first+k]
}

// apartM is from where two places are told apart.
const apartM = 500

// manyRivals is how many places that fit as well are counted.
const manyRivals = 20

// doubt lowers the confidence of candidates that others match: who asks has to
// choose. out is sorted by confidence.
func doubt(out []Candidate) {
	out = out[:min(len(out), 2*manyRivals)]
	was := make([]float64, len(out))
	for i, c := range out {
		was[i] = c.Confidence
	}
	for i := range out {
		rivals, wide := 0, math.Cos(out[i].Point[1]*math.Pi/180)
		for j := range out {
			if j == i || math.Abs(was[j]-was[i]) >= 0.02 {
				continue
			}
			const metres = geo.EarthRadius * math.Pi / 180
			dx, dy := (out[j].Point[0]-out[i].Point[0])*wide*metres, (out[j].Point[1]-out[i].Point[1])*metres
			if dx*dx+dy*dy > apartM*apartM && rivals < manyRivals {
				rivals++
			}
		}
		if rivals > 0 {
			out[i].Confidence = was[i] * (0.35 + 0.65/float64(1+rivals))
			out[i].Reasons = append(out[i].Reasons, Ambiguous)
		}
	}
	for i := 1; i < len(out); i++ { // what fits less is no likelier for all the doubt
		out[i].Confidence = min(out[i].Confidence, out[i-1].Confidence)
	}
}
