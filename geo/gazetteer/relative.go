// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package gazetteer

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"onemap/geo"
)

// directions are the eight names of directions, clockwise from north.
var directions = [8]string{"北", "东北", "东", "东南", "南", "西南", "西", "西北"}

// offset is what a text says of a place relative to another.
type offset struct {
	how     Reason  // "" for nothing
	bearing float64 // degrees clockwise from north
	metres  float64
}

// maxOffset is the longest distance that is taken for a relative place, in metres.
const maxOffset = 100_000

// nextTo are words for somewhere near, without a direction.
var nextTo = []string{"附近", "旁边", "对面", "门口", "隔壁", "周边", "边上", "旁", "门前", "路口"}

// splitRelative takes what a normalised text says relative to a place off its end:
// 城川镇往东北方向约3公里处, 学校旁边.
func splitRelative(r []rune) (base []rune, o offset) {
	s := string(r)
	for _, w := range nextTo {
		if b, ok := strings.CutSuffix(s, w); ok && len([]rune(b)) >= 2 {
			if w == "路口" {
				b += "路"
			}
			return []rune(b), offset{how: NextTo}
		}
	}
	s = cutAny(s, "处", "的地方", "左右", "位置", "远", "多")
	s, metres, ok := cutDistance(s)
	if !ok {
		return r, offset{}
	}
	s = cutAny(strings.TrimRight(s, " ,-"), "大约", "大概", "约", "将近", "近", "不到", "距离", "的")
	s = cutAny(strings.TrimRight(s, " ,-"), "方向", "方位", "侧", "面", "边", "方", "部")
	for _, d := range []int{1, 3, 5, 7, 0, 2, 4, 6} { // 东北 before 北
		b, ok := strings.CutSuffix(s, directions[d])
		if !ok {
			continue
		}
		if last := lastRune(b); len(directions[d]) == 3 && slices.Contains(directions[:], string(last)) && last != '东' && last != '西' {
			return r, offset{} // 南北: no direction
		}
		b = cutAny(strings.TrimRight(cutAny(b, "偏", "正"), " ,-"), "以", "往", "向", "朝", "的")
		b = strings.TrimRight(b, " ,-")
		if len([]rune(b)) < 2 {
			return r, offset{}
		}
		return []rune(b), offset{Relative, float64(d) * 45, metres}
	}
	return r, offset{}
}

func cutAny(s string, ends ...string) string {
	for _, e := range ends {
		if b, ok := strings.CutSuffix(s, e); ok {
			return b
		}
	}
	return s
}

// cutDistance takes a distance off the end of s: 3公里, 1.5KM, 500米, 三里, 两公里半.
func cutDistance(s string) (rest string, metres float64, ok bool) {
	half := 0.0
	if b, cut := strings.CutSuffix(s, "半"); cut {
		s, half = b, 0.5
	}
	for _, u := range []struct {
		word   string
		metres float64
	}{{"公里", 1000}, {"千米", 1000}, {"KM", 1000}, {"里地", 500}, {"里路", 500}, {"米", 1}, {"里", 500}, {"M", 1}} {
		b, cut := strings.CutSuffix(s, u.word)
		if !cut {
			continue
		}
		r := []rune(strings.TrimRight(b, " "))
		i := len(r)
		for i > 0 && (digit(r[i-1]) || r[i-1] == '.' || numeral(r[i-1]) || r[i-1] == '点' || r[i-1] == '两' || r[i-1] == '半') {
			i--
		}
		n, ok := amount(r[i:])
		if m := (n + half) * u.metres; ok && m > 0 && m <= maxOffset {
			return string(r[:i]), m, true
		}
		return s, 0, false
	}
	return s, 0, false
}

// amount reads 3, 1.5, 三, 一点五, 两, 半.
func amount(r []rune) (float64, bool) {
	switch string(r) {
	case "":
		return 0, false
	case "两":
		return 2, true
	case "半":
		return 0.5, true
	}
	whole, part, dotted := strings.Cut(strings.Replace(string(r), "点", ".", 1), ".")
	text := func(s string) string {
		if t, ok := spelled([]rune(s)); ok && s != "" && numeral([]rune(s)[0]) {
			return t
		}
		return s
	}
	s := text(whole)
	if dotted {
		s += "." + text(part)
	}
	if strings.Trim(s, "0123456789.") != "" {
		return 0, false
	}
	n, err := strconv.ParseFloat(s, 64)
	return n, err == nil && !math.IsInf(n, 0)
}

// apply moves a candidate. People name one of eight directions and round the
// distance: two fifths of it is how far off that may be (tan 22.5 degrees).
func (o offset) apply(c *Candidate) {
	switch o.how {
	case Relative:
		c.Point = Offset(c.Entry.Point, o.bearing, o.metres)
		c.AccuracyM += 0.4 * o.metres
		c.Confidence *= 0.9
		c.Reasons = append(c.Reasons, Relative)
	case NextTo:
		c.AccuracyM += 100
		c.Reasons = append(c.Reasons, NextTo)
	}
}

// Offset is the point so many metres from p, the bearing in degrees clockwise from
// north, on the sphere of geo.Distance.
func Offset(p geo.WGS84, bearing, metres float64) geo.WGS84 {
	const rad = math.Pi / 180
	d, b, lat := metres/geo.EarthRadius, bearing*rad, p[1]*rad
	sin := math.Sin(lat)*math.Cos(d) + math.Cos(lat)*math.Sin(d)*math.Cos(b)
	to := math.Asin(max(-1, min(1, sin)))
	lon := p[0] + math.Atan2(math.Sin(b)*math.Sin(d)*math.Cos(lat), math.Cos(d)-math.Sin(lat)*sin)/rad
	if lon > 180 {
		lon -= 360
	} else if lon < -180 {
		lon += 360
	}
	return geo.WGS84{lon, to / rad}
}

// direction is the nearest of the eight directions from a to b.
func direction(a, b geo.WGS84) string {
	const rad = math.Pi / 180
	dLon := (b[0] - a[0]) * rad
	y := math.Sin(dLon) * math.Cos(b[1]*rad)
	x := math.Cos(a[1]*rad)*math.Sin(b[1]*rad) - math.Sin(a[1]*rad)*math.Cos(b[1]*rad)*math.Cos(dLon)
	return directions[(int(math.Round(math.Atan2(y, x)/rad/45))+8)%8]
}
