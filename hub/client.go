// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"onemap/auth"
)

const (
	queueBytes   = 1 << 20 // unsent bytes and frames a socket may have
	queueFrames  = 1024
	catchUpBytes = 256 << 10 // a catch-up waits while more than this is unsent
	helloWait    = 10 * time.Second
	pingEvery    = 25 * time.Second
	leaseWait    = 10 * time.Second // a lease that takes longer is unknown
)

// client is one socket. Its reader answers hellos, its writer is the only one
// that writes.
type client struct {
	h      *Hub
	sock   *socket
	actor  auth.Actor
	stream auth.Stream
	ip     string
	room   *room
	lease  func(context.Context) error
	ctx    context.Context // ends with the socket
	free   context.CancelFunc

	wake  chan struct{} // the queue has grown
	again chan struct{} // the lease is to be renewed soon
	space chan struct{} // the queue has shrunk
	ended chan struct{} // closed by end
	read  chan struct{} // closed when the reader has read its last
	wrote chan struct{} // closed when the writer is done

	// guarded by Hub.mu
	joined    bool // a member of its room: gets events as they come
	turn      int  // counts hellos
	events    bool
	positions bool
	binary    bool
	spotRev   uint64 // the revision of the positions it has, 0 for none

	mu     sync.Mutex // guards what follows; taken after Hub.mu
	queue  []*frame
	bytes  int
	owed   bool // a position frame is not yet written
	closed bool
	code   int
	reason string
}

func newClient(h *Hub, a auth.Actor, s auth.Stream, ip string, lease func(context.Context) error) *client {
	ctx, free := context.WithCancel(h.ctx)
	return &client{
		h: h, actor: a, stream: s, ip: ip, lease: lease, ctx: ctx, free: free,
		wake: make(chan struct{}, 1), again: make(chan struct{}, 1), space: make(chan struct{}, 1),
		ended: make(chan struct{}), read: make(chan struct{}), wrote: make(chan struct{}),
	}
}

// push queues a frame. A socket whose queue is full is closed: it resumes.
func (c *client) push(f *frame) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	size := len(f.wire)
	if f.free {
		size = 0
	}
	if c.bytes+size > queueBytes || len(c.queue) >= queueFrames {
		c.h.stats.slow.Add(1)
		c.endLocked(TooSlow, closeText[TooSlow])
		return
	}
	c.queue = append(c.queue, f)
	c.bytes += size
	c.owed = c.owed || f.positions
	signal(c.wake)
}

// pushSpots queues what has changed on the map, unless the last such frame still
// waits: then the next beat brings the newest. The caller holds Hub.mu.
func (c *client) pushSpots(now time.Time) {
	if !c.positions {
		return
	}
	c.mu.Lock()
	owed := c.owed
	c.mu.Unlock()
	if owed {
		return
	}
	d := c.h.dots
	if f := c.room.spotsSince(d, c.spotRev, c.binary, now); f != nil {
		c.push(f)
	}
	c.spotRev = d.rev
}

// clear drops what is not yet written: an answer to a new hello replaces it.
func (c *client) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queue, c.bytes, c.owed = nil, 0, false
}

// end closes the socket with a code; the first call counts.
func (c *client) end(code int, reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.endLocked(code, reason)
}

func (c *client) endLocked(code int, reason string) {
	if c.closed {
		return
	}
	c.closed, c.code, c.reason = true, code, reason
	c.queue, c.bytes = nil, 0
	close(c.ended)
	c.free()
}

// take empties the queue for the writer.
func (c *client) take() []*frame {
	c.mu.Lock()
	defer c.mu.Unlock()
	fs := c.queue
	c.queue, c.bytes = nil, 0
	signal(c.space)
	return fs
}

// settle notes that frames have left.
func (c *client) settle(fs []*frame) {
	messages, bytes, spots := 0, 0, false
	for _, f := range fs {
		messages += f.messages
		bytes += len(f.wire)
		spots = spots || f.positions
	}
	c.h.stats.sent.Add(int64(messages))
	c.h.stats.bytes.Add(int64(bytes))
	if spots {
		c.mu.Lock()
		c.owed = false
		c.mu.Unlock()
	}
}

func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// writeLoop writes what is queued, pings, and renews the lease.
func (c *client) writeLoop() {
	defer close(c.wrote)
	ping := time.NewTicker(pingEvery)
	defer ping.Stop()
	// Leases are spread, so that many walls do not ask in the same instant.
	every := c.h.o.Lease - time.Duration(c.h.o.Rand()*float64(c.h.o.Lease)/4)
	lease := time.NewTicker(every)
	defer lease.Stop()
	soon := func() { lease.Reset(time.Millisecond + time.Duration(c.h.o.Rand()*float64(recheckIn))) }
	renewed := make(chan error, 1)
	renewing, more, good := false, false, time.Now()
	for {
		select {
		case <-c.ended:
			c.farewell()
			return
		case <-ping.C:
			c.push(control(opPing, ""))
		case <-c.again:
			if more = renewing; !more { // what is under way may have asked before
				soon()
			}
		case <-lease.C:
			lease.Reset(every)
			if !renewing && c.lease != nil {
				renewing = true
				c.h.wg.Go(func() { renewed <- c.renew() })
			}
		case err := <-renewed:
			renewing = false
			if more {
				more = false
				soon()
			}
			if err == nil {
				good = time.Now()
			}
			c.judgeLease(err, time.Since(good))
		case <-c.wake:
			if !c.writeQueued() {
				return
			}
		}
	}
}

// writeQueued reports whether the connection still works.
func (c *client) writeQueued() bool {
	fs := c.take()
	if len(fs) == 0 {
		return true
	}
	if err := c.sock.write(fs); err != nil {
		// A frame may be half written, so no close frame can follow it.
		c.end(abnormalClose, "")
		c.sock.kill(true)
		return false
	}
	c.settle(fs)
	return true
}

func (c *client) renew() error {
	ctx, cancel := context.WithTimeout(c.ctx, leaseWait)
	defer cancel()
	return c.lease(ctx)
}

// judgeLease ends the socket when its session has; age is how long ago the lease
// was good.
func (c *client) judgeLease(err error, age time.Duration) {
	switch {
	case err == nil:
	case errors.Is(err, ErrScopeChanged):
		c.end(ScopeChanged, closeText[ScopeChanged])
	case errors.Is(err, ErrLeaseUnknown), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		if age > c.h.o.Trust {
			c.end(tryAgainLater, "the session could not be checked")
		}
	default:
		c.end(SignInAgain, closeText[SignInAgain])
	}
}

// farewell sends the close frame and leaves the peer a moment to answer it.
func (c *client) farewell() {
	c.mu.Lock()
	code, reason := c.code, c.reason
	c.mu.Unlock()
	if code == abnormalClose || c.sock.sendClose(code, reason) != nil {
		c.sock.kill(true)
		return
	}
	linger := time.NewTimer(lingerTime)
	defer linger.Stop()
	select {
	case <-c.read:
	case <-linger.C:
	}
	c.sock.kill(false)
}

// readLoop answers hellos until the socket ends, then frees everything.
func (c *client) readLoop() {
	limit := rate.NewLimiter(1, 5)
	greeted := false
	alive := func() {
		if greeted {
			c.sock.expect(pongWait)
		}
	}
	c.sock.onPing(alive, func(p string) { c.push(control(opPong, p)) })
	c.sock.expect(helloWait)
	for {
		msg, err := c.sock.read()
		if err != nil {
			c.readFailed(err, greeted)
			break
		}
		if c.over() {
			continue
		}
		m, err := parseHello(msg)
		switch {
		case err != nil:
			c.end(policyBreach, err.Error())
		case !limit.Allow():
			c.end(policyBreach, "too many messages")
		default:
			greeted = true
			c.answer(m)
			alive()
		}
	}
	close(c.read)
	<-c.wrote
	c.sock.kill(false)
	c.h.leave(c)
}

// over reports whether the socket is being closed.
func (c *client) over() bool {
	select {
	case <-c.ended:
		return true
	default:
		return false
	}
}

// readFailed ends the socket after a failed read.
func (c *client) readFailed(err error, greeted bool) {
	switch {
	case c.over():
	case errors.Is(err, errBinary):
		c.end(badData, "text only")
		c.sock.drain()
	case oversized(err):
		c.sock.drain() // the close frame is on its way: let it arrive
		c.end(abnormalClose, "")
	case !greeted && timedOut(err):
		c.end(policyBreach, "no hello")
		c.sock.drain()
	default:
		c.end(abnormalClose, "")
	}
}
