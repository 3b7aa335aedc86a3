// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package gazetteer

import (
	"slices"
	"strings"
	"unicode"
)

// takeTail reads what stands behind the areas: a town or village that no library
// knows, the road, its number, and what is there. noCounty says that the areas end
// above the county: one that the library does not know may follow.
func (p *Parts) takeTail(r []rune, noCounty bool) {
	r = []rune(strings.Trim(string(r), ", -"))
	if county, n := suffixed(r, []string{"区", "县", "市", "旗"}); noCounty && n >= 3 && n <= 5 && !strings.ContainsAny(county[:len(county)-3], "业发园小社校港特城") {
		p.County, r = Part{Name: county, Said: true}, r[n:]
	}
	if town, n := suffixed(r, []string{"街道办事处", "街道", "苏木", "镇", "乡"}); n > 0 {
		p.Town, r = Part{Name: town, Said: true}, r[n:]
	}
	if village, n := suffixed(r, []string{"村民委员会", "村委会", "居委会", "社区", "嘎查", "村"}); n > 0 {
		p.Village, r = Part{Name: village, Said: true}, r[n:]
	}
	if from, to := roadIn(r); to > 0 {
		if before := strings.Trim(string(r[:from]), ", -()"); before != "" {
			p.Rest = before
		}
		p.Road, r = string(r[from:to]), r[to:]
		p.cutZone()
	}
	n := numberAt(r)
	p.Number, r = string(r[:n]), r[n:]
	if at := digitsBefore(r, '号'); n == 0 && p.Road == "" && at > 0 { // 张头104号
		n = at + numberAt(r[at:])
		p.Number, p.POI = string(r[at:n]), strings.Trim(string(r[:at]), ", -()")
		p.Rest = strings.TrimSpace(p.Rest + " " + strings.Trim(string(r[n:]), ", -()"))
		return
	}
	if i := slices.Index(r, '('); i >= 0 {
		p.Rest = strings.TrimSpace(p.Rest + " " + strings.Trim(string(r[i:]), ", ()"))
		r = r[:i]
	}
	p.POI = strings.Trim(string(r), ", -()")
}

// zones are built-up areas that a road's name may stand behind.
var zones = []string{"工业园区", "工业园", "工业区", "开发区", "科技园区", "科技园", "产业园", "高新区", "园区", "新区"}

// cutZone takes a built-up area off the front of the road's name.
func (p *Parts) cutZone() {
	for _, z := range zones {
		if i := strings.Index(p.Road, z); i >= 0 && len(p.Road) > i+len(z)+3 {
			p.Rest = strings.TrimSpace(p.Rest + " " + p.Road[:i+len(z)])
			p.Road = p.Road[i+len(z):]
			return
		}
	}
}

// digitsBefore is where the first digits that stand before unit begin, -1 for none.
func digitsBefore(r []rune, unit rune) int {
	for i := 0; i < len(r); i++ {
		from := i
		for i < len(r) && digit(r[i]) {
			i++
		}
		if i > from && i < len(r) && r[i] == unit {
			return from
		}
	}
	return -1
}

// suffixed is the name at the front of r that ends in one of the words of rank.
func suffixed(r []rune, ranks []string) (string, int) {
	for i := 1; i < len(r) && i <= 7; i++ {
		if !unicode.Is(unicode.Han, r[i-1]) || strings.ContainsRune("路街巷弄号", r[i-1]) {
			return "", 0
		}
		for _, rank := range ranks {
			if !hasPrefix(r[i:], rank) {
				continue
			}
			n := i + len([]rune(rank))
			if roadFollows(r[n:]) && len([]rune(rank)) == 1 || n < len(r) && strings.ContainsRune("政中江海平村庄", r[n]) && (rank == "镇" || rank == "乡") && n < 4 {
				return "", 0
			}
			return string(r[:n]), n
		}
	}
	return "", 0
}

// maxRoad is the longest name of a road, in characters.
const maxRoad = 12

// roadIn finds the first road of r.
func roadIn(r []rune) (from, to int) {
	for i := 0; i < len(r); i++ {
		if r[i] == ',' || r[i] == '(' || r[i] == ')' || r[i] == ' ' || r[i] == '-' {
			from = i + 1
			continue
		}
		if i-from < 1 || i-from > maxRoad {
			continue
		}
		if n := roadEnd(r[i:], r[from:i]); n > 0 {
			return from, i + n
		}
	}
	return 0, 0
}

// roadEnd is the length of the words that end a road's name at r, 0 for none;
// before is the name so far.
func roadEnd(r, before []rune) int {
	n := 0
	switch {
	case hasPrefix(r, "大道"), hasPrefix(r, "大街"), hasPrefix(r, "胡同"), hasPrefix(r, "公路"):
		n = 2
	case strings.ContainsRune("路街巷", r[0]):
		n = 1
	case r[0] == '道' && strings.ContainsRune("国省县大", before[len(before)-1]):
		n = 1
	}
	if n == 0 || n < len(r) && strings.ContainsRune("桥坊区道", r[n]) && !hasPrefix(r[n:], "道口") && r[n-1] != '道' {
		return 0
	}
	if n+1 < len(r) && strings.ContainsRune("东西南北中", r[n]) && (r[n+1] == '段' || r[n+1] == '路' || r[n+1] == '街') {
		n += 2
	}
	return n
}

// numberAt is the length of the house number that r begins with: 2088弄39号201室.
func numberAt(r []rune) int {
	i := 0
	for i < len(r) {
		j := i
		for j < len(r) && (digit(r[j]) || r[j] >= 'A' && r[j] <= 'Z' || j > i && (r[j] == '-' || r[j] == '/')) {
			j++
		}
		if j == i || !slices.ContainsFunc(r[i:j], digit) {
			return i
		}
		k := j
		for _, u := range []string{"单元", "号院", "号楼", "号", "弄", "栋", "幢", "座", "楼", "层", "室", "巷", "户", "门"} {
			if hasPrefix(r[j:], u) {
				k = j + len([]rune(u))
				break
			}
		}
		if k == j { // digits alone are a number at the end, or before a bracket
			if i == 0 && j < len(r) && r[j] != '(' && r[j] != ',' {
				return 0
			}
			return j
		}
		i = k
	}
	return i
}
