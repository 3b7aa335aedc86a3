// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package geo

import (
	"math"
	"math/big"

	"github.com/paulmach/orb"
)

// orientSlack bounds the relative rounding error of the plain determinant: a
// result larger than it has the right sign.
const orientSlack = 4 * 0x1p-52

// Orient says exactly on which side of the line a-b the point c lies: +1 left,
// -1 right, 0 on the line. Coordinates must be finite.
//
//	      c (+1)
//	a --------> b
//	      c (-1)
func Orient(a, b, c orb.Point) int {
	left := (b[0] - a[0]) * (c[1] - a[1])
	right := (c[0] - a[0]) * (b[1] - a[1])
	det := left - right
	if math.Abs(det) > orientSlack*(math.Abs(left)+math.Abs(right)) {
		return sign(det)
	}
	if c == a || c == b {
		return 0
	}
	if (b[0] == a[0] || c[1] == a[1]) && (c[0] == a[0] || b[1] == a[1]) {
		return 0 // both products are exactly zero, not merely small
	}
	return orientExact(a, b, c)
}

// orientExact computes the determinant without rounding.
func orientExact(a, b, c orb.Point) int {
	sub := func(u, v float64) *big.Rat {
		var x, y big.Rat
		x.SetFloat64(u)
		y.SetFloat64(v)
		return x.Sub(&x, &y)
	}
	left := sub(b[0], a[0])
	left.Mul(left, sub(c[1], a[1]))
	right := sub(c[0], a[0])
	right.Mul(right, sub(b[1], a[1]))
	return left.Cmp(right)
}

func sign(v float64) int {
	switch {
	case v > 0:
		return 1
	case v < 0:
		return -1
	}
	return 0
}
