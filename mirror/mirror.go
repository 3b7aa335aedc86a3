// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// Package mirror keeps every incident in memory, by column, for what looks at many of
// them at once. PostgreSQL stays the truth: the mirror is read from it at
// the start and whenever much changes at once, and follows the feed, reading anew what an
// event tells of. Whoever asks gets a View as of one sequence number.
//
//	store.EachMirrored -> Columns, sorted by place -> View -> tiles, counts by cell
//	feed: ids of a batch -> the same query -> tail, rows gone -> the next View
package mirror

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"onemap/auth"
	"onemap/feed"
	"onemap/geo/cell"
	"onemap/store"
)

// Loading says that the incidents are being read: so many of about so many are there.
type Loading struct{ Done, About int64 }

func (l *Loading) Error() string {
	return fmt.Sprintf("mirror: incidents are being read: %d of about %d", l.Done, l.About)
}

// Mirror keeps the newest View. Its methods may be called from any goroutine.
type Mirror struct {
	db    *store.DB
	scope auth.Scope

	view        atomic.Pointer[View]
	done, about atomic.Int64
	changes     changes

	late late // told, and not yet followed

	mu      sync.Mutex // guards what follows: one change at a time
	feed    uint64     // another one after Forget
	told    feed.Seq   // of the newest event that was followed
	due     bool       // more has changed than was told by id: the sequence number stands until it is read
	reading bool       // a load is on its way: what is told meanwhile is read again after it
	missed  map[int64]bool
	byID    []int32         // rows of the sorted part in the order of their ids
	tail    map[int64]int32 // rows of the tail that count
	numbers *CellNumbers
}

// late are the ids of incidents that events told of while the mirror was busy for too long:
// they are followed with the next ones.
type late struct {
	mu  sync.Mutex
	ids []int64
}

func (l *late) add(ids []int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ids = append(l.ids, ids...)
}

func (l *late) take() (ids []int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	ids, l.ids = l.ids, nil
	return ids
}

func (l *late) none() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.ids) == 0
}

// New makes a Mirror that holds nothing yet. The scope is that of the whole database: who
// reads a View cuts it to the reader's.
func New(db *store.DB, whole auth.Scope) *Mirror {
	return &Mirror{db: db, scope: whole, missed: map[int64]bool{}, numbers: &CellNumbers{}}
}

// View is the newest state. Error: *Loading until everything has been read once.
func (m *Mirror) View() (*View, error) {
	if v := m.view.Load(); v != nil {
		return v, nil
	}
	return nil, &Loading{m.done.Load(), m.about.Load()}
}

// ErrBehind says that the newest View is older than was asked for.
var ErrBehind = errors.New("mirror: it is behind; ask again")

const awaitLook = 2 * time.Millisecond

// Await is View as of the event with that number or a later one, which is waited for so
// long. Errors: ErrBehind, *Loading, the context's.
func (m *Mirror) Await(ctx context.Context, least feed.Seq, wait time.Duration) (*View, error) {
	for until := time.Now().Add(wait); ; {
		v, err := m.View()
		if err != nil || v.Seq >= least {
			return v, err
		}
		if !time.Now().Before(until) {
			return nil, ErrBehind
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(awaitLook):
		}
	}
}

// Due says that more has changed than events tell by id. Until Load has read it, the View
// goes on and keeps its sequence number.
func (m *Mirror) Due() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.due = true
}

// Forget drops what was read of another database or feed, or by rights of before: there is
// no View until Load has read everything.
func (m *Mirror) Forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.changes.all(func() { m.view.Store(nil) })
	m.told, m.due = 0, true
	m.feed++
}

// Load reads every incident; one at a time. Until it is done the View before it stands,
// and follows.
func (m *Mirror) Load(ctx context.Context) (err error) {
	m.mu.Lock()
	m.reading, m.due = true, false // what was told until now is in the snapshot to come
	of := m.feed
	clear(m.missed)
	m.mu.Unlock()
	defer func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.reading, m.due = false, m.due || err != nil
	}()

	next := newBuilder(&View{}, &CellNumbers{})
	m.done.Store(0)
	seq, err := m.db.EachMirrored(ctx, m.scope, nil, func(about int) { m.about.Store(int64(about)); next.c.grow(about) }, func(p *store.Mirrored) {
		next.add(p)
		m.done.Add(1)
	})
	if err != nil {
		return err
	}
	sorted := next.c.sorted()
	numbers := next.numbers.inOrder(sorted.Cells)
	byID := idOrder(sorted)

	m.mu.Lock()
	defer m.mu.Unlock()
	m.reading = false // what is told from here on is told to the new View
	if m.feed != of {
		return errOtherFeed
	}
	if !m.due {
		seq = max(seq, m.told) // what came meanwhile is read below
	}
	late := m.late.take()
	v := &View{Seq: seq, Sorted: sorted, Tail: &Columns{}, Categories: next.wordsTold, States: next.statesTold, Cells: numbers.Cells}
	byIDWas, tailWas, numbersWas := m.byID, m.tail, m.numbers
	m.byID, m.tail, m.numbers = byID, map[int64]int32{}, numbers
	if _, err := m.change(ctx, v, slices.AppendSeq(late, maps.Keys(m.missed))); err != nil {
		m.byID, m.tail, m.numbers = byIDWas, tailWas, numbersWas
		m.due = true
		m.late.add(late)
		return err
	}
	m.changes.all(func() { m.view.Store(v) })
	return nil
}

// errOtherFeed says that what was read is of a feed that was forgotten meanwhile.
var errOtherFeed = errors.New("mirror: what was read is of another feed by now")

// Follow reads anew the incidents of ids, which events up to seq tell of, and keeps what
// came of them. Where that cannot be read everything is due, and they are in no View until
// it is: somebody may have lost the right to them. It waits no longer than ctx; what it is
// told and has no time for it follows with the next, and its number is not reached before.
func (m *Mirror) Follow(ctx context.Context, ids []int64, seq feed.Seq) error {
	for !m.mu.TryLock() {
		select {
		case <-ctx.Done():
			m.late.add(ids)
			return ctx.Err()
		case <-time.After(time.Millisecond):
		}
	}
	defer m.mu.Unlock()
	ids = append(slices.Clone(ids), m.late.take()...)
	if m.reading {
		for _, id := range ids {
			m.missed[id] = true
		}
	}
	m.told = max(m.told, seq)
	v := m.view.Load()
	if v == nil {
		return nil // they are in what is being read, or missed
	}
	next := *v
	if !m.due && !m.reading {
		next.Seq = max(v.Seq, seq)
	}
	moved, err := m.change(ctx, &next, ids)
	if err != nil {
		m.due = true
		next = *v
		moved = m.hide(&next, ids)
	}
	m.changes.at(moved, func() { m.view.Store(&next) })
	return err
}

// compactAt is how long a tail grows before it is put in its place: every tile looks
// through all of it.
const compactAt = 4096

// change puts the incidents of ids into v, which is nobody's yet, as they are now. It
// returns where they were and are.
func (m *Mirror) change(ctx context.Context, v *View, ids []int64) (moved []uint64, err error) {
	if len(ids) == 0 {
		return nil, nil
	}
	b := newBuilder(v, m.numbers)
	if _, err := m.db.EachMirrored(ctx, m.scope, ids, nil, b.add); err != nil {
		return nil, err
	}
	moved = m.hide(v, ids)
	for i, id := range b.c.ID {
		m.tail[id] = int32(len(v.Tail.ID))
		v.Tail = v.Tail.with(&b.c, i)
		moved = b.c.moved(moved, i)
	}
	v.Categories, v.States, v.Cells = b.wordsTold, b.statesTold, b.numbers.Cells
	if n := len(v.Tail.ID); n > compactAt && n > len(v.Sorted.ID)/64 {
		m.compact(v)
	}
	return moved, nil
}

// hide takes the incidents of ids out of v, which is nobody's yet, and returns where they were.
func (m *Mirror) hide(v *View, ids []int64) (moved []uint64) {
	v.Gone, v.TailGone = slices.Clone(v.Gone), slices.Clone(v.TailGone)
	for _, id := range ids {
		if i, is := m.tail[id]; is {
			moved = v.Tail.moved(moved, int(i))
			v.TailGone = withMark(v.TailGone, int(i))
			delete(m.tail, id)
		} else if k, is := slices.BinarySearchFunc(m.byID, id, func(i int32, id int64) int { return cmp.Compare(v.Sorted.ID[i], id) }); is {
			if i := int(m.byID[k]); !Marked(v.Gone, i) {
				moved = v.Sorted.moved(moved, i)
				v.Gone = withMark(v.Gone, i)
			}
		}
	}
	return moved
}

// moved adds the place of row i, if it has one.
func (c *Columns) moved(places []uint64, i int) []uint64 {
	if c.Flags[i]&NoPlace != 0 {
		return places
	}
	return append(places, c.Place[i])
}

// compact puts the tail in its place: two parts in order are made one.
func (m *Mirror) compact(v *View) {
	old, tail := v.Sorted, v.Tail
	late := tail.byPlace(v.TailGone)
	all := &Columns{}
	all.grow(len(old.ID) + len(late))
	now := make([]int32, len(old.ID)) // where the rows of old are now
	lateIDs := make([]int32, 0, len(late))
	addLate := func() {
		lateIDs = append(lateIDs, int32(len(all.ID)))
		all.add(tail, int(late[0]))
		late = late[1:]
	}
	for i, at := range old.Place {
		if Marked(v.Gone, i) {
			now[i] = -1
			continue
		}
		for len(late) > 0 && (tail.Place[late[0]] < at || tail.Place[late[0]] == at && tail.ID[late[0]] < old.ID[i]) {
			addLate()
		}
		now[i] = int32(len(all.ID))
		all.add(old, i)
	}
	for len(late) > 0 {
		addLate()
	}
	slices.SortFunc(lateIDs, func(a, b int32) int { return cmp.Compare(all.ID[a], all.ID[b]) })
	byID := make([]int32, 0, len(all.ID))
	for _, i := range m.byID {
		if now[i] < 0 {
			continue
		}
		for len(lateIDs) > 0 && all.ID[lateIDs[0]] < all.ID[now[i]] {
			byID, lateIDs = append(byID, lateIDs[0]), lateIDs[1:]
		}
		byID = append(byID, now[i])
	}
	m.byID, m.tail = append(byID, lateIDs...), map[int64]int32{}
	v.Sorted, v.Tail, v.Gone, v.TailGone = all, &Columns{}, nil, nil
}

// idOrder is the rows in the order of their ids.
func idOrder(c *Columns) []int32 {
	type row struct {
		id int64
		i  int32
	}
	rows := make([]row, len(c.ID))
	for i, id := range c.ID {
		rows[i] = row{id, int32(i)}
	}
	slices.SortFunc(rows, func(a, b row) int { return cmp.Compare(a.id, b.id) })
	out := make([]int32, len(rows))
	for k, r := range rows {
		out[k] = r.i
	}
	return out
}

func flagsOf(p *store.Mirrored) (f Flags) {
	if p.Open {
		f |= Open
	}
	if p.Sensitive {
		f |= Sensitive
	}
	if !p.Placed {
		f |= NoPlace
	}
	return f
}

// CellNumbers is Cells being filled. Whoever reads a copy of them sees nothing of what is
// numbered later.
type CellNumbers struct {
	Cells
	sets map[[4]cell.Cell]int32
	of   [4]map[cell.Cell]int32
}

// Number is that of a set of cells, of those that are new a new one.
func (n *CellNumbers) Number(set [4]cell.Cell) int32 {
	i, known := n.sets[set]
	if known {
		return i
	}
	if n.sets == nil {
		n.sets = map[[4]cell.Cell]int32{}
		for r := range n.of {
			n.of[r] = map[cell.Cell]int32{}
		}
		n.Sets = append(n.Sets, [4]int32{-1, -1, -1, -1})
	}
	var numbers [4]int32
	for r, at := range set {
		k, known := n.of[r][at]
		if !known {
			k = int32(len(n.Of[r]))
			n.of[r][at] = k
			n.Of[r] = append(n.Of[r], at)
		}
		numbers[r] = k
	}
	i = int32(len(n.Sets))
	n.sets[set] = i
	n.Sets = append(n.Sets, numbers)
	return i
}

// inOrder numbers anew, as rows in the order of place come upon them, and puts the new
// numbers into the column: who goes through rows in that order finds what is told of
// their cells side by side.
func (n *CellNumbers) inOrder(column []int32) *CellNumbers {
	next, now := &CellNumbers{}, make([]int32, len(n.Sets))
	for i, set := range column {
		if set == 0 {
			continue
		}
		if now[set] == 0 {
			var cells [4]cell.Cell
			for k := range cells {
				cells[k] = n.At(set, 6+k)
			}
			now[set] = next.Number(cells)
		}
		column[i] = now[set]
	}
	return next
}

// builder makes columns of rows.
type builder struct {
	c                     Columns
	words                 map[string]uint16
	states                map[string]uint8
	wordsTold, statesTold []string
	numbers               *CellNumbers
}

// newBuilder makes one that goes on with the words and the cells of a View.
func newBuilder(v *View, numbers *CellNumbers) *builder {
	b := &builder{
		words: map[string]uint16{}, states: map[string]uint8{}, wordsTold: slices.Clone(v.Categories), statesTold: slices.Clone(v.States),
		numbers: numbers,
	}
	for i, w := range b.wordsTold {
		b.words[w] = uint16(i)
	}
	for i, w := range b.statesTold {
		b.states[w] = uint8(i)
	}
	return b
}

func (b *builder) add(p *store.Mirrored) {
	w, known := b.words[p.Category]
	if !known {
		w = uint16(len(b.wordsTold))
		b.words[p.Category] = w
		b.wordsTold = append(b.wordsTold, p.Category)
	}
	st, known := b.states[p.State]
	if !known {
		st = uint8(len(b.statesTold))
		b.states[p.State] = st
		b.statesTold = append(b.statesTold, p.State)
	}
	place, cells := uint64(0), int32(0)
	if p.Placed {
		place, cells = PlaceOf(p.At), b.numbers.Number(p.Cells)
	}
	c := &b.c
	c.Place = append(c.Place, place)
	c.ID = append(c.ID, p.ID)
	c.Grid = append(c.Grid, p.Grid)
	c.Category = append(c.Category, w)
	c.State = append(c.State, st)
	c.Priority = append(c.Priority, uint8(p.Priority))
	c.Flags = append(c.Flags, flagsOf(p))
	c.Reported = append(c.Reported, p.Reported.UnixMicro())
	c.Cells = append(c.Cells, cells)
}
