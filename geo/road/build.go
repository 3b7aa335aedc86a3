// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package road

import (
	"math"
	"sync"

	"github.com/paulmach/orb"

	"onemap/geo"
)

// Graph is a net of roads, ready to be searched. It never changes and may be used
// from several goroutines at once.
type Graph struct {
	rules     Rules
	nodes     int
	stretches []stretch
	pieces    []piece
	squares   squares
	// The arcs that lead into node n are arcs[begin[n]:begin[n+1]].
	begin   []int32
	arcs    []arc
	main    []bool  // by stretch: part of the main net
	set     []int32 // by node: which set of nodes that all reach each other
	left    int
	scratch sync.Pool // of *scratch
	outOnce sync.Once
	out     *outward // see Soonest
}

// stretch is a road between two nodes without a node in between.
type stretch struct {
	from, to int32
	oneway   bool
	metres   float64
	pace     float64 // seconds a metre
}

// arc leads from a node to the one whose list it is in.
type arc struct {
	from            int32
	metres, seconds float32
}

// vertex is a place in units of 1e-7 degree: places that are one vertex are equal.
type vertex [2]int32

const unit = 1e-7

func (v vertex) place() geo.WGS84 { return geo.WGS84{float64(v[0]) * unit, float64(v[1]) * unit} }

func vertexOf(p orb.Point) vertex {
	return vertex{int32(math.Round(p[0] / unit)), int32(math.Round(p[1] / unit))}
}

// Build makes a graph. Segments that cannot be driven are left out and counted
// (see Stats): of less than two different places, with a place that is none on
// earth, or slower than 1 km/h.
//
//	    a           a segment is cut wherever another one, or the same one again,
//	    |           has a vertex: b is a node, and so are the ends a, c, d; the
//	c---b--.--d     bend between b and d is none
func Build(segments []Segment, rules Rules) *Graph {
	b := builder{Graph: &Graph{rules: rules}, ids: map[vertex]int32{}}
	for _, s := range segments {
		b.read(s)
	}
	b.cut()
	b.link()
	b.markMain()
	b.squares = newSquares(b.pieces)
	return b.Graph
}

// builder is a Graph in the making.
type builder struct {
	*Graph
	lines []line
	ids   map[vertex]int32
	uses  []uint8 // of each vertex: 2 or more make it a node
	node  []int32 // of each vertex; -1 for a bend
}

// line is a segment without points that repeat.
type line struct {
	Segment
	points []vertex
	ids    []int32
}

// read takes in a segment and counts the uses of its vertices.
func (b *builder) read(s Segment) {
	l := line{Segment: s}
	good := s.Kmh >= 1 && !math.IsInf(s.Kmh, 0)
	for _, p := range s.Line {
		if good = good && geo.OnEarth(p); !good {
			break
		}
		if v := vertexOf(p); len(l.points) == 0 || v != l.points[len(l.points)-1] {
			l.points = append(l.points, v)
		}
	}
	if !good || len(l.points) < 2 {
		b.left++
		return
	}
	for i, v := range l.points {
		id, known := b.ids[v]
		if !known {
			id = int32(len(b.uses))
			b.ids[v] = id
			b.uses = append(b.uses, 0)
		}
		l.ids = append(l.ids, id)
		b.uses[id] = min(b.uses[id]+1, 2)
		if i == 0 || i == len(l.points)-1 {
			b.uses[id] = 2
		}
	}
	b.lines = append(b.lines, l)
}

// cut makes stretches and pieces of the lines.
func (b *builder) cut() {
	b.node = make([]int32, len(b.uses))
	for i, n := range b.uses {
		b.node[i] = -1
		if n > 1 {
			b.node[i] = int32(b.nodes)
			b.nodes++
		}
	}
	for _, l := range b.lines {
		s := stretch{from: b.node[l.ids[0]], oneway: l.Oneway, pace: 3.6 / l.Kmh}
		for i := 1; i < len(l.points); i++ {
			metres := geo.Distance(l.points[i-1].place(), l.points[i].place())
			b.pieces = append(b.pieces, piece{a: l.points[i-1], b: l.points[i], stretch: int32(len(b.stretches)), at: float32(s.metres), metres: float32(metres)})
			s.metres += metres
			if n := b.node[l.ids[i]]; n >= 0 {
				s.to = n
				b.stretches = append(b.stretches, s)
				s.from, s.metres = n, 0
			}
		}
	}
}

// link lays the arcs of every node one behind the other.
func (b *builder) link() {
	b.begin = make([]int32, b.nodes+1)
	each := func(visit func(from, into int32, s *stretch)) {
		for i := range b.stretches {
			s := &b.stretches[i]
			if s.from == s.to {
				continue // a loop leads nowhere else
			}
			visit(s.from, s.to, s)
			if !s.oneway {
				visit(s.to, s.from, s)
			}
		}
	}
	each(func(_, into int32, _ *stretch) { b.begin[into+1]++ })
	for n := range b.nodes {
		b.begin[n+1] += b.begin[n]
	}
	b.arcs = make([]arc, b.begin[b.nodes])
	free := append([]int32(nil), b.begin...)
	each(func(from, into int32, s *stretch) {
		b.arcs[free[into]] = arc{from, float32(s.metres), float32(s.metres * s.pace)}
		free[into]++
	})
}

// Stats describe a graph.
type Stats struct {
	Nodes, Stretches int
	Metres           float64 // of all stretches
	MainMetres       float64 // of the main net, in which every place is reached from every other
	Left             int     // segments left out
}

// Stats counts what the graph consists of.
func (g *Graph) Stats() Stats {
	st := Stats{Nodes: g.nodes, Stretches: len(g.stretches), Left: g.left}
	for i, s := range g.stretches {
		st.Metres += s.metres
		if g.main[i] {
			st.MainMetres += s.metres
		}
	}
	return st
}

// Rules are those the graph was built with.
func (g *Graph) Rules() Rules { return g.rules }
