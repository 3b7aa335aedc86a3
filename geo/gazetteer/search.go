// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package gazetteer

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"onemap/geo"
)

// MaxQuery is the longest text that is searched, in characters; longer text is
// cut.
const MaxQuery = 64

// Options narrow a search.
type Options struct {
	// Sees says of a grid number whether the asker may be told of what lies there.
	// Nil sees nothing.
	Sees  func(no int32) bool
	Near  *geo.WGS84 // prefers what is near among what fits as well
	Limit int        // 0 is 10; at most 40
}

// Search finds the entries that text means, the likeliest first. Text of which
// the index knows nothing finds nothing; text of one character does too. A place
// said relative to another (城川镇 东 3 公里) is that place, offset. Where nothing
// finer is likely, the village or town that the text names is among the answers,
// with how far its border is.
func (x *Index) Search(text string, o Options) []Candidate {
	if o.Sees == nil {
		return nil
	}
	limit := 10
	if o.Limit > 0 {
		limit = min(o.Limit, 2*manyRivals)
	}
	r := []rune(Normalise(text))
	if len(r) > MaxQuery {
		r = r[:MaxQuery]
	}
	r = withoutTalk(r)
	base, off := splitRelative(r)
	out := x.searchPlain(base, o)
	if off.how != "" && (len(out) == 0 || out[0].Confidence < 0.5) {
		if whole := x.searchPlain(r, o); len(whole) > 0 && (len(out) == 0 || whole[0].Confidence > out[0].Confidence) {
			out, off = whole, offset{} // a name that only looks relative
		}
	}
	for i := range out {
		off.apply(&out[i])
	}
	if o.Near != nil {
		for i := range out {
			out[i].DistanceM = geo.Distance(*o.Near, out[i].Point)
		}
	}
	slices.SortStableFunc(out, func(a, b Candidate) int {
		return cmp.Or(cmp.Compare(fits(b), fits(a)), cmp.Compare(a.DistanceM, b.DistanceM), cmp.Compare(b.Confidence, a.Confidence),
			cmp.Compare(len(a.Entry.Name), len(b.Entry.Name)), cmp.Compare(a.Entry.ID, b.Entry.ID))
	})
	return out[:min(limit, len(out))]
}

// fits is a confidence in steps within which the nearer stands first.
func fits(c Candidate) int { return int(math.Round(c.Confidence * 50)) }

// query is a text on its way through a search.
type query struct {
	bigrams   []bigram
	weight    float32
	symbols   []symbol
	whole     []symbol // before the areas were taken off
	number    int      // house number, -1 for none
	areas     []int    // the deepest area of each reading, of those that name one
	onlyAreas bool     // nothing but areas was named
	alone     bool     // one number in words: 八一
}

func (x *Index) ask(r []rune, sees func(int32) bool) query {
	readings := x.lib.parse(r, sees)
	q := query{number: -1}
	for _, p := range readings {
		if p.Area >= 0 {
			q.areas = append(q.areas, p.Area)
		}
	}
	q.whole, _ = symbolsOf(r, nil)
	rest := r
	if len(q.areas) > 0 {
		rest = []rune(readings[0].free)
	}
	if n, ok := houseNumber(rest, true); ok {
		q.number = n
	}
	var alone symbol
	q.symbols, alone = symbolsOf(rest, nil)
	if q.onlyAreas = len(q.symbols) < 2 && alone == 0 && len(q.areas) > 0; q.onlyAreas {
		q.symbols, alone = symbolsOf(r, nil)
	}
	q.bigrams = bigramsOf(q.symbols, nil)
	if len(q.bigrams) == 0 && alone != 0 {
		q.bigrams, q.alone = []bigram{pair(0, alone)}, true
	}
	for _, b := range q.bigrams {
		q.weight += weight(b)
	}
	return q
}

// talk is what people say before and behind a place.
var talk = []string{"我们在", "我在", "就在", "位于", "地址是", "地址", "发生在", "有人在", "你好", "您好", "这里是", "这里", "这边", "那边", "那里", "那个", "就是", "大概", "好像", "麻烦", "请问"}

// withoutTalk takes talk off both ends, as long as two characters are left.
func withoutTalk(r []rune) []rune {
	for cut := true; cut; {
		cut = false
		for _, w := range talk {
			n := len([]rune(w))
			if hasPrefix(r, w) && len(r) >= n+2 {
				r, cut = r[n:], true
			} else if len(r) >= n+2 && hasPrefix(r[len(r)-n:], w) {
				r, cut = r[:len(r)-n], true
			}
		}
		for len(r) > 2 && strings.ContainsRune(", -", r[0]) {
			r = r[1:]
		}
		for len(r) > 2 && strings.ContainsRune(", -", r[len(r)-1]) {
			r = r[:len(r)-1]
		}
	}
	return r
}

// houseNumber is the first number before 号 or 弄, and of a query also one behind
// the road's name.
func houseNumber(r []rune, query bool) (n int, ok bool) {
	for i := 0; i < len(r); i++ {
		if !digit(r[i]) {
			continue
		}
		from := i
		for n = 0; i < len(r) && digit(r[i]); i++ {
			n = (n*10 + int(r[i]-'0')) % maxNumber
		}
		if i < len(r) && (r[i] == '号' || r[i] == '弄') {
			return n, true
		}
		if query && from > 0 && strings.ContainsRune("路街巷道", r[from-1]) && (i == len(r) || r[i] != '-') {
			return n, true
		}
	}
	return 0, false
}

func (x *Index) searchPlain(r []rune, o Options) []Candidate {
	q := x.ask(r, o.Sees)
	var out []Candidate
	if len(q.bigrams) > 0 {
		var prefer func(*brief) float32
		if o.Near != nil || len(q.areas) > 0 {
			prefer = x.prefer(&q, o.Near)
		}
		for _, e := range x.gather(q.bigrams, len(q.symbols), o.Sees, prefer) {
			if c := x.judge(&q, int(e)); c.Confidence >= minConfidence {
				out = append(out, c)
			}
		}
	}
	slices.SortStableFunc(out, func(a, b Candidate) int { return cmp.Compare(b.Confidence, a.Confidence) })
	out = x.addAreas(&q, out, o.Sees)
	doubt(out)
	return out[:min(len(out), 2*manyRivals)]
}

// minConfidence is below what is not offered: the text shares a word with the
// entry by chance.
const minConfidence = 0.25

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

// addAreas adds the village or town that the text names where nothing finer is
// likely enough.
func (x *Index) addAreas(q *query, out []Candidate, sees func(int32) bool) []Candidate {
	if len(out) > 0 && out[0].Confidence >= goodEnough {
		return out
	}
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
