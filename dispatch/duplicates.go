// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"onemap/geo"
)

// Matter is what is compared of an incident to tell whether two are the same matter.
type Matter struct {
	ID        int64
	Point     *geo.WGS84 // nil without one
	AccuracyM float64    // how far from Point the place meant may be, in metres; 0 for a point that was given
	At        time.Time  // when it was reported
	Category  string     // "" when nobody has said
	Top       string     // the top category that Category is below, or Category itself
	Title     string
	Text      string
	Address   string
	PlaceName string // of the place that its address was found by; "" without one
}

// Likeness is how alike two matters are, feature by feature.
type Likeness struct {
	ID      int64   // of the other matter
	Score   float64 // 0 to 1: the mean of the features by their weights
	Reasons []LikeReason
}

// LikeReason is what one feature adds to a Score.
type LikeReason struct {
	Feature Feature
	Value   float64 // 0 (nothing alike) to 1
	Weight  float64 // its share of the score; those of all reasons are 1 together
	Says    string  // what was seen: "87 m", "丽发新城"
}

// Feature is one thing two matters are compared by.
type Feature string

const (
	ByDistance Feature = "distance" // of their points, less what either may be off
	ByPlace    Feature = "place"    // a place that both name
	ByTime     Feature = "time"     // between the reports
	ByCategory Feature = "category" // the same, or below the same top category
	ByText     Feature = "text"     // pairs of characters that both have
)

// What the score is made of. They were tuned on one half of real messages of citizens
// and held against the other: see TestRealMessagesGroupAroundTheirPlaces and docs/DUPLICATES.md.
const (
	WeightDistance = 0.30
	WeightPlace    = 0.20
	WeightText     = 0.25
	WeightCategory = 0.15
	WeightTime     = 0.10

	// DuplicateFrom is the score from which on two matters are suggested as one.
	DuplicateFrom = 0.65
	// DuplicateRadiusM is how far apart two points may be, beyond what they are off.
	DuplicateRadiusM = 1000
	// DuplicateWindow is how long after the other one may be reported.
	DuplicateWindow = 30 * 24 * time.Hour

	halfDistanceM = 150                // distance at which ByDistance is half
	halfTime      = 7 * 24 * time.Hour // time apart at which ByTime is half
	fullText      = 0.5                // Dice's coefficient at which ByText is 1
	maxCompared   = 600                // characters of a text that are compared
)

// Duplicates scores others against m and returns those that may be the same matter,
// the likeliest first; of equal ones the lower id first. It asks nobody's rights: give
// it what its reader may see.
func Duplicates(m Matter, others []Matter) []Likeness {
	own, out := read(m), []Likeness{}
	for _, o := range others {
		if o.ID == m.ID {
			continue
		}
		if l := own.like(read(o)); l.Score >= DuplicateFrom {
			out = append(out, l)
		}
	}
	slices.SortFunc(out, func(a, b Likeness) int {
		return cmp.Or(cmp.Compare(b.Score, a.Score), cmp.Compare(a.ID, b.ID))
	})
	return out
}

// reading is a matter with its texts taken apart.
type reading struct {
	Matter
	title, all []bigram // sorted, each once
	names      []string // of places that its words name, sorted
}

func read(m Matter) reading {
	title, text := plain(m.Title), plain(m.Text)
	r := reading{Matter: m, title: bigrams(title), all: bigrams(append(slices.Clone(title), text...))}
	r.names = placeNames(r.names, title)
	r.names = placeNames(r.names, text)
	r.names = placeNames(r.names, plain(m.Address))
	if n := plain(m.PlaceName); len(n) > 0 {
		r.names = append(r.names, string(n))
	}
	slices.Sort(r.names)
	r.names = slices.Compact(r.names)
	return r
}

// like compares two matters. A feature that nobody can know of both is left out, and
// the others share its weight; distance and named place stand in for each other.
func (a *reading) like(b reading) Likeness {
	l := Likeness{ID: b.ID}
	add := func(f Feature, weight, value float64, says string) {
		l.Reasons = append(l.Reasons, LikeReason{f, value, weight, says})
	}
	shared := common(a.names, b.names)
	points, named := a.Point != nil && b.Point != nil, len(a.names) > 0 && len(b.names) > 0
	if points {
		off := geo.Distance(*a.Point, *b.Point)
		value := math.Exp2(-max(0, off-a.AccuracyM-b.AccuracyM) / halfDistanceM)
		weight := WeightDistance
		if !named {
			weight += WeightPlace
		}
		add(ByDistance, weight, value, fmt.Sprintf("%.0f m", off))
	}
	if named || !points {
		weight := WeightPlace
		if !points {
			weight += WeightDistance
		}
		value := 0.0
		if shared != "" {
			value = 1
		}
		add(ByPlace, weight, value, shared)
	}
	add(ByText, WeightText, min(1, max(dice(a.title, b.title), dice(a.all, b.all))/fullText), "")
	switch {
	case a.Category == "" || b.Category == "":
	case a.Category == b.Category:
		add(ByCategory, WeightCategory, 1, a.Category)
	case a.Top == b.Top:
		add(ByCategory, WeightCategory, 0.5, a.Top)
	default:
		add(ByCategory, WeightCategory, 0, "")
	}
	apart := a.At.Sub(b.At).Abs()
	add(ByTime, WeightTime, math.Exp2(-apart.Hours()/halfTime.Hours()), fmt.Sprintf("%.1f h", apart.Hours()))

	sum := 0.0
	for _, r := range l.Reasons {
		sum += r.Weight
	}
	for i := range l.Reasons {
		l.Reasons[i].Weight /= sum
		l.Score += l.Reasons[i].Value * l.Reasons[i].Weight
	}
	return l
}

// plain is a text without width, case and marks: full-width letters as half-width
// ones, capitals as small letters, a run of digits as one 0, marks and spaces left out.
func plain(s string) []rune {
	var out []rune
	digits := false
	for _, c := range s {
		if len(out) == maxCompared {
			break
		}
		if c >= 0xFF01 && c <= 0xFF5E {
			c -= 0xFEE0
		}
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		switch {
		case c >= '0' && c <= '9':
			if !digits {
				out = append(out, '0')
			}
			digits = true
			continue
		case c >= 'a' && c <= 'z', han(c), c >= 0x1800 && c <= 0x18AF: // Mongolian too
			out = append(out, c)
		case c > 0x24F && c < 0x2000: // letters of other scripts
			out = append(out, c)
		}
		digits = false
	}
	return out
}

func han(c rune) bool { return c >= 0x4E00 && c <= 0x9FFF || c >= 0x3400 && c <= 0x4DBF }

// bigram is two characters side by side.
type bigram uint64

func bigrams(r []rune) []bigram {
	out := make([]bigram, 0, len(r))
	for i := range len(r) - 1 {
		out = append(out, bigram(r[i])<<32|bigram(r[i+1]))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// dice is Dice's coefficient of two sorted sets: twice what both have, of all they have.
func dice(a, b []bigram) float64 {
	both, i, k := 0, 0, 0
	for i < len(a) && k < len(b) {
		switch {
		case a[i] < b[k]:
			i++
		case a[i] > b[k]:
			k++
		default:
			both, i, k = both+1, i+1, k+1
		}
	}
	if both == 0 {
		return 0
	}
	return 2 * float64(both) / float64(len(a)+len(b))
}

// placeWords end the names of places that people report about: estates, roads,
// villages, works. Towns and districts are too wide to be one matter's place.
var placeWords = func() map[rune]bool {
	m := map[rune]bool{}
	for _, c := range "城苑院园村路街巷湾桥站厂场厦庄寨屯沟" {
		m[c] = true
	}
	return m
}()

// noNames are what ends in such a word and names no place.
var noNames = func() map[string]bool {
	m := map[string]bool{}
	for _, n := range strings.Fields(`现场 医院 法院 住院 市场 商场 车场 开场 进场 马路 道路 公路 铁路 工厂 电厂 出厂 农村 乡村 小巷 大街 上街 临街
		进城 车站 网站 天桥 商沟`) {
		m[n] = true
	}
	return m
}()

// placeNames adds the names of places in a text: four characters of Chinese of which
// the last is a place word. They are cut short at the front, in both texts alike.
func placeNames(to []string, r []rune) []string {
	for i := 3; i < len(r); i++ {
		if !placeWords[r[i]] || noNames[string(r[i-1:i+1])] || !han(r[i-1]) || !han(r[i-2]) || !han(r[i-3]) {
			continue
		}
		to = append(to, string(r[i-3:i+1]))
	}
	return to
}

// common is the first that two sorted lists both have, or "".
func common(a, b []string) string {
	i, k := 0, 0
	for i < len(a) && k < len(b) {
		switch cmp.Compare(a[i], b[k]) {
		case -1:
			i++
		case 1:
			k++
		default:
			return a[i]
		}
	}
	return ""
}
