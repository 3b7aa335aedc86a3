// SPDX-FileCopyrightText: The OneMap authors
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"onemap/feed"
	"onemap/mirror"
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
	if s.otherCategories() { // what was read is by those of before: somebody may have lost the right to it
		s.mirror.Forget()
		s.nudge(s.mirrorDue)()
	}
	again := false
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

// otherCategories reports whether other categories hide their places than when it was last
// asked: whose place nobody is shown is kept with each incident.
func (s *Server) otherCategories() bool {
	hidden := map[string]bool{}
	for code, c := range s.catalogue.Now().Categories {
		if c.Sensitive() {
			hidden[code] = true
		}
	}
	before := s.hidden.Swap(&hidden)
	return before != nil && !maps.Equal(*before, hidden)
}

// mirrorSeq is the event that the mirror is as of, 0 without one.
func (s *Server) mirrorSeq() feed.Seq {
	v, err := s.mirror.View()
	if err != nil {
		return 0
	}
	return v.Seq
}

const (
	mirrorCheck  = time.Minute // how often some incidents of the mirror are held against the database
	mirrorSample = 2000        // how many
)

// checkMirror holds some of the mirror against the database, and one count of it. Where it is wrong nobody is
// shown it any more: it is read anew, and until then tiles of incidents say so.
func (s *Server) checkMirror(ctx context.Context) error {
	rnd := rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	looked, wrong, err := s.mirror.Check(ctx, rnd, mirrorSample)
	s.metrics.mirrorLooked.Add(float64(looked))
	count := ""
	if err == nil && len(wrong) == 0 {
		count, err = s.mirror.CheckCounts(ctx, rnd)
	}
	if errors.Is(err, mirror.ErrNotNow) {
		return nil
	}
	if err != nil || len(wrong) == 0 && count == "" {
		return err
	}
	if count != "" {
		s.metrics.mirrorWrong.Inc()
		s.o.Log.Error("incidents in memory are counted otherwise than in the database: all are read again", "count", count)
	} else {
		s.metrics.mirrorWrong.Add(float64(len(wrong)))
		s.o.Log.Error("incidents in memory are other than in the database: all are read again", "checked", looked, "wrong", len(wrong), "first", wrong[0])
	}
	s.mirror.Forget()
	s.nudge(s.mirrorDue)()
	return nil
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
			s.mirrorTook.Store(int64(took))
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
