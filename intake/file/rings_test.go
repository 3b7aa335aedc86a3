// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package file

import (
	"strings"
	"testing"

	"github.com/paulmach/orb"

	"onemap/geo"
)

// TestManyRings: what would take every ring against every other is refused first.
func TestManyRings(t *testing.T) {
	square := func(x, y float64, hole bool) []orb.Point {
		r := []orb.Point{{x, y}, {x, y + .1}, {x + .1, y + .1}, {x, y}}
		if hole {
			r[1], r[2] = r[2], r[1]
		}
		return r
	}
	grid := func(n int, hole bool) (out [][]orb.Point) {
		for i := range n {
			out = append(out, square(float64(i%300), float64(i/300), hole))
		}
		return out
	}
	for name, c := range map[string]struct {
		rings [][]orb.Point
		want  string // of the error
		odd   bool
	}{
		"islands":                       {rings: grid(20_000, false)},
		"islands the wrong way":         {rings: grid(300, true), odd: true},
		"more islands the wrong way":    {rings: grid(5_001, true), want: "the polygon has 5001 holes, more than the limit of 5000"},
		"many holes":                    {rings: append(grid(10_000, false), grid(10_000, true)...), want: "10000 holes, more than"},
		"a hole in no outline":          {rings: append(grid(20_000, false), square(400, 0, true)), want: "20001 rings are too many"},
		"more rings than vertices make": {rings: make([][]orb.Point, 25_001), want: "the polygon has 25001 rings, more than the limit of 25000"},
	} {
		mp, odd, err := assemble(c.rings, geo.BoundaryLimits)
		switch {
		case c.want == "" && (err != nil || odd != c.odd || len(mp) != len(c.rings)):
			t.Errorf("%s: %d parts, odd %v, %v", name, len(mp), odd, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}
