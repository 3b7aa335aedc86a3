// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"time"

	"onemap/feed"
)

// mirrorRest is how long there is no second load after one, at most.
const mirrorRest = 10 * time.Second

// mirrorPatience is how long the live stream waits for the mirror.
const mirrorPatience = 2 * time.Second

// mirrorRetry is how long a load of the mirror that failed is waited with.
const mirrorRetry = time.Second

// mirrorAgain has every incident read into the mirror again.
func (s *Server) mirrorAgain() {
	s.mirror.Due()
	s.nudge(s.mirrorDue)()
}

// mirrorFollows brings the mirror up to the events, before anybody is told of them. The
// live stream does not wait for a mirror that cannot follow: it is read again.
func (s *Server) mirrorFollows(ctx context.Context, evs []feed.Event) {
	var ids []int64
	again := s.otherCategories()
	for _, e := range evs {
		switch {
		case e.Kind == "incidents.imported":
			again = true
		case e.Entity.Kind == "incident":
			if id, err := strconv.ParseInt(e.Entity.ID, 10, 64); err == nil {
				ids = append(ids, id)
			}
		}
	}
	slices.Sort(ids)
	if again {
		s.mirrorAgain()
	}
	patience, cancel := context.WithTimeout(ctx, mirrorPatience)
	defer cancel()
	if err := s.mirror.Follow(patience, slices.Compact(ids), evs[len(evs)-1].Seq); err != nil && ctx.Err() == nil {
		s.o.Log.Warn("the mirror cannot follow: every incident is read again", "err", err)
		s.nudge(s.mirrorDue)()
	}
}

// otherCategories reports whether the categories are others than when it was last asked:
// whose place nobody is shown is kept with each incident.
func (s *Server) otherCategories() bool {
	hidden := map[string]bool{}
	for code, c := range s.catalogue.Now().Categories {
		hidden[code] = c.Sensitive()
	}
	before := s.hidden.Swap(&hidden)
	return before != nil && !maps.Equal(*before, hidden)
}

// loadMirror reads every incident into the mirror when that is due.
func (s *Server) loadMirror(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.mirrorDue:
		}
		began := time.Now()
		err := s.mirror.Load(ctx)
		if err == nil {
			took := time.Since(began)
			s.o.Log.Debug("incidents are in the mirror", "took", took.Round(time.Millisecond))
			select { // an import has its batches read a few at a time
			case <-ctx.Done():
			case <-time.After(min(took, mirrorRest)):
			}
			continue
		}
		if ctx.Err() == nil {
			s.o.Log.Warn("incidents could not be read into the mirror; trying again", "err", err)
		}
		s.nudge(s.mirrorDue)()
		select {
		case <-ctx.Done():
			return
		case <-time.After(mirrorRetry):
		}
	}
}
