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
	tasksHold       = 15 * time.Second // what was looked up then is told as known
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

// followTasks keeps who is on accepted work, until the end. It looks when an offer has
// changed, and now and then in any case.
func (s *Server) followTasks(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.offersDue:
		case <-time.After(taskEvery):
		}
		if err := s.lookAtTasks(ctx); err != nil && ctx.Err() == nil {
			s.o.Log.Warn("who is on accepted work is not known; trying again", "err", err)
		}
	}
}

// lookAtTasks looks up who is on accepted work.
func (s *Server) lookAtTasks(ctx context.Context) error {
	at := time.Now()
	now, err := s.pools.care.WorkersOnTask(ctx)
	if err != nil {
		return err
	}
	s.fixes.Live().SetTasks(now)
	s.tasksAt.Store(&at)
	return nil
}

// knowsTasks reports whether it is known who is on accepted work: it was looked up a short
// time ago.
func (s *Server) knowsTasks() bool {
	at := s.tasksAt.Load()
	return at != nil && time.Since(*at) < tasksHold
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
