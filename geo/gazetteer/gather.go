// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package gazetteer

import (
	"cmp"
	"slices"
	"strings"
)

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
	// first; what it leaves out is seen when the best are judged. Postings are
	// counted over the whole index, so which of an asker's own entries are gathered
	// may depend on how many others share the commonest bigrams.
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
