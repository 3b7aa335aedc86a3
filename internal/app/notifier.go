// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"fmt"
	"time"

	"onemap/auth"
	"onemap/internal/notify"
)

const (
	notifyFile   = "notifications.ndjson" // in the data folder, where there is no gateway
	notifyEvery  = time.Second
	notifyAtOnce = 20
	notifyTries  = 6
)

// notify sends what waits in the record, until the end.
func (s *Server) sendNotifications(ctx context.Context) {
	s.every(ctx, notifyEvery, "notifications", s.notifyOnce)
}

// notifyOnce sends what is due. Each message is taken by one server at a time; one that
// does not come to say how it went is sent again, by another.
func (s *Server) notifyOnce(ctx context.Context) error {
	for {
		due, err := s.pools.care.TakeNotifications(ctx, auth.System("word of offers, by badge"), s.o.Now(), 2*notifyAtOnce*notify.Timeout, notifyAtOnce)
		if err != nil || len(due) == 0 {
			return err
		}
		for _, n := range due {
			err := s.notifier.Notify(ctx, notify.Message{
				ID: fmt.Sprint(n.ID), Kind: n.Kind, OfferID: fmt.Sprint(n.Offer), Worker: fmt.Sprint(n.Worker), Badge: n.Badge, Text: n.Text, At: n.MadeAt,
			})
			if ctx.Err() != nil {
				return ctx.Err() // sent again once hold is over
			}
			now := s.o.Now()
			var again time.Time
			failed := ""
			if err != nil {
				failed = notify.Why(err)
				if n.Tries < notifyTries {
					again = now.Add(backoff(n.Tries))
				} else {
					s.o.Log.Warn("word of an offer was given up", "notification", n.ID, "tries", n.Tries, "err", failed)
				}
			}
			if err := s.pools.care.Notified(ctx, n.ID, now, again, failed); err != nil {
				return err
			}
		}
	}
}

// backoff is how long to wait after try n: 1, 2, 4, ... seconds.
func backoff(n int) time.Duration { return time.Second << (n - 1) }
