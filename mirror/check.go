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
	"onemap/geo/cell"
	"onemap/store"
)

const (
	checkTries = 5               // what is counted may change while the database is asked
	checkAgain = 3               // a fault that is none goes away
	checkRest  = time.Second     // before it is looked at again
	checkWait  = 2 * time.Second // for the View to have what the database had
)

// ErrNotNow says that the mirror is being read, or that what was looked at changed too fast
// to be held against the database.
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

// differ are those of ids that the View has otherwise than the database. What changed while
// the database was asked is not judged.
func (m *Mirror) differ(ctx context.Context, ids []int64) (wrong []int64, err error) {
	var looks []map[int64]rowKept
	want := map[int64]store.Mirrored{}
	err = m.around(ctx, func() error {
		rows, err := m.rows(ids)
		looks = append(looks, rows)
		return err
	}, func() error {
		_, err := m.db.EachMirrored(ctx, m.scope, ids, nil, func(p *store.Mirrored) { want[p.ID] = *p })
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		before, was := looks[0][id]
		got, is := looks[1][id]
		if was != is || before != got {
			continue
		}
		if p, should := want[id]; is != should || is && got != kept(&p) {
			wrong = append(wrong, id)
		}
	}
	return wrong, nil
}

// around looks at the View before and after the database is asked: what is the same in both
// looks did not change meanwhile, however much else did. Before the second look the View
// has all that the database had. Error: ErrNotNow, or what a look or the database says.
func (m *Mirror) around(ctx context.Context, look, ask func() error) error {
	if err := look(); err != nil {
		return err
	}
	if err := ask(); err != nil {
		return err
	}
	wait, cancel := context.WithTimeout(ctx, checkWait)
	defer cancel()
	end, err := m.db.FeedEnd(wait)
	if err == nil {
		_, err = m.Await(wait, end, checkWait)
	}
	var loading *Loading
	if errors.Is(err, ErrBehind) || errors.As(err, &loading) || errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return ErrNotNow
	}
	if err != nil {
		return err
	}
	return look()
}

// whole is the newest View while it has everything that it was told of. Error: ErrNotNow.
// The caller holds mu.
func (m *Mirror) whole() (*View, error) {
	v := m.view.Load()
	if v == nil || m.due || m.reading || !m.late.none() {
		return nil, ErrNotNow
	}
	return v, nil
}

// rows are the incidents of ids as the View has them. Error: ErrNotNow.
func (m *Mirror) rows(ids []int64) (map[int64]rowKept, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	v, err := m.whole()
	if err != nil {
		return nil, err
	}
	out := map[int64]rowKept{}
	for _, id := range ids {
		if r, is := m.row(v, id); is {
			out[id] = r
		}
	}
	return out, nil
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

// countSame reports whether the View counts what the database does.
func (m *Mirror) countSame(ctx context.Context, f store.CellFilter, p analysis.Period) (bool, error) {
	for range checkTries {
		var looks []store.CellCounts
		var want store.CellCounts
		err := m.around(ctx, func() error {
			got, err := m.counts(f, p)
			looks = append(looks, got)
			return err
		}, func() error {
			counts, err := m.db.CellCounts(ctx, m.scope, auth.CaseView, f, p)
			if err == nil {
				want = counts[0]
			}
			return err
		})
		if err != nil {
			return false, err
		}
		if looks[0].Equal(looks[1]) {
			return looks[1].Equal(want), nil
		}
	}
	return false, ErrNotNow
}

// counts is what the View counts. Error: ErrNotNow.
func (m *Mirror) counts(f store.CellFilter, p analysis.Period) (store.CellCounts, error) {
	m.mu.Lock()
	v, err := m.whole()
	m.mu.Unlock()
	if err != nil {
		return store.CellCounts{}, err
	}
	counts, err := v.CellCounts(m.scope, auth.CaseView, f, p)
	if err != nil {
		return store.CellCounts{}, err
	}
	return counts[0], nil
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
