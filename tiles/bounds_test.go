// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package tiles

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/paulmach/orb"

	"onemap/auth"
	"onemap/layer"
)

// Tiles with nothing in them, asked for with many words, take no more room than there is.
func TestTheCacheCountsItsKeys(t *testing.T) {
	const limit, words = 100_000, 1000
	c := newCache(limit)
	for i := range 1000 {
		k := key{layer: strings.Repeat("0", words) + fmt.Sprint(i)}
		if _, err := c.get(t.Context(), k, func() (ready, error) { return ready{}, nil }); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(c.byKey); n*words > limit || n < 50 {
		t.Errorf("%d tiles are kept, their keys are %d bytes; there is room for %d", n, n*words, limit)
	}
}

// What was made of a layer goes when the layer has gone, at the next change of another.
func TestARemovedLayerIsNotKept(t *testing.T) {
	var book *layer.Book
	s := New(Options{Named: func() *layer.Book { return book }})
	a := auth.NewActor(auth.Grant{ID: "account:1", Role: auth.Dispatcher, Intervals: []auth.Interval{{Lo: 1, Hi: 9}}})
	for i := range 20 {
		l := layer.Layer{ID: int64(i + 1), Code: fmt.Sprintf("layer%d", i), Geometry: layer.Point, MaxZoom: layer.MaxZoom, Access: auth.LayerAccess{auth.SignedIn}, Version: 1}
		set := layer.NewSet(l, []layer.Feature{{ID: 1, Name: "井", Geom: orb.Point{107, 38}, Grids: []int32{2}}}, []auth.Interval{{Lo: 1, Hi: 9}})
		book = layer.NewBook([]*layer.Set{set})
		if _, _, err := s.Tile(t.Context(), l.Code, 0, 0, 0, a); err != nil && !errors.Is(err, ErrEmpty) {
			t.Fatal(err)
		}
		if n := len(s.named.byCode); n != 1 {
			t.Fatalf("%d sets are kept of one layer", n)
		}
	}
}
