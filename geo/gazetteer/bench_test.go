// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package gazetteer_test

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"

	"onemap/geo"
	"onemap/geo/gazetteer"
)

// madeUp are n entries of a made-up city: the same few words of roads, villages
// and shops over and over, as in a real library.
func madeUp(n int) []gazetteer.Entry {
	r := rand.New(rand.NewPCG(1, 2))
	chars := []rune("东西南北中和平建设人民解放胜利光明团结友谊振兴富强文化新华长安幸福永红旗民族苏木巴音乌兰察汗淖尔陶利敖包白云青山绿水金银花石门井沟河湾滩")
	kinds := []string{"有限公司", "小学", "医院", "超市", "幼儿园", "卫生室", "加油站", "饭店", "药店", "牧民之家", "文化站", "小区", "花园", "大厦"}
	word := func(k int) string {
		out := make([]rune, k)
		for i := range out {
			out[i] = chars[r.IntN(len(chars))]
		}
		return string(out)
	}
	var roads []string
	for range 800 {
		roads = append(roads, word(2)+[]string{"路", "街", "东街", "大道", "北路"}[r.IntN(5)])
	}
	out := make([]gazetteer.Entry, 0, n)
	for i := range n {
		e := gazetteer.Entry{ID: int64(i + 1), No: int32(i % 400), Area: -1, Point: geo.WGS84{106.5 + r.Float64()*2, 37.5 + r.Float64()}}
		address := fmt.Sprintf("鄂尔多斯市鄂托克前旗%s%d号", roads[r.IntN(len(roads))], 1+r.IntN(400))
		if i%3 == 0 {
			e.Kind, e.Name = gazetteer.Address, address
		} else {
			e.Kind, e.Name, e.Address = gazetteer.Place, word(2+r.IntN(3))+kinds[r.IntN(len(kinds))], address
		}
		out = append(out, e)
	}
	return out
}

// BenchmarkSearch reports the 99th percentile over many different texts on 200,000
// entries: of two characters, and of noisy text of twenty.
func BenchmarkSearch(b *testing.B) {
	entries := madeUp(200_000)
	begin := time.Now()
	x := gazetteer.NewIndex(gazetteer.NewLibrary(gazetteer.National()), entries)
	b.Logf("index of %d entries in %s", x.Len(), time.Since(begin).Round(time.Millisecond))
	r := rand.New(rand.NewPCG(3, 4))
	two := func() string {
		c := []rune(entries[r.IntN(len(entries))].Name)
		i := r.IntN(len(c) - 1)
		return string(c[i : i+2])
	}
	noisy := func() string {
		e := entries[r.IntN(len(entries))]
		c := []rune("我在" + e.Address + e.Name + "那个门口东边这里附近看到的情况")
		c = c[:20]
		i := r.IntN(len(c) - 1)
		c[i], c[i+1] = c[i+1], c[i]
		c[r.IntN(len(c))] = '的'
		return string(c)
	}
	third := func(no int32) bool { return no%3 == 0 }
	for _, c := range []struct {
		name string
		text func() string
		sees func(int32) bool
	}{{"two characters", two, everybody}, {"two characters in a third of the grids", two, third}, {"noisy twenty", noisy, everybody}, {"everywhere", func() string { return "鄂托克前旗" }, everybody}, {"common", func() string { return "有限公司" }, everybody}} {
		b.Run(c.name, func(b *testing.B) {
			var took []time.Duration
			for b.Loop() {
				text := c.text()
				at := time.Now()
				x.Search(text, gazetteer.Options{Sees: c.sees})
				took = append(took, time.Since(at))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
			b.ReportMetric(float64(took[len(took)-1].Microseconds())/1000, "max-ms")
		})
	}
}

// BenchmarkNewIndex reports how much memory an index of 200,000 entries keeps.
func BenchmarkNewIndex(b *testing.B) {
	entries, lib := madeUp(200_000), gazetteer.NewLibrary(gazetteer.National())
	heap := func() float64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return float64(m.HeapAlloc) / (1 << 20)
	}
	before := heap()
	var x *gazetteer.Index
	for b.Loop() {
		x = gazetteer.NewIndex(lib, entries)
	}
	b.ReportMetric(heap()-before, "MiB-kept")
	runtime.KeepAlive(x)
}

func BenchmarkReverse(b *testing.B) {
	x := gazetteer.NewIndex(gazetteer.NewLibrary(nil), madeUp(200_000))
	r := rand.New(rand.NewPCG(5, 6))
	for b.Loop() {
		x.Reverse(geo.WGS84{106.5 + r.Float64()*2, 37.5 + r.Float64()}, everybody)
	}
}
