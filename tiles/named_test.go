// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package tiles_test

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/paulmach/orb"
	"github.com/paulmach/orb/maptile"

	"onemap/auth"
	"onemap/layer"
	"onemap/tiles"
)

// named is a layer that walls may see, zooms 10 to 13, in the first two towns.
func named(g layer.Geometry, shapes ...orb.Geometry) *layer.Set {
	var features []layer.Feature
	for i, s := range shapes {
		own, _ := town(i % 2)
		features = append(features, layer.Feature{ID: int64(i + 1), Name: string(rune('a' + i%26)), Kind: layer.Station, Duty: layer.Resident, Label: "级", Geom: s, Grids: []int32{own.No}})
	}
	return layer.NewSet(layer.Layer{Code: "pts", Name: "点", Geometry: g, MinZoom: 10, MaxZoom: 13, Access: auth.LayerAccess{auth.Walls}}, features, nil)
}

func TestANamedLayerKeepsToItsZoomsScopeAndAccess(t *testing.T) {
	own, a0 := town(0)
	at := own.Label
	shapes := map[layer.Geometry]orb.Geometry{
		layer.Point: at, layer.Line: orb.LineString{at, {at[0] + 0.01, at[1] + 0.01}},
		layer.Polygon: orb.Polygon{{at, {at[0] + 0.02, at[1]}, {at[0] + 0.02, at[1] + 0.02}, at}},
	}
	_, a1 := town(1)
	for g, shape := range shapes {
		set := named(g, shape)
		s := tiles.New(tiles.Options{Tree: county, Named: func() *layer.Book { return layer.NewBook([]*layer.Set{set}) }})
		for z := maptile.Zoom(9); z <= 14; z++ {
			want := 0
			if z >= 10 && z <= 13 {
				want = 1
			}
			tile := maptile.At(at, z)
			if got := features(fetch(t, s, "pts", tile, a0), "pts"); len(got) != want {
				t.Fatalf("%s at z%d: %d features", g, z, len(got))
			} else if want == 1 && (got[0].Properties["duty_mode"] != "resident" || got[0].Properties["kind"] != "station" || got[0].Properties["label"] != "级") {
				t.Errorf("%v", got[0].Properties)
			}
			if got := features(fetch(t, s, "pts", tile, a1), "pts"); len(got) != 0 {
				t.Errorf("another town sees the %s at z%d", g, z)
			}
		}
		desks := layer.NewSet(layer.Layer{Code: "pts", Geometry: g, MaxZoom: 18, Access: auth.LayerAccess{auth.SignedIn}}, nil, nil)
		other := tiles.New(tiles.Options{Tree: county, Named: func() *layer.Book { return layer.NewBook([]*layer.Set{desks}) }})
		if _, _, err := other.Tile(context.Background(), "pts", 10, 0, 0, wholeCounty()); !errors.Is(err, tiles.ErrUnknownLayer) {
			t.Errorf("a wall without access: %v", err)
		}
		if _, err := s.TileJSON("pts", "", auth.Actor{}); !errors.Is(err, tiles.ErrUnknownLayer) {
			t.Errorf("nobody: %v", err)
		}
	}
}

// Another set of one layer makes its tiles anew, and leaves those of others.
func TestAnotherSetMakesOtherTiles(t *testing.T) {
	own, a := town(0)
	set := named(layer.Point, own.Label)
	s := tiles.New(tiles.Options{Tree: county, Named: func() *layer.Book { return layer.NewBook([]*layer.Set{set}) }})
	at := maptile.At(own.Label, 12)
	one := fetch(t, s, "pts", at, a)
	set = named(layer.Point, orb.Point{own.Label[0] + 5, own.Label[1]})
	if two := fetch(t, s, "pts", at, a); len(one) != 1 || two != nil {
		t.Errorf("before %v, after %v", one, two)
	}
}

// A page asks for no tile deeper than TileJSON's maxzoom, 14: a layer that is drawn
// from a deeper zoom on has its features in those.
func TestALayerOfDeepZoomsIsInTheDeepestTilesAPageAsksFor(t *testing.T) {
	own, a := town(0)
	set := named(layer.Point, own.Label)
	set.MinZoom, set.MaxZoom = 16, 18
	s := tiles.New(tiles.Options{Tree: county, Named: func() *layer.Book { return layer.NewBook([]*layer.Set{set}) }})
	var doc struct{ MinZoom, MaxZoom int }
	told, err := s.TileJSON("pts", "", a)
	if err != nil || json.Unmarshal(told, &doc) != nil || doc.MinZoom != 14 || doc.MaxZoom != 14 {
		t.Fatalf("%s %v", told, err)
	}
	for z, want := range map[maptile.Zoom]int{13: 0, 14: 1, 16: 1, 18: 1} {
		if got := features(fetch(t, s, "pts", maptile.At(own.Label, z), a), "pts"); len(got) != want {
			t.Errorf("z%d: %d features", z, len(got))
		}
	}
}

// A request that began before a layer changed does not bring the old features back.
func TestAnOlderSetDoesNotReplaceANewerOne(t *testing.T) {
	own, a := town(0)
	old, now := named(layer.Point, orb.Point{own.Label[0] + 5, own.Label[1]}), named(layer.Point, own.Label)
	now.Version = 2
	set := now
	s := tiles.New(tiles.Options{Tree: county, Named: func() *layer.Book { return layer.NewBook([]*layer.Set{set}) }})
	at := maptile.At(own.Label, 12)
	for _, set = range []*layer.Set{now, old} {
		if got := features(fetch(t, s, "pts", at, a), "pts"); len(got) != 1 {
			t.Errorf("version %d: %d features", set.Version, len(got))
		}
	}
}

// 12,328 points are the cameras of a large district.
func BenchmarkNamedTile(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 1))
	own := county().Bound()
	var shapes []orb.Geometry
	for range 12_328 {
		shapes = append(shapes, orb.Point{own.Min[0] + rng.Float64()*(own.Max[0]-own.Min[0]), own.Min[1] + rng.Float64()*(own.Max[1]-own.Min[1])})
	}
	set := named(layer.Point, shapes...)
	s := tiles.New(tiles.Options{Tree: county, CacheBytes: 1, Named: func() *layer.Book { return layer.NewBook([]*layer.Set{set}) }})
	all := over(11)
	b.ReportAllocs()
	for i := range b.N {
		at := all[i*7%len(all)]
		if _, _, err := s.Tile(context.Background(), "pts", 11, int(at.X), int(at.Y), wholeCounty()); err != nil && !errors.Is(err, tiles.ErrEmpty) {
			b.Fatal(err)
		}
	}
}
