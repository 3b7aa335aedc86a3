// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"time"

	"onemap/auth"
	"onemap/store"
)

// reloadOverlays reads the overlays, and swaps them for those before. Until then
// the old ones answer.
func (s *Server) reloadOverlays(ctx context.Context) error {
	set, err := s.db.Overlays(ctx, auth.System("each reader's scope cuts overlays"))
	if err != nil {
		return err
	}
	s.overlays.Store(set)
	return nil
}

// firstOverlays reads the overlays at the start. Reports are taken without them:
// where they cannot be read, there are none until followOverlays has them.
func (s *Server) firstOverlays(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, overlaysAtStart)
	defer cancel()
	if err := s.reloadOverlays(ctx); err != nil {
		s.overlays.Store(&store.OverlaySet{})
		s.o.Log.Warn("the server starts without overlays; trying again", "err", err)
		s.nudge(s.overlaysDue)()
	}
}

// How long the start waits for the overlays, how long a reading may take, and how
// long rests between those that fail: twice as long each time.
const (
	overlaysAtStart   = 10 * time.Second
	overlaysRead      = 2 * time.Minute
	overlaysRetry     = 2 * time.Second
	overlaysRetryMost = 5 * time.Minute
)

// followOverlays reads the overlays again when the configuration has changed, until
// the end. It goes by itself: what fails here keeps nothing else from being read.
func (s *Server) followOverlays(ctx context.Context) {
	wait := overlaysRetry
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.overlaysDue:
		}
		rctx, cancel := context.WithTimeout(ctx, overlaysRead)
		err := s.reloadOverlays(rctx)
		cancel()
		if err == nil {
			wait = overlaysRetry
			continue
		}
		if ctx.Err() == nil {
			s.o.Log.Warn("overlays are behind; trying again", "in", wait, "err", err)
		}
		s.nudge(s.overlaysDue)()
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		wait = min(2*wait, overlaysRetryMost)
	}
}
