// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package gazetteer

import (
	"slices"
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

// builder makes the postings of an index.
type builder struct {
	x       *Index
	ids     map[bigram]uint32 // in the order met
	count   []uint32          // of postings, by id
	all     []posting
	inName  map[bigram]bool // of the entry at hand: its bigrams, and whether one is in a name
	symbols []symbol        // of the text at hand
	bigrams []bigram
}

type posting struct{ id, entry uint32 }

func (x *Index) fillPostings() {
	b := builder{x: x, ids: map[bigram]uint32{}, inName: map[bigram]bool{}}
	x.texts = make([]text, len(x.entries))
	for i := range x.entries {
		b.add(i)
	}
	b.sort()
}

// take notes the bigrams of one of the entry's texts.
func (b *builder) take(r []rune, name bool) {
	var alone symbol
	b.symbols, alone = symbolsOf(r, b.symbols)
	if b.bigrams = bigramsOf(b.symbols, b.bigrams); alone != 0 {
		b.bigrams = append(b.bigrams, pair(0, alone))
	}
	for _, k := range b.bigrams {
		b.inName[k] = b.inName[k] || name
	}
}

// add takes in the entry at i.
func (b *builder) add(i int) {
	x, e := b.x, &b.x.entries[i]
	clear(b.inName)
	t := text{from: uint32(len(x.symbols)), number: -1}
	name := []rune(Normalise(e.Name))
	short := x.lib.strip(name, e.Area)
	if e.Kind == Address { // the areas it begins with are no part of what is looked for
		b.take(short, true)
		b.symbols, _ = symbolsOf(name, b.symbols)
	} else {
		b.take(name, true)
	}
	x.symbols = append(x.symbols, b.symbols...)
	t.name = uint32(len(x.symbols)) - t.from
	if e.Kind != Area && len(short) < len(name) {
		b.symbols, _ = symbolsOf(short, b.symbols)
		if n := uint32(len(b.symbols)); n < t.name {
			t.short = t.name - n
		}
	}
	for _, a := range e.Aliases {
		b.take([]rune(Normalise(a)), true)
	}
	where := short
	if e.Kind == Place {
		where = x.lib.strip([]rune(Normalise(e.Address)), e.Area)
		b.take(where, false)
		x.symbols = append(x.symbols, b.symbols...)
		t.address = uint32(len(b.symbols))
	}
	if n, ok := houseNumber(where, false); ok {
		t.number = int32(n)
	}
	x.texts[i] = t
	for k, name := range b.inName {
		id, ok := b.ids[k]
		if !ok {
			id = uint32(len(b.ids))
			b.ids[k] = id
			b.count = append(b.count, 0)
		}
		b.count[id]++
		p := uint32(i) << 1
		if name {
			p |= 1
		}
		b.all = append(b.all, posting{id, p})
	}
}

// sort puts the postings into one array, by bigram and then by entry.
func (b *builder) sort() {
	x := b.x
	x.keys = make([]bigram, 0, len(b.ids))
	for k := range b.ids {
		x.keys = append(x.keys, k)
	}
	slices.Sort(x.keys)
	x.at = make([]uint32, len(x.keys)+1)
	next := make([]uint32, len(b.ids)) // where the next posting of an id goes
	for i, k := range x.keys {
		next[b.ids[k]] = x.at[i]
		x.at[i+1] = x.at[i] + b.count[b.ids[k]]
	}
	x.postings = make([]uint32, len(b.all))
	for _, p := range b.all { // entries come in order, so each list is sorted
		x.postings[next[p.id]] = p.entry
		next[p.id]++
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
