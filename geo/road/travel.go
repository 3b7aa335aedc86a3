// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package road

import (
	"cmp"
	"math"
	"slices"

	"onemap/geo"
)

// TravelTimes says how long it takes from each of the origins to one place: the k
// quickest, soonest first (equal ones in the order given), or all when k is not
// above zero. Every origin has an answer, by road or by line.
//
// It is one search by Dijkstra's algorithm from the place against the traffic,
// which ends as soon as the k quickest are certain.
func (g *Graph) TravelTimes(to geo.WGS84, from []geo.WGS84, k int) []Answer {
	if k <= 0 || k > len(from) {
		k = len(from)
	}
	if k == 0 {
		return nil
	}
	q := query{Graph: g, to: to, from: from}
	q.goals, q.nGoals = g.snaps(to)
	if q.nGoals == 0 {
		why := WhyPlaceFar
		if len(g.pieces) == 0 {
			why = WhyNoRoads
		}
		for i := range from {
			q.line(i, why)
		}
		return q.quickest(k)
	}
	q.s, _ = g.scratch.Get().(*scratch)
	if q.s == nil {
		q.s = &scratch{seconds: make([]float64, g.nodes), exit: make([]int32, g.nodes)}
	}
	defer g.scratch.Put(q.s)
	q.s.clear()
	q.begin()
	q.search(k)
	for i, o := range q.origins {
		switch {
		case o.state == reached:
			q.answers = append(q.answers, Answer{i, o.seconds, o.metres, o.by, o.why})
		case o.state == waiting && o.doubtful: // the others are merely later than the k quickest
			q.line(i, WhyNoWay)
		}
	}
	return q.quickest(k)
}

// query is one call of TravelTimes.
type query struct {
	*Graph
	to      geo.WGS84
	from    []geo.WGS84
	goals   [2]snap
	nGoals  int
	s       *scratch
	origins []origin
	doubts  int // origins that are waiting and may turn out to have no way
	answers []Answer
}

// origin is how far the search is with one of them.
type origin struct {
	state    state
	doubtful bool
	seconds  float64 // of the best way known
	metres   float64
	by       By // "" while no way is known
	why      Why
}

type state uint8

const (
	waiting state = iota
	reached       // its way is among the quickest
	lined         // answered by a straight line
)

// scratch is what a search writes on, kept for the next one.
type scratch struct {
	seconds []float64 // by node: of the best way known
	exit    []int32   // by node: the first of its exits, counted from 1; 0 for none
	exits   []exit
	wheel   wheel
}

func (s *scratch) clear() {
	for i := range s.seconds {
		s.seconds[i] = math.Inf(1)
	}
	clear(s.exit)
	s.exits = s.exits[:0]
	s.wheel.clear()
}

// exit is a way for an origin to reach a node.
type exit struct {
	next, origin    int32
	seconds, metres float64
}

// offRoad is a straight bit of way beside the roads.
func (g *Graph) offRoad(metres float64) (seconds, length float64) {
	length = metres * g.rules.Factor
	return length * 3.6 / g.rules.OffKmh, length
}

// line answers that the whole way is a straight line.
func (q *query) line(i int, why Why) {
	metres := geo.Distance(q.from[i], q.to) * q.rules.Factor
	q.answers = append(q.answers, Answer{i, metres * 3.6 / q.rules.LineKmh, metres, ByLine, why})
}

// quickest sorts the answers and returns the first k.
func (q *query) quickest(k int) []Answer {
	slices.SortFunc(q.answers, func(a, b Answer) int { return cmp.Or(cmp.Compare(a.Seconds, b.Seconds), cmp.Compare(a.Index, b.Index)) })
	return q.answers[:k]
}

// begin puts the place's own nodes, and what is known of the origins without any
// search, where the search finds them.
func (q *query) begin() {
	for _, s := range q.goals[:q.nGoals] {
		t := &q.stretches[s.stretch]
		seconds, metres := q.offRoad(s.off)
		q.reach(t.from, seconds+s.at*t.pace, metres+s.at)
		if rest := t.metres - s.at; !t.oneway || rest == 0 {
			q.reach(t.to, seconds+rest*t.pace, metres+rest)
		}
	}
	q.origins = make([]origin, len(q.from))
	for i, p := range q.from {
		found, n := q.snaps(p)
		if n == 0 {
			q.origins[i].state = lined
			q.line(i, WhyOriginFar)
			continue
		}
		// The main net's nodes reach each other: with a goal and an origin on it there
		// is a way.
		q.origins[i].doubtful = !q.main[found[n-1].stretch] || !q.main[q.goals[q.nGoals-1].stretch]
		if q.origins[i].doubtful {
			q.doubts++
		}
		for _, s := range found[:n] {
			q.leave(int32(i), s)
		}
		if apart := geo.Distance(p, q.to); apart < found[0].off+q.goals[0].off {
			seconds, metres := q.offRoad(apart)
			q.offer(int32(i), seconds, metres, ByLine, WhyClose)
		}
	}
}

// leave notes how an origin gets from its stretch to the nodes at its ends, and to
// a goal on the same stretch.
func (q *query) leave(i int32, s snap) {
	t := &q.stretches[s.stretch]
	seconds, metres := q.offRoad(s.off)
	note := func(node int32, along float64) {
		q.s.exits = append(q.s.exits, exit{q.s.exit[node], i, seconds + along*t.pace, metres + along})
		q.s.exit[node] = int32(len(q.s.exits))
	}
	note(t.to, t.metres-s.at)
	if !t.oneway || s.at == 0 {
		note(t.from, s.at)
	}
	for _, goal := range q.goals[:q.nGoals] {
		if goal.stretch != s.stretch || t.oneway && goal.at < s.at-same {
			continue
		}
		along := max(goal.at-s.at, s.at-goal.at)
		last, bit := q.offRoad(goal.off)
		q.offer(i, seconds+along*t.pace+last, metres+along+bit, ByRoad, WhyRoad)
	}
}

// reach notes a way from a node to the place.
func (q *query) reach(node int32, seconds, metres float64) {
	if seconds < q.s.seconds[node] {
		q.s.seconds[node] = seconds
		q.s.wheel.push(item{seconds, float32(metres), node})
	}
}

// offer notes a way from an origin to the place.
func (q *query) offer(i int32, seconds, metres float64, by By, why Why) {
	if o := &q.origins[i]; o.by == "" || seconds < o.seconds {
		o.seconds, o.metres, o.by, o.why = seconds, metres, by, why
		q.s.wheel.push(item{seconds, float32(metres), -1 - i})
	}
}

// search runs until k origins are reached and no other can come before them. What
// is better than something of the slot at hand is of that slot too: once a slot is
// empty, all it held is final.
func (q *query) search(k int) {
	done, w := 0, &q.s.wheel
	for more := true; more && done < len(q.origins) && (done < k || q.doubts > 0); more = w.turn() {
		for x, ok := w.pop(); ok; x, ok = w.pop() {
			if x.node >= 0 {
				q.relax(x)
				continue
			}
			if o := &q.origins[-1-x.node]; o.state == waiting {
				o.state = reached
				done++
				if o.doubtful {
					q.doubts--
				}
			}
		}
	}
}

// relax passes a node's way on to the nodes before it, and to the origins that
// leave by it.
func (q *query) relax(x item) {
	if x.seconds > q.s.seconds[x.node] {
		return // a better way was found meanwhile
	}
	metres := float64(x.metres)
	for e := q.s.exit[x.node]; e != 0; e = q.s.exits[e-1].next {
		out := &q.s.exits[e-1]
		q.offer(out.origin, x.seconds+out.seconds, metres+out.metres, ByRoad, WhyRoad)
	}
	for _, a := range q.arcs[q.Graph.begin[x.node]:q.Graph.begin[x.node+1]] {
		q.reach(a.from, x.seconds+float64(a.seconds), metres+float64(a.metres))
	}
}
