// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"fmt"

	"github.com/paulmach/orb"

	"onemap/geo/grid"
	"onemap/layer"
)

// Address is an entry of the address library (标准地址库).
type Address struct {
	ExtID string
	Std   string // the whole address: 演示旗演东镇示01嘎查第3网格12号
	Grid  grid.Code
	Point orb.Point // WGS-84
}

// Camera is a camera point: a code in the manner of GB/T 28181, a heading in
// whole degrees.
type Camera struct {
	Code    string
	Name    string
	Grid    grid.Code
	Heading int
	FOV     int       // degrees
	RangeM  int       // metres
	Point   orb.Point // WGS-84
}

// Resource is a made-up resource point: a centre, a station, a department.
type Resource struct {
	ExtID, Name string
	Kind        layer.Kind
	Duty        layer.DutyMode
	Point       orb.Point // WGS-84
}

// number gives the houses of each leaf their numbers: many in the seats, some
// in every leaf.
func (b *Banner) number() {
	r := stream(b.Seed, "addresses", 0)
	weights := make([]float64, len(b.leaves))
	for i := range b.leaves {
		weights[i] = 1
	}
	for _, v := range b.villages {
		weights[v.leaf] += 1.2 * v.size
	}
	for i, t := range b.towns {
		weights[t.leaf] += 15
		if i == bannerSeat {
			weights[t.leaf] += 45
		}
	}
	seatOf := map[int]int{}
	for i, t := range b.towns {
		seatOf[t.leaf] = i
	}
	for i, n := range apportion(Addresses, weights) {
		l := b.leaves[i]
		t, isSeat := seatOf[i]
		for k := range n {
			q := l.centre
			for range 50 {
				if isSeat && chance(r, 0.9) {
					c := b.towns[t].cross
					u, v := r.IntN(len(c)-1), r.IntN(len(c))
					q = c[u][v].toward(c[u+1][v], r.Float64()).scatter(r, 0.03)
				} else {
					q = pick(r, l.homes).scatter(r, 0.09)
				}
				if b.Tree.Locate(q.wgs84()).Index == l.node {
					break
				}
				q = l.centre
			}
			b.Points = append(b.Points, Address{
				ExtID: fmt.Sprintf("demo-address-%05d", len(b.Points)+1), Std: fmt.Sprintf("%s%d号", l.full, k+1),
				Grid: b.leafCode(i), Point: q.place(),
			})
		}
	}
}

// hangCameras puts cameras on crossings, markets, schools, villages and the
// main roads.
func (b *Banner) hangCameras() {
	r := stream(b.Seed, "cameras", 0)
	hang := func(q xy, name string) {
		at := b.Tree.Locate(q.wgs84()).Index
		l, ok := b.leafOf[at]
		if !ok || len(b.Cameras) == Cameras {
			return
		}
		n := len(b.Cameras) + 1
		kind := 131 + r.IntN(2) // camera, network camera
		b.Cameras = append(b.Cameras, Camera{
			Code: fmt.Sprintf("%s%02d00%d0%06d", RootCode, b.leaves[l].town+1, kind, n),
			Name: fmt.Sprintf("%s%03d号", name, n), Grid: b.leafCode(l), Heading: r.IntN(360), Point: q.place(),
			FOV: []int{60, 75, 90, 110, 360}[n%5], RangeM: []int{120, 200, 300}[n%3],
		})
	}
	for i, t := range b.towns {
		every := 2
		if i != bannerSeat {
			every = 3
		}
		k := 0
		for _, row := range t.cross {
			for _, q := range row {
				if k++; k%every == 0 {
					hang(q.scatter(r, 0.01), t.name+"路口")
				}
			}
		}
	}
	for _, kind := range []int{atMarket, atSchool, atWater} {
		for _, s := range b.spots[kind] {
			hang(s.a, s.name)
		}
	}
	for _, v := range b.villages {
		hang(v.centre.scatter(r, 0.05), v.name+"村部")
	}
	for len(b.Cameras) < Cameras {
		road := b.Roads[r.IntN(len(b.Roads))]
		if road.Class == "trunk" || road.Class == "primary" {
			hang(flat(road.Line[0]).scatter(r, 0.008), road.Name+"卡口")
		}
	}
}

// placeResources gives each town a centre, a station and a department's office, and
// some villages a post whose people come when called.
func (b *Banner) placeResources() {
	r := stream(b.Seed, "resources", 0)
	add := func(q xy, name string, kind layer.Kind, duty layer.DutyMode) {
		b.Resources = append(b.Resources, Resource{fmt.Sprintf("demo-resource-%03d", len(b.Resources)+1), name, kind, duty, q.place()})
	}
	for i, t := range b.towns {
		near := func() xy { return t.centre.scatter(r, 0.15) }
		turns := []layer.DutyMode{layer.Resident, layer.Rotating, layer.OnCall}
		add(near(), t.name+"演示综治中心", layer.Centre, layer.Resident)
		add(near(), t.name+"演示应急站", layer.Station, turns[i%2])
		add(near(), t.name+"演示司法所", layer.Department, turns[(i+1)%3])
	}
	for i, v := range b.villages {
		if i%6 == 0 {
			add(v.centre.scatter(r, 0.1), v.name+"演示微型消防站", layer.Station, layer.OnCall)
		}
	}
}
