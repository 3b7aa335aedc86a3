// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package grid

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/paulmach/orb"

	"onemap/geo"
)

// Draft is a grid that is not stored yet.
type Draft struct {
	Code, Parent Code // Parent is empty for a root
	Level        int
	Name         string
	Geom         orb.MultiPolygon // WGS-84
}

// DrawOptions says how Draw divides an outline.
type DrawOptions struct {
	Seed   uint64
	Counts []int // how many grids in all at level 2, 3, ...
	// Name gives a grid its code and name. ordinals count from 1 within each
	// parent: {} is the root, {2, 1} the first village of the second town. Nil
	// gives plain numbers.
	Name func(level int, ordinals []int) (Code, string)
}

// Draw divides an outline (WGS-84) into a tree of grids: the root is the
// outline itself, the children of every grid tile it exactly and share their
// border points. Grids are smaller near a few made-up towns. The same outline,
// counts and seed always give the same tree.
//
// The outline's own points stay as they are; its long sides get further points
// where borders end. An outline that CheckPolygon refuses is an error, and so
// are counts that do not grow or that the outline has no room for.
func Draw(outline orb.MultiPolygon, o DrawOptions) ([]Draft, error) {
	if err := geo.CheckPolygon(outline, geo.BoundaryLimits); err != nil {
		return nil, fmt.Errorf("outline: %w", err)
	}
	if err := checkCounts(o.Counts); err != nil {
		return nil, err
	}
	if o.Name == nil {
		o.Name = plainName
	}
	rng := rand.New(rand.NewPCG(o.Seed, 0x6f6e656d6170))
	towns, leaves := 1, 1
	if len(o.Counts) > 0 {
		towns, leaves = o.Counts[0], o.Counts[len(o.Counts)-1]
	}
	s := newSketch(outline, min(towns, 200), leaves, rng)
	n, err := s.net()
	if err != nil {
		return nil, err
	}
	d := &drawing{net: n, land: newLand(n, s), options: o, rng: rng}
	if len(d.land.tris) < leaves {
		return nil, fmt.Errorf("the outline has no room for %d grids", leaves)
	}
	d.divide()
	return d.finish(s)
}

func checkCounts(counts []int) error {
	if len(counts) > MaxLevel-1 {
		return fmt.Errorf("%d counts: a tree has at most %d levels below its root", len(counts), MaxLevel-1)
	}
	before := 1
	for i, c := range counts {
		if c < before {
			return fmt.Errorf("%d grids at level %d, fewer than the %d above them", c, i+2, before)
		}
		if c > 20_000 {
			return fmt.Errorf("%d grids at level %d are more than a draft may have (20000)", c, i+2)
		}
		before = c
	}
	return nil
}

// plainName numbers grids: 1, 1-2, 1-2-3.
func plainName(_ int, ordinals []int) (Code, string) {
	parts := []string{"1"}
	for _, n := range ordinals {
		parts = append(parts, fmt.Sprintf("%03d", n))
	}
	name := strings.Join(parts, "-")
	return Code(name), name
}

// drawing is a tree in the making.
type drawing struct {
	net     *net
	land    *land
	options DrawOptions
	rng     *rand.Rand
	levels  [][]region // by level, from the root
}

// region is a grid as triangles of the land.
type region struct {
	parent   int // in the level above
	ordinals []int
	tris     []int32
}

// divide cuts the land level by level.
func (d *drawing) divide() {
	all := make([]int32, len(d.land.tris))
	for i := range all {
		all[i] = int32(i)
	}
	d.levels = [][]region{{{parent: -1, tris: all}}}
	for _, count := range d.options.Counts {
		above := d.levels[len(d.levels)-1]
		weights, room := make([]float64, len(above)), make([]int, len(above))
		for i, r := range above {
			weights[i], room[i] = d.land.total(r.tris), len(r.tris)
		}
		var level []region
		for i, k := range share(count, weights, room) {
			parts := d.land.cut(above[i].tris, k, d.rng)
			d.order(parts)
			for n, tris := range parts {
				ordinals := append(slices.Clone(above[i].ordinals), n+1)
				level = append(level, region{parent: i, ordinals: ordinals, tris: tris})
			}
		}
		d.levels = append(d.levels, level)
	}
}

// order sorts regions as one reads: north to south in bands, then west to east.
func (d *drawing) order(parts [][]int32) {
	if len(parts) < 2 {
		return
	}
	middle := func(tris []int32) (p orb.Point) {
		for _, i := range tris {
			p[0] += d.land.middle[i][0] / float64(len(tris))
			p[1] += d.land.middle[i][1] / float64(len(tris))
		}
		return p
	}
	top, bottom := math.Inf(-1), math.Inf(1)
	for _, p := range parts {
		y := middle(p)[1]
		top, bottom = max(top, y), min(bottom, y)
	}
	bands := math.Ceil(math.Sqrt(float64(len(parts))))
	band := func(p orb.Point) int { return int((top - p[1]) / (top - bottom + 1e-12) * bands) }
	slices.SortStableFunc(parts, func(a, b []int32) int {
		p, q := middle(a), middle(b)
		return cmp.Or(cmp.Compare(band(p), band(q)), cmp.Compare(p[0], q[0]))
	})
}

// finish bends the borders and turns triangles into polygons. Should a bent
// border ever come out crossing, it is bent less.
func (d *drawing) finish(s *sketch) ([]Draft, error) {
	b := newBorders(d, s.kx)
	b.smooth()
	var err error
	for _, bend := range []float64{0.7, 0.35, 0} {
		b.bend(bend, d.options.Seed)
		var drafts []Draft
		if drafts, err = d.drafts(b); err == nil {
			return drafts, nil
		}
	}
	return nil, err
}

func (d *drawing) drafts(b *borders) ([]Draft, error) {
	var out []Draft
	for level, regions := range d.levels {
		for _, r := range regions {
			code, name := d.options.Name(level+1, r.ordinals)
			draft := Draft{Code: code, Name: name, Level: level + 1}
			if r.parent >= 0 {
				draft.Parent, _ = d.options.Name(level, d.levels[level-1][r.parent].ordinals)
			}
			mp, err := b.polygon(r.tris)
			if err == nil {
				err = geo.CheckPolygon(mp, geo.Limits{Vertices: math.MaxInt, Holes: math.MaxInt})
			}
			if err != nil {
				return nil, fmt.Errorf("draw grid %s: %w", code, err)
			}
			draft.Geom = mp
			out = append(out, draft)
		}
	}
	return out, nil
}
