// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package road

import (
	"context"
	"math"

	"onemap/geo"
)

// Soonest says for each of many places which of the origins is there first, and how:
// what TravelTimes(place, from, 1) says, of equal ones the first in from. Without
// origins every Index is -1. It stops with the context's error where that ends first.
//
// It is one search by Dijkstra's algorithm with the traffic, from all origins at once:
// each node keeps the origin that is there first.
//
//	A --3--> . --2--> .          the place belongs to A (6), since B is there after 7;
//	                  |          what no search finds, lines and bits beside the roads,
//	B ------6-------> . -1-> p   is looked at pair by pair
func (g *Graph) Soonest(ctx context.Context, to, from []geo.WGS84) ([]Answer, error) {
	f := firsts{Graph: g, from: make([]start, len(from)), beyond: map[int32]map[int32]bool{}}
	for i, p := range from {
		f.from[i].place, f.from[i].v = p, onSphere(p)
		f.from[i].found, f.from[i].n = g.snaps(p)
	}
	out := make([]Answer, len(to))
	if len(from) > 0 {
		if err := f.search(ctx); err != nil {
			return nil, err
		}
	}
	for i, p := range to {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		out[i] = Answer{Index: -1, Seconds: math.Inf(1)}
		if len(from) > 0 {
			out[i] = f.first(p)
		}
	}
	return out, nil
}

// firsts is one call of Soonest.
type firsts struct {
	*Graph
	from    []start
	reached []first // by node
	wheel   wheel
	beyond  map[int32]map[int32]bool // by set of nodes that reach each other: the sets one gets to from there
}

// start is an origin and the stretches it may leave by.
type start struct {
	place geo.WGS84
	v     [3]float64 // on the unit sphere
	found [2]snap
	n     int
}

// first is who is at a node first.
type first struct {
	seconds, metres float64
	origin          int32
}

// before reports whether an origin that takes so long comes before f's.
func (f first) before(seconds float64, origin int32) bool {
	return f.seconds < seconds || f.seconds == seconds && f.origin <= origin
}

func (f *firsts) search(ctx context.Context) error {
	f.reached = make([]first, f.nodes)
	for i := range f.reached {
		f.reached[i].seconds = math.Inf(1)
	}
	for i := range f.from {
		o := &f.from[i]
		for _, s := range o.found[:o.n] {
			t := &f.stretches[s.stretch]
			seconds, metres := f.offRoad(s.off)
			rest := t.metres - s.at
			f.reach(t.to, first{seconds + rest*t.pace, metres + rest, int32(i)})
			if !t.oneway || s.at == 0 {
				f.reach(t.from, first{seconds + s.at*t.pace, metres + s.at, int32(i)})
			}
		}
	}
	out := f.outward()
	for more := true; more; more = f.wheel.turn() {
		if err := ctx.Err(); err != nil {
			return err
		}
		for x, ok := f.wheel.pop(); ok; x, ok = f.wheel.pop() {
			at := f.reached[x.node]
			if x.seconds > at.seconds {
				continue // a better way was found meanwhile
			}
			for _, a := range out.arcs[out.begin[x.node]:out.begin[x.node+1]] {
				f.reach(a.from, first{at.seconds + float64(a.seconds), at.metres + float64(a.metres), at.origin})
			}
		}
	}
	return nil
}

func (f *firsts) reach(node int32, way first) {
	if !f.reached[node].before(way.seconds, way.origin) {
		f.reached[node] = way
		f.wheel.push(item{way.seconds, 0, node})
	}
}

// first is the answer for one place.
func (f *firsts) first(to geo.WGS84) Answer {
	best := Answer{Index: -1, Seconds: math.Inf(1)}
	offer := func(i int, seconds, metres float64, by By, why Why) {
		if seconds < best.Seconds || seconds == best.Seconds && i < best.Index {
			best = Answer{i, seconds, metres, by, why}
		}
	}
	goals, n := f.snaps(to)
	for _, s := range goals[:n] {
		last, bit := f.offRoad(s.off)
		f.entries(s, func(node int32, along float64) {
			if at := f.reached[node]; !math.IsInf(at.seconds, 1) {
				pace := f.stretches[s.stretch].pace
				offer(int(at.origin), at.seconds+along*pace+last, at.metres+along+bit, ByRoad, WhyRoad)
			}
		})
	}
	v := onSphere(to)
	perMetre := f.rules.Factor * 3.6 / f.rules.LineKmh
	for i := range f.from {
		o := &f.from[i]
		least := geo.EarthRadius * chord(v, o.v) * (1 - 1e-9) // never more than the distance
		straight := func(why Why) {
			metres := geo.Distance(o.place, to)
			offer(i, metres*perMetre, metres*f.rules.Factor, ByLine, why)
		}
		switch {
		case n == 0 || o.n == 0:
			if least*perMetre <= best.Seconds {
				straight(f.whyLine(n))
			}
		case f.beside(i, to, goals[:n], least, offer):
			// there is a way
		case least*perMetre <= best.Seconds && f.cutOff(o, goals[:n]):
			straight(WhyNoWay)
		}
	}
	return best
}

// whyLine is why there is only a line between a place with so many goals and an origin,
// one of which is far from any road.
func (f *firsts) whyLine(goals int) Why {
	switch {
	case len(f.pieces) == 0:
		return WhyNoRoads
	case goals == 0:
		return WhyPlaceFar
	}
	return WhyOriginFar
}

// beside offers the ways that pass no node: along one stretch, and beside the roads
// where the two are closer to each other than to them. It reports whether there is any.
func (f *firsts) beside(i int, to geo.WGS84, goals []snap, least float64, offer func(int, float64, float64, By, Why)) (any bool) {
	o := &f.from[i]
	for _, s := range o.found[:o.n] {
		for _, goal := range goals {
			t := &f.stretches[s.stretch]
			if goal.stretch != s.stretch || t.oneway && goal.at < s.at-same {
				continue
			}
			seconds, metres := f.offRoad(s.off)
			last, bit := f.offRoad(goal.off)
			along := math.Abs(goal.at - s.at)
			offer(i, seconds+along*t.pace+last, metres+along+bit, ByRoad, WhyRoad)
			any = true
		}
	}
	if off := o.found[0].off + goals[0].off; least < off {
		if apart := geo.Distance(o.place, to); apart < off {
			seconds, metres := f.offRoad(apart)
			offer(i, seconds, metres, ByLine, WhyClose)
			any = true
		}
	}
	return any
}

// entries are the nodes from which one comes to a place on a stretch, and how many
// metres are left from there.
func (g *Graph) entries(s snap, each func(node int32, along float64)) {
	t := &g.stretches[s.stretch]
	each(t.from, s.at)
	if rest := t.metres - s.at; !t.oneway || rest == 0 {
		each(t.to, rest)
	}
}

// cutOff reports whether no road leads from the origin's nodes to any of the goals'.
func (f *firsts) cutOff(o *start, goals []snap) bool {
	if f.main[o.found[o.n-1].stretch] && f.main[goals[len(goals)-1].stretch] {
		return false // the main net's nodes reach each other
	}
	cut := true
	for _, s := range o.found[:o.n] {
		t := &f.stretches[s.stretch]
		ends := []int32{t.to}
		if !t.oneway || s.at == 0 {
			ends = append(ends, t.from)
		}
		for _, end := range ends {
			sets := f.setsFrom(end)
			for _, goal := range goals {
				f.entries(goal, func(node int32, _ float64) { cut = cut && !sets[f.set[node]] })
			}
		}
	}
	return cut
}

// setsFrom is the sets of nodes that one gets to from a node.
func (f *firsts) setsFrom(node int32) map[int32]bool {
	if sets, known := f.beyond[f.set[node]]; known {
		return sets
	}
	sets, seen := map[int32]bool{f.set[node]: true}, make([]bool, f.nodes)
	seen[node] = true
	out := f.outward()
	for open := []int32{node}; len(open) > 0; {
		n := open[len(open)-1]
		open = open[:len(open)-1]
		for _, a := range out.arcs[out.begin[n]:out.begin[n+1]] {
			if !seen[a.from] {
				seen[a.from], sets[f.set[a.from]] = true, true
				open = append(open, a.from)
			}
		}
	}
	f.beyond[f.set[node]] = sets
	return sets
}

// outward is the arcs the other way round: those that lead out of node n are
// arcs[begin[n]:begin[n+1]], and from is where they lead to.
type outward struct {
	begin []int32
	arcs  []arc
}

// outward is made when it is first asked for.
func (g *Graph) outward() *outward {
	g.outOnce.Do(func() {
		o := &outward{begin: make([]int32, g.nodes+1), arcs: make([]arc, len(g.arcs))}
		for _, a := range g.arcs {
			o.begin[a.from+1]++
		}
		for n := range g.nodes {
			o.begin[n+1] += o.begin[n]
		}
		free := append([]int32(nil), o.begin...)
		for n := range int32(g.nodes) {
			for _, a := range g.arcs[g.begin[n]:g.begin[n+1]] {
				o.arcs[free[a.from]] = arc{n, a.metres, a.seconds}
				free[a.from]++
			}
		}
		g.out = o
	})
	return g.out
}

func onSphere(p geo.WGS84) [3]float64 {
	const rad = math.Pi / 180
	sLat, cLat := math.Sincos(p[1] * rad)
	sLon, cLon := math.Sincos(p[0] * rad)
	return [3]float64{cLat * cLon, cLat * sLon, sLat}
}

func chord(a, b [3]float64) float64 {
	x, y, z := a[0]-b[0], a[1]-b[1], a[2]-b[2]
	return math.Sqrt(x*x + y*y + z*z)
}
