// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"cmp"
	"context"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/paulmach/orb"

	"onemap/geo/cell"
	"onemap/store"
)

// rowsOf are the rows of a view that count, by id.
func rowsOf(v *View) map[int64][9]any {
	out := map[int64][9]any{}
	for _, part := range []struct {
		c    *Columns
		gone []uint64
	}{{v.Sorted, v.Gone}, {v.Tail, v.TailGone}} {
		for i, id := range part.c.ID {
			if c := part.c; !Marked(part.gone, i) {
				out[id] = [9]any{c.Place[i], c.Grid[i], c.Category[i], c.State[i], c.Priority[i], c.Flags[i], c.Reported[i], v.Cells.At(c.Cells[i], 9)}
			}
		}
	}
	return out
}

// TestATailIsPutInItsPlace: every row that counts is there afterwards, once, in order.
func TestATailIsPutInItsPlace(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 3))
	for range 50 {
		v := &View{Sorted: &Columns{}, Tail: &Columns{}}
		id, numbers := int64(0), &CellNumbers{}
		some := func(n int) *Columns {
			b := newBuilder(v, numbers)
			for range n {
				id += 1 + r.Int64N(3)
				b.add(&store.Mirrored{
					ID: id, Placed: true, At: orb.Point{107 + r.Float64(), 38 + float64(r.IntN(3))}, Cells: [4]cell.Cell{1, 2, 3, cell.Cell(r.IntN(9))}, Grid: r.Int32N(9),
					Category: string(rune('a' + r.IntN(5))), State: "routed", Priority: int16(1 + r.IntN(4)), Open: r.IntN(2) == 0, Sensitive: r.IntN(2) == 0, Reported: time.UnixMicro(r.Int64N(1e15)),
				})
			}
			v.Categories, v.States, v.Cells = b.wordsTold, b.statesTold, numbers.Cells
			return &b.c
		}
		v.Sorted = some(r.IntN(200)).sorted()
		v.Tail = some(r.IntN(100))
		for i := range v.Sorted.ID {
			if r.IntN(4) == 0 {
				v.Gone = withMark(v.Gone, i)
			}
		}
		for i := range v.Tail.ID {
			if r.IntN(4) == 0 {
				v.TailGone = withMark(v.TailGone, i)
			}
		}
		want := rowsOf(v)
		m := &Mirror{tail: map[int64]int32{1: 1}, byID: idOrder(v.Sorted)}
		m.compact(v)
		got := rowsOf(v)
		if len(got) != len(want) || len(v.Sorted.ID) != len(want) || len(v.Tail.ID) != 0 || len(m.tail) != 0 {
			t.Fatalf("%d rows of %d, %d sorted, %d in the tail", len(got), len(want), len(v.Sorted.ID), len(v.Tail.ID))
		}
		for id, row := range want {
			if got[id] != row {
				t.Fatalf("incident %d: %v, was %v", id, got[id], row)
			}
		}
		if !slices.IsSorted(v.Sorted.Place) || !slices.IsSortedFunc(m.byID, func(a, b int32) int { return cmp.Compare(v.Sorted.ID[a], v.Sorted.ID[b]) }) {
			t.Fatal("out of order")
		}
	}
}

// TestColumnsThatWereReadDoNotChange: a view holds what it held, whatever comes behind.
func TestColumnsThatWereReadDoNotChange(t *testing.T) {
	b := newBuilder(&View{}, &CellNumbers{})
	b.add(&store.Mirrored{ID: 1, Category: "a", State: "routed"})
	first := (&Columns{}).with(&b.c, 0)
	second := first.with(&b.c, 0)
	third := first.with(&b.c, 0)
	if len(first.ID) != 1 || len(second.ID) != 2 || len(third.Cells) != 2 {
		t.Error(len(first.ID), len(second.ID), len(third.Cells))
	}
}

// TestChangesAreToldOfTheirTileAndThoseAroundIt and of no other.
func TestChangesAreToldOfTheirTileAndThoseAroundIt(t *testing.T) {
	m := &Mirror{}
	changed := func(z, x, y int) uint64 {
		_, n, _ := m.ViewOf(z, x, y)
		return n
	}
	at := PlaceOf(orb.Point{107.5, 38.2})
	x, y := int(Gather(at)>>(32-10)), int(Gather(at>>1)>>(32-10))
	before := changed(10, x, y)
	m.changes.at([]uint64{at}, func() {})
	for dx := -2; dx <= 2; dx++ {
		for dy := -2; dy <= 2; dy++ {
			told := changed(10, x+dx, y+dy) != before
			if near := max(dx, -dx) <= 1 && max(dy, -dy) <= 1; told != near {
				t.Errorf("%d %d: told %t", dx, dy, told)
			}
		}
	}
	if changed(18, x<<8, y<<8) == before && changed(18, int(Gather(at)>>(32-18)), int(Gather(at>>1)>>(32-18))) == before {
		t.Error("a deep tile is not told")
	}
	m.changes.all(func() {})
	if changed(3, 0, 0) == before {
		t.Error("everything changed, and a far tile is not told")
	}
}

// TestWhatThereIsNoTimeForWaits: a Follow that may not wait any longer leaves the number
// where it is, and what it was told of for the next.
func TestWhatThereIsNoTimeForWaits(t *testing.T) {
	m := &Mirror{missed: map[int64]bool{}}
	m.view.Store(&View{Seq: 5, Sorted: &Columns{}, Tail: &Columns{}})
	if err := m.Follow(t.Context(), nil, 6); err != nil {
		t.Fatal(err)
	}
	m.mu.Lock()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
	defer cancel()
	if err := m.Follow(ctx, []int64{1}, 7); err == nil {
		t.Error("it listened while something else changed")
	}
	m.mu.Unlock()
	if v, _ := m.View(); v.Seq != 6 || m.late.none() {
		t.Errorf("as of %d, nothing waits: %t", v.Seq, m.late.none())
	}
}
