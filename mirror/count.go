// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"fmt"
	"runtime"
	"sync"

	"onemap/analysis"
	"onemap/auth"
	"onemap/geo/cell"
	"onemap/store"
)

// CellCounts is what store.DB.CellCounts answers, as of the View's sequence number: it
// looks at every row once for each period. Errors: ErrNarrowed; store.ErrFinerThanView to
// a view that does not read incidents one by one.
func (v *View) CellCounts(s auth.Scope, view auth.View, f store.CellFilter, periods ...analysis.Period) ([]store.CellCounts, error) {
	if view != auth.CaseView {
		return nil, fmt.Errorf("mirror: incidents by cell: %w", store.ErrFinerThanView)
	}
	if f.Res < 6 || f.Res > 9 {
		return nil, fmt.Errorf("mirror: incidents by cell: resolution %d is not within 6 to 9", f.Res)
	}
	asked, err := NewAsked(s, Filter{Closed: true, Categories: v.wanted(f.Categories)})
	if err != nil {
		return nil, err
	}
	asked = asked.Without(Sensitive)
	if len(f.Grids) > 0 {
		asked.within = overlaps(asked.within, f.Grids)
	}
	var out []store.CellCounts
	for _, p := range periods {
		asked.from, asked.to = p.From.UnixMicro(), p.To.UnixMicro()
		out = append(out, v.cellCounts(&asked, f))
	}
	return out, nil
}

// wanted are the categories with these codes, by number; nil for all.
func (v *View) wanted(codes []string) []bool {
	if codes == nil {
		return nil
	}
	out := make([]bool, len(v.Categories))
	for i, c := range v.Categories {
		for _, code := range codes {
			out[i] = out[i] || c == code
		}
	}
	return out
}

// overlaps are what two lists of intervals have in common.
func overlaps(as, bs []auth.Interval) (out []auth.Interval) {
	for _, a := range as {
		for _, b := range bs {
			if both := (auth.Interval{Lo: max(a.Lo, b.Lo), Hi: min(a.Hi, b.Hi)}); both.Lo <= both.Hi {
				out = append(out, both)
			}
		}
	}
	return out
}

func (v *View) cellCounts(a *Asked, f store.CellFilter) store.CellCounts {
	out := store.CellCounts{Seq: v.Seq, Categories: map[string]int{}, Grids: map[int32]int{}}
	bySet := v.tally(a)
	out.NotLocated = int(bySet[0])
	of := v.Cells.Of[f.Res-6]
	byCell, found := make([]uint32, len(of)), 0
	for set := 1; set < len(bySet); set++ {
		if n := bySet[set]; n > 0 {
			at := &byCell[v.Cells.Sets[set][f.Res-6]]
			if *at == 0 {
				found++
			}
			*at += n
		}
	}
	out.Cells = make([]store.CellCount, 0, found)
	for i, n := range byCell {
		if n > 0 {
			out.Cells = append(out.Cells, store.CellCount{Cell: of[i], N: int(n)})
		}
	}
	if f.Why != 0 {
		v.countIn(a, f.Why, &out)
	}
	return out
}

// countIn counts by category, and by grid, the rows that lie in a cell.
func (v *View) countIn(a *Asked, at cell.Cell, out *store.CellCounts) {
	in := make([]bool, max(1, len(v.Cells.Sets)))
	for set := 1; set < len(in); set++ {
		in[set] = v.Cells.At(int32(set), at.Res()) == at
	}
	v.each(func(c *Columns, gone []uint64) {
		for i, set := range c.Cells {
			if in[set] && !Marked(gone, i) && a.Shows(c, i) {
				out.Categories[v.Categories[c.Category[i]]]++
				out.Grids[c.Grid[i]]++
			}
		}
	})
}

// each calls do with both parts.
func (v *View) each(do func(c *Columns, gone []uint64)) {
	if v.Sorted != nil {
		do(v.Sorted, v.Gone)
	}
	if v.Tail != nil {
		do(v.Tail, v.TailGone)
	}
}

const (
	mostCounting = 4       // goroutines that share one count
	worthSharing = 200_000 // rows
	block        = 64      // rows that one word of marks tells of
)

// tally counts the rows that a shows by the number of their cells; of those without a
// place in 0.
func (v *View) tally(a *Asked) []uint32 {
	sum := make([]uint32, max(1, len(v.Cells.Sets)))
	t := newTallier(a)
	v.each(func(c *Columns, gone []uint64) {
		n := len(c.ID)
		hands := 1
		if n >= worthSharing {
			hands = min(mostCounting, runtime.GOMAXPROCS(0))
		}
		share := (n/hands/block + 1) * block
		parts := make([][]uint32, hands)
		var wait sync.WaitGroup
		for h := 1; h < hands; h++ {
			wait.Go(func() {
				parts[h] = make([]uint32, len(sum))
				t.count(c, gone, min(n, h*share), min(n, (h+1)*share), parts[h])
			})
		}
		t.count(c, gone, 0, min(n, share), sum)
		wait.Wait()
		for _, part := range parts[1:] {
			for i, n := range part {
				sum[i] += n
			}
		}
	})
	return sum
}

// tallier is an Asked in the form in which a row is judged without a branch: of millions
// of rows, guesses that go wrong take most of the time.
type tallier struct {
	a          *Asked
	mask, want Flags
	from, span uint64
	categories [1 << 16]uint8
	lo, width  uint32 // of grid numbers
	plain      bool   // there is one interval of grids
}

func newTallier(a *Asked) *tallier {
	t := &tallier{a: a, mask: a.must | a.not, want: a.must, from: uint64(a.from), span: uint64(a.to) - uint64(a.from)}
	if a.to <= a.from {
		t.span = 0
	}
	for i := range t.categories {
		if a.categories == nil || i < len(a.categories) && a.categories[i] {
			t.categories[i] = 1
		}
	}
	if t.plain = len(a.within) == 1; t.plain {
		t.lo, t.width = uint32(a.within[0].Lo), uint32(a.within[0].Hi)-uint32(a.within[0].Lo)
	}
	return t
}

// count counts rows from to to, from being the first of a block.
func (t *tallier) count(c *Columns, gone []uint64, from, to int, sum []uint32) {
	mask, want, since, span, lo, width, wanted := t.mask, t.want, t.from, t.span, t.lo, t.width, &t.categories // not read anew for each row
	for ; from < to; from += block {
		end := min(from+block, to)
		if !t.plain || from>>6 < len(gone) && gone[from>>6] != 0 {
			for i := from; i < end; i++ {
				if !Marked(gone, i) && t.a.Shows(c, i) {
					sum[c.Cells[i]]++
				}
			}
			continue
		}
		cells := c.Cells[from:end]
		flags, reported, category, grid := c.Flags[from:end], c.Reported[from:end], c.Category[from:end], c.Grid[from:end]
		flags, reported, category, grid = flags[:len(cells)], reported[:len(cells)], category[:len(cells)], grid[:len(cells)]
		for i, set := range cells {
			sum[set] += one(flags[i]&mask == want) & one(uint64(reported[i])-since < span) & one(uint32(grid[i])-lo <= width) & uint32(wanted[category[i]])
		}
	}
}

func one(is bool) uint32 {
	if is {
		return 1
	}
	return 0
}
