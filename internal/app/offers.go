// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"time"

	"onemap/auth"
	"onemap/dispatch"
	"onemap/geo"
	"onemap/track"
)

// home is the number of a worker's home grid.
func (s *Server) home(worker uint32) (int32, bool) {
	w, ok := s.fixes.Directory().Worker(worker)
	return w.Grid, ok && w.Active
}

// whereFresh is where a worker is, if a fresh fix tells.
func (s *Server) whereFresh(worker uint32) (geo.WGS84, bool) {
	d, ok := s.fixes.Live().Dot(worker)
	return d.P, ok && (d.State == track.StateOn || d.State == track.StateTask)
}

const (
	offerSweepEvery = time.Second
	taskEvery       = 2 * time.Second
	arrivalEvery    = 5 * time.Second
)

// sweepOffers ends the offers whose time is over, until the end.
func (s *Server) sweepOffers(ctx context.Context) {
	actor := auth.SystemActor("offers")
	s.every(ctx, offerSweepEvery, "offers", func(ctx context.Context) error {
		return s.trusted(ctx, func(ctx context.Context) error {
			_, err := s.ledger.SweepOffers(ctx, actor)
			return err
		})
	})
}

// followTasks keeps the dots of those who are on accepted work, until the end. It
// looks when an offer has changed, and now and then in any case: whoever was not on
// the map then may be by now.
func (s *Server) followTasks(ctx context.Context) {
	on := map[uint32]bool{}
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.offersDue:
		case <-time.After(taskEvery):
		}
		now, err := s.pools.care.WorkersOnTask(ctx)
		if err != nil {
			if ctx.Err() == nil {
				s.o.Log.Warn("who is on accepted work is not known; trying again", "err", err)
			}
			continue
		}
		for w := range on {
			if !now[w] {
				s.fixes.Live().SetTask(w, false)
			}
		}
		for w := range now {
			s.fixes.Live().SetTask(w, true)
		}
		on = now
	}
}

// noteArrivals looks for workers whose fixes say that they are where they were sent.
func (s *Server) noteArrivals(ctx context.Context) error {
	cat := s.catalogue.Now()
	waiting, err := s.pools.care.AwaitedArrivals(ctx, auth.System("whoever has accepted the lead"))
	if err != nil {
		return err
	}
	for _, a := range waiting {
		radius := cat.Offers.Radius(cat.Categories[a.Category])
		fixes, err := s.pools.care.FixesNear(ctx, auth.System("the fixes of who was sent, near where to"), a, s.o.Now())
		if err != nil {
			return err
		}
		at, ok := dispatch.ArrivedBy(fixes, a.Point, radius)
		if !ok {
			continue
		}
		if err := s.ledger.ArrivedByFixes(ctx, auth.SystemActor("arrivals"), a.Offer, at); err != nil {
			return err
		}
	}
	return nil
}
