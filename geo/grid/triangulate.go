// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package grid

import (
	"errors"
	"math"

	"github.com/paulmach/orb"

	"onemap/geo"
)

// net is a triangulation whose orientation tests are exact. Its triangles turn
// counter-clockwise; nbr[t][i] lies across the edge opposite corner i.
//
//	      c
//	     / \
//	nb  /   \  na      tri = {a, b, c}
//	   /  t  \         nbr = {na, nb, nc}
//	  a-------b
//	     nc
//
// The first three points are the corners of a triangle round everything.
type net struct {
	pts   []orb.Point
	kx    float64 // a degree of longitude in degrees of latitude
	tri   [][3]int32
	nbr   [][3]int32
	at    []int32 // a triangle of each point
	fixed map[[2]int32]bool
	last  int32
}

var errTangled = errors.New("the triangulation of the outline does not close")

func newNet(b orb.Bound, kx float64) *net {
	c := b.Center()
	r := 20 * max(b.Max[0]-b.Min[0], b.Max[1]-b.Min[1])
	return &net{
		pts:   []orb.Point{{c[0] - r, c[1] - r}, {c[0] + r, c[1] - r}, {c[0], c[1] + r}},
		kx:    kx,
		tri:   [][3]int32{{0, 1, 2}},
		nbr:   [][3]int32{{-1, -1, -1}},
		at:    []int32{0, 0, 0},
		fixed: map[[2]int32]bool{},
	}
}

func edgeKey(a, b int32) [2]int32 { return [2]int32{min(a, b), max(a, b)} }

// insert adds p and returns its number; a point already there keeps its number.
func (n *net) insert(p orb.Point) (int32, error) {
	t, ok := n.find(p)
	if !ok {
		return 0, errTangled
	}
	on := -1
	for i := range 3 {
		if n.pts[n.tri[t][i]] == p {
			return n.tri[t][i], nil
		}
		if geo.Orient(n.pts[n.tri[t][(i+1)%3]], n.pts[n.tri[t][(i+2)%3]], p) == 0 {
			on = i
		}
	}
	v := int32(len(n.pts))
	n.pts = append(n.pts, p)
	n.at = append(n.at, t)
	parts := n.split(t, v)
	stack := parts[:]
	if on >= 0 { // the part across edge on is flat: turn its edge first
		flat := parts[(on+1)%3]
		u := n.nbr[flat][2]
		n.flip(flat, 2)
		stack = append(stack, u)
	}
	n.legalise(stack, v)
	return v, nil
}

// find walks to the triangle that holds p.
func (n *net) find(p orb.Point) (int32, bool) {
	t := n.last
walk:
	for step := 0; step < 4*len(n.tri)+10; step++ {
		for k := range 3 {
			i := (k + step) % 3 // another first edge each time, so that the walk cannot circle
			if geo.Orient(n.pts[n.tri[t][(i+1)%3]], n.pts[n.tri[t][(i+2)%3]], p) < 0 {
				if t = n.nbr[t][i]; t < 0 {
					return 0, false
				}
				continue walk
			}
		}
		n.last = t
		return t, true
	}
	return 0, false
}

// split puts v into t and returns the three parts: across corner c (edge a-b),
// across a and across b. In each, v is the corner 2.
func (n *net) split(t, v int32) [3]int32 {
	a, b, c := n.tri[t][0], n.tri[t][1], n.tri[t][2]
	na, nb, nc := n.nbr[t][0], n.nbr[t][1], n.nbr[t][2]
	t1, t2 := int32(len(n.tri)), int32(len(n.tri)+1)
	n.tri[t], n.nbr[t] = [3]int32{a, b, v}, [3]int32{t1, t2, nc}
	n.tri = append(n.tri, [3]int32{b, c, v}, [3]int32{c, a, v})
	n.nbr = append(n.nbr, [3]int32{t2, t, na}, [3]int32{t, t1, nb})
	n.relink(na, t, t1)
	n.relink(nb, t, t2)
	n.at[a], n.at[b], n.at[c], n.at[v] = t, t, t1, t
	return [3]int32{t, t1, t2}
}

// relink tells u that its neighbour from is now to.
func (n *net) relink(u, from, to int32) {
	if u < 0 {
		return
	}
	for i := range 3 {
		if n.nbr[u][i] == from {
			n.nbr[u][i] = to
			return
		}
	}
}

// across returns the triangle opposite corner i of t and its far corner's place.
func (n *net) across(t int32, i int) (u int32, j int) {
	u = n.nbr[t][i]
	if u < 0 {
		return u, 0
	}
	for j = range 3 {
		if n.nbr[u][j] == t {
			break
		}
	}
	return u, j
}

// flip turns the edge b-c of t = (a, b, c) and u = (d, c, b) into a-d:
// t becomes (a, b, d), u becomes (a, d, c).
func (n *net) flip(t int32, i int) {
	u, j := n.across(t, i)
	a, b, c, d := n.tri[t][i], n.tri[t][(i+1)%3], n.tri[t][(i+2)%3], n.tri[u][j]
	tb, tc := n.nbr[t][(i+1)%3], n.nbr[t][(i+2)%3]
	uc, ub := n.nbr[u][(j+1)%3], n.nbr[u][(j+2)%3]
	n.tri[t], n.nbr[t] = [3]int32{a, b, d}, [3]int32{uc, u, tc}
	n.tri[u], n.nbr[u] = [3]int32{a, d, c}, [3]int32{ub, tb, t}
	n.relink(uc, u, t)
	n.relink(tb, t, u)
	n.at[a], n.at[b], n.at[d], n.at[c] = t, t, t, u
}

// convex says whether flipping leaves two proper triangles.
func (n *net) convex(t int32, i int) bool {
	u, j := n.across(t, i)
	if u < 0 {
		return false
	}
	a, b, c, d := n.pts[n.tri[t][i]], n.pts[n.tri[t][(i+1)%3]], n.pts[n.tri[t][(i+2)%3]], n.pts[n.tri[u][j]]
	return geo.Orient(a, b, d) > 0 && geo.Orient(a, d, c) > 0
}

// legalise turns edges opposite v until the triangles round it are Delaunay.
func (n *net) legalise(stack []int32, v int32) {
	for len(stack) > 0 {
		t := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		for i := range 3 {
			if n.tri[t][i] == v && n.wantsFlip(t, i) {
				u := n.nbr[t][i]
				n.flip(t, i)
				stack = append(stack, t, u)
				break
			}
		}
	}
}

// wantsFlip says whether the far corner across corner i of t lies well inside
// the circle round t, and the edge may be turned.
func (n *net) wantsFlip(t int32, i int) bool {
	u, j := n.across(t, i)
	if u < 0 || n.fixed[edgeKey(n.tri[t][(i+1)%3], n.tri[t][(i+2)%3])] {
		return false
	}
	d := n.pts[n.tri[u][j]]
	var x, y, q [3]float64
	for k := range 3 {
		p := n.pts[n.tri[t][k]]
		x[k], y[k] = (p[0]-d[0])*n.kx, p[1]-d[1]
		q[k] = x[k]*x[k] + y[k]*y[k]
	}
	det, size := 0.0, 0.0
	for k := range 3 {
		l, m := (k+1)%3, (k+2)%3
		v := q[k] * (x[l]*y[m] - x[m]*y[l])
		det += v
		size += math.Abs(v)
	}
	return det > 1e-9*size && n.convex(t, i)
}

// round calls visit with each triangle at v and v's corner in it, counter-
// clockwise, until it returns false.
func (n *net) round(v int32, visit func(t int32, i int) bool) {
	t := n.at[v]
	for range n.tri {
		i := n.corner(t, v)
		if i < 0 || !visit(t, i) {
			return
		}
		if t = n.nbr[t][(i+1)%3]; t < 0 || t == n.at[v] {
			return
		}
	}
}

func (n *net) corner(t, v int32) int {
	for i := range 3 {
		if n.tri[t][i] == v {
			return i
		}
	}
	return -1
}

// edge finds the triangle in which y follows x, and the corner opposite.
func (n *net) edge(x, y int32) (tri int32, opposite int, ok bool) {
	n.round(x, func(t int32, i int) bool {
		if n.tri[t][(i+1)%3] == y {
			tri, opposite, ok = t, (i+2)%3, true
		}
		return !ok
	})
	return tri, opposite, ok
}

// constrain makes the straight way from a to b an edge, or a chain of edges
// where points lie on it, and fixes it.
func (n *net) constrain(a, b int32) error {
	for a != b {
		target, crossed, err := n.ahead(a, b)
		if err != nil {
			return err
		}
		if err := n.clear(a, target, crossed); err != nil {
			return err
		}
		n.fixed[edgeKey(a, target)] = true
		a = target
	}
	return nil
}

// ahead walks from a towards b. It returns the first point met on the way and
// the edges crossed before it.
func (n *net) ahead(a, b int32) (target int32, crossed [][2]int32, err error) {
	pa, pb := n.pts[a], n.pts[b]
	t, right, left := int32(-1), int32(-1), int32(-1)
	target = -1
	n.round(a, func(u int32, i int) bool {
		r, l := n.tri[u][(i+1)%3], n.tri[u][(i+2)%3]
		side := geo.Orient(pa, pb, n.pts[r])
		switch {
		case r == b, side == 0 && forward(pa, pb, n.pts[r]):
			target = r
			return false
		case side < 0 && geo.Orient(pa, pb, n.pts[l]) > 0:
			t, right, left = n.nbr[u][i], r, l
		}
		return true
	})
	if target >= 0 {
		return target, nil, nil
	}
	for t >= 0 && len(crossed) <= len(n.tri) {
		crossed = append(crossed, [2]int32{right, left})
		far := n.far(t, right, left)
		if far == b {
			return b, crossed, nil
		}
		next := n.corner(t, right)
		switch geo.Orient(pa, pb, n.pts[far]) {
		case 0:
			return far, crossed, nil
		case 1:
			next = n.corner(t, left)
			left = far
		default:
			right = far
		}
		t = n.nbr[t][next]
	}
	return 0, nil, errTangled
}

func forward(a, b, p orb.Point) bool {
	return (b[0]-a[0])*(p[0]-a[0])+(b[1]-a[1])*(p[1]-a[1]) > 0
}

// far is the corner of t that is neither x nor y.
func (n *net) far(t, x, y int32) int32 {
	for _, v := range n.tri[t] {
		if v != x && v != y {
			return v
		}
	}
	return -1
}

// clear turns the crossed edges away until a-b is an edge.
func (n *net) clear(a, b int32, crossed [][2]int32) error {
	for tries := 0; len(crossed) > 0; tries++ {
		if tries > 1000*(len(crossed)+10) {
			return errTangled
		}
		e := crossed[0]
		crossed = crossed[1:]
		t, i, ok := n.edge(e[0], e[1])
		if !ok {
			return errTangled
		}
		if !n.convex(t, i) {
			crossed = append(crossed, e)
			continue
		}
		u, j := n.across(t, i)
		p, q := n.tri[t][i], n.tri[u][j]
		n.flip(t, i)
		if p == a || p == b || q == a || q == b {
			continue
		}
		if geo.Orient(n.pts[a], n.pts[b], n.pts[p])*geo.Orient(n.pts[a], n.pts[b], n.pts[q]) < 0 {
			crossed = append(crossed, [2]int32{p, q})
		}
	}
	return nil
}

// relax turns free edges until all triangles are Delaunay, or nearly.
func (n *net) relax() {
	for range 20 {
		turned := false
		for t := range n.tri {
			for i := range 3 {
				if n.wantsFlip(int32(t), i) {
					n.flip(int32(t), i)
					turned = true
				}
			}
		}
		if !turned {
			return
		}
	}
}

// inside tells which triangles the fixed edges enclose: an odd number of them
// lies between the triangle and the far outside.
func (n *net) inside() []bool {
	in := make([]bool, len(n.tri))
	seen := make([]bool, len(n.tri))
	queue := []int32{n.at[0]}
	seen[n.at[0]] = true
	for len(queue) > 0 {
		t := queue[0]
		queue = queue[1:]
		for i, u := range n.nbr[t] {
			if u >= 0 && !seen[u] {
				seen[u] = true
				in[u] = in[t] != n.fixed[edgeKey(n.tri[t][(i+1)%3], n.tri[t][(i+2)%3])]
				queue = append(queue, u)
			}
		}
	}
	return in
}
