// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"math"
	"slices"
	"testing"
	"time"

	"onemap/geo"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func burst(id int64) Matter {
	return Matter{
		ID: id, Point: &geo.WGS84{107.48, 38.18}, At: noon, Category: "0501", Top: "05", Title: "城川镇供水管道爆裂", Text: "卫生院门口水管爆了，路面积水很深",
	}
}

func TestDuplicatesByWhatIsAlike(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Matter)
		want   bool
	}{
		"the same words an hour later":                {func(m *Matter) { m.At = noon.Add(time.Hour) }, true},
		"other words, the same spot, kind and hour":   {func(m *Matter) { m.Title, m.Text = "街上全是水", "快来修" }, true},
		"full-width letters and other marks":          {func(m *Matter) { m.Title = "城川镇，供水管道爆裂！" }, true},
		"200 m off, a neighbouring kind":              {func(m *Matter) { m.Point = &geo.WGS84{107.4823, 38.18}; m.Category = "0502" }, true},
		"without a point, both name the place":        {func(m *Matter) { m.Point, m.Address = nil, "惠民小区旁" }, true},
		"the same words 5 km away":                    {func(m *Matter) { m.Point = &geo.WGS84{107.54, 38.18}; m.Text = "水" }, false},
		"the same spot, another kind and other words": {func(m *Matter) { m.Category, m.Top, m.Title, m.Text = "0102", "01", "邻里纠纷", "两家吵架" }, false},
		"the same spot and kind, other words, 4 weeks": {func(m *Matter) {
			m.At, m.Title, m.Text, m.Category = noon.AddDate(0, 0, 28), "电梯困人", "", "0502"
		}, false},
		"an address known to 2 km, the same words, 2 km": {func(m *Matter) { m.Point, m.AccuracyM = &geo.WGS84{107.50, 38.18}, 2000 }, true},
	} {
		m := burst(2)
		c.change(&m)
		got := Duplicates(burst(1), []Matter{m})
		if (len(got) == 1) != c.want {
			own := read(burst(1))
			t.Errorf("%s: %+v, want suggested %t", name, own.like(read(m)), c.want)
		}
	}
	if got := Duplicates(burst(1), []Matter{burst(1)}); len(got) != 0 {
		t.Errorf("a matter is its own duplicate: %+v", got)
	}
	near, far := burst(3), burst(2)
	far.Point = &geo.WGS84{107.4815, 38.18}
	got := Duplicates(burst(1), []Matter{far, near})
	if len(got) != 2 || got[0].ID != 3 {
		t.Errorf("not the likeliest first: %+v", got)
	}
}

// FuzzLikeness: whatever is written, a score is from 0 to 1, its weights are 1
// together, and it does not matter which of two matters is asked about.
func FuzzLikeness(f *testing.F) {
	f.Add("丽发新城小区附近搅拌站", "Ａ2区丽发新城123号", 107.1, 38.1, int64(3600), "0501")
	f.Add("", "\xff\x00", 0.0, 90.0, int64(-1)<<40, "")
	f.Fuzz(func(t *testing.T, a, b string, lon, lat float64, apart int64, category string) {
		x := Matter{ID: 1, At: noon, Category: "0501", Top: "05", Title: a, Text: b, Point: &geo.WGS84{107, 38}}
		y := Matter{ID: 2, At: noon.Add(time.Duration(apart)), Category: category, Title: b, Text: a, Address: a}
		if math.Abs(lon) <= 180 && math.Abs(lat) <= 90 {
			y.Point = &geo.WGS84{lon, lat}
		}
		p, q := read(x), read(y)
		l, m := p.like(q), q.like(p)
		weights := 0.0
		for _, r := range l.Reasons {
			weights += r.Weight
			if !(r.Value >= 0 && r.Value <= 1) {
				t.Errorf("%s is %v", r.Feature, r.Value)
			}
		}
		if !(l.Score >= 0 && l.Score <= 1+1e-9) || math.Abs(weights-1) > 1e-9 || math.Abs(l.Score-m.Score) > 1e-9 {
			t.Errorf("score %v and %v, weights %v", l.Score, m.Score, weights)
		}
		if !slices.IsSorted(p.all) {
			t.Error("bigrams are not sorted")
		}
	})
}
