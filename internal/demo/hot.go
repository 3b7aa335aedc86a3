// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"math/rand/v2"

	"onemap/geo"
)

// hotSpot is a place where something has begun to go wrong in the last months,
// so that an analysis has something true to find.
type hotSpot struct {
	name  string
	spot  spot
	kinds []int   // places in matters
	since int     // days before the end
	share float64 // of a day's incidents when it is full grown
}

// today is how many of n incidents belong to the hot spot, left days before the
// end. It grows over three weeks.
func (s hotSpot) today(r *rand.Rand, left, n int) int {
	age := s.since - left
	if age <= 0 {
		return 0
	}
	mean := float64(n) * s.share * min(1, float64(age)/21)
	count := int(mean)
	if chance(r, mean-float64(count)) {
		count++
	}
	return count
}

// hotSpots are the banner's four: a market that outgrew its street, wells that
// two villages share, a junction on a trunk road, a mine's haul road.
func (b *Banner) hotSpots() []hotSpot {
	kinds := func(codes ...string) []int {
		var out []int
		for _, c := range codes {
			for i, m := range matters {
				if m.code == c {
					out = append(out, i)
				}
			}
		}
		return out
	}
	at := func(kind, n int, km float64) spot {
		s := b.spots[kind][n%len(b.spots[kind])]
		s.b, s.km = s.a, km
		return s
	}
	junction := spot{km: 0.12}
	for _, road := range b.Roads {
		if road.Class == "trunk" {
			q := flat(road.Line[0])
			junction.a, junction.name, junction.near = q, road.Name+"路口", road.Name+"路口"
			if q.dist(b.towns[bannerSeat].centre) > 12 {
				break
			}
		}
	}
	junction.b = junction.a
	return []hotSpot{
		{"market", at(atMarket, 1, 0.12), kinds("0603", "0906", "0301", "0605"), 95, 0.018},
		{"wells", at(atWater, 17, 0.5), kinds("0103", "0101", "0704"), 75, 0.008},
		{"junction", junction, kinds("0901", "0903", "0902"), 60, 0.008},
		{"mine", at(atSite, len(b.spots[atSite])-1, 0.4), kinds("0104", "0701", "0106", "0305"), 50, 0.007},
	}
}

// Emerging is a hot spot of the last months, for those who check an analysis.
type Emerging struct {
	Name       string
	Point      geo.WGS84
	Categories []string
	Days       int // it began so many days before the end
}

// HotSpots are the places where matters pile up in the last months.
func (b *Banner) HotSpots() []Emerging {
	var out []Emerging
	for _, s := range b.hotSpots() {
		e := Emerging{Name: s.name, Point: s.spot.a.wgs84(), Days: s.since}
		for _, k := range s.kinds {
			e.Categories = append(e.Categories, matters[k].code)
		}
		out = append(out, e)
	}
	return out
}

// Seats are the middles of the town seats.
func (b *Banner) Seats() []geo.WGS84 {
	var out []geo.WGS84
	for _, t := range b.towns {
		out = append(out, t.centre.wgs84())
	}
	return out
}
