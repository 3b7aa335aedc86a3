// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package hub

import "onemap/feed"

// entry is an event and what the live state held of its entity just before.
type entry struct {
	feed.Event
	known              bool // the two below are known: the event went through this node
	hadShared, hadCase bool
}

// ring holds the newest events for clients that come back: seq lo..hi without a
// gap, empty when lo > hi.
type ring struct {
	slots  []entry
	lo, hi feed.Seq
}

func newRing(size int, head feed.Seq) *ring {
	return &ring{slots: make([]entry, size), lo: head + 1, hi: head}
}

func (r *ring) slot(s feed.Seq) *entry { return &r.slots[int(s)%len(r.slots)] }

// push adds the event after hi and lets the oldest go when full.
func (r *ring) push(e entry) {
	r.hi = e.Seq
	*r.slot(e.Seq) = e
	r.lo = max(r.lo, r.hi-feed.Seq(len(r.slots))+1)
}

// prepend fills the free slots before lo from older events, which end at lo-1.
func (r *ring) prepend(evs []feed.Event) {
	for i := len(evs) - 1; i >= 0; i-- {
		if evs[i].Seq != r.lo-1 || int(r.hi-r.lo)+1 >= len(r.slots) {
			return
		}
		r.lo--
		*r.slot(r.lo) = entry{Event: evs[i]}
	}
}

// since copies at most limit events after seq; ok is false when the ring no
// longer holds the first of them.
func (r *ring) since(seq feed.Seq, limit int) (es []entry, ok bool) {
	if seq+1 < r.lo {
		return nil, false
	}
	for s := seq + 1; s <= r.hi && len(es) < limit; s++ {
		es = append(es, *r.slot(s))
	}
	return es, true
}
