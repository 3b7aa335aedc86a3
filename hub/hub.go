// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

// Package hub sends the feed and the workers' positions to every open screen
// over WebSocket (onemap.v1). A client is shown each event of its scope once and
// in order: it starts from a snapshot or resumes after the last event it has,
// and is told what it may skip. Events are never dropped; a socket that cannot
// keep up is closed with 4008 and resumes. Positions are conflated: only the
// newest of a worker counts.
//
//	Publish -> pending -> (gather) -> flush: State, ring, one frame a room -> queue of each socket -> writer
//
// What readers with the same scope and view are sent is encoded once. Under load
// events are gathered for some milliseconds; when idle they go at once, and an
// urgent one takes everything gathered before it along at once.
package hub

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"onemap/auth"
	"onemap/feed"
	"onemap/track"
)

// Close codes of onemap.v1 beside those of the WebSocket standard.
const (
	SignInAgain  = 4001 // the session ended
	ScopeChanged = 4003 // say hello again: what the reader may see is another
	TooSlow      = 4008 // resume
)

var (
	// ErrScopeChanged from a lease closes the socket with 4003 instead of 4001.
	ErrScopeChanged = errors.New("hub: the scope has changed")
	// ErrLeaseUnknown from a lease says that the session could not be checked
	// (the database is away). The socket lives on until Options.Trust is over,
	// then it is closed with 1013: a short outage signs no wall out.
	ErrLeaseUnknown = errors.New("hub: the session could not be checked")
	// ErrNotNext is Publish's answer to events that do not follow the head, or
	// that come before Start.
	ErrNotNext = errors.New("hub: events do not follow the head")
)

// Limits bounds how many sockets are open. A socket over a limit is refused
// before the upgrade; none is evicted for it. Zero means the default.
type Limits struct {
	PerActor   int // one session, token or wall; default 8
	PerIP      int // default 200
	Total      int // default 10,000
	Handshakes int // answered at the same time; default 64
}

// Options configures a Hub. Only Read is needed for resumes beyond the ring and
// Dots for positions; every other zero value is a sound default.
type Options struct {
	Now    func() time.Time // what ticks and fix ages are told by; default time.Now
	Rand   func() float64   // in [0,1): spreads reconnects; default math/rand
	Log    *slog.Logger
	Gather time.Duration // how long events are gathered under load; default 25 ms
	Ring   int           // events kept in memory for resumes; default 4,096
	Lease  time.Duration // how often a socket's lease is renewed; default 4 s, 30 s at most
	Trust  time.Duration // how long a lease that cannot be checked is believed; default 60 s
	Limits Limits
	IP     func(*http.Request) string // whom PerIP counts; default the connection's address

	// Read returns up to limit events after seq after, in order, from the record.
	Read func(ctx context.Context, after feed.Seq, limit int) ([]feed.Event, error)
	// Dots returns every dot that changed since the given mark, and the next
	// mark; mark 0 gives all.
	Dots func(since uint64) ([]track.Dot, uint64)
	// FeedAge says how long ago it is that this node knew it had been given every
	// event; ticks tell it, so that no screen takes an open line for fresh data.
	// It must not wait for anything, nor call the hub. Without it the age is 0.
	FeedAge func() time.Duration
}

func (o *Options) setDefaults() {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Rand == nil {
		o.Rand = rand.Float64
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.FeedAge == nil {
		o.FeedAge = func() time.Duration { return 0 }
	}
	if o.Gather <= 0 {
		o.Gather = 25 * time.Millisecond
	}
	if o.Ring <= 0 {
		o.Ring = 4096
	}
	if o.Lease <= 0 || o.Lease > 30*time.Second {
		o.Lease = 4 * time.Second
	}
	if o.Trust <= 0 {
		o.Trust = time.Minute
	}
	if o.IP == nil {
		o.IP = remoteIP
	}
	orElse := func(n *int, d int) {
		if *n <= 0 {
			*n = d
		}
	}
	orElse(&o.Limits.PerActor, 8)
	orElse(&o.Limits.PerIP, 200)
	orElse(&o.Limits.Total, 10_000)
	orElse(&o.Limits.Handshakes, 64)
}

// Hub is the fan-out of one node. Its methods may be called from any goroutine.
type Hub struct {
	o     Options
	gate  chan struct{} // handshakes in progress
	wake  chan struct{} // pending has grown
	stats counters
	ctx   context.Context // ends with Stop
	stop  context.CancelFunc
	wg    sync.WaitGroup // the loop, and all goroutines of all sockets

	mu        sync.Mutex // guards what follows, and the fields of rooms and clients that say so
	started   bool
	stopping  bool
	gen       int // counts Start and Reset: lines of numbers
	epoch     feed.Epoch
	state     *feed.State // as of the last event sent
	ring      *ring
	filled    chan struct{} // closed when the events before Start are in the ring, or cannot be
	pending   []feed.Event  // published, not yet sent
	urgent    bool          // pending holds an urgent event
	lastFlush time.Time
	beats     int
	dots      *dots
	rooms     map[string]*room
	clients   map[*client]struct{}
	perActor  map[string]int
	perIP     map[string]int
	admitted  int // sockets open or on their way
}

// New makes a Hub. It refuses sockets until Start.
func New(o Options) *Hub {
	o.setDefaults()
	ctx, stop := context.WithCancel(context.Background())
	return &Hub{
		o: o, ctx: ctx, stop: stop,
		gate: make(chan struct{}, o.Limits.Handshakes), wake: make(chan struct{}, 1),
		dots: newDots(), rooms: map[string]*room{}, clients: map[*client]struct{}{},
		perActor: map[string]int{}, perIP: map[string]int{},
	}
}

// Start takes over st, the live state as of its head in this epoch, and opens
// for sockets. It is called once.
func (h *Hub) Start(epoch feed.Epoch, st *feed.State) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.started || h.stopping {
		return
	}
	h.started = true
	h.takeLine(epoch, st)
	h.wg.Go(h.run)
}

// takeLine begins another line of numbers. The caller holds h.mu.
func (h *Hub) takeLine(epoch feed.Epoch, st *feed.State) {
	h.gen++
	h.epoch, h.state = epoch, st
	h.pending, h.urgent = nil, false
	h.ring = newRing(h.o.Ring, st.Head)
	h.filled = make(chan struct{})
	gen, head, filled := h.gen, st.Head, h.filled
	h.wg.Go(func() {
		defer close(filled)
		h.fillRing(gen, head)
	})
}

// fillRing loads the events up to head, so that the screens that come back after
// a restart are answered from memory.
func (h *Hub) fillRing(gen int, head feed.Seq) {
	if h.o.Read == nil || head == 0 {
		return
	}
	after := max(0, head-feed.Seq(h.o.Ring))
	evs, err := h.readRun(after, int(head-after))
	if err != nil {
		h.o.Log.Warn("hub: the newest events could not be loaded; resumes will read the record", "err", err)
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.gen == gen {
		h.ring.prepend(evs)
	}
}

// readRun reads exactly the n events after seq after, page by page.
func (h *Hub) readRun(after feed.Seq, n int) ([]feed.Event, error) {
	if h.o.Read == nil {
		return nil, errors.New("no record to read from")
	}
	var out []feed.Event
	for len(out) < n {
		page, err := h.o.Read(h.ctx, after, min(n-len(out), 1000))
		if err != nil {
			return nil, fmt.Errorf("read the feed after %d: %w", after, err)
		}
		if len(page) == 0 {
			return nil, fmt.Errorf("the feed ends at %d", after)
		}
		for i := range page {
			if page[i].Seq != after+1 {
				return nil, fmt.Errorf("the feed has %d after %d", page[i].Seq, after)
			}
			after++
		}
		out = append(out, page...)
	}
	return out, nil
}

// Publish takes the next events of the feed, contiguous with those before, and
// sends them. Events that do not follow change nothing and answer ErrNotNext.
func (h *Hub) Publish(evs []feed.Event) error {
	rush := false
	for i := range evs {
		rush = rush || urgent(&evs[i])
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.started {
		return fmt.Errorf("publish before start: %w", ErrNotNext)
	}
	next := h.head() + 1
	for i := range evs {
		if evs[i].Seq != next {
			return fmt.Errorf("event %d instead of %d: %w", evs[i].Seq, next, ErrNotNext)
		}
		next++
	}
	h.pending = append(h.pending, evs...)
	h.urgent = h.urgent || rush
	select {
	case h.wake <- struct{}{}:
	default:
	}
	return nil
}

// urgent reports an incident that must not wait for others.
func urgent(e *feed.Event) bool {
	if e.Kind != "incident.opened" {
		return false
	}
	data := e.Shared
	if data == nil {
		data = e.Case
	}
	var m struct {
		Priority int `json:"priority"`
	}
	return json.Unmarshal(data, &m) == nil && m.Priority == 1
}

// recheckIn is how soon every lease is renewed after Recheck: spread, so that not
// all ask in the same instant.
const recheckIn = time.Second

// Recheck has every socket renew its lease within a second: what its reader may see
// may have changed.
func (h *Hub) Recheck() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for c := range h.clients {
		signal(c.again)
	}
}

// head is the newest published event. The caller holds h.mu.
func (h *Hub) head() feed.Seq {
	if h.state == nil {
		return 0
	}
	return h.state.Head + feed.Seq(len(h.pending))
}

// Head is the newest event the hub was given.
func (h *Hub) Head() feed.Seq {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.head()
}

// Reset begins another line of numbers (a restore, a promotion) and starts every
// client over from st, which the hub owns from now on.
func (h *Hub) Reset(epoch feed.Epoch, st *feed.State) {
	h.mu.Lock()
	if !h.started || h.stopping {
		h.mu.Unlock()
		return
	}
	h.takeLine(epoch, st)
	gen := h.gen
	waiting := map[*room]map[*client]int{} // with their turn: a hello in between wins
	for _, r := range h.rooms {
		waiting[r] = map[*client]int{}
		for c := range r.members {
			waiting[r][c] = c.turn
			c.joined = false
		}
		clear(r.members)
		r.told = st.Head
	}
	h.mu.Unlock()
	for r, cs := range waiting {
		if len(cs) == 0 {
			continue
		}
		s := r.reset(h)
		h.mu.Lock()
		for c, turn := range cs {
			if h.gen == gen && s.gen == gen && c.turn == turn {
				c.restart(s)
			}
		}
		h.mu.Unlock()
	}
}

// Drop closes every socket whose actor matches, with one of the package's codes:
// a session that was ended, a wall that was taken back, a scope that changed. It
// returns how many.
func (h *Hub) Drop(code int, match func(auth.Actor) bool) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := 0
	for c := range h.clients {
		if match(c.actor) {
			c.end(code, closeText[code])
			n++
		}
	}
	return n
}

// closeText says in a close frame what the code means; onemap.v1 clients go by
// the code alone.
var closeText = map[int]string{
	SignInAgain: "sign in again", ScopeChanged: "scope changed", TooSlow: "too slow",
}

// Stop closes every socket with 1012 and a delay after which to come back, and
// waits for all goroutines; when ctx ends first, connections are cut.
func (h *Hub) Stop(ctx context.Context) error {
	h.mu.Lock()
	h.stopping = true
	spread := min(30*time.Second, time.Second+time.Duration(len(h.clients))*5*time.Millisecond)
	for c := range h.clients {
		ms := 500 + int64(h.o.Rand()*float64(spread.Milliseconds()))
		c.end(serviceRestart, fmt.Sprintf("retry_ms=%d", ms))
	}
	h.mu.Unlock()
	h.stop()
	done := make(chan struct{})
	go func() { h.wg.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
	}
	h.mu.Lock()
	for c := range h.clients {
		c.sock.kill(true)
	}
	h.mu.Unlock()
	select {
	case <-done:
		return nil
	case <-time.After(2 * time.Second):
		return fmt.Errorf("hub: sockets still open: %w", ctx.Err())
	}
}
