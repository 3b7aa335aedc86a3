// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package gazetteer_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"onemap/geo"
	"onemap/geo/gazetteer"
)

// everybody sees all grids.
func everybody(int32) bool { return true }

// banner is a small county: the towns and villages of a banner as grids 10, 20, ...,
// with an entry or two in each.
func banner() *gazetteer.Index { return bannerOf(everybody) }

// bannerOf is banner as if the grids that keep does not admit were not there.
func bannerOf(keep func(int32) bool) *gazetteer.Index {
	areas := gazetteer.National()
	county := slices.IndexFunc(areas, func(a gazetteer.AdminArea) bool { return a.Code == "150623" })
	add := func(level gazetteer.Level, name string, parent int, no int32, lon, lat, radius float64) int {
		if !keep(no) {
			return -1
		}
		areas = append(areas, gazetteer.AdminArea{Code: name, Name: name, Level: level, Parent: parent, No: no, Point: &geo.WGS84{lon, lat}, RadiusM: radius})
		return len(areas) - 1
	}
	aoleji := add(gazetteer.Town, "敖勒召其镇", county, 10, 107.48, 38.18, 20_000)
	chengchuan := add(gazetteer.Town, "城川镇", county, 20, 108.31, 37.68, 25_000)
	angsu := add(gazetteer.Town, "昂素镇", county, 30, 107.80, 38.40, 22_000)
	village := add(gazetteer.Village, "昂素嘎查", angsu, 31, 107.82, 38.41, 6_000)
	lib := gazetteer.NewLibrary(areas)
	e := func(id int64, name, address string, area int, no int32, lon, lat float64) gazetteer.Entry {
		return gazetteer.Entry{ID: id, Kind: gazetteer.Place, Name: name, Address: address, Area: area, No: no, Point: geo.WGS84{lon, lat}}
	}
	house := func(id int64, name string, area int, no int32, lon, lat float64) gazetteer.Entry {
		return gazetteer.Entry{ID: id, Kind: gazetteer.Address, Name: name, Area: area, No: no, Point: geo.WGS84{lon, lat}}
	}
	entries := []gazetteer.Entry{
		e(1, "鄂托克前旗人民医院", "敖镇莎日塔拉东街", aoleji, 11, 107.490, 38.185),
		e(2, "鄂托克前旗蒙医医院", "敖镇苏力迪西街", aoleji, 11, 107.470, 38.182),
		e(3, "城川镇中心卫生院", "城川镇", chengchuan, 21, 108.312, 37.681),
		e(4, "昂素镇中心卫生院", "昂素镇", angsu, 31, 107.801, 38.401),
		e(5, "八一水库", "", angsu, 31, 107.85, 38.42),
		e(6, "中心小学", "城川镇振兴路3号", chengchuan, 21, 108.320, 37.690),
		e(7, "中心小学", "昂素镇和平路8号", angsu, 31, 107.802, 38.402),
		house(8, "鄂托克前旗敖勒召其镇莎日塔拉东街12号", aoleji, 11, 107.4901, 38.1851),
		house(9, "鄂托克前旗敖勒召其镇莎日塔拉东街38号", aoleji, 11, 107.4950, 38.1855),
		e(11, "城川镇中心小学幼儿园", "", chengchuan, 21, 108.321, 37.691),
		house(10, "鄂托克前旗昂素镇昂素嘎查第3网格12号", village, 31, 107.83, 38.415),
	}
	entries[4].Aliases = []string{"老水库"}
	entries = slices.DeleteFunc(entries, func(e gazetteer.Entry) bool { return !keep(e.No) })
	return gazetteer.NewIndex(lib, entries)
}

func TestSearchFindsWhatIsMeant(t *testing.T) {
	x := banner()
	for _, c := range []struct {
		text string
		id   int64 // 0 for an area
		name string
		most float64 // confidence, at least and at most
		min  float64
		why  gazetteer.Reason
	}{
		{"鄂托克前旗人民医院", 1, "", 1, 0.9, gazetteer.ExactName},
		{"人民医院", 1, "", 1, 0.9, gazetteer.ExactName},
		{"前旗人民医院", 1, "", 1, 0.9, gazetteer.ExactName},
		{"鄂尔多斯市鄂托克前旗敖镇人民医院", 1, "", 1, 0.9, gazetteer.SameArea},
		{"ＲＥＮ人民醫院", 1, "", 0.95, 0.5, gazetteer.ContainsName},
		{"敖镇莎日塔拉东街12号", 8, "", 1, 0.9, gazetteer.ExactName},
		{"敖镇莎日塔拉东街十二號", 8, "", 1, 0.9, gazetteer.ExactName},
		{"莎日塔拉东街12", 8, "", 1, 0.75, gazetteer.SameNumber},
		{"莎日塔拉东街14号", 8, "", 0.6, 0.3, gazetteer.OtherNumber},
		{"老水库", 5, "", 1, 0.85, gazetteer.ExactAlias},
		{"81水库", 5, "", 1, 0.9, gazetteer.ExactName},
		{"八一", 5, "", 0.95, 0.3, gazetteer.PartOfName},
		{"城川中心小学", 6, "", 1, 0.9, gazetteer.SameArea},
		{"中心小学", 0, "", 0.75, 0.5, gazetteer.Ambiguous},
		{"我在人民医院门口这边", 1, "", 1, 0.9, gazetteer.NextTo},
		{"你好，我们在敖镇莎日塔拉东街12号这里", 8, "", 1, 0.9, gazetteer.SameArea},
		{"城川镇", 0, "城川镇", 1, 0.9, gazetteer.ExactName},
		{"昂素镇不知道什么牧点", 0, "昂素镇", 0.5, 0.25, gazetteer.FellBack},
		{"昂素嘎查不知道什么牧点", 0, "昂素嘎查", 0.5, 0.25, gazetteer.FellBack},
	} {
		got := x.Search(c.text, gazetteer.Options{Sees: everybody})
		if len(got) == 0 {
			t.Errorf("%s: nothing", c.text)
			continue
		}
		g := got[0]
		if c.id != 0 && g.Entry.ID != c.id || c.name != "" && g.Entry.Name != c.name || g.Confidence < c.min || g.Confidence > c.most || !slices.Contains(g.Reasons, c.why) {
			t.Errorf("%s: %s (%d) %.2f %v, want %d %s %.2f to %.2f %s", c.text, g.Entry.Name, g.Entry.ID, g.Confidence, g.Reasons, c.id, c.name, c.min, c.most, c.why)
		}
	}
}

func TestSearchFindsNothingOfTheUnknown(t *testing.T) {
	x := banner()
	for _, text := range []string{"", "医", "  ", "完全不相干的文字", "qwertyuiop", "12345", "北京市海淀区", "\xff\xfe", "。。。。", "上海市南京东路"} {
		if got := x.Search(text, gazetteer.Options{Sees: everybody}); len(got) > 0 {
			t.Errorf("%q: %s %.2f %v", text, got[0].Entry.Name, got[0].Confidence, got[0].Reasons)
		}
	}
	if got := x.Search("人民医院", gazetteer.Options{}); got != nil {
		t.Errorf("without a scope: %v", got)
	}
}

// told is everything an answer tells.
func told(x *gazetteer.Index, text string, p geo.WGS84, sees func(int32) bool) string {
	var b strings.Builder
	for _, c := range x.Search(text, gazetteer.Options{Sees: sees}) {
		fmt.Fprintln(&b, c.Entry.ID, c.Entry.Name, c.Point, c.AccuracyM, c.Confidence, c.Reasons)
	}
	for _, r := range x.Library().Parse(text, sees) {
		fmt.Fprintln(&b, r.Province, r.City, r.County, r.Town, r.Village, r.Road, r.Number, r.POI, r.Rest)
	}
	d := x.Reverse(p, sees)
	fmt.Fprintln(&b, d.Spoken, d.DistanceM, d.Address != nil, d.AddressDistanceM)
	return b.String()
}

// TestSearchTellsNothingOfHiddenGrids: with some grids hidden, every answer is byte
// for byte that of an index which never had them.
func TestSearchTellsNothingOfHiddenGrids(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 3))
	words := strings.Fields("鄂托克前旗 前旗 敖镇 敖勒召其镇 城川镇 城川 昂素镇 昂素嘎查 人民医院 蒙医医院 中心卫生院 中心小学 莎日塔拉东街 振兴路 12号 38号 8号 八一水库 老水库 东3公里 附近 第3网格 我在 某处")
	whole := banner()
	for _, shown := range []func(int32) bool{
		func(no int32) bool { return no >= 30 && no < 40 },
		func(no int32) bool { return no >= 20 && no < 30 },
		func(int32) bool { return false },
	} {
		part := bannerOf(shown)
		for range 400 {
			text := ""
			for range 1 + r.IntN(3) {
				text += words[r.IntN(len(words))]
			}
			p := geo.WGS84{107.4 + r.Float64(), 37.6 + r.Float64()}
			if got, want := told(whole, text, p, shown), told(part, text, p, shown); got != want {
				t.Fatalf("%s: told\n%swant\n%s", text, got, want)
			}
		}
	}
}

// TestDoubtKeepsTheOrder: two that fit wholly are doubted, and still stand before one
// that fits in part.
func TestDoubtKeepsTheOrder(t *testing.T) {
	got := banner().Search("中心小学", gazetteer.Options{Sees: everybody})
	if len(got) < 3 || got[0].Entry.Name != "中心小学" || got[1].Entry.Name != "中心小学" || got[2].Entry.ID != 11 {
		t.Errorf("%+v", got)
	}
	if !slices.IsSortedFunc(got, func(a, b gazetteer.Candidate) int { return cmp.Compare(b.Confidence, a.Confidence) }) {
		t.Errorf("not sorted: %+v", got)
	}
}

func TestSearchPrefersWhatIsNear(t *testing.T) {
	x := banner()
	near := geo.WGS84{107.80, 38.40}
	got := x.Search("中心小学", gazetteer.Options{Sees: everybody, Near: &near})
	if len(got) == 0 || got[0].Entry.ID != 7 || got[0].DistanceM < 100 || got[0].DistanceM > 500 {
		t.Errorf("%+v", got)
	}
}

// TestManyReadersAtOnce: readers of one index do not disturb each other.
func TestManyReadersAtOnce(t *testing.T) {
	x := banner()
	p := geo.WGS84{107.82, 38.42}
	texts := []string{"人民医院", "中心小学", "敖镇莎日塔拉东街12号", "昂素嘎查东3公里", "前旗"}
	want := map[string]string{}
	for _, text := range texts {
		want[text] = told(x, text, p, everybody)
	}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for k := range 200 {
				text := texts[(i+k)%len(texts)]
				if got := told(x, text, p, everybody); got != want[text] {
					t.Errorf("%s: told %s, alone %s", text, got, want[text])
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestRelativePlaces(t *testing.T) {
	x := banner()
	for _, c := range []struct {
		text    string
		id      int64
		bearing float64
		metres  float64
	}{
		{"人民医院东3公里", 1, 90, 3000},
		{"人民医院 东 3 公里", 1, 90, 3000},
		{"人民医院往东北方向约1.2公里处", 1, 45, 1200},
		{"人民医院以西五百米", 1, 270, 500},
		{"人民医院西北方三里地", 1, 315, 1500},
		{"人民医院南两公里半", 1, 180, 2500},
		{"人民医院正南一点五公里左右", 1, 180, 1500},
		{"敖镇人民医院东南2km", 1, 135, 2000},
		{"城川镇东3公里", 0, 90, 3000},
	} {
		got := x.Search(c.text, gazetteer.Options{Sees: everybody})
		if len(got) == 0 {
			t.Errorf("%s: nothing", c.text)
			continue
		}
		want := gazetteer.Offset(got[0].Entry.Point, c.bearing, c.metres)
		if got[0].Entry.ID != c.id || geo.Distance(got[0].Point, want) > 1 || got[0].AccuracyM < 0.4*c.metres || !slices.Contains(got[0].Reasons, gazetteer.Relative) {
			t.Errorf("%s: %s %v, %.0f m off, %v", c.text, got[0].Entry.Name, got[0].Point, geo.Distance(got[0].Point, want), got[0].Reasons)
		}
	}
	got := x.Search("人民医院旁边", gazetteer.Options{Sees: everybody})
	if len(got) == 0 || got[0].Point != got[0].Entry.Point || got[0].AccuracyM <= gazetteer.PointRadius || !slices.Contains(got[0].Reasons, gazetteer.NextTo) {
		t.Errorf("beside: %+v", got)
	}
}

func TestReverseSpeaks(t *testing.T) {
	x := banner()
	for _, c := range []struct {
		at      geo.WGS84
		spoken  string
		address int64
	}{
		{gazetteer.Offset(geo.WGS84{107.82, 38.41}, 45, 1700), "昂素嘎查 东北 1.7 公里", 0},
		{geo.WGS84{107.490, 38.185}, "鄂托克前旗人民医院", 1},
		{gazetteer.Offset(geo.WGS84{107.490, 38.185}, 270, 312), "鄂托克前旗人民医院 西 310 米", 1},
		{gazetteer.Offset(geo.WGS84{108.31, 37.68}, 180, 30_000), "城川镇 南 30.0 公里", 0},
		{geo.WGS84{121, 31}, "", 0},
		{geo.WGS84{0, 90}, "", 0},
		{geo.WGS84{-180, -90}, "", 0},
	} {
		d := x.Reverse(c.at, everybody)
		var address int64
		if d.Address != nil {
			address = d.Address.ID
		}
		if d.Spoken != c.spoken || address != c.address {
			t.Errorf("%v: %q, address %d (%.0f m), want %q, %d", c.at, d.Spoken, address, d.AddressDistanceM, c.spoken, c.address)
		}
	}
}

// TestNearestAgainstAllDistances compares with looking at every entry.
func TestNearestAgainstAllDistances(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	var entries []gazetteer.Entry
	for i := range 3000 {
		entries = append(entries, gazetteer.Entry{
			ID: int64(i + 1), Kind: gazetteer.Address, Name: "某路1号", No: int32(r.IntN(3)),
			Point: geo.WGS84{107 + r.Float64()*0.3, 38 + r.Float64()*0.3}, Area: -1,
		})
	}
	x := gazetteer.NewIndex(gazetteer.NewLibrary(nil), entries)
	sees := func(no int32) bool { return no > 0 }
	for range 2000 {
		p := geo.WGS84{107 + r.Float64()*0.32, 38 + r.Float64()*0.32}
		best, least := int64(0), float64(gazetteer.NearestAddress)
		for _, e := range entries {
			if d := geo.Distance(p, e.Point); sees(e.No) && d <= least {
				best, least = e.ID, d
			}
		}
		d := x.Reverse(p, sees)
		var got int64
		if d.Address != nil {
			got = d.Address.ID
		}
		if got != best {
			t.Fatalf("%v: entry %d at %.2f m, want %d at %.2f m", p, got, d.AddressDistanceM, best, least)
		}
	}
}

// TestOffsetGoesWhereItSays: as far as it says, and back again.
func TestOffsetGoesWhereItSays(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 2))
	for range 1000 {
		p := geo.WGS84{r.Float64()*359 - 179.5, r.Float64()*160 - 80}
		b, m := r.Float64()*360, r.Float64()*100_000
		q := gazetteer.Offset(p, b, m)
		if d := geo.Distance(p, q); d < m-0.01 || d > m+0.01 {
			t.Fatalf("%v by %v degrees %v m: %v is %v m away", p, b, m, q, d)
		}
	}
}

func FuzzSearch(f *testing.F) {
	x := banner()
	for _, s := range []string{"人民医院东3公里", "敖镇莎日塔拉东街12号", "中心小学", "前旗", "两公里半", "东东东3公里", "1号1号1号", "(", "\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, c := range x.Search(s, gazetteer.Options{Sees: everybody}) {
			if !(c.Confidence > 0 && c.Confidence <= 1) || c.AccuracyM <= 0 || len(c.Reasons) == 0 || !geo.OnEarth(c.Point.Orb()) {
				t.Errorf("%q: %+v", s, c)
			}
		}
		for _, p := range x.Library().Parse(s, everybody) {
			n := gazetteer.Normalise(s)
			for _, part := range []string{p.Road, p.Number, p.POI} {
				if !strings.Contains(n, part) {
					t.Errorf("%q: the part %q is not of the text", s, part)
				}
			}
		}
	})
}
