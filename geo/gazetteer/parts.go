// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package gazetteer

import (
	"slices"
	"strings"
)

// Part is one administrative part of an address.
type Part struct {
	Name string // the area's full name, or the words of the text
	Code string // of the library; "" for a name that only looks like one
	Said bool   // it stands in the text; else it is known from a part that does
}

// Parts is an address taken apart. Text that is of no part is in Rest.
type Parts struct {
	Province, City, County, Town, Village Part
	Road                                  string // 莎日塔拉东街
	Number                                string // 12弄3号401室
	POI                                   string // what stands behind road and number
	Rest                                  string // in brackets, before the first part, between parts
	// Area is the deepest area of the library that was found, -1 for none.
	Area int

	free string // all that is not of an area, in the order of the text
}

// maxReadings is how many readings of a text are followed.
const maxReadings = 64

// Parse takes address text apart. There is one reading for each way the areas may
// be meant (朝阳区 is in two cities): they differ in areas only, the same text is
// theirs, the likeliest stands first, and there is at least one. Areas with a number
// are known of to whom sees admits a grid in them, so the town of one's own village
// is; sees gets a grid number, nil admits none but those without a number.
func (l *Library) Parse(text string, sees func(no int32) bool) []Parts {
	return l.parse([]rune(Normalise(text)), sees)
}

func (l *Library) parse(r []rune, sees func(no int32) bool) []Parts {
	found, tail, rest := l.find(r, sees)
	base := Parts{Area: -1, free: strings.Join(rest, "") + string(tail)}
	base.takeTail(tail, len(found) > 0 && l.areas[found[0].area].Level < County)
	if base.Rest != "" {
		rest = append(rest, base.Rest)
	}
	base.Rest = strings.Join(rest, " ")
	if len(found) == 0 {
		return []Parts{base}
	}
	var out []Parts
	for _, f := range found {
		p := base
		l.fill(&p, f)
		out = append(out, p)
	}
	return out
}

// reading is one way to understand the areas of a text.
type reading struct {
	area  int   // the deepest
	said  []int // those in the text
	worth int   // more for fuller forms
}

// find reads the areas from the left. tail is the text behind the last one, rest
// what was passed over before and between them.
func (l *Library) find(r []rune, sees func(no int32) bool) (found []reading, tail []rune, rest []string) {
	at := 0
	for at < len(r) {
		from, to, next := l.next(r, at, found, sees)
		if next == nil {
			break
		}
		if skipped := strings.Trim(string(r[at:from]), ", -"); skipped != "" && skipped != "市辖区" {
			rest = append(rest, skipped)
		}
		found, at = next, to
	}
	slices.SortStableFunc(found, func(a, b reading) int {
		if a.worth != b.worth {
			return b.worth - a.worth
		}
		return int(l.areas[a.area].Level) - int(l.areas[b.area].Level)
	})
	return found, r[at:], rest
}

// next finds the next area at or behind at that goes with what was found. Right at
// at, every form of a name counts; behind it, full names of three characters alone.
func (l *Library) next(r []rune, at int, found []reading, sees func(no int32) bool) (from, to int, next []reading) {
	near := at
	for near < len(r) && strings.ContainsRune(", -", r[near]) {
		near++
	}
	if hasPrefix(r[near:], "市辖区") {
		near += 3
	}
	for from = at; from < len(r); from++ {
		beside := from <= near && (from == at || from == near)
		for n := l.longest(r[from:]); n >= 2; n-- {
			if !beside && n < 3 {
				break
			}
			list := l.names[string(r[from:from+n])]
			if len(list) == 0 {
				continue
			}
			next = l.fitting(list, found, beside, roadFollows(r[from+n:]), sees)
			if len(next) > 0 {
				return from, from + n, next
			}
		}
	}
	return 0, 0, nil
}

// fitting are the readings that a name makes of those found so far.
func (l *Library) fitting(list []named, found []reading, beside, road bool, sees func(no int32) bool) (out []reading) {
	for _, n := range list {
		a := &l.areas[n.area]
		if !a.knownTo(sees) {
			continue
		}
		if n.form != full && (!beside || road) || road && !properEnding(a) {
			continue
		}
		if len(found) == 0 {
			if n.form == full || a.Level <= City || a.No != 0 || n.form == short && a.Level == County {
				out = append(out, reading{n.area, []int{n.area}, worth(n.form)})
			} else if n.form == local && l.homely(n.area, sees) {
				out = append(out, reading{n.area, []int{n.area}, worth(n.form)})
			}
			continue
		}
		for _, f := range found {
			if beside && n.form == full && l.Within(f.area, n.area) && len(out) < maxReadings {
				out = append(out, f) // named again
				continue
			}
			if l.areas[f.area].Level < a.Level && l.Within(n.area, f.area) && len(out) < maxReadings {
				out = append(out, reading{n.area, append(slices.Clone(f.said), n.area), f.worth + worth(n.form)})
			}
		}
	}
	if len(out) > maxReadings {
		out = out[:maxReadings]
	}
	return out
}

// knownTo reports whether who sees these grids may know of the area: it has no
// number, or one of them is the area or lies in it.
func (a *AdminArea) knownTo(sees func(no int32) bool) bool {
	if a.No == 0 {
		return true
	}
	for no := a.No; sees != nil && no <= max(a.No, a.Last); no++ {
		if sees(no) {
			return true
		}
	}
	return false
}

// homely reports whether grids the asker sees lie in the area: then its local name
// may stand alone (前旗 is said in many banners, and each means its own).
func (l *Library) homely(area int, sees func(no int32) bool) bool {
	if sees == nil {
		return false
	}
	for i, a := range l.areas {
		if a.No != 0 && a.knownTo(sees) && l.Within(i, area) {
			return true
		}
	}
	return false
}

func worth(f form) int { return [...]int{full: 4, short: 2, local: 1}[f] }

// roadFollows reports whether what stands before r is the beginning of a road's
// name: 南京西路, 长安街.
func roadFollows(r []rune) bool {
	for i := 0; i < len(r) && i < 4; i++ {
		if strings.ContainsRune("路街道巷", r[i]) {
			return !hasPrefix(r[i:], "街道") && !hasPrefix(r[i:], "道口")
		}
		if hasPrefix(r[i:], "大道") || hasPrefix(r[i:], "大街") || hasPrefix(r[i:], "胡同") {
			return true
		}
		if !strings.ContainsRune("东西南北中一二三四五六七八九十大环", r[i]) && !digit(r[i]) {
			return false
		}
	}
	return false
}

// properEnding reports whether the area's name ends in a word of rank, so that a
// road may follow it: 上海市北京西路.
func properEnding(a *AdminArea) bool {
	return slices.ContainsFunc(endings[a.Level], func(e string) bool { return strings.HasSuffix(a.Name, e) })
}

// fill sets the areas of a reading and those above them.
func (l *Library) fill(p *Parts, f reading) {
	p.Area = f.area
	for i := f.area; i >= 0; i = l.areas[i].Parent {
		a := l.areas[i]
		part := Part{a.Name, a.Code, slices.Contains(f.said, i)}
		switch a.Level {
		case Province:
			p.Province = part
			if p.City.Name == "" && slices.Contains([]string{"110000", "120000", "310000", "500000"}, a.Code) {
				p.City = part // a municipality is its own city
			}
		case City:
			p.City = part
		case County:
			p.County = part
		case Town:
			p.Town = part
		case Village:
			p.Village = part
		}
	}
}

// strip takes the areas off the front of an entry's name or address, as far as they
// follow each other: areas everybody knows, and those it lies in. It is Parse for
// many addresses, without readings.
func (l *Library) strip(r []rune, in int) []rune {
	level := Level(0)
	for {
		for len(r) > 0 && strings.ContainsRune(", -", r[0]) {
			r = r[1:]
		}
		n, at := l.frontName(r, level, in)
		if n == 0 || len(r)-n < 2 {
			return r
		}
		r, level = r[n:], at
	}
}

// frontName is the length of the longest name below level that r begins with.
func (l *Library) frontName(r []rune, level Level, in int) (int, Level) {
	for n := l.longest(r); n >= 2; n-- {
		for _, x := range l.names[string(r[:n])] {
			a := &l.areas[x.area]
			if a.Level <= level || (a.No != 0 || x.form == local) && !l.Within(in, x.area) || roadFollows(r[n:]) && (x.form != full || !properEnding(a)) {
				continue
			}
			return n, a.Level
		}
	}
	return 0, 0
}
