// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"math"
	"math/rand/v2"
	"slices"
	"strconv"

	"onemap/geo/grid"
)

// Banner is the made-up banner: everything in it that does not depend on time.
type Banner struct {
	Seed    uint64
	Drafts  []grid.Draft // all grids in pre-order, which is code order
	Tree    *grid.Tree   // the same with passing numbers, for looking places up
	Roads   []Road
	Workers []Worker
	Points  []Address
	Cameras []Camera
	// Resources is the named layer of resource points.
	Resources []Resource

	towns    []town
	villages []village
	leaves   []leaf
	leafOf   map[int]int // place in Tree -> place in leaves
	spots    [spotKinds][]spot
	wheels   [spotKinds]wheel
	staff    [][]int // by leaf: its workers' places in Workers
}

// town, village and leaf are the grids of levels 2 to 4 with what the generator
// needs of them. centre is the seat, the settlement, the middle.
type town struct {
	name   string
	centre xy
	leaf   int // the leaf the seat lies in
	streets
}

type village struct {
	town   int
	name   string
	centre xy
	leaf   int
	size   float64 // 1 is usual
	market bool
	school bool
}

type leaf struct {
	node    int // place in Tree
	town    int
	village int
	centre  xy
	full    string // address down to the grid: 演示旗演东镇示01嘎查第3网格
	homes   []xy   // homesteads, or blocks in a seat
}

// New makes the banner of a seed. It takes about a second.
func New(seed uint64) (*Banner, error) {
	drafts, err := drawGrids(seed)
	if err != nil {
		return nil, err
	}
	return newBanner(seed, drafts)
}

func newBanner(seed uint64, drafts []grid.Draft) (*Banner, error) {
	tree, err := treeOf(drafts)
	if err != nil {
		return nil, err
	}
	b := &Banner{Seed: seed, Drafts: drafts, Tree: tree, leafOf: map[int]int{}}
	b.settle()
	b.buildRoads()
	b.placeSpots()
	b.employ()
	b.number()
	b.hangCameras()
	b.placeResources()
	return b, nil
}

// settle reads the tree and puts a settlement into each village, a seat into
// each town, and homesteads into each leaf.
func (b *Banner) settle() {
	r := stream(b.Seed, "settle", 0)
	nodes := b.Tree.Nodes()
	for i, n := range nodes {
		switch n.Level {
		case 2:
			b.towns = append(b.towns, town{name: n.Name, leaf: -1})
		case 3:
			b.villages = append(b.villages, village{
				town: len(b.towns) - 1, name: n.Name, leaf: -1, size: math.Exp(0.5 * r.NormFloat64()),
			})
		case 4:
			v := len(b.villages) - 1
			b.leafOf[i] = len(b.leaves)
			b.leaves = append(b.leaves, leaf{
				node: i, town: len(b.towns) - 1, village: v, centre: flat(inside(r, b.Tree, i)),
				full: RootName + b.towns[len(b.towns)-1].name + b.villages[v].name + n.Name,
			})
		}
	}
	for i := range b.villages {
		b.villages[i].leaf = b.middle(func(l leaf) bool { return l.village == i })
		b.villages[i].centre = b.leaves[b.villages[i].leaf].centre
		b.villages[i].market = i%8 == 3
		b.villages[i].school = i%7 == 2
	}
	for i := range b.towns {
		b.towns[i].leaf = b.densest(i)
		b.towns[i].centre = b.leaves[b.towns[i].leaf].centre
	}
	for i := range b.leaves {
		b.leaves[i].homes = b.homesteads(r, i)
	}
}

// middle is the leaf nearest to the middle of all leaves in the set.
func (b *Banner) middle(in func(leaf) bool) int {
	var sum xy
	n := 0.0
	for _, l := range b.leaves {
		if in(l) {
			sum, n = xy{sum.x + l.centre.x, sum.y + l.centre.y}, n+1
		}
	}
	best, near := -1, math.Inf(1)
	for i, l := range b.leaves {
		if d := l.centre.dist(xy{sum.x / n, sum.y / n}); in(l) && d < near {
			best, near = i, d
		}
	}
	return best
}

// densest is the leaf of a town with the nearest neighbours: grids are small
// where people live close together.
func (b *Banner) densest(town int) int {
	best, least := -1, math.Inf(1)
	for i, l := range b.leaves {
		if l.town != town {
			continue
		}
		var near []float64
		for _, o := range b.leaves {
			near = append(near, l.centre.dist(o.centre))
		}
		slices.Sort(near)
		sum := 0.0
		for _, d := range near[:min(9, len(near))] {
			sum += d
		}
		if sum < least {
			best, least = i, sum
		}
	}
	return best
}

// homesteads scatters homes over leaf i: some round its middle, the others far
// apart on the pasture.
func (b *Banner) homesteads(r *rand.Rand, i int) []xy {
	l := b.leaves[i]
	homes := []xy{l.centre}
	want := 6 + r.IntN(8)
	for try := 0; len(homes) < want && try < 200; try++ {
		spread := 2.2
		if len(homes) < 3 {
			spread = 0.5
		}
		h := l.centre.scatter(r, spread)
		if b.Tree.Locate(h.wgs84()).Index == l.node {
			homes = append(homes, h)
		}
	}
	return homes
}

// banner seat is the seat of the first town.
const bannerSeat = 0

var digits = []string{"〇", "一", "二", "三", "四", "五", "六", "七", "八", "九"}

// chinese writes n, 0 to 999, as in 一百零五.
func chinese(n int) string {
	switch {
	case n < 10:
		return digits[n]
	case n < 20:
		return "十" + unit(n%10)
	case n < 100:
		return digits[n/10] + "十" + unit(n%10)
	case n < 1000 && n%100 == 0:
		return digits[n/100] + "百"
	case n < 1000 && n%100 < 10:
		return digits[n/100] + "百零" + digits[n%10]
	case n < 1000 && n%100 < 20:
		return digits[n/100] + "百一十" + unit(n%10)
	case n < 1000:
		return digits[n/100] + "百" + chinese(n%100)
	}
	return strconv.Itoa(n)
}

func unit(n int) string {
	if n == 0 {
		return ""
	}
	return digits[n]
}
