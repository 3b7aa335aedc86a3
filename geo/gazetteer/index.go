// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package gazetteer

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"unicode"
)

// Index finds entries by text and by place. It is made by NewIndex and never
// changed afterwards.
type Index struct {
	lib     *Library
	entries []Entry
	texts   []text   // of the entries
	brief   []brief  // of the entries: what a search looks at in each that shares a bigram
	symbols []symbol // of all names and addresses

	// Postings in one array: those of keys[i] are at[i] to at[i+1]. A posting is an
	// entry's place times two, plus one when the bigram is in one of its names.
	keys     []bigram
	at       []uint32
	postings []uint32

	areaOrder []int // the areas of the library that are entries; they stand last
	mesh      mesh
	scratch   sync.Pool // of *scratch
}

// text is where an entry's texts are among the symbols: its name, and right behind
// it its address without the areas that it begins with.
type text struct {
	from, name, address uint32 // where it begins, and how many symbols each has
	short               uint32 // the name begins with so many symbols of areas
	number              int32  // the house number, -1 for none
}

// brief is the little of an entry that decides whether it is judged at all.
type brief struct {
	no, area int32
	name     uint16 // symbols of the name
	lon, lat float32
}

func (x *Index) nameOf(t *text) []symbol  { return x.symbols[t.from : t.from+t.name] }
func (x *Index) shortOf(t *text) []symbol { return x.symbols[t.from+t.short : t.from+t.name] }
func (x *Index) addressOf(t *text) []symbol {
	return x.symbols[t.from+t.name : t.from+t.name+t.address]
}

// both are the symbols of the address and of the name without its areas.
func (x *Index) both(t *text, to []symbol) []symbol {
	return append(append(to[:0], x.addressOf(t)...), x.shortOf(t)...)
}

// symbol is what bigrams are made of: a rune, or a whole number with the highest
// bit set, so that 415 shares nothing with 416.
type symbol uint32

const (
	numberBit symbol = 1 << 31
	maxNumber        = 1 << 30
)

// bigram is two symbols that stand beside each other. Where the first is zero the
// second is a number in words that may stand alone (八一).
type bigram uint64

func pair(a, b symbol) bigram { return bigram(a)<<32 | bigram(b) }

// symbolsOf are the symbols of normalised text: letters and numbers, the latter
// whole and the same in digits and in words. Marks and spaces are left out.
func symbolsOf(r []rune, to []symbol) (out []symbol, spelledOut symbol) {
	out = to[:0]
	for i := 0; i < len(r); {
		switch {
		case digit(r[i]):
			n := symbol(0)
			for ; i < len(r) && digit(r[i]); i++ {
				n = (n*10 + symbol(r[i]-'0')) % maxNumber
			}
			out = append(out, numberBit|n)
		case numeral(r[i]):
			j := i
			for j < len(r) && numeral(r[j]) {
				j++
			}
			if text, ok := spelled(r[i:j]); ok {
				n := symbol(0)
				for _, c := range text {
					n = (n*10 + symbol(c-'0')) % maxNumber
				}
				out = append(out, numberBit|n)
				if j-i > 1 {
					spelledOut = numberBit | n
				}
			} else {
				for _, c := range r[i:j] {
					out = append(out, symbol(c))
				}
			}
			i = j
		default:
			if unicode.IsLetter(r[i]) {
				out = append(out, symbol(r[i]))
			}
			i++
		}
	}
	return out, spelledOut
}

// bigramsOf are the bigrams of symbols, each once, sorted.
func bigramsOf(s []symbol, to []bigram) []bigram {
	out := to[:0]
	for i := 1; i < len(s); i++ {
		out = append(out, pair(s[i-1], s[i]))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// NewIndex indexes entries, and as entries of their own the areas of the library
// that have a point. The slice must not be changed afterwards.
func NewIndex(lib *Library, entries []Entry) *Index {
	x := &Index{lib: lib, entries: slices.Clone(entries)}
	for i, a := range lib.areas {
		if a.Point == nil {
			continue
		}
		e := Entry{Kind: Area, Name: a.Name, Point: *a.Point, No: a.No, Area: i, RadiusM: a.RadiusM}
		e.Aliases = append(shortForms(a), localForms(a)...)
		x.entries, x.areaOrder = append(x.entries, e), append(x.areaOrder, i)
	}
	x.fillPostings()
	x.brief = make([]brief, len(x.entries))
	for i, e := range x.entries {
		x.brief[i] = brief{e.No, int32(e.Area), uint16(min(x.texts[i].name, 1000)), float32(e.Point[0]), float32(e.Point[1])}
	}
	x.mesh = newMesh(x.entries)
	x.scratch.New = func() any { return &scratch{score: make([]float32, len(x.entries))} }
	return x
}

// Len is how many entries there are, areas included.
func (x *Index) Len() int { return len(x.entries) }

// Library returns the library the index was made with.
func (x *Index) Library() *Library { return x.lib }

func (x *Index) fillPostings() {
	type posting struct {
		key   uint32
		entry uint32
	}
	ids := map[bigram]uint32{}
	var all []posting
	var count []uint32
	var symbols []symbol
	var bigrams []bigram
	x.texts = make([]text, len(x.entries))
	for i := range x.entries {
		e := &x.entries[i]
		inName := map[bigram]bool{}
		put := func(b bigram, name bool) {
			if was, ok := inName[b]; ok && (was || !name) {
				return
			}
			inName[b] = name
		}
		take := func(r []rune, name bool) {
			var alone symbol
			symbols, alone = symbolsOf(r, symbols)
			if bigrams = bigramsOf(symbols, bigrams); alone != 0 {
				put(pair(0, alone), name)
			}
			for _, b := range bigrams {
				put(b, name)
			}
		}
		t := text{from: uint32(len(x.symbols)), number: -1}
		name := []rune(Normalise(e.Name))
		short := x.lib.strip(name, e.Area)
		if e.Kind == Address { // the areas it begins with are no part of what is looked for
			take(short, true)
			symbols, _ = symbolsOf(name, symbols)
		} else {
			take(name, true)
		}
		x.symbols = append(x.symbols, symbols...)
		t.name = uint32(len(x.symbols)) - t.from
		if e.Kind != Area && len(short) < len(name) {
			if s, _ := symbolsOf(short, symbols); uint32(len(s)) < t.name {
				t.short = t.name - uint32(len(s))
			}
		}
		for _, a := range e.Aliases {
			take([]rune(Normalise(a)), true)
		}
		where := short
		if e.Kind == Place {
			where = x.lib.strip([]rune(Normalise(e.Address)), e.Area)
			take(where, false)
			x.symbols = append(x.symbols, symbols...)
			t.address = uint32(len(x.symbols)) - t.from - t.name
		}
		if n, ok := houseNumber(where, false); ok {
			t.number = int32(n)
		}
		x.texts[i] = t
		for b, name := range inName {
			id, ok := ids[b]
			if !ok {
				id = uint32(len(ids))
				ids[b] = id
				count = append(count, 0)
			}
			count[id]++
			p := uint32(i) << 1
			if name {
				p |= 1
			}
			all = append(all, posting{id, p})
		}
	}
	x.keys = make([]bigram, 0, len(ids))
	for b := range ids {
		x.keys = append(x.keys, b)
	}
	slices.Sort(x.keys)
	x.at = make([]uint32, len(x.keys)+1)
	next := make([]uint32, len(ids)) // where the next posting of an id goes
	for i, b := range x.keys {
		next[ids[b]] = x.at[i]
		x.at[i+1] = x.at[i] + count[ids[b]]
	}
	x.postings = make([]uint32, len(all))
	for _, p := range all { // entries come in order, so each list is sorted
		x.postings[next[p.key]] = p.entry
		next[p.key]++
	}
}

// list are the postings of a bigram.
func (x *Index) list(b bigram) []uint32 {
	i, ok := slices.BinarySearch(x.keys, b)
	if !ok {
		return nil
	}
	return x.postings[x.at[i]:x.at[i+1]]
}

// scratch is the working memory of one search.
type scratch struct {
	score   []float32 // by entry; zero between searches
	touched []uint32
	best    []ranked
}

// ranked is an entry on its way to the best.
type ranked struct {
	entry uint32
	score float32
}

// weight is how much a bigram tells: words that many addresses share tell little.
// It is fixed, not counted: what the asker may not see has no say in it.
func weight(b bigram) float32 {
	if common[b] {
		return 0.3
	}
	return 1
}

var common = func() map[bigram]bool {
	m := map[bigram]bool{}
	for w := range strings.FieldsSeq("有限公司 责任公司 股份公司 分公司 服务中心 卫生室 卫生院 卫生服务 幼儿园 小学 中学 学校 医院 大厦 广场 小区 花园 社区 街道 大街 大道 东路 西路 南路 北路 中路 号楼 号院 村委会 居委会 委员会") {
		s, _ := symbolsOf([]rune(w), nil)
		for _, b := range bigramsOf(s, nil) {
			m[b] = true
		}
	}
	return m
}()

const (
	// readPostings bounds how many postings one search reads, the rarest bigrams
	// first; what it leaves out is seen when the best are judged.
	readPostings = 250_000
	// judged is how many entries are judged by their whole text.
	judged = 96
)

// gather returns the entries that share most with the bigrams, those that sees
// admits, best first as far as bigrams tell. prefer adds to an entry's score.
func (x *Index) gather(bigrams []bigram, symbols int, sees func(int32) bool, prefer func(*brief) float32) []uint32 {
	s := x.scratch.Get().(*scratch)
	defer x.scratch.Put(s)
	lists := make([]struct {
		postings []uint32
		weight   float32
	}, 0, len(bigrams))
	var most float32
	for _, b := range bigrams {
		w := weight(b)
		most += w
		if l := x.list(b); len(l) > 0 {
			lists = append(lists, struct {
				postings []uint32
				weight   float32
			}{l, w})
		}
	}
	slices.SortFunc(lists, func(a, b struct {
		postings []uint32
		weight   float32
	},
	) int {
		return cmp.Compare(len(a.postings), len(b.postings))
	})
	s.best = s.best[:0]
	offer := func(e uint32, shared float32) {
		entry := &x.brief[e]
		score := shared/most - 0.1*float32(min(max(int(entry.name)-symbols, 0), 20))/20
		if len(s.best) == judged && score+maxPrefer <= s.best[0].score {
			return
		}
		if prefer != nil {
			score += prefer(entry)
		}
		if len(s.best) < judged || score > s.best[0].score {
			if sees(entry.no) {
				s.keep(ranked{e, score})
			}
		}
	}
	read := 0
	for i, l := range lists {
		if read += len(l.postings); i > 0 && read > readPostings {
			lists = lists[:i]
			break
		}
	}
	for _, l := range lists {
		for _, p := range l.postings {
			e, w := p>>1, l.weight*(0.9+0.1*float32(p&1))
			if len(lists) == 1 {
				offer(e, w)
				continue
			}
			if s.score[e] == 0 {
				s.touched = append(s.touched, e)
			}
			s.score[e] += w
		}
	}
	for _, e := range s.touched {
		offer(e, s.score[e])
		s.score[e] = 0
	}
	s.touched = s.touched[:0]
	slices.SortFunc(s.best, func(a, b ranked) int {
		return cmp.Or(cmp.Compare(b.score, a.score), cmp.Compare(a.entry, b.entry))
	})
	out := make([]uint32, len(s.best))
	for i, r := range s.best {
		out[i] = r.entry
	}
	return out
}

// maxPrefer is the most that prefer may add.
const maxPrefer = 0.2

// keep puts r among the best: a heap with the least in front.
func (s *scratch) keep(r ranked) {
	h := s.best
	if len(h) < judged {
		h = append(h, r)
		for i := len(h) - 1; i > 0 && h[i].score < h[(i-1)/2].score; i = (i - 1) / 2 {
			h[i], h[(i-1)/2] = h[(i-1)/2], h[i]
		}
		s.best = h
		return
	}
	h[0] = r
	for i := 0; ; {
		c := 2*i + 1
		if c >= len(h) {
			return
		}
		if c+1 < len(h) && h[c+1].score < h[c].score {
			c++
		}
		if h[i].score <= h[c].score {
			return
		}
		h[i], h[c] = h[c], h[i]
		i = c
	}
}
