// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package gazetteer

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Normalise brings address text into one form: half-width letters in capitals,
// simplified forms of the characters addresses use, one kind of dash, bracket and
// comma, Arabic house, floor and room numbers, 号 for its other signs, no spaces
// but between Latin words. Bytes that are no text are left out. Normalising twice
// changes nothing.
func Normalise(s string) string {
	r := make([]rune, 0, len(s))
	for i, c := range s {
		if c == utf8.RuneError {
			if _, n := utf8.DecodeRuneInString(s[i:]); n == 1 {
				continue
			}
		}
		if c = plain(c); c != 0 {
			r = append(r, c)
		}
	}
	return string(spaced(numbered(spaced(r)))) // numbers made of # leave spaces that stand for nothing
}

// written are characters of addresses that are also written in another way.
var written = func() map[rune]rune {
	m := map[rune]rune{}
	pair := func(from, to string) {
		t := []rune(to)
		for i, c := range []rune(from) {
			m[c] = t[i]
		}
	}
	pair("號樓棟區縣鎮鄉門東廣國臺灣陽龍華慶鄰層單組隊戶場橋園圍長濱島寧蘇滬雲貴遼衛醫學處後馬鳳為應東爾盧嶺溝澤蘭銀興義衝線鐵關廠農業開發際總塊羅倫錫盟",
		"号楼栋区县镇乡门东广国台湾阳龙华庆邻层单组队户场桥园围长滨岛宁苏沪云贵辽卫医学处后马凤为应东尔卢岭沟泽兰银兴义冲线铁关厂农业开发际总块罗伦锡盟")
	pair("【〔［｛「『《〈】〕］｝」』》〉", "(((((((())))))))")
	pair("、；。", ",,,")
	pair("—–－‐‑―~〜～−", "----------")
	pair("〇○", "零零")
	m['№'] = '#'
	m['·'], m['•'], m['‧'] = 0, 0, 0
	return m
}()

// plain is one rune in its plain form, 0 to leave it out.
func plain(c rune) rune {
	if to, ok := written[c]; ok {
		return to
	}
	if c >= 0xFF01 && c <= 0xFF5E { // full width
		c -= 0xFEE0
	}
	switch {
	case unicode.IsSpace(c), unicode.IsControl(c):
		return ' '
	case unicode.Is(unicode.Cf, c): // marks of direction and the like
		return 0
	case c >= 'a' && c <= 'z':
		return c - 'a' + 'A'
	}
	switch c {
	case ';', ':':
		return ','
	case '[', '{', '<':
		return '('
	case ']', '}', '>':
		return ')'
	case '~':
		return '-'
	}
	return c
}

func digit(c rune) bool { return c >= '0' && c <= '9' }

func latin(c rune) bool { return c >= '!' && c <= '~' && c != ',' }

// spaced drops the spaces that stand for nothing, and commas at the ends or twice.
func spaced(r []rune) []rune {
	out := r[:0]
	for i := 0; i < len(r); i++ {
		c := r[i]
		if c != ' ' && c != ',' {
			out = append(out, c)
			continue
		}
		comma := false
		for ; i < len(r) && (r[i] == ' ' || r[i] == ','); i++ {
			comma = comma || r[i] == ','
		}
		i--
		switch {
		case len(out) == 0 || i+1 == len(r):
		case comma:
			out = append(out, ',')
		case latin(out[len(out)-1]) && latin(r[i+1]):
			out = append(out, ' ')
		}
	}
	return out
}

// units are what a number stands before in an address. The longer come first.
var units = []string{"单元", "公里", "千米", "号", "弄", "室", "栋", "幢", "楼", "层", "座", "组", "队", "期", "米"}

func unitAt(r []rune) string {
	for _, u := range units {
		if hasPrefix(r, u) {
			return u
		}
	}
	return ""
}

func hasPrefix(r []rune, s string) bool {
	for _, c := range s {
		if len(r) == 0 || r[0] != c {
			return false
		}
		r = r[1:]
	}
	return true
}

// numbered writes numbers before units in Arabic digits, and 号 for # behind one.
func numbered(r []rune) []rune {
	out := make([]rune, 0, len(r))
	for i := 0; i < len(r); {
		switch {
		case r[i] == '#' && len(out) > 0 && digit(out[len(out)-1]):
			out = append(out, '号')
			if i++; i < len(r) && r[i] == '号' {
				i++
			}
			continue
		case !numeral(r[i]) || len(out) > 0 && digit(out[len(out)-1]):
			out = append(out, r[i])
			i++
			continue
		}
		j := i
		for j < len(r) && numeral(r[j]) {
			j++
		}
		n, ok := spelled(r[i:j])
		behind := j < len(r) && r[j] == '#'
		if ok && (behind || unitAt(r[j:]) != "") {
			out = append(out, []rune(n)...)
		} else {
			out = append(out, r[i:j]...)
		}
		i = j
	}
	return out
}

const numerals = "零一二三四五六七八九"

func numeral(c rune) bool {
	return c == '十' || c == '百' || c == '千' || strings.ContainsRune(numerals, c)
}

// maxNumeral is how many numerals are read as one number.
const maxNumeral = 9

// spelled reads a run of numerals: digit by digit (二零三), or by tens, hundreds and
// thousands (一百二十三). Runs that are neither (百, 十十) are refused.
func spelled(r []rune) (string, bool) {
	if len(r) > maxNumeral {
		return "", false
	}
	value := func(c rune) int { return strings.IndexRune(numerals, c) / 3 }
	if !strings.ContainsAny(string(r), "十百千") {
		var b strings.Builder
		for _, c := range r {
			b.WriteByte(byte('0' + value(c)))
		}
		return b.String(), true
	}
	total, last, unit := 0, -1, 10000 // unit: the last one met, which must fall
	for i, c := range r {
		u := map[rune]int{'十': 10, '百': 100, '千': 1000}[c]
		switch {
		case u == 0 && last > 0:
			return "", false // two digits without a unit between
		case u == 0:
			last = value(c)
		case u >= unit, last < 0 && (u != 10 || i > 0), last == 0:
			return "", false
		default:
			total, last, unit = total+max(last, 1)*u, -1, u
		}
	}
	return strconv.Itoa(total + max(last, 0)), true
}
