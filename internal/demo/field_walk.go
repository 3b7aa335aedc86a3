// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"math"
	"math/rand/v2"

	"github.com/paulmach/orb"
	"github.com/paulmach/orb/planar"

	"onemap/geo"
)

// walker goes about its grid on foot and by car, smoothly, and leaves it only when it
// is sent elsewhere.
type walker struct {
	rng  *rand.Rand
	home territory
	p    orb.Point // where it is, degrees

	heading float64 // degrees clockwise from north
	speed   float64 // m/s
	cruise  float64 // the speed it likes on this leg
	target  orb.Point
	rest    float64 // seconds left to stand

	errand *orb.Point // where it was sent; nil while it goes about its grid
	back   bool       // the errand is the way home
	pace   float64    // m/s on an errand
	left   orb.Point  // where it left its grid's own rounds
}

// send has the walker go to a place, straight, at pace metres a second, and stay there
// until it is released.
func (w *walker) send(to orb.Point, pace float64) {
	if w.errand == nil {
		w.left = w.p
	}
	w.errand, w.back, w.pace, w.rest = &to, false, pace, 0
}

// there reports whether the walker stands where it was sent.
func (w *walker) there() bool { return w.errand != nil && !w.back && w.p == *w.errand }

// release lets the walker go about its grid again, once it is back in it.
func (w *walker) release() {
	switch {
	case w.errand == nil || w.back:
	case w.home.contains(w.p):
		w.errand, w.speed = nil, 0
		w.choose()
	default:
		w.errand, w.back = &w.left, true
	}
}

// travel is a tick of an errand.
func (w *walker) travel(dt float64) {
	left, to := w.home.way(w.p, *w.errand)
	step := w.pace * dt
	if left > step {
		w.p, w.heading, w.speed = w.home.move(w.p, to, step), to, w.pace
		return
	}
	w.p, w.speed = *w.errand, 0
	if w.back {
		w.errand, w.back = nil, false
		w.choose()
	}
}

// territory is the part of a grid a walker keeps to.
type territory struct {
	area  orb.Polygon
	bound orb.Bound
	perX  float64 // metres a degree of longitude
}

const perY = 111_195.0 // metres a degree of latitude

// newTerritory takes the largest part of g; false when it has none.
func newTerritory(g orb.MultiPolygon) (territory, bool) {
	var t territory
	largest := 0.0
	for _, p := range g {
		if a := math.Abs(planar.Area(p)); a > largest && len(p) > 0 {
			largest, t.area = a, p
		}
	}
	t.bound = t.area.Bound()
	t.perX = perY * math.Cos(t.bound.Center()[1]*math.Pi/180)
	return t, largest > 0
}

func (t territory) contains(p orb.Point) bool {
	return t.bound.Contains(p) && planar.PolygonContains(t.area, p)
}

// move is p, dist metres on towards heading.
func (t territory) move(p orb.Point, heading, dist float64) orb.Point {
	sin, cos := math.Sincos(heading * math.Pi / 180)
	return orb.Point{p[0] + sin*dist/t.perX, p[1] + cos*dist/perY}
}

// way is the distance in metres and heading in degrees from a to b.
func (t territory) way(a, b orb.Point) (dist, heading float64) {
	x, y := (b[0]-a[0])*t.perX, (b[1]-a[1])*perY
	return math.Hypot(x, y), math.Mod(math.Atan2(x, y)*180/math.Pi+360, 360)
}

// inside draws a point of the territory.
func (t territory) inside(r *rand.Rand) (orb.Point, bool) {
	for range 2000 {
		p := orb.Point{
			t.bound.Min[0] + r.Float64()*(t.bound.Max[0]-t.bound.Min[0]),
			t.bound.Min[1] + r.Float64()*(t.bound.Max[1]-t.bound.Min[1]),
		}
		if t.contains(p) {
			return p, true
		}
	}
	return orb.Point{}, false
}

// near draws a point at most dist metres from p, wherever the border is.
func (t territory) near(r *rand.Rand, p orb.Point, dist float64) orb.Point {
	return t.move(p, 360*r.Float64(), dist*math.Sqrt(r.Float64()))
}

// clear reports whether the straight way from a to b stays in the territory.
func (t territory) clear(a, b orb.Point) bool {
	const samples = 16
	for i := 1; i <= samples; i++ {
		f := float64(i) / samples
		if !t.contains(orb.Point{a[0] + f*(b[0]-a[0]), a[1] + f*(b[1]-a[1])}) {
			return false
		}
	}
	return true
}

// newWalker starts a walker somewhere in its territory.
func newWalker(r *rand.Rand, t territory) (*walker, bool) {
	p, ok := t.inside(r)
	w := &walker{rng: r, home: t, p: p, heading: r.Float64() * 360}
	w.choose()
	return w, ok
}

// choose picks the next leg: on foot to somewhere near, or by car further off.
func (w *walker) choose() {
	reach := 400.0
	w.cruise = 1 + 0.8*w.rng.Float64()
	if chance(w.rng, 0.6) {
		reach = 5000
		w.cruise = 6 + 9*w.rng.Float64()
	}
	for range 40 {
		p := w.home.move(w.p, w.rng.Float64()*360, reach*(0.2+0.8*w.rng.Float64()))
		if w.home.contains(p) && w.home.clear(w.p, p) {
			w.target = p
			return
		}
		reach *= 0.85
	}
	w.target, w.rest = w.p, 10
}

// step moves the walker by dt seconds, in steps of at most a second.
func (w *walker) step(dt float64) {
	for dt = min(dt, 600); dt > 0; dt-- {
		w.tick(min(dt, 1))
	}
}

func (w *walker) tick(dt float64) {
	if w.errand != nil {
		w.travel(dt)
		return
	}
	if w.rest > 0 {
		w.rest -= dt
		w.speed = max(0, w.speed-3*dt)
		return
	}
	left, to := w.home.way(w.p, w.target)
	if left < 12 {
		if chance(w.rng, 0.4) {
			w.rest = 20 + 160*w.rng.Float64()
		}
		w.choose()
		return
	}
	turn := math.Mod(to-w.heading+540, 360) - 180
	w.heading = math.Mod(w.heading+max(-30*dt, min(30*dt, turn))+360, 360)
	// Slower in a bend and before the end of the leg.
	want := w.cruise * max(0.15, 1-math.Abs(turn)/90)
	want = max(0.5, min(want, left/4))
	w.speed += max(-3*dt, min(1.2*dt, want-w.speed))
	next := w.home.move(w.p, w.heading, w.speed*dt)
	if !w.home.contains(next) { // swung over the border in a bend: stop and look again
		w.speed = 0
		w.choose()
		_, w.heading = w.home.way(w.p, w.target)
		return
	}
	w.p = next
}

// seen is where a receiver places the walker: some metres off, but in its grid, unless
// it was sent elsewhere.
func (w *walker) seen() (p geo.WGS84, accuracy float64) {
	accuracy = 4 + 10*w.rng.Float64()
	p = geo.WGS84(w.home.move(w.p, w.rng.Float64()*360, math.Abs(w.rng.NormFloat64())*accuracy/4))
	if w.errand == nil && !w.home.contains(p.Orb()) {
		p = geo.WGS84(w.p)
	}
	return p, accuracy
}
