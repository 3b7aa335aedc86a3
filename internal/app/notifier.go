// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"fmt"
	"sync"
	"time"

	"onemap/auth"
	"onemap/internal/notify"
	"onemap/store"
)

const (
	notifyFile   = "notifications.ndjson" // in the data folder, where there is no gateway
	notifyEvery  = time.Second
	notifyAtOnce = 16 // words under way at a time
	notifyUrgent = 4  // of them for priority 1 alone: the rest of a slow gateway's work never fills these
	notifyTries  = 6
	leastUrgent  = 4 // of the priorities
)

// notifyHold is for how long a word that was taken is nobody else's: its try is over by
// then.
const notifyHold = 2 * notify.Timeout

// sendNotifications sends what waits in the record, until the end: several words at a
// time, each within its own limit, so that one that hangs holds up no other. What is
// under way at the end is given back.
func (s *Server) sendNotifications(ctx context.Context) {
	var sending sync.WaitGroup
	defer sending.Wait()
	under := make(chan struct{}, notifyAtOnce) // a token for each word under way
	ended := make(chan struct{}, 1)            // one is not any more
	tick := time.NewTicker(notifyEvery)
	defer tick.Stop()
	start := func(n store.Notification) {
		under <- struct{}{}
		sending.Go(func() {
			s.notifyOne(ctx, n)
			<-under
			select {
			case ended <- struct{}{}:
			default: // told already
			}
		})
	}
	for {
		full, err := s.takeWords(ctx, func() int { return notifyAtOnce - len(under) }, start)
		if err != nil && ctx.Err() == nil {
			s.o.Log.Warn("loop", "what", "notifications", "err", err)
		}
		next := ended
		if !full {
			next = nil // nothing waits
		}
		select {
		case <-ctx.Done():
			return
		case <-next:
		case <-tick.C:
		}
	}
}

// takeWords starts what is due and has room. full says that more may wait.
func (s *Server) takeWords(ctx context.Context, room func() int, start func(store.Notification)) (full bool, err error) {
	take := func(priority, n int) (int, error) {
		if n <= 0 {
			return 0, nil
		}
		due, err := s.pools.care.TakeNotifications(ctx, auth.System("word of offers, by badge"), s.o.Now(), notifyHold, priority, n)
		for _, n := range due {
			start(n)
		}
		return len(due), err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	forAll := room() - notifyUrgent
	n, err := take(leastUrgent, forAll)
	if err != nil || n < forAll {
		return false, err
	}
	_, err = take(1, room())
	return true, err
}

// notifyOne tries one word, and notes how that went.
func (s *Server) notifyOne(ctx context.Context, n store.Notification) {
	try, cancel := context.WithTimeout(ctx, notify.Timeout)
	err := s.notifier.Notify(try, wordOf(n, s.o.Now()))
	cancel()
	now := s.o.Now()
	var again time.Time
	failed := ""
	switch {
	case err == nil:
	case ctx.Err() != nil: // this server ends: whoever goes on tries at once
		failed, again = "stopped", now
	default:
		failed = notify.Why(err)
		if n.Tries < notifyTries {
			again = now.Add(backoff(n.Tries))
		} else {
			s.o.Log.Warn("word of an offer was given up", "notification", n.ID, "tries", n.Tries, "err", failed)
		}
	}
	note, cancel := context.WithTimeout(context.WithoutCancel(ctx), notify.Timeout)
	defer cancel()
	if err := s.pools.care.Notified(note, n, now, again, failed); err != nil { // it is sent again, under the same key
		s.o.Log.Warn("what became of word of an offer is not noted", "err", err)
	}
}

// wordOf is a word as it is at now: how long there is left to answer counts from here.
func wordOf(n store.Notification, now time.Time) notify.Message {
	m := notify.Message{
		ID: fmt.Sprint(n.ID), Kind: n.Kind, OfferID: fmt.Sprint(n.Offer), Worker: fmt.Sprint(n.Worker), Badge: n.Badge, Text: n.Text, At: n.MadeAt, Priority: n.Priority,
	}
	if n.Kind == "offer.made" {
		m.Expires = &n.Expires
		m.Text = fmt.Sprintf("%s，请在 %d 秒内答复", n.Text, max(1, int(n.Expires.Sub(now).Seconds())))
	}
	return m
}

// backoff is how long to wait after try n: 1, 2, 4, ... seconds.
func backoff(n int) time.Duration { return time.Second << (min(n, notifyTries) - 1) }
