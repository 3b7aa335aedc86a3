// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// Package road says how long it takes by road to get from many places to one. It
// is pure: roads come in as segments, a Graph is built of them once and never
// changes.
//
//	segments --Build--> stretches between crossings, arcs against the traffic
//	                         |
//	place --snap--> nearest stretch, at most 2 km off --search--> travel times
//
// Where no road helps, the answer is the straight line and says why. Length is
// the great circle's (see geo.Distance); nothing knows of turns, lights or jams.
package road

import (
	"github.com/paulmach/orb"
)

// Segment is a piece of road, driven at one speed. Segments meet where they have
// a vertex in common: the same place to 1e-7 degree, at an end or in between.
// Lines that cross without a common vertex do not meet (a bridge).
type Segment struct {
	Line   orb.LineString // WGS-84
	Oneway bool           // open only from its first point to its last
	Kmh    float64        // speed driven, not the speed allowed
}

// Rules say how the ways beside the roads are counted. The zero Rules are not
// valid; see DefaultRules.
type Rules struct {
	// MaxOff is how far from the nearest road a place may lie, in metres, to be
	// reached by road; beyond it the whole way is a straight line.
	MaxOff float64
	// Factor is how much longer a way is than the straight line it stands for.
	Factor float64
	// OffKmh is the speed between a place and its road, and between two places
	// that are closer to each other than to their roads.
	OffKmh float64
	// LineKmh is the speed of a whole way in a straight line.
	LineKmh float64
}

// DefaultRules are the product's. Factor: the road between two places of a hilly
// province is on average 1.4 times as long as the straight line (South Korea:
// 1.435 in Gangwon, 1.26 in the whole country; Kim, Shin, Lee and Suh, Journal of
// the Korean Society of Agricultural Engineers 57, 2015). The two speeds are our
// own choice: a car or a motorcycle on open land, and a drive of which most is on
// some road that the data lack.
func DefaultRules() Rules {
	return Rules{MaxOff: 2000, Factor: 1.4, OffKmh: 15, LineKmh: 30}
}

// By is what a travel time was worked out along.
type By string

const (
	ByRoad By = "road" // along roads, the bits to and from them in a straight line
	ByLine By = "line" // the whole way in a straight line
)

// Why is the reason of an answer by line; "" for one by road.
type Why string

const (
	WhyRoad      Why = ""
	WhyNoRoads   Why = "no_roads"   // there are none at all
	WhyPlaceFar  Why = "place_far"  // the place asked for is too far from any road
	WhyOriginFar Why = "origin_far" // the origin is
	WhyNoWay     Why = "no_way"     // their roads are not connected, or only the other way round
	WhyClose     Why = "close"      // the two are closer to each other than to the road
)

// Answer is the way from one origin.
type Answer struct {
	Index   int // of the origin, as it was given
	Seconds float64
	Metres  float64 // of the way that takes Seconds, straight bits times Rules.Factor
	By      By
	Why     Why
}
