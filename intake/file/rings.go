// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package file

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/paulmach/orb"

	"onemap/geo"
)

// assemble makes polygons of the rings of one shape of a Shapefile. Rings that run
// clockwise are outlines, the others are holes and belong to the smallest outline
// round them, in whatever order they come:
//
//	+--->---+
//	| +-<-+ |
//	| v   ^ |
//	| +->-+ |
//	+---<---+
//
// Some programs write rings the other way round. That shows in a hole that lies in
// no outline; then all rings are put together by how they lie, and odd says so.
// What it leaves wrong (overlaps, crossings) the polygon check finds. More points
// or rings than lim allows are refused before any work.
func assemble(rings [][]orb.Point, lim geo.Limits) (mp orb.MultiPolygon, odd bool, err error) {
	points := 0
	for _, r := range rings {
		points += len(r)
	}
	if err := tooLarge(len(rings), points, lim); err != nil {
		return nil, false, err
	}
	all := make([]turned, len(rings))
	holes := 0
	for i, r := range rings {
		all[i] = turned{ring: r, area: doubleArea(r), box: orb.Ring(r).Bound()}
		all[i].hole = all[i].area > 0
		if all[i].hole {
			holes++
		}
	}
	if holes > lim.Holes {
		return nil, false, fmt.Errorf("the polygon has %d holes, more than the limit of %d", holes, lim.Holes)
	}
	if mp, lost := nest(all); !lost {
		return mp, false, nil
	}
	// From here every ring is held against every other.
	if len(rings) > lim.Holes {
		return nil, false, fmt.Errorf("the polygon has a hole in no outline, and %d rings are too many to put them together by how they lie", len(rings))
	}
	for i := range all {
		depth := 0
		for k := range all {
			if k != i && all[k].holds(all[i]) {
				depth++
			}
		}
		all[i].hole = depth%2 == 1
	}
	mp, _ = nest(all)
	return mp, true, nil
}

// tooLarge refuses a polygon by its numbers of rings and points alone. A ring has
// four points.
func tooLarge(rings, points int, lim geo.Limits) error {
	switch {
	case points > lim.Vertices:
		return fmt.Errorf("the polygon has %d vertices, more than the limit of %d", points, lim.Vertices)
	case rings > lim.Vertices/4:
		return fmt.Errorf("the polygon has %d rings, more than the limit of %d", rings, lim.Vertices/4)
	}
	return nil
}

// nest puts every hole into the smallest outline round it. lost says that one has
// none; it is left out.
func nest(all []turned) (mp orb.MultiPolygon, lost bool) {
	var outlines []turned
	for _, t := range all {
		if !t.hole {
			outlines = append(outlines, t)
			mp = append(mp, orb.Polygon{t.ring})
		}
	}
	bySize := make([]int, len(outlines)) // the smallest first
	for i := range bySize {
		bySize[i] = i
	}
	slices.SortStableFunc(bySize, func(a, b int) int {
		return cmp.Compare(math.Abs(outlines[a].area), math.Abs(outlines[b].area))
	})
	for _, h := range all {
		if !h.hole {
			continue
		}
		i := slices.IndexFunc(bySize, func(i int) bool { return outlines[i].holds(h) })
		if i < 0 {
			return nil, true
		}
		mp[bySize[i]] = append(mp[bySize[i]], h.ring)
	}
	return mp, false
}

// turned is a ring and which way it runs.
type turned struct {
	ring orb.Ring
	area float64 // twice its area, negative when it runs clockwise
	box  orb.Bound
	hole bool
}

// doubleArea is twice the area of a ring, measured from its first point so that
// small rings far from the origin keep their sign.
func doubleArea(r []orb.Point) float64 {
	var sum float64
	for i := 1; i+1 < len(r); i++ {
		ax, ay := r[i][0]-r[0][0], r[i][1]-r[0][1]
		bx, by := r[i+1][0]-r[0][0], r[i+1][1]-r[0][1]
		sum += ax*by - ay*bx
	}
	return sum
}

// holds says whether h lies in t. A hole may touch the outline in points, so the
// first of its points and middles of edges that is not on the outline decides.
func (t turned) holds(h turned) bool {
	if math.Abs(t.area) < math.Abs(h.area) || !t.box.Contains(h.box.Min) || !t.box.Contains(h.box.Max) {
		return false
	}
	for i, p := range h.ring {
		for _, q := range []orb.Point{p, middle(p, h.ring[(i+1)%len(h.ring)])} {
			if in, on := within(q, t.ring); !on {
				return in
			}
		}
	}
	return false
}

func middle(a, b orb.Point) orb.Point { return orb.Point{(a[0] + b[0]) / 2, (a[1] + b[1]) / 2} }

// within says whether p is inside ring or on it, by the edges a ray to the east
// crosses.
func within(p orb.Point, ring orb.Ring) (in, on bool) {
	for i := range len(ring) - 1 {
		a, b := ring[i], ring[i+1]
		if (a[1] > p[1]) == (b[1] > p[1]) {
			if p[1] == a[1] && p[1] == b[1] && min(a[0], b[0]) <= p[0] && p[0] <= max(a[0], b[0]) || p == a || p == b {
				return false, true
			}
			continue
		}
		side := (b[0]-a[0])*(p[1]-a[1]) - (p[0]-a[0])*(b[1]-a[1])
		switch {
		case side == 0:
			return false, true
		case (side > 0) == (b[1] > a[1]): // p lies west of the edge
			in = !in
		}
	}
	return in, false
}
