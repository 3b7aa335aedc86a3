// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package road

// item is a node, or -1-i for origin i, and a way from there to the place.
type item struct {
	seconds float64
	metres  float32
	node    int32
}

// wheel is the queue of a search. It hands items out slot by slot, each a second
// wide, and in any order within a slot: on a road net that is several times as
// fast as a heap. What lies beyond the wheel's turn waits apart until it comes
// round.
type wheel struct {
	slots [slots][]item
	now   int // slot that is being emptied, counted from the beginning of time
	held  int // items in slots
	later []item
}

const slots = 4096

func (w *wheel) clear() {
	for i := range w.slots {
		w.slots[i] = w.slots[i][:0]
	}
	w.later, w.now, w.held = w.later[:0], 0, 0
}

// push adds an item, which may not be earlier than the slot that is being emptied.
func (w *wheel) push(x item) {
	if x.seconds >= float64(w.now+slots) {
		w.later = append(w.later, x)
		return
	}
	s := &w.slots[int(x.seconds)%slots]
	*s = append(*s, x)
	w.held++
}

// pop takes an item of the slot that is being emptied; false when it is empty.
func (w *wheel) pop() (item, bool) {
	s := &w.slots[w.now%slots]
	last := len(*s) - 1
	if last < 0 {
		return item{}, false
	}
	x := (*s)[last]
	*s = (*s)[:last]
	w.held--
	return x, true
}

// turn goes on to the next slot that holds something; false when none does.
func (w *wheel) turn() bool {
	for w.held > 0 {
		w.now++
		if w.now%slots == 0 {
			w.bringIn()
		}
		if len(w.slots[w.now%slots]) > 0 {
			return true
		}
	}
	if len(w.later) == 0 {
		return false
	}
	soonest := w.later[0].seconds
	for _, x := range w.later {
		soonest = min(soonest, x.seconds)
	}
	w.now = int(soonest)
	w.bringIn()
	return true
}

// bringIn moves what waits apart into the slots of the turn that begins.
func (w *wheel) bringIn() {
	wait := w.later
	w.later = w.later[:0]
	for _, x := range wait {
		w.push(x)
	}
}
