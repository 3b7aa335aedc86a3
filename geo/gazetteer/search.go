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
	// Areas also answers the village or town that the text names where something
	// finer is likely enough.
	Areas bool
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
	if len(out) == 0 || out[0].Confidence < goodEnough || o.Areas {
		out = x.addAreas(&q, out, o.Sees)
	}
	doubt(out)
	return out[:min(len(out), 2*manyRivals)]
}

// minConfidence is below what is not offered: the text shares a word with the
// entry by chance.
const minConfidence = 0.25
