// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"onemap/analysis"
	"onemap/auth"
	"onemap/feed"
	"onemap/geo/cell"
	"onemap/store"
)

const (
	checkTries = 20              // a busy hall goes on while the database is asked
	checkAgain = 3               // a fault that is none goes away
	checkRest  = time.Second     // before it is looked at again
	checkWait  = 2 * time.Second // for the View of the moment that was asked about
)

// ErrNotNow says that the mirror is being read, or went on too fast to be held against the
// database.
var ErrNotNow = errors.New("mirror: it cannot be checked just now")

// Check holds n incidents, drawn at random by their numbers, against the database, and
// returns how many it looked at and which of them the View has wrong: other than they are,
// lacking, or no longer there. What differs is looked at again before it is said.
func (m *Mirror) Check(ctx context.Context, rnd *rand.Rand, n int) (looked int, wrong []int64, err error) {
	m.mu.Lock()
	var first, last int64
	if v := m.view.Load(); v != nil && len(m.byID) > 0 {
		first, last = v.Sorted.ID[m.byID[0]], v.Sorted.ID[m.byID[len(m.byID)-1]]
	}
	for id := range m.tail {
		first, last = min(first, id), max(last, id)
	}
	m.mu.Unlock()
	if last == 0 {
		return 0, nil, nil // there is none
	}
	from := first + rnd.Int64N(max(1, last-first-int64(n)+2))
	ids := make([]int64, 0, n)
	for id := from; id <= last+1 && len(ids) < n; id++ {
		ids = append(ids, id)
	}
	looked = len(ids)
	for range checkAgain {
		if ids, err = m.differ(ctx, ids); err != nil || len(ids) == 0 {
			return looked, nil, err
		}
		select {
		case <-ctx.Done():
			return looked, nil, ctx.Err()
		case <-time.After(checkRest):
		}
	}
	return looked, ids, nil
}

// differ are those of ids that the View as of the database's own moment has otherwise.
func (m *Mirror) differ(ctx context.Context, ids []int64) ([]int64, error) {
	for range checkTries {
		want := map[int64]store.Mirrored{}
		seq, err := m.db.EachMirrored(ctx, m.scope, ids, nil, func(p *store.Mirrored) { want[p.ID] = *p })
		if err != nil {
			return nil, err
		}
		for until := time.Now().Add(checkWait); time.Now().Before(until); {
			wrong, at, ok := m.holdAgainst(ids, want, seq)
			if ok {
				return wrong, nil
			}
			if at > seq {
				break // it has gone on
			}
			select {
			case <-ctx.Done():
				return nil, ctx.Err()
			case <-time.After(time.Millisecond):
			}
		}
	}
	return nil, ErrNotNow
}

// checkLongest is how long a period may be that counts are checked over: the database is to
// count it beside its work.
const checkLongest = 31 * 24 * time.Hour

// CheckCounts holds a count by cell, drawn at random, against the database's, and says what
// was counted when they differ; "" when they don't. What differs is counted again before
// it is said.
func (m *Mirror) CheckCounts(ctx context.Context, rnd *rand.Rand) (wrong string, err error) {
	v, err := m.View()
	if err != nil {
		return "", ErrNotNow
	}
	some := v.Sorted
	if len(v.Tail.ID) > 0 && (len(some.ID) == 0 || rnd.IntN(4) == 0) {
		some = v.Tail
	}
	if len(some.ID) == 0 {
		return "", nil
	}
	near := time.UnixMicro(some.Reported[rnd.IntN(len(some.ID))])
	p := analysis.Period{From: near.Add(-time.Duration(rnd.Int64N(int64(checkLongest))))}
	p.To = p.From.Add(time.Duration(1 + rnd.Int64N(int64(checkLongest))))
	f := store.CellFilter{Res: 6 + rnd.IntN(4)}
	if rnd.IntN(2) == 0 {
		f.Categories = []string{v.Categories[rnd.IntN(len(v.Categories))]}
	}
	if rnd.IntN(2) == 0 {
		no := some.Grid[rnd.IntN(len(some.ID))]
		f.Grids = []auth.Interval{{Lo: no - rnd.Int32N(20), Hi: no + rnd.Int32N(20)}}
	}
	for range checkAgain {
		same, err := m.countSame(ctx, f, p)
		if err != nil || same {
			return "", err
		}
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case <-time.After(checkRest):
		}
	}
	return fmt.Sprintf("%+v from %v to %v", f, p.From.UTC(), p.To.UTC()), nil
}

// countSame reports whether the View of the database's own moment counts what it counts.
func (m *Mirror) countSame(ctx context.Context, f store.CellFilter, p analysis.Period) (bool, error) {
	for range checkTries {
		want, err := m.db.CellCounts(ctx, m.scope, auth.CaseView, f, p)
		if err != nil {
			return false, err
		}
		v, err := m.Await(ctx, want[0].Seq, checkWait)
		if errors.Is(err, ErrBehind) || err == nil && v.Seq > want[0].Seq {
			continue // it has gone on, or is being read
		}
		if err != nil {
			return false, ErrNotNow
		}
		got, err := v.CellCounts(m.scope, auth.CaseView, f, p)
		if err != nil {
			return false, err
		}
		return got[0].Equal(want[0]), nil
	}
	return false, ErrNotNow
}

// holdAgainst compares the View with rows of the moment seq, when it is of that moment.
func (m *Mirror) holdAgainst(ids []int64, want map[int64]store.Mirrored, seq feed.Seq) (wrong []int64, at feed.Seq, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	v := m.view.Load()
	if v == nil || m.due || m.reading || v.Seq != seq {
		if v != nil {
			at = v.Seq
		}
		return nil, at, false
	}
	for _, id := range ids {
		got, is := m.row(v, id)
		p, should := want[id]
		if is != should || is && got != kept(&p) {
			wrong = append(wrong, id)
		}
	}
	return wrong, seq, true
}

// rowKept is what a View keeps of an incident.
type rowKept struct {
	place           uint64
	grid            int32
	category, state string
	priority        int16
	flags           Flags
	reported        int64
	cells           [4]cell.Cell
}

func kept(p *store.Mirrored) rowKept {
	r := rowKept{0, p.Grid, p.Category, p.State, p.Priority, flagsOf(p), p.Reported.UnixMicro(), p.Cells}
	if p.Placed {
		r.place = PlaceOf(p.At)
	}
	return r
}

// row is an incident as v has it, which is the newest View.
func (m *Mirror) row(v *View, id int64) (r rowKept, is bool) {
	c, i := v.Tail, 0
	if at, inTail := m.tail[id]; inTail {
		i = int(at)
	} else {
		k, known := slices.BinarySearchFunc(m.byID, id, func(i int32, id int64) int { return cmp.Compare(v.Sorted.ID[i], id) })
		if !known || Marked(v.Gone, int(m.byID[k])) {
			return r, false
		}
		c, i = v.Sorted, int(m.byID[k])
	}
	r = rowKept{c.Place[i], c.Grid[i], v.Categories[c.Category[i]], v.States[c.State[i]], int16(c.Priority[i]), c.Flags[i], c.Reported[i], [4]cell.Cell{}}
	for k := range r.cells {
		r.cells[k] = v.Cells.At(c.Cells[i], 6+k)
	}
	return r, true
}

// Size is how many incidents the newest View has, and how many bytes their columns take.
func (m *Mirror) Size() (rows int, bytes int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	v := m.view.Load()
	if v == nil {
		return 0, 0
	}
	for _, c := range []*Columns{v.Sorted, v.Tail} {
		rows += len(c.ID)
		bytes += int64(cap(c.Place)+cap(c.ID)+cap(c.Reported))*8 + int64(cap(c.Grid)+cap(c.Cells))*4 + int64(cap(c.Category))*2 + int64(cap(c.State)+cap(c.Priority)+cap(c.Flags))
	}
	return rows, bytes + int64(cap(m.byID))*4 + int64(cap(v.Gone)+cap(v.TailGone))*8
}
