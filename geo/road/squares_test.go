// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package road

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/paulmach/orb"

	"onemap/geo"
)

// TestLongPiecesTakeCoarserSquares: many roads that each pass through the whole net
// fill no memory, and the nearest is still found.
func TestLongPiecesTakeCoarserSquares(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	var segments []Segment
	for range 20_000 {
		segments = append(segments, Segment{Line: orb.LineString{{107, 38 + r.Float64()}, {108, 38 + r.Float64()}}, Kmh: 36})
	}
	g := Build(segments, DefaultRules())
	if n := len(g.squares.member); n < len(g.pieces) || n > 1_250_000 {
		t.Errorf("%d entries for %d pieces", n, len(g.pieces))
	}
	for range 20 {
		p := geo.WGS84{107 + r.Float64(), 38 + r.Float64()}
		x, y, kx, ky := plane(p)
		want := math.Inf(1)
		for i := range g.pieces {
			_, off := g.pieces[i].foot(x, y, kx, ky)
			want = min(want, off)
		}
		if got, ok := g.nearest(p, false); ok != (want <= g.rules.MaxOff) || ok && math.Abs(got.off-want) > tied {
			t.Errorf("%v: %+v, want %g m", p, got, want)
		}
	}
}

// TestPlacesAtThePolesAreFar at once, even from a net that goes round the earth.
func TestPlacesAtThePolesAreFar(t *testing.T) {
	var segments []Segment
	for i := range 200_000 { // squares as small as they get
		lon := -180 + 0.0018*float64(i)
		segments = append(segments, Segment{Line: orb.LineString{{lon, 88.5}, {lon + 0.0001, 88.5}}, Kmh: 36})
	}
	g := Build(append(segments, Segment{Line: orb.LineString{{0, -90}, {1, -90}}, Kmh: 36}), DefaultRules())
	began := time.Now()
	for _, lat := range []float64{90, -90, 89.99, 89, -89} {
		p := geo.WGS84{12, lat}
		if got := g.TravelTimes(p, []geo.WGS84{{12, 88.5}}, 1); got[0].Why != WhyPlaceFar {
			t.Errorf("%v: %+v", p, got)
		}
		if got := g.TravelTimes(geo.WGS84{12, 88.5}, []geo.WGS84{p}, 1); got[0].Why != WhyOriginFar {
			t.Errorf("from %v: %+v", p, got)
		}
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
}
