// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package hub

import (
	"encoding/json"
	"slices"
	"strings"
	"sync"

	"onemap/auth"
	"onemap/feed"
)

// room is all sockets that are shown the same: one scope in one view. Whatever
// is sent is encoded once for the room.
type room struct {
	auth.Stream

	// guarded by Hub.mu
	sockets int                  // connected, greeted or not
	members map[*client]struct{} // greeted, and at the hub's head
	told    feed.Seq             // how far the members know of the feed
	spots   map[spotKey]*frame   // position frames of this beat

	snapMu sync.Mutex // guards snap; taken before Hub.mu
	snap   snapshot
}

// verdict is what an event means to a room.
type verdict int

const (
	skip    verdict = iota // for others
	show                   // the event itself
	gone                   // the entity has left what the room sees
	unclear                // cannot be told from the event alone: start over
)

// payload picks what the room's view gets of an entity, nil for nothing.
func (r *room) payload(shared, full json.RawMessage) json.RawMessage {
	switch r.View {
	case auth.SharedView:
		return shared
	case auth.CaseView:
		return full
	}
	return nil
}

// judge decides what the room learns of e. An entity the room never held must
// not be named to it, not even to say that it is gone.
func (r *room) judge(e *entry) verdict {
	if strings.HasPrefix(e.Kind, "config.") || !r.Shows(e.Entity.Kind) {
		return skip
	}
	data := r.payload(e.Shared, e.Case)
	if data != nil && r.Events.SeesAudience(e.After) {
		return show
	}
	if !r.Events.SeesAudience(e.Before) {
		return skip
	}
	switch {
	case e.Live == feed.None:
		return skip // it changed nothing of what the room holds
	case !e.known:
		return unclear // the room may have been shown the entity, or may not
	case r.had(e):
		return gone
	}
	return skip
}

// had reports whether the entity was in the room's view before e.
func (r *room) had(e *entry) bool {
	return r.View == auth.SharedView && e.hadShared || r.View == auth.CaseView && e.hadCase
}

// tell appends what the room learns of es to g and returns how far the members
// know the feed then; told is how far they know it now. Skips are left to the
// next message that needs them. ok is false at the first unclear event.
func (r *room) tell(g *gathered, told feed.Seq, es []entry) (now feed.Seq, ok bool) {
	for i := range es {
		e := &es[i]
		v := r.judge(e)
		if v == skip {
			continue
		}
		if v == unclear {
			return told, false
		}
		if told < e.Seq-1 {
			g.took(appendSkip(g.next(), e.Seq-1))
		}
		if v == show {
			g.took(appendEvent(g.next(), &e.Event, r.payload(e.Shared, e.Case)))
		} else {
			g.took(appendGone(g.next(), &e.Event))
		}
		told = e.Seq
	}
	return told, true
}

// tellAll is tell with a skip to the end when the last events were for others.
func (r *room) tellAll(g *gathered, from, to feed.Seq, es []entry) bool {
	told, ok := r.tell(g, from, es)
	if ok && told < to {
		g.took(appendSkip(g.next(), to))
	}
	return ok
}

// snapshot is a reset message ready to be sent, as of seq.
type snapshot struct {
	gen   int
	seq   feed.Seq
	frame *frame
}

// snapshotReuse is how many events an encoded snapshot may be behind: its
// receivers get those as events.
const snapshotReuse = 256

// reset returns a reset message of the hub's present line of numbers. However
// many clients come at once, one of them encodes it.
func (r *room) reset(h *Hub) snapshot {
	r.snapMu.Lock()
	defer r.snapMu.Unlock()
	h.mu.Lock()
	fresh := r.snap.frame != nil && r.snap.gen == h.gen &&
		h.state.Head-r.snap.seq <= snapshotReuse && r.snap.seq+1 >= h.ring.lo
	if fresh {
		h.mu.Unlock()
		return r.snap
	}
	items, epoch := h.state.Items(), h.epoch
	s := snapshot{gen: h.gen, seq: h.state.Head}
	h.mu.Unlock()
	h.stats.snapshots.Add(1)
	s.frame = r.encode(items, epoch, s.seq)
	r.snap = s
	return s
}

func (r *room) encode(items []feed.Item, epoch feed.Epoch, head feed.Seq) *frame {
	size := 256 // of all of it: a county's snapshot has megabytes, and grows in no steps
	items = slices.DeleteFunc(items, func(it feed.Item) bool {
		data := r.payload(it.Shared, it.Case)
		if data == nil || !r.Shows(it.Key.Kind) || !r.Events.SeesAudience(it.Audience) {
			return true
		}
		size += len(data) + len(it.Key.Kind) + len(it.Key.ID) + 64
		return false
	})
	b := appendAnswer(make([]byte, headRoom, size), "reset", epoch, head, r.Tag)
	b = append(b, `,"snapshot":{"items":[`...)
	for i := range items {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendItem(b, &items[i], r.payload(items[i].Shared, items[i].Case))
	}
	b = append(b, "]}}"...)
	return &frame{wire: seal(b, headRoom, opText), messages: 1, free: true}
}
