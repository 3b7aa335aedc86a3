// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package road

import (
	"iter"
	"math"
)

// squares lays pieces into the squares of a grid that they may pass through. Its
// lengths are units of 1e-7 degree.
type squares struct {
	minX, minY float64
	side       float64
	cols, rows int
	begin      []int32 // of each square in member
	member     []int32 // indices of pieces
}

const (
	minSide    = 10_000  // 0.001 degree, some 100 m
	maxSquares = 4 << 20 // 16 MiB
)

// newSquares makes about as many squares as there are pieces.
func newSquares(pieces []piece) squares {
	if len(pieces) == 0 {
		return squares{}
	}
	q := squares{minX: math.Inf(1), minY: math.Inf(1)}
	maxX, maxY := math.Inf(-1), math.Inf(-1)
	for _, c := range pieces {
		for _, v := range []vertex{c.a, c.b} {
			q.minX, maxX = min(q.minX, float64(v[0])), max(maxX, float64(v[0]))
			q.minY, maxY = min(q.minY, float64(v[1])), max(maxY, float64(v[1]))
		}
	}
	w, h := maxX-q.minX+1, maxY-q.minY+1
	few := float64(min(len(pieces), maxSquares/2))
	q.side = max(minSide, math.Sqrt(w*h/few), w/few, h/few)
	for q.divide(w, h); !q.count(pieces); q.divide(w, h) {
		q.side *= 2 // long pieces that pass through very many
	}
	for c := range q.cols * q.rows {
		q.begin[c+1] += q.begin[c]
	}
	q.member = make([]int32, q.begin[q.cols*q.rows])
	free := append([]int32(nil), q.begin...)
	for i := range pieces {
		for c := range q.through(&pieces[i]) {
			q.member[free[c]] = int32(i)
			free[c]++
		}
	}
	return q
}

// divide lays out the squares over so wide and high an area.
func (q *squares) divide(w, h float64) {
	q.cols, q.rows = int(w/q.side)+1, int(h/q.side)+1
	q.begin = make([]int32, q.cols*q.rows+1)
}

// count counts the pieces of each square. It gives up where that makes more entries
// than maxMembers.
func (q *squares) count(pieces []piece) bool {
	left := maxMembers(len(pieces))
	for i := range pieces {
		for c := range q.through(&pieces[i]) {
			q.begin[c+1]++
			left--
		}
		if left < 0 && q.cols*q.rows > 1 {
			return false
		}
	}
	return true
}

// maxMembers is how many entries the squares of so many pieces may have: far more
// than roads need, and no more than an int32 holds.
func maxMembers(pieces int) int { return min(8*pieces+1<<20, math.MaxInt32) }

// through yields the squares a piece passes, row by row. A row is taken a hair too
// wide: rounding may add a square, never miss one.
func (q *squares) through(p *piece) iter.Seq[int] {
	return func(yield func(int) bool) {
		ax, ay := (float64(p.a[0])-q.minX)/q.side, (float64(p.a[1])-q.minY)/q.side
		bx, by := (float64(p.b[0])-q.minX)/q.side, (float64(p.b[1])-q.minY)/q.side
		if ay > by {
			ax, ay, bx, by = bx, by, ax, ay
		}
		for row := int(ay); row <= min(int(by), q.rows-1); row++ {
			x0, x1 := ax, bx
			if by > ay {
				slope := (bx - ax) / (by - ay)
				x0 = ax + slope*(max(float64(row), ay)-ay)
				x1 = ax + slope*(min(float64(row+1), by)-ay)
			}
			const hair = 1e-6
			left, right := max(int(min(x0, x1)-hair), 0), min(int(max(x0, x1)+hair), q.cols-1)
			for col := left; col <= right; col++ {
				if !yield(row*q.cols + col) {
					return
				}
			}
		}
	}
}

// at is the square a place is in, which may lie outside the grid, and how far the
// place is from the square's edge.
func (q *squares) at(x, y float64) (col, row int, edge float64) {
	x, y = (x-q.minX)/q.side, (y-q.minY)/q.side
	left, bottom := math.Floor(x), math.Floor(y)
	return int(left), int(bottom), q.side * min(x-left, left+1-x, y-bottom, bottom+1-y)
}

// nearby visits the pieces about a place, ring by ring outward. After each ring it
// asks whether to go on, everything within seen units having been visited.
func (q *squares) nearby(x, y float64, visit func(int32), more func(seen float64) bool) {
	if len(q.begin) == 0 {
		return
	}
	col, row, edge := q.at(x, y)
	for r := range q.rings(col, row) {
		q.ring(col, row, r, visit)
		if !more(float64(r)*q.side + edge) {
			return
		}
	}
}

// rings is how many rings about a square reach every square of the grid.
func (q *squares) rings(col, row int) int {
	return 1 + max(col, q.cols-1-col, row, q.rows-1-row)
}

// ring visits the pieces in the squares r away from a square.
func (q *squares) ring(col, row, r int, visit func(int32)) {
	one := func(i, j int) {
		at := j*q.cols + i
		for _, c := range q.member[q.begin[at]:q.begin[at+1]] {
			visit(c)
		}
	}
	for j := max(row-r, 0); j <= min(row+r, q.rows-1); j++ {
		if j == row-r || j == row+r { // whole, of the other rows both ends
			for i := max(col-r, 0); i <= min(col+r, q.cols-1); i++ {
				one(i, j)
			}
			continue
		}
		if i := col - r; i >= 0 && i < q.cols {
			one(i, j)
		}
		if i := col + r; i >= 0 && i < q.cols {
			one(i, j)
		}
	}
}
