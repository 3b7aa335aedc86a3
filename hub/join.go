// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"errors"
	"time"

	"onemap/feed"
)

const (
	resumeLimit  = 5000 // events behind; further back a snapshot is cheaper
	catchUpChunk = 500
	lastStep     = 64 // events encoded under the lock when a client joins
	gateWait     = 30 * time.Second
	catchUpWait  = 30 * time.Second // one chunk may wait so long for a slow socket
)

var (
	errBusy    = errors.New("hub: too many handshakes")
	errEnded   = errors.New("hub: the socket has ended")
	errUnclear = errors.New("hub: the events alone do not tell what to send")
	errNewLine = errors.New("hub: another line of numbers has begun")
)

// answer takes a hello: the client leaves its room, is sent a reset or resume
// and what it lacks, and joins again at the hub's head.
func (c *client) answer(m hello) {
	err := c.resume(m)
	for errors.Is(err, errUnclear) || errors.Is(err, errNewLine) {
		if m.events {
			err = c.startOver()
		} else {
			err = c.resume(m)
		}
	}
	switch {
	case errors.Is(err, errBusy):
		c.end(tryAgainLater, "busy")
	case err != nil:
		c.end(TooSlow, closeText[TooSlow])
	}
}

// resume greets the client and goes on after its last event. errUnclear means
// that it has to start over.
func (c *client) resume(m hello) error {
	h := c.h
	h.mu.Lock()
	c.turn++
	c.joined = false
	delete(c.room.members, c)
	c.events, c.positions, c.binary = m.events, m.positions, m.binary
	c.spotRev = 0
	c.clear()
	gen, head, epoch := h.gen, h.state.Head, h.epoch
	h.mu.Unlock()

	from := m.seq
	if !m.events {
		from = head // no events wanted: nothing to catch up with
	} else if m.seq < 0 || m.seq > head || head-m.seq > resumeLimit || m.epoch != epoch || m.scope != c.room.Tag {
		return errUnclear
	}
	var g gathered
	g.took(append(appendAnswer(g.next(), "resume", epoch, head, c.room.Tag), '}'))
	c.push(g.all()[0])
	h.stats.resumes.Add(1)
	return c.catchUp(gen, from)
}

// startOver sends a snapshot and what has happened since it was encoded.
func (c *client) startOver() error {
	if !c.h.enter(c.ended, gateWait) {
		return errBusy
	}
	s := c.room.reset(c.h)
	c.h.exit()
	c.clear()
	c.h.stats.resets.Add(1)
	c.push(s.frame)
	return c.catchUp(s.gen, s.seq)
}

// catchUp sends the events after from until the client stands at the hub's head,
// and joins it to its room there.
func (c *client) catchUp(gen int, from feed.Seq) error {
	for waited := false; ; {
		es, behind, err := c.h.join(c, gen, from)
		if behind == 0 || err != nil {
			return err
		}
		if len(es) == 0 && !waited {
			c.awaitRing()
			waited = true
			continue
		}
		if !c.h.enter(c.ended, gateWait) {
			return errBusy
		}
		fs, to, err := c.encode(from, es, behind)
		c.h.exit()
		if err != nil {
			return err
		}
		for _, f := range fs {
			if err := c.pushWait(f); err != nil {
				return err
			}
		}
		from = to
	}
}

// awaitRing waits for the events of before the start, which one read brings for
// everybody.
func (c *client) awaitRing() {
	c.h.mu.Lock()
	filled := c.h.filled
	c.h.mu.Unlock()
	select {
	case <-filled:
	case <-c.ended:
	}
}

// join makes c a member when it is at most a few events behind, and sends those.
// Else it says how many it is behind and returns the next of them, or how many
// the ring no longer holds and none.
func (h *Hub) join(c *client, gen int, from feed.Seq) (es []entry, behind int, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.gen != gen {
		return nil, 0, errNewLine
	}
	if !c.events {
		h.admit(c)
		return nil, 0, nil
	}
	es, ok := h.ring.since(from, catchUpChunk)
	if !ok {
		return nil, int(h.ring.lo - 1 - from), nil
	}
	if behind = int(h.state.Head - from); behind > lastStep {
		return es, behind, nil
	}
	var g gathered
	if !c.room.tellAll(&g, from, h.state.Head, es) {
		return nil, 0, errUnclear
	}
	for _, f := range g.all() {
		c.push(f)
	}
	h.admit(c)
	return nil, 0, nil
}

// admit makes a client at the hub's head a member of its room and sends it the
// full set of positions. The caller holds h.mu.
func (h *Hub) admit(c *client) {
	if len(c.room.members) == 0 {
		c.room.told = h.state.Head
	}
	c.room.members[c] = struct{}{}
	c.joined = true
	c.pushSpots(h.o.Now())
}

// restart starts a member over after Reset. The caller holds Hub.mu.
func (c *client) restart(s snapshot) {
	es, ok := c.h.ring.since(s.seq, len(c.h.ring.slots))
	var g gathered
	if !ok {
		c.end(TooSlow, closeText[TooSlow]) // thousands of events in between: come back
		return
	}
	c.room.tellAll(&g, s.seq, c.h.state.Head, es) // all known: the line has just begun
	c.clear()
	c.spotRev = 0
	c.h.stats.resets.Add(1)
	if c.events {
		c.push(s.frame)
		for _, f := range g.all() {
			c.push(f)
		}
	}
	c.h.admit(c)
}

// encode makes the frames of the next chunk of catch-up after from, and says how
// far they reach. It reads the record when the ring does not hold the chunk.
func (c *client) encode(from feed.Seq, es []entry, behind int) ([]*frame, feed.Seq, error) {
	if len(es) == 0 {
		c.h.stats.readBacks.Add(1)
		page, err := c.h.readRun(from, min(behind, catchUpChunk))
		if err != nil {
			c.h.o.Log.Warn("hub: resume from the record failed; sending a snapshot", "err", err)
			return nil, 0, errUnclear
		}
		for i := range page {
			es = append(es, entry{Event: page[i]})
		}
	}
	var g gathered
	to := from + feed.Seq(len(es))
	if !c.room.tellAll(&g, from, to, es) {
		return nil, 0, errUnclear
	}
	return g.all(), to, nil
}

// pushWait queues a frame of catch-up when the socket has room for it.
func (c *client) pushWait(f *frame) error {
	late := time.NewTimer(catchUpWait)
	defer late.Stop()
	for {
		c.mu.Lock()
		full := c.bytes > catchUpBytes
		c.mu.Unlock()
		if !full {
			c.push(f)
			return nil
		}
		select {
		case <-c.space:
		case <-c.ended:
			return errEnded
		case <-late.C:
			return errEnded
		}
	}
}
