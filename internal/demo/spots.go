// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"fmt"
	"math"
	"math/rand/v2"
)

// spot is where things happen: a place, or a line from a to b, with a scatter.
type spot struct {
	a, b   xy
	km     float64 // deviation of the scatter
	weight float64
	name   string // what a title begins with
	near   string // what an address ends with
}

// draw makes a place at the spot.
func (s spot) draw(r *rand.Rand) xy {
	q := s.a
	if s.b != s.a {
		q = s.a.toward(s.b, r.Float64())
	}
	return q.scatter(r, s.km)
}

// placeSpots lists the spots of each kind.
func (b *Banner) placeSpots() {
	r := stream(b.Seed, "spots", 0)
	b.seatSpots(r)
	b.countrySpots(r)
	b.roadSpots()
	b.lineSpots(r)
	for kind, list := range b.spots {
		weights := make([]float64, len(list))
		for i, s := range list {
			weights[i] = s.weight
		}
		b.wheels[kind] = newWheel(weights)
	}
}

func (b *Banner) add(kind int, s spot) {
	if s.b == (xy{}) {
		s.b = s.a
	}
	b.spots[kind] = append(b.spots[kind], s)
}

// seatSpots are the streets of the seats, fewer matters the further out, and
// the markets, schools and building sites there.
func (b *Banner) seatSpots(r *rand.Rand) {
	for i, t := range b.towns {
		share, markets, schools := 0.16, 1, 1
		if i == bannerSeat {
			share, markets, schools = 0.52, 2, 3
		}
		side := string([]rune(t.name)[1:2])
		size := len(t.cross)
		total := 0.0
		first := len(b.spots[atSeat])
		street := func(p, q xy, name string) {
			w := math.Exp(-p.toward(q, 0.5).dist(t.centre) / 0.7)
			total += w
			b.add(atSeat, spot{a: p, b: q, km: 0.03, weight: w, name: t.name + name, near: name + "旁"})
		}
		for u := range size {
			for v := range size {
				if u+1 < size {
					street(t.cross[u][v], t.cross[u+1][v], "演示"+side+chinese(v+1)+"街")
				}
				if v+1 < size {
					street(t.cross[u][v], t.cross[u][v+1], "演示"+side+"横"+chinese(u+1)+"街")
				}
			}
		}
		for k := first; k < len(b.spots[atSeat]); k++ {
			b.spots[atSeat][k].weight *= share / total
		}
		corner := func() xy { return t.cross[1+r.IntN(size-2)][1+r.IntN(size-2)] }
		for k := range markets {
			b.add(atMarket, spot{a: corner(), km: 0.07, weight: 3 * share, name: fmt.Sprintf("%s第%d集市", t.name, k+1), near: "集市"})
		}
		for k := range schools {
			b.add(atSchool, spot{a: corner(), km: 0.06, weight: 2 * share, name: fmt.Sprintf("%s第%d小学", t.name, k+1), near: "小学附近"})
		}
		b.add(atSite, spot{a: t.centre.scatter(r, 0.9), km: 0.15, weight: 2 * share, name: t.name + "在建工地", near: "工地"})
	}
}

// countrySpots are the villages, their markets and schools, homesteads, ponds
// and mines.
func (b *Banner) countrySpots(r *rand.Rand) {
	for i, v := range b.villages {
		w := v.size
		if v.market {
			w *= 1.7
			b.add(atMarket, spot{a: v.centre.scatter(r, 0.15), km: 0.05, weight: 0.2, name: v.name + "集市", near: "集市"})
		}
		if v.school {
			b.add(atSchool, spot{a: v.centre.scatter(r, 0.2), km: 0.05, weight: 0.12, name: v.name + "小学", near: "小学附近"})
		}
		b.add(atVillage, spot{a: v.centre, km: 0.3, weight: w, name: v.name, near: "村部附近"})
		if i%2 == 0 {
			home := pick(r, b.leaves[v.leaf].homes)
			b.add(atWater, spot{a: home.scatter(r, 0.6), km: 0.08, weight: 0.5 + r.Float64(), name: v.name + "水塘", near: "水塘边"})
		}
		if i%9 == 4 {
			home := pick(r, b.leaves[v.leaf].homes)
			b.add(atSite, spot{a: home.scatter(r, 1.5), km: 0.3, weight: 0.25, name: v.name + "矿点", near: "矿点附近"})
		}
	}
	for _, l := range b.leaves {
		name := b.villages[l.village].name
		for k, h := range l.homes {
			b.add(atHome, spot{a: h, km: 0.35, weight: 1 / float64(len(l.homes)), name: name, near: fmt.Sprintf("%d号附近", k+1)})
		}
	}
}

// roadSpots are the pieces of the country roads: more on the greater roads and
// near the seats.
func (b *Banner) roadSpots() {
	perKm := map[string]float64{"trunk": 4, "primary": 3, "secondary": 1.1, "track": 0.2}
	for _, road := range b.Roads {
		for k := range len(road.Line) - 1 {
			p, q := flat(road.Line[k]), flat(road.Line[k+1])
			near := math.Inf(1)
			for _, t := range b.towns {
				near = min(near, p.dist(t.centre))
			}
			b.add(atRoad, spot{
				a: p, b: q, km: 0.006, weight: p.dist(q) * perKm[road.Class] * (1 + 3*math.Exp(-near/5)),
				name: road.Name, near: road.Name + "旁",
			})
		}
	}
}

// lineSpots are a railway and a pipeline through the banner.
func (b *Banner) lineSpots(r *rand.Rand) {
	for _, l := range []struct {
		a, b xy
		name string
	}{{xy{-75, -14}, xy{75, 12}, "演示铁路"}, {xy{-10, 70}, xy{16, -70}, "演示管线"}} {
		line := wander(r, l.a, l.b, 0.05, 1)
		for k := range len(line) - 1 {
			if b.Tree.Locate(line[k].wgs84()).Index >= 0 && b.Tree.Locate(line[k+1].wgs84()).Index >= 0 {
				b.add(atLine, spot{a: line[k], b: line[k+1], km: 0.03, weight: line[k].dist(line[k+1]), name: l.name + "沿线", near: l.name + "旁"})
			}
		}
	}
}
