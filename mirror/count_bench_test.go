// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/paulmach/orb"

	"onemap/analysis"
	"onemap/auth"
	"onemap/geo"
	"onemap/geo/cell"
	"onemap/store"
)

const manyIncidents = 3_000_000

// many is a View of three million incidents of a made-up county of some 15,000 km2, half
// of them in forty towns, of three years and sixty categories.
var many = sync.OnceValues(func() (*View, error) {
	type made struct {
		p   store.Mirrored
		err error
	}
	rows := make([]made, manyIncidents)
	began := time.Date(2023, 1, 1, 0, 0, 0, 0, time.UTC)
	var wait sync.WaitGroup
	const hands = 4
	for h := range hands {
		wait.Go(func() {
			r := rand.New(rand.NewPCG(uint64(h), 9))
			for i := h; i < len(rows); i += hands {
				at := orb.Point{107 + 1.4*r.Float64(), 38 + 1.1*r.Float64()}
				if r.IntN(2) == 0 {
					town := r.IntN(40)
					at = orb.Point{107.1 + 1.2*math.Mod(float64(town)*0.618, 1) + r.NormFloat64()*0.01, 38.1 + float64(town)*0.0225 + r.NormFloat64()*0.01}
				}
				m := &rows[i]
				m.p = store.Mirrored{
					ID: int64(i + 1), Placed: r.IntN(200) > 0, At: at, Grid: r.Int32N(2000), Category: string(rune('A' + r.IntN(60))),
					State: "closed", Priority: 2, Reported: began.Add(time.Duration(r.Int64N(int64(3 * 365 * 24 * time.Hour)))),
				}
				if !m.p.Placed {
					m.p.At = orb.Point{}
					continue
				}
				for k := range m.p.Cells {
					if m.p.Cells[k], m.err = cell.At(geo.WGS84{at[0], at[1]}, 6+k); m.err != nil {
						return
					}
				}
			}
		})
	}
	wait.Wait()
	b := newBuilder(&View{}, &CellNumbers{})
	b.c.grow(len(rows))
	for i := range rows {
		if rows[i].err != nil {
			return nil, rows[i].err
		}
		b.add(&rows[i].p)
	}
	sorted := b.c.sorted()
	return &View{Sorted: sorted, Tail: &Columns{}, Categories: b.wordsTold, States: b.statesTold, Cells: b.numbers.inOrder(sorted.Cells).Cells}, nil
})

// BenchmarkHotSpotsOfThreeMillion counts half of a year of 54 of 60 categories by cell of
// resolution 8, and works out Gi* over two rings, as the API does.
func BenchmarkHotSpotsOfThreeMillion(b *testing.B) {
	v, err := many()
	if err != nil {
		b.Fatal(err)
	}
	county := orb.Bound{Min: orb.Point{107, 38}, Max: orb.Point{108.4, 39.1}}
	area, err := cell.Covering(8, orb.MultiPolygon{{county.ToRing()}})
	if err != nil {
		b.Fatal(err)
	}
	shares, err := area.Shares(func(p geo.WGS84) bool { return county.Contains(p.Orb()) })
	if err != nil {
		b.Fatal(err)
	}
	around, err := area.Rings(2)
	if err != nil {
		b.Fatal(err)
	}
	f := store.CellFilter{Res: 8, Categories: v.Categories[:54]}
	p := analysis.Period{From: time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC), To: time.Date(2024, 7, 1, 0, 0, 0, 0, time.UTC)}
	counts := make([]float64, area.Len())
	count := func(b *testing.B) {
		found, err := v.CellCounts(auth.System("a benchmark"), auth.CaseView, f, p)
		if err != nil {
			b.Fatal(err)
		}
		clear(counts)
		for _, k := range found[0].Cells {
			if i, in := area.Index(k.Cell); in {
				counts[i] = float64(k.N)
			}
		}
	}
	b.Run("tally", func(b *testing.B) {
		a, err := NewAsked(auth.System("a benchmark"), Filter{Closed: true, Categories: v.wanted(f.Categories), From: p.From.UnixMicro(), To: p.To.UnixMicro()})
		if err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			v.tally(&a)
		}
	})
	b.Run("count", func(b *testing.B) {
		for b.Loop() {
			count(b)
		}
	})
	b.Run("gi", func(b *testing.B) {
		count(b)
		for b.Loop() {
			analysis.HotSpots(counts, shares, around)
		}
	})
	b.Run("both", func(b *testing.B) {
		for b.Loop() {
			count(b)
			analysis.HotSpots(counts, shares, around)
		}
		sum := 0.0
		for _, n := range counts {
			sum += n
		}
		b.ReportMetric(float64(area.Len()), "cells")
		b.ReportMetric(sum, "counted")
		b.ReportMetric(float64(len(v.Cells.Sets)), "sets")
	})
}
