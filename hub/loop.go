// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"time"

	"onemap/feed"
)

const (
	beatTime   = time.Second // positions and due skips; every second one ticks
	flushBytes = 128 << 10   // payload of one flush
)

// run is the hub's one loop: it sends what was published and beats.
func (h *Hub) run() {
	beat := time.NewTicker(beatTime)
	defer beat.Stop()
	gather := time.NewTimer(time.Hour)
	gather.Stop()
	defer gather.Stop()
	for {
		select {
		case <-h.ctx.Done():
			return
		case <-h.wake:
		case <-gather.C:
		case <-beat.C:
			h.beat()
			continue
		}
		if wait := h.sendOrWait(); wait > 0 {
			gather.Reset(wait)
		}
	}
}

// sendOrWait sends what is pending when the hub was idle or when it is urgent;
// else it returns how long to gather first. A great burst is sent in steps, so
// that it overflows no queue of a socket that reads.
func (h *Hub) sendOrWait() time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	for h.urgent && len(h.pending) > 0 {
		h.flush()
	}
	h.urgent = false
	if len(h.pending) == 0 {
		return 0
	}
	if wait := h.o.Gather - time.Since(h.lastFlush); wait > 0 {
		return wait
	}
	h.flush()
	if len(h.pending) > 0 {
		return h.o.Gather
	}
	return 0
}

// step is how many of the pending events the next flush takes.
func (h *Hub) step() int {
	bytes := 0
	for i := range h.pending {
		if bytes += max(len(h.pending[i].Shared), len(h.pending[i].Case)); bytes > flushBytes {
			return i + 1
		}
	}
	return len(h.pending)
}

// flush folds pending events into the state, keeps them for resumes and sends
// each room its share. The caller holds h.mu.
func (h *Hub) flush() {
	n := h.step()
	es := make([]entry, 0, n)
	for _, e := range h.pending[:n] {
		old, _ := h.state.Get(e.Entity)
		n := entry{Event: e, known: true, hadShared: old.Shared != nil, hadCase: old.Case != nil}
		if err := feed.Apply(h.state, e); err != nil {
			// Publish has checked the numbers; only a State changed from outside gets here.
			h.o.Log.Error("hub: event refused", "err", err)
			break
		}
		h.ring.push(n)
		es = append(es, n)
	}
	h.pending = append(h.pending[:0], h.pending[n:]...)
	h.lastFlush = time.Now()
	for _, r := range h.rooms {
		h.send(r, es)
	}
}

// send gives the members of r their share of es, encoded once.
func (h *Hub) send(r *room, es []entry) {
	if len(r.members) == 0 {
		r.told = h.state.Head
		return
	}
	var g gathered
	r.told, _ = r.tell(&g, r.told, es) // all known: never unclear
	for _, f := range g.all() {
		for c := range r.members {
			if c.events {
				c.push(f)
			}
		}
	}
}

// beat sends positions, and what a room owes its members: a skip that no event
// has carried, and the tick.
func (h *Hub) beat() {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.o.Now()
	if h.o.Dots != nil {
		changed, next := h.o.Dots(h.dots.since)
		h.dots.since = next
		h.dots.fold(changed)
	}
	h.beats++
	ticking := h.beats%2 == 0
	head := h.state.Head
	var age time.Duration
	var bare gathered
	if ticking {
		age = h.o.FeedAge()
		bare.took(appendTick(bare.next(), head, now, age))
	}
	tick := bare.all()
	for _, r := range h.rooms {
		r.spots = nil
		note := tick
		if r.told < head {
			var g gathered
			g.took(appendSkip(g.next(), head))
			if ticking {
				g.took(appendTick(g.next(), head, now, age))
			}
			note, r.told = g.all(), head
		}
		for c := range r.members {
			h.nudge(c, note, tick, now)
		}
	}
}

// nudge pushes a beat's frames to one member.
func (h *Hub) nudge(c *client, note, tick []*frame, now time.Time) {
	if !c.events {
		note = tick
	}
	for _, f := range note {
		c.push(f)
	}
	c.pushSpots(now)
}
