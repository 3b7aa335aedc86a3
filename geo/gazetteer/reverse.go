// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package gazetteer

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/paulmach/orb"

	"onemap/geo"
)

// Described is a point in words.
type Described struct {
	// Address is the nearest entry with an address, within NearestAddress; nil for none.
	Address          *Entry
	AddressDistanceM float64
	// Spoken is how one says the place over the radio: 昂素嘎查 东北 1.2 公里. Empty
	// when nothing with a name is near enough.
	Spoken    string
	From      *Entry  // what Spoken starts from
	Direction string  // from there: one of eight; empty when it is right there
	DistanceM float64 // from there
}

// How far away something may be to describe a point, in metres.
const (
	NearestAddress  = 500
	nearestPlace    = 500    // a named place
	nearestVillage  = 20_000 // a village's middle
	nearestTown     = 60_000
	rightThere      = 50
	spokenPrecision = 100 // kilometres are said to a tenth
)

// Reverse describes a point by what the asker may see. What it does not know it
// leaves empty.
func (x *Index) Reverse(p geo.WGS84, sees func(no int32) bool) (d Described) {
	if sees == nil {
		return d
	}
	d.Address, d.AddressDistanceM = x.nearest(p, NearestAddress, func(e *Entry) bool {
		return e.Kind != Area && (e.Kind == Address || e.Address != "") && sees(e.No)
	})
	d.From, d.DistanceM = x.nearest(p, nearestPlace, func(e *Entry) bool { return e.Kind == Place && sees(e.No) })
	for _, by := range []struct {
		level Level
		most  float64
	}{{Village, nearestVillage}, {Town, nearestTown}} {
		if d.From != nil {
			break
		}
		d.From, d.DistanceM = x.nearestArea(p, by.level, by.most, sees)
	}
	if d.From == nil {
		return d
	}
	d.Spoken = d.From.Name
	if d.DistanceM > rightThere {
		d.Direction = direction(d.From.Point, p)
		d.Spoken += " " + d.Direction + " " + spokenDistance(d.DistanceM)
	}
	return d
}

// spokenDistance is 250 米 or 1.2 公里.
func spokenDistance(m float64) string {
	if m < 1000-spokenPrecision/20 {
		return fmt.Sprintf("%.0f 米", math.Round(m/10)*10)
	}
	return fmt.Sprintf("%.1f 公里", m/1000)
}

func (x *Index) nearestArea(p geo.WGS84, level Level, most float64, sees func(int32) bool) (*Entry, float64) {
	var best *Entry
	for i := len(x.entries) - len(x.areaOrder); i < len(x.entries); i++ {
		e := &x.entries[i]
		if x.lib.areas[e.Area].Level != level || !sees(e.No) {
			continue
		}
		if d := geo.Distance(p, e.Point); d <= most {
			best, most = e, d
		}
	}
	return best, most
}

// mesh finds entries near a point: squares of meshDegrees, sorted, each with the
// entries in it.
type mesh struct {
	squares []uint64 // of order
	order   []uint32 // entries by square
}

const meshDegrees = 0.005

// square numbers squares by row from the south, then by column from the west.
func square(p geo.WGS84) (row, column int) {
	return int(math.Floor((p[1] + 90) / meshDegrees)), int(math.Floor((p[0] + 180) / meshDegrees))
}

func squareKey(row, column int) uint64 { return uint64(uint32(row))<<32 | uint64(uint32(column)) }

func newMesh(entries []Entry) mesh {
	m := mesh{squares: make([]uint64, len(entries)), order: make([]uint32, len(entries))}
	key := make([]uint64, len(entries))
	for i := range entries {
		m.order[i], key[i] = uint32(i), squareKey(square(entries[i].Point))
	}
	slices.SortStableFunc(m.order, func(a, b uint32) int { return cmp.Compare(key[a], key[b]) })
	for i, e := range m.order {
		m.squares[i] = key[e]
	}
	return m
}

// Within calls f with every entry in a box that sees admits, from south to north.
func (x *Index) Within(b orb.Bound, sees func(no int32) bool, f func(*Entry)) {
	low, from := square(geo.WGS84(b.Min))
	high, to := square(geo.WGS84(b.Max))
	for i, _ := slices.BinarySearch(x.mesh.squares, squareKey(max(low, 0), 0)); i < len(x.mesh.squares); i++ {
		row, column := int(x.mesh.squares[i]>>32), int(uint32(x.mesh.squares[i]))
		if row > high {
			return
		}
		e := &x.entries[x.mesh.order[i]]
		if column >= from && column <= to && b.Contains(e.Point.Orb()) && sees(e.No) {
			f(e)
		}
	}
}

// nearest is the nearest entry within most metres that ok admits, nil for none. Of
// two as near the one that stands first is taken.
func (x *Index) nearest(p geo.WGS84, most float64, ok func(*Entry) bool) (*Entry, float64) {
	var best *Entry
	row, _ := square(p)
	high := int(most/(geo.EarthRadius*meshDegrees*math.Pi/180)) + 1
	for r := row - high; r <= row+high; r++ {
		lat := max(math.Abs(float64(r)*meshDegrees-90), math.Abs(float64(r+1)*meshDegrees-90))
		if lat >= 89 {
			continue // nobody lives there
		}
		wide := most / (geo.EarthRadius * math.Pi / 180 * math.Cos(lat*math.Pi/180))
		_, from := square(geo.WGS84{p[0] - wide, p[1]})
		_, to := square(geo.WGS84{p[0] + wide, p[1]})
		i, _ := slices.BinarySearch(x.mesh.squares, squareKey(r, max(from, 0)))
		for end := squareKey(r, to); i < len(x.mesh.squares) && x.mesh.squares[i] <= end; i++ {
			e := &x.entries[x.mesh.order[i]]
			d := geo.Distance(p, e.Point)
			if d > most || best != nil && d >= most || !ok(e) {
				continue
			}
			best, most = e, d
		}
	}
	return best, most
}
