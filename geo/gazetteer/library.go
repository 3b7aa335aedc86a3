// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package gazetteer

import (
	_ "embed"
	"slices"
	"strings"
	"unicode/utf8"

	"onemap/geo"
)

// Level is the rank of an administrative area.
type Level int8

const (
	Province Level = 1 + iota
	City
	County
	Town
	Village
)

// AdminArea is one administrative area of a Library.
type AdminArea struct {
	Code   string // its administrative code, or the code of its grid
	Name   string
	Level  Level
	Parent int // its place in the list, -1 for none; parents stand before children
	// No is the number of the grid it is, and Last the greatest of those in it (0 for
	// itself alone); No is 0 for an area everybody may know of.
	No, Last int32
	// Point and RadiusM stand for an area that may be offered as a place of its
	// own: its middle, and how far its border is from there. Nil for none.
	Point   *geo.WGS84
	RadiusM float64
}

// divisions are the provinces, cities and counties of the statistical list of
// 2023: codes and names as the National Bureau of Statistics publishes them.
//
//go:embed divisions.csv
var divisions string

// National returns the provinces, cities and counties of the whole country,
// parents first.
func National() []AdminArea {
	var out []AdminArea
	at := map[string]int{}
	for line := range strings.Lines(divisions) {
		code, name, _ := strings.Cut(strings.TrimSpace(line), ",")
		a := AdminArea{Code: code, Name: name, Level: County, Parent: -1}
		switch {
		case strings.HasSuffix(code, "0000"):
			a.Level = Province
		case strings.HasSuffix(code, "00"):
			a.Level = City
		}
		for _, up := range []string{code[:2] + "0000", code[:4] + "00"} { // counties right below a province have no city
			if i, ok := at[up]; ok && up != code {
				a.Parent = i
			}
		}
		at[code] = len(out)
		out = append(out, a)
	}
	return out
}

// Library finds administrative names in text. It is not changed once made.
type Library struct {
	areas []AdminArea
	names map[string][]named // by normalised name
	most  map[[2]rune]int    // the longest name in characters that begins with these two
}

// named is an area by one of its names.
type named struct {
	area int
	form form
}

// form is how a name is made of an area's own.
type form int8

const (
	full  form = iota // as it is
	short             // without 省, 市, 镇 ...
	local             // 敖镇 of 敖勒召其镇: people who live there say so
)

// NewLibrary makes a library of areas, parents before children.
func NewLibrary(areas []AdminArea) *Library {
	l := &Library{areas: areas, names: map[string][]named{}, most: map[[2]rune]int{}}
	for i, a := range areas {
		l.add(Normalise(a.Name), named{i, full})
		for _, s := range shortForms(a) {
			l.add(Normalise(s), named{i, short})
		}
		for _, s := range localForms(a) {
			l.add(Normalise(s), named{i, local})
		}
	}
	for _, list := range l.names {
		slices.SortStableFunc(list, func(a, b named) int { return int(a.form) - int(b.form) })
	}
	return l
}

func (l *Library) add(name string, n named) {
	r := []rune(name)
	if len(r) < 2 || slices.ContainsFunc(l.names[name], func(o named) bool { return o.area == n.area }) {
		return
	}
	l.names[name] = append(l.names[name], n)
	start := [2]rune(r[:2])
	l.most[start] = max(l.most[start], len(r))
}

// longest is the most characters at the front of r that may be a name, 0 for none.
func (l *Library) longest(r []rune) int {
	if len(r) < 2 {
		return 0
	}
	return min(l.most[[2]rune(r[:2])], len(r))
}

// Areas returns the areas of the library. The caller must not change them.
func (l *Library) Areas() []AdminArea { return l.areas }

// Within reports whether area i is area top or lies in it.
func (l *Library) Within(i, top int) bool {
	for ; i >= 0; i = l.areas[i].Parent {
		if i == top {
			return true
		}
	}
	return false
}

// likeness is how two areas go together.
type likeness int8

const (
	unknown likeness = iota // nothing says that one lies in the other, or that it does not
	agree                   // one lies in the other
	differ                  // they lie in different areas of one level
)

// compare tells how areas i and k go together.
func (l *Library) compare(i, k int) likeness {
	if l.Within(i, k) || l.Within(k, i) {
		return agree
	}
	for a := i; a >= 0; a = l.areas[a].Parent {
		for b := k; b >= 0; b = l.areas[b].Parent {
			if a != b && l.areas[a].Level == l.areas[b].Level {
				return differ
			}
		}
	}
	return unknown
}

// Find returns the areas with this full name, for example the county an import names.
func (l *Library) Find(name string, level Level) (found []int) {
	for _, n := range l.names[Normalise(name)] {
		if n.form == full && l.areas[n.area].Level == level {
			found = append(found, n.area)
		}
	}
	return found
}

// peoples stand in the names of autonomous areas and are left out in speech.
var peoples = []string{
	"蒙古族", "蒙古", "回族", "藏族", "维吾尔", "苗族", "彝族", "壮族", "布依族", "朝鲜族", "满族", "侗族", "瑶族", "白族", "土家族", "哈尼族", "哈萨克", "傣族", "黎族",
	"傈僳族", "佤族", "畲族", "拉祜族", "水族", "东乡族", "纳西族", "景颇族", "柯尔克孜", "土族", "达斡尔族", "仫佬族", "羌族", "布朗族", "撒拉族", "毛南族", "仡佬族", "锡伯",
	"普米族", "怒族", "鄂温克族", "裕固族", "保安族", "独龙族", "鄂伦春", "各族",
}

var endings = map[Level][]string{
	Province: {"特别行政区", "壮族自治区", "回族自治区", "维吾尔自治区", "自治区", "省", "市"},
	City:     {"自治州", "地区", "盟", "市"},
	County:   {"自治县", "自治旗", "林区", "特区", "新区", "县", "区", "旗", "市"},
	Town:     {"街道办事处", "街道", "民族苏木", "苏木", "民族乡", "镇", "乡"},
	Village:  {"社区居委会", "社区居民委员会", "居民委员会", "村民委员会", "村委会", "居委会", "社区", "嘎查", "村"},
}

// shortForms are the names of an area without what says its rank: 内蒙古, 延边, 城川.
// Banners are told apart by their last characters (前旗) and keep them.
func shortForms(a AdminArea) (out []string) {
	for _, e := range endings[a.Level] {
		stem, ok := strings.CutSuffix(a.Name, e)
		if !ok {
			continue
		}
		if strings.HasPrefix(e, "自治") {
			for cut := true; cut; {
				cut = false
				for _, p := range peoples {
					if s, ok := strings.CutSuffix(stem, p); ok && s != "" {
						stem, cut = s, true
					}
				}
			}
			if e == "自治州" || e == "自治县" || e == "自治旗" {
				out = append(out, stem+e[len("自治"):])
			}
		}
		switch n := utf8.RuneCountInString(stem); {
		case n < 2, a.Level == County && e == "旗" && strings.ContainsRune("前后左右中", lastRune(stem)):
		case a.Level == County && e == "区" && n == 2 && strings.ContainsAny(stem, "东西南北中新"): // 城东, 新城: words of the language
		default:
			out = append(out, stem)
		}
		break
	}
	if a.Level == Village { // 昂素嘎查 is written 昂素嘎查委员会 and 昂素嘎查村 too
		if stem, ok := strings.CutSuffix(a.Name, "委员会"); ok {
			out = append(out, stem)
		}
	}
	return out
}

func lastRune(s string) rune {
	r, _ := utf8.DecodeLastRuneInString(s)
	return r
}

// localForms are what people say of long names: the first character and the
// ending (敖镇, 鄂旗), and of a banner its last characters (前旗, 鄂前旗).
func localForms(a AdminArea) (out []string) {
	r := []rune(a.Name)
	n := len(r)
	if n < 4 {
		return nil
	}
	switch {
	case a.Level == Town && strings.ContainsRune("镇乡", r[n-1]) && r[n-2] != '族':
		out = append(out, string([]rune{r[0], r[n-1]}))
	case a.Level == Town && strings.HasSuffix(a.Name, "苏木") && n > 4:
		out = append(out, string(r[0])+"苏木")
	case a.Level == County && r[n-1] == '旗' && strings.ContainsRune("前后左右中", r[n-2]):
		out = append(out, string(r[n-2:]), string(r[0])+string(r[n-2:]), string([]rune{r[0], '旗'}))
	case a.Level == County && r[n-1] == '旗' && r[n-2] != '治':
		out = append(out, string([]rune{r[0], '旗'}))
	}
	return out
}
