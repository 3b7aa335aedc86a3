// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package tiles

import (
	"context"
	"fmt"

	"github.com/paulmach/orb"

	"onemap/auth"
	"onemap/geo"
	"onemap/geo/cell"
)

// HotCell is what a tile tells of one cell of an answer about hot spots. Class is empty
// and the others are nil where they are not told.
type HotCell struct {
	Cell            cell.Cell
	Count           int
	Class           string
	Z, P, Q, Strict *float64
}

// HotCells is one answer about hot spots, projected. It is never changed.
type HotCells struct {
	id     uint64
	cells  []HotCell
	shapes []shape[orb.MultiPolygon]
}

// CellsFrom is the first zoom that shows cells of resolution 6 to 9: there every cell is
// wider than three units of the tile anywhere on earth, so that none is lost by rounding.
func CellsFrom(res int) int { return res - 2 }

// HotCells makes an answer ready to be cut into tiles: cells of one resolution, as the
// asker may see them.
func (s *Server) HotCells(cells []HotCell) (*HotCells, error) {
	h := &HotCells{id: s.made.Add(1), cells: cells}
	for _, c := range cells {
		ring, err := c.Cell.Boundary()
		if err != nil {
			return nil, fmt.Errorf("tiles: hot spots: %w", err)
		}
		mp := onBothSides(ring)
		h.shapes = append(h.shapes, shape[orb.MultiPolygon]{mp.Bound(), mp})
	}
	return h, nil
}

// onBothSides projects a small ring that may lie across the antimeridian or near it. What
// the map's other end shows of it, be it in a tile's buffer, is there as a polygon of its
// own. A ring round a pole is on no tile, and has none.
func onBothSides(ring orb.Ring) (mp orb.MultiPolygon) {
	whole := make(orb.Ring, len(ring))
	turns := 0.0 // of the earth, westward; eastward below 0
	for i, p := range ring {
		if i > 0 {
			switch step := p[0] - ring[i-1][0]; {
			case step > 180:
				turns--
			case step < -180:
				turns++
			}
		}
		whole[i] = geo.Mercator(p)
		whole[i][0] += turns
	}
	if turns != 0 {
		return nil
	}
	const pad = float64(Buffer) / Extent // of the widest tile
	b := whole.Bound()
	for _, shift := range []float64{-1, 0, 1} {
		if b.Max[0]+shift < -pad || b.Min[0]+shift > 1+pad {
			continue
		}
		moved := make(orb.Ring, len(whole))
		for i, p := range whole {
			moved[i] = orb.Point{p[0] + shift, p[1]}
		}
		mp = append(mp, orb.Polygon{moved})
	}
	return mp
}

func (h *HotCells) number() uint64 { return h.id }

// draw leaves out no cell, however many there are: an answer has a bound of its own.
func (h *HotCells) draw(sh *sheet, t tile, _ auth.Scope) {
	l, box := sh.layer("hotspots", "cell", "count", "class", "z", "p", "q", "strict"), t.box()
	for i := range h.cells {
		c := &h.cells[i]
		if t.z < CellsFrom(c.Cell.Res()) || !h.shapes[i].bound.Intersects(box) || !sh.polygons(t, h.shapes[i].geom) {
			continue
		}
		l.word(0, c.Cell.String())
		l.whole(1, int32(c.Count))
		if c.Class != "" {
			l.word(2, c.Class)
		}
		for k, v := range []*float64{c.Z, c.P, c.Q, c.Strict} {
			if v != nil {
				l.real(uint32(3+k), *v)
			}
		}
		l.put(0, typePolygon, sh.pen.out)
	}
}

// HotTile is a tile of an answer, as Tile is one of another layer. The answer is what one
// reader may see: no scope cuts it any more. Errors: ErrOutOfRange, ErrEmpty, and the
// context's.
func (s *Server) HotTile(ctx context.Context, h *HotCells, z, x, y int) (body []byte, etag string, err error) {
	return s.drawn(ctx, "hotspots", h, tile{z, x, y}, auth.Scope{})
}
