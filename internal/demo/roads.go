// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"container/heap"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/paulmach/orb"
)

// Road is one edge of the road net, from one crossing or bend to the next. Edges
// that meet share the very same end.
type Road struct {
	ExtID  string
	Name   string
	Class  string // trunk, primary, secondary, track
	Oneway bool
	Line   orb.LineString // WGS-84
}

// classes from the least road to the greatest.
var classes = []string{"track", "secondary", "primary", "trunk"}

// streets is the little net of a seat: rows of crossings, blocks between them.
type streets struct {
	cross [][]xy
	block float64 // kilometres
}

// link joins the middles of two neighbouring leaves.
type link struct {
	a, b  int
	km    float64
	class int
	name  string
	line  []xy
}

// edgeLength is about how long an edge of the net is, kilometres.
const edgeLength = 1.9

// buildRoads lays the net: neighbouring leaves are linked so that no two links
// cross (a Gabriel graph, which is connected); ways between the seats make some
// of them trunk or primary roads, ways from the villages to their seat
// secondary ones, the rest are tracks. Each seat gets streets.
func (b *Banner) buildRoads() {
	r := stream(b.Seed, "roads", 0)
	n := newRoadNet(b.leaves)
	b.classify(n)
	for i := range n.links {
		l := &n.links[i]
		if l.name == "" {
			l.name = fmt.Sprintf("演示牧道%d", i+1)
		}
		l.line = wander(r, b.leaves[l.a].centre, b.leaves[l.b].centre, 0.09, 0.4)
		b.addRoad(*l)
	}
	for i := range b.towns {
		b.buildStreets(r, i)
	}
}

// addRoad cuts a link into edges.
func (b *Banner) addRoad(l link) {
	pieces := max(1, int(math.Round(l.km/edgeLength)))
	points := len(l.line) - 1
	pieces = min(pieces, points)
	for k := range pieces {
		var line orb.LineString
		for _, q := range l.line[k*points/pieces : (k+1)*points/pieces+1] {
			line = append(line, q.place())
		}
		b.Roads = append(b.Roads, Road{
			ExtID: fmt.Sprintf("demo-road-%05d", len(b.Roads)+1), Name: l.name, Class: classes[l.class], Line: line,
		})
	}
}

// classify raises the links along the important ways.
func (b *Banner) classify(n *roadNet) {
	const track, secondary, primary, trunk = 0, 1, 2, 3
	name := 0
	raise := func(from, to, class int) {
		name++
		for _, i := range n.way(from, to) {
			l := &n.links[i]
			if l.class < class {
				l.class = class
				l.name = "演示" + chinese(name) + "路"
			}
		}
	}
	seat := b.towns[bannerSeat].leaf
	for i := range b.towns {
		if i != bannerSeat {
			raise(seat, b.towns[i].leaf, trunk)
		}
	}
	for i := range b.towns {
		for j := range i {
			raise(b.towns[i].leaf, b.towns[j].leaf, primary)
		}
	}
	for _, v := range b.villages {
		raise(v.leaf, b.towns[v.town].leaf, secondary)
	}
}

// buildStreets lays crossing streets round the seat of town t; its middle
// crossing is the middle of the leaf, where the country roads end.
func (b *Banner) buildStreets(r *rand.Rand, t int) {
	size, block := 5, 0.28
	if t == bannerSeat {
		size, block = 9, 0.32
	}
	turn := r.Float64() * math.Pi / 2
	sin, cos := math.Sincos(turn)
	c := b.towns[t].centre
	cross := make([][]xy, size)
	for i := range cross {
		for j := range size {
			u, v := float64(i-size/2)*block, float64(j-size/2)*block
			q := xy{c.x + u*cos - v*sin, c.y + u*sin + v*cos}
			if i != size/2 || j != size/2 {
				q = q.scatter(r, 0.012)
			}
			cross[i] = append(cross[i], q)
		}
	}
	b.towns[t].streets = streets{cross, block}
	side := string([]rune(b.towns[t].name)[1:2])
	for i := range size {
		for j := range size {
			if i+1 < size {
				b.addStreet(cross[i][j], cross[i+1][j], "演示"+side+chinese(j+1)+"街", j == size/2)
			}
			if j+1 < size {
				b.addStreet(cross[i][j], cross[i][j+1], "演示"+side+"横"+chinese(i+1)+"街", i == size/2)
			}
		}
	}
}

func (b *Banner) addStreet(p, q xy, name string, main bool) {
	class := 1
	if main {
		class = 2
	}
	b.addRoad(link{km: p.dist(q), class: class, name: name, line: []xy{p, q}})
}

// roadNet is the graph of links between leaves.
type roadNet struct {
	links []link
	at    [][]int // by leaf: its links
}

func newRoadNet(leaves []leaf) *roadNet {
	n := &roadNet{at: make([][]int, len(leaves))}
	for i, a := range leaves {
		for j := range i {
			c := leaves[j]
			d := a.centre.dist(c.centre)
			mid := a.centre.toward(c.centre, 0.5)
			alone := true
			for k, o := range leaves {
				if k != i && k != j && o.centre.dist(mid) < d/2 {
					alone = false
					break
				}
			}
			if alone {
				n.at[i] = append(n.at[i], len(n.links))
				n.at[j] = append(n.at[j], len(n.links))
				n.links = append(n.links, link{a: j, b: i, km: d})
			}
		}
	}
	return n
}

// way is the list of links of the shortest way, better roads counting as
// shorter, so that ways run together.
func (n *roadNet) way(from, to int) []int {
	cost := make([]float64, len(n.at))
	by := make([]int, len(n.at))
	for i := range cost {
		cost[i], by[i] = math.Inf(1), -1
	}
	cost[from] = 0
	q := &queue{{from, 0}}
	for q.Len() > 0 {
		s := heap.Pop(q).(stop)
		if s.leaf == to {
			break
		}
		if s.cost > cost[s.leaf] {
			continue
		}
		for _, i := range n.at[s.leaf] {
			l := n.links[i]
			next := l.a + l.b - s.leaf
			if c := s.cost + l.km*(1-0.15*float64(l.class)); c < cost[next] {
				cost[next], by[next] = c, i
				heap.Push(q, stop{next, c})
			}
		}
	}
	var out []int
	for at := to; at != from && by[at] >= 0; {
		l := n.links[by[at]]
		out = append(out, by[at])
		at = l.a + l.b - at
	}
	return out
}

// stop is a leaf reached at a cost; queue is a heap of them, cheapest first.
type stop struct {
	leaf int
	cost float64
}

type queue []stop

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].cost < q[j].cost }
func (q queue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(x any)        { *q = append(*q, x.(stop)) }
func (q *queue) Pop() any {
	old := *q
	s := old[len(old)-1]
	*q = old[:len(old)-1]
	return s
}
