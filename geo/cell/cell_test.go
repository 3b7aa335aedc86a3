// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package cell_test

import (
	"bufio"
	"compress/gzip"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/paulmach/orb"
	"pgregory.net/rapid"

	"onemap/geo"
	"onemap/geo/cell"
)

// lines reads a conformance list of H3 from the real data beside the repository.
func lines(t *testing.T, name string) []string {
	t.Helper()
	f, err := os.Open(filepath.Join("../../../shared/data/h3", name))
	if err != nil {
		t.Skipf("SKIPPED, real data is missing: %v", err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for s := bufio.NewScanner(z); s.Scan(); {
		if l := strings.TrimSpace(s.Text()); l != "" {
			out = append(out, l)
		}
	}
	return out
}

// lon brings a longitude into -180..180: the lists go on to 360.
func lon(v float64) float64 {
	if v > 180 {
		return v - 360
	}
	return v
}

func TestAtGivesThePublishedCells(t *testing.T) {
	for _, name := range []string{
		"res00ic", "res01ic", "rand05centers", "rand07centers", "rand09centers", "rand11centers", "bc05r09centers", "bc05r12centers",
	} {
		t.Run(name, func(t *testing.T) {
			all := lines(t, name+".txt.gz")
			for _, l := range all {
				var hex string
				var lat, lng float64
				if _, err := fmt.Sscan(l, &hex, &lat, &lng); err != nil {
					t.Fatalf("%q: %v", l, err)
				}
				want, err := cell.Parse(hex)
				if err != nil {
					t.Fatal(err)
				}
				got, err := cell.At(geo.WGS84{lon(lng), lat}, want.Res())
				if err != nil || got != want {
					t.Errorf("%s: got %v, %v", l, got, err)
				}
			}
			if len(all) < 7 {
				t.Errorf("only %d lines", len(all))
			}
		})
	}
}

func TestBoundaryGivesThePublishedCorners(t *testing.T) {
	for _, name := range []string{"res00cells", "res01cells", "rand05cells", "rand07cells", "rand09cells"} {
		t.Run(name, func(t *testing.T) {
			var ring orb.Ring
			var seen int
			for _, l := range lines(t, name+".txt.gz") {
				switch l {
				case "{", "}":
				default:
					var lat, lng float64
					if _, err := fmt.Sscan(l, &lat, &lng); err == nil {
						if !hasCorner(ring, lon(lng), lat) {
							t.Fatalf("corner %s is missing in %v", l, ring)
						}
						seen++
						continue
					}
					c, err := cell.Parse(strings.Fields(l)[0])
					if err != nil {
						t.Fatal(err)
					}
					if ring, err = c.Boundary(); err != nil {
						t.Fatal(err)
					}
				}
			}
			if seen < 100 {
				t.Errorf("only %d corners", seen)
			}
		})
	}
}

func hasCorner(ring orb.Ring, x, y float64) bool {
	for _, p := range ring {
		dx := math.Abs(math.Remainder(p[0]-x, 360))
		if dx*math.Cos(y*math.Pi/180) < 1e-6 && math.Abs(p[1]-y) < 1e-6 {
			return true
		}
	}
	return false
}

func TestCellHoldsItsPlace(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := geo.WGS84{rapid.Float64Range(73, 135).Draw(t, "lon"), rapid.Float64Range(18, 54).Draw(t, "lat")}
		res := rapid.IntRange(6, 9).Draw(t, "res")
		c, err := cell.At(p, res)
		if err != nil {
			t.Fatal(err)
		}
		ring, err := c.Boundary()
		if err != nil {
			t.Fatal(err)
		}
		if ring[0] != ring[len(ring)-1] || ring.Orientation() != orb.CCW || len(ring) < 6 {
			t.Fatalf("%v is not a closed counter-clockwise ring", ring)
		}
		if err := geo.CheckPolygon(orb.MultiPolygon{{ring}}, geo.DefaultLimits); err != nil {
			t.Fatal(err)
		}
		centre, err := c.Centre()
		if err != nil {
			t.Fatal(err)
		}
		if d := geo.Distance(p, centre); d > 6000 { // an edge of a cell of resolution 6 is about 3.7 km
			t.Fatalf("the middle of %v is %.0f m away", c, d)
		}
		if again, err := cell.Parse(c.String()); err != nil || again != c {
			t.Fatalf("%v reads back as %v, %v", c, again, err)
		}
	})
}

func TestRefused(t *testing.T) {
	for _, p := range []geo.WGS84{{0, 200}, {500, 0}, {math.NaN(), 0}, {0, math.Inf(1)}} {
		if c, err := cell.At(p, 9); err == nil {
			t.Errorf("%v is in cell %v", p, c)
		}
	}
	for _, res := range []int{-1, 16} {
		if c, err := cell.At(geo.WGS84{107, 38}, res); err == nil {
			t.Errorf("resolution %d gives %v", res, c)
		}
	}
	for _, c := range []cell.Cell{0, 1, 0x89fffffffffffff} {
		if _, err := c.Boundary(); err == nil || c.Valid() {
			t.Errorf("%v passes for a cell", c)
		}
		if _, err := c.Centre(); err == nil {
			t.Errorf("%v has a middle", c)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("891a538e547ffff")
	f.Add("-1")
	f.Add("0x89")
	f.Fuzz(func(t *testing.T, s string) {
		c, err := cell.Parse(s)
		if err == nil && !c.Valid() {
			t.Errorf("%q reads as %v", s, c)
		}
	})
}
