// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"onemap/auth"
	"onemap/people"
	"onemap/store"
	"onemap/track"
	"onemap/track/osmand"
)

// fixOptions say what a fixWriter works with. DB is needed.
type fixOptions struct {
	DB    *store.DB
	Owner *store.DB        // makes and drops partitions; default DB
	Now   func() time.Time // default time.Now
	Log   *slog.Logger     // default none
	// Alarm is told when a worker's alarm begins; it must not block. Default none.
	Alarm func(worker uint32, at time.Time)

	Gather time.Duration // longest wait of a fix for company; default 25 ms
	Batch  int           // fixes that are committed at once without waiting on; default 1,000
	Queue  int           // fixes held at most; default 20,000
	Reload time.Duration // between two looks at the directory; default 30 s
}

// fixWriter commits fixes in groups, keeps track.Live and the directory of
// workers and devices, and keeps the house of the history: partitions ahead,
// retention, quarantine. It is the Sink of the device listeners.
type fixWriter struct {
	o     fixOptions
	log   track.Log
	live  *track.Live
	dir   atomic.Pointer[people.Directory]
	queue chan submission // its fixes are counted by held

	mu      sync.Mutex // guards closed, held and unknown
	closed  bool
	held    int
	unknown map[string]*store.UnknownDevice

	refreshing sync.Mutex // held by who reads the directory

	wg   sync.WaitGroup
	quit chan struct{}
}

// submission is the fixes of one request, whose sender waits on done.
type submission struct {
	interval time.Duration
	fixes    []track.Fix
	done     chan error // buffered: the sender may have gone
}

const (
	daysBehind     = 2
	daysAhead      = 7
	maxUnknown     = 1000
	commitTimeout  = 10 * time.Second
	houseEvery     = time.Hour
	flushUnknown   = 5 * time.Second
	houseTimeout   = 2 * time.Minute
	refreshTimeout = 20 * time.Second
)

var (
	errQueueFull = errors.New("too many fixes wait for the database")
	errStopped   = errors.New("stopping: no more fixes are taken")
)

func newFixWriter(o fixOptions) *fixWriter {
	if o.Owner == nil {
		o.Owner = o.DB
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Alarm == nil {
		o.Alarm = func(uint32, time.Time) {}
	}
	if o.Gather == 0 {
		o.Gather = 25 * time.Millisecond
	}
	if o.Batch == 0 {
		o.Batch = 1000
	}
	if o.Queue == 0 {
		o.Queue = 20_000
	}
	if o.Reload == 0 {
		o.Reload = 30 * time.Second
	}
	w := &fixWriter{
		o: o, log: store.Positions{DB: o.DB}, live: track.NewLive(o.Now),
		queue: make(chan submission, o.Queue), unknown: map[string]*store.UnknownDevice{}, quit: make(chan struct{}),
	}
	w.dir.Store(people.NewDirectory(nil, nil))
	return w
}

// Live is the index of last known places.
func (w *fixWriter) Live() *track.Live { return w.live }

// Directory is the newest directory loaded.
func (w *fixWriter) Directory() *people.Directory { return w.dir.Load() }

// Waiting is how many fixes wait for their commit.
func (w *fixWriter) Waiting() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.held
}

// Start makes partitions, loads directory and last known places, and starts
// writing.
func (w *fixWriter) Start(ctx context.Context) error {
	p := store.Positions{DB: w.o.Owner}
	now := w.o.Now()
	if err := p.EnsurePartitions(ctx, now.AddDate(0, 0, -daysBehind), daysBehind+1+daysAhead); err != nil {
		return err
	}
	if err := w.Refresh(ctx); err != nil {
		return err
	}
	last, err := p.Last(ctx, auth.System("last known places"), w.Directory())
	if err != nil {
		return err
	}
	for _, f := range last {
		d, _ := w.Directory().DeviceByID(f.Device)
		w.live.Accept(f, d.Interval)
	}
	w.start()
	w.wg.Go(w.keepHouse)
	return nil
}

func (w *fixWriter) start() { w.wg.Go(w.write) }

// Stop takes no more fixes, commits those it holds and ends. A second call does
// nothing. The error is ctx's when that ends first.
func (w *fixWriter) Stop(ctx context.Context) error {
	w.mu.Lock()
	if !w.closed {
		w.closed = true
		close(w.queue)
		close(w.quit)
	}
	w.mu.Unlock()
	done := make(chan struct{})
	go func() { w.wg.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("stop the fix writer: %w", ctx.Err())
	}
}

// Refresh loads the directory anew, so that new devices and duty hours count.
// One reading at a time: an older one never takes the place of a newer.
func (w *fixWriter) Refresh(ctx context.Context) error {
	w.refreshing.Lock()
	defer w.refreshing.Unlock()
	dir, err := w.o.DB.Directory(ctx, auth.System("device directory"), w.o.Now())
	if err != nil {
		return err
	}
	w.dir.Store(dir)
	w.live.SetDuty(dir.OnDuty)
	return nil
}

// Put implements osmand.Sink: it returns once the fixes are committed. When the
// queue is full it says so at once.
func (w *fixWriter) Put(ctx context.Context, d people.Device, fixes []track.Fix) error {
	s := submission{interval: d.Interval, fixes: fixes, done: make(chan error, 1)}
	if err := w.enqueue(s); err != nil {
		return err
	}
	select {
	case err := <-s.done:
		return err
	case <-ctx.Done():
		return ctx.Err() // the fixes may still be kept; the same again changes nothing
	}
}

func (w *fixWriter) enqueue(s submission) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.closed:
		return errStopped
	case len(s.fixes) == 0:
		s.done <- nil
		return nil
	case w.held+len(s.fixes) > w.o.Queue:
		return errQueueFull
	}
	w.held += len(s.fixes)
	w.queue <- s // never blocks: each submission holds a fix, and the channel has room for all held
	return nil
}

// Heard implements osmand.Sink.
func (w *fixWriter) Heard(worker uint32, at time.Time, sos bool) {
	began := sos && !w.live.InSOS(worker)
	w.live.Heard(worker, at, sos)
	if began {
		w.o.Alarm(worker, at)
	}
}

// InSOS implements osmand.Sink.
func (w *fixWriter) InSOS(worker uint32) bool { return w.live.InSOS(worker) }

// Unknown implements osmand.Sink. Beyond a bound, new ids are let go until the
// next flush.
func (w *fixWriter) Unknown(uniqueID string, at time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	u := w.unknown[uniqueID]
	if u == nil {
		if len(w.unknown) >= maxUnknown {
			return
		}
		u = &store.UnknownDevice{UniqueID: uniqueID, First: at}
		w.unknown[uniqueID] = u
	}
	u.Last, u.Calls = at, u.Calls+1
}

// write commits groups until the queue is closed and empty.
func (w *fixWriter) write() {
	for first := range w.queue {
		w.commit(w.gather(first))
	}
}

// gather waits for company, at most Gather and not beyond Batch fixes.
func (w *fixWriter) gather(first submission) []submission {
	group, n := []submission{first}, len(first.fixes)
	t := time.NewTimer(w.o.Gather)
	defer t.Stop()
	for n < w.o.Batch {
		select {
		case s, open := <-w.queue:
			if !open {
				return group
			}
			group, n = append(group, s), n+len(s.fixes)
		case <-t.C:
			return group
		}
	}
	return group
}

// commit judges the fixes of a group, keeps them in one transaction and answers
// their senders. Dots move before the commit: should it fail, the map shows a
// place that history does not hold until the phone sends it again.
func (w *fixWriter) commit(group []submission) {
	var fixes []track.Fix
	for _, s := range group {
		for i := range s.fixes {
			w.accept(&s.fixes[i], s.interval)
		}
		fixes = append(fixes, s.fixes...)
	}
	err := w.append(fixes)
	for _, s := range group {
		switch {
		case err == nil, store.Unavailable(err):
			s.done <- err
		case len(group) == 1:
			s.done <- refused(err)
		default: // one of them is poison: the others must not suffer
			s.done <- refused(w.append(s.fixes))
		}
	}
	w.mu.Lock()
	w.held -= len(fixes)
	w.mu.Unlock()
}

func (w *fixWriter) accept(f *track.Fix, interval time.Duration) {
	began := f.SOS && !w.live.InSOS(f.Worker)
	f.Verdict, _ = w.live.Accept(*f, interval)
	if began {
		w.o.Alarm(f.Worker, f.At)
	}
}

func (w *fixWriter) append(fixes []track.Fix) error {
	ctx, cancel := context.WithTimeout(context.Background(), commitTimeout)
	defer cancel()
	return w.log.Append(ctx, fixes)
}

// refused marks an error that the same fixes will always meet.
func refused(err error) error {
	if err == nil || store.Unavailable(err) {
		return err
	}
	return errors.Join(osmand.ErrRefused, err)
}

// keepHouse flushes the quarantine, refreshes the directory and cares for the
// partitions until Stop.
func (w *fixWriter) keepHouse() {
	ctx := context.Background() // each task has its own time limit
	flush, reload, house := time.NewTicker(flushUnknown), time.NewTicker(w.o.Reload), time.NewTicker(houseEvery)
	defer flush.Stop()
	defer reload.Stop()
	defer house.Stop()
	for {
		select {
		case <-w.quit:
			w.report("quarantine of unknown devices", w.flushUnknown(ctx))
			return
		case <-flush.C:
			w.report("quarantine of unknown devices", w.flushUnknown(ctx))
		case <-reload.C:
			w.report("directory of workers and devices", w.within(ctx, refreshTimeout, w.Refresh))
		case <-house.C:
			w.report("partitions of positions", w.within(ctx, houseTimeout, w.carePartitions))
		}
	}
}

func (w *fixWriter) report(what string, err error) {
	if err != nil {
		w.o.Log.Warn(what+" not kept up", "error", err)
	}
}

func (w *fixWriter) within(ctx context.Context, d time.Duration, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	return f(ctx)
}

func (w *fixWriter) flushUnknown(ctx context.Context) error {
	w.mu.Lock()
	list := make([]store.UnknownDevice, 0, len(w.unknown))
	for _, u := range w.unknown {
		list = append(list, *u)
	}
	clear(w.unknown)
	w.mu.Unlock()
	if len(list) == 0 {
		return nil
	}
	return w.within(ctx, refreshTimeout, func(ctx context.Context) error { return w.o.DB.Quarantine(ctx, list) })
}

func (w *fixWriter) carePartitions(ctx context.Context) error {
	p := store.Positions{DB: w.o.Owner}
	now := w.o.Now()
	if err := p.EnsurePartitions(ctx, now, 1+daysAhead); err != nil {
		return err
	}
	dropped, err := p.DropBefore(ctx, now.Add(-track.Retention))
	if dropped > 0 {
		w.o.Log.Info("positions past their retention dropped", "days", dropped)
	}
	if err != nil {
		return err
	}
	strays, err := p.Strays(ctx)
	if strays > 0 {
		w.o.Log.Warn("positions stand in the default partition", "rows", strays)
	}
	return err
}
