// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package track

import (
	"cmp"
	"math"
	"slices"
	"sync"
	"sync/atomic"

	"onemap/geo"
)

// Near finds who is nearest to a place among dots that move. It is exact, and safe
// for concurrent use. Who asks takes no lock: dots lie in the squares of a grid,
//
//	+----+----+----+----+
//	| .  |    | ::  | .  |      each a list that is never changed but replaced
//	+----+----+----+----+
//	| :: | .p | :   |    |      looked through ring by ring about the place, as
//	+----+----+----+----+      long as a nearer dot may lie further out
//
// and whoever looked while a dot went from one square to another looks again.
type Near struct {
	now  atomic.Pointer[squares]
	dots atomic.Pointer[[]atomic.Pointer[Dot]] // by worker, below denseWorkers
	rare sync.Map                              // of the others: worker -> *Dot

	mu   sync.Mutex // guards what follows, and all changes
	at   map[uint32]where
	puts int // since the squares were laid out
}

// NewNear makes an index without dots.
func NewNear() *Near {
	n := &Near{at: map[uint32]where{}}
	n.now.Store(&squares{})
	return n
}

// Found is a dot and how far it is from the place asked for.
type Found struct {
	*Dot           // not to be changed
	Metres float64 // along a great circle: see geo.Distance
}

// where is the square a worker's dot lies in.
type where struct {
	square int // -1 beyond the grid
	dot    *Dot
}

// spot is a dot in its square.
type spot struct {
	v   vec
	dot *Dot
}

// vec is a place on the unit sphere. The square of the straight line between two of
// them grows with their distance and costs no sine.
type vec [3]float64

func onSphere(p geo.WGS84) vec {
	const rad = math.Pi / 180
	sLat, cLat := math.Sincos(p[1] * rad)
	sLon, cLon := math.Sincos(p[0] * rad)
	return vec{cLat * cLon, cLat * sLon, sLat}
}

func (a vec) chord2(b vec) float64 {
	x, y, z := a[0]-b[0], a[1]-b[1], a[2]-b[2]
	return x*x + y*y + z*z
}

// chord2Of is chord2 of two places so many radians apart, a hair less: what is
// farther off is certainly not nearer.
func chord2Of(radians float64) float64 {
	s := 2 * math.Sin(min(radians, math.Pi)/2)
	return s * s * (1 - 1e-9)
}

// squares is a grid over where most dots are. Each list is replaced as a whole.
type squares struct {
	west, south  float64
	sideX, sideY float64 // degrees
	cols, rows   int
	lists        []atomic.Pointer[[]spot] // row by row
	beyond       atomic.Pointer[[]spot]   // dots outside: always looked through
	laid         int                      // how many dots it was laid out for
	turns        atomic.Uint64            // odd while a dot goes from one list to another
}

const (
	perSquare  = 5       // dots, on average
	crowd      = 64      // dots in one square that ask for another layout
	maxSquares = 1 << 18 // 2 MiB

	denseWorkers = 1 << 20 // workers are numbered 1, 2, 3, ...

	farOut = 10.0 // degrees from the grid: a place so far off is answered by looking at everybody
)

func (q *squares) list(i int) *atomic.Pointer[[]spot] {
	if i < 0 {
		return &q.beyond
	}
	return &q.lists[i]
}

func (q *squares) spots(i int) []spot {
	if l := q.list(i).Load(); l != nil {
		return *l
	}
	return nil
}

// square is the one p lies in; -1 beyond the grid.
func (q *squares) square(p geo.WGS84) int {
	x, y := (p[0]-q.west)/q.sideX, (p[1]-q.south)/q.sideY
	if !(x >= 0 && y >= 0 && x < float64(q.cols) && y < float64(q.rows)) { // NaN of an empty grid too
		return -1
	}
	return int(y)*q.cols + int(x)
}

// Put notes a dot in the place of the worker's one before; StateOff takes it away.
func (n *Near) Put(d Dot) {
	n.mu.Lock()
	defer n.mu.Unlock()
	q := n.now.Load()
	old, had := n.at[d.Worker]
	if d.State == StateOff || !geo.OnEarth(d.P.Orb()) {
		if had {
			q.without(old)
			delete(n.at, d.Worker)
			n.note(d.Worker, nil)
		}
		return
	}
	s := spot{onSphere(d.P), &d}
	to := where{q.square(d.P), &d}
	switch {
	case had && old.square == to.square:
		q.replace(old, s)
	case had:
		q.turns.Add(1)
		q.with(to.square, s)
		q.without(old)
		q.turns.Add(1)
	default:
		q.with(to.square, s)
	}
	n.at[d.Worker] = to
	n.note(d.Worker, &d)
	if n.puts++; n.puts > q.laid+crowd && n.crooked(q, to.square) {
		n.lay()
	}
}

// crooked reports whether the grid does not fit its dots any more, going by the
// list that grew last.
func (n *Near) crooked(q *squares, grown int) bool {
	l := len(q.spots(grown))
	return grown < 0 && l > crowd/2 && l > len(n.at)/8 || grown >= 0 && l > crowd || len(n.at) > 4*max(q.laid, crowd)
}

func (q *squares) with(i int, s spot) {
	old := q.spots(i)
	list := append(make([]spot, 0, len(old)+1), old...)
	list = append(list, s)
	q.list(i).Store(&list)
}

func (q *squares) without(w where) {
	old := q.spots(w.square)
	list := make([]spot, 0, len(old))
	for _, s := range old {
		if s.dot != w.dot {
			list = append(list, s)
		}
	}
	q.list(w.square).Store(&list)
}

func (q *squares) replace(w where, s spot) {
	list := slices.Clone(q.spots(w.square))
	for i := range list {
		if list[i].dot == w.dot {
			list[i] = s
		}
	}
	q.list(w.square).Store(&list)
}

// lay makes a grid that fits the dots as they are now. Who is looking through the
// one before is answered as of this moment: it does not change any more.
func (n *Near) lay() {
	n.puts = 0
	q := &squares{laid: len(n.at)}
	lons, lats := make([]float64, 0, len(n.at)), make([]float64, 0, len(n.at))
	for _, w := range n.at {
		lons, lats = append(lons, w.dot.P[0]), append(lats, w.dot.P[1])
	}
	var width, height float64
	q.west, width = span(lons)
	q.south, height = span(lats)
	squeeze := max(math.Cos((q.south+height/2)*math.Pi/180), 0.01) // a degree of longitude is so much shorter
	wanted := min(float64(len(n.at)/perSquare+1), maxSquares/2)
	q.sideY = math.Sqrt(width * squeeze * height / wanted)
	q.sideX = q.sideY / squeeze
	q.cols, q.rows = int(width/q.sideX)+1, int(height/q.sideY)+1
	q.lists = make([]atomic.Pointer[[]spot], q.cols*q.rows)
	filled := make([][]spot, len(q.lists))
	var beyond []spot
	for id, w := range n.at {
		w.square = q.square(w.dot.P)
		n.at[id] = w
		s := spot{onSphere(w.dot.P), w.dot}
		if w.square < 0 {
			beyond = append(beyond, s)
		} else {
			filled[w.square] = append(filled[w.square], s)
		}
	}
	for i := range filled {
		if filled[i] != nil {
			q.lists[i].Store(&filled[i])
		}
	}
	q.beyond.Store(&beyond)
	n.now.Store(q)
}

// span is where all but the outermost hundredth of the values lie, with a margin.
func span(v []float64) (from, length float64) {
	slices.Sort(v)
	out := len(v) / 100
	from, to := v[out], v[len(v)-1-out]
	margin := max((to-from)/20, 0.01)
	return from - margin, to - from + 2*margin
}

// Nearest appends to into the k nearest to p of those that take admits, the nearest
// first, those at one distance by worker. A nil take admits all; it is called
// several times for some and must not wait.
func (n *Near) Nearest(p geo.WGS84, k int, take func(*Dot) bool, into []Found) []Found {
	if k <= 0 || !geo.OnEarth(p.Orb()) {
		return into
	}
	base := len(into)
	n.look(func(q *squares) {
		into = q.nearest(p, k, take, into[:base])
	})
	found := into[base:]
	for i := range found {
		found[i].Metres = geo.Distance(p, found[i].P)
	}
	slices.SortFunc(found, func(a, b Found) int { return cmp.Or(cmp.Compare(a.Metres, b.Metres), cmp.Compare(a.Worker, b.Worker)) })
	return into
}

// Dot is the worker's dot, not to be changed; nil when there is none.
func (n *Near) Dot(worker uint32) *Dot {
	if worker >= denseWorkers {
		d, _ := n.rare.Load(worker)
		dot, _ := d.(*Dot)
		return dot
	}
	if l := n.dots.Load(); l != nil && int(worker) < len(*l) {
		return (*l)[worker].Load()
	}
	return nil
}

// note makes the dot, nil for none, the worker's.
func (n *Near) note(worker uint32, d *Dot) {
	if worker >= denseWorkers {
		n.rare.Store(worker, d)
		return
	}
	l := n.dots.Load()
	if l == nil || int(worker) >= len(*l) {
		more := make([]atomic.Pointer[Dot], min(2*int(worker)+64, denseWorkers))
		if l != nil {
			for i := range *l {
				more[i].Store((*l)[i].Load())
			}
		}
		l = &more
		n.dots.Store(l)
	}
	(*l)[worker].Store(d)
}

// look calls search until no dot went from one list to another meanwhile; after
// some tries it keeps them from going.
func (n *Near) look(search func(*squares)) {
	for range 8 {
		q := n.now.Load()
		if before := q.turns.Load(); before%2 == 0 {
			if search(q); q.turns.Load() == before {
				return
			}
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	search(n.now.Load())
}

// best are the k nearest so far, by the square of their chord.
type best struct {
	at     vec
	k      int
	take   func(*Dot) bool
	found  []Found // Metres is chord2 for the time being
	base   int
	within float64 // chord2 that has to be bettered once there are k
}

func (b *best) spots(list []spot) {
	for i := range list {
		c := list[i].v.chord2(b.at)
		if c > b.within {
			continue
		}
		if b.take == nil || b.take(list[i].dot) {
			b.put(Found{list[i].dot, c})
		}
	}
}

func (b *best) put(f Found) {
	mine := b.found[b.base:]
	i := len(mine)
	for i > 0 && (mine[i-1].Metres > f.Metres || mine[i-1].Metres == f.Metres && mine[i-1].Worker > f.Worker) {
		i--
	}
	switch {
	case len(mine) < b.k:
		b.found = append(b.found, f)
		mine = b.found[b.base:]
	case i == b.k:
		return
	}
	copy(mine[i+1:], mine[i:])
	mine[i] = f
	if len(mine) == b.k {
		b.within = mine[b.k-1].Metres
	}
}

// nearest looks through the squares about p, nearest ring first.
func (q *squares) nearest(p geo.WGS84, k int, take func(*Dot) bool, into []Found) []Found {
	b := best{at: onSphere(p), k: k, take: take, found: into, base: len(into), within: math.Inf(1)}
	b.spots(q.spots(-1))
	x, y := p[0]-q.west, p[1]-q.south
	width, height := float64(q.cols)*q.sideX, float64(q.rows)*q.sideY
	if x < -farOut || y < -farOut || x > width+farOut || y > height+farOut || width > 90 || math.Abs(p[1]) > 80 {
		for i := range q.lists {
			b.spots(q.spots(i))
		}
		return b.found
	}
	col, row := min(max(int(x/q.sideX), 0), q.cols-1), min(max(int(y/q.sideY), 0), q.rows-1)
	cos := math.Cos(p[1] * math.Pi / 180)
	for r := range max(q.cols, q.rows) {
		if r > 0 && q.nothingNearer(x, y, cos, col, row, r, b.within) {
			break
		}
		q.ring(col, row, r, &b)
	}
	return b.found
}

// nothingNearer reports whether everything r and more squares away from a square is
// farther from the place x, y than within.
func (q *squares) nothingNearer(x, y, cos float64, col, row, r int, within float64) bool {
	const rad = math.Pi / 180
	ways := [4]struct {
		there   bool
		degrees float64 // to the nearer edge of what lies that way
	}{
		{row+r < q.rows, float64(row+r)*q.sideY - y},
		{row-r >= 0, y - float64(row-r+1)*q.sideY},
		{col+r < q.cols, float64(col+r)*q.sideX - x},
		{col-r >= 0, x - float64(col-r+1)*q.sideX},
	}
	for i, w := range ways {
		if !w.there {
			continue
		}
		apart := max(w.degrees, 0) * rad
		if i >= 2 { // to a meridian so far off: along the great circle that meets it at a right angle
			apart = math.Asin(cos * math.Sin(min(apart, math.Pi/2)))
		}
		if chord2Of(apart) <= within {
			return false
		}
	}
	return true
}

// ring looks through the squares r away from a square.
func (q *squares) ring(col, row, r int, b *best) {
	for j := max(row-r, 0); j <= min(row+r, q.rows-1); j++ {
		step := 2 * r // of the rows between, both ends
		if j == row-r || j == row+r || r == 0 {
			step = 1
		}
		for i := col - r; i <= col+r; i += step {
			if i >= 0 && i < q.cols {
				b.spots(q.spots(j*q.cols + i))
			}
		}
	}
}
