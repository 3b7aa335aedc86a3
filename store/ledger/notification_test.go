// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package ledger_test

import (
	"sync"
	"testing"
	"time"

	"onemap/auth"
	"onemap/dispatch"
	"onemap/store"
)

// TestWordIsTakenOnceAndTheMostUrgentFirst: of two servers each takes what the other has
// not; one that took a word and was not heard of again may no longer say how it went.
func TestWordIsTakenOnceAndTheMostUrgentFirst(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.field(t, 6)
	const hold = 10 * time.Second
	take := func(priority, n int) []store.Notification {
		t.Helper()
		out, err := w.db.TakeNotifications(t.Context(), auth.System("test"), w.now, hold, priority, n)
		if err != nil {
			t.Error(err)
		}
		return out
	}
	var offers []store.Offer
	for i, priority := range []int{3, 2, 1, 4, 2, 1} {
		offers = append(offers, w.offered(t, w.routed(t, priority), uint32(i+1)))
	}
	// The one declined is over before its turn; that the other is taken back is no news to who was not told of it.
	for _, end := range []struct {
		o    store.Offer
		k    dispatch.OfferKind
		rows string
	}{{offers[1], dispatch.DeclineOffer, "kind = 'offer.made' AND untold = 'the offer is declined'"}, {offers[4], dispatch.WithdrawOffer, "kind = 'offer.withdrawn' AND untold = 'nobody was told of the offer'"}} {
		if _, err := w.say(end.o, end.k, "", nil); err != nil {
			t.Fatal(err)
		}
		take(1, 0) // looks for what is over; takes nothing
		take(1, 0)
		if n := w.count(t, "notification", "next_at IS NULL AND sent_at IS NULL AND tries = 0 AND "+end.rows); n != 1 {
			t.Errorf("%s: %d", end.rows, n)
		}
	}
	first := take(4, 1)
	if len(first) != 1 || first[0].Offer != offers[2].ID || first[0].Priority != 1 || first[0].Tries != 1 {
		t.Fatalf("first %+v", first)
	}
	if urgent := take(1, 9); len(urgent) != 1 || urgent[0].Offer != offers[5].ID {
		t.Errorf("of priority 1 %+v", urgent)
	}
	var mu sync.Mutex
	var both sync.WaitGroup
	got := map[int64]int{}
	for range 4 {
		both.Go(func() {
			for _, n := range take(4, 9) {
				mu.Lock()
				got[n.Offer]++
				mu.Unlock()
			}
		})
	}
	both.Wait()
	if len(got) != 2 || got[offers[0].ID] != 1 || got[offers[3].ID] != 1 {
		t.Errorf("taken by several servers: %v", got)
	}
	// Nobody heard of the first: it is tried again, and only whoever took it last says how it went.
	w.now = w.now.Add(hold + time.Second)
	again := take(1, 1)
	if len(again) != 1 || again[0].ID != first[0].ID || again[0].Tries != 2 {
		t.Fatalf("again %+v", again)
	}
	for _, n := range []store.Notification{first[0], again[0], first[0]} {
		failed := ""
		if n.Tries == 1 {
			failed = "it hangs"
		}
		if err := w.db.Notified(t.Context(), n, w.now, w.now, failed); err != nil {
			t.Fatal(err)
		}
	}
	if n := w.count(t, "notification", "sent_at IS NOT NULL AND tries = 2 AND failed = '' AND next_at IS NULL"); n != 1 {
		t.Errorf("%d were sent", n)
	}
	// Time goes by and nobody answers: no word of it any more, before the sweep has come to it.
	w.now = w.now.Add(3 * time.Minute)
	if late := take(4, 9); len(late) != 0 || w.count(t, "notification", "untold = 'the offer has expired'") != 3 {
		t.Errorf("%+v", late)
	}
}
