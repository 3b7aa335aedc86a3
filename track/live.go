// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package track

import (
	"cmp"
	"container/heap"
	"container/list"
	"maps"
	"slices"
	"sync"
	"time"

	"onemap/geo"
)

// State is how a worker's dot is drawn.
type State string

const (
	StateOn    State = "on"    // on duty, fresh
	StateTask  State = "task"  // fresh, and on accepted work
	StateStale State = "stale" // drawn hollow with its age
	StateSOS   State = "sos"   // the alarm was pressed
	StateOff   State = "off"   // no dot: off duty or lost
)

// Dot is a worker on the map.
type Dot struct {
	Worker    uint32
	Grid      int32 // number of the worker's home grid
	P         geo.WGS84
	FixAt     time.Time // never after the fix reached the server, so that an age by the server's clock is never flattered
	AccuracyM float32
	CourseDeg float32
	State     State
}

const (
	// SOSFor is how long an alarm lasts when nobody ends it.
	SOSFor = 2 * time.Hour

	maxWorkers       = 1 << 17 // remembered; far more than a county employs
	maxDevicesWorker = 4       // remembered for one worker
)

// Live keeps the last known place of every worker. It is safe for concurrent
// use, runs nothing by itself and forgets nothing but a worker's fifth device.
// What it shows depends on the set of fixes accepted, not on their order.
type Live struct {
	now  func() time.Time
	near *Near // the dots on the map, by place

	mu      sync.Mutex // guards all below
	duty    func(worker uint32, at time.Time) (until time.Time, on bool)
	workers map[uint32]*entry
	tasks   map[uint32]bool // who is on accepted work
	version uint64
	changes *list.List // of *entry, least recently changed first
	due     dueHeap    // entries whose state changes by age, soonest first
}

// entry is one worker.
type entry struct {
	devices []source
	poor    Fix // newest fix of poor accuracy
	poorGap time.Duration
	sosAt   time.Time
	task    bool
	heard   time.Time

	dot     Dot
	version uint64
	change  *list.Element
	due     time.Time // when to look again; zero: nothing will change by itself
	index   int       // in the heap; -1 outside
}

// source is one device of a worker.
type source struct {
	device   int64
	interval time.Duration
	fixes    window
	last     int // the newest fix on the track
}

// NewLive makes an empty index that ages by the clock now. Until SetDuty is
// called everybody counts as on duty.
func NewLive(now func() time.Time) *Live {
	return &Live{now: now, near: NewNear(), workers: map[uint32]*entry{}, changes: list.New(), version: 1}
}

// SetDuty gives the rule that says who is on duty and until when, and applies
// it. Workers off duty have no dot.
func (l *Live) SetDuty(duty func(worker uint32, at time.Time) (until time.Time, on bool)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.duty = duty
	l.refreshAll()
}

// SetTasks says who is on accepted work: these workers and nobody else, whether they have
// been seen yet or not.
func (l *Live) SetTasks(workers map[uint32]bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	for id, e := range l.workers {
		if on := workers[id]; e.task != on {
			e.task = on
			l.refresh(e, now)
		}
	}
	l.tasks = maps.Clone(workers)
}

// EndSOS ends the worker's alarm.
func (l *Live) EndSOS(worker uint32) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e := l.workers[worker]; e != nil {
		e.sosAt = time.Time{}
		l.refresh(e, l.now())
	}
}

// InSOS reports whether the worker's alarm is on.
func (l *Live) InSOS(worker uint32) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.workers[worker]
	return e != nil && e.inSOS(l.now())
}

// Heard notes a sign of life without a place. It moves no dot and makes none
// younger; only an alarm shows.
func (l *Live) Heard(worker uint32, at time.Time, sos bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.entry(worker)
	if e == nil {
		return
	}
	e.heard = later(e.heard, at)
	if sos {
		e.sosAt = later(e.sosAt, at)
		l.refresh(e, l.now())
	}
}

// LastHeard is when the worker's device last reached the server, with or without
// a place; zero for never.
func (l *Live) LastHeard(worker uint32) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e := l.workers[worker]; e != nil {
		return e.heard
	}
	return time.Time{}
}

// Accept takes a fix of a device that sends one each interval, and returns the
// verdict on it and whether the worker's dot changed. The newest trusted fix
// time wins: a late fix moves no dot back, a future one pins none.
func (l *Live) Accept(f Fix, interval time.Duration) (Verdict, bool) {
	v := judgeAlone(f, interval)
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.entry(f.Worker)
	if e == nil {
		return v, false
	}
	e.heard = later(e.heard, f.ServerAt)
	if f.SOS {
		e.sosAt = later(e.sosAt, earlier(f.At, f.ServerAt))
	}
	f.Verdict = v
	switch {
	case v == Poor:
		same := f.At.Equal(e.poor.At) && f.Device == e.poor.Device
		if newer(f, e.poor) || same && arrivedBefore(f, e.poor) {
			e.poor, e.poorGap = f, interval
		}
	case v.Trusted():
		if !e.put(f, interval) {
			f.Verdict = Jump
		}
	}
	return f.Verdict, l.refresh(e, l.now())
}

// Dots returns every dot on the map, ordered by worker.
func (l *Live) Dots() []Dot {
	dots, _ := l.Changed(0)
	return dots
}

// Near is the dots on the map by place, as of now.
func (l *Live) Near() *Near {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.age()
	return l.near
}

// Dot returns the worker's dot; false when it is not on the map.
func (l *Live) Dot(worker uint32) (Dot, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.age()
	e := l.workers[worker]
	if e == nil || e.dot.State == StateOff {
		return Dot{}, false
	}
	return e.dot, true
}

// Changed returns the dots that changed after `since`, ordered by worker, and
// the number to ask with next time; 0 asks for all that are on the map. A dot
// that left the map comes once, with StateOff. Its cost is that of the changes.
func (l *Live) Changed(since uint64) ([]Dot, uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.age()
	var dots []Dot
	for c := l.changes.Back(); c != nil; c = c.Prev() {
		e := c.Value.(*entry)
		if e.version <= since {
			break
		}
		if since > 0 || e.dot.State != StateOff {
			dots = append(dots, e.dot)
		}
	}
	sortDots(dots)
	return dots, l.version
}

func sortDots(dots []Dot) {
	slices.SortFunc(dots, func(a, b Dot) int { return cmp.Compare(a.Worker, b.Worker) })
}

// entry returns the worker's entry, made if need be; nil when there are too many.
func (l *Live) entry(worker uint32) *entry {
	e := l.workers[worker]
	if e == nil && len(l.workers) < maxWorkers {
		e = &entry{dot: Dot{Worker: worker, State: StateOff}, task: l.tasks[worker], index: -1}
		l.workers[worker] = e
	}
	return e
}

// put adds a fix that is good in itself to its device's window, and reports
// whether it lies on the track there.
func (e *entry) put(f Fix, interval time.Duration) bool {
	i := slices.IndexFunc(e.devices, func(s source) bool { return s.device == f.Device })
	if i < 0 {
		i = e.newSource(f)
		if i < 0 {
			return true
		}
	}
	s := &e.devices[i]
	s.interval = interval
	var at int
	s.fixes, at = s.fixes.insert(f)
	if at < 0 {
		return true
	}
	chain := s.fixes.chain()
	s.last = chain.end
	return chain.holds(at)
}

// newSource makes room for f's device, at the cost of the device whose newest
// fix is the oldest; -1 when that would be f's own.
func (e *entry) newSource(f Fix) int {
	s := source{device: f.Device, fixes: make(window, 0, around)}
	if len(e.devices) < maxDevicesWorker {
		e.devices = append(e.devices, s)
		return len(e.devices) - 1
	}
	oldest := 0
	for i, d := range e.devices {
		if newer(e.devices[oldest].newest(), d.newest()) {
			oldest = i
		}
	}
	if !newer(f, e.devices[oldest].newest()) {
		return -1
	}
	e.devices[oldest] = s
	return oldest
}

func (s source) newest() Fix { return s.fixes[len(s.fixes)-1] }

// best is the worker's newest trusted fix.
func (e *entry) best() (f Fix, interval time.Duration) {
	for _, s := range e.devices {
		if g := s.fixes[s.last]; newer(g, f) {
			f, interval = g, s.interval
		}
	}
	return f, interval
}

// newer orders fixes of one worker: by time, then by device.
func newer(a, b Fix) bool {
	if c := a.At.Compare(b.At); c != 0 {
		return c > 0
	}
	return a.Device > b.Device
}

func (e *entry) inSOS(now time.Time) bool { return !e.sosAt.IsZero() && now.Sub(e.sosAt) < SOSFor }

// show works out the dot at now, and when it will next change by itself.
func (e *entry) show(now time.Time, duty func(uint32, time.Time) (time.Time, bool)) (Dot, time.Time) {
	f, interval := e.best()
	seen := earlier(f.At, f.ServerAt)
	fresh := FreshnessOf(now.Sub(seen), interval)
	if fresh != Fresh && newer(e.poor, f) { // better a wide disc drawn hollow than an old place
		f, interval = e.poor, e.poorGap
		seen = earlier(f.At, f.ServerAt)
		fresh = max(Stale, FreshnessOf(now.Sub(seen), interval))
	}
	d := Dot{Worker: e.dot.Worker, Grid: f.Grid, P: f.P, FixAt: seen, AccuracyM: f.AccuracyM, CourseDeg: f.CourseDeg}
	var until time.Time
	on := true
	if duty != nil {
		until, on = duty(d.Worker, now)
	}
	var ends [3]time.Time // of freshness, of duty, of the alarm
	switch fresh {
	case Fresh:
		ends[0] = seen.Add(FreshFor(interval))
	case Stale:
		ends[0] = seen.Add(lostAfter)
	}
	sos := e.inSOS(now)
	if sos {
		ends[2] = e.sosAt.Add(SOSFor)
	}
	if on {
		ends[1] = until
	}
	switch {
	case fresh == Lost || (!on && !sos):
		d.State = StateOff
	case sos:
		d.State = StateSOS
	case fresh == Stale:
		d.State = StateStale
	case e.task:
		d.State = StateTask
	default:
		d.State = StateOn
	}
	if d.State == StateOff { // who comes on duty is seen again with the next fix
		return Dot{Worker: d.Worker, Grid: d.Grid, P: d.P, FixAt: d.FixAt, AccuracyM: Unknown, CourseDeg: Unknown, State: StateOff}, time.Time{}
	}
	return d, soonest(now, ends[:])
}

// soonest is the earliest of the times after now; zero if none.
func soonest(now time.Time, ts []time.Time) (first time.Time) {
	for _, t := range ts {
		if t.After(now) && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	return first
}

// refresh works out e's dot anew and notes a change. A dot that stays off the
// map is no change, wherever it is.
func (l *Live) refresh(e *entry, now time.Time) bool {
	dot, due := e.show(now, l.duty)
	l.schedule(e, due)
	old := e.dot
	e.dot = dot
	if dot == old || (dot.State == StateOff && old.State == StateOff) {
		return false
	}
	l.near.Put(dot)
	l.version++
	e.version = l.version
	if e.change == nil {
		e.change = l.changes.PushBack(e)
	} else {
		l.changes.MoveToBack(e.change)
	}
	return true
}

func (l *Live) refreshAll() {
	now := l.now()
	for _, e := range l.workers {
		l.refresh(e, now)
	}
}

// age refreshes the entries whose time has come.
func (l *Live) age() {
	now := l.now()
	for len(l.due) > 0 && !l.due[0].due.After(now) {
		l.refresh(l.due[0], now)
	}
}

func (l *Live) schedule(e *entry, due time.Time) {
	e.due = due
	switch {
	case due.IsZero() && e.index >= 0:
		heap.Remove(&l.due, e.index)
	case due.IsZero():
	case e.index >= 0:
		heap.Fix(&l.due, e.index)
	default:
		heap.Push(&l.due, e)
	}
}

// dueHeap is a heap.Interface of entries, the soonest due first.
type dueHeap []*entry

func (h dueHeap) Len() int           { return len(h) }
func (h dueHeap) Less(i, j int) bool { return h[i].due.Before(h[j].due) }

func (h dueHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *dueHeap) Push(x any) {
	e := x.(*entry)
	e.index = len(*h)
	*h = append(*h, e)
}

func (h *dueHeap) Pop() any {
	old := *h
	e := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	e.index = -1
	return e
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
